/* Built-in functions of numbers. Each is rounded once. */
#include "lang/eval/internal.h"

#include "lang/base/number.h"

#include <inttypes.h>

static bool is_number(const struct dk_call *call, uint32_t arg) {
  return dk_ev_is_number(call->ev, call->args[arg]);
}

static bool return_wide(struct dk_call *call, struct dk_num *num) {
  num->is_wide = true;
  return dk_num_value(call->ev, call->expr, num, call->ret);
}

static bool count_arg(struct dk_call *call, int64_t *ret) {
  if (!dk_call_int(call, 2, ret)) return false;
  if (*ret >= 1) return true;
  return dk_call_wants(call, 2, "a count of at least 1");
}

bool dk_fn_linspace(struct dk_call *call) {
  int64_t n;
  for (uint32_t i = 0; i < 2; i++)
    if (!is_number(call, i)) return dk_call_wants(call, i, "a number");
  if (!count_arg(call, &n) || !dk_ev_elements(call->ev, call->expr, n, "this list")) return false;
  dk_value_id *items = dk_arena_array(call->ev->eval->checked->arena, dk_value_id, (size_t)n + 1);
  struct dk_wide first, last, distance;
  dk_ev_wide(call->ev, call->args[0], &first);
  dk_ev_wide(call->ev, call->args[1], &last);
  if (!dk_ev_step(call->ev, call->expr, (uint64_t)n) || !dk_wide_op(DK_OP_SUB, &distance, &last, &first)) return false;
  for (int64_t i = 0; i < n; i++) {
    struct dk_wide at, steps, part;
    struct dk_num num = {.is_wide = true};
    dk_wide_set_int(&at, i);
    dk_wide_set_int(&steps, n > 1 ? n - 1 : 1);
    bool ok = dk_wide_op(DK_OP_MUL, &part, &distance, &at) && dk_wide_op(DK_OP_DIV, &at, &part, &steps) &&
              dk_wide_op(DK_OP_ADD, &num.wide, &first, &at);
    if (!ok || !dk_num_value(call->ev, call->expr, &num, &items[i])) return false;
  }
  return dk_call_return_list(call, items, (uint32_t)n);
}

bool dk_fn_geomspace(struct dk_call *call) {
  int64_t n;
  for (uint32_t i = 0; i < 2; i++)
    if (!is_number(call, i) || dk_ev_double(call->ev, call->args[i]) == 0)
      return dk_call_wants(call, i, "a number that is not 0");
  if ((dk_ev_double(call->ev, call->args[0]) < 0) != (dk_ev_double(call->ev, call->args[1]) < 0))
    return dk_call_wants(call, 1, "ends of one sign");
  if (!count_arg(call, &n) || !dk_ev_elements(call->ev, call->expr, n, "this list")) return false;
  dk_value_id *items = dk_arena_array(call->ev->eval->checked->arena, dk_value_id, (size_t)n + 1);
  struct dk_wide first, last;
  dk_ev_wide(call->ev, call->args[0], &first);
  dk_ev_wide(call->ev, call->args[1], &last);
  if (!dk_ev_step(call->ev, call->expr, (uint64_t)n * DK_STEPS_OF_POWER)) return false;
  for (int64_t i = 0; i < n; i++) {
    struct dk_num num = {.is_wide = true};
    if (i == 0)
      dk_wide_set(&num.wide, &first);
    else if (i == n - 1)
      dk_wide_set(&num.wide, &last);
    else
      dk_wide_geometric(&num.wide, &first, &last, i, n - 1);
    if (!dk_num_value(call->ev, call->expr, &num, &items[i])) return false;
  }
  return dk_call_return_list(call, items, (uint32_t)n);
}

