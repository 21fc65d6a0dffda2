/* Tables, batches, ranges, identity, growth; damage and full disks are test_faults.c, several processes
 * test_processes.c. */
#include "tests/unit/store/fixture.h"

#include "engine/store/private.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_put_get_del(void **state) {
  (void)state;
  struct dk_error error;
  struct dk_store *store = fx_open(NULL);
  struct dk_batch batch = DK_BATCH_INIT;
  dk_batch_put(&batch, DK_TABLE_RUNS, "k", 1, "one", 3);
  dk_batch_put(&batch, DK_TABLE_RUNS, "k", 1, "two", 3);
  dk_batch_put_new(&batch, DK_TABLE_RUNS, "k", 1, "three", 5);
  dk_batch_put_new(&batch, DK_TABLE_RUNS, "new", 3, "first", 5);
  dk_batch_put(&batch, DK_TABLE_RUNS, "empty", 5, NULL, 0);
  dk_batch_put(&batch, DK_TABLE_RUNS, "gone", 4, "x", 1);
  dk_batch_del(&batch, DK_TABLE_RUNS, "gone", 4);
  dk_batch_del(&batch, DK_TABLE_RUNS, "never", 5);
  assert_int_equal(dk_store_commit(store, &batch, &error), 0);
  assert_string_equal(fx_get(store, DK_TABLE_RUNS, "k"), "two");
  assert_string_equal(fx_get(store, DK_TABLE_RUNS, "new"), "first");
  assert_string_equal(fx_get(store, DK_TABLE_TASKS, "k"), ""); /* another table */
  dk_autobuf value = DK_BUF_INIT;
  assert_int_equal(dk_store_get(store, DK_TABLE_RUNS, "empty", 5, &value, &error), 0);
  assert_int_equal(value.len, 0);
  assert_int_equal(dk_store_get(store, DK_TABLE_RUNS, "gone", 4, &value, &error), -ENOENT);
  dk_store_close(store);
  store = fx_open(NULL);
  assert_string_equal(fx_get(store, DK_TABLE_RUNS, "k"), "two");
  dk_batch_clear(&batch);
  assert_int_equal(dk_store_commit(store, &batch, &error), 0);
  dk_batch_finish(&batch);
  dk_store_close(store);
  dk_store_close(NULL);
}

/* Whoever deletes results, metrics or runs: what was said of whole runs is void. */
static void test_generation(void **state) {
  (void)state;
  struct dk_store *store = fx_open(NULL);
  struct dk_batch batch = DK_BATCH_INIT, other = DK_BATCH_INIT;
  assert_int_equal(dk_store_generation(store), 0);
  assert_int_equal(fx_put(store, DK_TABLE_RESULTS, "k", "v", NULL), 0);
  dk_batch_del(&batch, DK_TABLE_STAT, "k", 1);
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  assert_int_equal(dk_store_generation(store), 0);
  dk_batch_del(&other, DK_TABLE_RESULTS, "k", 1);
  dk_batch_append(&batch, &other);
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  assert_int_equal(dk_store_generation(store), 1);
  dk_batch_clear(&batch);
  dk_batch_put(&batch, DK_TABLE_RUNS, "k", 1, "v", 1);
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  assert_int_equal(dk_store_generation(store), 1);
  dk_batch_del(&batch, DK_TABLE_METRICS, "never", 5);
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  dk_store_close(store);
  store = fx_open(NULL);
  assert_int_equal(dk_store_generation(store), 2);
  dk_batch_finish(&batch);
  dk_batch_finish(&other);
  dk_store_close(store);
}

static void test_read_only(void **state) {
  (void)state;
  struct dk_error error;
  const struct dk_store_options reading = {.read_only = true};
  assert_int_equal(fx_open_error(&reading, &error), -ENOENT);
  assert_int_not_equal(access(fx_at, F_OK), 0);
  dk_store_close(fx_open(NULL));
  struct dk_store *store = fx_open(&reading);
  assert_int_equal(fx_put(store, DK_TABLE_RUNS, "k", "v", &error), -EROFS);
  assert_string_equal(fx_get(store, DK_TABLE_RUNS, "k"), "");
  dk_store_close(store);
}

