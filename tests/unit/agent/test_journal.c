/* The keeper's journal: what is found again after it was closed at any point, cut off, or worn. */
#include "engine/agent/journal.h"
#include "engine/sys/fs.h"
#include "lang/base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];
static int dir;

static int set_up(void **state) {
  (void)state;
  strcpy(path, "/tmp/dk-journal-XXXXXX");
  assert_non_null(mkdtemp(path));
  dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return dir < 0;
}

static int tear_down(void **state) {
  (void)state;
  close(dir);
  return dk_fs_remove_tree(path, NULL);
}

static void begin(struct dk_journal *journal, uint64_t n) {
  struct dk_journal_start start = {
      .id = {3, n}, .cpus = 2, .keeper = 100, .keeper_start_ticks = 9, .boot = {1}, .unix_ns = n};
  assert_int_equal(dk_journal_begin(journal, &start, 2000, NULL), 0);
}

static uint64_t end(struct dk_journal *journal, int32_t code) {
  struct dk_result result = {.cause = DK_CAUSE_EXIT, .code = code, .text = (char *)"some words that take room"};
  uint64_t seq;
  assert_int_equal(dk_journal_finish(journal, &result, &seq, NULL), 0);
  return seq;
}

struct seen {
  uint64_t first, last;
  int n;
};

static int see(void *ctx, uint64_t seq, struct dk_id id, struct dk_result *result) {
  struct seen *seen = ctx;
  if (seen->n++ == 0)
    seen->first = seq;
  else
    assert_true(seq == seen->last + 1);
  seen->last = seq;
  assert_true(id.inc == 3 && id.n == (uint64_t)result->code);
  return 0;
}

static struct seen look(struct dk_journal *journal) {
  struct seen seen = {0};
  assert_int_equal(dk_journal_each(journal, see, &seen, NULL), 0);
  return seen;
}

/* Every end is forgotten, and nothing is open. */
static bool is_clear(const struct dk_journal *journal) {
  return !journal->is_open_start && journal->forgotten + 1 >= journal->next_seq;
}

static void found_again(void **state) {
  (void)state;
  struct dk_journal journal;
  assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
  assert_true(is_clear(&journal));
  begin(&journal, 1);
  assert_false(is_clear(&journal));
  assert_int_equal(end(&journal, 1), 1);
  begin(&journal, 2);
  assert_int_equal(end(&journal, 2), 2);
  begin(&journal, 3);
  dk_journal_close(&journal);
  assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
  assert_true(journal.is_open_start && journal.start.id.n == 3 && journal.start.cpus == 2 &&
              journal.start.boot[0] == 1);
  assert_int_equal(look(&journal).n, 2);
  dk_journal_forget(&journal, 1);
  assert_int_equal(look(&journal).first, 2);
  assert_int_equal(end(&journal, 3), 3);
  dk_journal_close(&journal);
  assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
  assert_false(journal.is_open_start);
  assert_int_equal(look(&journal).n, 2);
  dk_journal_forget(&journal, 3);
  assert_true(is_clear(&journal));
  dk_journal_close(&journal);
  assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
  assert_true(is_clear(&journal));
  assert_int_equal(look(&journal).n, 0);
  dk_journal_close(&journal);
}

/* Cut off after every byte: always a prefix of what was written, never something else. */
static void cut_off(void **state) {
  (void)state;
  struct dk_journal journal;
  assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
  unsigned current = journal.current;
  begin(&journal, 1);
  end(&journal, 1);
  uint64_t full = journal.end[current];
  begin(&journal, 2);
  end(&journal, 2);
  uint64_t size = journal.end[current];
  dk_journal_close(&journal);
  char name[16], file[100];
  snprintf(name, sizeof name, "journal.%u", current);
  snprintf(file, sizeof file, "%s/%s", path, name);
  dk_autobuf bytes = DK_BUF_INIT;
  assert_int_equal(dk_fs_read(file, 1 << 20, &bytes, NULL), 0);
  for (uint64_t len = size; len > 40; len--) {
    dk_autobuf cut = DK_BUF_INIT;
    dk_buf_add(&cut, bytes.data, len);
    dk_buf_add_repeat(&cut, (char)0xee, bytes.len - len);
    assert_int_equal(dk_fs_write(file, cut.data, cut.len, 0600, false, NULL), 0);
    assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
    int n = look(&journal).n;
    assert_int_equal(n, len == size ? 2 : len >= full ? 1 : 0);
    dk_journal_close(&journal);
  }
}

