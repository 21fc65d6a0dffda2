/* References: what each row needs, against brute force over random grids; kinds, branches, errors. */
#include "tests/unit/plan/support.h"

#include "lang/base/alloc.h"

#include <string.h>

/* --- random grids --- */

#define N_AXES 4
#define MAX_ROWS 256

struct side {
  bool has[N_AXES];
  uint32_t values[N_AXES]; /* bit v: value v */
  uint32_t mod, rest;
  uint8_t rows[MAX_ROWS][N_AXES];
  uint32_t n;
};

static void expand(struct side *side, uint32_t axis, uint8_t *row) {
  if (axis == N_AXES) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < N_AXES; i++) sum += side->has[i] ? (i + 1) * row[i] : 0;
    if (side->mod && sum % side->mod == side->rest) return;
    memcpy(side->rows[side->n++], row, N_AXES);
    return;
  }
  if (!side->has[axis]) {
    expand(side, axis + 1, row);
    return;
  }
  for (uint8_t v = 0; v < 3; v++) {
    if (!(side->values[axis] >> v & 1)) continue;
    row[axis] = v;
    expand(side, axis + 1, row);
  }
}

static void draw(struct side *side, uint64_t *seed) {
  *side = (struct side){.mod = random_below(seed, 3) ? 0 : 3 + random_below(seed, 3)};
  side->rest = side->mod ? random_below(seed, side->mod) : 0;
  uint32_t n = 0;
  for (uint32_t i = 0; i < N_AXES; i++) {
    side->has[i] = random_below(seed, 2) == 0;
    side->values[i] = 1 + random_below(seed, 7);
    n += side->has[i];
  }
  if (n == 0) side->has[0] = true;
  uint8_t row[N_AXES] = {0};
  expand(side, 0, row);
}

static void write_grid(const struct side *side, const char *name, struct dk_buf *out) {
  dk_buf_printf(out, "grid %s {", name);
  for (uint32_t i = 0; i < N_AXES; i++) {
    if (!side->has[i]) continue;
    dk_buf_printf(out, " x%u in [", i);
    const char *comma = "";
    for (uint32_t v = 0; v < 3; v++) {
      if (!(side->values[i] >> v & 1)) continue;
      dk_buf_printf(out, "%s%u", comma, v);
      comma = ", ";
    }
    dk_buf_add_char(out, ']');
  }
  if (side->mod) {
    dk_buf_add_text(out, " exclude (0");
    for (uint32_t i = 0; i < N_AXES; i++)
      if (side->has[i]) dk_buf_printf(out, " + %u * x%u", i + 1, i);
    dk_buf_printf(out, ") %% %u == %u", side->mod, side->rest);
  }
  dk_buf_add_text(out, " }\n");
}

/* Rows of p that row `r` of q needs: shared axes equal, selected ones equal to `select` (UINT32_MAX: not selected). */
static uint32_t match(const struct side *p, const struct side *q, const uint32_t *select, uint32_t r, uint32_t *rows) {
  uint32_t n = 0;
  for (uint32_t k = 0; k < p->n; k++) {
    bool fits = true;
    for (uint32_t i = 0; i < N_AXES; i++) {
      if (!p->has[i]) continue;
      if (select[i] != UINT32_MAX)
        fits &= p->rows[k][i] == select[i];
      else if (q->has[i])
        fits &= p->rows[k][i] == q->rows[r][i];
    }
    if (fits) rows[n++] = k;
  }
  return n;
}

static void compare(const struct side *p, const struct side *q, const uint32_t *select, const char *source) {
  struct world *world = world_new(source);
  uint32_t want[MAX_ROWS], missing = 0;
  for (uint32_t r = 0; r < q->n; r++) missing += match(p, q, select, r, want) == 0;
  if (missing) {
    if (world->plan || !world_says(world, "E0502", "")) fail_msg("no E0502: %s", source);
    world_destroy(world);
    return;
  }
  if (!world->plan) {
    char *text = world_text(world);
    fail_msg("%s\n%s", source, text);
  }
  const struct dk_graph *graph = &world->plan->graph;
  const struct dk_graph_node *node = &graph->nodes[1];
  assert_int_equal(graph->nodes[0].rows, p->n);
  assert_int_equal(node->rows, q->n);
  assert_int_equal(node->n_edges, 1);
  for (uint32_t r = 0; r < q->n; r++) {
    uint32_t n = match(p, q, select, r, want), first;
    const uint32_t *list;
    if (dk_edge_rows(graph, &node->edges[0], r, &first, &list) != n) fail_msg("row %u: %s", r, source);
    for (uint32_t i = 0; i < n; i++)
      if ((list ? list[i] : first + i) != want[i]) fail_msg("row %u, %u: %s", r, i, source);
  }
  world_destroy(world);
}

