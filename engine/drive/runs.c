/* The engine's runs: how they begin, go on after an earlier engine, are asked for things, and end. */
#include "engine/drive/engine_priv.h"
#include "engine/drive/file.h"
#include "engine/drive/money.h"
#include "engine/drive/unchanged.h"
#include "engine/sys/proc.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct dk_engine_run *dk_engine_find_run(const struct dk_engine *engine, uint32_t number) {
  for (uint32_t i = 0; i < engine->n_runs; i++)
    if (engine->runs[i]->record.number == number && !engine->runs[i]->is_over) return engine->runs[i];
  return NULL;
}

void dk_engine_remember_bad(struct dk_engine_run *run, uint32_t task, const char *text) {
  if (!run->bad) run->bad = dk_calloc(run->plan->graph.n_tasks + 1, sizeof *run->bad);
  if (!run->bad) return;
  dk_free(run->bad[task]);
  run->bad[task] = dk_strdup(text);
}

void dk_engine_remember_refused(struct dk_engine_run *run, uint32_t task, const struct dk_event *refused,
                                const char *text) {
  bool is_full = refused->u.refused.reason == DK_REFUSED_DISK;
  struct dk_result result = {.cause = is_full ? DK_CAUSE_DISK : DK_CAUSE_SPAWN,
                             .text = (char *)(uintptr_t)text,
                             .started_unix_ns = dk_unix_ns()};
  struct dk_record failure = {.kind = DK_REC_FAILURE, .id = refused->id};
  dk_autobuf bytes = DK_BUF_INIT;

  dk_engine_remember_bad(run, task, text);
  if (!is_full && refused->u.refused.reason != DK_REFUSED_BAD) return;
  int r = dk_result_encode(&result, &bytes);
  failure.len = (uint32_t)bytes.len;
  if (r == 0) r = dk_batch_add_record(&run->engine->extra, &failure, &bytes);
  if (r < 0) dk_engine_fail(run->engine, r, NULL);
}

/* --- one run --- */

static void destroy(struct dk_engine_run *run) {
  if (!run) return;
  for (uint32_t i = 0; run->bad && i < run->plan->graph.n_tasks; i++) dk_free(run->bad[i]);
  dk_free(run->bad);
  dk_free(run->was_done);
  dk_free(run->durations);
  dk_needs_finish(&run->needs);
  dk_free(run->bars);
  dk_free(run->n_lost);
  dk_buf_finish(&run->sources);
  for (char **variable = run->variables; variable && *variable; variable++) dk_free(*variable);
  dk_free(run->variables);
  if (run->lookup.facts) dk_lookup_finish(&run->lookup);
  dk_snapshot_finish(&run->snapshot);
  dk_repo_close(run->repo);
  dk_load_destroy(run->load);
  dk_run_finish(&run->record);
  dk_free(run);
}

static char **copy_variables(char *const *variables) {
  size_t n = 0;

  while (variables[n]) n++;
  char **copy = dk_calloc(n + 1, sizeof *copy);
  for (size_t i = 0; copy && i < n; i++) {
    copy[i] = dk_strdup(variables[i]);
    if (copy[i]) continue;
    while (i > 0) dk_free(copy[--i]);
    dk_free(copy);
    return NULL;
  }
  return copy;
}

/* The run's files are those of its commit, whatever became of them since. */
static bool read_pinned(void *ctx, const char *path, struct dk_buf *ret) {
  const struct dk_engine_run *run = ctx;

  return run->snapshot.code && dk_code_read(run->snapshot.code, path, ret, NULL) == 0;
}

