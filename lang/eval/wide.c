/* Arithmetic at 256 bits: see wide.h. */
#include "lang/eval/wide.h"

#include "lang/base/number.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void init(struct dk_wide *wide) {
  /* Memory of our own, so that nothing has to be freed when a pass ends by a jump (MPFR manual, "Custom Interface"). */
  assert(mpfr_custom_get_size(DK_WIDE_BITS) <= sizeof wide->limbs);
  mpfr_custom_init(wide->limbs, DK_WIDE_BITS);
  mpfr_custom_init_set(wide->x, MPFR_ZERO_KIND, 0, DK_WIDE_BITS, wide->limbs);
}

void dk_wide_set_int(struct dk_wide *ret, int64_t value) {
  init(ret);
  mpfr_set_si(ret->x, value, MPFR_RNDN);
}

/* value == digits / 10^places with at most 15 digits: then that is the shortest decimal (DBL_DIG), found without
 * text. */
static bool short_decimal(double value, long *ret_digits, unsigned *ret_places) {
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  for (unsigned places = 0; places < sizeof powers / sizeof *powers; places++) {
    double digits = nearbyint(value * powers[places]);
    if (fabs(digits) >= 1e15) return false;
    if (digits / powers[places] == value) {
      *ret_digits = (long)digits;
      *ret_places = places;
      return true;
    }
  }
  return false;
}

/* A decimal is a hair off at 256 bits, and so is what is computed with it: 2.345 * 100 may come out below 234.5. Before
 * a choice between two integers the last bits are rounded away, far below what a double can tell. */
static void settle(mpfr_t ret, const mpfr_t from) {
  mp_limb_t limbs[DK_WIDE_LIMBS];
  mpfr_t coarse;
  mpfr_custom_init(limbs, DK_WIDE_BITS - 16);
  mpfr_custom_init_set(coarse, MPFR_ZERO_KIND, 0, DK_WIDE_BITS - 16, limbs);
  mpfr_set(coarse, from, MPFR_RNDN);
  mpfr_set(ret, coarse, MPFR_RNDN);
}

static void set_decimal(mpfr_t ret, double value) {
  char text[DK_NUMBER_TEXT];
  dk_number_text(value, text);
  mpfr_set_str(ret, text, 10, MPFR_RNDN);
}

void dk_wide_set_double(struct dk_wide *ret, double value) {
  init(ret);
  long digits;
  unsigned places;
  if (!short_decimal(value, &digits, &places)) {
    set_decimal(ret->x, value);
    return;
  }
  mpfr_set_si(ret->x, digits, MPFR_RNDN);
  /* 10^22 < 2^53 * 2^22: two exact divisors, one rounding more than the text would have, far below a double's last
   * bit. */
  if (places > 18) {
    mpfr_div_ui(ret->x, ret->x, 1000000000000000000u, MPFR_RNDN);
    places -= 18;
  }
  unsigned long power = 1;
  while (places--) power *= 10;
  if (power > 1) mpfr_div_ui(ret->x, ret->x, power, MPFR_RNDN);
}

void dk_wide_set(struct dk_wide *ret, const struct dk_wide *from) {
  init(ret);
  mpfr_set(ret->x, from->x, MPFR_RNDN);
}

bool dk_wide_op(enum dk_op op, struct dk_wide *ret, const struct dk_wide *a, const struct dk_wide *b) {
  init(ret);
  switch (op) {
  case DK_OP_ADD: mpfr_add(ret->x, a->x, b->x, MPFR_RNDN); break;
  case DK_OP_SUB: mpfr_sub(ret->x, a->x, b->x, MPFR_RNDN); break;
  case DK_OP_MUL: mpfr_mul(ret->x, a->x, b->x, MPFR_RNDN); break;
  case DK_OP_DIV: mpfr_div(ret->x, a->x, b->x, MPFR_RNDN); break;
  case DK_OP_POW: mpfr_pow(ret->x, a->x, b->x, MPFR_RNDN); break;
  default: assert(!"an operator of numbers"); return false;
  }
  return mpfr_number_p(ret->x) != 0;
}

void dk_wide_negate(struct dk_wide *ret, const struct dk_wide *a) {
  init(ret);
  mpfr_neg(ret->x, a->x, MPFR_RNDN);
}

