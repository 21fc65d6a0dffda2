/* Grids: columns of every form, and clauses. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#define T " task t { run = \"x\" }"
#define NOT_BUILT "  = note: the language has it, this program does not do it yet\n"

/* The columns of grid `last`, axes plain, derived ones with a `=`. */
static char *columns_of(const char *text) {
  struct dk_compile c = {0};
  dk_autobuf out = DK_BUF_INIT;
  dk_compile(&c, text);
  if (c.diags.count) {
    dk_buf_add_text(&out, dk_compile_errors(&c));
  } else {
    const struct dk_checked_grid *grid = c.checked->grids[c.checked->n_grids - 1];
    for (uint32_t i = 0; i < grid->columns.count; i++)
      dk_buf_printf(&out, "%s%s%s", i ? " " : "", grid->columns.items[i].name->text,
                    grid->columns.items[i].role == DK_COLUMN_DERIVED ? "=" : "");
  }
  dk_compile_finish(&c);
  return dk_buf_steal(&out);
}

static void test_columns(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"grid g { lr in [1] a, b in [(1, 2)] w = a * b }" T, "lr a b w="},
      {"grid g { x in [1] } grid h over g { y in [x] z = x + y }" T, "x y z="},
      {"grid g { x in [1] } grid h { y in [1] } grid k = g * h" T, "x y"},
      {"grid g { x in [1] y in [2] } grid h { y in [1] x in [1] } grid k = g + h" T, "x y"},
      {"grid g { x in [1] y in [2] } grid k = g where x > 0 and y > 0" T, "x y"},
      {"grid g { x in 1..9 } grid k = sample(g, 3, seed = 7)" T, "x"},
      {"grid g { x in 1..9 } grid k = sample(g, seed = 7, n = 3) * (g where x > 1)" T, "x"},
      {"grid g { x in [1] exclude x > 1 require x > 0, \"x\" include { x = 3 } }" T, "x"},
  };
  DK_TABLE(rows, columns_of);
}

static void test_errors(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"grid g { x in [y] y in [1] }" T,
       "E0204 1[y] column `y` is used before it is declared\n  - 1[y] declared here\n  = help: clauses see the columns "
       "above them: move this one below `y`\n"},
      {"grid g { x in [1] x in [2] }" T, "E0202 1[x] column `x` is declared twice\n  - 1[x] declared here first\n"},
      {"grid g { x in [1] } grid h over g { x = 2 }" T,
       "E0202 1[x] column `x` is declared twice\n  - 1[x] declared here first\n"},
      {"grid g { x in [1] include { xx = 2 } }" T,
       "E0203 1[xx] no axis `xx` in grid `g`\n  = help: did you mean `x`?\n  = note: its axes above are x\n"},
      {"grid g { x in [1] y = x include { x = 1 y = 2 } }" T,
       "E0203 1[y] `y` is a derived column: it is computed, not given\n  - 1[y] declared here\n"},
      {"grid g { x in [1] include { x = x } }" T, "E0201 1[x] nothing is named `x` here\n"},
      {"grid g { exclude true }" T, "E0208 1[g] grid `g` has no axis\n  = help: add one, as in `lr in [0.1, 0.01]`\n"},
      {"let a = 1 grid g = a" T, "E0214 1[a] a grid is wanted here\n  - 1[a] `a` is no grid\n"
                                 "  = help: declare one: `grid g { x in [1, 2] }`\n"},
      {"grid g = [1, 2]" T, "E0214 1[[1, 2]] a grid is wanted here\n"
                            "  = help: grids are named, multiplied (a * b), added (a + b), narrowed (a where x > 1) or "
                            "sampled (sample(a, 10, seed = 1))\n"},
      {"grid hyper { x in [1] } grid h = hypr" T,
       "E0201 1[hypr] no grid `hypr`\n  = help: did you mean `hyper`?\n  = note: there is the grid hyper\n"},
      {"grid h = g grid g { x in [1] }" T, "E0204 1[g] `g` is used before it is declared\n  - 1[g] declared here\n"
                                           "  = help: move the declaration of `g` above grid `h`\n"},
      {"grid g = g" T,
       "E0205 1[g] `g` uses itself: g -> g\n  - 1[g] declared here\n"
       "  = note: lets, functions, params, resources and grids use names above them only, so nothing recurses\n"},
      {"grid g { x in 1..3 } grid h = sample(g, 3)" T,
       "E0211 1[sample(g, 3)] `sample` lacks an argument\n"
       "  = note: its form is `sample(grid, n, seed = 1)`; the seed makes it the same every time\n"},
      {"grid g { x in 1..3 } let a = sample(g, 3, seed = 1)" T,
       "E0214 1[sample(g, 3, seed = 1)] `sample` makes a grid; a grid is not a value\n  = help: write `grid some = "
       "sample(...)`\n"
       "E0214 1[g] `g` is a grid, not a value\n"
       "  = help: grids stand behind `over` and in other grids; a task over it uses its columns by name\n"},
      {"grid g { x ~ uniform(0, 1) } task t over g { run = \"{{x}} {{y}}\" }",
       "E0220 1[x ~ uniform(0, 1)] drawing values with `~` is not built yet in this version\n" NOT_BUILT
       "E0203 1[y] no column `y` in grid `g`\n  ^ not a column, parameter or input here\n"
       "  = note: grid `g` has the columns x (t.dk:1:6)\n"},
      {"grid g { base { lr = 1 } vary lr in [2] }" T,
       "E0220 1[base] `base` in a grid is not built yet in this version\n" NOT_BUILT
       "E0220 1[vary lr in [2]] `vary` in a grid is not built yet in this version\n" NOT_BUILT},
      {"grid g { x in [1] draw { points = 3 } }" T,
       "E0220 1[draw] `draw` in a grid is not built yet in this version\n" NOT_BUILT},
      {"grid g { x in [1] other { a = 3 } }" T,
       "E0206 1[other] no block `other` in a grid\n"
       "  = note: a grid has axes (x in ...), derived columns (y = ...), exclude, include and require\n"},
      {"task u { run = \"x\" outputs { o = \"x\" } } grid g { x in [u.o] }",
       "E0218 1[u.o] task `u` cannot be used in grid `g`\n  = note: references to tasks and picks stand in the "
       "`inputs`, "
       "`run`, "
       "`env` and `when` of a task, and in reports\n"},
      /* What is wrong in a grid does not make every name of its tasks wrong. */
      {"grid g = nothing task t over g { run = \"{{a}} {{b}}\" }", "E0201 1[nothing] no grid `nothing`\n"},
      {"task t over nothing { run = \"{{a}}\" }", "E0201 1[nothing] no grid `nothing`\n"},
  };
  DK_TABLE(rows, dk_compile_text);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_columns), cmocka_unit_test(test_errors)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
