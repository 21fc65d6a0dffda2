/* Several processes on one store: writers side by side, readers while a writer grows the map, a writer that is
 * killed. */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#define BATCH 7 /* keys of a commit: all or none of them must be there */

static int commit_some(struct dk_store *store, int writer, int number, size_t size) {
  struct dk_batch batch = DK_BATCH_INIT;
  char key[32];
  static char value[65536];
  memset(value, 'a' + number % 26, sizeof value);
  for (int i = 0; i < BATCH; i++) {
    snprintf(key, sizeof key, "%d-%06d-%d", writer, number, i);
    dk_batch_put(&batch, DK_TABLE_TASKS, key, strlen(key), value, size);
  }
  int err = dk_store_commit(store, &batch, NULL);
  dk_batch_finish(&batch);
  return err;
}

struct count {
  uint32_t n;
};

static int count_one(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  (void)key, (void)klen, (void)value, (void)vlen;
  ((struct count *)ctx)->n++;
  return 0;
}

static uint32_t count_all(struct dk_store *store, struct dk_error *error) {
  struct count count = {0};
  return dk_store_each(store, DK_TABLE_TASKS, NULL, 0, count_one, &count, error) ? UINT32_MAX : count.n;
}

static int write_60(int writer) {
  struct dk_store *store;
  const struct dk_store_options tiny = {.map_size = 128 << 10};
  if (dk_store_open(fx_at, &tiny, &store, NULL)) return 1;
  for (int i = 0; i < 60; i++)
    if (commit_some(store, writer, i, 100)) return 2;
  dk_store_close(store);
  return 0;
}

static void test_two_writers(void **state) {
  (void)state;
  dk_store_close(fx_open(NULL));
  int a = fx_child(write_60, 1), b = fx_child(write_60, 2);
  assert_int_equal(fx_wait(a), 0);
  assert_int_equal(fx_wait(b), 0);
  struct dk_store *store = fx_open(NULL);
  assert_int_equal(count_all(store, NULL), 2 * 60 * BATCH);
  dk_store_close(store);
}

static void test_both_make_it(void **state) {
  (void)state;
  for (int round = 0; round < 3; round++) {
    int a = fx_child(write_60, 1), b = fx_child(write_60, 2);
    assert_int_equal(fx_wait(a), 0);
    assert_int_equal(fx_wait(b), 0);
    assert_int_equal(dk_store_check(fx_at, NULL), 0);
    fx_sh("rm -r store");
  }
}

static int write_for_ever(int writer) {
  struct dk_store *store;
  const struct dk_store_options tiny = {.map_size = 128 << 10};
  if (dk_store_open(fx_at, &tiny, &store, NULL)) return 1;
  for (int i = 0;; i++)
    if (commit_some(store, writer, i, 3000)) return 2;
}

/* The reader's map is smaller than the store becomes; the writer dies at any point of a commit. */
static void test_reader_while_the_writer_is_killed(void **state) {
  (void)state;
  struct dk_error error;
  uint32_t before = 0;
  const struct dk_store_options reading = {.read_only = true, .map_size = 128 << 10};
  dk_store_close(fx_open(NULL));
  for (int round = 0; round < 8; round++) {
    struct dk_store *reader = fx_open(&reading);
    int pid = fx_child(write_for_ever, round);
    uint32_t n = before;
    while (n < before + (uint32_t)(round * 11 + 1) * BATCH) {
      n = count_all(reader, &error);
      if (n == UINT32_MAX) fail_msg("%s", error.text);
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(fx_wait(pid), 128 + SIGKILL);
    n = count_all(reader, &error);
    assert_true(n >= before && n % BATCH == 0);
    dk_store_close(reader);
    struct dk_store *store = fx_open(NULL);
    /* The commit that was under way may be whole on disk and not yet announced to readers. */
    uint32_t last = count_all(store, NULL);
    assert_true(last == n || last == n + BATCH);
    assert_int_equal(fx_put(store, DK_TABLE_RUNS, "next", "engine", NULL), 0);
    dk_store_close(store);
    before = last;
  }
  assert_int_equal(dk_store_check(fx_at, &error), 0);
}

static int read_for_ever(int arg) {
  (void)arg;
  struct dk_store *store;
  const struct dk_store_options reading = {.read_only = true};
  if (dk_store_open(fx_at, &reading, &store, NULL)) return 1;
  while (count_all(store, NULL) != UINT32_MAX) {}
  return 2;
}

/* Readers that are killed in the middle of reading must not make the file grow for ever. */
static void test_killed_readers_hold_nothing(void **state) {
  (void)state;
  struct dk_store *store = fx_open(NULL);
  for (int i = 0; i < 20; i++) assert_int_equal(commit_some(store, 0, i, 3000), 0);
  dk_store_close(store);
  for (int i = 0; i < 5; i++) {
    int pid = fx_child(read_for_ever, 0);
    store = fx_open(NULL);
    for (int k = 0; k < 5; k++) assert_int_equal(commit_some(store, 0, k, 3000), 0);
    dk_store_close(store);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(fx_wait(pid), 128 + SIGKILL);
  }
  store = fx_open(NULL);
  for (int i = 0; i < 300; i++) assert_int_equal(commit_some(store, 0, i % 20, 3000), 0);
  dk_store_close(store);
  fx_sh("test $(stat -c %%s store/data.mdb) -lt 4000000"); /* 420 kB of values; each commit writes 28 kB and more */
}

/* Looked at again and again while who writes has nothing to write, as by `watch dkrun status`: more often than LMDB has
 * places for readers. */
static void test_places_of_readers_come_back(void **state) {
  (void)state;
  struct dk_store *writer = fx_open(NULL);
  const struct dk_store_options reading = {.read_only = true};
  for (int i = 0; i < 600; i++) {
    struct dk_store *reader = fx_open(&reading);
    dk_store_close(reader);
  }
  dk_store_close(writer);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
  const struct CMUnitTest tests[] = {
      CASE(test_two_writers),
      CASE(test_both_make_it),
      CASE(test_reader_while_the_writer_is_killed),
      CASE(test_killed_readers_hold_nothing),
      CASE(test_places_of_readers_come_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
