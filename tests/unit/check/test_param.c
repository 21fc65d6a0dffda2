/* Parameters given with -p. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include "lang/base/alloc.h"

struct given_row {
  const char *value, *given, *want;
};

static void test_given(void **state) {
  (void)state;
  static const struct given_row rows[] = {
      {"5", "10", "10"},
      {"5", "2 ** 3", "8"},
      {"0.5", "1", "1"},
      {"0.5", "1e-3", "0.001"},
      {"\"a\"", "b c", "\"b c\""},
      {"\"a\"", "5", "\"5\""},
      {"\"a\"", "2024-01-02", "\"2024-01-02\""},
      {"\"a\"", "", "\"\""},
      {"\"a\"", "\"q", "\"\\\"q\""},
      {"null", "fast", "\"fast\""},
      {"null", "data/x-1.csv", "\"data/x-1.csv\""},
      {"null", "3", "3"},
      {"null", "true", "true"},
      {"[1, 2]", "[3]", "[3]"},
      {"[1, 2]", "1..3", "[1, 2, 3]"},
      {"true", "false", "false"},
      {"1h", "90m", "1h30m"},
      {"{ a = 1 }", "{ a = 2 }", "{ a = 2 }"},
      {"5", "x",
       "E0313 -p p:1[x] parameter `p` wants an integer, not a string\n  - 1[5] its value in the file is an integer\n"},
      {"5", "1.5",
       "E0313 -p p:1[1.5] parameter `p` wants an integer, not a float\n  - 1[5] its value in the file is an integer\n"},
      {"5", "1 / 0", "E0303 -p p:1[0] division by zero\n  ^ this is 0\n"},
      {"[1]", "[q]", "E0201 -p p:1[q] nothing is named `q` here\n"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct dk_check_given given = {"p", rows[i].given};
    struct dk_compile c = {.given = &given, .n_given = 1};
    dk_autobuf text = DK_BUF_INIT;
    dk_buf_printf(&text, "param p = %s\ntask t { run = \"x\" }", rows[i].value);
    dk_compile(&c, dk_buf_text(&text));
    assert_string_equal(c.diags.count ? dk_compile_errors(&c) : dk_compile_value(&c, "p"), rows[i].want);
    dk_compile_finish(&c);
  }
}

static void test_unknown(void **state) {
  (void)state;
  struct dk_check_given given[] = {{"fold", "3"}};
  struct dk_compile c = {.given = given, .n_given = 1};
  dk_compile(&c, "param folds = 5 param seed = 1 task t { run = \"x\" }");
  assert_string_equal(dk_compile_errors(&c), "E0215 no parameter `fold`\n  = help: did you mean `folds`?\n"
                                             "  = note: the file has the parameters folds, seed\n");
  dk_compile_finish(&c);
  c = (struct dk_compile){.given = given, .n_given = 1};
  dk_compile(&c, "task t { run = \"x\" }");
  assert_string_equal(
      dk_compile_errors(&c),
      "E0215 no parameter `fold`\n  = note: the file has no parameters; declare one with `param fold = ...`\n");
  dk_compile_finish(&c);
}

static void test_last_counts(void **state) {
  (void)state;
  struct dk_check_given given[] = {{"p", "1"}, {"q", "7"}, {"p", "2"}};
  struct dk_compile c = {.given = given, .n_given = 3};
  dk_compile(&c, "param p = 5 let a = p * 10 param q = a + 1 let b = q task t { run = \"x\" }");
  assert_string_equal(dk_compile_errors(&c), "");
  assert_string_equal(dk_compile_value(&c, "a"), "20");
  assert_string_equal(dk_compile_value(&c, "b"), "7");
  dk_compile_finish(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_given), cmocka_unit_test(test_unknown),
                                     cmocka_unit_test(test_last_counts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
