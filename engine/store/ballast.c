/* Ballast: a file of real blocks next to the data. When the disk is full it is removed and the commit tried again, so
 * that the ends of running tasks can be recorded while the engine stops handing out new ones (dk_store_is_short). Made
 * again by the next open for writing that finds room. */
#include "engine/store/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LEAVE_FREE 8 /* it takes at most one part in this many of what is free */
#define PROBE_BYTES (1u << 20)

static bool ballast_path(const struct dk_store *store, char *ret, size_t size) {
  int n = snprintf(ret, size, "%s/ballast", store->path);
  return n > 0 && (size_t)n < size;
}

void dk_ballast_make(struct dk_store *store) {
  char path[4096];
  struct stat st;
  struct statvfs fs;
  if (store->ballast_size == 0 || !ballast_path(store, path, sizeof path)) return;
  if (stat(path, &st) == 0 && (uint64_t)st.st_size == store->ballast_size) return;
  if (statvfs(store->path, &fs) != 0 || fs.f_bavail * fs.f_frsize / LEAVE_FREE < store->ballast_size) return;
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return;
  /* Not posix_fallocate: it would write zeros where the file system cannot reserve. */
  if (fallocate(fd, 0, 0, (off_t)store->ballast_size) != 0) unlink(path);
  close(fd);
}

bool dk_ballast_release(struct dk_store *store) {
  char path[4096];
  if (!ballast_path(store, path, sizeof path) || unlink(path) != 0) return false;
  store->is_short = true;
  return true;
}

bool dk_store_disk_is_full(const struct dk_store *store, uint64_t wanted) {
  static const char zeros[65536];
  char path[4096];
  int n = snprintf(path, sizeof path, "%s/probe", store->path);
  if (n < 0 || (size_t)n >= sizeof path) return false;
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  int err = fd < 0 ? errno : 0;
  for (uint64_t done = 0; err == 0 && done < wanted + PROBE_BYTES;) {
    ssize_t wrote = write(fd, zeros, sizeof zeros);
    if (wrote < 0 && errno != EINTR) err = errno;
    if (wrote > 0) done += (uint64_t)wrote;
  }
  if (fd >= 0) close(fd);
  unlink(path);
  return dk_error_is_full(-err);
}
