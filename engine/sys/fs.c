/* Single files and paths: see fs.h. Trees are in fs_tree.c. */
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static int read_fd(int fd, const char *name, size_t cap, struct dk_buf *out, struct dk_error *error) {
  size_t total = 0;
  for (;;) {
    size_t want = 65536;
    void *to = dk_buf_reserve(out, want);
    if (!to) return dk_error_set(error, -ENOMEM, "no memory to read %s", name);
    ssize_t n = read(fd, to, want);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return dk_error_system(error, -errno, "cannot read %s", name);
    if (n == 0) return 0;
    total += (size_t)n;
    if (total > cap) return dk_error_set(error, -EFBIG, "%s is larger than %zu bytes", name, cap);
    dk_buf_commit(out, (size_t)n);
  }
}

int dk_fs_read_at(int dir, const char *name, size_t cap, struct dk_buf *out, struct dk_error *error) {
  int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return dk_error_system(error, -errno, "cannot open %s", name);
  int r = read_fd(fd, name, cap, out, error);
  close(fd);
  return r;
}

int dk_fs_read(const char *path, size_t cap, struct dk_buf *out, struct dk_error *error) {
  return dk_fs_read_at(AT_FDCWD, path, cap, out, error);
}

int dk_fs_write_all(int fd, const void *data, size_t len) {
  const char *at = data;
  while (len > 0) {
    ssize_t n = write(fd, at, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    at += n;
    len -= (size_t)n;
  }
  return 0;
}

int dk_fs_pread_all(int fd, void *data, size_t len, uint64_t offset) {
  char *at = data;
  while (len > 0) {
    ssize_t n = pread(fd, at, len, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) return -EIO;
    at += n;
    offset += (uint64_t)n;
    len -= (size_t)n;
  }
  return 0;
}

static int write_new(const char *path, const void *data, size_t len, mode_t mode, bool durable) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return -errno;
  int r = dk_fs_write_all(fd, data, len);
  if (r == 0 && durable && fsync(fd) < 0) r = -errno;
  if (close(fd) < 0 && r == 0) r = -errno;
  return r;
}

static char *parent_of(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return dk_strdup(".");
  return dk_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int dk_fs_write(const char *path, const void *data, size_t len, mode_t mode, bool durable, struct dk_error *error) {
  dk_autobuf temporary = DK_BUF_INIT;
  dk_buf_printf(&temporary, "%s.tmp%ld", path, (long)getpid());
  if (!dk_buf_ok(&temporary)) return dk_error_set(error, -ENOMEM, "no memory to write %s", path);
  int r = write_new(temporary.data, data, len, mode, durable);
  if (r == 0 && rename(temporary.data, path) < 0) r = -errno;
  if (r < 0) {
    unlink(temporary.data);
    return dk_error_system(error, r, "cannot write %s", path);
  }
  if (!durable) return 0;
  dk_autofree char *dir = parent_of(path);
  if (!dir) return dk_error_set(error, -ENOMEM, "no memory to write %s", path);
  return dk_fs_sync_dir(dir, error);
}

int dk_fs_identify(int fd, struct dk_fs_identity *ret) {
  struct statfs fs;
  struct stat st;
  if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0) return -errno;
  uint64_t id = 0;
  memcpy(&id, &fs.f_fsid, sizeof id < sizeof fs.f_fsid ? sizeof id : sizeof fs.f_fsid);
  *ret = (struct dk_fs_identity){id ? id : st.st_dev, st.st_ino};
  return 0;
}

int dk_fs_sync_dir(const char *path, struct dk_error *error) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int r = fd < 0 ? -errno : fsync(fd) < 0 ? -errno : 0;
  if (fd >= 0) close(fd);
  return r < 0 ? dk_error_system(error, r, "cannot sync the directory %s", path) : 0;
}

int dk_fs_mkdirs(const char *path, mode_t mode, struct dk_error *error) {
  if (mkdir(path, mode) == 0) return 0;
  if (errno == EEXIST || errno == EISDIR) {
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return 0;
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
      return dk_error_set(error, -ENOTDIR, "%s is a link that leads nowhere\nhelp: make what it leads to, or remove it",
                          path);
    return dk_error_set(error, -ENOTDIR, "%s is there and is no directory", path);
  }
  if (errno != ENOENT || !strchr(path, '/'))
    return dk_error_system(error, -errno, "cannot make the directory %s", path);
  dk_autofree char *copy = dk_strdup(path);
  if (!copy) return dk_error_set(error, -ENOMEM, "no memory to make %s", path);
  for (char *at = copy + 1; *at; at++) {
    if (*at != '/') continue;
    *at = '\0';
    if (mkdir(copy, mode) < 0 && errno != EEXIST && errno != EISDIR && errno != EROFS && errno != EACCES)
      return dk_error_system(error, -errno, "cannot make the directory %s", copy);
    *at = '/';
  }
  if (mkdir(copy, mode) < 0 && errno != EEXIST)
    return dk_error_system(error, -errno, "cannot make the directory %s", path);
  return 0;
}

