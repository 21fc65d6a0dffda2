/* See shim.h. Built without sanitizers: it must work in front of theirs. Calls with an offset exist under two names, and both are
 * taken: this file must see the plain ones as such. */
#undef _FILE_OFFSET_BITS
#include "tests/support/shim/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
  char call[16];
  int error;
  unsigned at, count;
  bool and_after;
} armed;

int dk_shim_arm(const char *spec) {
  static const struct {
    const char *name;
    int error;
  } errors[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS}, {"EINTR", EINTR}};
  char name[16], more = '\0';
  memset(&armed, 0, sizeof armed);
  if (!spec) return 0;
  unsigned at;
  char call[16];
  if (sscanf(spec, "%15s %15s %u%c", call, name, &at, &more) < 3 || at == 0) return -1;
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (strcmp(errors[i].name, name) == 0) armed.error = errors[i].error;
  if (armed.error == 0) return -1;
  memcpy(armed.call, call, sizeof armed.call);
  armed.at = at;
  armed.and_after = more == '+';
  return 0;
}

unsigned dk_shim_count(void) {
  return armed.count;
}

__attribute__((constructor)) static void arm_from_environment(void) {
  const char *spec = getenv("DK_SHIM");
  if (spec && dk_shim_arm(spec) != 0) {
    fprintf(stderr, "DK_SHIM cannot be understood: %s\n", spec);
    _exit(2);
  }
}

static bool fails(const char *call, int fd) {
  if (armed.at == 0 || (fd >= 0 && fd <= 2) || strcmp(call, armed.call) != 0) return false;
  armed.count++;
  if (armed.count != armed.at && !(armed.and_after && armed.count > armed.at)) return false;
  errno = armed.error;
  return true;
}

#define REAL(name) ((__typeof__(&name))(void *)dlsym(RTLD_NEXT, #name))
#define HALF_OF(len) (armed.error == ENOSPC && (len) > 1 ? (len) / 2 : 0)

ssize_t write(int fd, const void *data, size_t len) {
  if (!fails("write", fd)) return REAL(write)(fd, data, len);
  if (HALF_OF(len)) return REAL(write)(fd, data, HALF_OF(len));
  return -1;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at) {
  if (!fails("pwrite", fd)) return REAL(pwrite)(fd, data, len, at);
  if (HALF_OF(len)) return REAL(pwrite)(fd, data, HALF_OF(len), at);
  return -1;
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
  if (!fails("writev", fd)) return REAL(writev)(fd, parts, n);
  if (armed.error == ENOSPC && n > 1) return REAL(writev)(fd, parts, n / 2);
  return -1;
}

int fsync(int fd) {
  return fails("fsync", fd) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd) {
  return fails("fdatasync", fd) ? -1 : REAL(fdatasync)(fd);
}

int syncfs(int fd) {
  return fails("syncfs", fd) ? -1 : REAL(syncfs)(fd);
}

int ftruncate(int fd, off_t size) {
  return fails("ftruncate", fd) ? -1 : REAL(ftruncate)(fd, size);
}

int rename(const char *from, const char *to) {
  return fails("rename", -1) ? -1 : REAL(rename)(from, to);
}

int link(const char *from, const char *to) {
  return fails("link", -1) ? -1 : REAL(link)(from, to);
}

int fallocate(int fd, int mode, off_t at, off_t len) {
  return fails("fallocate", fd) ? -1 : REAL(fallocate)(fd, mode, at, len);
}

_Static_assert(sizeof(off_t) == sizeof(off64_t), "one implementation for both names");

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at) {
  return pwrite(fd, data, len, at);
}

int ftruncate64(int fd, off64_t size) {
  return ftruncate(fd, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t len) {
  return fallocate(fd, mode, at, len);
}
