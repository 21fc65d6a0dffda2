/* The arena: zeroed and aligned memory, growth, the jump when memory is short at any allocation. */
#include "lang/base/alloc.h"
#include "lang/base/arena.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_zeroed_and_aligned(void **state) {
  (void)state;
  jmp_buf oom;
  struct dk_arena arena;
  dk_arena_init(&arena, &oom);
  if (setjmp(oom)) fail_msg("no memory");
  unsigned char *last = NULL;
  for (size_t size = 0; size < 3000; size += 7) {
    unsigned char *at = dk_arena_alloc(&arena, size);
    assert_int_equal((uintptr_t)at % 16, 0);
    assert_ptr_not_equal(at, last);
    for (size_t i = 0; i < size; i++) assert_int_equal(at[i], 0);
    memset(at, 0xff, size);
    last = at;
  }
  dk_arena_finish(&arena);
  dk_arena_finish(&arena);
  assert_int_equal(arena.total, 0);
}

static void test_small(void **state) {
  (void)state;
  jmp_buf oom;
  struct dk_arena arena;
  dk_arena_init_small(&arena, &oom, 100);
  if (setjmp(oom)) fail_msg("no memory");
  (void)dk_arena_alloc(&arena, 40);
  assert_true(arena.total < 400);
  unsigned char *at = dk_arena_alloc(&arena, 5000); /* beyond its first block */
  for (size_t i = 0; i < 5000; i++) assert_int_equal(at[i], 0);
  dk_arena_finish(&arena);
  (void)dk_arena_alloc(&arena, 40); /* small again */
  assert_true(arena.total < 400);
  dk_arena_finish(&arena);
}

static void test_large(void **state) {
  (void)state;
  jmp_buf oom;
  struct dk_arena arena;
  dk_arena_init(&arena, &oom);
  if (setjmp(oom)) fail_msg("no memory");
  char *first = dk_arena_alloc(&arena, 5u << 20); /* before there is any block */
  char *small = dk_arena_alloc(&arena, 10);
  char *at = arena.at;
  char *large = dk_arena_alloc(&arena, 3u << 20);
  assert_ptr_equal(arena.at, at); /* the head block is still in use */
  memset(first, 1, 5u << 20);
  memset(large, 2, 3u << 20);
  assert_int_equal(small[9], 0);
  assert_true(arena.total >= 8u << 20 && arena.total < 10u << 20);
  dk_arena_finish(&arena);
}

static void test_texts(void **state) {
  (void)state;
  jmp_buf oom;
  struct dk_arena arena;
  dk_arena_init(&arena, &oom);
  if (setjmp(oom)) fail_msg("no memory");
  assert_string_equal(dk_arena_strndup(&arena, "abcdef", 3), "abc");
  assert_string_equal(dk_arena_strndup(&arena, NULL, 0), "");
  assert_string_equal(dk_arena_printf(&arena, "%s-%d", "x", 7), "x-7");
  assert_int_equal(strlen(dk_arena_printf(&arena, "%5000d", 1)), 5000);
  assert_memory_equal(dk_arena_memdup(&arena, "a\0b", 3), "a\0b", 3);
  dk_arena_finish(&arena);
}

static void test_push(void **state) {
  (void)state;
  jmp_buf oom;
  struct dk_arena arena;
  dk_arena_init(&arena, &oom);
  if (setjmp(oom)) fail_msg("no memory");
  int *list = NULL;
  uint32_t n = 0, cap = 0;
  for (int i = 0; i < 1000; i++) dk_arena_push(&arena, list, n, cap) = i;
  assert_int_equal(n, 1000);
  assert_true(cap >= 1000 && cap <= 2000);
  for (int i = 0; i < 1000; i++) assert_int_equal(list[i], i);
  dk_arena_finish(&arena);
}

/* 1: jumped, 0: finished. */
static int work_until_short(struct dk_arena *arena) {
  jmp_buf oom;
  dk_arena_init(arena, &oom);
  if (setjmp(oom)) return 1;
  char *list = NULL;
  uint32_t n = 0, cap = 0;
  for (int i = 0; i < 5000; i++) dk_arena_push(arena, list, n, cap) = 'x';
  for (int i = 0; i < 100; i++) dk_arena_printf(arena, "%d %1000d", i, i);
  dk_arena_alloc(arena, 1u << 20);
  return 0;
}

static void test_every_failure(void **state) {
  (void)state;
  uint64_t n = 1;
  for (;; n++) {
    struct dk_arena arena;
    dk_alloc_fail_at(n);
    int jumped = work_until_short(&arena);
    dk_alloc_fail_at(0);
    dk_arena_finish(&arena); /* the leak checker watches */
    if (!jumped) break;
  }
  assert_true(n > 3);
}

static void test_overflow_jumps(void **state) {
  (void)state;
  jmp_buf oom;
  struct dk_arena arena;
  dk_arena_init(&arena, &oom);
  volatile int jumps = 0;
  if (setjmp(oom)) jumps++;
  if (jumps == 0) dk_arena_calloc(&arena, SIZE_MAX / 2, 3);
  if (jumps == 1) dk_arena_alloc(&arena, SIZE_MAX);
  if (jumps == 2) dk_arena_alloc(&arena, SIZE_MAX / 2 - 70);
  if (jumps == 3) dk_arena_strndup(&arena, "", SIZE_MAX);
  assert_int_equal(jumps, 4);
  dk_arena_finish(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_zeroed_and_aligned),
      cmocka_unit_test(test_large),
      cmocka_unit_test(test_small),
      cmocka_unit_test(test_texts),
      cmocka_unit_test(test_push),
      cmocka_unit_test(test_every_failure),
      cmocka_unit_test(test_overflow_jumps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
