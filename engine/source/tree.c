/* The code digest of a tree on disk: the same sum over the same entries as dk_code_digest, with ids of what the files
 * hold now. */
#include "engine/source/git.h"
#include "engine/source/keep.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "lang/base/buf.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct entry {
  char *path; /* relative */
  git_oid id;
  uint32_t mode;
};

struct tree {
  const char *root;
  struct entry *entries;
  uint32_t n, cap;
};

static int add(struct tree *tree, const char *path, uint32_t mode, const git_oid *id) {
  if (!dk_grow(tree->entries, tree->n, tree->cap)) return -ENOMEM;
  struct entry *entry = &tree->entries[tree->n];
  *entry = (struct entry){.path = dk_strdup(path), .id = *id, .mode = mode};
  if (!entry->path) return -ENOMEM;
  tree->n++;
  return 0;
}

static int add_file(struct tree *tree, const char *full, const char *relative, const struct stat *st,
                    struct dk_error *error) {
  git_oid id;
  char target[PATH_MAX];
  uint32_t mode = st->st_mode & S_IXUSR ? GIT_FILEMODE_BLOB_EXECUTABLE : GIT_FILEMODE_BLOB;
  int rc = 0;
  if (S_ISLNK(st->st_mode)) {
    ssize_t n = readlink(full, target, sizeof target);
    if (n < 0) return dk_error_system(error, -errno, "reading %s", full);
    mode = GIT_FILEMODE_LINK;
    rc = git_odb_hash(&id, target, (size_t)n, GIT_OBJECT_BLOB);
  } else if (S_ISREG(st->st_mode)) {
    rc = git_odb_hashfile(&id, full, GIT_OBJECT_BLOB);
  } else {
    return dk_error_set(error, -EINVAL, "%s is no file", full);
  }
  if (rc) return dk_git_fail(rc, error, "reading %s", full);
  int err = add(tree, relative, mode, &id);
  return err ? dk_error_system(error, err, "reading %s", full) : 0;
}

static int walk(struct tree *tree, const char *relative, struct dk_error *error) {
  dk_autobuf dir = DK_BUF_INIT;
  dk_buf_printf(&dir, "%s/%s", tree->root, relative);
  DIR *handle = dk_buf_ok(&dir) ? opendir(dir.data) : NULL;
  if (!handle) return dk_error_system(error, dk_buf_ok(&dir) ? -errno : -ENOMEM, "reading %s", tree->root);
  int err = 0;
  for (struct dirent *entry; err == 0;) {
    dk_autobuf full = DK_BUF_INIT;
    dk_autobuf below = DK_BUF_INIT;
    struct stat st;
    err = dk_fs_next_entry(handle, &entry);
    if (err || !entry) break;
    dk_buf_printf(&full, "%s/%s", dir.data, entry->d_name);
    dk_buf_printf(&below, "%s%s%s", relative, *relative ? "/" : "", entry->d_name);
    if (!dk_buf_ok(&full) || !dk_buf_ok(&below))
      err = dk_error_system(error, -ENOMEM, "reading %s", dir.data);
    else if (lstat(full.data, &st) != 0)
      err = dk_error_system(error, -errno, "reading %s", full.data);
    else
      err = S_ISDIR(st.st_mode) ? walk(tree, below.data, error) : add_file(tree, full.data, below.data, &st, error);
  }
  closedir(handle);
  return err;
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

int dk_source_tree_digest(const char *path, struct dk_digest *ret, struct dk_error *error) {
  struct tree tree = {.root = path};
  struct dk_hasher hasher;
  int err = dk_git_start(error);
  if (err) return err;
  err = walk(&tree, "", error);
  if (err == 0 && tree.n) qsort(tree.entries, tree.n, sizeof *tree.entries, by_path);
  dk_hasher_init(&hasher);
  dk_hasher_add_text(&hasher, DK_CODE_DIGEST_HEAD);
  for (uint32_t i = 0; i < tree.n; i++) {
    dk_hasher_add_u64(&hasher, tree.entries[i].mode);
    dk_hasher_add_bytes(&hasher, tree.entries[i].id.id, GIT_OID_RAWSZ);
    dk_hasher_add_text(&hasher, tree.entries[i].path);
    dk_free(tree.entries[i].path);
  }
  dk_hasher_get(&hasher, ret);
  dk_free(tree.entries);
  dk_git_stop();
  return err;
}
