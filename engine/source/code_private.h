/* The pinned tree's index, shared by code.c, match.c and materialise.c. Included by nobody else. */
#ifndef DK_SOURCE_CODE_PRIVATE_H
#define DK_SOURCE_CODE_PRIVATE_H

#include "engine/source/code.h"
#include "engine/source/git.h"

enum dk_pointer { DK_POINTER_UNKNOWN, DK_POINTER_NO, DK_POINTER_YES };

struct dk_code_entry {
  const char *path; /* in `names` */
  git_oid id;
  uint32_t mode;
  uint8_t pointer; /* enum dk_pointer: is it an LFS pointer? Looked at once */
};

struct dk_names {
  char *bytes;
  size_t len, cap;
};

struct dk_code_repo {
  struct dk_odb odb;
  char *root;                    /* of the user's work tree, for messages */
  struct dk_code_entry *entries; /* sorted by path, as bytes */
  uint32_t n, cap;
  struct dk_names *names; /* blocks of paths, which never move */
  uint32_t n_names;
};

/* The first entry whose path is not less than `path`. */
uint32_t dk_code_lower(const struct dk_code_repo *code, const char *path);
/* Entries [*ret_first, *ret_end) lie below the folder ("" for all). 0 or -ENOMEM. */
int dk_code_below(const struct dk_code_repo *code, const char *folder, uint32_t *ret_first, uint32_t *ret_end);

/* A byte per entry, 1 for those that match; *ret is dk_freed by the caller. Refuses submodules, LFS pointers and links
 * that leave `dir` among them. *ret_skip is the length of "dir/", to be left off their paths. */
int dk_code_match(struct dk_code_repo *code, const char *dir, const char *const *patterns, uint32_t n, uint8_t **ret,
                  size_t *ret_skip, struct dk_error *error);
/* `*` and `?` not across '/', `**` across. */
bool dk_code_glob(const char *pattern, const char *path);

#endif