/* A folder that may not be written to, as its user sees it. */
static int read_as_nobody(int arg) {
  (void)arg;
  struct dk_store *store;
  struct dk_error error;
  dk_autobuf value = DK_BUF_INIT;
  if (setgid(65534) != 0 || setuid(65534) != 0) return 1;
  const struct dk_store_options reading = {.read_only = true};
  if (dk_store_open(fx_at, &reading, &store, &error)) return 2;
  int err = dk_store_get(store, DK_TABLE_RUNS, "k", 1, &value, &error);
  dk_store_close(store);
  if (err || strcmp(dk_buf_text(&value), "v") != 0) return 3;
  return dk_store_open(fx_at, NULL, &store, &error) == -EACCES ? 0 : 4;
}

static void test_read_only_folder(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  struct dk_store *store = fx_open(NULL);
  assert_int_equal(fx_put(store, DK_TABLE_RUNS, "k", "v", NULL), 0);
  dk_store_close(store);
  fx_sh("chmod 755 . && chmod 555 store && chmod 444 store/*");
  assert_int_equal(fx_wait(fx_child(read_as_nobody, 0)), 0);
}

struct seen {
  char text[64];
  uint32_t n;
  struct dk_store *store;
};

static int see(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct seen *seen = ctx;
  (void)value;
  (void)vlen;
  if (seen->n++ < 8) snprintf(seen->text + strlen(seen->text), 8, "%.*s ", (int)klen, (const char *)key);
  return 0;
}

static void put_keys(struct dk_store *store, const char *const *keys, size_t n) {
  for (size_t i = 0; i < n; i++) assert_int_equal(fx_put(store, DK_TABLE_TASKS, keys[i], keys[i], NULL), 0);
}

static void test_ranges(void **state) {
  (void)state;
  static const char *const keys[] = {"a", "ab", "abc", "b", "b\xff", "b\xff\xff", "c", "\xff", "\xff\xff"};
  static const struct {
    const char *prefix, *seen, *last;
  } cases[] = {
      {"", "a ab abc b b\xff b\xff\xff c \xff ", "\xff\xff"},
      {"a", "a ab abc ", "abc"},
      {"ab", "ab abc ", "abc"},
      {"b", "b b\xff b\xff\xff ", "b\xff\xff"},
      {"b\xff", "b\xff b\xff\xff ", "b\xff\xff"},
      {"c", "c ", "c"},
      {"\xff", "\xff \xff\xff ", "\xff\xff"},
      {"d", "", NULL},
      {"abcd", "", NULL},
      {"\x01", "", NULL},
  };
  struct dk_store *store = fx_open(NULL);
  put_keys(store, keys, sizeof keys / sizeof *keys);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct seen seen = {.n = 0};
    dk_autobuf key = DK_BUF_INIT;
    dk_autobuf value = DK_BUF_INIT;
    size_t len = strlen(cases[i].prefix);
    assert_int_equal(dk_store_each(store, DK_TABLE_TASKS, cases[i].prefix, len, see, &seen, NULL), 0);
    assert_string_equal(seen.text, cases[i].seen);
    int err = dk_store_last(store, DK_TABLE_TASKS, cases[i].prefix, len, &key, &value, NULL);
    assert_int_equal(err, cases[i].last ? 0 : -ENOENT);
    if (cases[i].last) assert_string_equal(key.data, cases[i].last);
    if (cases[i].last) assert_string_equal(value.data, cases[i].last);
  }
  dk_store_close(store);
}

static int stop_at_second(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  (void)see(ctx, key, klen, value, vlen);
  return ((struct seen *)ctx)->n == 2 ? 42 : 0;
}

/* Reads and writes from inside a walk; what is written behind the place may be seen. */
static int read_and_write(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct seen *seen = ctx;
  dk_autobuf read = DK_BUF_INIT;
  if (dk_store_get(seen->store, DK_TABLE_TASKS, key, klen, &read, NULL)) return -1;
  if (read.len != vlen || (vlen && memcmp(read.data, value, vlen) != 0)) return -2;
  seen->n++;
  return seen->n % 1000 ? 0 : fx_put(seen->store, DK_TABLE_RUNS, "progress", "x", NULL);
}

