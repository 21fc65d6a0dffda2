/* Arithmetic: ints exactly, floats wide, quantities with their units, lists element by element.
 *
 * Keeps true: an int operation gives the exact int or an error; a float is rounded only by dk_num_value. */
#include "lang/eval/internal.h"
#include "lang/eval/quantity.h"

#include <string.h>

static enum dk_type type_of(const struct dk_ev *ev, const struct dk_num *num) {
  return num->is_wide ? DK_TYPE_FLOAT : (enum dk_type)dk_value_get(ev->values, num->id)->type;
}

static bool is_numeric(enum dk_type type) {
  return type == DK_TYPE_INT || type == DK_TYPE_FLOAT;
}

static bool is_quantity(enum dk_type type) {
  return type >= DK_TYPE_SIZE && type <= DK_TYPE_RATE;
}

bool dk_ev_is_number(const struct dk_ev *ev, dk_value_id id) {
  return is_numeric((enum dk_type)dk_value_get(ev->values, id)->type);
}

double dk_ev_double(const struct dk_ev *ev, dk_value_id id) {
  const struct dk_value *value = dk_value_get(ev->values, id);
  if (value->type == DK_TYPE_INT) return (double)value->u.i;
  double d;
  memcpy(&d, &value->u.i, sizeof d);
  return d;
}

void dk_ev_wide(const struct dk_ev *ev, dk_value_id id, struct dk_wide *ret) {
  const struct dk_value *value = dk_value_get(ev->values, id);
  if (value->type == DK_TYPE_FLOAT)
    dk_wide_set_double(ret, dk_ev_double(ev, id));
  else
    dk_wide_set_int(ret, value->u.i); /* quantities too: their amount */
}

void dk_num_set(struct dk_ev *ev, struct dk_num *ret, dk_value_id id) {
  (void)ev;
  ret->is_wide = false;
  ret->id = id;
}

bool dk_num_value(struct dk_ev *ev, const struct dk_expr *at, const struct dk_num *num, dk_value_id *ret) {
  double d;
  *ret = num->id; /* NOLINT(clang-analyzer-core.uninitialized.Assign): it does not see that overflow() is false */
  if (!num->is_wide) return true;
  if (!dk_wide_to_double(&num->wide, &d)) {
    dk_ev_error(ev, DK_E0304, at->span, "this number is too large for a float (the largest is about 1.8e308)");
    return false;
  }
  *ret = dk_value_float(ev->values, d);
  return true;
}

static const char *type_name(const struct dk_ev *ev, const struct dk_num *num) {
  return dk_type_name(type_of(ev, num));
}

static const char *op_text(enum dk_op op) {
  static const char *const names[] = {"+", "-", "*", "/", "//", "%", "**"};
  return names[op];
}

/* "cannot add a size to a duration", with both operands labelled. */
static bool cannot(struct dk_ev *ev, const struct dk_expr *at, enum dk_op op, const struct dk_num *a,
                   const struct dk_num *b) {
  static const char *const forms[] = {
      "cannot add %s to %s",    "cannot subtract %s from %s", "cannot multiply %s by %s", "cannot divide %s by %s",
      "cannot divide %s by %s", "cannot divide %s by %s",     "cannot raise %s to %s"};
  const char *x = type_name(ev, a), *y = type_name(ev, b);
  bool swap = op == DK_OP_SUB;
  char message[160];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  snprintf(message, sizeof message, forms[op], swap ? y : x, swap ? x : y);
#pragma GCC diagnostic pop
  bool binary = at->kind == DK_EXPR_BINARY;
  struct dk_diags *diags = ev->eval->checked->diags;
  struct dk_diag *diag = dk_ev_error(ev, DK_E0301, binary ? at->binary.op_span : at->span, "%s", message);
  if (binary) {
    dk_diag_label_at(diags, diag, at->binary.left->span, "%s", x);
    dk_diag_label_at(diags, diag, at->binary.right->span, "%s", y);
  }
  enum dk_type left = type_of(ev, a), right = type_of(ev, b);
  if (left == DK_TYPE_NULL || right == DK_TYPE_NULL)
    dk_diag_help(diags, diag, "`x ?? 0` gives 0 where x is null");
  else if (op == DK_OP_ADD && (left == DK_TYPE_STRING || right == DK_TYPE_STRING))
    dk_diag_help(diags, diag, "put values into text with holes: \"{{a}}{{b}}\"");
  else if (op == DK_OP_ADD && left == DK_TYPE_LIST && right == DK_TYPE_LIST)
    dk_diag_help(diags, diag, "`concat(a, b)` joins two lists; `[x + y for x in a for y in b]` adds each to each");
  else if (left == DK_TYPE_MONEY && right == DK_TYPE_MONEY)
    dk_diag_help(diags, diag, "the two are of different currencies, and nothing here knows their rate");
  return false;
}

