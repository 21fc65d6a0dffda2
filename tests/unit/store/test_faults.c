/* Damaged files and full disks: a message, never a crash, and what was committed before is there. */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* A store with some content, closed. */
static void fill(int n) {
  struct dk_store *store = fx_open(NULL);
  struct dk_batch batch = DK_BATCH_INIT;
  char key[16], value[200];
  for (int i = 0; i < n; i++) {
    snprintf(key, sizeof key, "key-%05d", i);
    snprintf(value, sizeof value, "value-%d-%0150d", i, i);
    dk_batch_put(&batch, DK_TABLE_TASKS, key, strlen(key), value, strlen(value));
  }
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  dk_store_close(store);
}

static void test_truncated(void **state) {
  (void)state;
  struct dk_error error;
  const struct dk_store_options reading = {.read_only = true};
  fill(5000);
  fx_sh("cp store/data.mdb whole");
  for (int kept = 90; kept >= 0; kept -= 15) {
    fx_sh("s=$(stat -c %%s whole) && cp whole store/data.mdb && truncate -s $((s * %d / 100 + 4096)) store/data.mdb",
          kept);
    assert_int_equal(fx_open_error(NULL, &error), -EBADMSG);
    assert_int_equal(fx_open_error(&reading, &error), -EBADMSG);
    assert_non_null(strstr(error.text, "damaged"));
    assert_non_null(strstr(error.text, "help:"));
  }
  fx_sh("cp whole store/data.mdb");
  dk_store_close(fx_open(NULL));
}

/* Overwrites `len` bytes of the data file with what only depends on `seed`; len 0: to its end. */
static void put_rubbish(uint32_t seed, long at, long len) {
  char path[400];
  snprintf(path, sizeof path, "%s/data.mdb", fx_at);
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  if (len == 0) len = ftell(file) - at;
  assert_int_equal(fseek(file, at, SEEK_SET), 0);
  uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  while (len-- > 0) {
    x ^= x << 13; /* xorshift64: Marsaglia, Xorshift RNGs, 2003 */
    x ^= x >> 7;
    x ^= x << 17;
    assert_true(putc((int)(x >> 56), file) != EOF);
  }
  assert_int_equal(fclose(file), 0);
}

static void test_rubbish(void **state) {
  (void)state;
  struct dk_error error;
  fill(2000);
  fx_sh("cp store/data.mdb whole");
  put_rubbish(1, 0, 0);
  assert_int_equal(fx_open_error(NULL, &error), -EBADMSG);
  fx_sh("echo hello >store/data.mdb");
  assert_int_equal(fx_open_error(NULL, &error), -EBADMSG);
  for (uint32_t seed = 1; seed <= 20; seed++) { /* the two first pages are sound, all others are not */
    fx_sh("cp whole store/data.mdb");
    put_rubbish(seed, 8192, 0);
    assert_int_equal(fx_open_error(NULL, &error), -EBADMSG);
  }
}

/* Each page in turn: it is opened or refused, and the full check finds what opening did not look at. */
static void test_rubbish_page(void **state) {
  (void)state;
  struct dk_error error;
  struct stat st;
  char path[400];
  fill(2000);
  fx_sh("cp store/data.mdb whole");
  snprintf(path, sizeof path, "%s/whole", fx);
  assert_int_equal(stat(path, &st), 0);
  uint32_t found = 0, pages = (uint32_t)(st.st_size / 4096);
  for (uint32_t page = 2; page < pages; page += 1 + pages / 40) {
    struct dk_store *store;
    fx_sh("cp whole store/data.mdb");
    put_rubbish(page, (long)page * 4096, 4096);
    int err = dk_store_open(fx_at, NULL, &store, &error);
    if (err == 0) dk_store_close(store);
    assert_true(err == 0 || err == -EBADMSG);
    found += dk_store_check(fx_at, &error) == -EBADMSG;
  }
  assert_true(found > 10);
}

/* The page that lists the tables, with many kinds of rubbish: what LMDB would write into must not be reached. */
static void test_rubbish_tables(void **state) {
  (void)state;
  struct dk_error error;
  struct stat st;
  char path[400];
  fill(10);
  fx_sh("cp store/data.mdb whole");
  snprintf(path, sizeof path, "%s/whole", fx);
  assert_int_equal(stat(path, &st), 0);
  for (uint32_t seed = 0; seed < 100; seed++) {
    struct dk_store *store;
    fx_sh("cp whole store/data.mdb");
    put_rubbish(seed, 4096 * (2 + seed % ((long)(st.st_size / 4096) - 2)), 4096);
    int err = dk_store_open(fx_at, NULL, &store, &error);
    if (err == 0) dk_store_close(store);
    assert_true(err == 0 || err == -EBADMSG);
  }
}

/* One byte of a value: the value is refused, and named; the rest can be read. */
static void test_flipped_value(void **state) {
  (void)state;
  struct dk_error error;
  dk_autobuf value = DK_BUF_INIT;
  fill(100);
  fx_sh("at=$(grep -abo 'value-77-' store/data.mdb | head -1 | cut -d: -f1) && printf X | dd of=store/data.mdb bs=1 "
        "seek=$((at + 20)) "
        "conv=notrunc status=none");
  struct dk_store *store = fx_open(NULL);
  assert_int_equal(dk_store_get(store, DK_TABLE_TASKS, "key-00077", 9, &value, &error), -EBADMSG);
  assert_non_null(strstr(error.text, "tasks"));
  assert_non_null(strstr(error.text, "6b65792d3030303737"));
  assert_int_equal(strncmp(fx_get(store, DK_TABLE_TASKS, "key-00078"), "value-78", 8), 0);
  dk_store_close(store);
  assert_int_equal(dk_store_check(fx_at, &error), -EBADMSG);
}

