/* The pin of a run, read back. The bytes may be anything: every count is held against what is left to read, every
 * number against what it points into, before it is used. See encode.c for the format. */
#include "lang/plan/codec.h"

#include "lang/base/alloc.h"
#include "lang/base/bytes.h"
#include "lang/plan/program.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* What a decoded plan owns. */
struct pin {
  struct dk_plan plan;
  struct dk_arena arena;
  jmp_buf oom;
  struct dk_strs strs;
  struct dk_values values;
};

struct decoder {
  struct pin *pin;
  struct dk_arena *arena;
  struct dk_reader reader;
  dk_value_id *values;
  uint32_t n_values;
  uint16_t version;
};

static bool failed(struct decoder *d) {
  return d->reader.failed;
}

static bool fail(struct decoder *d) {
  d->reader.failed = true;
  return false;
}

static uint32_t number(struct decoder *d) {
  uint64_t value = dk_read_varint(&d->reader);
  if (value > UINT32_MAX) fail(d);
  return failed(d) ? 0 : (uint32_t)value;
}

static uint8_t below(struct decoder *d, uint8_t limit) {
  uint8_t value = dk_read_u8(&d->reader);
  if (value >= limit) fail(d);
  return failed(d) ? 0 : value;
}

static bool flag(struct decoder *d) {
  return below(d, 2) == 1;
}

/* --- values --- */

static dk_value_id get_value(struct decoder *d) {
  uint32_t at = number(d);
  if (at >= d->n_values) fail(d);
  return failed(d) ? DK_NULL : d->values[at];
}

static bool names_differ(const struct dk_values *values, dk_value_id record) {
  uint32_t n = dk_value_get(values, record)->len;
  for (uint32_t i = 1; i < n; i++)
    if (dk_value_name(values, record, i - 1) == dk_value_name(values, record, i)) return false;
  return true;
}

static dk_value_id get_parts(struct decoder *d, enum dk_type type, uint16_t unit) {
  struct dk_values *values = &d->pin->values;
  uint32_t n = dk_read_count(&d->reader, type == DK_TYPE_RECORD ? 2 : 1);
  dk_value_id *items = dk_arena_array(d->arena, dk_value_id, (size_t)n + 1), id;
  const struct dk_str **names =
      dk_arena_array(d->arena, const struct dk_str *, type == DK_TYPE_RECORD ? (size_t)n + 1 : 1);
  for (uint32_t i = 0; i < n && !failed(d); i++) {
    size_t len;
    const char *name = type == DK_TYPE_RECORD ? dk_read_bytes(&d->reader, &len) : NULL;
    if (name) names[i] = dk_intern(&d->pin->strs, name, len);
    items[i] = get_value(d);
  }
  if (failed(d)) return DK_NULL;
  if (type == DK_TYPE_RECORD)
    id = dk_value_record(values, names, items, n);
  else
    id = type == DK_TYPE_LIST ? dk_value_list(values, items, n) : dk_value_call(values, (enum dk_inert)unit, items, n);
  bool fine = dk_value_get(values, id)->flags <= DK_VALUE_MAX_DEPTH &&
              dk_value_weight(values, id) <= DK_VALUE_MAX_WEIGHT &&
              (type != DK_TYPE_RECORD || names_differ(values, id));
  if (!fine) fail(d);
  return id;
}

