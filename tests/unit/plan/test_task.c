/* Bodies of tasks: what is refused, and what an order says. */
#include "tests/unit/plan/support.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define G "grid g { a in 1..3 }\n"

static void test_errors(void **state) {
  (void)state;
  static const struct {
    const char *source, *code, *says;
  } cases[] = {
      /* axes that change nothing */
      {"grid g { lr in 1..2 seed in 1..2 } task t over g { run = \"x {{lr}}\" }", "E0507",
       "axis `seed` changes nothing in `t`"},
      {"grid g { a in 1..2 b = 2 * a } task t over g { run = \"x\" }", "E0507", "`a`"},
      {"grid g { a in 1..2 } task t over g { doc = \"x\" run = \"x\" }", "E0507", "`a`"},
      /* outputs */
      {"task t { outputs { o = \"/abs\" } run = \"x\" }", "E0509", "absolute"},
      {"task t { outputs { o = \"a/../b\" } run = \"x\" }", "E0509", "leaves"},
      {"task t { outputs { o = \"../b\" } run = \"x\" }", "E0509", "leaves"},
      {"task t { outputs { o = \"\" } run = \"x\" }", "E0509", "empty"},
      {"task t { outputs { o = \".dk/x\" } run = \"x\" }", "E0509", "dkrun's own"},
      {"task t { outputs { o = \"a//b\" } run = \"x\" }", "E0509", "empty part"},
      {"task t { outputs { o = 5 } run = \"x\" }", "E0509", "not an integer"},
      {"task t { outputs { o = \"a\" p = \"a\" } run = \"x\" }", "E0509", "both are"},
      {"task t { outputs { o = \"a/\" p = \"a/b\" } run = \"x\" }", "E0509", "lie in one another"},
      {G "task t over g { outputs { o = \"m{{a}}\" p = \"m2\" } run = \"x\" }", "E0509", "at a=2"},
      {G "task t over g { outputs { o = if a == 1 then \"d/\" else \"f\" } run = \"x\" }", "E0509",
       "directory at some points"},
      /* inputs */
      {"task t { inputs { i = 5 } run = \"x\" }", "E0508", "an integer"},
      {"task t { inputs { i = \"data.csv\" } run = \"x\" }", "E0508", "file(\"data.csv\")"},
      {"task t { inputs { i = file(\"\") } run = \"x\" }", "E0508", "empty path"},
      {"task t { inputs { i = url(\"http://x\") } run = \"x\" }", "E0220", "not built"},
      {"task t { inputs { i = mount(\"data\", version = \"1\") } run = \"x\" }", "E0508", "absolute path"},
      {"task t { inputs { i = write(\"a/b.json\", 1) } run = \"x\" }", "E0508", "plain file name"},
      {"task t { inputs { i = write(\"a.toml\", 1) } run = \"x\" }", "E0508", "takes a record"},
      {"task t { inputs { i = write(\"a.txt\", { b = 1 }) } run = \"x\" }", "E0508", ".json"},
      /* fields */
      {"task t { timeout = 0s run = \"x\" }", "E0511", "timeout"},
      {"task t { at_once = 0 run = \"x\" }", "E0511", "at_once"},
      {"task t { retry { exit = [0] } run = \"x\" }", "E0511", "exit"},
      {"task t { retry { lost = -1 } run = \"x\" }", "E0511", "lost"},
      {"task t { retry { grow = { memory = 0.5 } } run = \"x\" }", "E0511", "grow"},
      {"task t { retry { grow { cpus = 2 } } run = \"x\" }", "E0511", "memory"},
      {"task t { retry { grow = { memory = 2GiB } } run = \"x\" }", "E0511", "factor"},
      {"task t { code = [\"../x\"] run = \"x\" }", "E0511", "code"},
      {"task t { needs = { cpu = 1 } run = \"x\" }", "E0512", "did you mean `cpus`?"},
      {"task t { needs = { cpus = 0 } run = \"x\" }", "E0512", "more than nothing"},
      {"task t { needs = { memory = 4 } run = \"x\" }", "E0512", "a size such as"},
      {G "task t over g { needs = { cpus = a - 1 } run = \"x\" }", "E0512", "at a=1"},
      {G "task t over g { at_once = a run = \"x\" }", "E0511", "one value for all points"},
      /* env, metrics */
      {"task t { env { DK_X = 1 } run = \"x\" }", "E0513", "DK_X"},
      {"task t { env { X = [1] } run = \"x\" }", "E0513", "join"},
      {"task t { env { X = null } run = \"x\" }", "E0513", "??"},
      {"task t { env { X = secret(\"a b\") } run = \"x\" }", "E0513", "name of a variable"},
      {"task t { metrics { m = 5 } run = \"x\" }", "E0510", "match(stdout"},
      {"task t { metrics { m = json(\"../x\", \"a\") } run = \"x\" }", "E0510", "no way"},
      {G "task t over g { metrics { m = json(\"x{{a}}\", \"a\") } run = \"x {{a}}\" }", "E0510", "every point"},
      /* programs */
      {"task t { run = \"x {{null}}\" }", "E0601", "null"},
      {"let r = { a = 1 } task t { run = \"x {{r}}\" }", "E0601", "a record"},
      {"let xs = [{ n = 1 }, { m = 2 }] grid g { x in xs } task t over g { run = \"x {{x.n}}\" }", "E0601", "at x="},
      {"task t { run = \"# {{1}}\" }", "E0602", "comment"},
      {"task t { run = \"cat <<'E'\\n{{1}}\\nE\\n\" }", "E0603", "delimiter"},
      {"task t { run = \"echo `x {{1}}`\" }", "E0604", "$(...)"},
      {"task t { run = \"echo $((1 + {{1}}))\" }", "E0605", "arithmetic"},
      {"task t { run = \"echo a{{[1, 2]}}\" }", "E0609", "blanks"},
      {"task t { shell = [\"python3\"] run = \"print({{1}})\" }", "E0610", "python3"},
      {"task t { run = [] }", "E0611", "empty list"},
      {"let p = \"a\" task t { run = p + \"b\" }", "E0301", ""},
      {"task t { run = if true then \"a\" else \"b\" }", "E0611", "holes"},
      {"task t { run = \"sh -c 'echo {{1}}'\" }", "W0614", "sh -c"},
      /* late values */
      {"task m { metrics { k = match(stdout, 'x(.)') } run = \"x\" } task t { timeout = if m.k > 1 then 1s else 2s run "
       "= \"x\" }",
       "", ""},
  };
  uint32_t wrong = 0;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct world *world = world_new(cases[i].source);
    bool says = cases[i].code[0] == '\0' ? world->diags.n_errors > 0 : world_says(world, cases[i].code, cases[i].says);
    if (!says || (cases[i].code[0] != 'W' && world->plan)) {
      char *shown = world_text(world);
      print_error("wanted %s %s\n%s\n%s", cases[i].code, cases[i].says, cases[i].source, shown);
      dk_free(shown);
      wrong++;
    }
    world_destroy(world);
  }
  assert_int_equal(wrong, 0);
}

