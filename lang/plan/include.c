/* `include` clauses: single points behind the product, after all excludes. See grid.h.
 *
 * An include gives every axis; derived columns are computed for it. A point that is in the grid already stays once, and
 * the grid's step says so. */
#include "lang/plan/grid.h"

#include <string.h>

struct include {
  struct dk_grid_build *build;
  struct dk_planner *planner;
  struct dk_dict *dicts; /* by column: of axes by identity, of derived ones by value */
  uint32_t *codes;       /* rows added, n_columns codes each */
  uint32_t n, cap;
  uint32_t old_rows;
  const struct dk_stmt *stmt;
};

static void open_dicts(struct include *in) {
  struct dk_points *points = &in->build->grid.points;
  in->dicts = dk_arena_array(in->planner->arena, struct dk_dict, points->n_columns + 1);
  for (uint32_t i = 0; i < points->n_columns; i++) {
    const struct dk_column *column = &points->columns[i];
    dk_dict_init(&in->dicts[i], in->planner->arena);
    for (uint32_t code = 0; code < column->card; code++) {
      dk_value_id value = column->values[code];
      dk_dict_add(&in->dicts[i], column->is_axis ? dk_value_identity(in->planner->values, value) : value, value, NULL);
    }
  }
}

static bool axis_value(struct include *in, dk_value_id record, uint32_t column, dk_value_id *ret) {
  struct dk_values *values = in->planner->values;
  const struct dk_column *c = &in->build->grid.points.columns[column];
  dk_value_id ignored;
  if (!dk_value_field(values, record, dk_intern_text(in->planner->checked->strs, c->name), ret)) {
    struct dk_diag *diag =
        dk_diag_add(in->planner->diags, DK_E0408, in->stmt->value->span, "the include leaves out axis `%s`", c->name);
    dk_diag_help(in->planner->diags, diag, "an included point gives every axis of the grid");
    return false;
  }
  if (c->rows_of == DK_NULL || (dk_value_get(values, *ret)->type == DK_TYPE_STRING &&
                                dk_value_field(values, c->rows_of, dk_value_str(values, *ret), &ignored)))
    return true;
  dk_diag_add(in->planner->diags, DK_E0408, in->stmt->value->span, "axis `%s` takes the name of one of its rows",
              c->name);
  return false;
}

/* Whether the codes of the axes stand in the grid or among the includes so far. */
static bool is_there(struct include *in, const uint32_t *codes) {
  const struct dk_points *points = &in->build->grid.points;
  uint32_t n = points->n_columns;
  for (uint32_t k = 0; k < in->n; k++) {
    bool same = true;
    for (uint32_t i = 0; same && i < n; i++)
      same = !points->columns[i].is_axis || in->codes[(size_t)k * n + i] == codes[i];
    if (same) return true;
  }
  for (uint32_t i = 0; i < n; i++)
    if (points->columns[i].is_axis && codes[i] >= points->columns[i].card) return false;
  for (uint32_t row = 0; row < in->old_rows; row++) {
    bool same = true;
    for (uint32_t i = 0; same && i < n; i++)
      same = !points->columns[i].is_axis || dk_column_code(&points->columns[i], row) == codes[i];
    if (same) return true;
  }
  return false;
}

static bool add_point(struct include *in, dk_value_id record) {
  struct dk_planner *planner = in->planner;
  struct dk_grid *grid = &in->build->grid;
  uint32_t n = grid->points.n_columns;
  struct dk_point point;
  dk_point_init(&point, planner, &grid->points);
  uint32_t *codes = dk_arena_array(planner->arena, uint32_t, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    bool is_axis = grid->points.columns[i].is_axis;
    if (is_axis ? !axis_value(in, record, i, &point.values[i])
                : !dk_point_eval(&point, grid->derived[i], DK_NO_ROW, &point.values[i]))
      return false;
    dk_value_id value = point.values[i];
    codes[i] = dk_dict_add(&in->dicts[i], is_axis ? dk_value_identity(planner->values, value) : value, value, NULL);
  }
  if (is_there(in, codes)) {
    dk_grid_step(planner, grid, "include (already there)", 0, in->stmt->span);
    return true;
  }
  if (in->n == in->cap) {
    uint32_t cap = in->cap ? in->cap * 2 : 8;
    uint32_t *more = dk_arena_array(planner->arena, uint32_t, (size_t)cap * (n + 1));
    if (in->n) memcpy(more, in->codes, (size_t)in->n * n * sizeof *more);
    in->codes = more;
    in->cap = cap;
  }
  memcpy(in->codes + (size_t)in->n++ * n, codes, n * sizeof *codes);
  dk_grid_step(planner, grid, "include", 1, in->stmt->span);
  return true;
}

bool dk_includes_add(struct dk_grid_build *build, const struct dk_stmt *const *stmts, uint32_t n) {
  struct dk_points *points = &build->grid.points;
  struct include in = {.build = build, .planner = build->planner, .old_rows = points->rows};
  struct dk_points none = {0};
  open_dicts(&in);
  for (uint32_t i = 0; i < n; i++) {
    struct dk_point point;
    struct dk_expr_uses uses = {0};
    dk_value_id value;
    in.stmt = stmts[i];
    dk_expr_read(build->planner, in.stmt->value, &none, &uses);
    if (uses.has_error || uses.is_late) return false;
    dk_point_init(&point, build->planner, &none);
    if (!dk_point_eval(&point, in.stmt->value, DK_NO_ROW, &value) || !add_point(&in, value)) return false;
  }
  for (uint32_t i = 0; i < points->n_columns && in.n; i++) {
    struct dk_column *column = &points->columns[i];
    dk_column_extend(build->planner->arena, column, in.old_rows, in.n, in.dicts[i].count);
    column->card = in.dicts[i].count;
    column->values = in.dicts[i].values;
    for (uint32_t k = 0; k < in.n; k++)
      dk_code_put((void *)(uintptr_t)column->codes, column->width, in.old_rows + k,
                  in.codes[(size_t)k * points->n_columns + i]);
  }
  points->rows += in.n;
  return true;
}
