/* Where a task runs: slots/N/work, fresh for each task (used again when the last one left nothing), and slots/N/tmp. */
#ifndef DK_AGENT_WORKDIR_H
#define DK_AGENT_WORKDIR_H

#include "engine/agent/blob.h"
#include "engine/wire/message.h"

/* An input that is not the task's own copy: it must be the same after the task. */
struct dk_lent {
  const char *from; /* the job's */
  struct stat st;
};

struct dk_workdir {
  int slot_dir;  /* not owned */
  int work, tmp; /* -1: not open */
  struct dk_lent *lent;
  uint32_t n_lent;
};

void dk_workdir_init(struct dk_workdir *dir, int slot_dir);
void dk_workdir_finish(struct dk_workdir *dir);

/* Both directories there and empty. One that cannot be emptied is renamed (work.stuck-1, ...) and made anew; the error,
 * when that fails too, is the one of emptying it, with the path. */
int dk_workdir_clean(struct dk_workdir *dir, struct dk_error *error);
/* For a slot that is not in use: what its last task left goes, and what was put aside, as far as it can. */
void dk_workdir_sweep(struct dk_workdir *dir);
/* Code first, then a directory input whose place is ".", then the others at their places (replacing what the code has
 * there). Up to 1 MiB copied; else reflinked; else, when this process could not write to it (never as root), an object
 * or a read-only file of this file system is hard-linked and compared after the task; else an object is copied, another
 * file is linked to by symbolic link and compared; a directory that is no object is only linked to. An object or code
 * tree that is not sealed is refused (INPUT): something changed it. *ret_cause says what an error means (INPUT, DISK,
 * SPAWN for too many open files). */
int dk_workdir_fill(struct dk_workdir *dir, const struct dk_job *job, struct dk_blobs *blobs, enum dk_cause *ret_cause,
                    struct dk_error *error);
/* -EBUSY: an input that was lent was changed meanwhile (an object that was has lost its seal by that: nobody takes it
 * for what it was). */
int dk_workdir_compare(struct dk_workdir *dir, struct dk_error *error);

#endif
