/* The work tree: see worktree.h. Nothing here writes into it or into the user's repository; libgit2's status compares
 * stat data with the index first, so an unchanged tree costs an lstat a file. */
#include "engine/source/worktree.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "lang/base/buf.h"
#include "lang/base/digest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POINTER_HEAD "version https://git-lfs.github.com/spec/v1\n"
#define POINTER_MAX 1024
#define READ_BLOCK 65536

static int no_memory(struct dk_error *error) {
  return dk_error_system(error, -ENOMEM, "looking for changed files");
}

static const char *path_of(const git_status_entry *entry) {
  const git_diff_delta *delta = entry->index_to_workdir ? entry->index_to_workdir : entry->head_to_index;
  return delta->old_file.path ? delta->old_file.path : delta->new_file.path;
}

static int add(struct dk_changes *changes, const char *path, unsigned status) {
  if (!dk_grow(changes->items, changes->n, changes->cap)) return -ENOMEM;
  struct dk_change *change = &changes->items[changes->n];
  memset(change, 0, sizeof *change);
  change->path = dk_strdup(path);
  change->status = status;
  if (!change->path) return -ENOMEM;
  changes->n++;
  return 0;
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const struct dk_change *)a)->path, ((const struct dk_change *)b)->path);
}

/* Staged and not staged changes of one path may come as two entries. */
static void merge_same(struct dk_changes *changes) {
  if (changes->n) qsort(changes->items, changes->n, sizeof *changes->items, by_path);
  uint32_t to = 0;
  for (uint32_t i = 0; i < changes->n; i++) {
    if (to > 0 && strcmp(changes->items[to - 1].path, changes->items[i].path) == 0) {
      changes->items[to - 1].status |= changes->items[i].status;
      dk_free(changes->items[i].path);
    } else {
      changes->items[to++] = changes->items[i];
    }
  }
  changes->n = to;
}

void dk_changes_drop(struct dk_changes *changes, uint32_t i) {
  dk_free(changes->items[i].path);
  memmove(&changes->items[i], &changes->items[i + 1], (changes->n - i - 1) * sizeof *changes->items);
  changes->n--;
}

void dk_changes_finish(struct dk_changes *changes) {
  for (uint32_t i = 0; i < changes->n; i++) dk_free(changes->items[i].path);
  dk_free(changes->items);
  *changes = (struct dk_changes){NULL, 0, 0};
}

/* What the file system and the index say of the path; a submodule's staged commit is taken from the index here
 * already. */
static int look_at(struct dk_repo *repo, git_index *index, struct dk_change *change, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  struct stat st;
  const git_index_entry *entry = git_index_get_bypath(index, change->path, 0);
  if (entry && entry->mode == GIT_FILEMODE_COMMIT) {
    change->mode = entry->mode;
    git_oid_cpy(&change->id, &entry->id);
    return 0;
  }
  dk_buf_printf(&path, "%s/%s", repo->root, change->path);
  if (!dk_buf_ok(&path)) return no_memory(error);
  if (lstat(path.data, &st) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) return dk_error_system(error, -errno, "reading %s", path.data);
    change->is_gone = true;
    return 0;
  }
  change->is_untracked = !entry;
  /* A folder in a file's place: its files are listed by themselves. Out of the index and ignored: not ours to take. */
  if (S_ISDIR(st.st_mode) && entry) change->is_gone = true;
  if (!entry && !(change->status & (GIT_STATUS_WT_NEW | GIT_STATUS_WT_UNREADABLE))) change->is_gone = true;
  if (S_ISREG(st.st_mode)) change->size = (uint64_t)st.st_size;
  return 0;
}

static int collect(struct dk_repo *repo, git_index *index, git_status_list *list, struct dk_changes *ret,
                   struct dk_error *error) {
  for (size_t i = 0; i < git_status_list_entrycount(list); i++) {
    const git_status_entry *entry = git_status_byindex(list, i);
    if (entry->status == GIT_STATUS_CURRENT || (entry->status & GIT_STATUS_IGNORED)) continue;
    if (entry->status & GIT_STATUS_CONFLICTED)
      return dk_error_set(error, -EBUSY, "%s has a merge conflict\nhelp: resolve it, `git add` it, then run again",
                          path_of(entry));
    if (add(ret, path_of(entry), entry->status)) return no_memory(error);
  }
  merge_same(ret);
  for (uint32_t i = 0; i < ret->n; i++) {
    int err = look_at(repo, index, &ret->items[i], error);
    if (err) return err;
  }
  return 0;
}

