/* JSON strings and numbers as they are written. */
#include "engine/report/json.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_strings(void **state) {
  static const struct {
    const char *in;
    size_t len;
    const char *out;
  } cases[] = {
      {"", 0, "\"\""},
      {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
      {"\n\t\x01\x7f", 4, "\"\\u000a\\u0009\\u0001\\u007f\""},
      {"\0x", 2, "\"\\u0000x\""},
      {"\xc3\xa9", 2, "\"\xc3\xa9\""},
      {"a\xff"
       "b",
       3,
       "\"a\xef\xbf\xbd"
       "b\""},
      {"\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dk_autobuf out = DK_BUF_INIT;
    dk_json_add_string(&out, cases[i].in, cases[i].len);
    assert_string_equal(dk_buf_text(&out), cases[i].out);
  }
}

static void test_numbers(void **state) {
  static const char *const numbers[] = {"0", "-0", "96.10", "1e5", "1E+5", "-1.5e-7", "10"};
  static const char *const others[] = {"",    "-",  "01",  ".5",  "5.",  "1e",      "+1",
                                       "NaN", "1 ", "0x1", "1e+", "--1", "Infinity"};
  (void)state;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    dk_autobuf out = DK_BUF_INIT;
    dk_json_add_number_text(&out, numbers[i], strlen(numbers[i]));
    assert_string_equal(dk_buf_text(&out), numbers[i]);
  }
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    dk_autobuf out = DK_BUF_INIT;
    dk_json_add_number_text(&out, others[i], strlen(others[i]));
    assert_int_equal(out.data[0], '"');
    assert_int_equal(out.len, strlen(others[i]) + 2);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_strings), cmocka_unit_test(test_numbers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
