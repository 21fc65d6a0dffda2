/* A grid's clauses, top to bottom: axes, derived columns, excludes; then includes, then requires. See grid.h. */
#include "lang/plan/grid.h"

#include <assert.h>
#include <string.h>

struct dk_column *dk_grid_add_column(struct dk_grid_build *build, const struct dk_str *name, struct dk_span span,
                                     bool is_axis, struct dk_expr *derived) {
  struct dk_arena *arena = build->planner->arena;
  struct dk_grid *grid = &build->grid;
  uint32_t at = grid->points.n_columns, line;
  const char *path = dk_span_path(build->planner, span, &line);
  dk_arena_push(arena, grid->points.columns, grid->points.n_columns, build->cap_columns) =
      (struct dk_column){.name = name->text, .is_axis = is_axis, .path = path, .line = line, .stride = 1};
  uint32_t n = at;
  dk_arena_push(arena, grid->derived, n, build->cap_derived) = derived;
  return &grid->points.columns[at];
}

void dk_grid_step(struct dk_planner *planner, struct dk_grid *grid, const char *text, int64_t change,
                  struct dk_span span) {
  uint32_t line;
  const char *path = dk_span_path(planner, span, &line);
  dk_arena_push(planner->arena, grid->steps, grid->n_steps, grid->cap_steps) =
      (struct dk_grid_step){.text = text, .change = change, .path = path, .line = line};
}

void dk_grid_too_large(struct dk_planner *planner, struct dk_span span, const char *what, double size,
                       const char *axes) {
  const char *points =
      size < 1e15 ? dk_arena_printf(planner->arena, "%.0f", size) : dk_arena_printf(planner->arena, "about %.2g", size);
  struct dk_diag *diag = dk_diag_add(planner->diags, DK_E0401, span, "%s has %s points; at most %u can be planned",
                                     what, points, DK_PLAN_MAX_ROWS);
  if (*axes) dk_diag_note(planner->diags, diag, "%s", axes);
  dk_diag_help(planner->diags, diag, "take fewer values, put an `exclude` above the axis, or `sample` a smaller grid");
}

/* The axes since the last step become one step: "c 11 x gamma 10", behind another "x gamma 10". */
static void flush_axes(struct dk_grid_build *build) {
  if (!build->axes) return;
  struct dk_grid *grid = &build->grid;
  uint32_t rows = grid->points.rows;
  const char *text = build->has_axes ? dk_arena_printf(build->planner->arena, "x %s", build->axes) : build->axes;
  dk_arena_push(build->planner->arena, grid->steps, grid->n_steps, grid->cap_steps) =
      (struct dk_grid_step){.text = text,
                            .change = (int64_t)rows - (build->has_axes ? build->rows_before : 0),
                            .path = build->axes_path,
                            .line = build->axes_line};
  build->axes = NULL;
  build->has_axes = true;
}

void dk_grid_keep(struct dk_planner *planner, struct dk_points *points, const uint8_t *keep, uint32_t kept) {
  if (kept == points->rows) return;
  for (uint32_t i = 0; i < points->n_columns; i++)
    dk_column_filter(planner->arena, &points->columns[i], points->rows, keep, kept);
  points->rows = kept;
}

static bool is_silent(struct dk_planner *planner, struct dk_expr *expr, const struct dk_points *points) {
  struct dk_expr_uses uses = {0};
  dk_expr_read(planner, expr, points, &uses);
  return uses.has_error || uses.is_late;
}

static bool add_exclude(struct dk_grid_build *build, const struct dk_stmt *stmt) {
  struct dk_planner *planner = build->planner;
  struct dk_points *points = &build->grid.points;
  if (is_silent(planner, stmt->value, points)) return false;
  uint8_t *keep = dk_planner_keep(planner, points->rows);
  uint32_t hit = 0, rows = points->rows;
  if (!dk_predicate_run(planner, stmt->value, points, "`exclude`", NULL, keep, &hit)) return false;
  for (uint32_t i = 0; i < rows; i++) keep[i] ^= 1;
  dk_grid_keep(planner, points, keep, rows - hit);
  dk_grid_step(planner, &build->grid, "exclude", -(int64_t)hit, stmt->span);
  return true;
}