static dk_value_id read_value(struct decoder *d) {
  struct dk_values *values = &d->pin->values;
  struct dk_reader *reader = &d->reader;
  enum dk_type type = (enum dk_type)below(d, DK_TYPE_CALL + 1);
  uint16_t unit = 0;
  if (failed(d)) return DK_NULL;
  switch (type) {
  case DK_TYPE_NULL: return DK_NULL;
  case DK_TYPE_BOOL: return dk_value_bool(values, flag(d));
  case DK_TYPE_INT: return dk_value_int(values, dk_read_signed(reader));
  case DK_TYPE_FLOAT: {
    double v = dk_read_double(reader);
    if (!isfinite(v)) fail(d);
    return failed(d) ? DK_NULL : dk_value_float(values, v);
  }
  case DK_TYPE_STRING: {
    size_t len;
    const char *text = dk_read_bytes(reader, &len);
    return text ? dk_value_text(values, text, len) : DK_NULL;
  }
  case DK_TYPE_MONEY:
  case DK_TYPE_RATE: unit = dk_read_u16(reader); return dk_value_quantity(values, type, unit, dk_read_signed(reader));
  case DK_TYPE_SIZE:
  case DK_TYPE_DURATION: return dk_value_quantity(values, type, 0, dk_read_signed(reader));
  case DK_TYPE_CALL:
    unit = dk_read_u16(reader);
    if (unit > DK_INERT_RAW) fail(d);
    return failed(d) ? DK_NULL : get_parts(d, type, unit);
  case DK_TYPE_LIST:
  case DK_TYPE_RECORD: return get_parts(d, type, 0);
  }
  return DK_NULL;
}

static void read_values(struct decoder *d) {
  uint32_t n = dk_read_count(&d->reader, 1);
  d->values = dk_arena_array(d->arena, dk_value_id, (size_t)n + 1);
  for (uint32_t i = 0; i < n && !failed(d); i++) {
    d->values[i] = read_value(d);
    d->n_values = i + 1;
  }
}

/* --- pieces --- */

static const char *get_text(struct decoder *d) {
  size_t len;
  if (!flag(d)) return NULL;
  const char *text = dk_read_bytes(&d->reader, &len);
  if (!text) return NULL;
  if (memchr(text, '\0', len)) fail(d);
  return dk_intern(&d->pin->strs, text, len)->text;
}

/* A text that must be there. */
static const char *need_text(struct decoder *d) {
  const char *text = get_text(d);
  if (!text) fail(d);
  return text ? text : "";
}

static const char **get_texts(struct decoder *d, uint32_t *ret_n) {
  uint32_t n = dk_read_count(&d->reader, 2);
  const char **texts = dk_arena_array(d->arena, const char *, (size_t)n + 1);
  for (uint32_t i = 0; i < n && !failed(d); i++) texts[i] = need_text(d);
  *ret_n = n;
  return texts;
}

/* Numbers below `limit`, or DK_NO_ROW where that is allowed. */
static uint32_t *get_numbers(struct decoder *d, uint32_t limit, bool none, uint32_t *ret_n) {
  uint32_t n = dk_read_count(&d->reader, 4);
  uint32_t *numbers = dk_arena_array(d->arena, uint32_t, (size_t)n + 1);
  for (uint32_t i = 0; i < n && !failed(d); i++) {
    numbers[i] = dk_read_u32(&d->reader);
    if (numbers[i] >= limit && !(none && numbers[i] == DK_NO_ROW)) fail(d);
  }
  *ret_n = n;
  return numbers;
}

static void get_codes(struct decoder *d, struct dk_column *column, uint32_t rows) {
  if ((uint64_t)rows * column->width > (uint64_t)(d->reader.end - d->reader.at)) fail(d);
  if (failed(d)) return;
  void *codes = dk_codes_new(d->arena, column->width, rows);
  for (uint32_t row = 0; row < rows; row++) {
    uint32_t code = column->width == 1   ? dk_read_u8(&d->reader)
                    : column->width == 2 ? dk_read_u16(&d->reader)
                                         : dk_read_u32(&d->reader);
    if (code >= column->card) fail(d);
    dk_code_put(codes, column->width, row, code);
  }
  column->codes = codes;
}

