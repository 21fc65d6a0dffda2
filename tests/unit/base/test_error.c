/* Error texts: the system's words, prefixes, help lines, what is cut, what is escaped. */
#include "lang/base/error.h"
#include "lang/base/text.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_set(void **state) {
  (void)state;
  struct dk_error error = {0};
  assert_int_equal(dk_error_set(&error, -EINVAL, "bad %s", "thing"), -EINVAL);
  assert_int_equal(error.code, -EINVAL);
  assert_string_equal(error.text, "bad thing");
  assert_int_equal(dk_error_set(NULL, -EIO, "unread"), -EIO);
  assert_int_equal(dk_error_system(NULL, -EIO, "unread"), -EIO);
  assert_int_equal(dk_error_prefix(NULL, "unread"), -EIO);
}

static void test_system(void **state) {
  (void)state;
  struct dk_error error = {0};
  dk_error_system(&error, -ENOENT, "cannot open %s\nhelp: is it there?", "a.dk");
  assert_string_equal(error.text, "cannot open a.dk: No such file or directory\nhelp: is it there?");
  dk_error_system(&error, -9999, "cannot");
  assert_string_equal(error.text, "cannot: error 9999");
}

static void test_prefix(void **state) {
  (void)state;
  struct dk_error error = {0};
  dk_error_system(&error, -ENOSPC, "writing\nhelp: make room");
  assert_int_equal(dk_error_prefix(&error, "run %d", 3), -ENOSPC);
  assert_string_equal(error.text, "run 3: writing: No space left on device\nhelp: make room");
}

static void test_escaped(void **state) {
  (void)state;
  struct dk_error error = {0};
  dk_error_set(&error, -EINVAL, "file %s", "a\nb\x1b[2J\xff");
  assert_string_equal(error.text, "file a\\nb\\x1b[2J\\xff");
}

static void test_cut(void **state) {
  (void)state;
  char longest[3000];
  for (size_t i = 0; i < sizeof longest - 1; i += 2) memcpy(longest + i, "\xc3\xa4", 2);
  longest[sizeof longest - 2] = '\0';
  for (size_t skip = 0; skip < 2; skip++) {
    struct dk_error error = {0};
    dk_error_set(&error, -EIO, "%s%s", skip ? "x" : "", longest);
    size_t len = strlen(error.text);
    assert_true(len < sizeof error.text && len > sizeof error.text - 10);
    assert_string_equal(error.text + len - 3, "...");
    assert_true(dk_utf8_is_valid(error.text, len));
    dk_error_prefix(&error, "%s", "before");
    assert_memory_equal(error.text, "before: ", 8);
    assert_true(dk_utf8_is_valid(error.text, strlen(error.text)));
  }
}

static void test_kinds(void **state) {
  (void)state;
  assert_true(dk_error_is_full(-ENOSPC) && dk_error_is_full(-EDQUOT) && !dk_error_is_full(-EIO));
  assert_true(dk_error_is_disk(-EDQUOT) && dk_error_is_disk(-EIO) && dk_error_is_disk(-EROFS));
  assert_true(dk_error_is_limit(-EMFILE) && dk_error_is_limit(-ENFILE) && !dk_error_is_limit(-ENOMEM));
  assert_true(dk_error_is_machine(-ENOMEM) && dk_error_is_machine(-EMFILE) && dk_error_is_machine(-ENOSPC));
  const int others[] = {0, ENOSPC, -ENOENT, -EAGAIN, -EBADMSG, -EINVAL};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_false(dk_error_is_machine(others[i]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_set),     cmocka_unit_test(test_system), cmocka_unit_test(test_prefix),
      cmocka_unit_test(test_escaped), cmocka_unit_test(test_cut),    cmocka_unit_test(test_kinds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