/* The file, loaded and without errors. -EINVAL: it has some, which `error` tells. */
static int load(struct dk_engine_run *run, const char *file, const struct dk_check_given *given, uint32_t n_given,
                char *const *variables, struct dk_error *error) {
  const char *root = run->engine->with.root;
  const struct dk_load_options options = {.given = given,
                                          .n_given = n_given,
                                          .check_pattern = dk_metric_check_pattern,
                                          .root = root,
                                          .name = file,
                                          .pinned = read_pinned,
                                          .pinned_ctx = run};
  dk_autobuf path = DK_BUF_INIT, text = DK_BUF_INIT;

  run->variables = copy_variables(variables);
  dk_buf_printf(&path, "%s/%s", root, file);
  if (!run->variables || !dk_buf_ok(&path)) return dk_error_system(error, -ENOMEM, "reading %s", file);
  int r = dk_load(dk_buf_text(&path), &options, &run->load, error);
  if (r < 0) return r;
  run->plan = dk_load_plan(run->load);
  if (!run->plan) {
    dk_diags_render(dk_load_diags(run->load), false, &text);
    return dk_error_set(error, -EINVAL, "%s has errors\n%s", file, dk_buf_text(&text));
  }
  return 0;
}

static int pin(struct dk_engine_run *run, const struct dk_submission *submission, struct dk_error *error) {
  struct dk_snapshot_options options = {.refuse_dirty = submission->refuse_dirty};
  int r = dk_repo_open(run->engine->with.root, &run->repo, error);

  return r < 0 ? r : dk_snapshot_take(run->repo, run->engine->with.folder->path, &options, &run->snapshot, error);
}

static int init_lookup(struct dk_engine_run *run, struct dk_error *error) {
  const struct dk_engine_options *with = &run->engine->with;
  struct dk_lookup_options lookup = {
      .plan = run->plan,
      .store = with->folder->store,
      .objects = &with->folder->objects,
      .code = run->snapshot.code,
      .root = with->root,
      .variables = run->variables,
      .run = run->record.number,
      .has_hosts = dk_fleet_has_remote(run->engine),
      .may_host = dk_fleet_has_copies,
      .may_host_ctx = run->engine,
  };

  return dk_lookup_init(&run->lookup, &lookup, error);
}

/* What an earlier engine's records say of the run's tasks. */
struct past {
  struct dk_engine_run *run;
  struct dk_core_ended *ended;
  uint32_t n_ended, cap_ended;
  struct dk_core_tried *tried;
  uint32_t n_tried, cap_tried;
};

/* Into the core, and off. The run is the list's from here on, also when this fails. */
static int start(struct dk_engine *engine, struct dk_engine_run *run, const struct dk_asked_run *asked,
                 const struct past *past, struct dk_error *error) {
  struct dk_event event = {.kind = DK_EV_START, .run = run->record.number};
  dk_autofree uint32_t *order = dk_engine_order(engine->with.folder->store, run->plan, &run->durations);

  engine->runs[engine->n_runs++] = run;
  struct dk_core_run_options options = {.run = run->record.number,
                                        .graph = &run->plan->graph,
                                        .order = order,
                                        .priority = asked->priority,
                                        .jobs =
                                            asked->jobs || dk_fleet_has_remote(engine) ? asked->jobs : dk_proc_cpus(),
                                        .paused = asked->is_paused,
                                        .ended = past->ended,
                                        .n_ended = past->n_ended,
                                        .tried = past->tried,
                                        .n_tried = past->n_tried};
  if (!order || dk_core_add_run(engine->core, &options) < 0) {
    dk_engine_fail(engine, -ENOMEM, NULL);
    return dk_error_system(error, -ENOMEM, "starting run %u", run->record.number);
  }
  dk_engine_push(engine, &event, NULL);
  return 0;
}

/* --- a new run --- */

/* The run that is the same: its plan, its source, and nobody has asked it to end. */
static struct dk_engine_run *find_same(const struct dk_engine *engine, const struct dk_engine_run *like) {
  for (uint32_t i = 0; i < engine->n_runs; i++) {
    struct dk_engine_run *run = engine->runs[i];
    if (!run->is_over && !run->is_cancelled && strcmp(run->record.file, like->record.file) == 0 &&
        strcmp(run->record.snapshot, like->record.snapshot) == 0 &&
        dk_digest_equal(&run->record.plan, &like->record.plan))
      return run;
  }
  return NULL;
}

