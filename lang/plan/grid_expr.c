/* Grid expressions: a * b, a + b, g where p, sample(g, n, seed = k). See grid.h.
 *
 * Keeps true: operands are never changed; what a result shares with them is read only. */
#include "lang/base/digest.h"
#include "lang/plan/grid.h"

#include <string.h>

static const char *name_of(struct dk_planner *planner, const struct dk_expr *expr) {
  return expr->kind == DK_EXPR_NAME ? expr->name.name->text : dk_expr_source(planner, expr);
}

static void init_columns(struct dk_planner *planner, struct dk_grid *grid, uint32_t n) {
  *grid = (struct dk_grid){0};
  grid->points.columns = dk_arena_array(planner->arena, struct dk_column, n + 1);
  grid->derived = dk_arena_array(planner->arena, struct dk_expr *, n + 1);
}

static void add_column(struct dk_grid *grid, const struct dk_grid *from, uint32_t i) {
  grid->derived[grid->points.n_columns] = from->derived[i];
  grid->points.columns[grid->points.n_columns++] = from->points.columns[i];
}

static void copy_grid(struct dk_planner *planner, const struct dk_grid *from, struct dk_grid *ret) {
  init_columns(planner, ret, from->points.n_columns);
  for (uint32_t i = 0; i < from->points.n_columns; i++) add_column(ret, from, i);
  ret->points.rows = from->points.rows;
}

static bool product(struct dk_planner *planner, struct dk_expr *expr, struct dk_grid *ret) {
  struct dk_grid a, b;
  bool ok_a = dk_grid_of(planner, expr->binary.left, &a), ok_b = dk_grid_of(planner, expr->binary.right, &b);
  if (!ok_a || !ok_b) return false;
  const char *name_a = name_of(planner, expr->binary.left), *name_b = name_of(planner, expr->binary.right);
  for (uint32_t i = 0; i < a.points.n_columns; i++) {
    if (dk_points_find(&b.points, a.points.columns[i].name) == UINT32_MAX) continue;
    struct dk_diag *diag = dk_diag_add(planner->diags, DK_E0409, expr->span, "`%s` and `%s` both have the column `%s`",
                                       name_a, name_b, a.points.columns[i].name);
    dk_diag_help(planner->diags, diag,
                 "a product wants grids without common columns; `+` puts points of like grids together");
    return false;
  }
  uint32_t rows_a = a.points.rows, rows_b = b.points.rows;
  const char *text = dk_arena_printf(planner->arena, "%s %u x %s %u", name_a, rows_a, name_b, rows_b);
  if ((uint64_t)rows_a * rows_b > DK_PLAN_MAX_ROWS) {
    dk_grid_too_large(planner, expr->span, "the product", (double)rows_a * rows_b, text);
    return false;
  }
  init_columns(planner, ret, a.points.n_columns + b.points.n_columns);
  for (uint32_t i = 0; i < a.points.n_columns; i++) {
    add_column(ret, &a, i);
    dk_column_stretch(planner->arena, &ret->points.columns[i], rows_a, rows_b);
  }
  for (uint32_t i = 0; i < b.points.n_columns; i++) {
    add_column(ret, &b, i);
    dk_column_tile(planner->arena, &ret->points.columns[a.points.n_columns + i], rows_b, rows_a);
  }
  ret->points.rows = rows_a * rows_b;
  dk_grid_step(planner, ret, text, ret->points.rows, expr->span);
  return true;
}

/* --- a + b --- */

struct sum {
  struct dk_planner *planner;
  struct dk_grid a, b;
  uint32_t *match;  /* column of b by column of a */
  uint32_t **codes; /* by column of a: b's code -> code in the sum */
  struct dk_dict *dicts;
  struct dk_map rows; /* rows of a by their axes' codes */
};

