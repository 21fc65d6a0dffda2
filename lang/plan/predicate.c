/* Predicates over all rows of a grid, in blocks: `and`, `or` and `not` work on flags, what is below them is tabled by
 * the columns it uses alone. So `c > 1000 and gamma > 1` costs one evaluation per value of c and one per value of
 * gamma. */
#include "lang/plan/planner.h"

#include <string.h>

enum pred_kind { PRED_AND, PRED_OR, PRED_NOT, PRED_LEAF };

struct pred {
  enum pred_kind kind;
  struct pred **kids; /* AND, OR: at least two, flattened; NOT: one */
  uint32_t n_kids, cap_kids;
  struct dk_tab tab; /* LEAF */
  uint8_t *truth;    /* LEAF with a table: 0 false, 1 true, UNKNOWN */
};
#define UNKNOWN 2

struct run {
  struct dk_planner *planner;
  const struct dk_points *points;
  const char *what;
  uint32_t depth;
};
#define MAX_DEPTH 64u /* deeper ones are leaves: run_block takes 2 KiB of stack a level */

static void add_kids(struct run *run, struct pred *pred, struct dk_expr *expr, enum dk_op op);

static struct pred *pred_make(struct run *run, struct dk_expr *expr) {
  struct dk_arena *arena = run->planner->arena;
  struct pred *pred = dk_arena_new(arena, struct pred);
  bool is_leaf = run->depth++ >= MAX_DEPTH;
  if (!is_leaf && expr->kind == DK_EXPR_BINARY && (expr->binary.op == DK_OP_AND || expr->binary.op == DK_OP_OR)) {
    pred->kind = expr->binary.op == DK_OP_AND ? PRED_AND : PRED_OR;
    add_kids(run, pred, expr, expr->binary.op);
  } else if (!is_leaf && expr->kind == DK_EXPR_UNARY && expr->unary.op == DK_OP_NOT) {
    pred->kind = PRED_NOT;
    struct pred *kid = pred_make(run, expr->unary.operand);
    dk_arena_push(arena, pred->kids, pred->n_kids, pred->cap_kids) = kid;
  } else {
    pred->kind = PRED_LEAF;
    dk_tab_init(&pred->tab, run->planner, expr, run->points);
    if (pred->tab.size) {
      pred->truth = dk_arena_array(arena, uint8_t, pred->tab.size);
      memset(pred->truth, UNKNOWN, pred->tab.size);
    }
  }
  run->depth--;
  return pred;
}

static void add_kids(struct run *run, struct pred *pred, struct dk_expr *expr, enum dk_op op) {
  if (expr->kind == DK_EXPR_BINARY && expr->binary.op == op) {
    add_kids(run, pred, expr->binary.left, op);
    add_kids(run, pred, expr->binary.right, op);
    return;
  }
  struct pred *kid = pred_make(run, expr);
  dk_arena_push(run->planner->arena, pred->kids, pred->n_kids, pred->cap_kids) = kid;
}

static bool truth_of(struct run *run, struct pred *pred, dk_value_id value, uint32_t row, uint8_t *ret) {
  const struct dk_value *v = dk_value_get(run->planner->values, value);
  if (v->type == DK_TYPE_BOOL) {
    *ret = v->u.i != 0;
    return true;
  }
  struct dk_diag *diag = dk_diag_add(run->planner->diags, DK_E0406, pred->tab.expr->span,
                                     "%s wants true or false, not %s", run->what, dk_type_name((enum dk_type)v->type));
  dk_point_note(run->planner, diag, run->points, row);
  return false;
}

static bool leaf_value(struct run *run, struct pred *pred, uint32_t combination, uint32_t row, uint8_t *ret) {
  dk_value_id value;
  bool ok = pred->truth ? dk_tab_at(&pred->tab, combination, row, &value) : dk_tab_value(&pred->tab, row, &value);
  if (!ok || !truth_of(run, pred, value, row, ret)) return false;
  if (pred->truth) pred->truth[combination] = *ret;
  return true;
}

static bool run_leaf(struct run *run, struct pred *pred, uint32_t first, uint32_t n, const uint8_t *want,
                     uint8_t *out) {
  uint32_t combinations[DK_BLOCK] = {0};
  memset(out, 0, n);
  if (pred->truth) dk_tab_combinations(&pred->tab, first, n, combinations);
  for (uint32_t i = 0; i < n; i++) {
    if (!want[i]) continue;
    uint32_t combination = pred->truth ? combinations[i] : 0;
    if (pred->truth && pred->truth[combination] != UNKNOWN)
      out[i] = pred->truth[combination];
    else if (!leaf_value(run, pred, combination, first + i, &out[i]))
      return false;
  }
  return true;
}

/* out[i] is the predicate at row first + i where want[i], else 0. */
static bool run_block(struct run *run, struct pred *pred, uint32_t first, uint32_t n, const uint8_t *want,
                      uint8_t *out) {
  if (pred->kind == PRED_LEAF) return run_leaf(run, pred, first, n, want, out);
  if (pred->kind == PRED_NOT) {
    if (!run_block(run, pred->kids[0], first, n, want, out)) return false;
    for (uint32_t i = 0; i < n; i++) out[i] = want[i] & (out[i] ^ 1);
    return true;
  }
  uint8_t open[DK_BLOCK], part[DK_BLOCK]; /* open: rows that the kids so far have not decided */
  memcpy(open, want, n);
  memset(out, 0, n);
  for (uint32_t k = 0; k < pred->n_kids; k++) {
    if (!run_block(run, pred->kids[k], first, n, open, part)) return false;
    if (pred->kind == PRED_AND) {
      memcpy(open, part, n);
    } else {
      for (uint32_t i = 0; i < n; i++) {
        out[i] |= part[i];
        open[i] &= part[i] ^ 1;
      }
    }
  }
  if (pred->kind == PRED_AND) memcpy(out, open, n);
  return true;
}

bool dk_predicate_run(struct dk_planner *planner, struct dk_expr *predicate, const struct dk_points *points,
                      const char *what, const uint8_t *want, uint8_t *keep, uint32_t *ret_kept) {
  struct run run = {planner, points, what, 0};
  struct pred *pred = pred_make(&run, predicate);
  uint8_t all[DK_BLOCK];
  memset(all, 1, sizeof all);
  uint32_t kept = 0;
  for (uint32_t first = 0; first < points->rows; first += DK_BLOCK) {
    uint32_t n = points->rows - first < DK_BLOCK ? points->rows - first : DK_BLOCK;
    uint8_t out[DK_BLOCK];
    if (!run_block(&run, pred, first, n, want ? want + first : all, out)) return false;
    memcpy(keep + first, out, n);
    for (uint32_t i = 0; i < n; i++) kept += keep[first + i];
  }
  *ret_kept = kept;
  return true;
}

uint8_t *dk_planner_keep(struct dk_planner *planner, uint32_t rows) {
  if (rows > planner->cap_keep) {
    planner->keep = dk_arena_array(planner->arena, uint8_t, rows);
    planner->cap_keep = rows;
  }
  return planner->keep;
}
