/* A run with nothing to do, answered before anything is loaded or any engine is asked (engine/drive/unchanged.h). */
#ifndef DK_CLI_AGAIN_H
#define DK_CLI_AGAIN_H

#include "engine/cli/cli.h"

/* True: there is nothing to do; what the last run came to was printed (*ret_exit). `file` NULL: the default one. Says
 * nothing otherwise: whatever is wrong is told by the run that follows. */
bool dk_again(struct dk_cli *cli, const char *file, const struct dk_cli_params *params, int *ret_exit);

#endif