/* Everything that counts as use of an axis. */
static void test_uses(void **state) {
  (void)state;
  static const char *const bodies[] = {
      "run = \"x {{a}}\"",
      "run = [\"x\", \"{{a}}\"]",
      "run = [\"x\", flags(point)]",
      "env { A = a } run = \"x\"",
      "when = a > 1 run = \"x\"",
      "needs = { cpus = a } run = \"x\"",
      "timeout = a * 1s run = \"x\"",
      "outputs { o = \"o{{a}}\" } run = \"x\"",
      "inputs { i = file(\"i{{a}}\") } run = \"x\"",
      "inputs { i = p.o } run = \"x\"",
      "inputs { i = p[b = a].o } run = \"x\"",
      "inputs { i = gather(p.o) } run = \"x\"",
      "inputs { i = if a > 1 then file(\"x\") else file(\"y\") } run = \"x\"",
      "inputs { w = write(\"w.json\", { a = a }) } run = \"x\"",
      "run = \"x {{d}}\"",
      "run = \"x {{raw(a)}}\"",
  };
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    dk_autobuf source = DK_BUF_INIT;
    bool select = strstr(bodies[i], "b = a") != NULL;
    dk_buf_printf(&source,
                  "grid g { a in 1..3 d = 2 * a } grid h { %s in 1..3 } task p over h { outputs { o = \"o\" } run = "
                  "[\"x\", flags(point)] } task t over g { %s }",
                  select ? "b" : "a", bodies[i]);
    world_destroy(world_good(dk_buf_text(&source)));
  }
}