static void worn(void **state) {
  (void)state;
  struct dk_journal journal;
  assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
  unsigned turns = 0, current = journal.current;
  for (uint64_t n = 1; n <= 40000; n++) {
    begin(&journal, n);
    assert_true(end(&journal, (int32_t)n) == n);
    if (n > 50) dk_journal_forget(&journal, n - 50);
    if (journal.current != current) turns++;
    current = journal.current;
    if (n % 7001 != 0) continue;
    dk_journal_close(&journal);
    assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
    assert_int_equal(journal.current, current);
    struct seen seen = look(&journal);
    assert_int_equal(seen.n, 50);
    assert_true(seen.last == n);
  }
  assert_true(turns >= 2);
  struct stat st;
  char file[100];
  for (int i = 0; i < 2; i++) {
    snprintf(file, sizeof file, "%s/journal.%d", path, i);
    assert_int_equal(stat(file, &st), 0);
    assert_true(st.st_size < 2 << 20);
  }
  dk_journal_close(&journal);
}

static void garbage(void **state) {
  (void)state;
  char file[100], noise[5000];
  for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)(i * i * 31 + 7);
  for (int i = 0; i < 2; i++) {
    snprintf(file, sizeof file, "%s/journal.%d", path, i);
    assert_int_equal(dk_fs_write(file, noise, sizeof noise, 0600, false, NULL), 0);
  }
  struct dk_journal journal;
  assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
  assert_true(is_clear(&journal));
  begin(&journal, 1);
  end(&journal, 1);
  assert_int_equal(look(&journal).n, 1);
  dk_journal_close(&journal);
}

/* Who only looks sees the last start and whether it ended, and makes no files. */
static void looked_at(void **state) {
  (void)state;
  struct dk_journal journal;
  struct dk_journal_start start;
  struct stat st;
  bool is_open;
  assert_int_equal(dk_journal_look(dir, &start, &is_open), -ENOENT);
  assert_int_equal(fstatat(dir, "journal.0", &st, 0), -1);
  assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
  assert_int_equal(dk_journal_look(dir, &start, &is_open), -ENOENT);
  for (uint64_t n = 1; n < 20000; n++) { /* the files are changed on the way */
    begin(&journal, n);
    if (n % 500 == 0) {
      assert_int_equal(dk_journal_look(dir, &start, &is_open), 0);
      assert_true(is_open && start.id.inc == 3 && start.id.n == n);
    }
    uint64_t seq = end(&journal, (int32_t)n);
    if (n % 500 == 0) {
      assert_int_equal(dk_journal_look(dir, &start, &is_open), 0);
      assert_true(!is_open && start.id.n == n);
    }
    dk_journal_forget(&journal, seq);
  }
  dk_journal_close(&journal);
}

/* --- copies --- */

static void read_journal(int which, struct dk_buf *ret) {
  char file[100];
  snprintf(file, sizeof file, "%s/journal.%d", path, which);
  assert_int_equal(dk_fs_read(file, 1 << 20, ret, NULL), 0);
}

/* Heads as they were before they said their folder. */
static void forget_folder(void) {
  for (int i = 0; i < 2; i++) {
    char file[100];
    dk_autobuf bytes = DK_BUF_INIT;
    read_journal(i, &bytes);
    memset(bytes.data + 16, 0, 12);
    uint32_t crc = dk_crc32c(bytes.data, 28, 0);
    for (unsigned b = 0; b < 4; b++) bytes.data[28 + b] = (char)(uint8_t)(crc >> (8 * b));
    snprintf(file, sizeof file, "%s/journal.%d", path, i);
    assert_int_equal(dk_fs_write(file, bytes.data, bytes.len, 0600, false, NULL), 0);
  }
}

