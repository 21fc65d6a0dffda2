/* The environment and arguments of a task as execve takes them. */
#ifndef DK_AGENT_ENVIRON_H
#define DK_AGENT_ENVIRON_H

#include "engine/sys/gpu.h"
#include "engine/wire/message.h"

struct dk_environ {
  char **env, **argv;
  char *storage;
};

/* Where the task runs, and with what. */
struct dk_environ_place {
  uint32_t slot;
  const char *path;          /* of the slot */
  const char *script;        /* where the caller has written a long one */
  enum dk_gpu_vendor vendor; /* of the machine's GPUs */
  const uint32_t *gpus;      /* that are the task's, rising */
  uint32_t n_gpus;
};

/* The job's environment, and what the keeper adds to it (its own win): DK_ATTEMPT, DK_SLOT, DK_DIR (the task's
 * directory), DK_METRICS (a file in it), TMPDIR, DK_GPUS, and what CUDA and ROCm read. A script is given as "-c
 * SCRIPT", or, above DK_SCRIPT_INLINE bytes, as the path of it. -ENOMEM. */
#define DK_SCRIPT_INLINE (96u << 10) /* execve's limit for one argument is 128 KiB (MAX_ARG_STRLEN) */
int dk_environ_make(struct dk_environ *ret, const struct dk_job *job, struct dk_id id,
                    const struct dk_environ_place *place);
void dk_environ_finish(struct dk_environ *environ);

#endif
