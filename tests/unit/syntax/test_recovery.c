/* Many errors in one file: each is found at its place, none is made up, and the rest of the tree is there. */
#include "tests/unit/syntax/fixture.h"

static void test_each_at_its_place(void **state) {
  assert_errors(*state,
                "let a = 1 +\n"
                "let b = [1 2]\n"
                "grid g {\n"
                "  c in 2 ** (1..3\n"
                "  d in [1, 2]\n"
                "  exclude c = 1\n"
                "  exclude 1 < c < 3\n"
                "  e = if c then 2\n"
                "  f 3\n"
                "  in = 4\n"
                "  g = { x = 1 y 2 }\n"
                "}\n"
                "task t over g {\n"
                "  inputs { x = file(\"a\"  y = file(\"b\") }\n"
                "  run = \"{{}} {{c d}} {{c}}\"\n"
                "  needs = = hw.small\n"
                "}\n"
                "pick p { from = t maximize }\n",
                "E0101@1:12 E0103@2:11 E0102@4:18 E0104@6:13 E0107@7:17 E0101@8:18 E0101@9:4 E0108@10:3 E0101@11:16 "
                "E0103@14:24 E0101@15:10 E0101@15:19 E0101@16:11 E0101@18:27");
}

static void test_missing_braces(void **state) {
  struct fixture *f = *state;
  assert_errors(f, "grid g {\n  a in [1]\n\ntask t {\n  run = = 1\n}\n", "E0102@2:11 E0101@5:9");
  assert_errors(f, "task t {\n  inputs {\n    a = 1\n  run = 2\n}\ntask u {\n  x = = 1\n}\n", "E0102@2:10 E0101@7:7");
  assert_errors(f, "task t {\n  run = 1\n", "E0102@2:10");
  assert_errors(f, "task t {\n  a {\n    b {\n", "E0102@3:8");
  assert_errors(f, "task t {\n  run = 1\n}}\ntask u { x = = 1 }\n", "E0102@3:2 E0101@4:14");
  assert_errors(f, "task t {\n  run = 1\n}\n  x = 2\n}\ntask u { x = = 1 }\n", "E0109@4:3 E0101@6:14");
  assert_errors(f, "let x = { a = 1\n\nlet y = = 2\n", "E0102@1:16 E0101@3:9");
  assert_errors(f, "let x = (1\nlet y = [2\nlet z = f(3]\n", "E0102@1:11 E0102@2:11 E0102@3:12");
}

static void test_headers(void **state) {
  struct fixture *f = *state;
  assert_errors(f, "tsk t {\n  x = = 1\n}\n", "E0109@1:1 E0101@2:7");
  assert_errors(f, "task {\n  run = 1\n}\nlet = 3\nlet x 3\nlet if = 3\n", "E0101@1:6 E0101@4:5 E0101@5:6 E0108@6:5");
  assert_errors(f, "task t over g\n  run = 1\n}\nlet a = = 1\n", "E0101@1:14 E0101@4:9");
  assert_errors(f, "task t over {\n  run = 1\n}\n", "E0101@1:8");
  assert_errors(f, "import std.hardware\nimport \"a b.dk\"\nimport\nlet a = 1\n", "E0121@1:8 E0121@2:8 E0101@3:7");
  assert_errors(f, "run = 1\n", "E0109@1:1");
  assert_errors(f, "param x = task t { run = 1 }\nlet a = = 1\n", "E0101@1:16 E0101@2:9");
}

static void test_odd_characters(void **state) {
  struct fixture *f = *state;
  assert_errors(f, "let a = b && c || !d\n", "E0105@1:11 E0105@1:16 E0105@1:19");
  assert_errors(f,
                "let a = \xe2\x80\x9c"
                "b\xe2\x80\x9d\nlet c = 1\xc2\xa0\nlet d = 1 \xe2\x80\x93 2\n",
                "E0105@1:9 E0105@2:10 E0105@3:11");
  assert_errors(f, "let a = 1;\nlet b: 2\ntask t { x: 1; y := 2 }\n",
                "E0105@1:10 E0105@2:6 E0105@3:11 E0105@3:14 E0105@3:18");
  assert_errors(f, "let a = [1; 2]\nlet b = a ? 1 : 2\nlet c = \x01 1\n", "E0105@1:11 E0105@2:11 E0105@2:15 E0105@3:9");
  assert_errors(f,
                "let gr\xc3\xb6\xc3\x9f"
                "e = 1\n",
                "E0105@1:5");
}

/* What could not be read keeps its name, with an error for its value, so that later passes do not miss it. */
static void test_names_survive(void **state) {
  struct fixture *f = *state;
  struct dk_module *module =
      fixture_parse(f, "let a = 1 +\n"
                       "let f(x) = (\n"
                       "grid h = = 3\n"
                       "grid g {\n  c, d in [1 2]\n  e = )\n  vary k in ]\n  l ~ (1\n  m = 2\n}\n"
                       "task t over over {\n}\n");
  dk_autobuf out = DK_BUF_INIT;
  dk_dump_module(module, &out);
  assert_string_equal(dk_buf_text(&out), "broken let a = ERROR\n"
                                         "broken let f(x) = ERROR\n"
                                         "broken grid h = ERROR\n"
                                         "broken grid g { with errors\n"
                                         "  c, d in ERROR\n"
                                         "  e = ERROR\n"
                                         "  vary k in ERROR\n"
                                         "  l ~ ERROR\n"
                                         "  m = 2\n"
                                         "}\n"
                                         "task t over over {\n"
                                         "}\n");
  assert_true(module->decls[3]->has_errors);
  assert_true(module->decls[3]->block->has_errors);
  assert_false(module->decls[4]->has_errors);
}

static void assert_help(struct fixture *f, const char *text, const char *help) {
  dk_diags_init(&f->diags, &f->arena, &f->sources);
  fixture_parse(f, text);
  for (uint32_t i = 0; i < f->diags.count; i++)
    for (uint32_t j = 0; j < f->diags.items[i]->n_helps; j++)
      if (strstr(f->diags.items[i]->helps[j], help)) return;
  fail_msg("no help `%s` for: %s", help, text);
}

static void test_helps(void **state) {
  struct fixture *f = *state;
  assert_help(f, "tsak t { }", "did you mean `task`?");
  assert_help(f, "grid g { exlude c > 1 }", "did you mean `exclude`?");
  assert_help(f, "grid g {\n  exclude c = 1\n}", "write `==`");
  assert_help(f, "def f(x): 1", "let f(x)");
  assert_help(f, "// a comment\nlet a = 1", "begins with `#`");
  assert_help(f, "x = 5\n", "let x = ...");
  assert_help(f, "let a = if x then 1 elif y then 2 else 3", "else if");
  assert_help(f, "let a = \"{{b c}}\"", "one value");
  assert_help(f, "let a = \"\\d\"", "'...'");
  assert_help(f, "import std.hardware", "import std.hardware as hardware");
  assert_help(f, "let x = .5", "0.5");
  assert_help(f, "task t { let x = 1 }", "outside of braces");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_each_at_its_place), TEST(test_missing_braces), TEST(test_headers),
      TEST(test_odd_characters),    TEST(test_names_survive),  TEST(test_helps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