static int fill_record(struct dk_engine_run *run, const struct dk_submission *submission, struct dk_error *error) {
  struct dk_engine *engine = run->engine;
  dk_autobuf pin = DK_BUF_INIT;

  run->record = (struct dk_run){
      .number = engine->last_number + 1,
      .state = DK_RUN_RUNNING,
      .name = dk_strdup(run->plan->name),
      .file = dk_strdup(submission->file),
      .commit = dk_strdup(run->snapshot.commit),
      .snapshot = dk_strdup(run->snapshot.pinned),
      .n_changed = run->snapshot.n_changed,
      .params = dk_strdup(submission->params),
      .started_unix_ns = dk_unix_ns(),
      .engine_pid = (uint32_t)getpid(),
      .consent = submission->consent,
      .before = dk_money_spent(engine),
  };
  const struct dk_run *record = &run->record;
  if (!record->name || !record->file || !record->commit || !record->snapshot || !record->params)
    return dk_error_system(error, -ENOMEM, "recording the run");
  int r = dk_plan_encode(run->plan, &pin);
  if (r < 0) return dk_error_system(error, r, "recording the plan");
  engine->has_unsynced = true;
  return dk_objects_put(&engine->with.folder->objects, pin.data, pin.len, &run->record.plan, error);
}

static int record(struct dk_engine_run *run, const struct dk_submission *submission, struct dk_asked_run *ret,
                  struct dk_error *error) {
  struct dk_batch batch = DK_BATCH_INIT;

  *ret = (struct dk_asked_run){.jobs = submission->jobs,
                               .priority = submission->priority,
                               .is_paused = submission->paused,
                               .is_foreground = submission->foreground};
  ret->params = dk_calloc(submission->n_given + 1, sizeof *ret->params);
  if (!ret->params) return dk_error_system(error, -ENOMEM, "recording the run");
  for (uint32_t i = 0; i < submission->n_given; i++) /* borrowed for the call */
    ret->params[i] = (struct dk_pair){(char *)submission->given[i].name, (char *)submission->given[i].text};
  ret->n_params = submission->n_given;
  int r = dk_batch_put_run(&batch, &run->record);
  if (r == 0) r = dk_batch_put_asked_run(&batch, run->record.number, ret);
  if (r == 0) r = dk_store_commit(run->engine->with.folder->store, &batch, error);
  dk_batch_finish(&batch);
  dk_free(ret->params);
  ret->params = NULL;
  ret->n_params = 0;
  return r;
}

int dk_engine_submit(struct dk_engine *engine, const struct dk_submission *submission, struct dk_submitted *ret,
                     struct dk_error *error) {
  struct dk_engine_run *run = dk_calloc(1, sizeof *run), *same = NULL;
  struct dk_asked_run asked = {0};

  *ret = (struct dk_submitted){0};
  if (!run || !dk_grow(engine->runs, engine->n_runs, engine->cap_runs)) {
    dk_free(run);
    return dk_error_system(error, -ENOMEM, "starting a run");
  }
  run->engine = engine;
  uint64_t since = dk_unix_ns();
  int r = load(run, submission->file, submission->given, submission->n_given, submission->variables, error);
  if (r == 0) r = dk_needs_collect(run->plan, &run->needs);
  if (r == -ENOMEM) dk_error_system(error, r, "looking at what tasks need");
  if (r == 0) r = dk_fleet_reload(engine, error);
  if (r == 0) dk_rentals_wanted(engine->rentals);
  if (r == 0) r = dk_fleet_fits(engine, run->plan, &run->needs, &submission->consent, error);
  struct dk_asked what = {engine->with.root, submission->file, submission->params};
  if (r == 0 && dk_unchanged_sources(&what, run->load, since, &run->sources) < 0)
    r = dk_error_system(error, -ENOMEM, "reading %s", submission->file);
  if (r == 0) r = pin(run, submission, error);
  if (r == 0) r = fill_record(run, submission, error);
  if (r == 0) same = find_same(engine, run);
  if (same) r = dk_money_consent(same, &submission->consent, error);
  if (r == 0 && !same) r = init_lookup(run, error);
  if (r == 0 && !same) r = record(run, submission, &asked, error);
  if (r < 0 || same) {
    if (r == 0) *ret = (struct dk_submitted){.run = same->record.number, .is_under_way = true};
    destroy(run);
    return r;
  }
  engine->last_number = run->record.number;
  ret->run = run->record.number;
  dk_snapshot_left_out_text(&run->snapshot, &ret->notes);
  /* The run is recorded: it goes on whether or not what it replaces could be told. */
  struct dk_error why = {0};
  if (dk_engine_supersede(engine, run, submission->prune, &ret->notes, &why) < 0)
    dk_buf_printf(&ret->notes, "what earlier runs of this file still do is not known: %s\n", why.text);
  return start(engine, run, &asked, &(struct past){.run = run}, error);
}

