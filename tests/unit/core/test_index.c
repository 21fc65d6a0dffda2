/* The index with removal, with hashes that collide on purpose. */
#include "engine/core/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool is_item(const void *ctx, uint32_t item, const void *key) {
  (void)ctx;
  return item == *(const uint32_t *)key;
}

static uint64_t hash_of(uint32_t item) {
  return item % 7 ? item * UINT64_C(0x9e3779b97f4a7c15) : 63; /* many at the table's end: probing wraps */
}

static void test_add_find_remove(void **state) {
  (void)state;
  struct dk_index index;
  bool is_there[500] = {false};
  uint64_t random = 1;
  uint32_t n = 0;
  dk_index_init(&index);
  for (uint32_t round = 0; round < 20000; round++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    uint32_t i = (uint32_t)(random >> 33) % 500;
    if (is_there[i])
      dk_index_remove(&index, hash_of(i), i);
    else
      assert_int_equal(dk_index_add(&index, hash_of(i), i), 0);
    n = is_there[i] ? n - 1 : n + 1;
    is_there[i] = !is_there[i];
    assert_int_equal(index.count, n);
    for (uint32_t k = i % 10; k < 500; k += 10) {
      assert_int_equal(dk_index_find(&index, hash_of(k), is_item, NULL, &k), is_there[k] ? k : DK_INDEX_NONE);
    }
  }
  dk_index_finish(&index);
}

static void test_empty(void **state) {
  (void)state;
  struct dk_index index;
  uint32_t key = 3;
  dk_index_init(&index);
  assert_int_equal(dk_index_find(&index, 1, is_item, NULL, &key), DK_INDEX_NONE);
  dk_index_finish(&index);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_add_find_remove), cmocka_unit_test(test_empty)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