/* Digit-shaped like the one column it is a function of, if that is one to one. */
static bool derive_alike(struct dk_grid_build *build, const struct dk_stmt *stmt, struct dk_tab *tab, bool *ret_done) {
  struct dk_points *points = &build->grid.points;
  *ret_done = false;
  if (tab->uses.n_columns != 1) return true;
  const struct dk_column *like = &points->columns[tab->uses.columns[0]];
  if (like->width != 0 || (uint64_t)like->stride * like->card > points->rows) return true;
  struct dk_dict dict;
  dk_dict_init(&dict, build->planner->arena);
  for (uint32_t code = 0; code < like->card; code++) {
    dk_value_id value;
    if (!dk_tab_value(tab, code * like->stride, &value)) return false;
    dk_dict_add(&dict, value, value, NULL);
  }
  if (dict.count != like->card) return true;
  uint32_t stride = like->stride;
  struct dk_column *column = dk_grid_add_column(build, stmt->name, stmt->name_span, false, stmt->value);
  column->card = dict.count;
  column->stride = stride;
  column->values = dict.values;
  *ret_done = true;
  return true;
}

static bool add_derived(struct dk_grid_build *build, const struct dk_stmt *stmt) {
  struct dk_planner *planner = build->planner;
  struct dk_points *points = &build->grid.points;
  struct dk_tab tab;
  dk_tab_init(&tab, planner, stmt->value, points);
  if (tab.uses.has_error || tab.uses.is_late) return false;
  bool is_done;
  if (!derive_alike(build, stmt, &tab, &is_done)) return false;
  if (is_done) return true;
  struct dk_dict dict;
  dk_dict_init(&dict, planner->arena);
  uint32_t *codes = dk_arena_array(planner->arena, uint32_t, points->rows), rows = points->rows, code = 0;
  dk_value_id last = DK_TAB_EMPTY, value;
  for (uint32_t row = 0; row < rows; row++) {
    if (!dk_tab_value(&tab, row, &value)) return false;
    if (value != last) code = dk_dict_add(&dict, value, value, NULL);
    last = value;
    codes[row] = code;
  }
  struct dk_column *column = dk_grid_add_column(build, stmt->name, stmt->name_span, false, stmt->value);
  column->card = dict.count;
  column->values = dict.values;
  if (dict.count == 1) return true; /* width 0: the one digit */
  column->width = dk_column_width(dict.count);
  void *narrow = dk_codes_new(planner->arena, column->width, rows);
  for (uint32_t row = 0; row < rows; row++) dk_code_put(narrow, column->width, row, codes[row]);
  column->codes = narrow;
  return true;
}

/* What the message says at the row, or the stock sentence. */
static const char *require_text(struct dk_grid_build *build, const struct dk_stmt *stmt, uint32_t row) {
  struct dk_planner *planner = build->planner;
  struct dk_tab tab;
  dk_value_id value;
  const char *stock = "a requirement does not hold";
  if (!stmt->message) return stock;
  dk_tab_init(&tab, planner, stmt->message, &build->grid.points);
  if (tab.uses.has_error || tab.uses.is_late || !dk_tab_value(&tab, row, &value)) return stock;
  (void)dk_value_hole_text(planner->values, value, dk_planner_text(planner));
  const char *text = dk_planner_keep_text(planner);
  return *text ? text : stock;
}

static bool check_require(struct dk_grid_build *build, const struct dk_stmt *stmt) {
  struct dk_planner *planner = build->planner;
  struct dk_points *points = &build->grid.points;
  if (is_silent(planner, stmt->value, points)) return false;
  uint8_t *keep = dk_planner_keep(planner, points->rows);
  uint32_t kept = 0;
  if (!dk_predicate_run(planner, stmt->value, points, "`require`", NULL, keep, &kept)) return false;
  if (kept == points->rows) return true;
  const uint8_t *first = memchr(keep, 0, points->rows);
  uint32_t row = (uint32_t)(first - keep), failed = points->rows - kept;
  struct dk_diag *diag = dk_diag_add(planner->diags, DK_E0407, stmt->value->span, "%s", require_text(build, stmt, row));
  dk_point_note(planner, diag, points, row);
  if (failed > 1) dk_diag_note(planner->diags, diag, "%u of %u points fail", failed, points->rows);
  dk_diag_help(planner->diags, diag, "mend the axes, or `exclude` such points");
  return false;
}

