/* Every write and sync of the store's work fails once, one after the other, by an I/O error or a full disk: what was
 * reported as committed is there, what failed is not there at all, and after an I/O error nothing is written any
 * more. */
#include "engine/store/batch.h"
#include "lang/base/bytes.h"
#include "tests/support/shim/shim.h"
#include "tests/unit/store/fixture.h"

#include <errno.h>

#define COMMITS 6
#define KEYS 40 /* enough for several pages, so that there is more than one write */

static int commit_one(struct dk_store *store, int number, struct dk_error *error) {
  struct dk_batch batch = DK_BATCH_INIT;
  static char value[1500];
  char key[32];
  memset(value, 'a' + number, sizeof value);
  for (int i = 0; i < KEYS; i++) {
    snprintf(key, sizeof key, "%d-%d", number, i);
    dk_batch_put(&batch, DK_TABLE_TASKS, key, strlen(key), value, sizeof value);
  }
  int err = dk_store_commit(store, &batch, error);
  dk_batch_finish(&batch);
  return err;
}

/* How many of the commit's keys are there. */
static int count_keys(struct dk_store *store, int number) {
  dk_autobuf value = DK_BUF_INIT;
  char key[32];
  int n = 0;
  for (int i = 0; i < KEYS; i++) {
    snprintf(key, sizeof key, "%d-%d", number, i);
    n += dk_store_get(store, DK_TABLE_TASKS, key, strlen(key), &value, NULL) == 0;
  }
  return n;
}

/* One round; false when the armed call was not reached, so that there is no later one to make fail. */
static bool round_of(const char *spec, bool is_io_error) {
  struct dk_store *store = NULL;
  struct dk_error error;
  int results[COMMITS];
  const struct dk_store_options options = {.ballast = DK_STORE_NO_BALLAST};
  fx_sh("rm -rf store");
  assert_int_equal(dk_shim_arm(spec), 0);
  int opened = dk_store_open(fx_at, &options, &store, &error);
  for (int i = 0; i < COMMITS; i++) results[i] = opened ? opened : commit_one(store, i, &error);
  unsigned count = dk_shim_count();
  dk_shim_arm(NULL);
  bool is_broken = false;
  for (int i = 0; i < COMMITS && !opened; i++) {
    assert_true(results[i] == 0 || results[i] == -EIO || results[i] == -ENOSPC);
    if (is_broken) assert_int_equal(results[i], -EIO);
    is_broken |= results[i] == -EIO;
  }
  /* A broken one need not be readable any more (LMDB panics when it could not write its first page). */
  for (int i = 0; i < COMMITS && !opened && !is_broken; i++)
    assert_int_equal(count_keys(store, i), results[i] == 0 ? KEYS : 0);
  if (is_broken) assert_int_equal(commit_one(store, COMMITS, &error), -EIO);
  if (!is_broken && !opened) assert_int_equal(commit_one(store, COMMITS, &error), 0);
  if (is_io_error && !opened && results[COMMITS - 1] != 0) assert_true(is_broken);
  dk_store_close(store);
  fx_sh("test -z \"$(ls -d store/new-* 2>/dev/null)\"");
  store = fx_open(&options); /* the next engine */
  for (int i = 0; i < COMMITS; i++) assert_int_equal(count_keys(store, i), results[i] == 0 ? KEYS : 0);
  dk_store_close(store);
  assert_int_equal(dk_store_check(fx_at, &error), 0);
  char call[16], name[16];
  unsigned at;
  assert_int_equal(sscanf(spec, "%15s %15s %u", call, name, &at), 3);
  return count >= at;
}

static void test_each_call_fails(void **state) {
  (void)state;
  static const char *const calls[] = {"pwrite", "writev", "fdatasync", "write", "fsync", "ftruncate"};
  static const char *const errors[] = {"EIO", "ENOSPC"};
  int rounds = 0;
  for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
    for (size_t e = 0; e < 2; e++)
      for (int n = 1;; n++, rounds++) {
        char spec[64];
        snprintf(spec, sizeof spec, "%s %s %d", calls[c], errors[e], n);
        if (!round_of(spec, e == 0)) {
          print_message("%s %s: %d\n", calls[c], errors[e], n - 1);
          break;
        }
      }
  assert_true(rounds > 40);
}

/* What the first failure was is said by each later commit too, and it is an I/O error only when it was one. */
static void check_said_again(struct dk_store *store, int code, const char *words, const struct dk_error *first) {
  struct dk_error again;
  assert_non_null(strstr(first->text, words));
  assert_int_equal(commit_one(store, 1, &again), code);
  assert_non_null(strstr(again.text, words));
  assert_non_null(strstr(again.text, "nothing is written any more after an earlier error"));
  assert_null(strstr(again.text, "I/O error"));
  dk_store_close(store);
  fx_sh("rm -r store");
}

static void test_other_errors_are_kept(void **state) {
  (void)state;
  struct dk_error error;
  struct dk_store *store = fx_open(NULL);
  assert_int_equal(dk_shim_arm("fdatasync EROFS 1"), 0);
  assert_int_equal(commit_one(store, 0, &error), -EROFS);
  dk_shim_arm(NULL);
  check_said_again(store, -EROFS, strerror(EROFS), &error);

  /* One of LMDB's own: a key that is too long for it, written by hand because a batch takes none. */
  static const char key[600] = "long";
  struct dk_batch batch = DK_BATCH_INIT;
  dk_write_u8(&batch.bytes, DK_BATCH_PUT);
  dk_write_u8(&batch.bytes, DK_TABLE_TASKS);
  dk_write_u32(&batch.bytes, sizeof key);
  dk_write_u32(&batch.bytes, 0);
  dk_buf_add(&batch.bytes, key, sizeof key);
  batch.n = 1;
  store = fx_open(NULL);
  assert_int_equal(dk_store_commit(store, &batch, &error), -EIO);
  dk_batch_finish(&batch);
  check_said_again(store, -EIO, "MDB_BAD_VALSIZE", &error);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_each_call_fails, fx_setup, fx_teardown),
      cmocka_unit_test_setup_teardown(test_other_errors_are_kept, fx_setup, fx_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
