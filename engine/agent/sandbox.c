/* See sandbox.h. Directories above what is closed are listed, and each of their other entries becomes a rule: 100 of
 * them cost 10 us a task. Directories are known by device and inode, not by name: one that is bound to a second place
 * as well would otherwise open its whole content there. */
#include "engine/agent/sandbox.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PLACES_MAX 64u
#define RULES_MAX 4096u
#define TICK_NS 20000000u /* two changes of a directory within a tick of the kernel's clock may have one time */

struct dk_sandbox_stamp {
  char *path;
  struct statx st;
};

struct place {
  struct statx st;
  bool is_closed; /* else it stands above something that is */
  bool was_listed;
};

struct way {
  struct dk_sandbox *sandbox;
  struct place places[PLACES_MAX];
  size_t n_places;
  unsigned n_rules;
  const char *closed[3]; /* canonical; the repository is the first */
  size_t n_closed;
};

int dk_sandbox_abi(void) {
  long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi > 0 ? (int)abi : 0;
}

void dk_sandbox_init(struct dk_sandbox *sandbox) {
  *sandbox = (struct dk_sandbox){.ruleset = -1, .mounts = -1, .inner = DK_BUF_INIT, .key = DK_BUF_INIT};
}

static void forget(struct dk_sandbox *sandbox) {
  if (sandbox->ruleset >= 0) close(sandbox->ruleset);
  sandbox->ruleset = -1;
  sandbox->off = NULL;
  for (size_t i = 0; i < sandbox->n_stamps; i++) dk_free(sandbox->stamps[i].path);
  dk_free(sandbox->stamps);
  sandbox->stamps = NULL;
  sandbox->n_stamps = 0;
  dk_buf_clear(&sandbox->inner);
  dk_buf_clear(&sandbox->key);
}

void dk_sandbox_finish(struct dk_sandbox *sandbox) {
  forget(sandbox);
  if (sandbox->mounts >= 0) close(sandbox->mounts);
  dk_buf_finish(&sandbox->inner);
  dk_buf_finish(&sandbox->key);
  dk_sandbox_init(sandbox);
}

/* Without asking a server again: one that is gone must not hold up a task that does not need it. */
static int look(int dir, const char *path, struct statx *ret) {
  int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW | (*path ? 0 : AT_EMPTY_PATH);
  return statx(dir, path, flags, STATX_TYPE | STATX_INO | STATX_MTIME, ret) < 0 ? -errno : 0;
}

static bool is_same(const struct statx *a, const struct statx *b) {
  return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor;
}

static uint64_t mtime_ns(const struct statx *st) {
  return (uint64_t)st->stx_mtime.tv_sec * 1000000000u + st->stx_mtime.tv_nsec;
}