static bool by_zero(struct dk_ev *ev, const struct dk_expr *at) {
  struct dk_span span = at->kind == DK_EXPR_BINARY ? at->binary.right->span : at->span;
  struct dk_diag *diag = dk_ev_error(ev, DK_E0303, span, "division by zero");
  dk_diag_label(ev->eval->checked->diags, diag, "this is 0");
  return false;
}

static bool overflow(struct dk_ev *ev, const struct dk_expr *at, const char *what) {
  struct dk_diag *diag = dk_ev_error(ev, DK_E0302, at->span, "%s beyond 64 bits", what);
  if (strcmp(what, "an integer") == 0)
    dk_diag_help(ev->eval->checked->diags, diag, "write one of the numbers with a point, as in 2.0 ** 64, for a float");
  return false;
}

static bool int_power(int64_t base, int64_t exponent, int64_t *ret) {
  int64_t power = 1;
  while (exponent) {
    if ((exponent & 1) && __builtin_mul_overflow(power, base, &power)) return false;
    exponent >>= 1;
    if (exponent && __builtin_mul_overflow(base, base, &base)) return false;
  }
  *ret = power;
  return true;
}

/* Division towards minus infinity; the remainder has the divisor's sign. divisor is not 0. */
static bool floor_divide(int64_t a, int64_t b, int64_t *ret_quotient, int64_t *ret_rest) {
  if (a == INT64_MIN && b == -1) return false;
  int64_t q = a / b, r = a % b;
  if (r && (r < 0) != (b < 0)) {
    q--;
    r += b;
  }
  *ret_quotient = q;
  *ret_rest = r;
  return true;
}

static bool wide_arith(struct dk_ev *ev, const struct dk_expr *at, enum dk_op op, const struct dk_num *a,
                       const struct dk_num *b, struct dk_num *ret) {
  struct dk_wide x, y;
  if (a->is_wide)
    dk_wide_set(&x, &a->wide);
  else
    dk_ev_wide(ev, a->id, &x);
  if (b->is_wide)
    dk_wide_set(&y, &b->wide);
  else
    dk_ev_wide(ev, b->id, &y);
  if (op == DK_OP_DIV && dk_wide_is_zero(&y)) return by_zero(ev, at);
  if (op == DK_OP_POW && !dk_ev_step(ev, at, DK_STEPS_OF_POWER)) return false;
  ret->is_wide = true;
  if (dk_wide_op(op, &ret->wide, &x, &y)) return true;
  dk_ev_error(ev, DK_E0304, at->span, "the result of `%s` is no finite number here", op_text(op));
  return false;
}

static bool int_arith(struct dk_ev *ev, const struct dk_expr *at, enum dk_op op, const struct dk_num *a,
                      const struct dk_num *b, struct dk_num *ret) {
  int64_t x = dk_value_get(ev->values, a->id)->u.i, y = dk_value_get(ev->values, b->id)->u.i, z = 0, rest = 0;
  bool bad = false;
  switch (op) {
  case DK_OP_ADD: bad = __builtin_add_overflow(x, y, &z); break;
  case DK_OP_SUB: bad = __builtin_sub_overflow(x, y, &z); break;
  case DK_OP_MUL: bad = __builtin_mul_overflow(x, y, &z); break;
  case DK_OP_DIV: return wide_arith(ev, at, op, a, b, ret);
  case DK_OP_POW:
    if (y < 0 && x == 0) return by_zero(ev, at);
    if (y < 0) return wide_arith(ev, at, op, a, b, ret);
    bad = !int_power(x, y, &z);
    break;
  case DK_OP_FLOORDIV:
  case DK_OP_MOD:
    if (y == 0) return by_zero(ev, at);
    bad = !floor_divide(x, y, &z, &rest);
    if (op == DK_OP_MOD) {
      z = rest;
      bad = false;
    }
    break;
  default: return cannot(ev, at, op, a, b);
  }
  if (bad) return overflow(ev, at, "an integer");
  dk_num_set(ev, ret, dk_value_int(ev->values, z));
  return true;
}

