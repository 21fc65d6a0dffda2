/* See shim.h. Built without sanitizers: it must work in front of theirs. Calls with an offset exist under two names,
 * and both are taken: this file must see the plain ones as such. */
#undef _FILE_OFFSET_BITS
#include "tests/support/shim/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct dk_shim_plan own;
static struct dk_shim_plan *plan = &own;
static bool is_meant = true; /* plan->who is this process */

int dk_shim_arm(const char *spec) {
  return dk_shim_parse(spec, &own);
}

unsigned dk_shim_count(void) {
  return own.count;
}

static _Noreturn void give_up(const char *what) {
  fprintf(stderr, "shim: %s cannot be used\n", what);
  _exit(2);
}

/* The word after the program's name, as every process sees it of itself. */
static void read_argument(char *ret, size_t size) {
  char line[512] = "";
  int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  long n = fd < 0 ? 0 : syscall(SYS_read, fd, line, sizeof line - 1);
  if (fd >= 0) syscall(SYS_close, fd);
  size_t first = strlen(line) + 1;
  snprintf(ret, size, "%s", n > 0 && first < (size_t)n ? line + first : "");
}

static void on_crash(int signal_) {
  atomic_fetch_add(&plan->crashed, 1);
  signal(signal_, SIG_DFL); /* SA_NODEFER: it comes again */
  raise(signal_);
}

/* Under a sanitizer its own handlers are worth more. */
static void watch_for_crashes(void) {
  static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
  struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_NODEFER};
  for (size_t i = 0; !dlsym(RTLD_DEFAULT, "__asan_init") && i < sizeof signals / sizeof *signals; i++)
    sigaction(signals[i], &action, NULL);
}

