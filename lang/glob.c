/* glob("*.csv"): names of files below the directory of the .dk file. `*`, `?`, `[a-z]` stay within a name, `**` is any
 * number of directories. Names that begin with a dot are only found when the pattern's part does. Symbolic links to
 * directories are not followed, so it ends; so it does not leave the repository. */
#include "lang/files.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_VISITED 1000000u
#define MAX_DEPTH 64

struct names {
  const char **items;
  uint32_t n, cap;
};

struct walk {
  struct dk_files *files;
  struct dk_span at;
  const char *base; /* absolute directory that paths are relative to */
  char **parts;
  uint32_t n_parts;
  struct names found;
};

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What was found is remembered, so that it can be told later whether it would be found again. */
static void remember(struct dk_files *files, const char *dir, const struct names *names) {
  struct dk_listing listing = {.path = dk_files_below(files, dir)};
  if (names) dk_names_digest(names->items, names->n, &listing.digest);
  dk_arena_push(files->arena, files->listings, files->n_listings, files->cap_listings) = listing;
}

static bool list(struct walk *walk, const char *dir, struct names *ret) {
  struct dk_files *files = walk->files;
  files->dir = opendir(dir);
  if (!files->dir) {
    remember(files, dir, NULL);
    return true; /* no such directory, or not ours to read: nothing matches there */
  }
  for (struct dirent *entry; (entry = readdir(files->dir));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (++files->visited > MAX_VISITED) {
      struct dk_diag *diag =
          dk_diag_add(files->diags, DK_E0702, walk->at, "glob looked at more than %u files", MAX_VISITED);
      dk_diag_help(files->diags, diag, "name a directory to begin with, or an input that is a directory");
      dk_files_finish(files);
      return false;
    }
    dk_arena_push(files->arena, ret->items, ret->n, ret->cap) =
        dk_arena_strndup(files->arena, entry->d_name, strlen(entry->d_name));
  }
  dk_files_finish(files);
  if (ret->n) qsort(ret->items, ret->n, sizeof *ret->items, by_bytes);
  remember(files, dir, ret);
  return true;
}

static bool is_plain(const char *pattern) {
  return !strpbrk(pattern, "*?[\\");
}

static bool walk_dir(struct walk *walk, const char *relative, uint32_t part, unsigned depth);

/* A folder by its name: what else is where it lies does not matter. */
static bool walk_plain(struct walk *walk, const char *relative, uint32_t part, unsigned depth) {
  struct dk_arena *arena = walk->files->arena;
  const char *name = walk->parts[part];
  const char *path = *relative ? dk_arena_printf(arena, "%s/%s", relative, name) : name;
  const char *full = dk_arena_printf(arena, "%s/%s", walk->base, path);
  struct stat st;
  if (lstat(full, &st) == 0) return !S_ISDIR(st.st_mode) || walk_dir(walk, path, part + 1, depth + 1);
  remember(walk->files, full, NULL);
  return true;
}

/* Matches parts[part ..] below `relative` ("" is the base). */
static bool walk_dir(struct walk *walk, const char *relative, uint32_t part, unsigned depth) {
  struct dk_arena *arena = walk->files->arena;
  const char *pattern = walk->parts[part];
  bool any = strcmp(pattern, "**") == 0, is_last = part + 1 == walk->n_parts;
  struct names names = {NULL, 0, 0};
  if (depth > MAX_DEPTH) return true;
  if (any && !is_last && !walk_dir(walk, relative, part + 1, depth)) return false;
  if (!is_last && is_plain(pattern)) return walk_plain(walk, relative, part, depth);
  if (!list(walk, *relative ? dk_arena_printf(arena, "%s/%s", walk->base, relative) : walk->base, &names)) return false;
  for (uint32_t i = 0; i < names.n; i++) {
    if (any ? names.items[i][0] == '.' : fnmatch(pattern, names.items[i], FNM_PERIOD) != 0) continue;
    const char *path = *relative ? dk_arena_printf(arena, "%s/%s", relative, names.items[i]) : names.items[i];
    struct stat st;
    const char *full = dk_arena_printf(arena, "%s/%s", walk->base, path);
    if (lstat(full, &st) < 0) continue;
    if (S_ISDIR(st.st_mode)) {
      if ((any || !is_last) && !walk_dir(walk, path, any ? part : part + 1, depth + 1)) return false;
    } else if (is_last &&
               (S_ISREG(st.st_mode) || (S_ISLNK(st.st_mode) && stat(full, &st) == 0 && S_ISREG(st.st_mode)))) {
      dk_arena_push(arena, walk->found.items, walk->found.n, walk->found.cap) = path;
    }
  }
  return true;
}

static bool bad_pattern(struct dk_files *files, struct dk_span at, const char *pattern, const char *why) {
  dk_diag_add(files->diags, DK_E0704, at, "the pattern `%s` %s", pattern, why);
  return false;
}

bool dk_files_glob(void *ctx, const struct dk_source *from, const struct dk_str *pattern, struct dk_span at,
                   const char ***ret_paths, uint32_t *ret_n) {
  struct dk_files *files = ctx;
  struct walk walk = {.files = files, .at = at, .base = files->items[0]->dir};
  for (uint32_t i = 0; i < files->count; i++)
    if (files->items[i]->source == from && files->items[i]->real) walk.base = files->items[i]->dir;
  if (pattern->len == 0 || pattern->text[0] == '/' || memchr(pattern->text, '\0', pattern->len))
    return bad_pattern(files, at, pattern->text, "does not start in the directory of the .dk file");
  char *copy = dk_arena_strndup(files->arena, pattern->text, pattern->len), *rest = NULL;
  walk.parts = dk_arena_array(files->arena, char *, pattern->len + 1);
  for (char *part = strtok_r(copy, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
    if (strcmp(part, ".") == 0) continue;
    if (strcmp(part, "..") == 0)
      return bad_pattern(files, at, pattern->text, "leads out of the directory of the .dk file");
    walk.parts[walk.n_parts++] = part;
  }
  if (walk.n_parts && !walk_dir(&walk, "", 0, 0)) return false;
  if (walk.found.n) qsort(walk.found.items, walk.found.n, sizeof *walk.found.items, by_bytes);
  uint32_t n = 0; /* `**` twice finds a file twice */
  for (uint32_t i = 0; i < walk.found.n; i++)
    if (!n || strcmp(walk.found.items[n - 1], walk.found.items[i]) != 0) walk.found.items[n++] = walk.found.items[i];
  *ret_paths = walk.found.items;
  *ret_n = n;
  return true;
}
