/* The environment and arguments of a task as execve takes them. */
#ifndef DK_AGENT_ENVIRON_H
#define DK_AGENT_ENVIRON_H

#include "engine/wire/message.h"

struct dk_environ {
  char **env, **argv;
  char *storage;
};

/* The job's environment, and what the keeper adds to it (its own win): DK_ATTEMPT, DK_SLOT, DK_DIR (the task's directory),
 * DK_METRICS (a file in it), TMPDIR. A script is given as "-c SCRIPT", or, above DK_SCRIPT_INLINE bytes, as `script_path`,
 * where the caller has written it. -ENOMEM. */
#define DK_SCRIPT_INLINE (96u << 10) /* execve's limit for one argument is 128 KiB (MAX_ARG_STRLEN) */
int dk_environ_make(struct dk_environ *ret, const struct dk_job *job, struct dk_id id, uint32_t slot,
                    const char *slot_path, const char *script_path);
void dk_environ_finish(struct dk_environ *environ);

#endif
