/* Where a task may go, and what it takes to bring there what it needs: the core's question (core.h, `place`). For the
 * files of the engine. */
#ifndef DK_DRIVE_PLACE_H
#define DK_DRIVE_PLACE_H

#include "engine/drive/fleet.h"
#include "lang/plan/plan.h"

struct dk_engine_run;

/* What the tasks of a run need of a machine: one entry for each range of tasks that need the same. */
struct dk_place_needs {
  struct dk_place_need {
    uint32_t first; /* task */
    uint32_t cpus, gpus;
    uint64_t memory; /* bytes */
    char *gpu;       /* NULL: any */
  } * items;
  uint32_t n, cap;
};
int dk_place_needs_of(const struct dk_plan *plan, struct dk_place_needs *ret); /* 0 or -ENOMEM */
void dk_place_needs_finish(struct dk_place_needs *needs);

/* -EINVAL with "task needs 8 gpus, ..." for the first that no host can ever run, as far as they are known. 0; -ENOMEM. */
int dk_place_fits(const struct dk_engine *engine, const struct dk_plan *plan, const struct dk_place_needs *needs,
                  struct dk_error *error);

/* A host has refused a task as one that it can never run (a mount is not there): tasks of its template do not go there
 * again in this run. 0 or -ENOMEM. */
int dk_place_bar(struct dk_engine_run *run, uint32_t task, uint32_t host);

/* Nanoseconds for each host; DK_PLACE_NEVER: not there. */
void dk_place_cost(void *engine, uint32_t run, uint32_t task, uint32_t n_hosts, uint64_t *ret_ns);

#endif