static bool is_below(const char *path, const char *dir) {
  size_t len = strlen(dir);
  if (len == 1) return true; /* "/" */
  return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* A shortage passes; whatever else keeps an entry from being opened keeps the task from it as well. */
static bool is_shortage(int code) {
  return dk_error_is_limit(code) || code == -ENOMEM;
}

static int add_rule(struct way *way, int fd, uint64_t access) {
  struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
  if (++way->n_rules > RULES_MAX) {
    way->sandbox->off = "more than 4096 files lie beside the way to the repository";
    return 0;
  }
  if (syscall(SYS_landlock_add_rule, way->sandbox->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0) return 0;
  return errno == ENOMEM ? -errno : 0;
}

/* Reading below `path` (links followed) is allowed. */
static int open_path(struct way *way, const char *path, uint64_t access) {
  int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return is_shortage(-errno) ? -errno : 0;
  int r = add_rule(way, fd, access);
  close(fd);
  return r;
}

static struct place *find_place(struct way *way, const struct statx *st) {
  for (size_t i = 0; i < way->n_places; i++) {
    if (is_same(&way->places[i].st, st)) return &way->places[i];
  }
  return NULL;
}

static int open_beside(struct way *way, int dir, struct place *place);

static int open_entry(struct way *way, int dir, const char *name) {
  int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return is_shortage(-errno) ? -errno : 0;
  struct statx st;
  struct place *place;
  int r = look(fd, "", &st);
  if (r < 0 || S_ISLNK(st.stx_mode)) /* a link opens nothing: what it leads to is asked for */
    r = 0;
  else if (!S_ISDIR(st.stx_mode) || !(place = find_place(way, &st)))
    r = add_rule(way, fd, LANDLOCK_ACCESS_FS_READ_FILE);
  else if (!place->is_closed)
    r = open_beside(way, fd, place);
  close(fd);
  return r;
}

static int open_beside(struct way *way, int dir, struct place *place) {
  if (place->was_listed) return 0;
  place->was_listed = true;
  int list = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = list >= 0 ? fdopendir(list) : NULL;
  if (!stream) {
    int code = -errno;
    if (list >= 0) close(list);
    way->sandbox->off = "a directory above the repository cannot be listed";
    return is_shortage(code) ? code : 0;
  }
  struct dirent *entry;
  int r = 0;
  while (r == 0 && !way->sandbox->off && (r = dk_fs_next_entry(stream, &entry)) == 0 && entry)
    r = open_entry(way, dir, entry->d_name);
  closedir(stream);
  return r;
}

/* Where the way leads: every directory above what is closed. */

static int add_place(struct way *way, const char *path, bool is_closed) {
  struct statx st;
  int r = look(AT_FDCWD, path, &st);
  if (r < 0) return r;
  struct place *known = find_place(way, &st);
  if (known) {
    known->is_closed |= is_closed;
    return 0;
  }
  if (way->n_places == PLACES_MAX) {
    way->sandbox->off = "the repository lies too deep";
    return 0;
  }
  way->places[way->n_places++] = (struct place){.st = st, .is_closed = is_closed};
  struct dk_sandbox *sandbox = way->sandbox;
  struct dk_sandbox_stamp *stamps = dk_realloc_array(sandbox->stamps, sandbox->n_stamps + 1, sizeof *stamps);
  if (!stamps) return -ENOMEM;
  sandbox->stamps = stamps;
  stamps[sandbox->n_stamps] = (struct dk_sandbox_stamp){dk_strdup(path), st};
  return stamps[sandbox->n_stamps++].path ? 0 : -ENOMEM;
}

static int add_way(struct way *way, const char *closed) {
  dk_autofree char *path = dk_strdup(closed);
  if (!path) return -ENOMEM;
  int r = add_place(way, "/", false);
  for (char *at = path + 1; r == 0 && (at = strchr(at, '/')); at++) {
    *at = '\0';
    r = add_place(way, path, false);
    *at = '/';
  }
  return r < 0 ? r : add_place(way, path, true);
}

/* What is open in the repository all the same. */

static int open_inner(struct way *way, const char *path) {
  dk_autofree char *real = dk_fs_absolute(path);
  if (!real) return errno == ENOMEM ? -ENOMEM : 0;
  bool is_inner = false;
  for (size_t i = 0; i < way->n_closed; i++) {
    if (is_below(way->closed[i], real)) return 0; /* all of it: that is not meant */
    is_inner |= is_below(real, way->closed[i]);
  }
  if (!is_inner) return 0;
  dk_buf_add(&way->sandbox->inner, real, strlen(real) + 1);
  return open_path(way, real, LANDLOCK_ACCESS_FS_READ_FILE);
}

/* Of Python (PEP 405) or conda. */
static bool is_environment(int dir, const char *name) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/pyvenv.cfg", name);
  if (!dk_buf_ok(&path)) return false;
  if (faccessat(dir, path.data, F_OK, 0) == 0) return true;
  dk_buf_clear(&path);
  dk_buf_printf(&path, "%s/conda-meta", name);
  return dk_buf_ok(&path) && faccessat(dir, path.data, F_OK, 0) == 0;
}

/* A directory of programs; where it is one of an environment, or of node's, that. */
static int open_programs(struct way *way, const char *dir) {
  dk_autofree char *parent = dk_strdup(dir);
  if (!parent) return -ENOMEM;
  size_t len = strlen(parent);
  while (len > 1 && parent[len - 1] == '/') parent[--len] = '\0';
  char *slash = strrchr(parent, '/');
  if (slash && slash > parent) {
    *slash = '\0';
    const char *name = strrchr(parent, '/');
    if (is_environment(AT_FDCWD, parent) ||
        (strcmp(slash + 1, ".bin") == 0 && name && strcmp(name, "/node_modules") == 0))
      return open_inner(way, parent);
  }
  return open_inner(way, dir);
}

static int open_programs_of(struct way *way, const char *path) {
  dk_autofree char *copy = dk_strdup(path ? path : "");
  if (!copy) return -ENOMEM;
  int r = 0;
  char *save = NULL;
  for (char *dir = strtok_r(copy, ":", &save); dir && r == 0; dir = strtok_r(NULL, ":", &save)) {
    if (*dir == '/') r = open_programs(way, dir);
  }
  return r;
}

static int open_environments(struct way *way) {
  int list = open(way->closed[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = list >= 0 ? fdopendir(list) : NULL;
  if (!stream) {
    int code = -errno;
    if (list >= 0) close(list);
    return is_shortage(code) ? code : 0;
  }
  struct dirent *entry;
  int r = 0;
  while (r == 0 && (r = dk_fs_next_entry(stream, &entry)) == 0 && entry) {
    if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) continue;
    if (!is_environment(list, entry->d_name)) continue;
    dk_autobuf path = DK_BUF_INIT;
    dk_buf_printf(&path, "%s/%s", way->closed[0], entry->d_name);
    r = dk_buf_ok(&path) ? open_inner(way, path.data) : -ENOMEM;
  }
  closedir(stream);
  return r;
}

/* Programs keep their caches in HOME, most in this one. Where HOME lies above the repository, a task could not read
 * what it has just written to a directory that was not there before. */
static void make_cache(const struct dk_sandbox_rules *rules) {
  dk_autobuf path = DK_BUF_INIT;
  if (!rules->home || !is_below(rules->repository, rules->home)) return;
  dk_buf_printf(&path, "%s/.cache", rules->home);
  if (dk_buf_ok(&path)) (void)mkdir(path.data, 0700);
}

static int build(struct way *way, const struct dk_sandbox_rules *rules) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < way->n_closed; i++) r = add_way(way, way->closed[i]);
  if (r < 0) return r;
  struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_REFER};
  way->sandbox->ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
  if (way->sandbox->ruleset < 0) return -errno;
  /* Renaming from one directory to another is refused unless it is allowed. */
  r = open_path(way, "/", LANDLOCK_ACCESS_FS_REFER);
  int root = r == 0 ? open("/", O_PATH | O_CLOEXEC) : -1;
  if (r == 0) r = root < 0 ? -errno : open_beside(way, root, &way->places[0]);
  if (root >= 0) close(root);
  if (r == 0) r = open_inner(way, rules->own);
  if (r == 0) r = open_environments(way);
  if (r == 0) r = open_programs_of(way, rules->path);
  for (uint32_t i = 0; r == 0 && i < rules->n_open; i++) r = open_inner(way, rules->open[i]);
  return r;
}