static bool run_clauses(struct dk_grid_build *build, const struct dk_block *block) {
  for (uint32_t i = 0; i < block->count; i++) {
    const struct dk_stmt *stmt = &block->items[i];
    if (stmt->kind != DK_STMT_AXIS && stmt->kind != DK_STMT_FIELD) flush_axes(build);
    if (!build->axes) build->rows_before = build->grid.points.rows;
    bool ok = true;
    switch (stmt->kind) {
    case DK_STMT_AXIS: ok = !stmt->is_vary && stmt->value && dk_axis_add(build, stmt); break;
    case DK_STMT_FIELD: ok = stmt->value && add_derived(build, stmt); break;
    case DK_STMT_EXCLUDE: ok = stmt->value && add_exclude(build, stmt); break;
    case DK_STMT_INCLUDE:
    case DK_STMT_REQUIRE: break;
    case DK_STMT_BLOCK:
    case DK_STMT_DRAW_AXIS: ok = false; break; /* draws, base: check has said that they are not built */
    }
    if (!ok) return false;
  }
  flush_axes(build);
  return true;
}

static bool run_includes(struct dk_grid_build *build, const struct dk_block *block) {
  const struct dk_stmt **stmts = dk_arena_array(build->planner->arena, const struct dk_stmt *, block->count + 1);
  uint32_t n = 0;
  for (uint32_t i = 0; i < block->count; i++)
    if (block->items[i].kind == DK_STMT_INCLUDE && block->items[i].value) stmts[n++] = &block->items[i];
  return n == 0 || dk_includes_add(build, stmts, n);
}

static bool run_requires(struct dk_grid_build *build, const struct dk_block *block) {
  bool ok = true;
  for (uint32_t i = 0; i < block->count; i++)
    if (block->items[i].kind == DK_STMT_REQUIRE && block->items[i].value) ok &= check_require(build, &block->items[i]);
  return ok;
}

/* The columns of the grid that this one stands over come first. */
static bool start_over(struct dk_grid_build *build) {
  struct dk_grid base;
  if (!dk_grid_of(build->planner, build->decl->over, &base)) return false;
  struct dk_grid *grid = &build->grid;
  for (uint32_t i = 0; i < base.points.n_columns; i++) {
    uint32_t n = i;
    dk_arena_push(build->planner->arena, grid->points.columns, grid->points.n_columns, build->cap_columns) =
        base.points.columns[i];
    dk_arena_push(build->planner->arena, grid->derived, n, build->cap_derived) = base.derived[i];
  }
  grid->points.rows = base.points.rows;
  build->axes = dk_arena_printf(build->planner->arena, "%s %u", dk_expr_source(build->planner, build->decl->over),
                                base.points.rows);
  build->axes_path = dk_span_path(build->planner, build->decl->over->span, &build->axes_line);
  return true;
}

static bool expand_block(struct dk_planner *planner, const struct dk_decl *decl, struct dk_grid *ret) {
  struct dk_grid_build build = {.planner = planner, .decl = decl};
  build.grid.points.rows = 1;
  bool ok = (!decl->over || start_over(&build)) && run_clauses(&build, decl->block) &&
            run_includes(&build, decl->block) && run_requires(&build, decl->block);
  *ret = build.grid;
  if (ok && ret->points.n_columns == 0) return false; /* check has said that a grid wants axes */
  return ok;
}

static bool expand(struct dk_planner *planner, uint32_t index) {
  const struct dk_decl *decl = planner->checked->grids[index]->decl;
  struct dk_grid *grid = dk_arena_new(planner->arena, struct dk_grid);
  bool ok = decl->block ? expand_block(planner, decl, grid) : decl->value && dk_grid_of(planner, decl->value, grid);
  if (!ok) return false;
  if (grid->points.rows == 0) {
    struct dk_diag *diag =
        dk_diag_add(planner->diags, DK_W0414, decl->name_span, "grid `%s` has no points left", decl->name->text);
    dk_diag_help(planner->diags, diag, "its `exclude` clauses, its `where` or a sample of none take every point away");
  }
  planner->grids[index] = grid;
  return true;
}

void dk_grids_expand(struct dk_planner *planner) {
  uint32_t n = planner->checked->n_grids;
  planner->grids = dk_arena_array(planner->arena, struct dk_grid *, n + 1);
  for (uint32_t i = 0; i < n; i++) (void)expand(planner, i);
}
