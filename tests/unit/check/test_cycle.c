/* Cycles of tasks and picks. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include "lang/base/alloc.h"

#include <string.h>

#define OUT "outputs { o = \"o\" } run = \"x\""

static void test_cycles(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"task a { inputs { i = a.o } " OUT " }",
       "E0205 1[a.o] `a` needs itself: a -> a\n  ^ `a` needs `a` here\n"
       "  = help: a point may need an earlier point of an axis through a selector: `a[axis = value].output`\n"},
      {"task a { inputs { i = b.o } " OUT " }\ntask b { inputs { i = a.o } " OUT " }",
       "E0205 2[a.o] `a` can never start, it waits for itself: a -> b -> a\n  ^ `b` needs `a` here\n  - 1[b.o] `a` "
       "needs "
       "`b` here\n"
       "  = help: a point may need an earlier point of an axis through a selector: `a[axis = value].output`\n"},
      {"task a { inputs { i = b.o } " OUT " }\ntask b { inputs { i = c.o } " OUT " }\ntask c { inputs { i = b.o } " OUT
       " }",
       "E0205 3[b.o] `b` can never start, it waits for itself: b -> c -> b\n  ^ `c` needs `b` here\n  - 2[c.o] `b` "
       "needs "
       "`c` here\n"
       "  = help: a point may need an earlier point of an axis through a selector: `b[axis = value].output`\n"},
      {"task a { run = \"{{best.m}}\" metrics { m = match(stdout, 'x') } }\npick best { from = a maximize = m }",
       "E0205 2[best] `a` can never start, it waits for itself: a -> best -> a\n  ^ `best` needs `a` here\n  - "
       "1[best.m] `a` "
       "needs `best` here\n"
       "  = help: a point may need an earlier point of an axis through a selector: `a[axis = value].output`\n"},
      {"task a { inputs { i = gather(b) } " OUT " }\ntask b { inputs { i = if 1 < 2 then a.o else file(\"x\") } " OUT
       " }",
       "E0205 2[a.o] `a` can never start, it waits for itself: a -> b -> a\n  ^ `b` needs `a` here\n  - 1[gather(b)] "
       "`a` needs "
       "`b` here\n"
       "  = help: a point may need an earlier point of an axis through a selector: `a[axis = value].output`\n"},
      /* Through a selector it is plan's to judge. */
      {"grid g { e in 0..3 } task a over g { inputs { i = if e > 0 then a[e = e - 1].o else file(\"x\") } run = "
       "\"{{e}}\" outputs { o = "
       "\"o\" } }",
       ""},
      /* A diamond is no cycle. */
      {"task a { " OUT " } task b { inputs { i = a.o } " OUT " } task c { inputs { i = a.o } " OUT
       " } task d { inputs { x = b.o y = c.o } " OUT " }",
       ""},
  };
  DK_TABLE(rows, dk_compile_text);
}

/* A chain of 20,000 tasks takes no stack; its two ends joined are a cycle that is said in a bounded line. */
static void test_long(void **state) {
  (void)state;
  dk_autobuf text = DK_BUF_INIT;
  const int n = 20000;
  for (int i = 1; i < n; i++) dk_buf_printf(&text, "task t%d { inputs { i = t%d.o } " OUT " }\n", i, i - 1);
  size_t open = text.len;
  dk_buf_add_text(&text, "task t0 { " OUT " }");
  char *errors = dk_compile_text(dk_buf_text(&text));
  assert_string_equal(errors, "");
  dk_free(errors);
  dk_buf_truncate(&text, open);
  dk_buf_printf(&text, "task t0 { inputs { i = t%d.o } " OUT " }", n - 1);
  errors = dk_compile_text(dk_buf_text(&text));
  assert_memory_equal(errors, "E0205 ", 6);
  assert_non_null(strstr(errors, " -> ... -> "));
  assert_true(strlen(errors) < 2000);
  dk_free(errors);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cycles), cmocka_unit_test(test_long)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