static void get_column(struct decoder *d, struct dk_column *column, uint32_t rows) {
  column->name = get_text(d);
  column->is_axis = flag(d);
  column->width = below(d, 5);
  column->stride = number(d);
  if (d->version > 1) column->path = get_text(d);
  column->line = number(d);
  column->rows_of = get_value(d);
  column->card = dk_read_count(&d->reader, 1);
  if (column->width == 3 || (rows && (column->card == 0 || (column->width == 0 && column->stride == 0)))) fail(d);
  dk_value_id *values = dk_arena_array(d->arena, dk_value_id, (size_t)column->card + 1);
  for (uint32_t i = 0; i < column->card && !failed(d); i++) values[i] = get_value(d);
  column->values = values;
  if (column->width) get_codes(d, column, rows);
}

static bool is_type(struct decoder *d, dk_value_id value, enum dk_type type) {
  return dk_value_get(&d->pin->values, value)->type == type;
}

/* `type`: what every value must be; DK_TYPE_NULL: anything. */
static void get_cell(struct decoder *d, struct dk_cell *cell, uint32_t rows, enum dk_type type) {
  cell->kind = (enum dk_cell_kind)below(d, DK_CELL_LATE + 1);
  if (failed(d)) return;
  if (cell->kind == DK_CELL_CONST) {
    cell->value = get_value(d);
    if (type != DK_TYPE_NULL && !is_type(d, cell->value, type)) fail(d);
  }
  if (cell->kind == DK_CELL_COLUMN) {
    get_column(d, &cell->column, rows);
    for (uint32_t i = 0; !failed(d) && type != DK_TYPE_NULL && i < cell->column.card; i++)
      if (!is_type(d, cell->column.values[i], type) && !is_type(d, cell->column.values[i], DK_TYPE_NULL)) fail(d);
  }
  if (cell->kind == DK_CELL_LATE) cell->text = need_text(d);
}

/* --- templates --- */

static void get_points(struct decoder *d, struct dk_points *points) {
  points->rows = number(d);
  if (points->rows > DK_PLAN_MAX_ROWS) fail(d);
  points->n_columns = dk_read_count(&d->reader, 7);
  points->columns = dk_arena_array(d->arena, struct dk_column, (size_t)points->n_columns + 1);
  for (uint32_t i = 0; i < points->n_columns && !failed(d); i++) {
    get_column(d, &points->columns[i], points->rows);
    if (!points->columns[i].name) fail(d);
  }
}

static void get_steps(struct decoder *d, struct dk_template *tmpl) {
  tmpl->n_steps = dk_read_count(&d->reader, 4);
  tmpl->steps = dk_arena_array(d->arena, struct dk_grid_step, (size_t)tmpl->n_steps + 1);
  for (uint32_t i = 0; i < tmpl->n_steps && !failed(d); i++) {
    tmpl->steps[i].text = need_text(d);
    tmpl->steps[i].change = dk_read_signed(&d->reader);
    tmpl->steps[i].path = need_text(d);
    tmpl->steps[i].line = number(d);
  }
}

static void get_inputs(struct decoder *d, struct dk_template *tmpl) {
  tmpl->n_inputs = dk_read_count(&d->reader, 18);
  tmpl->inputs = dk_arena_array(d->arena, struct dk_input, (size_t)tmpl->n_inputs + 1);
  for (uint32_t i = 0; i < tmpl->n_inputs && !failed(d); i++) {
    struct dk_input *input = &tmpl->inputs[i];
    input->name = need_text(d);
    input->kind = (enum dk_input_kind)below(d, DK_INPUT_URL + 1);
    get_cell(d, &input->cell, tmpl->points.rows, DK_TYPE_NULL);
    input->edge = dk_read_u32(&d->reader);
    input->producer = dk_read_u32(&d->reader);
    input->output = dk_read_u32(&d->reader);
    input->via_pick = flag(d);
    input->line = number(d);
  }
}

