/* Reasons: see why.h. Finding what to compare with; the comparison is why_compare.c. */
#include "engine/drive/why_private.h"
#include "lang/base/alloc.h"
#include "lang/plan/differ.h"

#include <errno.h>
#include <string.h>

#define MAX_BACK 50u /* runs that are looked through for the last result of a task */

void dk_why_answer_finish(struct dk_why_answer *answer) {
  for (uint32_t i = 0; i < answer->n_reasons; i++) {
    dk_free(answer->reasons[i].subject);
    dk_free(answer->reasons[i].text);
  }
  dk_free(answer->reasons);
  dk_buf_finish(&answer->text);
  *answer = (struct dk_why_answer){0};
}

static int parts_of(const struct dk_saved *saved, struct dk_key_part **ret) {
  *ret = dk_calloc(saved->n_parts + 1, sizeof **ret);
  if (!*ret) return -ENOMEM;
  for (uint32_t i = 0; i < saved->n_parts; i++)
    (*ret)[i] = (struct dk_key_part){saved->parts[i].name, saved->parts[i].digest};
  return 0;
}

/* A result that the task had, and where: the run that is compared with. */
struct earlier {
  struct dk_why_run *run;
  uint32_t task;
  struct dk_saved saved;
};

/* The last run before `before` in which the task of this name had a result that is still known. -ENOENT: none. */
static int find_earlier(struct dk_why_book *book, uint32_t before, const struct dk_plan *plan, uint32_t task,
                        struct earlier *ret) {
  struct dk_task_record record;
  int r;

  ret->run = dk_why_last(book, before, &r);
  for (uint32_t i = 0; ret->run && i < MAX_BACK; i++) {
    ret->task = dk_why_task_of(ret->run, plan, task, &r);
    if (r < 0) return r;
    if (ret->task != UINT32_MAX &&
        dk_store_get_task(book->with.store, ret->run->number, ret->task, &record, NULL) == 0 &&
        (record.state == DK_TASK_DONE || record.state == DK_TASK_CACHED)) {
      r = dk_store_get_saved(book->with.store, &record.key, &ret->saved, NULL);
      if (r == 0 || dk_error_is_machine(r)) return r;
    }
    ret->run = dk_why_last(book, ret->run->number, &r);
  }
  return r < 0 ? r : -ENOENT;
}

/* Compares with an earlier result, adds the reasons to the answer. *ret_since: the run of it. -ENOENT: there is
 * none. */
static int compare_earlier(struct dk_why_book *book, uint32_t before, const struct dk_why_side *now,
                           struct dk_why_answer *answer, uint32_t *ret_since) {
  struct earlier earlier = {0};
  dk_autofree struct dk_key_part *parts = NULL;
  int r = find_earlier(book, before, now->plan, now->task, &earlier);

  if (r < 0) return r;
  r = parts_of(&earlier.saved, &parts);
  struct dk_why_side was = {.plan = earlier.run->pin,
                            .task = earlier.task,
                            .run = earlier.run,
                            .parts = parts,
                            .n_parts = earlier.saved.n_parts};
  if (r == 0) r = dk_why_compare(book, &was, now, answer);
  *ret_since = earlier.run->number;
  dk_saved_finish(&earlier.saved);
  return r;
}

static int tell_new_value(const struct dk_plan *plan, uint32_t task, struct dk_why_answer *answer) {
  uint32_t row;
  const struct dk_template *tmpl = dk_plan_template(plan, task, &row);
  const struct dk_column *column = &tmpl->points.columns[answer->new_column];

  dk_buf_printf(&answer->text, "%s=", column->name);
  dk_value_source_text(plan->values, dk_column_value(column, row), &answer->text);
  dk_buf_printf(&answer->text, " is new (%s:%u)", column->path ? column->path : tmpl->path, column->line);
  return dk_buf_ok(&answer->text) ? 0 : -ENOMEM;
}

/* Never run under this name: is one of its values new? */
static int find_new_value(struct dk_why_book *book, uint32_t before, const struct dk_plan *plan, uint32_t task,
                          struct dk_why_answer *answer) {
  bool has_task;
  int r;
  struct dk_why_run *run = dk_why_last(book, before, &r);

  for (uint32_t i = 0; run && i < MAX_BACK; i++) {
    if (dk_plan_new_value(run->pin, plan, task, &answer->new_column, &has_task)) {
      answer->why = DK_WHY_NEW_VALUE;
      answer->run = run->number;
      return tell_new_value(plan, task, answer);
    }
    if (has_task) return 0;
    run = dk_why_last(book, run->number, &r);
  }
  return r;
}

static int take_host(void *ctx, const struct dk_copy *copy) {
  uint32_t *number = ctx;

  *number = copy->host;
  return 1;
}

/* One that has it, and is not to be counted on. */
static bool find_away(const struct dk_why_book *book, const struct dk_digest *content, struct dk_host_record *ret) {
  uint32_t number;

  return dk_store_each_copy(book->with.store, content, take_host, &number, NULL) == 1 &&
         dk_store_get_host(book->with.store, number, ret, NULL) == 0;
}

