/* What a failed program could not say by its exit code: its disk was full, or it asked for a file that it had not
 * declared. */
#ifndef DK_AGENT_POSTMORTEM_H
#define DK_AGENT_POSTMORTEM_H

#include "engine/agent/task.h"

/* Makes slot->sandbox fit the job. 0, also where nothing can be enforced. */
int dk_postmortem_sandbox(struct dk_slot *slot, const struct dk_job *job, struct dk_error *error);

/* For a task that has ended with cause EXIT or SPAWN, before its directory and logs are given up: the cause becomes
 * DISK when the disk is full or the program's last words say so; the text says what was undeclared. */
void dk_postmortem(struct dk_task *task);

#endif