static bool match_columns(struct sum *sum, const struct dk_expr *expr) {
  struct dk_planner *planner = sum->planner;
  const struct dk_points *a = &sum->a.points, *b = &sum->b.points;
  const char *odd = NULL, *why = "is in one of them only";
  sum->match = dk_arena_array(planner->arena, uint32_t, a->n_columns + 1);
  for (uint32_t i = 0; i < a->n_columns; i++) {
    sum->match[i] = dk_points_find(b, a->columns[i].name);
    if (sum->match[i] == UINT32_MAX) {
      odd = a->columns[i].name;
      continue;
    }
    const struct dk_column *other = &b->columns[sum->match[i]];
    if (other->is_axis == a->columns[i].is_axis && other->rows_of == a->columns[i].rows_of) continue;
    odd = other->name;
    why = other->is_axis != a->columns[i].is_axis ? "is an axis in one and computed in the other"
                                                  : "takes its rows from different records";
  }
  for (uint32_t i = 0; i < b->n_columns && !odd; i++)
    if (dk_points_find(a, b->columns[i].name) == UINT32_MAX) odd = b->columns[i].name;
  if (!odd) return true;
  struct dk_diag *diag =
      dk_diag_add(planner->diags, DK_E0410, expr->span, "`%s` and `%s` differ: column `%s` %s",
                  name_of(planner, expr->binary.left), name_of(planner, expr->binary.right), odd, why);
  dk_diag_help(planner->diags, diag, "a sum wants the same columns in both, in any order; `*` crosses grids");
  return false;
}

static void merge_dicts(struct sum *sum) {
  struct dk_planner *planner = sum->planner;
  uint32_t n = sum->a.points.n_columns;
  sum->dicts = dk_arena_array(planner->arena, struct dk_dict, n + 1);
  sum->codes = dk_arena_array(planner->arena, uint32_t *, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    const struct dk_column *a = &sum->a.points.columns[i], *b = &sum->b.points.columns[sum->match[i]];
    dk_dict_init(&sum->dicts[i], planner->arena);
    sum->codes[i] = dk_arena_array(planner->arena, uint32_t, b->card + 1);
    for (uint32_t k = 0; k < a->card; k++)
      dk_dict_add(&sum->dicts[i], a->is_axis ? dk_value_identity(planner->values, a->values[k]) : a->values[k],
                  a->values[k], NULL);
    for (uint32_t k = 0; k < b->card; k++)
      sum->codes[i][k] =
          dk_dict_add(&sum->dicts[i], b->is_axis ? dk_value_identity(planner->values, b->values[k]) : b->values[k],
                      b->values[k], NULL);
  }
}

static bool equals_row(const void *ctx, uint32_t item, const void *key) {
  const struct sum *sum = ctx;
  const uint32_t *codes = key;
  for (uint32_t i = 0; i < sum->a.points.n_columns; i++)
    if (sum->a.points.columns[i].is_axis && dk_column_code(&sum->a.points.columns[i], item) != codes[i]) return false;
  return true;
}

static uint64_t hash_codes(const struct sum *sum, const uint32_t *codes) {
  uint64_t hash = 0;
  for (uint32_t i = 0; i < sum->a.points.n_columns; i++)
    if (sum->a.points.columns[i].is_axis) hash = dk_hash_u64(codes[i], hash);
  return hash;
}

static void index_rows(struct sum *sum) {
  uint32_t n = sum->a.points.n_columns;
  uint32_t *codes = dk_arena_array(sum->planner->arena, uint32_t, n + 1);
  dk_map_init(&sum->rows, sum->planner->arena);
  for (uint32_t row = 0; row < sum->a.points.rows; row++) {
    for (uint32_t i = 0; i < n; i++) codes[i] = dk_column_code(&sum->a.points.columns[i], row);
    (void)dk_map_add(&sum->rows, hash_codes(sum, codes), row);
  }
}

