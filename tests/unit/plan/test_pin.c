/* The pin: encode and decode give the same plan; damaged bytes are refused or give a plan that is safe to read. */
#include "tests/unit/plan/support.h"

#include "lang/base/alloc.h"
#include "lang/plan/differ.h"

#include <errno.h>
#include <string.h>

static const char text[] =
    "param n = 3\n"
    "let sizes = { s = { l = 1 } b = { l = 2 } }\n"
    "grid g { lr in [0.1, 0.2] size in sizes k in [[1, 2], \"x\"] q in [1h, 2GiB] w = lr * 2 exclude lr == 0.1 and k "
    "== \"x\" }\n"
    "task prep { outputs { d = \"d/\" } run = \"x\" }\n"
    "task t over g { doc = \"words\" inputs { d = prep.d f = file(\"x{{lr}}\") w = write(\"a.json\", { a = null b = "
    "2USD }) } outputs { m = \"m{{lr}}\" } env { A = lr S = secret(\"Z\") } "
    "pass = [\"P\"] code = [\"c\"] metrics { a = match(stdout, 'x(.)') j = json(\"j\", \"a\") } needs = { cpus = 2 } "
    "timeout = 1s retry { exit = [7, 9] grow { memory = 1.5 } } when = lr > 0 "
    "run = \"x {{n}} {{size}} {{k}} {{q}} {{w}} {{outputs.m}}\" }\n"
    "pick best { from = t maximize = a per = [size] mean_over = [q] best = 2 }\n"
    "grid h { size in sizes } task u over h { inputs { all = gather(t.m) b = best[rank = 1].m } run = \"y {{best[rank "
    "= 1].lr}}\" }\n"
    "report { table { title = \"T\" from = [t, u] columns = [task, size, a] sort = a } }\n";

static void read_all(const struct dk_plan *plan, struct dk_buf *out) {
  dk_buf_printf(out, "%s %s %s\n", plan->name, plan->doc ? plan->doc : "-", plan->path);
  for (uint32_t task = 0; task < plan->graph.n_tasks; task++) {
    dk_plan_task_name(plan, task, out);
    dk_buf_add_char(out, '\n');
  }
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    const struct dk_template *t = &plan->templates[i];
    const struct dk_graph_node *node = &plan->graph.nodes[i];
    struct dk_digest digest;
    char hex[DK_DIGEST_HEX + 1];
    dk_plan_metrics_digest(plan, i, &digest);
    dk_digest_hex(&digest, hex);
    dk_buf_printf(out, "%d %s %s %s:%u %s %s %u %u %u %u %d %u\n", (int)t->kind, t->name, t->doc ? t->doc : "-",
                  t->path, t->line, t->dir, hex, t->n_inputs, t->n_outputs, t->n_env, t->from, t->is_max, t->n_best);
    for (uint32_t k = 0; k < t->n_steps; k++)
      dk_buf_printf(out, "%s %lld\n", t->steps[k].text, (long long)t->steps[k].change);
    for (uint32_t k = 0; k < t->n_pass; k++) dk_buf_add_text(out, t->pass[k]);
    for (uint32_t k = 0; k < t->n_code; k++) dk_buf_add_text(out, t->code[k]);
    dk_buf_printf(out, "%u %u %u %u %u %u %u\n", node->rows, node->first, node->cpus, node->retry.n_exit,
                  node->retry.oom, node->retry.grow, node->at_once);
    for (uint32_t k = 0; k < node->n_edges; k++) {
      for (uint32_t row = 0; row < node->rows; row++) {
        const uint32_t *list;
        uint32_t first, n = dk_edge_rows(&plan->graph, &node->edges[k], row, &first, &list);
        for (uint32_t j = 0; j < n; j++) dk_buf_printf(out, " %u", list ? list[j] : first + j);
      }
      dk_buf_printf(out, " <- %u\n", node->edges[k].producer);
    }
    for (uint32_t row = 0; row < t->points.rows; row++) {
      for (uint32_t c = 0; c < t->points.n_columns; c++)
        dk_value_source_text(plan->values, dk_column_value(&t->points.columns[c], row), out);
      for (uint32_t c = 0; c < t->n_outputs; c++) {
        const struct dk_cell *path = &t->outputs[c].path;
        dk_value_source_text(plan->values,
                             path->kind == DK_CELL_CONST    ? path->value
                             : path->kind == DK_CELL_COLUMN ? dk_column_value(&path->column, row)
                                                            : DK_NULL,
                             out);
      }
    }
  }
  for (uint32_t i = 0; i < plan->n_tables; i++)
    for (uint32_t k = 0; k < plan->tables[i].n_columns; k++)
      dk_buf_printf(out, "%s %d\n", plan->tables[i].columns[k].title, (int)plan->tables[i].columns[k].kind);
  for (uint32_t i = 0; i < plan->n_params; i++) {
    dk_buf_add_text(out, plan->params[i].name);
    dk_value_source_text(plan->values, plan->params[i].value, out);
  }
}

