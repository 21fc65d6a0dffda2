/* Files of the user's work tree as git objects, and which of them differ from a commit. */
#ifndef DK_SOURCE_WORKTREE_H
#define DK_SOURCE_WORKTREE_H

#include "engine/source/git.h"

struct dk_change {
  char *path;
  unsigned status;   /* git_status_t flags */
  bool is_untracked; /* in the work tree, not in the index */
  bool is_gone;      /* not in the work tree */
  uint64_t size;     /* of a regular file */
  /* What it is in the new tree, when it is not gone. */
  uint32_t mode;
  git_oid id;
};

struct dk_changes {
  struct dk_change *items;
  uint32_t n, cap;
};

/* What git status says against the tree, sorted by path, each path once. Merge conflicts are -EBUSY. */
int dk_worktree_status(struct dk_repo *repo, git_tree *tree, struct dk_changes *ret, struct dk_error *error);
void dk_changes_finish(struct dk_changes *changes);
void dk_changes_drop(struct dk_changes *changes, uint32_t i);

/* Reads the file as git add would (line endings converted; for git LFS its pointer), writes the blob and fills mode, id
 * and size (as it was read; it may have grown since the status). -EAGAIN when it changed while it was read; -EFBIG when
 * it is a file of more than `max` bytes: nothing of it was read, and size says how large it is. */
int dk_worktree_read(struct dk_repo *repo, git_odb *to, struct dk_change *change, uint64_t max, struct dk_error *error);

#endif
