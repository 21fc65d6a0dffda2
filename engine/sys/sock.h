/* Unix stream sockets by path of any length: sun_path ends at 108 bytes, so a longer one goes through /proc/self/fd of
 * its directory. */
#ifndef DK_SYS_SOCK_H
#define DK_SYS_SOCK_H

#include "lang/base/error.h"

/* Both return a non-blocking, close-on-exec descriptor, or a negative errno. */
int dk_sock_connect(const char *path, struct dk_error *error);
/* Binds beside it and renames, so that a stale socket is replaced in one step; mode 0600. */
int dk_sock_listen(const char *path, int backlog, struct dk_error *error);
/* A connection whose peer is this user (or root); others are closed. -EAGAIN when none waits. */
int dk_sock_accept(int listener, struct dk_error *error);

#endif
