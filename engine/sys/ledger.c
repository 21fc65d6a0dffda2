/* See ledger.h. A write to the file, and the closing of a descriptor for writing (also by the end of a process), are
 * what inotify tells to those who wait. */
#include "engine/sys/ledger.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of the file: 1 << 40 and up the pools, each with as many; 1 << 56 and up the queues, whose tickets are
 * microseconds. */
#define POOL_SIZE ((off_t)1 << 40)
#define QUEUE_SIZE ((off_t)1 << 56)

static off_t pool_base(enum dk_pool pool) {
  return POOL_SIZE * (off_t)(pool + 1);
}

static off_t queue_base(enum dk_pool pool) {
  return QUEUE_SIZE * (off_t)(pool + 1);
}

static int set_lock(int fd, short type, off_t start, off_t len) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
  return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* What of it another description holds: true, and the first place that is told of. Held as far as it cannot be
 * asked. */
static bool is_held(int fd, off_t start, off_t len, off_t *ret_start, off_t *ret_end) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
  if (fcntl(fd, F_OFD_GETLK, &lock) < 0) {
    *ret_start = start;
    *ret_end = start + len;
    return true;
  }
  if (lock.l_type == F_UNLCK) return false;
  off_t end = lock.l_len == 0 ? start + len : lock.l_start + lock.l_len;
  *ret_start = lock.l_start > start ? lock.l_start : start;
  *ret_end = end < start + len ? end : start + len;
  return true;
}

/* The place. */

/* Ours or root's, and nobody else can put another file in our file's place. */
static int check_dir(const char *dir, struct dk_error *error) {
  struct stat st;
  if (lstat(dir, &st) < 0) return dk_error_system(error, -errno, "cannot look at %s", dir);
  if (!S_ISDIR(st.st_mode)) return dk_error_set(error, -ENOTDIR, "%s is no directory", dir);
  if (st.st_uid != geteuid() && st.st_uid != 0)
    return dk_error_set(error, -EPERM, "%s belongs to another user (uid %u)", dir, (unsigned)st.st_uid);
  if ((st.st_mode & 022) && !(st.st_mode & S_ISVTX))
    return dk_error_set(error, -EPERM, "others may replace files in %s (mode %03o)", dir, (unsigned)st.st_mode & 0777);
  return 0;
}

const char *dk_ledger_asked(void) {
  const char *asked = getenv("DKRUN_LEDGER");
  return asked && *asked ? asked : DK_LEDGER_AUTO;
}

