/* The agent's folder, for those that are started by hand or over ssh: whose it is, what is in it, and to free it. */
#ifndef DK_AGENT_ROOT_H
#define DK_AGENT_ROOT_H

#include "lang/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A directory of this user's that nobody else can write to. Missing: it is made (0700), or -ENOENT. */
int dk_root_check(const char *root, bool may_make, struct dk_error *error);
/* Bytes that it takes on disk. */
int dk_root_size(const char *root, uint64_t *ret, struct dk_error *error);
/* Removes the objects and what has come of some; with `all` the folder. A daemon that has nothing to do is ended first.
 * -EBUSY, and nothing is removed, while an engine is connected, something runs or waits, or a result is not
 * acknowledged (its objects may not be fetched). Not there: 0 bytes. */
int dk_root_clean(const char *root, bool all, uint64_t *ret_freed, struct dk_error *error);

#endif
