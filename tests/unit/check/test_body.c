/* Bodies: fields by schema, kinds of literals, defaults, resources, picks, reports. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include "lang/base/alloc.h"

#include <string.h>

#define NOT_BUILT "  = note: the language has it, this program does not do it yet\n"
#define TASK_FIELDS                                                                                                    \
  "  = note: a task has doc, run, shell, needs, code, inputs, outputs, metrics, env, pass, timeout, retry, at_once, "  \
  "when, cache\n"

static void test_tasks(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"task t { doc = \"x\" }",
       "E0208 1[t] this task lacks `run`\n  = help: add `run = ...`: a text for the shell, or "
       "a list: program and arguments\n"},
      {"task t { rum = \"x\" }", "E0206 1[rum] no field `rum` in a task\n  = help: did you mean `run`?\n" TASK_FIELDS},
      {"task t { run = \"x\" run = \"y\" }", "E0207 1[run] `run` is given twice\n  - 1[run] given here first\n"},
      {"task t { run = 5 }",
       "E0209 1[5] `run` wants a text for the shell, or a list: program and arguments, not an integer\n"
       "  ^ this is an integer\n"},
      {"task t { run = \"x\" timeout = 5 }", "E0209 1[5] `timeout` wants a duration such as 90s or 4h, not an integer\n"
                                             "  ^ this is an integer\n"},
      {"task t { run = \"x\" needs = [1] at_once = \"a\" when = null }",
       "E0209 1[[1]] `needs` wants a resource, or a record such as { cpus = 2 memory = 4GiB }, not a list\n  ^ this is "
       "a "
       "list\n"
       "E0209 1[\"a\"] `at_once` wants a whole number, not a string\n  ^ this is a string\n"
       "E0209 1[null] `when` wants a condition, not null\n  ^ this is null\n"},
      {"task t { run = \"x\" inputs = { a = file(\"x\") } }",
       "E0209 1[inputs] `inputs` wants a block such as { data = prepare.data }\n  = help: write it without `=`: "
       "`inputs { "
       "... }`\n"},
      {"task t { run = \"x\" needs { cpus = 2 } }",
       "E0209 1[needs] `needs` wants a resource, or a record such as { cpus = 2 memory = 4GiB }\n"
       "  = help: write it with `=`: `needs = ...`\n"},
      {"task t { run = \"x\" env { A = 1 A = 2 } }", "E0207 1[A] `A` is given twice\n  - 1[A] given here first\n"},
      {"task t { run = \"x\" cache = \"all\" }",
       "E0209 1[\"all\"] `cache` wants \"none\"\n  = help: leave `cache` out to reuse results\n"},
      {"task t { run = \"x\" retry { lots = 3 } }", "E0206 1[lots] no field `lots` in a retry block\n  = help: did you "
                                                    "mean `lost`?\n  = note: a retry block has lost, "
                                                    "oom, exit, grow\n"},
      {"task t { run = \"x\" nodes = 2 keep = \"d\" after = [u] }",
       "E0220 1[nodes] `nodes` is not built yet in this version\n" NOT_BUILT
       "E0220 1[keep] `keep` is not built yet in this version\n" NOT_BUILT
       "E0220 1[after] `after` is not built yet in this version\n" NOT_BUILT},
      {"task t { run = \"x\" lr in [1] }",
       "E0206 1[lr in [1]] a grid's clause cannot stand in a task\n  = help: declare a grid, and the task `over` it\n"},
      {"grid g { m in [1] } task t over g { run = \"{{m}}\" outputs { m = \"x\" } metrics { x = match(stdout, 'x') } }",
       "E0216 1[m] output `m` has the name of a column\n  - 1[m] the column\n  = help: give it another name: `t.m` "
       "could mean either\n"},
      {"task t { run = \"x\" outputs { m = \"x\" } metrics { m = match(stdout, 'x') } }",
       "E0216 1[m] metric `m` has the name of an output\n  - 1[m] the output\n"
       "  = help: give it another name: `t.m` could mean either\n"},
      {"task t { run = \"x\" retry { lost = 1 grow { memory = 2 } } }", ""},
      {"task t { run = \"x\" retry { lost = 1 grow = { memory = 2 } exit = [75] oom = 2 } }", ""},
  };
  DK_TABLE(rows, dk_compile_text);
}

static void test_others(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"experiment e { dok = \"x\" } task t { run = \"x\" }",
       "E0206 1[dok] no field `dok` in an experiment\n  = help: did you mean `doc`?\n  = note: an experiment has doc, "
       "defaults\n"},
      {"experiment e { defaults { run = \"x\" } } task t { run = \"x\" }",
       "E0206 1[run] no field `run` in a defaults block\n"
       "  = note: a defaults block has needs, shell, timeout, retry, env, pass, cache\n"},
      {"experiment e { } experiment f { } task t { run = \"x\" }",
       "E0202 1[f] a file has one experiment\n  - 1[e] declared here first\n"},
      {"resource r { cpu = 1 } task t { run = \"x\" needs = r }",
       "E0206 1[cpu] no field `cpu` in a resource\n  = help: did you mean `cpus`?\n"
       "  = note: a resource has cpus, memory, disk, gpus, gpu, spot, sandbox\n"},
      {"resource r { memory = 4 } task t { run = \"x\" needs = r }",
       "E0209 1[4] `memory` wants a size such as 4GiB, not an integer\n  ^ this is an integer\n"},
      {"image i { from = \"x\" } task t { run = \"x\" }",
       "E0220 1[i] `image` in an experiment is not built yet in this version\n" NOT_BUILT},
      {"source s = 5 task t { run = \"x\" }", "E0220 1[s] `source` is not built yet in this version\n" NOT_BUILT},
      {"provider p { x = 1 } task t { run = \"x\" }",
       "E0222 1[p] a provider cannot stand in an experiment's file\n"
       "  = help: move it into a file of providers, ~/.config/dkrun/providers.dk: where tasks run is not the "
       "experiment's business\n"},
  };
  DK_TABLE(rows, dk_compile_text);
}

#define TRAIN                                                                                                          \
  "grid g { lr in [1, 2] seed in 1..3 } task train over g { run = \"{{lr}}{{seed}}\" metrics { loss = match(stdout, "  \
  "'x') } } "

static void test_picks(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {TRAIN "pick b { from = train minimize = loss per = [lr] mean_over = [seed] best = 2 failed = \"skip\" }", ""},
      {TRAIN "pick b { from = train minimize = loss per = lr }", ""},
      {TRAIN "pick b { from = trian minimize = loss }",
       "E0201 1[trian] no task `trian`\n  = help: did you mean `train`?\n  = note: there is the task train\n"},
      {TRAIN "pick b { from = train minimize = los }",
       "E0212 1[los] task `train` has no metric `los`\n  = help: did you mean `loss`?\n  = note: its metrics are loss "
       "(t.dk:1:43)\n"},
      {TRAIN "pick b { from = train }", "E0208 1[b] this pick lacks `maximize` or `minimize`\n  = help: add `maximize "
                                        "= accuracy`: a metric of its task\n"},
      {TRAIN "pick b { from = train minimize = loss maximize = loss }",
       "E0207 1[minimize] a pick maximizes or minimizes, not both\n  - 1[maximize] given here first\n"},
      {TRAIN "pick b { from = train minimise = loss }",
       "E0206 1[minimise] no field `minimise` in a pick\n  = help: did you mean `minimize`?\n"
       "  = note: a pick has doc, from, maximize, minimize, per, mean_over, failed, best\n"},
      {TRAIN "pick b { from = train minimize = \"loss\" }",
       "E0209 1[\"loss\"] `minimize` wants a metric's name\n  = help: write the name without quotes\n"},
      {TRAIN "pick b { from = train minimize = loss per = [sed] mean_over = [seed, seed] }",
       "E0203 1[sed] no column `sed` in task `train`\n  = help: did you mean `seed`?\n  = note: its columns are lr, "
       "seed\n"
       "E0207 1[seed] `seed` is given twice\n"},
      {TRAIN "pick b { from = train minimize = loss per = [seed] mean_over = [seed] }",
       "E0207 1[mean_over] `seed` is in `per` and in `mean_over`\n"},
      {TRAIN "pick b { from = train minimize = loss failed = \"no\" }", "E0209 1[\"no\"] `failed` wants \"skip\"\n"},
  };
  DK_TABLE(rows, dk_compile_text);
}

static void test_reports(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {TRAIN "report { table { from = train columns = [task, lr, loss] sort = loss descending = true title = \"x\" "
             "} }",
       ""},
      {TRAIN "report { table { from = train } }", ""},
      {TRAIN "report { table { from = train columns = [lr, los] sort = sed } }",
       "E0203 1[los] no column `los` here\n  ^ not a column or metric\n  = help: did you mean `loss`?\n"
       "  = note: the rows have lr, seed, loss\n"
       "E0203 1[sed] no column `sed` here\n  ^ not a column or metric\n  = help: did you mean `seed`?\n"
       "  = note: the rows have lr, seed, loss\n"},
      {TRAIN "report { table { from = tran columns = [lr] } }",
       "E0201 1[tran] no task `tran`\n  = help: did you mean `train`?\n  = note: there is the task train\n"},
      {TRAIN "report { table { columns = [lr] } }",
       "E0208 1[table] this table lacks `from`\n  = help: add `from = ...`: a task's name or a list of them\n"},
      {TRAIN "report { table { from = train columns = [1 + 2] } }",
       "E0209 1[1 + 2] a table's column is a column, a metric, `task`, or one of a pick's such as best.lr\n  ^ this is "
       "neither\n"},
      {TRAIN "report { tabel { from = train } }",
       "E0206 1[tabel] a report holds tables: `table { ... }`\n  = help: did you mean `table`?\n"},
      {TRAIN "report { plot { from = train x = lr } }",
       "E0220 1[plot] `plot` in a report is not built yet in this version\n" NOT_BUILT},
  };
  DK_TABLE(rows, dk_compile_text);
}

static void test_defaults(void **state) {
  (void)state;
  struct dk_compile c = {0};
  dk_compile(&c, "experiment e { doc = \"why\" defaults { needs = { cpus = 2 } timeout = 1h env { A = 1 B = 2 } retry "
                 "{ lost = 9 oom = 1 } } }\n"
                 "task a { run = \"x\" }\n"
                 "task b { run = \"x\" needs = { cpus = 4 } timeout = 2h env { B = 3 } retry { oom = 5 } }\n"
                 "report { table { from = a } }");
  assert_string_equal(dk_compile_errors(&c), "");
  const struct dk_checked_task *a = c.checked->tasks[0], *b = c.checked->tasks[1];
  assert_string_equal(c.checked->name->text, "e");
  assert_string_equal(c.checked->doc->text, "why");
  assert_true(a->from_defaults_needs);
  assert_false(b->from_defaults_needs);
  assert_int_equal(a->env.count, 2);
  assert_int_equal(b->env.count, 2);
  assert_string_equal(b->env.items[0].name->text, "B");
  assert_int_equal(b->env.items[0].value->integer, 3);
  assert_string_equal(b->env.items[1].name->text, "A");
  assert_string_equal(a->timeout->text->text, "1h");
  assert_string_equal(b->timeout->text->text, "2h");
  assert_int_equal(a->retry_lost->integer, 9);
  assert_int_equal(b->retry_lost->integer, 9);
  assert_int_equal(b->retry_oom->integer, 5);
  assert_int_equal(c.checked->tables[0]->columns.count, 0);
  dk_compile_finish(&c);
}

static void test_file_name(void **state) {
  (void)state;
  struct dk_compile c = {0};
  dk_compile(&c, "task a { run = \"x\" }");
  assert_string_equal(c.checked->name->text, "t");
  dk_compile_finish(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tasks),   cmocka_unit_test(test_others),   cmocka_unit_test(test_picks),
      cmocka_unit_test(test_reports), cmocka_unit_test(test_defaults), cmocka_unit_test(test_file_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
