/* Tasks chosen by an expression: which ones, over which templates, and what is said of a wrong one. Also from a pin. */
#include "tests/unit/plan/support.h"

#include "lang/base/alloc.h"
#include "lang/where.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const text = "task prep { run = \"x\" }\n"
                                "let sizes = { small = { layers = 2 }, big = { layers = 12 } }\n"
                                "grid g { lr in [0.1, 1, 2.5] seed in 1..3 d = lr * 2 }\n"
                                "grid h { lr in [0.1, 1] mem in [512MiB, 2GiB] l in [[1, 2], [3]] }\n"
                                "grid s { size in sizes }\n"
                                "task train over g { run = [\"x\", flags(point)] }\n"
                                "task test over h { run = \"x {{lr}} {{mem}} {{l}}\" }\n"
                                "task deep over s { run = \"x {{size.layers}}\" }\n";

static void add_ranges(const uint32_t *tasks, uint32_t n, struct dk_buf *out) {
  for (uint32_t i = 0; i < n; i++) dk_buf_printf(out, "%st%u", i ? " " : "", tasks[i] + 1);
}

/* prep is t1; train t2..t10 (lr the slow one); test t11..t18; deep t19, t20. */
static const struct {
  const char *words[3], *where, *tasks;
} good[] = {
    {{"train", "lr=1"}, NULL, "t5 t6 t7"},
    {{NULL}, "lr < 0.5 and seed in [1, 3]", "t2 t4"},
    {{NULL}, "lr == 1", "t5 t6 t7 t15 t16 t17 t18"},
    {{"train"}, "lr == 1.0", "t5 t6 t7"},
    {{"train", "seed=2"}, "d > 1", "t6 t9"},
    {{NULL}, "mem >= 1GiB and len(l) == 1", "t14 t18"},
    {{NULL}, "size.layers > 2", "t19"},
    {{NULL}, "size == \"small\"", "t20"},
    {{"t3"}, "seed == 2", "t3"},
    {{NULL}, "not (lr < 2.5) or false", "t8 t9 t10"},
    {{NULL}, "if lr > 2 then seed == 1 else false", "t8"},
};

static uint32_t count(const char *const *words) {
  uint32_t n = 0;
  while (n < 3 && words[n]) n++;
  return n;
}

static void check_good(const struct dk_plan *plan) {
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    const struct dk_selection selection = {good[i].words, count(good[i].words), good[i].where};
    dk_autobuf diagnostics = DK_BUF_INIT, got = DK_BUF_INIT;
    struct dk_error error = {0};
    uint32_t *tasks, n;
    int r = dk_where_select(plan, &selection, &tasks, &n, &diagnostics, &error);
    add_ranges(tasks, n, &got);
    if (r < 0) fail_msg("%s: %s\n%s", good[i].where, error.text, dk_buf_text(&diagnostics));
    assert_string_equal(dk_buf_text(&got), good[i].tasks);
    dk_free(tasks);
  }
}

static void test_chooses(void **state) {
  (void)state;
  struct world *world = world_good(text);
  check_good(world->plan);
  world_destroy(world);
}

static void test_chooses_from_a_pin(void **state) {
  (void)state;
  struct world *world = world_good(text);
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_error error = {0};
  struct dk_plan *pin;
  assert_int_equal(dk_plan_encode(world->plan, &bytes), 0);
  assert_int_equal(dk_plan_decode(dk_buf_text(&bytes), bytes.len, &pin, &error), 0);
  check_good(pin);
  dk_plan_destroy(pin);
  world_destroy(world);
}

static void test_nothing_is_all(void **state) {
  (void)state;
  struct world *world = world_good(text);
  const struct dk_selection selection = {0};
  struct dk_error error = {0};
  uint32_t *tasks, n;
  assert_int_equal(dk_where_select(world->plan, &selection, &tasks, &n, NULL, &error), 0);
  assert_int_equal(n, world->plan->graph.n_tasks);
  for (uint32_t i = 0; i < n; i++) assert_int_equal(tasks[i], i);
  dk_free(tasks);
  world_destroy(world);
}

static void test_wrong(void **state) {
  (void)state;
  static const struct {
    const char *word, *where;
    int r;
    const char *says;
  } cases[] = {
      {NULL, "lr <", -EINVAL, "--where:1:"},
      {NULL, "", -EINVAL, "--where"},
      {NULL, "lt < 1", -EINVAL, "did you mean `lr`?"},
      {NULL, "lr + 1", -EINVAL, "true or false"},
      {NULL, "mem < 3", -EINVAL, "a size"},
      {NULL, "load(\"x.json\").a == lr", -EINVAL, "load"},
      {NULL, "size.depth > 1", -EINVAL, "null"},
      {"test", "seed == 1", -EINVAL, "no column `seed` here"},
      {NULL, "\xff", -EINVAL, "this is not text"},
      {NULL, "lr > 100", -ENOENT, "`lr > 100` holds at none of the points"},
      {NULL, "lr > 100 or len(l) > 9 and seed == 1", -ENOENT, "none has all of the columns lr, l, seed"},
      {"t99", "lr == 1", -ENOENT, "there is no task t99"},
  };
  struct world *world = world_good(text);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct dk_selection selection = {&cases[i].word, cases[i].word ? 1 : 0, cases[i].where};
    dk_autobuf said = DK_BUF_INIT;
    struct dk_error error = {0};
    uint32_t *tasks, n;
    int r = dk_where_select(world->plan, &selection, &tasks, &n, &said, &error);
    dk_buf_add_text(&said, error.text);
    if (r != cases[i].r || !strstr(dk_buf_text(&said), cases[i].says))
      fail_msg("%s: %d, %s", cases[i].where, r, dk_buf_text(&said));
    assert_null(tasks);
  }
  world_destroy(world);
}

static void test_short_memory(void **state) {
  (void)state;
  struct world *world = world_good(text);
  const struct dk_selection selection = {.where = "lr < 0.5 and seed in [1, 3]"};
  bool is_clean = false;
  for (uint64_t at = 1; !is_clean; at++) {
    dk_autobuf diagnostics = DK_BUF_INIT;
    struct dk_error error = {0};
    uint32_t *tasks, n;
    dk_alloc_fail_at(at);
    int r = dk_where_select(world->plan, &selection, &tasks, &n, &diagnostics, &error);
    is_clean = dk_alloc_count() < at;
    dk_alloc_fail_at(0);
    dk_free(tasks);
    assert_int_equal(r, is_clean ? 0 : -ENOMEM);
  }
  world_destroy(world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_chooses), cmocka_unit_test(test_chooses_from_a_pin), cmocka_unit_test(test_nothing_is_all),
      cmocka_unit_test(test_wrong),   cmocka_unit_test(test_short_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