/* keep[row of b]: its point is not in a. */
static uint32_t new_rows(struct sum *sum, uint8_t *keep) {
  uint32_t n = sum->a.points.n_columns, kept = 0;
  uint32_t *codes = dk_arena_array(sum->planner->arena, uint32_t, n + 1);
  for (uint32_t row = 0; row < sum->b.points.rows; row++) {
    for (uint32_t i = 0; i < n; i++)
      codes[i] = sum->codes[i][dk_column_code(&sum->b.points.columns[sum->match[i]], row)];
    keep[row] = dk_map_find(&sum->rows, hash_codes(sum, codes), equals_row, sum, codes) == DK_MAP_NONE;
    kept += keep[row];
  }
  return kept;
}

static bool add(struct dk_planner *planner, struct dk_expr *expr, struct dk_grid *ret) {
  struct sum sum = {.planner = planner};
  bool ok_a = dk_grid_of(planner, expr->binary.left, &sum.a), ok_b = dk_grid_of(planner, expr->binary.right, &sum.b);
  if (!ok_a || !ok_b || !match_columns(&sum, expr)) return false;
  uint32_t rows_a = sum.a.points.rows, rows_b = sum.b.points.rows;
  if ((uint64_t)rows_a + rows_b > DK_PLAN_MAX_ROWS) {
    dk_grid_too_large(planner, expr->span, "the sum", (double)rows_a + rows_b, "");
    return false;
  }
  merge_dicts(&sum);
  index_rows(&sum);
  uint8_t *keep = dk_planner_keep(planner, rows_b);
  uint32_t kept = new_rows(&sum, keep);
  copy_grid(planner, &sum.a, ret);
  for (uint32_t i = 0; i < ret->points.n_columns; i++) {
    struct dk_column *column = &ret->points.columns[i];
    const struct dk_column *other = &sum.b.points.columns[sum.match[i]];
    column->values = sum.dicts[i].values;
    dk_column_extend(planner->arena, column, rows_a, kept, sum.dicts[i].count);
    column->card = sum.dicts[i].count;
    for (uint32_t row = 0, at = rows_a; row < rows_b; row++)
      if (keep[row])
        dk_code_put((void *)(uintptr_t)column->codes, column->width, at++, sum.codes[i][dk_column_code(other, row)]);
  }
  ret->points.rows = rows_a + kept;
  const char *name_b = name_of(planner, expr->binary.right);
  dk_grid_step(planner, ret, dk_arena_printf(planner->arena, "%s %u", name_of(planner, expr->binary.left), rows_a),
               rows_a, expr->span);
  const char *text = kept == rows_b ? dk_arena_printf(planner->arena, "%s %u", name_b, rows_b)
                                    : dk_arena_printf(planner->arena, "%s %u, %u of them already there", name_b, rows_b,
                                                      rows_b - kept);
  dk_grid_step(planner, ret, text, kept, expr->span);
  return true;
}

static bool filter(struct dk_planner *planner, struct dk_expr *expr, struct dk_grid *ret) {
  struct dk_grid of;
  if (!dk_grid_of(planner, expr->where.of, &of)) return false;
  struct dk_expr_uses uses = {0};
  dk_expr_read(planner, expr->where.predicate, &of.points, &uses);
  if (uses.has_error || uses.is_late) return false;
  copy_grid(planner, &of, ret);
  uint8_t *keep = dk_planner_keep(planner, of.points.rows);
  uint32_t kept;
  if (!dk_predicate_run(planner, expr->where.predicate, &of.points, "`where`", NULL, keep, &kept)) return false;
  dk_grid_keep(planner, &ret->points, keep, kept);
  dk_grid_step(planner, ret, dk_arena_printf(planner->arena, "%s %u", name_of(planner, expr->where.of), of.points.rows),
               of.points.rows, expr->where.of->span);
  dk_grid_step(planner, ret, "where", (int64_t)kept - of.points.rows, expr->where.predicate->span);
  return true;
}

/* --- sample --- */

struct candidate {
  uint64_t hash;
  uint32_t row;
};