bool dk_fn_abs(struct dk_call *call) {
  struct dk_num num, negated;
  const struct dk_value *value = dk_value_get(call->ev->values, call->args[0]);
  bool quantity = value->type >= DK_TYPE_SIZE && value->type <= DK_TYPE_RATE;
  if (!quantity && !is_number(call, 0)) return dk_call_wants(call, 0, "a number or quantity");
  *call->ret = call->args[0];
  if (value->type == DK_TYPE_FLOAT ? dk_ev_double(call->ev, call->args[0]) >= 0 : value->u.i >= 0) return true;
  dk_num_set(call->ev, &num, call->args[0]);
  return dk_ev_negate(call->ev, call->expr, &num, &negated) && dk_num_value(call->ev, call->expr, &negated, call->ret);
}

static bool to_int(struct dk_call *call, enum dk_rounding rounding) {
  struct dk_wide wide;
  int64_t i;
  if (!is_number(call, 0)) return dk_call_wants(call, 0, "a number");
  dk_ev_wide(call->ev, call->args[0], &wide);
  if (!dk_wide_to_int(&wide, rounding, &i)) {
    dk_ev_error(call->ev, DK_E0302, dk_call_span(call, 0), "an integer beyond 64 bits");
    return false;
  }
  *call->ret = dk_value_int(call->ev->values, i);
  return true;
}

bool dk_fn_floor(struct dk_call *call) {
  return to_int(call, DK_ROUND_FLOOR);
}

bool dk_fn_ceil(struct dk_call *call) {
  return to_int(call, DK_ROUND_CEIL);
}

bool dk_fn_round(struct dk_call *call) {
  int64_t places;
  struct dk_wide wide;
  struct dk_num num;
  if (!dk_call_given(call, 1)) return to_int(call, DK_ROUND_NEAREST);
  if (!is_number(call, 0)) return dk_call_wants(call, 0, "a number");
  if (!dk_call_int(call, 1, &places)) return false;
  if (places < 0 || places > 300) return dk_call_wants(call, 1, "a number of digits from 0 to 300");
  dk_ev_wide(call->ev, call->args[0], &wide);
  dk_wide_round_decimal(&num.wide, &wide, (unsigned)places);
  return return_wide(call, &num);
}

static bool int_of_text(struct dk_call *call) {
  const struct dk_str *text = dk_value_str(call->ev->values, call->args[0]);
  int64_t i;
  if (dk_number_parse_int(text->text, text->len, &i) < 0) {
    dk_ev_error(call->ev, DK_E0309, dk_call_span(call, 0), "%s is no integer", dk_ev_show(call->ev, call->args[0]));
    return false;
  }
  *call->ret = dk_value_int(call->ev->values, i);
  return true;
}

bool dk_fn_int(struct dk_call *call) {
  const struct dk_value *value = dk_value_get(call->ev->values, call->args[0]);
  if (value->type == DK_TYPE_STRING) return int_of_text(call);
  if (!is_number(call, 0)) return dk_call_wants(call, 0, "a number or a text");
  if (!to_int(call, DK_ROUND_FLOOR)) return false;
  if (dk_value_same(call->ev->values, *call->ret, call->args[0])) return true;
  struct dk_diag *diag =
      dk_ev_error(call->ev, DK_E0309, dk_call_span(call, 0), "%s has a fraction", dk_ev_show(call->ev, call->args[0]));
  dk_diag_help(call->ev->eval->checked->diags, diag, "say how to round it: `floor(x)`, `ceil(x)` or `round(x)`");
  return false;
}

bool dk_fn_log2(struct dk_call *call) {
  struct dk_wide wide;
  struct dk_num num;
  if (!is_number(call, 0)) return dk_call_wants(call, 0, "a number");
  if (!dk_ev_step(call->ev, call->expr, DK_STEPS_OF_POWER)) return false;
  dk_ev_wide(call->ev, call->args[0], &wide);
  if (dk_wide_log2(&num.wide, &wide)) return return_wide(call, &num);
  dk_ev_error(call->ev, DK_E0304, dk_call_span(call, 0), "only numbers above 0 have a logarithm; this is %s",
              dk_ev_show(call->ev, call->args[0]));
  return false;
}
