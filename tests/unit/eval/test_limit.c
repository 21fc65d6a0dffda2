/* Limits: each is a located error, comes before the work is done, and is said once. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include "lang/base/alloc.h"

#include <string.h>

static void test_refused_by_size(void **state) {
  (void)state;
  static const char note[] = "  = note: all lists of a file together may have 10000000\n";
  static const struct {
    const char *expr, *message;
  } rows[] = {
      {"1..10**12", "E0305 1[1..10**12] this range would have 1000000000000 elements\n"},
      {"1..10000001", "E0305 1[1..10000001] this range would have 10000001 elements\n"},
      {"0..1 by 1e-12", "E0305 1[0..1 by 1e-12] this range would have 1000000000001 elements\n"},
      {"0..1e308 by 1e-308", "E0305 1[0..1e308 by 1e-308] this range would have more than 10^18 elements\n"},
      {"-9223372036854775807..9223372036854775807",
       "E0305 1[-9223372036854775807..9223372036854775807] this range would have more than 10^18 elements\n"},
      {"linspace(0, 1, 10**9)", "E0305 1[linspace(0, 1, 10**9)] this list would have 1000000000 elements\n"},
      {"geomspace(1, 2, 10**9)", "E0305 1[geomspace(1, 2, 10**9)] this list would have 1000000000 elements\n"},
      {"subsets(1..30)", "E0305 1[subsets(1..30)] this list would have 17179869184 elements\n"},
      {"subsets(1..1000, 500)", "E0305 1[subsets(1..1000, 500)] this list would have 9223372036854775807 elements\n"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char *have = dk_compile_expr(rows[i].expr);
    if (i != 8) assert_memory_equal(have, rows[i].message, strlen(rows[i].message));
    assert_non_null(strstr(have, note));
    dk_free(have);
  }
}

/* Nothing of the size was taken: a refused range costs no memory. */
static void test_refused_cheaply(void **state) {
  (void)state;
  struct dk_compile c = {0};
  dk_compile(&c, "let x = 1..10**12 task t { run = \"x\" }");
  assert_true(c.arena.total < 1u << 20);
  assert_true(c.eval.steps < 100);
  dk_compile_finish(&c);
}

static void test_elements_in_all(void **state) {
  (void)state;
  struct dk_compile c = {0};
  dk_compile(&c, "let a = [[y for y in 1..1000] for x in 1..100000]\nlet b = [1, 2]\ntask t { run = \"x\" }");
  const char *errors = dk_compile_errors(&c);
  assert_non_null(strstr(errors, "the file's lists have more than 10000000 elements"));
  assert_int_equal(c.diags.n_errors, 1); /* b fails too, quietly */
  dk_compile_finish(&c);
}

static void test_text(void **state) {
  (void)state;
  struct dk_compile c = {0};
  dk_compile(
      &c, "let a = \"0123456789abcdef\" let b = \"{{a}}{{a}}{{a}}{{a}}{{a}}{{a}}{{a}}{{a}}\"\n"
          "let d = \"{{b}}{{b}}{{b}}{{b}}{{b}}{{b}}{{b}}{{b}}\" let e = \"{{d}}{{d}}{{d}}{{d}}{{d}}{{d}}{{d}}{{d}}\"\n"
          "let f = \"{{e}}{{e}}{{e}}{{e}}{{e}}{{e}}{{e}}{{e}}\" let g = \"{{f}}{{f}}{{f}}{{f}}{{f}}{{f}}{{f}}{{f}}\"\n"
          "let h = \"{{g}}{{g}}{{g}}{{g}}{{g}}{{g}}{{g}}{{g}}\"\n"
          "let i = join([g, g, g])\n"
          "task t { run = \"x\" }");
  assert_string_equal(dk_compile_errors(&c),
                      "E0305 4[g] this text would have more than 1048576 bytes\n"
                      "E0305 5[join([g, g, g])] this text would have 1048577 bytes; at most 1048576 are allowed\n");
  dk_compile_finish(&c);
}

