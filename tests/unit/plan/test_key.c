/* Keys: what changes them and what does not. Each case is one edit of one file. */
#include "tests/unit/plan/support.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

/* The second task's first key: what the edits are about. Digests of inputs are by the place in the list, so
 * unchanged. */
static void key_of(const struct world *world, const char *name, struct dk_digest *ret) {
  uint32_t task = world->plan->graph.nodes[world_template(world, name)].first;
  struct dk_order order;
  struct dk_error error = {0};
  order_good(world, task, &order);
  struct dk_digest *inputs = dk_calloc(order.n_inputs + 1, sizeof *inputs), code = {{1}}, environment = {{2}};
  for (uint32_t i = 0; i < order.n_inputs; i++) inputs[i].bytes[0] = (uint8_t)(i + 1);
  assert_int_equal(dk_plan_key(world->plan, task, &order, inputs, &code, &environment, ret, &error), 0);
  dk_free(inputs);
  dk_order_finish(&order);
}

#define BASE                                                                                                           \
  "param folds = 5\n"                                                                                                  \
  "grid g { lr in [0.1, 0.2] }\n"                                                                                      \
  "task prep { outputs { d = \"d.bin\" } run = \"make\" }\n"                                                           \
  "task t over g { inputs { d = prep.d f = file(\"x.csv\") } outputs { m = \"m.bin\" } metrics { a = match(stdout, "   \
  "'a(.)') } "                                                                                                         \
  "env { A = \"1\" S = secret(\"S\") } timeout = 1h needs = { cpus = 1 } run = \"go {{lr}} {{folds}} {{inputs.d}} "    \
  "{{inputs.f}} > {{outputs.m}}\" }\n"

static void test_edits(void **state) {
  (void)state;
  static const struct {
    const char *from, *to;
    bool changes;
  } edits[] = {
      {"timeout = 1h", "timeout = 2h", false},
      {"cpus = 1", "cpus = 4 memory = 1GiB", false},
      {"match(stdout, 'a(.)')", "match(stdout, 'b(.)')", false},
      {"a = match", "acc = match", false},
      {"secret(\"S\")", "secret(\"OTHER\")", false},
      {"task t", "# a comment\ntask t", false},
      {"task t over g {", "task t over g { doc = \"words\"", false},
      {"param folds = 5", "param folds = 2 + 3", false},
      {"param folds = 5", "param folds = 5.0", false}, /* the same number, the same text */
      {"[0.1, 0.2]", "[0.1, 0.2, 0.3]", false},
      {"lr in", "lr in", false},
      {"outputs { d = \"d.bin\" } run = \"make\"", "outputs { d = \"d.bin\" } run = \"make -j\"",
       false}, /* only its bytes count */
      {"timeout = 1h", "timeout = 1h retry { lost = 9 } at_once = 2", false},
      {"timeout = 1h", "timeout = 1h pass = [\"X\"]", false},
      {"timeout = 1h", "timeout = 1h cache = \"none\"", false},
      {"go {{lr}}", "go  {{lr}}", true},
      {"go {{lr}}", "go '{{lr}}'", true},
      {"param folds = 5", "param folds = 6", true},
      {"[0.1, 0.2]", "[0.11, 0.2]", true},
      {"A = \"1\"", "A = \"2\"", true},
      {"A = \"1\"", "B = \"1\"", true},
      {"A = \"1\" ", "", true},
      {"m = \"m.bin\"", "m = \"n.bin\"", true},
      {"outputs { m", "outputs { z = \"z\" m", true},
      {"file(\"x.csv\")", "file(\"y.csv\")", true}, /* the program sees another name */
      {"f = file", "f2 = file(\"q\") f = file", true},
      {"timeout = 1h", "timeout = 1h shell = [\"bash\", \"-u\"]", true},
      {"cpus = 1", "cpus = 1 gpus = 1", true},
      {"{{lr}} {{folds}}", "{{folds}} {{lr}}", true},
      {"{{lr}}", "{{raw(lr)}}", true},
  };
  struct world *base = world_good(BASE);
  struct dk_digest want, have;
  key_of(base, "t", &want);
  for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
    dk_autobuf source = DK_BUF_INIT;
    const char *at = strstr(BASE, edits[i].from);
    assert_non_null(at);
    dk_buf_add(&source, BASE, (size_t)(at - BASE));
    dk_buf_add_text(&source, edits[i].to);
    dk_buf_add_text(&source, at + strlen(edits[i].from));
    struct world *world = world_good(dk_buf_text(&source));
    key_of(world, "t", &have);
    if (dk_digest_equal(&want, &have) == edits[i].changes)
      fail_msg("%s -> %s: the key should%s change", edits[i].from, edits[i].to, edits[i].changes ? "" : " not");
    world_destroy(world);
  }
  world_destroy(base);
}

