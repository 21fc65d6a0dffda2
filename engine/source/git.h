/* What the files of this room share about libgit2: starting it, its errors, and object databases side by side. Included
 * by nobody else; git2.h is included nowhere else. */
#ifndef DK_SOURCE_GIT_H
#define DK_SOURCE_GIT_H

#include "engine/source/repo.h"
#include "lang/base/error.h"

#include <git2.h>

struct dk_repo {
  git_repository *git;
  char *root;
  char *branch;
  char head[41];
  git_oid head_id;
};

/* Counted; the options that every use of libgit2 here needs are set by the first one. */
int dk_git_start(struct dk_error *error);
void dk_git_stop(void);

/* Turns a libgit2 result into a negative errno; the message is the text, ": " and libgit2's words. */
int dk_git_fail(int rc, struct dk_error *error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Objects of a snapshot: what is new in memory, then dkrun's own repository, then the user's. Writing goes to memory
 * only, so neither repository is touched by building trees. */
struct dk_odb {
  git_repository *view;      /* of all three */
  git_odb *all, *user, *own; /* own: NULL when it is not there (dry runs) */
};
/* own may be NULL; it is borrowed for the call, like user. */
int dk_odb_open(struct dk_odb *odb, git_repository *user, git_repository *own, struct dk_error *error);
void dk_odb_close(struct dk_odb *odb);

/* pin.c: dkrun's repository. */
int dk_pin_open(const char *state, git_repository **ret, struct dk_error *error); /* made when missing */
/* Makes the commits (and everything below them, not their parents) durable in dkrun's repository and keeps them by a
 * reference to the last one. Nothing is done when the last one is there already. */
int dk_pin_commits(git_repository *own, struct dk_odb *odb, const git_oid *commits, unsigned n, struct dk_error *error);

/* What a code digest starts with; then of each entry, by path: u64 mode, bytes blob id, text path. */
#define DK_CODE_DIGEST_HEAD "dkrun code 1"

struct dk_code_repo;
/* code.c: takes odb over (the caller's is zeroed) unless it fails early: close the caller's in any case. */
int dk_code_open(struct dk_odb *odb, const git_oid *commit, const char *root, struct dk_code_repo **ret,
                 struct dk_error *error);

#endif
