/* What a task's key has become since a run: the part of it that two plans can tell, in words and with its place. What
 * is inside files, outputs and machines is not here.
 *
 * Both plans may be pins. One of format 1 has no programs: then nothing is told of them. */
#ifndef DK_PLAN_DIFFER_H
#define DK_PLAN_DIFFER_H

#include "lang/plan/plan.h"

struct dk_difference {
  const char *subject; /* "`folds`", for "... changed since run 3" */
  const char *text;    /* "`folds` was 5, is 10"; neither is escaped for display */
  const char *path;    /* where that is in the newer plan's files; NULL: nowhere any more */
  uint32_t line;
  bool is_supposed; /* it stands on a value that is only known while running: it may have come to another one */
};
/* Not 0 stops, and is returned. What it is given is gone afterwards. */
typedef int dk_difference_fn(void *ctx, const struct dk_difference *difference);

/* `part` is the name of a dk_key_part; tasks that correspond. 0, or -ENOMEM. Calls nothing when the plans tell no
 * difference. */
int dk_plan_differ(const struct dk_plan *before, uint32_t task_before, const struct dk_plan *now, uint32_t task_now,
                   const char *part, dk_difference_fn *fn, void *ctx);

/* The first axis of the task whose value occurs in no point of the task of the same name in `before`: *ret_column is
 * its index. False: there is none, or `before` has no such task (*ret_has_task). */
bool dk_plan_new_value(const struct dk_plan *before, const struct dk_plan *now, uint32_t task, uint32_t *ret_column,
                       bool *ret_has_task);
/* The template of that name, UINT32_MAX: none. */
uint32_t dk_plan_find_template(const struct dk_plan *plan, const char *name);

#endif
