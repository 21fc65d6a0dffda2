/* Grids: clauses, algebra, refusals; random grids against a naive expansion. */
#include "tests/unit/plan/support.h"

#include "lang/base/alloc.h"

#include <string.h>

#define TASK " task t over g { run = [\"x\", flags(point)] }"

static void expect_points(const char *grid, const char *want) {
  dk_autobuf text = DK_BUF_INIT;
  dk_buf_printf(&text, "%s%s", grid, TASK);
  struct world *world = world_good(dk_buf_text(&text));
  char *have = world_points(world, "t");
  if (strcmp(have, want) != 0) fail_msg("%s\n have %s\n want %s", grid, have, want);
  dk_free(have);
  world_destroy(world);
}

static void test_points(void **state) {
  (void)state;
  static const struct {
    const char *grid, *points;
  } cases[] = {
      {"grid g { a in [1, 2] b in [3, 4] }", "a=1 b=3; a=1 b=4; a=2 b=3; a=2 b=4"},
      {"grid g { a, b in [(1, 2), (3, 2)] c in [5] }", "a=1 b=2 c=5; a=3 b=2 c=5"},
      {"grid g { a in 1..2 b in if a == 1 then [7] else [8, 9] }", "a=1 b=7; a=2 b=8; a=2 b=9"},
      {"grid g { a in 1..2 b in [a, 10 * a] c in [0] }", "a=1 b=1 c=0; a=1 b=10 c=0; a=2 b=2 c=0; a=2 b=20 c=0"},
      {"grid g { a in 1..3 b = 10 * a }", "a=1 b=10; a=2 b=20; a=3 b=30"},
      {"grid g { a in 1..4 b = a // 2 c = a + b }", "a=1 b=0 c=1; a=2 b=1 c=3; a=3 b=1 c=4; a=4 b=2 c=6"},
      {"grid g { a in 1..3 exclude a == 2 b in [1, 2] }", "a=1 b=1; a=1 b=2; a=3 b=1; a=3 b=2"},
      {"grid g { a in 1..2 b in 1..2 exclude a == 1 and not (b == 1) or a > 5 }", "a=1 b=1; a=2 b=1; a=2 b=2"},
      {"grid g { a in 1..2 d = a * a include { a = 9 } exclude a == 1 }", "a=2 d=4; a=9 d=81"},
      {"grid g { a in 1..2 include { a = 2.0 } include { a = 7 } include { a = 7 } }", "a=1; a=2; a=7"},
      {"grid h { a in 1..2 } grid g over h { b in [a, 5] }", "a=1 b=1; a=1 b=5; a=2 b=2; a=2 b=5"},
      {"grid h { a in 1..2 } grid i { b in 3..4 } grid g = h * i", "a=1 b=3; a=1 b=4; a=2 b=3; a=2 b=4"},
      {"grid h { a in 1..3 exclude a == 2 } grid i { b in 3..5 exclude b == 4 } grid g = i * h",
       "b=3 a=1; b=3 a=3; b=5 a=1; b=5 a=3"},
      {"grid h { a in 1..2 b in [5] } grid i { b in 5..6 a in 2..3 } grid g = h + i",
       "a=1 b=5; a=2 b=5; a=3 b=5; a=2 b=6; a=3 b=6"},
      {"grid h { a in 1..4 } grid g = h where a % 2 == 0", "a=2; a=4"},
      {"grid h { a in 1..2 } grid i { b in 1..2 } grid g = h * i where a != b", "a=1 b=2; a=2 b=1"},
      {"let s = { x = { n = 1 } y = { n = 2 } } grid g { s2 in s exclude s2.n == 1 }", "s2=\"y\""},
      {"grid g { a in [[1, 2], [3]] }", "a=[1, 2]; a=[3]"},
      {"grid g { a in 1..2 b in 1..2 exclude true include { a = 5 b = 5 } }", "a=5 b=5"},
      {"grid g { a in 1..2 c = 3 }", "a=1 c=3; a=2 c=3"},
      {"grid g { a in 0..3 exclude a != 0 and 6 // a == 3 }", "a=0; a=1; a=3"}, /* lazy: no division by zero */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) expect_points(cases[i].grid, cases[i].points);
}

