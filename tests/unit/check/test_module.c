/* Modules: members through an alias, what may stand in one, cycles, each read once. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include "lang/base/alloc.h"

static const struct dk_test_module modules[] = {
    {"./lib.dk", "let k = 7 let f(x) = x * k resource box { cpus = 2 } grid g { x in [1, 2] }\n"
                 "task prep { run = \"x\" outputs { data = \"d\" } }\n"
                 "task idle { run = \"x\" }\n"},
    {"./bad.dk", "experiment e { } param p = 1 report { } let ok = 1 let broken = nothing"},
    {"./a.dk", "import \"./b.dk\" as b\nlet x = 1"},
    {"./b.dk", "import \"./a.dk\" as a\nlet y = 1"},
    {"./self.dk", "import \"./self.dk\" as s"},
    {"./back.dk", "import \"./t.dk\" as t"},
    {"./mid.dk",
     "import \"./lib.dk\" as lib\ntask mix { inputs { d = lib.prep.data } run = \"x\" outputs { m = \"m\" } }"},
};

static struct dk_compile with(const struct dk_test_module *list, uint32_t n) {
  return (struct dk_compile){.modules = list, .n_modules = n};
}

static char *errors_of(const char *text) {
  struct dk_compile c = with(modules, sizeof modules / sizeof *modules);
  dk_compile(&c, text);
  char *errors = dk_strdup(dk_compile_errors(&c));
  dk_compile_finish(&c);
  return errors;
}

static void test_members(void **state) {
  (void)state;
  struct dk_compile c = with(modules, 7);
  dk_compile(
      &c, "import \"./lib.dk\" as lib\nimport \"./lib.dk\" as again\n"
          "let a = lib.k + 1 let b = lib.f(2) let d = again.f(3)\n"
          "grid h over lib.g { y in [x] }\n"
          "task t over h { needs = lib.box inputs { d = lib.prep.data } run = \"{{x}}{{y}}{{lib.k}}{{inputs.d}}\" }");
  assert_string_equal(dk_compile_errors(&c), "");
  assert_string_equal(dk_compile_value(&c, "a"), "8");
  assert_string_equal(dk_compile_value(&c, "b"), "14");
  assert_string_equal(dk_compile_value(&c, "d"), "21");
  assert_int_equal(c.checked->n_modules, 2); /* one module, however often it is imported */
  assert_int_equal(c.checked->n_tasks, 2);   /* of the module's tasks only what is used */
  assert_string_equal(c.checked->tasks[0]->name->text, "t");
  assert_string_equal(c.checked->tasks[1]->name->text, "lib.prep");
  assert_int_equal(c.checked->n_grids, 2);
  assert_string_equal(c.checked->grids[0]->decl->name->text, "g"); /* each after what it uses */
  dk_compile_finish(&c);
}

static void test_through(void **state) {
  (void)state;
  struct dk_compile c = with(modules, 7);
  dk_compile(&c, "import \"./mid.dk\" as mid\ntask t { inputs { m = mid.mix.m } run = \"x\" }");
  assert_string_equal(dk_compile_errors(&c), "");
  assert_int_equal(c.checked->n_tasks, 3);
  assert_string_equal(c.checked->tasks[1]->name->text, "mid.mix");
  assert_string_equal(c.checked->tasks[2]->name->text, "mid.lib.prep");
  dk_compile_finish(&c);
}

#define T "\ntask t { run = \"x\" }"

static void test_errors(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"import \"./lib.dk\" as lib\nlet a = lib.kk" T,
       "E0212 2[kk] no `kk` in module `lib`\n  = help: did you mean `k`?\n  = note: it has k, f, box, g, prep, idle\n"},
      {"import \"./lib.dk\" as lib\nlet a = lib" T, "E0214 2[lib] `lib` is a module, not a value\n"
                                                    "  = help: name one of its members, as in `lib.name`\n"},
      {"import \"./lib.dk\" as lib\nlet a = lib.f" T,
       "E0214 2[lib.f] `f` is a function: it must be called\n  = help: write `f(x)`\n"},
      {"import \"./lib.dk\" as lib\nlet a = lib.k(1)" T,
       "E0211 2[lib.k] `k` is not a function\n  = help: a function is declared as `let f(x) = ...`\n"},
      {"import \"./lib.dk\" as lib\nlet a = lib.g" T,
       "E0214 2[lib.g] `g` is a grid, not a value\n"
       "  = help: grids stand behind `over` and in other grids; a task over it uses its columns by name\n"},
      {"let a = lib.k\nimport \"./lib.dk\" as lib" T,
       "E0204 1[lib] `lib` is used before it is declared\n  - 2[lib] declared here\n"
       "  = help: move the declaration of `lib` above `a`\n"},
      {"import \"./none.dk\" as n\nlet a = n.x\nlet b = n.f(1)" T, "E0701 1[\"./none.dk\"] no module ./none.dk\n"},
      {"import \"./bad.dk\" as bad\nlet a = bad.ok" T,
       "E0210 ./bad.dk:1[e] an experiment cannot stand in a module that is imported\n"
       "  = help: move it into the file that is run; a module holds lets, functions, resources, grids and tasks\n"
       "E0210 ./bad.dk:1[p] a param cannot stand in a module that is imported\n"
       "  = help: move it into the file that is run; a module holds lets, functions, resources, grids and tasks\n"
       "E0210 ./bad.dk:1[report { }] a report cannot stand in a module that is imported\n"
       "  = help: move it into the file that is run; a module holds lets, functions, resources, grids and tasks\n"
       "E0201 ./bad.dk:1[nothing] nothing is named `nothing` here\n"},
      {"import \"./a.dk\" as a" T,
       "E0205 ./b.dk:1[\"./a.dk\"] imports go round: ./a.dk -> ./b.dk -> ./a.dk\n"
       "  - ./a.dk:1[\"./b.dk\"] ./a.dk imports ./b.dk here\n  = help: move what both need into a third file\n"},
      {"import \"./self.dk\" as s" T, "E0205 ./self.dk:1[\"./self.dk\"] imports go round: ./self.dk -> ./self.dk\n"
                                      "  = help: move what both need into a third file\n"},
      {"import \"./back.dk\" as b" T,
       "E0205 ./back.dk:1[\"./t.dk\"] imports go round: t.dk -> ./back.dk -> t.dk\n"
       "  - 1[\"./back.dk\"] t.dk imports ./back.dk here\n  = help: move what both need into a third file\n"},
  };
  DK_TABLE(rows, errors_of);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_members), cmocka_unit_test(test_through),
                                     cmocka_unit_test(test_errors)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
