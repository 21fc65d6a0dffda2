/* Where groups may be made: see cgroup.h. */
#include "engine/sys/cgroup.h"
#include "engine/sys/fs.h"
#include "engine/sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FILE_MAX (1u << 20)
#define LEAF "/dkrun-agent" /* of an own group: where dkrun's processes go */
#define PROBE_MEMORY (64u << 20)

const char *dk_cgroup_asked(void) {
  const char *asked = getenv("DKRUN_CGROUP");
  return asked && *asked ? asked : DK_CGROUP_AUTO;
}

void dk_cgroups_finish(struct dk_cgroups *cgroups) {
  dk_buf_finish(&cgroups->path);
  dk_buf_finish(&cgroups->why);
}

static void refuse(struct dk_cgroups *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct dk_cgroups *c, const char *format, ...) {
  va_list ap;
  c->version = 0;
  dk_buf_clear(&c->why);
  va_start(ap, format);
  dk_buf_vprintf(&c->why, format, ap);
  va_end(ap);
}

/* --- reading --- */

/* Is the word in a list of them, set apart by `by`? */
static bool has_word(const char *list, size_t len, const char *word, const char *by) {
  for (size_t at = 0; at < len;) {
    size_t n = 0;
    while (at + n < len && !strchr(by, list[at + n])) n++;
    if (n == strlen(word) && memcmp(list + at, word, n) == 0) return true;
    at += n + 1;
  }
  return false;
}

static bool file_has(const char *folder, const char *name, const char *word) {
  dk_autobuf path = DK_BUF_INIT, text = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/%s", folder, name);
  return dk_buf_ok(&path) && dk_fs_read(path.data, FILE_MAX, &text, NULL) == 0 &&
         has_word(dk_buf_text(&text), text.len, word, " \n");
}

/* The nth field (from 0) of a line of words. */
static const char *field(const char *line, size_t len, unsigned n, size_t *ret_len) {
  const char *at = line, *end = line + len;
  for (;;) {
    const char *stop = memchr(at, ' ', (size_t)(end - at));
    if (!stop) stop = end;
    if (n-- == 0) {
      *ret_len = (size_t)(stop - at);
      return at;
    }
    if (stop == end) return NULL;
    at = stop + 1;
  }
}

/* Blanks and the like are written \040 there. */
static void add_unescaped(struct dk_buf *out, const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    bool is_escape = text[i] == '\\' && i + 3 < len;
    int octal = is_escape ? (text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0') : text[i];
    dk_buf_add_char(out, (char)octal);
    if (is_escape) i += 3;
  }
}

/* "36 25 0:31 /root /mount rw - cgroup2 cgroup2 rw,..." (proc(5)): of the hierarchy that is looked for, its root and
 * its mount. */
static bool parse_mount(const char *line, size_t len, unsigned version, struct dk_buf *root, struct dk_buf *mount) {
  size_t n_root = 0, n_mount = 0, n_type = 0, n_options = 0;
  const char *root_at = field(line, len, 3, &n_root), *mount_at = field(line, len, 4, &n_mount);
  const char *rest = memmem(line, len, " - ", 3);
  if (!root_at || !mount_at || !rest) return false;
  rest += 3;
  size_t left = len - (size_t)(rest - line);
  const char *type = field(rest, left, 0, &n_type), *options = field(rest, left, 2, &n_options);
  if (!type) return false;
  if (version == 2
          ? n_type != 7 || memcmp(type, "cgroup2", 7) != 0
          : n_type != 6 || memcmp(type, "cgroup", 6) != 0 || !options || !has_word(options, n_options, "memory", ","))
    return false;
  dk_buf_clear(root);
  dk_buf_clear(mount);
  add_unescaped(root, root_at, n_root);
  add_unescaped(mount, mount_at, n_mount);
  return dk_buf_ok(root) && dk_buf_ok(mount);
}

/* "4:memory:/a/b" or "0::/a/b". */
static bool parse_group(const char *line, size_t len, unsigned version, struct dk_buf *group) {
  const char *first = memchr(line, ':', len);
  const char *second = first ? memchr(first + 1, ':', len - (size_t)(first + 1 - line)) : NULL;
  if (!second) return false;
  size_t n = (size_t)(second - first - 1);
  if (version == 2 ? n != 0 : !has_word(first + 1, n, "memory", ",")) return false;
  dk_buf_clear(group);
  dk_buf_add(group, second + 1, len - (size_t)(second + 1 - line));
  return dk_buf_ok(group);
}

