/* See partial.h. */
#include "engine/agent/partial.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE (1u << 20)
#define NAME (DK_DIGEST_HEX + 8)

static void make_name(const struct dk_digest *digest, char ret[NAME]) {
  memcpy(ret, "tmp/", 4);
  dk_digest_hex(digest, ret + 4);
}

uint64_t dk_partial_look(const struct dk_objects *objects, const struct dk_digest *digest) {
  char name[NAME];
  struct stat st;
  make_name(digest, name);
  return fstatat(objects->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

void dk_partial_init(struct dk_partial *partial, uint64_t size) {
  *partial = (struct dk_partial){.size = size, .fd = -1};
  dk_content_init(&partial->hasher);
}

void dk_partial_finish(struct dk_partial *partial) {
  if (partial->fd >= 0) close(partial->fd);
  dk_content_finish(&partial->hasher);
  dk_partial_init(partial, 0);
}

void dk_partial_reset(struct dk_partial *partial, const struct dk_objects *objects, const struct dk_digest *digest) {
  char name[NAME];
  make_name(digest, name);
  (void)dk_fs_remove_tree_at(objects->fd, name,
                             NULL); /* whatever has the name: what stays in the way is an error then */
  dk_partial_finish(partial);
}

int dk_partial_read(struct dk_partial *partial, const struct dk_objects *objects, const struct dk_digest *digest) {
  char name[NAME];
  make_name(digest, name);
  uint64_t left = partial->size - partial->at;
  size_t len = left < READ_SIZE ? (size_t)left : READ_SIZE;
  dk_autofree char *data = dk_alloc(len);
  if (!data) return -ENOMEM;
  int fd = openat(objects->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  int r = dk_fs_pread_all(fd, data, len, partial->at);
  close(fd);
  if (r < 0) return r;
  dk_content_add(&partial->hasher, data, len);
  partial->at += len;
  return partial->at < partial->size;
}

static int open_end(const struct dk_partial *partial, const struct dk_objects *objects, const char *name) {
  int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | (partial->at == 0 ? O_CREAT : 0);
  int fd = openat(objects->fd, name, flags, 0600);
  if (fd < 0 && errno == ENOENT && partial->at == 0 && mkdirat(objects->fd, "tmp", 0700) == 0)
    fd = openat(objects->fd, name, flags, 0600);
  if (fd < 0) return errno == ENOENT && partial->at > 0 ? -ESTALE : -errno;
  struct stat st;
  int r = fstat(fd, &st) < 0 ? -errno : (uint64_t)st.st_size != partial->at ? -ESTALE : 0;
  if (r < 0) close(fd);
  return r < 0 ? r : fd;
}

int dk_partial_add(struct dk_partial *partial, const struct dk_objects *objects, const struct dk_digest *digest,
                   const void *data, size_t len, bool is_last, struct dk_error *error) {
  char name[NAME];
  make_name(digest, name);
  int fd = open_end(partial, objects, name);
  int r = fd < 0 ? fd : dk_fs_write_all(fd, data, len);
  if (fd >= 0 && r < 0 && ftruncate(fd, (off_t)partial->at) < 0) r = -EIO;
  if (r == 0 && is_last)
    partial->fd = fd;
  else if (fd >= 0 && close(fd) < 0 && r == 0)
    r = -errno; /* a quota, on a network's file system */
  if (r < 0) return dk_error_system(error, r, "writing an input to %s/%s", objects->root, name);
  dk_content_add(&partial->hasher, data, len);
  partial->at += len;
  partial->size = partial->at;
  return 0;
}

bool dk_partial_is_whole(const struct dk_partial *partial, const struct dk_digest *digest) {
  struct dk_content_hasher copy = partial->hasher;
  struct dk_digest is;
  if (copy.failed) return false;
  copy.cap_leaves = copy.n_leaves;
  copy.leaves = NULL;
  if (copy.n_leaves > 0) copy.leaves = dk_memdup(partial->hasher.leaves, copy.n_leaves * sizeof *copy.leaves);
  if (copy.n_leaves > 0 && !copy.leaves) return false;
  return dk_content_get(&copy, &is) == 0 && dk_digest_equal(&is, digest);
}

int dk_partial_place(struct dk_partial *partial, struct dk_objects *objects, const struct dk_digest *digest,
                     struct dk_error *error) {
  char name[NAME];
  struct dk_digest is;
  make_name(digest, name);
  int r = dk_content_get(&partial->hasher, &is); /* the hasher is finished by that */
  dk_content_init(&partial->hasher);
  if (r < 0) return dk_error_system(error, r, "hashing an input");
  if (!dk_digest_equal(&is, digest))
    return dk_error_set(error, -EBADMSG, "the content of an input is not what its digest says");
  int fd = partial->fd >= 0 ? partial->fd : openat(objects->fd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  partial->fd = -1;
  if (fd < 0) return dk_error_system(error, -errno, "keeping an input in %s/%s", objects->root, name);
  return dk_objects_place(objects, name, fd, digest, error); /* closes it */
}
