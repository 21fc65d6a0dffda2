/* Walking expressions: children of a node, and what an expression uses (dk_check_uses). */
#include "lang/check/internal.h"

static void visit_fields(const struct dk_fields *fields, dk_walk_fn *visit, void *ctx) {
  for (uint32_t i = 0; i < fields->count; i++)
    if (fields->items[i].value) visit(ctx, fields->items[i].value);
}

static void visit_one(struct dk_expr *expr, dk_walk_fn *visit, void *ctx) {
  if (expr) visit(ctx, expr);
}

void dk_walk_children(struct dk_expr *expr, dk_walk_fn *visit, void *ctx) {
  switch (expr->kind) {
  case DK_EXPR_ERROR:
  case DK_EXPR_NULL:
  case DK_EXPR_BOOL:
  case DK_EXPR_INT:
  case DK_EXPR_FLOAT:
  case DK_EXPR_QUANTITY:
  case DK_EXPR_NAME: return;
  case DK_EXPR_STRING:
    for (uint32_t i = 0; i < expr->string.n_parts; i++) visit_one(expr->string.parts[i].hole, visit, ctx);
    return;
  case DK_EXPR_LIST:
    for (uint32_t i = 0; i < expr->list.items.count; i++) visit_one(expr->list.items.items[i], visit, ctx);
    return;
  case DK_EXPR_RECORD: visit_fields(&expr->record.fields, visit, ctx); return;
  case DK_EXPR_MEMBER: visit_one(expr->member.of, visit, ctx); return;
  case DK_EXPR_INDEX:
    visit_one(expr->index.of, visit, ctx);
    visit_one(expr->index.index, visit, ctx);
    return;
  case DK_EXPR_SELECT:
    visit_one(expr->select.of, visit, ctx);
    visit_fields(&expr->select.selectors, visit, ctx);
    return;
  case DK_EXPR_CALL:
    visit_one(expr->call.callee, visit, ctx);
    visit_fields(&expr->call.args, visit, ctx);
    return;
  case DK_EXPR_UNARY: visit_one(expr->unary.operand, visit, ctx); return;
  case DK_EXPR_BINARY:
    visit_one(expr->binary.left, visit, ctx);
    visit_one(expr->binary.right, visit, ctx);
    return;
  case DK_EXPR_RANGE:
    visit_one(expr->range.first, visit, ctx);
    visit_one(expr->range.last, visit, ctx);
    visit_one(expr->range.step, visit, ctx);
    return;
  case DK_EXPR_IF:
    visit_one(expr->conditional.condition, visit, ctx);
    visit_one(expr->conditional.then, visit, ctx);
    visit_one(expr->conditional.otherwise, visit, ctx);
    return;
  case DK_EXPR_WITH:
    visit_one(expr->with.of, visit, ctx);
    visit_fields(&expr->with.fields, visit, ctx);
    return;
  case DK_EXPR_FOR:
    for (uint32_t i = 0; i < expr->comprehension.n_fors; i++) {
      visit_one(expr->comprehension.fors[i].in, visit, ctx);
      for (uint32_t j = 0; j < expr->comprehension.fors[i].ifs.count; j++)
        visit_one(expr->comprehension.fors[i].ifs.items[j], visit, ctx);
    }
    visit_one(expr->comprehension.value, visit, ctx);
    return;
  case DK_EXPR_WHERE:
    visit_one(expr->where.of, visit, ctx);
    visit_one(expr->where.predicate, visit, ctx);
    return;
  case DK_EXPR_REF: visit_fields(&expr->ref.selectors, visit, ctx); return;
  }
}

struct use {
  struct dk_arena *arena;
  struct dk_uses *uses;
};

static void add_name(struct dk_arena *arena, const struct dk_str ***list, uint32_t *n, uint32_t *cap,
                     const struct dk_str *name) {
  for (uint32_t i = 0; i < *n; i++)
    if ((*list)[i] == name) return;
  dk_arena_push(arena, *list, *n, *cap) = name;
}

static void use(void *ctx, struct dk_expr *expr) {
  struct use *u = ctx;
  struct dk_uses *uses = u->uses;
  if (expr->kind == DK_EXPR_NAME) {
    enum dk_binding_kind kind = expr->name.binding.kind;
    if (kind == DK_BIND_COLUMN)
      add_name(u->arena, &uses->columns, &uses->n_columns, &uses->cap_columns, expr->name.name);
    if (kind == DK_BIND_POINT) uses->whole_point = true;
    if (kind == DK_BIND_INPUTS) uses->all_inputs = true;
    return;
  }
  if (expr->kind == DK_EXPR_MEMBER && expr->member.of->kind == DK_EXPR_NAME &&
      expr->member.of->name.binding.kind == DK_BIND_INPUTS) {
    add_name(u->arena, &uses->inputs, &uses->n_inputs, &uses->cap_inputs, expr->member.name);
    return;
  }
  if (expr->kind == DK_EXPR_REF) dk_arena_push(u->arena, uses->refs, uses->n_refs, uses->cap_refs) = expr;
  dk_walk_children(expr, use, ctx);
}

void dk_check_uses(struct dk_arena *arena, const struct dk_expr *expr, struct dk_uses *uses) {
  struct use u = {arena, uses};
  use(&u, (struct dk_expr *)(uintptr_t)expr); /* the walk changes nothing */
}
