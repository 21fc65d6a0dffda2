/* Cells: one value per row without a value per row in memory: see planner.h. */
#include "lang/plan/planner.h"

#include <string.h>

static bool is_plain_column(const struct dk_expr *expr) {
  return expr->kind == DK_EXPR_NAME && expr->name.binding.kind == DK_BIND_COLUMN && !strchr(expr->name.name->text, '.');
}

static void take_column(struct dk_cell *cell, const struct dk_column *like) {
  cell->kind = DK_CELL_COLUMN;
  cell->column = *like;
  cell->column.name = NULL;
  cell->column.rows_of = DK_NULL;
}

/* All codes of a digit column occur: evaluated by code, in order. */
static bool cell_of_digit(struct dk_tab *tab, const struct dk_column *like, dk_value_id *values) {
  for (uint32_t code = 0; code < like->card; code++)
    if (!dk_tab_value(tab, code * like->stride, &values[code])) return false;
  return true;
}

/* A function of one column has that column's codes. */
static bool cell_of_one(struct dk_planner *planner, struct dk_tab *tab, const struct dk_points *points,
                        struct dk_cell *ret) {
  const struct dk_column *like = &points->columns[tab->uses.columns[0]];
  dk_value_id *values = dk_arena_array(planner->arena, dk_value_id, like->card + 1);
  take_column(ret, like);
  ret->column.values = values;
  if (like->width == 0 && (uint64_t)like->stride * like->card <= points->rows) return cell_of_digit(tab, like, values);
  uint8_t *seen = dk_arena_array(planner->arena, uint8_t, like->card + 1);
  uint32_t codes[DK_BLOCK];
  for (uint32_t first = 0; first < points->rows; first += DK_BLOCK) {
    uint32_t n = points->rows - first < DK_BLOCK ? points->rows - first : DK_BLOCK;
    dk_column_codes(like, first, n, codes);
    for (uint32_t i = 0; i < n; i++) {
      if (seen[codes[i]]) continue;
      seen[codes[i]] = 1;
      if (!dk_tab_value(tab, first + i, &values[codes[i]])) return false;
    }
  }
  return true;
}

static bool cell_of_many(struct dk_planner *planner, struct dk_tab *tab, const struct dk_points *points,
                         const uint8_t *active, struct dk_cell *ret) {
  struct dk_dict dict;
  dk_dict_init(&dict, planner->arena);
  uint32_t *codes = dk_arena_array(planner->arena, uint32_t, points->rows);
  dk_value_id value, last = DK_NULL;
  uint32_t last_code = dk_dict_add(&dict, DK_NULL, DK_NULL, NULL); /* neighbours are often equal */
  for (uint32_t row = 0; row < points->rows; row++) {
    value = DK_NULL;
    if ((!active || active[row]) && !dk_tab_value(tab, row, &value)) return false;
    if (value != last) last_code = dk_dict_add(&dict, value, value, NULL);
    last = value;
    codes[row] = last_code;
  }
  *ret = (struct dk_cell){.kind = DK_CELL_COLUMN};
  ret->column = (struct dk_column){.width = 4, .card = dict.count, .stride = 1, .values = dict.values, .codes = codes};
  uint8_t width = dk_column_width(dict.count);
  if (width == 4) return true;
  void *narrow = dk_codes_new(planner->arena, width, points->rows);
  for (uint32_t row = 0; row < points->rows; row++) dk_code_put(narrow, width, row, codes[row]);
  ret->column.width = width;
  ret->column.codes = narrow;
  return true;
}

static uint32_t first_active(const uint8_t *active, uint32_t rows) {
  if (!active) return rows ? 0 : DK_NO_ROW;
  for (uint32_t row = 0; row < rows; row++)
    if (active[row]) return row;
  return DK_NO_ROW;
}

static bool all_active(const uint8_t *active, uint32_t rows) {
  return !active || !memchr(active, 0, rows);
}