bool dk_wide_is_zero(const struct dk_wide *a) {
  return mpfr_zero_p(a->x) != 0;
}

bool dk_wide_log2(struct dk_wide *ret, const struct dk_wide *a) {
  init(ret);
  if (mpfr_sgn(a->x) <= 0) return false;
  mpfr_log2(ret->x, a->x, MPFR_RNDN);
  return true;
}

void dk_wide_geometric(struct dk_wide *ret, const struct dk_wide *first, const struct dk_wide *last, int64_t i,
                       int64_t n) {
  struct dk_wide power;
  init(ret);
  init(&power);
  mpfr_div(ret->x, last->x, first->x, MPFR_RNDN);
  mpfr_set_si(power.x, i, MPFR_RNDN);
  mpfr_div_si(power.x, power.x, n, MPFR_RNDN);
  mpfr_pow(ret->x, ret->x, power.x, MPFR_RNDN);
  mpfr_mul(ret->x, ret->x, first->x, MPFR_RNDN);
}

bool dk_wide_to_int(const struct dk_wide *a, enum dk_rounding rounding, int64_t *ret) {
  struct dk_wide whole;
  init(&whole);
  if (rounding == DK_ROUND_FLOOR)
    mpfr_floor(whole.x, a->x);
  else if (rounding == DK_ROUND_CEIL)
    mpfr_ceil(whole.x, a->x);
  else
    mpfr_round(whole.x, a->x);
  if (!mpfr_fits_slong_p(whole.x, MPFR_RNDN)) return false;
  *ret = mpfr_get_si(whole.x, MPFR_RNDN);
  return true;
}

void dk_wide_round_decimal(struct dk_wide *ret, const struct dk_wide *a, unsigned places) {
  struct dk_wide power;
  init(ret);
  init(&power);
  mpfr_ui_pow_ui(power.x, 10, places, MPFR_RNDN);
  mpfr_mul(ret->x, a->x, power.x, MPFR_RNDN);
  settle(ret->x, ret->x);
  mpfr_round(ret->x, ret->x);
  mpfr_div(ret->x, ret->x, power.x, MPFR_RNDN);
}

bool dk_wide_to_double(const struct dk_wide *a, double *ret) {
  *ret = mpfr_get_d(a->x, MPFR_RNDN);
  if (*ret == 0) *ret = 0; /* -0 */
  return isfinite(*ret);
}

/* Decimals of doubles have 17 digits between 10^308 and 10^-324: scaled to integers they take at most 640 digits, 2,126
 * bits. */
#define COUNT_BITS 2304
#define COUNT_LIMBS (COUNT_BITS / 64)

struct exact {
  mpfr_t x;
  mp_limb_t limbs[COUNT_LIMBS];
};

/* value * 10^343, an integer. */
static void set_scaled(struct exact *ret, double value) {
  char text[DK_NUMBER_TEXT], scaled[DK_NUMBER_TEXT + 8];
  mpfr_custom_init(ret->limbs, COUNT_BITS);
  mpfr_custom_init_set(ret->x, MPFR_ZERO_KIND, 0, COUNT_BITS, ret->limbs);
  dk_number_text(value, text);
  size_t mantissa = strcspn(text, "e");
  long exponent = text[mantissa] ? strtol(text + mantissa + 1, NULL, 10) : 0;
  snprintf(scaled, sizeof scaled, "%.*se%ld", (int)mantissa, text, exponent + 343);
  mpfr_set_str(ret->x, scaled, 10, MPFR_RNDN);
}

int64_t dk_wide_count(double first, double last, double step) {
  struct exact a, b, k;
  set_scaled(&a, first);
  set_scaled(&b, last);
  set_scaled(&k, step);
  mpfr_sub(b.x, b.x, a.x, MPFR_RNDN); /* exact */
  if (mpfr_sgn(b.x) * mpfr_sgn(k.x) < 0) return 0;
  mpfr_div(b.x, b.x, k.x, MPFR_RNDD); /* never below the floor of the quotient, which is representable */
  mpfr_floor(b.x, b.x);
  if (mpfr_cmp_si(b.x, INT64_MAX - 1) >= 0) return INT64_MAX;
  return mpfr_get_si(b.x, MPFR_RNDN) + 1;
}

void dk_wide_finish(void) {
  mpfr_free_cache();
}
