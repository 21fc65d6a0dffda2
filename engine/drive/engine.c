/* The engine: see engine.h. What it commits, it tells; what it tells is durable. */
#include "engine/drive/engine_priv.h"
#include "engine/drive/job.h"
#include "engine/drive/pull.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Telling watchers */

void dk_engine_say(struct dk_engine *engine, const char *text) {
  engine->observer_at = 0; /* there is something to show */
  engine->with.observer.say(engine->with.observer.ctx, text);
}

void dk_engine_wake(struct dk_engine *engine) {
  engine->is_woken = true;
}

/* The states that records tell are what is shown: so what is shown as done is durable. */
static void note_record(struct dk_engine_run *run, const struct dk_record *record) {
  struct dk_engine *engine = run->engine;
  struct dk_fact *fact = run->lookup.facts[record->task];
  struct dk_engine_note n = {.task = record->task,
                             .state = record->state,
                             .cause = record->cause,
                             .code = record->code,
                             .attempts = record->attempts};

  if (fact && (n.state == DK_TASK_DONE || n.state == DK_TASK_CACHED)) {
    n.wall_ns = fact->wall_ns;
    n.metrics = &fact->metrics;
    if (dk_plan_template(run->plan, record->task, NULL)->kind == DK_NODE_PICK) n.choice = &fact->choice;
  }
  /* What the next try gets, where that is more than what this one had. */
  if (n.state == DK_TASK_BACKOFF && n.cause == DK_CAUSE_OOM && record->tries.oom > 0) {
    uint64_t most = dk_fleet_memory(engine, UINT32_MAX);
    n.memory = dk_job_memory(run->plan, record->task, record->tries.oom, most);
    if (n.memory == dk_job_memory(run->plan, record->task, record->tries.oom - 1u, most)) n.memory = 0;
  }
  if (n.state == DK_TASK_FAILED && run->bad) n.text = run->bad[record->task];
  if (n.state == DK_TASK_RUNNING) n.started = record->slot != UINT32_MAX;
  engine->observer_at = 0; /* there is something to show */
  engine->with.observer.note(engine->with.observer.ctx, record->run, &n);
}

void dk_engine_fail(struct dk_engine *engine, int r, const struct dk_error *error) {
  if (engine->failed == 0) {
    engine->failed = r;
    if (engine->error && error) *engine->error = *error;
  }
}

/* World */

#define MAX_UNHEARD 64u /* events handed out between two looks at the descriptors */

static int world_next(void *ctx, uint64_t deadline_ns, struct dk_event *ret, uint64_t *ret_now) {
  struct dk_engine *engine = ctx;

  for (;;) {
    uint64_t now = dk_now_ns();
    *ret_now = now;
    if (engine->failed < 0) return engine->failed;
    if (engine->is_woken) {
      engine->is_woken = false;
      return engine->n_queue > 0 && dk_engine_pop(engine, ret);
    }
    if (now >= engine->observer_at) engine->observer_at = engine->with.observer.tick(engine->with.observer.ctx, now);
    /* Answers bring the next questions: while there are always some, signals, keys and the agent are heard all the
     * same. */
    if (engine->n_queue > 0 && ++engine->n_unheard < MAX_UNHEARD && dk_engine_pop(engine, ret)) return 1;
    if (now >= deadline_ns && engine->n_queue == 0) return 0;
    dk_fleet_tick(engine, now);
    dk_rentals_tick(engine->rentals, now);
    dk_reaches_tick(engine, now);
    bool has_event = engine->n_queue > 0;
    engine->n_unheard = 0;

    uint64_t until = deadline_ns;
    if (engine->observer_at < until) until = engine->observer_at;
    uint64_t hosts_at = dk_fleet_deadline(engine);
    if (hosts_at < until) until = hosts_at;
    uint64_t rentals_at = dk_rentals_deadline(engine->rentals);
    if (rentals_at < until) until = rentals_at;
    if (engine->reaches.tick_at < until) until = engine->reaches.tick_at;
    int r = dk_loop_once(engine->with.loop, has_event ? 0 : until);
    if (r < 0) return r;
    if (has_event && dk_engine_pop(engine, ret)) return 1;
  }
}

/* A task that failed without an attempt (it could not be handed out): its words are kept like those of an attempt,
 * under incarnation 0, which no attempt has. */
