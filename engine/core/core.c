/* The door of the core: create, load, step. What happens to whom is in task.c (tasks), run.c (what is asked of runs),
 * session.c (the agent's events), schedule.c (what next) and place.c (where). */
#include "engine/core/place.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>

#define SECOND UINT64_C(1000000000)

void dk_core_policy_default(struct dk_core_policy *ret) {
  *ret = (struct dk_core_policy){.lost_after_ns = 60 * SECOND,
                                 .backoff_ns = SECOND,
                                 .backoff_max_ns = 300 * SECOND,
                                 .queue_per_slot = 2,
                                 .recall_ns = SECOND,
                                 .max_out = 1024};
}

int dk_core_create(struct dk_core **ret, const struct dk_core_policy *policy, uint64_t incarnation,
                   uint64_t jitter_seed) {
  struct dk_core *core = dk_calloc(1, sizeof *core);
  *ret = core;
  if (!core) return -ENOMEM;
  core->policy = *policy;
  core->jitter = jitter_seed;
  core->incarnation = incarnation;
  core->next_n = 1;
  core->news = 1;
  core->recall_at = UINT64_MAX;
  core->free_claim = core->free_attempt = core->free_share = DK_NONE;
  core->draining = core->retired[0] = core->retired[1] = DK_NONE;
  dk_index_init(&core->claim_by_key);
  dk_index_init(&core->attempt_by_id);
  dk_index_init(&core->unclaimed_by_key);
  return 0;
}

void dk_core_destroy(struct dk_core *core) {
  if (!core) return;
  dk_run_destroy_all(core);
  dk_claim_finish(core);
  dk_attempt_finish(core);
  dk_host_finish(core);
  dk_retry_finish(core);
  dk_free(core);
}

/* An incarnation that has been used goes on above the numbers it has taken: no attempt id is ever made twice. */
static void take_no_number_twice(struct dk_core *core, uint64_t taken) {
  if (taken < core->next_n) return;
  core->base = taken;
  core->next_n = taken + 1;
}

int dk_core_load(struct dk_core *core, const struct dk_record *records, uint32_t n) {
  assert(core->n_runs == 0);
  for (uint32_t i = 0; i < n; i++) {
    const struct dk_record *record = &records[i];
    if (record->del) continue;
    if (record->kind == DK_REC_INCARNATION) {
      core->saved.inc = record->id.inc;
      core->saved.counter = record->counter;
      if (record->id.inc == core->incarnation) take_no_number_twice(core, record->counter);
    } else if (record->kind == DK_REC_ATTEMPT) {
      struct dk_attempt loaded = {.id = record->id,
                                  .key = record->key,
                                  .run = record->run,
                                  .task = record->task,
                                  .made_by = record->run,
                                  .host = record->host,
                                  .booked = record->booked ? record->booked : 1};
      if (record->id.inc == core->incarnation) take_no_number_twice(core, record->id.n);
      core->n_loaded++;
      if (dk_attempt_find(core, record->id) == DK_NONE) dk_attempt_add(core, &loaded);
    }
  }
  return core->is_failed ? -ENOMEM : 0;
}

static void dispatch(struct dk_core *core, const struct dk_event *event) {
  switch (event->kind) {
  case DK_EV_TICK: break;
  case DK_EV_GAP: dk_host_gap(core); break;
  case DK_EV_LOOKED_UP: dk_schedule_looked_up(core, event); break;
  case DK_EV_DECIDED: dk_schedule_decided(core, event); break;
  case DK_EV_COPY_LOST: dk_schedule_copy_lost(core, event); break;
  case DK_EV_START:
  case DK_EV_CANCEL:
  case DK_EV_PAUSE:
  case DK_EV_RESUME:
  case DK_EV_PRIORITY: dk_run_event(core, event); break;
  case DK_EV_AGENT_UP:
  case DK_EV_AGENT_DOWN:
  case DK_EV_HAS:
  case DK_EV_HAS_END:
  case DK_EV_STARTED:
  case DK_EV_REFUSED:
  case DK_EV_REVOKED:
  case DK_EV_ENDED: dk_session_event(core, event); break;
  case DK_EV_HOST_ADDED:
  case DK_EV_HOST_REMOVED: dk_host_event(core, event); break;
  }
}

static bool has_more(const struct dk_core *core) {
  if (dk_emit_is_full(core) || core->draining != DK_NONE || !dk_run_is_done_stopping(core)) return true;
  for (uint32_t i = 0; i < core->n_runs; i++) {
    if (!dk_task_is_done_telling(core->runs[i])) return true;
  }
  return false;
}

int dk_core_step(struct dk_core *core, uint64_t now_ns, uint64_t seq, const struct dk_event *event,
                 struct dk_out *out) {
  if (core->is_failed) return -ENOMEM;
  assert(now_ns >= core->now && seq >= core->seq);
  core->now = now_ns;
  core->seq = seq;
  core->out = out;
  core->out_limit = out->n_records + out->n_actions + core->policy.max_out;
  core->has_ended = false;
  dk_place_note(core, event);
  dispatch(core, event);
  dk_host_pass_time(core);
  dk_retry_due(core);
  dk_run_stop(core);
  dk_claim_drain(core);
  dk_task_propagate(core);
  dk_schedule_load(core);
  dk_place_recheck(core);
  dk_schedule_assign(core);
  dk_recall(core);
  core->is_cut = has_more(core);
  if (!core->is_cut) dk_run_end(core);
  out->more = core->is_cut;
  out->urgent |= dk_schedule_is_urgent(core);
  core->out = NULL;
  return core->is_failed ? -ENOMEM : 0;
}

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

