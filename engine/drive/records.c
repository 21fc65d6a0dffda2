/* gather(u) as JSON: see records.h. */
#include "engine/drive/records.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <jansson.h>

/* A column's value as JSON. Quantities are numbers in their base unit (bytes, seconds), as in a hole. */
static json_t *value_json(const struct dk_values *values, dk_value_id id) {
  const struct dk_value *value = dk_value_get(values, id);

  switch ((enum dk_type)value->type) {
  case DK_TYPE_NULL: return json_null();
  case DK_TYPE_BOOL: return json_boolean(value->u.i != 0);
  case DK_TYPE_INT:
  case DK_TYPE_SIZE: return json_integer(value->u.i);
  case DK_TYPE_FLOAT: return json_real(value->u.f);
  case DK_TYPE_DURATION: return json_real((double)value->u.i / 1e9);
  case DK_TYPE_MONEY:
  case DK_TYPE_RATE: return json_real((double)value->u.i / 1e6);
  case DK_TYPE_STRING: {
    const struct dk_str *text = dk_value_str(values, id);
    /* JSON text is UTF-8; other bytes cannot stand in it. */
    return dk_utf8_is_valid(text->text, text->len) ? json_stringn(text->text, text->len) : json_null();
  }
  case DK_TYPE_LIST: {
    json_t *list = json_array();
    for (uint32_t i = 0; list && i < value->len; i++)
      json_array_append_new(list, value_json(values, dk_value_item(values, id, i)));
    return list;
  }
  case DK_TYPE_RECORD: {
    json_t *record = json_object();
    for (uint32_t i = 0; record && i < value->len; i++)
      json_object_set_new(record, dk_value_name(values, id, i)->text, value_json(values, dk_value_item(values, id, i)));
    return record;
  }
  case DK_TYPE_CALL: break;
  }
  return json_null();
}

static json_t *metric_json(const struct dk_metric_value *metric) {
  switch (metric->state) {
  case DK_METRIC_NUMBER:
    return json_real(metric->number); /* NULL for a NaN: jansson has none, the member is left out */
  case DK_METRIC_TEXT: return json_string(metric->text);
  case DK_METRIC_MISSING: break;
  }
  return json_null();
}

static json_t *row_json(const struct dk_plan *plan, const struct dk_template *producer, uint32_t row,
                        const struct dk_fact *fact) {
  json_t *record = json_object();

  for (uint32_t c = 0; record && c < producer->points.n_columns; c++) {
    const struct dk_column *column = &producer->points.columns[c];
    json_object_set_new(record, column->name, value_json(plan->values, dk_column_value(column, row)));
  }
  for (uint32_t m = 0; record && m < producer->n_metrics && m < fact->metrics.n; m++)
    json_object_set_new(record, producer->metrics[m].name, metric_json(&fact->metrics.items[m]));
  for (uint32_t o = 0; record && o < producer->n_outputs; o++) {
    char hex[DK_DIGEST_HEX + 1];
    dk_digest_hex(&fact->outputs[o].digest, hex);
    json_object_set_new(record, producer->outputs[o].name, json_string(hex));
  }
  return record;
}

static int append(const char *text, size_t len, void *out) {
  dk_buf_add(out, text, len);
  return dk_buf_ok(out) ? 0 : -1;
}

int dk_records_json(struct dk_lookup_state *state, const struct dk_template *tmpl, uint32_t row, uint32_t input,
                    struct dk_buf *out, struct dk_error *error) {
  const struct dk_plan *plan = state->with.plan;
  const struct dk_edge *edge = &plan->graph.nodes[tmpl->node].edges[tmpl->inputs[input].edge];
  const struct dk_template *producer = &plan->templates[edge->producer];
  uint32_t producer_first = plan->graph.nodes[edge->producer].first, first = 0;
  const uint32_t *list;
  uint32_t n = dk_edge_rows(&plan->graph, edge, row, &first, &list);
  json_t *all = json_array();
  int r = 0;

  for (uint32_t i = 0; all && i < n && r == 0; i++) {
    uint32_t from = list ? list[i] : first + i;
    const struct dk_fact *fact = state->facts[producer_first + from];
    if (fact)
      json_array_append_new(all, row_json(plan, producer, from, fact));
    else if (!edge->skip_failed)
      r = dk_error_set(error, -EAGAIN, "input `%s` is not made yet", tmpl->inputs[input].name);
  }
  if (r == 0 && (!all || json_dump_callback(all, append, out, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) < 0))
    r = dk_error_system(error, -ENOMEM, "writing the records of input `%s`", tmpl->inputs[input].name);
  json_decref(all);
  dk_buf_add_char(out, '\n');
  return r;
}