/* From the mounted root: a mount may show a part of the hierarchy. Outside of it (another namespace's): false. */
static bool strip_root(struct dk_buf *group, const struct dk_buf *root) {
  const char *path = dk_buf_text(group), *top = dk_buf_text(root);
  size_t n = strcmp(top, "/") == 0 ? 0 : root->len;
  dk_autobuf left = DK_BUF_INIT;
  if (strstr(path, "/..") || strncmp(path, top, n) != 0 || (path[n] != '/' && path[n] != '\0')) return false;
  dk_buf_add_text(&left, path[n] ? path + n : "/");
  dk_buf_clear(group);
  dk_buf_inherit(group, &left);
  dk_buf_add(group, dk_buf_text(&left), left.len);
  return dk_buf_ok(group);
}

bool dk_cgroup_parse(const char *groups, const char *mounts, unsigned version, struct dk_buf *ret_mount,
                     struct dk_buf *ret_group) {
  dk_autobuf root = DK_BUF_INIT;
  bool has_mount = false, has_group = false;
  for (const char *line = mounts; *line && !has_mount; line += strcspn(line, "\n"), line += *line == '\n')
    has_mount = parse_mount(line, strcspn(line, "\n"), version, &root, ret_mount);
  for (const char *line = groups; *line && !has_group; line += strcspn(line, "\n"), line += *line == '\n')
    has_group = parse_group(line, strcspn(line, "\n"), version, ret_group);
  return has_mount && has_group && strip_root(ret_group, &root);
}

/* --- whose a group is --- */

static void folder_of(const struct dk_buf *mount, const char *group, size_t len, struct dk_buf *ret) {
  dk_buf_clear(ret);
  dk_buf_add(ret, dk_buf_text(mount), mount->len);
  if (len > 1) dk_buf_add(ret, group, len);
}

/* Is there a limit on the group or on one that it lies in? */
static bool is_limited(const struct dk_buf *mount, const char *group, unsigned version) {
  dk_autobuf folder = DK_BUF_INIT, path = DK_BUF_INIT, text = DK_BUF_INIT;
  for (size_t len = strlen(group); len > 1;) {
    folder_of(mount, group, len, &folder);
    dk_buf_clear(&path);
    dk_buf_clear(&text);
    dk_buf_printf(&path, "%s/%s", dk_buf_text(&folder), version == 2 ? "memory.max" : "memory.limit_in_bytes");
    if (!dk_buf_ok(&path)) return true;
    bool is_there = dk_fs_read(path.data, 64, &text, NULL) == 0;
    /* v1 writes the largest multiple of a page for none. */
    if (is_there && strncmp(dk_buf_text(&text), "max", 3) != 0 &&
        strtoull(dk_buf_text(&text), NULL, 10) < UINT64_MAX / 4)
      return true;
    while (len > 0 && group[len - 1] != '/') len--;
    if (len > 0) len--;
  }
  return false;
}

static bool is_delegated(const char *folder) {
  char value[4];
  struct stat st;
  if (stat(folder, &st) < 0 || access(folder, W_OK) < 0) return false;
  if (geteuid() != 0) return st.st_uid == geteuid();
  return (getxattr(folder, "user.delegate", value, sizeof value) == 1 && value[0] == '1') ||
         (getxattr(folder, "trusted.delegate", value, sizeof value) == 1 && value[0] == '1');
}

static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

/* The whole machine's: the group of a namespace's root has events, that one has none. */
static bool is_true_root(const struct dk_buf *mount, unsigned version) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/%s", dk_buf_text(mount), version == 2 ? "cgroup.events" : "release_agent");
  return dk_buf_ok(&path) && (access(path.data, F_OK) == 0) == (version == 1);
}

/* --- finding --- */

static bool find_own(struct dk_cgroups *c, const struct dk_buf *mount, struct dk_buf *group) {
  if (ends_with(dk_buf_text(group), LEAF)) dk_buf_truncate(group, group->len - strlen(LEAF));
  if (group->len == 0) dk_buf_add_char(group, '/');
  folder_of(mount, dk_buf_text(group), group->len, &c->path);
  bool is_top = strcmp(dk_buf_text(group), "/") == 0; /* of a namespace: a container's, all of it is its own */
  if (!dk_buf_ok(&c->path) || !((is_top && access(c->path.data, W_OK) == 0) || is_delegated(c->path.data)))
    return false;
  c->is_own = c->version == 2;
  return true;
}

