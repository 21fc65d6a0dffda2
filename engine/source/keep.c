/* Checking and thinning out dkrun's repository: see keep.h. Thinning copies what stays, as pinning does, because what
 * git calls garbage collection would have to remove objects one by one in an order in which none is left whose parts
 * are gone. */
#include "engine/source/keep.h"
#include "engine/source/git.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "lang/base/buf.h"
#include "lang/base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Objects that were read and are whole. */
struct seen {
  git_oid *ids;
  uint32_t n, cap;
  struct dk_map map;
};

static uint64_t hash_of(const git_oid *id) {
  uint64_t hash;
  memcpy(&hash, id->id, sizeof hash);
  return hash;
}

static bool is_id(const void *ctx, uint32_t item, const void *key) {
  return git_oid_equal(&((const struct seen *)ctx)->ids[item], key);
}

static bool has(const struct seen *seen, const git_oid *id) {
  return dk_map_find(&seen->map, hash_of(id), is_id, seen, id) != DK_MAP_NONE;
}

static int add(struct seen *seen, const git_oid *id) {
  if (!dk_grow(seen->ids, seen->n, seen->cap)) return GIT_ERROR;
  git_oid_cpy(&seen->ids[seen->n], id);
  return dk_map_add(&seen->map, hash_of(id), seen->n++) ? GIT_ERROR : 0;
}

/* libgit2 compares what it reads with the name that it was asked for. */
static int read_blob(git_repository *own, const git_oid *id) {
  git_odb *odb;
  git_odb_object *object;
  int rc = git_repository_odb(&odb, own);
  if (rc) return rc;
  rc = git_odb_read(&object, odb, id);
  if (rc == 0) git_odb_object_free(object);
  git_odb_free(odb);
  return rc;
}

static int read_tree(git_repository *own, const git_oid *id, struct seen *seen) {
  git_tree *tree;
  if (has(seen, id)) return 0;
  int rc = git_tree_lookup(&tree, own, id);
  if (rc) return rc;
  for (size_t i = 0; rc == 0 && i < git_tree_entrycount(tree); i++) {
    const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
    const git_oid *child = git_tree_entry_id(entry);
    git_object_t type = git_tree_entry_type(entry);
    if (type == GIT_OBJECT_TREE) rc = read_tree(own, child, seen);
    if (type != GIT_OBJECT_BLOB || has(seen, child)) continue;
    rc = read_blob(own, child);
    if (rc == 0) rc = add(seen, child);
  }
  git_tree_free(tree);
  return rc ? rc : add(seen, id);
}

static int read_pin(git_repository *own, const char *hex, struct seen *seen) {
  git_commit *commit;
  git_oid id;
  int rc = git_oid_fromstr(&id, hex);
  if (rc == 0) rc = git_commit_lookup(&commit, own, &id);
  if (rc) return rc;
  rc = read_tree(own, git_commit_tree_id(commit), seen);
  git_commit_free(commit);
  return rc;
}

static int open_own(const char *state, const char *name, git_repository **ret, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/%s", state, name);
  if (!dk_buf_ok(&path)) return dk_error_system(error, -ENOMEM, "opening %s", state);
  int rc = git_repository_open_bare(ret, path.data);
  return rc ? dk_git_fail(rc, error, "opening %s", path.data) : 0;
}

int dk_source_check(const char *state, const struct dk_source_pin *pins, uint32_t n, dk_source_bad_fn *fn, void *ctx,
                    struct dk_error *error) {
  git_repository *own = NULL;
  struct seen seen = {NULL, 0, 0, {0}};
  struct dk_error why;
  int err = dk_git_start(error);
  if (err) return err;
  dk_map_init(&seen.map, NULL);
  int opened = open_own(state, "git", &own, &why);
  for (uint32_t i = 0; i < n && err == 0; i++) {
    if (!*pins[i].pinned) continue;
    int rc = opened ? 0 : read_pin(own, pins[i].pinned, &seen);
    if (rc) dk_git_fail(rc, &why, "reading the commit %.12s", pins[i].pinned);
    if (rc || opened) err = fn(ctx, i, why.text);
  }
  dk_map_finish(&seen.map);
  dk_free(seen.ids);
  git_repository_free(own);
  dk_git_stop();
  return err;
}

