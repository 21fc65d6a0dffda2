/* The run of a plan: see engine.h. What it commits, it tells; what it tells is durable. */
#include "engine/drive/engine_priv.h"
#include "engine/drive/unchanged.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Telling the watcher */

static void note(struct dk_engine *engine, const struct dk_engine_note *note_) {
  engine->observer_at = 0; /* there is something to show */
  engine->with.observer.note(engine->with.observer.ctx, dk_now_ns(), note_);
}

void dk_engine_say(struct dk_engine *engine, const char *text) {
  engine->with.observer.say(engine->with.observer.ctx, text);
}

/* The states that records tell are what is shown: so what is shown as done is durable. */
static void note_record(struct dk_engine *engine, const struct dk_record *record) {
  struct dk_fact *fact = engine->lookup.facts[record->task];
  struct dk_engine_note n = {.task = record->task,
                             .state = record->state,
                             .cause = record->cause,
                             .code = record->code,
                             .attempts = record->attempts};

  if (fact && (n.state == DK_TASK_DONE || n.state == DK_TASK_CACHED)) {
    n.wall_ns = fact->wall_ns;
    n.metrics = &fact->metrics;
    if (engine->with.plan->templates[dk_graph_node_of(&engine->with.plan->graph, record->task, NULL)].kind ==
        DK_NODE_PICK)
      n.choice = &fact->choice;
  }
  if (n.state == DK_TASK_FAILED && engine->bad) n.text = engine->bad[record->task];
  if (n.state == DK_TASK_RUNNING) n.started = record->slot != UINT32_MAX;
  note(engine, &n);
}

/* What act() cannot do ends the run: the core is thrown away, nothing is lost. */
void dk_engine_fail(struct dk_engine *engine, int r, const struct dk_error *error) {
  if (engine->failed == 0) {
    engine->failed = r;
    if (engine->error && error) *engine->error = *error;
  }
}

void dk_engine_remember_bad(struct dk_engine *engine, uint32_t task, const char *text) {
  if (!engine->bad) engine->bad = dk_calloc(engine->with.plan->graph.n_tasks + 1, sizeof *engine->bad);
  if (!engine->bad) return;
  dk_free(engine->bad[task]);
  engine->bad[task] = dk_strdup(text);
}

/* World */

#define MAX_UNHEARD 64u /* events handed out between two looks at the descriptors */

static int world_next(void *ctx, uint64_t deadline_ns, struct dk_event *ret, uint64_t *ret_now) {
  struct dk_engine *engine = ctx;

  for (;;) {
    uint64_t now = dk_now_ns();
    *ret_now = now;
    if (engine->failed < 0) return engine->failed;
    if (now >= engine->observer_at) engine->observer_at = engine->with.observer.tick(engine->with.observer.ctx, now);
    /* Answers bring the next questions: while there are always some, signals, keys and the agent are heard all the same. */
    if (engine->n_queue > 0 && ++engine->n_unheard < MAX_UNHEARD && dk_engine_pop(engine, ret)) return 1;
    if (now >= deadline_ns && engine->n_queue == 0) return 0;
    if (now >= dk_link_deadline(engine->link)) dk_link_tick(engine->link, now);
    bool has_event = engine->n_queue > 0;
    engine->n_unheard = 0;

    uint64_t until = deadline_ns;
    if (engine->observer_at < until) until = engine->observer_at;
    if (dk_link_deadline(engine->link) < until) until = dk_link_deadline(engine->link);
    int r = dk_loop_once(engine->with.loop, has_event ? 0 : until);
    if (r < 0) return r;
    if (has_event && dk_engine_pop(engine, ret)) return 1;
  }
}

/* A task that failed without an attempt (it could not be handed out): its words are kept like those of an attempt, under incarnation 0, which
 * no attempt has. */
