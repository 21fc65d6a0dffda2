/* A run's source, pinned: a commit in dkrun's own bare repository (`.dkrun/git`), whose objects are copied there, so
 * that the user's gc, rebase or push cannot touch or publish it.
 *
 * A clean tree is pinned as the user's own commit's tree. A dirty one (tracked files changed, staged or deleted;
 * untracked and not ignored files of at most 1 MiB each and 20 MiB in all) is written as a commit on top of it, with a
 * fixed author and the parent's time, so that the same content gives the same id. Never taken: .env*, *.pem, id_rsa*,
 * *.key and the like (docs/cli.md has the list), anything under .dkrun or .git. */
#ifndef DK_SOURCE_SNAPSHOT_H
#define DK_SOURCE_SNAPSHOT_H

#include "engine/source/repo.h"
#include "lang/base/buf.h"

struct dk_snapshot {
  char commit[41]; /* HEAD */
  char pinned[41]; /* commit in dkrun's repository: equal to commit when clean */
  char **changed;
  uint32_t n_changed; /* paths that differ from HEAD, sorted; untracked ones too */
  char **left_out;
  uint32_t n_left_out;       /* untracked files that were not taken because of their names */
  struct dk_code_repo *code; /* to read the pinned tree with (code.h) */
};

struct dk_snapshot_options {
  bool refuse_dirty; /* --clean: -EBUSY with the list */
  bool dry_run;      /* plan: write nothing into dkrun's repository; the tree is computed in memory */
};

/* `state` is the .dkrun directory (its git/ is made when missing, unless dry_run; the caller holds the folder's lock
 * then). -EFBIG when untracked files pass the caps: the message lists the largest and says how to go on (.gitignore
 * them or commit them). */
int dk_snapshot_take(struct dk_repo *repo, const char *state, const struct dk_snapshot_options *options,
                     struct dk_snapshot *ret, struct dk_error *error);
/* Would the next snapshot be refused for untracked files that pass the caps? -EFBIG with its words. */
int dk_snapshot_check_caps(struct dk_repo *repo, const char *state, struct dk_error *error);
/* A line that names what was left out; nothing when there is nothing. Who needs such a file in a task must know. */
void dk_snapshot_left_out_text(const struct dk_snapshot *snapshot, struct dk_buf *out);
void dk_snapshot_finish(struct dk_snapshot *snapshot);

#endif
