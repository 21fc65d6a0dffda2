/* Where a task may go, and what it takes to bring there what it needs: the core's question (core.h, `place`). For the
 * files of the engine. */
#ifndef DK_DRIVE_FLEET_PLACE_H
#define DK_DRIVE_FLEET_PLACE_H

#include "engine/drive/fleet.h"
#include "engine/drive/needs.h"
#include "lang/plan/plan.h"

struct dk_engine_run;

/* -EINVAL with "task needs 8 gpus, ..." for the first that no host can ever run, as far as they are known, and no
 * machine that may be made and paid for. 0; -ENOMEM. */
int dk_fleet_fits(const struct dk_engine *engine, const struct dk_plan *plan, const struct dk_needs *needs,
                  const struct dk_consent *consent, struct dk_error *error);

/* More is known of a host now: runs with tasks that no host can ever run are ended, with words. */
void dk_fleet_judge_runs(struct dk_engine *engine);

/* A host has refused a task as one that it can never run (a mount is not there): tasks of its template do not go there
 * again in this run, as long as another host may take them. 0 or -ENOMEM. */
int dk_fleet_bar_task(struct dk_engine_run *run, uint32_t task, uint32_t host);

/* Nanoseconds for each host; DK_PLACE_NEVER: not there. */
void dk_fleet_cost(void *engine, uint32_t run, uint32_t task, uint32_t n_hosts, uint64_t *ret_ns);

#endif
