/* This machine: the agent is a process of ours that outlives the engine, with its folder in .dkrun/agent. */
#ifndef DK_LOCAL_LOCAL_H
#define DK_LOCAL_LOCAL_H

#include "engine/drive/provider.h"

int dk_local_dial(const struct dk_dial_options *options, struct dk_dial **ret, struct dk_error *error);
const char *dk_local_why(struct dk_dial *dial);
void dk_local_hang_up(struct dk_dial *dial);

#endif
