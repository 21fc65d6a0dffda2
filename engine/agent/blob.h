/* Files of a task become objects: objects/ab/cdef..., sealed (dk_fs_seal), named by their content digest. Written to objects/tmp or linked
 * from the task's directory, never changed once named. Whoever records the digest syncs the file system first; nothing is
 * synced here. */
#ifndef DK_AGENT_BLOB_H
#define DK_AGENT_BLOB_H

#include "engine/sys/fs.h"
#include "lang/base/digest.h"

#include <sys/stat.h>

struct dk_blobs {
  int fd;              /* the objects directory; -1: closed */
  uint64_t counter;    /* of temporary names; begins anywhere */
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
int dk_blobs_put(struct dk_blobs *blobs, const void *data, size_t len, struct dk_digest *ret, struct dk_error *error);
/* Opens an object for reading: descriptor or negative errno; -EBADMSG for one that somebody wrote to. */
int dk_blobs_get(const struct dk_blobs *blobs, const struct dk_digest *digest, struct stat *ret);

/* A new object of pieces: begin, write with dk_fs_write_all to the descriptor and dk_content_add, then end (which closes the descriptor, and
 * removes the file when `digest` is NULL). */
int dk_blobs_begin(struct dk_blobs *blobs, char ret_name[40], struct dk_error *error);
int dk_blobs_end(struct dk_blobs *blobs, const char *name, int fd, const struct dk_digest *digest,
                 struct dk_error *error);

#endif
