/* Expressions at points, and tables of their values: see planner.h.
 *
 * Keeps true: an expression is evaluated once per distinct combination of the columns it uses, only for combinations
 * that occur, the first time in grid order; so the first failing point of the grid is the one that is shown. */
#include "lang/plan/planner.h"

#include <assert.h>
#include <string.h>

#define TAB_SMALL 4096u

static dk_value_id row_field(struct dk_point *point, uint32_t column, const char *field) {
  struct dk_planner *planner = point->planner;
  dk_value_id row = DK_NULL, value = DK_NULL;
  if (dk_value_get(planner->values, point->values[column])->type != DK_TYPE_STRING) return DK_NULL;
  if (!dk_value_field(planner->values, point->points->columns[column].rows_of,
                      dk_value_str(planner->values, point->values[column]), &row))
    return DK_NULL;
  if (!dk_value_field(planner->values, row, dk_intern_text(planner->checked->strs, field), &value)) return DK_NULL;
  return value;
}

static dk_value_id column_value(void *ctx, const struct dk_str *name) {
  struct dk_point *point = ctx;
  uint32_t index = dk_points_find(point->points, name->text);
  if (index == UINT32_MAX) return DK_NULL;
  if (point->points->columns[index].name == name->text) return point->values[index];
  return row_field(point, index, strchr(name->text, '.') + 1);
}

void dk_point_init(struct dk_point *point, struct dk_planner *planner, const struct dk_points *points) {
  *point = (struct dk_point){.planner = planner, .points = points};
  point->values = dk_arena_array(planner->arena, dk_value_id, points->n_columns + 1);
  point->frame = (struct dk_frame){.ctx = point, .column = column_value};
}

void dk_point_set(struct dk_point *point, uint32_t row) {
  for (uint32_t i = 0; i < point->points->n_columns; i++)
    point->values[i] = dk_column_value(&point->points->columns[i], row);
}

struct dk_buf *dk_planner_text(struct dk_planner *planner) {
  dk_buf_clear(&planner->eval->scratch);
  return &planner->eval->scratch;
}

const char *dk_planner_keep_text(struct dk_planner *planner) {
  struct dk_buf *text = &planner->eval->scratch;
  if (!dk_buf_ok(text)) longjmp(*planner->arena->on_oom, 1);
  const char *copy = dk_arena_strndup(planner->arena, dk_buf_text(text), text->len);
  dk_buf_finish(text);
  return copy;
}

const char *dk_planner_show(struct dk_planner *planner, dk_value_id value) {
  struct dk_buf *text = dk_planner_text(planner);
  dk_value_source_text(planner->values, value, text);
  if (text->len > 200) {
    dk_buf_truncate(text, 200);
    dk_buf_add_text(text, "...");
  }
  return dk_planner_keep_text(planner);
}

/* "lr=0.1 seed=2": the axes of a row. */
static void points_text(const struct dk_values *values, const struct dk_points *points, uint32_t row,
                        struct dk_buf *out) {
  bool is_first = true;
  for (uint32_t i = 0; i < points->n_columns; i++) {
    const struct dk_column *column = &points->columns[i];
    if (!column->is_axis) continue;
    dk_buf_printf(out, "%s%s=", is_first ? "" : " ", column->name);
    dk_value_source_text(values, dk_column_value(column, row), out);
    is_first = false;
  }
}

/* The same in the arena; "" without axes. */
static const char *arena_text(struct dk_planner *planner, const struct dk_points *points, uint32_t row) {
  if (row >= points->rows) return "";
  struct dk_buf *text = dk_planner_text(planner);
  points_text(planner->values, points, row, text);
  return dk_planner_keep_text(planner);
}

void dk_point_note(struct dk_planner *planner, struct dk_diag *diag, const struct dk_points *points, uint32_t row) {
  const char *text = arena_text(planner, points, row);
  if (*text) dk_diag_note(planner->diags, diag, "at %s", text);
}

/* The values at hand, where there is no row yet (a point that an include gives). */
static void note_values(const struct dk_point *point, struct dk_diag *diag) {
  struct dk_planner *planner = point->planner;
  struct dk_buf *text = dk_planner_text(planner);
  for (uint32_t i = 0; i < point->points->n_columns; i++) {
    if (!point->points->columns[i].is_axis) continue;
    dk_buf_printf(text, "%s%s=", text->len ? " " : "", point->points->columns[i].name);
    dk_value_source_text(planner->values, point->values[i], text);
  }
  const char *copy = dk_planner_keep_text(planner);
  if (*copy) dk_diag_note(planner->diags, diag, "at %s", copy);
}

