/* What stands in a report table: rows, cells, order; see table.h. How it is written: table_format.c. */
#include "engine/report/group.h"
#include "engine/report/table_priv.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct builder {
  struct dk_row_source *rows;
  const struct dk_report_table *table;
  bool for_people; /* quantities as source text ("512MiB"), not as bare numbers */
  struct table_cells t;
};

static const struct dk_column *find_column(const struct dk_template *t, const char *name) {
  for (uint32_t i = 0; i < t->points.n_columns; i++) {
    if (strcmp(t->points.columns[i].name, name) == 0) {
      return &t->points.columns[i];
    }
  }
  return NULL;
}

static bool has_metric(const struct dk_template *t, const char *name) {
  for (uint32_t i = 0; i < t->n_metrics; i++) {
    if (strcmp(t->metrics[i].name, name) == 0) {
      return true;
    }
  }
  return false;
}

static void set_value(struct builder *b, struct cell *cell, dk_value_id id) {
  const struct dk_values *values = b->rows->plan->values;
  enum dk_type type = (enum dk_type)dk_value_get(values, id)->type;
  cell->off = b->t.text.len;
  bool is_quantity = type == DK_TYPE_SIZE || type == DK_TYPE_DURATION || type == DK_TYPE_MONEY || type == DK_TYPE_RATE;
  if ((is_quantity && b->for_people) || !dk_value_hole_text(values, id, &b->t.text)) {
    dk_buf_truncate(&b->t.text, cell->off);
    dk_value_source_text(values, id, &b->t.text);
  }
  cell->len = b->t.text.len - cell->off;
  cell->kind = CELL_TEXT;
  if (type == DK_TYPE_INT || type == DK_TYPE_FLOAT || is_quantity) {
    const struct dk_value *value = dk_value_get(values, id);
    cell->kind = CELL_NUMBER;
    cell->number = type == DK_TYPE_FLOAT ? value->u.f : (double)value->u.i;
  }
}

static void set_metric(struct builder *b, struct cell *cell, uint32_t task, const char *name) {
  const struct dk_metric_value *value = dk_row_metric(b->rows, task, name);
  if (!value) {
    cell->kind = b->rows->tasks[task].state == DK_TASK_FAILED ? CELL_FAILED : CELL_MISSING;
    return;
  }
  cell->kind = value->state == DK_METRIC_NUMBER ? CELL_NUMBER : CELL_TEXT;
  cell->number = value->number;
  cell->off = b->t.text.len;
  dk_buf_add_text(&b->t.text, value->text ? value->text : "");
  cell->len = b->t.text.len - cell->off;
}

static void set_score(struct builder *b, struct cell *cell, double score) {
  char text[DK_NUMBER_TEXT];
  dk_mean_text(score, text);
  cell->kind = CELL_NUMBER;
  cell->number = score;
  cell->off = b->t.text.len;
  dk_buf_add_text(&b->t.text, text);
  cell->len = b->t.text.len - cell->off;
}

static void set_pick(struct builder *b, struct cell *cell, const struct table_row *row,
                     const struct dk_table_column *column) {
  const struct dk_plan *plan = b->rows->plan;
  const struct dk_template *pick = &plan->templates[column->pick];
  const struct dk_template *from = &plan->templates[pick->from];
  struct dk_choice choice;
  uint32_t pick_row = dk_row_pick_row(plan, column->pick, row->template_index, row->row);
  if (pick_row == DK_NO_ROW) {
    return; /* blank */
  }
  uint32_t pick_task = plan->graph.nodes[pick->node].first + pick_row;
  if (dk_row_choice(b->rows, pick_task, &choice, NULL) < 0 || choice.row >= from->points.rows) {
    cell->kind = b->rows->tasks[pick_task].state == DK_TASK_FAILED ? CELL_FAILED : CELL_MISSING;
    return;
  }
  if (column->kind == DK_TABLE_PICK_COLUMN) {
    const struct dk_column *found = find_column(from, column->name);
    if (found) {
      set_value(b, cell, dk_column_value(found, choice.row));
    }
  } else if (pick->n_mean_over && strcmp(from->metrics[pick->metric].name, column->name) == 0) {
    set_score(b, cell, choice.score); /* a mean: no program wrote it */
  } else {
    set_metric(b, cell, plan->graph.nodes[from->node].first + choice.row, column->name);
  }
}