static void get_outputs(struct decoder *d, struct dk_template *tmpl) {
  tmpl->n_outputs = dk_read_count(&d->reader, 5);
  tmpl->outputs = dk_arena_array(d->arena, struct dk_output, (size_t)tmpl->n_outputs + 1);
  for (uint32_t i = 0; i < tmpl->n_outputs && !failed(d); i++) {
    tmpl->outputs[i].name = need_text(d);
    get_cell(d, &tmpl->outputs[i].path, tmpl->points.rows, DK_TYPE_STRING);
    tmpl->outputs[i].is_dir = flag(d);
    tmpl->outputs[i].line = number(d);
  }
  tmpl->n_metrics = dk_read_count(&d->reader, 5);
  tmpl->metrics = dk_arena_array(d->arena, struct dk_metric, (size_t)tmpl->n_metrics + 1);
  for (uint32_t i = 0; i < tmpl->n_metrics && !failed(d); i++) {
    tmpl->metrics[i].name = need_text(d);
    tmpl->metrics[i].kind = (enum dk_metric_kind)below(d, DK_METRIC_CSV + 1);
    tmpl->metrics[i].path = get_text(d);
    tmpl->metrics[i].pattern = need_text(d);
    tmpl->metrics[i].line = number(d);
    if (!tmpl->metrics[i].path && tmpl->metrics[i].kind > DK_METRIC_MATCH_STDERR) fail(d);
  }
}

static struct dk_piece *get_pieces(struct decoder *d, uint32_t n_holes, uint32_t *ret_n) {
  uint32_t n = dk_read_count(&d->reader, 2);
  struct dk_piece *pieces = dk_arena_array(d->arena, struct dk_piece, (size_t)n + 1);
  for (uint32_t i = 0; i < n && !failed(d); i++) {
    uint32_t hole = number(d);
    if (hole > n_holes) fail(d);
    pieces[i].hole = hole ? hole - 1 : DK_NO_HOLE;
    const char *text = hole || failed(d) ? NULL : dk_read_bytes(&d->reader, &pieces[i].len);
    if (text) pieces[i].text = dk_arena_strndup(d->arena, text, pieces[i].len);
    pieces[i].line = number(d);
  }
  *ret_n = n;
  return pieces;
}

static void get_program(struct decoder *d, struct dk_template *tmpl) {
  if (!flag(d)) return;
  struct dk_program *program = tmpl->program = dk_arena_new(d->arena, struct dk_program);
  program->path = need_text(d);
  program->is_shell = flag(d);
  program->is_block = flag(d);
  program->shell = get_texts(d, &program->n_shell);
  program->n_holes = dk_read_count(&d->reader, 8);
  program->holes = dk_arena_array(d->arena, struct dk_hole, (size_t)program->n_holes + 1);
  for (uint32_t i = 0; i < program->n_holes && !failed(d); i++) {
    struct dk_hole *hole = &program->holes[i];
    hole->source = need_text(d);
    get_cell(d, &hole->cell, tmpl->points.rows, DK_TYPE_NULL);
    hole->is_raw = flag(d);
    hole->is_list = flag(d);
    hole->path = need_text(d);
    hole->line = number(d);
  }
  program->text = get_pieces(d, program->n_holes, &program->n_text);
  program->n_words = dk_read_count(&d->reader, 2);
  program->words = dk_arena_array(d->arena, struct dk_run_word, (size_t)program->n_words + 1);
  for (uint32_t i = 0; i < program->n_words && !failed(d); i++) {
    program->words[i].is_whole = flag(d);
    program->words[i].pieces = get_pieces(d, program->n_holes, &program->words[i].n_pieces);
  }
}