bool dk_point_eval(struct dk_point *point, const struct dk_expr *expr, uint32_t row, dk_value_id *ret) {
  struct dk_planner *planner = point->planner;
  uint32_t before = planner->diags->count;
  enum dk_eval_result result = dk_eval(planner->eval, expr, &point->frame, ret);
  if (result == DK_EVAL_OK) return true;
  assert(result == DK_EVAL_FAILED); /* what is late is never evaluated here */
  if (planner->diags->count > before) {
    struct dk_diag *diag = planner->diags->items[planner->diags->count - 1];
    if (row != DK_NO_ROW)
      dk_point_note(planner, diag, point->points, row);
    else
      note_values(point, diag);
  }
  return false;
}

void dk_tab_init(struct dk_tab *tab, struct dk_planner *planner, struct dk_expr *expr, const struct dk_points *points) {
  *tab = (struct dk_tab){.planner = planner, .expr = expr, .points = points};
  dk_expr_read(planner, expr, points, &tab->uses);
  dk_point_init(&tab->point, planner, points);
  uint32_t n = tab->uses.n_columns;
  tab->muls = dk_arena_array(planner->arena, uint32_t, n + 1);
  uint64_t size = 1, limit = points->rows < TAB_SMALL / 2 ? TAB_SMALL : 2 * (uint64_t)points->rows;
  for (uint32_t i = n; i-- > 0;) {
    tab->muls[i] = (uint32_t)size;
    size *= points->columns[tab->uses.columns[i]].card;
    if (size > limit) return;
  }
  if (size == 0) return;
  tab->size = (uint32_t)size;
  tab->table = dk_arena_array(planner->arena, dk_value_id, size);
  memset(tab->table, 0xff, size * sizeof *tab->table); /* DK_TAB_EMPTY */
}

static bool tab_eval(struct dk_tab *tab, uint32_t row, dk_value_id *ret) {
  if (tab->failed) return false;
  for (uint32_t i = 0; i < tab->uses.n_columns; i++) {
    uint32_t index = tab->uses.columns[i];
    tab->point.values[index] = dk_column_value(&tab->points->columns[index], row);
  }
  if (dk_point_eval(&tab->point, tab->expr, row, ret)) return true;
  tab->failed = true;
  return false;
}

bool dk_tab_at(struct dk_tab *tab, uint32_t combination, uint32_t row, dk_value_id *ret) {
  if (tab->table[combination] == DK_TAB_EMPTY && !tab_eval(tab, row, &tab->table[combination])) {
    tab->table[combination] = DK_TAB_EMPTY;
    return false;
  }
  *ret = tab->table[combination];
  return true;
}

bool dk_tab_value(struct dk_tab *tab, uint32_t row, dk_value_id *ret) {
  if (tab->size == 0) return tab_eval(tab, row, ret);
  uint32_t combination = 0;
  for (uint32_t i = 0; i < tab->uses.n_columns; i++)
    combination += dk_column_code(&tab->points->columns[tab->uses.columns[i]], row) * tab->muls[i];
  return dk_tab_at(tab, combination, row, ret);
}

void dk_tab_combinations(const struct dk_tab *tab, uint32_t first, uint32_t n, uint32_t *ret) {
  uint32_t codes[DK_BLOCK];
  memset(ret, 0, n * sizeof *ret);
  for (uint32_t i = 0; i < tab->uses.n_columns; i++) {
    dk_column_codes(&tab->points->columns[tab->uses.columns[i]], first, n, codes);
    uint32_t mul = tab->muls[i];
    for (uint32_t k = 0; k < n; k++) ret[k] += codes[k] * mul;
  }
}

const char *dk_expr_source(struct dk_planner *planner, const struct dk_expr *expr) {
  struct dk_place place = dk_sources_place(planner->checked->sources, expr->span.start);
  if (!place.source || expr->span.end < expr->span.start) return "";
  size_t len = expr->span.end - expr->span.start;
  if (len > place.source->len - place.offset) len = place.source->len - place.offset;
  return dk_arena_strndup(planner->arena, place.source->text + place.offset, len);
}

const char *dk_span_path(struct dk_planner *planner, struct dk_span span, uint32_t *ret_line) {
  struct dk_place place = dk_sources_place(planner->checked->sources, span.start);
  *ret_line = place.line;
  return place.source ? place.source->path : "";
}
