/* Formats: a store of format 1, as a program of that time wrote it, becomes one of today's with everything in it;
 * tables that are new to a store are made; newer ones are refused; row counts are kept and compared. */
#include "engine/store/private.h"
#include "engine/store/record.h"
#include "tests/unit/store/fixture.h"

#include <endian.h>
#include <errno.h>
#include <unistd.h>

static void old_store(void) {
  if (sizeof(void *) != 8 || BYTE_ORDER != LITTLE_ENDIAN) skip(); /* LMDB's files are not portable to others */
  fx_sh("tar -xzf '%s' && cp -a .dkrun/store store", DK_TEST_DATA "/format1.tar.gz");
}

static uint32_t meta_u32(const char *name) {
  struct dk_store *store = fx_open(&(struct dk_store_options){.read_only = true});
  dk_autobuf value = DK_BUF_INIT;
  uint32_t number;
  assert_int_equal(dk_store_get(store, DK_TABLE_META, name, strlen(name), &value, NULL), 0);
  dk_store_close(store);
  assert_int_equal(value.len, sizeof number);
  memcpy(&number, value.data, sizeof number);
  return le32toh(number);
}

static int count_done(void *ctx, uint32_t task, const struct dk_task_record *record) {
  (void)task;
  *(uint32_t *)ctx += record->state == DK_TASK_DONE || record->state == DK_TASK_CACHED;
  return 0;
}

static void check_content(struct dk_store *store) {
  struct dk_run run;
  uint32_t n = 0;
  assert_int_equal(dk_store_get_run(store, 0, &run, NULL), 0);
  assert_int_equal(run.number, 2);
  assert_string_equal(run.name, "e");
  assert_int_equal(run.n_cached, 6);
  dk_run_finish(&run);
  assert_int_equal(dk_store_each_task(store, 2, count_done, &n, NULL), 0);
  assert_int_equal(n, 7); /* with the pick */
}

static void test_format_1_is_migrated(void **state) {
  (void)state;
  struct dk_store *store;
  old_store();
  assert_int_equal(meta_u32("format"), 1);
  assert_int_equal(dk_store_check(fx_at, NULL), 0);
  store = fx_open(&(struct dk_store_options){.read_only = true}); /* readers do not wait for that */
  check_content(store);
  dk_store_close(store);
  assert_int_equal(meta_u32("format"), 1);
  store = fx_open(NULL);
  check_content(store);
  assert_int_equal(dk_store_turn(store), 1);
  assert_int_equal(fx_put(store, DK_TABLE_NAMES, "k", "v", NULL), 0);
  assert_int_equal(dk_store_turn(store), 2);
  dk_store_close(store);
  assert_int_equal(meta_u32("format"), 2);
  store = fx_open(NULL); /* once is enough */
  assert_int_equal(dk_store_turn(store), 2);
  check_content(store);
  dk_store_close(store);
  assert_int_equal(dk_store_check(fx_at, NULL), 0);
}

/* Killed at any write of the migration: the store is as it was, or migrated. */
static int migrate_in_child(int arg) {
  (void)arg;
  struct dk_store *store;
  if (dk_store_open(fx_at, NULL, &store, NULL)) return 1;
  _exit(0); /* without closing */
}

static void test_a_reader_from_before(void **state) {
  (void)state;
  old_store();
  dk_store_close(fx_open(&(struct dk_store_options){.read_only = true}));
  struct dk_store *reader = fx_open(&(struct dk_store_options){.read_only = true});
  assert_int_equal(fx_wait(fx_child(migrate_in_child, 0)), 0);
  check_content(reader);
  dk_store_close(reader);
  assert_int_equal(meta_u32("format"), 2);
}

/* As LMDB sees it: a table is taken away from a store, or given to it, without the store's own knowledge. */
static void edit(void (*fn)(MDB_txn *txn, struct dk_store *store)) {
  MDB_env *env;
  MDB_txn *txn;
  struct dk_store store = {.path = fx_at};
  assert_int_equal(mdb_env_create(&env), 0);
  assert_int_equal(mdb_env_set_maxdbs(env, DK_MAX_TABLES), 0);
  assert_int_equal(mdb_env_open(env, fx_at, 0, 0600), 0);
  assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
  for (int i = 0; i < DK_N_TABLES; i++)
    assert_int_equal(mdb_dbi_open(txn, dk_store_table_name((enum dk_table)i), 0, &store.tables[i]), 0);
  fn(txn, &store);
  assert_int_equal(mdb_txn_commit(txn), 0);
  mdb_env_close(env);
}

