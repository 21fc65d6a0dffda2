/* The check values of RFC 3720, appendix B.4, and the split of an input at every place. */
#include "lang/base/bytes.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_rfc3720(void **state) {
  (void)state;
  unsigned char bytes[48];
  memset(bytes, 0, 32);
  assert_int_equal(dk_crc32c(bytes, 32, 0), 0x8a9136aau);
  memset(bytes, 0xff, 32);
  assert_int_equal(dk_crc32c(bytes, 32, 0), 0x62a8ab43u);
  for (unsigned i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
  assert_int_equal(dk_crc32c(bytes, 32, 0), 0x46dd794eu);
  for (unsigned i = 0; i < 32; i++) bytes[i] = (unsigned char)(31 - i);
  assert_int_equal(dk_crc32c(bytes, 32, 0), 0x113fdb5cu);
  static const unsigned char iscsi_read[48] = {
      0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
      0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0,    0,
  };
  assert_int_equal(dk_crc32c(iscsi_read, 48, 0), 0xd9963a56u);
  assert_int_equal(dk_crc32c("123456789", 9, 0), 0xe3069283u);
  assert_int_equal(dk_crc32c("", 0, 0), 0);
}

static void test_split_anywhere(void **state) {
  (void)state;
  unsigned char bytes[100];
  for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 37);
  uint32_t whole = dk_crc32c(bytes, sizeof bytes, 0);
  for (size_t cut = 0; cut <= sizeof bytes; cut++) {
    assert_int_equal(dk_crc32c(bytes + cut, sizeof bytes - cut, dk_crc32c(bytes, cut, 0)), whole);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rfc3720), cmocka_unit_test(test_split_anywhere)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
