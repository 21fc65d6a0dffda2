/* dk_check_uses: what an expression depends on. The schema tables. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include "lang/check/schema.h"

#include <string.h>

static void test_uses(void **state) {
  (void)state;
  struct dk_compile c = {0};
  dk_compile(
      &c, "let k = 2 let f(x) = x * k\n"
          "grid g { lr in [1] seed in 1..3 n in [1] }\n"
          "task make over g { run = \"{{lr}}{{seed}}{{n}}\" outputs { model = \"m\" } metrics { loss = match(stdout, "
          "'x') } }\n"
          "pick best { from = make minimize = loss per = [seed] }\n"
          "task use over g {\n"
          "  inputs { a = make[seed = n - 1].model b = file(\"x\") }\n"
          "  run = \"{{f(lr)}} {{lr}} {{inputs.b}} {{inputs.a}} {{inputs.b}} {{best.lr}} {{[v for v in 1..seed]}}\"\n"
          "  env { P = \"{{flags(point)}}\" }\n"
          "}");
  assert_string_equal(dk_compile_errors(&c), "");
  const struct dk_checked_task *use = c.checked->tasks[1];
  struct dk_uses uses = {0};
  dk_check_uses(&c.arena, use->run, &uses);
  assert_int_equal(uses.n_columns, 2);
  assert_string_equal(uses.columns[0]->text, "lr");
  assert_string_equal(uses.columns[1]->text, "seed");
  assert_int_equal(uses.n_inputs, 2);
  assert_string_equal(uses.inputs[0]->text, "b");
  assert_string_equal(uses.inputs[1]->text, "a");
  assert_int_equal(uses.n_refs, 1);
  assert_string_equal(uses.refs[0]->ref.target->name->text, "best");
  assert_false(uses.whole_point);
  dk_check_uses(&c.arena, use->env.items[0].value, &uses);
  assert_true(uses.whole_point);
  struct dk_uses input = {0};
  dk_check_uses(&c.arena, use->inputs.items[0].value, &input);
  assert_int_equal(input.n_refs, 1);
  assert_int_equal(input.n_columns, 1);
  assert_string_equal(input.columns[0]->text, "n"); /* of the selector */
  dk_compile_finish(&c);
}

static void test_schemas(void **state) {
  (void)state;
  static const struct dk_schema *const all[] = {&dk_schema_experiment, &dk_schema_defaults, &dk_schema_task,
                                                &dk_schema_retry,      &dk_schema_resource, &dk_schema_pick,
                                                &dk_schema_table};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    assert_true(all[i]->n_fields <= 32);
    for (uint32_t j = 0; j < all[i]->n_fields; j++) {
      const struct dk_schema_field *field = &all[i]->fields[j];
      assert_ptr_equal(dk_schema_find(all[i], field->name), field);
      assert_true(field->kinds != 0);
      assert_non_null(field->wants);
      assert_non_null(field->doc);
    }
    assert_null(dk_schema_find(all[i], "nothing"));
  }
  assert_string_equal(dk_schema_nearest(&dk_schema_task, "timout"), "timeout");
  assert_null(dk_schema_nearest(&dk_schema_task, "completely"));
}

static void test_signatures(void **state) {
  (void)state;
  uint32_t n;
  enum dk_builtin which;
  struct dk_builtin_params params;
  dk_builtins(&n);
  assert_true(dk_builtin_find("sort", &which));
  dk_builtin_params(which, &params);
  assert_int_equal(params.count, 2);
  assert_memory_equal(params.items[1].name, "descending", params.items[1].len);
  assert_true(params.items[1].optional);
  assert_false(params.items[0].optional);
  assert_true(dk_builtin_find("concat", &which));
  dk_builtin_params(which, &params);
  assert_int_equal(params.count, 1);
  assert_true(params.items[0].variadic);
  assert_false(dk_builtin_find("nothing", &which));
  for (uint32_t i = 0; i < n; i++) {
    dk_builtin_params((enum dk_builtin)i, &params);
    assert_true(params.count >= 1);
    for (uint32_t j = 0; j < params.count; j++) assert_true(params.items[j].len > 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_uses), cmocka_unit_test(test_schemas),
                                     cmocka_unit_test(test_signatures)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
