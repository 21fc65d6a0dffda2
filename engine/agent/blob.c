/* See blob.h. */
#include "engine/agent/blob.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define READ_SIZE (256u << 10)

int dk_blobs_open(struct dk_blobs *blobs, const char *path, struct dk_error *error) {
  blobs->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (blobs->fd < 0) return dk_error_system(error, -errno, "cannot open the object directory %s", path);
  (void)getrandom(&blobs->counter, sizeof blobs->counter,
                  0); /* what a killed keeper left has a process id that may be ours */
  return 0;
}

void dk_blobs_close(struct dk_blobs *blobs) {
  if (blobs->fd >= 0) close(blobs->fd);
  blobs->fd = -1;
}

struct object_name {
  char dir[3];
  char path[DK_DIGEST_HEX + 2];
};

static struct object_name name_of(const struct dk_digest *digest) {
  char hex[DK_DIGEST_HEX + 1];
  struct object_name name;
  dk_digest_hex(digest, hex);
  snprintf(name.dir, sizeof name.dir, "%.2s", hex);
  snprintf(name.path, sizeof name.path, "%.2s/%s", hex, hex + 2);
  return name;
}

/* There already, as long as it should be (what a power cut left half written is not), and not written to since. Another is replaced. */
static bool is_there(const struct dk_blobs *blobs, const char *path, uint64_t size) {
  struct stat st;
  return fstatat(blobs->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && dk_fs_is_sealed(&st) &&
         (uint64_t)st.st_size == size;
}

int dk_blobs_get(const struct dk_blobs *blobs, const struct dk_digest *digest, struct stat *ret) {
  struct object_name name = name_of(digest);
  int fd = openat(blobs->fd, name.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return -errno;
  int r = fstat(fd, ret) < 0 ? -errno : dk_fs_is_sealed(ret) ? 0 : -EBADMSG;
  if (r < 0) close(fd);
  return r < 0 ? r : fd;
}

static int rename_in(struct dk_blobs *blobs, const char *temporary, const struct object_name *name) {
  if (renameat(blobs->fd, temporary, blobs->fd, name->path) == 0) return 0;
  if (errno != ENOENT) return -errno;
  if (mkdirat(blobs->fd, name->dir, 0755) < 0 && errno != EEXIST) return -errno;
  return renameat(blobs->fd, temporary, blobs->fd, name->path) < 0 ? -errno : 0;
}

static void temporary_name(struct dk_blobs *blobs, char ret[40]) {
  snprintf(ret, 40, "tmp/a%ld-%llx", (long)getpid(), (unsigned long long)blobs->counter++);
}

int dk_blobs_begin(struct dk_blobs *blobs, char ret_name[40], struct dk_error *error) {
  for (int i = 0; i < 2; i++) {
    temporary_name(blobs, ret_name);
    int fd = openat(blobs->fd, ret_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) return fd;
    if (errno != ENOENT || mkdirat(blobs->fd, "tmp", 0700) < 0) break;
  }
  return dk_error_system(error, -errno, "cannot write to the object directory");
}

int dk_blobs_end(struct dk_blobs *blobs, const char *name, int fd, const struct dk_digest *digest,
                 struct dk_error *error) {
  int r = digest && fchmod(fd, 0444) < 0 ? -errno : 0;
  if (close(fd) < 0 && r == 0) r = -errno;
  if (digest && r == 0) {
    struct object_name to = name_of(digest);
    r = rename_in(blobs, name, &to);
    if (r == 0) (void)dk_fs_seal_at(blobs->fd, to.path); /* without a seal it is read when it is looked for */
    if (r == 0) return 0;
  }
  unlinkat(blobs->fd, name, 0);
  return r < 0 ? dk_error_system(error, r, "cannot write an object") : 0;
}

int dk_blobs_put(struct dk_blobs *blobs, const void *data, size_t len, struct dk_digest *ret, struct dk_error *error) {
  int r = dk_content_of(data, len, ret);
  if (r < 0) return dk_error_set(error, r, "no memory to keep a file");
  if (is_there(blobs, name_of(ret).path, len)) return 0;
  char name[40];
  int fd = dk_blobs_begin(blobs, name, error);
  if (fd < 0) return fd;
  r = dk_fs_write_all(fd, data, len);
  if (r == 0) return dk_blobs_end(blobs, name, fd, ret, error);
  dk_blobs_end(blobs, name, fd, NULL, NULL);
  return dk_error_system(error, r, "cannot write an object");
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

static int link_in(struct dk_blobs *blobs, int dir, const char *name, const struct object_name *to) {
  if (linkat(dir, name, blobs->fd, to->path, 0) == 0) return 0;
  if (errno == ENOENT && mkdirat(blobs->fd, to->dir, 0755) == 0 && linkat(dir, name, blobs->fd, to->path, 0) == 0)
    return 0;
  if (errno != EEXIST) return -errno;
  /* One is there that is no good: replaced in one step. */
  char temporary[40];
  temporary_name(blobs, temporary);
  mkdirat(blobs->fd, "tmp", 0700);
  if (linkat(dir, name, blobs->fd, temporary, 0) < 0) return -errno;
  int r = rename_in(blobs, temporary, to);
  if (r < 0) unlinkat(blobs->fd, temporary, 0);
  return r;
}

static int copy_in(struct dk_blobs *blobs, int fd, const struct stat *st, struct dk_digest *ret,
                   struct dk_error *error) {
  char name[40];
  int to = dk_blobs_begin(blobs, name, error);
  if (to < 0) return to;
  uint64_t size;
  int r = digest_fd(blobs, fd, to, &size, ret);
  if (r == 0 && is_changed(fd, st, size)) r = -EBUSY;
  if (r == 0) return dk_blobs_end(blobs, name, to, ret, error);
  dk_blobs_end(blobs, name, to, NULL, NULL);
  return r == -EBUSY ? dk_error_set(error, r, "the file changed while it was read")
                     : dk_error_system(error, r, "cannot keep a file");
}

int dk_blobs_keep(struct dk_blobs *blobs, int dir, const char *name, int fd, const struct stat *st,
                  struct dk_digest *ret, struct dk_error *error) {
  struct stat root;
  bool may_link =
      st->st_nlink == 1 && st->st_uid == geteuid() && fstat(blobs->fd, &root) == 0 && root.st_dev == st->st_dev;
  if (!may_link) return copy_in(blobs, fd, st, ret, error);
  uint64_t size;
  int r = digest_fd(blobs, fd, -1, &size, ret);
  if (r == 0 && is_changed(fd, st, size)) return dk_error_set(error, -EBUSY, "the file changed while it was read");
  if (r < 0) return dk_error_system(error, r, "cannot read a file to be kept");
  struct object_name to = name_of(ret);
  if (is_there(blobs, to.path, size)) return 0;
  if (fchmod(fd, 0444) < 0) r = -errno;
  if (r == 0) r = link_in(blobs, dir, name, &to);
  if (r == 0) (void)dk_fs_seal(fd, 0444);
  if (r == -EXDEV || r == -EPERM || r == -EMLINK || r == -EACCES) return copy_in(blobs, fd, st, ret, error);
  return r < 0 ? dk_error_system(error, r, "cannot keep a file in the object directory") : 0;
}
