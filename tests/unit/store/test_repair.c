/* Examining and rebuilding damaged stores, damage that is only met later, and readers that do not let go. */
#include "engine/store/private.h"
#include "engine/store/repair.h"
#include "engine/sys/loop.h"
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS 4000

static void key_at(int i, char ret[16]) {
  snprintf(ret, 16, "key-%05d", i);
}

/* `results` and `tasks` with ROWS each, in one commit, closed. */
static void fill_two(uint8_t ret_id[16]) {
  struct dk_store *store = fx_open(&(struct dk_store_options){.ballast = DK_STORE_NO_BALLAST});
  struct dk_batch batch = DK_BATCH_INIT;
  char key[16], value[200];
  for (int i = 0; i < ROWS; i++) {
    key_at(i, key);
    snprintf(value, sizeof value, "result-%d-%0100d", i, i);
    dk_batch_put(&batch, DK_TABLE_RESULTS, key, strlen(key), value, strlen(value));
    snprintf(value, sizeof value, "task-%d-%0100d", i, i);
    dk_batch_put(&batch, DK_TABLE_TASKS, key, strlen(key), value, strlen(value));
  }
  dk_store_id(store, ret_id);
  assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
  dk_batch_finish(&batch);
  dk_store_close(store);
  fx_sh("cp store/data.mdb whole");
}

/* The page that holds this text becomes rubbish. */
static void spoil_page(const char *text) {
  fx_sh("at=$(grep -abo -- '%s' store/data.mdb | tail -1 | cut -d: -f1); yes rubbish | head -c 4096 | "
        "dd of=store/data.mdb bs=4096 seek=$((at / 4096)) conv=notrunc status=none",
        text);
}

struct found {
  unsigned n[DK_DAMAGE_VALUE + 1];
  enum dk_table table;
  char key[32];
};

static int note(void *ctx, const struct dk_damage *damage) {
  struct found *found = ctx;
  found->n[damage->kind]++;
  found->table = damage->table;
  if (damage->kind == DK_DAMAGE_VALUE)
    snprintf(found->key, sizeof found->key, "%.*s", (int)damage->klen, (const char *)damage->key);
  return 0;
}

static struct found examine(void) {
  struct found found = {.n = {0}};
  struct dk_error error;
  if (dk_store_examine(fx_at, note, &found, &error)) fail_msg("%s", error.text);
  return found;
}

static void test_examine(void **state) {
  (void)state;
  uint8_t id[16];
  struct dk_error error;
  assert_int_equal(dk_store_examine(fx_at, note, NULL, &error), -ENOENT);
  fill_two(id);
  struct found found = examine();
  for (size_t i = 0; i < sizeof found.n / sizeof *found.n; i++) assert_int_equal(found.n[i], 0);

  fx_sh("at=$(grep -abo 'result-77-' store/data.mdb | tail -1 | cut -d: -f1) && printf X | dd of=store/data.mdb bs=1 "
        "seek=$((at + 20)) conv=notrunc status=none");
  found = examine();
  assert_int_equal(found.n[DK_DAMAGE_VALUE], 1);
  assert_int_equal(found.table, DK_TABLE_RESULTS);
  assert_string_equal(found.key, "key-00077");
  assert_int_equal(found.n[DK_DAMAGE_TABLE] + found.n[DK_DAMAGE_FILE] + found.n[DK_DAMAGE_ROWS], 0);

  fx_sh("cp whole store/data.mdb");
  spoil_page("task-2000-");
  found = examine();
  assert_int_equal(found.n[DK_DAMAGE_TABLE], 1);
  assert_int_equal(found.table, DK_TABLE_TASKS);

  fx_sh("echo rubbish >store/data.mdb");
  assert_int_equal(examine().n[DK_DAMAGE_FILE], 1);
}