static void test_order(void **state) {
  (void)state;
  struct world *world = world_good("let flagsets = { fast = [\"-O\", \"3\"], slow = [] }\n"
                                   "task prep { outputs { d = \"d/\" } run = \"x\" }\n"
                                   "grid g { a in 1..2 k in [\"fast\", \"slow\"] }\n"
                                   "task t over g {\n"
                                   "  inputs { d = prep.d  f = file([\"x/a.csv\", \"b.csv\"])  w = write(\"c.toml\", { "
                                   "a = a n = { s = \"q\" } })  m = mount(\"/data/set\", version = \"7\") }\n"
                                   "  outputs { o = \"out/{{a}}.bin\" }\n"
                                   "  env { A = a / 4  TOKEN = secret(\"MY_TOKEN\") }\n"
                                   "  pass = [\"HF_HOME\"]\n"
                                   "  metrics { l = match(stdout, 'l=(.*)')  j = json(\"m.json\", \"a.b\")  c = "
                                   "csv(\"m.csv\", \"loss\")  k2 = json(\"m.json\", \"c\") }\n"
                                   "  needs = { cpus = a  memory = 2GiB }\n"
                                   "  timeout = 90s\n"
                                   "  run = \"go {{a}} {{flagsets[k]}} {{inputs.d}} {{inputs.f}} {{inputs.w}} "
                                   "{{inputs.m}} {{outputs.o}} '{{a}}' {{raw(k)}}\"\n"
                                   "}\n");
  struct dk_order order;
  order_good(world, 1, &order);
  assert_string_equal(
      order.script,
      "dk_1='1'\ndk_2=('-O' '3')\ndk_3='.dk/inputs/d/d'\ndk_4=('.dk/inputs/f/0/a.csv' '.dk/inputs/f/1/b.csv')\n"
      "dk_5='.dk/inputs/w/c.toml'\ndk_6='/data/set'\ndk_7='out/1.bin'\n"
      "go \"${dk_1}\" \"${dk_2[@]}\" \"${dk_3}\" \"${dk_4[@]}\" \"${dk_5}\" \"${dk_6}\" \"${dk_7}\" ''\"${dk_1}\"'' "
      "fast");
  assert_int_equal(order.n_argv, 3);
  assert_string_equal(order.argv[0], "bash");
  assert_int_equal(order.n_inputs, 5);
  assert_string_equal(order.inputs[1].path, "x/a.csv");
  assert_string_equal(order.inputs[3].bytes, "a = 1\n\n[n]\ns = \"q\"\n");
  assert_string_equal(order.inputs[4].version, "7");
  assert_int_equal(order.n_env, 1);
  assert_string_equal(order.env_values[0], "0.25");
  assert_int_equal(order.n_secrets, 1);
  assert_string_equal(order.secrets[0], "TOKEN");
  assert_string_equal(order.secrets_from[0], "MY_TOKEN");
  assert_int_equal(order.n_pass, 1);
  assert_int_equal(order.n_keep_files, 2);
  assert_int_equal(order.timeout_ns, 90000000000u);
  assert_int_equal(order.memory, 2ull << 30);
  assert_int_equal(order.cpus, 1);
  assert_false(order.outputs[0].is_dir);
  dk_order_finish(&order);
  order_good(world, 4, &order);
  assert_non_null(strstr(order.script, "dk_2=()\n"));
  assert_int_equal(order.cpus, 2);
  dk_order_finish(&order);
  assert_int_equal(world->plan->graph.nodes[1].cpus, 2);
  world_destroy(world);
}

