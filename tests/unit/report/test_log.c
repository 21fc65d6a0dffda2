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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_inline),  cmocka_unit_test(test_tail), cmocka_unit_test(test_tail_at_chunk_edges),
      cmocka_unit_test(test_growing), cmocka_unit_test(test_hole), cmocka_unit_test(test_tail_lines)};
  return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
