/* Frames between the engine and its commands: what is written is read, and no bytes do harm. */
#include "engine/drive/talk.h"
#include "engine/wire/message.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* The frame, decoded; it must be written as the same bytes again. */
static void there_and_back(const struct dk_talk *talk, struct dk_talk *ret) {
  dk_autobuf bytes = DK_BUF_INIT, again = DK_BUF_INIT;
  assert_int_equal(dk_talk_encode(talk, &bytes), 0);
  for (size_t len = 0; len < bytes.len; len++) { /* a part of it is not enough, and is no error */
    struct dk_talk part;
    assert_int_equal(dk_talk_decode(bytes.data, len, &part), 0);
  }
  assert_int_equal(dk_talk_decode(bytes.data, bytes.len, ret), bytes.len);
  assert_int_equal(dk_talk_encode(ret, &again), 0);
  assert_int_equal(again.len, bytes.len);
  assert_memory_equal(again.data, bytes.data, bytes.len);
}

static struct dk_talk submission(void) {
  static struct dk_pair given[] = {{(char *)"folds", (char *)"10"}};
  static char *variables[] = {(char *)"PATH=/bin", (char *)"TOKEN=a b\nc", NULL};
  return (struct dk_talk){.kind = DK_TALK_SUBMIT,
                          .submit = {.file = (char *)"a/e.dk",
                                     .params = (char *)"folds=10",
                                     .given = given,
                                     .n_given = 1,
                                     .variables = variables,
                                     .n_variables = 2,
                                     .jobs = 3,
                                     .priority = -7,
                                     .prune = true,
                                     .consent = {DK_PAY_UP_TO, {"EUR", 70}}}};
}

static void test_submit(void **state) {
  (void)state;
  struct dk_talk talk = submission(), back;
  there_and_back(&talk, &back);
  assert_string_equal(back.submit.file, "a/e.dk");
  assert_string_equal(back.submit.given[0].value, "10");
  assert_string_equal(back.submit.variables[1], "TOKEN=a b\nc");
  assert_null(back.submit.variables[2]);
  assert_int_equal(back.submit.priority, -7);
  assert_true(back.submit.prune && !back.submit.refuse_dirty && !back.submit.paused);
  assert_int_equal(back.submit.consent.pay, DK_PAY_UP_TO);
  assert_string_equal(back.submit.consent.limit.currency, "EUR");
  assert_int_equal(back.submit.consent.limit.micro, 70);
  dk_talk_finish(&back);
}

static void test_ask(void **state) {
  (void)state;
  uint32_t ranges[] = {3, 5, 9, 4000000000u};
  struct dk_talk talk = {.kind = DK_TALK_ASK,
                         .run = 7,
                         .ask = {.kind = DK_EV_PRIORITY, .priority = 12, .ranges = ranges, .n_ranges = 2}},
                 back;
  there_and_back(&talk, &back);
  assert_int_equal(back.run, 7);
  assert_int_equal(back.ask.kind, DK_EV_PRIORITY);
  assert_int_equal(back.ask.n_ranges, 2);
  assert_memory_equal(back.ask.ranges, ranges, sizeof ranges);
  dk_talk_finish(&back);
}

static void test_note(void **state) {
  (void)state;
  struct dk_metric_value values[] = {{DK_METRIC_NUMBER, 96.15, (char *)"96.15"}, {DK_METRIC_MISSING, 0, NULL}};
  struct dk_metric_values metrics = {values, 2};
  struct dk_choice choice = {.row = 4, .score = 0.5, .n_candidates = 9};
  struct dk_talk talk = {.kind = DK_TALK_NOTE,
                         .run = 2,
                         .note = {.task = 11,
                                  .state = DK_TASK_DONE,
                                  .code = -1,
                                  .attempts = 2,
                                  .wall_ns = UINT64_MAX,
                                  .text = "why",
                                  .metrics = &metrics,
                                  .choice = &choice}},
                 back;
  there_and_back(&talk, &back);
  assert_int_equal(back.note.task, 11);
  assert_string_equal(back.note.text, "why");
  assert_string_equal(back.note.metrics->items[0].text, "96.15");
  assert_int_equal(back.note.choice->n_candidates, 9);
  assert_true(back.note.wall_ns == UINT64_MAX);
  dk_talk_finish(&back);
}

