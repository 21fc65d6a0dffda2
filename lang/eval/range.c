/* Ranges a..b by k: counted exactly before anything is built, each element rounded once. */
#include "lang/eval/internal.h"

#include <assert.h>
#include <inttypes.h>

/* How many of first, first + step, ... do not pass last; INT64_MAX stands for more than that. step is not 0. */
static int64_t count_ints(int64_t first, int64_t last, int64_t step) {
  if ((step > 0) != (last > first) && first != last) return 0;
  uint64_t distance = last > first ? (uint64_t)last - (uint64_t)first : (uint64_t)first - (uint64_t)last;
  uint64_t size = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
  assert(size > 0);
  uint64_t n = distance / size;
  return n >= INT64_MAX ? INT64_MAX : (int64_t)n + 1;
}

static bool build(struct dk_ev *ev, const struct dk_expr *expr, const struct dk_value *first, int64_t step, int64_t n,
                  dk_value_id *ret) {
  dk_value_id *items = dk_arena_array(ev->eval->checked->arena, dk_value_id, (size_t)n + 1);
  for (int64_t i = 0; i < n; i++) {
    int64_t value = first->u.i + i * step; /* between first and last: no overflow */
    items[i] = first->type == DK_TYPE_INT
                   ? dk_value_int(ev->values, value)
                   : dk_value_quantity(ev->values, (enum dk_type)first->type, first->unit, value);
  }
  return dk_ev_list(ev, expr, items, (uint32_t)n, ret);
}

static bool build_decimals(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id first, dk_value_id step, int64_t n,
                           dk_value_id *ret) {
  dk_value_id *items = dk_arena_array(ev->eval->checked->arena, dk_value_id, (size_t)n + 1);
  struct dk_wide start, by;
  dk_ev_wide(ev, first, &start);
  dk_ev_wide(ev, step, &by);
  for (int64_t i = 0; i < n; i++) {
    struct dk_wide times, offset;
    struct dk_num item = {.is_wide = true};
    dk_wide_set_int(&times, i);
    if (!dk_wide_op(DK_OP_MUL, &offset, &times, &by) || !dk_wide_op(DK_OP_ADD, &item.wide, &start, &offset) ||
        !dk_num_value(ev, expr, &item, &items[i]))
      return false;
  }
  return dk_ev_list(ev, expr, items, (uint32_t)n, ret);
}

static bool is_countable(const struct dk_value *value) {
  return value->type == DK_TYPE_INT || value->type == DK_TYPE_FLOAT ||
         (value->type >= DK_TYPE_SIZE && value->type <= DK_TYPE_RATE);
}

static bool check_kinds(struct dk_ev *ev, const struct dk_expr *expr, const dk_value_id ids[3], bool *ret_decimal) {
  const struct dk_expr *parts[3] = {expr->range.first, expr->range.last, expr->range.step};
  struct dk_diags *diags = ev->eval->checked->diags;
  for (int i = 0; i < 3; i++) {
    const struct dk_value *value = dk_value_get(ev->values, ids[i]);
    if (!is_countable(value)) {
      struct dk_diag *diag = dk_ev_error(ev, DK_E0301, parts[i] ? parts[i]->span : expr->span,
                                         "a range goes from number to number, not %s", dk_ev_type(ev, ids[i]));
      dk_diag_label(diags, diag, "%s", dk_ev_type(ev, ids[i]));
      return false;
    }
  }
  const struct dk_value *a = dk_value_get(ev->values, ids[0]), *b = dk_value_get(ev->values, ids[1]),
                        *k = dk_value_get(ev->values, ids[2]);
  if (dk_ev_is_number(ev, ids[0]) && dk_ev_is_number(ev, ids[1]) && dk_ev_is_number(ev, ids[2])) {
    *ret_decimal = a->type == DK_TYPE_FLOAT || b->type == DK_TYPE_FLOAT || k->type == DK_TYPE_FLOAT;
    return true;
  }
  *ret_decimal = false;
  bool same = a->type == b->type && a->unit == b->unit;
  if (same && a->type == k->type && a->unit == k->unit) return true;
  struct dk_diag *diag = !same ? dk_ev_error(ev, DK_E0301, expr->span, "a range cannot go from %s to %s",
                                             dk_ev_type(ev, ids[0]), dk_ev_type(ev, ids[1]))
                               : dk_ev_error(ev, DK_E0301, expr->span, "a range of %ss needs a step that is one too",
                                             dk_ev_type(ev, ids[0]) + 2);
  dk_diag_help(diags, diag, "say the step with its unit, as in 1GiB..8GiB by 1GiB");
  return false;
}

struct range {
  dk_value_id ids[3]; /* first, last, step */
  bool is_decimal;
  int64_t n; /* INT64_MAX: more than that */
};

static bool read_range(struct dk_ev *ev, const struct dk_expr *expr, struct range *ret) {
  dk_value_id *ids = ret->ids;
  ids[2] = dk_value_int(ev->values, 1);
  if (!dk_ev_value(ev, expr->range.first, &ids[0]) || !dk_ev_value(ev, expr->range.last, &ids[1])) return false;
  if (expr->range.step && !dk_ev_value(ev, expr->range.step, &ids[2])) return false;
  if (!check_kinds(ev, expr, ids, &ret->is_decimal)) return false;
  int64_t step = dk_value_get(ev->values, ids[2])->u.i;
  if (step == 0) { /* 0.0 too */
    dk_ev_error(ev, DK_E0303, expr->range.step ? expr->range.step->span : expr->span, "a range's step cannot be 0");
    return false;
  }
  ret->n = ret->is_decimal
               ? dk_wide_count(dk_ev_double(ev, ids[0]), dk_ev_double(ev, ids[1]), dk_ev_double(ev, ids[2]))
               : count_ints(dk_value_get(ev->values, ids[0])->u.i, dk_value_get(ev->values, ids[1])->u.i, step);
  return true;
}

bool dk_ev_range(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  struct range range;
  if (!read_range(ev, expr, &range)) return false;
  if (!dk_ev_elements(ev, expr, range.n, "this range") || !dk_ev_step(ev, expr, (uint64_t)range.n)) return false;
  if (range.is_decimal) return build_decimals(ev, expr, range.ids[0], range.ids[2], range.n, ret);
  struct dk_value first = *dk_value_get(ev->values, range.ids[0]);
  return build(ev, expr, &first, dk_value_get(ev->values, range.ids[2])->u.i, range.n, ret);
}

bool dk_ev_range_count(struct dk_ev *ev, const struct dk_expr *expr, int64_t *ret) {
  struct range range;
  if (!read_range(ev, expr, &range)) return false;
  *ret = range.n;
  return true;
}
