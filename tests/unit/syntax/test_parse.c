/* The door: texts that are none, limits of depth and size, lack of memory at any allocation. */
#include "tests/unit/syntax/fixture.h"

#include "lang/base/alloc.h"

static void test_not_text(void **state) {
  struct fixture *f = *state;
  struct dk_parse_env env = {&f->arena, fixture_strs(f), &f->diags};
  const struct dk_source *source = dk_sources_add(&f->sources, "t.dk", "let a = 1\0let", 13);
  assert_int_equal(dk_parse_file(&env, source)->n_decls, 0);
  assert_int_equal(f->diags.items[0]->code, DK_E0703);
  assert_int_equal(f->diags.items[0]->span.start, source->base + 9);
  source = dk_sources_add(&f->sources, "t.dk", "let a = \"\xc3(\"", 11);
  assert_int_equal(dk_parse_file(&env, source)->n_decls, 0);
  assert_int_equal(f->diags.items[1]->code, DK_E0703);
  assert_int_equal(f->diags.n_errors, 2);
}

static char *repeat(struct fixture *f, const char *head, const char *text, int n, const char *tail) {
  dk_autobuf buf = DK_BUF_INIT;
  dk_buf_add_text(&buf, head);
  for (int i = 0; i < n; i++) dk_buf_add_text(&buf, text);
  dk_buf_add_text(&buf, tail);
  return dk_arena_strndup(&f->arena, dk_buf_text(&buf), buf.len);
}

static uint32_t depth_of(const struct dk_expr *expr) {
  uint32_t depth = 1;
  while (expr->kind == DK_EXPR_BINARY) {
    expr = expr->binary.left;
    depth++;
  }
  return depth;
}

/* However an expression gets deep, there is one error, and what remains is no deeper than promised. */
static void test_depth(void **state) {
  struct fixture *f = *state;
  const char *openers[] = {"[",   "(",     "f(",    "{ a = ", "-",    "not ",
                           "if ", "1 + (", "a ** ", "\"{{ ",  "a.b[", "[x for x in "};
  for (size_t i = 0; i < sizeof openers / sizeof *openers; i++) {
    dk_diags_init(&f->diags, &f->arena, &f->sources);
    fixture_parse(f, repeat(f, "let a = ", openers[i], 20000, "1\n"));
    if (f->diags.n_errors == 0) fail_msg("no error for many %s", openers[i]);
    if (f->diags.n_errors > 3) fail_msg("%u errors for many %s", f->diags.n_errors, openers[i]);
  }
  const char *tails[] = {" + 1", ".x", "[0]", " with { a = 1 }", " where b", " and c"};
  for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
    dk_diags_init(&f->diags, &f->arena, &f->sources);
    fixture_parse(f, repeat(f, "let a = x", tails[i], 20000, "\n"));
    assert_int_equal(f->diags.n_errors, 1);
    assert_int_equal(f->diags.items[0]->code, DK_E0115);
  }
  dk_diags_init(&f->diags, &f->arena, &f->sources);
  struct dk_module *module = fixture_parse(f, repeat(f, "let a = 1", " + 1", DK_EXPR_DEPTH_MAX - 1, "\n"));
  assert_int_equal(f->diags.n_errors, 0);
  assert_int_equal(depth_of(module->decls[0]->value), DK_EXPR_DEPTH_MAX);
  assert_int_equal(module->decls[0]->value->depth, DK_EXPR_DEPTH_MAX);
}

static void test_nested_blocks(void **state) {
  struct fixture *f = *state;
  fixture_parse(f, repeat(f, "task t ", "{ a ", 50000, "\n"));
  assert_true(f->diags.n_errors >= 1 && f->diags.n_errors <= 3);
}

/* Everything a file can hold, and errors of every pass over it. */
static const char whole[] = "import std.hardware as hw\n"
                            "let f(x, y) = [x + y ** 2 for a, b in zip(x, y) if a > 1 ?? 3]\n"
                            "grid g { a, b in [(1, 2)]  c ~ u(0, 1e-3)  exclude a == 1  require b > 2, \"m\" }\n"
                            "task t over g where a < 5 {\n"
                            "  inputs { x = u[a = 1].x }\n"
                            "  run = \"\"\"\n    a {{inputs.x}}\n    b {{a b}}\n  \"\"\"\n"
                            "  needs = hw.small with { memory = 64GiB }\n"
                            "  x = [1 2]\n  y = \xe2\x80\x9cq\xe2\x80\x9d\n  z = \"\\q\n"
                            "}\n"
                            "tusk u { }\n"
                            "task v {\n";

static void test_out_of_memory(void **state) {
  (void)state;
  volatile bool done = false;
  volatile unsigned failures = 0;
  for (volatile uint64_t n = 1; !done; n++) {
    struct dk_arena arena;
    struct dk_strs strs;
    struct dk_sources sources;
    struct dk_diags diags;
    jmp_buf on_oom;
    dk_arena_init(&arena, &on_oom);
    dk_alloc_fail_at(n);
    if (setjmp(on_oom) == 0) {
      dk_strs_init(&strs, &arena);
      dk_sources_init(&sources, &arena);
      dk_diags_init(&diags, &arena, &sources);
      struct dk_parse_env env = {&arena, &strs, &diags};
      const struct dk_source *source = dk_sources_add(&sources, "t.dk", whole, sizeof whole - 1);
      assert_non_null(dk_parse_file(&env, source));
      assert_true(diags.n_errors >= 5);
      dk_autobuf out = DK_BUF_INIT;
      dk_diags_render(&diags, true, &out);
      done = dk_buf_ok(&out);
    } else {
      failures++;
    }
    dk_alloc_fail_at(0);
    dk_arena_finish(&arena);
  }
  assert_true(failures > 1);
}

/* The same text gives the same tree wherever it stands in the position space. */
static void test_parse_keeps_no_state(void **state) {
  struct fixture *f = *state;
  dk_autobuf first = DK_BUF_INIT, second = DK_BUF_INIT;
  dk_dump_module(fixture_parse(f, whole), &first);
  uint32_t errors = f->diags.n_errors;
  dk_dump_module(fixture_parse(f, whole), &second);
  assert_string_equal(dk_buf_text(&first), dk_buf_text(&second));
  assert_int_equal(f->diags.n_errors, errors * 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_not_text),
      TEST(test_depth),
      TEST(test_nested_blocks),
      cmocka_unit_test(test_out_of_memory),
      TEST(test_parse_keeps_no_state),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