static const char *find_off(const struct dk_sandbox_rules *rules, const char *repository) {
  int abi = dk_sandbox_abi();
  if (abi == 0) return "this kernel has no Landlock, or it is turned off";
  if (abi < DK_SANDBOX_ABI_LEAST)
    return "this kernel's Landlock would keep tasks from renaming files between directories (Linux 5.19 does not)";
  if (strcmp(repository, "/") == 0) return "the repository is the whole file system";
  dk_autofree char *home = rules->home && *rules->home ? dk_fs_absolute(rules->home) : NULL;
  if (home && is_below(home, repository)) return "HOME lies in the repository";
  return NULL;
}

/* Is it still the way that the rules were made for? */
static bool is_fresh(struct dk_sandbox *sandbox) {
  struct pollfd mounts = {.fd = sandbox->mounts, .events = POLLPRI};
  if (sandbox->n_stamps == 0 || (sandbox->mounts >= 0 && poll(&mounts, 1, 0) > 0)) return false;
  for (size_t i = 0; i < sandbox->n_stamps; i++) {
    const struct statx *then = &sandbox->stamps[i].st;
    struct statx now;
    if (look(AT_FDCWD, sandbox->stamps[i].path, &now) < 0 || !is_same(&now, then) || mtime_ns(&now) != mtime_ns(then))
      return false;
    uint64_t mtime = mtime_ns(then), made = sandbox->made_unix_ns;
    if (mtime + TICK_NS > made && mtime < made + TICK_NS) return false;
  }
  return true;
}

