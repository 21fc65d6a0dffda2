/* Which entries of the pinned tree a task's `code` means: see code.h. */
#include "engine/source/code.h"
#include "engine/source/code_private.h"
#include "lang/base/alloc.h"
#include "lang/base/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define POINTER_HEAD "version https://git-lfs.github.com/spec/v1\n"
#define POINTER_MAX 1024 /* git-lfs's specification: smaller than this */

/* `*` gives one byte more when what follows does not fit; a `**` outweighs an earlier `*`. Linear in pattern times
 * path. */
bool dk_code_glob(const char *pattern, const char *path) {
  const char *start = pattern, *star = NULL, *star_at = NULL, *deep = NULL, *deep_at = NULL;
  for (;;) {
    if (pattern[0] == '*' && pattern[1] == '*') {
      bool is_folder = pattern[2] == '/' && (pattern == start || pattern[-1] == '/'); /* none at all is fine then */
      deep = pattern + (is_folder ? 3 : 2);
      deep_at = path;
      star = NULL;
      pattern = deep;
      continue;
    }
    if (*pattern == '*') {
      star = ++pattern;
      star_at = path;
      continue;
    }
    if (*path == '\0' && *pattern == '\0') return true;
    if (*path != '\0' && (*pattern == *path || (*pattern == '?' && *path != '/'))) {
      pattern++;
      path++;
      continue;
    }
    if (star && *star_at != '\0' && *star_at != '/') {
      path = ++star_at;
      pattern = star;
      continue;
    }
    if (!deep || *deep_at == '\0') return false;
    /* "**" followed by a slash goes on at the start of a part only. */
    do deep_at++;
    while (deep[-1] == '/' && *deep_at != '\0' && deep_at[-1] != '/');
    path = deep_at;
    pattern = deep;
    star = NULL;
  }
}

/* What describes the experiment is no code of a task: editing it must not make tasks run. */
static bool is_never(const char *path) {
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  size_t len = strlen(name);
  return (len >= 3 && strcmp(name + len - 3, ".dk") == 0) || strcmp(name, "dk.lock") == 0;
}

/* A pattern as written, relative to the repository's root: without "./", "//", and a slash at its end. "" is
 * everything. */
static int normalise(const char *dir, const char *pattern, struct dk_buf *ret, bool *ret_is_folder,
                     struct dk_error *error) {
  dk_buf_clear(ret);
  dk_buf_add_text(ret, dir);
  *ret_is_folder = false;
  if (pattern[0] == '\0' || pattern[0] == '/')
    return dk_error_set(error, -EINVAL, "the code pattern `%s` must be a path below the folder of the .dk file",
                        pattern);
  for (const char *at = pattern; *at;) {
    size_t len = strcspn(at, "/");
    bool is_dot = len == 1 && at[0] == '.';
    if (len == 2 && at[0] == '.' && at[1] == '.')
      return dk_error_set(error, -EINVAL,
                          "the code pattern `%s` leaves the folder of the .dk file\nhelp: move the .dk file up, next "
                          "to what it uses",
                          pattern);
    if (len && !is_dot) {
      if (ret->len) dk_buf_add_char(ret, '/');
      dk_buf_add(ret, at, len);
    }
    at += len;
    *ret_is_folder = *at == '/' || is_dot;
    if (*at == '/') at++;
  }
  return dk_buf_ok(ret) ? 0 : dk_error_system(error, -ENOMEM, "matching `%s`", pattern);
}

static uint32_t mark(struct dk_code_repo *code, uint32_t first, uint32_t end, uint8_t *matched, bool *ret_never) {
  uint32_t n = 0;
  for (uint32_t i = first; i < end; i++) {
    if (is_never(code->entries[i].path)) {
      *ret_never = true;
      continue;
    }
    matched[i] = 1;
    n++;
  }
  return n;
}

/* Nothing matched: was it forgotten, ignored, or misspelt? */
static int say_nothing(struct dk_code_repo *code, const char *pattern, const char *full, size_t skip, bool never,
                       struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  struct stat st;
  if (never)
    return dk_error_set(error, -ENOENT,
                        "the code pattern `%s` names only what describes the experiment (*.dk, dk.lock), which is "
                        "never part of a task's code",
                        pattern);
  dk_buf_printf(&path, "%s/%s", code->root, full);
  if (dk_buf_ok(&path) && lstat(path.data, &st) == 0)
    return dk_error_set(
        error, -ENOENT,
        "the code pattern `%s` matches nothing that git knows: it is ignored, left out, or empty\nhelp: "
        "git add -f %s",
        pattern, full);
  const char **names = dk_calloc(code->n, sizeof *names);
  const char *nearest = NULL;
  const char *slash = strrchr(full, '/');
  const char *base = slash ? slash + 1 : full;
  uint32_t n = 0;
  for (uint32_t i = 0; names && i < code->n; i++) {
    const char *at = strrchr(code->entries[i].path, '/');
    if (strncmp(code->entries[i].path, full, skip) != 0 || is_never(code->entries[i].path)) continue;
    names[n++] = code->entries[i].path + skip;
    if (strcmp(at ? at + 1 : code->entries[i].path, base) == 0) nearest = names[n - 1];
  }
  if (!nearest && names) nearest = dk_nearest(full + skip, names, n);
  int err = nearest ? dk_error_set(error, -ENOENT, "the code pattern `%s` matches no file\nhelp: did you mean `%s`?",
                                   pattern, nearest)
                    : dk_error_set(error, -ENOENT, "the code pattern `%s` matches no file that git knows", pattern);
  dk_free(names);
  return err;
}

