/* The pinned tree: its index, digests of parts of it, reading one file. */
#include "engine/source/code.h"
#include "engine/source/code_private.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAMES_BLOCK 65536

static int no_memory(struct dk_error *error) {
  return dk_error_system(error, -ENOMEM, "reading the tree of a commit");
}

/* A path kept for the life of the handle. */
static const char *keep_path(struct dk_code_repo *code, const char *folder, size_t folder_len, const char *name) {
  size_t len = strlen(name), needed = folder_len + len + 1;
  struct dk_names *block = code->n_names ? &code->names[code->n_names - 1] : NULL;
  if (!block || block->cap - block->len < needed) {
    struct dk_names *blocks = dk_realloc_array(code->names, code->n_names + 1, sizeof *blocks);
    if (!blocks) return NULL;
    code->names = blocks;
    block = &blocks[code->n_names];
    *block = (struct dk_names){NULL, 0, needed > NAMES_BLOCK ? needed : NAMES_BLOCK};
    block->bytes = dk_alloc(block->cap);
    if (!block->bytes) return NULL;
    code->n_names++;
  }
  char *path = block->bytes + block->len;
  if (folder_len) memcpy(path, folder, folder_len);
  memcpy(path + folder_len, name, len + 1);
  block->len += needed;
  return path;
}

/* git itself makes no such trees; one that was made by hand could make us write outside of a folder. */
static bool is_safe_name(const char *name) {
  return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcasecmp(name, ".git") != 0 &&
         !strchr(name, '/');
}

static int add(struct dk_code_repo *code, const char *path, const git_tree_entry *entry) {
  if (!dk_grow(code->entries, code->n, code->cap)) return -ENOMEM;
  struct dk_code_entry *out = &code->entries[code->n++];
  memset(out, 0, sizeof *out);
  out->path = path;
  out->mode = (uint32_t)git_tree_entry_filemode(entry);
  git_oid_cpy(&out->id, git_tree_entry_id(entry));
  return 0;
}

static int load(struct dk_code_repo *code, const git_oid *id, const char *folder, size_t folder_len,
                struct dk_error *error);

static int load_entry(struct dk_code_repo *code, const git_tree_entry *entry, const char *folder, size_t folder_len,
                      struct dk_error *error) {
  const char *name = git_tree_entry_name(entry);
  if (!is_safe_name(name))
    return dk_error_set(error, -EBADMSG, "the commit has an entry named `%s`, which cannot be a file's name", name);
  if (git_tree_entry_type(entry) != GIT_OBJECT_TREE) {
    const char *path = keep_path(code, folder, folder_len, name);
    return path && add(code, path, entry) == 0 ? 0 : no_memory(error);
  }
  dk_autobuf below = DK_BUF_INIT;
  dk_buf_add(&below, folder, folder_len);
  dk_buf_add_text(&below, name);
  dk_buf_add_char(&below, '/');
  if (!dk_buf_ok(&below)) return no_memory(error);
  return load(code, git_tree_entry_id(entry), below.data, below.len, error);
}

static int load(struct dk_code_repo *code, const git_oid *id, const char *folder, size_t folder_len,
                struct dk_error *error) {
  git_tree *tree;
  int rc = git_tree_lookup(&tree, code->odb.view, id);
  if (rc) return dk_git_fail(rc, error, "reading the tree of a commit");
  int err = 0;
  for (size_t i = 0; err == 0 && i < git_tree_entrycount(tree); i++)
    err = load_entry(code, git_tree_entry_byindex(tree, i), folder, folder_len, error);
  git_tree_free(tree);
  return err;
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const struct dk_code_entry *)a)->path, ((const struct dk_code_entry *)b)->path);
}

static int load_commit(struct dk_code_repo *code, const git_oid *id, const char *root, struct dk_error *error) {
  git_commit *commit;
  code->root = dk_strdup(root);
  if (!code->root) return no_memory(error);
  int rc = git_commit_lookup(&commit, code->odb.view, id);
  if (rc) return dk_git_fail(rc, error, "reading a commit");
  int err = load(code, git_commit_tree_id(commit), "", 0, error);
  git_commit_free(commit);
  if (err == 0 && code->n) qsort(code->entries, code->n, sizeof *code->entries, by_path);
  return err;
}