static void test_random(void **state) {
  (void)state;
  uint64_t seed = 99;
  static struct side p, q;
  for (uint32_t round = 0; round < 400; round++) {
    draw(&p, &seed);
    draw(&q, &seed);
    if (p.n == 0 || q.n == 0) continue;
    bool plain = random_below(&seed, 2) == 0;
    uint32_t select[N_AXES];
    dk_autobuf source = DK_BUF_INIT, selectors = DK_BUF_INIT;
    for (uint32_t i = 0; i < N_AXES; i++) {
      select[i] = UINT32_MAX;
      /* A plain reference must fix what the consumer lacks; gather may. */
      if (!p.has[i] || (plain ? q.has[i] : random_below(&seed, 3) != 0)) continue;
      select[i] = random_below(&seed, 3);
      dk_buf_printf(&selectors, "%sx%u = %u", selectors.len ? ", " : "", i, select[i]);
    }
    write_grid(&p, "gp", &source);
    write_grid(&q, "gq", &source);
    dk_buf_printf(&source,
                  "task p over gp { outputs { o = \"o\" } run = [\"x\", flags(point)] }\n"
                  "task q over gq { inputs { i = %sp%s%s%s.o%s } run = [\"x\", flags(point)] }\n",
                  plain ? "" : "gather(", selectors.len ? "[" : "", dk_buf_text(&selectors), selectors.len ? "]" : "",
                  plain ? "" : ")");
    compare(&p, &q, select, dk_buf_text(&source));
  }
}

/* --- kinds --- */

#define P "task p over g { outputs { o = \"o\" } run = [\"x\", flags(point)] }\n"

static void test_kinds(void **state) {
  (void)state;
  static const struct {
    const char *source;
    enum dk_edge_kind kind;
  } cases[] = {
      {"task p { outputs { o = \"o\" } run = \"x\" } grid h { a in 1..3 } task q over h { inputs { i = p.o } run = \"y "
       "{{a}}\" }",
       DK_EDGE_ONE},
      {"grid g { a in 1..3 b in 1..2 exclude a == b }" P "task q over g { inputs { i = p.o } run = \"y\" }",
       DK_EDGE_SAME},
      {"grid g { a in 1..3 } grid h { a in 1..3 }" P "task q over h { inputs { i = p.o } run = \"y\" }", DK_EDGE_SAME},
      {"grid g { a in 1..3 } grid h { a in [3, 2, 1] }" P "task q over h { inputs { i = p.o } run = \"y\" }",
       DK_EDGE_MAP},
      {"grid g { a in 1..3 }" P "task q { inputs { i = gather(p.o) } run = \"y\" }", DK_EDGE_ALL},
      {"grid g { a in 1..3 s in 1..2 } grid h { a in 1..3 }" P
       "task q over h { inputs { i = gather(p.o) } run = \"y\" }",
       DK_EDGE_GATHER},
      {"grid g { a in [1, 2] } grid h { a in [1.0, 2.0] }" P "task q over h { inputs { i = p.o } run = \"y\" }",
       DK_EDGE_SAME},
      {"grid g { a in 1..3 }" P "grid h over g { b in 1..2 } task q over h { inputs { i = p.o } run = \"y {{b}}\" }",
       DK_EDGE_MAP},
      {"grid g { a in 1..3 } grid h { b in 2..3 a = b - 1 }" P "task q over h { inputs { i = p.o } run = \"y\" }",
       DK_EDGE_MAP}, /* derived column joins an axis */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct world *world = world_good(cases[i].source);
    const struct dk_edge *edge = &world->plan->graph.nodes[world_template(world, "q")].edges[0];
    if (edge->kind != cases[i].kind)
      fail_msg("%s: kind %d, wanted %d", cases[i].source, (int)edge->kind, (int)cases[i].kind);
    world_destroy(world);
  }
}

static void test_words(void **state) {
  (void)state;
  struct world *world = world_good(
      "grid g { lr in 1..2 batch in 3..4 seed in 1..2 } grid h { lr in 1..2 batch in 3..4 split in [\"a\", \"b\"] }"
      "task train over g { outputs { model = \"m\" } run = [\"x\", flags(point)] }"
      "task evaluate over h { inputs { model = train[seed = 1].model all = gather(train.model) } run = \"x {{split}}\" "
      "}");
  dk_autobuf text = DK_BUF_INIT;
  dk_plan_edges_text(world->plan, &text);
  assert_string_equal(dk_buf_text(&text),
                      "evaluate.model <- train.model: matched lr, batch; selected seed; broadcast split\n"
                      "evaluate.all <- train.model: matched lr, batch; broadcast split; gathered seed\n");
  world_destroy(world);
}

