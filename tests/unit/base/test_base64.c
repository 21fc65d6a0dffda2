/* RFC 4648, 10: its vectors. */
#include "lang/base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void vectors(void **state) {
  static const char *const wanted[][2] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {"\xfb\xff\xbe", "+/++"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    dk_autobuf out = DK_BUF_INIT;
    dk_buf_add_text(&out, ">");
    dk_base64_add(&out, wanted[i][0], strlen(wanted[i][0]));
    assert_string_equal(dk_buf_text(&out) + 1, wanted[i][1]);
    assert_int_equal(out.len, strlen(wanted[i][1]) + 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(vectors)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