int dk_worktree_status(struct dk_repo *repo, git_tree *tree, struct dk_changes *ret, struct dk_error *error) {
  git_status_options options;
  git_status_list *list = NULL;
  git_index *index = NULL;
  *ret = (struct dk_changes){NULL, 0, 0};
  git_status_options_init(&options, GIT_STATUS_OPTIONS_VERSION);
  options.show = GIT_STATUS_SHOW_INDEX_AND_WORKDIR;
  options.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED | GIT_STATUS_OPT_RECURSE_UNTRACKED_DIRS |
                  GIT_STATUS_OPT_EXCLUDE_SUBMODULES | GIT_STATUS_OPT_DISABLE_PATHSPEC_MATCH |
                  GIT_STATUS_OPT_INCLUDE_UNREADABLE;
  options.baseline = tree;
  int rc = git_repository_index(&index, repo->git);
  if (rc == 0) rc = git_status_list_new(&list, repo->git, &options);
  int err = rc ? dk_git_fail(rc, error, "looking for changed files in %s", repo->root)
               : collect(repo, index, list, ret, error);
  git_status_list_free(list);
  git_index_free(index);
  if (err) dk_changes_finish(ret);
  return err;
}

/* Reading one file. */

static bool same_stat(const struct stat *a, const struct stat *b) {
  return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
         a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
         a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* git-lfs's specification of a pointer (docs/spec.md there). */
static int make_pointer(int fd, uint64_t size, struct dk_buf *ret) {
  struct dk_hasher hasher;
  struct dk_digest digest;
  char block[READ_BLOCK], hex[DK_DIGEST_HEX + 1];
  ssize_t n;
  dk_hasher_init(&hasher);
  while ((n = read(fd, block, sizeof block)) > 0) dk_hasher_add(&hasher, block, (size_t)n);
  if (n < 0) return -errno;
  dk_hasher_get(&hasher, &digest);
  dk_digest_hex(&digest, hex);
  dk_buf_clear(ret);
  dk_buf_printf(ret, POINTER_HEAD "oid sha256:%s\nsize %llu\n", hex, (unsigned long long)size);
  return dk_buf_ok(ret) ? 0 : -ENOMEM;
}

static bool is_lfs(struct dk_repo *repo, const char *path) {
  const char *value = NULL;
  int rc = git_attr_get(&value, repo->git, GIT_ATTR_CHECK_FILE_THEN_INDEX, path, "filter");
  return rc == 0 && git_attr_value(value) == GIT_ATTR_VALUE_STRING && strcmp(value, "lfs") == 0;
}

static int read_whole(int fd, uint64_t size, struct dk_buf *ret) {
  if (size > INT_MAX) return -EFBIG; /* libgit2 deals in ints here and there */
  void *at = dk_buf_reserve(ret, (size_t)size + 1);
  if (!at) return -ENOMEM;
  int err = dk_fs_pread_all(fd, at, (size_t)size, 0);
  if (err == 0) dk_buf_commit(ret, (size_t)size);
  return err == -EIO ? -EAGAIN : err; /* shorter than a moment ago */
}

static int read_regular(struct dk_repo *repo, int fd, const struct stat *st, const char *path, struct dk_buf *ret) {
  uint64_t size = (uint64_t)st->st_size;
  if (is_lfs(repo, path)) {
    int err = size < POINTER_MAX ? read_whole(fd, size, ret) : 0;
    bool is_pointer = ret->len >= strlen(POINTER_HEAD) && memcmp(ret->data, POINTER_HEAD, strlen(POINTER_HEAD)) == 0;
    return err || is_pointer ? err : make_pointer(fd, size, ret);
  }
  return read_whole(fd, size, ret);
}

static int write_blob(struct dk_repo *repo, git_odb *to, const struct dk_buf *raw, bool filtered,
                      struct dk_change *change, struct dk_error *error) {
  git_filter_list *filters = NULL;
  git_buf converted = GIT_BUF_INIT;
  int rc = 0;
  if (filtered)
    rc = git_filter_list_load(&filters, repo->git, NULL, change->path, GIT_FILTER_TO_ODB, GIT_FILTER_ALLOW_UNSAFE);
  if (rc == 0 && filters) rc = git_filter_list_apply_to_buffer(&converted, filters, dk_buf_text(raw), raw->len);
  if (rc == 0)
    rc = filters ? git_odb_write(&change->id, to, converted.ptr, converted.size, GIT_OBJECT_BLOB)
                 : git_odb_write(&change->id, to, dk_buf_text(raw), raw->len, GIT_OBJECT_BLOB);
  git_buf_dispose(&converted);
  git_filter_list_free(filters);
  return rc ? dk_git_fail(rc, error, "keeping %s", change->path) : 0;
}

static int read_link(struct dk_repo *repo, git_odb *to, const char *path, struct dk_change *change,
                     struct dk_error *error) {
  dk_autobuf target = DK_BUF_INIT;
  char *at = dk_buf_reserve(&target, PATH_MAX);
  if (!at) return no_memory(error);
  ssize_t n = readlink(path, at, PATH_MAX);
  if (n < 0) return dk_error_system(error, -errno, "reading the link %s", change->path);
  dk_buf_commit(&target, (size_t)n);
  change->mode = GIT_FILEMODE_LINK;
  return write_blob(repo, to, &target, false, change, error);
}

/* core.fileMode false: the file system cannot keep the bit, so the index has it. */
static uint32_t mode_of(struct dk_repo *repo, const struct stat *st, const char *path) {
  git_config *config = NULL;
  git_index *index = NULL;
  uint32_t mode = st->st_mode & S_IXUSR ? GIT_FILEMODE_BLOB_EXECUTABLE : GIT_FILEMODE_BLOB;
  int trusted = 1;
  if (git_repository_config_snapshot(&config, repo->git) == 0) git_config_get_bool(&trusted, config, "core.filemode");
  if (!trusted && git_repository_index(&index, repo->git) == 0) {
    const git_index_entry *entry = git_index_get_bypath(index, path, 0);
    mode = entry && entry->mode == GIT_FILEMODE_BLOB_EXECUTABLE ? entry->mode : (uint32_t)GIT_FILEMODE_BLOB;
  }
  git_index_free(index);
  git_config_free(config);
  return mode;
}

int dk_worktree_read(struct dk_repo *repo, git_odb *to, struct dk_change *change, uint64_t max,
                     struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  dk_autobuf raw = DK_BUF_INIT;
  struct stat before, after;
  dk_buf_printf(&path, "%s/%s", repo->root, change->path);
  if (!dk_buf_ok(&path)) return no_memory(error);
  if (lstat(path.data, &before) != 0) return dk_error_system(error, -errno, "reading %s", change->path);
  if (S_ISLNK(before.st_mode)) return read_link(repo, to, path.data, change, error);
  if (!S_ISREG(before.st_mode))
    return dk_error_set(error, -EINVAL, "%s is no regular file, so it cannot be part of a run's source", change->path);
  change->size = (uint64_t)before.st_size;
  if (change->size > max) return dk_error_set(error, -EFBIG, "%s is too large", change->path);
  int fd = open(path.data, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return dk_error_system(error, -errno, "reading %s", change->path);
  int err = read_regular(repo, fd, &before, change->path, &raw);
  if (err == 0 && fstat(fd, &after) != 0) err = -errno;
  close(fd);
  if (err == -EFBIG)
    return dk_error_set(error, err,
                        "%s is over 2 GB and differs from the commit\nhelp: keep it out of git and name it as an input",
                        change->path);
  if (err == -EAGAIN || (err == 0 && !same_stat(&before, &after)))
    return dk_error_set(error, -EAGAIN, "%s changed while it was read\nhelp: run again when nothing writes to it",
                        change->path);
  if (err) return dk_error_system(error, err, "reading %s", change->path);
  change->mode = mode_of(repo, &before, change->path);
  return write_blob(repo, to, &raw, true, change, error);
}
