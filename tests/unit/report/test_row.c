/* A run read back: records, metrics, results, choices, names; runs that are not there; a damaged pin. */
#include "engine/report/row.h"
#include "tests/unit/report/fixture.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void write_run(struct fixture *f) {
  uint32_t train = fixture_task_of(f, "train", 0);
  fixture_put_run(f, 1, DK_RUN_FAILED);
  fixture_put_task(f, 1, &(struct fixture_task){.task = train, .state = DK_TASK_DONE, .metrics = "96.10,"});
  fixture_put_task(f, 1, &(struct fixture_task){.task = train + 1, .state = DK_TASK_CACHED, .metrics = "nan-ish,text"});
  fixture_put_task(f, 1,
                   &(struct fixture_task){.task = train + 2,
                                          .state = DK_TASK_FAILED,
                                          .cause = DK_CAUSE_EXIT,
                                          .code = 9,
                                          .text = "words",
                                          .err = "log\n"});
}

static void check_rows(struct fixture *f, const struct dk_plan *plan) {
  struct dk_row_source rows;
  struct dk_error error = {0};
  struct dk_result result;
  uint32_t train = fixture_task_of(f, "train", 0);
  assert_int_equal(dk_row_source_open(&rows, f->store, &f->objects, 0, plan, &error), 0);
  assert_int_equal(rows.run.number, 1);
  assert_int_equal(rows.n_tasks, f->plan->graph.n_tasks);
  assert_int_equal(rows.tasks[train].state, DK_TASK_DONE);
  assert_int_equal(rows.tasks[train + 3].state, DK_TASK_WAITING);
  assert_true(rows.has_record[train]);
  assert_false(rows.has_record[train + 3]);

  assert_string_equal(dk_row_metric(&rows, train, "score")->text, "96.10");
  assert_true(dk_row_metric(&rows, train, "score")->number == 96.1);
  assert_null(dk_row_metric(&rows, train, "note"));
  assert_null(dk_row_metric(&rows, train, "nothing"));
  assert_int_equal(dk_row_metric(&rows, train + 1, "score")->state, DK_METRIC_TEXT);
  assert_null(dk_row_metrics(&rows, train + 2));
  assert_null(dk_row_metrics(&rows, train + 3));

  assert_int_equal(dk_row_result(&rows, train + 2, &result, &error), 0);
  assert_string_equal(result.text, "words");
  assert_int_equal(result.code, 9);
  dk_result_finish(&result);
  assert_int_equal(dk_row_result(&rows, train, &result, &error), 0);
  dk_result_finish(&result);
  assert_int_equal(dk_row_result(&rows, train + 3, &result, &error), -ENOENT);

  struct dk_choice choice;
  assert_int_equal(dk_row_choice(&rows, fixture_task_of(f, "best", 0), &choice, &error), -ENOENT);
  dk_autobuf text = DK_BUF_INIT;
  dk_row_label(&rows, train + 2, &text);
  assert_string_equal(dk_buf_text(&text), "t4 train x=2 y=10");
  dk_buf_clear(&text);
  dk_row_point(rows.plan, train + 2, &text);
  assert_string_equal(dk_buf_text(&text), "x=2 y=10");
  dk_buf_clear(&text);
  dk_row_point(rows.plan, fixture_task_of(f, "make", 0), &text);
  assert_string_equal(dk_buf_text(&text), "");

  dk_row_source_finish(&rows);
}

static void test_pin_and_live(void **state) {
  struct fixture f;
  (void)state;
  fixture_init(&f, fixture_small);
  write_run(&f);
  check_rows(&f, NULL);
  check_rows(&f, f.plan);
  fixture_finish(&f);
}

static void test_refresh(void **state) {
  struct fixture f;
  struct dk_row_source rows;
  struct dk_error error = {0};
  (void)state;
  fixture_init(&f, fixture_small);
  write_run(&f);
  uint32_t last = fixture_task_of(&f, "train", 3);
  assert_int_equal(dk_row_source_open(&rows, f.store, &f.objects, 1, NULL, &error), 0);
  assert_null(dk_row_metrics(&rows, last));
  fixture_put_task(&f, 1, &(struct fixture_task){.task = last, .state = DK_TASK_DONE, .metrics = "5,x"});
  assert_null(dk_row_metrics(&rows, last));
  assert_int_equal(dk_row_source_refresh(&rows, &error), 0);
  assert_string_equal(dk_row_metric(&rows, last, "note")->text, "x");
  dk_row_source_finish(&rows);
  fixture_finish(&f);
}

static void test_missing(void **state) {
  struct fixture f;
  struct dk_row_source rows;
  struct dk_error error = {0};
  (void)state;
  fixture_init(&f, fixture_small);
  assert_int_equal(dk_row_source_open(&rows, f.store, &f.objects, 0, NULL, &error), -ENOENT);
  assert_non_null(strstr(error.text, "nothing was run here yet"));
  write_run(&f);
  assert_int_equal(dk_row_source_open(&rows, f.store, &f.objects, 7, NULL, &error), -ENOENT);
  assert_non_null(strstr(error.text, "no run 7: the last one is 1"));
  dk_row_source_finish(&rows); /* fine after a failed open */
  fixture_finish(&f);
}

static void test_causes(void **state) {
  static const struct {
    enum dk_cause cause;
    int32_t code;
    const char *text, *expected;
  } cases[] = {
      {DK_CAUSE_EXIT, 2, NULL, "exit code 2"},
      {DK_CAUSE_SIGNAL, 9, "", "killed by signal 9 (KILL)"},
      {DK_CAUSE_SIGNAL, 64, "", "killed by signal 64"},
      {DK_CAUSE_TIMEOUT, 0, "limit 2 s", "timed out: limit 2 s"},
      {DK_CAUSE_OUTPUT, 0, "a\tb\nc\nd", "an output could not be kept: a\\tb"}, /* the lines behind it are help */
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dk_autobuf out = DK_BUF_INIT;
    dk_cause_text(cases[i].cause, cases[i].code, cases[i].text, &out);
    assert_string_equal(dk_buf_text(&out), cases[i].expected);
  }
  dk_autobuf help = DK_BUF_INIT;
  dk_cause_help("a\nb\tc\nd", "  = ", &help);
  assert_string_equal(dk_buf_text(&help), "  = b\\tc\n  = d\n");
  dk_cause_help("a", "  = ", &help);
  dk_cause_help(NULL, "  = ", &help);
  assert_string_equal(dk_buf_text(&help), "  = b\\tc\n  = d\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_pin_and_live), cmocka_unit_test(test_refresh),
                                     cmocka_unit_test(test_missing), cmocka_unit_test(test_causes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
