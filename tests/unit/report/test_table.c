/* Tables in each format: order, missing and failed values, columns of picks, quoting, a file without a report. */
#include "engine/report/table.h"
#include "tests/unit/report/fixture.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void write_run(struct fixture *f) {
  uint32_t train = fixture_task_of(f, "train", 0);
  fixture_put_run(f, 1, DK_RUN_FAILED);
  fixture_put_task(f, 1, &(struct fixture_task){.task = fixture_task_of(f, "make", 0), .state = DK_TASK_DONE});
  fixture_put_task(f, 1, &(struct fixture_task){.task = train, .state = DK_TASK_DONE, .metrics = "9.50,a|b"});
  fixture_put_task(f, 1, &(struct fixture_task){.task = train + 1, .state = DK_TASK_CACHED, .metrics = ",x\x1b[31m"});
  fixture_put_task(
      f, 1, &(struct fixture_task){.task = train + 2, .state = DK_TASK_FAILED, .cause = DK_CAUSE_EXIT, .code = 1});
  fixture_put_task(f, 1, &(struct fixture_task){.task = train + 3, .state = DK_TASK_DONE, .metrics = "10.0,\"q\""});
  fixture_put_choice(f, 1, fixture_task_of(f, "best", 0), 3, 10, 4);
}

static void assert_rendered(struct fixture *f, enum dk_table_format format, const char *expected) {
  struct dk_row_source rows;
  struct dk_error error = {0};
  dk_autobuf out = DK_BUF_INIT;
  assert_int_equal(dk_row_source_open(&rows, f->store, &f->objects, 1, NULL, &error), 0);
  assert_int_equal(dk_tables_render(&rows, format, false, &out, &error), 0);
  assert_string_equal(dk_buf_text(&out), expected);
  dk_row_source_finish(&rows);
}

static void test_formats(void **state) {
  struct fixture f;
  (void)state;
  fixture_init(&f, fixture_small);
  write_run(&f);
  assert_rendered(&f, DK_FORMAT_TEXT,
                  "all\n"
                  "task            x   y   score  note\n"
                  "train x=2 y=20  2  20    10.0  \"q\"\n"
                  "train x=1 y=10  1  10    9.50  a|b\n"
                  "train x=1 y=20  1  20       -  x\\x1b[31m\n"
                  "train x=2 y=10  2  10  failed  failed\n"
                  "\n"
                  "best.x  best.score  z\n"
                  "(1 of 1 point has not ended)\n");
  assert_rendered(&f, DK_FORMAT_CSV,
                  "task,x,y,score,note\n"
                  "train x=2 y=20,2,20,10.0,\"\"\"q\"\"\"\n"
                  "train x=1 y=10,1,10,9.50,a|b\n"
                  "train x=1 y=20,1,20,,x\x1b[31m\n"
                  "train x=2 y=10,2,10,,\n"
                  "\n"
                  "best.x,best.score,z\n");
  assert_rendered(&f, DK_FORMAT_MD,
                  "### all\n\n"
                  "| task | x | y | score | note |\n"
                  "| --- | ---: | ---: | ---: | --- |\n"
                  "| train x=2 y=20 | 2 | 20 | 10.0 | \"q\" |\n"
                  "| train x=1 y=10 | 1 | 10 | 9.50 | a\\|b |\n"
                  "| train x=1 y=20 | 1 | 20 | - | x\\\\x1b[31m |\n"
                  "| train x=2 y=10 | 2 | 10 | failed | failed |\n"
                  "\n"
                  "| best.x | best.score | z |\n"
                  "| --- | --- | --- |\n"
                  "\n1 of 1 point has not ended\n");
  fixture_put_task(
      &f, 1,
      &(struct fixture_task){.task = fixture_task_of(&f, "final", 0), .state = DK_TASK_DONE, .metrics = "done,"});
  assert_rendered(&f, DK_FORMAT_JSON,
                  "[{\"title\":\"all\",\"columns\":[\"task\",\"x\",\"y\",\"score\",\"note\"],\"rows\":[\n"
                  "{\"task\":\"train x=2 y=20\",\"id\":\"t5\",\"state\":\"done\",\"cells\":{\"task\":\"train "
                  "x=2 y=20\",\"x\":2,\"y\":20,\"score\":10.0,\"note\":\"\\\"q\\\"\"}},\n"
                  "{\"task\":\"train x=1 y=10\",\"id\":\"t2\",\"state\":\"done\",\"cells\":{\"task\":\"train "
                  "x=1 y=10\",\"x\":1,\"y\":10,\"score\":9.50,\"note\":\"a|b\"}},\n"
                  "{\"task\":\"train x=1 y=20\",\"id\":\"t3\",\"state\":\"cached\",\"cells\":{\"task\":\"train "
                  "x=1 y=20\",\"x\":1,\"y\":20,\"score\":null,\"note\":\"x\\u001b[31m\"}},\n"
                  "{\"task\":\"train x=2 y=10\",\"id\":\"t4\",\"state\":\"failed\",\"cells\":{\"task\":\"train "
                  "x=2 y=10\",\"x\":2,\"y\":10,\"score\":null,\"note\":null}}],\"unfinished\":0},\n"
                  "{\"title\":null,\"columns\":[\"best.x\",\"best.score\",\"z\"],\"rows\":[\n"
                  "{\"task\":\"final\",\"id\":\"t7\",\"state\":\"done\",\"cells\":{\"best.x\":2,\"best.score\":10.0,"
                  "\"z\":\"done\"}}],\"unfinished\":0}]\n");
  fixture_finish(&f);
}

