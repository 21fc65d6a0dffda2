/* What people ask for: runs, and cancel, pause, resume, priority for them. As in the real engine (drive/runs.c,
 * store/asked.h) all of it is durable before the core hears of it, in a commit of its own, and the next engine says it
 * to its core again. */
#include "lang/base/alloc.h"
#include "tests/sim/sim.h"

#include <string.h>

void sim_runs_init(struct sim *s) {
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    struct sim_run *run = &s->runs[i];
    const struct sim_plan *plan = &s->c->plans[i];
    uint32_t n = plan->graph.n_tasks ? plan->graph.n_tasks : 1;
    run->plan = plan;
    run->first_turn = plan->first_turn;
    run->again = 1;
    run->tasks = sim_need(dk_calloc(n, sizeof *run->tasks));
    run->ended_in = sim_need(dk_calloc(n, sizeof *run->ended_in));
    run->failures = sim_need(dk_calloc(n, sizeof *run->failures));
    run->is_held = sim_need(dk_calloc(n, 1));
    run->is_stopped = sim_need(dk_calloc(n, 1));
    run->has_own = sim_need(dk_calloc(n, 1));
    run->own_priority = sim_need(dk_calloc(n, sizeof *run->own_priority));
    run->facts = sim_need(dk_calloc(n, sizeof *run->facts));
    run->fact_of = sim_need(dk_calloc(n, sizeof *run->fact_of));
    run->choice = sim_need(dk_calloc(n, sizeof *run->choice));
    run->fact_key = sim_need(dk_calloc(n, sizeof *run->fact_key));
    run->asked_key = sim_need(dk_calloc(n, sizeof *run->asked_key));
    run->was_done = sim_need(dk_calloc(n, 1));
    run->was_lost = sim_need(dk_calloc(n, 1));
    run->held_until = sim_need(dk_calloc(n, sizeof *run->held_until));
    run->ready_since = sim_need(dk_calloc(n, sizeof *run->ready_since));
  }
}

static void forget_asks(struct sim_run *run) {
  for (uint32_t i = 0; i < run->n_asks; i++) dk_free(run->asks[i].tasks);
  run->n_asks = 0;
}

void sim_runs_finish(struct sim *s) {
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    struct sim_run *run = &s->runs[i];
    forget_asks(run);
    dk_free(run->asks);
    dk_free(run->tasks);
    dk_free(run->ended_in);
    dk_free(run->failures);
    dk_free(run->is_held);
    dk_free(run->is_stopped);
    dk_free(run->has_own);
    dk_free(run->own_priority);
    dk_free(run->facts);
    dk_free(run->fact_of);
    dk_free(run->choice);
    dk_free(run->fact_key);
    dk_free(run->asked_key);
    dk_free(run->was_done);
    dk_free(run->was_lost);
    dk_free(run->held_until);
    dk_free(run->ready_since);
  }
}

struct sim_run *sim_run_of(struct sim *s, uint32_t number) {
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    if (s->runs[i].phase == RUN_OPEN && s->runs[i].number == number) return &s->runs[i];
  }
  return NULL;
}

bool sim_runs_are_over(const struct sim *s) {
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    if (s->runs[i].phase != RUN_OVER) return false;
  }
  return true;
}

/* --- runs begin, go on, end --- */