static void set_task(struct builder *b, struct cell *cell, uint32_t task, const char *name) {
  cell->kind = CELL_TEXT;
  cell->off = b->t.text.len;
  if (name && strcmp(name, "id") == 0) {
    dk_buf_printf(&b->t.text, "t%u", task + 1);
  } else {
    dk_plan_task_name(b->rows->plan, task, &b->t.text);
  }
  cell->len = b->t.text.len - cell->off;
}

static void set_cell(struct builder *b, struct cell *cell, const struct table_row *row,
                     const struct dk_table_column *column) {
  const struct dk_template *t = &b->rows->plan->templates[row->template_index];
  switch (column->kind) {
  case DK_TABLE_TASK: set_task(b, cell, row->task, column->name); break;
  case DK_TABLE_COLUMN: {
    const struct dk_column *found = find_column(t, column->name);
    if (found) {
      set_value(b, cell, dk_column_value(found, row->row));
    }
    break;
  }
  case DK_TABLE_METRIC:
    if (has_metric(t, column->name)) {
      set_metric(b, cell, row->task, column->name);
    }
    break;
  case DK_TABLE_PICK_COLUMN:
  case DK_TABLE_PICK_METRIC: set_pick(b, cell, row, column); break;
  }
}

/* Of which points something is known. */
static bool is_shown(const struct dk_row_source *rows, uint32_t task) {
  enum dk_task_state state = rows->tasks[task].state;
  return dk_task_state_is_end(state) && state != DK_TASK_NOT_RUN && state != DK_TASK_CANCELLED;
}

static int make_rows(struct builder *b) {
  const struct dk_plan *plan = b->rows->plan;
  uint64_t n = 0;
  for (uint32_t i = 0; i < b->table->n_from; i++) {
    n += plan->graph.nodes[b->table->from[i]].rows;
  }
  b->t.rows = dk_calloc(n, sizeof *b->t.rows);
  if (!b->t.rows) {
    return -ENOMEM;
  }
  for (uint32_t i = 0; i < b->table->n_from; i++) {
    const struct dk_graph_node *node = &plan->graph.nodes[b->table->from[i]];
    for (uint32_t r = 0; r < node->rows; r++) {
      if (b->rows->chosen && !b->rows->chosen[node->first + r]) {
        continue;
      }
      if (!is_shown(b->rows, node->first + r)) {
        b->t.n_unfinished++;
        continue;
      }
      b->t.rows[b->t.n_rows] =
          (struct table_row){node->first + r, b->table->from[i], r, b->t.n_rows * b->table->n_columns};
      b->t.n_rows++;
    }
  }
  return 0;
}

static int compare_cells(const struct table_cells *t, const struct cell *a, const struct cell *b) {
  if (a->kind == CELL_NUMBER && b->kind == CELL_NUMBER) {
    return (a->number > b->number) - (a->number < b->number);
  }
  if (a->kind == CELL_NUMBER || b->kind == CELL_NUMBER) {
    return a->kind == CELL_NUMBER ? -1 : 1;
  }
  size_t n = a->len < b->len ? a->len : b->len;
  int c = memcmp(cell_text(t, a), cell_text(t, b), n);
  return c ? c : (a->len > b->len) - (a->len < b->len);
}

static bool has_no_order(const struct cell *cell) {
  return cell->kind < CELL_NUMBER || (cell->kind == CELL_NUMBER && isnan(cell->number));
}

static int compare_rows(const void *pa, const void *pb, void *ctx) {
  const struct builder *b = ctx;
  const struct table_row *ra = pa, *rb = pb;
  const struct cell *ca = &b->t.cells[ra->cells + b->table->sort], *cb = &b->t.cells[rb->cells + b->table->sort];
  int c;
  if (has_no_order(ca) || has_no_order(cb)) {
    c = has_no_order(ca) - has_no_order(cb); /* without a value: last, either way */
  } else {
    c = compare_cells(&b->t, ca, cb);
    c = b->table->descending ? -c : c;
  }
  return c ? c : (ra->cells > rb->cells) - (ra->cells < rb->cells); /* grid order */
}

