/* Untracked files that are too much: see caps.h. */
#include "engine/source/caps.h"
#include "lang/base/alloc.h"
#include "lang/base/buf.h"
#include "lang/base/number.h"
#include "lang/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LISTED 5     /* files named in a message */
#define WORD_MAX 200 /* characters of a name in a command to type */

struct untracked {
  const struct dk_change **items; /* largest first */
  uint32_t n, n_over;             /* n_over: too large by themselves */
  uint64_t total;
};

static int no_memory(struct dk_error *error) {
  return dk_error_system(error, -ENOMEM, "taking a snapshot");
}

static int larger_first(const void *a, const void *b) {
  const struct dk_change *x = *(const struct dk_change *const *)a, *y = *(const struct dk_change *const *)b;
  return x->size > y->size ? -1 : x->size < y->size ? 1 : strcmp(x->path, y->path);
}

/* How many of the largest have to go. */
static uint32_t count_to_go(const struct untracked *all) {
  uint64_t left = all->total;
  uint32_t n = 0;
  if (all->n_over) return all->n_over;
  while (n < all->n && left > DK_CAPS_TOTAL) left -= all->items[n++]->size;
  return n;
}

/* The length of the folder that all of them lie in, with its slash; 0: none but the work tree itself. */
static size_t common_folder(const struct dk_change **items, uint32_t n) {
  const char *path = items[0]->path, *slash = strrchr(path, '/');
  size_t len = slash ? (size_t)(slash - path) + 1 : 0;
  for (uint32_t i = 1; i < n; i++) {
    while (len > 0 && strncmp(items[i]->path, path, len) != 0)
      for (len--; len > 0 && path[len - 1] != '/'; len--) continue;
  }
  return len;
}

static bool has_tracked(struct dk_repo *repo, const char *folder) {
  git_index *index = NULL;
  bool is_free =
      git_repository_index(&index, repo->git) == 0 && git_index_find_prefix(NULL, index, folder) == GIT_ENOTFOUND;
  git_index_free(index);
  return !is_free;
}

/* What is told to git to ignore: the folder of all that has to go, where nothing else of the repository is in it, else
 * the largest file. */
static void add_pattern(struct dk_repo *repo, const struct untracked *all, uint32_t n_to_go, struct dk_buf *out,
                        bool *ret_is_all) {
  size_t len = n_to_go > 1 ? common_folder(all->items, n_to_go) : 0;
  dk_autobuf folder = DK_BUF_INIT;
  dk_buf_add(&folder, all->items[0]->path, len);
  bool is_folder = len > 0 && dk_buf_ok(&folder) && !has_tracked(repo, dk_buf_text(&folder));
  *ret_is_all = is_folder || n_to_go == 1;
  dk_buf_printf(out, "/%s", is_folder ? dk_buf_text(&folder) : all->items[0]->path);
}

static void add_help(struct dk_repo *repo, const struct untracked *all, struct dk_buf *out) {
  uint32_t n = count_to_go(all);
  const char *them = n == 1 ? "it" : "them";
  bool is_all;
  dk_autobuf pattern = DK_BUF_INIT, word = DK_BUF_INIT;
  add_pattern(repo, all, n, &pattern, &is_all);
  dk_buf_add_shell_word(&word, dk_buf_text(&pattern), pattern.len);
  dk_buf_printf(out, "help: leave %s out by .gitignore", them);
  if (word.len < WORD_MAX) {
    dk_buf_printf(out, " (echo %s >> .gitignore", dk_buf_text(&word));
    if (!is_all) dk_buf_printf(out, ", and so for %u more", n - 1);
    dk_buf_add_char(out, ')');
  }
  dk_buf_printf(out, ", or commit %s; what git ignores can be an input all the same", them);
  dk_buf_inherit(out, &pattern);
  dk_buf_inherit(out, &word);
}

/* Those that are too large by themselves are named; where only the sum is, the largest. */
static int say(struct dk_repo *repo, struct untracked *all, struct dk_error *error) {
  dk_autobuf text = DK_BUF_INIT;
  char size[DK_NUMBER_TEXT];
  qsort(all->items, all->n, sizeof *all->items, larger_first);
  uint32_t n_named = all->n_over ? all->n_over : all->n;
  dk_number_size_text(all->total, size);
  if (all->n_over == 1)
    dk_buf_add_text(&text, "untracked and too large to be kept with the run (1 MiB a file): ");
  else if (all->n_over)
    dk_buf_printf(&text, "%u untracked files are too large to be kept with the run (1 MiB a file): ", all->n_over);
  else
    dk_buf_printf(
        &text, "%u untracked files of %s are too much to be kept with the run (20 MiB); the largest: ", all->n, size);
  for (uint32_t i = 0; i < n_named && i < LISTED; i++) {
    dk_number_size_text(all->items[i]->size, size);
    dk_buf_printf(&text, "%s%.120s (%s)", i ? ", " : "", all->items[i]->path, size);
  }
  if (n_named > LISTED) dk_buf_printf(&text, " and %u more", n_named - LISTED);
  dk_buf_add_char(&text, '\n');
  add_help(repo, all, &text);
  return dk_buf_ok(&text) ? dk_error_set(error, -EFBIG, "%s", dk_buf_text(&text)) : no_memory(error);
}

int dk_caps_check(struct dk_repo *repo, const struct dk_changes *changes, struct dk_error *error) {
  dk_autofree const struct dk_change **items = dk_calloc(changes->n, sizeof *items);
  struct untracked all = {.items = items};
  if (!items) return no_memory(error);
  for (uint32_t i = 0; i < changes->n; i++) {
    const struct dk_change *change = &changes->items[i];
    if (!change->is_untracked || change->is_gone) continue;
    items[all.n++] = change;
    all.total += change->size;
    all.n_over += change->size > DK_CAPS_FILE;
  }
  return all.n_over || all.total > DK_CAPS_TOTAL ? say(repo, &all, error) : 0;
}