static void test_late(void **state) {
  (void)state;
  struct world *world =
      world_good("grid g { lr in [0.1, 0.2] s in 1..2 } task t over g { outputs { m = \"m{{lr}}\" } metrics { acc = "
                 "match(stdout, 'a(.)') } run = [\"x\", flags(point)] }\n"
                 "pick best { from = t maximize = acc mean_over = [s] }\n"
                 "task f { inputs { m = best.m w = write(\"w.json\", [best.lr]) } when = best.chosen and best.acc < "
                 "100 env { L = best.lr } run = \"go {{best.lr}} {{best.acc}} {{1 + best.s}} {{inputs.m}}\" }");
  struct dk_error error = {0};
  struct dk_order order;
  uint32_t f = world->plan->graph.nodes[world_template(world, "f")].first;
  assert_int_equal(dk_plan_order(world->plan, f, &late_unknown, &order, &error), -EAGAIN);
  order_good(world, f, &order);
  assert_false(order.skip);
  /* The chosen row is 0: its mean over s is that of tasks 0 and 1. */
  assert_non_null(strstr(order.script, "dk_1='0.1'\ndk_2='0.5'\ndk_3='2'\ndk_4='.dk/inputs/m/m0.1'"));
  assert_string_equal(order.env_values[0], "0.1");
  assert_int_equal(order.inputs[0].task, 0);
  assert_string_equal(order.inputs[1].bytes, "[\n  0.1\n]\n");
  dk_order_finish(&order);
  struct dk_late nothing = late_known;
  nothing.metric = NULL;
  assert_int_equal(dk_plan_order(world->plan, f, &nothing, &order, &error), -EAGAIN);
  assert_int_equal(dk_plan_order(world->plan, f - 1, &late_known, &order, &error), -EINVAL); /* a pick */
  world_destroy(world);
}

static bool choose_none(void *ctx, uint32_t task, uint32_t *ret_row) {
  (void)ctx;
  (void)task;
  *ret_row = DK_NO_ROW;
  return true;
}

static void test_nothing_chosen(void **state) {
  (void)state;
  struct world *world = world_good(
      "grid g { lr in [0.1, 0.2] } task t over g { metrics { acc = match(stdout, 'a(.)') } run = \"x {{lr}}\" }\n"
      "pick best { from = t maximize = acc }\n"
      "task a { when = best.chosen run = \"x\" } task b { run = \"x {{if best.chosen then best.lr else 7}}\" } task c "
      "{ run = \"x {{best.lr}}\" }");
  struct dk_late late = {NULL, choose_none, NULL};
  struct dk_error error = {0};
  struct dk_order order;
  uint32_t a = world->plan->graph.nodes[world_template(world, "a")].first;
  assert_int_equal(dk_plan_order(world->plan, a, &late, &order, &error), 0);
  assert_true(order.skip);
  dk_order_finish(&order);
  assert_int_equal(dk_plan_order(world->plan, a + 1, &late, &order, &error), 0);
  assert_non_null(strstr(order.script, "dk_1='7'"));
  dk_order_finish(&order);
  assert_int_equal(dk_plan_order(world->plan, a + 2, &late, &order, &error), -EINVAL);
  assert_non_null(strstr(error.text, "chose nothing"));
  world_destroy(world);
}

static void test_picks(void **state) {
  (void)state;
  struct world *world = world_good("grid g { d in [\"x\", \"y\"] lr in 1..3 s in 1..2 } task t over g { metrics { m = "
                                   "match(stdout, 'a(.)') } run = [\"x\", flags(point)] }\n"
                                   "pick p { from = t minimize = m per = [d] best = 2 }\n"
                                   "grid h { d in [\"y\", \"x\"] } task u over h { run = \"x {{p[rank = 1].lr}}\" }");
  char *points = world_points(world, "p");
  assert_string_equal(points, "d=\"x\" rank=1; d=\"x\" rank=2; d=\"y\" rank=1; d=\"y\" rank=2");
  dk_free(points);
  const struct dk_graph_node *node = &world->plan->graph.nodes[1];
  assert_int_equal(node->edges[0].kind, DK_EDGE_GATHER);
  uint32_t first;
  const uint32_t *list;
  assert_int_equal(dk_edge_rows(&world->plan->graph, &node->edges[0], 3, &first, &list), 6);
  assert_int_equal(list[0], 6);
  const struct dk_edge *edge = &world->plan->graph.nodes[2].edges[0];
  assert_int_equal(edge->map[0], 2);
  assert_int_equal(edge->map[1], 0);
  assert_false(world->plan->templates[1].is_max);
  assert_int_equal(world->plan->templates[1].n_best, 2);
  world_destroy(world);
}

