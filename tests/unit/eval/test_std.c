/* The standard library: every module checks clean, and every function and resource does what its comment says. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include "lang/base/alloc.h"
#include "stdlib/stdlib.h"

#include <string.h>

#define MAX_MODULES 16

static char *evaluate(const char *expr) {
  struct dk_test_module modules[MAX_MODULES];
  uint32_t n;
  const struct dk_stdlib_file *files = dk_stdlib_files(&n);
  assert_true(n <= MAX_MODULES);
  for (uint32_t i = 0; i < n; i++) modules[i] = (struct dk_test_module){files[i].name, files[i].text};
  struct dk_compile c = {.modules = modules, .n_modules = n};
  dk_autobuf text = DK_BUF_INIT;
  for (uint32_t i = 0; i < n; i++)
    dk_buf_printf(&text, "import %s as %s_\n", files[i].name, strchr(files[i].name, '.') + 1);
  dk_buf_printf(&text, "let result = %s\ntask t { run = \"x\" }", expr);
  dk_compile(&c, dk_buf_text(&text));
  char *result = dk_strdup(c.diags.count ? dk_compile_errors(&c) : dk_compile_value(&c, "result"));
  dk_compile_finish(&c);
  return result;
}

static const struct dk_row rows[] = {
    {"hardware_.small", "{ cpus = 1 memory = 1GiB }"},
    {"hardware_.medium", "{ cpus = 4 memory = 8GiB }"},
    {"hardware_.large", "{ cpus = 16 memory = 64GiB }"},
    {"hardware_.gpu", "{ cpus = 8 gpus = 1 memory = 32GiB }"},
    {"hardware_.gpu8", "{ cpus = 64 gpus = 8 memory = 512GiB }"},
    {"hardware_.small with { memory = 4GiB }", "{ cpus = 1 memory = 4GiB }"},
    {"hardware_.cpus(6)", "{ cpus = 6 memory = 12GiB }"},
    {"hardware_.gpus(2, \"A100\")", "{ cpus = 16 gpu = \"A100\" gpus = 2 memory = 128GiB }"},
    {"grid_.powers(2, -5, -1)", "[0.03125, 0.0625, 0.125, 0.25, 0.5]"},
    {"grid_.powers_by(2, -5, 15, 10)", "[0.03125, 32, 32768]"},
    {"grid_.decades(-4, -1)", "[0.0001, 0.001, 0.01, 0.1]"},
    {"grid_.doubling(16, 4)", "[16, 32, 64, 128]"},
    {"grid_.around(0.1, 10)", "[0.01, 0.1, 1]"},
    {"grid_.seeds(3)", "[1, 2, 3]"},
    {"grid_.folds(3)", "[0, 1, 2]"},
    {"grid_.pairs([1, 2], [3, 4])", "[[1, 3], [1, 4], [2, 3], [2, 4]]"},
    {"grid_.combinations([\"a\", \"b\", \"c\"])", "[[\"a\", \"b\"], [\"a\", \"c\"], [\"b\", \"c\"]]"},
    {"grid_.leave_one_out([1, 2, 3])", "[[2, 3], [1, 3], [1, 2]]"},
    {"ml_.steps_per_epoch(1000, 64)", "16"},
    {"ml_.steps_per_epoch(1024, 64)", "16"},
    {"ml_.steps(1000, 64, 10)", "160"},
    {"ml_.linear_lr(0.1, 1024, 256)", "0.4"},
    {"ml_.sqrt_lr(0.1, 1024, 256)", "0.2"},
    {"ml_.accumulate(256, 16, 4)", "4"},
    {"ml_.accumulate(8, 16, 4)", "1"},
    {"ml_.weights(7000000000, 2)", "14GB"},
    {"ml_.adam_memory(1000000000)", "16GB"},
};

static void test_members(void **state) {
  (void)state;
  DK_TABLE(rows, evaluate);
}

/* Every let and resource of every module is in a row. */
static void test_complete(void **state) {
  (void)state;
  uint32_t n;
  const struct dk_stdlib_file *files = dk_stdlib_files(&n);
  assert_true(n >= 3);
  for (uint32_t i = 0; i < n; i++) {
    struct dk_compile c = {0};
    dk_compile(&c, files[i].text);
    assert_ptr_equal(dk_stdlib_find(files[i].name), &files[i]);
    assert_int_equal(strlen(files[i].text), files[i].len);
    const struct dk_module *module = c.checked->modules[0];
    for (uint32_t j = 0; j < module->n_decls; j++) {
      dk_autobuf member = DK_BUF_INIT;
      bool found = false;
      dk_buf_printf(&member, "%s_.%s", strchr(files[i].name, '.') + 1, module->decls[j]->name->text);
      for (size_t k = 0; k < sizeof rows / sizeof *rows && !found; k++)
        found = strncmp(rows[k].text, dk_buf_text(&member), member.len) == 0;
      if (!found) fail_msg("no test of %s", dk_buf_text(&member));
    }
    dk_compile_finish(&c);
  }
  assert_null(dk_stdlib_find("std.nothing"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_members), cmocka_unit_test(test_complete)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
