/* The end of a run in a screen: all well, with failures, interrupted. */
#include "engine/report/summary.h"
#include "tests/unit/report/fixture.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_summary(struct fixture *f, const struct dk_summary_options *options, const char *expected) {
  struct dk_row_source rows;
  struct dk_error error = {0};
  dk_autobuf out = DK_BUF_INIT;
  assert_int_equal(dk_row_source_open(&rows, f->store, &f->objects, 1, NULL, &error), 0);
  assert_int_equal(dk_summary_render(&rows, options, &out, &error), 0);
  assert_string_equal(dk_buf_text(&out), expected);
  dk_row_source_finish(&rows);
}

static void put_train(struct fixture *f, uint32_t row, const char *score) {
  fixture_put_task(
      f, 1, &(struct fixture_task){.task = fixture_task_of(f, "train", row), .state = DK_TASK_DONE, .metrics = score});
}

static void test_done(void **state) {
  struct fixture f;
  (void)state;
  fixture_init(&f, fixture_small);
  fixture_put_run(&f, 1, DK_RUN_DONE);
  fixture_put_task(&f, 1, &(struct fixture_task){.task = fixture_task_of(&f, "make", 0), .state = DK_TASK_CACHED});
  put_train(&f, 0, "1.50,a");
  put_train(&f, 1, "3.0,a");
  put_train(&f, 2, "2.25,a");
  put_train(&f, 3, "0.5,a");
  fixture_put_task(&f, 1, &(struct fixture_task){.task = fixture_task_of(&f, "best", 0), .state = DK_TASK_DONE});
  fixture_put_choice(&f, 1, fixture_task_of(&f, "best", 0), 1, 3, 4);
  fixture_put_task(
      &f, 1,
      &(struct fixture_task){.task = fixture_task_of(&f, "final", 0), .state = DK_TASK_DONE, .metrics = "96.875"});
  assert_summary(&f, &(struct dk_summary_options){0},
                 "small  run 1  done: 5 ran, 1 cached, 0 failed                           0:10\n"
                 "  make           cached\n"
                 "  train          4 of 4 done\n"
                 "  best of 4      x=1 y=20    score 3.0\n"
                 "                 next: 2.25 (x=2 y=10), 1.50 (x=1 y=10)\n"
                 "  final          z 96.875\n"
                 "\n"
                 "  next    dkrun results 1\n");
  fixture_finish(&f);
}

static void test_failed(void **state) {
  struct fixture f;
  (void)state;
  fixture_init(&f, fixture_small);
  fixture_put_run(&f, 1, DK_RUN_FAILED);
  fixture_put_task(&f, 1, &(struct fixture_task){.task = fixture_task_of(&f, "make", 0), .state = DK_TASK_DONE});
  put_train(&f, 0, "1.50,a");
  put_train(&f, 1, "3.0,a");
  put_train(&f, 3, "0.5,a");
  fixture_put_task(&f, 1,
                   &(struct fixture_task){.task = fixture_task_of(&f, "train", 2),
                                          .state = DK_TASK_FAILED,
                                          .cause = DK_CAUSE_OOM,
                                          .text = "limit 512 MiB",
                                          .out = "said\n",
                                          .err = "1\n2\n3\n4\n5\nlast \x1b[1mline\n"});
  fixture_put_task(&f, 1, &(struct fixture_task){.task = fixture_task_of(&f, "best", 0), .state = DK_TASK_NOT_RUN});
  fixture_put_task(&f, 1, &(struct fixture_task){.task = fixture_task_of(&f, "final", 0), .state = DK_TASK_NOT_RUN});
  assert_summary(&f, &(struct dk_summary_options){0},
                 "small  run 1  4 done, 1 failed, 1 not run                               0:10\n"
                 "  make           done\n"
                 "  train          3 of 4 done\n"
                 "  best           not run\n"
                 "  final          not run\n"
                 "\n"
                 "  FAILED  t4 train x=2 y=10   killed: out of memory: limit 512 MiB, 1.5 s\n"
                 "          | 2\n"
                 "          | 3\n"
                 "          | 4\n"
                 "          | 5\n"
                 "          | last \\x1b[1mline\n"
                 "  NOT RUN t7 final: best needs all 4 points of train, 3 are there\n"
                 "\n"
                 "  next    dkrun logs t4 | dkrun run small.dk (failed ones run again) | dkrun results 1\n");
  fixture_finish(&f);
}