static int match_one(struct dk_code_repo *code, const char *dir, size_t skip, const char *pattern, uint8_t *matched,
                     struct dk_error *error) {
  dk_autobuf full = DK_BUF_INIT;
  uint32_t first, end, n = 0;
  bool is_folder, never = false;
  int err = normalise(dir, pattern, &full, &is_folder, error);
  if (err) return err;
  const char *path = dk_buf_text(&full);
  if (dk_code_below(code, path, &first, &end)) return dk_error_system(error, -ENOMEM, "matching `%s`", pattern);
  n = mark(code, first, end, matched, &never);
  uint32_t exact = dk_code_lower(code, path);
  if (!is_folder && exact < code->n && strcmp(code->entries[exact].path, path) == 0)
    n += mark(code, exact, exact + 1, matched, &never);
  if (n == 0 && !never && strpbrk(pattern, "*?")) {
    if (is_folder) dk_buf_add_text(&full, "/**");
    if (dk_code_below(code, dir, &first, &end) || !dk_buf_ok(&full))
      return dk_error_system(error, -ENOMEM, "matching `%s`", pattern);
    for (uint32_t i = first; i < end; i++)
      if (dk_code_glob(full.data + skip, code->entries[i].path + skip)) n += mark(code, i, i + 1, matched, &never);
  }
  return n ? 0 : say_nothing(code, pattern, full.data ? full.data : "", skip, never, error);
}

static int look_for_pointer(struct dk_code_repo *code, struct dk_code_entry *entry) {
  git_odb_object *object;
  git_object_t type;
  size_t size;
  int rc = git_odb_read_header(&size, &type, code->odb.all, &entry->id);
  if (rc) return rc;
  entry->pointer = DK_POINTER_NO;
  if (size < sizeof POINTER_HEAD || size >= POINTER_MAX) return 0;
  rc = git_odb_read(&object, code->odb.all, &entry->id);
  if (rc) return rc;
  if (memcmp(git_odb_object_data(object), POINTER_HEAD, strlen(POINTER_HEAD)) == 0) entry->pointer = DK_POINTER_YES;
  git_odb_object_free(object);
  return 0;
}

/* As for kept directories (engine/objects/manifest.c): ".." only in front, and not above the folder that the task
 * sees. */
static bool link_stays(const char *path, const char *target, size_t len) {
  size_t depth = 0;
  bool goes_down = false;
  if (len == 0 || target[0] == '/' || memchr(target, '\0', len)) return false;
  for (const char *at = path; (at = strchr(at, '/')); at++) depth++;
  for (size_t at = 0; at <= len;) {
    size_t n = 0;
    while (at + n < len && target[at + n] != '/') n++;
    if (n == 2 && target[at] == '.' && target[at + 1] == '.') {
      if (goes_down || depth == 0) return false;
      depth--;
    } else if (n > 0 && !(n == 1 && target[at] == '.')) {
      goes_down = true;
    }
    at += n + 1;
  }
  return true;
}

static int check_link(struct dk_code_repo *code, const struct dk_code_entry *entry, size_t skip,
                      struct dk_error *error) {
  git_odb_object *object;
  int rc = git_odb_read(&object, code->odb.all, &entry->id);
  if (rc) return dk_git_fail(rc, error, "reading the link %s of the commit", entry->path);
  bool stays = link_stays(entry->path + skip, git_odb_object_data(object), git_odb_object_size(object));
  int err = stays ? 0
                  : dk_error_set(
                        error, -EINVAL,
                        "the symbolic link %s (to %.*s) leaves the folder that the code is taken from\nhelp: name what "
                        "the task needs in `code`, and data as an input",
                        entry->path, (int)git_odb_object_size(object), (const char *)git_odb_object_data(object));
  git_odb_object_free(object);
  return err;
}

static int check_entry(struct dk_code_repo *code, struct dk_code_entry *entry, size_t skip, struct dk_error *error) {
  if (entry->mode == GIT_FILEMODE_COMMIT)
    return dk_error_set(error, -ENOTSUP,
                        "%s is a git submodule, whose files are not in this repository's commits\nhelp: name the code "
                        "that the task needs without it, or copy its files in",
                        entry->path);
  if (entry->mode == GIT_FILEMODE_LINK) return check_link(code, entry, skip, error);
  int rc = entry->pointer == DK_POINTER_UNKNOWN ? look_for_pointer(code, entry) : 0;
  if (rc) return dk_git_fail(rc, error, "reading %s of the commit", entry->path);
  if (entry->pointer == DK_POINTER_NO) return 0;
  return dk_error_set(error, -ENOTSUP,
                      "%s is kept with git LFS: the commit has only a pointer to its content\nhelp: leave it out of "
                      "`code` and name it as an input",
                      entry->path);
}

int dk_code_match(struct dk_code_repo *code, const char *dir, const char *const *patterns, uint32_t n, uint8_t **ret,
                  size_t *ret_skip, struct dk_error *error) {
  *ret = NULL;
  *ret_skip = dir[0] ? strlen(dir) + 1 : 0;
  uint8_t *matched = dk_calloc(code->n, 1);
  if (!matched) return dk_error_system(error, -ENOMEM, "matching code");
  int err = 0;
  for (uint32_t i = 0; i < n && err == 0; i++) err = match_one(code, dir, *ret_skip, patterns[i], matched, error);
  for (uint32_t i = 0; i < code->n && err == 0; i++)
    if (matched[i]) err = check_entry(code, &code->entries[i], *ret_skip, error);
  if (err) {
    dk_free(matched);
    return err;
  }
  *ret = matched;
  return 0;
}