bool dk_cell_make(struct dk_planner *planner, struct dk_expr *expr, const struct dk_points *points,
                  const uint8_t *active, struct dk_expr_uses *uses, struct dk_cell *ret) {
  *ret = (struct dk_cell){.kind = DK_CELL_NONE};
  if (!expr) return true;
  struct dk_tab tab;
  dk_tab_init(&tab, planner, expr, points);
  if (uses) *uses = tab.uses;
  if (tab.uses.has_error) return false;
  if (tab.uses.is_late) {
    *ret = (struct dk_cell){.kind = DK_CELL_LATE, .expr = expr, .text = dk_expr_source(planner, expr)};
    return true;
  }
  if (tab.uses.n_columns == 0 && all_active(active, points->rows)) {
    ret->kind = DK_CELL_CONST;
    return dk_point_eval(&tab.point, expr, DK_NO_ROW, &ret->value);
  }
  if (first_active(active, points->rows) == DK_NO_ROW) return true; /* nobody asks */
  if (!all_active(active, points->rows)) return cell_of_many(planner, &tab, points, active, ret);
  if (is_plain_column(expr)) {
    take_column(ret, &points->columns[tab.uses.columns[0]]);
    return true;
  }
  if (tab.uses.n_columns == 1) return cell_of_one(planner, &tab, points, ret);
  return cell_of_many(planner, &tab, points, NULL, ret);
}

dk_value_id dk_cell_value(const struct dk_cell *cell, uint32_t row) {
  if (cell->kind == DK_CELL_CONST) return cell->value;
  return cell->kind == DK_CELL_COLUMN ? dk_column_value(&cell->column, row) : DK_NULL;
}

dk_value_id dk_plan_need(const struct dk_plan *plan, const struct dk_template *tmpl, uint32_t row, const char *name) {
  const struct dk_values *values = plan->values;
  dk_value_id needs = dk_cell_value(&tmpl->needs, row);
  const struct dk_value *v = dk_value_get(values, needs);
  for (uint32_t i = 0; v->type == DK_TYPE_RECORD && i < v->len; i++)
    if (strcmp(dk_value_name(values, needs, i)->text, name) == 0) return dk_value_item(values, needs, i);
  return DK_NULL;
}

uint64_t dk_plan_memory(const struct dk_plan *plan, uint32_t task, uint32_t ooms) {
  uint32_t row;
  const struct dk_template *tmpl = dk_plan_template(plan, task, &row);
  const struct dk_value *v = dk_value_get(plan->values, dk_plan_need(plan, tmpl, row, "memory"));
  if (v->type != DK_TYPE_SIZE || v->u.i <= 0) return 0;
  double memory = (double)v->u.i, factor = (double)plan->graph.nodes[tmpl->node].retry.grow / DK_GROW_NONE;
  for (uint32_t i = 0; i < ooms && memory < (double)INT64_MAX; i++) memory *= factor;
  if (ooms == 0) return (uint64_t)v->u.i;
  return memory < (double)INT64_MAX ? (uint64_t)memory : INT64_MAX;
}

bool dk_cell_each(struct dk_planner *planner, const struct dk_cell *cell, uint32_t rows, const uint8_t *active,
                  dk_cell_visit_fn *visit, void *ctx) {
  if (cell->kind == DK_CELL_CONST) return visit(ctx, cell->value, DK_NO_ROW);
  if (cell->kind != DK_CELL_COLUMN) return true;
  const struct dk_column *column = &cell->column;
  if (!active && column->width == 0 && (uint64_t)column->stride * column->card <= rows) {
    for (uint32_t code = 0; code < column->card; code++)
      if (!visit(ctx, column->values[code], code * column->stride)) return false;
    return true;
  }
  uint8_t *seen = dk_arena_array(planner->arena, uint8_t, column->card + 1);
  uint32_t codes[DK_BLOCK];
  for (uint32_t first = 0; first < rows; first += DK_BLOCK) {
    uint32_t n = rows - first < DK_BLOCK ? rows - first : DK_BLOCK;
    dk_column_codes(column, first, n, codes);
    for (uint32_t i = 0; i < n; i++) {
      if (seen[codes[i]] || (active && !active[first + i])) continue;
      seen[codes[i]] = 1;
      if (!visit(ctx, column->values[codes[i]], first + i)) return false;
    }
  }
  return true;
}

void dk_cell_replace(struct dk_planner *planner, struct dk_cell *cell, dk_cell_map_fn *map, void *ctx) {
  if (cell->kind == DK_CELL_CONST) cell->value = map(ctx, cell->value);
  if (cell->kind != DK_CELL_COLUMN) return;
  dk_value_id *values = dk_arena_array(planner->arena, dk_value_id, cell->column.card + 1);
  for (uint32_t i = 0; i < cell->column.card; i++) values[i] = map(ctx, cell->column.values[i]);
  cell->column.values = values;
}
