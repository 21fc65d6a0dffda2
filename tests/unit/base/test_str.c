/* Interned strings; the nearest name. */
#include "lang/base/str.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_intern(void **state) {
  (void)state;
  jmp_buf oom;
  struct dk_arena arena;
  struct dk_strs strs;
  dk_arena_init(&arena, &oom);
  if (setjmp(oom)) fail_msg("no memory");
  dk_strs_init(&strs, &arena);
  const struct dk_str *first = dk_intern_text(&strs, "name");
  assert_int_equal(first->id, 0);
  assert_int_equal(first->len, 4);
  assert_ptr_equal(dk_intern(&strs, "names", 4), first);
  const struct dk_str *nul = dk_intern(&strs, "a\0b", 3);
  assert_ptr_not_equal(nul, dk_intern(&strs, "a\0c", 3));
  assert_ptr_equal(nul, dk_intern(&strs, "a\0b", 3));
  assert_int_equal(dk_intern(&strs, NULL, 0)->len, 0);
  assert_int_equal(strs.count, 4);
  char text[16];
  for (int i = 0; i < 5000; i++) dk_intern(&strs, text, (size_t)snprintf(text, sizeof text, "n%d", i));
  assert_int_equal(strs.count, 5004);
  for (int i = 0; i < 5000; i++) {
    const struct dk_str *str = dk_intern(&strs, text, (size_t)snprintf(text, sizeof text, "n%d", i));
    assert_int_equal(str->id, i + 4);
    assert_string_equal(str->text, text);
    assert_ptr_equal(strs.items[str->id], str);
  }
  dk_arena_finish(&arena);
}

static void test_nearest(void **state) {
  (void)state;
  static const char *const names[] = {"memory", "cpus", "gpus", "disk", "timeout", "gamma", "c", "max_attempts"};
  struct {
    const char *typed, *wanted;
  } cases[] = {
      {"memroy", "memory"}, /* two neighbours swapped */
      {"memori", "memory"}, /* replaced */
      {"memry", "memory"},  /* left out */
      {"Memory", "memory"},
      {"gpu", "gpus"},
      {"cpu", "cpus"},
      {"dsk", "disk"},
      {"ds", NULL}, /* two away, and short names get one */
      {"time_out", "timeout"},
      {"timeouts", "timeout"},
      {"maxatempts", "max_attempts"},
      {"max_atemps", "max_attempts"},
      {"max_tmps", NULL}, /* four away */
      {"x", NULL},        /* nothing in common with c */
      {"", NULL},
      {"wholly_else", NULL},
      {"disk", "disk"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *got = dk_nearest(cases[i].typed, names, sizeof names / sizeof *names);
    if (!got || !cases[i].wanted ? got != cases[i].wanted : strcmp(got, cases[i].wanted) != 0) {
      fail_msg("%s: %s, wanted %s", cases[i].typed, got ? got : "(none)", cases[i].wanted ? cases[i].wanted : "(none)");
    }
  }
  assert_null(dk_nearest("a", NULL, 0));
  char longest[200];
  memset(longest, 'a', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  const char *const one[] = {longest};
  assert_null(dk_nearest(longest, one, 1));
  assert_null(dk_nearest(longest + 150, one, 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_intern), cmocka_unit_test(test_nearest)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