static void test_without_report(void **state) {
  struct fixture f;
  (void)state;
  fixture_init(&f, "grid g { size in [1KiB, 512MiB]  name in [\"a\"] }\n"
                   "task t over g { metrics { v = match(stdout, '(.*)') }  run = \"echo {{size}} {{name}}\" }\n");
  fixture_put_run(&f, 1, DK_RUN_DONE);
  fixture_put_task(&f, 1, &(struct fixture_task){.task = 0, .state = DK_TASK_DONE, .metrics = "1"});
  fixture_put_task(&f, 1, &(struct fixture_task){.task = 1, .state = DK_TASK_DONE, .metrics = "2"});
  assert_rendered(&f, DK_FORMAT_TEXT,
                  "t\n"
                  "task    size  name  v\n"
                  "t1      1KiB  a     1\n"
                  "t2    512MiB  a     2\n");
  assert_rendered(&f, DK_FORMAT_CSV, "task,size,name,v\nt1,1024,a,1\nt2,536870912,a,2\n");
  fixture_finish(&f);
}

/* Rows of several templates; a pick per dataset is joined on the dataset. */
static void test_join(void **state) {
  struct fixture f;
  (void)state;
  fixture_init(&f, "grid g { d in [\"p\", \"q\"]  k in [1, 2] }\n"
                   "grid ds { d in [\"p\", \"q\"] }\n"
                   "task t over g { metrics { v = match(stdout, '(.*)') }  run = \"echo {{d}} {{k}}\" }\n"
                   "pick best { from = t  minimize = v  per = [d] }\n"
                   "task last over ds { metrics { w = match(stdout, '(.*)') }  run = \"echo {{d}} {{best.k}}\" }\n"
                   "report { table { from = [last, t]  columns = [d, k, best.k, best.v, w] } }\n");
  uint32_t t = fixture_task_of(&f, "t", 0), best = fixture_task_of(&f, "best", 0),
           last = fixture_task_of(&f, "last", 0);
  fixture_put_run(&f, 1, DK_RUN_DONE);
  for (uint32_t i = 0; i < 4; i++) {
    static const char *const values[] = {"0.5", "0.25", "7", "8"};
    fixture_put_task(&f, 1, &(struct fixture_task){.task = t + i, .state = DK_TASK_DONE, .metrics = values[i]});
  }
  fixture_put_choice(&f, 1, best, 1, 0.25, 2);
  fixture_put_choice(&f, 1, best + 1, 2, 7, 2);
  fixture_put_task(&f, 1, &(struct fixture_task){.task = last, .state = DK_TASK_DONE, .metrics = "x"});
  fixture_put_task(&f, 1, &(struct fixture_task){.task = last + 1, .state = DK_TASK_DONE, .metrics = "y"});
  assert_rendered(&f, DK_FORMAT_CSV,
                  "d,k,best.k,best.v,w\n"
                  "p,,2,0.25,x\n"
                  "q,,1,7,y\n"
                  "p,1,2,0.25,\n"
                  "p,2,2,0.25,\n"
                  "q,1,1,7,\n"
                  "q,2,1,7,\n");
  fixture_finish(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_formats), cmocka_unit_test(test_without_report),
                                     cmocka_unit_test(test_join)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
