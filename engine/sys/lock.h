/* A lock file: flock(2), with the holder's words in it. Released by the kernel when the holder dies. */
#ifndef DK_SYS_LOCK_H
#define DK_SYS_LOCK_H

#include "lang/base/error.h"

struct dk_lock {
  int fd; /* -1: not held */
};
#define DK_LOCK_INIT                                                                                                   \
  { -1 }

/* Takes the lock without waiting. `holder` (NULL: only the pid) is written behind the pid for those who find it taken.
 * 0; -EWOULDBLOCK: "taken by process 123 (text)"; another negative errno. The file stays when the lock is released. */
int dk_lock_take(struct dk_lock *lock, const char *path, const char *holder, struct dk_error *error);
void dk_lock_release(struct dk_lock *lock);
/* All that is written in it: "123 (dkrun gc)", or "(unknown)". */
#define DK_LOCK_WORDS 200
void dk_lock_words(const char *path, char ret[DK_LOCK_WORDS]);
/* The pid that is written in the file, 0 if none can be read. A hint: the lock decides. */
int dk_lock_holder(const char *path);

#endif
