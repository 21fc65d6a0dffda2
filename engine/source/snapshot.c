/* Taking a snapshot: see snapshot.h. Status against HEAD, what may be taken, a tree in memory, a commit, and its copy
 * in dkrun's repository. */
#include "engine/source/snapshot.h"
#include "engine/source/caps.h"
#include "engine/source/code.h"
#include "engine/source/git.h"
#include "engine/source/names.h"
#include "engine/source/worktree.h"
#include "lang/base/alloc.h"
#include "lang/base/buf.h"
#include "lang/base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTED 5 /* files named in a message */

struct taking {
  struct dk_repo *repo;
  const char *state;
  struct dk_odb odb;
  git_repository *own; /* NULL in a dry run */
  git_commit *head;
  git_tree *tree; /* HEAD's */
  struct dk_changes changes;
  struct dk_snapshot *ret;
};

static int no_memory(struct dk_error *error) {
  return dk_error_system(error, -ENOMEM, "taking a snapshot");
}

static int push(char ***list, uint32_t *n, const char *path) {
  if ((*n & (*n - 1)) == 0) { /* full at powers of two */
    char **grown = dk_realloc_array(*list, *n ? (size_t)*n * 2 : 1, sizeof *grown);
    if (!grown) return -ENOMEM;
    *list = grown;
  }
  (*list)[*n] = dk_strdup(path);
  if (!(*list)[*n]) return -ENOMEM;
  ++*n;
  return 0;
}

