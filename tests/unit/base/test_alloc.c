/* The heap's door: counting, failing from the Nth on, sizes that overflow. */
#include "lang/base/alloc.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_plain(void **state) {
  (void)state;
  char *zero = dk_alloc(0);
  assert_non_null(zero);
  dk_free(zero);
  unsigned char *cleared = dk_calloc(100, 3);
  assert_non_null(cleared);
  for (int i = 0; i < 300; i++) assert_int_equal(cleared[i], 0);
  dk_free(cleared);
  dk_autofree char *a = dk_strdup("");
  dk_autofree char *b = dk_strndup("a\0bc", 3);
  dk_autofree char *c = dk_memdup("xyz", 3);
  assert_string_equal(a, "");
  assert_memory_equal(b, "a\0b", 4);
  assert_memory_equal(c, "xyz", 3);
  dk_free(NULL);
}

static void test_overflow(void **state) {
  (void)state;
  char *kept = dk_strdup("kept");
  volatile size_t huge = SIZE_MAX / 2 + 1; /* or the compiler sees it and warns */
  assert_null(dk_calloc(huge, 2));
  assert_null(dk_realloc_array(kept, huge, 2));
  assert_string_equal(kept, "kept");
  assert_null(dk_strndup(kept, SIZE_MAX));
  kept = dk_realloc_array(kept, 0, 8);
  assert_non_null(kept);
  dk_free(kept);
}

static void test_grow(void **state) {
  (void)state;
  uint64_t *items = NULL;
  uint32_t n = 0, cap = 0;
  dk_alloc_fail_at(0);
  while (n < 1000) {
    assert_true(dk_grow(items, n, cap));
    items[n] = n;
    n++;
  }
  assert_in_range(dk_alloc_count(), 1, 10); /* doubled */
  for (uint32_t i = 0; i < n; i++) assert_int_equal(items[i], i);
  uint64_t *old = items;
  n = cap;
  dk_alloc_fail_at(1);
  assert_false(dk_grow(items, n, cap));
  dk_alloc_fail_at(0);
  assert_ptr_equal(items, old);
  assert_int_equal(cap, n);
  assert_int_equal(items[999], 999);
  dk_free(items);
}

/* Capacities that their type, or memory, cannot hold twice. */
static void test_grow_overflow(void **state) {
  (void)state;
  char *small = NULL;
  uint64_t *large = NULL;
  uint32_t full = UINT32_MAX / 2 + 1;
  size_t sizes[] = {SIZE_MAX / 2 + 1, SIZE_MAX / 8};
  assert_false(dk_grow(small, full, full));
  assert_int_equal(full, UINT32_MAX / 2 + 1);
  for (int i = 0; i < 2; i++) {
    size_t cap = sizes[i];
    assert_false(dk_grow(large, cap, cap));
    assert_int_equal(cap, sizes[i]);
  }
  assert_null(small);
  assert_null(large);
}

static void test_fail_at(void **state) {
  (void)state;
  dk_alloc_fail_at(3);
  void *first = dk_alloc(1), *second = dk_calloc(1, 1);
  assert_non_null(first);
  assert_non_null(second);
  assert_null(dk_strdup("third"));
  assert_null(dk_realloc_array(first, 10, 10)); /* and all that follow; first is still ours */
  assert_null(dk_memdup("x", 1));
  assert_int_equal(dk_alloc_count(), 5);
  dk_alloc_fail_at(0);
  assert_int_equal(dk_alloc_count(), 0);
  first = dk_realloc_array(first, 10, 10);
  assert_non_null(first);
  dk_free(first);
  dk_free(second);
}

static void test_environment(void **state) {
  (void)state;
  setenv("DK_FAIL_ALLOC", "1", 1);
  dk_alloc_init();
  assert_null(dk_alloc(1));
  dk_alloc_fail_at(0);
  unsetenv("DK_FAIL_ALLOC");
  dk_alloc_init();
  void *fine = dk_alloc(1);
  assert_non_null(fine);
  dk_free(fine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plain),         cmocka_unit_test(test_overflow), cmocka_unit_test(test_grow),
      cmocka_unit_test(test_grow_overflow), cmocka_unit_test(test_fail_at),  cmocka_unit_test(test_environment),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