/* --- what is asked of a run --- */

static uint8_t *mask_of(const struct dk_engine_run *run, const struct dk_ask *asked) {
  uint32_t n = run->plan->graph.n_tasks;
  uint8_t *mask = dk_calloc(n / 8 + 1, 1);

  for (uint32_t i = 0; mask && i < asked->n_ranges; i++) {
    for (uint32_t task = asked->ranges[2 * i]; task < asked->ranges[2 * i + 1] && task < n; task++)
      mask[task / 8] |= (uint8_t)(1u << (task % 8));
  }
  return mask;
}

static int push_asked(struct dk_engine_run *run, const struct dk_ask *asked) {
  struct dk_event event = {
      .kind = asked->kind, .run = run->record.number, .u.ask = {.hard = asked->is_hard, .priority = asked->priority}};
  uint8_t *mask = asked->n_ranges ? mask_of(run, asked) : NULL;

  if (asked->n_ranges && !mask) return -ENOMEM;
  event.u.ask.tasks = mask;
  if (asked->kind == DK_EV_CANCEL && !asked->n_ranges) run->is_cancelled = true;
  dk_engine_push(run->engine, &event, (char *)mask);
  return 0;
}

/* Who looks on sees the run stand still: they are told why. */
static void say_asked(struct dk_engine *engine, uint32_t number, const struct dk_ask *asked) {
  char text[128];

  if (asked->kind != DK_EV_PAUSE && asked->kind != DK_EV_RESUME) return;
  const char *what = asked->n_ranges ? "some tasks of run" : "run", *are = asked->n_ranges ? "are" : "is";
  if (asked->kind == DK_EV_PAUSE)
    snprintf(text, sizeof text, "%s %u %s paused until `dkrun resume --run %u`", what, number, are, number);
  else
    snprintf(text, sizeof text, "%s %u %s resumed", what, number, are);
  dk_engine_say(engine, text);
}

int dk_engine_ask(struct dk_engine *engine, uint32_t number, const struct dk_ask *asked, struct dk_error *error) {
  struct dk_engine_run *run = dk_engine_find_run(engine, number);
  struct dk_batch batch = DK_BATCH_INIT;

  if (!run) return dk_error_set(error, -ENOENT, "run %u has ended", number);
  int r = dk_batch_put_ask(&batch, number, ++run->n_asked, asked);
  if (r == 0) r = dk_store_commit(engine->with.folder->store, &batch, error);
  dk_batch_finish(&batch);
  if (r == 0) r = push_asked(run, asked);
  if (r == 0) say_asked(engine, number, asked);
  return r == -ENOMEM ? dk_error_system(error, r, "asking run %u", number) : r;
}

/* --- the end --- */

/* Counts of tasks, picks left out: what people asked for. A pick that failed has no count, but the run is not done
 * without it. */
static enum dk_run_state count_run(struct dk_engine_run *of) {
  struct dk_run *run = &of->record;
  bool is_done = true;