static void test_long_walk(void **state) {
  (void)state;
  struct dk_store *store = fx_open(NULL);
  struct dk_batch batch = DK_BATCH_INIT;
  char key[16], value[300];
  memset(value, 'v', sizeof value);
  for (int i = 0; i < 5000; i++) { /* some blocks' worth */
    snprintf(key, sizeof key, "k%05d", i);
    dk_batch_put(&batch, DK_TABLE_TASKS, key, 6, value, (size_t)(i % 300));
  }
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  struct seen seen = {.store = store};
  assert_int_equal(dk_store_each(store, DK_TABLE_TASKS, "k", 1, read_and_write, &seen, NULL), 0);
  assert_int_equal(seen.n, 5000);
  seen.n = 0;
  assert_int_equal(dk_store_each(store, DK_TABLE_TASKS, "k", 1, stop_at_second, &seen, NULL), 42);
  assert_int_equal(seen.n, 2);
  dk_store_close(store);
}

static void test_map_grows(void **state) {
  (void)state;
  const struct dk_store_options tiny = {.map_size = 128 << 10};
  struct dk_store *store = fx_open(&tiny);
  struct dk_batch batch = DK_BATCH_INIT;
  char key[16], value[1000];
  memset(value, 'v', sizeof value);
  for (int round = 0; round < 5; round++) {
    dk_batch_clear(&batch);
    for (int i = 0; i < 1000; i++) {
      snprintf(key, sizeof key, "%d-%d", round, i);
      dk_batch_put(&batch, DK_TABLE_TASKS, key, strlen(key), value, sizeof value);
    }
    assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
    assert_int_equal(strlen(fx_get(store, DK_TABLE_TASKS, "0-0")), 255);
  }
  dk_batch_finish(&batch);
  dk_store_close(store);
  store = fx_open(&tiny); /* smaller than what is there */
  assert_int_equal(strlen(fx_get(store, DK_TABLE_TASKS, "4-999")), 255);
  assert_int_equal(fx_put(store, DK_TABLE_RUNS, "k", "v", NULL), 0);
  dk_store_close(store);
  assert_int_equal(dk_store_check(fx_at, NULL), 0);
}

static void test_a_copy_is_another_store(void **state) {
  (void)state;
  uint8_t first[16], again[16], copy[16], moved[16];
  struct dk_store *store = fx_open(NULL);
  dk_store_id(store, first);
  assert_false(dk_store_was_copied(store));
  dk_store_close(store);
  store = fx_open(NULL);
  dk_store_id(store, again);
  assert_memory_equal(first, again, 16);
  assert_int_equal(fx_put(store, DK_TABLE_RUNS, "k", "v", NULL), 0);
  dk_store_close(store);

  fx_sh("mv store other && mv other store"); /* the same folder */
  store = fx_open(NULL);
  dk_store_id(store, moved);
  assert_memory_equal(first, moved, 16);
  assert_false(dk_store_was_copied(store));
  dk_store_close(store);

  fx_sh("mv store original && cp -a original store");
  const struct dk_store_options reading = {.read_only = true};
  store = fx_open(&reading);
  assert_true(dk_store_was_copied(store));
  dk_store_close(store);
  store = fx_open(NULL);
  dk_store_id(store, copy);
  assert_memory_not_equal(first, copy, 16);
  assert_true(dk_store_was_copied(store));
  assert_string_equal(fx_get(store, DK_TABLE_RUNS, "k"), "v");
  dk_store_close(store);
  store = fx_open(NULL); /* it is itself now */
  dk_store_id(store, again);
  assert_memory_equal(copy, again, 16);
  assert_false(dk_store_was_copied(store));
  dk_store_close(store);
}