static void get_template(struct decoder *d, struct dk_template *tmpl) {
  tmpl->kind = (enum dk_node_kind)below(d, DK_NODE_PICK + 1);
  tmpl->name = need_text(d);
  tmpl->doc = get_text(d);
  tmpl->path = need_text(d);
  tmpl->line = number(d);
  tmpl->dir = need_text(d);
  get_points(d, &tmpl->points);
  get_steps(d, tmpl);
  get_inputs(d, tmpl);
  get_outputs(d, tmpl);
  tmpl->n_env = dk_read_count(&d->reader, 5);
  tmpl->env = dk_arena_array(d->arena, struct dk_env_var, (size_t)tmpl->n_env + 1);
  for (uint32_t i = 0; i < tmpl->n_env && !failed(d); i++) {
    tmpl->env[i].name = need_text(d);
    get_cell(d, &tmpl->env[i].cell, tmpl->points.rows, DK_TYPE_NULL);
    tmpl->env[i].is_secret = flag(d);
    tmpl->env[i].from = get_text(d);
    if (d->version > 1) tmpl->env[i].line = number(d);
  }
  tmpl->pass = get_texts(d, &tmpl->n_pass);
  tmpl->code = get_texts(d, &tmpl->n_code);
  get_cell(d, &tmpl->needs, tmpl->points.rows, DK_TYPE_RECORD);
  get_cell(d, &tmpl->timeout, tmpl->points.rows, DK_TYPE_DURATION);
  get_cell(d, &tmpl->when, tmpl->points.rows, DK_TYPE_BOOL);
  tmpl->cached = flag(d);
  tmpl->from = dk_read_u32(&d->reader);
  tmpl->metric = dk_read_u32(&d->reader);
  tmpl->is_max = flag(d);
  tmpl->per = get_numbers(d, UINT32_MAX, false, &tmpl->n_per);
  tmpl->mean_over = get_numbers(d, UINT32_MAX, false, &tmpl->n_mean_over);
  tmpl->n_best = dk_read_u32(&d->reader);
  if (d->version > 1) get_program(d, tmpl);
}

/* --- the graph --- */

static void get_edge(struct decoder *d, const struct dk_graph_node *node, struct dk_edge *edge) {
  const struct dk_plan *plan = &d->pin->plan;
  uint32_t n = 0;
  edge->kind = (enum dk_edge_kind)below(d, DK_EDGE_GATHER + 1);
  edge->producer = dk_read_u32(&d->reader);
  edge->skip_failed = flag(d);
  if (edge->producer >= plan->n_templates) fail(d);
  if (failed(d)) return;
  uint32_t rows = plan->templates[edge->producer].points.rows;
  if (flag(d)) {
    edge->map = get_numbers(d, UINT32_MAX, true, &n);
    if (n != node->rows) fail(d);
  }
  if (edge->kind == DK_EDGE_MAP && !edge->map) fail(d);
  if (edge->kind == DK_EDGE_ONE && rows == 0 && node->rows) fail(d);
  if (edge->kind == DK_EDGE_SAME && rows < node->rows) fail(d);
  uint32_t limit = rows;
  if (edge->kind == DK_EDGE_GATHER) {
    uint32_t n_off, n_list;
    edge->off = get_numbers(d, UINT32_MAX, false, &n_off);
    edge->list = get_numbers(d, rows, false, &n_list);
    edge->n_groups = n_off ? n_off - 1 : 0;
    if (failed(d) || n_off == 0 || edge->off[0] != 0 || edge->off[edge->n_groups] != n_list) {
      fail(d);
      return;
    }
    for (uint32_t i = 0; i < edge->n_groups; i++)
      if (edge->off[i] > edge->off[i + 1]) fail(d);
    limit = edge->n_groups;
    if (!edge->map && edge->n_groups < node->rows) fail(d);
  }
  for (uint32_t i = 0; edge->map && !failed(d) && i < n; i++)
    if (edge->map[i] >= limit && edge->map[i] != DK_NO_ROW) fail(d);
}

