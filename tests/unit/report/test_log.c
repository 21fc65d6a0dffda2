/* Logs: inline ones, files that grow, tails at every position, holes, files that became shorter. */
#include "engine/report/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char dir[] = "/tmp/dk-log-XXXXXX";

static int make_dir(void **state) {
  (void)state;
  return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
  (void)state;
  char path[64];
  snprintf(path, sizeof path, "%s/log", dir);
  unlink(path);
  return rmdir(dir);
}

static const char *log_path(void) {
  static char path[64];
  snprintf(path, sizeof path, "%s/log", dir);
  return path;
}

static void write_file(const char *text, size_t len, int flags) {
  int fd = open(log_path(), O_WRONLY | O_CREAT | flags, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, len), len);
  close(fd);
}

static const char *read_all(struct dk_log *log, struct dk_buf *out) {
  struct dk_error error = {0};
  dk_buf_clear(out);
  while (dk_log_read(log, out, 3, &error) > 0) {}
  assert_int_equal(error.code, 0);
  return dk_buf_text(out);
}

static void test_inline(void **state) {
  (void)state;
  struct dk_error error = {0};
  dk_autobuf out = DK_BUF_INIT;
  struct dk_log log;
  struct dk_kept kept = {.bytes = (char *)(uintptr_t) "one\ntwo\n", .size = 8, .total = 8};
  assert_int_equal(dk_log_open_kept(&log, &kept, NULL, &error), 0);
  assert_string_equal(read_all(&log, &out), "one\ntwo\n");
  dk_log_finish(&log);
  struct dk_kept empty = {0};
  assert_int_equal(dk_log_open_kept(&log, &empty, NULL, &error), 0);
  assert_string_equal(read_all(&log, &out), "");
  dk_log_finish(&log);
}

static void assert_tail(const char *text, uint64_t lines, const char *expected) {
  struct dk_error error = {0};
  dk_autobuf out = DK_BUF_INIT;
  struct dk_log log;
  struct dk_kept kept = {.bytes = (char *)(uintptr_t)text, .size = strlen(text), .total = strlen(text)};
  assert_int_equal(dk_log_open_kept(&log, &kept, NULL, &error), 0);
  assert_int_equal(dk_log_tail(&log, lines, &error), 0);
  assert_string_equal(read_all(&log, &out), expected);
  dk_log_finish(&log);
  write_file(text, strlen(text), O_TRUNC);
  assert_int_equal(dk_log_open_file(&log, log_path(), &error), 0);
  assert_int_equal(dk_log_tail(&log, lines, &error), 0);
  assert_string_equal(read_all(&log, &out), expected);
  dk_log_finish(&log);
}

static void test_tail(void **state) {
  (void)state;
  assert_tail("a\nb\nc\n", 0, "");
  assert_tail("a\nb\nc\n", 1, "c\n");
  assert_tail("a\nb\nc", 1, "c");
  assert_tail("a\nb\nc", 2, "b\nc");
  assert_tail("a\nb\nc\n", 3, "a\nb\nc\n");
  assert_tail("a\nb\nc\n", 99, "a\nb\nc\n");
  assert_tail("\n\n\n", 2, "\n\n");
  assert_tail("", 5, "");
}

/* A line's start on each side of the chunks that the search reads. */
static void test_tail_at_chunk_edges(void **state) {
  (void)state;
  struct dk_error error = {0};
  for (size_t last = 65534; last <= 65538; last++) {
    dk_autobuf text = DK_BUF_INIT, out = DK_BUF_INIT;
    struct dk_log log;
    dk_buf_add_repeat(&text, 'x', 1000);
    dk_buf_add_char(&text, '\n');
    dk_buf_add_repeat(&text, 'y', last);
    write_file(text.data, text.len, O_TRUNC);
    assert_int_equal(dk_log_open_file(&log, log_path(), &error), 0);
    assert_int_equal(dk_log_tail(&log, 1, &error), 0);
    assert_int_equal(log.at, 1001);
    dk_log_finish(&log);
  }
}

static void test_growing(void **state) {
  (void)state;
  struct dk_error error = {0};
  dk_autobuf out = DK_BUF_INIT;
  struct dk_log log;
  write_file("one\n", 4, O_TRUNC);
  assert_int_equal(dk_log_open_file(&log, log_path(), &error), 0);
  assert_string_equal(read_all(&log, &out), "one\n");
  write_file("two\n", 4, O_APPEND);
  assert_string_equal(read_all(&log, &out), "two\n");
  write_file("", 0, O_TRUNC); /* the slot's next task */
  assert_int_equal(dk_log_read(&log, &out, 100, &error), -ESTALE);
  dk_log_finish(&log);
  assert_int_equal(dk_log_open_file(&log, "/nonexistent/log", &error), -ENOENT);
  dk_log_finish(&log);
}

