/* What is asked of runs: adding and removing, cancel, pause, priority. Tasks that are cancelled end when nothing of
 * them is left at the agent; a claim that others share goes on under one of those. */
#include "engine/core/internal.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static uint32_t position(const struct dk_core *core, uint32_t number) {
  uint32_t i = 0;
  while (i < core->n_runs && core->runs[i]->number < number) i++;
  return i;
}

struct dk_core_run *dk_run_find(const struct dk_core *core, uint32_t number) {
  uint32_t i = position(core, number);
  return i < core->n_runs && core->runs[i]->number == number ? core->runs[i] : NULL;
}

/* --- the order of lanes --- */

static bool is_before(const struct dk_core_turn *a, const struct dk_core_turn *b) {
  int32_t x = a->run->lanes[a->lane].priority, y = b->run->lanes[b->lane].priority;
  return x != y ? x > y : a->run->number < b->run->number;
}

/* A handful of runs with a lane or two each: an insertion sort, made anew when one changes. */
static int order_lanes(struct dk_core *core) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < core->n_runs; i++) n += core->runs[i]->n_lanes;
  if (n > core->cap_turns) {
    struct dk_core_turn *turns = dk_realloc_array(core->turns, 2 * (size_t)n, sizeof *turns);
    if (!turns) return -ENOMEM;
    core->turns = turns;
    core->cap_turns = 2 * n;
  }
  core->n_turns = 0;
  for (uint32_t i = 0; i < core->n_runs; i++) {
    for (uint32_t lane = 0; lane < core->runs[i]->n_lanes; lane++) {
      struct dk_core_turn turn = {core->runs[i], lane};
      uint32_t at = core->n_turns++;
      for (; at > 0 && is_before(&turn, &core->turns[at - 1]); at--) core->turns[at] = core->turns[at - 1];
      core->turns[at] = turn;
    }
  }
  return 0;
}

/* The lane of a priority, made when there is none. When there are too many, the one that is nearest. DK_NONE: no
 * memory. */
static uint32_t find_lane(struct dk_core_run *run, int32_t priority) {
  uint32_t nearest = 1;
  for (uint32_t i = 1; i < run->n_lanes; i++) {
    int64_t far = (int64_t)run->lanes[i].priority - priority, best = (int64_t)run->lanes[nearest].priority - priority;
    if (far == 0) return i;
    if ((far < 0 ? -far : far) < (best < 0 ? -best : best)) nearest = i;
  }
  if (run->n_lanes == DK_LANES_MAX) return nearest;
  struct dk_lane lane = {.priority = priority};
  uint32_t n = run->graph->n_tasks ? run->graph->n_tasks : 1;
  int r = dk_bits_init(&lane.pending, n);
  if (r == 0) r = dk_bits_init(&lane.ready, n);
  if (r == 0) r = dk_bits_init(&lane.fresh, n);
  if (r < 0) {
    dk_bits_finish(&lane.pending);
    dk_bits_finish(&lane.ready);
    return DK_NONE;
  }
  run->lanes[run->n_lanes] = lane;
  return run->n_lanes++;
}

/* --- adding --- */

static void destroy(struct dk_core_run *run) {
  dk_task_finish(run);
  dk_free(run->order);
  dk_free(run->tried);
  dk_free(run);
}

static int make(struct dk_core_run *run, const struct dk_core_run_options *options) {
  uint32_t n_nodes = options->graph->n_nodes;
  run->lanes = dk_calloc(DK_LANES_MAX, sizeof *run->lanes);
  if (!run->lanes) return -ENOMEM;
  int r = dk_task_init(run, options->wanted);
  if (r == 0) r = dk_tried_init(run, options->tried, options->n_tried);
  if (r < 0 || !options->order) return r;
  run->order = dk_memdup(options->order, n_nodes * sizeof *run->order);
  return run->order ? 0 : -ENOMEM;
}

int dk_core_add_run(struct dk_core *core, const struct dk_core_run_options *options) {
  assert(!dk_run_find(core, options->run));
  if (!dk_grow(core->runs, core->n_runs, core->cap_runs)) return -ENOMEM;
  struct dk_core_run *run = dk_calloc(1, sizeof *run);
  if (!run) return -ENOMEM;
  *run = (struct dk_core_run){
      .number = options->run, .graph = options->graph, .jobs = options->jobs, .is_paused = options->paused};
  if (make(run, options) < 0) {
    destroy(run);
    return -ENOMEM;
  }
  run->lanes[0].priority = options->priority;
  uint32_t at = position(core, options->run);
  memmove(core->runs + at + 1, core->runs + at, (core->n_runs++ - at) * sizeof *core->runs);
  core->runs[at] = run;
  for (uint32_t i = 0; i < options->n_ended; i++) dk_task_restore(core, run, &options->ended[i]);
  if (order_lanes(core) < 0) core->is_failed = true;
  return core->is_failed ? -ENOMEM : 0;
}

