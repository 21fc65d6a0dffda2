/* /proc: see proc.h. Formats from proc(5). */
#include "engine/sys/proc.h"
#include "lang/base/alloc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Up to size - 1 bytes of a small file, NUL-terminated. */
static int read_small(const char *path, char *ret, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  size_t len = 0;
  for (;;) {
    ssize_t n = read(fd, ret + len, size - 1 - len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      int code = -errno;
      close(fd);
      return code;
    }
    if (n == 0) break;
    len += (size_t)n;
  }
  close(fd);
  ret[len] = '\0';
  return (int)len;
}

int dk_proc_boot_id(uint8_t ret[16]) {
  char text[64];
  memset(ret, 0, 16);
  int r = read_small("/proc/sys/kernel/random/boot_id", text, sizeof text);
  if (r < 0) return r;
  unsigned n = 0;
  for (const char *at = text; *at && n < 32; at++) {
    if (!isxdigit((unsigned char)*at)) continue;
    unsigned digit = *at <= '9' ? (unsigned)(*at - '0') : (unsigned)((*at | 32) - 'a' + 10);
    ret[n / 2] = (uint8_t)((unsigned)ret[n / 2] << 4 | digit);
    n++;
  }
  return n == 32 ? 0 : -EINVAL;
}

int dk_proc_stat(pid_t pid, struct dk_proc_stat *ret) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
  int r = read_small(path, text, sizeof text);
  if (r < 0) return r == -ENOENT ? -ESRCH : r;
  const char *at = strrchr(text, ')'); /* the name in parentheses may hold anything */
  if (!at) return -EINVAL;
  int ppid, pgrp, session;
  unsigned long long start;
  long rss;
  int n = sscanf(at + 1, " %c %d %d %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %*s %ld",
                 &ret->state, &ppid, &pgrp, &session, &start, &rss);
  if (n != 6) return -EINVAL;
  ret->ppid = ppid;
  ret->pgrp = pgrp;
  ret->session = session;
  ret->start_ticks = start;
  ret->rss_pages = rss > 0 ? (uint64_t)rss : 0;
  return 0;
}

bool dk_proc_is_alive(pid_t pid, uint64_t start_ticks) {
  struct dk_proc_stat stat;
  return dk_proc_stat(pid, &stat) == 0 && stat.start_ticks == start_ticks && stat.state != 'Z' && stat.state != 'X';
}

void dk_pids_finish(struct dk_pids *pids) {
  dk_free(pids->items);
  *pids = (struct dk_pids){0};
}

static int add_pid(struct dk_pids *pids, pid_t pid) {
  if (!dk_grow(pids->items, pids->n, pids->cap)) return -ENOMEM;
  pids->items[pids->n++] = pid;
  return 0;
}

/* Children of one thread; `children` is there with CONFIG_PROC_CHILDREN. */
static int add_thread_children(pid_t pid, const char *tid, struct dk_pids *ret) {
  char path[96];
  snprintf(path, sizeof path, "/proc/%ld/task/%.20s/children", (long)pid, tid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  char buffer[4096];
  long value = 0;
  int r = 0;
  for (;;) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    for (ssize_t i = 0; i < n && r == 0; i++) {
      if (buffer[i] >= '0' && buffer[i] <= '9') {
        value = value * 10 + (buffer[i] - '0');
      } else if (value > 0) {
        r = add_pid(ret, (pid_t)value);
        value = 0;
      }
    }
  }
  if (r == 0 && value > 0) r = add_pid(ret, (pid_t)value);
  close(fd);
  return r;
}

struct child_of {
  pid_t parent;
};

static bool is_child(void *ctx, pid_t pid, const struct dk_proc_stat *stat) {
  (void)pid;
  return stat->ppid == ((struct child_of *)ctx)->parent;
}

