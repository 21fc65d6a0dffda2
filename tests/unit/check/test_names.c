/* Names: what they stand for, the order of declarations, suggestions. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include "lang/base/alloc.h"

#include <string.h>

#define RUN "task t { run = \"x\" }"
#define NOTHING_RECURSES                                                                                               \
  "  = note: lets, functions, params, resources and grids use names above them only, so nothing recurses\n"

static void test_errors(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"let rate = 1 let b = rte " RUN, "E0201 1[rte] nothing is named `rte` here\n  = help: did you mean `rate`?\n"},
      {"let a = b let b = 1 " RUN, "E0204 1[b] `b` is used before it is declared\n  - 1[b] declared here\n"
                                   "  = help: move the declaration of `b` above `a`\n"},
      {"let a = b let b = a " RUN,
       "E0205 1[b] `a` uses itself: a -> b -> a\n  ^ `a` uses `b` here\n  - 1[a] `b` uses `a` here\n" NOTHING_RECURSES},
      {"let a = 1 + b resource b { cpus = f(2) } let f(a) = c.x + a grid g { x in a } let c = { x = a } " RUN,
       "E0205 1[b] `a` uses itself: a -> b -> f -> c -> a\n  ^ `a` uses `b` here\n  - 1[f] `b` uses `f` here\n"
       "  - 1[c] `f` uses `c` here\n  - 1[a] `c` uses `a` here\n" NOTHING_RECURSES},
      {"let a = b let b = [a for a in 1..3] " RUN,
       "E0204 1[b] `b` is used before it is declared\n  - 1[b] declared here\n"
       "  = help: move the declaration of `b` above `a`\n"},
      {"grid g { x in [n] } let n = h grid h over g { y in [1] } " RUN,
       "E0205 1[n] `g` uses itself: g -> n -> h -> g\n  ^ `g` uses `n` here\n  - 1[h] `n` uses `h` here\n"
       "  - 1[g] `h` uses `g` here\n" NOTHING_RECURSES},
      {"let a = b let b = c let c = b " RUN,
       "E0204 1[b] `b` is used before it is declared\n  - 1[b] declared here\n"
       "  = help: move the declaration of `b` above `a`\n"
       "E0205 1[c] `b` uses itself: b -> c -> b\n  ^ `b` uses `c` here\n  - 1[b] `c` uses `b` here\n" NOTHING_RECURSES},
      {"let a = range(3) " RUN,
       "E0201 1[range] no function `range`\n  = help: a range is written `1..3`, both ends are in it; with a step "
       "`0..10 by 2`\n"},
      {"let a = a " RUN,
       "E0205 1[a] `a` uses itself: a -> a\n  - 1[a] declared here\n"
       "  = note: lets, functions, params, resources and grids use names above them only, so nothing recurses\n"},
      {"let f(n) = if n > 0 then f(n - 1) else 0 " RUN,
       "E0205 1[f] `f` uses itself: f -> f\n  - 1[f] declared here\n"
       "  = note: lets, functions, params, resources and grids use names above them only, so nothing recurses\n"},
      {"let a = 1 let a = 2 " RUN, "E0202 1[a] `a` is declared twice\n  ^ again here\n  - 1[a] declared here first\n"
                                   "  = help: give one of them another name\n"},
      {"let t = 1 " RUN, "E0202 1[t] `t` is declared twice\n  ^ again here\n  - 1[t] declared here first\n"
                         "  = help: give one of them another name\n"},
      {"let f(x, x) = x " RUN, "E0202 1[f] function `f` has the parameter `x` twice\n"},
      {"let f(x) = x let a = f " RUN, "E0214 1[f] `f` is a function: it must be called\n  = help: write `f(x)`\n"},
      {"let f(x, y) = x let a = f(1) " RUN, "E0211 1[f(1)] `f` lacks its argument `y`\n  - 1[f] declared here\n"
                                            "  = note: its form is `f(x, y)`\n"},
      {"let f(x) = x let a = f(1, 2) " RUN, "E0211 1[2] `f` takes 1 argument, not 2\n  - 1[f] declared here\n"
                                            "  = note: its form is `f(x)`\n"},
      {"let f(x) = x let a = f(y = 1) " RUN, "E0211 1[y] `f` has no parameter `y`\n  - 1[f] declared here\n"
                                             "  = note: its form is `f(x)`\n"},
      {"let a = 1 let b = a(2) " RUN,
       "E0211 1[a] `a` is not a function\n  = help: a function is declared as `let f(x) = ...`\n"},
      {"let f(g) = g(1) " RUN,
       "E0211 1[g] `g` is not a function\n  = help: a function is declared as `let f(x) = ...`\n"},
      {"grid g { x in [1] } let a = g " RUN,
       "E0214 1[g] `g` is a grid, not a value\n"
       "  = help: grids stand behind `over` and in other grids; a task over it uses its columns by name\n"},
      {"task u { run = \"x\" } let a = u",
       "E0214 1[u] `u` is a task, not a value\n"
       "  = help: name one of its outputs or metrics, as in `u.model`; `gather(u)` takes all of it\n"},
      {"grid g { x in [1] } let a = [v for v in 1..3 where v > 1] " RUN,
       "E0214 1[1..3 where v > 1] `where` makes a grid of a grid; a grid is not a value\n"
       "  = help: elements of a list are chosen with `[x for x in xs if ...]`\n"},
      {"let a = [v for v in w] let b = v " RUN, "E0201 1[w] nothing is named `w` here\n"
                                                "E0201 1[v] nothing is named `v` here\n"},
      {"let a = inputs.x " RUN, "E0201 1[inputs] nothing is named `inputs` here\n"},
      {"let xs = [1] let a = xs[b = 1] " RUN,
       "E0214 1[xs[b = 1]] `[name = value]` selects points of a task, and this is none\n"
       "  = help: an element of a list or record is `x[i]`; a comparison is `==`\n"},
      {"grid g { x in [1] } task t over g { run = \"{{y}}\" }",
       "E0203 1[y] no column `y` in grid `g`\n  ^ not a column, parameter or input here\n"
       "  = note: grid `g` has the columns x (t.dk:1:6)\n"},
      {"grid g { a in [1] } grid h { b in [2] } task t over g * h { run = \"{{cc}}\" }",
       "E0203 1[cc] no column `cc` here\n  ^ not a column, parameter or input here\n  = note: the columns here are a, "
       "b\n"},
      {"task t { inputs { data = file(\"x\") } outputs { model = \"m\" } run = \"{{data}} {{model}}\" }",
       "E0201 1[data] nothing is named `data` here\n  = help: it is an input: write `inputs.data`\n"
       "E0201 1[model] nothing is named `model` here\n  = help: it is an output: write `outputs.model`\n"},
      {"task t { inputs { data = file(\"x\") } run = \"{{inputs.dat}} {{inputs}} {{outputs.m}}\" }",
       "E0212 1[dat] task `t` has no input `dat`\n  = help: did you mean `data`?\n  = note: its inputs are data\n"
       "E0214 1[inputs] `inputs` as a whole is not a value\n  = help: name one, as in `inputs.data`\n"
       "E0212 1[m] task `t` has no output `m`\n  = help: declare it: `outputs { m = ... }`\n"},
      {"task t { run = \"{{keep}}\" }", "E0220 1[keep] `{{keep}}` is not built yet in this version\n  = note: the "
                                        "language has it, this program does not do it yet\n"},
  };
  DK_TABLE(rows, dk_compile_text);
}

static void test_fine(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"task t over g { run = \"{{x}} {{late}}\" } grid g { x in xs } let late = 2",
       "E0201 1[xs] nothing is named `xs` here\n"},
      {"let xs = [1, 2] grid g { x in xs y = x + 1 exclude y > 2 } task t over g { run = \"{{x}}{{y}}{{point.x}}\" }",
       ""},
      {"task t over g { run = \"{{x}} {{late}}\" } let late = 2 grid g { x in [1] }", ""},
      {"let task = 1 let grid = task + 1 let pick = [over for over in 1..3] " RUN, ""},
      {"let max = 3 let b = max + 1 " RUN, ""},
      {"grid g { x in [1] } task t over g { run = [\"a\", \"{{x}}\"] shell = [\"sh\"] when = x > 0 }", ""},
  };
  DK_TABLE(rows, dk_compile_text);
}

static void test_hidden(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"let lr = 1 grid g { lr in [1] } " RUN,
       "W0201 1[lr] column `lr` hides the let of that name\n  - 1[lr] hidden where the column is seen\n"
       "  = help: give one of them another name\n"},
      {"param lr = 1 grid g { y in [1] lr = y } " RUN,
       "W0201 1[lr] column `lr` hides the param of that name\n  - 1[lr] hidden where the column is seen\n"
       "  = help: give one of them another name\n"},
  };
  DK_TABLE(rows, dk_compile_text);
}

static void test_bindings(void **state) {
  (void)state;
  struct dk_compile c = {0};
  dk_compile(
      &c,
      "let a = 1 grid g { x in [1] } task t over g { run = \"{{x}}{{a}}{{point}}{{len([1])}}{{[v for v in 1..2]}}\" }");
  assert_string_equal(dk_compile_errors(&c), "");
  const struct dk_string_part *parts = c.checked->tasks[0]->run->string.parts;
  assert_int_equal(parts[0].hole->name.binding.kind, DK_BIND_COLUMN);
  assert_int_equal(parts[1].hole->name.binding.kind, DK_BIND_DECL);
  assert_int_equal(parts[2].hole->name.binding.kind, DK_BIND_POINT);
  assert_ptr_equal(parts[2].hole->name.binding.decl, c.checked->tasks[0]->decl);
  assert_int_equal(parts[3].hole->call.callee->name.binding.kind, DK_BIND_BUILTIN);
  assert_int_equal(parts[3].hole->call.callee->name.binding.slot, DK_BUILTIN_len);
  assert_int_equal(parts[4].hole->comprehension.value->name.binding.kind, DK_BIND_LOCAL);
  dk_compile_finish(&c);
}

static void test_nothing(void **state) {
  (void)state;
  static const char help[] =
      "  = help: the smallest experiment is a task: task hello { run = \"echo hello\" }\n"
      "  = help: with a grid: grid g { seed in 1..3 }  task train over g { run = \"python3 train.py --seed "
      "{{seed}}\" }\n";
  char *empty = dk_compile_text(""), *no_task = dk_compile_text("let a = 1\n");
  assert_non_null(strstr(empty, "E0219 1[] nothing to run: this file is empty\n"));
  assert_non_null(strstr(empty, help));
  assert_non_null(strstr(no_task, "E0219 1[] nothing to run: this file has no task\n"));
  dk_free(empty);
  dk_free(no_task);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_errors),   cmocka_unit_test(test_fine),    cmocka_unit_test(test_hidden),
      cmocka_unit_test(test_bindings), cmocka_unit_test(test_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