static int add_unassigned_failure(struct dk_engine *engine, const struct dk_record *record) {
  struct dk_record with_id = *record, failure = {.kind = DK_REC_FAILURE};
  struct dk_result result = {.cause = DK_CAUSE_SPAWN, .started_unix_ns = dk_unix_ns()};
  dk_autobuf bytes = DK_BUF_INIT;
  int r;

  with_id.cause = (uint8_t)result.cause;
  with_id.id = failure.id = (struct dk_id){0, (uint64_t)record->run << 32 | (record->task + 1)};
  result.text = engine->bad ? engine->bad[record->task] : NULL;
  r = dk_result_encode(&result, &bytes);
  if (r < 0) return r;
  failure.len = (uint32_t)bytes.len;
  r = dk_batch_add_record(&engine->batch, &failure, &bytes);
  return r < 0 ? r : dk_batch_add_record(&engine->batch, &with_id, &bytes);
}

/* A task whose result came in under another name (the same key in this run, or an attempt that was adopted while its result was on
 * the way) learns it from the store. */
static int learn_shared(struct dk_engine *engine, const struct dk_record *record, struct dk_error *error) {
  const struct dk_plan *plan = engine->with.plan;
  struct dk_saved saved;
  int r;

  if ((record->state != DK_TASK_DONE && record->state != DK_TASK_CACHED) || engine->lookup.facts[record->task] ||
      plan->templates[dk_graph_node_of(&plan->graph, record->task, NULL)].kind == DK_NODE_PICK)
    return 0;
  r = dk_store_get_saved(engine->with.folder->store, &record->key, &saved, error);
  if (r < 0) return r;
  r = dk_lookup_learn(&engine->lookup, record->task, &record->key, &saved, error);
  dk_saved_finish(&saved);
  return r;
}

/* The agent's results name objects: they must not be lost by a power cut that spares the record. */
static int world_sync(void *ctx) {
  struct dk_engine *engine = ctx;
  struct dk_error error = {0};
  int r = dk_objects_sync(&engine->with.folder->objects, &error);

  if (r < 0) dk_engine_fail(engine, r, &error);
  return r;
}

static int world_commit(void *ctx, uint64_t seq, const struct dk_record *records, uint32_t n,
                        const struct dk_buf *bytes) {
  struct dk_engine *engine = ctx;
  struct dk_error error = {0};
  int r = 0;

  (void)seq;
  dk_batch_clear(&engine->batch);
  for (uint32_t i = 0; r == 0 && i < n; i++) {
    if (records[i].kind == DK_REC_TASK && records[i].state == DK_TASK_FAILED && dk_id_is_none(records[i].id))
      r = add_unassigned_failure(engine, &records[i]);
    else
      r = dk_batch_add_record(&engine->batch, &records[i], bytes);
  }
  dk_batch_append(&engine->batch, &engine->lookup.extra);
  if (r == 0) r = dk_store_commit(engine->with.folder->store, &engine->batch, &error);
  if (r < 0) {
    dk_engine_fail(engine, r, &error);
    return r;
  }
  if (dk_store_old_readers(engine->with.folder->store, &error)) dk_engine_say(engine, error.text);
  dk_batch_clear(&engine->lookup.extra);
  for (uint32_t i = 0; i < n && r == 0; i++) {
    if (records[i].kind != DK_REC_TASK || records[i].del) continue;
    r = learn_shared(engine, &records[i], &error);
    note_record(engine, &records[i]);
  }
  if (r < 0) dk_engine_fail(engine, r, &error);
  return r;
}

/* The run */

static int commit_run(struct dk_engine *engine, struct dk_error *error) {
  struct dk_batch batch = DK_BATCH_INIT;
  int r = dk_batch_put_run(&batch, &engine->run);

  if (r == 0) r = dk_store_commit(engine->with.folder->store, &batch, error);
  dk_batch_finish(&batch);
  return r;
}

/* An earlier run that still says "running" lost its engine: the lock was free. */
static int close_last_run(struct dk_engine *engine, uint32_t *ret_number, struct dk_error *error) {
  struct dk_run last;
  struct dk_batch batch = DK_BATCH_INIT;
  int r = dk_store_get_run(engine->with.folder->store, 0, &last, error);

  *ret_number = 1;
  if (r == -ENOENT) return 0;
  if (r < 0) return r;
  *ret_number = last.number + 1;
  if (last.state == DK_RUN_RUNNING) {
    last.state = DK_RUN_INTERRUPTED;
    r = dk_batch_put_run(&batch, &last);
    if (r == 0) r = dk_store_commit(engine->with.folder->store, &batch, error);
  }
  dk_batch_finish(&batch);
  dk_run_finish(&last);
  return r;
}

