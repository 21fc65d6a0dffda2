/* The state folder, taken for writing by a command: opened under its lock, with what a person must know of it. */
#ifndef DK_CLI_TAKE_H
#define DK_CLI_TAKE_H

#include "engine/cli/cli.h"
#include "engine/drive/folder.h"

/* dk_folder_open, and:
 *  - says so when the store was copied (it has a new id from now on);
 *  - refuses, unless cli->as_restored, when tasks run under this folder's agent that the store never heard of: it is
 *    older than they are, and an engine would end them as nobody's. -ESTALE.
 * Close the folder only after 0. */
int dk_cli_take_folder(struct dk_cli *cli, const char *holder, struct dk_folder *ret, struct dk_error *error);

#endif