int dk_fs_mkdirs_beneath(int dir, const char *path, mode_t mode, int *ret_fd, struct dk_error *error) {
  int at = fcntl(dir, F_DUPFD_CLOEXEC, 3);
  if (at < 0) return dk_error_system(error, -errno, "cannot make the directory %s", path);
  const char *rest = path;
  while (*rest) {
    size_t len = strcspn(rest, "/");
    char name[256];
    int r = 0;
    if (len >= sizeof name) r = -ENAMETOOLONG;
    if (len == 2 && memcmp(rest, "..", 2) == 0) r = -EXDEV;
    int next = -1;
    if (r == 0 && len > 0) {
      memcpy(name, rest, len);
      name[len] = '\0';
      if (mkdirat(at, name, mode) < 0 && errno != EEXIST) r = -errno;
      if (r == 0) next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (r == 0 && next < 0) r = -errno;
      close(at);
      at = next;
    } else if (r < 0) {
      close(at);
    }
    if (r < 0) return dk_error_system(error, r, "cannot make the directory %s", path);
    rest += len + (rest[len] == '/');
  }
  *ret_fd = at;
  return 0;
}

bool dk_fs_is_plain_path(const char *path) {
  if (!*path || *path == '/') return false;
  for (;;) {
    size_t len = strcspn(path, "/");
    if (len == 0 || len > 255) return false;
    if (path[0] == '.' && (len == 1 || (len == 2 && path[1] == '.'))) return false;
    if (!path[len]) return true;
    path += len + 1;
  }
}

bool dk_fs_link_is_inside(const char *path, const char *target) {
  size_t depth = 0;
  bool goes_down = false;
  if (!*target || *target == '/') return false;
  for (const char *at = path; (at = strchr(at, '/')); at++) depth++;
  for (const char *at = target; *at;) {
    size_t len = strcspn(at, "/");
    bool is_up = len == 2 && at[0] == '.' && at[1] == '.';
    bool is_here = len == 0 || (len == 1 && at[0] == '.');
    if (is_up && (goes_down || depth == 0)) return false;
    if (is_up) depth--;
    if (!is_up && !is_here) goes_down = true;
    at += len + (at[len] == '/');
  }
  return true;
}

/* For kernels before 5.6, and containers whose seccomp filter is older than openat2. */
static int open_by_steps(int dir, const char *path, int flags, mode_t mode) {
  if (!dk_fs_is_plain_path(path) && strcmp(path, ".") != 0) return -EXDEV;
  int at = dir;
  for (;;) {
    size_t len = strcspn(path, "/");
    char name[256];
    memcpy(name, path, len);
    name[len] = '\0';
    bool is_last = !path[len];
    int next =
        openat(at, name, is_last ? flags | O_NOFOLLOW | O_CLOEXEC : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
               is_last ? mode : 0);
    int code = -errno;
    if (at != dir) close(at);
    if (next < 0) return code == -ENOTDIR && !is_last ? -ELOOP : code;
    if (is_last) return next;
    at = next;
    path += len + 1;
  }
}

int dk_fs_open_beneath(int dir, const char *path, int flags, mode_t mode) {
  static bool is_missing;
  if (!is_missing) {
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                           .mode = flags & O_CREAT ? mode : 0,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    for (int i = 0; i < 100; i++) {
      long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
      if (fd >= 0) return (int)fd;
      if (errno == EAGAIN || errno == EINTR) continue; /* a rename somewhere raced with RESOLVE_BENEATH */
      if (errno != ENOSYS && errno != EPERM) return -errno;
      is_missing = true;
      break;
    }
  }
  return open_by_steps(dir, path, flags, mode);
}

static int copy_by_hand(int from, int to) {
  size_t size = 256 * 1024;
  dk_autofree char *buffer = dk_alloc(size);
  if (!buffer) return -ENOMEM;
  for (;;) {
    ssize_t n = read(from, buffer, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) return 0;
    int r = dk_fs_write_all(to, buffer, (size_t)n);
    if (r < 0) return r;
  }
}

int dk_fs_copy_fd(int from, int to, uint64_t size, bool *ret_reflinked) {
  bool reflinked = size > 0 && ioctl(to, FICLONE, from) == 0;
  if (ret_reflinked) *ret_reflinked = reflinked;
  if (reflinked) return 0;
  uint64_t done = 0;
  while (done < size) {
    ssize_t n = copy_file_range(from, NULL, to, NULL, size - done, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += (uint64_t)n;
  }
  /* EXDEV, EINVAL, EOPNOTSUPP, or a file system that says 0 (procfs): the rest goes by hand, from where both stand
   * now. */
  return copy_by_hand(from, to);
}

char *dk_fs_absolute(const char *path) {
  char *real = realpath(*path ? path : ".", NULL);
  if (!real && errno == ENOENT) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    dk_autofree char *dir = parent_of(path);
    if (!dir || !*name || strcmp(name, "..") == 0) return NULL;
    char *parent = realpath(dir, NULL);
    if (!parent) return NULL;
    dk_autobuf out = DK_BUF_INIT;
    dk_buf_printf(&out, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, name);
    free(parent); /* realpath's own memory */
    char *ret = dk_buf_steal(&out);
    if (!ret) errno = ENOMEM;
    return ret;
  }
  if (!real) return NULL;
  char *copy = dk_strdup(real);
  free(real);
  if (!copy) errno = ENOMEM;
  return copy;
}

bool dk_fs_is_one_file(const char *a, const char *b) {
  struct stat is, other;
  return stat(a, &is) == 0 && stat(b, &other) == 0 && is.st_dev == other.st_dev && is.st_ino == other.st_ino;
}
