/* The pin of a run as bytes: names, columns, cells, edges, tables, and the programs as they were written (for `why`);
 * no expressions, no scripts. Read by decode.c.
 *
 * Format 3, little-endian (lang/base/bytes.h): magic, version, texts, values (each behind those it is made of),
 * templates with their nodes, tables, parameters. A version is never changed, only followed by another. */
#include "lang/plan/codec.h"

#include "lang/base/alloc.h"
#include "lang/base/bytes.h"
#include "lang/plan/program.h"

#include <errno.h>
#include <string.h>

struct encoder {
  const struct dk_plan *plan;
  struct dk_buf *out;
  struct dk_buf values; /* written in front of what refers to them */
  uint32_t *index;      /* value id -> its number + 1; 0: not yet */
  uint32_t n;
};

/* --- values --- */

static uint32_t number_of(struct encoder *e, dk_value_id id);

static void put_parts(struct encoder *e, dk_value_id id) {
  const struct dk_values *values = e->plan->values;
  const struct dk_value *v = dk_value_get(values, id);
  dk_write_varint(&e->values, v->len);
  for (uint32_t i = 0; i < v->len; i++) {
    if (v->type == DK_TYPE_RECORD) {
      const struct dk_str *name = dk_value_name(values, id, i);
      dk_write_bytes(&e->values, name->text, name->len);
    }
    dk_write_varint(&e->values, e->index[dk_value_item(values, id, i)] - 1);
  }
}

static uint32_t number_of(struct encoder *e, dk_value_id id) {
  if (e->index[id]) return e->index[id] - 1;
  const struct dk_values *values = e->plan->values;
  const struct dk_value *v = dk_value_get(values, id);
  bool has_parts = v->type == DK_TYPE_LIST || v->type == DK_TYPE_RECORD || v->type == DK_TYPE_CALL;
  for (uint32_t i = 0; has_parts && i < v->len; i++) (void)number_of(e, dk_value_item(values, id, i));
  dk_write_u8(&e->values, v->type);
  switch ((enum dk_type)v->type) {
  case DK_TYPE_NULL: break;
  case DK_TYPE_BOOL: dk_write_u8(&e->values, v->u.i != 0); break;
  case DK_TYPE_FLOAT: {
    double d;
    memcpy(&d, &v->u.i, sizeof d);
    dk_write_double(&e->values, d);
    break;
  }
  case DK_TYPE_STRING: dk_write_bytes(&e->values, dk_value_str(values, id)->text, v->len); break;
  case DK_TYPE_MONEY:
  case DK_TYPE_RATE:
    dk_write_u16(&e->values, v->unit);
    dk_write_signed(&e->values, v->u.i);
    break;
  case DK_TYPE_INT:
  case DK_TYPE_SIZE:
  case DK_TYPE_DURATION: dk_write_signed(&e->values, v->u.i); break;
  case DK_TYPE_CALL:
    dk_write_u16(&e->values, v->unit);
    put_parts(e, id);
    break;
  case DK_TYPE_LIST:
  case DK_TYPE_RECORD: put_parts(e, id); break;
  }
  e->index[id] = ++e->n;
  return e->n - 1;
}

static void put_value(struct encoder *e, dk_value_id id) {
  dk_write_varint(e->out, number_of(e, id));
}

/* --- pieces --- */

/* NULL and "" differ. */
static void put_text(struct encoder *e, const char *text) {
  dk_write_u8(e->out, text != NULL);
  if (text) dk_write_text(e->out, text);
}

static void put_texts(struct encoder *e, const char *const *texts, uint32_t n) {
  dk_write_varint(e->out, n);
  for (uint32_t i = 0; i < n; i++) put_text(e, texts[i]);
}

static void put_numbers(struct encoder *e, const uint32_t *numbers, uint32_t n) {
  dk_write_varint(e->out, n);
  for (uint32_t i = 0; i < n; i++) dk_write_u32(e->out, numbers[i]);
}

static void put_column(struct encoder *e, const struct dk_column *column, uint32_t rows) {
  put_text(e, column->name);
  dk_write_u8(e->out, column->is_axis);
  dk_write_u8(e->out, column->width);
  dk_write_varint(e->out, column->stride);
  put_text(e, column->path);
  dk_write_varint(e->out, column->line);
  put_value(e, column->rows_of);
  dk_write_varint(e->out, column->card);
  for (uint32_t i = 0; i < column->card; i++) put_value(e, column->values[i]);
  for (uint32_t row = 0; column->width && row < rows; row++) {
    uint32_t code = dk_code_get(column->codes, column->width, row);
    if (column->width == 1)
      dk_write_u8(e->out, (uint8_t)code);
    else if (column->width == 2)
      dk_write_u16(e->out, (uint16_t)code);
    else
      dk_write_u32(e->out, code);
  }
}

