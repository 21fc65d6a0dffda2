/* References in a body become edges: which branch each stands in, one edge for equal ones. See template.h. */
#include "lang/plan/template.h"

#include "lang/check/walk.h"

#include <string.h>

struct dk_cond *dk_cond_new(struct dk_template_build *build, struct dk_expr *expr, enum dk_cond_wants wants,
                            struct dk_cond *up) {
  struct dk_cond *cond = dk_arena_new(build->planner->arena, struct dk_cond);
  *cond = (struct dk_cond){.expr = expr, .wants = wants, .up = up};
  return cond;
}

bool dk_expr_is_late(struct dk_template_build *build, struct dk_expr *expr) {
  struct dk_expr_uses uses = {0};
  dk_expr_read(build->planner, expr, &build->tmpl->points, &uses);
  return uses.is_late;
}

static bool null_flags(struct dk_template_build *build, struct dk_cond *cond, const uint8_t *want) {
  struct dk_cell cell;
  const struct dk_points *points = &build->tmpl->points;
  if (!dk_cell_make(build->planner, cond->expr, points, want, NULL, &cell)) return false;
  for (uint32_t row = 0; row < points->rows; row++)
    cond->flags[row] = (!want || want[row]) && dk_cell_value(&cell, row) == DK_NULL;
  return true;
}

bool dk_cond_flags(struct dk_template_build *build, struct dk_cond *cond, const uint8_t **ret) {
  *ret = NULL;
  if (!cond) return true;
  if (!cond->flags) {
    const uint8_t *want;
    const struct dk_points *points = &build->tmpl->points;
    uint32_t kept;
    if (!dk_cond_flags(build, cond->up, &want)) return false;
    uint8_t *flags = dk_arena_array(build->planner->arena, uint8_t, (size_t)points->rows + 1);
    struct dk_expr_uses uses = {0};
    dk_expr_read(build->planner, cond->expr, points, &uses);
    dk_template_use(build, &uses);
    cond->flags = flags;
    bool ok = cond->wants == DK_COND_NULL
                  ? null_flags(build, cond, want)
                  : dk_predicate_run(build->planner, cond->expr, points, "a condition", want, flags, &kept);
    if (!ok) return false;
    if (cond->wants == DK_COND_FALSE)
      for (uint32_t row = 0; row < points->rows; row++) flags[row] = (!want || want[row]) && !flags[row];
  }
  *ret = cond->flags;
  return true;
}

/* --- one edge --- */

static bool same_fields(struct dk_template_build *build, const struct dk_fields *a, const struct dk_fields *b) {
  if (a->count != b->count) return false;
  for (uint32_t i = 0; i < a->count; i++) {
    if (a->items[i].name != b->items[i].name) return false;
    if (strcmp(dk_expr_source(build->planner, a->items[i].value), dk_expr_source(build->planner, b->items[i].value)) !=
        0)
      return false;
  }
  return true;
}

static bool same_cond(const struct dk_cond *a, const struct dk_cond *b) {
  while (a && b && a->expr == b->expr && a->wants == b->wants) {
    a = a->up;
    b = b->up;
  }
  return !a && !b;
}

static bool is_same_edge(struct dk_template_build *build, const struct dk_edge_build *edge, const struct dk_expr *ref,
                         const struct dk_cond *cond) {
  const struct dk_ref *a = &edge->ref->ref, *b = &ref->ref;
  return a->target == b->target && a->is_gather == b->is_gather && a->skip_failed == b->skip_failed &&
         same_cond(edge->cond, cond) && same_fields(build, &a->selectors, &b->selectors);
}

/* A template that waits for itself: only for earlier rows, or nothing would ever start. */
static bool check_self(struct dk_template_build *build, const struct dk_edge *edge, const struct dk_expr *ref) {
  struct dk_graph_node nodes = {.rows = build->tmpl->points.rows};
  struct dk_graph graph = {.n_nodes = 1, .nodes = &nodes};
  struct dk_edge own = *edge;
  own.producer = 0;
  for (uint32_t row = 0; row < build->tmpl->points.rows; row++) {
    const uint32_t *list;
    uint32_t first, n = dk_edge_rows(&graph, &own, row, &first, &list);
    for (uint32_t i = 0; i < n; i++) {
      if ((list ? list[i] : first + i) < row) continue;
      struct dk_diag *diag =
          dk_template_error(build, DK_E0505, ref->span, row, "`%s` waits for itself", build->tmpl->name);
      dk_diag_help(build->planner->diags, diag,
                   "select an earlier value of an axis, and choose with `if` where there is none");
      return false;
    }
  }
  return true;
}