/* What of a result under the task's own key cannot be had any more. */
static int tell_gone(struct dk_why_book *book, const struct dk_template *tmpl, const struct dk_saved *saved,
                     struct dk_why_answer *answer) {
  const struct dk_lookup_options objects = {.store = book->with.store,
                                            .objects = book->with.objects,
                                            .may_host = book->with.may_host,
                                            .may_host_ctx = book->with.may_host_ctx};
  struct dk_host_record host;

  for (uint32_t i = 0; i < saved->result.n_outputs && i < tmpl->n_outputs; i++) {
    const struct dk_kept *output = &saved->result.outputs[i];
    int state = dk_lookup_output_state(&objects, output, NULL);
    if (state < 0) return state;
    if (state == DK_OUTPUT_THERE || state == DK_OUTPUT_ELSEWHERE) continue;
    if (state == DK_OUTPUT_GONE && saved->cleaned && *saved->cleaned)
      dk_buf_printf(&answer->text, "output `%s` was only at host %s, and removed there (dkrun hosts clean)",
                    tmpl->outputs[i].name, saved->cleaned);
    else if (state == DK_OUTPUT_GONE && find_away(book, &output->digest, &host)) {
      dk_buf_printf(&answer->text, "output `%s` is at host %s alone, which no file of providers names now",
                    tmpl->outputs[i].name, host.name);
      dk_host_record_finish(&host);
    } else
      dk_buf_printf(&answer->text, "output `%s` %s", tmpl->outputs[i].name,
                    state == DK_OUTPUT_GONE ? "is gone from .dkrun/objects" : "was altered in .dkrun/objects");
    break;
  }
  if (answer->text.len == 0) dk_buf_add_text(&answer->text, "it does not have the outputs that are declared");
  return dk_buf_ok(&answer->text) ? 0 : -ENOMEM;
}

/* The last run, when the task came to nothing in it. */
static int find_failure(struct dk_why_book *book, const struct dk_plan *plan, uint32_t task,
                        struct dk_why_answer *answer) {
  struct dk_task_record record;
  int r;
  struct dk_why_run *run = dk_why_last(book, 0, &r);
  uint32_t then = run ? dk_why_task_of(run, plan, task, &r) : UINT32_MAX;

  if (then == UINT32_MAX) return r;
  r = dk_store_get_task(book->with.store, run->number, then, &record, NULL);
  if (r < 0) return dk_error_is_machine(r) ? r : 0;
  if (record.state != DK_TASK_FAILED && record.state != DK_TASK_CANCELLED && record.state != DK_TASK_RUNNING) return r;
  answer->why = record.state == DK_TASK_FAILED ? DK_WHY_FAILED : DK_WHY_STOPPED;
  answer->run = run->number;
  answer->cause = record.cause;
  answer->code = record.code;
  return r;
}

/* The last result under its name, when no run tells of it: its components by their names. */
static int compare_named(struct dk_why_book *book, const struct dk_why_side *now, struct dk_why_answer *answer,
                         uint32_t *ret_since) {
  struct dk_digest key;
  struct dk_saved saved;
  dk_autobuf label = DK_BUF_INIT;
  int r;

  dk_plan_task_name(now->plan, now->task, &label);
  r = dk_store_get_name(book->with.store, book->with.experiment, dk_buf_text(&label), &key, NULL);
  if (r == 0) r = dk_store_get_saved(book->with.store, &key, &saved, NULL);
  if (r < 0) return dk_error_is_machine(r) ? r : -ENOENT;
  *ret_since = saved.run;
  for (uint32_t i = 0; r == 0 && i < now->n_parts; i++) {
    bool same = false;
    for (uint32_t k = 0; k < saved.n_parts && !same; k++)
      same = strcmp(now->parts[i].name, saved.parts[k].name) == 0 &&
             dk_digest_equal(&now->parts[i].digest, &saved.parts[k].digest);
    dk_autobuf text = DK_BUF_INIT;
    dk_buf_printf(&text, "`%s` changed", now->parts[i].name);
    if (!same) r = dk_buf_ok(&text) ? dk_why_add(answer, NULL, 0, now->parts[i].name, dk_buf_text(&text)) : -ENOMEM;
  }
  dk_saved_finish(&saved);
  return r;
}

/* Why it has no result under its key. */
static int explain_miss(struct dk_why_book *book, const struct dk_why_side *now, struct dk_why_answer *answer) {
  int r = find_failure(book, now->plan, now->task, answer);
  uint32_t since = 0;

  if (r == 0) r = compare_earlier(book, 0, now, answer, &since);
  if (r == -ENOENT && now->n_parts > 0) r = compare_named(book, now, answer, &since);
  if (r < 0 && r != -ENOENT) return r;
  answer->since = since;
  if (answer->why != DK_WHY_NEVER) return 0;
  if (since == 0) return find_new_value(book, 0, now->plan, now->task, answer);
  if (answer->n_reasons == 0 && now->n_parts == 0) return 0;
  answer->why = DK_WHY_CHANGED;
  answer->run = since;
  return 0;
}

