/* Examining and rebuilding damaged stores, damage that is only met later, and readers that do not let go. */
#include "engine/store/hosts.h"
#include "engine/store/private.h"
#include "engine/store/record.h"
#include "engine/store/rented.h"
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
  struct dk_rebuilt kept;
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
    if (dk_store_rebuild(fx_at, aside, &kept, &error)) fail_msg("%s", error.text);
    assert_int_equal(kept.rows[DK_TABLE_TASKS], ROWS);
    assert_true(kept.rows[DK_TABLE_RESULTS] < ROWS &&
                kept.rows[DK_TABLE_RESULTS] > ROWS - 40); /* one page has at most so many */
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

/* Entries as they really are: what their table is can be told from them. */
static void fill_real(uint32_t n) {
  char text[2][32] = {"e", ""};
  struct dk_store *store = fx_open(&(struct dk_store_options){.ballast = DK_STORE_NO_BALLAST});
  struct dk_record incarnation = {.kind = DK_REC_INCARNATION, .id = {7, 0}};
  for (uint32_t round = 0; round < 4; round++) { /* so that there are free pages with old values */
    struct dk_batch batch = DK_BATCH_INIT;
    const struct dk_run run = {.number = 1,
                               .state = round < 3 ? DK_RUN_RUNNING : DK_RUN_DONE,
                               .name = text[0],
                               .file = text[0],
                               .commit = text[0],
                               .snapshot = text[0],
                               .params = text[0]};
    assert_int_equal(dk_batch_put_run(&batch, &run), 0);
    assert_int_equal(dk_batch_add_record(&batch, &incarnation, NULL), 0);
    for (uint32_t number = 1; number <= 2; number++) {
      const struct dk_host_record host = {.number = number,
                                          .state = round < 3 ? DK_HOST_UP : DK_HOST_DOWN,
                                          .provider = text[0],
                                          .name = text[0],
                                          .words = text[0],
                                          .system = text[0],
                                          .gpu = text[0]};
      assert_int_equal(dk_batch_put_host(&batch, &host), 0);
      struct dk_rent_record rented = {.rented = {.number = number, .incarnation = 7, .state = DK_RENT_UP}};
      assert_int_equal(dk_batch_add_rent_record(&batch, &rented), 0);
    }
    for (uint32_t i = 0; i < n; i++) {
      dk_autobuf bytes = DK_BUF_INIT;
      struct dk_digest key;
      snprintf(text[1], sizeof text[1], "task %u", i);
      dk_digest_of(text[1], strlen(text[1]), &key);
      struct dk_record task = {.kind = DK_REC_TASK, .run = 1, .task = i, .key = key};
      task.state = (uint8_t)(round < 3 ? DK_TASK_RUNNING : DK_TASK_DONE);
      assert_int_equal(dk_batch_add_record(&batch, &task, NULL), 0);
      struct dk_metric_value value = {DK_METRIC_TEXT, 0, text[1]};
      const struct dk_metric_values values = {&value, 1};
      assert_int_equal(dk_batch_put_metrics(&batch, &key, &key, (struct dk_id){1, 2}, &values), 0);
      const struct dk_copy copy = {key, 1 + i % 2, round, i % 3 == 0};
      assert_int_equal(dk_batch_put_copy(&batch, &copy), 0);
      /* A name whose key is as long as that of a copy. */
      char name[64];
      snprintf(name, sizeof name, "a task with a name of its own %04u", i);
      assert_int_equal(strlen("e") + 1 + strlen(name), DK_COPY_KEY);
      assert_int_equal(dk_batch_put_name(&batch, "e", name, &key), 0);
      struct dk_saved saved = {.run = 1, .label = text[1], .host = text[0]};
      assert_int_equal(dk_saved_encode(&saved, &bytes), 0);
      struct dk_record result = {.kind = DK_REC_RESULT, .key = key, .len = (uint32_t)bytes.len};
      assert_int_equal(dk_batch_add_record(&batch, &result, &bytes), 0);
    }
    assert_int_equal(dk_store_commit(store, &batch, NULL), 0);
    dk_batch_finish(&batch);
  }
  dk_store_close(store);
  fx_sh("cp store/data.mdb whole");
}

/* Where the page of all tables has the entry of one: its place among the pointers, its name. */
static bool find_entry(const uint8_t *file, const char *table, size_t *ret_place, size_t *ret_name) {
  uint64_t txn[2], root;
  uint16_t lower, at, klen;
  for (int i = 0; i < 2; i++) memcpy(&txn[i], file + 4096 * i + 144, 8);
  memcpy(&root, file + (txn[1] > txn[0] ? 4096 : 0) + 128, 8);
  const uint8_t *page = file + 4096 * root;
  memcpy(&lower, page + 12, 2);
  for (size_t i = 16; i < lower; i += 2) {
    memcpy(&at, page + i, 2);
    memcpy(&klen, page + at + 6, 2);
    *ret_place = (size_t)(page - file) + i;
    *ret_name = (size_t)(page - file) + at + 8;
    if (klen == strlen(table) && memcmp(page + at + 8, table, klen) == 0) return true;
  }
  return false;
}

static void flip(size_t at, uint8_t bit) {
  char path[300];
  snprintf(path, sizeof path, "%s/data.mdb", fx_at);
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
  int byte = fgetc(file);
  assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
  assert_int_equal(fputc(byte ^ bit, file), byte ^ bit);
  assert_int_equal(fclose(file), 0);
}

