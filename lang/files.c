/* Reading files inside the repository: see files.h. Names of many files are in glob.c. */
#include "lang/files.h"

#include "stdlib/stdlib.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA_MAX (256u << 20)

void dk_files_init(struct dk_files *files, struct dk_arena *arena, struct dk_strs *strs, struct dk_diags *diags) {
  *files = (struct dk_files){.arena = arena, .strs = strs, .diags = diags};
  dk_map_init(&files->asked, arena);
}

void dk_files_finish(struct dk_files *files) {
  if (files->dir) closedir(files->dir);
  files->dir = NULL;
  dk_buf_finish(&files->bytes);
}

static const char *dir_of(struct dk_arena *arena, const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return ".";
  return slash == path ? "/" : dk_arena_strndup(arena, path, (size_t)(slash - path));
}

static bool is_inside(const char *root, const char *path) {
  size_t len = strlen(root);
  if (len == 1) return true; /* "/" */
  return strncmp(root, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static const char *below(const char *root, const char *path) {
  size_t len = strlen(root);
  if (!is_inside(root, path)) return path;
  return path[len] == '/' ? path + len + 1 : len == 1 ? path + 1 : path + len;
}

const char *dk_files_below(const struct dk_files *files, const char *path) {
  return below(files->root, path);
}

static bool cannot_read(struct dk_files *files, struct dk_span at, const char *path, const char *why) {
  dk_diag_add(files->diags, DK_E0701, at, "cannot read `%s`: %s", path, why);
  return false;
}

static void leaves(struct dk_files *files, struct dk_span at, const char *path, const char *help) {
  struct dk_diag *diag = dk_diag_add(files->diags, DK_E0704, at, "`%s` lies outside of the repository", path);
  dk_diag_note(files->diags, diag, "paths start at the directory of the .dk file and may not leave %s", files->root);
  dk_diag_help(files->diags, diag, "%s", help);
}

/* Reads at most `len` bytes into `text` (room for one more); the count, or -errno. Holds nothing when it returns. */
static ssize_t read_bytes(const char *path, char *text, size_t len) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  size_t at = 0;
  if (fd < 0) return -errno;
  while (at <= len) {
    ssize_t n = read(fd, text + at, len + 1 - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      ssize_t rc = -errno;
      close(fd);
      return rc;
    }
    if (n == 0) break;
    at += (size_t)n;
  }
  close(fd);
  return (ssize_t)at;
}

static bool is_too_large(struct dk_files *files, uint64_t size, const char *shown, size_t max, struct dk_span at) {
  if (size <= max) return false;
  struct dk_diag *diag = dk_diag_add(files->diags, DK_E0702, at, "`%s` has %llu bytes; at most %zu are read", shown,
                                     (unsigned long long)size, max);
  if (max == DK_SOURCE_MAX)
    dk_diag_help(files->diags, diag,
                 "an experiment is a text of a few pages; put data into a CSV or JSON file and `load` it");
  return true;
}

/* What the file was when it was pinned. *ret_ok: it can be used. */
static bool read_pinned(struct dk_files *files, const char *real, const char *shown, size_t max, struct dk_span at,
                        struct dk_file *ret, bool *ret_ok) {
  dk_buf_clear(&files->bytes);
  if (!files->pinned || !files->pinned(files->pinned_ctx, below(files->root, real), &files->bytes)) return false;
  *ret_ok = !is_too_large(files, files->bytes.len, shown, max, at);
  char *text = dk_arena_alloc(files->arena, files->bytes.len + 2);
  memcpy(text, dk_buf_text(&files->bytes), files->bytes.len);
  ret->text = text;
  ret->len = files->bytes.len;
  return true;
}

/* As ssh(1) sees to its configuration. */
static bool is_open_to_others(struct dk_files *files, const struct stat *st, const char *shown, struct dk_span at) {
  bool is_foreign = st->st_uid != 0 && st->st_uid != geteuid();
  if (!is_foreign && !(st->st_mode & (S_IWGRP | S_IWOTH))) return false;
  struct dk_diag *diag =
      dk_diag_add(files->diags, DK_E0707, at,
                  is_foreign ? "`%s` belongs to somebody else" : "`%s` can be written to by others", shown);
  dk_diag_note(files->diags, diag, "it decides to whom dkrun connects and how");
  if (is_foreign)
    dk_diag_help(files->diags, diag, "make a copy that is yours");
  else
    dk_diag_help(files->diags, diag, "chmod go-w %s", shown);
  return true;
}

/* The file's bytes; `shown` names it in messages. The size is judged before anything is read. */
static bool read_file(struct dk_files *files, const char *real, const char *shown, size_t max, struct dk_span at,
                      struct dk_file *ret) {
  struct stat st;
  bool is_ok;
  if (read_pinned(files, real, shown, max, at, ret, &is_ok)) return is_ok;
  if (stat(real, &st) < 0) return cannot_read(files, at, shown, strerror(errno));
  if (S_ISDIR(st.st_mode)) return cannot_read(files, at, shown, "it is a directory");
  if (!S_ISREG(st.st_mode)) return cannot_read(files, at, shown, "it is no regular file");
  if (files->is_private && is_open_to_others(files, &st, shown, at)) return false;
  if (is_too_large(files, (uint64_t)st.st_size, shown, max, at)) return false;
  size_t size = (size_t)st.st_size;
  char *text = dk_arena_alloc(files->arena, size + 2);
  ssize_t n = read_bytes(real, text, size);
  if (n < 0) return cannot_read(files, at, shown, strerror((int)-n));
  if ((size_t)n > size) return cannot_read(files, at, shown, "it grew while it was read; try again");
  ret->text = text;
  ret->len = (size_t)n;
  return true;
}

static struct dk_file *find_real(const struct dk_files *files, const char *real) {
  for (uint32_t i = 0; i < files->count; i++)
    if (files->items[i]->real && strcmp(files->items[i]->real, real) == 0) return files->items[i];
  return NULL;
}

static struct dk_file *find_source(const struct dk_files *files, const struct dk_source *source) {
  for (uint32_t i = 0; i < files->count; i++)
    if (files->items[i]->source == source && source) return files->items[i];
  return files->count ? files->items[0] : NULL; /* a parameter's text counts as the experiment's */
}

static struct dk_file *add_file(struct dk_files *files, struct dk_file file) {
  struct dk_file *copy = dk_arena_memdup(files->arena, &file, sizeof file);
  dk_arena_push(files->arena, files->items, files->count, files->cap) = copy;
  return copy;
}

const struct dk_source *dk_files_root(struct dk_files *files, const char *path, const char *name, const char *root) {
  char real[PATH_MAX], real_root[PATH_MAX];
  if (!realpath(path, real)) {
    struct dk_diag *diag =
        dk_diag_add(files->diags, DK_E0701, DK_NO_SPAN, "cannot read `%s`: %s", path, strerror(errno));
    if (errno == ENOENT)
      dk_diag_help(files->diags, diag, "name the file with the experiment, as in `dkrun run train.dk`");
    return NULL;
  }
  struct dk_file file = {.real = dk_arena_strndup(files->arena, real, strlen(real))};
  file.dir = dir_of(files->arena, file.real);
  files->root = file.dir;
  if (root && realpath(root, real_root) && is_inside(real_root, real))
    files->root = dk_arena_strndup(files->arena, real_root, strlen(real_root));
  file.name = below(files->root, file.real);
  if (!read_file(files, file.real, path, DK_SOURCE_MAX, DK_NO_SPAN, &file)) return NULL;
  file.source = dk_sources_add(files->diags->sources, name ? name : path, file.text, file.len);
  return add_file(files, file)->source;
}

static const struct dk_source *std_module(struct dk_files *files, const char *name, struct dk_span at) {
  const struct dk_stdlib_file *module = dk_stdlib_find(name);
  if (module) {
    for (uint32_t i = 0; i < files->count; i++)
      if (!files->items[i]->real && strcmp(files->items[i]->name, name) == 0) return files->items[i]->source;
    struct dk_file file = {.dir = files->root, .name = module->name};
    file.source = dk_sources_add(files->diags->sources, module->path, module->text, module->len);
    return add_file(files, file)->source;
  }
  uint32_t n;
  const struct dk_stdlib_file *all = dk_stdlib_files(&n);
  const char **names = dk_arena_array(files->arena, const char *, n + 1);
  const char *list = "";
  for (uint32_t i = 0; i < n; i++) {
    names[i] = all[i].name;
    list = dk_arena_printf(files->arena, "%s%s%s", list, i ? ", " : "", names[i]);
  }
  struct dk_diag *diag = dk_diag_add(files->diags, DK_E0705, at, "no module `%s` in the standard library", name);
  const char *near = dk_nearest(name, names, n);
  if (near) dk_diag_help(files->diags, diag, "did you mean `%s`?", near);
  dk_diag_note(files->diags, diag, "there are %s; a file of the repository is imported by its path in quotes", list);
  return NULL;
}

/* Do the path's `..` lead out of the root by themselves? Then nothing is asked of the file system, not even whether it
 * is there. */
static bool climbs(const struct dk_files *files, const struct dk_file *from, const char *path) {
  const char *dir = below(files->root, from->dir);
  long depth = *dir && is_inside(files->root, from->dir);
  for (const char *c = dir; depth && *c; c++) depth += *c == '/';
  for (const char *part = path; *part;) {
    size_t len = strcspn(part, "/");
    if (len == 2 && memcmp(part, "..", 2) == 0)
      depth--;
    else if (len > 0 && !(len == 1 && *part == '.'))
      depth++;
    if (depth < 0) return true;
    part += len + (part[len] == '/');
  }
  return false;
}

/* A path written in `from` as a canonical one inside the root; false after a diagnostic. */
static bool locate(struct dk_files *files, const struct dk_file *from, const char *path, struct dk_span at,
                   const char *help, char real[PATH_MAX]) {
  if (path[0] == '/' || climbs(files, from, path)) {
    leaves(files, at, path, help);
    return false;
  }
  const char *joined = dk_arena_printf(files->arena, "%s/%s", from->dir, path);
  if (!realpath(joined, real)) {
    struct dk_diag *diag = dk_diag_add(files->diags, DK_E0701, at, "cannot read `%s`: %s", path, strerror(errno));
    const char *place = below(files->root, joined);
    if (strcmp(place, path) != 0) dk_diag_note(files->diags, diag, "looked for as %s", place);
    return false;
  }
  if (is_inside(files->root, real)) return true;
  leaves(files, at, path, help);
  return false;
}

/* "exp/a.dk" and "../lib/b.dk" -> "lib/b.dk", for messages. */
static const char *shown_path(struct dk_files *files, const char *from, const char *path) {
  const char *dir = dir_of(files->arena, from);
  while (strncmp(path, "./", 2) == 0) path += 2;
  while (strncmp(path, "../", 3) == 0 && strcmp(dir, ".") != 0 && strcmp(dir, "/") != 0 && strcmp(dir, "..") != 0) {
    const char *last = strrchr(dir, '/');
    if (strcmp(last ? last + 1 : dir, "..") == 0) break;
    dir = dir_of(files->arena, dir);
    path += 3;
  }
  return strcmp(dir, ".") == 0 ? path : dk_arena_printf(files->arena, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, path);
}

const struct dk_source *dk_files_module(void *ctx, const struct dk_decl *import, struct dk_span at) {
  static const char help[] = "copy the file into the repository";
  struct dk_files *files = ctx;
  char real[PATH_MAX];
  if (import->path_is_std) return std_module(files, import->path->text, at);
  const struct dk_file *from = find_source(files, import->module->source);
  if (import->module->is_std || memchr(import->path->text, '\0', import->path->len)) {
    cannot_read(files, at, import->path->text, "there is no such file");
    return NULL;
  }
  if (!locate(files, from, import->path->text, at, help, real)) return NULL;
  struct dk_file *known = find_real(files, real);
  if (known && known->source) return known->source;
  struct dk_file file = {.real = dk_arena_strndup(files->arena, real, strlen(real))};
  file.dir = dir_of(files->arena, file.real);
  file.name = below(files->root, file.real);
  if (!read_file(files, file.real, import->path->text, DK_SOURCE_MAX, at, &file)) return NULL;
  const char *shown = shown_path(files, from->source->path, import->path->text);
  file.source = dk_sources_add(files->diags->sources, shown, file.text, file.len);
  return add_file(files, file)->source;
}

bool dk_files_read(void *ctx, const struct dk_source *from, const struct dk_str *path, struct dk_span at,
                   const char **ret_text, size_t *ret_len) {
  static const char help[] = "copy the file into the repository; large data is an input, not loaded";
  struct dk_files *files = ctx;
  char real[PATH_MAX];
  if (memchr(path->text, '\0', path->len)) return cannot_read(files, at, path->text, "its name has a NUL byte");
  if (!locate(files, find_source(files, from), path->text, at, help, real)) return false;
  struct dk_file *file = find_real(files, real);
  if (!file) {
    struct dk_file data = {.real = dk_arena_strndup(files->arena, real, strlen(real))};
    data.dir = dir_of(files->arena, data.real);
    data.name = below(files->root, data.real);
    if (!read_file(files, data.real, path->text, DATA_MAX, at, &data)) return false;
    file = add_file(files, data);
  }
  *ret_text = file->text;
  *ret_len = file->len;
  return true;
}

const struct dk_str *dk_files_resolve(void *ctx, const struct dk_source *from, const struct dk_str *path,
                                      struct dk_span at) {
  static const char help[] = "data that lies elsewhere on the machine is an input by `mount(path, version = ...)`";
  struct dk_files *files = ctx;
  const struct dk_file *file = find_source(files, from);
  const char *dir = below(files->root, file->dir), *rest = path->text;
  char *out = dk_arena_alloc(files->arena, strlen(dir) + path->len + 2);
  size_t len = strlen(dir);
  memcpy(out, dir, len); /* NOLINT(bugprone-not-null-terminated-result): its length goes with it */
  if (path->text[0] == '/' || memchr(path->text, '\0', path->len)) {
    leaves(files, at, path->text, help);
    return NULL;
  }
  while (*rest) {
    size_t n = strcspn(rest, "/");
    if (n == 2 && memcmp(rest, "..", 2) == 0) {
      if (len == 0) {
        leaves(files, at, path->text, help);
        return NULL;
      }
      while (len && out[len - 1] != '/') len--;
      if (len) len--;
    } else if (n && !(n == 1 && *rest == '.')) {
      if (len) out[len++] = '/';
      memcpy(out + len, rest, n);
      len += n;
    }
    rest += n;
    rest += *rest == '/';
  }
  return dk_intern(files->strs, len ? out : ".", len ? len : 1);
}
