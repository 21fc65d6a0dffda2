/* Inputs that are not there: file("data/iris.csv") is looked for when it is planned, not when it runs. Only the name is
 * asked for; nothing is opened but the directory that should have it, for a name that is alike. */
#include "lang/files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_NAMES 10000 /* of a directory, for the search of a name that is alike */

static bool id_equal(const void *ctx, uint32_t item, const void *key) {
  (void)ctx;
  return item == ((const struct dk_str *)key)->id;
}

static bool is_asked(struct dk_files *files, const struct dk_str *path) {
  uint64_t hash = dk_hash_u64(path->id, 0);
  if (dk_map_find(&files->asked, hash, id_equal, NULL, path) != DK_MAP_NONE) return true;
  (void)dk_map_add(&files->asked, hash, path->id); /* an arena's map jumps instead of failing */
  return false;
}

static const char *below_root(struct dk_files *files, const char *path) {
  return *path ? dk_arena_printf(files->arena, "%s/%s", files->root, path) : files->root;
}

/* The name in `dir` ("" is the root) that is nearest to the wrong one, or NULL. */
static const char *nearest(struct dk_files *files, const char *dir, const char *name) {
  const char **names = NULL;
  uint32_t n = 0, cap = 0;
  files->dir = opendir(below_root(files, dir));
  if (!files->dir) return NULL;
  for (struct dirent *entry; n < MAX_NAMES && (entry = readdir(files->dir));)
    if (entry->d_name[0] != '.' || name[0] == '.')
      dk_arena_push(files->arena, names, n, cap) = dk_arena_strndup(files->arena, entry->d_name, strlen(entry->d_name));
  dk_files_finish(files);
  return n ? dk_nearest(name, names, n) : NULL;
}

/* The path with its first wrong part put right, or NULL. */
static const char *suggestion(struct dk_files *files, const char *path) {
  for (size_t start = 0;;) {
    size_t end = start + strcspn(path + start, "/");
    const char *so_far = dk_arena_strndup(files->arena, path, end);
    struct stat st;
    if (stat(below_root(files, so_far), &st) < 0) {
      const char *dir = start ? dk_arena_strndup(files->arena, path, start - 1) : "";
      const char *near = nearest(files, dir, so_far + start);
      return near ? dk_arena_printf(files->arena, "%.*s%s%s", (int)start, path, near, path + end) : NULL;
    }
    if (!path[end]) return NULL;
    start = end + 1;
  }
}

struct dk_diag *dk_files_missing(void *ctx, const struct dk_str *path, struct dk_span at) {
  struct dk_files *files = ctx;
  struct stat st;
  if (is_asked(files, path) || stat(below_root(files, path->text), &st) == 0) return NULL;
  if (errno != ENOENT && errno != ENOTDIR)
    return dk_diag_add(files->diags, DK_E0701, at, "cannot read `%s`: %s", path->text, strerror(errno));
  struct dk_diag *diag =
      dk_diag_add(files->diags, DK_E0706, at, "there is no file or directory `%s` in the repository", path->text);
  const char *near = suggestion(files, path->text);
  if (near)
    dk_diag_help(files->diags, diag, "did you mean `%s`?", near);
  else
    dk_diag_help(files->diags, diag, "put it there; what a task makes is named as its output, as in `prepare.data`");
  return diag;
}