void dk_core_remove_run(struct dk_core *core, uint32_t number) {
  uint32_t at = position(core, number);
  assert(at < core->n_runs && core->runs[at]->number == number);
  assert(core->runs[at]->is_finished || !core->runs[at]->is_started);
  destroy(core->runs[at]);
  memmove(core->runs + at, core->runs + at + 1, (--core->n_runs - at) * sizeof *core->runs);
  (void)order_lanes(core); /* fewer than before: nothing is allocated */
}

bool dk_core_has_run(const struct dk_core *core, uint32_t run) {
  return dk_run_find(core, run) != NULL;
}

void dk_run_destroy_all(struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_runs; i++) destroy(core->runs[i]);
  dk_free(core->runs);
  dk_free(core->turns);
}

/* --- what is asked --- */

static bool is_asked(const struct dk_event *event, uint32_t task) {
  return !event->u.ask.tasks || event->u.ask.tasks[task / 8] >> (task % 8) & 1;
}

bool dk_run_has_left(const struct dk_core_run *run, const struct dk_attempt *attempt) {
  if (!attempt->is_used || attempt->claim != DK_NONE || attempt->run != run->number) return false;
  if (attempt->task == DK_NO_TASK) return true;
  return attempt->task < run->graph->n_tasks && (run->is_cancelled || run->flags[attempt->task] & TASK_STOPPED);
}

/* Attempts that no task claims: they were given up, or the task has not been looked up yet in this life of its run. */
static void stop_unclaimed(struct dk_core *core, const struct dk_core_run *run, const struct dk_event *event) {
  for (uint32_t i = 0; i < core->n_attempts && core->n_unclaimed; i++) {
    const struct dk_attempt *attempt = &core->attempts[i];
    bool is_its = dk_run_has_left(run, attempt) && (attempt->task == DK_NO_TASK || is_asked(event, attempt->task));
    if (is_its && !dk_claim_is_wanted(core, dk_claim_find(core, &attempt->key))) /* else that takes it back */
      dk_session_stop(core, i, event->u.ask.hard, true);
  }
}

static void cancel_task(struct dk_core_run *run, uint32_t task, const struct dk_event *event) {
  run->flags[task] |= (uint8_t)(TASK_STOPPED | (event->u.ask.hard ? TASK_HARD : 0));
  dk_task_queue(run, task);
  if (!(run->flags[task] & TASK_RESTORED) && !dk_task_state_is_end(run->state[task])) dk_bits_add(&run->stopping, task);
}

/* An order that has not started comes back; what runs goes on. Others that want the same need not wait. */
static void keep_back(struct dk_core *core, struct dk_core_run *run, uint32_t task) {
  if (run->state[task] == DK_TASK_RUNNING) dk_session_revoke(core, core->claims[run->word[task]].attempt);
  if (run->state[task] == DK_TASK_READY) dk_claim_yield(core, run->word[task]);
}

static void let_go(struct dk_core *core, struct dk_core_run *run, uint32_t task) {
  run->flags[task] &= (uint8_t)~TASK_HELD;
  dk_task_queue(run, task);
  if (run->state[task] == DK_TASK_SHARED) dk_claim_yield(core, core->shares[run->word[task]].claim);
}

static void set_lane(struct dk_core *core, struct dk_core_run *run, uint32_t task, uint32_t lane) {
  if (!run->lane_of) run->lane_of = dk_calloc(run->graph->n_tasks, sizeof *run->lane_of);
  if (!run->lane_of) {
    core->is_failed = true;
    return;
  }
  dk_task_unqueue(run, task);
  run->lane_of[task] = (uint8_t)lane;
  dk_task_queue(run, task);
}

static void ask_task(struct dk_core *core, struct dk_core_run *run, uint32_t task, const struct dk_event *event,
                     uint32_t lane) {
  bool is_whole = !event->u.ask.tasks;
  switch (event->kind) {
  case DK_EV_CANCEL: cancel_task(run, task, event); break;
  case DK_EV_PAUSE:
    if (!is_whole) run->flags[task] |= TASK_HELD;
    if (!is_whole) dk_task_queue(run, task);
    keep_back(core, run, task);
    break;
  case DK_EV_RESUME: let_go(core, run, task); break; /* of the whole run: all of it */
  case DK_EV_PRIORITY:
    if (!is_whole) set_lane(core, run, task, lane);
    break;
  default: break;
  }
}

/* Before its tasks are asked. */
static void ask_run(struct dk_core *core, struct dk_core_run *run, const struct dk_event *event, uint32_t *ret_lane) {
  bool is_whole = !event->u.ask.tasks;
  if (event->kind == DK_EV_CANCEL && is_whole) run->is_cancelled = true;
  if (event->kind == DK_EV_PAUSE && is_whole) run->is_paused = true;
  if (event->kind == DK_EV_RESUME && is_whole) run->is_paused = false;
  if (event->kind != DK_EV_PRIORITY) return;
  if (is_whole)
    run->lanes[0].priority = event->u.ask.priority;
  else
    *ret_lane = find_lane(run, event->u.ask.priority);
  if (*ret_lane == DK_NONE || order_lanes(core) < 0) core->is_failed = true;
}