  run->n_tasks = run->n_done = run->n_cached = run->n_failed = run->n_not_run = 0;
  for (uint32_t i = 0; i < of->plan->n_templates; i++) {
    struct dk_core_counts counts;
    dk_core_counts(of->engine->core, run->number, i, &counts);
    uint32_t failed = counts.by_state[DK_TASK_FAILED];
    uint32_t not_run = counts.by_state[DK_TASK_NOT_RUN] + counts.by_state[DK_TASK_CANCELLED];
    is_done = is_done && failed + not_run == 0;
    if (of->plan->templates[i].kind == DK_NODE_PICK) continue;
    run->n_done += counts.by_state[DK_TASK_DONE];
    run->n_cached += counts.by_state[DK_TASK_CACHED] + counts.by_state[DK_TASK_SKIPPED];
    run->n_failed += failed;
    run->n_not_run += not_run;
  }
  run->n_tasks = run->n_done + run->n_cached + run->n_failed + run->n_not_run;
  return of->is_cancelled ? DK_RUN_INTERRUPTED : is_done ? DK_RUN_DONE : DK_RUN_FAILED;
}

static int put_durations(const struct dk_engine_run *run, struct dk_batch *batch) {
  int r = 0;

  for (uint32_t i = 0; r == 0 && i < run->plan->n_templates; i++) {
    if (run->durations[i].n)
      r = dk_batch_put_duration(batch, run->plan->name, run->plan->templates[i].name, &run->durations[i]);
  }
  return r;
}

void dk_engine_finish_run(struct dk_engine *engine, uint32_t number) {
  struct dk_engine_run *run = dk_engine_find_run(engine, number);
  struct dk_store *store = engine->with.folder->store;
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_error error = {0};

  if (!run) return;
  run->record.state = count_run(run);
  run->record.ended_unix_ns = dk_unix_ns();
  const struct dk_purse spent = dk_money_spent(engine);
  run->record.cost = dk_purse_since(&spent, &run->record.before);
  int r = dk_batch_put_run(&batch, &run->record);
  dk_batch_append(&batch, &run->lookup.extra);
  if (r == 0 && run->record.state == DK_RUN_DONE) {
    struct dk_asked what = {engine->with.root, run->record.file, run->record.params};
    r = dk_unchanged_keep(&what, &run->sources, &run->lookup, &run->record, &batch);
  }
  if (r == 0) r = put_durations(run, &batch);
  if (r == 0) r = dk_batch_del_asked(&batch, store, number, &error);
  if (r == 0) r = dk_store_commit(store, &batch, &error);
  dk_batch_finish(&batch);
  if (r < 0) {
    dk_engine_fail(engine, r, &error);
    return;
  }
  run->is_over = true;
  engine->with.observer.ended(engine->with.observer.ctx, number, run->record.state);
  dk_engine_wake(engine);
}

void dk_engine_reap(struct dk_engine *engine) {
  uint32_t kept = 0;

  for (uint32_t i = 0; i < engine->n_runs; i++) {
    struct dk_engine_run *run = engine->runs[i];
    if (run->is_over) {
      dk_core_remove_run(engine->core, run->record.number);
      destroy(run);
    } else {
      engine->runs[kept++] = run;
    }
  }
  engine->n_runs = kept;
}

/* After the core, which borrows their graphs. */
void dk_engine_destroy_runs(struct dk_engine *engine) {
  for (uint32_t i = 0; i < engine->n_runs; i++) destroy(engine->runs[i]);
  dk_free(engine->runs);
}

/* --- what earlier engines left --- */

static int recall_tried(struct past *past, uint32_t task, const struct dk_task_record *record) {
  if (!dk_grow(past->tried, past->n_tried, past->cap_tried)) return -ENOMEM;
  past->tried[past->n_tried++] = (struct dk_core_tried){.task = task,
                                                        .key = record->key,
                                                        .attempt = record->attempt,
                                                        .host = record->host,
                                                        .attempts = record->attempts,
                                                        .cause = (uint8_t)record->cause,
                                                        .code = record->code,
                                                        .tries = record->tries};
  return 0;
}

