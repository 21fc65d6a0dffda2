/* One group: see cgroup.h. */
#include "engine/sys/cgroup.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "engine/sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PATIENCE_NS 5000000000u
#define FILE_MAX 65536u

static int write_file(int dir, const char *name, const char *text) {
  int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
  close(fd);
  return r;
}

/* The number behind `key` in a file of lines "key number", or in one that is just a number (key NULL). false: it does
 * not say. */
static bool read_number(int dir, const char *name, const char *key, uint64_t *ret) {
  dk_autobuf text = DK_BUF_INIT;
  if (dk_fs_read_at(dir, name, FILE_MAX, &text, NULL) < 0) return false;
  size_t len = key ? strlen(key) : 0;
  for (const char *line = dk_buf_text(&text); line && *line;) {
    const char *number = line;
    bool is_it = !key || (strncmp(line, key, len) == 0 && line[len] == ' ');
    if (is_it && key) number += len + 1;
    if (is_it && *number >= '0' && *number <= '9') {
      *ret = strtoull(number, NULL, 10);
      return true;
    }
    line = strchr(line, '\n');
    if (line) line++;
  }
  return false;
}

static unsigned version_of(int dir) {
  struct statfs fs;
  if (fstatfs(dir, &fs) < 0) return 0;
  return fs.f_type == CGROUP2_SUPER_MAGIC ? 2 : fs.f_type == CGROUP_SUPER_MAGIC ? 1 : 0;
}

static int limit(const struct dk_cgroup *cgroup, uint64_t memory) {
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)memory);
  int r = write_file(cgroup->dir, cgroup->version == 2 ? "memory.max" : "memory.limit_in_bytes", text);
  if (r < 0) return r;
  /* A kernel that does not count swap has no such files; then a machine with swap lets it go there. */
  if (cgroup->version == 2) {
    (void)write_file(cgroup->dir, "memory.swap.max", "0");
    (void)write_file(cgroup->dir, "memory.oom.group", "1");
  } else {
    (void)write_file(cgroup->dir, "memory.memsw.limit_in_bytes", text);
  }
  return 0;
}

int dk_cgroup_make(const char *folder, const char *name, uint64_t memory, struct dk_cgroup *ret,
                   struct dk_error *error) {
  *ret = (struct dk_cgroup)DK_CGROUP_NONE;
  int parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0) return dk_error_system(error, -errno, "cannot open %s", folder);
  int r = mkdirat(parent, name, 0755) < 0 ? -errno : 0;
  if (r == -EEXIST) {
    (void)dk_cgroup_remove(folder, name);
    r = mkdirat(parent, name, 0755) < 0 ? -errno : 0;
  }
  if (r == 0) {
    ret->dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ret->dir < 0) r = -errno;
  }
  if (r == 0) {
    ret->version = version_of(ret->dir);
    r = ret->version ? limit(ret, memory) : -EOPNOTSUPP;
    if (r < 0) {
      dk_cgroup_close(ret);
      (void)unlinkat(parent, name, AT_REMOVEDIR);
    }
  }
  close(parent);
  return r < 0 ? dk_error_system(error, r, "cannot make a group with a memory limit in %s", folder) : 0;
}

void dk_cgroup_close(struct dk_cgroup *cgroup) {
  if (cgroup->dir >= 0) close(cgroup->dir);
  cgroup->dir = -1;
}

int dk_cgroup_entrance(const struct dk_cgroup *cgroup) {
  int fd = openat(cgroup->dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

/* v1: hits of the limit with swap, which is asked first, are not counted by newer kernels (seen on 6.18). Who was ended
 * and had come as near to it as the kernel gives memory at a time met it. */
static bool has_come_near(const struct dk_cgroup *cgroup) {
  const uint64_t at_a_time = 64 * 4096; /* MEMCG_CHARGE_BATCH pages */
  uint64_t most = 0, limit = 0;
  return read_number(cgroup->dir, "memory.memsw.limit_in_bytes", NULL, &limit) &&
         read_number(cgroup->dir, "memory.memsw.max_usage_in_bytes", NULL, &most) && most + at_a_time >= limit;
}

void dk_cgroup_look(const struct dk_cgroup *cgroup, struct dk_cgroup_use *ret) {
  *ret = (struct dk_cgroup_use){0};
  if (cgroup->version == 2) {
    (void)read_number(cgroup->dir, "memory.events", "oom_kill", &ret->kills);
    (void)read_number(cgroup->dir, "memory.events", "oom", &ret->hits);
    (void)read_number(cgroup->dir, "memory.peak", NULL, &ret->peak);
    return;
  }
  ret->is_blind = !read_number(cgroup->dir, "memory.oom_control", "oom_kill", &ret->kills);
  uint64_t with_swap = 0;
  (void)read_number(cgroup->dir, "memory.failcnt", NULL, &ret->hits);
  (void)read_number(cgroup->dir, "memory.memsw.failcnt", NULL, &with_swap); /* the same limit; asked first */
  ret->hits += with_swap;
  if (ret->hits == 0 && ret->kills > 0) ret->hits = has_come_near(cgroup);
  (void)read_number(cgroup->dir, "memory.max_usage_in_bytes", NULL, &ret->peak);
}

size_t dk_cgroup_kill(const struct dk_cgroup *cgroup) {
  dk_autobuf pids = DK_BUF_INIT;
  size_t n = 0;
  if (dk_fs_read_at(cgroup->dir, "cgroup.procs", 1u << 24, &pids, NULL) < 0) return 0;
  bool is_done = cgroup->version == 2 && write_file(cgroup->dir, "cgroup.kill", "1") == 0;
  char *at = pids.data, *end;
  for (; at && *at; at = end + (*end == '\n')) {
    long pid = strtol(at, &end, 10);
    if (end == at) break;
    n++;
    if (!is_done && pid > 0) kill((pid_t)pid, SIGKILL);
  }
  return n;
}

bool dk_cgroup_remove(const char *folder, const char *name) {
  int parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0) return true;
  uint64_t until = dk_now_ns() + PATIENCE_NS;
  bool is_gone = false;
  /* Busy as long as a process of it has not been taken off by the kernel. */
  for (;;) {
    is_gone = unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
    if (is_gone || errno != EBUSY || dk_now_ns() > until) break;
    struct dk_cgroup left = {.dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (left.dir >= 0) {
      left.version = version_of(left.dir);
      (void)dk_cgroup_kill(&left);
      dk_cgroup_close(&left);
    }
    poll(NULL, 0, 1);
  }
  close(parent);
  return is_gone;
}