static void test_empty_data_file(void **state) {
  (void)state;
  struct dk_error error;
  const struct dk_store_options reading = {.read_only = true};
  fx_sh("mkdir store && touch store/data.mdb"); /* killed while it was made */
  assert_int_equal(fx_open_error(&reading, &error), -ENOENT);
  dk_store_close(fx_open(NULL));
  dk_store_close(fx_open(&reading));
}

/* A small disk of our own at fx/store; false where that is not allowed. */
static bool small_disk(unsigned mib) {
  char options[32];
  fx_sh("mkdir store");
  snprintf(options, sizeof options, "size=%um", mib);
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return false;
  return mount("tmpfs", fx_at, "tmpfs", 0, options) == 0;
}

static int drop_disk(void **state) {
  umount2(fx_at, MNT_DETACH);
  return fx_teardown(state);
}

static int commit_large(struct dk_store *store, int number, struct dk_error *error) {
  struct dk_batch batch = DK_BATCH_INIT;
  char key[16];
  static char value[200000];
  snprintf(key, sizeof key, "%d", number);
  memset(value, 'v', sizeof value);
  dk_batch_put(&batch, DK_TABLE_TASKS, key, strlen(key), value, sizeof value);
  dk_batch_put(&batch, DK_TABLE_RUNS, key, strlen(key), "there", 5);
  int err = dk_store_commit(store, &batch, error);
  dk_batch_finish(&batch);
  return err;
}

static void test_full_disk(void **state) {
  (void)state;
  struct dk_error error;
  const struct dk_store_options bare = {.ballast = DK_STORE_NO_BALLAST};
  if (!small_disk(4)) {
    print_message("skipped: no mounting here\n");
    skip();
  }
  struct dk_store *store = fx_open(&bare);
  fx_sh("head -c 1000000 /dev/zero >store/other");
  int n = 0, err;
  while ((err = commit_large(store, n, &error)) == 0) assert_true(++n < 100);
  assert_int_equal(err, -ENOSPC);
  assert_non_null(strstr(error.text, "make room"));
  assert_int_equal(commit_large(store, n, &error), -ENOSPC); /* it may be tried again */
  char key[16];
  snprintf(key, sizeof key, "%d", n);
  assert_string_equal(fx_get(store, DK_TABLE_RUNS, key), ""); /* nothing of what failed */
  snprintf(key, sizeof key, "%d", n - 1);
  assert_string_equal(fx_get(store, DK_TABLE_RUNS, key), "there");
  fx_sh("rm store/other");
  assert_int_equal(commit_large(store, n, &error), 0);
  dk_store_close(store);
  assert_int_equal(dk_store_check(fx_at, &error), 0);
}

static void test_ballast(void **state) {
  (void)state;
  struct dk_error error;
  const struct dk_store_options options = {.ballast = 1 << 20};
  if (!small_disk(16)) {
    print_message("skipped: no mounting here\n");
    skip();
  }
  struct dk_store *store = fx_open(&options);
  fx_sh("test $(stat -c %%b store/ballast) -gt 0 && ! head -c 30000000 /dev/zero >store/other 2>/dev/null");
  assert_false(dk_store_is_short(store));
  assert_int_equal(commit_large(store, 1, &error), 0);
  assert_true(dk_store_is_short(store));
  int n = 2, err;
  while ((err = commit_large(store, n, &error)) == 0) assert_true(++n < 20);
  assert_int_equal(err, -ENOSPC);
  dk_store_close(store);
  fx_sh("rm store/other");
  store = fx_open(&options);
  assert_false(dk_store_is_short(store));
  fx_sh("test -e store/ballast");
  assert_string_equal(fx_get(store, DK_TABLE_RUNS, "1"), "there");
  dk_store_close(store);
}

static void test_no_room_to_begin(void **state) {
  (void)state;
  struct dk_error error;
  if (!small_disk(1)) {
    print_message("skipped: no mounting here\n");
    skip();
  }
  fx_sh("! head -c 2000000 /dev/zero >store/other 2>/dev/null");
  assert_int_equal(fx_open_error(NULL, &error), -ENOSPC);
  fx_sh("rm store/other");
  /* Whatever page of it is the first that there is no room for. */
  int n_full = 0;
  for (unsigned left = 0; left < 60; left++) {
    fx_sh("head -c $((1048576 - %u * 4096)) /dev/zero >store/other 2>/dev/null || true", left);
    struct dk_store *store = NULL;
    int err = dk_store_open(fx_at, NULL, &store, &error);
    dk_store_close(store);
    if (err && err != -ENOSPC) fail_msg("%u pages left: %s", left, error.text);
    if (err) assert_non_null(strstr(error.text, "No space left"));
    n_full += err != 0;
    fx_sh("rm -r store/*");
  }
  assert_true(n_full > 20 && n_full < 60);
  dk_store_close(fx_open(NULL));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
#define DISK(name) cmocka_unit_test_setup_teardown(name, fx_setup, drop_disk)
  const struct CMUnitTest tests[] = {
      CASE(test_truncated),      CASE(test_rubbish),       CASE(test_rubbish_page),
      CASE(test_rubbish_tables), CASE(test_flipped_value), CASE(test_empty_data_file),
      DISK(test_full_disk),      DISK(test_ballast),       DISK(test_no_room_to_begin),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
