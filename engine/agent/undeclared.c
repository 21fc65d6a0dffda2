/* See undeclared.h. Each word of a line is tried as a path, from the last line to the first: what a program says last
 * is what ended it. */
#include "engine/agent/undeclared.h"
#include "lang/base/alloc.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1000u

/* "/a/./b/../c" is "/a/c". Only by its names: a link on the way is not what people mean by "..". */
static void normalize(char *path) {
  char *out = path;
  for (const char *at = path; *at;) {
    size_t len = strcspn(at, "/");
    const char *next = at + len + (at[len] == '/');
    if (len == 2 && at[0] == '.' && at[1] == '.') {
      while (out > path && *--out != '/') continue;
    } else if (len > 0 && !(len == 1 && *at == '.')) {
      *out++ = '/';
      memmove(out, at, len);
      out += len;
    }
    at = next;
  }
  if (out == path) *out++ = '/';
  *out = '\0';
}

static char *join(const char *dir, const char *path) {
  dk_autobuf out = DK_BUF_INIT;
  if (*path != '/') dk_buf_printf(&out, "%s/", dir);
  dk_buf_add_text(&out, path);
  char *joined = dk_buf_steal(&out);
  if (joined) normalize(joined);
  return joined;
}

/* As a path in the file has to say it: from the file's directory. */
static void add_relative(const struct dk_undeclared *where, const char *path, struct dk_buf *out) {
  size_t len = strlen(where->folder);
  if (strncmp(path, where->folder, len) == 0 && path[len] == '/') {
    dk_buf_add_text(out, path + len + 1);
    return;
  }
  /* Both lie in the repository: up to what they share, then down. */
  size_t share = strlen(where->rules->repository);
  for (size_t i = share; path[i] && path[i] == where->folder[i]; i++) {
    if (path[i] == '/') share = i;
  }
  for (const char *up = where->folder + share; (up = strchr(up, '/')); up++) dk_buf_add_text(out, "../");
  dk_buf_add_text(out, path + share + 1);
}

static bool has_ending(const char *path, const char *const *endings) {
  const char *dot = strrchr(path, '.');
  for (; dot && *endings; endings++) {
    if (strcmp(dot, *endings) == 0) return true;
  }
  return false;
}

static void add_help(const char *path, mode_t mode, struct dk_buf *out) {
  static const char *const code[] = {".py", ".sh", ".R", ".r", ".jl", ".pl", ".rb", ".lua", ".m", ".js", ".awk", NULL};
  if (S_ISDIR(mode))
    dk_buf_printf(out, "\nhelp: declare it: `code = [\"%s/\"]`, or its files: `inputs { x = file(glob(\"%s/*\")) }`",
                  path, path);
  else if (has_ending(path, code) && strncmp(path, "../", 3) != 0)
    dk_buf_printf(out, "\nhelp: declare it: `code = [\"%s\"]`", path);
  else
    dk_buf_printf(out, "\nhelp: declare it: `inputs { x = file(\"%s\") }`, and write {{inputs.x}} for it in `run`",
                  path);
}

/* Is there a copy for the task, at the same place as in the repository? */
static bool is_given(const struct dk_undeclared *where, const char *path) {
  size_t len = strlen(where->folder);
  if (strncmp(path, where->folder, len) != 0 || path[len] != '/') return false;
  dk_autofree char *copy = join(where->work, path + len + 1);
  return copy && access(copy, F_OK) == 0;
}

static bool explain(const struct dk_undeclared *where, const char *path, const struct stat *st, bool is_denied,
                    struct dk_buf *ret) {
  dk_autobuf name = DK_BUF_INIT;
  add_relative(where, path, &name);
  if (!dk_buf_ok(&name) || name.len == 0) return false;
  if (is_denied && is_given(where, path)) {
    dk_buf_printf(ret,
                  "it asked for `%s` in the repository, and not for the copy of it that it was given\n"
                  "help: use its path from the directory where the task starts (`$DK_DIR`), and there for search paths "
                  "too, as in PYTHONPATH=.",
                  name.data);
    return true;
  }
  dk_buf_printf(ret, "`%s` is in the repository, but the task does not declare it", name.data);
  add_help(name.data, st->st_mode, ret);
  return true;
}

static bool try_word(const struct dk_undeclared *where, const char *word, bool is_denied, struct dk_buf *ret) {
  if (strcmp(word, "/") == 0 || strcmp(word, ".") == 0) return false;
  struct stat st;
  bool is_plain = *word != '/' && !strstr(word, "..");
  dk_autofree char *path = join(where->work, word);
  if (!path) return false;
  if (is_denied && dk_sandbox_is_closed(where->sandbox, where->rules, path) && stat(path, &st) == 0 &&
      S_ISREG(st.st_mode))
    return explain(where, path, &st, true, ret);
  /* A name that is in the file's directory, and not in the task's. */
  if (is_denied || !is_plain || access(path, F_OK) == 0) return false;
  dk_autofree char *there = join(where->folder, word);
  return there && stat(there, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
         explain(where, there, &st, false, ret);
}

/* Words between `ends`; trailing dots and colons are the sentence's. */
static bool try_words(const struct dk_undeclared *where, char *line, const char *ends, bool is_denied,
                      struct dk_buf *ret) {
  for (char *at = line + strspn(line, ends); *at; at += strspn(at, ends)) {
    size_t len = strcspn(at, ends);
    char *next = at + len, end = *next;
    size_t cut = len;
    while (cut > 0 && strchr(":.,;", at[cut - 1])) cut--;
    char last = at[cut];
    at[cut] = '\0';
    bool is_found = cut > 0 && try_word(where, at, is_denied, ret);
    at[cut] = last;
    if (is_found) return true;
    *next = end;
    at = next;
  }
  return false;
}

static bool try_line(const struct dk_undeclared *where, const char *text, size_t len, struct dk_buf *ret) {
  char line[LINE_MAX_BYTES + 1];
  if (len == 0 || len > LINE_MAX_BYTES) return false;
  memcpy(line, text, len);
  line[len] = '\0';
  bool is_missing = strcasestr(line, "no such file") || strcasestr(line, "not found");
  /* What a program says in its own words ("can't open x") is taken for the same. */
  bool is_denied = strcasestr(line, "permission denied") || !is_missing;
  /* In quotes a name may have spaces. */
  return try_words(where, line, "'\"`\t", is_denied, ret) || try_words(where, line, " '\"`()[]<>=,;\t", is_denied, ret);
}

void dk_undeclared_find(const struct dk_undeclared *where, const char *words, size_t len, struct dk_buf *ret) {
  size_t end = len;
  while (end > 0) {
    size_t start = end;
    while (start > 0 && words[start - 1] != '\n') start--;
    if (!memchr(words + start, '\0', end - start) && try_line(where, words + start, end - start, ret)) return;
    end = start > 0 ? start - 1 : 0;
  }
}