static int add_unassigned_failure(struct dk_engine *engine, const struct dk_engine_run *run,
                                  const struct dk_record *record) {
  struct dk_record with_id = *record, failure = {.kind = DK_REC_FAILURE};
  struct dk_result result = {.cause = DK_CAUSE_SPAWN, .started_unix_ns = dk_unix_ns()};
  dk_autobuf bytes = DK_BUF_INIT;
  int r;

  with_id.cause = (uint8_t)result.cause;
  with_id.id = failure.id = (struct dk_id){0, (uint64_t)record->run << 32 | (record->task + 1)};
  result.text = run && run->bad ? run->bad[record->task] : NULL;
  r = dk_result_encode(&result, &bytes);
  if (r < 0) return r;
  failure.len = (uint32_t)bytes.len;
  r = dk_batch_add_record(&engine->batch, &failure, &bytes);
  return r < 0 ? r : dk_batch_add_record(&engine->batch, &with_id, &bytes);
}

/* A task whose result came in under another name (the same key in this run, or an attempt that was adopted while its
 * result was on the way) learns it from the store. */
static int learn_shared(struct dk_engine_run *run, const struct dk_record *record, struct dk_error *error) {
  const struct dk_fact *fact = run->lookup.facts[record->task];
  struct dk_saved saved;
  int r;

  if ((record->state != DK_TASK_DONE && record->state != DK_TASK_CACHED) || (fact && !fact->is_lost) ||
      dk_plan_template(run->plan, record->task, NULL)->kind == DK_NODE_PICK)
    return 0;
  r = dk_store_get_saved(run->engine->with.folder->store, &record->key, &saved, error);
  if (r < 0) return r;
  r = dk_lookup_learn(&run->lookup, record->task, &record->key, &saved, error);
  dk_saved_finish(&saved);
  return r;
}

/* Objects that the agent's results name must not be lost by a power cut that spares the record. What has no outputs and
 * little to say names none, and a sync of the file system costs more than all else that is done for such a task. */
static int world_sync(void *ctx) {
  struct dk_engine *engine = ctx;
  struct dk_error error = {0};

  if (!engine->has_unsynced) return 0;
  int r = dk_objects_sync(&engine->with.folder->objects, &error);
  engine->has_unsynced = r < 0;
  if (r < 0) dk_engine_fail(engine, r, &error);
  return r;
}

static int add_record(struct dk_engine *engine, const struct dk_record *record, const struct dk_buf *bytes) {
  if (record->kind == DK_REC_TASK && record->state == DK_TASK_FAILED && dk_id_is_none(record->id))
    return add_unassigned_failure(engine, dk_engine_find_run(engine, record->run), record);
  return dk_batch_add_record(&engine->batch, record, bytes);
}

/* What was lost is there again, or will not come: those that wait for it may be handed out now (fleet_place.c). */
static void end_of_lost(struct dk_engine_run *run, const struct dk_record *record) {
  struct dk_fact *fact = run->lookup.facts[record->task];

  if (!run->n_lost || !run->n_lost[record->task] || !dk_task_state_is_end(record->state)) return;
  if (fact && fact->is_lost) fact->is_given_up = record->state != DK_TASK_DONE && record->state != DK_TASK_CACHED;
  dk_engine_push(run->engine, &(struct dk_event){.kind = DK_EV_TICK}, NULL);
}

/* What is durable now is told. */
static int tell(struct dk_engine *engine, const struct dk_record *record, struct dk_error *error) {
  struct dk_engine_run *run = dk_engine_find_run(engine, record->run);

  if (!run || record->kind != DK_REC_TASK || record->del) return 0;
  if (record->state == DK_TASK_CANCELLED) dk_lookup_forget(&run->lookup, record->task);
  int r = learn_shared(run, record, error);
  end_of_lost(run, record);
  note_record(run, record);
  return r;
}

static int world_commit(void *ctx, uint64_t seq, const struct dk_record *records, uint32_t n,
                        const struct dk_buf *bytes) {
  struct dk_engine *engine = ctx;
  struct dk_error error = {0};
  int r = 0;

  (void)seq;
  dk_batch_clear(&engine->batch);
  for (uint32_t i = 0; r == 0 && i < n; i++) r = add_record(engine, &records[i], bytes);
  for (uint32_t i = 0; i < engine->n_runs; i++) dk_batch_append(&engine->batch, &engine->runs[i]->lookup.extra);
  dk_batch_append(&engine->batch, &engine->extra);
  dk_fleet_record(engine);
  if (r == 0) r = dk_store_commit(engine->with.folder->store, &engine->batch, &error);
  if (r < 0) {
    dk_engine_fail(engine, r, &error);
    return r;
  }
  if (dk_store_old_readers(engine->with.folder->store, &error)) dk_engine_say(engine, error.text);
  for (uint32_t i = 0; i < engine->n_runs; i++) dk_batch_clear(&engine->runs[i]->lookup.extra);
  dk_batch_clear(&engine->extra);
  for (uint32_t i = 0; i < n && r == 0; i++) r = tell(engine, &records[i], &error);
  if (r < 0) dk_engine_fail(engine, r, &error);
  return r;
}