uint64_t dk_core_deadline(const struct dk_core *core) {
  if (core->is_cut || dk_place_is_checking(core)) return core->now;
  return earlier(dk_retry_next(core), earlier(dk_host_deadline(core), dk_schedule_deadline(core)));
}

/* Callers name runs that are there. */
static const struct dk_core_run *run_of(const struct dk_core *core, uint32_t number) {
  const struct dk_core_run *run = dk_run_find(core, number);
  assert(run);
  return run;
}

void dk_core_counts(const struct dk_core *core, uint32_t run, uint32_t node, struct dk_core_counts *ret) {
  const struct dk_core_run *of = run_of(core, run);
  const struct dk_node_count *count = node == UINT32_MAX ? &of->all : &of->nodes[node];
  *ret = (struct dk_core_counts){.queued_at_agent = count->queued, .started = count->started};
  for (uint32_t i = 0; i < DK_N_STATES; i++) ret->by_state[i] = count->by_state[i];
}

enum dk_task_state dk_core_task_state(const struct dk_core *core, uint32_t run, uint32_t task) {
  return run_of(core, run)->state[task];
}

struct dk_id dk_core_task_attempt(const struct dk_core *core, uint32_t run, uint32_t task) {
  const struct dk_core_run *of = run_of(core, run);
  struct dk_id none = {0, 0};
  switch ((enum dk_task_state)of->state[task]) {
  case DK_TASK_WAITING:
  case DK_TASK_LOOKUP:
  case DK_TASK_SHARED: return none;
  case DK_TASK_READY:
  case DK_TASK_RUNNING:
  case DK_TASK_BACKOFF: return core->claims[of->word[task]].last;
  default: break;
  }
  if (of->flags[task] & TASK_FOREIGN) return of->foreign[of->word[task]];
  return of->word[task] ? (struct dk_id){core->incarnation, core->base + of->word[task]} : none;
}

const struct dk_digest *dk_core_attempt_key(const struct dk_core *core, struct dk_id id) {
  uint32_t i = dk_attempt_find(core, id);
  return i == DK_NONE ? NULL : &core->attempts[i].key;
}

uint32_t dk_core_attempt_host(const struct dk_core *core, struct dk_id id) {
  uint32_t i = dk_attempt_find(core, id);
  return i == DK_NONE ? DK_HOSTS_MAX : core->attempts[i].host;
}

bool dk_core_attempt_task(const struct dk_core *core, struct dk_id id, uint32_t *ret_run, uint32_t *ret_task) {
  uint32_t i = dk_attempt_find(core, id);
  if (i == DK_NONE || core->attempts[i].claim == DK_NONE) return false;
  *ret_run = core->claims[core->attempts[i].claim].run->number;
  *ret_task = core->claims[core->attempts[i].claim].task;
  return true;
}

uint32_t dk_core_unclaimed(const struct dk_core *core, uint32_t host) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < core->n_attempts && core->n_unclaimed; i++) {
    const struct dk_attempt *attempt = &core->attempts[i];
    n += attempt->is_used && attempt->host == host && attempt->claim == DK_NONE && attempt->task != DK_NO_TASK;
  }
  return n;
}

uint32_t dk_core_living(const struct dk_core *core, uint32_t host) {
  return host < core->n_hosts ? core->hosts[host].n_living : 0;
}

uint32_t dk_core_spare_jobs(const struct dk_core *core, uint32_t run) {
  const struct dk_core_run *of = run_of(core, run);
  if (of->jobs == 0) return UINT32_MAX;
  return of->jobs > of->booked ? of->jobs - of->booked : 0;
}

uint32_t dk_core_next_ready(const struct dk_core *core, uint32_t run, uint32_t from) {
  const struct dk_core_run *of = run_of(core, run);
  if (of->is_paused || (of->jobs > 0 && of->booked >= of->jobs)) return UINT32_MAX;
  uint32_t next = dk_bits_next(&of->aside, from);
  for (uint32_t i = 0; i < of->n_lanes; i++) {
    uint32_t in_lane = dk_bits_next(&of->lanes[i].ready, from);
    if (in_lane < next) next = in_lane;
  }
  return next;
}

uint64_t dk_core_session(const struct dk_core *core, uint32_t host) {
  return host < core->n_hosts ? core->hosts[host].session : 0;
}

void dk_out_clear(struct dk_out *out) {
  out->n_records = out->n_actions = 0;
  dk_buf_clear(&out->bytes);
  out->more = out->urgent = false;
}

void dk_out_finish(struct dk_out *out) {
  dk_free(out->records);
  dk_free(out->actions);
  dk_buf_finish(&out->bytes);
  *out = (struct dk_out){0};
}
