/* What `why` says of two sets of key parts. */
#include "engine/report/why.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct dk_digest digest(unsigned char n) {
  struct dk_digest d;
  memset(&d, n, sizeof d);
  return d;
}

static void assert_why(const struct dk_key_part *parts, uint32_t n, const struct dk_saved *old, const char *expected) {
  dk_autobuf out = DK_BUF_INIT;
  dk_why_text(parts, n, old, &out);
  assert_string_equal(dk_buf_text(&out), expected);
}

static void test_why(void **state) {
  (void)state;
  struct dk_key_part_record before[] = {{(char *)(uintptr_t) "program", digest(1)},
                                        {(char *)(uintptr_t) "code", digest(2)},
                                        {(char *)(uintptr_t) "input train", digest(3)}};
  const struct dk_saved old = {.run = 12, .parts = before, .n_parts = 3};
  struct dk_key_part now[] = {
      {"program", digest(1)}, {"code", digest(2)}, {"input train", digest(3)}, {"env SEED", digest(9)}};

  assert_why(now, 3, NULL, "never run");
  assert_why(now, 3, &old, "the result of run 12 is gone");
  assert_why(now, 4, &old, "env SEED new since run 12");
  assert_why(now, 2, &old, "input train gone since run 12");
  now[1].digest = digest(7);
  assert_why(now, 3, &old, "code changed since run 12");
  now[2].digest = digest(8);
  assert_why(now, 4, &old, "code, input train changed; env SEED new since run 12");
  now[2].name = "input other";
  assert_why(now, 3, &old, "code changed; input other new; input train gone since run 12");
  now[2].name = "input a\x1b[31m";
  assert_why(now, 3, &old, "code changed; input a\\x1b[31m new; input train gone since run 12");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_why)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