static void test_interrupted(void **state) {
  struct fixture f;
  (void)state;
  fixture_init(&f, "grid g { k in 1..3 }\n"
                   "task t over g { metrics { v = match(stdout, '(.*)') }  run = \"echo {{k}}\" }\n");
  fixture_put_run(&f, 1, DK_RUN_RUNNING);
  fixture_put_task(&f, 1, &(struct fixture_task){.task = 0, .state = DK_TASK_DONE, .metrics = "7"});
  fixture_put_task(&f, 1, &(struct fixture_task){.task = 1, .state = DK_TASK_DONE, .metrics = "-2.50"});
  assert_summary(&f, &(struct dk_summary_options){.phase = DK_PHASE_INTERRUPTED},
                 "small  run 1  interrupted: 2 of 3 ended, 2 done\n"
                 "  t          2 of 3 done  v -2.5 .. 7\n"
                 "\n"
                 "  next    dkrun run small.dk (goes on) | dkrun results 1\n");
  assert_summary(&f, &(struct dk_summary_options){.phase = DK_PHASE_RUNNING},
                 "small  run 1  running: 2 of 3 ended, 2 done\n"
                 "  t          2 of 3 done  v -2.5 .. 7\n"
                 "\n"
                 "  next    dkrun results 1\n");
  fixture_finish(&f);
}

/* Many failures: the first ones with their logs, the rest counted. */
static void test_many_failures(void **state) {
  struct fixture f;
  struct dk_row_source rows;
  struct dk_error error = {0};
  dk_autobuf out = DK_BUF_INIT;
  (void)state;
  fixture_init(&f, "grid g { k in 1..5 }\ntask t over g { run = \"echo {{k}}\" }\n");
  fixture_put_run(&f, 1, DK_RUN_FAILED);
  for (uint32_t i = 0; i < 5; i++) {
    fixture_put_task(&f, 1,
                     &(struct fixture_task){.task = i, .state = DK_TASK_FAILED, .cause = DK_CAUSE_EXIT, .code = 1});
  }
  assert_int_equal(dk_row_source_open(&rows, f.store, &f.objects, 1, f.plan, &error), 0);
  assert_int_equal(dk_summary_render(&rows, &(struct dk_summary_options){.max_failures = 2}, &out, &error), 0);
  assert_non_null(strstr(dk_buf_text(&out), "FAILED  t2 t k=2"));
  assert_null(strstr(dk_buf_text(&out), "FAILED  t3"));
  assert_non_null(strstr(dk_buf_text(&out), "and 3 more failed: dkrun status 1 --all"));
  dk_row_source_finish(&rows);
  fixture_finish(&f);
}

/* An engine that was lost wrote no counts: the tasks' records have them. */
static void test_lost(void **state) {
  struct fixture f;
  (void)state;
  fixture_init(&f, "grid g { k in 1..4 }\ntask t over g { run = \"echo {{k}}\" }\n");
  fixture_put_run_of(&f, 1, DK_RUN_RUNNING, 0);
  fixture_put_task(&f, 1, &(struct fixture_task){.task = 0, .state = DK_TASK_DONE});
  fixture_put_task(&f, 1, &(struct fixture_task){.task = 1, .state = DK_TASK_RUNNING});
  fixture_put_task(&f, 1, &(struct fixture_task){.task = 2, .state = DK_TASK_RUNNING});
  assert_summary(&f, &(struct dk_summary_options){.phase = DK_PHASE_INTERRUPTED},
                 "small  run 1  interrupted: 1 of 4 ended, 1 done, 2 running when it was lost\n"
                 "  t          1 of 4 done\n"
                 "\n"
                 "  next    dkrun run small.dk (goes on) | dkrun results 1\n");
  assert_summary(&f, &(struct dk_summary_options){.phase = DK_PHASE_STOPPED},
                 "small  run 1  stopped: 1 of 4 ended, 1 done, 2 running when it was lost\n"
                 "  t          1 of 4 done\n"
                 "\n"
                 "  next    dkrun attach 1 (goes on) | dkrun results 1\n");
  assert_summary(&f, &(struct dk_summary_options){.phase = DK_PHASE_PAUSED},
                 "small  run 1  paused: 1 of 4 ended, 1 done, 2 running\n"
                 "  t          1 of 4 done\n"
                 "\n"
                 "  next    dkrun resume --run 1 | dkrun results 1\n");
  assert_summary(&f, &(struct dk_summary_options){.phase = DK_PHASE_RUNNING},
                 "small  run 1  running: 1 of 4 ended, 1 done, 2 running\n"
                 "  t          1 of 4 done\n"
                 "\n"
                 "  next    dkrun results 1\n");
  fixture_finish(&f);
}

/* Failures that end alike are shown three times; one that ends otherwise is not lost among them. Long lines are cut to
 * a terminal only. */
