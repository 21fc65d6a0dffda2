/* Axes of a grid: independent, linked, dependent, over rows. See grid.h.
 *
 * An axis is a list of values per combination of the columns that its expression uses. Values become codes of one
 * dictionary per column; the grid's rows are spread over the lists. */
#include "lang/plan/grid.h"

#include <assert.h>

struct axis {
  struct dk_grid_build *build;
  struct dk_planner *planner;
  const struct dk_stmt *stmt;
  struct dk_dict *dicts; /* one per name, by identity */
  dk_value_id rows_of;
  struct dk_dict lists;      /* list value -> number of its codes */
  uint32_t **codes, *counts; /* by that number: counts[i] tuples of n_names codes */
  uint32_t n_codes, cap_codes, n_counts, cap_counts;
};

static struct dk_diag *axis_error(struct axis *axis, enum dk_code code, uint32_t row, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static struct dk_diag *axis_error(struct axis *axis, enum dk_code code, uint32_t row, const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  const char *text = dk_arena_vprintf(axis->planner->arena, format, ap);
  va_end(ap);
  struct dk_diag *diag = dk_diag_add(axis->planner->diags, code, axis->stmt->value->span, "%s", text);
  if (row != DK_NO_ROW) dk_point_note(axis->planner, diag, &axis->build->grid.points, row);
  return diag;
}

/* A record of records as the list of its names. */
static bool take_rows(struct axis *axis, dk_value_id record, uint32_t row, dk_value_id *ret_list) {
  struct dk_values *values = axis->planner->values;
  uint32_t n = dk_value_get(values, record)->len;
  if (axis->stmt->n_names != 1 || (axis->rows_of != DK_NULL && axis->rows_of != record)) {
    axis_error(axis, DK_E0404, row,
               axis->stmt->n_names != 1 ? "linked axes want a list of tuples, not a record of rows"
                                        : "an axis takes its rows from one record at every point");
    return false;
  }
  dk_value_id *names = dk_arena_array(axis->planner->arena, dk_value_id, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    if (dk_value_get(values, dk_value_item(values, record, i))->type != DK_TYPE_RECORD) {
      axis_error(axis, DK_E0404, row, "an axis takes a list, or a record whose fields are records; `%s` is none",
                 dk_value_name(values, record, i)->text);
      return false;
    }
    names[i] = dk_value_string(values, dk_value_name(values, record, i));
  }
  axis->rows_of = record;
  *ret_list = dk_value_list(values, names, n);
  return true;
}

static bool tuple_codes(struct axis *axis, dk_value_id item, uint32_t row, uint32_t *codes) {
  struct dk_values *values = axis->planner->values;
  uint32_t n_names = axis->stmt->n_names;
  if (n_names == 1) {
    codes[0] = dk_dict_add(&axis->dicts[0], dk_value_identity(values, item), item, NULL);
    return true;
  }
  const struct dk_value *v = dk_value_get(values, item);
  if (v->type != DK_TYPE_LIST || v->len != n_names) {
    struct dk_diag *diag = axis_error(axis, DK_E0405, row, "%u linked axes want tuples of %u values, not %s", n_names,
                                      n_names, dk_planner_show(axis->planner, item));
    dk_diag_help(axis->planner->diags, diag, "write them as `width, depth in [(64, 2), (128, 4)]`");
    return false;
  }
  for (uint32_t i = 0; i < n_names; i++) {
    dk_value_id value = dk_value_item(values, item, i);
    codes[i] = dk_dict_add(&axis->dicts[i], dk_value_identity(values, value), value, NULL);
  }
  return true;
}

/* Codes of a list that was not met before. */
static bool take_list(struct axis *axis, dk_value_id list, uint32_t row) {
  struct dk_planner *planner = axis->planner;
  uint32_t n = dk_value_get(planner->values, list)->len, n_names = axis->stmt->n_names;
  if (n == 0) {
    struct dk_diag *diag = axis_error(axis, DK_E0403, row, "axis `%s` has no value%s", axis->stmt->names[0]->text,
                                      row == DK_NO_ROW ? "" : " at a point");
    if (row != DK_NO_ROW)
      dk_diag_help(planner->diags, diag, "give it at least one value there, or `exclude` the points above it");
    return false;
  }
  uint32_t *codes = dk_arena_array(planner->arena, uint32_t, (size_t)n * n_names);
  struct dk_dict own, *seen = &own;
  dk_dict_init(&own, planner->arena);
  /* The axis' own dictionary tells of its first list what is there twice. */
  bool is_first = n_names == 1 && axis->n_counts == 0;
  if (is_first) seen = &axis->dicts[0];
  for (uint32_t i = 0; i < n; i++) {
    dk_value_id item = dk_value_item(planner->values, list, i);
    bool is_new;
    uint32_t code = dk_dict_add(seen, dk_value_identity(planner->values, item), item, &is_new);
    if (!is_new) {
      struct dk_diag *diag = axis_error(axis, DK_E0402, row, "axis `%s` has the value %s twice",
                                        axis->stmt->names[0]->text, dk_planner_show(axis->planner, item));
      dk_diag_help(planner->diags, diag, "take one away; for repetitions add an axis, as in `repeat in 1..3`");
      return false;
    }
    if (is_first)
      codes[i] = code;
    else if (!tuple_codes(axis, item, row, codes + (size_t)i * n_names))
      return false;
  }
  dk_arena_push(planner->arena, axis->codes, axis->n_codes, axis->cap_codes) = codes;
  dk_arena_push(planner->arena, axis->counts, axis->n_counts, axis->cap_counts) = n;
  return true;
}

/* Number of the value's list of codes. */
static bool list_of(struct axis *axis, dk_value_id value, uint32_t row, uint32_t *ret) {
  struct dk_values *values = axis->planner->values;
  uint32_t found = dk_dict_find(&axis->lists, value);
  if (found != DK_MAP_NONE) {
    *ret = found;
    return true;
  }
  enum dk_type type = (enum dk_type)dk_value_get(values, value)->type;
  dk_value_id list = value;
  if (type == DK_TYPE_RECORD) {
    if (!take_rows(axis, value, row, &list)) return false;
  } else if (type != DK_TYPE_LIST) {
    struct dk_diag *diag =
        axis_error(axis, DK_E0404, row, "an axis wants a list of values, not %s", dk_type_name(type));
    dk_diag_help(axis->planner->diags, diag,
                 "one value is a list too: `[%s]`; a value that follows from others is `%s = ...`",
                 dk_planner_show(axis->planner, value), axis->stmt->names[0]->text);
    return false;
  }
  if (!take_list(axis, list, row)) return false;
  *ret = dk_dict_add(&axis->lists, value, value, NULL);
  return true;
}

static void note_axes(struct dk_grid_build *build, const struct dk_stmt *stmt, const char *count) {
  struct dk_arena *arena = build->planner->arena;
  if (!build->axes) build->axes_path = dk_span_path(build->planner, stmt->span, &build->axes_line);
  build->axes = build->axes ? dk_arena_printf(arena, "%s x ", build->axes) : "";
  for (uint32_t i = 0; i < stmt->n_names; i++)
    build->axes = dk_arena_printf(arena, "%s%s%s", build->axes, i ? ", " : "", stmt->names[i]->text);
  build->axes = dk_arena_printf(arena, "%s %s", build->axes, count);
}

/* No name of a column in it: such a range has one size at every point, also of axes that are not there yet. */
static bool is_constant(const struct dk_expr *expr) {
  switch (expr->kind) {
  case DK_EXPR_INT:
  case DK_EXPR_FLOAT:
  case DK_EXPR_QUANTITY: return true;
  case DK_EXPR_NAME: return expr->name.binding.kind == DK_BIND_DECL;
  case DK_EXPR_UNARY: return is_constant(expr->unary.operand);
  case DK_EXPR_BINARY: return is_constant(expr->binary.left) && is_constant(expr->binary.right);
  case DK_EXPR_RANGE:
    return is_constant(expr->range.first) && is_constant(expr->range.last) &&
           (!expr->range.step || is_constant(expr->range.step));
  default: return false;
  }
}

/* An axis over a constant range: its values are counted, not made. False for any other, and for one that is wrong or
 * too long by itself: then it is for the evaluator to say so. */
static bool count_axis(struct dk_planner *planner, const struct dk_stmt *stmt, uint32_t *ret) {
  int64_t n;
  if (stmt->kind != DK_STMT_AXIS || stmt->is_vary || stmt->n_names != 1 || !stmt->value) return false;
  if (stmt->value->kind != DK_EXPR_RANGE || !is_constant(stmt->value)) return false;
  if (!dk_eval_range_count(planner->eval, stmt->value, NULL, &n) || n > DK_PLAN_MAX_ROWS) return false;
  *ret = (uint32_t)n;
  return true;
}

/* The size of the whole grid as far as it can be known: axes below that depend on no column are counted too. */
static bool refuse_size(struct axis *axis, double size) {
  struct dk_grid_build *build = axis->build;
  const struct dk_block *block = build->decl->block;
  bool is_below = false;
  for (uint32_t i = 0; block && i < block->count; i++) {
    const struct dk_stmt *stmt = &block->items[i];
    if (is_below && stmt->kind == DK_STMT_AXIS) {
      uint32_t n;
      if (!count_axis(build->planner, stmt, &n)) {
        struct dk_tab tab;
        dk_value_id list;
        dk_tab_init(&tab, build->planner, stmt->value, &build->grid.points);
        if (tab.uses.n_columns || tab.uses.is_late || tab.uses.has_error) continue;
        if (!dk_point_eval(&tab.point, stmt->value, DK_NO_ROW, &list)) return false;
        n = dk_value_get(build->planner->values, list)->len;
      }
      size *= n;
      note_axes(build, stmt, dk_arena_printf(build->planner->arena, "%u", n));
    }
    if (stmt == axis->stmt) is_below = true;
  }
  const char *what = dk_arena_printf(build->planner->arena, "grid `%s`", build->decl->name->text);
  dk_grid_too_large(build->planner, axis->stmt->span, what, size, build->axes ? build->axes : "");
  return false;
}

/* Ranges from this axis on, up to the next clause that takes points away, are multiplied before the first of them is
 * made: a grid of a million times a million points is refused at once. False: refused. */
static bool fits(struct axis *axis) {
  struct dk_grid_build *build = axis->build;
  const struct dk_block *block = build->decl->block;
  double size = build->grid.points.rows;
  uint32_t n, first = 0;
  while (first < block->count && &block->items[first] != axis->stmt) first++;
  for (uint32_t i = first; i < block->count && block->items[i].kind != DK_STMT_EXCLUDE; i++) {
    if (!count_axis(build->planner, &block->items[i], &n)) {
      if (block->items[i].kind == DK_STMT_AXIS) return true; /* made first, and asked again at the next */
      continue;
    }
    size *= n;
    if (size <= DK_PLAN_MAX_ROWS) continue;
    for (uint32_t k = first; k <= i; k++)
      if (count_axis(build->planner, &block->items[k], &n))
        note_axes(build, &block->items[k], dk_arena_printf(build->planner->arena, "%u", n));
    axis->stmt = &block->items[i];
    return refuse_size(axis, size);
  }
  return true;
}

static void new_column(struct axis *axis, uint32_t name, uint8_t width, uint32_t card, const void *codes) {
  struct dk_column *column =
      dk_grid_add_column(axis->build, axis->stmt->names[name], axis->stmt->name_spans[name], true, NULL);
  column->width = width;
  column->card = card;
  column->stride = 1;
  column->values = axis->dicts[name].values;
  column->codes = codes;
  column->rows_of = axis->rows_of;
}

/* The same list at every point: the rows are repeated, the column is a digit (if its values are distinct). */
static bool add_independent(struct axis *axis, struct dk_tab *tab) {
  struct dk_grid_build *build = axis->build;
  struct dk_points *points = &build->grid.points;
  dk_value_id value;
  uint32_t list;
  if (!dk_point_eval(&tab->point, axis->stmt->value, DK_NO_ROW, &value)) return false;
  if (!list_of(axis, value, DK_NO_ROW, &list)) return false;
  uint32_t n = axis->counts[list], rows = points->rows, n_names = axis->stmt->n_names;
  note_axes(build, axis->stmt, dk_arena_printf(axis->planner->arena, "%u", n));
  if ((uint64_t)rows * n > DK_PLAN_MAX_ROWS) return refuse_size(axis, (double)rows * n);
  for (uint32_t i = 0; i < points->n_columns; i++)
    dk_column_stretch(axis->planner->arena, &points->columns[i], rows, n);
  points->rows = rows * n;
  for (uint32_t k = 0; k < n_names; k++) {
    uint32_t card = axis->dicts[k].count;
    if (card == n) {
      new_column(axis, k, 0, card, NULL);
      continue;
    }
    uint8_t width = dk_column_width(card);
    void *codes = dk_codes_new(axis->planner->arena, width, points->rows);
    for (uint32_t row = 0, at = 0; row < rows; row++)
      for (uint32_t i = 0; i < n; i++) dk_code_put(codes, width, at++, axis->codes[list][i * n_names + k]);
    new_column(axis, k, width, card, codes);
  }
  return true;
}

static const char *range_text(struct axis *axis) {
  if (axis->n_counts == 0) return "0";
  uint32_t low = UINT32_MAX, high = 0;
  for (uint32_t i = 0; i < axis->n_counts; i++) {
    if (axis->counts[i] < low) low = axis->counts[i];
    if (axis->counts[i] > high) high = axis->counts[i];
  }
  return low == high ? dk_arena_printf(axis->planner->arena, "%u", low)
                     : dk_arena_printf(axis->planner->arena, "%u to %u", low, high);
}

/* Another list per combination of columns above: rows are spread. */
static bool add_dependent(struct axis *axis, struct dk_tab *tab) {
  struct dk_grid_build *build = axis->build;
  struct dk_points *points = &build->grid.points;
  struct dk_arena *arena = axis->planner->arena;
  uint32_t rows = points->rows, n_names = axis->stmt->n_names, list = 0;
  uint32_t *lists = dk_arena_array(arena, uint32_t, rows), *counts = dk_arena_array(arena, uint32_t, rows);
  uint64_t total = 0;
  for (uint32_t row = 0; row < rows; row++) {
    dk_value_id value;
    if (!dk_tab_value(tab, row, &value) || !list_of(axis, value, row, &list)) return false;
    lists[row] = list;
    counts[row] = axis->counts[list];
    total += counts[row];
  }
  note_axes(build, axis->stmt, range_text(axis));
  if (total > DK_PLAN_MAX_ROWS) return refuse_size(axis, (double)total);
  for (uint32_t i = 0; i < points->n_columns; i++)
    dk_column_spread(arena, &points->columns[i], rows, counts, (uint32_t)total);
  for (uint32_t k = 0; k < n_names; k++) {
    uint8_t width = dk_column_width(axis->dicts[k].count);
    void *codes = dk_codes_new(arena, width, (uint32_t)total);
    for (uint32_t row = 0, at = 0; row < rows; row++)
      for (uint32_t i = 0; i < counts[row]; i++)
        dk_code_put(codes, width, at++, axis->codes[lists[row]][i * n_names + k]);
    new_column(axis, k, width, axis->dicts[k].count, codes);
  }
  points->rows = (uint32_t)total;
  return true;
}

bool dk_axis_add(struct dk_grid_build *build, const struct dk_stmt *stmt) {
  struct dk_planner *planner = build->planner;
  struct axis axis = {.build = build, .planner = planner, .stmt = stmt};
  axis.dicts = dk_arena_array(planner->arena, struct dk_dict, stmt->n_names);
  for (uint32_t i = 0; i < stmt->n_names; i++) dk_dict_init(&axis.dicts[i], planner->arena);
  dk_dict_init(&axis.lists, planner->arena);
  struct dk_tab tab;
  dk_tab_init(&tab, planner, stmt->value, &build->grid.points);
  if (tab.uses.has_error || tab.uses.is_late) return false; /* check has said so */
  if (!fits(&axis)) return false;
  return tab.uses.n_columns ? add_dependent(&axis, &tab) : add_independent(&axis, &tab);
}