static int record_run(struct dk_engine *engine, struct dk_error *error) {
  const struct dk_engine_options *with = &engine->with;
  dk_autobuf pin = DK_BUF_INIT;
  uint32_t number;
  int r = close_last_run(engine, &number, error);

  if (r < 0) return r;
  engine->run = (struct dk_run){
      .number = number,
      .state = DK_RUN_RUNNING,
      .name = dk_strdup(with->plan->name),
      .file = dk_strdup(with->file),
      .commit = dk_strdup(with->snapshot->commit),
      .snapshot = dk_strdup(with->snapshot->pinned),
      .n_changed = with->snapshot->n_changed,
      .params = dk_strdup(with->params),
      .started_unix_ns = dk_unix_ns(),
      .engine_pid = (uint32_t)getpid(),
  };
  if (!engine->run.name || !engine->run.file || !engine->run.commit || !engine->run.snapshot || !engine->run.params)
    return dk_error_system(error, -ENOMEM, "recording the run");
  r = dk_plan_encode(with->plan, &pin);
  if (r < 0) return dk_error_system(error, r, "recording the plan");
  r = dk_objects_put(&with->folder->objects, pin.data, pin.len, &engine->run.plan, error);
  if (r == 0) r = commit_run(engine, error);
  engine->is_recorded = r == 0;
  return r;
}

/* The core, with what earlier engines left; the incarnation is committed before any attempt carries it (the core's first record). */
static int create_core(struct dk_engine *engine, uint64_t incarnation, struct dk_error *error) {
  struct dk_core_policy policy;
  struct dk_record *records = NULL;
  uint32_t n = 0;
  int r;

  dk_core_policy_default(&policy);
  r = dk_core_create(&engine->core, &policy, incarnation, incarnation);
  if (r < 0) return dk_error_system(error, r, "starting the engine");
  r = dk_store_load_core(engine->with.folder->store, &records, &n, error);
  if (r < 0) return r;
  r = dk_core_load(engine->core, records, n);
  dk_free(records);
  if (r == 0) r = dk_core_add_run(engine->core, engine->run.number, &engine->with.plan->graph, NULL);
  return r < 0 ? dk_error_system(error, r, "starting the engine") : 0;
}

int dk_engine_create(const struct dk_engine_options *options, struct dk_engine **ret, struct dk_error *error) {
  struct dk_engine *engine = dk_calloc(1, sizeof *engine);
  uint64_t incarnation = 0;
  int r;

  *ret = NULL;
  if (!engine) return dk_error_system(error, -ENOMEM, "starting the engine");
  engine->with = *options;
  engine->error = error;
  engine->world = (struct dk_world){engine, world_next, world_sync, world_commit, dk_engine_act};
  if (getrandom(&incarnation, sizeof incarnation, 0) != sizeof incarnation)
    incarnation = dk_unix_ns() ^ (uint64_t)getpid() << 32;

  struct dk_lookup_options lookup = {
      .plan = options->plan,
      .store = options->folder->store,
      .objects = &options->folder->objects,
      .code = options->snapshot->code,
      .root = options->root,
  };
  r = dk_lookup_init(&engine->lookup, &lookup, error);
  if (r == 0) r = record_run(engine, error);
  if (r == 0) r = create_core(engine, incarnation, error);
  if (r == 0) {
    struct dk_link_options link = {
        .provider = options->provider,
        .host = {.state = options->folder->path, .agent_program = options->agent_program, .slots = options->slots},
        .loop = options->loop,
        .incarnation = incarnation,
        .message = dk_engine_message,
        .down = dk_engine_down,
        .ctx = engine,
    };
    dk_store_id(options->folder->store, link.store);
    dk_turn_init(&engine->turn, engine->core, &engine->world);
    r = dk_link_create(&link, &engine->link, error);
  }
  if (r < 0) {
    if (engine->is_recorded) {
      engine->run.state = DK_RUN_INTERRUPTED;
      (void)commit_run(engine, NULL);
    }
    dk_engine_destroy(engine);
    return r;
  }
  *ret = engine;
  return 0;
}

