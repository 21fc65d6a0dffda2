/* The bitmap against an array of bools, at sizes around its levels' borders. */
#include "engine/core/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static uint32_t naive_next(const bool *members, uint32_t n, uint32_t from) {
  for (uint32_t i = from; i < n; i++) {
    if (members[i]) return i;
  }
  return UINT32_MAX;
}

static void check_size(uint32_t n) {
  struct dk_bits bits;
  bool *members = calloc(n + 1, 1);
  assert_non_null(members);
  assert_int_equal(dk_bits_init(&bits, n), 0);
  uint64_t random = n;
  uint32_t count = 0;
  for (uint32_t round = 0; n > 0 && round < 3000; round++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    uint32_t i = (uint32_t)(random >> 33) % n, from = (uint32_t)(random >> 20) % (n + 2);
    if (round % 3)
      dk_bits_add(&bits, i);
    else
      dk_bits_remove(&bits, i);
    count = count + (round % 3 && !members[i]) - (round % 3 == 0 && members[i]);
    members[i] = round % 3 != 0;
    assert_int_equal(bits.count, count);
    assert_true(dk_bits_has(&bits, i) == members[i]);
    assert_int_equal(dk_bits_next(&bits, from), naive_next(members, n, from));
  }
  for (uint32_t i = 0; i < n; i++) dk_bits_remove(&bits, i);
  assert_int_equal(dk_bits_next(&bits, 0), UINT32_MAX);
  dk_bits_finish(&bits);
  free(members);
}

static void test_against_naive(void **state) {
  (void)state;
  static const uint32_t sizes[] = {0, 1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097, 5000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) check_size(sizes[i]);
}

static void test_far_apart(void **state) {
  (void)state;
  struct dk_bits bits;
  assert_int_equal(dk_bits_init(&bits, 3000000), 0);
  dk_bits_add(&bits, 5);
  dk_bits_add(&bits, 2999999);
  assert_int_equal(dk_bits_next(&bits, 6), 2999999);
  dk_bits_remove(&bits, 2999999);
  assert_int_equal(dk_bits_next(&bits, 6), UINT32_MAX);
  assert_int_equal(dk_bits_next(&bits, 0), 5);
  dk_bits_finish(&bits);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_naive), cmocka_unit_test(test_far_apart)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