/* A run as its records have it: what engine/drive/runs.c makes of them. */
static void add(struct sim *s, struct sim_run *run) {
  uint32_t n = run->plan->graph.n_tasks, n_ended = 0, n_tried = 0;
  struct dk_core_ended *ended = sim_need(dk_calloc(n + 1, sizeof *ended));
  struct dk_core_tried *tried = sim_need(dk_calloc(n + 1, sizeof *tried));
  memset(run->facts, 0, n * sizeof *run->facts);
  memset(run->held_until, 0, n * sizeof *run->held_until);
  memset(run->ready_since, 0, n * sizeof *run->ready_since);
  for (uint32_t task = 0; task < n; task++) {
    const struct dk_record *record = &run->tasks[task];
    run->was_done[task] = record->state == DK_TASK_DONE;
    if (!dk_task_state_is_end(record->state)) {
      if (record->attempts > 0 || !dk_tries_is_none(&record->tries))
        tried[n_tried++] = (struct dk_core_tried){.task = task,
                                                  .key = record->key,
                                                  .attempt = record->id,
                                                  .host = record->host,
                                                  .attempts = record->attempts,
                                                  .cause = record->cause,
                                                  .code = record->code,
                                                  .tries = record->tries};
      continue;
    }
    ended[n_ended++] = (struct dk_core_ended){.task = task,
                                              .state = record->state,
                                              .cause = record->cause,
                                              .attempts = record->attempts,
                                              .code = record->code,
                                              .attempt = record->id};
  }
  struct dk_core_run_options options = {.run = run->number,
                                        .graph = &run->plan->graph,
                                        .wanted = run->plan->wanted,
                                        .priority = run->plan->priority,
                                        .jobs = run->plan->jobs,
                                        .paused = run->plan->is_paused,
                                        .ended = ended,
                                        .n_ended = n_ended,
                                        .tried = tried,
                                        .n_tried = n_tried};
  if (dk_core_add_run(s->core, &options) < 0) sim_fail(s, "run %u cannot be added", run->number);
  dk_free(ended);
  dk_free(tried);
  sim_engine_push(s, &(struct dk_event){.kind = DK_EV_START, .run = run->number}, NULL);
}

static void submit(struct sim *s, struct sim_run *run) {
  uint32_t n = run->plan->graph.n_tasks;
  run->number = ++s->last_run;
  run->phase = RUN_OPEN;
  run->state = 0;
  memset(run->tasks, 0, n * sizeof *run->tasks);
  memset(run->ended_in, 0, n * sizeof *run->ended_in);
  memset(run->failures, 0, n * sizeof *run->failures);
  memset(run->is_held, 0, n);
  memset(run->is_stopped, 0, n);
  memset(run->has_own, 0, n);
  memset(run->was_lost, 0, n);
  forget_asks(run);
  run->is_cancelled = false;
  run->is_paused = run->plan->is_paused;
  run->priority = run->plan->priority;
  sim_trace(s, "run %u of plan %u: %u tasks, priority %d, jobs %u%s", run->number, (uint32_t)(run - s->runs), n,
            run->priority, run->plan->jobs, run->is_paused ? ", paused" : "");
  add(s, run);
  dk_core_tries_digest(s->core, run->number, &run->durable_tries);
}

void sim_runs_submit(struct sim *s) {
  bool is_idle = true;
  for (uint32_t i = 0; i < s->c->n_plans; i++) is_idle = is_idle && s->runs[i].phase != RUN_OPEN;
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    struct sim_run *run = &s->runs[i];
    if (run->phase != RUN_LATER || run->is_finished || (run->first_turn > s->turns && !is_idle)) continue;
    submit(s, run);
    is_idle = false;
  }
}

static void push(struct sim *s, const struct sim_run *run, const struct sim_ask *ask) {
  struct dk_event event = {.kind = ask->kind, .run = run->number};
  event.u.ask.tasks = ask->tasks;
  event.u.ask.hard = ask->is_hard;
  event.u.ask.priority = ask->priority;
  sim_engine_push(s, &event, NULL);
}

/* It was cancelled, or ended with its engine. */
static void close_run(struct sim *s, struct sim_run *run) {
  bool is_left = !run->is_cancelled || run->again > 0;
  run->phase = run->is_finished && !run->is_cancelled ? RUN_OVER : is_left ? RUN_LATER : RUN_OVER;
  if (run->is_cancelled && run->again) run->again--;
  run->first_turn = s->turns + sim_below(&s->engine, 60);
}

/* A record has what a task used of its retries under a key that was not its last one: something that it needs was lost,
 * and cancelled before it was made again, and it was looked up without that. */
