/* gather(u) as JSON (RFC 8259): see records.h. A record a line; numbers in the shortest decimal that reads back the
 * same. */
#include "engine/drive/records.h"

#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* JSON text is UTF-8; other bytes cannot stand in it, and are null as a whole. */
static void add_string(struct dk_buf *out, const char *text, size_t len) {
  if (!dk_utf8_is_valid(text, len)) {
    dk_buf_add_text(out, "null");
    return;
  }
  dk_buf_add_char(out, '"');
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\')
      dk_buf_printf(out, "\\%c", c);
    else if (c < 0x20)
      dk_buf_printf(out, "\\u%04x", c);
    else
      dk_buf_add_char(out, (char)c);
  }
  dk_buf_add_char(out, '"');
}

/* A column's value as JSON. Quantities are numbers in their base unit (bytes, seconds), as in a hole. */
static void add_value(const struct dk_values *values, dk_value_id id, struct dk_buf *out) {
  const struct dk_value *value = dk_value_get(values, id);
  bool is_record = value->type == DK_TYPE_RECORD;

  switch ((enum dk_type)value->type) {
  case DK_TYPE_NULL:
  case DK_TYPE_CALL: dk_buf_add_text(out, "null"); return;
  case DK_TYPE_STRING: add_string(out, dk_value_str(values, id)->text, value->len); return;
  case DK_TYPE_LIST:
  case DK_TYPE_RECORD:
    dk_buf_add_char(out, is_record ? '{' : '[');
    for (uint32_t i = 0; i < value->len; i++) {
      if (i) dk_buf_add_text(out, ", ");
      if (is_record) {
        const struct dk_str *name = dk_value_name(values, id, i);
        add_string(out, name->text, name->len);
        dk_buf_add_text(out, ": ");
      }
      add_value(values, dk_value_item(values, id, i), out);
    }
    dk_buf_add_char(out, is_record ? '}' : ']');
    return;
  case DK_TYPE_BOOL:
  case DK_TYPE_INT:
  case DK_TYPE_FLOAT:
  case DK_TYPE_SIZE:
  case DK_TYPE_DURATION:
  case DK_TYPE_MONEY:
  case DK_TYPE_RATE: (void)dk_value_hole_text(values, id, out); return;
  }
}

/* What is missing, and what JSON has no number for, is null. */
static void add_metric(const struct dk_metric_value *metric, struct dk_buf *out) {
  char number[DK_NUMBER_TEXT];

  if (metric->state == DK_METRIC_TEXT) {
    add_string(out, metric->text, strlen(metric->text));
  } else if (metric->state == DK_METRIC_NUMBER && isfinite(metric->number)) {
    dk_number_text(metric->number, number);
    dk_buf_add_text(out, number);
  } else {
    dk_buf_add_text(out, "null");
  }
}

static void add_name(struct dk_buf *out, uint32_t *n, const char *name) {
  if ((*n)++) dk_buf_add_text(out, ", ");
  add_string(out, name, strlen(name));
  dk_buf_add_text(out, ": ");
}

static void add_row(const struct dk_plan *plan, const struct dk_template *producer, uint32_t row,
                    const struct dk_fact *fact, struct dk_buf *out) {
  uint32_t n = 0;

  dk_buf_add_char(out, '{');
  for (uint32_t c = 0; c < producer->points.n_columns; c++) {
    const struct dk_column *column = &producer->points.columns[c];
    add_name(out, &n, column->name);
    add_value(plan->values, dk_column_value(column, row), out);
  }
  for (uint32_t m = 0; m < producer->n_metrics && m < fact->metrics.n; m++) {
    add_name(out, &n, producer->metrics[m].name);
    add_metric(&fact->metrics.items[m], out);
  }
  for (uint32_t o = 0; o < producer->n_outputs; o++) {
    char hex[DK_DIGEST_HEX + 1];
    dk_digest_hex(&fact->outputs[o].digest, hex);
    add_name(out, &n, producer->outputs[o].name);
    add_string(out, hex, strlen(hex));
  }
  dk_buf_add_char(out, '}');
}

int dk_records_json(struct dk_lookup_state *state, const struct dk_template *tmpl, uint32_t row, uint32_t input,
                    struct dk_buf *out, struct dk_error *error) {
  const struct dk_plan *plan = state->with.plan;
  const struct dk_edge *edge = &plan->graph.nodes[tmpl->node].edges[tmpl->inputs[input].edge];
  const struct dk_template *producer = &plan->templates[edge->producer];
  uint32_t producer_first = plan->graph.nodes[edge->producer].first, first = 0;
  const uint32_t *list;
  uint32_t n = dk_edge_rows(&plan->graph, edge, row, &first, &list);
  uint32_t written = 0;

  dk_buf_add_char(out, '[');
  for (uint32_t i = 0; i < n; i++) {
    uint32_t from = list ? list[i] : first + i;
    const struct dk_fact *fact = state->facts[producer_first + from];
    if (!fact && !edge->skip_failed)
      return dk_error_set(error, -EAGAIN, "input `%s` is not made yet", tmpl->inputs[input].name);
    if (!fact) continue;
    dk_buf_add_text(out, written++ ? ",\n " : "\n ");
    add_row(plan, producer, from, fact, out);
  }
  dk_buf_add_text(out, written ? "\n]\n" : "]\n");
  return dk_buf_ok(out)
             ? 0
             : dk_error_system(error, -ENOMEM, "writing the records of input `%s`", tmpl->inputs[input].name);
}