static void find_in(struct dk_cgroups *c, const struct dk_buf *mount, struct dk_buf *group) {
  const char *name = dk_buf_text(group);
  bool is_root = strcmp(name, "/") == 0, is_true = is_true_root(mount, c->version);
  if (!(is_root && is_true) && find_own(c, mount, group)) return;
  name = dk_buf_text(group);
  if (geteuid() != 0) {
    refuse(c, "cgroup v%u %s is not this user's", c->version, name);
    return;
  }
  bool is_unit = ends_with(name, ".scope") || ends_with(name, ".service") || ends_with(name, ".slice");
  if (!is_true || !(is_root || is_unit)) {
    refuse(c, "cgroup v%u %s belongs to another manager", c->version, name);
  } else if (is_limited(mount, name, c->version)) {
    refuse(c, "cgroup v%u %s has a limit, which tasks must not leave", c->version, name);
  } else {
    dk_buf_clear(&c->path);
    dk_buf_printf(&c->path, "%s/dkrun", dk_buf_text(mount));
  }
}

static void find_auto(struct dk_cgroups *c) {
  dk_autobuf groups = DK_BUF_INIT, mounts = DK_BUF_INIT, mount = DK_BUF_INIT, group = DK_BUF_INIT, own = DK_BUF_INIT;
  if (dk_fs_read("/proc/self/cgroup", FILE_MAX, &groups, NULL) < 0 ||
      dk_fs_read("/proc/self/mountinfo", 16u * FILE_MAX, &mounts, NULL) < 0) {
    refuse(c, "this kernel has no cgroups");
    return;
  }
  for (c->version = 2; c->version > 0; c->version--) {
    if (!dk_cgroup_parse(dk_buf_text(&groups), dk_buf_text(&mounts), c->version, &mount, &group)) continue;
    folder_of(&mount, dk_buf_text(&group), group.len, &own);
    if (c->version == 2 && !file_has(dk_buf_text(&own), "cgroup.controllers", "memory")) continue;
    find_in(c, &mount, &group);
    return;
  }
  refuse(c, "no cgroup hierarchy that limits memory is mounted here");
}

static void find_named(struct dk_cgroups *c, const char *folder) {
  struct statfs fs;
  if (folder[0] != '/') {
    refuse(c, "DKRUN_CGROUP is %s: no absolute path, nor auto or off", folder);
  } else if (statfs(folder, &fs) < 0) {
    refuse(c, "DKRUN_CGROUP is %s: %s", folder, strerror(errno));
  } else if (fs.f_type != CGROUP2_SUPER_MAGIC && fs.f_type != CGROUP_SUPER_MAGIC) {
    refuse(c, "DKRUN_CGROUP is %s: no cgroup", folder);
  } else {
    c->version = fs.f_type == CGROUP2_SUPER_MAGIC ? 2 : 1;
    dk_buf_add_text(&c->path, folder);
  }
}

void dk_cgroups_find(const char *asked, struct dk_cgroups *ret) {
  *ret = (struct dk_cgroups)DK_CGROUPS_INIT;
  if (strcmp(asked, DK_CGROUP_OFF) == 0)
    refuse(ret, "DKRUN_CGROUP is off");
  else if (strcmp(asked, DK_CGROUP_AUTO) == 0)
    find_auto(ret);
  else
    find_named(ret, asked);
  if (!dk_buf_ok(&ret->path) || !dk_buf_ok(&ret->why)) ret->version = 0;
}

/* --- making it ready --- */

static int write_to(const char *folder, const char *name, const char *text) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/%s", folder, name);
  if (!dk_buf_ok(&path)) return -ENOMEM;
  int fd = open(path.data, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
  close(fd);
  return r;
}

static bool is_dkrun(long pid) {
  char link[40], program[4096];
  snprintf(link, sizeof link, "/proc/%ld/exe", pid);
  ssize_t n = readlink(link, program, sizeof program - 1);
  if (n <= 0) return true; /* it is gone */
  program[n] = '\0';
  const char *name = strrchr(program, '/');
  name = name ? name + 1 : program;
  return strncmp(name, "dkrun", 5) == 0 || strncmp(name, "dkagent", 7) == 0; /* a replaced one is "dkagent (deleted)" */
}

