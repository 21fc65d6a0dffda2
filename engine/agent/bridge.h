/* `dkagent bridge`: what runs under ssh. It finds the daemon of a folder, or starts it, and carries bytes between its
 * own stdin and stdout and the daemon's socket. */
#ifndef DK_AGENT_BRIDGE_H
#define DK_AGENT_BRIDGE_H

#include "engine/agent/serve.h"

/* Makes options->root when it is missing. A daemon that was started from another program file or with other options is
 * ended first; its keepers and tasks go on under the next one. Then writes the line "dkagent ready", and carries bytes
 * until either side ends: 0. An error is only from before that line. */
int dk_bridge_run(const struct dk_serve_options *options, struct dk_error *error);

#endif
