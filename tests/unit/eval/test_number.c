/* Numbers: exact ints, floats rounded once, decimals as written. Values checked by hand or with exact rational
 * arithmetic (Python's fractions and decimal modules); none is copied from this program's own output. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

static void test_decimals(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"1 - 0.9999", "0.0001"},
      {"1 - 0.9", "0.1"},
      {"0.1 + 0.2", "0.3"},
      {"0.1 + 0.2 == 0.3", "true"},
      {"0.1 * 3", "0.3"},
      {"3 * 1.1", "3.3"},
      {"1 / 3", "0.3333333333333333"},
      {"1 / 3 * 3", "1"},
      {"2 / 3 + 1 / 3 == 1", "true"},
      {"1e308 * 10 / 10", "1e+308"}, /* too large only in the middle */
      {"1e-200 * 1e-200 * 1e300", "1e-100"},
      {"4.35 * 100", "435"},
      {"1.005 * 1000", "1005"},
      {"(0.1 + 0.7) * 10", "8"},
      {"5e-324 / 2 * 2", "5e-324"},
      {"100 * 1.1", "110"},
      {"-0.0", "0"},
      {"0.5 - 0.5", "0"},
      {"1.0", "1"},
      {"6 / 3", "2"},
      {"7 / 2", "3.5"},
      {"1e21 + 1", "1e+21"},
      {"0.000001", "0.000001"},
      {"0.0000001", "1e-7"},
  };
  DK_TABLE(rows, dk_compile_expr);
}

/* The value of a let is a double again: it means the decimal that it prints. */
static void test_through_lets(void **state) {
  (void)state;
  struct dk_compile c = {0};
  dk_compile(
      &c, "let a = 0.9999 let b = 1 - a let xs = [0.9, 0.99, 0.999] let ys = 1 - xs let f(x) = 1 - x let z = f(0.7)\n"
          "let third = 1 / 3 let one = third * 3\n"
          "task t { run = \"x\" }");
  assert_string_equal(dk_compile_errors(&c), "");
  assert_string_equal(dk_compile_value(&c, "b"), "0.0001");
  assert_string_equal(dk_compile_value(&c, "ys"), "[0.1, 0.01, 0.001]");
  assert_string_equal(dk_compile_value(&c, "z"), "0.3");
  assert_string_equal(dk_compile_value(&c, "one"), "0.9999999999999999");
  dk_compile_finish(&c);
}

static void test_powers(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"2 ** 10", "1024"},
      {"2 ** 62", "4611686018427387904"},
      {"(-3) ** 3", "-27"},
      {"-3 ** 2", "-9"},
      {"2 ** 3 ** 2", "512"},
      {"0 ** 0", "1"},
      {"2 ** -5", "0.03125"},
      {"10 ** -3", "0.001"},
      {"10 ** -7", "1e-7"},
      {"2 ** 0.5", "1.4142135623730951"},
      {"2.0 ** 64", "18446744073709552000"},
      {"1.1 ** 2", "1.21"},
      {"0.1 ** 3", "0.001"},
      {"27 ** (1 / 3)", "3"}, /* 1 / 3 is carried wide */
      {"2 ** (-5..15 by 2)", "[0.03125, 0.125, 0.5, 2, 8, 32, 128, 512, 2048, 8192, 32768]"},
      {"2 ** (-15..3 by 2)",
       "[0.000030517578125, 0.0001220703125, 0.00048828125, 0.001953125, 0.0078125, 0.03125, 0.125, "
       "0.5, 2, 8]"},
      {"10 ** (-4..-1)", "[0.0001, 0.001, 0.01, 0.1]"},
      {"1e308 ** 1", "1e+308"},
  };
  DK_TABLE(rows, dk_compile_expr);
}

static void test_ints(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"7 // 2", "3"},
      {"-7 // 2", "-4"},
      {"7 // -2", "-4"},
      {"-7 % 2", "1"},
      {"7 % -2", "-1"},
      {"5 * 64 // 64", "5"},
      {"9223372036854775807", "9223372036854775807"},
      {"-9223372036854775807 - 1", "-9223372036854775808"},
      {"(-9223372036854775807 - 1) % -1", "0"},
      {"9223372036854775807 == 9223372036854775807.0", "false"}, /* the float is 2^63 */
      {"9007199254740993 == 9007199254740992.0", "false"},
      {"9007199254740993 > 9007199254740992.0", "true"},
      {"9223372036854775807 < 9223372036854775807.0", "true"},
      {"1 == 1.0", "true"},
      {"[1, 2] == [1.0, 2.0]", "true"},
      {"{ a = 1 } == { a = 1.0 }", "true"},
  };
  DK_TABLE(rows, dk_compile_expr);
}

