/* A daemon that serves a folder: it listens on FOLDER/sock, and has its words in FOLDER/log. */
#ifndef DK_SYS_DAEMON_H
#define DK_SYS_DAEMON_H

#include "lang/base/error.h"

/* Connects to it; when none answers it is started and waited for, ten seconds at most. `argv` (NULL-terminated) begins
 * with the program, by an absolute path; it gets a session of its own, no terminal, and is nobody's to wait for.
 * Several may be started at once: the daemon's own lock lets one live, and the others end well. One that was started
 * from another file (an older version), or with other options, is ended (SIGTERM) and gives way. `folder`: absolute,
 * made when missing (0700). `what`: "the agent", for messages. *ret_fd: non-blocking, close-on-exec. */
int dk_daemon_reach(const char *folder, const char *const *argv, const char *what, int *ret_fd, struct dk_error *error);

#endif
