/* Doubles as text: RFC 8785's examples, round trips of bit patterns, shortness against a search; reading; locales. */
#include "lang/base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static double from_bits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint64_t to_bits(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* RFC 8785, appendix B, and what the form's borders are in ECMA-262. */
static void test_rfc8785(void **state) {
  (void)state;
  static const struct {
    uint64_t bits;
    const char *text;
  } cases[] = {
      {0x0000000000000000, "0"},
      {0x8000000000000000, "0"},
      {0x0000000000000001, "5e-324"},
      {0x8000000000000001, "-5e-324"},
      {0x7fefffffffffffff, "1.7976931348623157e+308"},
      {0xffefffffffffffff, "-1.7976931348623157e+308"},
      {0x4340000000000000, "9007199254740992"},
      {0xc340000000000000, "-9007199254740992"},
      {0x4430000000000000, "295147905179352830000"},
      {0x44b52d02c7e14af5, "9.999999999999997e+22"},
      {0x44b52d02c7e14af6, "1e+23"},
      {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
      {0x444b1ae4d6e2ef4e, "999999999999999700000"},
      {0x444b1ae4d6e2ef4f, "999999999999999900000"},
      {0x444b1ae4d6e2ef50, "1e+21"},
      {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
      {0x3eb0c6f7a0b5ed8d, "0.000001"},
      {0x41b3de4355555553, "333333333.3333332"},
      {0x41b3de4355555554, "333333333.33333325"},
      {0x41b3de4355555555, "333333333.3333333"},
      {0x41b3de4355555556, "333333333.3333334"},
      {0x41b3de4355555557, "333333333.33333343"},
      {0xbecbf647612f3696, "-0.0000033333333333333333"},
      {0x43143ff3c1cb0959, "1424953923781206.2"},
      {0x7ff8000000000000, "NaN"},
      {0x7ff0000000000000, "Infinity"},
      {0xfff0000000000000, "-Infinity"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[DK_NUMBER_TEXT];
    dk_number_text(from_bits(cases[i].bits), text);
    assert_string_equal(text, cases[i].text);
  }
  static const struct {
    double value;
    const char *text;
  } plain[] = {{1, "1"},
               {0.1, "0.1"},
               {0.0001, "0.0001"},
               {1e-7, "1e-7"},
               {1.5e300, "1.5e+300"},
               {-12.25, "-12.25"},
               {1e20, "100000000000000000000"},
               {123456789012345680, "123456789012345680"}};
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
    char text[DK_NUMBER_TEXT];
    dk_number_text(plain[i].value, text);
    assert_string_equal(text, plain[i].text);
  }
}

static int count_digits(const char *text) {
  int n = 0, zeros = 0; /* without leading and trailing zeros */
  for (; *text && *text != 'e'; text++) {
    if (*text < '0' || *text > '9') continue;
    if (*text != '0') {
      n += zeros + 1;
      zeros = 0;
    } else if (n > 0) {
      zeros++;
    }
  }
  return n;
}

static void assert_round_trip(double value, bool search) {
  char text[DK_NUMBER_TEXT];
  double back = 0;
  memset(text, 'x', sizeof text);
  dk_number_text(value, text);
  assert_non_null(memchr(text, '\0', sizeof text));
  assert_int_equal(dk_number_parse(text, strlen(text), &back), 0);
  if (isnan(value)) {
    assert_true(isnan(back));
    return;
  }
  if (value == 0) value = 0.0; /* -0 is 0 */
  if (to_bits(back) != to_bits(value)) fail_msg("%.17g came back from %s as %.17g", value, text, back);
  if (!search || !isfinite(value)) return;
  /* No shorter decimal reads back. */
  char shorter[64];
  snprintf(shorter, sizeof shorter, "%.*e", count_digits(text) > 1 ? count_digits(text) - 2 : 0, value);
  if (count_digits(text) > 1 && strtod(shorter, NULL) == value) fail_msg("%s is shorter than %s", shorter, text);
}

static void test_round_trips(void **state) {
  (void)state;
  uint64_t seed = 42;
  for (int i = 0; i < 20000; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    assert_round_trip(from_bits(seed ^ seed >> 29), true); /* any bits: also subnormal, NaN */
    assert_round_trip((double)(int64_t)(seed >> 40) / 1000, true);
    assert_round_trip((double)(int64_t)seed, true);
    assert_round_trip(from_bits(seed >> 12), true); /* subnormal */
  }
  for (int exponent = 1; exponent < 2047; exponent++) { /* powers of two and their neighbours */
    uint64_t bits = (uint64_t)exponent << 52;
    assert_round_trip(from_bits(bits), true);
    assert_round_trip(from_bits(bits - 1), true);
    assert_round_trip(from_bits(bits + 1), true);
  }
  for (int exponent = -330; exponent < 310; exponent++) {
    char text[32];
    snprintf(text, sizeof text, "1e%d", exponent);
    assert_round_trip(strtod(text, NULL), true);
  }
}

/* Powers of two whose shortest decimal is not the nearest of its length: found by an exact search over all of them with
 * rationals. */
static void test_wide_side(void **state) {
  (void)state;
  static const struct {
    int exponent;
    const char *text;
  } cases[] = {{-1017, "7.120236347223045e-307"}, {-1007, "7.291122019556398e-304"}, {-957, "8.209073602596753e-289"},
               {-921, "5.641232424577593e-278"},  {-808, "5.858190679279809e-244"},  {-509, "5.966672584960166e-154"},
               {-383, "5.075883674631299e-116"},  {-366, "6.653062250012736e-111"},  {-296, "7.854549544476363e-90"},
               {-140, "7.174648137343064e-43"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[DK_NUMBER_TEXT];
    dk_number_text(ldexp(1, cases[i].exponent), text);
    assert_string_equal(text, cases[i].text);
  }
}

static int parse(const char *text, double *ret) {
  return dk_number_parse(text, strlen(text), ret);
}

static void test_parse(void **state) {
  (void)state;
  static const char *const good[] = {"1", "-1", "+1", "0.5", ".5", "5.", "1e5", "1E+5", "1e-5", "007", "1e-999", "-0"};
  static const double values[] = {1, -1, 1, 0.5, 0.5, 5, 1e5, 1e5, 1e-5, 7, 0, 0};
  static const char *const bad[] = {"",          " 1",    "1 ",    "0x10", "inf", "nan",    "infinity",
                                    "+Infinity", "NAN",   "1e",    "1e+",  ".",   "-",      "+-1",
                                    "1,5",       "1_000", "1e5.0", "--1",  "1f",  "nan(1)", ".e1"};
  double value;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_int_equal(parse(good[i], &value), 0);
    assert_true(value == values[i]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    value = 7;
    if (parse(bad[i], &value) != -EINVAL) fail_msg("'%s' was read", bad[i]);
    assert_true(value == 7);
  }
  assert_int_equal(parse("1e999", &value), -ERANGE);
  assert_int_equal(parse("-1e999", &value), -ERANGE);
  assert_int_equal(dk_number_parse("1\0", 2, &value), -EINVAL);
  assert_int_equal(dk_number_parse("123", 2, &value), 0);
  assert_true(value == 12);

  char longest[5000]; /* halfway between two doubles, decided by the last of 1,000 digits */
  memset(longest, '0', sizeof longest);
  memcpy(longest, "9007199254740993.", 17);
  longest[1000] = '1';
  assert_int_equal(dk_number_parse(longest, 1001, &value), 0);
  assert_true(value == 9007199254740994.0);
  assert_int_equal(dk_number_parse(longest, 1000, &value), 0);
  assert_true(value == 9007199254740992.0);
  assert_int_equal(dk_number_parse(longest, 4096, &value), -EINVAL);
}

static int parse_int(const char *text, int64_t *ret) {
  return dk_number_parse_int(text, strlen(text), ret);
}

static void test_parse_int(void **state) {
  (void)state;
  int64_t value;
  assert_int_equal(parse_int("9223372036854775807", &value), 0);
  assert_true(value == INT64_MAX);
  assert_int_equal(parse_int("-9223372036854775808", &value), 0);
  assert_true(value == INT64_MIN);
  assert_int_equal(parse_int("+007", &value), 0);
  assert_true(value == 7);
  assert_int_equal(parse_int("9223372036854775808", &value), -ERANGE);
  assert_int_equal(parse_int("-9223372036854775809", &value), -ERANGE);
  assert_int_equal(parse_int("99999999999999999999999", &value), -ERANGE);
  static const char *const bad[] = {"", "-", "+", "1.0", " 1", "1 ", "0x1", "1_0", "99999999999999999999x"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(parse_int(bad[i], &value), -EINVAL);
}

/* Under a locale with a decimal comma, if one is installed: printf and strtod follow it, ours must not. */
static void test_int_text(void **state) {
  (void)state;
  static const int64_t values[] = {0, 7, -7, 10, 99, 100, -1000, 9007199254740993, INT64_MAX, INT64_MIN, INT64_MIN + 1};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    char text[DK_NUMBER_TEXT], printed[DK_NUMBER_TEXT];
    int64_t back;
    snprintf(printed, sizeof printed, "%" PRId64, values[i]);
    assert_int_equal(dk_number_int_text(values[i], text), strlen(printed));
    assert_string_equal(text, printed);
    assert_int_equal(dk_number_parse_int(text, strlen(text), &back), 0);
    assert_int_equal(back, values[i]);
  }
}

static void test_locale(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ru_RU.UTF-8"};
  const char *set = NULL;
  for (size_t i = 0; !set && i < sizeof names / sizeof *names; i++) set = setlocale(LC_ALL, names[i]);
  if (!set) {
    print_message("no locale with a decimal comma is installed\n");
    skip();
  }
  assert_int_equal(localeconv()->decimal_point[0], ',');
  char text[DK_NUMBER_TEXT];
  double value;
  dk_number_text(-1234.5678e-3, text);
  assert_string_equal(text, "-1.2345678");
  assert_int_equal(parse("1.25", &value), 0);
  assert_true(value == 1.25);
  assert_int_equal(parse("1,25", &value), -EINVAL);
  setlocale(LC_ALL, "C");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rfc8785),  cmocka_unit_test(test_round_trips), cmocka_unit_test(test_wide_side),
      cmocka_unit_test(test_parse),    cmocka_unit_test(test_parse_int),   cmocka_unit_test(test_locale),
      cmocka_unit_test(test_int_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