/* Each leaf page of `results` in turn is lost: the rest of that table and all of the other are there afterwards. */
static void test_rebuild(void **state) {
  (void)state;
  uint8_t id[16], again[16];
  uint64_t kept[DK_N_TABLES];
  struct dk_error error;
  char aside[300], key[16];
  fill_two(id);
  struct dk_store *store = fx_open(NULL);
  uint64_t turn = dk_store_turn(store);
  dk_store_close(store);
  for (int i = 100; i < ROWS; i += 911) {
    fx_sh("cp whole store/data.mdb && rm -f aside store/lock.mdb");
    char text[32];
    snprintf(text, sizeof text, "result-%d-", i);
    spoil_page(text);
    snprintf(aside, sizeof aside, "%s/aside", fx);
    if (dk_store_rebuild(fx_at, aside, kept, &error)) fail_msg("%s", error.text);
    assert_int_equal(kept[DK_TABLE_TASKS], ROWS);
    assert_true(kept[DK_TABLE_RESULTS] < ROWS && kept[DK_TABLE_RESULTS] > ROWS - 40); /* one page has at most so many */
    fx_sh("test -s aside && test -z \"$(ls -d store/new-* 2>/dev/null)\"");
    assert_int_equal(dk_store_check(fx_at, &error), 0);
    store = fx_open(NULL);
    dk_store_id(store, again);
    assert_memory_equal(id, again, 16);
    assert_false(dk_store_was_copied(store));
    assert_true(dk_store_turn(store) > turn);
    key_at(ROWS - 1, key);
    assert_int_equal(strncmp(fx_get(store, DK_TABLE_RESULTS, key), "result-3999", 11), 0);
    assert_int_equal(fx_put(store, DK_TABLE_RUNS, "k", "v", NULL), 0);
    dk_store_close(store);
  }
}

static void test_rebuild_of_nothing(void **state) {
  (void)state;
  uint8_t id[16];
  uint64_t kept[DK_N_TABLES];
  char aside[300];
  fill_two(id);
  fx_sh("yes rubbish | head -c 100000 >store/data.mdb && rm store/lock.mdb");
  snprintf(aside, sizeof aside, "%s/aside", fx);
  assert_int_equal(dk_store_rebuild(fx_at, aside, kept, NULL), 0);
  assert_int_equal(kept[DK_TABLE_TASKS], 0);
  dk_store_close(fx_open(NULL));
}

/* Damage that only a later use meets: an error, or the guard's words and exit code; never a signal. */
static int use_until_it_breaks(int arg) {
  (void)arg;
  struct dk_store *store;
  dk_autobuf value = DK_BUF_INIT;
  char key[16], words[300];
  snprintf(words, sizeof words, "%s/words", fx);
  if (!freopen(words, "w", stderr)) return 1;
  dk_store_guard(4);
  if (dk_store_open(fx_at, NULL, &store, NULL)) return 3;
  int err = 0;
  for (int i = 0; i < ROWS && err == 0; i++) {
    struct dk_batch batch = DK_BATCH_INIT;
    key_at(i, key);
    err = dk_store_get(store, DK_TABLE_RESULTS, key, strlen(key), &value, NULL);
    dk_batch_del(&batch, DK_TABLE_RESULTS, key, strlen(key));
    dk_batch_put(&batch, DK_TABLE_NAMES, key, strlen(key), "v", 1);
    if (err == 0 && i % 50 == 0) err = dk_store_commit(store, &batch, NULL);
    dk_batch_finish(&batch);
  }
  return err ? 2 : 0;
}

static void test_damage_deep_inside(void **state) {
  (void)state;
  uint8_t id[16];
  struct stat st;
  char path[300];
  fill_two(id);
  snprintf(path, sizeof path, "%s/whole", fx);
  assert_int_equal(stat(path, &st), 0);
  unsigned n_errors = 0, n_words = 0, pages = (unsigned)(st.st_size / 4096);
  for (unsigned page = 2; page < pages; page += 1 + pages / 60) {
    /* Behind its head, so that it still looks like a page; every other one with places of rows far outside of it. */
    fx_sh("cp whole store/data.mdb && rm -f words && { %s; } | head -c 4080 | dd of=store/data.mdb bs=16 seek=%u "
          "conv=notrunc status=none",
          page % 2 ? "yes rubbish" : "tr '\\0' '\\377' </dev/zero", page * 256 + 1);
    int code = fx_wait(fx_child(use_until_it_breaks, 0));
    if (code != 0 && code != 2 && code != 3 && code != 4) fail_msg("page %u: exit code %d", page, code);
    if (code == 4) fx_sh("grep -q 'is damaged: using it crashed' words && grep -q 'fsck --repair' words");
    n_errors += code == 2 || code == 3;
    n_words += code == 4;
  }
  print_message("%u errors, %u ends with words\n", n_errors, n_words);
  assert_true(n_errors + n_words > 10);
}