/* A list of two equal lists of two equal lists ...: small here, endless when walked. */
static void test_shared_lists(void **state) {
  (void)state;
  dk_autobuf text = DK_BUF_INIT;
  dk_buf_add_text(&text, "let a0 = [1, 1]\n");
  for (int i = 1; i < 50; i++) dk_buf_printf(&text, "let a%d = [a%d, a%d]\n", i, i - 1, i - 1);
  dk_buf_add_text(&text, "let h = hash(a20)\ntask t { run = \"x\" }");
  char *errors = dk_compile_text(dk_buf_text(&text));
  assert_non_null(strstr(errors, "counting those of its elements"));
  dk_free(errors);
}

static void test_deep_values(void **state) {
  (void)state;
  dk_autobuf text = DK_BUF_INIT;
  dk_buf_add_text(&text, "let a0 = [1]\n");
  for (int i = 1; i < 100; i++) dk_buf_printf(&text, "let a%d = [a%d]\n", i, i - 1);
  dk_buf_add_text(&text, "task t { run = \"x\" }");
  char *errors = dk_compile_text(dk_buf_text(&text));
  assert_string_equal(errors, "E0305 65[[a63]] lists and records are nested more than 64 deep here\n");
  dk_free(errors);
}

/* A long chain of lets takes no stack; a long chain of functions that call each other is refused. */
static void test_chains(void **state) {
  (void)state;
  dk_autobuf lets = DK_BUF_INIT, functions = DK_BUF_INIT;
  dk_buf_add_text(&lets, "let a0 = 1\n");
  dk_buf_add_text(&functions, "let f0(x) = x\n");
  for (int i = 1; i < 20000; i++) dk_buf_printf(&lets, "let a%d = a%d + 1\n", i, i - 1);
  for (int i = 1; i < 3000; i++) dk_buf_printf(&functions, "let f%d(x) = f%d(x) + 1\n", i, i - 1);
  dk_buf_add_text(&lets, "task t { run = \"x\" }");
  dk_buf_add_text(&functions, "let y = f2999(1) task t { run = \"x\" }");
  struct dk_compile c = {0};
  dk_compile(&c, dk_buf_text(&lets));
  assert_string_equal(dk_compile_errors(&c), "");
  assert_string_equal(dk_compile_value(&c, "a19999"), "20000");
  dk_compile_finish(&c);
  char *errors = dk_compile_text(dk_buf_text(&functions));
  assert_non_null(strstr(errors, "functions and expressions are nested more than 1000 deep here"));
  dk_free(errors);
}

static void test_steps(void **state) {
  (void)state;
  struct dk_compile c = {0};
  dk_compile(&c, "task t { run = \"x\" }");
  c.eval.steps = DK_EVAL_MAX_STEPS - 3; /* as if the rest of the file had taken them */
  struct dk_expr one = {.kind = DK_EXPR_INT, .depth = 1, .span = {1, 2}};
  dk_value_id id;
  for (int i = 0; i < 3; i++) assert_int_equal(dk_eval(&c.eval, &one, NULL, &id), DK_EVAL_OK);
  assert_int_equal(dk_eval(&c.eval, &one, NULL, &id), DK_EVAL_FAILED);
  assert_int_equal(dk_eval(&c.eval, &one, NULL, &id), DK_EVAL_FAILED);
  assert_string_equal(dk_compile_errors(&c),
                      "E0305 1[t] the file takes more than 100000000 steps to evaluate\n"
                      "  = help: make a list once with `let` instead of at every point, or shorten it\n");
  dk_compile_finish(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_refused_by_size), cmocka_unit_test(test_refused_cheaply),
      cmocka_unit_test(test_elements_in_all), cmocka_unit_test(test_text),
      cmocka_unit_test(test_shared_lists),    cmocka_unit_test(test_deep_values),
      cmocka_unit_test(test_chains),          cmocka_unit_test(test_steps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
