/* What an expression depends on: see planner.h. Walks the checked tree; evaluates nothing.
 *
 * Keeps true: an expression that was read uses only columns of the points it was read against. */
#include "lang/check/walk.h"
#include "lang/plan/planner.h"

#include <string.h>

uint32_t dk_points_find(const struct dk_points *points, const char *name) {
  for (uint32_t i = 0; i < points->n_columns; i++)
    if (points->columns[i].name == name) return i;
  const char *dot = strchr(name, '.');
  if (!dot) return UINT32_MAX;
  size_t len = (size_t)(dot - name);
  for (uint32_t i = 0; i < points->n_columns; i++)
    if (strlen(points->columns[i].name) == len && memcmp(points->columns[i].name, name, len) == 0) return i;
  return UINT32_MAX;
}

struct reading {
  struct dk_planner *planner;
  const struct dk_points *points;
  struct dk_expr_uses *uses;
};

static void use_column(struct reading *r, uint32_t index) {
  struct dk_expr_uses *uses = r->uses;
  uint32_t at = 0;
  while (at < uses->n_columns && uses->columns[at] < index) at++;
  if (at < uses->n_columns && uses->columns[at] == index) return;
  dk_arena_push(r->planner->arena, uses->columns, uses->n_columns, uses->cap_columns) = index;
  memmove(uses->columns + at + 1, uses->columns + at, (uses->n_columns - 1 - at) * sizeof *uses->columns);
  uses->columns[at] = index;
}

static void use_name(struct dk_arena *arena, struct dk_names *names, const struct dk_str *name) {
  for (uint32_t i = 0; i < names->count; i++)
    if (names->items[i] == name) return;
  dk_arena_push(arena, names->items, names->count, names->cap) = name;
}

static bool is_name(const struct dk_expr *expr, enum dk_binding_kind kind) {
  return expr->kind == DK_EXPR_NAME && expr->name.binding.kind == kind;
}

/* point.lr is lr; size.layers of an axis over rows is the name "size.layers". */
static void flatten_member(struct reading *r, struct dk_expr *expr) {
  struct dk_expr *of = expr->member.of;
  if (of->kind == DK_EXPR_MEMBER) flatten_member(r, of);
  const struct dk_str *name = expr->member.name;
  if (is_name(of, DK_BIND_POINT)) {
    if (dk_points_find(r->points, name->text) == UINT32_MAX)
      return; /* the evaluator says that there is no such field */
  } else if (is_name(of, DK_BIND_COLUMN)) {
    uint32_t index = dk_points_find(r->points, of->name.name->text);
    if (index == UINT32_MAX || r->points->columns[index].rows_of == DK_NULL || strchr(of->name.name->text, '.')) return;
    const char *text = dk_arena_printf(r->planner->arena, "%s.%s", of->name.name->text, name->text);
    name = dk_intern_text(r->planner->checked->strs, text);
  } else {
    return;
  }
  expr->kind = DK_EXPR_NAME;
  expr->name.name = name;
  expr->name.binding = (struct dk_binding){.kind = DK_BIND_COLUMN};
}

static void read_expr(void *ctx, struct dk_expr *expr);

static void read_name(struct reading *r, struct dk_expr *expr) {
  uint32_t index;
  switch (expr->name.binding.kind) {
  case DK_BIND_COLUMN:
    index = dk_points_find(r->points, expr->name.name->text);
    if (index != UINT32_MAX) use_column(r, index);
    return;
  case DK_BIND_POINT:
    for (uint32_t i = 0; i < r->points->n_columns; i++) use_column(r, i);
    return;
  case DK_BIND_INPUTS:
  case DK_BIND_OUTPUTS:
  case DK_BIND_KEEP: r->uses->is_late = true; return;
  default: return;
  }
}

static void read_expr(void *ctx, struct dk_expr *expr) {
  struct reading *r = ctx;
  struct dk_arena *arena = r->planner->arena;
  if (expr->kind == DK_EXPR_ERROR) r->uses->has_error = true;
  if (expr->kind == DK_EXPR_MEMBER) {
    flatten_member(r, expr);
    if (expr->kind == DK_EXPR_MEMBER && is_name(expr->member.of, DK_BIND_INPUTS))
      use_name(arena, &r->uses->inputs, expr->member.name);
    if (expr->kind == DK_EXPR_MEMBER && is_name(expr->member.of, DK_BIND_OUTPUTS))
      use_name(arena, &r->uses->outputs, expr->member.name);
  }
  if (expr->kind == DK_EXPR_NAME) read_name(r, expr);
  if (expr->kind == DK_EXPR_REF) {
    dk_arena_push(arena, r->uses->refs.items, r->uses->refs.count, r->uses->refs.cap) = expr;
    r->uses->is_late = true;
  }
  dk_walk_children(expr, read_expr, r);
}

void dk_expr_read(struct dk_planner *planner, struct dk_expr *expr, const struct dk_points *points,
                  struct dk_expr_uses *uses) {
  struct reading reading = {planner, points, uses};
  if (expr) read_expr(&reading, expr);
}