/* The core, with what earlier engines left; the incarnation is committed before any attempt carries it (the core's
 * first record). */
static int create_core(struct dk_engine *engine, uint64_t incarnation, struct dk_error *error) {
  struct dk_core_policy policy;
  struct dk_record *records = NULL;
  uint32_t n = 0;
  int r;

  dk_core_policy_default(&policy);
  policy.place = dk_fleet_cost;
  policy.place_ctx = engine;
  engine->lost_after_ns = policy.lost_after_ns;
  r = dk_core_create(&engine->core, &policy, incarnation, incarnation);
  if (r < 0) return dk_error_system(error, r, "starting the engine");
  r = dk_store_load_core(engine->with.folder->store, &records, &n, error);
  if (r < 0) return r;
  for (uint32_t i = 0; i < n; i++)
    engine->has_left_here |= records[i].kind == DK_REC_ATTEMPT && records[i].host == DK_HOST_LOCAL;
  r = dk_core_load(engine->core, records, n);
  dk_free(records);
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
  dk_reaches_init(&engine->reaches);
  (void)gethostname(engine->host, sizeof engine->host - 1); /* the zero behind it stays */
  engine->world = (struct dk_world){engine, world_next, world_sync, world_commit, dk_engine_act};
  if (getrandom(&incarnation, sizeof incarnation, 0) != sizeof incarnation)
    incarnation = dk_unix_ns() ^ (uint64_t)getpid() << 32;

  r = create_core(engine, incarnation, error);
  dk_machine_look("", &engine->machine);
  if (r == 0) {
    dk_store_id(options->folder->store, engine->store_id);
    engine->incarnation = incarnation;
    dk_turn_init(&engine->turn, engine->core, &engine->world);
    r = dk_pulls_create(engine, &engine->pulls);
    if (r < 0) dk_error_system(error, r, "starting the engine");
    if (r == 0) r = dk_fleet_recall(engine, error);
    if (r == 0) r = dk_rentals_create(engine, &engine->rentals, error);
    if (r == 0) r = dk_fleet_apply(engine, options->hosts, error);
  }
  if (r == 0) r = dk_engine_resume(engine, error);
  engine->error = NULL;
  if (r == 0 && engine->failed < 0) r = engine->failed;
  if (r < 0) {
    dk_engine_destroy(engine);
    return r;
  }
  *ret = engine;
  return 0;
}

void dk_engine_destroy(struct dk_engine *engine) {
  struct dk_event event;

  if (!engine) return;
  dk_reaches_finish(engine);
  dk_fleet_destroy(engine);
  dk_rentals_destroy(engine->rentals); /* hosts borrow from it */
  dk_pulls_destroy(engine->pulls);
  if (engine->core) dk_turn_finish(&engine->turn);
  dk_core_destroy(engine->core);
  while (dk_engine_pop(engine, &event))
    ;
  dk_free(engine->given_bytes);
  dk_free(engine->queue);
  dk_engine_destroy_runs(engine);
  for (uint32_t i = 0; i < engine->n_loaded; i++) {
    dk_hosts_finish(engine->loaded[i]);
    dk_free(engine->loaded[i]);
  }
  dk_free(engine->loaded);
  dk_batch_finish(&engine->batch);
  dk_batch_finish(&engine->extra);
  dk_free(engine);
}

bool dk_engine_has_run(const struct dk_engine *engine, uint32_t run) {
  return dk_engine_find_run(engine, run) != NULL;
}

uint32_t dk_engine_n_runs(const struct dk_engine *engine) {
  return engine->n_runs;
}

uint32_t dk_engine_n_rented(const struct dk_engine *engine) {
  return dk_rentals_count(engine->rentals);
}

bool dk_engine_has_released(const struct dk_engine *engine) {
  return dk_rentals_are_leaving(engine->rentals);
}

int dk_engine_release(struct dk_engine *engine, const char *name, bool is_hard, struct dk_error *error) {
  return dk_rentals_release(engine->rentals, name, is_hard, error);
}

int dk_engine_turn(struct dk_engine *engine, struct dk_error *error) {
  engine->error = error;
  int r = dk_turn_once(&engine->turn);
  engine->error = NULL;
  if (engine->failed < 0) r = engine->failed;
  if (r < 0 && error && !error->text[0]) dk_error_system(error, r, "the engine had to stop");
  if (r == 0) dk_engine_reap(engine);
  return r;
}
