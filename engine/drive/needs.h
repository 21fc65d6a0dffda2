/* What the tasks of a plan need of a machine, and whether there is one that has it. */
#ifndef DK_DRIVE_NEEDS_H
#define DK_DRIVE_NEEDS_H

#include "engine/drive/hosts.h"
#include "engine/store/hosts.h"
#include "engine/sys/machine.h"
#include "lang/base/error.h"
#include "lang/plan/plan.h"

/* One entry for each range of tasks that need the same. */
struct dk_needs {
  struct dk_needs_of {
    uint32_t first; /* task */
    uint32_t cpus, gpus;
    uint64_t memory; /* bytes */
    char *gpu;       /* NULL: any */
  } * items;
  uint32_t n, cap;
};
int dk_needs_collect(const struct dk_plan *plan, struct dk_needs *ret); /* 0 or -ENOMEM */
void dk_needs_finish(struct dk_needs *needs);
/* The entry of the range that the task is in; NULL: it needs nothing that is known (a pick). */
const struct dk_needs_of *dk_needs_find(const struct dk_needs *needs, uint32_t task);

/* A machine as far as it is known, or those that a cloud can make. */
struct dk_needs_host {
  const struct dk_machine *machine;    /* this one; else NULL */
  const struct dk_host_record *record; /* another: as its agent has told it; NULL, or never seen: all may be there */
  const struct dk_cloud_entry *cloud;  /* it lacks what none of its shapes has; else NULL */
};
/* What it lacks for ever: appended to `out`, for people. False: it may have it all. */
bool dk_needs_lacks(const struct dk_needs_host *host, const struct dk_needs_of *need, struct dk_buf *out);

/* -EINVAL with "task needs 8 gpus, this machine has 0" for the first that none of the hosts can ever run. 0; -ENOMEM.
 */
int dk_needs_check(const struct dk_plan *plan, const struct dk_needs *needs, const struct dk_needs_host *hosts,
                   uint32_t n, struct dk_error *error);

#endif
