/* A compilation's arena, sources and diagnostics for a test. */
#ifndef DK_TESTS_UNIT_DIAG_FIXTURE_H
#define DK_TESTS_UNIT_DIAG_FIXTURE_H

#include "lang/diag/diag.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
  jmp_buf on_oom;
  struct dk_arena arena;
  struct dk_sources sources;
  struct dk_diags diags;
};

static inline int fixture_setup(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  if (!f) return -1;
  if (setjmp(f->on_oom)) abort();
  dk_arena_init(&f->arena, &f->on_oom);
  dk_sources_init(&f->sources, &f->arena);
  dk_diags_init(&f->diags, &f->arena, &f->sources);
  *state = f;
  return 0;
}

static inline int fixture_teardown(void **state) {
  struct fixture *f = *state;
  dk_arena_finish(&f->arena);
  free(f);
  return 0;
}

static inline struct dk_source *fixture_source(struct fixture *f, const char *path, const char *text) {
  return dk_sources_add(&f->sources, path, text, strlen(text));
}

/* The span of the first `what` in the source. */
static inline struct dk_span fixture_span(const struct dk_source *source, const char *what) {
  const char *at = strstr(source->text, what);
  assert_non_null(at);
  uint32_t start = source->base + (uint32_t)(at - source->text);
  return (struct dk_span){start, start + (uint32_t)strlen(what)};
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
