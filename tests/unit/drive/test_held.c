/* Results of hosts wait for what goes with them, contents go there in parts, and logs are read there: with agents that
 * are scripts of the test. */
#include "engine/store/record.h"
#include "far.h"
#include "tests/support/shim/shim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PART ((size_t)DK_PART_MAX)

/* --- results --- */

/* Of an attempt that an earlier engine handed out. Its stdout is a content. */
static void send_result_of(struct far *far, uint64_t seq, const struct far_content *log, size_t size) {
  struct dk_message message = {.type = DK_MSG_RESULT, .id = far_attempt(far, seq), .seq = seq};
  message.u.result.text = (char *)(uintptr_t) "";
  message.u.result.started_unix_ns = 1;
  message.u.result.cause = DK_CAUSE_OK;
  if (log) message.u.result.out = (struct dk_kept){.digest = log->digest, .size = size, .total = size};
  far_send(far, &message);
}

static void send_result(struct far *far, uint64_t seq, const struct far_content *log) {
  send_result_of(far, seq, log, log ? log->len : 0);
}

/* What is recorded of it: with its log? */
static bool has_log(struct far_engine *f, const struct far *far, uint64_t seq) {
  const struct dk_digest key = far_key(far, seq);
  struct dk_saved saved;
  assert_int_equal(dk_store_get_saved(f->folder.store, &key, &saved, NULL), 0);
  bool has = !dk_digest_is_zero(&saved.result.out.digest);
  dk_saved_finish(&saved);
  return has;
}

static bool wait_for_acks(struct far_engine *f, const struct far *far, uint64_t seq) {
  for (int i = 0; i < 1000 && far->acked < seq; i++) far_rest(f, 10);
  return far->acked == seq;
}

static bool wait_for_ack(struct far_engine *f, uint64_t seq) {
  return wait_for_acks(f, &f->fars[0], seq);
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
  far_add_attempts(f, 1, 3);
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
  far_add_attempts(f, 1, 3);
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
  far_add_attempts(f, 1, 3);
  far_add(f, 1, 10000, 1, false)->way = FAR_GONE;
  far_add(f, 1, 5000, 2, false);
  far->on_list = send_three;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  assert_true(wait_for_ack(f, 3));
  assert_non_null(strstr(f->said, "cleaned away"));
  assert_true(far_is_here(f, far->contents[1]));
  assert_true(!has_log(f, far, 1) && has_log(f, far, 3));
}

