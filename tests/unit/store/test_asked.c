/* What is kept of runs that go on, and its end. */
#include "engine/store/asked.h"
#include "tests/unit/store/fixture.h"

#include <errno.h>

static void commit(struct dk_store *store, struct dk_batch *batch) {
  assert_int_equal(dk_store_commit(store, batch, NULL), 0);
  dk_batch_finish(batch);
  *batch = (struct dk_batch)DK_BATCH_INIT;
}

static void put_all(struct dk_store *store, uint32_t run) {
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_pair params[] = {{(char *)"x", (char *)"1 + 1"}, {(char *)"y", (char *)""}};
  uint32_t ranges[] = {0, 2, 5, 6};
  struct dk_asked_run asked = {.params = params, .n_params = 2, .jobs = 4, .priority = -3, .is_paused = true};
  struct dk_ask asks[] = {{.kind = DK_EV_PAUSE},
                          {.kind = DK_EV_CANCEL, .is_hard = true, .ranges = ranges, .n_ranges = 2}};
  struct dk_digest digest = {{run & 255}};
  assert_int_equal(dk_batch_put_asked_run(&batch, run, &asked), 0);
  for (uint32_t i = 0; i < 2; i++) assert_int_equal(dk_batch_put_ask(&batch, run, i + 1, &asks[i]), 0);
  assert_int_equal(dk_batch_put_run_file(&batch, run, "data/a.csv", &digest, false), 0);
  assert_int_equal(dk_batch_put_run_file(&batch, run, "data/dir", &digest, true), 0);
  commit(store, &batch);
}

struct seen {
  uint32_t n_asks, n_files, n_dirs;
};

static int see_ask(void *ctx, uint32_t n, const struct dk_ask *ask) {
  struct seen *seen = ctx;
  seen->n_asks++;
  assert_int_equal(n, seen->n_asks); /* in their order */
  assert_int_equal(ask->kind, n == 1 ? DK_EV_PAUSE : DK_EV_CANCEL);
  assert_int_equal(ask->n_ranges, n == 1 ? 0 : 2);
  if (n == 2) assert_int_equal(ask->ranges[3], 6);
  return 0;
}

static int see_file(void *ctx, const char *path, const struct dk_digest *digest, bool is_dir) {
  struct seen *seen = ctx;
  assert_int_equal(digest->bytes[0], 300 & 255);
  assert_string_equal(path, is_dir ? "data/dir" : "data/a.csv");
  seen->n_files++;
  seen->n_dirs += is_dir;
  return 0;
}

static void see(struct dk_store *store, uint32_t run, struct seen *ret) {
  *ret = (struct seen){0};
  assert_int_equal(dk_store_each_ask(store, run, see_ask, ret, NULL), 0);
  assert_int_equal(dk_store_each_run_file(store, run, see_file, ret, NULL), 0);
}

static void test_there_and_gone(void **state) {
  (void)state;
  struct dk_store *store = fx_open(NULL);
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_asked_run asked;
  struct seen seen;
  put_all(store, 300);
  put_all(store, 301);
  assert_int_equal(dk_store_get_asked_run(store, 300, &asked, NULL), 0);
  assert_int_equal(asked.n_params, 2);
  assert_string_equal(asked.params[0].value, "1 + 1");
  assert_int_equal(asked.jobs, 4);
  assert_int_equal(asked.priority, -3);
  assert_true(asked.is_paused && !asked.is_foreground);
  dk_asked_run_finish(&asked);
  see(store, 300, &seen);
  assert_int_equal(seen.n_asks, 2);
  assert_int_equal(seen.n_files, 2);
  assert_int_equal(seen.n_dirs, 1);
  assert_int_equal(dk_batch_del_asked(&batch, store, 301, NULL), 0);
  commit(store, &batch);
  see(store, 300, &seen); /* the other one is as it was */
  assert_int_equal(seen.n_asks, 2);
  see(store, 301, &seen);
  assert_int_equal(seen.n_asks + seen.n_files, 0);
  assert_int_equal(dk_store_get_asked_run(store, 301, &asked, NULL), -ENOENT);
  dk_store_close(store);
}

static void test_asks_that_are_none(void **state) {
  (void)state;
  uint32_t ranges[] = {1, 2};
  struct dk_ask ask = {.kind = DK_EV_RESUME, .ranges = ranges, .n_ranges = 1}, back;
  dk_autobuf bytes = DK_BUF_INIT;
  assert_int_equal(dk_ask_encode(&ask, &bytes), 0);
  for (size_t len = 0; len < bytes.len; len++) assert_int_equal(dk_ask_decode(bytes.data, len, &back), -EBADMSG);
  assert_int_equal(dk_ask_decode(bytes.data, bytes.len, &back), 0);
  dk_ask_finish(&back);
  bytes.data[1] = DK_EV_TICK; /* nothing that people ask */
  assert_int_equal(dk_ask_decode(bytes.data, bytes.len, &back), -EBADMSG);
}

static void test_durations(void **state) {
  (void)state;
  struct dk_store *store = fx_open(NULL);
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_duration duration = {0}, back;
  assert_int_equal(dk_store_get_duration(store, "e", "t", &back, NULL), -ENOENT);
  for (int i = 0; i < 10; i++) dk_duration_add(&duration, 100);
  assert_int_equal(duration.mean_ns, 100);
  dk_duration_add(&duration, 0);
  assert_in_range(duration.mean_ns, 85, 95); /* a mean */
  for (int i = 0; i < 1000; i++) dk_duration_add(&duration, 100000);
  assert_in_range(duration.mean_ns, 90000, 100000); /* that follows */
  assert_int_equal(dk_batch_put_duration(&batch, "e", "t", &duration), 0);
  commit(store, &batch);
  assert_int_equal(dk_store_get_duration(store, "e", "t", &back, NULL), 0);
  assert_int_equal(back.n, 1011);
  assert_int_equal(back.mean_ns, duration.mean_ns);
  dk_store_close(store);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_there_and_gone, fx_setup, fx_teardown),
      cmocka_unit_test(test_asks_that_are_none),
      cmocka_unit_test_setup_teardown(test_durations, fx_setup, fx_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
