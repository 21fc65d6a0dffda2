/* Which words are names and which begin declarations and statements; what the array always holds. */
#include "tests/unit/syntax/fixture.h"

static void assert_module(struct fixture *f, const char *text, const char *tree) {
  dk_autobuf out = DK_BUF_INIT;
  dk_dump_module(fixture_parse(f, text), &out);
  if (f->diags.n_errors > 0) dk_diags_render(&f->diags, false, &out);
  assert_string_equal(dk_buf_text(&out), tree);
}

static void test_declaration_words_are_names(void **state) {
  struct fixture *f = *state;
  assert_module(
      f, "grid g { task in [\"mnli\"]  image = 3  pick, report in [(1, 2)]  base in [1]  draw = 2 }",
      "grid g {\n  task in (list \"mnli\")\n  image = 3\n  pick, report in (list (tuple 1 2))\n  base in (list 1)\n"
      "  draw = 2\n}\n");
  assert_module(f, "let task = grid\nlet grid = a.task.let\nparam over = as\n",
                "let task = grid\nlet grid = (. (. a task) let)\nparam over = as\n");
  assert_module(f, "task over over over { run = task }\n", "task over over over {\n  run = task\n}\n");
  assert_module(
      f, "grid g {\n  exclude in [1]\n  include = 2\n  require in [3]\n  vary ~ u(1)\n  exclude exclude > 1\n}\n",
      "grid g {\n  exclude in (list 1)\n  include = 2\n  require in (list 3)\n  vary ~ (call u 1)\n"
      "  exclude (> exclude 1)\n}\n");
  assert_module(f, "task t { import = 1  source = \"x\"  env { task = task  let = [for_ for for_ in xs] } }",
                "task t {\n  import = 1\n  source = \"x\"\n  env {\n    task = task\n    let = (each for_ for for_ in "
                "xs)\n  }\n}\n");
  assert_module(f, "import as as as\n", "import as std as\n");
}

static void test_statements_follow_without_separators(void **state) {
  struct fixture *f = *state;
  assert_module(
      f, "grid g { a in [1] b in [2], c = a exclude a > 1, require b > 2, \"m\" include { a = 1 b = 2 } d = [c] }",
      "grid g {\n  a in (list 1)\n  b in (list 2)\n  c = a\n  exclude (> a 1)\n  require (> b 2), \"m\"\n"
      "  include (record a=1 b=2)\n  d = (list c)\n}\n");
  assert_module(f, "let a = 1 let b = a let c = f(a) task t { run = \"x\" } task u { run = \"y\" }",
                "let a = 1\nlet b = a\nlet c = (call f a)\ntask t {\n  run = \"x\"\n}\ntask u {\n  run = \"y\"\n}\n");
}

static void test_declarations(void **state) {
  struct fixture *f = *state;
  assert_module(f, "import std.hardware as hw\nimport \"./common.dk\" as common\nimport 'x.dk' as x\n",
                "import hw std std.hardware\nimport common file ./common.dk\nimport x file x.dk\n");
  assert_module(f, "let f(x, y,) = x + y\nlet g() = 1\n", "let f(x, y) = (+ x y)\nlet g() = 1\n");
  assert_module(f,
                "report r { }\nreport { table { } }\nimage i { }\nprovider p { }\nsource s = git(\"u\", ref = 'v')\n",
                "report r {\n}\nreport {\n  table {\n  }\n}\nimage i {\n}\nprovider p {\n}\n"
                "source s = (call git \"u\" ref='v')\n");
  assert_module(f,
                "task t over g where a > 1 { }\ngrid h over g * k { b in xs[a] }\ntask u over g with { a = 1 } { }\n",
                "task t over (where g (> a 1)) {\n}\ngrid h over (* g k) {\n  b in (index xs a)\n}\n"
                "task u over (with g a=1) {\n}\n");
  assert_module(f, "", "");
  assert_module(f, "# only a comment", "");
  assert_module(f, "\xef\xbb\xbflet a = 1\r\n", "let a = 1\n");
}

static void test_minus_rule(void **state) {
  assert_errors(*state, "let a = [-5 -3]\nlet b = [-5, -3]\nlet c = x -y\nlet d = x - y\nlet e = x-y\nlet f = (-1)\n",
                "E0106@1:13 E0106@3:11");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_declaration_words_are_names),
      TEST(test_statements_follow_without_separators),
      TEST(test_declarations),
      TEST(test_minus_rule),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