static bool has_old_key(const struct sim_run *run) {
  for (uint32_t i = 0; i < run->plan->graph.n_tasks; i++) {
    const struct dk_record *record = &run->tasks[i];
    if (!dk_tries_is_none(&record->tries) && !dk_digest_equal(&record->key, &run->asked_key[i])) return true;
  }
  return false;
}

/* When a result has changed, a record may have what a task used of its retries under a key that it will not get again.
 */
static void check_tries(struct sim *s, const struct sim_run *run) {
  struct dk_digest loaded;
  if (s->n_changes || (s->n_losses && has_old_key(run))) return;
  dk_core_tries_digest(s->core, run->number, &loaded);
  if (!dk_digest_equal(&loaded, &run->durable_tries))
    sim_fail(s, "the retries of run %u that were loaded are not those that were durable", run->number);
}

void sim_runs_committed(struct sim *s) {
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    struct sim_run *run = &s->runs[i];
    if (run->phase == RUN_OPEN) dk_core_tries_digest(s->core, run->number, &run->durable_tries);
  }
}

void sim_runs_recall(struct sim *s) {
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    struct sim_run *run = &s->runs[i];
    run->is_finished = false;
    if (run->phase != RUN_OPEN) continue;
    if (run->plan->is_foreground) {
      sim_trace(s, "run %u has ended with its engine", run->number);
      close_run(s, run);
      continue;
    }
    sim_trace(s, "run %u goes on, %u asks", run->number, run->n_asks);
    add(s, run);
    check_tries(s, run);
    for (uint32_t k = 0; k < run->n_asks; k++) push(s, run, &run->asks[k]);
  }
}

void sim_run_finish(struct sim *s, uint32_t number) {
  struct sim_run *run = sim_run_of(s, number);
  if (!run) {
    sim_fail(s, "run %u is over, which is not there", number);
    return;
  }
  sim_trace(s, "run %u is over, state %d", number, run->state);
  sim_check_end(s, run);
  run->is_finished = true;
  close_run(s, run);
}

void sim_runs_reap(struct sim *s) {
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    if (!s->runs[i].is_finished) continue;
    dk_core_remove_run(s->core, s->runs[i].number);
    s->runs[i].is_finished = false;
  }
}

/* --- what is asked of them --- */

static bool has(const struct sim_ask *ask, uint32_t task) {
  return !ask->tasks || ask->tasks[task / 8] >> (task % 8) & 1;
}

/* What people want by now. */
static void want(struct sim_run *run, const struct sim_ask *ask) {
  bool is_whole = !ask->tasks;
  if (is_whole && ask->kind == DK_EV_CANCEL) run->is_cancelled = true;
  if (is_whole && ask->kind == DK_EV_PAUSE) run->is_paused = true;
  if (is_whole && ask->kind == DK_EV_RESUME) run->is_paused = false;
  if (is_whole && ask->kind == DK_EV_PRIORITY) run->priority = ask->priority;
  for (uint32_t task = 0; task < run->plan->graph.n_tasks; task++) {
    if (!has(ask, task)) continue;
    if (ask->kind == DK_EV_CANCEL) run->is_stopped[task] = 1;
    if (ask->kind == DK_EV_PAUSE && !is_whole) run->is_held[task] = 1;
    if (ask->kind == DK_EV_RESUME) run->is_held[task] = 0;
    if (ask->kind == DK_EV_PRIORITY && !is_whole) {
      run->has_own[task] = 1;
      run->own_priority[task] = ask->priority;
    }
  }
}

void sim_ask(struct sim *s, struct sim_run *run, const struct dk_event *event) {
  struct sim_ask ask = {.kind = event->kind, .is_hard = event->u.ask.hard, .priority = event->u.ask.priority};
  if (event->u.ask.tasks) ask.tasks = sim_need(dk_memdup(event->u.ask.tasks, run->plan->graph.n_tasks / 8 + 1));
  if (!dk_grow(run->asks, run->n_asks, run->cap_asks)) sim_need(NULL);
  run->asks[run->n_asks++] = ask;
  want(run, &ask);
  if (ask.kind == DK_EV_CANCEL) run->stopped_at = s->now;
  static const char *const words[] = {"cancel", "pause", "resume", "priority"};
  sim_trace(s, "%s%s of %s of run %u, priority %d", ask.is_hard ? "hard " : "", words[ask.kind - DK_EV_CANCEL],
            ask.tasks ? "some" : "all", run->number, ask.priority);
  push(s, run, &ask);
}

