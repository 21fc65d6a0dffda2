/* The buffer: appends, its sticky failure at every allocation, reserving, stealing. */
#include "lang/base/alloc.h"
#include "lang/base/buf.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_appends(void **state) {
  (void)state;
  dk_autobuf buf = DK_BUF_INIT;
  assert_string_equal(dk_buf_text(&buf), "");
  dk_buf_add_text(&buf, "ab");
  dk_buf_add(&buf, "c\0d", 3);
  dk_buf_add(&buf, NULL, 0);
  dk_buf_add_char(&buf, 'e');
  dk_buf_add_repeat(&buf, '-', 3);
  dk_buf_add_int(&buf, 12);
  dk_buf_printf(&buf, "%s", "x");
  assert_int_equal(buf.len, 12);
  assert_memory_equal(buf.data, "abc\0de---12x", 13);
  dk_buf_truncate(&buf, 2);
  dk_buf_truncate(&buf, 100);
  assert_string_equal(dk_buf_text(&buf), "ab");
  dk_buf_clear(&buf);
  assert_string_equal(dk_buf_text(&buf), "");
  assert_true(dk_buf_ok(&buf));
}

static void test_printf_at_each_edge(void **state) {
  (void)state;
  for (int before = 0; before < 200; before++) {
    dk_autobuf buf = DK_BUF_INIT;
    dk_buf_add_repeat(&buf, 'x', (size_t)before);
    dk_buf_printf(&buf, "%0*d", 150, 7);
    assert_int_equal(buf.len, (size_t)before + 150);
    assert_int_equal(strlen(buf.data), buf.len);
    assert_int_equal(buf.data[buf.len - 1], '7');
  }
}

static void test_reserve(void **state) {
  (void)state;
  dk_autobuf buf = DK_BUF_INIT;
  dk_buf_add_text(&buf, "a");
  char *at = dk_buf_reserve(&buf, 1000);
  assert_non_null(at);
  assert_string_equal(dk_buf_text(&buf), "a");
  memset(at, 'b', 1000);
  dk_buf_commit(&buf, 2);
  assert_string_equal(dk_buf_text(&buf), "abb");
  assert_null(dk_buf_reserve(&buf, SIZE_MAX - 1));
  assert_false(dk_buf_ok(&buf));
  dk_buf_add_text(&buf, "more");
  dk_buf_commit(&buf, 5); /* without effect: there was no room given */
  assert_string_equal(dk_buf_text(&buf), "abb");
}

static void test_steal(void **state) {
  (void)state;
  struct dk_buf buf = DK_BUF_INIT;
  dk_autofree char *empty = dk_buf_steal(&buf);
  assert_string_equal(empty, "");
  dk_buf_add_text(&buf, "text");
  dk_autofree char *text = dk_buf_steal(&buf);
  assert_string_equal(text, "text");
  assert_null(buf.data);
  assert_int_equal(buf.len, 0);
}

static void append_all(struct dk_buf *buf) {
  for (int i = 0; i < 20; i++) {
    dk_buf_add_text(buf, "twelve bytes");
    dk_buf_printf(buf, "%30d", i);
    dk_buf_add_repeat(buf, '.', 20);
    dk_buf_add_shell_word(buf, "it's", 4);
    dk_buf_add_escaped(buf, "\n\xff", 2);
    if (dk_buf_reserve(buf, 50)) dk_buf_commit(buf, 0);
  }
}

static void test_every_failure(void **state) {
  (void)state;
  uint64_t n = 1;
  for (;; n++) {
    struct dk_buf buf = DK_BUF_INIT;
    dk_alloc_fail_at(n);
    append_all(&buf);
    dk_alloc_fail_at(0);
    if (dk_buf_ok(&buf)) {
      dk_buf_finish(&buf);
      break;
    }
    size_t len = buf.len;
    dk_buf_add_text(&buf, "sticky, although there is memory again");
    assert_int_equal(buf.len, len);
    assert_int_equal(strlen(dk_buf_text(&buf)), len); /* still terminated, nothing half */
    assert_null(dk_buf_steal(&buf));
    assert_null(buf.data);
    assert_true(dk_buf_ok(&buf));
  }
  assert_true(n > 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_appends), cmocka_unit_test(test_printf_at_each_edge), cmocka_unit_test(test_reserve),
      cmocka_unit_test(test_steal),   cmocka_unit_test(test_every_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