static void test_alike(void **state) {
  struct fixture f;
  char line[400], expected[1200];
  (void)state;
  memset(line, 'x', sizeof line);
  strcpy(line + 120, " the end\n");
  fixture_init(&f, "grid g { k in 1..6 }\ntask t over g { run = \"echo {{k}}\" }\n");
  fixture_put_run(&f, 1, DK_RUN_FAILED);
  for (uint32_t i = 0; i < 6; i++) {
    fixture_put_task(&f, 1,
                     &(struct fixture_task){.task = i,
                                            .state = DK_TASK_FAILED,
                                            .cause = DK_CAUSE_EXIT,
                                            .code = i == 4 ? 2 : 1,
                                            .err = i == 4 ? "other\n" : line});
  }
  line[strlen(line) - 1] = '\0';
  int n = snprintf(expected, sizeof expected,
                   "small  run 1  6 failed                                                  0:10\n"
                   "  t          0 of 6 done\n"
                   "\n"
                   "  FAILED  t1 t k=1   exit code 1, 1.5 s\n          | %s\n"
                   "  FAILED  t2 t k=2   exit code 1, 1.5 s\n          | %s\n"
                   "  FAILED  t3 t k=3   exit code 1, 1.5 s\n          | %s\n"
                   "  FAILED  t5 t k=5   exit code 2, 1.5 s\n          | other\n"
                   "  and 2 more of t with the same end: exit code 1: %s\n"
                   "  each of them: dkrun status 1 --all\n"
                   "\n"
                   "  next    dkrun logs t1 | dkrun run small.dk (failed ones run again) | dkrun results 1\n",
                   line, line, line, line);
  assert_true(n > 0 && (size_t)n < sizeof expected);
  assert_summary(&f, &(struct dk_summary_options){0}, expected);

  struct dk_row_source rows;
  dk_autobuf out = DK_BUF_INIT;
  assert_int_equal(dk_row_source_open(&rows, f.store, &f.objects, 1, NULL, NULL), 0);
  assert_int_equal(
      dk_summary_render(&rows, &(struct dk_summary_options){.width = 80, .max_failures = UINT32_MAX}, &out, NULL), 0);
  assert_null(strstr(dk_buf_text(&out), "the end"));
  assert_non_null(strstr(dk_buf_text(&out), "FAILED  t6 t k=6"));
  assert_null(strstr(dk_buf_text(&out), "more of"));
  dk_row_source_finish(&rows);
  fixture_finish(&f);
}

/* mean_over: a candidate is named without what is averaged over; a mean has no noise in its last digits. per: its
 * columns once. */
static void test_means(void **state) {
  struct fixture f;
  (void)state;
  fixture_init(&f, "grid g { set in [\"a\"]  lr in [0.1, 0.2, 0.3]  seed in 1..2 }\n"
                   "task t over g { metrics { v = match(stdout, '(.*)') }  run = \"echo {{set}} {{lr}} {{seed}}\" }\n"
                   "pick best { from = t  minimize = v  mean_over = [seed] }\n"
                   "pick each { from = t  maximize = v  mean_over = [seed]  per = [set] }\n");
  fixture_put_run(&f, 1, DK_RUN_DONE);
  static const char *const values[] = {"0.1", "0.2", "5", "1.3", "2", "2"};
  for (uint32_t i = 0; i < 6; i++) {
    fixture_put_task(&f, 1, &(struct fixture_task){.task = i, .state = DK_TASK_DONE, .metrics = values[i]});
  }
  uint32_t best = fixture_task_of(&f, "best", 0), each = fixture_task_of(&f, "each", 0);
  fixture_put_task(&f, 1, &(struct fixture_task){.task = best, .state = DK_TASK_DONE});
  fixture_put_choice(&f, 1, best, 0, (0.1 + 0.2) / 2, 3);
  fixture_put_task(&f, 1, &(struct fixture_task){.task = each, .state = DK_TASK_NOT_RUN});
  assert_summary(&f, &(struct dk_summary_options){0},
                 "small  run 1  done: 6 ran, 0 cached, 0 failed                           0:10\n"
                 "  t             6 of 6 done\n"
                 "  best of 3     set=a lr=0.1    v 0.15 (mean over seed)\n"
                 "                next: 2 (set=a lr=0.3), 3.15 (set=a lr=0.2)\n"
                 "  each          set=a: not run\n"
                 "  NOT RUN t8 each set=a: each has no candidate with a value\n"
                 "\n"
                 "  next    dkrun results 1\n");
  fixture_put_task(&f, 1, &(struct fixture_task){.task = each, .state = DK_TASK_DONE});
  fixture_put_choice(&f, 1, each, 2, 3.1500000000000004, 3);
  struct dk_row_source rows;
  dk_autobuf out = DK_BUF_INIT;
  assert_int_equal(dk_row_source_open(&rows, f.store, &f.objects, 1, NULL, NULL), 0);
  assert_int_equal(dk_summary_render(&rows, &(struct dk_summary_options){0}, &out, NULL), 0);
  assert_non_null(strstr(dk_buf_text(&out), "  each of 3     set=a: lr=0.2    v 3.15 (mean over seed)\n"));
  dk_row_source_finish(&rows);
  fixture_finish(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_done),        cmocka_unit_test(test_failed),
                                     cmocka_unit_test(test_interrupted), cmocka_unit_test(test_many_failures),
                                     cmocka_unit_test(test_means),       cmocka_unit_test(test_lost),
                                     cmocka_unit_test(test_alike)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