/* What is written to a copy by hard links would be in the original: only the original is written to. */
static void test_a_linked_copy_is_refused(void **state) {
  (void)state;
  uint8_t first[16], again[16];
  struct dk_error error = {0};
  struct dk_store *store = fx_open(NULL);
  dk_store_id(store, first);
  assert_int_equal(fx_put(store, DK_TABLE_RUNS, "k", "v", NULL), 0);
  dk_store_close(store);
  fx_sh("mv store original && cp -al original store");
  assert_int_equal(dk_store_open(fx_at, NULL, &store, &error), -EMLINK);
  assert_non_null(strstr(error.text, "cp -al"));
  fx_sh("mv store linked && mv original store");
  store = fx_open(NULL);
  dk_store_id(store, again);
  assert_memory_equal(first, again, 16);
  assert_false(dk_store_was_copied(store));
  assert_int_equal(fx_put(store, DK_TABLE_RUNS, "k", "w", NULL), 0);
  dk_store_close(store);
  fx_sh("rm -r linked");
}

static void test_descriptor_is_not_inherited(void **state) {
  (void)state;
  struct dk_store *store = fx_open(NULL);
  for (int fd = 3; fd < 64; fd++) {
    int flags = fcntl(fd, F_GETFD);
    char link[64], target[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (flags < 0 || n < 0 || strncmp(target, fx_at, strlen(fx_at)) != 0) continue;
    assert_true(flags & FD_CLOEXEC);
  }
  dk_store_close(store);
}

static void test_file_systems(void **state) {
  (void)state;
  assert_true(dk_place_is_network(0x6969, NULL));
  assert_true(dk_place_is_network(0xffffffffff534d42, NULL)); /* f_type may come sign-extended */
  assert_true(dk_place_is_network(0x65735546, "fuse.sshfs"));
  assert_false(dk_place_is_network(0x65735546, "fuseblk"));
  assert_false(dk_place_is_network(0x65735546, NULL));
  assert_false(dk_place_is_network(0xef53, NULL));
  assert_false(dk_place_is_network(0x01021994, NULL)); /* tmpfs */
}

static void test_not_a_folder(void **state) {
  (void)state;
  struct dk_error error;
  fx_sh("echo >store");
  assert_int_equal(fx_open_error(NULL, &error), -ENOTDIR);
  fx_sh("rm store && ln -s /no/such/place store");
  assert_true(fx_open_error(NULL, &error) < 0);
}

static int use_all(void) {
  struct dk_store *store;
  struct dk_batch batch = DK_BATCH_INIT;
  struct seen seen = {.n = 0};
  dk_autobuf key = DK_BUF_INIT;
  dk_autobuf value = DK_BUF_INIT;
  int err = dk_store_open(fx_at, NULL, &store, NULL);
  if (err) return err;
  dk_batch_put(&batch, DK_TABLE_RUNS, "k", 1, "v", 1);
  err = dk_store_commit(store, &batch, NULL);
  if (err == 0) err = dk_store_get(store, DK_TABLE_RUNS, "k", 1, &value, NULL);
  if (err == 0) err = dk_store_each(store, DK_TABLE_RUNS, NULL, 0, see, &seen, NULL);
  if (err == 0) err = dk_store_last(store, DK_TABLE_RUNS, NULL, 0, &key, &value, NULL);
  dk_batch_finish(&batch);
  dk_store_close(store);
  return err;
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  dk_store_close(fx_open(NULL));
  int failed = 0;
  for (uint64_t n = 1;; n++) {
    dk_alloc_fail_at(n);
    int err = use_all();
    dk_alloc_fail_at(0);
    if (err == 0) break;
    assert_int_equal(err, -ENOMEM);
    failed++;
  }
  assert_true(failed >= 5);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
  const struct CMUnitTest tests[] = {
      CASE(test_put_get_del),
      CASE(test_generation),
      CASE(test_read_only),
      CASE(test_read_only_folder),
      CASE(test_ranges),
      CASE(test_long_walk),
      CASE(test_map_grows),
      CASE(test_a_copy_is_another_store),
      CASE(test_a_linked_copy_is_refused),
      CASE(test_descriptor_is_not_inherited),
      cmocka_unit_test(test_file_systems),
      CASE(test_not_a_folder),
      CASE(test_every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