static void put_cell(struct encoder *e, const struct dk_cell *cell, uint32_t rows) {
  dk_write_u8(e->out, (uint8_t)cell->kind);
  if (cell->kind == DK_CELL_CONST) put_value(e, cell->value);
  if (cell->kind == DK_CELL_COLUMN) put_column(e, &cell->column, rows);
  if (cell->kind == DK_CELL_LATE) put_text(e, cell->text);
}

static void put_node(struct encoder *e, const struct dk_graph_node *node) {
  dk_write_u16(e->out, node->retry.lost);
  dk_write_u16(e->out, node->retry.oom);
  dk_write_u16(e->out, node->retry.other);
  dk_write_bytes(e->out, node->retry.exit, node->retry.n_exit);
  dk_write_u32(e->out, node->retry.grow);
  dk_write_u32(e->out, node->at_once);
  dk_write_u32(e->out, node->cpus);
  dk_write_varint(e->out, node->n_edges);
  for (uint32_t i = 0; i < node->n_edges; i++) {
    const struct dk_edge *edge = &node->edges[i];
    dk_write_u8(e->out, (uint8_t)edge->kind);
    dk_write_u32(e->out, edge->producer);
    dk_write_u8(e->out, edge->skip_failed);
    dk_write_u8(e->out, edge->map != NULL);
    if (edge->map) put_numbers(e, edge->map, node->rows);
    if (edge->kind != DK_EDGE_GATHER) continue;
    put_numbers(e, edge->off, edge->n_groups + 1);
    put_numbers(e, edge->list, edge->off[edge->n_groups]);
  }
}

static void put_inputs(struct encoder *e, const struct dk_template *tmpl) {
  dk_write_varint(e->out, tmpl->n_inputs);
  for (uint32_t i = 0; i < tmpl->n_inputs; i++) {
    const struct dk_input *input = &tmpl->inputs[i];
    put_text(e, input->name);
    dk_write_u8(e->out, (uint8_t)input->kind);
    put_cell(e, &input->cell, tmpl->points.rows);
    dk_write_u32(e->out, input->edge);
    dk_write_u32(e->out, input->producer);
    dk_write_u32(e->out, input->output);
    dk_write_u8(e->out, input->via_pick);
    dk_write_varint(e->out, input->line);
  }
}

static void put_outputs(struct encoder *e, const struct dk_template *tmpl) {
  dk_write_varint(e->out, tmpl->n_outputs);
  for (uint32_t i = 0; i < tmpl->n_outputs; i++) {
    put_text(e, tmpl->outputs[i].name);
    put_cell(e, &tmpl->outputs[i].path, tmpl->points.rows);
    dk_write_u8(e->out, tmpl->outputs[i].is_dir);
    dk_write_varint(e->out, tmpl->outputs[i].line);
  }
  dk_write_varint(e->out, tmpl->n_metrics);
  for (uint32_t i = 0; i < tmpl->n_metrics; i++) {
    put_text(e, tmpl->metrics[i].name);
    dk_write_u8(e->out, (uint8_t)tmpl->metrics[i].kind);
    put_text(e, tmpl->metrics[i].path);
    put_text(e, tmpl->metrics[i].pattern);
    dk_write_varint(e->out, tmpl->metrics[i].line);
  }
}

static void put_pieces(struct encoder *e, const struct dk_piece *pieces, uint32_t n) {
  dk_write_varint(e->out, n);
  for (uint32_t i = 0; i < n; i++) {
    bool is_hole = pieces[i].hole != DK_NO_HOLE;
    dk_write_varint(e->out, is_hole ? (uint64_t)pieces[i].hole + 1 : 0);
    if (!is_hole) dk_write_bytes(e->out, pieces[i].text, pieces[i].len);
    dk_write_varint(e->out, pieces[i].line);
  }
}

static void put_program(struct encoder *e, const struct dk_template *tmpl) {
  const struct dk_program *program = tmpl->program;
  dk_write_u8(e->out, program != NULL);
  if (!program) return;
  put_text(e, program->path);
  dk_write_u8(e->out, program->is_shell);
  dk_write_u8(e->out, program->is_block);
  put_texts(e, program->shell, program->n_shell);
  dk_write_varint(e->out, program->n_holes);
  for (uint32_t i = 0; i < program->n_holes; i++) {
    const struct dk_hole *hole = &program->holes[i];
    put_text(e, hole->source);
    put_cell(e, &hole->cell, tmpl->points.rows);
    dk_write_u8(e->out, hole->is_raw);
    dk_write_u8(e->out, hole->is_list);
    put_text(e, hole->path);
    dk_write_varint(e->out, hole->line);
  }
  put_pieces(e, program->text, program->n_text);
  dk_write_varint(e->out, program->n_words);
  for (uint32_t i = 0; i < program->n_words; i++) {
    dk_write_u8(e->out, program->words[i].is_whole);
    put_pieces(e, program->words[i].pieces, program->words[i].n_pieces);
  }
}

