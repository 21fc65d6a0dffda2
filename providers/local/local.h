/* This machine: the agent is a process of ours that outlives the engine, with its folder in .dkrun/agent. */
#ifndef DK_LOCAL_LOCAL_H
#define DK_LOCAL_LOCAL_H

#include "engine/drive/provider.h"

int dk_local_connect(const struct dk_host_options *options, int *ret_fd, struct dk_error *error);

#endif
