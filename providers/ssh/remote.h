/* What is said to a host: the command for its login shell, the script (remote.sh) that it runs, and the line with which
 * that is told of the agent program. Pure. */
#ifndef DK_PROVIDERS_SSH_REMOTE_H
#define DK_PROVIDERS_SSH_REMOTE_H

#include "engine/drive/provider.h"
#include "providers/ssh/program.h"

#include "lang/base/buf.h"

/* remote.sh without its comments. */
const char *dk_ssh_remote_text(void);

/* Appends to `command` the one argument that is handed to the login shell, the same for sh, csh and fish, and to `text`
 * what is to be sent to its stdin first. Both fail for lack of memory alone (dk_buf_ok). */
void dk_ssh_remote(const struct dk_dial_options *options, struct dk_buf *command, struct dk_buf *text);
/* Appends the answer to `ask`. */
void dk_ssh_remote_order(const struct dk_ssh_program *program, struct dk_buf *text);

#endif