/* What a run had come to: done ones are done when they are looked up again, failed and cancelled ones stay so, and what
 * was asked of the run, which is asked again, does not touch them a second time; what was tried has that many tries
 * less. */
static int recall_task(void *ctx, uint32_t task, const struct dk_task_record *record) {
  struct past *past = ctx;
  struct dk_engine_run *run = past->run;

  if (task >= run->plan->graph.n_tasks) return -EBADMSG;
  if (record->state == DK_TASK_DONE) run->was_done[task / 8] |= (uint8_t)(1u << (task % 8));
  if (!dk_task_state_is_end(record->state)) {
    bool is_tried = record->attempts > 0 || !dk_tries_is_none(&record->tries);
    return is_tried ? recall_tried(past, task, record) : 0;
  }
  if (!dk_grow(past->ended, past->n_ended, past->cap_ended)) return -ENOMEM;
  past->ended[past->n_ended++] = (struct dk_core_ended){.task = task,
                                                        .state = (uint8_t)record->state,
                                                        .cause = (uint8_t)record->cause,
                                                        .attempts = record->attempts,
                                                        .code = record->code,
                                                        .attempt = record->attempt};
  return 0;
}

static int recall_file(void *ctx, const char *path, const struct dk_digest *digest, bool is_dir) {
  struct past *past = ctx;

  return dk_file_recall(&past->run->lookup, path, digest, is_dir);
}

static int recall_asked(void *ctx, uint32_t n, const struct dk_ask *asked) {
  struct past *past = ctx;

  past->run->n_asked = n;
  return push_asked(past->run, asked);
}

/* The plan that was pinned, made again from the file. */
static int same_plan(struct dk_engine_run *run, struct dk_error *error) {
  dk_autobuf pin = DK_BUF_INIT;
  struct dk_digest digest;
  int r = dk_plan_encode(run->plan, &pin);

  if (r == 0) r = dk_content_of(pin.data, pin.len, &digest);
  if (r < 0) return dk_error_system(error, r, "reading the plan of run %u", run->record.number);
  if (dk_digest_equal(&digest, &run->record.plan)) return 0;
  return dk_error_set(error, -ESTALE,
                      "a file that %s reads and git ignores was changed, or it was planned by another dkrun",
                      run->record.file);
}

static int recall(struct dk_engine *engine, struct dk_engine_run *run, struct dk_asked_run *asked,
                  struct dk_error *error) {
  struct dk_store *store = engine->with.folder->store;
  struct past past = {.run = run};
  dk_autofree struct dk_check_given *given = dk_calloc(asked->n_params + 1, sizeof *given);

  if (!given || !dk_grow(engine->runs, engine->n_runs, engine->cap_runs))
    return dk_error_system(error, -ENOMEM, "going on with a run");
  for (uint32_t i = 0; i < asked->n_params; i++)
    given[i] = (struct dk_check_given){asked->params[i].name, asked->params[i].value};
  int r = dk_code_open_pinned(engine->with.folder->path, run->record.snapshot, &run->snapshot.code, error);
  if (r == 0) r = load(run, run->record.file, given, asked->n_params, environ, error);
  if (r == 0) r = same_plan(run, error);
  if (r == 0) r = init_lookup(run, error);
  if (r == 0 && dk_needs_collect(run->plan, &run->needs) < 0)
    r = dk_error_system(error, -ENOMEM, "going on with a run");
  if (r < 0) return r;
  run->was_done = dk_calloc(run->plan->graph.n_tasks / 8 + 1, 1);
  if (!run->was_done) return dk_error_system(error, -ENOMEM, "going on with a run");
  r = dk_store_each_run_file(store, run->record.number, recall_file, &past, error);
  if (r == 0) r = dk_store_each_task(store, run->record.number, recall_task, &past, error);
  if (r == 0) {
    run->record.engine_pid = (uint32_t)getpid();
    r = dk_batch_put_run(&run->lookup.extra, &run->record);
    int started = start(engine, run, asked, &past, error);
    if (r == 0) r = started;
    if (r == 0) r = dk_store_each_ask(store, run->record.number, recall_asked, &past, error);
    if (r < 0) dk_engine_fail(engine, r, error);
  }
  dk_free(past.ended);
  dk_free(past.tried);
  return r;
}

