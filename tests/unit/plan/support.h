/* A text becomes a plan, for the tests of lang/plan: parse, check, eval, plan, without files. */
#ifndef DK_TESTS_PLAN_SUPPORT_H
#define DK_TESTS_PLAN_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lang/plan/build.h"

struct world {
  struct dk_arena arena;
  jmp_buf oom;
  struct dk_strs strs;
  struct dk_sources sources;
  struct dk_diags diags;
  struct dk_eval eval;
  struct dk_plan *plan; /* NULL: the text has errors */
};

struct world *world_new(const char *text);  /* plan may be NULL */
struct world *world_good(const char *text); /* fails the test, with the diagnostics, when plan is NULL */
void world_destroy(struct world *world);

/* Index of a template by name; fails the test when there is none. */
uint32_t world_template(const struct world *world, const char *name);
/* "lr=0.1 seed=2; lr=0.1 seed=3": all columns of all rows. Freed by the caller with dk_free. */
char *world_points(const struct world *world, const char *name);
/* All diagnostics as shown. dk_free. */
char *world_text(const struct world *world);
/* Whether a diagnostic of the code ("E0403") has this in its message, labels, helps or notes. */
bool world_says(const struct world *world, const char *code, const char *part);

/* The order of a task; late values: chosen row `row` for every pick, metric = task number. */
void order_good(const struct world *world, uint32_t task, struct dk_order *ret);
extern const struct dk_late late_known, late_unknown;

/* A small reproducible generator (xorshift64*), for property tests. */
uint32_t random_below(uint64_t *state, uint32_t n);

#endif
