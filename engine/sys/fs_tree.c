/* Trees of directories: removing and copying, never through a symbolic link; see fs.h. Depth is limited so that a
 * hostile tree costs descriptors, not the stack. */
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH_MAX 512

static bool is_dot(const char *name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* A directory of this file system: what is mounted there, a bind mount too, is somebody else's (-EXDEV). Kernels before
 * 5.6 and containers without openat2 cannot tell. */
static int open_here(int dir, const char *name) {
  struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_NO_XDEV};
  long fd = syscall(SYS_openat2, dir, name, &how, sizeof how);
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return (int)fd;
  return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Opens a directory for listing, even when its mode says no. */
static int open_dir(int dir, const char *name) {
  int fd = open_here(dir, name);
  if (fd < 0 && errno == EACCES && fchmodat(dir, name, 0700, 0) == 0) fd = open_here(dir, name);
  return fd < 0 ? -errno : fd;
}

int dk_fs_next_entry(DIR *stream, struct dirent **ret) {
  do {
    errno = 0; /* NULL stands for the end and for an error: readdir(3) */
    *ret = readdir(stream);
    if (!*ret) return -errno;
  } while (is_dot((*ret)->d_name));
  return 0;
}

static int empty(int fd, int depth, char *where, size_t size);

static int remove_entry(int dir, const char *name, bool may_be_file, int depth, char *where, size_t size) {
  int refused = 0; /* why it cannot be removed as a file */
  if (may_be_file) {
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) return 0;
    if (errno == EACCES || errno == EPERM) {
      fchmod(dir, 0700); /* a directory without w */
      if (unlinkat(dir, name, 0) == 0) return 0;
    }
    refused = -errno;
    if (errno != EISDIR && errno != EPERM && errno != EACCES) {
      snprintf(where, size, "%s", name);
      return -errno;
    }
  }
  int r = depth > DEPTH_MAX ? -ELOOP : 0;
  if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) == 0) return 0;
  int fd = r == 0 ? open_dir(dir, name) : r;
  if (fd < 0) {
    if (fd == -ENOENT) return 0;
    snprintf(where, size, "%s", name);
    return fd == -ENOTDIR && refused < 0 ? refused : fd; /* a file that may not be removed (chattr +i) */
  }
  r = empty(fd, depth + 1, where, size);
  close(fd);
  if (r < 0) return r;
  if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
  if ((errno == EACCES || errno == EPERM) && fchmod(dir, 0700) == 0 && unlinkat(dir, name, AT_REMOVEDIR) == 0) return 0;
  snprintf(where, size, "%s", name);
  return -errno;
}

static int empty(int fd, int depth, char *where, size_t size) {
  int list = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  DIR *stream = list >= 0 ? fdopendir(list) : NULL;
  if (!stream) {
    int code = -errno;
    if (list >= 0) close(list);
    return code;
  }
  rewinddir(stream);
  struct dirent *entry;
  int r;
  while ((r = dk_fs_next_entry(stream, &entry)) == 0 && entry) {
    r = remove_entry(fd, entry->d_name, entry->d_type != DT_DIR, depth, where, size);
    if (r < 0) break;
  }
  closedir(stream);
  return r;
}

int dk_fs_remove_tree_at(int dir, const char *name, struct dk_error *error) {
  char where[256] = "";
  int r = remove_entry(dir, name, true, 0, where, sizeof where);
  return r < 0 ? dk_error_system(error, r, "cannot remove %s (at %s)", name, where) : 0;
}

/* From its parent: an absolute path leads over the mounts above it. */
int dk_fs_remove_tree(const char *path, struct dk_error *error) {
  const char *slash = strrchr(path, '/');
  if (!slash) return dk_fs_remove_tree_at(AT_FDCWD, path, error);
  dk_autofree char *parent = dk_strndup(path, slash == path ? 1 : (size_t)(slash - path));
  if (!parent) return dk_error_set(error, -ENOMEM, "no memory to remove %s", path);
  int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return errno == ENOENT ? 0 : dk_error_system(error, -errno, "cannot open %s", parent);
  int r = dk_fs_remove_tree_at(dir, slash + 1, error);
  close(dir);
  return r;
}

int dk_fs_empty_dir(int dir, struct dk_error *error) {
  char where[256] = "";
  int r = empty(dir, 0, where, sizeof where);
  return r < 0 ? dk_error_system(error, r, "cannot empty a directory (at %s)", where) : 0;
}

bool dk_fs_dir_is_empty(int dir) {
  /* getdents64 itself: readdir would allocate 32 KiB for what is asked once a task. */
  char buffer[512] __attribute__((aligned(8)));
  if (lseek(dir, 0, SEEK_SET) < 0) return false;
  for (;;) {
    ssize_t n = getdents64(dir, buffer, sizeof buffer);
    if (n <= 0) return n == 0;
    for (ssize_t at = 0; at < n;) {
      const struct dirent64 *entry = (const void *)(buffer + at);
      if (!is_dot(entry->d_name)) return false;
      at += entry->d_reclen;
    }
  }
}