static int count_difference(void *ctx, const struct dk_difference *difference) {
  assert_true(difference->subject[0] && difference->text[0]);
  ++*(uint32_t *)ctx;
  return 0;
}

/* All differences that are told of all tasks, each with the one of its number. Late values may always differ: they are
 * left out. */
static uint32_t count_differences(const struct dk_plan *a, const struct dk_plan *b) {
  static const char *const parts[] = {"program", "outputs", "env A", "input d", "input f", "input w", "gpus"};
  uint32_t n = 0;
  for (uint32_t task = 0; task < a->graph.n_tasks; task++)
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
      const struct dk_template *tmpl = dk_plan_template(a, task, NULL);
      if (tmpl->kind == DK_NODE_PICK || (i > 1 && strcmp(tmpl->name, "t") != 0)) continue;
      assert_int_equal(dk_plan_differ(a, task, b, task, parts[i], count_difference, &n), 0);
    }
  return n;
}

static void test_round_trip(void **state) {
  (void)state;
  struct world *world = world_good(text);
  dk_autobuf bytes = DK_BUF_INIT, again = DK_BUF_INIT, before = DK_BUF_INIT, after = DK_BUF_INIT;
  struct dk_plan *pin;
  struct dk_error error = {0};
  assert_int_equal(dk_plan_encode(world->plan, &bytes), 0);
  if (dk_plan_decode(dk_buf_text(&bytes), bytes.len, &pin, &error) < 0) fail_msg("%s", error.text);
  assert_true(pin->is_pin);
  read_all(world->plan, &before);
  read_all(pin, &after);
  assert_string_equal(dk_buf_text(&before), dk_buf_text(&after));
  assert_int_equal(dk_plan_encode(pin, &again), 0);
  assert_int_equal(again.len, bytes.len);
  assert_int_equal(count_differences(world->plan, pin), 0); /* the program and its values are in it too */
  struct dk_order order;
  assert_int_equal(dk_plan_order(pin, 0, &late_known, &order, &error), -EINVAL);
  dk_plan_destroy(pin);
  dk_plan_destroy(NULL);
  world_destroy(world);
}

/* Every truncation, and thousands of changed bytes: an error, or a plan that can be read whole (the sanitizer
 * watches). */
static void test_damage(void **state) {
  (void)state;
  struct world *world = world_good(text);
  dk_autobuf bytes = DK_BUF_INIT;
  assert_int_equal(dk_plan_encode(world->plan, &bytes), 0);
  world_destroy(world);
  struct dk_error error = {0};
  struct dk_plan *pin;
  for (size_t len = 0; len < bytes.len; len++) {
    char *copy = dk_memdup(dk_buf_text(&bytes), len ? len : 1); /* the exact size, so that one byte too far is seen */
    assert_int_equal(dk_plan_decode(copy, len, &pin, &error), -EINVAL);
    dk_free(copy);
  }
  uint64_t seed = 5;
  uint32_t good = 0;
  for (uint32_t round = 0; round < 6000; round++) {
    char *copy = dk_memdup(dk_buf_text(&bytes), bytes.len);
    for (uint32_t k = 1 + random_below(&seed, 3); k; k--)
      copy[6 + random_below(&seed, (uint32_t)bytes.len - 6)] = (char)random_below(&seed, 256);
    int r = dk_plan_decode(copy, bytes.len, &pin, &error);
    assert_true(r == 0 || r == -EINVAL);
    if (r == 0) {
      dk_autobuf out = DK_BUF_INIT;
      if (pin->graph.n_tasks < 100000) read_all(pin, &out);
      if (pin->graph.n_tasks < 1000) (void)count_differences(pin, pin);
      dk_plan_destroy(pin);
      good++;
    }
    dk_free(copy);
  }
  assert_true(good > 0 && good < 6000);
}

