/* The state folder `.dkrun` at the repository's root: made, locked, opened. One engine at a time writes in it; readers
 * need none of this.
 *
 *   .dkrun/            0700, with its own .gitignore
 *     lock             flock by the engine; "pid text" for those who find it taken
 *     store/           LMDB
 *     objects/         contents by digest (agents write here too)
 *     git/             pinned sources, bare
 *     trees/           code trees by digest, as tasks get them
 *     agent/           the agent's slots, journals, socket */
#ifndef DK_DRIVE_FOLDER_H
#define DK_DRIVE_FOLDER_H

#include "engine/objects/object.h"
#include "engine/store/store.h"
#include "engine/sys/lock.h"

struct dk_folder {
  char *path; /* absolute path of .dkrun */
  char *trees;
  struct dk_lock lock;
  struct dk_store *store;
  struct dk_objects objects;
};

/* For writing. `holder` says in the lock what is going on ("dkrun run svmguide.dk"). -EWOULDBLOCK: another engine works
 * here; the message says which and what to type. -EROFS, -EACCES, -ENOSPC with words. */
int dk_folder_open(const char *root, const char *holder, struct dk_folder *ret, struct dk_error *error);
/* For reading only: lock is not taken. Store and objects stay closed (store NULL) when nothing was run here yet. */
int dk_folder_peek(const char *root, struct dk_folder *ret, struct dk_error *error);
void dk_folder_close(struct dk_folder *folder);
/* Is the lock that we have still the one in that place? The folder may have been removed, moved, or replaced. */
bool dk_folder_is_ours(const struct dk_folder *folder);

/* The steps of these, for who must look at the folder before it is opened (fsck). Paths only; with the lock; then store
 * and objects. Close in any case. lock: -ENOENT when nothing was run here yet. */
int dk_folder_paths(const char *root, struct dk_folder *ret, struct dk_error *error);
int dk_folder_lock(const char *root, const char *holder, struct dk_folder *ret, struct dk_error *error);
int dk_folder_open_parts(struct dk_folder *folder, bool read_only, struct dk_error *error);
/* Where the store of the repository at `root` is. Heap; NULL: no memory (said). */
char *dk_folder_store_path(const char *root, struct dk_error *error);

#endif