__attribute__((constructor)) static void arm_from_environment(void) {
  const char *spec = getenv("DK_SHIM"), *path = getenv("DK_SHIM_PLAN");
  if (spec && dk_shim_arm(spec) != 0) give_up(spec);
  if (!path) return;
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return; /* a process that outlived the test */
  void *map = (void *)syscall(SYS_mmap, NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
  syscall(SYS_close, fd);
  if (map == MAP_FAILED) give_up(path);
  char argument[16];
  read_argument(argument, sizeof argument);
  struct dk_shim_plan *mapped = map;
  is_meant = mapped->who[0] == '\0' || strcmp(mapped->who, argument) == 0;
  plan = mapped;
  watch_for_crashes();
}

static bool is_armed(const char *call) {
  size_t len = strlen(call);
  for (const char *at = plan->calls; (at = strstr(at, call)); at += len)
    if ((at == plan->calls || at[-1] == ',') && (at[len] == ',' || at[len] == '\0')) return true;
  return false;
}

static bool fails(const char *call, int fd) {
  unsigned at = atomic_load_explicit(&plan->at, memory_order_relaxed);
  if (at == 0 || !is_meant || (fd >= 0 && fd <= 2) || !is_armed(call)) return false;
  unsigned n = atomic_fetch_add(&plan->count, 1) + 1;
  if (n != at && !(plan->and_after && n > at)) return false;
  atomic_fetch_add(&plan->failed, 1);
  errno = plan->error;
  return true;
}

/* The next one of that name behind this library: the C library's, or a sanitizer's. */
#define REAL(name)                                                                                                     \
  ({                                                                                                                   \
    static __typeof__(&name) real_##name;                                                                              \
    if (!real_##name) real_##name = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                        \
    real_##name;                                                                                                       \
  })
#define HALF_OF(len) (plan->error == ENOSPC && (len) > 1 ? (len) / 2 : 0)

_Static_assert(sizeof(off_t) == sizeof(off64_t), "one implementation for both names");

/* Contents. */

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
  if (plan->error == ENOSPC && n > 1) return REAL(writev)(fd, parts, n / 2);
  return -1;
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t len, unsigned flags) {
  if (!fails("copy_file_range", out)) return REAL(copy_file_range)(in, in_at, out, out_at, len, flags);
  if (HALF_OF(len)) return REAL(copy_file_range)(in, in_at, out, out_at, HALF_OF(len), flags);
  return -1;
}

ssize_t read(int fd, void *data, size_t len) {
  return fails("read", fd) ? -1 : REAL(read)(fd, data, len);
}

ssize_t pread(int fd, void *data, size_t len, off_t at) {
  return fails("pread", fd) ? -1 : REAL(pread)(fd, data, len, at);
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

/* Names. */

int rename(const char *from, const char *to) {
  return fails("rename", -1) ? -1 : REAL(rename)(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
  return fails("renameat", -1) ? -1 : REAL(renameat)(from_dir, from, to_dir, to);
}

int link(const char *from, const char *to) {
  return fails("link", -1) ? -1 : REAL(link)(from, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  return fails("linkat", -1) ? -1 : REAL(linkat)(from_dir, from, to_dir, to, flags);
}

int mkdir(const char *path, mode_t mode) {
  return fails("mkdir", -1) ? -1 : REAL(mkdir)(path, mode);
}

int mkdirat(int dir, const char *path, mode_t mode) {
  return fails("mkdirat", -1) ? -1 : REAL(mkdirat)(dir, path, mode);
}

/* Room. */

int ftruncate(int fd, off_t size) {
  return fails("ftruncate", fd) ? -1 : REAL(ftruncate)(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t len) {
  return fails("fallocate", fd) ? -1 : REAL(fallocate)(fd, mode, at, len);
}

void *mmap(void *where, size_t len, int protection, int flags, int fd, off_t at) {
  if ((flags & MAP_SHARED) && fd >= 0 && fails("mmap", fd)) return MAP_FAILED;
  return REAL(mmap)(where, len, protection, flags, fd, at);
}

void *mremap(void *where, size_t old, size_t len, int flags, ...) {
  va_list ap;
  va_start(ap, flags);
  void *to = flags & MREMAP_FIXED ? va_arg(ap, void *) : NULL;
  va_end(ap);
  return fails("mremap", -1) ? MAP_FAILED : REAL(mremap)(where, old, len, flags, to);
}

/* Descriptors and processes. */

#define MODE_OF(flags, mode)                                                                                           \
  if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                                             \
    va_list ap;                                                                                                        \
    va_start(ap, flags);                                                                                               \
    mode = va_arg(ap, mode_t);                                                                                         \
    va_end(ap);                                                                                                        \
  }

int open(const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE_OF(flags, mode)
  return fails("open", -1) ? -1 : REAL(open)(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE_OF(flags, mode)
  return fails("open", -1) ? -1 : REAL(openat)(dir, path, flags, mode);
}

int socket(int domain, int type, int protocol) {
  return fails("socket", -1) ? -1 : REAL(socket)(domain, type, protocol);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags) {
  return fails("accept", fd) ? -1 : REAL(accept4)(fd, address, len, flags);
}

int pipe2(int fds[2], int flags) {
  return fails("pipe", -1) ? -1 : REAL(pipe2)(fds, flags);
}

int fcntl(int fd, int command, ...) {
  va_list ap;
  va_start(ap, command);
  void *argument = va_arg(ap, void *); /* as the C library's own does: an int or a pointer */
  va_end(ap);
  if (command == F_DUPFD_CLOEXEC && fails("dup", fd)) return -1;
  return REAL(fcntl)(fd, command, argument);
}

pid_t fork(void) {
  return fails("fork", -1) ? -1 : REAL(fork)();
}

/* Only openat2 has no function in the C library. */
long syscall(long number, ...) {
  long a[6];
  va_list ap;
  va_start(ap, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(ap, long);
  va_end(ap);
  if (number == SYS_openat2 && fails("open", -1)) return -1;
  return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#ifdef DK_SHIM_ALLOC /* the heap of a whole program, its libraries included */

void *malloc(size_t size) {
  return fails("alloc", -1) ? NULL : REAL(malloc)(size);
}

void *calloc(size_t n, size_t size) {
  return fails("alloc", -1) ? NULL : REAL(calloc)(n, size);
}

void *realloc(void *old, size_t size) {
  return fails("alloc", -1) ? NULL : REAL(realloc)(old, size);
}

#endif

/* The second names. */

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at) {
  return pwrite(fd, data, len, at);
}

ssize_t pread64(int fd, void *data, size_t len, off64_t at) {
  return pread(fd, data, len, at);
}

int ftruncate64(int fd, off64_t size) {
  return ftruncate(fd, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t len) {
  return fallocate(fd, mode, at, len);
}

void *mmap64(void *where, size_t len, int protection, int flags, int fd, off64_t at) {
  return mmap(where, len, protection, flags, fd, at);
}

int open64(const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE_OF(flags, mode)
  return open(path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE_OF(flags, mode)
  return openat(dir, path, flags, mode);
}

int fcntl64(int fd, int command, ...) {
  va_list ap;
  va_start(ap, command);
  void *argument = va_arg(ap, void *);
  va_end(ap);
  return fcntl(fd, command, argument);
}