static void test_other_bytes(void **state) {
  (void)state;
  struct dk_error error = {0};
  struct dk_plan *pin;
  assert_int_equal(dk_plan_decode("hello, world", 12, &pin, &error), -EINVAL);
  assert_non_null(strstr(error.text, "no plan"));
  assert_int_equal(dk_plan_decode("kpin\x09\x00", 6, &pin, &error), -EINVAL);
  assert_non_null(strstr(error.text, "another version"));
}

static const unsigned char format_1[] = {
    0x6b, 0x70, 0x69, 0x6e, 0x01, 0x00, 0x03, 0x00, 0x02, 0x02, 0x02, 0x04, 0x01, 0x01, 0x65, 0x00, 0x01, 0x04,
    0x65, 0x2e, 0x64, 0x6b, 0x01, 0x00, 0x01, 0x01, 0x74, 0x00, 0x01, 0x04, 0x65, 0x2e, 0x64, 0x6b, 0x02, 0x01,
    0x00, 0x02, 0x01, 0x01, 0x01, 0x61, 0x01, 0x00, 0x01, 0x01, 0x00, 0x02, 0x01, 0x02, 0x01, 0x01, 0x03, 0x61,
    0x20, 0x32, 0x04, 0x01, 0x04, 0x65, 0x2e, 0x64, 0x6b, 0x01, 0x00, 0x00, 0x00, 0x01, 0x01, 0x01, 0x56, 0x02,
    0x00, 0x01, 0x00, 0x01, 0x01, 0x00, 0x02, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};

/* What an older dkrun wrote is read for good: e.dk with `grid g { a in [1, 2] }` and `task t over g { env { V = a } run
 * = "echo {{a}}" }`. */
static void test_format_1(void **state) {
  (void)state;
  struct dk_error error = {0};
  struct dk_plan *pin;
  dk_autobuf name = DK_BUF_INIT;
  if (dk_plan_decode(format_1, sizeof format_1, &pin, &error) < 0) fail_msg("%s", error.text);
  assert_int_equal(pin->graph.n_tasks, 2);
  dk_plan_task_name(pin, 1, &name);
  assert_string_equal(dk_buf_text(&name), "t a=2");
  assert_null(pin->templates[0].program);
  uint32_t n = 0;
  assert_int_equal(dk_plan_differ(pin, 0, pin, 1, "program", count_difference, &n), 0);
  assert_int_equal(n, 0);
  assert_int_equal(dk_plan_differ(pin, 0, pin, 1, "env V", count_difference, &n), 0);
  assert_int_equal(n, 1);
  dk_plan_destroy(pin);
}

static void test_out_of_memory(void **state) {
  (void)state;
  struct world *world = world_good(text);
  dk_autobuf bytes = DK_BUF_INIT;
  assert_int_equal(dk_plan_encode(world->plan, &bytes), 0);
  bool done = false;
  for (uint64_t n = 1; !done; n++) {
    dk_autobuf out = DK_BUF_INIT;
    struct dk_plan *pin = NULL;
    struct dk_error error = {0};
    dk_alloc_fail_at(n);
    int r = dk_plan_encode(world->plan, &out);
    if (r == 0) r = dk_plan_decode(dk_buf_text(&bytes), bytes.len, &pin, &error);
    dk_alloc_fail_at(0);
    assert_true(r == 0 || r == -ENOMEM);
    done = r == 0;
    dk_plan_destroy(pin);
  }
  world_destroy(world);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damage),
                                     cmocka_unit_test(test_other_bytes), cmocka_unit_test(test_format_1),
                                     cmocka_unit_test(test_out_of_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