static void get_node(struct decoder *d, const struct dk_template *tmpl, struct dk_graph_node *node) {
  size_t n_exit;
  node->kind = tmpl->kind;
  node->rows = tmpl->points.rows;
  node->retry.lost = dk_read_u16(&d->reader);
  node->retry.oom = dk_read_u16(&d->reader);
  node->retry.other = dk_read_u16(&d->reader);
  const char *codes = dk_read_bytes(&d->reader, &n_exit);
  if (!codes || n_exit > sizeof node->retry.exit) {
    fail(d);
    return;
  }
  memcpy(node->retry.exit, codes, n_exit);
  node->retry.n_exit = (uint8_t)n_exit;
  node->retry.grow = d->version > 2 ? dk_read_u32(&d->reader) : DK_GROW_NONE;
  node->at_once = dk_read_u32(&d->reader);
  node->cpus = dk_read_u32(&d->reader);
  node->n_edges = dk_read_count(&d->reader, 7);
  struct dk_edge *edges = dk_arena_array(d->arena, struct dk_edge, (size_t)node->n_edges + 1);
  for (uint32_t i = 0; i < node->n_edges && !failed(d); i++) get_edge(d, node, &edges[i]);
  node->edges = edges;
  if (node->cpus == 0) fail(d);
}

static void get_graph(struct decoder *d) {
  struct dk_plan *plan = &d->pin->plan;
  struct dk_graph_node *nodes = dk_arena_array(d->arena, struct dk_graph_node, (size_t)plan->n_templates + 1);
  uint64_t first = 0;
  for (uint32_t i = 0; i < plan->n_templates && !failed(d); i++) {
    plan->templates[i].node = i;
    nodes[i].first = (uint32_t)first;
    get_node(d, &plan->templates[i], &nodes[i]);
    first += nodes[i].rows;
    if (first > DK_PLAN_MAX_TASKS) fail(d);
  }
  plan->graph = (struct dk_graph){.n_nodes = plan->n_templates, .n_tasks = (uint32_t)first, .nodes = nodes};
}

/* References between templates, once all are there. */
static bool are_below(const uint32_t *numbers, uint32_t n, uint32_t limit) {
  for (uint32_t i = 0; i < n; i++)
    if (numbers[i] >= limit) return false;
  return true;
}

static bool template_fits(const struct dk_plan *plan, uint32_t at) {
  const struct dk_template *tmpl = &plan->templates[at];
  for (uint32_t i = 0; i < tmpl->n_inputs; i++) {
    const struct dk_input *input = &tmpl->inputs[i];
    bool has_edge = dk_input_is_output(input->kind) || input->kind == DK_INPUT_RECORDS;
    if (!has_edge) continue;
    if (input->edge >= plan->graph.nodes[at].n_edges || input->producer >= plan->n_templates) return false;
    if (input->kind != DK_INPUT_RECORDS && input->output >= plan->templates[input->producer].n_outputs) return false;
  }
  if (tmpl->kind != DK_NODE_PICK) return true;
  if (tmpl->from >= plan->n_templates || tmpl->n_best == 0) return false;
  const struct dk_template *from = &plan->templates[tmpl->from];
  return tmpl->metric < from->n_metrics && are_below(tmpl->per, tmpl->n_per, from->points.n_columns) &&
         are_below(tmpl->mean_over, tmpl->n_mean_over, from->points.n_columns);
}

static void get_table(struct decoder *d, struct dk_report_table *table) {
  const struct dk_plan *plan = &d->pin->plan;
  table->title = get_text(d);
  table->from = get_numbers(d, plan->n_templates, false, &table->n_from);
  table->n_columns = dk_read_count(&d->reader, 9);
  table->columns = dk_arena_array(d->arena, struct dk_table_column, (size_t)table->n_columns + 1);
  for (uint32_t i = 0; i < table->n_columns && !failed(d); i++) {
    struct dk_table_column *column = &table->columns[i];
    column->title = need_text(d);
    column->kind = (enum dk_table_column_kind)below(d, DK_TABLE_PICK_METRIC + 1);
    column->name = need_text(d);
    column->pick = dk_read_u32(&d->reader);
    bool is_pick = column->kind == DK_TABLE_PICK_COLUMN || column->kind == DK_TABLE_PICK_METRIC;
    if (is_pick && (column->pick >= plan->n_templates || plan->templates[column->pick].kind != DK_NODE_PICK)) fail(d);
  }
  table->sort = dk_read_u32(&d->reader);
  table->descending = flag(d);
  if (table->sort != UINT32_MAX && table->sort >= table->n_columns) fail(d);
}

