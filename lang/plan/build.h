/* Checked modules -> plan: grids are expanded, references joined, programs quoted, every check that needs values
 * made. */
#ifndef DK_PLAN_BUILD_H
#define DK_PLAN_BUILD_H

#include "lang/eval/eval.h"
#include "lang/plan/plan.h"

/* All memory is eval's arena. Errors go to the diagnostics; NULL if any error was reported by then or here. */
struct dk_plan *dk_plan_build(struct dk_eval *eval);

#endif
