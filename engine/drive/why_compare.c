/* Two tasks of one name compared, component by component of their keys: see why_private.h. */
#include "engine/drive/environment.h"
#include "engine/drive/why_private.h"
#include "lang/base/alloc.h"
#include "lang/plan/differ.h"

#include <errno.h>
#include <string.h>

#define LISTED 5u /* files that are named */

int dk_why_add(struct dk_why_answer *answer, const char *path, uint32_t line, const char *subject, const char *text) {
  dk_autobuf first = DK_BUF_INIT, second = DK_BUF_INIT;

  if (!dk_grow(answer->reasons, answer->n_reasons, answer->cap_reasons)) return -ENOMEM;
  dk_buf_add_text(&first, subject);
  dk_buf_add_text(&second, text);
  if (path) dk_buf_printf(&first, " (%s:%u)", path, line);
  if (path) dk_buf_printf(&second, " (%s:%u)", path, line);
  struct dk_reason reason = {dk_buf_steal(&first), dk_buf_steal(&second)};
  if (!reason.subject || !reason.text) {
    dk_free(reason.subject);
    dk_free(reason.text);
    return -ENOMEM;
  }
  answer->reasons[answer->n_reasons++] = reason;
  return 0;
}

static int take_difference(void *ctx, const struct dk_difference *difference) {
  return dk_why_add(ctx, difference->path, difference->line, difference->subject, difference->text);
}

static int take_certain(void *ctx, const struct dk_difference *difference) {
  return difference->is_supposed ? 0 : take_difference(ctx, difference);
}

/* --- code --- */

static int add_file(struct dk_why_answer *answer, const struct dk_code_change *change) {
  static const char *const words[] = {
      [DK_CODE_CHANGED] = "changed",
      [DK_CODE_ADDED] = "is new",
      [DK_CODE_REMOVED] = "is gone",
      [DK_CODE_MODE] = "may be executed, or may no longer",
  };
  dk_autobuf subject = DK_BUF_INIT, text = DK_BUF_INIT;

  dk_buf_printf(&subject, "`%s`", change->path);
  dk_buf_printf(&text, "`%s` %s", change->path, words[change->kind]);
  if (!dk_buf_ok(&subject) || !dk_buf_ok(&text)) return -ENOMEM;
  return dk_why_add(answer, change->line ? change->path : NULL, change->line, dk_buf_text(&subject),
                    dk_buf_text(&text));
}

int dk_why_files(const struct dk_code_side *before, const struct dk_code_side *now, struct dk_why_answer *answer,
                 bool *ret_told) {
  struct dk_code_change *changes;
  uint32_t n;
  int r = before->code && now->code ? dk_code_compare(before, now, &changes, &n, NULL) : -ENOENT;

  *ret_told = false;
  if (r < 0) return r == -ENOMEM ? r : 0;
  for (uint32_t i = 0; r == 0 && i < n && i < LISTED; i++) r = add_file(answer, &changes[i]);
  if (r == 0 && n > LISTED) {
    dk_autobuf more = DK_BUF_INIT;
    dk_buf_printf(&more, "%u more files", n - LISTED);
    r = dk_buf_ok(&more) ? dk_why_add(answer, NULL, 0, dk_buf_text(&more), dk_buf_text(&more)) : -ENOMEM;
  }
  *ret_told = n > 0;
  dk_code_changes_free(changes, n);
  return r;
}

struct dk_code_repo *dk_why_side_code(struct dk_why_book *book, const struct dk_why_side *side) {
  return side->run ? dk_why_code_of(book, side->run) : side->lookup->with.code;
}

static struct dk_code_side code_side(struct dk_why_book *book, const struct dk_why_side *side) {
  const struct dk_template *tmpl = dk_plan_template(side->plan, side->task, NULL);
  return (struct dk_code_side){dk_why_side_code(book, side), tmpl->dir, tmpl->code, tmpl->n_code};
}

static int compare_code(struct dk_why_book *book, const struct dk_why_side *before, const struct dk_why_side *now,
                        struct dk_why_answer *answer) {
  const struct dk_template *was = dk_plan_template(before->plan, before->task, NULL);
  const struct dk_template *is = dk_plan_template(now->plan, now->task, NULL);
  bool told;

  if (was->n_code == 0 && is->n_code == 0) return 0;
  struct dk_code_side a = code_side(book, before), b = code_side(book, now);
  int r = dk_why_files(&a, &b, answer, &told);
  if (r < 0 || told || now->n_parts == 0) return r;
  return dk_why_add(answer, is->path, is->line, "`code`", "what `code` names changed");
}

/* --- the machine --- */