static void get_plan(struct decoder *d) {
  struct dk_plan *plan = &d->pin->plan;
  read_values(d);
  plan->name = need_text(d);
  plan->doc = get_text(d);
  plan->path = need_text(d);
  plan->n_templates = dk_read_count(&d->reader, 30);
  plan->templates = dk_arena_array(d->arena, struct dk_template, (size_t)plan->n_templates + 1);
  for (uint32_t i = 0; i < plan->n_templates && !failed(d); i++) get_template(d, &plan->templates[i]);
  if (!failed(d)) get_graph(d);
  for (uint32_t i = 0; i < plan->n_templates && !failed(d); i++)
    if (!template_fits(plan, i)) fail(d);
  if (failed(d)) return;
  plan->n_tables = dk_read_count(&d->reader, 8);
  plan->tables = dk_arena_array(d->arena, struct dk_report_table, (size_t)plan->n_tables + 1);
  for (uint32_t i = 0; i < plan->n_tables && !failed(d); i++) get_table(d, &plan->tables[i]);
  plan->n_params = dk_read_count(&d->reader, 3);
  plan->params = dk_arena_calloc(d->arena, (size_t)plan->n_params + 1, sizeof *plan->params);
  for (uint32_t i = 0; i < plan->n_params && !failed(d); i++) {
    plan->params[i].name = need_text(d);
    plan->params[i].value = get_value(d);
  }
}

/* A function of its own: what jumps must not share a frame with setjmp's locals. */
static void decode(struct pin *pin, struct decoder *d) {
  dk_strs_init(&pin->strs, &pin->arena);
  dk_values_init(&pin->values, &pin->strs, &pin->arena);
  pin->plan.values = &pin->values;
  pin->plan.is_pin = true;
  pin->plan.priv = pin;
  get_plan(d);
}

int dk_plan_decode(const void *data, size_t len, struct dk_plan **ret, struct dk_error *error) {
  *ret = NULL;
  struct pin *pin = dk_calloc(1, sizeof *pin);
  if (!pin) return dk_error_system(error, -ENOMEM, "reading a run's plan");
  dk_arena_init(&pin->arena, &pin->oom);
  struct decoder d = {.pin = pin, .arena = &pin->arena};
  dk_reader_init(&d.reader, data, len);
  uint32_t magic = dk_read_u32(&d.reader);
  uint16_t version = dk_read_u16(&d.reader);
  d.version = version;
  if (magic != DK_PIN_MAGIC || version < 1 || version > DK_PIN_VERSION) {
    dk_arena_finish(&pin->arena);
    dk_free(pin);
    return dk_error_set(error, -EINVAL,
                        magic == DK_PIN_MAGIC ? "a run's plan was written by another version of dkrun (format %u)"
                                              : "these bytes are no plan (format %u)",
                        version);
  }
  if (setjmp(pin->oom)) {
    dk_arena_finish(&pin->arena);
    dk_free(pin);
    return dk_error_system(error, -ENOMEM, "reading a run's plan");
  }
  decode(pin, &d);
  if (!dk_reader_done(&d.reader)) {
    dk_arena_finish(&pin->arena);
    dk_free(pin);
    return dk_error_set(error, -EINVAL, "a run's plan is damaged");
  }
  *ret = &pin->plan;
  return 0;
}

void dk_plan_destroy(struct dk_plan *plan) {
  if (!plan || !plan->is_pin) return;
  struct pin *pin = plan->priv;
  dk_arena_finish(&pin->arena);
  dk_free(pin);
}
