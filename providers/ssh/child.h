/* One running ssh: a session of its own, without a terminal; its stdin and stdout are one stream, its stderr another.
 */
#ifndef DK_PROVIDERS_SSH_CHILD_H
#define DK_PROVIDERS_SSH_CHILD_H

#include "engine/sys/loop.h"
#include "lang/base/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct dk_ssh_child {
  pid_t pid;  /* 0: none, or reaped */
  int stream; /* non-blocking; -1: none. Who takes it sets this to -1 */
  int words;  /* its stderr, non-blocking; -1: none */
  int status; /* wait status when it was reaped, else -1 */
};
#define DK_SSH_CHILD_INIT                                                                                              \
  { .stream = -1, .words = -1, .status = -1 }

/* The ssh to use: $DKRUN_SSH where it is set, else "ssh", which is looked for in PATH. */
const char *dk_ssh_name(void);
/* Starts argv (argv[0]: dk_ssh_name). Negative with words: not installed, no process to be had. */
int dk_ssh_child_start(const char *const *argv, struct dk_ssh_child *ret, struct dk_error *error);
/* Has it ended? It is reaped then. */
bool dk_ssh_child_has_ended(struct dk_ssh_child *child);
/* Ends it and what it started, and closes what is open. Does not wait for it: it has its TERM when this returns, and
 * its KILL a tenth of a second later, and is reaped, by the loop. (Without memory for that it is waited for, 0.2 s at
 * most.) One that even KILL does not end in another tenth is left to whoever reaps for this process. */
void dk_ssh_child_end(struct dk_ssh_child *child, struct dk_loop *loop);
/* All whose end is still awaited are ended and reaped now, and no loop is used any more. Within 0.2 s. */
void dk_ssh_children_settle(void);

#endif