struct copy {
  bool sealed;
  dk_fs_stop_fn *stop;
  void *ctx;
  char where[512];
};

static int copy_dir(struct copy *copy, int from, int to, int depth);

static int copy_link(int from, int to, const char *name) {
  char target[4097];
  ssize_t n = readlinkat(from, name, target, sizeof target - 1);
  if (n < 0) return -errno;
  target[n] = '\0';
  if (symlinkat(target, to, name) == 0) return 0;
  if (errno != EEXIST) return -errno;
  if (unlinkat(to, name, 0) < 0) return -errno;
  return symlinkat(target, to, name) < 0 ? -errno : 0;
}

static int copy_regular(const struct copy *copy, int from, int to, const char *name) {
  int in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (in < 0) return -errno;
  struct stat st;
  int code = fstat(in, &st) < 0 ? -errno : copy->sealed && !dk_fs_is_sealed(&st) ? -EBADMSG : 0;
  if (code < 0) {
    close(in);
    return code;
  }
  mode_t mode = st.st_mode & S_IXUSR ? 0755 : 0644;
  int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (out < 0 && errno == EEXIST && unlinkat(to, name, 0) == 0)
    out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  int r = out < 0 ? -errno : 0;
  if (r == 0) r = dk_fs_copy_fd(in, out, (uint64_t)st.st_size, NULL);
  if (r == 0 && fchmod(out, mode) < 0) r = -errno;
  if (out >= 0 && close(out) < 0 && r == 0) r = -errno;
  close(in);
  return r;
}

static int copy_subdir(struct copy *copy, int from, int to, const char *name, int depth) {
  if (depth > DEPTH_MAX) return -ELOOP;
  if (mkdirat(to, name, 0755) < 0 && errno != EEXIST) return -errno;
  int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (in < 0) return -errno;
  int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int r = out < 0 ? -errno : copy_dir(copy, in, out, depth + 1);
  close(in);
  if (out >= 0) close(out);
  return r;
}

static int copy_entry(struct copy *copy, int from, int to, const char *name, int depth) {
  struct stat st;
  if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  if (S_ISDIR(st.st_mode)) return copy_subdir(copy, from, to, name, depth);
  if (S_ISLNK(st.st_mode)) return copy_link(from, to, name);
  if (S_ISREG(st.st_mode)) return copy_regular(copy, from, to, name);
  return -EINVAL;
}

static int copy_dir(struct copy *copy, int from, int to, int depth) {
  struct stat st;
  if (copy->sealed && (fstat(from, &st) < 0 || !dk_fs_is_sealed(&st))) return -EBADMSG;
  int list = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = list >= 0 ? fdopendir(list) : NULL;
  if (!stream) {
    int code = -errno;
    if (list >= 0) close(list);
    return code;
  }
  struct dirent *entry;
  int r;
  while ((r = dk_fs_next_entry(stream, &entry)) == 0 && entry) {
    if (copy->stop && copy->stop(copy->ctx)) {
      r = -ECANCELED;
      break;
    }
    r = copy_entry(copy, from, to, entry->d_name, depth);
    if (r < 0 && !copy->where[0]) snprintf(copy->where, sizeof copy->where, "%s", entry->d_name);
    if (r < 0) break;
  }
  closedir(stream);
  return r;
}

int dk_fs_copy_tree(int from_dir, int to_dir, bool sealed, dk_fs_stop_fn *stop, void *ctx, struct dk_error *error) {
  struct copy copy = {.sealed = sealed, .stop = stop, .ctx = ctx};
  int r = copy_dir(&copy, from_dir, to_dir, 0);
  if (r == -EBADMSG)
    return dk_error_set(error, r, "%s was changed since it was written", copy.where[0] ? copy.where : "the directory");
  if (r == -EINVAL) return dk_error_set(error, r, "cannot copy %s: it is no file, directory or link", copy.where);
  return r < 0 ? dk_error_system(error, r, "cannot copy %s", copy.where[0] ? copy.where : "a directory") : 0;
}

#define SEAL_S 1

static const struct timespec seal[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = SEAL_S}};

int dk_fs_seal(int fd, mode_t mode) {
  struct stat st;
  if (fstat(fd, &st) < 0) return -errno;
  if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return -EINVAL; /* root may do this to a device, too */
  return fchmod(fd, mode) < 0 || futimens(fd, seal) < 0 ? -errno : 0;
}

int dk_fs_seal_at(int dir, const char *name) {
  return utimensat(dir, name, seal, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

bool dk_fs_is_sealed(const struct stat *st) {
  bool is_writable = !S_ISDIR(st->st_mode) && (st->st_mode & 0222) != 0;
  return !is_writable && st->st_mtim.tv_sec == SEAL_S && st->st_mtim.tv_nsec == 0;
}
