/* Hosts that ask for a password or a code: a person answers once, in the foreground, and the connection that comes of
 * it stays open as a master (ControlMaster of ssh_config(5)) for all dials of the next hours. */
#ifndef DK_PROVIDERS_SSH_MASTER_H
#define DK_PROVIDERS_SSH_MASTER_H

#include "engine/drive/provider.h"

#include "lang/base/buf.h"

/* Where the master's socket is, whether it is there or not: /tmp/dkrun-UID/ssh-HASH. A directory of ours that is made
 * when it is not there, refused when others could change it. Not in the state folder, whose path may be longer than a
 * socket's can be, and not $XDG_RUNTIME_DIR: a login, cron and what goes on after a logout must mean the same place. */
int dk_ssh_master_place(const struct dk_host_config *host, struct dk_buf *ret_path, struct dk_error *error);
/* Is there a socket? Whether somebody answers, ssh finds out. */
bool dk_ssh_master_is_there(const char *path);

/* Logs in once with this process's terminal: ssh may show the host's key and ask, for a password, a code, yes or no.
 * Leaves a master behind for 12 hours; one that is there already is used. Blocks for as long as the person takes. What
 * ssh prints goes to stderr. 0, or negative with words. For `dkrun providers check`. */
int dk_ssh_open_master(const struct dk_host_config *host, struct dk_error *error);

#endif