/* As the agent caps a log: its middle is a hole, its size is what it was. */
static void test_hole(void **state) {
  (void)state;
  struct dk_error error = {0};
  dk_autobuf out = DK_BUF_INIT;
  struct dk_log log;
  write_file("head", 4, O_TRUNC);
  int fd = open(log_path(), O_RDWR);
  assert_int_equal(ftruncate(fd, 4 << 20), 0);
  assert_int_equal(pwrite(fd, "tail", 4, 4 << 20), 4);
  if (lseek(fd, 65536, SEEK_DATA) < 1 << 20) {
    close(fd);
    skip(); /* a file system without holes */
  }
  close(fd);
  assert_int_equal(dk_log_open_file(&log, log_path(), &error), 0);
  dk_buf_clear(&out);
  while (dk_log_read(&log, &out, 65536, &error) > 0) {}
  dk_log_finish(&log);
  assert_int_equal(error.code, 0);
  assert_memory_equal(out.data, "head", 4);
  assert_memory_equal(out.data + out.len - 4, "tail", 4);
  assert_non_null(memmem(out.data, out.len, " bytes left out]\n", 17));
  assert_true(out.len < 10000);
}

static void test_tail_lines(void **state) {
  (void)state;
  struct dk_error error = {0};
  dk_autobuf out = DK_BUF_INIT;
  struct dk_log log;
  const char *text = "first\nsecond \x1b[31mred\r\nthird, which is much too long for this\n";
  struct dk_kept kept = {.bytes = (char *)(uintptr_t)text, .size = strlen(text), .total = strlen(text)};
  assert_int_equal(dk_log_open_kept(&log, &kept, NULL, &error), 0);
  assert_int_equal(dk_log_tail_lines(&log, 2, "| ", 20, &out, &error), 0);
  assert_string_equal(dk_buf_text(&out), "| second \\x1b[31mred\n| third, which is m...\n");
  dk_log_finish(&log);
}

/* However long the lines before are, the last one is shown. */
static void test_long_lines(void **state) {
  (void)state;
  struct dk_error error = {0};
  dk_autobuf out = DK_BUF_INIT, text = DK_BUF_INIT;
  struct dk_log log;
  for (size_t len = 4090; len < 4100; len++) { /* around what is shown of one */
    dk_buf_clear(&text);
    dk_buf_clear(&out);
    for (int i = 0; i < 3; i++) {
      memset(dk_buf_reserve(&text, len * 40), 'x', len * 40);
      dk_buf_commit(&text, i == 1 ? len * 40 : len);
      dk_buf_add_char(&text, '\n');
    }
    dk_buf_add_text(&text, "the last");
    struct dk_kept kept = {.bytes = text.data, .size = text.len, .total = text.len};
    assert_int_equal(dk_log_open_kept(&log, &kept, NULL, &error), 0);
    assert_int_equal(dk_log_tail_lines(&log, 3, "| ", 10, &out, &error), 0);
    assert_string_equal(dk_buf_text(&out), "| xxxxxxx...\n| xxxxxxx...\n| the last\n");
    dk_log_finish(&log);
  }
}

/* "head", a hole, "\ntail\n"; at most 3 bytes at once. */
struct far {
  int failed;
  bool is_over;
};

static long read_far(void *ctx, uint64_t at, char *to, size_t max, uint64_t *ret_at, uint64_t *ret_end,
                     struct dk_error *error) {
  const struct far *far = ctx;
  static const char tail[] = "\ntail\n";
  const uint64_t hole_end = 100000;
  if (far->failed) {
    return dk_error_set(error, far->failed, "it cannot be reached");
  }
  *ret_at = at;
  *ret_end = far->is_over ? 0 : hole_end + 6;
  if (far->is_over || at >= *ret_end || max == 0) {
    return 0;
  }
  if (at >= 4 && at < hole_end) {
    at = *ret_at = hole_end;
  }
  const char *from = at < 4 ? "head" + at : tail + (at - hole_end);
  size_t n = strlen(from);
  n = n < max ? n : max;
  n = n < 3 ? n : 3;
  memcpy(to, from, n);
  return (long)n;
}

static void test_source(void **state) {
  (void)state;
  struct far far = {0};
  const struct dk_log_source source = {&far, read_far};
  struct dk_error error = {0};
  dk_autobuf out = DK_BUF_INIT;
  struct dk_log log;
  dk_log_open_source(&log, &source);
  while (dk_log_read(&log, &out, 100, &error) > 0) {}
  assert_string_equal(dk_buf_text(&out), "head[99996 bytes left out]\n\ntail\n");
  assert_int_equal(log.at, 100006);
  far.failed = -EHOSTUNREACH;
  assert_int_equal(dk_log_read(&log, &out, 100, &error), -EHOSTUNREACH);
  assert_string_equal(error.text, "it cannot be reached");
  far = (struct far){.is_over = true};
  assert_int_equal(dk_log_read(&log, &out, 100, &error), -ESTALE);
  dk_log_finish(&log);
  far.is_over = false;
  for (uint64_t lines = 0; lines < 4; lines++) { /* back over the hole, which has no lines */
    static const char *const ends[] = {"", "tail\n", "head[99996 bytes left out]\n\ntail\n",
                                       "head[99996 bytes left out]\n\ntail\n"};
    dk_buf_clear(&out);
    dk_log_open_source(&log, &source);
    assert_int_equal(dk_log_tail(&log, lines, &error), 0);
    while (dk_log_read(&log, &out, 100, &error) > 0) {}
    assert_string_equal(dk_buf_text(&out), ends[lines]);
    dk_log_finish(&log);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_inline),     cmocka_unit_test(test_tail),  cmocka_unit_test(test_tail_at_chunk_edges),
      cmocka_unit_test(test_growing),    cmocka_unit_test(test_hole),  cmocka_unit_test(test_tail_lines),
      cmocka_unit_test(test_long_lines), cmocka_unit_test(test_source)};
  return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