static void test_errors(void **state) {
  (void)state;
  static const struct {
    const char *text, *code, *says;
  } cases[] = {
      {"grid g { a in [1, 2, 1.0] }", "E0402", "1"},
      {"grid g { a, b in [(1, 2), (1, 2)] }", "E0402", "twice"},
      {"grid g { a in [] }", "E0403", "no value"},
      {"grid g { a in 1..3 b in [x for x in 1..2 if x < a] }", "E0403", "at a=1"},
      {"grid g { a in 5 }", "E0404", "[5]"},
      {"grid g { a, b in [(1, 2), 3] }", "E0405", "tuples of 2"},
      {"grid g { a in 1..3 exclude a }", "E0406", "at a=1"},
      {"grid g { a in 1..3 require a < 3, \"too large: {{a}}\" }", "E0407", "too large: 3"},
      {"grid g { a in 1..3 require a < 3 include { a = 9 } }", "E0407", "2 of 4"},
      {"grid g { a in 1..3 b in 1..2 include { a = 9 } }", "E0408", "leaves out axis `b`"},
      {"let s = { x = { n = 1 } } grid g { a in s include { a = \"z\" } }", "E0408", "one of its rows"},
      {"let s = { x = { n = 1 }, y = 2 } grid g { a in s }", "E0404", "`y` is none"},
      {"grid h { a in 1..2 } grid g = h * h", "E0409", "`a`"},
      {"grid h { a in 1..2 } grid i { b in 1..2 } grid g = h + i", "E0410", "`a`"},
      {"grid h { a in 1..2 } grid g = sample(h, 3, seed = 1)", "E0411", "3 of 2"},
      {"grid g { a in 1..10000 b in 1..10000 c in 1..10000 }", "E0401", "1000000000000 points"},
      {"grid g { a in 1..10000 b in 1..10000 c in 1..10000 }", "E0401", "a 10000 x b 10000 x c 10000"},
      {"grid h { a in 1..10000 } grid i { b in 1..10000 } grid g = h * i", "E0401", "100000000"},
      {"let many = 1..5000 grid g { a in 1..10000 b in if a % 2 == 0 then many else [1] }", "E0401", "25005000 points"},
      {"grid g { a in 1..2 exclude true }", "W0414", "no points left"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dk_autobuf text = DK_BUF_INIT;
    dk_buf_printf(&text, "%s%s", cases[i].text, TASK);
    struct world *world = world_new(dk_buf_text(&text));
    if (!world_says(world, cases[i].code, cases[i].says)) {
      char *shown = world_text(world);
      print_error("wanted %s %s\n%s\n%s\n", cases[i].code, cases[i].says, dk_buf_text(&text), shown);
      dk_free(shown);
      fail();
    }
    if (cases[i].code[0] == 'E') assert_null(world->plan);
    world_destroy(world);
  }
}

/* --- random grids against a naive expansion --- */

#define MAX_AXES 5
struct naive {
  uint32_t n_axes, sizes[MAX_AXES];
  bool dependent[MAX_AXES];
  uint32_t mod, rest;
  uint32_t exclude_after;
};

/* Values of axis i at a point: 0 .. n-1, or, where dependent, only those of the parity of the sum above (plus always
 * 0). */
static bool allows(const struct naive *g, uint32_t axis, const uint32_t *point, uint32_t value) {
  if (!g->dependent[axis] || value == 0) return true;
  uint32_t sum = 0;
  for (uint32_t i = 0; i < axis; i++) sum += point[i];
  return (sum + value) % 2 == 0;
}

static bool excluded(const struct naive *g, const uint32_t *point, uint32_t n) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < n; i++) sum += (i + 1) * point[i];
  return sum % g->mod == g->rest;
}

static void expand(const struct naive *g, uint32_t axis, uint32_t *point, struct dk_buf *out) {
  if (axis == g->exclude_after && excluded(g, point, axis)) return;
  if (axis == g->n_axes) {
    dk_buf_add_text(out, out->len ? "; " : "");
    for (uint32_t i = 0; i < axis; i++) dk_buf_printf(out, "%sa%u=%u", i ? " " : "", i, point[i]);
    return;
  }
  for (uint32_t v = 0; v < g->sizes[axis]; v++) {
    point[axis] = v;
    if (allows(g, axis, point, v)) expand(g, axis + 1, point, out);
  }
}

static void write_source(const struct naive *g, struct dk_buf *out) {
  dk_buf_add_text(out, "grid g {");
  for (uint32_t axis = 0; axis <= g->n_axes; axis++) {
    if (axis == g->exclude_after) {
      dk_buf_add_text(out, " exclude (0");
      for (uint32_t i = 0; i < axis; i++) dk_buf_printf(out, " + %u * a%u", i + 1, i);
      dk_buf_printf(out, ") %% %u == %u", g->mod, g->rest);
    }
    if (axis == g->n_axes) break;
    if (!g->dependent[axis]) {
      dk_buf_printf(out, " a%u in 0..%u", axis, g->sizes[axis] - 1);
      continue;
    }
    dk_buf_printf(out, " a%u in [v for v in 0..%u if v == 0 or (v", axis, g->sizes[axis] - 1);
    for (uint32_t i = 0; i < axis; i++) dk_buf_printf(out, " + a%u", i);
    dk_buf_add_text(out, ") % 2 == 0]");
  }
  dk_buf_add_text(out, " }");
}

