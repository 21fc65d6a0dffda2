/* Doubles and integers as text, exactly: see number.h. libc does the conversions (correctly rounded both ways in
 * glibc); this file finds the shortest digits and sets the form. Independent of the locale: digits are picked out of
 * printf's output, and strtod gets the C locale. */
#include "lang/base/number.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 4096 /* of a number that is read */

static locale_t c_locale(void) {
  return newlocale(LC_ALL_MASK, "C", (locale_t)0); /* in glibc a constant: nothing is allocated, nothing to free */
}

struct decimal {
  char digits[DBL_DECIMAL_DIG + 2]; /* no trailing zeros */
  int n_digits;
  int exponent; /* value = 0.digits * 10^exponent */
};

/* The n significant digits nearest to value (finite, positive). */
static void to_decimal(double value, int n, struct decimal *ret) {
  char text[64];
  snprintf(text, sizeof text, "%.*e", n - 1, value);
  char *e = strchr(text, 'e');
  ret->n_digits = 0;
  for (const char *at = text; at < e; at++) {
    if (*at >= '0' && *at <= '9') ret->digits[ret->n_digits++] = *at;
  }
  ret->exponent = (int)strtol(e + 1, NULL, 10) + 1;
  while (ret->n_digits > 1 && ret->digits[ret->n_digits - 1] == '0') ret->n_digits--;
  ret->digits[ret->n_digits] = '\0';
}

static bool reads_back(const struct decimal *decimal, double value, locale_t locale) {
  char text[64];
  snprintf(text, sizeof text, "0%se%d", decimal->digits, decimal->exponent - decimal->n_digits);
  return strtod_l(text, NULL, locale) == value;
}

/* The next decimal of n digits above. Only reached by powers of two, where it need not carry into a new digit. */
static bool next_above(struct decimal *decimal, int n) {
  while (decimal->n_digits < n) decimal->digits[decimal->n_digits++] = '0';
  decimal->digits[n] = '\0';
  if (decimal->digits[n - 1] == '9') return false;
  decimal->digits[n - 1]++;
  return true;
}

static void shortest(double value, struct decimal *ret) {
  locale_t locale = c_locale();
  int exponent;
  bool power_of_two = frexp(value, &exponent) == 0.5;
  /* What has up to 15 digits shows in 15; below DBL_MIN there are fewer to be had. */
  for (int n = value < DBL_MIN ? 1 : DBL_DIG; n <= DBL_DECIMAL_DIG; n++) {
    to_decimal(value, n, ret);
    if (reads_back(ret, value, locale)) return;
    /* A power of two has twice as much room above as below: the nearest n digits may lie below, outside of it, and the
     * next ones above inside. */
    if (power_of_two && next_above(ret, n) && reads_back(ret, value, locale)) return;
  }
}

/* ECMAScript's Number::toString (ECMA-262, 6.1.6.1.20), which RFC 8785 3.2.2.3 takes over. */
static char *put_decimal(char *at, const struct decimal *decimal) {
  int k = decimal->n_digits, n = decimal->exponent;
  const char *digits = decimal->digits;
  if (n > 21 || n < -5) {
    *at++ = digits[0];
    if (k > 1) at += sprintf(at, ".%s", digits + 1);
    return at + sprintf(at, "e%+d", n - 1);
  }
  if (n <= 0) {
    at += sprintf(at, "0.");
    for (int i = n; i < 0; i++) *at++ = '0';
    return at + sprintf(at, "%s", digits);
  }
  for (int i = 0; i < n || i < k; i++) {
    if (i == n) *at++ = '.';
    *at++ = i < k ? digits[i] : '0';
  }
  *at = '\0';
  return at;
}

void dk_number_text(double value, char ret[DK_NUMBER_TEXT]) {
  if (isnan(value)) {
    strcpy(ret, "NaN");
  } else if (isinf(value)) {
    strcpy(ret, value < 0 ? "-Infinity" : "Infinity");
  } else if (fabs(value) < 9007199254740992.0 && value == trunc(value)) {
    dk_number_int_text((int64_t)value, ret);
  } else {
    struct decimal decimal;
    char *at = ret;
    if (value < 0) *at++ = '-';
    shortest(fabs(value), &decimal);
    put_decimal(at, &decimal);
  }
}

size_t dk_number_int_text(int64_t value, char ret[DK_NUMBER_TEXT]) {
  char digits[DK_NUMBER_TEXT];
  size_t n = 0, len = 0;
  uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do digits[n++] = (char)('0' + size % 10);
  while (size /= 10);
  if (value < 0) ret[len++] = '-';
  while (n > 0) ret[len++] = digits[--n];
  ret[len] = '\0';
  return len;
}

static size_t skip_digits(const char *text, size_t len, size_t at) {
  while (at < len && text[at] >= '0' && text[at] <= '9') at++;
  return at;
}

static bool is_decimal(const char *text, size_t len) {
  size_t at = len > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  size_t start = at, digits;
  at = skip_digits(text, len, at);
  digits = at - start;
  if (at < len && text[at] == '.') {
    start = ++at;
    at = skip_digits(text, len, at);
    digits += at - start;
  }
  if (digits == 0) return false;
  if (at < len && (text[at] == 'e' || text[at] == 'E')) {
    at++;
    if (at < len && (text[at] == '-' || text[at] == '+')) at++;
    start = at;
    at = skip_digits(text, len, at);
    if (at == start) return false;
  }
  return at == len;
}

static bool is_text(const char *text, size_t len, const char *wanted) {
  return len == strlen(wanted) && memcmp(text, wanted, len) == 0;
}

int dk_number_parse(const char *text, size_t len, double *ret) {
  if (is_text(text, len, "NaN")) {
    *ret = (double)NAN;
    return 0;
  }
  if (is_text(text, len, "Infinity") || is_text(text, len, "-Infinity")) {
    *ret = *text == '-' ? -HUGE_VAL : HUGE_VAL;
    return 0;
  }
  char copy[TEXT_MAX];
  if (len >= sizeof copy || !is_decimal(text, len)) return -EINVAL;
  memcpy(copy, text, len);
  copy[len] = '\0';
  double value = strtod_l(copy, NULL, c_locale());
  if (isinf(value)) return -ERANGE;
  *ret = value;
  return 0;
}

int dk_number_parse_int(const char *text, size_t len, int64_t *ret) {
  bool negative = len > 0 && text[0] == '-';
  size_t at = len > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  if (at == len || skip_digits(text, len, at) != len) return -EINVAL;
  int64_t value = 0; /* kept negative: that side has one more */
  for (; at < len; at++) {
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, text[at] - '0', &value))
      return -ERANGE;
  }
  if (!negative && value == INT64_MIN) return -ERANGE;
  *ret = negative ? value : -value;
  return 0;
}
