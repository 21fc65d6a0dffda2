/* Results of hosts wait for what goes with them, contents go there in parts, and logs are read there: with agents that are
 * scripts of the test. */
#include "far.h"
#include "tests/support/shim/shim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PART ((size_t)DK_PART_MAX)

/* --- results --- */

/* A result of an attempt that the engine does not know: taken all the same, and acknowledged. Its stdout is a content. */
static void send_result(struct far *far, uint64_t seq, const struct far_content *log) {
  struct dk_message message = {.type = DK_MSG_RESULT, .id = {99, seq}, .seq = seq};
  message.u.result.text = (char *)(uintptr_t) "";
  message.u.result.started_unix_ns = 1;
  message.u.result.cause = DK_CAUSE_EXIT;
  message.u.result.code = 1;
  if (log) message.u.result.out = (struct dk_kept){.digest = log->digest, .size = log->len, .total = log->len};
  far_send(far, &message);
}

static bool wait_for_ack(struct far_engine *f, uint64_t seq) {
  for (int i = 0; i < 400 && f->fars[0].acked < seq; i++) far_rest(f, 10);
  return f->fars[0].acked == seq;
}

static void send_three(struct far *far) {
  send_result(far, 1, far->contents[0]);
  send_result(far, 2, NULL);
  send_result(far, 3, far->contents[1]);
}

/* In their order: what has all waits behind what has not. */
static void in_order(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  far_add(f, 1, 8 * PART, 1, false);
  far_add(f, 1, 5000, 2, false);
  far->on_list = send_three;
  far->is_mute = true;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  far_rest(f, 200);
  assert_int_equal(far->acked, 0);
  far_speak(far);
  assert_true(wait_for_ack(f, 3));
  assert_true(far_is_here(f, far->contents[0]) && far_is_here(f, far->contents[1]));
}

/* The stream breaks while they wait: said again, they are taken once more, and what has come is not asked for again. */
static void said_again(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  far_add(f, 1, 40 * PART, 1, false);
  far_add(f, 1, 5000, 2, false);
  far->on_list = send_three;
  far->close_after = 20;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  assert_true(wait_for_ack(f, 3));
  assert_int_equal(far->n_dials, 2);
  assert_true(far_is_here(f, far->contents[0]) && far_is_here(f, far->contents[1]));
  uint32_t n_first = 0;
  for (uint32_t i = 0; i < far->n_asked; i++)
    n_first += far->asked[i].offset == 0 && dk_digest_equal(&far->asked[i].digest, &far->contents[0]->digest);
  assert_int_equal(n_first, 1);
}

/* A log that is gone there does not hold the others up for ever; it is said. */
static void log_is_gone(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  far_add(f, 1, 10000, 1, false)->way = FAR_GONE;
  far_add(f, 1, 5000, 2, false);
  far->on_list = send_three;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  assert_true(wait_for_ack(f, 3));
  assert_non_null(strstr(f->said, "cleaned away"));
  assert_true(far_is_here(f, far->contents[1]));
}

/* Without room the engine ends, and nothing was acknowledged: the next one hears it again. */
static void full_disk(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  struct dk_error error = {0};
  bool never = false;
  far_add(f, 1, 8 * PART, 1, false);
  far_add(f, 1, 5000, 2, false);
  far->on_list = send_three;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  assert_int_equal(dk_shim_arm("write ENOSPC 3+"), 0);
  assert_int_equal(far_turns(f, &never, &error), -ENOSPC);
  dk_shim_arm(NULL);
  assert_non_null(strstr(error.text, "h1: "));
  assert_non_null(strstr(error.text, "No space left"));
  far_stop(f);
  assert_true(far->acked == 0 && far_n_tmp(f) == 0);
  assert_int_equal(far_start(f, 60000, NULL), 0);
  assert_true(wait_for_ack(f, 3));
}

/* --- contents that go there --- */

