/* A run of another process's engine, watched here until it has ended or is left alone. */
#ifndef DK_CLI_REMOTE_H
#define DK_CLI_REMOTE_H

#include "engine/cli/client.h"
#include "engine/cli/watch.h"

struct dk_remote_options {
  enum dk_live_mode mode;
  bool asks;     /* see watch.h */
  uint32_t jobs; /* the same */
};

/* `client` watches the run already; it is closed. One that is not connected: the run has ended, and only its end is
 * shown. When the engine dies, another is started, which goes on with the run. An exit code; what is wrong was said. */
int dk_remote_watch(struct dk_cli *cli, struct dk_client *client, uint32_t run,
                    const struct dk_remote_options *options);

#endif