/* The state folder, when it lies in the work tree under another name than .dkrun. */
static bool is_state(const struct taking *taking, const char *path) {
  size_t root = strlen(taking->repo->root);
  if (strncmp(taking->state, taking->repo->root, root) != 0 || taking->state[root] != '/') return false;
  const char *below = taking->state + root + 1;
  size_t len = strlen(below);
  return len > 0 && strncmp(path, below, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Untracked files: those that are ours are passed over in silence, those that may hold a secret are said. */
static int choose(struct taking *taking, struct dk_error *error) {
  struct dk_changes *changes = &taking->changes;
  struct dk_snapshot *ret = taking->ret;
  for (uint32_t i = 0; i < changes->n;) {
    struct dk_change *change = &changes->items[i];
    size_t len = strlen(change->path);
    if (!change->is_untracked || change->is_gone) {
      i++;
      continue;
    }
    bool is_own = dk_names_is_own(change->path) || is_state(taking, change->path);
    /* A name with a slash at its end is another repository inside of this one. */
    bool is_left = (len > 0 && change->path[len - 1] == '/') || dk_names_is_secret(change->path) ||
                   (change->status & GIT_STATUS_WT_UNREADABLE);
    if (!is_own && !is_left) {
      i++;
      continue;
    }
    if (!is_own && push(&ret->left_out, &ret->n_left_out, change->path)) return no_memory(error);
    if (change->status & GIT_STATUS_INDEX_DELETED) { /* in HEAD, and not in the new tree */
      change->is_gone = true;
      i++;
    } else {
      dk_changes_drop(changes, i);
    }
  }
  return 0;
}

static bool has_untracked(const struct dk_changes *changes) {
  for (uint32_t i = 0; i < changes->n; i++)
    if (changes->items[i].is_untracked && !changes->items[i].is_gone) return true;
  return false;
}

static int read_one(struct taking *taking, struct dk_change *change, struct dk_error *error) {
  if (!change->is_untracked) return dk_worktree_read(taking->repo, taking->odb.all, change, UINT64_MAX, error);
  int err = dk_worktree_read(taking->repo, taking->odb.all, change, DK_CAPS_FILE, error);
  return err == -EFBIG ? dk_caps_check(taking->repo, &taking->changes, error) : err; /* with the words that list it */
}

/* Reads what is to be taken and drops what turns out to be as in HEAD (touched, or staged and taken back). What has
 * grown since the status is held to the caps as it was read. */
static int read_changes(struct taking *taking, struct dk_error *error) {
  struct dk_changes *changes = &taking->changes;
  for (uint32_t i = 0; i < changes->n;) {
    struct dk_change *change = &changes->items[i];
    git_tree_entry *before = NULL;
    int rc = git_tree_entry_bypath(&before, taking->tree, change->path);
    if (rc && rc != GIT_ENOTFOUND) return dk_git_fail(rc, error, "reading the commit");
    int err = 0;
    if (!change->is_gone && change->mode == 0) err = read_one(taking, change, error);
    bool is_same = change->is_gone ? !before
                                   : before && (uint32_t)git_tree_entry_filemode(before) == change->mode &&
                                         git_oid_equal(git_tree_entry_id(before), &change->id);
    git_tree_entry_free(before);
    if (err) return err;
    if (is_same)
      dk_changes_drop(changes, i);
    else
      i++;
  }
  return dk_caps_check(taking->repo, &taking->changes, error);
}

static int list_changes(struct taking *taking, struct dk_error *error) {
  struct dk_snapshot *ret = taking->ret;
  for (uint32_t i = 0; i < taking->changes.n; i++)
    if (push(&ret->changed, &ret->n_changed, taking->changes.items[i].path)) return no_memory(error);
  return 0;
}

static int refuse(const struct dk_snapshot *snapshot, struct dk_error *error) {
  dk_autobuf names = DK_BUF_INIT;
  for (uint32_t i = 0; i < snapshot->n_changed && i < LISTED; i++)
    dk_buf_printf(&names, "%s%.120s", i ? ", " : "", snapshot->changed[i]);
  if (snapshot->n_changed > LISTED) dk_buf_printf(&names, " and %u more", snapshot->n_changed - LISTED);
  if (!dk_buf_ok(&names)) return no_memory(error);
  return dk_error_set(error, -EBUSY, "files differ from the commit: %s\nhelp: commit them, or run without --clean",
                      names.data);
}

/* HEAD's tree with the changes, written where `view` writes: to memory. */
static int build_tree(struct taking *taking, git_oid *ret, struct dk_error *error) {
  git_index *index = NULL;
  int rc = git_index_new(&index);
  if (rc == 0) rc = git_index_read_tree(index, taking->tree);
  for (uint32_t i = 0; i < taking->changes.n && rc == 0; i++) {
    if (taking->changes.items[i].is_gone) rc = git_index_remove(index, taking->changes.items[i].path, 0);
  }
  for (uint32_t i = 0; i < taking->changes.n && rc == 0; i++) {
    const struct dk_change *change = &taking->changes.items[i];
    git_index_entry entry = {.mode = change->mode, .path = change->path};
    git_oid_cpy(&entry.id, &change->id);
    if (!change->is_gone) rc = git_index_add(index, &entry);
  }
  if (rc == 0) rc = git_index_write_tree_to(ret, index, taking->odb.view);
  git_index_free(index);
  return rc ? dk_git_fail(rc, error, "writing the tree of the snapshot") : 0;
}

/* By hand, because nothing of it may depend on who and when: the same content must give the same id. */
static int write_commit(struct taking *taking, const git_oid *tree, git_oid *ret, struct dk_error *error) {
  dk_autobuf text = DK_BUF_INIT;
  char hex[41];
  long long time = (long long)git_commit_time(taking->head);
  git_oid_tostr(hex, sizeof hex, tree);
  dk_buf_printf(&text, "tree %s\nparent %s\n", hex, taking->repo->head);
  dk_buf_printf(&text, "author dkrun <dkrun@localhost> %lld +0000\n", time);
  dk_buf_printf(&text, "committer dkrun <dkrun@localhost> %lld +0000\n\n", time);
  dk_buf_printf(&text, "Work tree as it was run\n");
  if (!dk_buf_ok(&text)) return no_memory(error);
  int rc = git_odb_write(ret, taking->odb.all, text.data, text.len, GIT_OBJECT_COMMIT);
  return rc ? dk_git_fail(rc, error, "writing the commit of the snapshot") : 0;
}

static int pin(struct taking *taking, struct dk_error *error) {
  git_oid commits[2], tree;
  unsigned n = 1;
  git_oid_cpy(&commits[0], &taking->repo->head_id);
  int err = 0;
  if (taking->changes.n > 0) {
    err = build_tree(taking, &tree, error);
    if (err == 0) err = write_commit(taking, &tree, &commits[n++], error);
  }
  if (err == 0 && taking->own) err = dk_pin_commits(taking->own, &taking->odb, commits, n, error);
  if (err) return err;
  git_oid_tostr(taking->ret->commit, sizeof taking->ret->commit, &commits[0]);
  git_oid_tostr(taking->ret->pinned, sizeof taking->ret->pinned, &commits[n - 1]);
  return dk_code_open(&taking->odb, &commits[n - 1], taking->repo->root, &taking->ret->code, error);
}

static int look(struct taking *taking, struct dk_error *error) {
  struct dk_repo *repo = taking->repo;
  int rc = git_commit_lookup(&taking->head, repo->git, &repo->head_id);
  if (rc == 0) rc = git_commit_tree(&taking->tree, taking->head);
  if (rc) return dk_git_fail(rc, error, "reading the commit %s", repo->head);
  int err = dk_worktree_status(repo, taking->tree, &taking->changes, error);
  return err ? err : choose(taking, error);
}

static int take(struct taking *taking, const struct dk_snapshot_options *options, struct dk_error *error) {
  struct dk_repo *repo = taking->repo;
  int err = options->dry_run ? 0 : dk_pin_open(taking->state, &taking->own, error);
  if (err == 0) err = dk_odb_open(&taking->odb, repo->git, taking->own, error);
  if (err) return err;
  err = look(taking, error);
  /* With --clean, what differs matters more than how large it is. */
  bool is_refused = options->refuse_dirty && has_untracked(&taking->changes);
  if (err == 0 && !is_refused) err = dk_caps_check(taking->repo, &taking->changes, error);
  if (err == 0 && !is_refused) err = read_changes(taking, error);
  if (err == 0) err = list_changes(taking, error);
  if (err == 0 && options->refuse_dirty && taking->ret->n_changed) err = refuse(taking->ret, error);
  return err ? err : pin(taking, error);
}

static void finish(struct taking *taking) {
  dk_changes_finish(&taking->changes);
  git_tree_free(taking->tree);
  git_commit_free(taking->head);
  dk_odb_close(&taking->odb);
  git_repository_free(taking->own);
}

int dk_snapshot_take(struct dk_repo *repo, const char *state, const struct dk_snapshot_options *options,
                     struct dk_snapshot *ret, struct dk_error *error) {
  static const struct dk_snapshot_options defaults;
  memset(ret, 0, sizeof *ret);
  struct taking taking = {.repo = repo, .state = state, .ret = ret};
  int err = take(&taking, options ? options : &defaults, error);
  finish(&taking);
  if (err) dk_snapshot_finish(ret);
  return err;
}

int dk_snapshot_check_caps(struct dk_repo *repo, const char *state, struct dk_error *error) {
  struct dk_snapshot unused = {0};
  struct taking taking = {.repo = repo, .state = state, .ret = &unused};
  int err = look(&taking, error);
  if (err == 0) err = dk_caps_check(repo, &taking.changes, error);
  finish(&taking);
  dk_snapshot_finish(&unused);
  return err;
}

void dk_snapshot_left_out_text(const struct dk_snapshot *snapshot, struct dk_buf *out) {
  if (snapshot->n_left_out == 0) return;
  dk_buf_add_text(out, "left out of the snapshot, because such names hold secrets: ");
  for (uint32_t i = 0; i < snapshot->n_left_out && i < 3; i++) {
    dk_buf_add_text(out, i ? ", " : "");
    dk_buf_add_escaped(out, snapshot->left_out[i], strlen(snapshot->left_out[i]));
  }
  if (snapshot->n_left_out > 3) dk_buf_printf(out, " and %u more", snapshot->n_left_out - 3);
  dk_buf_add_char(out, '\n');
}

void dk_snapshot_finish(struct dk_snapshot *snapshot) {
  dk_code_close(snapshot->code);
  for (uint32_t i = 0; i < snapshot->n_changed; i++) dk_free(snapshot->changed[i]);
  for (uint32_t i = 0; i < snapshot->n_left_out; i++) dk_free(snapshot->left_out[i]);
  dk_free(snapshot->changed);
  dk_free(snapshot->left_out);
  memset(snapshot, 0, sizeof *snapshot);
}