void dk_run_event(struct dk_core *core, const struct dk_event *event) {
  struct dk_core_run *run = dk_run_find(core, event->run);
  uint32_t lane = 0;
  if (!run || run->is_finished) return;
  if (event->kind == DK_EV_START) {
    run->is_started = true;
    return;
  }
  ask_run(core, run, event, &lane);
  for (uint32_t task = 0; task < run->graph->n_tasks && !core->is_failed; task++) {
    if (!is_asked(event, task)) continue;
    /* What has a result stays so; but it may have to be made again (COPY_LOST). */
    bool is_over = dk_task_state_is_end(run->state[task]) && !dk_task_has_result(run, task);
    if (run->flags[task] & TASK_UNWANTED || is_over) continue;
    ask_task(core, run, task, event, lane);
  }
  if (event->kind == DK_EV_CANCEL) stop_unclaimed(core, run, event);
}

/* --- what was cancelled --- */

static void stop_claimed(struct dk_core *core, struct dk_core_run *run, uint32_t task) {
  uint32_t i = run->word[task];
  if (dk_claim_pass(core, i)) {
    dk_task_do(core, run, task, TASK_CANCEL, &core->claims[i]);
    dk_claim_yield(core, i);
  } else if (run->state[task] == DK_TASK_RUNNING) {
    dk_session_stop(core, core->claims[i].attempt, run->flags[task] & TASK_HARD, true);
  } else {
    dk_claim_end(core, i, TASK_CANCEL, DK_CAUSE_KILLED, 0);
  }
}

static void stop_task(struct dk_core *core, struct dk_core_run *run, uint32_t task) {
  switch ((enum dk_task_state)run->state[task]) {
  case DK_TASK_LOOKUP:
    core->facts_seq = core->seq; /* the world may have found its result, and forgets it with the record */
    dk_task_do(core, run, task, TASK_CANCEL, NULL);
    break;
  case DK_TASK_WAITING: dk_task_do(core, run, task, TASK_CANCEL, NULL); break;
  case DK_TASK_READY:
  case DK_TASK_BACKOFF:
  case DK_TASK_RUNNING: stop_claimed(core, run, task); break;
  case DK_TASK_SHARED:
    dk_claim_unshare(core, run, task);
    dk_task_do(core, run, task, TASK_CANCEL, NULL);
    break;
  default: break; /* it ended meanwhile */
  }
}

void dk_run_stop(struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_runs; i++) {
    struct dk_core_run *run = core->runs[i];
    uint32_t task;
    while (!dk_emit_is_full(core) && (task = dk_bits_next(&run->stopping, 0)) != UINT32_MAX) {
      dk_bits_remove(&run->stopping, task);
      stop_task(core, run, task);
    }
  }
}

bool dk_run_is_done_stopping(const struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_runs; i++) {
    if (core->runs[i]->stopping.count) return false;
  }
  return true;
}

/* --- the end --- */

/* Something that was cancelled, or that nobody waits for any more, still runs, as far as anybody can know. */
static bool is_stopping(const struct dk_core *core, const struct dk_core_run *run) {
  for (uint32_t i = 0; i < core->n_attempts && core->n_unclaimed; i++) {
    const struct dk_attempt *attempt = &core->attempts[i];
    if (dk_run_has_left(run, attempt) && !dk_host_at(core, attempt->host)->is_lost) return true;
  }
  return false;
}

/* Nobody knows what became of its host. */
static void leave_lost(struct dk_core *core, const struct dk_core_run *run) {
  for (uint32_t i = 0; i < core->n_attempts && core->n_unclaimed; i++) {
    if (dk_run_has_left(run, &core->attempts[i]) && core->attempts[i].task != DK_NO_TASK) dk_attempt_condemn(core, i);
  }
}

void dk_run_end(struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_runs; i++) {
    struct dk_core_run *run = core->runs[i];
    if (!run->is_started || run->is_finished || run->unfinished || run->asked || is_stopping(core, run)) continue;
    run->is_finished = true;
    leave_lost(core, run);
    core->has_ended = true;
    struct dk_record *record = dk_emit_record(core, DK_REC_RUN);
    record->run = run->number;
    record->state = run->all.by_state[DK_TASK_CANCELLED] ? DK_RUN_INTERRUPTED
                    : run->n_failed                      ? DK_RUN_FAILED
                                                         : DK_RUN_DONE;
    dk_emit_action(core, DK_ACT_FINISHED, core->seq)->run = run->number;
  }
}
