/* The map on the heap and in an arena, with colliding hashes and failing memory; the hash's spread. */
#include "lang/base/alloc.h"
#include "lang/base/map.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool is_equal(const void *ctx, uint32_t item, const void *key) {
  return ((const uint64_t *)ctx)[item] == *(const uint64_t *)key;
}

/* ways: how many different hashes there are; 1 makes all collide. */
static void fill_and_find(struct dk_map *map, uint64_t ways) {
  enum { N = 3000 };
  static uint64_t keys[N];
  for (uint32_t i = 0; i < N; i++) {
    keys[i] = i * 3u;
    uint64_t hash = dk_hash_u64(keys[i] % ways, 0);
    assert_int_equal(dk_map_find(map, hash, is_equal, keys, &keys[i]), DK_MAP_NONE);
    assert_int_equal(dk_map_add(map, hash, i), 0);
  }
  assert_int_equal(map->count, N);
  for (uint64_t key = 0; key < 3 * N; key++) {
    uint32_t wanted = key % 3 == 0 ? (uint32_t)(key / 3) : DK_MAP_NONE;
    assert_int_equal(dk_map_find(map, dk_hash_u64(key % ways, 0), is_equal, keys, &key), wanted);
  }
}

static void test_heap(void **state) {
  (void)state;
  struct dk_map map;
  dk_map_init(&map, NULL);
  fill_and_find(&map, UINT64_MAX);
  dk_map_clear(&map);
  fill_and_find(&map, 7);
  dk_map_finish(&map);
  fill_and_find(&map, 100);
  dk_map_finish(&map);
}

static void test_arena(void **state) {
  (void)state;
  jmp_buf oom;
  struct dk_arena arena;
  struct dk_map map;
  dk_arena_init(&arena, &oom);
  if (setjmp(oom)) fail_msg("no memory");
  dk_map_init(&map, &arena);
  fill_and_find(&map, UINT64_MAX);
  dk_map_finish(&map);
  dk_arena_finish(&arena);
}

static void test_failure_changes_nothing(void **state) {
  (void)state;
  struct dk_map map;
  uint64_t keys[100];
  dk_map_init(&map, NULL);
  for (uint32_t i = 0; i < 100; i++) {
    keys[i] = i;
    dk_alloc_fail_at(1);
    int r = dk_map_add(&map, i, i);
    dk_alloc_fail_at(0);
    if (r != 0) {
      assert_int_equal(r, -ENOMEM);
      assert_int_equal(map.count, i);
      assert_int_equal(dk_map_find(&map, i, is_equal, keys, &keys[i]), DK_MAP_NONE);
      assert_int_equal(dk_map_add(&map, i, i), 0);
    }
    for (uint32_t k = 0; k <= i; k++) assert_int_equal(dk_map_find(&map, k, is_equal, keys, &keys[k]), k);
  }
  dk_map_finish(&map);
}

/* Every bit of a short key, and its length, changes about half of the hash's bits. */
static void test_hash_spread(void **state) {
  (void)state;
  unsigned char bytes[24] = "the key of a small map";
  uint64_t whole = dk_hash_bytes(bytes, 24, 0);
  for (unsigned bit = 0; bit < 8 * 24; bit++) {
    bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    int changed = __builtin_popcountll(whole ^ dk_hash_bytes(bytes, 24, 0));
    bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    assert_in_range(changed, 12, 52);
  }
  for (size_t len = 0; len < 24; len++) {
    assert_in_range(__builtin_popcountll(dk_hash_bytes(bytes, len, 0) ^ dk_hash_bytes(bytes, len + 1, 0)), 12, 52);
  }
  static const unsigned char zeros[32];
  assert_true(dk_hash_bytes(zeros, 8, 0) != dk_hash_bytes(zeros, 16, 0));
  assert_true(dk_hash_bytes(zeros, 8, 0) != dk_hash_bytes(zeros, 8, 1));
  for (uint64_t i = 0; i < 1000; i++) {
    assert_in_range(__builtin_popcountll(dk_hash_u64(i, 0) ^ dk_hash_u64(i + 1, 0)), 10, 54);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_heap),
      cmocka_unit_test(test_arena),
      cmocka_unit_test(test_failure_changes_nothing),
      cmocka_unit_test(test_hash_spread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