static bool is_larger(struct candidate a, struct candidate b) {
  return a.hash != b.hash ? a.hash > b.hash : a.row > b.row;
}

/* A heap with the largest on top. */
static void sift_down(struct candidate *heap, uint32_t n, uint32_t at) {
  for (;;) {
    uint32_t kid = 2 * at + 1;
    if (kid >= n) return;
    if (kid + 1 < n && is_larger(heap[kid + 1], heap[kid])) kid++;
    if (!is_larger(heap[kid], heap[at])) return;
    struct candidate tmp = heap[at];
    heap[at] = heap[kid];
    heap[kid] = tmp;
    at = kid;
  }
}

/* By code: the first 8 bytes of SHA-256(column's name, NUL, canonical value). Added up over the axes, so that the order
 * of columns does not matter. */
static uint64_t *value_hashes(struct dk_planner *planner, const struct dk_column *column) {
  uint64_t *hashes = dk_arena_array(planner->arena, uint64_t, column->card + 1);
  struct dk_buf *text = &planner->eval->scratch;
  for (uint32_t i = 0; i < column->card; i++) {
    struct dk_digest digest;
    dk_buf_clear(text);
    dk_buf_add(text, column->name, strlen(column->name) + 1);
    dk_value_canonical(planner->values, column->values[i], text);
    if (!dk_buf_ok(text)) dk_arena_out_of_memory(planner->arena); /* other points would be chosen */
    dk_digest_of(dk_buf_text(text), text->len, &digest);
    for (unsigned k = 0; k < 8; k++) hashes[i] |= (uint64_t)digest.bytes[k] << (8 * k);
  }
  dk_buf_finish(text);
  return hashes;
}

static void choose(struct dk_planner *planner, const struct dk_points *points, uint32_t n, uint64_t seed,
                   uint8_t *keep) {
  struct candidate *heap = dk_arena_array(planner->arena, struct candidate, n + 1);
  uint64_t **hashes = dk_arena_array(planner->arena, uint64_t *, points->n_columns + 1);
  for (uint32_t i = 0; i < points->n_columns; i++)
    if (points->columns[i].is_axis) hashes[i] = value_hashes(planner, &points->columns[i]);
  uint32_t held = 0;
  for (uint32_t row = 0; row < points->rows; row++) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < points->n_columns; i++)
      if (hashes[i]) sum += hashes[i][dk_column_code(&points->columns[i], row)];
    struct candidate candidate = {dk_hash_u64(sum, seed), row};
    if (held < n) {
      heap[held++] = candidate;
      if (held == n)
        for (uint32_t i = n / 2; i-- > 0;) sift_down(heap, n, i);
    } else if (n && is_larger(heap[0], candidate)) {
      heap[0] = candidate;
      sift_down(heap, n, 0);
    }
  }
  memset(keep, 0, points->rows);
  for (uint32_t i = 0; i < held; i++) keep[heap[i].row] = 1;
}

static bool number_argument(struct dk_planner *planner, struct dk_expr *expr, const char *what, int64_t *ret) {
  struct dk_points none = {0};
  struct dk_point point;
  struct dk_expr_uses uses = {0};
  dk_value_id value;
  dk_expr_read(planner, expr, &none, &uses);
  if (uses.has_error || uses.is_late) return false;
  dk_point_init(&point, planner, &none);
  if (!dk_point_eval(&point, expr, DK_NO_ROW, &value)) return false;
  const struct dk_value *v = dk_value_get(planner->values, value);
  *ret = v->u.i;
  if (v->type == DK_TYPE_INT && v->u.i >= 0) return true;
  dk_diag_add(planner->diags, DK_E0411, expr->span, "sample wants %s as a whole number, 0 or more", what);
  return false;
}