/* From one repository into another. */
static int copy(git_repository *from, git_repository *to, const struct dk_source_pin *pin, struct dk_error *error) {
  struct dk_odb odb;
  git_oid commits[2];
  struct seen seen = {NULL, 0, 0, {0}};
  unsigned n = strcmp(pin->commit, pin->pinned) == 0 ? 1 : 2;
  dk_map_init(&seen.map, NULL);
  int rc = read_pin(from, pin->pinned, &seen); /* nothing is begun that cannot be ended */
  dk_map_finish(&seen.map);
  dk_free(seen.ids);
  if (rc == 0) rc = git_oid_fromstr(&commits[0], pin->commit);
  if (rc == 0) rc = git_oid_fromstr(&commits[n - 1], pin->pinned);
  if (rc) return dk_git_fail(rc, error, "reading the commit %.12s", pin->pinned);
  int err = dk_odb_open(&odb, from, to, error);
  if (err) return err;
  err = dk_pin_commits(to, &odb, commits, n, error);
  dk_odb_close(&odb);
  return err;
}

static int copy_all(git_repository *own, git_repository *user, git_repository *made, struct dk_source_pin *pins,
                    uint32_t n, struct dk_error *error) {
  for (uint32_t i = 0; i < n; i++) {
    if (!*pins[i].pinned) continue;
    int err = own ? copy(own, made, &pins[i], error) : -ENOENT;
    if (err && !dk_error_is_full(err) && user) err = copy(user, made, &pins[i], error);
    if (dk_error_is_full(err) || err == -ENOMEM) return err;
    pins[i].is_lost = err != 0;
  }
  return 0;
}

static int exchange(const char *state, const char *tmp, struct dk_error *error) {
  dk_autobuf git = DK_BUF_INIT;
  dk_autobuf made = DK_BUF_INIT;
  dk_buf_printf(&git, "%s/git", state);
  dk_buf_printf(&made, "%s/git", tmp);
  if (!dk_buf_ok(&git) || !dk_buf_ok(&made)) return dk_error_system(error, -ENOMEM, "replacing %s/git", state);
  int r = access(git.data, F_OK) == 0 ? renameat2(AT_FDCWD, made.data, AT_FDCWD, git.data, RENAME_EXCHANGE)
                                      : rename(made.data, git.data);
  if (r != 0) return dk_error_system(error, errno == EINVAL ? -ENOTSUP : -errno, "replacing %s", git.data);
  return dk_fs_sync_dir(state, error);
}

int dk_source_keep(const char *state, const char *root, struct dk_source_pin *pins, uint32_t n,
                   struct dk_error *error) {
  git_repository *own = NULL, *user = NULL, *made = NULL;
  dk_autobuf tmp = DK_BUF_INIT;
  dk_buf_printf(&tmp, "%s/git-new", state);
  if (!dk_buf_ok(&tmp)) return dk_error_system(error, -ENOMEM, "opening %s", state);
  int err = dk_fs_remove_tree(tmp.data, error); /* of one that was killed */
  if (err == 0) err = dk_git_start(error);
  if (err) return err;
  (void)open_own(state, "git", &own, NULL);
  if (root) (void)git_repository_open(&user, root);
  err = dk_pin_open(tmp.data, &made, error);
  if (err == 0) err = copy_all(own, user, made, pins, n, error);
  git_repository_free(made);
  git_repository_free(user);
  git_repository_free(own);
  dk_git_stop();
  if (err == 0) err = exchange(state, tmp.data, error);
  dk_fs_remove_tree(tmp.data, NULL);
  return err;
}