/* Cut short under an open store: reading or writing it is a bus error. */
static int use_a_cut_one(int writes) {
  struct dk_store *store;
  dk_autobuf value = DK_BUF_INIT;
  char words[300], data[320];
  snprintf(words, sizeof words, "%s/words", fx);
  snprintf(data, sizeof data, "%s/data.mdb", fx_at);
  if (!freopen(words, "w", stderr)) return 1;
  dk_store_guard(4);
  if (dk_store_open(fx_at, NULL, &store, NULL) || truncate(data, 8192) != 0) return 3;
  if (writes) (void)fx_put(store, DK_TABLE_RESULTS, "key-00100", "v", NULL);
  return dk_store_get(store, DK_TABLE_RESULTS, "key-00100", 9, &value, NULL) ? 2 : 0;
}

static void test_cut_while_open(void **state) {
  (void)state;
  uint8_t id[16];
  for (int writes = 0; writes < 2; writes++) {
    fx_sh("rm -rf store words");
    fill_two(id);
    assert_int_equal(fx_wait(fx_child(use_a_cut_one, writes)), 4);
    fx_sh("grep -q 'is damaged: using it crashed' words && grep -q 'fsck --repair' words");
  }
}

/* A fault that is not the store's stays what it was. */
static int crash(int arg) {
  (void)arg;
  dk_store_guard(4);
  raise(SIGSEGV);
  return 0;
}

static void test_other_faults(void **state) {
  (void)state;
  assert_int_equal(fx_wait(fx_child(crash, 0)), 128 + SIGSEGV);
}

/* Holds a snapshot until it is ended, as a process that was stopped in the middle of reading. */
static int hold(int fd) {
  struct dk_store *store;
  MDB_txn *txn;
  if (dk_store_open(fx_at, &(struct dk_store_options){.read_only = true}, &store, NULL)) return 1;
  if (dk_store_read_begin(store, &txn, NULL)) return 2;
  if (write(fd, "x", 1) != 1) return 3;
  for (;;) pause();
}

static void test_old_readers(void **state) {
  (void)state;
  int fds[2];
  char byte, text[64];
  dk_autobuf names = DK_BUF_INIT;
  struct dk_store *store = fx_open(NULL);
  assert_int_equal(fx_put(store, DK_TABLE_RUNS, "k", "v", NULL), 0);
  dk_store_close(store);
  assert_int_equal(pipe(fds), 0);
  int pid = fx_child(hold, fds[1]);
  assert_int_equal(read(fds[0], &byte, 1), 1);
  assert_int_equal(kill(pid, SIGSTOP), 0);
  store = fx_open(NULL);
  uint64_t now = dk_now_ns();
  dk_readers_look(store, now, &names);
  assert_int_equal(names.len, 0);
  dk_readers_look(store, now + DK_READER_OLD_NS - 1, &names);
  assert_int_equal(names.len, 0);
  dk_readers_look(store, now + DK_READER_OLD_NS + 5000000000u, &names);
  snprintf(text, sizeof text, "process %d (", pid);
  assert_non_null(strstr(dk_buf_text(&names), text));
  assert_non_null(strstr(dk_buf_text(&names), " for 65 s"));
  dk_buf_clear(&names);
  dk_readers_look(store, now + 2 * DK_READER_OLD_NS, &names); /* once */
  assert_int_equal(names.len, 0);
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(fx_wait(pid), 128 + SIGKILL);
  dk_readers_look(store, now + 3 * DK_READER_OLD_NS, &names);
  assert_int_equal(names.len, 0);
  for (size_t i = 0; i < DK_READERS_WATCHED; i++) assert_int_equal(store->readers[i].pid, 0); /* cleared, forgotten */
  dk_store_close(store);
  close(fds[0]);
  close(fds[1]);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
  const struct CMUnitTest tests[] = {
      CASE(test_examine),        CASE(test_rebuild),      CASE(test_rebuild_of_nothing), CASE(test_damage_deep_inside),
      CASE(test_cut_while_open), CASE(test_other_faults), CASE(test_old_readers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