int dk_code_open(struct dk_odb *odb, const git_oid *commit, const char *root, struct dk_code_repo **ret,
                 struct dk_error *error) {
  *ret = NULL;
  int err = dk_git_start(error);
  if (err) return err;
  struct dk_code_repo *code = dk_calloc(1, sizeof *code);
  if (!code) {
    dk_git_stop();
    return no_memory(error);
  }
  code->odb = *odb;
  memset(odb, 0, sizeof *odb);
  err = load_commit(code, commit, root, error);
  if (err)
    dk_code_close(code);
  else
    *ret = code;
  return err;
}

void dk_code_close(struct dk_code_repo *code) {
  if (!code) return;
  dk_odb_close(&code->odb);
  for (uint32_t i = 0; i < code->n_names; i++) dk_free(code->names[i].bytes);
  dk_free(code->names);
  dk_free(code->entries);
  dk_free(code->root);
  dk_free(code);
  dk_git_stop();
}

uint32_t dk_code_lower(const struct dk_code_repo *code, const char *path) {
  uint32_t low = 0, high = code->n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (strcmp(code->entries[middle].path, path) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

int dk_code_below(const struct dk_code_repo *code, const char *folder, uint32_t *ret_first, uint32_t *ret_end) {
  size_t len = strlen(folder);
  *ret_first = 0;
  *ret_end = code->n;
  if (len == 0) return 0;
  dk_autobuf bound = DK_BUF_INIT;
  dk_buf_add(&bound, folder, len);
  dk_buf_add_char(&bound, '/');
  if (!dk_buf_ok(&bound)) return -ENOMEM;
  *ret_first = dk_code_lower(code, bound.data);
  bound.data[len] = '/' + 1;
  *ret_end = dk_code_lower(code, bound.data);
  return 0;
}

static struct dk_code_entry *find(const struct dk_code_repo *code, const char *path) {
  uint32_t i = dk_code_lower(code, path);
  return i < code->n && strcmp(code->entries[i].path, path) == 0 ? &code->entries[i] : NULL;
}

bool dk_code_has(const struct dk_code_repo *code, const char *path) {
  uint32_t first, end;
  if (path[0] == '\0' || strcmp(path, ".") == 0) return code->n > 0;
  if (find(code, path)) return true;
  return dk_code_below(code, path, &first, &end) == 0 && first < end;
}

int dk_code_read(struct dk_code_repo *code, const char *path, struct dk_buf *out, struct dk_error *error) {
  git_odb_object *object;
  const struct dk_code_entry *entry = find(code, path);
  dk_buf_clear(out);
  if (!entry || entry->mode == GIT_FILEMODE_COMMIT)
    return dk_error_set(error, -ENOENT, "%s is not in the commit", path);
  int rc = git_odb_read(&object, code->odb.all, &entry->id);
  if (rc) return dk_git_fail(rc, error, "reading %s of the commit", path);
  dk_buf_add(out, git_odb_object_data(object), git_odb_object_size(object));
  git_odb_object_free(object);
  return dk_buf_ok(out) ? 0 : dk_error_system(error, -ENOMEM, "reading %s of the commit", path);
}

int dk_code_digest(struct dk_code_repo *code, const char *dir, const char *const *patterns, uint32_t n,
                   struct dk_digest *ret, uint32_t *ret_files, struct dk_error *error) {
  uint8_t *matched;
  size_t skip;
  uint32_t files = 0;
  int err = dk_code_match(code, dir, patterns, n, &matched, &skip, error);
  if (err) return err;
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add_text(&hasher, DK_CODE_DIGEST_HEAD);
  for (uint32_t i = 0; i < code->n; i++) {
    if (!matched[i]) continue;
    dk_hasher_add_u64(&hasher, code->entries[i].mode);
    dk_hasher_add_bytes(&hasher, code->entries[i].id.id, GIT_OID_RAWSZ);
    dk_hasher_add_text(&hasher, code->entries[i].path + skip);
    files++;
  }
  dk_hasher_get(&hasher, ret);
  if (ret_files) *ret_files = files;
  dk_free(matched);
  return 0;
}