static const char *edge_text(struct dk_template_build *build, const struct dk_expr *ref, const char *label,
                             const char *how) {
  struct dk_arena *arena = build->planner->arena;
  const struct dk_ref *r = &ref->ref;
  const char *left = label ? dk_arena_printf(arena, "%s.%s", build->tmpl->name, label) : build->tmpl->name;
  return dk_arena_printf(arena, "%s <- %s%s%s: %s", left, r->target->name->text, r->field ? "." : "",
                         r->field ? r->field->text : "", how);
}

bool dk_ref_connect(struct dk_template_build *build, const struct dk_expr *ref, struct dk_cond *cond, const char *label,
                    uint32_t *ret_edge) {
  struct dk_planner *planner = build->planner;
  struct dk_template_build *target = dk_template_of(planner, ref->ref.target);
  const uint8_t *active;
  if (!target || !target->has_points || !dk_cond_flags(build, cond, &active)) return false;
  uint32_t at = 0;
  while (at < build->n_edges && !is_same_edge(build, &build->edges[at], ref, cond)) at++;
  if (at == build->n_edges) {
    struct dk_join join = {.planner = planner,
                           .consumer = &build->tmpl->points,
                           .producer = &target->tmpl->points,
                           .consumer_name = build->tmpl->name,
                           .producer_name = target->tmpl->name,
                           .ref = ref,
                           .active = active,
                           .used = build->used};
    struct dk_edge_build edge = {.ref = ref, .cond = cond};
    const char *how;
    if (!dk_join_edge(&join, &edge.edge, &how)) return false;
    if (target == build && !check_self(build, &edge.edge, ref)) return false;
    edge.edge.producer = target->index;
    edge.edge.skip_failed = ref->ref.skip_failed;
    edge.how = how;
    dk_arena_push(planner->arena, build->edges, build->n_edges, build->cap_edges) = edge;
  }
  dk_arena_push(planner->arena, build->refs, build->n_refs, build->cap_refs) = (struct dk_ref_use){
      .ref = ref, .edge = at, .target = target->index, .text = edge_text(build, ref, label, build->edges[at].how)};
  *ret_edge = at;
  return true;
}

/* --- all in an expression --- */

struct walk {
  struct dk_template_build *build;
  struct dk_cond *cond;
  const char *label;
  bool ok;
};

static void walk_expr(void *ctx, struct dk_expr *expr);

static void walk_where(struct walk *walk, struct dk_expr *expr, struct dk_expr *decides, enum dk_cond_wants wants) {
  struct dk_cond *up = walk->cond;
  if (!dk_expr_is_late(walk->build, decides)) walk->cond = dk_cond_new(walk->build, decides, wants, up);
  walk_expr(walk, expr);
  walk->cond = up;
}

static void walk_expr(void *ctx, struct dk_expr *expr) {
  struct walk *walk = ctx;
  uint32_t edge;
  if (!dk_expr_is_late(walk->build, expr)) return;
  switch (expr->kind) {
  case DK_EXPR_REF: walk->ok &= dk_ref_connect(walk->build, expr, walk->cond, walk->label, &edge); return;
  case DK_EXPR_IF:
    walk_expr(walk, expr->conditional.condition);
    walk_where(walk, expr->conditional.then, expr->conditional.condition, DK_COND_TRUE);
    walk_where(walk, expr->conditional.otherwise, expr->conditional.condition, DK_COND_FALSE);
    return;
  case DK_EXPR_BINARY:
    if (expr->binary.op != DK_OP_AND && expr->binary.op != DK_OP_OR && expr->binary.op != DK_OP_COALESCE) break;
    walk_expr(walk, expr->binary.left);
    walk_where(walk, expr->binary.right, expr->binary.left,
               expr->binary.op == DK_OP_AND  ? DK_COND_TRUE
               : expr->binary.op == DK_OP_OR ? DK_COND_FALSE
                                             : DK_COND_NULL);
    return;
  default: break;
  }
  dk_walk_children(expr, walk_expr, walk);
}

bool dk_refs_connect(struct dk_template_build *build, struct dk_expr *expr, struct dk_cond *cond, const char *label) {
  struct walk walk = {build, cond, label, true};
  walk_expr(&walk, expr);
  return walk.ok;
}
