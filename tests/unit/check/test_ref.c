/* References to tasks and picks: what each form becomes, where it may stand. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include "lang/base/alloc.h"

#include <string.h>

#define MAKE                                                                                                           \
  "grid g { lr in [1] seed in 1..3 }\n"                                                                                \
  "task make over g { run = \"{{lr}}{{seed}}\" outputs { model = \"m\" log = \"l\" } metrics { loss = match(stdout, "  \
  "'x') } }\n"                                                                                                         \
  "pick best { from = make minimize = loss per = [seed] }\n"

/* "KIND target.field [selectors] gather skip" of the input `a` of task `use`. */
static char *ref_of(const char *value) {
  struct dk_compile c = {0};
  dk_autobuf text = DK_BUF_INIT, out = DK_BUF_INIT;
  dk_buf_printf(&text, MAKE "task use over g { run = \"{{lr}}{{seed}}\" inputs { a = %s } }", value);
  dk_compile(&c, dk_buf_text(&text));
  if (c.diags.count) {
    dk_buf_add_text(&out, dk_compile_errors(&c));
  } else {
    static const char *const kinds[] = {"TASK", "OUTPUT", "METRIC", "COLUMN", "CHOSEN"};
    const struct dk_expr *expr = c.checked->tasks[1]->inputs.items[0].value;
    assert_int_equal(expr->kind, DK_EXPR_REF);
    const struct dk_ref *ref = &expr->ref;
    dk_buf_printf(&out, "%s %s%s%s", kinds[ref->kind], ref->target->name->text, ref->field ? "." : "",
                  ref->field ? ref->field->text : "");
    for (uint32_t i = 0; i < ref->selectors.count; i++)
      dk_buf_printf(&out, " [%s]", ref->selectors.items[i].name->text);
    if (ref->is_gather) dk_buf_add_text(&out, " gather");
    if (ref->skip_failed) dk_buf_add_text(&out, " skip");
  }
  dk_compile_finish(&c);
  return dk_buf_steal(&out);
}

static void test_forms(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"make.model", "OUTPUT make.model"},
      {"make[lr = 1].model", "OUTPUT make.model [lr]"},
      {"make[lr = lr, seed = seed - 1].model", "OUTPUT make.model [lr] [seed]"},
      {"gather(make.model)", "OUTPUT make.model gather"},
      {"gather(make)", "TASK make gather"},
      {"gather(make[seed = 1])", "TASK make [seed] gather"},
      {"gather(make[seed = 1].log, failed = \"skip\")", "OUTPUT make.log [seed] gather skip"},
      {"best.model", "OUTPUT best.model"},
      {"best.lr", "COLUMN best.lr"},
      {"best.loss", "METRIC best.loss"},
      {"best.chosen", "CHOSEN best.chosen"},
      {"best[seed = 2].model", "OUTPUT best.model [seed]"},
      {"make.modl",
       "E0212 4[modl] task `make` has no output, metric or column `modl`\n  = help: did you mean `model`?\n"
       "  = note: task `make` has model, log, loss, lr, seed (t.dk:2:6)\n"},
      {"best.modl",
       "E0212 4[modl] pick `best` has no output, metric or column `modl`\n  = help: did you mean `model`?\n"
       "  = note: pick `best` has model, log, loss, lr, seed, chosen (t.dk:3:6)\n"},
      {"make[sed = 1].model", "E0203 4[sed] no column `sed` in task `make`\n  = help: did you mean `seed`?\n"
                              "  = note: task `make` has the columns lr, seed (t.dk:2:6)\n"},
      {"make[lr = 1, lr = 2].model", "E0207 4[lr] `lr` is given twice\n"},
      {"make[lr = nothing].model",
       "E0203 4[nothing] no column `nothing` in grid `g`\n  ^ not a column, parameter or input here\n"
       "  = note: grid `g` has the columns lr, seed (t.dk:1:6)\n"},
      {"make", "E0214 4[make] `make` is a task, not a value\n"
               "  = help: name one of its outputs or metrics, as in `make.model`; `gather(make)` takes all of it\n"},
      {"make[lr = 1]", "E0214 4[make[lr = 1]] `make[...]` selects points; it is not a value\n"
                       "  = help: name one of their outputs or metrics: `make[...].name`\n"},
      {"make[1].model", "E0214 4[make[1]] points of task `make` are selected by their columns\n"
                        "  = help: write `make[column = value].name`\n"},
      {"gather(best)", "E0218 4[best] `best` is a pick: gather takes tasks and their outputs\n"},
      {"gather(make.loss)",
       "E0218 4[loss] `gather` takes outputs; `loss` is none\n"
       "  = help: `gather(make)` gives one JSON file with the columns, metrics and paths of all points\n"},
      {"gather(make.model, failed = \"skip\", failed = \"skip\")",
       "E0207 4[failed] `failed` is given twice\n  - 4[failed] given here first\n"},
      {"gather([1])", "E0218 4[[1]] `gather` takes a task or a task's output, and this is neither\n"
                      "  = help: write `gather(train.model)` or `gather(train)`\n"},
      {"gather()",
       "E0211 4[gather()] `gather` lacks what is to be gathered\n  = note: its form is `gather(task.output, "
       "failed = \"skip\")`\n"},
      {"gather(make, failed = \"no\")", "E0209 4[\"no\"] `failed` of gather wants \"skip\"\n"},
  };
  DK_TABLE(rows, ref_of);
}

static char *errors_of_use(const char *body) {
  dk_autobuf text = DK_BUF_INIT;
  dk_buf_printf(&text, MAKE "task use { %s }", body);
  return dk_compile_text(dk_buf_text(&text));
}

static void test_places(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"run = \"{{best.lr}} {{best.loss * 2}}\" env { A = best.lr } when = best.chosen", ""},
      {"run = \"{{make.model}}\"",
       "E0218 4[make.model] `make.model` is a file of another task: it cannot be used in `run`\n"
       "  = help: make it an input, `inputs { model = make.model }`, and write `{{inputs.model}}`\n"},
      {"run = \"x\" timeout = best.lr",
       "E0213 4[best.lr] `best.lr` is known only when tasks have run, too late for `timeout`\n"
       "  = note: such values may stand in `run`, `env`, `inputs` and `when`\n"},
      {"run = \"x\" outputs { o = \"{{best.lr}}\" }",
       "E0213 4[best.lr] `best.lr` is known only when tasks have run, too late for `outputs`\n"
       "  = note: such values may stand in `run`, `env`, `inputs` and `when`\n"},
      {"run = \"{{gather(make.model)}}\"",
       "E0218 4[gather(make.model)] `gather` cannot stand in `run`: it gives files\n"
       "  = help: make them an input, `inputs { all = gather(...) }`, and write `{{inputs.all}}`\n"},
      {"run = \"x\" metrics { m = match(inputs.a, 'x') } inputs { a = make[lr = 1, seed = 1].model }",
       "E0218 4[inputs.a] inputs cannot be used in `metrics`\n"
       "  = note: `inputs.a` is a path that exists while the task runs: it may stand in `run` and `env`\n"},
  };
  DK_TABLE(rows, errors_of_use);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_places)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