#define TOO_LARGE(text)                                                                                                \
  "E0302 1[" text "] an integer beyond 64 bits\n"                                                                      \
  "  = help: write one of the numbers with a point, as in 2.0 ** 64, for a float\n"

static void test_errors(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"9223372036854775807 + 1", TOO_LARGE("9223372036854775807 + 1")},
      {"-9223372036854775807 - 2", TOO_LARGE("-9223372036854775807 - 2")},
      {"4294967296 * 4294967296", TOO_LARGE("4294967296 * 4294967296")},
      {"2 ** 63", TOO_LARGE("2 ** 63")},
      {"10 ** 19", TOO_LARGE("10 ** 19")},
      {"(-9223372036854775807 - 1) // -1", TOO_LARGE("(-9223372036854775807 - 1) // -1")},
      {"1 / 0", "E0303 1[0] division by zero\n  ^ this is 0\n"},
      {"1 // 0", "E0303 1[0] division by zero\n  ^ this is 0\n"},
      {"1 % 0", "E0303 1[0] division by zero\n  ^ this is 0\n"},
      {"1.5 / 0.0", "E0303 1[0.0] division by zero\n  ^ this is 0\n"},
      {"0 ** -1", "E0303 1[-1] division by zero\n  ^ this is 0\n"},
      {"0.0 ** -1", "E0304 1[0.0 ** -1] the result of `**` is no finite number here\n"},
      {"(-8) ** 0.5", "E0304 1[(-8) ** 0.5] the result of `**` is no finite number here\n"},
      {"10.0 ** 400", "E0304 1[10.0 ** 400] this number is too large for a float (the largest is about 1.8e308)\n"},
      {"7.5 // 2", "E0301 1[//] `//` divides integers; one of these is a float\n"
                   "  = help: `floor(a / b)` divides floats; `int(x)` makes an integer of a whole float\n"},
  };
  DK_TABLE(rows, dk_compile_expr);
}

static void test_ranges(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"1..5", "[1, 2, 3, 4, 5]"},
      {"5..1", "[]"},
      {"5..1 by -2", "[5, 3, 1]"},
      {"1..1", "[1]"},
      {"0..1 by 0.25", "[0, 0.25, 0.5, 0.75, 1]"},
      {"0.1..0.5 by 0.1", "[0.1, 0.2, 0.3, 0.4, 0.5]"},
      {"0..0.3 by 0.1", "[0, 0.1, 0.2, 0.3]"}, /* 0.1 + 0.1 + 0.1 > 0.3 in doubles */
      {"0.1..0.29 by 0.1", "[0.1, 0.2]"},
      {"1..0 by -0.25", "[1, 0.75, 0.5, 0.25, 0]"},
      {"len(0..1 by 0.001)", "1001"},
      {"len(0..1 by 0.1e-5)", "1000001"},
      {"1e-7..3e-7 by 1e-7", "[1e-7, 2e-7, 3e-7]"},
      {"1e300..3e300 by 1e300", "[1e+300, 2e+300, 3e+300]"},
      {"len(1e-300..1e-299 by 1e-300)", "10"},
      {"9223372036854775806..9223372036854775807", "[9223372036854775806, 9223372036854775807]"},
      {"10s..30s by 10s", "[10s, 20s, 30s]"},
      {"1GiB..4GiB by 1GiB", "[1GiB, 2GiB, 3GiB, 4GiB]"},
      {"1..3 by 0", "E0303 1[0] a range's step cannot be 0\n"},
      {"1..\"3\"", "E0301 1[\"3\"] a range goes from number to number, not a string\n  ^ a string\n"},
      {"1GiB..4h by 1h", "E0301 1[1GiB..4h by 1h] a range cannot go from a size to a duration\n"
                         "  = help: say the step with its unit, as in 1GiB..8GiB by 1GiB\n"},
      {"1GiB..4GiB", "E0301 1[1GiB..4GiB] a range of sizes needs a step that is one too\n"
                     "  = help: say the step with its unit, as in 1GiB..8GiB by 1GiB\n"},
  };
  DK_TABLE(rows, dk_compile_expr);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_decimals), cmocka_unit_test(test_through_lets), cmocka_unit_test(test_powers),
      cmocka_unit_test(test_ints),     cmocka_unit_test(test_errors),       cmocka_unit_test(test_ranges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