struct put {
  struct dk_digest digest;
  struct dk_buf bytes;
  uint64_t total, offset; /* offset: of the first part */
  uint32_t n_parts, n_gone;
  bool is_there; /* of the last GONE */
};
static struct put taken[3];

static void on_put(struct far *far, const struct dk_message *message) {
  (void)far;
  for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
    struct put *put = &taken[i];
    if (message->type == DK_MSG_GONE && dk_digest_equal(&put->digest, &message->u.gone.digest)) {
      put->n_gone++;
      put->is_there = message->u.gone.is_there;
    }
    if (message->type != DK_MSG_PUT || !dk_digest_equal(&put->digest, &message->u.part.digest)) continue;
    if (put->n_parts++ == 0) put->offset = message->u.part.offset;
    assert_int_equal(message->u.part.offset, put->offset + put->bytes.len);
    dk_buf_add(&put->bytes, message->u.part.bytes, message->u.part.len);
    put->total = message->u.part.total;
  }
}

static void say_lacks(struct far *far) {
  static const uint64_t offsets[] = {0, 3 * DK_PART_MAX + 1, 0};
  for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
    struct dk_message lacks = {.type = DK_MSG_LACKS};
    lacks.u.want.digest = taken[i].digest;
    lacks.u.want.offset = offsets[i];
    far_send(far, &lacks);
  }
}

static void supplied(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  dk_autofree char *bytes = dk_alloc(30 * PART + 5);
  assert_non_null(bytes);
  for (size_t i = 0; i < 30 * PART + 5; i++) bytes[i] = (char)(i * 7 % 251);
  memset(taken, 0, sizeof taken);
  assert_int_equal(dk_objects_put(&f->folder.objects, "", 0, &taken[0].digest, NULL), 0);
  assert_int_equal(dk_objects_put(&f->folder.objects, bytes, 30 * PART + 5, &taken[1].digest, NULL), 0);
  taken[2].digest = far_add(f, 1, 77, 5, true)->digest; /* it was there, and it is not here */
  far->on_list = say_lacks;
  far->on_other = on_put;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  for (int i = 0; i < 400 && taken[2].n_gone == 0; i++) far_rest(f, 10);
  assert_true(taken[0].n_parts == 1 && taken[0].bytes.len == 0 && taken[0].total == 0);
  assert_true(taken[1].offset == 3 * PART + 1 && taken[1].total == 30 * PART + 5);
  assert_true(taken[1].bytes.len == taken[1].total - taken[1].offset);
  assert_memory_equal(taken[1].bytes.data, bytes + taken[1].offset, taken[1].bytes.len);
  assert_true(taken[2].n_gone == 1 && !taken[2].is_there && taken[2].n_parts == 0);
  assert_false(far_has_copy(f, 1, &taken[2].digest)); /* nobody looks for it there any more */
  for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) dk_buf_finish(&taken[i].bytes);
}

/* --- what running tasks write --- */

struct heard {
  struct dk_engine *engine;
  bool is_done;
  int r;
  uint64_t total;
  char bytes[32], words[200];
};

static void on_log(void *ctx, int r, const struct dk_message *log, const char *words) {
  struct heard *heard = ctx;
  assert_false(heard->is_done);
  heard->is_done = true;
  heard->r = r;
  snprintf(heard->words, sizeof heard->words, "%s", words);
  if (log) {
    heard->total = log->u.log.total;
    memcpy(heard->bytes, log->u.log.bytes, log->u.log.len);
  }
  dk_engine_wake(heard->engine);
}

static uint32_t n_unanswered;

/* What one byte is asked of is never answered. */
static void on_read(struct far *far, const struct dk_message *message) {
  struct dk_message log = {.type = DK_MSG_LOG, .id = message->id};
  char text[32];
  if (message->type != DK_MSG_READ) return;
  if (message->u.log.len == 1) { /* never answered */
    n_unanswered++;
    return;
  }
  log.u.log.stream = message->u.log.stream;
  log.u.log.offset = message->u.log.offset;
  log.u.log.len = (uint32_t)snprintf(text, sizeof text, "%u of %u", message->u.log.stream, (unsigned)message->id.n);
  log.u.log.bytes = text;
  log.u.log.total = 1000;
  far_send(far, &log);
}

