/* Sizes and durations for people. */
#include "lang/base/number.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_sizes(void **state) {
  (void)state;
  static const struct {
    uint64_t bytes;
    const char *text;
  } cases[] = {
      {0, "0 B"},
      {999, "999 B"},
      {1000, "1000 B"},
      {1024, "1 KiB"},
      {442000, "432 KiB"},
      {441973, "432 KiB"},
      {12345, "12.1 KiB"},
      {999499, "976 KiB"},
      {999999, "977 KiB"},
      {1000ull << 10, "0.98 MiB"},
      {1048576, "1 MiB"},
      {512000000, "488 MiB"},
      {1250000, "1.19 MiB"},
      {512ull << 20, "512 MiB"},
      {(512ull << 20) + 1, "512 MiB"},
      {3ull << 29, "1.5 GiB"},
      {1000ull << 20, "0.98 GiB"},
      {8160437862, "7.6 GiB"},
      {64ull << 30, "64 GiB"},
      {5000000000000, "4.55 TiB"},
      {UINT64_MAX, "16 EiB"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[DK_NUMBER_TEXT];
    dk_number_size_text(cases[i].bytes, text);
    assert_string_equal(text, cases[i].text);
  }
}

static void test_durations(void **state) {
  (void)state;
  const uint64_t second = 1000000000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
  const struct {
    uint64_t nanoseconds;
    const char *text;
  } cases[] = {
      {0, "0 s"},
      {1, "<0.01 ms"},
      {130000, "0.13 ms"},
      {4200000, "4.2 ms"},
      {10000000, "0.01 s"},
      {130000000, "0.13 s"},
      {1500000000, "1.5 s"},
      {2000000000, "2 s"},
      {9960000000, "10 s"},
      {90 * second, "90 s"},
      {119 * second, "119 s"},
      {120 * second, "2m"},
      {119 * second + second / 2, "2m"},
      {150 * second, "2m30s"},
      {3599 * second, "59m59s"},
      {hour, "1h"},
      {90 * minute, "1h30m"},
      {90 * minute + 29 * second, "1h30m"},
      {day - 31 * second, "23h59m"},
      {day - 1, "1d"},
      {2 * day + 4 * hour, "2d4h"},
      {UINT64_MAX, "213504d"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[DK_NUMBER_TEXT];
    dk_number_duration_text(cases[i].nanoseconds, text);
    if (strcmp(text, cases[i].text) != 0)
      fail_msg("%llu ns: %s, wanted %s", (unsigned long long)cases[i].nanoseconds, text, cases[i].text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes), cmocka_unit_test(test_durations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
