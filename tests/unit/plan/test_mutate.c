/* Files with tokens taken away, doubled, swapped and replaced: the planner reports or plans, and what it plans can be
 * used. */
#include "tests/unit/plan/support.h"

#include "lang/base/alloc.h"

#include <ctype.h>
#include <string.h>

static const char *const seeds[] = {
    "param n = 3\n"
    "let sizes = { s = { l = 1 } b = { l = 2 } }\n"
    "grid g { lr in [0.1, 0.2] size in sizes k in [[1, 2], \"x\"] q in [1h, 2GiB] w = lr * 2 exclude lr == 0.1 and k "
    "== \"x\" include { lr = 0.3 size = \"s\" k = 1 q = 2 } require w < 3 }\n"
    "task prep { outputs { d = \"d/\" } run = \"x\" }\n"
    "task t over g { inputs { d = prep.d f = file(\"x{{lr}}\") w = write(\"a.json\", { a = null b = 2USD }) } outputs "
    "{ m = \"m{{lr}}\" } env { A = lr S = secret(\"Z\") }\n"
    "  metrics { a = match(stdout, 'x(.)') j = json(\"j\", \"a\") } needs = { cpus = 2 } timeout = 1s retry { exit = "
    "[7, 9] } when = lr > 0\n"
    "  run = \"x {{n}} {{size}} {{size.l}} {{k}} {{q}} {{w}} '{{lr}}' {{outputs.m}}\" }\n"
    "pick best { from = t maximize = a per = [size] mean_over = [q] best = 2 }\n"
    "grid h { size in sizes } task u over h { inputs { all = gather(t.m) b = best[rank = 1].m } run = \"y {{best[rank "
    "= 1].lr}} {{inputs.all}}\" }\n"
    "report { table { title = \"T\" from = [t, u] columns = [task, size, a, best.lr] sort = a } }\n",
    "grid a { x in 1..3 y in if x > 1 then [1, 2] else [3] } grid b { z in 1..2 } grid c = (a * b) where x != z grid d "
    "= a + a grid e = sample(c, 3, seed = 1)\n"
    "grid f over c { v, w in [(1, 2), (x, 5)] }\n"
    "task p over c { outputs { o = \"o\" } run = [\"p\", \"{{x}}-{{y}}\", z] } task q over f { inputs { i = if x > 1 "
    "then p.o else file(\"n\") } run = [\"q\", flags(point)] }\n"
    "task r over e { inputs { i = p.o } run = \"r $(cat {{inputs.i}}) ${u:-{{x}}}\" } task s over d { run = \"s {{x}} "
    "{{y}}\" } task l over b { inputs { g = gather(p) } run = \"l {{z}}\" }\n",
};
static const char *const words[] = {"x",         "0",           "1",     "[]",
                                    "{",         "}",           "(",     ")",
                                    "[",         "]",           ",",     "=",
                                    "*",         "+",           "in",    "if",
                                    "then",      "else",        "null",  "true",
                                    "\"\"",      "'a'",         "t.m",   "p.o",
                                    "gather(p)", "best.lr",     "best",  "inputs.i",
                                    "outputs.o", "point",       "a",     "{ }",
                                    "1s",        "file(\"a\")", "where", "and",
                                    "not",       "task",        "grid",  "-",
                                    "..",        "over",        "with",  "write(\"a\", 1)"};

#define MAX_TOKENS 600
struct tokens {
  const char *at[MAX_TOKENS];
  size_t len[MAX_TOKENS];
  uint32_t n;
};

static void split(const char *text, struct tokens *tokens) {
  tokens->n = 0;
  while (*text && tokens->n < MAX_TOKENS) {
    size_t len = 1;
    if (isalnum((unsigned char)*text))
      while (isalnum((unsigned char)text[len]) || text[len] == '_') len++;
    tokens->at[tokens->n] = text;
    tokens->len[tokens->n++] = len;
    text += len;
  }
}

static void mutate(const struct tokens *tokens, uint64_t *seed, struct dk_buf *out) {
  uint32_t first = random_below(seed, tokens->n), second = random_below(seed, tokens->n), kind = random_below(seed, 5);
  for (uint32_t i = 0; i < tokens->n; i++) {
    uint32_t from = kind == 2 && i == first ? second : kind == 2 && i == second ? first : i;
    if (i == first && kind == 0) continue;
    if (i == first && kind >= 3) {
      const char *word = words[random_below(seed, sizeof words / sizeof *words)];
      dk_buf_printf(out, " %s ", word);
      if (kind == 3) continue;
    }
    dk_buf_add(out, tokens->at[from], tokens->len[from]);
    if (i == first && kind == 1) dk_buf_add(out, tokens->at[from], tokens->len[from]);
  }
}

static void use(const struct dk_plan *plan) {
  for (uint32_t task = 0; task < plan->graph.n_tasks && task < 50; task++) {
    dk_autobuf name = DK_BUF_INIT;
    struct dk_order order;
    struct dk_error error = {0};
    dk_plan_task_name(plan, task, &name);
    int r = dk_plan_order(plan, task, task % 2 ? &late_known : &late_unknown, &order, &error);
    assert_true(r == 0 || error.text[0]);
    if (r == 0) dk_order_finish(&order);
  }
  dk_autobuf bytes = DK_BUF_INIT, edges = DK_BUF_INIT;
  struct dk_plan *pin;
  struct dk_error error = {0};
  dk_plan_edges_text(plan, &edges);
  assert_int_equal(dk_plan_encode(plan, &bytes), 0);
  if (dk_plan_decode(dk_buf_text(&bytes), bytes.len, &pin, &error) < 0) fail_msg("%s", error.text);
  dk_plan_destroy(pin);
}

static void test_mutations(void **state) {
  (void)state;
  uint64_t seed = 11;
  uint32_t planned = 0, reported = 0;
  static struct tokens tokens;
  for (uint32_t round = 0; round < 2500; round++) {
    dk_autobuf text = DK_BUF_INIT;
    split(seeds[round % 2], &tokens);
    mutate(&tokens, &seed, &text);
    struct world *world = world_new(dk_buf_text(&text));
    if (!world->plan && world->diags.n_errors == 0) fail_msg("no plan and no error: %s", dk_buf_text(&text));
    planned += world->plan != NULL;
    reported += world->diags.n_errors > 0;
    if (world->plan) use(world->plan);
    world_destroy(world);
  }
  assert_true(planned > 100 && reported > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