static bool is_listed(const struct dk_engine *engine, const struct dk_engine_run *run) {
  return engine->n_runs > 0 && engine->runs[engine->n_runs - 1] == run;
}

static int interrupt(struct dk_engine *engine, struct dk_run *record, struct dk_error *error) {
  struct dk_batch batch = DK_BATCH_INIT;

  const struct dk_purse spent = dk_money_spent(engine);
  record->cost = dk_purse_since(&spent, &record->before);
  record->state = DK_RUN_INTERRUPTED;
  int r = dk_batch_put_run(&batch, record);
  if (r == 0) r = dk_batch_del_asked(&batch, engine->with.folder->store, record->number, error);
  if (r == 0) r = dk_store_commit(engine->with.folder->store, &batch, error);
  dk_batch_finish(&batch);
  return r;
}

static void say_interrupted(struct dk_engine *engine, uint32_t number, const struct dk_error *why) {
  struct dk_error text = {0};

  dk_error_set(&text, why->code, "run %u cannot go on: %s", number, why->text);
  dk_engine_say(engine, text.text);
}

/* A run that says "running": its engine is gone, since the folder's lock was free. */
static int take_up(struct dk_engine *engine, uint32_t number, struct dk_error *error) {
  struct dk_engine_run *run = dk_calloc(1, sizeof *run);
  struct dk_asked_run asked = {0};
  struct dk_error why = {0};

  if (!run) return dk_error_system(error, -ENOMEM, "going on with run %u", number);
  run->engine = engine;
  int r = dk_store_get_run(engine->with.folder->store, number, &run->record, error);
  if (r == 0) r = dk_store_get_asked_run(engine->with.folder->store, number, &asked, &why);
  int recalled = r == 0 && !asked.is_foreground ? recall(engine, run, &asked, &why) : 0;
  bool goes_on = r == 0 && !asked.is_foreground && recalled == 0;
  if (r == -ENOENT || r == -EBADMSG) r = 0;
  /* What passes must not end a run: the next engine goes on with it. */
  if (r == 0 && dk_error_is_machine(recalled))
    r = dk_error_set(error, recalled, "run %u cannot go on now: %s", number, why.text);
  if (r == 0 && !goes_on && !is_listed(engine, run)) {
    if (why.code && !asked.is_foreground) say_interrupted(engine, number, &why);
    r = interrupt(engine, &run->record, error);
  }
  if (!is_listed(engine, run)) destroy(run);
  dk_asked_run_finish(&asked);
  return r;
}

struct open_runs {
  uint32_t *numbers;
  uint32_t n, cap, last;
};

static int add_open(struct open_runs *open, uint32_t number) {
  if (!dk_grow(open->numbers, open->n, open->cap)) return -ENOMEM;
  open->numbers[open->n++] = number;
  return 0;
}

static int see_run(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct open_runs *open = ctx;
  struct dk_run run;

  if (dk_store_run_number(key, klen, &open->last) < 0 || dk_run_decode(value, vlen, &run) < 0)
    return 0; /* fsck tells of it; its number is not used again */
  int r = run.state == DK_RUN_RUNNING ? add_open(open, run.number) : 0;
  dk_run_finish(&run);
  return r;
}

int dk_engine_resume(struct dk_engine *engine, struct dk_error *error) {
  struct open_runs open = {.n = 0};
  int r = dk_store_each(engine->with.folder->store, DK_TABLE_RUNS, NULL, 0, see_run, &open, error);

  engine->last_number = open.last;
  if (r == -ENOMEM) dk_error_system(error, r, "going on with earlier runs");
  for (uint32_t i = 0; r == 0 && i < open.n; i++) r = take_up(engine, open.numbers[i], error);
  dk_free(open.numbers);
  return r;
}
