/* Columns of text: widths, cutting, padding, clocks. */
#include "engine/report/cell.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_columns(void **state) {
  static const struct {
    const char *text;
    uint32_t columns;
  } cases[] = {
      {"", 0},
      {"abc", 3},
      {"\xc3\xa9", 1},
      {"e\xcc\x81", 1},
      {"\xe6\xbc\xa2\xe5\xad\x97", 4},
      {"\xf0\x9f\x98\x80", 2},
      {"\xff\xfe", 2},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(dk_text_columns(cases[i].text, strlen(cases[i].text)), cases[i].columns);
  }
}

static const char *cut(struct dk_buf *out, const char *text, uint32_t width) {
  dk_buf_clear(out);
  uint32_t used = dk_cell_cut(out, text, strlen(text), width);
  assert_int_equal(used, dk_text_columns(dk_buf_text(out), out->len));
  assert_true(used <= width);
  return dk_buf_text(out);
}

static void test_cut(void **state) {
  dk_autobuf out = DK_BUF_INIT;
  (void)state;
  assert_string_equal(cut(&out, "abcdefghij", 10), "abcdefghij");
  assert_string_equal(cut(&out, "abcdefghij", 9), "abcdef...");
  assert_string_equal(cut(&out, "abcdefghij", 4), "abcd");
  assert_string_equal(cut(&out, "abcdefghij", 0), "");
  /* A wide character is not cut into halves: the column stays free. */
  assert_string_equal(cut(&out, "a\xe6\xbc\xa2\xe5\xad\x97", 2), "a");
}

static void test_padding(void **state) {
  dk_autobuf out = DK_BUF_INIT;
  (void)state;
  dk_cell_left(&out, "ab", 2, 4);
  dk_buf_add_char(&out, '|');
  dk_cell_right(&out, "\xc3\xa9", 2, 3);
  dk_buf_add_char(&out, '|');
  dk_cell_right(&out, "123456789", 9, 4);
  assert_string_equal(dk_buf_text(&out), "ab  |  \xc3\xa9|1234");
}

static void test_clock(void **state) {
  static const struct {
    uint64_t seconds;
    const char *text;
  } cases[] = {{0, "0:00"}, {6, "0:06"}, {754, "12:34"}, {3723, "1:02:03"}, {2 * 86400 + 11045, "2d 03:04:05"}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dk_autobuf out = DK_BUF_INIT;
    dk_clock_text(cases[i].seconds * 1000000000u + 999999999u, &out);
    assert_string_equal(dk_buf_text(&out), cases[i].text);
  }
}

static void test_paint(void **state) {
  (void)state;
  assert_string_equal(dk_paint_on(false, DK_PAINT_RED), "");
  assert_string_equal(dk_paint_off(false), "");
  assert_string_equal(dk_paint_on(true, DK_PAINT_RED), "\x1b[31m");
  assert_string_equal(dk_paint_off(true), "\x1b[0m");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_columns), cmocka_unit_test(test_cut),
                                     cmocka_unit_test(test_padding), cmocka_unit_test(test_clock),
                                     cmocka_unit_test(test_paint)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
