/* A prepared task as the agent gets it. On this machine: paths of objects instead of digests, the whole environment,
 * the code tree materialised. On another one: digests, the code too, and of the environment what is not that machine's.
 */
#ifndef DK_DRIVE_JOB_H
#define DK_DRIVE_JOB_H

#include "engine/drive/lookup.h"
#include "engine/wire/message.h"

#define DK_JOB_GRACE_MS 5000u /* from TERM to KILL */

struct dk_job_options {
  const char *trees; /* the directory of materialised code trees, one each, named by the code digest */
  uint64_t memory;   /* the attempt's limit; 0: none */
  bool is_remote;
};

/* *ret borrows strings of `prepared` and of the plan, owns what it lists in `owned`. */
struct dk_job_build {
  struct dk_job job;
  struct dk_buf *owned;
  uint32_t n_owned;
};
int dk_job_build(struct dk_lookup_state *state, uint32_t task, const struct dk_prepared *prepared,
                 const struct dk_job_options *options, struct dk_job_build *ret, struct dk_error *error);
/* The memory of an attempt after `ooms` of them ended for lack of it; never more than `most`, what its machine has. */
uint64_t dk_job_memory(const struct dk_plan *plan, uint32_t task, uint32_t ooms, uint64_t most);
void dk_job_build_finish(struct dk_job_build *build);

#endif
