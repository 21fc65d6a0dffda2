/* Decides a pick: which point of its `from` wins, out of the metrics of its candidates. Pure.
 *
 * Candidates that differ only in `mean_over` columns are one; it counts only with all its points, and its score is
 * their mean. NaN never wins. Ties go to grid order. With `best = k` the pick's row of rank r gets the r-th best. */
#ifndef DK_DRIVE_DECIDE_H
#define DK_DRIVE_DECIDE_H

#include "engine/store/record.h"
#include "lang/plan/plan.h"

struct dk_fact;

/* `facts` by task, NULL where there is none. -ENOENT with words when there are not enough candidates that have the
 * metric. */
int dk_decide(const struct dk_plan *plan, struct dk_fact *const *facts, uint32_t pick_task, struct dk_choice *ret,
              struct dk_error *error);

#endif