/* The folder is copied as `cp -a` does, or with hard links (`cp -al`); what follows is about the copy. */
static void go_to_copy(bool is_linked, char ret_original[64]) {
  char copy[64];
  strcpy(copy, "/tmp/dk-journal-XXXXXX");
  assert_non_null(mkdtemp(copy));
  char command[200];
  snprintf(command, sizeof command, "cp -a%s %s/journal.? %s", is_linked ? "l" : "", path, copy);
  assert_int_equal(system(command), 0); /* NOLINT: what a person does */
  int to = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true(to >= 0);
  close(dir);
  dir = to;
  strcpy(ret_original, path);
  strcpy(path, copy);
}

static void go_back(const char *original) {
  assert_int_equal(dk_fs_remove_tree(path, NULL), 0);
  close(dir);
  strcpy(path, original);
  dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true(dir >= 0);
}

/* An open start and an end that nobody acknowledged. */
static void fill(void) {
  struct dk_journal journal;
  assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
  begin(&journal, 1);
  end(&journal, 1);
  begin(&journal, 2);
  dk_journal_close(&journal);
}

static void check_filled(void) {
  struct dk_journal journal;
  assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
  assert_true(!journal.was_copied && journal.is_open_start && journal.start.id.n == 2);
  struct seen seen = look(&journal);
  assert_true(seen.n == 1 && seen.first == 1);
  dk_journal_close(&journal);
}

static void copied(void **state) {
  (void)state;
  struct dk_journal journal;
  struct dk_journal_start start;
  bool is_open;
  char original[64];
  fill();
  for (int is_linked = 0; is_linked < 2; is_linked++) {
    go_to_copy(is_linked, original);
    assert_int_equal(dk_journal_look(dir, &start, &is_open), -ENOENT);
    assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
    assert_true(journal.was_copied && is_clear(&journal));
    assert_int_equal(look(&journal).n, 0);
    begin(&journal, 7);
    assert_int_equal(end(&journal, 7), 1);
    dk_journal_close(&journal);
    /* From now on it is the copy's own. */
    assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
    assert_true(!journal.was_copied);
    assert_int_equal(look(&journal).first, 1);
    dk_journal_close(&journal);
    go_back(original);
    check_filled();
  }
}

/* Killed when one of the copy's files was removed: the other one is still a copy. */
static void half_removed(void **state) {
  (void)state;
  struct dk_journal journal;
  for (int kept = 0; kept < 2; kept++) {
    char original[64];
    fill();
    go_to_copy(false, original);
    assert_int_equal(unlinkat(dir, kept == 0 ? "journal.1" : "journal.0", 0), 0);
    assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
    assert_true(journal.was_copied && is_clear(&journal));
    dk_journal_close(&journal);
    go_back(original);
  }
}

static void moved(void **state) {
  (void)state;
  fill();
  char to[80];
  snprintf(to, sizeof to, "%s-moved", path);
  assert_int_equal(rename(path, to), 0);
  close(dir);
  dir = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true(dir >= 0);
  strcpy(path, to);
  check_filled();
}

/* What an earlier version wrote is this folder's, and says so from then on. */
static void unsaid(void **state) {
  (void)state;
  struct dk_journal journal;
  char original[64];
  fill();
  forget_folder();
  struct dk_journal_start start;
  bool is_open;
  assert_int_equal(dk_journal_look(dir, &start, &is_open), 0);
  assert_true(is_open && start.id.n == 2 && start.cpus == 2 && start.keeper == 100 && start.keeper_start_ticks == 9);
  check_filled();
  go_to_copy(false, original);
  assert_int_equal(dk_journal_open(&journal, dir, NULL), 0);
  assert_true(journal.was_copied);
  dk_journal_close(&journal);
  go_back(original);
  check_filled();
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {TEST(found_again), TEST(cut_off),      TEST(worn),  TEST(garbage), TEST(looked_at),
                                     TEST(copied),      TEST(half_removed), TEST(moved), TEST(unsaid)};
  return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
