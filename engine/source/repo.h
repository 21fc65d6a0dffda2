/* The user's git repository, read only: dkrun never writes to it (no lock, no index refresh, no object). */
#ifndef DK_SOURCE_REPO_H
#define DK_SOURCE_REPO_H

#include "lang/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct dk_repo;

/* Finds the repository that `path` (file or directory) lies in. -ENOENT: "not a git repository" with help to type (git
 * init ...); -ENODATA: no commit yet, with help; -ENOTSUP: bare. */
int dk_repo_open(const char *path, struct dk_repo **ret, struct dk_error *error);
void dk_repo_close(struct dk_repo *repo);
const char *dk_repo_root(const struct dk_repo *repo);   /* absolute work tree, no trailing slash */
const char *dk_repo_head(const struct dk_repo *repo);   /* 40 hex digits */
const char *dk_repo_branch(const struct dk_repo *repo); /* NULL when detached */

#endif