/* Only the branch taken is an edge. */
static void test_branches(void **state) {
  (void)state;
  struct world *world = world_good("task a { outputs { o = \"a.bin\" } run = \"x\" } task b { outputs { o = \"b.bin\" "
                                   "} run = \"x\" } grid g { n in 0..3 }"
                                   "task q over g { inputs { i = if n == 0 then file(\"zero\") else if 6 // n > 2 then "
                                   "a.o else b.o } run = \"y {{inputs.i}}\" }");
  uint32_t q = world_template(world, "q");
  const struct dk_graph_node *node = &world->plan->graph.nodes[q];
  assert_int_equal(node->n_edges, 2);
  static const uint32_t want[2][4] = {{DK_NO_ROW, 0, 0, DK_NO_ROW}, {DK_NO_ROW, DK_NO_ROW, DK_NO_ROW, 0}};
  static const char *const places[] = {"zero", "a.bin", "a.bin", "b.bin"};
  for (uint32_t e = 0; e < 2; e++) {
    assert_int_equal(node->edges[e].kind, DK_EDGE_MAP);
    assert_memory_equal(node->edges[e].map, want[e], sizeof want[e]);
  }
  for (uint32_t row = 0; row < 4; row++) {
    struct dk_order order;
    order_good(world, node->first + row, &order);
    assert_int_equal(order.n_inputs, 1);
    assert_string_equal(strrchr(order.inputs[0].place, '/') + 1, places[row]);
    assert_non_null(strstr(order.script, places[row]));
    dk_order_finish(&order);
  }
  world_destroy(world);
}

/* A task that goes on from its own earlier points. */
static void test_self(void **state) {
  (void)state;
  struct world *world = world_good("grid g { e in 1..3 s in 1..2 } task t over g { outputs { m = \"m\" } inputs { from "
                                   "= if e > 1 then t[e = e - 1].m else file(\"zero\") } run = \"x {{s}}\" }");
  const struct dk_edge *edge = &world->plan->graph.nodes[0].edges[0];
  static const uint32_t want[] = {DK_NO_ROW, DK_NO_ROW, 0, 1, 2, 3};
  assert_int_equal(edge->kind, DK_EDGE_MAP);
  assert_memory_equal(edge->map, want, sizeof want);
  world_destroy(world);
}

static void test_errors(void **state) {
  (void)state;
  static const struct {
    const char *source, *code, *says;
  } cases[] = {
      {"grid g { a in 1..3 s in 1..2 }" P "task q { inputs { i = p.o } run = \"y\" }", "E0501", "`a`, `s`"},
      {"grid g { a in 1..3 s in 1..2 }" P "grid h { a in 1..3 } task q over h { inputs { i = p.o } run = \"y\" }",
       "E0501", "p[s = ...]"},
      {"grid g { a in 1..3 }" P "grid h { a in 2..6 } task q over h { inputs { i = p.o } run = \"y\" }", "E0502",
       "3 of 5"},
      {"grid g { a in 1..3 }" P "grid h { a in 2..6 } task q over h { inputs { i = p.o } run = \"y\" }", "E0502",
       "at a=4"},
      {"grid g { a in 1..3 }" P "task q { inputs { i = p[a = 9].o } run = \"y\" }", "E0502", "finds no point of `p`"},
      {"grid g { a in 1..3 }" P "task q { inputs { i = gather(p[a = 9].o) } run = \"y\" }", "E0502",
       "finds no point of `p`"},
      {"let s = { x = { n = 1 } } let r = { x = { n = 2 } } grid g { a in s }" P
       "grid h { a in r } task q over h { inputs { i = p.o } run = \"y\" }",
       "E0504", "different records"},
      {"grid g { e in 1..3 } task t over g { outputs { m = \"m\" } inputs { f = t[e = 4 - e].m } run = \"x\" }",
       "E0505", "waits for itself"},
      {"grid g { e in 1..3 } task t over g { outputs { m = \"m\" } inputs { f = u[e = 1].m } run = \"x {{e}}\" }"
       "task u over g { outputs { m = \"m\" } inputs { f = t[e = 1].m } run = \"x {{e}}\" }",
       "E0505", "circle"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct world *world = world_new(cases[i].source);
    if (world->plan || !world_says(world, cases[i].code, cases[i].says)) {
      char *shown = world_text(world);
      fail_msg("wanted %s %s\n%s\n%s", cases[i].code, cases[i].says, cases[i].source, shown);
    }
    world_destroy(world);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_random),   cmocka_unit_test(test_kinds), cmocka_unit_test(test_words),
      cmocka_unit_test(test_branches), cmocka_unit_test(test_self),  cmocka_unit_test(test_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
