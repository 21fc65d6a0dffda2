/* A remote job (engine/wire/message.h) as a keeper of this machine takes it: with paths, and with what of a task's
 * environment is the machine's. */
#ifndef DK_AGENT_LOCALISE_H
#define DK_AGENT_LOCALISE_H

#include "engine/wire/message.h"

struct dk_local_job {
  struct dk_job job; /* shallow: borrows from the one that it was made of, and from what follows */
  char *objects, *paths;
  struct dk_job_input *inputs;
  struct dk_pair *env;
};

/* `root`: the agent's folder, whose `objects` has the inputs and gets the outputs. PATH, HOME, USER, LOGNAME, SHELL and
 * the proxies are those of this process unless the job has them. A job that has its paths is taken as it is. 0 or
 * -ENOMEM. */
int dk_local_job_make(struct dk_local_job *ret, const struct dk_job *job, const char *root);
void dk_local_job_finish(struct dk_local_job *local);

/* Of what a remote job has open, the first that is not on this machine (errno says why); NULL: all is. May take as long
 * as a file server does. */
const char *dk_local_job_lacks(const struct dk_job *job);

#endif