void dk_engine_destroy(struct dk_engine *engine) {
  struct dk_event event;

  if (!engine) return;
  dk_link_destroy(engine->link);
  if (engine->core) dk_turn_finish(&engine->turn);
  dk_core_destroy(engine->core);
  while (dk_engine_pop(engine, &event))
    ;
  dk_free(engine->given_bytes);
  dk_free(engine->queue);
  for (uint32_t i = 0; engine->bad && i < engine->with.plan->graph.n_tasks; i++) dk_free(engine->bad[i]);
  dk_free(engine->bad);
  dk_lookup_finish(&engine->lookup);
  dk_batch_finish(&engine->batch);
  dk_run_finish(&engine->run);
  dk_free(engine);
}

uint32_t dk_engine_run_number(const struct dk_engine *engine) {
  return engine->run.number;
}

/* Counts of tasks, picks left out: what people asked for. A pick that failed has no count, but the run is not done without it. */
static enum dk_run_state count_run(struct dk_engine *engine) {
  struct dk_run *run = &engine->run;
  bool is_done = true;

  run->n_tasks = run->n_done = run->n_cached = run->n_failed = run->n_not_run = 0;
  for (uint32_t i = 0; i < engine->with.plan->n_templates; i++) {
    struct dk_core_counts counts;
    dk_core_counts(engine->core, i, &counts);
    uint32_t failed = counts.by_state[DK_TASK_FAILED];
    uint32_t not_run = counts.by_state[DK_TASK_NOT_RUN] + counts.by_state[DK_TASK_CANCELLED];
    is_done = is_done && failed + not_run == 0;
    if (engine->with.plan->templates[i].kind == DK_NODE_PICK) continue;
    run->n_done += counts.by_state[DK_TASK_DONE];
    run->n_cached += counts.by_state[DK_TASK_CACHED] + counts.by_state[DK_TASK_SKIPPED];
    run->n_failed += failed;
    run->n_not_run += not_run;
  }
  run->n_tasks = run->n_done + run->n_cached + run->n_failed + run->n_not_run;
  return is_done ? DK_RUN_DONE : DK_RUN_FAILED;
}

int dk_engine_run(struct dk_engine *engine, struct dk_error *error) {
  struct dk_event start = {.kind = DK_EV_START};
  int r;

  engine->error = error;
  r = dk_turn_feed(&engine->turn, dk_now_ns(), &start);
  while (r == 0 && engine->failed == 0 && !engine->turn.finished) r = dk_turn_once(&engine->turn);
  engine->error = NULL;
  if (engine->failed < 0) r = engine->failed;
  if (r < 0) {
    if (error && !error->text[0]) dk_error_system(error, r, "the engine had to stop");
    return r;
  }

  engine->run.state = count_run(engine);
  engine->run.ended_unix_ns = dk_unix_ns();
  if (engine->n_cancels > 0) engine->run.state = DK_RUN_INTERRUPTED;
  struct dk_batch batch = DK_BATCH_INIT;
  r = dk_batch_put_run(&batch, &engine->run);
  dk_batch_append(&batch, &engine->lookup.extra);
  if (r == 0 && engine->run.state == DK_RUN_DONE && engine->with.sources) {
    struct dk_asked asked = {engine->with.root, engine->with.file, engine->with.params};
    r = dk_unchanged_keep(&asked, engine->with.sources, &engine->lookup, &engine->run, &batch);
  }
  if (r == 0) r = dk_store_commit(engine->with.folder->store, &batch, error);
  dk_batch_finish(&batch);
  return r;
}

void dk_engine_cancel(struct dk_engine *engine, bool hard) {
  struct dk_event event = {.kind = DK_EV_CANCEL, .u.cancel.hard = hard};

  engine->n_cancels++;
  dk_engine_push(engine, &event, NULL);
}