/* Without room the engine ends, and nothing was acknowledged: the next one hears it again. */
static void full_disk(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  struct dk_error error = {0};
  bool never = false;
  far_add_attempts(f, 1, 3);
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

/* Its agent answers, and does not send the logs: nothing is taken without them, and what was said of the results is
 * forgotten with the session. */
static void silent(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  far_add_attempts(f, 1, 3);
  far_add(f, 1, 8 * PART, 1, false);
  far_add(f, 1, 5000, 2, false);
  far->on_list = send_three;
  far->is_mute = f->fars[1].is_away = true;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  for (int i = 0; i < 2; i++) {
    far_pass_silence(f, far);
    assert_true(far->acked == 0 && !f->engine->hosts[1]->held.first);
    far->is_mute = i == 0;
    far_pass_pause(f, far);
  }
  assert_true(wait_for_ack(f, 3));
  assert_true(has_log(f, far, 1) && has_log(f, far, 3));
}

/* --- what several hosts have --- */

static void send_one(struct far *far) {
  send_result(far, 1, far->contents[0]);
}

/* Both have the same log, and one of them is lost while it comes from there: the other's result has it. */
static void other_is_lost(void **state) {
  struct far_engine *f = *state;
  struct far *lost = &f->fars[0], *well = &f->fars[1];
  for (int host = 1; host <= 2; host++) {
    far_add_attempts(f, host, 1);
    far_add(f, host, 8 * PART, 1, false);
  }
  lost->on_list = send_one;
  lost->is_mute = true;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  far_rest(f, 100);
  send_one(well);
  far_rest(f, 100);
  assert_true(lost->n_asked > 0 && well->n_asked == 0 && well->acked == 0);
  lost->is_away = true;
  far_break(f, lost);
  assert_true(wait_for_acks(f, well, 1));
  assert_true(has_log(f, well, 1) && far_is_here(f, well->contents[0]));
  assert_int_equal(lost->acked, 0);
  /* It is back: it is heard again, and asked for nothing. */
  uint32_t n_asked = lost->n_asked;
  lost->is_away = lost->is_mute = false;
  assert_true(wait_for_acks(f, lost, 1));
  assert_true(has_log(f, lost, 1) && lost->n_asked == n_asked);
}

/* Whatever one of them sends or says in its place, both results have the log. */
static void other_is_wrong(void **state) {
  struct far_engine *f = *state;
  static const enum far_way ways[] = {FAR_GONE,  FAR_GONE_MID, FAR_CLOSED, FAR_ALTERED,
                                      FAR_SHORT, FAR_SWAPPED,  FAR_OTHER,  FAR_GROWING};
  enum { N = sizeof ways / sizeof *ways };
  for (int host = 1; host <= 2; host++) far_add_attempts(f, host, N + 1);
  assert_int_equal(far_start(f, 60000, NULL), 0);
  far_rest(f, 100);
  for (uint32_t i = 0; i <= N; i++) {
    struct far *wrong = &f->fars[i % 2], *right = &f->fars[1 - i % 2];
    struct far_content *log = far_add(f, (int)(1 + i % 2), 6 * PART + i, i, false);
    if (i < N) log->way = ways[i];
    far_add(f, (int)(2 - i % 2), 6 * PART + i, i, false);
    wrong->is_mute = true;
    /* The last one: it says another size than the content has. */
    send_result_of(wrong, i + 1, log, log->len - (i == N));
    far_rest(f, 20);
    send_result(right, i + 1, log);
    far_rest(f, 20);
    assert_int_equal(right->acked, i);
    far_speak(wrong);
    if (!wait_for_acks(f, right, i + 1) || !wait_for_acks(f, wrong, i + 1)) fail_msg("way %u: not taken", i);
    if (!has_log(f, right, i + 1) || !has_log(f, wrong, i + 1)) fail_msg("way %u: without its log", i);
    assert_true(far_is_here(f, log));
  }
  assert_int_equal(far_n_tmp(f), 0);
}

/* Its own host has it no more, and the other one that has it is down: it is waited for until it counts as lost. */
static void own_is_gone(void **state) {
  struct far_engine *f = *state;
  struct far *away = &f->fars[0], *own = &f->fars[1];
  for (int host = 1; host <= 2; host++) {
    far_add_attempts(f, host, 1);
    far_add(f, host, 2 * PART, 1, false);
  }
  own->contents[0]->way = FAR_GONE;
  away->on_list = own->on_list = send_one;
  away->is_mute = true;
  own->is_away = true;
  assert_int_equal(far_start(f, 1500, NULL), 0);
  far_rest(f, 100);
  own->is_away = false;
  away->is_away = true;
  far_break(f, away);
  for (int i = 0; i < 400 && own->n_asked == 0; i++) far_rest(f, 10);
  far_rest(f, 100);
  assert_int_equal(own->acked, 0);
  assert_true(wait_for_acks(f, own, 1));
  assert_non_null(strstr(f->said, "h2: it was cleaned away"));
  assert_false(has_log(f, own, 1));
}

/* What nobody knows any more is acknowledged, and nothing of it comes. */
static void unknown(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  far_add(f, 1, 10000, 1, false);
  far->on_list = send_one;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  assert_true(wait_for_ack(f, 1));
  assert_int_equal(far->n_asked, 0);
}

/* More than is held: all of them are taken, in more than one session. */
#define MANY 90
static void send_many(struct far *far) {
  static char text[1 << 20];
  memset(text, 'x', sizeof text - 1);
  for (uint64_t seq = far->acked + 1; seq <= MANY; seq++) {
    struct dk_message message = {.type = DK_MSG_RESULT, .id = {98, seq}, .seq = seq};
    message.u.result.text = text;
    message.u.result.cause = DK_CAUSE_EXIT;
    if (seq == 1)
      send_one(far);
    else
      far_send(far, &message);
  }
}

static void too_many(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  far_add_attempts(f, 1, 1);
  far_add(f, 1, 10000, 1, false);
  far->on_list = send_many;
  far->is_mute = true;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  for (int i = 0; i < 400 && !f->engine->hosts[1]->held.is_full; i++) far_rest(f, 10);
  assert_true(f->engine->hosts[1]->held.is_full && f->engine->hosts[1]->held.bytes < 70u << 20);
  assert_int_equal(far->acked, 0);
  far_speak(far);
  bool is_said = false;
  for (int i = 0; i < 1000 && far->n_dials < 2; i++) {
    far_rest(f, 20);
    is_said |= strstr(f->said, "more results than are taken at once") != NULL;
    if (far->acked && !f->engine->hosts[1]->session) assert_true(far->acked > 60 && far->acked < 70);
  }
  assert_true(is_said);
  assert_true(wait_for_ack(f, MANY));
  assert_int_equal(far->n_dials, 2);
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

/* --- systems --- */

/* What is known of a host's system stays so while it is away: when no other host is left, the engine does not wait. */
static void barred_and_away(void **state) {
  struct far_engine *f = *state;
  struct dk_error error = {0};
  bool never = false;
  f->fars[0].is_strict = f->fars[1].is_strict = f->fars[1].is_away = true;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  for (int i = 0; i < 400 && f->engine->hosts[1]->record.state != DK_HOST_BARRED; i++) far_rest(f, 10);
  assert_int_equal(f->engine->hosts[1]->record.state, DK_HOST_BARRED);
  f->fars[0].is_away = true;
  far_break(f, &f->fars[0]);
  for (int i = 0; i < 400 && f->engine->hosts[1]->session; i++) far_rest(f, 10);
  assert_int_equal(f->engine->hosts[1]->record.state, DK_HOST_DOWN); /* people see how it is */
  f->fars[1].is_away = false;
  assert_int_equal(far_turns(f, &never, &error), -EXDEV);
  assert_non_null(strstr(error.text, "no host can be given tasks: h2: it is x86_64, far"));
}

/* --- slots --- */

/* All that agents may say fits together; one that says more is not spoken to. */
static void many_slots(void **state) {
  struct far_engine *f = *state;
  f->fars[0].slots = f->fars[1].slots = DK_SLOTS_MAX;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  for (int i = 0; i < 400 && f->engine->slots <= DK_SLOTS_MAX; i++) far_rest(f, 10);
  assert_int_equal(f->engine->slots, 2 * DK_SLOTS_MAX);
  assert_true((uint64_t)DK_SLOTS_MAX * DK_HOSTS_MAX <= UINT32_MAX);
  far_stop(f);
  f->fars[0].slots = UINT32_MAX;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  for (int i = 0; i < 400 && !strstr(f->said, "slots"); i++) far_rest(f, 10);
  assert_non_null(strstr(f->said, "h1: its agent says that it has 4294967295 slots, and no agent has more than 65535"));
  far_rest(f, 100);
  assert_int_equal(f->engine->slots, DK_SLOTS_MAX);
  assert_int_equal(f->engine->hosts[1]->session, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(in_order, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(said_again, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(log_is_gone, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(full_disk, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(silent, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(other_is_lost, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(other_is_wrong, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(own_is_gone, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(unknown, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(too_many, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(supplied, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(logs, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(clock_is_wrong, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(barred_and_away, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(many_slots, far_setup, far_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