static int make_key(struct dk_buf *key, const struct dk_sandbox_rules *rules) {
  const char *const texts[] = {rules->repository, rules->fences[0], rules->fences[1],
                               rules->own,        rules->path,      rules->home};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    const char *text = texts[i] ? texts[i] : "";
    dk_buf_add(key, text, strlen(text) + 1);
  }
  for (uint32_t i = 0; i < rules->n_open; i++) dk_buf_add(key, rules->open[i], strlen(rules->open[i]) + 1);
  return dk_buf_ok(key) ? 0 : -ENOMEM;
}

static int make_anew(struct dk_sandbox *sandbox, const struct dk_sandbox_rules *rules) {
  char *closed[3] = {dk_fs_absolute(rules->repository), NULL, NULL};
  struct way way = {.sandbox = sandbox};
  if (!closed[0]) return errno ? -errno : -ENOENT;
  sandbox->off = find_off(rules, closed[0]);
  for (size_t i = 0; i < 2; i++) closed[1 + i] = rules->fences[i] ? dk_fs_absolute(rules->fences[i]) : NULL;
  way.closed[way.n_closed++] = closed[0];
  for (size_t i = 1; i < 3; i++) {
    if (closed[i] && !is_below(closed[i], closed[0])) way.closed[way.n_closed++] = closed[i];
  }
  if (sandbox->mounts < 0) sandbox->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  sandbox->made_unix_ns = dk_unix_ns();
  if (!rules->is_probe) make_cache(rules);
  int r = sandbox->off ? 0 : build(&way, rules);
  for (size_t i = 0; i < 3; i++) dk_free(closed[i]);
  if ((r < 0 || sandbox->off) && sandbox->ruleset >= 0) {
    close(sandbox->ruleset);
    sandbox->ruleset = -1;
  }
  return r;
}

int dk_sandbox_make(struct dk_sandbox *sandbox, const struct dk_sandbox_rules *rules, struct dk_error *error) {
  dk_autobuf key = DK_BUF_INIT;
  int r = make_key(&key, rules);
  if (r == 0 && key.len == sandbox->key.len && memcmp(key.data, sandbox->key.data, key.len) == 0 && is_fresh(sandbox))
    return 0;
  forget(sandbox);
  if (r == 0) r = make_anew(sandbox, rules);
  if (r == 0) {
    dk_buf_add(&sandbox->key, key.data, key.len);
    if (!dk_buf_ok(&sandbox->key) || !dk_buf_ok(&sandbox->inner)) r = -ENOMEM;
  }
  if (r < 0) {
    forget(sandbox);
    return dk_error_system(error, r, "cannot keep the repository %s from a task", rules->repository);
  }
  return 0;
}

bool dk_sandbox_is_closed(const struct dk_sandbox *sandbox, const struct dk_sandbox_rules *rules, const char *path) {
  if (sandbox->ruleset < 0 || !is_below(path, rules->repository)) return false;
  const char *end = dk_buf_text(&sandbox->inner) + sandbox->inner.len;
  for (const char *at = dk_buf_text(&sandbox->inner); at < end; at += strlen(at) + 1) {
    if (is_below(path, at)) return false;
  }
  return true;
}