static bool sample(struct dk_planner *planner, struct dk_expr *expr, struct dk_grid *ret) {
  struct dk_expr *args[3] = {NULL, NULL, NULL};
  for (uint32_t i = 0; i < 3 && i < expr->call.args.count; i++) args[i] = expr->call.args.items[i].value;
  if (!args[0] || !args[1] || !args[2]) return false; /* check has said which is missing */
  struct dk_grid of;
  int64_t n, seed;
  bool ok = dk_grid_of(planner, args[0], &of), ok_n = number_argument(planner, args[1], "the number of points", &n);
  if (!number_argument(planner, args[2], "the seed", &seed) || !ok || !ok_n) return false;
  if (n > of.points.rows) {
    struct dk_diag *diag = dk_diag_add(planner->diags, DK_E0411, args[1]->span, "cannot sample %lld of %u points",
                                       (long long)n, of.points.rows);
    dk_diag_help(planner->diags, diag, "take the grid itself, or at most %u", of.points.rows);
    return false;
  }
  copy_grid(planner, &of, ret);
  uint8_t *keep = dk_planner_keep(planner, of.points.rows);
  choose(planner, &of.points, (uint32_t)n, (uint64_t)seed, keep);
  dk_grid_keep(planner, &ret->points, keep, (uint32_t)n);
  dk_grid_step(planner, ret, dk_arena_printf(planner->arena, "%s %u", name_of(planner, args[0]), of.points.rows),
               of.points.rows, args[0]->span);
  dk_grid_step(planner, ret, dk_arena_printf(planner->arena, "sample %lld", (long long)n), n - (int64_t)of.points.rows,
               expr->span);
  return true;
}

/* --- the door --- */

static bool named(struct dk_planner *planner, const struct dk_decl *decl, struct dk_grid *ret) {
  for (uint32_t i = 0; i < planner->checked->n_grids; i++) {
    if (planner->checked->grids[i]->decl != decl) continue;
    if (!planner->grids[i]) return false;
    *ret = *planner->grids[i];
    return true;
  }
  return false;
}

static const struct dk_decl *exported(const struct dk_expr *expr) {
  const struct dk_expr *of = expr->member.of;
  if (of->kind != DK_EXPR_NAME || of->name.binding.kind != DK_BIND_MODULE || !of->name.binding.module) return NULL;
  const struct dk_module *module = of->name.binding.module;
  for (uint32_t i = 0; i < module->n_decls; i++)
    if (module->decls[i]->kind == DK_DECL_GRID && module->decls[i]->name == expr->member.name) return module->decls[i];
  return NULL;
}

bool dk_grid_of(struct dk_planner *planner, struct dk_expr *expr, struct dk_grid *ret) {
  switch (expr->kind) {
  case DK_EXPR_ERROR: return false;
  case DK_EXPR_NAME:
    if (expr->name.binding.kind == DK_BIND_DECL && expr->name.binding.decl->kind == DK_DECL_GRID)
      return named(planner, expr->name.binding.decl, ret);
    break;
  case DK_EXPR_MEMBER:
    if (exported(expr)) return named(planner, exported(expr), ret);
    break;
  case DK_EXPR_BINARY:
    if (expr->binary.op == DK_OP_MUL) return product(planner, expr, ret);
    if (expr->binary.op == DK_OP_ADD) return add(planner, expr, ret);
    break;
  case DK_EXPR_WHERE: return filter(planner, expr, ret);
  case DK_EXPR_CALL:
    if (expr->call.callee->kind == DK_EXPR_NAME && strcmp(expr->call.callee->name.name->text, "sample") == 0)
      return sample(planner, expr, ret);
    break;
  default: break;
  }
  if (planner->diags->n_errors == 0 || expr->kind != DK_EXPR_NAME) {
    struct dk_diag *diag = dk_diag_add(planner->diags, DK_E0412, expr->span, "this is not a grid");
    dk_diag_help(planner->diags, diag,
                 "a grid's name, a * b, a + b, g where p, or sample(g, n, seed = k) may stand here");
  }
  return false;
}
