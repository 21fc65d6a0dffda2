/* What people ask of hosts that are lost, or do not answer. */
#include "far.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOST_AFTER_MS 600u
#define MS UINT64_C(1000000)

/* --- contents --- */

static struct far_reached reach_one(struct far_engine *f, const struct far_content *content, uint64_t *ret_ms) {
  struct far_reached reached;
  uint64_t since = dk_now_ns();

  assert_int_equal(far_reach(f, &content, NULL, 1, &reached), 0);
  assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
  *ret_ms = (dk_now_ns() - since) / MS;
  return reached;
}

/* Each who asks waits for its lost_after, also when it has counted as lost for long; and no longer. */
static void lost_before(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  uint64_t ms;

  far->is_away = true;
  assert_int_equal(far_start(f, LOST_AFTER_MS, NULL), 0);
  struct far_content *content = far_add(f, 1, 1000, 1, true);
  for (int i = 0; i < 2; i++) {
    struct far_reached reached = reach_one(f, content, &ms);
    assert_int_equal(reached.r, -EHOSTUNREACH);
    assert_non_null(strstr(reached.words, "h1 has the only copy and cannot be reached"));
    assert_non_null(strstr(reached.waits, "h1 cannot be reached"));
    assert_true(ms >= LOST_AFTER_MS && ms < LOST_AFTER_MS + 5000);
    assert_true(f->engine->hosts[1]->is_lost);
  }
}

/* It comes back while somebody waits. */
static void lost_and_back(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  struct far_reached reached;

  far->is_away = true;
  assert_int_equal(far_start(f, LOST_AFTER_MS, NULL), 0);
  const struct far_content *content = far_add(f, 1, 1000, 1, true);
  far_rest(f, LOST_AFTER_MS + 100);
  f->engine->hosts[1]->lost_after_ns = 60000 * MS;
  assert_true(f->engine->hosts[1]->is_lost);
  assert_int_equal(far_reach(f, &content, NULL, 1, &reached), 0);
  far_rest(f, 300);
  assert_false(reached.is_done);
  far->is_away = false;
  assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
  assert_int_equal(reached.r, 0);
  assert_true(far_is_here(f, content));
}

/* --- logs --- */

struct heard {
  struct dk_engine *engine;
  bool is_done;
  int r;
  char words[1000];
};

static void on_log(void *ctx, int r, const struct dk_message *log, const char *words) {
  struct heard *heard = ctx;

  (void)log;
  heard->is_done = true;
  heard->r = r;
  snprintf(heard->words, sizeof heard->words, "%s", words);
  dk_engine_wake(heard->engine);
}

static void read_log(struct far_engine *f, uint64_t offset, struct heard *ret) {
  const struct dk_reading reading = {
      .attempt = far_attempt(&f->fars[0], 1), .host = 1, .stream = 1, .offset = offset, .len = 100};

  *ret = (struct heard){.engine = f->engine};
  assert_int_equal(dk_engine_read(f->engine, &reading, on_log, ret, NULL), 0);
}

static uint32_t n_unanswered;

static void on_read(struct far *far, const struct dk_message *message) {
  (void)far;
  n_unanswered += message->type == DK_MSG_READ;
}

static void start(struct far_engine *f) {
  n_unanswered = 0;
  f->fars[0].on_other = on_read;
  f->fars[1].is_away = true;
  assert_int_equal(far_start(f, 60000, NULL), 0);
  for (int i = 0; i < 400 && !f->engine->hosts[1]->session; i++) far_rest(f, 10);
}

