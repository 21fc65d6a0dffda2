/* Finding and opening the user's repository: see repo.h. */
#include "engine/source/repo.h"
#include "engine/source/git.h"
#include "lang/base/alloc.h"
#include "lang/base/buf.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define COMMIT_HELP "git add -A && git commit -m start"
#define BEGIN_HELP "git init && " COMMIT_HELP

/* The directory to look from: path itself, or the one that it is in. Heap. */
static char *start_folder(const char *path) {
  struct stat st;
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return dk_strdup(path);
  const char *slash = strrchr(path, '/');
  if (!slash) return dk_strdup(".");
  return slash == path ? dk_strdup("/") : dk_strndup(path, (size_t)(slash - path));
}

static int open_git(struct dk_repo *repo, const char *folder, struct dk_error *error) {
  int rc = git_repository_open_ext(&repo->git, folder, 0, NULL);
  if (rc == GIT_ENOTFOUND)
    return dk_error_set(error, -ENOENT, "%s is not in a git repository, and every run is tied to a commit\nhelp: %s",
                        folder, BEGIN_HELP);
  if (rc) return dk_git_fail(rc, error, "opening the git repository of %s", folder);
  if (git_repository_is_bare(repo->git) || !git_repository_workdir(repo->git))
    return dk_error_set(error, -ENOTSUP, "%s is a bare git repository: it has no files to run\nhelp: clone it",
                        git_repository_path(repo->git));
  return 0;
}

static int read_head(struct dk_repo *repo, struct dk_error *error) {
  git_reference *head = NULL;
  git_object *commit = NULL;
  int rc = git_repository_head(&head, repo->git);
  if (rc == GIT_EUNBORNBRANCH)
    return dk_error_set(error, -ENODATA,
                        "the git repository %s has no commit yet, and every run is tied to one\nhelp: %s", repo->root,
                        COMMIT_HELP);
  if (rc == 0) rc = git_reference_peel(&commit, head, GIT_OBJECT_COMMIT);
  if (rc == 0) {
    git_oid_cpy(&repo->head_id, git_object_id(commit));
    git_oid_tostr(repo->head, sizeof repo->head, &repo->head_id);
  }
  int err = rc ? dk_git_fail(rc, error, "reading HEAD of %s", repo->root) : 0;
  if (err == 0 && git_reference_is_branch(head)) {
    repo->branch = dk_strdup(git_reference_shorthand(head));
    if (!repo->branch) err = dk_error_system(error, -ENOMEM, "opening %s", repo->root);
  }
  git_object_free(commit);
  git_reference_free(head);
  return err;
}

static int open_at(struct dk_repo *repo, const char *path, struct dk_error *error) {
  dk_autofree char *folder = start_folder(path);
  if (!folder) return dk_error_system(error, -ENOMEM, "opening %s", path);
  int err = open_git(repo, folder, error);
  if (err) return err;
  const char *root = git_repository_workdir(repo->git);
  size_t len = strlen(root);
  while (len > 1 && root[len - 1] == '/') len--;
  repo->root = dk_strndup(root, len);
  if (!repo->root) return dk_error_system(error, -ENOMEM, "opening %s", path);
  return read_head(repo, error);
}

int dk_repo_open(const char *path, struct dk_repo **ret, struct dk_error *error) {
  *ret = NULL;
  int err = dk_git_start(error);
  if (err) return err;
  struct dk_repo *repo = dk_calloc(1, sizeof *repo);
  if (!repo) {
    dk_git_stop();
    return dk_error_system(error, -ENOMEM, "opening %s", path);
  }
  err = open_at(repo, path, error);
  if (err) {
    dk_repo_close(repo);
    return err;
  }
  *ret = repo;
  return 0;
}

void dk_repo_close(struct dk_repo *repo) {
  if (!repo) return;
  git_repository_free(repo->git);
  dk_free(repo->root);
  dk_free(repo->branch);
  dk_free(repo);
  dk_git_stop();
}

const char *dk_repo_root(const struct dk_repo *repo) {
  return repo->root;
}

const char *dk_repo_head(const struct dk_repo *repo) {
  return repo->head;
}

const char *dk_repo_branch(const struct dk_repo *repo) {
  return repo->branch;
}
