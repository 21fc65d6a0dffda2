/* Numbers inside an expression: binary floats of 256 bits (libmpfr), rounded once to the nearest double when they leave
 * it.
 *
 * A double that enters means the shortest decimal that reads back as it, the one it is printed as: 0.9999 is
 * 9999/10000, so that `1 - 0.9999` is 0.0001 whether 0.9999 was written there or came from a column. No result depends
 * on the libm.
 *
 * A dk_wide may not be copied (it points into itself). libmpfr takes small temporary memory from malloc for powers and
 * logarithms and ends the process when there is none: the one place where we cannot handle it (GMP manual, "Custom
 * Allocation": no way to recover). */
#ifndef DK_EVAL_WIDE_H
#define DK_EVAL_WIDE_H

#include "lang/syntax/ast.h"

#include <mpfr.h>

#define DK_WIDE_BITS 256
#define DK_WIDE_LIMBS (DK_WIDE_BITS / 64)

struct dk_wide {
  mpfr_t x;
  mp_limb_t limbs[DK_WIDE_LIMBS];
};

void dk_wide_set_int(struct dk_wide *ret, int64_t value);
void dk_wide_set_double(struct dk_wide *ret, double value);
void dk_wide_set(struct dk_wide *ret, const struct dk_wide *from);
/* a op b for + - * / **. False when the result is no finite number (division by zero, a root of a negative number). */
bool dk_wide_op(enum dk_op op, struct dk_wide *ret, const struct dk_wide *a, const struct dk_wide *b);
void dk_wide_negate(struct dk_wide *ret, const struct dk_wide *a);
bool dk_wide_is_zero(const struct dk_wide *a);
/* Base-2 logarithm; false for a number that is not above 0. */
bool dk_wide_log2(struct dk_wide *ret, const struct dk_wide *a);
/* first * (last / first) ** (i / n). Both ends have one sign and are not 0. */
void dk_wide_geometric(struct dk_wide *ret, const struct dk_wide *first, const struct dk_wide *last, int64_t i,
                       int64_t n);

enum dk_rounding { DK_ROUND_NEAREST /* halves away from zero */, DK_ROUND_FLOOR, DK_ROUND_CEIL };
/* False beyond 64 bits. */
bool dk_wide_to_int(const struct dk_wide *a, enum dk_rounding rounding, int64_t *ret);
/* The nearest decimal with so many places (0 to 300), halves away from zero. */
void dk_wide_round_decimal(struct dk_wide *ret, const struct dk_wide *a, unsigned places);
/* The nearest double, halves to even; false when it would be infinite. */
bool dk_wide_to_double(const struct dk_wide *a, double *ret);

/* How many of first, first + step, ... do not pass last: exactly, for the decimals that the doubles mean. 0 if none;
 * more than INT64_MAX counts as that. step is not 0. */
int64_t dk_wide_count(double first, double last, double step);

/* Frees libmpfr's caches of constants (of this thread). */
void dk_wide_finish(void);

#endif