static void put_template(struct encoder *e, const struct dk_template *tmpl) {
  dk_write_u8(e->out, (uint8_t)tmpl->kind);
  put_text(e, tmpl->name);
  put_text(e, tmpl->doc);
  put_text(e, tmpl->path);
  dk_write_varint(e->out, tmpl->line);
  put_text(e, tmpl->dir);
  dk_write_varint(e->out, tmpl->points.rows);
  dk_write_varint(e->out, tmpl->points.n_columns);
  for (uint32_t i = 0; i < tmpl->points.n_columns; i++) put_column(e, &tmpl->points.columns[i], tmpl->points.rows);
  dk_write_varint(e->out, tmpl->n_steps);
  for (uint32_t i = 0; i < tmpl->n_steps; i++) {
    put_text(e, tmpl->steps[i].text);
    dk_write_signed(e->out, tmpl->steps[i].change);
    put_text(e, tmpl->steps[i].path);
    dk_write_varint(e->out, tmpl->steps[i].line);
  }
  put_inputs(e, tmpl);
  put_outputs(e, tmpl);
  dk_write_varint(e->out, tmpl->n_env);
  for (uint32_t i = 0; i < tmpl->n_env; i++) {
    put_text(e, tmpl->env[i].name);
    put_cell(e, &tmpl->env[i].cell, tmpl->points.rows);
    dk_write_u8(e->out, tmpl->env[i].is_secret);
    put_text(e, tmpl->env[i].from);
    dk_write_varint(e->out, tmpl->env[i].line);
  }
  put_texts(e, tmpl->pass, tmpl->n_pass);
  put_texts(e, tmpl->code, tmpl->n_code);
  put_cell(e, &tmpl->needs, tmpl->points.rows);
  put_cell(e, &tmpl->timeout, tmpl->points.rows);
  put_cell(e, &tmpl->when, tmpl->points.rows);
  dk_write_u8(e->out, tmpl->cached);
  dk_write_u32(e->out, tmpl->from);
  dk_write_u32(e->out, tmpl->metric);
  dk_write_u8(e->out, tmpl->is_max);
  put_numbers(e, tmpl->per, tmpl->n_per);
  put_numbers(e, tmpl->mean_over, tmpl->n_mean_over);
  dk_write_u32(e->out, tmpl->n_best);
  put_program(e, tmpl);
}

static void put_table(struct encoder *e, const struct dk_report_table *table) {
  put_text(e, table->title);
  put_numbers(e, table->from, table->n_from);
  dk_write_varint(e->out, table->n_columns);
  for (uint32_t i = 0; i < table->n_columns; i++) {
    put_text(e, table->columns[i].title);
    dk_write_u8(e->out, (uint8_t)table->columns[i].kind);
    put_text(e, table->columns[i].name);
    dk_write_u32(e->out, table->columns[i].pick);
  }
  dk_write_u32(e->out, table->sort);
  dk_write_u8(e->out, table->descending);
}

int dk_plan_encode(const struct dk_plan *plan, struct dk_buf *out) {
  struct dk_buf body = DK_BUF_INIT;
  struct encoder e = {.plan = plan, .out = &body, .values = DK_BUF_INIT};
  e.index = dk_calloc(plan->values->count + 1, sizeof *e.index);
  if (!e.index) return -ENOMEM;
  put_text(&e, plan->name);
  put_text(&e, plan->doc);
  put_text(&e, plan->path);
  dk_write_varint(&body, plan->n_templates);
  for (uint32_t i = 0; i < plan->n_templates; i++) put_template(&e, &plan->templates[i]);
  for (uint32_t i = 0; i < plan->n_templates; i++) put_node(&e, &plan->graph.nodes[i]);
  dk_write_varint(&body, plan->n_tables);
  for (uint32_t i = 0; i < plan->n_tables; i++) put_table(&e, &plan->tables[i]);
  dk_write_varint(&body, plan->n_params);
  for (uint32_t i = 0; i < plan->n_params; i++) {
    put_text(&e, plan->params[i].name);
    put_value(&e, plan->params[i].value);
  }
  dk_write_u32(out, DK_PIN_MAGIC);
  dk_write_u16(out, DK_PIN_VERSION);
  dk_write_varint(out, e.n);
  dk_buf_add(out, dk_buf_text(&e.values), e.values.len);
  dk_buf_add(out, dk_buf_text(&body), body.len);
  bool ok = dk_buf_ok(&body) && dk_buf_ok(&e.values) && dk_buf_ok(out);
  dk_free(e.index);
  dk_buf_finish(&e.values);
  dk_buf_finish(&body);
  return ok ? 0 : -ENOMEM;
}
