/* What of a pinned tree goes into a task's directory: matching, digest, materialising. */
#ifndef DK_SOURCE_CODE_H
#define DK_SOURCE_CODE_H

#include "engine/source/snapshot.h"
#include "lang/base/buf.h"
#include "lang/base/digest.h"

struct dk_code_repo; /* the pinned tree with its index of (path, mode, blob id), sorted by path */

/* `dir` is the directory that patterns start from (that of the .dk file), relative to the repository's root, "" for the
 * root; files are digested and placed by their paths relative to it; a pattern may not leave it.
 * Patterns: a path ("train.py"), a directory ("model/" or "model": everything below), a glob (`*` and `?` not across
 * `/`, `**` across), "." for all. `*.dk`, dk.lock and providers.dk never match. A pattern that matches nothing is
 * -ENOENT with its name and the nearest path. Digest: SHA-256 over the sorted matched entries (mode, blob id, path).
 * Submodule entries and LFS pointers in the match are errors that say so. */
int dk_code_digest(struct dk_code_repo *code, const char *dir, const char *const *patterns, uint32_t n,
                   struct dk_digest *ret, uint32_t *ret_files, struct dk_error *error);
/* Writes the matched files into `path` (made, must not exist; written beside it and renamed, so that it is whole or not
 * there), sealed (dk_fs_seal), with modes 0444/0555, symlinks as they are (a symlink that leaves the tree is an
 * error). */
int dk_code_materialise(struct dk_code_repo *code, const char *dir, const char *const *patterns, uint32_t n,
                        const char *path, struct dk_error *error);
/* Is such a tree there as it was written? 0; -ENOENT; -EBADMSG: something was changed, added or removed; another errno:
 * it cannot be told. */
int dk_code_tree_look(const char *path);
/* The tree of a run that was: `pinned` is its commit in dkrun's repository below `state`, which is only read. -ENOENT:
 * it is not there. */
int dk_code_open_pinned(const char *state, const char *pinned, struct dk_code_repo **ret, struct dk_error *error);
void dk_code_close(struct dk_code_repo *code);

/* What of one match is not so in another: a file's path (relative to `dir`), and the first line that differs in the
 * newer one. */
enum dk_code_change_kind { DK_CODE_CHANGED, DK_CODE_ADDED, DK_CODE_REMOVED, DK_CODE_MODE };
struct dk_code_change {
  char *path; /* relative to the repository's root */
  enum dk_code_change_kind kind;
  uint32_t line; /* CHANGED, of a text; else 0 */
};
struct dk_code_side {
  struct dk_code_repo *code;
  const char *dir;
  const char *const *patterns;
  uint32_t n_patterns;
};
/* *ret, in order of paths, is freed with dk_code_changes_free. */
int dk_code_compare(const struct dk_code_side *before, const struct dk_code_side *now, struct dk_code_change **ret,
                    uint32_t *ret_n, struct dk_error *error);
void dk_code_changes_free(struct dk_code_change *changes, uint32_t n);
/* Is this path tracked in the pinned tree (a file, or a directory with files below)? */
bool dk_code_has(const struct dk_code_repo *code, const char *path);
/* Reads one file of the pinned tree. -ENOENT. */
int dk_code_read(struct dk_code_repo *code, const char *path, struct dk_buf *out, struct dk_error *error);

#endif
