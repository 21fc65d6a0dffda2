/* The progress model: counts, rates, best so far, frames of every size, plain lines and how they are put together. */
#include "engine/report/progress.h"
#include "lang/base/alloc.h"
#include "tests/unit/report/fixture.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND ((uint64_t)1000000000)
#define MS ((uint64_t)1000000)

static struct dk_progress *make(const struct dk_plan *plan, const uint8_t *wanted) {
  const struct dk_progress_head head = {.run = 1, .commit = "a1c33f0+1", .where = "this machine, 2 slots"};
  struct dk_progress *p;
  assert_int_equal(dk_progress_create(&p, plan, wanted, &head, 0, NULL), 0);
  return p;
}

static void start(struct dk_progress *p, uint64_t now, uint32_t task) {
  dk_progress_note(p, now,
                   &(struct dk_progress_note){.task = task, .state = DK_TASK_RUNNING, .started = true, .attempts = 1});
}

static void end(struct dk_progress *p, uint64_t now, uint32_t task, enum dk_task_state state, const char *score) {
  char text[32];
  struct dk_metric_value items[2] = {{DK_METRIC_NUMBER, 0, text}, {DK_METRIC_MISSING, 0, NULL}};
  struct dk_metric_values values = {items, 2};
  struct dk_progress_note note = {.task = task, .state = state, .attempts = 1, .wall_ns = 100 * MS};
  if (score) {
    snprintf(text, sizeof text, "%s", score);
    sscanf(score, "%lf", &items[0].number);
    note.metrics = &values;
  }
  dk_progress_note(p, now, &note);
}

static const char *frame(struct dk_progress *p, uint64_t now, uint32_t width, uint32_t height, struct dk_buf *out) {
  const struct dk_progress_view view = {.width = width, .height = height, .keys = true};
  dk_buf_clear(out);
  dk_progress_frame(p, now, &view, out);
  assert_true(dk_buf_ok(out));
  return dk_buf_text(out);
}

static const char *lines(struct dk_progress *p, uint64_t now, bool flush, struct dk_buf *out) {
  dk_buf_clear(out);
  dk_progress_take_lines(p, now, DK_LINES_ALL, flush, false, out);
  return dk_buf_text(out);
}

static void assert_has(const char *text, const char *part) {
  if (!strstr(text, part)) {
    fail_msg("`%s` is not in:\n%s", part, text);
  }
}

static void assert_lacks(const char *text, const char *part) {
  if (strstr(text, part)) {
    fail_msg("`%s` is in:\n%s", part, text);
  }
}

/* Hosts that get no tasks: a line below the head, where there is room. */
static void test_away(void **state) {
  struct fixture *f = *state;
  dk_autobuf out = DK_BUF_INIT;
  struct dk_progress *p = make(f->plan, NULL);
  assert_lacks(frame(p, 0, 80, 24, &out), "down");
  dk_progress_set_away(p, "down: h3\x1b[1m");
  const char *text = frame(p, 0, 80, 24, &out);
  assert_has(text, "0:00\n  down: h3\\x1b[1m\n");
  assert_lacks(frame(p, 0, 80, 4, &out), "down");
  for (uint32_t height = 1; height < 12; height++) {
    uint32_t lines = 0;
    for (text = frame(p, 0, 80, height, &out); *text; text++) lines += *text == '\n';
    assert_true(lines <= height);
  }
  dk_progress_set_away(p, NULL);
  assert_lacks(frame(p, 0, 80, 24, &out), "down");
  dk_progress_destroy(p);
}