static int count_copy(void *ctx, const struct dk_copy *copy) {
  assert_int_equal(copy->size, 3); /* of the last round */
  ++*(uint32_t *)ctx;
  return 0;
}

/* Whatever leads to a table is lost: its entries are found all the same, as they were last. */
static void test_lost_ways(void **state) {
  (void)state;
  enum { N = 200 };
  static uint8_t file[1 << 20];
  char path[300], aside[300];
  fill_real(N);
  snprintf(path, sizeof path, "%s/whole", fx);
  snprintf(aside, sizeof aside, "%s/aside", fx);
  FILE *whole = fopen(path, "rb");
  assert_non_null(whole);
  size_t size = fread(file, 1, sizeof file, whole);
  assert_true(size > 0 && size < sizeof file);
  fclose(whole);
  static const enum dk_table tables[] = {DK_TABLE_META,  DK_TABLE_RUNS,   DK_TABLE_RESULTS,  DK_TABLE_ASKED,
                                         DK_TABLE_HOSTS, DK_TABLE_COPIES, DK_TABLE_INSTANCES};
  for (int i = 0; i < 3 * (int)(sizeof tables / sizeof *tables); i++) {
    const char *table = dk_store_table_name(tables[i / 3]);
    struct dk_rebuilt made;
    struct dk_error error;
    size_t place = 0, name = 0;
    assert_true(find_entry(file, table, &place, &name));
    fx_sh("cp whole store/data.mdb && rm -f aside store/lock.mdb");
    flip(i % 3 == 0 ? place : i % 3 == 1 ? name : name + strlen(table) + 40, 8);
    struct found found = examine();
    if (found.n[DK_DAMAGE_FILE] + found.n[DK_DAMAGE_TABLE] + found.n[DK_DAMAGE_ROWS] == 0)
      fail_msg("%s %d: not noticed", table, i % 3);
    if (dk_store_rebuild(fx_at, aside, &made, &error)) fail_msg("%s", error.text);
    if (made.rows[DK_TABLE_RUNS] != 1 || made.rows[DK_TABLE_TASKS] != N || made.rows[DK_TABLE_RESULTS] != N ||
        made.rows[DK_TABLE_METRICS] != N || made.rows[DK_TABLE_HOSTS] != 2 || made.rows[DK_TABLE_INSTANCES] != 2 ||
        made.rows[DK_TABLE_COPIES] != N || !made.knows_were || made.were[DK_TABLE_RESULTS] != N)
      fail_msg("%s %d: %d results, %d tasks, %d hosts, %d copies", table, i % 3, (int)made.rows[DK_TABLE_RESULTS],
               (int)made.rows[DK_TABLE_TASKS], (int)made.rows[DK_TABLE_HOSTS], (int)made.rows[DK_TABLE_COPIES]);
    struct dk_store *store = fx_open(NULL);
    struct dk_task_record task;
    struct dk_run run;
    assert_int_equal(dk_store_get_run(store, 1, &run, &error), 0);
    assert_int_equal(run.state, DK_RUN_DONE);
    dk_run_finish(&run);
    struct dk_host_record host;
    assert_int_equal(dk_store_get_host(store, 2, &host, &error), 0);
    assert_int_equal(host.state, DK_HOST_DOWN); /* as it was last */
    dk_host_record_finish(&host);
    uint32_t n_copies = 0;
    assert_int_equal(dk_store_each_copy(store, NULL, count_copy, &n_copies, &error), 0);
    assert_int_equal(n_copies, N);
    for (uint32_t k = 0; k < N; k++) {
      assert_int_equal(dk_store_get_task(store, 1, k, &task, &error), 0);
      assert_int_equal(task.state, DK_TASK_DONE);
    }
    dk_store_close(store);
  }
}

/* With the list of pages in use lost too: what may be old is not taken, results are. */
static void test_lost_list(void **state) {
  (void)state;
  char aside[300];
  struct dk_rebuilt made;
  fill_real(200);
  snprintf(aside, sizeof aside, "%s/aside", fx);
  fx_sh("head -c 8192 /dev/zero | dd of=store/data.mdb conv=notrunc status=none && rm store/lock.mdb");
  assert_int_equal(dk_store_rebuild(fx_at, aside, &made, NULL), 0);
  assert_int_equal(made.rows[DK_TABLE_RESULTS], 200);
  assert_int_equal(made.rows[DK_TABLE_METRICS], 200);
  assert_int_equal(made.rows[DK_TABLE_RUNS] + made.rows[DK_TABLE_TASKS], 0);
  assert_false(made.knows_were);
  dk_store_close(fx_open(NULL));
}

static void test_rebuild_of_nothing(void **state) {
  (void)state;
  uint8_t id[16];
  struct dk_rebuilt kept;
  char aside[300];
  fill_two(id);
  fx_sh("yes rubbish | head -c 100000 >store/data.mdb && rm store/lock.mdb");
  snprintf(aside, sizeof aside, "%s/aside", fx);
  assert_int_equal(dk_store_rebuild(fx_at, aside, &kept, NULL), 0);
  assert_int_equal(kept.rows[DK_TABLE_TASKS], 0);
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
      CASE(test_examine),
      CASE(test_rebuild),
      CASE(test_lost_ways),
      CASE(test_lost_list),
      CASE(test_rebuild_of_nothing),
      CASE(test_damage_deep_inside),
      CASE(test_cut_while_open),
      CASE(test_other_faults),
      CASE(test_old_readers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