static void test_at_hosts(void **state) {
  (void)state;
  struct dk_wanted wanted[] = {{{{1, 2}}, true}, {{{0xff}}, false}};
  struct dk_talk talk = {.kind = DK_TALK_FETCH, .wanted = wanted, .n_wanted = 2}, back;
  there_and_back(&talk, &back);
  assert_int_equal(back.n_wanted, 2);
  assert_true(back.wanted[0].is_dir && !back.wanted[1].is_dir);
  assert_memory_equal(back.wanted[1].content.bytes, wanted[1].content.bytes, DK_DIGEST_SIZE);
  dk_talk_finish(&back);

  talk =
      (struct dk_talk){.kind = DK_TALK_PROGRESS, .progress = {5, UINT64_MAX}, .text = (char *)"h1 cannot be reached"};
  there_and_back(&talk, &back);
  assert_true(back.progress.here == 5 && back.progress.total == UINT64_MAX);
  assert_string_equal(back.text, "h1 cannot be reached");
  dk_talk_finish(&back);

  const struct dk_reading reading = {
      .attempt = {UINT64_MAX, 7}, .host = 65535, .stream = 2, .offset = 1, .len = DK_PART_MAX};
  talk = (struct dk_talk){.kind = DK_TALK_READ, .reading = reading};
  there_and_back(&talk, &back);
  assert_true(dk_id_equal(back.reading.attempt, reading.attempt) && back.reading.host == 65535);
  assert_true(back.reading.stream == 2 && back.reading.offset == 1 && back.reading.len == DK_PART_MAX);
  dk_talk_finish(&back);

  talk = (struct dk_talk){.kind = DK_TALK_LOG, .reading = reading, .log = {9, (char *)"a\0b"}};
  talk.reading.len = 3;
  there_and_back(&talk, &back);
  assert_true(back.reading.len == 3 && back.log.total == 9);
  assert_memory_equal(back.log.bytes, "a\0b", 3);
  dk_talk_finish(&back);
  talk.reading.len = 0; /* nothing new */
  there_and_back(&talk, &back);
  assert_int_equal(back.reading.len, 0);
  dk_talk_finish(&back);

  /* More than a part, or a third stream: not one of ours. */
  talk = (struct dk_talk){.kind = DK_TALK_READ, .reading = reading};
  talk.reading.len++;
  dk_autobuf bytes = DK_BUF_INIT;
  assert_int_equal(dk_talk_encode(&talk, &bytes), 0);
  assert_int_equal(dk_talk_decode(bytes.data, bytes.len, &back), -EPROTO);
  talk.reading.len = 1;
  talk.reading.stream = 3;
  dk_buf_clear(&bytes);
  assert_int_equal(dk_talk_encode(&talk, &bytes), 0);
  assert_int_equal(dk_talk_decode(bytes.data, bytes.len, &back), -EPROTO);
}

/* Every byte of every frame, changed: refused or read, never worse (sanitizers look on). */
static void test_changed_bytes(void **state) {
  (void)state;
  struct dk_talk talks[] = {submission(),
                            {.kind = DK_TALK_WELCOME, .value = 1, .text = (char *)"0.1"},
                            {.kind = DK_TALK_ASK, .run = 1, .ask = {.kind = DK_EV_CANCEL}},
                            {.kind = DK_TALK_LEAVE},
                            {.kind = DK_TALK_FETCH, .wanted = (struct dk_wanted[]){{{{3}}, true}}, .n_wanted = 1},
                            {.kind = DK_TALK_READ, .reading = {.attempt = {1, 2}, .stream = 1, .len = 9}},
                            {.kind = DK_TALK_LOG, .reading = {.stream = 1, .len = 2}, .log = {2, (char *)"ab"}},
                            {.kind = DK_TALK_PROGRESS, .progress = {1, 2}, .text = (char *)""},
                            {.kind = DK_TALK_NOTE, .run = 1, .note = {.state = DK_TASK_FAILED, .text = "words"}}};
  for (size_t t = 0; t < sizeof talks / sizeof *talks; t++) {
    dk_autobuf bytes = DK_BUF_INIT;
    assert_int_equal(dk_talk_encode(&talks[t], &bytes), 0);
    for (size_t at = 0; at < bytes.len; at++) {
      for (int value = 0; value < 256; value++) {
        struct dk_talk back;
        char was = bytes.data[at];
        bytes.data[at] = (char)value;
        if (dk_talk_decode(bytes.data, bytes.len, &back) > 0) dk_talk_finish(&back);
        bytes.data[at] = was;
      }
    }
  }
}

static void test_too_large(void **state) {
  (void)state;
  static const unsigned char head[] = {255, 255, 255, 255, 0};
  struct dk_talk back;
  assert_int_equal(dk_talk_decode(head, sizeof head, &back), -EPROTO);
}

static void test_stream(void **state) {
  (void)state;
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  struct dk_talk_stream a = {.fd = fds[0]}, b = {.fd = fds[1]};
  struct dk_talk back;
  char *text = calloc(1, 1 << 20);
  assert_non_null(text);
  memset(text, 'x', (1 << 20) - 1);
  struct dk_talk say = {.kind = DK_TALK_SAY, .text = text};
  for (int i = 0; i < 3; i++) assert_int_equal(dk_talk_send(&a, &say), 0);
  assert_true(dk_talk_wants_out(&a)); /* more than the socket takes */
  int n = 0;
  while (n < 3) {
    assert_int_equal(dk_talk_flush(&a), 0);
    assert_int_equal(dk_talk_read(&b), 1);
    while (dk_talk_next(&b, &back) == 1) {
      assert_string_equal(back.text, text);
      dk_talk_finish(&back);
      n++;
    }
  }
  assert_false(dk_talk_wants_out(&a));
  dk_talk_close(&a);
  assert_int_equal(dk_talk_read(&b), -ECONNRESET);
  dk_talk_close(&b);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_submit),   cmocka_unit_test(test_ask),           cmocka_unit_test(test_note),
      cmocka_unit_test(test_at_hosts), cmocka_unit_test(test_changed_bytes), cmocka_unit_test(test_too_large),
      cmocka_unit_test(test_stream),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
