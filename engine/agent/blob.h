/* Files of a task become objects (engine/objects/object.h): linked from the task's directory or copied. Whoever records
 * the digest syncs the file system first; nothing is synced here. */
#ifndef DK_AGENT_BLOB_H
#define DK_AGENT_BLOB_H

#include "engine/objects/object.h"
#include "engine/sys/fs.h"

#include <sys/stat.h>

struct dk_blobs {
  struct dk_objects objects;
  dk_fs_stop_fn *stop; /* asked while long files are read; may be NULL */
  void *ctx;
};

int dk_blobs_open(struct dk_blobs *blobs, const char *path, struct dk_error *error);
void dk_blobs_close(struct dk_blobs *blobs);

/* Keeps the regular file that `fd` has open and that stands as `name` in `dir`. Linked when that is safe (one name, one
 * file system, our own), else copied. The file is sealed when it was linked. -EBUSY: it changed while it was read;
 * -ECANCELED: stopped. */
int dk_blobs_keep(struct dk_blobs *blobs, int dir, const char *name, int fd, const struct stat *st,
                  struct dk_digest *ret, struct dk_error *error);
/* Opens an object for reading: descriptor or negative errno; -EBADMSG for one that somebody wrote to. */
int dk_blobs_get(const struct dk_blobs *blobs, const struct dk_digest *digest, struct stat *ret);

#endif