/* The counts as a program with `n` tables writes them. */
static void write_counts(MDB_txn *txn, struct dk_store *store, uint32_t n) {
  uint8_t bytes[12 + 8 * DK_MAX_TABLES] = {7};
  uint32_t le = htole32(n);
  memcpy(bytes + 8, &le, sizeof le);
  for (uint32_t i = 0; i < n && i < DK_N_TABLES; i++) {
    MDB_stat stat;
    assert_int_equal(mdb_stat(txn, store->tables[i], &stat), 0);
    uint64_t rows = htole64(stat.ms_entries);
    memcpy(bytes + 12 + 8 * i, &rows, sizeof rows);
  }
  assert_int_equal(dk_meta_put(store, txn, "counts", bytes, 12 + 8 * (size_t)n), 0);
}

static void drop_last_table(MDB_txn *txn, struct dk_store *store) {
  assert_int_equal(mdb_drop(txn, store->tables[DK_N_TABLES - 1], 1), 0);
  write_counts(txn, store, DK_N_TABLES - 1);
}

static void test_a_new_table_is_made(void **state) {
  (void)state;
  const enum dk_table last = (enum dk_table)(DK_N_TABLES - 1);
  dk_autobuf key = DK_BUF_INIT;
  dk_autobuf value = DK_BUF_INIT;
  dk_store_close(fx_open(NULL));
  edit(drop_last_table);
  assert_int_equal(dk_store_check(fx_at, NULL), 0);
  struct dk_store *store = fx_open(&(struct dk_store_options){.read_only = true}); /* to a reader it is empty */
  assert_string_equal(fx_get(store, last, "k"), "");
  assert_int_equal(dk_store_last(store, last, NULL, 0, &key, &value, NULL), -ENOENT);
  dk_store_close(store);
  store = fx_open(NULL);
  assert_int_equal(fx_put(store, last, "k", "v", NULL), 0);
  assert_string_equal(fx_get(store, last, "k"), "v");
  dk_store_close(store);
  assert_int_equal(dk_store_check(fx_at, NULL), 0);
}

static void lose_last_table(MDB_txn *txn, struct dk_store *store) {
  assert_int_equal(mdb_drop(txn, store->tables[DK_N_TABLES - 1], 1), 0);
}
static void lose_a_row(MDB_txn *txn, struct dk_store *store) {
  MDB_val key = {4, (void *)(uintptr_t) "gone"};
  assert_int_equal(mdb_del(txn, store->tables[DK_TABLE_RESULTS], &key, NULL), 0);
}
static void write_newer_counts(MDB_txn *txn, struct dk_store *store) {
  write_counts(txn, store, DK_N_TABLES + 1);
}

static void test_lost_tables_and_rows(void **state) {
  (void)state;
  struct dk_error error;
  dk_store_close(fx_open(NULL));
  edit(lose_last_table);
  assert_int_equal(fx_open_error(NULL, &error), -EBADMSG);
  fx_sh("rm -r store");
  struct dk_store *store = fx_open(NULL);
  assert_int_equal(fx_put(store, DK_TABLE_RESULTS, "gone", "v", NULL), 0);
  assert_int_equal(fx_put(store, DK_TABLE_RESULTS, "stays", "v", NULL), 0);
  dk_store_close(store);
  edit(lose_a_row);
  assert_int_equal(fx_open_error(NULL, &error), -EBADMSG);
  assert_non_null(strstr(error.text, "`results` has 1 rows where 2 were written"));
  assert_int_equal(dk_store_check(fx_at, &error), -EBADMSG);
}

static void test_newer_ones_are_refused(void **state) {
  (void)state;
  struct dk_error error;
  const struct dk_store_options reading = {.read_only = true};
  struct dk_store *store = fx_open(NULL);
  struct dk_batch batch = DK_BATCH_INIT;
  dk_batch_put(&batch, DK_TABLE_META, "format", 6, "\x03\0\0\0", 4);
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  dk_store_close(store);
  assert_int_equal(fx_open_error(NULL, &error), -ENOTSUP);
  assert_non_null(strstr(error.text, "newer"));
  assert_int_equal(fx_open_error(&reading, &error), -ENOTSUP);
  fx_sh("rm -r store");
  dk_store_close(fx_open(NULL));
  edit(write_newer_counts);
  assert_int_equal(fx_open_error(NULL, &error), -ENOTSUP);
  assert_non_null(strstr(error.text, "newer"));
  assert_int_equal(fx_open_error(&reading, &error), -ENOTSUP);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
  const struct CMUnitTest tests[] = {
      CASE(test_format_1_is_migrated), CASE(test_a_reader_from_before),   CASE(test_a_new_table_is_made),
      CASE(test_lost_tables_and_rows), CASE(test_newer_ones_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
