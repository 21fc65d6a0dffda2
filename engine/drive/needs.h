/* Does a plan fit this machine? */
#ifndef DK_DRIVE_NEEDS_H
#define DK_DRIVE_NEEDS_H

#include "lang/base/error.h"
#include "lang/plan/plan.h"

/* -EINVAL with "task needs 8 gpus, this machine has 0" for the first that can never run here. 0; -ENOMEM. */
int dk_needs_check(const struct dk_plan *plan, struct dk_error *error);

#endif
