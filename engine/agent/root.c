/* See root.h. */
#include "engine/agent/root.h"
#include "engine/agent/journal.h"
#include "engine/sys/fs.h"
#include "engine/sys/lock.h"
#include "engine/sys/loop.h"
#include "engine/sys/sock.h"
#include "lang/base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define END_NS 3000000000u /* an idle daemon, and its keepers, end in a few milliseconds */

int dk_root_check(const char *root, bool may_make, struct dk_error *error) {
  struct stat st;
  int r = may_make ? dk_fs_mkdirs(root, 0700, error) : 0;
  if (r < 0) return r;
  if (stat(root, &st) < 0) return dk_error_system(error, -errno, "cannot use %s", root);
  if (!S_ISDIR(st.st_mode)) return dk_error_set(error, -ENOTDIR, "%s is no directory", root);
  if (st.st_uid != geteuid())
    return dk_error_set(error, -EPERM, "%s belongs to another user (uid %u)\nhelp: name another directory", root,
                        (unsigned)st.st_uid);
  if ((st.st_mode & 022) != 0)
    return dk_error_set(error, -EPERM, "others can write to %s\nhelp: chmod 700 %s, or name another directory", root,
                        root);
  return 0;
}

/* nftw has no context. */
static uint64_t walked;

static int count(const char *path, const struct stat *st, int kind, struct FTW *at) {
  (void)path;
  (void)at;
  if (kind == FTW_NS) return 0; /* gone meanwhile */
  uint64_t bytes = (uint64_t)st->st_blocks * 512;
  walked += S_ISDIR(st->st_mode) || st->st_nlink < 2 ? bytes : bytes / st->st_nlink; /* links of one file are in here */
  return 0;
}

int dk_root_size(const char *root, uint64_t *ret, struct dk_error *error) {
  walked = 0;
  if (nftw(root, count, 32, FTW_PHYS | FTW_MOUNT) < 0) return dk_error_system(error, -errno, "cannot read %s", root);
  *ret = walked;
  return 0;
}

/* Cleaning. */

/* Is the process an agent's daemon? The lock's words may be of one that is gone. */
static bool is_daemon(pid_t pid) {
  char path[64];
  dk_autobuf words = DK_BUF_INIT;
  snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
  if (pid <= 0 || dk_fs_read(path, 1u << 16, &words, NULL) < 0 || words.len == 0) return false;
  const char *second = memchr(words.data, '\0', words.len);
  return second && strcmp(second + 1, "serve") == 0; /* a buffer ends in a NUL */
}

/* A HUP ends a daemon that is idle, and no other. */
static int take_lock(const char *root, struct dk_lock *lock, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/lock", root);
  if (!dk_buf_ok(&path)) return dk_error_set(error, -ENOMEM, "no memory");
  uint64_t until = dk_now_ns() + END_NS;
  int r = dk_lock_take(lock, path.data, "dkagent clean", error);
  pid_t holder = r == -EWOULDBLOCK ? dk_lock_holder(path.data) : 0;
  if (is_daemon(holder)) kill(holder, SIGHUP);
  while (r == -EWOULDBLOCK && dk_now_ns() < until) {
    poll(NULL, 0, 10);
    r = dk_lock_take(lock, path.data, "dkagent clean", error);
  }
  if (r != -EWOULDBLOCK) return r;
  return dk_error_set(error, -EBUSY,
                      "the agent in %s (process %ld) is in use\nhelp: a dkrun is connected to it, or tasks run or wait "
                      "there: clean up when that is over",
                      root, (long)holder);
}

static bool has_keeper(int slot) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d/sock", slot);
  int fd = dk_sock_connect(path, NULL);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static int count_end(void *ctx, uint64_t seq, struct dk_id id, struct dk_result *result) {
  ++*(size_t *)ctx;
  (void)seq;
  (void)id;
  (void)result;
  return 0;
}