int dk_ledger_place(const char *asked, struct dk_buf *ret_dir, struct dk_error *error) {
  struct stat st;
  dk_buf_clear(ret_dir);
  if (strcmp(asked, DK_LEDGER_AUTO) != 0) {
    dk_buf_add_text(ret_dir, asked);
  } else if (lstat(DK_LEDGER_SHARED, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == 0 && (st.st_mode & S_ISVTX)) {
    dk_buf_add_text(ret_dir, DK_LEDGER_SHARED);
    return dk_buf_ok(ret_dir) ? 0 : dk_error_set(error, -ENOMEM, "no memory to book this machine");
  } else {
    dk_buf_printf(ret_dir, "/tmp/dkrun-%u", (unsigned)geteuid());
  }
  if (!dk_buf_ok(ret_dir)) return dk_error_set(error, -ENOMEM, "no memory to book this machine");
  if (ret_dir->data[0] != '/') return dk_error_set(error, -EINVAL, "%s is no absolute path", ret_dir->data);
  int r = dk_fs_mkdirs(ret_dir->data, 0700, error);
  return r < 0 ? r : check_dir(ret_dir->data, error);
}

/* Never O_CREAT on what is there: fs.protected_regular refuses that for another user's file in a directory such as
 * /tmp. */
static int open_file(const char *path, bool is_shared) {
  for (int i = 0; i < 100; i++) {
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = open(path, flags);
    if (fd >= 0 || errno != ENOENT) return fd < 0 ? -errno : fd;
    fd = open(path, flags | O_CREAT | O_EXCL, 0600);
    if (fd >= 0 && is_shared) (void)fchmod(fd, 0666);
    if (fd >= 0 || errno != EEXIST) return fd < 0 ? -errno : fd;
  }
  return -EAGAIN;
}

int dk_ledger_open(const char *dir, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  struct stat st;
  dk_buf_printf(&path, "%s/ledger", dir);
  if (!dk_buf_ok(&path)) return dk_error_set(error, -ENOMEM, "no memory to book this machine");
  bool is_shared = lstat(dir, &st) == 0 && (st.st_mode & 002);
  int fd = open_file(path.data, is_shared);
  if (fd < 0) return dk_error_system(error, fd, "cannot open %s", path.data);
  int r = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
  if (r == 0) r = set_lock(fd, F_UNLCK, pool_base(DK_POOL_CPU), 1);
  /* What cleans up old files in /tmp goes by these times. */
  if (r == 0 && st.st_uid == geteuid()) (void)futimens(fd, NULL);
  if (r == 0) return fd;
  close(fd);
  return dk_error_system(error, r, "cannot lock parts of %s", path.data);
}

/* Units. */

/* Calls back for each stretch that nobody else holds, in order, until it says stop. */
typedef bool stretch_fn(void *ctx, off_t start, off_t end);

static bool each_free(int fd, off_t start, off_t end, stretch_fn *call, void *ctx) {
  off_t held, held_end;
  /* The kernel tells of any one conflict, not of the first: what lies before it is looked at again. */
  while (start < end) {
    if (!is_held(fd, start, end - start, &held, &held_end)) return call(ctx, start, end);
    if (held > start && !each_free(fd, start, held, call, ctx)) return false;
    start = held_end;
  }
  return true;
}

struct count {
  uint32_t n;
};

static bool count_stretch(void *ctx, off_t start, off_t end) {
  ((struct count *)ctx)->n += (uint32_t)(end - start);
  return true;
}

uint32_t dk_ledger_free(int fd, enum dk_pool pool, const struct dk_range *from, size_t n_from) {
  struct count count = {0};
  for (size_t i = 0; i < n_from; i++) {
    off_t start = pool_base(pool) + (off_t)from[i].first;
    (void)each_free(fd, start, start + (off_t)from[i].n, count_stretch, &count);
  }
  return count.n;
}

struct take {
  int fd;
  off_t base;
  uint32_t want, n;
  uint32_t *units;
};

static bool take_stretch(void *ctx, off_t start, off_t end) {
  struct take *take = ctx;
  if (end - start > (off_t)(take->want - take->n)) end = start + (off_t)(take->want - take->n);
  if (set_lock(take->fd, F_WRLCK, start, end - start) < 0) return true;
  for (off_t at = start; take->units && at < end; at++)
    take->units[take->n + (uint32_t)(at - start)] = (uint32_t)(at - take->base);
  take->n += (uint32_t)(end - start);
  return take->n < take->want;
}

bool dk_ledger_take(int fd, enum dk_pool pool, const struct dk_range *from, size_t n_from, uint32_t want,
                    uint32_t *ret_units) {
  struct take take = {.fd = fd, .base = pool_base(pool), .want = want, .units = ret_units};
  for (size_t i = 0; i < n_from && take.n < want; i++) {
    off_t start = take.base + (off_t)from[i].first;
    (void)each_free(fd, start, start + (off_t)from[i].n, take_stretch, &take);
  }
  if (take.n == want) return true;
  (void)set_lock(fd, F_UNLCK, take.base, POOL_SIZE);
  return false;
}

/* Queues. */

static void wake(int fd) {
  if (dk_ledger_is_wanted(fd) && pwrite(fd, "", 1, 0) < 0)
    errno = 0; /* those who wait look now and then by themselves */
}

uint64_t dk_ledger_queue(int fd, enum dk_pool pool, uint64_t ticket) {
  uint64_t at = ticket ? ticket : dk_now_ns() / 1000 + 1;
  for (int i = 0; i < 100000; i++, at++) {
    int r = set_lock(fd, F_WRLCK, queue_base(pool) + (off_t)at, 1);
    if (r == 0) return at;
    if (r != -EAGAIN && r != -EACCES) return 0;
  }
  return 0;
}

bool dk_ledger_is_first(int fd, enum dk_pool pool, uint64_t ticket) {
  off_t start, end;
  return !is_held(fd, queue_base(pool), (off_t)ticket, &start, &end);
}

void dk_ledger_leave(int fd, enum dk_pool pool) {
  (void)set_lock(fd, F_UNLCK, queue_base(pool), QUEUE_SIZE);
  wake(fd);
}

bool dk_ledger_is_wanted(int fd) {
  off_t start, end;
  return is_held(fd, queue_base(0), QUEUE_SIZE * DK_POOL_N, &start, &end);
}

void dk_ledger_release(int fd) {
  (void)set_lock(fd, F_UNLCK, 0, 0);
  wake(fd);
}

int dk_ledger_watch(int fd) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (watch >= 0 && inotify_add_watch(watch, path, IN_MODIFY | IN_CLOSE_WRITE) < 0) {
    close(watch);
    watch = -1;
  }
  return watch;
}

void dk_ledger_drain(int watch) {
  char events[1024];
  while (read(watch, events, sizeof events) > 0) continue;
}