/* amount (of x or y, one of them a number) multiplied or divided, to the nearest whole base unit. */
static bool scaled(struct dk_ev *ev, const struct dk_expr *at, enum dk_op op, const struct dk_num *a,
                   const struct dk_num *b, enum dk_type type, uint16_t unit, int64_t times, int64_t over,
                   struct dk_num *ret) {
  struct dk_num product;
  if (!wide_arith(ev, at, op, a, b, &product)) return false;
  struct dk_wide factor, divisor, whole;
  int64_t amount;
  dk_wide_set_int(&factor, times);
  dk_wide_set_int(&divisor, over);
  bool fine = dk_wide_op(DK_OP_MUL, &whole, &product.wide, &factor) &&
              dk_wide_op(DK_OP_DIV, &product.wide, &whole, &divisor) &&
              dk_wide_to_int(&product.wide, DK_ROUND_NEAREST, &amount);
  if (!fine) return overflow(ev, at, dk_type_name(type));
  dk_num_set(ev, ret, dk_value_quantity(ev->values, type, unit, amount));
  return true;
}

static bool same_unit(struct dk_ev *ev, const struct dk_expr *at, enum dk_op op, const struct dk_num *a,
                      const struct dk_num *b, struct dk_num *ret) {
  const struct dk_value x = *dk_value_get(ev->values, a->id), y = *dk_value_get(ev->values, b->id);
  int64_t z = 0, rest = 0;
  bool bad = false;
  switch (op) {
  case DK_OP_ADD: bad = __builtin_add_overflow(x.u.i, y.u.i, &z); break;
  case DK_OP_SUB: bad = __builtin_sub_overflow(x.u.i, y.u.i, &z); break;
  case DK_OP_DIV: return wide_arith(ev, at, op, a, b, ret);
  case DK_OP_FLOORDIV:
  case DK_OP_MOD:
    if (y.u.i == 0) return by_zero(ev, at);
    bad = !floor_divide(x.u.i, y.u.i, &z, &rest);
    if (bad) break;
    if (op == DK_OP_MOD)
      z = rest;
    else {
      dk_num_set(ev, ret, dk_value_int(ev->values, z));
      return true;
    }
    break;
  default: return cannot(ev, at, op, a, b);
  }
  if (bad) return overflow(ev, at, dk_type_name((enum dk_type)x.type));
  dk_num_set(ev, ret, dk_value_quantity(ev->values, (enum dk_type)x.type, x.unit, z));
  return true;
}

static bool quantity_arith(struct dk_ev *ev, const struct dk_expr *at, enum dk_op op, const struct dk_num *a,
                           const struct dk_num *b, struct dk_num *ret) {
  enum dk_type x = type_of(ev, a), y = type_of(ev, b);
  uint16_t unit_x = a->is_wide ? 0 : dk_value_get(ev->values, a->id)->unit;
  uint16_t unit_y = b->is_wide ? 0 : dk_value_get(ev->values, b->id)->unit;
  if (is_quantity(x) && x == y && unit_x == unit_y && op != DK_OP_MUL && op != DK_OP_POW)
    return same_unit(ev, at, op, a, b, ret);
  if (op == DK_OP_MUL && is_quantity(x) && is_numeric(y)) return scaled(ev, at, op, a, b, x, unit_x, 1, 1, ret);
  if (op == DK_OP_MUL && is_numeric(x) && is_quantity(y)) return scaled(ev, at, op, a, b, y, unit_y, 1, 1, ret);
  if (op == DK_OP_DIV && is_quantity(x) && is_numeric(y)) return scaled(ev, at, op, a, b, x, unit_x, 1, 1, ret);
  /* A rate is millionths an hour, a duration nanoseconds. */
  if (op == DK_OP_MUL && x == DK_TYPE_RATE && y == DK_TYPE_DURATION)
    return scaled(ev, at, op, a, b, DK_TYPE_MONEY, unit_x, 1, DK_HOUR, ret);
  if (op == DK_OP_MUL && x == DK_TYPE_DURATION && y == DK_TYPE_RATE)
    return scaled(ev, at, op, a, b, DK_TYPE_MONEY, unit_y, 1, DK_HOUR, ret);
  if (op == DK_OP_DIV && x == DK_TYPE_MONEY && y == DK_TYPE_DURATION)
    return scaled(ev, at, op, a, b, DK_TYPE_RATE, unit_x, DK_HOUR, 1, ret);
  if (op == DK_OP_DIV && x == DK_TYPE_MONEY && y == DK_TYPE_RATE && unit_x == unit_y)
    return scaled(ev, at, op, a, b, DK_TYPE_DURATION, 0, DK_HOUR, 1, ret);
  return cannot(ev, at, op, a, b);
}