/* Every process, of any user: a task's child may have changed its uid. */
static int find(dk_proc_match_fn *match, void *ctx, bool own_only, struct dk_pids *ret) {
  DIR *proc = opendir("/proc");
  if (!proc) return -errno;
  int r = 0;
  for (struct dirent *entry; r == 0 && (entry = readdir(proc));) {
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
    struct stat st;
    struct dk_proc_stat stat;
    if (own_only && (fstatat(dirfd(proc), entry->d_name, &st, 0) < 0 || st.st_uid != geteuid())) continue;
    if (dk_proc_stat(pid, &stat) == 0 && match(ctx, pid, &stat)) r = add_pid(ret, pid);
  }
  closedir(proc);
  return r;
}

static int add_children(pid_t pid, struct dk_pids *ret) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
  DIR *tasks = opendir(path);
  if (!tasks) return 0; /* gone */
  int r = 0;
  bool is_missing = false;
  for (struct dirent *entry; r == 0 && (entry = readdir(tasks));) {
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    r = add_thread_children(pid, entry->d_name, ret);
    if (r == -ENOENT) {
      is_missing = true;
      r = 0;
    } else if (r < 0 && r != -ENOMEM) {
      r = 0;
    }
  }
  closedir(tasks);
  struct child_of child_of = {pid};
  if (r == 0 && is_missing && access("/proc/thread-self/children", F_OK) < 0) r = find(is_child, &child_of, false, ret);
  return r;
}

int dk_proc_descendants(pid_t pid, struct dk_pids *ret) {
  size_t first = ret->n;
  int r = add_children(pid, ret);
  for (size_t i = first; r == 0 && i < ret->n; i++) r = add_children(ret->items[i], ret);
  return r;
}

int dk_proc_find(dk_proc_match_fn *match, void *ctx, struct dk_pids *ret) {
  return find(match, ctx, true, ret);
}

bool dk_proc_has_env(pid_t pid, const char *entry) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  size_t want = strlen(entry) + 1, matched = 0;
  bool is_start = true, found = false;
  char buffer[4096];
  for (ssize_t n; !found && (n = read(fd, buffer, sizeof buffer)) > 0;) {
    for (ssize_t i = 0; i < n && !found; i++) {
      if (is_start) matched = 0;
      bool fits = (is_start || matched > 0) && buffer[i] == entry[matched];
      matched = fits ? matched + 1 : 0;
      found = matched == want;
      is_start = buffer[i] == '\0';
    }
  }
  close(fd);
  return found;
}

size_t dk_proc_signal_descendants(pid_t pid, int signal) {
  struct dk_pids pids = {0};
  /* When memory is short, those found so far are signalled; the caller repeats until nothing is left. */
  (void)dk_proc_descendants(pid, &pids);
  for (size_t i = 0; i < pids.n; i++) kill(pids.items[i], signal);
  size_t n = pids.n;
  dk_pids_finish(&pids);
  return n;
}

uint64_t dk_proc_pss(pid_t pid) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", (long)pid);
  if (read_small(path, text, sizeof text) < 0) return 0;
  const char *at = strstr(text, "\nPss:");
  return at ? strtoull(at + 5, NULL, 10) * 1024 : 0;
}

uint64_t dk_proc_oom_kills(void) {
  char text[16384];
  if (read_small("/proc/vmstat", text, sizeof text) < 0) return 0;
  const char *at = strstr(text, "\noom_kill ");
  return at ? strtoull(at + 10, NULL, 10) : 0;
}

void dk_proc_raise_nofile(struct rlimit *ret_before) {
  getrlimit(RLIMIT_NOFILE, ret_before);
  struct rlimit more = {ret_before->rlim_max, ret_before->rlim_max};
  (void)setrlimit(RLIMIT_NOFILE, &more);
}

uint32_t dk_proc_cpus(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return (uint32_t)CPU_COUNT(&set);
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (uint32_t)n : 1;
}

/* In a container the kernel's own count is that of the machine below it; lxcfs puts the container's into this file. */
uint64_t dk_proc_memory(void) {
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  uint64_t all = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
  char text[512]; /* it is the first line */

  if (read_small("/proc/meminfo", text, sizeof text) < 0) return all;
  const char *line = strstr(text, "MemTotal:");
  uint64_t total = line ? strtoull(line + strlen("MemTotal:"), NULL, 10) << 10 : 0;
  return total > 0 && total < all ? total : all;
}