static int build(struct builder *b) {
  const struct dk_report_table *table = b->table;
  b->t.title = table->title;
  b->t.columns = table->columns;
  b->t.n_columns = table->n_columns;
  if (make_rows(b) < 0) {
    return -ENOMEM;
  }
  b->t.cells = dk_calloc((size_t)b->t.n_rows * table->n_columns, sizeof *b->t.cells);
  if (!b->t.cells) {
    return -ENOMEM;
  }
  for (uint32_t r = 0; r < b->t.n_rows; r++) {
    for (uint32_t c = 0; c < table->n_columns; c++) {
      set_cell(b, &b->t.cells[b->t.rows[r].cells + c], &b->t.rows[r], &table->columns[c]);
    }
  }
  if (!dk_buf_ok(&b->t.text)) {
    return -ENOMEM;
  }
  if (table->sort < table->n_columns) {
    qsort_r(b->t.rows, b->t.n_rows, sizeof *b->t.rows, compare_rows, b);
  }
  return 0;
}

static int render(struct dk_row_source *rows, const struct dk_report_table *table, enum dk_table_format format,
                  bool color, struct dk_buf *out, struct dk_error *error) {
  struct builder b = {.rows = rows, .table = table, .for_people = format == DK_FORMAT_TEXT || format == DK_FORMAT_MD};
  int r = build(&b);
  if (r == 0) {
    switch (format) {
    case DK_FORMAT_TEXT: dk_table_format_text(&b.t, color, out); break;
    case DK_FORMAT_MD: dk_table_format_md(&b.t, out); break;
    case DK_FORMAT_CSV: dk_table_format_csv(&b.t, out); break;
    case DK_FORMAT_JSON: dk_table_format_json(rows, &b.t, out); break;
    }
    r = dk_buf_ok(out) ? 0 : -ENOMEM;
  }
  bool has_failed = r == 0 && rows->failure.code != 0;
  dk_buf_finish(&b.t.text);
  dk_free(b.t.cells);
  dk_free(b.t.rows);
  if (has_failed) return dk_row_failure(rows, error);
  return r < 0 ? dk_error_system(error, r, "making the table") : 0;
}

static void between(enum dk_table_format format, uint32_t i, struct dk_buf *out) {
  if (i) {
    dk_buf_add_text(out, format == DK_FORMAT_JSON ? ",\n" : "\n");
  }
}

/* A file without `report`: all columns and metrics of a template. */
static int render_template(struct dk_row_source *rows, uint32_t index, enum dk_table_format format, bool color,
                           struct dk_buf *out, struct dk_error *error) {
  const struct dk_template *t = &rows->plan->templates[index];
  uint32_t n = 0;
  dk_autofree struct dk_table_column *columns = dk_calloc(t->points.n_columns + t->n_metrics + 1, sizeof *columns);
  if (!columns) {
    return dk_error_system(error, -ENOMEM, "making the table");
  }
  columns[n++] = (struct dk_table_column){"task", DK_TABLE_TASK, "id", 0};
  for (uint32_t i = 0; i < t->points.n_columns; i++) {
    const char *name = t->points.columns[i].name;
    columns[n++] = (struct dk_table_column){name, DK_TABLE_COLUMN, name, 0};
  }
  for (uint32_t i = 0; i < t->n_metrics; i++) {
    columns[n++] = (struct dk_table_column){t->metrics[i].name, DK_TABLE_METRIC, t->metrics[i].name, 0};
  }
  struct dk_report_table table = {
      .title = t->name, .from = &index, .n_from = 1, .columns = columns, .n_columns = n, .sort = UINT32_MAX};
  return render(rows, &table, format, color, out, error);
}

int dk_tables_render(struct dk_row_source *rows, enum dk_table_format format, bool color, struct dk_buf *out,
                     struct dk_error *error) {
  const struct dk_plan *plan = rows->plan;
  uint32_t done = 0;
  int r = 0;
  dk_buf_add_text(out, format == DK_FORMAT_JSON ? "[" : "");
  for (uint32_t i = 0; i < plan->n_tables && r == 0; i++) {
    between(format, done++, out);
    r = render(rows, &plan->tables[i], format, color, out, error);
  }
  for (uint32_t i = 0; !plan->n_tables && i < plan->n_templates && r == 0; i++) {
    if (plan->templates[i].kind == DK_NODE_TASK && plan->templates[i].n_metrics) {
      between(format, done++, out);
      r = render_template(rows, i, format, color, out, error);
    }
  }
  dk_buf_add_text(out, format == DK_FORMAT_JSON ? "]\n" : "");
  return r == 0 && !dk_buf_ok(out) ? dk_error_system(error, -ENOMEM, "making the table") : r;
}