/* Its agent answers other things: the session ends, and all who asked are told. */
static void unread(void **state) {
  struct far_engine *f = *state;
  struct heard first, second;

  start(f);
  assert_true(dk_reads_silent_at(f->engine->hosts[1]) == UINT64_MAX);
  read_log(f, 0, &first);
  read_log(f, 100, &second);
  for (int i = 0; i < 400 && n_unanswered < 2; i++) far_rest(f, 10);
  uint64_t at = dk_reads_silent_at(f->engine->hosts[1]);
  assert_true(at > dk_now_ns() + 60000 * MS && at < dk_now_ns() + 300000 * MS);
  assert_true(dk_fleet_deadline(f->engine) <= at);
  assert_false(first.is_done);
  dk_fleet_tick(f->engine, at);
  assert_true(first.is_done && second.is_done);
  assert_int_equal(first.r, -EHOSTUNREACH);
  assert_non_null(strstr(first.words, "h1 cannot be reached: its agent answers, but has sent nothing of what it was "
                                      "asked for in 120 s"));
  assert_true(dk_reads_silent_at(f->engine->hosts[1]) == UINT64_MAX);
  far_pass_pause(f, &f->fars[0]);
}

/* What is answered puts off the end for what was asked behind it. */
static void read_late(void **state) {
  struct far_engine *f = *state;
  struct heard first, second;

  struct dk_message log = {.type = DK_MSG_LOG, .id = far_attempt(&f->fars[0], 1)};

  log.u.log.stream = 1;
  start(f);
  read_log(f, 0, &first);
  read_log(f, 100, &second);
  uint64_t at = dk_reads_silent_at(f->engine->hosts[1]);
  far_rest(f, 100);
  assert_int_equal(n_unanswered, 2);
  far_send(&f->fars[0], &log);
  assert_int_equal(far_turns(f, &first.is_done, NULL), 0);
  assert_int_equal(first.r, 0);
  assert_true(!second.is_done && dk_reads_silent_at(f->engine->hosts[1]) >= at + 100 * MS);
}

/* An engine that was stopped for longer than it waits for a sign of life has heard nothing, and hosts are not lost. */
static void a_stall(void **state) {
  struct far_engine *f = *state;

  assert_int_equal(far_start(f, 60000, NULL), 0);
  far_rest(f, 300);
  uint32_t before = f->fars[0].n_dials;
  sleep(13);
  far_rest(f, 1000);
  assert_int_equal(f->fars[0].n_dials, before);
  assert_int_not_equal(f->engine->hosts[1]->session, 0);
}

/* A directory with a file that another one, of another host, has too: that one's progress is told. */
static const struct far_content *add_dir(struct far_engine *f, int host, uint32_t seed) {
  dk_autobuf manifest = DK_BUF_INIT;
  const struct far_content *shared = far_add(f, host, 200 * (size_t)DK_PART_MAX, 7, false);
  const struct far_content *own = far_add(f, host, 3, seed, false);
  const struct dk_manifest_entry files[] = {
      {.kind = 'f', .digest = shared->digest, .size = shared->len, .path = "a"},
      {.kind = 'f', .digest = own->digest, .size = own->len, .path = "b"},
  };

  for (int i = 0; i < 2; i++) dk_manifest_add(&manifest, &files[i]);
  return far_add_bytes(f, host, manifest.data, manifest.len, true, true);
}

static void a_shared_file(void **state) {
  struct far_engine *f = *state;
  struct far_reached one, two;
  const bool is_dir = true;

  assert_int_equal(far_start(f, 60000, NULL), 0);
  far_rest(f, 50);
  const struct far_content *first = add_dir(f, 1, 1001), *second = add_dir(f, 2, 1002);
  f->fars[0].mute_after = 20;
  assert_int_equal(far_reach(f, &first, &is_dir, 1, &one), 0);
  far_rest(f, 50);
  assert_int_equal(far_reach(f, &second, &is_dir, 1, &two), 0);
  far_rest(f, 600); /* it is told each 250 ms */
  assert_true(two.n_progress > 0);
  far_speak(&f->fars[0]);
  assert_int_equal(far_turns(f, &two.is_done, NULL), 0);
  assert_int_equal(two.r, 0);
  assert_int_equal(far_turns(f, &one.is_done, NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(lost_before, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(lost_and_back, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(unread, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(read_late, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(a_shared_file, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(a_stall, far_setup, far_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