static int explain(struct dk_why_book *book, struct dk_lookup_state *state, uint32_t task,
                   const struct dk_prepared *prepared, struct dk_why_answer *answer) {
  const struct dk_template *tmpl = dk_plan_template(state->with.plan, task, NULL);
  dk_autofree struct dk_key_part *parts = NULL;
  struct dk_why_side now = {.plan = state->with.plan, .task = task, .lookup = state};
  struct dk_saved saved;
  int r = dk_store_get_saved(book->with.store, &prepared->key, &saved, NULL);

  if (r == 0) {
    answer->run = answer->since = saved.run;
    answer->why = !tmpl->cached ? DK_WHY_UNCACHED : state->facts[task] ? DK_WHY_SAME : DK_WHY_GONE;
    if (answer->why == DK_WHY_GONE) r = tell_gone(book, tmpl, &saved, answer);
    dk_saved_finish(&saved);
    return r;
  }
  if (dk_error_is_machine(r)) return r;
  if (r == -EBADMSG) {
    answer->why = DK_WHY_GONE;
    dk_buf_add_text(&answer->text, "its record in the store is damaged");
    return dk_buf_ok(&answer->text) ? 0 : -ENOMEM;
  }
  r = dk_lookup_parts(state, task, prepared, &parts, &now.n_parts, NULL);
  now.parts = parts;
  return r < 0 ? r : explain_miss(book, &now, answer);
}

int dk_why_now(struct dk_why_book *book, struct dk_lookup_state *state, uint32_t task, struct dk_why_answer *ret,
               struct dk_error *error) {
  struct dk_prepared prepared;
  int r;

  *ret = (struct dk_why_answer){.why = DK_WHY_NEVER};
  if (!book->with.store) return 0;
  r = dk_lookup_prepare(state, task, &prepared, error);
  if (r < 0) return r;
  if (!prepared.order.skip) r = explain(book, state, task, &prepared, ret);
  dk_prepared_finish(&prepared);
  return dk_error_is_machine(r) ? dk_error_system(error, r, "finding out why a task runs") : 0;
}

int dk_why_later(struct dk_why_book *book, struct dk_lookup_state *state, uint32_t task, struct dk_why_answer *ret,
                 struct dk_error *error) {
  struct dk_why_side now = {.plan = state->with.plan, .task = task, .lookup = state};
  int r;

  *ret = (struct dk_why_answer){.why = DK_WHY_NEVER};
  if (!book->with.store) return 0;
  r = explain_miss(book, &now, ret);
  return dk_error_is_machine(r) ? dk_error_system(error, r, "finding out why a task runs") : 0;
}

static int explain_then(struct dk_why_book *book, struct dk_why_run *run, uint32_t task,
                        const struct dk_task_record *record, struct dk_why_answer *answer) {
  dk_autofree struct dk_key_part *parts = NULL;
  struct dk_why_side now = {.plan = run->pin, .task = task, .run = run};
  struct dk_saved saved = {0};
  bool has_result = record->state == DK_TASK_DONE || record->state == DK_TASK_CACHED;
  int r = has_result ? dk_store_get_saved(book->with.store, &record->key, &saved, NULL) : -ENOENT;

  if (r == 0) r = parts_of(&saved, &parts);
  if (r == 0) now.parts = parts;
  if (r == 0) now.n_parts = saved.n_parts;
  if (r == -ENOMEM) {
    dk_saved_finish(&saved);
    return r;
  }
  if (record->state == DK_TASK_CACHED) {
    answer->why = DK_WHY_SAME;
    answer->run = saved.run;
    r = 0;
  } else {
    r = compare_earlier(book, run->number, &now, answer, &answer->since);
    if (r == 0) answer->why = answer->n_reasons > 0 ? DK_WHY_CHANGED : DK_WHY_GONE;
    if (r == 0) answer->run = answer->since;
    if (r == -ENOENT) r = find_new_value(book, run->number, run->pin, task, answer);
    if (record->state == DK_TASK_FAILED) answer->cause = record->cause;
    answer->code = record->code;
  }
  dk_saved_finish(&saved);
  return r;
}

int dk_why_then(struct dk_why_book *book, uint32_t number, const struct dk_plan *plan, uint32_t task,
                struct dk_why_answer *ret, struct dk_task_record *ret_record, struct dk_error *error) {
  int r;
  struct dk_why_run *run = dk_why_open(book, number, &r);

  *ret = (struct dk_why_answer){.why = DK_WHY_NEVER};
  *ret_record = (struct dk_task_record){0};
  if (run && plan) task = dk_why_task_of(run, plan, task, &r);
  if (r == 0 && (!run || task >= run->pin->graph.n_tasks))
    return dk_error_set(error, -ENOENT, "run %u cannot be read, or has no such task", number);
  if (r == 0) {
    r = dk_store_get_task(book->with.store, number, task, ret_record, NULL);
    if (r == -ENOENT) return dk_error_set(error, r, "run %u ended before it came to this task", number);
  }
  if (r == 0) r = explain_then(book, run, task, ret_record, ret);
  return r < 0 ? dk_error_system(error, r, "finding out why a task ran") : 0;
}
