/* Where the tasks of a plan would run: the hosts of the files of providers, as far as the store knows them. */
#ifndef DK_CLI_PLAN_WHERE_H
#define DK_CLI_PLAN_WHERE_H

#include "engine/cli/cli.h"
#include "engine/drive/known.h"
#include "engine/sys/machine.h"

struct dk_plan_where {
  struct dk_hosts hosts;
  struct dk_known_hosts known;
  struct dk_machine machine; /* this one */
  uint32_t cpus;             /* of all that are known or can be made, but for what is left to others; at least 1 */
};

/* `store` NULL: nothing was run yet. Says what is wrong; an exit code. Finish in any case. */
int dk_plan_where_find(struct dk_cli *cli, struct dk_store *store, struct dk_plan_where *ret);
void dk_plan_where_finish(struct dk_plan_where *where);
/* "this machine (2 cpus, 8 GiB)", "lab: h1 (4 cpus, 8 GiB), h2 (not reached yet)", "far: up to 4 instances of
 * small" */
void dk_plan_where_text(const struct dk_plan_where *where, struct dk_buf *out);
/* Is there one for every task? -EINVAL with words: dk_needs_check. */
int dk_plan_where_check(const struct dk_plan_where *where, const struct dk_plan *plan, struct dk_error *error);

#endif