/* Keys of all points differ; every digest that is given counts; the parts have their names. */
static void test_parts(void **state) {
  (void)state;
  struct world *world = world_good(BASE);
  struct dk_error error = {0};
  struct dk_order order;
  struct dk_digest inputs[2] = {{{1}}, {{2}}}, code = {{3}}, environment = {{4}}, first, other;
  order_good(world, 1, &order);
  assert_int_equal(order.n_inputs, 2);
  assert_int_equal(dk_plan_key(world->plan, 1, &order, inputs, &code, &environment, &first, &error), 0);
  struct dk_digest *const given[] = {&inputs[0], &inputs[1], &code, &environment};
  for (size_t i = 0; i < 4; i++) {
    given[i]->bytes[31] ^= 1;
    assert_int_equal(dk_plan_key(world->plan, 1, &order, inputs, &code, &environment, &other, &error), 0);
    assert_false(dk_digest_equal(&first, &other));
    given[i]->bytes[31] ^= 1;
  }
  struct dk_key_part *parts;
  uint32_t n;
  static const char *const names[] = {"program", "values", "shell",       "env A",  "input d",
                                      "input f", "code",   "environment", "outputs"};
  assert_int_equal(dk_plan_key_parts(world->plan, 1, &order, inputs, &code, &environment, &parts, &n, &error), 0);
  assert_int_equal(n, 9);
  for (uint32_t i = 0; i < n; i++) assert_string_equal(parts[i].name, names[i]);
  dk_free(parts);
  dk_order_finish(&order);
  order_good(world, 2, &order);
  assert_int_equal(dk_plan_key(world->plan, 2, &order, inputs, &code, &environment, &other, &error), 0);
  assert_false(dk_digest_equal(&first, &other));
  dk_order_finish(&order);
  world_destroy(world);
}

/* A regression pin: keys written by released versions must stay computable, so this digest may only change together
 * with DK_KEY_FORMAT. */
static void test_format(void **state) {
  (void)state;
  struct world *world =
      world_good("task t { outputs { o = \"o/\" } env { A = 1.5 } run = \"x {{2}} {{[\"a\", 1h]}}\" }");
  struct dk_digest key;
  char hex[DK_DIGEST_HEX + 1];
  key_of(world, "t", &key);
  dk_digest_hex(&key, hex);
  assert_int_equal(DK_KEY_FORMAT, 1);
  assert_string_equal(hex, "f364242322f23140691be1fe6d869138d0cf2c6aae234a0ec1ae34b002bac765");
  world_destroy(world);
}

static void test_metrics_digest(void **state) {
  (void)state;
  struct world *a = world_good("task t { metrics { m = match(stdout, 'a(.)') } run = \"x\" }");
  struct world *b = world_good("task t { metrics { m = match(stdout, 'b(.)') } run = \"x\" }");
  struct world *c = world_good("task t { timeout = 1s metrics { m = match(stdout, 'a(.)') } run = \"y\" }");
  struct dk_digest x, y, z;
  dk_plan_metrics_digest(a->plan, 0, &x);
  dk_plan_metrics_digest(b->plan, 0, &y);
  dk_plan_metrics_digest(c->plan, 0, &z);
  assert_false(dk_digest_equal(&x, &y));
  assert_true(dk_digest_equal(&x, &z));
  world_destroy(a);
  world_destroy(b);
  world_destroy(c);
}

/* Orders and keys with every allocation failing in turn: -ENOMEM, nothing lost, the plan still good. */
static void test_out_of_memory(void **state) {
  (void)state;
  struct world *world = world_good(BASE);
  struct dk_digest inputs[2] = {{{1}}, {{2}}}, code = {{3}}, environment = {{4}}, want, have;
  key_of(world, "t", &want);
  bool done = false;
  for (uint64_t n = 1; !done; n++) {
    struct dk_order order;
    struct dk_error error = {0};
    dk_alloc_fail_at(n);
    int r = dk_plan_order(world->plan, 1, &late_known, &order, &error);
    if (r == 0) r = dk_plan_key(world->plan, 1, &order, inputs, &code, &environment, &have, &error);
    dk_alloc_fail_at(0);
    assert_true(r == 0 || r == -ENOMEM);
    done = r == 0;
    dk_order_finish(&order);
  }
  key_of(world, "t", &have);
  assert_true(dk_digest_equal(&want, &have));
  world_destroy(world);
}

/* A lack that passes again must not leave a key that is another one. */
static void test_out_of_memory_once(void **state) {
  (void)state;
  struct world *world = world_good(BASE);
  struct dk_digest inputs[2] = {{{1}}, {{2}}}, code = {{3}}, environment = {{4}}, want, have;
  struct dk_order order;
  order_good(world, 1, &order);
  dk_alloc_fail_at(0);
  assert_int_equal(dk_plan_key(world->plan, 1, &order, inputs, &code, &environment, &want, NULL), 0);
  uint64_t most = dk_alloc_count();
  assert_true(most > 0);
  for (uint64_t n = 1; n <= most; n++) {
    dk_alloc_fail_once(n);
    int r = dk_plan_key(world->plan, 1, &order, inputs, &code, &environment, &have, NULL);
    dk_alloc_fail_at(0);
    assert_true(r == -ENOMEM || (r == 0 && dk_digest_equal(&want, &have)));
  }
  dk_order_finish(&order);
  world_destroy(world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_edits),         cmocka_unit_test(test_parts),
      cmocka_unit_test(test_format),        cmocka_unit_test(test_metrics_digest),
      cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_out_of_memory_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