static int check_journal(int slot, const char *name, struct dk_error *error) {
  struct dk_journal_start start;
  struct dk_journal journal;
  bool is_open = false;
  int r = dk_journal_look(slot, &start, &is_open);
  if (r == -ENOENT) return 0; /* nothing ever ran there */
  size_t n = 0;
  r = dk_journal_open(&journal, slot, error);
  if (r == 0) r = dk_journal_each(&journal, count_end, &n, error);
  bool is_waiting = n > 0 || journal.is_open_start;
  dk_journal_close(&journal);
  if (r < 0 || !is_waiting) return r;
  return dk_error_set(
      error, -EBUSY,
      "slot %s has a result that no dkrun has taken yet\nhelp: let the dkrun that it is for connect once "
      "more; or, if that never comes again, remove the directory by hand",
      name);
}

static int check_slot(int slots, const char *name, uint64_t until, struct dk_error *error) {
  struct dk_journal_start start;
  bool is_open = false;
  int slot = openat(slots, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (slot < 0) return errno == ENOTDIR || errno == ELOOP ? 0 : dk_error_system(error, -errno, "opening slot %s", name);
  int r = 0;
  while (has_keeper(slot)) {
    bool is_running = dk_journal_look(slot, &start, &is_open) == 0 && is_open;
    if (!is_running && dk_now_ns() < until) {
      poll(NULL, 0, 10);
      continue;
    }
    r = dk_error_set(error, -EBUSY,
                     is_running
                         ? "a task runs in slot %s\nhelp: clean up when it has ended, and its dkrun has its result"
                         : "the keeper of slot %s has not ended yet\nhelp: try again in a minute",
                     name);
    break;
  }
  if (r == 0) r = check_journal(slot, name, error);
  close(slot);
  return r;
}

static int check_slots(const char *root, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/slots", root);
  if (!dk_buf_ok(&path)) return dk_error_set(error, -ENOMEM, "no memory");
  uint64_t until = dk_now_ns() + END_NS;
  DIR *dir = opendir(path.data);
  if (!dir) return errno == ENOENT ? 0 : dk_error_system(error, -errno, "cannot read %s", path.data);
  struct dirent *entry;
  int r = 0;
  do {
    r = dk_fs_next_entry(dir, &entry);
    if (r < 0) dk_error_system(error, r, "cannot read %s", path.data);
    if (r == 0 && entry) r = check_slot(dirfd(dir), entry->d_name, until, error);
  } while (r == 0 && entry);
  closedir(dir);
  return r;
}

/* Somebody's home is not removed for a slip of the finger. */
static int check_is_agents(const char *root, struct dk_error *error) {
  static const char *const files[] = {"lock", "state"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    dk_autobuf path = DK_BUF_INIT;
    struct stat st;
    dk_buf_printf(&path, "%s/%s", root, files[i]);
    if (!dk_buf_ok(&path)) return dk_error_set(error, -ENOMEM, "no memory");
    if (lstat(path.data, &st) < 0 || !S_ISREG(st.st_mode))
      return dk_error_set(error, -ENOENT, "%s is no agent's folder: it has no file `%s`", root, files[i]);
  }
  return 0;
}

static int remove_from(const char *root, bool all, struct dk_error *error) {
  if (all) return dk_fs_remove_tree(root, error);
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/objects", root);
  if (!dk_buf_ok(&path)) return dk_error_set(error, -ENOMEM, "no memory");
  int dir = open(path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return errno == ENOENT ? 0 : dk_error_system(error, -errno, "cannot open %s", path.data);
  int r = dk_fs_empty_dir(dir, error);
  close(dir);
  return r;
}

int dk_root_clean(const char *root, bool all, uint64_t *ret_freed, struct dk_error *error) {
  struct dk_lock lock = DK_LOCK_INIT;
  uint64_t before = 0, after = 0;
  *ret_freed = 0;
  if (access(root, F_OK) < 0 && errno == ENOENT) return 0;
  int r = dk_root_check(root, false, error);
  if (r == 0) r = check_is_agents(root, error);
  if (r == 0) r = take_lock(root, &lock, error);
  if (r == 0) r = check_slots(root, error);
  if (r == 0) r = dk_root_size(root, &before, error);
  if (r == 0) r = remove_from(root, all, error);
  if (r == 0 && !all) r = dk_root_size(root, &after, error);
  dk_lock_release(&lock);
  if (r == 0 && before > after) *ret_freed = before - after;
  return r;
}
