/* Two matches compared, and the trees of runs that were: see code.h. */
#include "engine/source/code.h"
#include "engine/source/code_private.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define TEXT_PROBE 8000u /* bytes that git looks at for a NUL, which makes a file binary */

int dk_code_open_pinned(const char *state, const char *pinned, struct dk_code_repo **ret, struct dk_error *error) {
  git_repository *own = NULL;
  struct dk_odb odb = {0};
  git_oid id;
  dk_autobuf path = DK_BUF_INIT;
  *ret = NULL;
  dk_buf_printf(&path, "%s/git", state);
  if (!dk_buf_ok(&path)) return dk_error_system(error, -ENOMEM, "reading the commit of a run");
  int r = dk_git_start(error);
  if (r < 0) return r;
  int rc = git_oid_fromstr(&id, pinned);
  if (rc == 0) rc = git_repository_open_bare(&own, path.data);
  if (rc) r = dk_git_fail(rc, error, "opening %s", path.data);
  if (r == 0) r = dk_odb_open(&odb, own, NULL, error);
  if (r == 0) r = dk_code_open(&odb, &id, path.data, ret, error);
  dk_odb_close(&odb);
  git_repository_free(own);
  dk_git_stop();
  return r;
}

struct comparing {
  const struct dk_code_side *before, *now;
  uint8_t *was, *is; /* what matches */
  size_t skip_was, skip_is;
  struct dk_code_change *items;
  uint32_t n, cap;
};

static int add(struct comparing *c, const char *path, enum dk_code_change_kind kind, uint32_t line) {
  if (!dk_grow(c->items, c->n, c->cap)) return -ENOMEM;
  char *copy = dk_strdup(path);
  if (!copy) return -ENOMEM;
  c->items[c->n++] = (struct dk_code_change){copy, kind, line};
  return 0;
}

/* The line of the newer text in which the two begin to differ; 0: one of them is no text, or cannot be read. */
static uint32_t first_line(struct comparing *c, const struct dk_code_entry *was, const struct dk_code_entry *is) {
  git_odb_object *a = NULL, *b = NULL;
  uint32_t line = 0;
  if (git_odb_read(&a, c->before->code->odb.all, &was->id) == 0 &&
      git_odb_read(&b, c->now->code->odb.all, &is->id) == 0) {
    const char *x = git_odb_object_data(a), *y = git_odb_object_data(b);
    size_t n = git_odb_object_size(a), m = git_odb_object_size(b);
    bool is_text =
        !memchr(x, '\0', n < TEXT_PROBE ? n : TEXT_PROBE) && !memchr(y, '\0', m < TEXT_PROBE ? m : TEXT_PROBE);
    line = is_text;
    for (size_t i = 0; is_text && i < n && i < m && x[i] == y[i]; i++) line += x[i] == '\n';
  }
  git_odb_object_free(a);
  git_odb_object_free(b);
  return line;
}

static int compare_one(struct comparing *c, const struct dk_code_entry *was, const struct dk_code_entry *is) {
  if (!was) return add(c, is->path, DK_CODE_ADDED, 0);
  if (!is) return add(c, was->path, DK_CODE_REMOVED, 0);
  if (!git_oid_equal(&was->id, &is->id)) return add(c, is->path, DK_CODE_CHANGED, first_line(c, was, is));
  return was->mode == is->mode ? 0 : add(c, is->path, DK_CODE_MODE, 0);
}

static uint32_t next(const struct dk_code_repo *code, const uint8_t *matched, uint32_t i) {
  while (i < code->n && !matched[i]) i++;
  return i;
}

/* Both lists are sorted, and all of a match lies below one folder, so they stay sorted without it. */
static int compare_all(struct comparing *c) {
  const struct dk_code_repo *a = c->before->code, *b = c->now->code;
  uint32_t i = next(a, c->was, 0), k = next(b, c->is, 0);
  int r = 0;
  while (r == 0 && (i < a->n || k < b->n)) {
    int order = i == a->n   ? 1
                : k == b->n ? -1
                            : strcmp(a->entries[i].path + c->skip_was, b->entries[k].path + c->skip_is);
    r = compare_one(c, order <= 0 ? &a->entries[i] : NULL, order >= 0 ? &b->entries[k] : NULL);
    if (order <= 0) i = next(a, c->was, i + 1);
    if (order >= 0) k = next(b, c->is, k + 1);
  }
  return r;
}

int dk_code_compare(const struct dk_code_side *before, const struct dk_code_side *now, struct dk_code_change **ret,
                    uint32_t *ret_n, struct dk_error *error) {
  struct comparing c = {.before = before, .now = now};
  *ret = NULL;
  *ret_n = 0;
  int r = dk_code_match(before->code, before->dir, before->patterns, before->n_patterns, &c.was, &c.skip_was, error);
  if (r == 0) r = dk_code_match(now->code, now->dir, now->patterns, now->n_patterns, &c.is, &c.skip_is, error);
  if (r == 0 && compare_all(&c) < 0) r = dk_error_system(error, -ENOMEM, "comparing code");
  dk_free(c.was);
  dk_free(c.is);
  if (r < 0) {
    dk_code_changes_free(c.items, c.n);
    return r;
  }
  *ret = c.items;
  *ret_n = c.n;
  return 0;
}

void dk_code_changes_free(struct dk_code_change *changes, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) dk_free(changes[i].path);
  dk_free(changes);
}
