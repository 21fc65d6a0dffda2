/* See workdir.h. */
#include "engine/agent/workdir.h"
#include "engine/agent/tree.h"
#include "lang/base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define COPY_MAX (1u << 20)
#define MANIFEST_MAX (1u << 30)
#define STUCK ".stuck-"
#define STUCK_MAX 1000u

void dk_workdir_init(struct dk_workdir *dir, int slot_dir) {
  *dir = (struct dk_workdir){.slot_dir = slot_dir, .work = -1, .tmp = -1};
}

static void forget_lent(struct dk_workdir *dir) {
  dk_free(dir->lent);
  dir->lent = NULL;
  dir->n_lent = 0;
}

void dk_workdir_finish(struct dk_workdir *dir) {
  if (dir->work >= 0) close(dir->work);
  if (dir->tmp >= 0) close(dir->tmp);
  forget_lent(dir);
  dk_workdir_init(dir, dir->slot_dir);
}

/* Does the descriptor still stand for that name, with the mode that it was made with, and can files be made there? */
static bool is_in_place(int slot_dir, const char *name, int fd) {
  struct stat by_name;
  struct statx by_fd;
  return fd >= 0 && fstatat(slot_dir, name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
         statx(fd, "", AT_EMPTY_PATH, STATX_MODE | STATX_INO, &by_fd) == 0 && by_name.st_ino == by_fd.stx_ino &&
         by_name.st_dev == makedev(by_fd.stx_dev_major, by_fd.stx_dev_minor) && (by_fd.stx_mode & 07777) == 0755 &&
         (by_fd.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) == 0;
}

/* What cannot be emptied (chattr +i, a mount) goes aside: one task must not take the slot from all that follow. */
static int put_aside(int slot_dir, const char *name) {
  for (unsigned n = 1; n <= STUCK_MAX; n++) {
    char aside[48];
    struct stat st;
    snprintf(aside, sizeof aside, "%s" STUCK "%u", name, n);
    if (fstatat(slot_dir, aside, &st, AT_SYMLINK_NOFOLLOW) == 0) continue;
    return renameat(slot_dir, name, slot_dir, aside) < 0 ? -errno : 0;
  }
  return -EEXIST;
}

static int explain_stuck(int slot_dir, const char *name, int r, const struct dk_error *why, struct dk_error *error) {
  char link[40], path[4096] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", slot_dir);
  ssize_t n = readlink(link, path, sizeof path - 1);
  path[n > 0 ? n : 0] = '\0';
  return dk_error_set(
      error, r,
      "the directory %s/%s can neither be emptied nor renamed: %s\nhelp: an earlier task left in it what "
      "cannot be removed: look for mounts (findmnt) and immutable files (lsattr), and remove it",
      path, name, why->text);
}

static int make_anew(int slot_dir, const char *name, int *fd, struct dk_error *error) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
  struct dk_error why = {0};
  int r = dk_fs_remove_tree_at(slot_dir, name, &why);
  if (r < 0 && put_aside(slot_dir, name) < 0) return explain_stuck(slot_dir, name, r, &why, error);
  if (mkdirat(slot_dir, name, 0700) < 0) return dk_error_system(error, -errno, "cannot make the directory of a task");
  *fd = openat(slot_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (*fd < 0 || fchmod(*fd, 0755) < 0) return dk_error_system(error, -errno, "cannot open the directory of a task");
  return 0;
}

static int clean(int slot_dir, const char *name, int *fd, struct dk_error *error) {
  if (is_in_place(slot_dir, name, *fd) && (dk_fs_dir_is_empty(*fd) || dk_fs_empty_dir(*fd, NULL) == 0)) return 0;
  return make_anew(slot_dir, name, fd, error);
}

int dk_workdir_clean(struct dk_workdir *dir, struct dk_error *error) {
  forget_lent(dir);
  int r = clean(dir->slot_dir, "work", &dir->work, error);
  return r < 0 ? r : clean(dir->slot_dir, "tmp", &dir->tmp, error);
}

void dk_workdir_sweep(struct dk_workdir *dir) {
  int list = openat(dir->slot_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = list >= 0 ? fdopendir(list) : NULL;
  if (!stream) {
    if (list >= 0) close(list);
    return;
  }
  struct dirent *entry;
  bool is_used = false;
  while (dk_fs_next_entry(stream, &entry) == 0 && entry) {
    is_used |= strcmp(entry->d_name, "work") == 0 || strcmp(entry->d_name, "tmp") == 0;
    if (strstr(entry->d_name, STUCK)) (void)dk_fs_remove_tree_at(dir->slot_dir, entry->d_name, NULL);
  }
  closedir(stream);
  if (is_used) (void)dk_workdir_clean(dir, NULL);
}

/* Filling. */

struct place {
  struct dk_workdir *dir;
  struct dk_blobs *blobs;
  const struct dk_job *job;
  const struct dk_job_input *input;
  int parent; /* directory that it stands in */
  const char *name;
};

static bool is_object(const struct dk_job *job, const char *path) {
  size_t len = strlen(job->objects);
  return len > 0 && strncmp(path, job->objects, len) == 0 && path[len] == '/';
}

static int lend(const struct place *place, const struct stat *st) {
  place->dir->lent[place->dir->n_lent++] = (struct dk_lent){place->input->from, *st};
  return 0;
}

static bool is_same(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mode == b->st_mode &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A copy of one's own: the task may write to it. */
static int copy(const struct place *place, int in, const struct stat *st, bool only_reflink) {
  int out = openat(place->parent, place->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (out < 0) return -errno;
  int r = 0;
  if (only_reflink)
    r = ioctl(out, FICLONE, in) < 0 ? -EOPNOTSUPP : 0;
  else
    r = dk_fs_copy_fd(in, out, (uint64_t)st->st_size, NULL);
  struct stat after;
  if (r == 0 && (fstat(in, &after) < 0 || !is_same(st, &after))) r = -EBUSY;
  if (r == 0 && fchmod(out, st->st_mode & 0111 ? 0755 : 0644) < 0) r = -errno;
  if (close(out) < 0 && r == 0) r = -errno;
  if (r < 0) unlinkat(place->parent, place->name, 0);
  return r;
}

/* A link of what the task may write to anyway would hand the object of all others to it: root is not held by a mode,
 * nor is whoever has the capability or an ACL. */
static bool may_link(const struct place *place, const struct stat *st) {
  return (st->st_mode & 0222) == 0 && geteuid() != 0 && faccessat(AT_FDCWD, place->input->from, W_OK, AT_EACCESS) < 0;
}

static int place_file(const struct place *place, int in, const struct stat *st) {
  bool is_kept = is_object(place->job, place->input->from);
  int r = copy(place, in, st, st->st_size > (off_t)COPY_MAX);
  if (r != -EOPNOTSUPP) return r;
  if (may_link(place, st) && linkat(AT_FDCWD, place->input->from, place->parent, place->name, 0) == 0) {
    struct stat linked;
    if (fstatat(place->parent, place->name, &linked, AT_SYMLINK_NOFOLLOW) < 0 || linked.st_ino != st->st_ino)
      return -EBUSY;
    return lend(place, &linked);
  }
  if (is_kept) return copy(place, in, st, false);
  /* Somebody's own large file: never made read-only, never copied a thousand times. */
  if (symlinkat(place->input->from, place->parent, place->name) < 0) return -errno;
  return lend(place, st);
}

/* What the manifest `in` names, into the empty directory `dir`. */
static int make_tree(const struct place *place, int in, int dir, struct dk_error *error) {
  struct stat st;
  if (fstat(in, &st) < 0 || st.st_size > (off_t)MANIFEST_MAX) return -EFBIG;
  dk_autofree char *manifest = dk_alloc((size_t)st.st_size);
  if (!manifest) return -ENOMEM;
  int r = dk_fs_pread_all(in, manifest, (size_t)st.st_size, 0);
  return r < 0 ? r : dk_tree_place(place->blobs, manifest, (size_t)st.st_size, dir, error);
}

static int place_manifest(const struct place *place, int in, struct dk_error *error) {
  if (mkdirat(place->parent, place->name, 0755) < 0) return -errno;
  int fd = openat(place->parent, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  int r = make_tree(place, in, fd, error);
  close(fd);
  return r;
}

static int place_dir(const struct place *place, int in, struct dk_error *error) {
  if (!place->input->is_dir) return symlinkat(place->input->from, place->parent, place->name) < 0 ? -errno : 0;
  if (mkdirat(place->parent, place->name, 0755) < 0) return -errno;
  int fd = openat(place->parent, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  int r = dk_fs_copy_tree(in, fd, false, place->blobs->stop, place->blobs->ctx, error);
  close(fd);
  return r;
}

static bool is_root(const struct dk_job_input *input) {
  return strcmp(input->place, ".") == 0;
}

static int refuse_changed(const struct place *place, struct dk_error *error) {
  return dk_error_set(
      error, -EINVAL,
      "the object %s was changed since it was kept\nhelp: something writes to the state folder; run again: "
      "what made it runs anew",
      place->input->from);
}

/* One that is an object, or not in its folder, in its place in `parent`. */
static int place_open(struct place *place, int in, const struct stat *st, struct dk_error *error) {
  const struct dk_job_input *input = place->input;
  bool is_kept = is_object(place->job, input->from);
  if (S_ISREG(st->st_mode) && is_kept && !dk_fs_is_sealed(st)) return refuse_changed(place, error);
  if (is_root(input)) return make_tree(place, in, place->dir->work, error);
  int r = dk_fs_remove_tree_at(place->parent, place->name, error); /* the code may have a file there */
  if (r < 0) return r;
  if (S_ISDIR(st->st_mode)) return place_dir(place, in, error);
  if (!S_ISREG(st->st_mode)) return dk_error_set(error, -EINVAL, "%s is no file or directory", input->from);
  return input->is_dir ? place_manifest(place, in, error) : place_file(place, in, st);
}

static int place_input(struct place *place, struct dk_error *error) {
  const struct dk_job_input *input = place->input;
  int in = open(input->from, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  struct stat st;
  if (in < 0 || fstat(in, &st) < 0) {
    int code = -errno;
    if (in >= 0) close(in);
    return dk_error_system(error, code, "input %s cannot be read (%s)", input->place, input->from);
  }
  struct dk_error inner = {0};
  int r = place_open(place, in, &st, &inner);
  close(in);
  if (r == 0) return 0;
  if (r == -EBUSY)
    return dk_error_set(error, r, "input %s (%s) changed while it was placed", input->place, input->from);
  if (inner.code) return dk_error_set(error, r, "input %s cannot be placed: %s", input->place, inner.text);
  return dk_error_system(error, r, "input %s cannot be placed", input->place);
}

static int fill_code(struct dk_workdir *dir, const struct dk_job *job, struct dk_blobs *blobs, struct dk_error *error) {
  int from = open(job->code, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (from < 0) return dk_error_system(error, -errno, "the code tree %s cannot be opened", job->code);
  struct dk_error inner = {0};
  int r = dk_fs_copy_tree(from, dir->work, true, blobs->stop, blobs->ctx, &inner);
  close(from);
  if (r == -EBADMSG)
    return dk_error_set(
        error, r,
        "the code tree %s is not as it was: %s\nhelp: something writes to the state folder; run again: the "
        "tree is made anew from the commit",
        job->code, inner.text);
  return r < 0 ? dk_error_set(error, r, "placing the code: %s", inner.text) : 0;
}

static int fill_input(struct dk_workdir *dir, const struct dk_job *job, uint32_t i, struct dk_blobs *blobs,
                      struct dk_error *error) {
  const struct dk_job_input *input = &job->inputs[i];
  if (is_root(input) ? !input->is_dir : !dk_fs_is_plain_path(input->place))
    return dk_error_set(error, -EINVAL, "an input's place must be a path in the task's directory: %s", input->place);
  const char *slash = strrchr(input->place, '/');
  dk_autofree char *parent = dk_strndup(input->place, slash ? (size_t)(slash - input->place) : 0);
  if (!parent) return dk_error_set(error, -ENOMEM, "no memory to place an input");
  struct place place = {dir, blobs, job, input, -1, slash ? slash + 1 : input->place};
  int r = dk_fs_mkdirs_beneath(dir->work, parent, 0755, &place.parent, error);
  if (r < 0) return r;
  r = place_input(&place, error);
  close(place.parent);
  return r;
}

static enum dk_cause cause_of(int code) {
  if (dk_error_is_limit(code)) return DK_CAUSE_SPAWN;
  return dk_error_is_disk(code) ? DK_CAUSE_DISK : DK_CAUSE_INPUT;
}

int dk_workdir_fill(struct dk_workdir *dir, const struct dk_job *job, struct dk_blobs *blobs, enum dk_cause *ret_cause,
                    struct dk_error *error) {
  int r = 0;
  *ret_cause = DK_CAUSE_INPUT;
  if (job->n_inputs > 0) {
    dir->lent = dk_calloc(job->n_inputs, sizeof *dir->lent);
    if (!dir->lent) return dk_error_set(error, -ENOMEM, "no memory to place inputs");
  }
  if (job->code) r = fill_code(dir, job, blobs, error);
  for (uint32_t i = 0; r == 0 && i < 2 * job->n_inputs; i++) {
    uint32_t at = i % job->n_inputs;
    if (is_root(&job->inputs[at]) != (i < job->n_inputs)) continue;
    r = blobs->stop && blobs->stop(blobs->ctx) ? dk_error_set(error, -ECANCELED, "ended before it started")
                                               : fill_input(dir, job, at, blobs, error);
  }
  if (r < 0) *ret_cause = cause_of(r);
  return r;
}

int dk_workdir_compare(struct dk_workdir *dir, struct dk_error *error) {
  int r = 0;
  for (uint32_t i = 0; i < dir->n_lent; i++) {
    const struct dk_lent *lent = &dir->lent[i];
    struct stat now;
    if (stat(lent->from, &now) == 0 && is_same(&now, &lent->st)) continue;
    r = dk_error_set(error, -EBUSY,
                     "the input %s was changed while the task used it\nhelp: a task must not write to its inputs",
                     lent->from);
  }
  return r;
}