/* A number and a list: element by element. */
static bool map_list(struct dk_ev *ev, const struct dk_expr *at, enum dk_op op, const struct dk_num *a,
                     const struct dk_num *b, struct dk_num *ret) {
  bool left = type_of(ev, a) == DK_TYPE_LIST;
  dk_value_id list = left ? a->id : b->id, result;
  uint32_t n = dk_value_get(ev->values, list)->len;
  if (!dk_ev_elements(ev, at, n, "this list") || !dk_ev_step(ev, at, n)) return false;
  dk_value_id *items = dk_arena_array(ev->eval->checked->arena, dk_value_id, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    struct dk_num item, out;
    dk_num_set(ev, &item, dk_value_item(ev->values, list, i));
    if (!dk_ev_arith(ev, at, op, left ? &item : a, left ? b : &item, &out) || !dk_num_value(ev, at, &out, &items[i]))
      return false;
  }
  if (!dk_ev_list(ev, at, items, n, &result)) return false;
  dk_num_set(ev, ret, result);
  return true;
}

bool dk_ev_arith(struct dk_ev *ev, const struct dk_expr *at, enum dk_op op, const struct dk_num *a,
                 const struct dk_num *b, struct dk_num *ret) {
  enum dk_type x = type_of(ev, a), y = type_of(ev, b);
  if ((x == DK_TYPE_LIST && y != DK_TYPE_LIST && (is_numeric(y) || is_quantity(y))) ||
      (y == DK_TYPE_LIST && x != DK_TYPE_LIST && (is_numeric(x) || is_quantity(x))))
    return map_list(ev, at, op, a, b, ret);
  if (x == DK_TYPE_INT && y == DK_TYPE_INT) return int_arith(ev, at, op, a, b, ret);
  if (is_numeric(x) && is_numeric(y)) {
    if (op != DK_OP_FLOORDIV && op != DK_OP_MOD) return wide_arith(ev, at, op, a, b, ret);
    struct dk_diag *diag = dk_ev_error(ev, DK_E0301, at->kind == DK_EXPR_BINARY ? at->binary.op_span : at->span,
                                       "`%s` divides integers; one of these is a float", op_text(op));
    dk_diag_help(ev->eval->checked->diags, diag,
                 "`floor(a / b)` divides floats; `int(x)` makes an integer of a whole float");
    return false;
  }
  return quantity_arith(ev, at, op, a, b, ret);
}

bool dk_ev_negate(struct dk_ev *ev, const struct dk_expr *at, const struct dk_num *a, struct dk_num *ret) {
  enum dk_type type = type_of(ev, a);
  if (a->is_wide || type == DK_TYPE_FLOAT) {
    struct dk_wide wide;
    if (a->is_wide)
      dk_wide_set(&wide, &a->wide);
    else
      dk_ev_wide(ev, a->id, &wide);
    ret->is_wide = true;
    dk_wide_negate(&ret->wide, &wide);
    return true;
  }
  if (type == DK_TYPE_INT || type == DK_TYPE_LIST) {
    struct dk_num zero;
    dk_num_set(ev, &zero, dk_value_int(ev->values, type == DK_TYPE_INT ? 0 : -1));
    return dk_ev_arith(ev, at, type == DK_TYPE_INT ? DK_OP_SUB : DK_OP_MUL, &zero, a, ret);
  }
  const struct dk_value value = *dk_value_get(ev->values, a->id);
  if (!is_quantity(type)) {
    dk_ev_error(ev, DK_E0301, at->span, "`-` wants a number, a quantity or a list of them, not %s", dk_type_name(type));
    return false;
  }
  int64_t amount;
  if (__builtin_sub_overflow((int64_t)0, value.u.i, &amount)) return overflow(ev, at, dk_type_name(type));
  dk_num_set(ev, ret, dk_value_quantity(ev->values, type, value.unit, amount));
  return true;
}