static void test_frame(void **state) {
  struct fixture *f = *state;
  dk_autobuf out = DK_BUF_INIT;
  struct dk_progress *p = make(f->plan, NULL);
  uint32_t train = fixture_task_of(f, "train", 0);
  const char *text = frame(p, 0, 80, 24, &out);
  assert_has(text, "small  run 1  a1c33f0+1  this machine, 2 slots");
  assert_has(text, "0:00\n");
  assert_has(text, "waits for make");
  assert_has(text, "waits for best (4 points left)");
  assert_lacks(text, "left, "); /* nothing is known: no rate, no time */

  start(p, SECOND, fixture_task_of(f, "make", 0));
  end(p, 2 * SECOND, fixture_task_of(f, "make", 0), DK_TASK_DONE, NULL);
  start(p, 2 * SECOND, train);
  start(p, 2 * SECOND, train + 1);
  end(p, 3 * SECOND, train, DK_TASK_DONE, "96.10");
  text = frame(p, 6 * SECOND, 80, 24, &out);
  assert_has(text, "make  1/1");
  assert_has(text, "train 1/4 #####---------------  1 running");
  assert_has(text, "best so far 96.10  x=1 y=10");
  assert_has(text, "t3 train x=1 y=20   4 s");
  assert_has(text, "0:06\n");
  assert_has(text, "failed 0   cached 0   q or ^C stop");

  end(p, 6 * SECOND, train + 1, DK_TASK_DONE, "97.5");
  end(p, 6 * SECOND, train + 2, DK_TASK_CACHED, "97.5"); /* a tie: grid order stays */
  end(p, 6 * SECOND, train + 3, DK_TASK_FAILED, NULL);
  text = frame(p, 6 * SECOND, 80, 24, &out);
  assert_has(text, "best so far 97.5  x=1 y=20");
  assert_has(text, "1 FAILED, 2 done, 1 cached");
  dk_progress_choice(p, fixture_task_of(f, "best", 0), &(struct dk_choice){1, 97.5, 4});
  assert_has(frame(p, 6 * SECOND, 80, 24, &out), "best 97.5  x=1 y=20");
  dk_progress_set_stopping(p, "stopping");
  assert_has(frame(p, 6 * SECOND, 80, 24, &out), "  stopping\n");
  dk_progress_destroy(p);
}

/* Whatever the size: no more lines, no wider ones. */
static void test_sizes(void **state) {
  struct fixture *f = *state;
  dk_autobuf out = DK_BUF_INIT;
  struct dk_progress *p = make(f->plan, NULL);
  uint32_t train = fixture_task_of(f, "train", 0);
  for (uint32_t i = 0; i < 4; i++) {
    start(p, SECOND, train + i);
  }
  for (uint32_t width = 1; width <= 90; width++) {
    for (uint32_t height = 0; height <= 20; height++) {
      const char *at = frame(p, 2 * SECOND, width, height, &out);
      uint32_t n = 0;
      for (const char *eol; (eol = strchr(at, '\n')) != NULL; at = eol + 1, n++) {
        assert_true((size_t)(eol - at) <= width);
      }
      assert_int_equal(*at, '\0');
      assert_true(n <= height);
      assert_true(n > 0 || height == 0);
    }
  }
  dk_progress_destroy(p);
}

static void test_rate(void **state) {
  struct fixture *f = *state;
  dk_autobuf out = DK_BUF_INIT;
  struct fixture big;
  fixture_init(&big, "grid g { k in 1..1000 }\ntask t over g { run = \"echo {{k}}\" }\n");
  struct dk_progress *p = make(big.plan, NULL);
  (void)f;
  for (uint32_t i = 0; i < 500; i++) { /* ten a second */
    start(p, i * 100u * MS, i);
    end(p, i * 100u * MS + 50 * MS, i, DK_TASK_DONE, NULL);
  }
  const char *text = frame(p, 50 * SECOND, 80, 24, &out);
  assert_has(text, "500/1000 ##########----------  0 running, 10/s, 50 s left");
  /* What is cached was no work: it does not count for the rate. */
  for (uint32_t i = 500; i < 900; i++) {
    end(p, 50 * SECOND, i, DK_TASK_CACHED, NULL);
  }
  assert_has(frame(p, 50 * SECOND, 80, 24, &out), "10/s, 10 s left");
  /* A stall shows: the rate falls. */
  assert_lacks(frame(p, 500 * SECOND, 80, 24, &out), "10/s");
  dk_progress_destroy(p);
  /* A time that nanoseconds cannot say is the longest one that they can, not what is over of it. */
  p = make(big.plan, NULL);
  for (uint32_t i = 0; i < 3; i++) {
    start(p, i * SECOND, i);
    end(p, i * SECOND + MS, i, DK_TASK_DONE, NULL);
  }
  assert_has(frame(p, UINT64_MAX / 2, 80, 24, &out), ", 213504d left");
  dk_progress_destroy(p);
  fixture_finish(&big);
}