static int compare_environment(struct dk_why_book *book, const struct dk_digest *was, const struct dk_digest *is,
                               struct dk_why_answer *answer) {
  dk_autobuf before = DK_BUF_INIT, now = DK_BUF_INIT, text = DK_BUF_INIT;
  struct dk_digest here;

  (void)dk_store_get_environment(book->with.store, was, &before);
  (void)dk_store_get_environment(book->with.store, is, &now);
  if (now.len == 0 && dk_environment_id(&here, NULL) == 0 && dk_digest_equal(&here, is)) dk_environment_text(&now);
  dk_buf_add_text(&text, "the environment changed");
  if (before.len > 0 && now.len > 0)
    dk_buf_printf(&text, ": it was %s, is %s", dk_buf_text(&before), dk_buf_text(&now));
  if (!dk_buf_ok(&text)) return -ENOMEM;
  return dk_why_add(answer, NULL, 0, "the environment", dk_buf_text(&text));
}

/* --- all of it --- */

static const struct dk_key_part *find_part(const struct dk_why_side *side, const char *name) {
  for (uint32_t i = 0; i < side->n_parts; i++)
    if (strcmp(side->parts[i].name, name) == 0) return &side->parts[i];
  return NULL;
}

static int tell_part(const char *name, struct dk_why_answer *answer) {
  dk_autobuf subject = DK_BUF_INIT, text = DK_BUF_INIT;
  dk_buf_printf(&subject, "`%s`", name);
  dk_buf_printf(&text, "`%s` changed", name);
  if (!dk_buf_ok(&subject) || !dk_buf_ok(&text)) return -ENOMEM;
  return dk_why_add(answer, NULL, 0, dk_buf_text(&subject), dk_buf_text(&text));
}

/* Values that stand for paths differ with what is told of inputs and outputs: of values alone nothing need be told. */
static int compare_part(struct dk_why_book *book, const struct dk_why_side *before, const struct dk_why_side *now,
                        const char *name, struct dk_why_answer *answer) {
  const struct dk_key_part *was = find_part(before, name), *is = find_part(now, name);
  uint32_t n = answer->n_reasons;
  int r = 0;

  if (was && is && dk_digest_equal(&was->digest, &is->digest)) return 0;
  if (strcmp(name, "code") == 0)
    r = compare_code(book, before, now, answer);
  else if (strcmp(name, "environment") == 0 && was && is)
    r = compare_environment(book, &was->digest, &is->digest, answer);
  else
    r = dk_plan_differ(before->plan, before->task, now->plan, now->task, name, take_difference, answer);
  if (r == 0 && answer->n_reasons == n && strncmp(name, "input ", 6) == 0)
    r = dk_why_input(book, before, now, name + 6, answer);
  if (r < 0 || answer->n_reasons > n || strcmp(name, "values") == 0) return r;
  return tell_part(name, answer);
}

/* Without keys: what the plans and the pinned code tell by themselves. */
static int compare_declared(struct dk_why_book *book, const struct dk_why_side *before, const struct dk_why_side *now,
                            struct dk_why_answer *answer) {
  static const char *const parts[] = {"program", "values", "outputs"};
  const struct dk_template *is = dk_plan_template(now->plan, now->task, NULL);
  int r = 0;

  for (size_t i = 0; r == 0 && i < sizeof parts / sizeof *parts; i++)
    r = dk_plan_differ(before->plan, before->task, now->plan, now->task, parts[i], take_certain, answer);
  for (uint32_t i = 0; r == 0 && i < is->n_env; i++) {
    dk_autobuf name = DK_BUF_INIT;
    dk_buf_printf(&name, "env %s", is->env[i].name);
    if (is->env[i].is_secret) continue;
    r = dk_buf_ok(&name)
            ? dk_plan_differ(before->plan, before->task, now->plan, now->task, dk_buf_text(&name), take_certain, answer)
            : -ENOMEM;
  }
  return r == 0 ? compare_code(book, before, now, answer) : r;
}

int dk_why_compare(struct dk_why_book *book, const struct dk_why_side *before, const struct dk_why_side *now,
                   struct dk_why_answer *answer) {
  int r = 0;

  if (before->n_parts == 0 || now->n_parts == 0) {
    struct dk_why_side was = *before, is = *now;
    was.n_parts = is.n_parts = 0;
    return compare_declared(book, &was, &is, answer);
  }
  for (uint32_t i = 0; r == 0 && i < now->n_parts; i++) r = compare_part(book, before, now, now->parts[i].name, answer);
  for (uint32_t i = 0; r == 0 && i < before->n_parts; i++)
    if (!find_part(now, before->parts[i].name)) r = compare_part(book, before, now, before->parts[i].name, answer);
  const struct dk_key_part *was = find_part(before, "values"), *is = find_part(now, "values");
  if (r < 0 || answer->n_reasons > 0 || !was || !is || dk_digest_equal(&was->digest, &is->digest)) return r;
  /* The same contents under another name: its place in the task's directory has that name too. */
  const struct dk_template *tmpl = dk_plan_template(now->plan, now->task, NULL);
  return dk_why_add(answer, tmpl->path, tmpl->line, "a path",
                    "a path that it is given changed: the file of an input, or an output, has another name");
}