static struct sim_run *random_run(struct sim *s, struct sim_random *random) {
  uint32_t first = sim_below(random, s->c->n_plans);
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    struct sim_run *run = &s->runs[(first + i) % s->c->n_plans];
    if (run->phase == RUN_OPEN) return run;
  }
  return NULL;
}

/* A part of a node, or some of all tasks. */
static uint8_t *random_tasks(const struct sim_plan *plan, struct sim_random *random) {
  uint32_t n = plan->graph.n_tasks;
  uint8_t *tasks = sim_need(dk_calloc(n / 8 + 1, 1));
  const struct dk_graph_node *node = &plan->graph.nodes[sim_below(random, plan->graph.n_nodes)];
  bool is_of_node = sim_chance(random, 600);
  for (uint32_t task = 0; task < n; task++) {
    bool is_in = is_of_node ? task >= node->first && task < node->first + node->rows && sim_chance(random, 700)
                            : sim_chance(random, 300);
    if (is_in) tasks[task / 8] |= (uint8_t)(1u << (task % 8));
  }
  return tasks;
}

/* The same people, some time later: they are impatient, or go on. */
static void ask_later(struct sim *s, const struct sim_run *run, const struct dk_event *event, uint64_t delay) {
  struct sim_event *later = sim_at(s, s->now + delay, EV_ASK);
  later->epoch = s->engine_epoch;
  later->answer = *event;
  later->answer.u.ask.tasks = event->u.ask.tasks ? run->asks[run->n_asks - 1].tasks : NULL;
}

void sim_ask_some(struct sim *s, enum dk_event_kind kind, uint64_t seed) {
  struct sim_random random = sim_random_of(seed, 7);
  struct sim_run *run = random_run(s, &random);
  if (!run) return;
  struct dk_event event = {.kind = kind, .run = run->number};
  uint8_t *tasks = sim_chance(&random, 700) ? random_tasks(run->plan, &random) : NULL;
  event.u.ask.tasks = tasks;
  event.u.ask.hard = kind == DK_EV_CANCEL && sim_chance(&random, 400);
  event.u.ask.priority = kind == DK_EV_PRIORITY ? (int32_t)sim_below(&random, 7) - 3 : 0;
  sim_ask(s, run, &event);
  if (kind == DK_EV_CANCEL && !event.u.ask.hard && sim_chance(&random, 300)) {
    event.u.ask.hard = true;
    ask_later(s, run, &event, 2 * SIM_SECOND);
  } else if (kind == DK_EV_PAUSE && sim_chance(&random, 600)) {
    event.kind = DK_EV_RESUME;
    ask_later(s, run, &event, sim_below(&random, sim_chance(&random, 500) ? 100 : 20000) * SIM_MS);
  }
  dk_free(tasks);
}

void sim_people_event(struct sim *s, struct sim_event *event) {
  struct sim_run *run = s->core && event->epoch == s->engine_epoch ? sim_run_of(s, event->answer.run) : NULL;
  if (run) sim_ask(s, run, &event->answer);
}

bool sim_ask_resume_all(struct sim *s) {
  bool is_any = false;
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    struct sim_run *run = &s->runs[i];
    bool is_kept = run->is_paused;
    for (uint32_t task = 0; task < run->plan->graph.n_tasks; task++) is_kept = is_kept || run->is_held[task];
    if (run->phase != RUN_OPEN || !is_kept) continue;
    sim_ask(s, run, &(struct dk_event){.kind = DK_EV_RESUME, .run = run->number});
    is_any = true;
  }
  return is_any;
}