static void logs(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  struct dk_error error = {0};
  struct heard heard[4];
  far->on_other = on_read;
  f->fars[1].is_away = true;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  far_rest(f, 100);
  for (uint32_t i = 0; i < 4; i++) {
    const struct dk_reading reading = {
        .attempt = {1, i / 2}, .host = 1, .stream = (uint8_t)(i % 2 + 1), .offset = 7, .len = 100};
    heard[i] = (struct heard){.engine = f->engine};
    assert_int_equal(dk_engine_read(f->engine, &reading, on_log, &heard[i], &error), 0);
  }
  dk_engine_leave(f->engine, &heard[1]); /* its answer is nobody's */
  assert_int_equal(far_turns(f, &heard[3].is_done, NULL), 0);
  assert_true(heard[0].is_done && !heard[1].is_done && heard[2].is_done);
  assert_string_equal(heard[0].bytes, "1 of 0");
  assert_string_equal(heard[2].bytes, "1 of 1");
  assert_string_equal(heard[3].bytes, "2 of 1");
  assert_int_equal(heard[3].total, 1000);
  /* The host goes before it answers; then it is away. */
  struct dk_reading reading = {.attempt = {1, 1}, .host = 1, .stream = 1, .len = 1};
  heard[0] = (struct heard){.engine = f->engine};
  assert_int_equal(dk_engine_read(f->engine, &reading, on_log, &heard[0], &error), 0);
  for (int i = 0; i < 100 && n_unanswered == 0; i++) far_rest(f, 10);
  far->is_away = true;
  far_break(f, far);
  assert_int_equal(far_turns(f, &heard[0].is_done, NULL), 0);
  assert_int_equal(heard[0].r, -EHOSTUNREACH);
  assert_non_null(strstr(heard[0].words, "h1 cannot be reached"));
  assert_int_equal(dk_engine_read(f->engine, &reading, on_log, &heard[0], &error), -EHOSTUNREACH);
  reading.host = 2;
  assert_int_equal(dk_engine_read(f->engine, &reading, on_log, &heard[0], &error), -EHOSTUNREACH);
  assert_non_null(strstr(error.text, "h2 cannot be reached: nobody is there"));
  reading.host = 77; /* there is none */
  assert_int_equal(dk_engine_read(f->engine, &reading, on_log, &heard[0], &error), -ENOENT);
}

/* --- clocks --- */

static void clock_is_wrong(void **state) {
  struct far_engine *f = *state;
  f->fars[1].is_away = true;
  f->fars[0].ahead_ns = INT64_C(3600500000000);
  assert_int_equal(far_start(f, 60000, NULL), 0);
  for (int i = 0; i < 400 && !strstr(f->said, "clock"); i++) far_rest(f, 10);
  assert_string_equal(f->said, "h1: its clock is 3600 s ahead of this machine's: times that tasks there write and show "
                               "differ by that");
  far_stop(f);
  *f->said = '\0';
  f->fars[0].ahead_ns = INT64_C(-60500000000);
  assert_int_equal(far_start(f, 60000, NULL), 0);
  for (int i = 0; i < 400 && !strstr(f->said, "clock"); i++) far_rest(f, 10);
  assert_non_null(strstr(f->said, "h1: its clock is 60 s behind this machine's"));
  far_stop(f);
  *f->said = '\0';
  f->fars[0].ahead_ns = INT64_C(3000000000); /* a clock is not a measure */
  assert_int_equal(far_start(f, 60000, NULL), 0);
  far_rest(f, 100);
  assert_null(strstr(f->said, "clock"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(in_order, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(said_again, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(log_is_gone, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(full_disk, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(supplied, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(logs, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(clock_is_wrong, far_setup, far_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
