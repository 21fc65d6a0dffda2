/* A file into the objects, or only hashed. What is kept is hashed as the copy, so that the name is right whatever
 * happens to the file meanwhile. */
#include "engine/objects/object.h"
#include "engine/objects/private.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

int dk_objects_hash_fd(int fd, int to, struct dk_digest *ret, uint64_t *ret_size) {
  struct dk_content_hasher hasher;
  void *block = dk_alloc(DK_OBJECTS_BLOCK);
  int err = block ? 0 : -ENOMEM;
  *ret_size = 0;
  dk_content_init(&hasher);
  while (err == 0) {
    ssize_t n = read(fd, block, DK_OBJECTS_BLOCK);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) err = -errno;
    if (n <= 0) break;
    dk_content_add(&hasher, block, (size_t)n);
    *ret_size += (uint64_t)n;
    if (to != -1) err = dk_fs_write_all(to, block, (size_t)n);
  }
  dk_free(block);
  if (err == 0) return dk_content_get(&hasher, ret);
  dk_content_finish(&hasher);
  return err;
}

static bool is_same(const struct stat *a, const struct stat *b) {
  return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
         a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
         a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Whether it reflinked or copied, `ret` is the digest of what is in `to`. */
static int copy_in(int from, int to, struct dk_digest *ret, uint64_t *ret_size) {
  if (ioctl(to, FICLONE, from) == 0) return dk_objects_hash_fd(to, -1, ret, ret_size);
  return dk_objects_hash_fd(from, to, ret, ret_size);
}

static int changed(const char *path, struct dk_error *error) {
  return dk_error_set(error, -EAGAIN, "%s changed while it was read\nhelp: wait until it is written, then try again",
                      path);
}

/* A regular file for reading, and its stat data. */
static int open_file(const char *path, int *ret_fd, struct stat *ret, struct dk_error *error) {
  /* Not blocking: a fifo must be an error, not a wait. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return dk_error_system(error, -errno, "opening %s", path);
  int err = fstat(fd, ret) == 0 ? 0 : -errno;
  if (err == 0 && S_ISREG(ret->st_mode)) {
    *ret_fd = fd;
    return 0;
  }
  close(fd);
  if (err) return dk_error_system(error, err, "reading %s", path);
  return dk_error_set(error, S_ISDIR(ret->st_mode) ? -EISDIR : -EINVAL, "%s is not a regular file", path);
}

int dk_objects_hash_file(const char *path, struct dk_digest *ret, uint64_t *ret_size, struct dk_error *error) {
  struct stat before, after;
  int fd;
  int err = open_file(path, &fd, &before, error);
  if (err) return err;
  err = dk_objects_hash_fd(fd, -1, ret, ret_size);
  if (err == 0 && fstat(fd, &after) != 0) err = -errno;
  close(fd);
  if (err) return dk_error_system(error, err, "reading %s", path);
  return is_same(&before, &after) && *ret_size == (uint64_t)before.st_size ? 0 : changed(path, error);
}

static int put_open(struct dk_objects *objects, int from, const struct stat *before, const char *path,
                    struct dk_digest *ret, uint64_t *ret_size, struct dk_error *error) {
  struct stat after;
  char tmp[DK_OBJECTS_TMP];
  int fd;
  int err = dk_objects_tmp(objects, tmp, &fd, error);
  if (err) return err;
  uint64_t size;
  err = copy_in(from, fd, ret, &size);
  if (err == 0 && fstat(from, &after) != 0) err = -errno;
  if (err) {
    dk_objects_drop(objects, tmp, fd);
    return dk_error_system(error, err, "copying %s into %s", path, objects->root);
  }
  if (!is_same(before, &after) || size != (uint64_t)before->st_size) {
    dk_objects_drop(objects, tmp, fd);
    return changed(path, error);
  }
  if (ret_size) *ret_size = size;
  return dk_objects_place(objects, tmp, fd, ret, error);
}

int dk_objects_put_file(struct dk_objects *objects, const char *path, struct dk_digest *ret, uint64_t *ret_size,
                        struct dk_error *error) {
  struct stat before;
  int from;
  int err = open_file(path, &from, &before, error);
  if (err) return err;
  err = put_open(objects, from, &before, path, ret, ret_size, error);
  close(from);
  return err;
}