static void test_lines(void **state) {
  struct fixture *f = *state;
  dk_autobuf out = DK_BUF_INIT;
  struct dk_progress *p = make(f->plan, NULL);
  uint32_t train = fixture_task_of(f, "train", 0), make_task = fixture_task_of(f, "make", 0);
  assert_int_equal(dk_progress_deadline(p), UINT64_MAX);
  end(p, SECOND, make_task, DK_TASK_CACHED, NULL);
  assert_string_equal(lines(p, SECOND, false, &out), ""); /* cached ones wait for more of them */
  assert_int_equal(dk_progress_deadline(p), 2 * SECOND);
  assert_string_equal(lines(p, 2 * SECOND, false, &out), "[1/6] 1 cached\n");
  end(p, 3 * SECOND, train, DK_TASK_DONE, "96.10");
  assert_string_equal(lines(p, 3 * SECOND, false, &out), "[2/6] done t2 train x=1 y=10  0.1 s  score 96.10  note -\n");
  dk_progress_note(
      p, 3 * SECOND,
      &(struct dk_progress_note){.task = train + 1, .state = DK_TASK_BACKOFF, .cause = DK_CAUSE_LOST, .attempts = 1});
  assert_has(lines(p, 3 * SECOND, false, &out), "[2/6] again t3 train x=1 y=20  lost");
  dk_progress_note(p, 3 * SECOND,
                   &(struct dk_progress_note){.task = train + 1,
                                              .state = DK_TASK_FAILED,
                                              .cause = DK_CAUSE_EXIT,
                                              .code = 3,
                                              .attempts = 2,
                                              .text = "a\x1b[31m"});
  assert_string_equal(lines(p, 3 * SECOND, false, &out),
                      "[3/6] FAILED t3 train x=1 y=20  exit code 3: a\\x1b[31m, 2 attempts\n");
  end(p, 3 * SECOND, fixture_task_of(f, "final", 0), DK_TASK_NOT_RUN, NULL);
  assert_string_equal(lines(p, 3 * SECOND, true, &out), "[4/6] 1 not run\n");
  dk_progress_say(p, "the agent was %s", "restarted");
  assert_string_equal(lines(p, 3 * SECOND, false, &out), "the agent was restarted\n");
  dk_progress_destroy(p);
}

/* Above a frame only what matters is told, without the count that the frame has. */
static void test_important_lines(void **state) {
  struct fixture *f = *state;
  dk_autobuf out = DK_BUF_INIT;
  struct dk_progress *p = make(f->plan, NULL);
  uint32_t train = fixture_task_of(f, "train", 0);
  end(p, SECOND, train, DK_TASK_DONE, "1");
  end(p, SECOND, train + 1, DK_TASK_CACHED, "1");
  end(p, SECOND, train + 2, DK_TASK_FAILED, NULL);
  dk_progress_take_lines(p, SECOND, DK_LINES_IMPORTANT, true, true, &out);
  assert_string_equal(dk_buf_text(&out), "\x1b[31mFAILED t4 train x=2 y=10  ok  0.1 s\x1b[0m\n");
  dk_progress_destroy(p);
}

static void test_quick_tasks_are_put_together(void **state) {
  struct fixture big;
  dk_autobuf out = DK_BUF_INIT;
  (void)state;
  fixture_init(&big, "grid g { k in 1..2000 }\ntask t over g { run = \"echo {{k}}\" }\n");
  struct dk_progress *p = make(big.plan, NULL);
  uint32_t n_lines = 0, told = 0;
  for (uint32_t i = 0; i < 2000; i++) { /* a thousand a second */
    end(p, i * MS, i, DK_TASK_DONE, NULL);
    const char *at = lines(p, i * MS, i == 1999, &out);
    for (const char *eol; (eol = strchr(at, '\n')) != NULL; at = eol + 1) {
      uint32_t count, ended, total;
      n_lines++;
      if (sscanf(at, "[%u/%u] %u done", &ended, &total, &count) == 3) {
        told += count;
      } else {
        told++;
      }
    }
  }
  assert_int_equal(told, 2000); /* each is told of, once */
  assert_true(n_lines < 100);
  assert_has(dk_buf_text(&out), "[2000/2000] ");
  dk_progress_destroy(p);
  fixture_finish(&big);
}

