/* See blob.h. */
#include "engine/agent/blob.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define READ_SIZE (256u << 10)

int dk_blobs_open(struct dk_blobs *blobs, const char *path, struct dk_error *error) {
  return dk_objects_open(&blobs->objects, path, false, error);
}

void dk_blobs_close(struct dk_blobs *blobs) {
  dk_objects_close(&blobs->objects);
}

int dk_blobs_get(const struct dk_blobs *blobs, const struct dk_digest *digest, struct stat *ret) {
  int fd;
  uint64_t size;
  int r = dk_objects_open_one(&blobs->objects, digest, &fd, &size, NULL);
  if (r < 0) return r;
  r = fstat(fd, ret) < 0 ? -errno : dk_fs_is_sealed(ret) ? 0 : -EBADMSG;
  if (r < 0) close(fd);
  return r < 0 ? r : fd;
}

/* Hashes what `fd` has from its start, and writes it to `to` as well when that is not -1. */
static int digest_fd(struct dk_blobs *blobs, int fd, int to, uint64_t *ret_size, struct dk_digest *ret) {
  dk_autofree char *buffer = dk_alloc(READ_SIZE);
  if (!buffer) return -ENOMEM;
  struct dk_content_hasher hasher;
  dk_content_init(&hasher);
  uint64_t at = 0;
  for (;;) {
    ssize_t n = pread(fd, buffer, READ_SIZE, (off_t)at);
    int r = n < 0 ? -errno : 0;
    if (r == -EINTR) continue;
    if (r == 0 && n > 0 && blobs->stop && at % (16 * READ_SIZE) == 0 && blobs->stop(blobs->ctx)) r = -ECANCELED;
    if (r == 0 && n > 0 && to >= 0) r = dk_fs_write_all(to, buffer, (size_t)n);
    if (r < 0) {
      dk_content_finish(&hasher);
      return r;
    }
    if (n == 0) break;
    dk_content_add(&hasher, buffer, (size_t)n);
    at += (uint64_t)n;
  }
  *ret_size = at;
  return dk_content_get(&hasher, ret);
}

static bool is_changed(int fd, const struct stat *before, uint64_t size) {
  struct stat now;
  return fstat(fd, &now) < 0 || (uint64_t)now.st_size != size || now.st_size != before->st_size ||
         now.st_mtim.tv_sec != before->st_mtim.tv_sec || now.st_mtim.tv_nsec != before->st_mtim.tv_nsec;
}

static int copy_in(struct dk_blobs *blobs, int fd, const struct stat *st, struct dk_digest *ret,
                   struct dk_error *error) {
  char name[DK_OBJECTS_TMP];
  int to;
  int r = dk_objects_tmp(&blobs->objects, name, &to, error);
  if (r < 0) return r;
  uint64_t size;
  r = digest_fd(blobs, fd, to, &size, ret);
  if (r == 0 && is_changed(fd, st, size)) r = -EBUSY;
  if (r == 0) return dk_objects_place(&blobs->objects, name, to, ret, error);
  dk_objects_drop(&blobs->objects, name, to);
  return r == -EBUSY ? dk_error_set(error, r, "the file changed while it was read")
                     : dk_error_system(error, r, "cannot keep a file");
}

int dk_blobs_keep(struct dk_blobs *blobs, int dir, const char *name, int fd, const struct stat *st,
                  struct dk_digest *ret, struct dk_error *error) {
  struct stat root;
  bool may_link =
      st->st_nlink == 1 && st->st_uid == geteuid() && fstat(blobs->objects.fd, &root) == 0 && root.st_dev == st->st_dev;
  if (!may_link) return copy_in(blobs, fd, st, ret, error);
  uint64_t size;
  int r = digest_fd(blobs, fd, -1, &size, ret);
  if (r == 0 && is_changed(fd, st, size)) return dk_error_set(error, -EBUSY, "the file changed while it was read");
  if (r < 0) return dk_error_system(error, r, "cannot read a file to be kept");
  uint64_t there;
  if (dk_objects_has(&blobs->objects, ret, &there) && there == size) return 0;
  if (fchmod(fd, 0444) < 0) r = -errno;
  if (r == 0) r = dk_objects_link(&blobs->objects, dir, name, ret);
  if (r == 0) (void)dk_fs_seal(fd, 0444);
  if (r == -EXDEV || r == -EPERM || r == -EMLINK || r == -EACCES) return copy_in(blobs, fd, st, ret, error);
  return r < 0 ? dk_error_system(error, r, "cannot keep a file in the object directory") : 0;
}