static void test_random(void **state) {
  (void)state;
  uint64_t seed = 20240501;
  for (uint32_t round = 0; round < 150; round++) {
    struct naive g = {.n_axes = 1 + random_below(&seed, MAX_AXES), .mod = 2 + random_below(&seed, 5)};
    for (uint32_t i = 0; i < g.n_axes; i++) {
      g.sizes[i] = 1 + random_below(&seed, 4);
      g.dependent[i] = i > 0 && random_below(&seed, 3) == 0;
    }
    g.rest = random_below(&seed, g.mod);
    g.exclude_after = 1 + random_below(&seed, g.n_axes);
    uint32_t point[MAX_AXES];
    dk_autobuf want = DK_BUF_INIT, source = DK_BUF_INIT;
    expand(&g, 0, point, &want);
    write_source(&g, &source);
    if (want.len) expect_points(dk_buf_text(&source), dk_buf_text(&want));
  }
}

/* Excludes commute with each other and with axes they do not mention. */
static void test_order_of_clauses(void **state) {
  (void)state;
  static const char *const grids[] = {
      "grid g { a in 1..4 b in 1..4 c in 1..2 exclude a == b exclude c == 2 and a > 2 }",
      "grid g { a in 1..4 b in 1..4 c in 1..2 exclude c == 2 and a > 2 exclude a == b }",
      "grid g { a in 1..4 b in 1..4 exclude a == b c in 1..2 exclude c == 2 and a > 2 }",
      "grid g { a in 1..4 b in 1..4 c in 1..2 exclude a == b or (c == 2 and a > 2) }",
  };
  char *first = NULL;
  for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
    dk_autobuf text = DK_BUF_INIT;
    dk_buf_printf(&text, "%s%s", grids[i], TASK);
    struct world *world = world_good(dk_buf_text(&text));
    char *points = world_points(world, "t");
    if (first) assert_string_equal(first, points);
    if (first)
      dk_free(points);
    else
      first = points;
    world_destroy(world);
  }
  dk_free(first);
}

/* sample keeps its points when more are asked for, and does not depend on the columns' order. */
static void test_sample(void **state) {
  (void)state;
  char *small = NULL, *large = NULL;
  struct world *a = world_good("grid h { a in 1..20 b in 1..20 } grid g = sample(h, 10, seed = 3)" TASK);
  struct world *b = world_good("grid h { a in 1..20 b in 1..20 } grid g = sample(h, 40, seed = 3)" TASK);
  struct world *c = world_good("grid h { a in 1..20 b in 1..20 } grid g = sample(h, 10, seed = 4)" TASK);
  small = world_points(a, "t");
  large = world_points(b, "t");
  char *other = world_points(c, "t");
  assert_string_not_equal(small, other);
  assert_int_equal(a->plan->templates[0].points.rows, 10);
  for (char *save = NULL, *point = strtok_r(small, ";", &save); point; point = strtok_r(NULL, ";", &save)) {
    while (*point == ' ') point++;
    assert_non_null(strstr(large, point));
  }
  dk_free(small);
  dk_free(large);
  dk_free(other);
  world_destroy(a);
  world_destroy(b);
  world_destroy(c);
}

static void test_steps(void **state) {
  (void)state;
  struct world *world = world_good(
      "grid h {\n c in 1..11\n gamma in 1..10\n exclude c > 8 and gamma > 8\n include { c = 50 gamma = 1 }\n}\n"
      "task t over h { run = \"x {{c}} {{gamma}}\" }");
  const struct dk_template *t = &world->plan->templates[0];
  assert_int_equal(t->n_steps, 3);
  assert_string_equal(t->steps[0].text, "c 11 x gamma 10");
  assert_int_equal(t->steps[0].change, 110);
  assert_string_equal(t->steps[1].text, "exclude");
  assert_int_equal(t->steps[1].change, -6);
  assert_int_equal(t->steps[1].line, 4);
  assert_int_equal(t->steps[2].change, 1);
  assert_int_equal(t->points.rows, 105);
  world_destroy(world);
}

static void test_steps_over(void **state) {
  (void)state;
  struct world *world = world_good("grid data { set in 1..4 }\n"
                                   "grid h over data {\n lr in 1..3\n seed in 1..2\n exclude set > 3\n k in 1..2\n}\n"
                                   "task t over h { run = \"x {{set}} {{lr}} {{seed}} {{k}}\" }");
  const struct dk_template *t = &world->plan->templates[0];
  assert_int_equal(t->n_steps, 3);
  assert_string_equal(t->steps[0].text, "data 4 x lr 3 x seed 2");
  assert_int_equal(t->steps[0].change, 24);
  assert_int_equal(t->steps[1].change, -6);
  assert_string_equal(t->steps[2].text, "x k 2");
  assert_int_equal(t->steps[2].change, 18);
  assert_int_equal(t->steps[2].line, 6);
  world_destroy(world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_points),           cmocka_unit_test(test_errors), cmocka_unit_test(test_random),
      cmocka_unit_test(test_order_of_clauses), cmocka_unit_test(test_sample), cmocka_unit_test(test_steps),
      cmocka_unit_test(test_steps_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