static void test_wanted(void **state) {
  struct fixture *f = *state;
  dk_autobuf out = DK_BUF_INIT;
  uint8_t wanted[1] = {0};
  uint32_t train = fixture_task_of(f, "train", 0);
  wanted[0] = (uint8_t)(1u << fixture_task_of(f, "make", 0) | 1u << train);
  struct dk_progress *p = make(f->plan, wanted);
  struct dk_progress_counts c;
  end(p, SECOND, train, DK_TASK_DONE, "1");
  end(p, SECOND, train + 1, DK_TASK_DONE, "2"); /* not wanted: not there */
  dk_progress_counts(p, UINT32_MAX, &c);
  assert_int_equal(c.total, 2);
  assert_int_equal(c.done, 1);
  assert_int_equal(c.waiting, 1);
  assert_lacks(frame(p, SECOND, 80, 24, &out), "final");
  dk_progress_destroy(p);
}

static void test_mean_over(void **state) {
  struct fixture g;
  dk_autobuf out = DK_BUF_INIT;
  (void)state;
  fixture_init(&g, "grid g { x in [1, 2]  seed in 1..2 }\n"
                   "task t over g { metrics { v = match(stdout, '(.*)') }  run = \"echo {{x}} {{seed}}\" }\n"
                   "pick best { from = t  minimize = v  mean_over = [seed] }\n"
                   "task last { run = \"echo {{best.x}}\" }\n");
  struct dk_progress *p = make(g.plan, NULL);
  end(p, SECOND, 0, DK_TASK_DONE, "1");
  assert_lacks(frame(p, SECOND, 80, 24, &out), "so far"); /* half a candidate is none */
  end(p, SECOND, 2, DK_TASK_DONE, "3");
  end(p, SECOND, 3, DK_TASK_DONE, "4");
  assert_has(frame(p, SECOND, 80, 24, &out), "best so far 3.5");
  end(p, SECOND, 1, DK_TASK_DONE, "2");
  assert_has(frame(p, SECOND, 80, 24, &out), "best so far 1.5");
  dk_progress_destroy(p);
  fixture_finish(&g);
}

static int setup(void **state) {
  static struct fixture f;
  fixture_init(&f, fixture_small);
  *state = &f;
  return 0;
}

static int teardown(void **state) {
  fixture_finish(*state);
  return 0;
}

/* A line whose end there was no memory for is shown as far as it goes, or not at all. */
static void test_no_memory(void **state) {
  struct fixture *f = *state;
  bool is_clean = false;
  for (uint64_t n = 1; !is_clean; n++) {
    dk_autobuf out = DK_BUF_INIT;
    struct dk_progress *p = make(f->plan, NULL);
    uint32_t train = fixture_task_of(f, "train", 0);
    dk_alloc_fail_once(n);
    for (uint32_t row = 0; row < 3; row++) {
      start(p, SECOND, train + row);
      end(p, SECOND, train + row, row == 2 ? DK_TASK_FAILED : DK_TASK_DONE, "96.10");
      dk_progress_say(p, "something with %d letters is said, so that the line is long", 50);
      dk_progress_frame(p, SECOND, &(struct dk_progress_view){.width = 80, .height = 24}, &out);
      dk_progress_take_lines(p, SECOND, DK_LINES_ALL, row == 2, true, &out);
    }
    is_clean = dk_alloc_count() < n;
    dk_alloc_fail_at(0);
    dk_progress_destroy(p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_frame),
                                     cmocka_unit_test(test_away),
                                     cmocka_unit_test(test_sizes),
                                     cmocka_unit_test(test_rate),
                                     cmocka_unit_test(test_lines),
                                     cmocka_unit_test(test_important_lines),
                                     cmocka_unit_test(test_quick_tasks_are_put_together),
                                     cmocka_unit_test(test_wanted),
                                     cmocka_unit_test(test_mean_over),
                                     cmocka_unit_test(test_no_memory)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