static void test_rows_of_records(void **state) {
  (void)state;
  struct world *world =
      world_good("let sizes = { small = { layers = 2 } big = { layers = 50 } }\n"
                 "grid g { size in sizes l = size.layers exclude size.layers > 40 and size == \"small\" }\n"
                 "task t over g { run = \"x {{size}} {{size.layers}} {{point.size.layers}} {{l}}\" }");
  struct dk_order order;
  order_good(world, 0, &order);
  assert_string_equal(order.script,
                      "dk_1='big'\ndk_2='50'\ndk_3='50'\ndk_4='50'\nx \"${dk_1}\" \"${dk_2}\" \"${dk_3}\" \"${dk_4}\"");
  dk_order_finish(&order);
  world_destroy(world);
}

static void test_tables(void **state) {
  (void)state;
  struct world *world =
      world_good("grid g { lr in 1..3 } task t over g { metrics { acc = match(stdout, 'a(.)') } run = \"x {{lr}}\" }\n"
                 "pick best { from = t maximize = acc }\n"
                 "report { table { title = \"T\" from = t columns = [task, lr, acc, best.lr, best.acc] sort = acc "
                 "descending = true } }");
  const struct dk_report_table *table = &world->plan->tables[0];
  static const enum dk_table_column_kind kinds[] = {DK_TABLE_TASK, DK_TABLE_COLUMN, DK_TABLE_METRIC,
                                                    DK_TABLE_PICK_COLUMN, DK_TABLE_PICK_METRIC};
  assert_int_equal(table->n_columns, 5);
  for (uint32_t i = 0; i < 5; i++) assert_int_equal(table->columns[i].kind, kinds[i]);
  assert_string_equal(table->columns[3].title, "best.lr");
  assert_int_equal(table->columns[3].pick, 1);
  assert_int_equal(table->sort, 2);
  assert_true(table->descending);
  assert_string_equal(table->title, "T");
  world_destroy(world);
}

static void test_memory(void **state) {
  (void)state;
  struct world *world =
      world_good("grid g { m in [1GiB, 3GiB] }\n"
                 "task t over g { needs = { memory = m } retry { grow = { memory = 1.5 } } run = \"x\" }\n"
                 "task u { needs = { memory = 1GiB } retry { oom = 2 } run = \"x\" }\n"
                 "task v { retry { oom = 1 grow { memory = 2 } } run = \"x\" }\n");
  const struct dk_plan *plan = world->plan;
  assert_int_equal(plan->graph.nodes[0].retry.oom, 3); /* with growth, without a number */
  assert_int_equal(plan->graph.nodes[2].retry.oom, 1);
  assert_int_equal(dk_plan_memory(plan, 1, 0), 3ull << 30);
  assert_int_equal(dk_plan_memory(plan, 0, 1), 3ull << 29);
  assert_int_equal(dk_plan_memory(plan, 0, 2), 9ull << 28);
  assert_int_equal(dk_plan_memory(plan, 0, 255), INT64_MAX);
  assert_int_equal(dk_plan_memory(plan, 2, 2), 1ull << 30);
  assert_int_equal(dk_plan_memory(plan, 3, 1), 0);
  world_destroy(world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_errors),          cmocka_unit_test(test_uses),
      cmocka_unit_test(test_order),           cmocka_unit_test(test_late),
      cmocka_unit_test(test_nothing_chosen),  cmocka_unit_test(test_picks),
      cmocka_unit_test(test_rows_of_records), cmocka_unit_test(test_tables),
      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