/* The processes of `from`; each is put into `to` when that is not NULL. false: one is no dkrun. */
static bool each_process(const char *from, const char *to) {
  dk_autobuf path = DK_BUF_INIT, pids = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/cgroup.procs", from);
  if (!dk_buf_ok(&path) || dk_fs_read(path.data, FILE_MAX, &pids, NULL) < 0) return false;
  char *at = pids.data, *end, number[24];
  for (; at && *at; at = end + (*end == '\n')) {
    long pid = strtol(at, &end, 10);
    if (end == at) break;
    if (!is_dkrun(pid)) return false;
    snprintf(number, sizeof number, "%ld", pid);
    if (to) (void)write_to(to, "cgroup.procs", number);
  }
  return true;
}

/* dkrun's processes leave the group for one below it, so that there may be groups with limits beside that. */
static void leave_own(struct dk_cgroups *c, bool is_probe) {
  const char *folder = dk_buf_text(&c->path);
  dk_autobuf leaf = DK_BUF_INIT;
  dk_buf_printf(&leaf, "%s%s", folder, LEAF);
  if (file_has(folder, "cgroup.subtree_control", "memory")) return;
  if (!each_process(folder, NULL) || !dk_buf_ok(&leaf)) {
    refuse(
        c,
        "other programs run in its cgroup %s; `systemd-run --user --scope -p Delegate=yes dkrun run` gives dkrun one "
        "of its own",
        folder);
    return;
  }
  if (is_probe) return;
  if (mkdir(leaf.data, 0755) < 0 && errno != EEXIST) {
    refuse(c, "cannot make %s: %s", leaf.data, strerror(errno));
    return;
  }
  int r = -EBUSY;
  for (int i = 0; i < 3 && r == -EBUSY; i++) { /* one may have been started meanwhile */
    (void)each_process(folder, leaf.data);
    r = write_to(folder, "cgroup.subtree_control", "+memory");
  }
  if (r == 0) return;
  (void)each_process(leaf.data, folder);
  (void)rmdir(leaf.data);
  refuse(c, "limits cannot be turned on in cgroup %s: %s", folder, strerror(-r));
}

/* A process in a group there, as a task will be. */
static int try_group(const struct dk_cgroups *c, struct dk_error *error) {
  char name[40];
  struct dk_cgroup group;
  char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)":", NULL};
  snprintf(name, sizeof name, "dkrun-try-%ld", (long)getpid());
  int r = dk_cgroup_make(dk_buf_text(&c->path), name, PROBE_MEMORY, &group, error);
  if (r < 0) return r;
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = argv;
  how.cgroup = dk_cgroup_entrance(&group);
  r = how.cgroup < 0 ? dk_error_system(error, how.cgroup, "cannot enter a group in %s", dk_buf_text(&c->path))
                     : dk_spawn_wait(&how, error);
  if (how.cgroup >= 0) close(how.cgroup);
  dk_cgroup_close(&group);
  (void)dk_cgroup_remove(dk_buf_text(&c->path), name);
  return r < 0 ? r : 0;
}

void dk_cgroups_open(struct dk_cgroups *c, bool is_probe) {
  struct dk_error error = {0};
  if (c->version == 0) return;
  if (c->is_own) leave_own(c, is_probe);
  if (c->version == 0 || (c->is_own && is_probe)) return;
  const char *folder = dk_buf_text(&c->path);
  bool is_new = mkdir(folder, 0755) == 0;
  if (!is_new && errno != EEXIST) {
    refuse(c, "cannot make %s: %s", folder, strerror(errno));
    return;
  }
  if (c->version == 2 && !file_has(folder, "cgroup.controllers", "memory")) {
    /* The root's own: no rule against processes there. */
    dk_autobuf parent = DK_BUF_INIT;
    dk_buf_add(&parent, folder, (size_t)(strrchr(folder, '/') - folder));
    if (dk_buf_ok(&parent)) (void)write_to(parent.data, "cgroup.subtree_control", "+memory");
  }
  int r = 0;
  if (c->version == 2 && !c->is_own) r = write_to(folder, "cgroup.subtree_control", "+memory");
  if (r < 0) dk_error_system(&error, r, "limits cannot be turned on in cgroup %s", folder);
  if (r == 0) r = try_group(c, &error);
  if (r < 0) refuse(c, "%s", error.text);
  if (is_new && (is_probe || r < 0)) (void)rmdir(folder);
}
