/* Copies of results that are lost: some time after, a lookup finds nothing, and the world tells the core of the tasks
 * that had it. It may also find out when an order needs the outputs; then it tells so, and puts the order off. */
#include "lang/base/alloc.h"
#include "tests/sim/sim.h"

static bool has_result(enum dk_task_state state) {
  return state == DK_TASK_DONE || state == DK_TASK_CACHED;
}

static void tell(struct sim *s, struct sim_run *run, uint32_t task) {
  sim_trace(s, "task %u of run %u has lost its outputs", task, run->number);
  run->was_lost[task] = 1;
  sim_engine_push(s, &(struct dk_event){.kind = DK_EV_COPY_LOST, .run = run->number, .task = task}, NULL);
}

static void tell_all(struct sim *s, const struct dk_digest *key) {
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    struct sim_run *run = &s->runs[i];
    for (uint32_t task = 0; run->phase == RUN_OPEN && task < run->plan->graph.n_tasks; task++) {
      const struct dk_record *record = &run->tasks[task];
      if (has_result(record->state) && !sim_plan_is_pick(run->plan, task) && dk_digest_equal(&record->key, key))
        tell(s, run, task);
    }
  }
}

static void lose(struct sim *s, struct sim_key *key, bool is_told) {
  key->results = 0;
  key->made_at = 0;
  key->losses++;
  s->n_losses++;
  if (is_told && s->core) tell_all(s, &key->key);
}

/* Some tasks of which the core is told have a copy, or none yet: it must not matter. */
static void tell_wrongly(struct sim *s, struct sim_random *random) {
  struct sim_run *run = &s->runs[sim_below(random, s->c->n_plans)];
  if (run->phase != RUN_OPEN || !run->plan->graph.n_tasks || !s->core) return;
  s->n_losses++;
  for (uint32_t i = 0; i < 3; i++) tell(s, run, sim_below(random, run->plan->graph.n_tasks));
}

void sim_copies_tell_early(struct sim *s) {
  if (!s->tells_early || !s->turn.out.more) return;
  s->tells_early = false;
  s->n_losses++;
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    struct sim_run *run = &s->runs[i];
    for (uint32_t task = 0; run->phase == RUN_OPEN && task < run->plan->graph.n_tasks; task++) {
      bool is_new = !dk_task_state_is_end(run->tasks[task].state);
      if (is_new && has_result(dk_core_task_state(s->core, run->number, task))) tell(s, run, task);
    }
  }
}

void sim_copies_lose_some(struct sim *s, uint64_t seed) {
  struct sim_random random = sim_random_of(seed, 11);
  uint32_t n = 1 + sim_below(&random, 4);
  s->tells_early = s->tells_early || sim_chance(&random, 700);
  if (sim_chance(&random, 250)) tell_wrongly(s, &random);
  for (uint32_t i = 0; i < n && s->n_keys; i++) {
    struct sim_key *key = &s->keys[sim_below(&random, s->n_keys)];
    bool is_told = sim_chance(&random, 700);
    if (key->results) lose(s, key, is_told);
  }
}

void sim_copies_lose_host(struct sim *s, const struct sim_host *host, uint64_t seed) {
  struct sim_random random = sim_random_of(seed, 12);
  for (uint32_t i = 0; i < s->n_keys; i++) {
    struct sim_key *key = &s->keys[i];
    bool is_elsewhere = sim_chance(&random, 400), is_told = sim_chance(&random, 700);
    if (key->results && key->made_at == UINT32_C(1) << host->number && !is_elsewhere) lose(s, key, is_told);
  }
}

static void end_unsent(struct sim *s, const struct dk_action *action) {
  struct dk_event event = {.kind = DK_EV_ENDED, .id = action->id, .u.ended.cause = DK_CAUSE_INPUT};
  sim_engine_push(s, &event, &(struct dk_digest){{0}});
}

/* What is missing may be held back by people: they see that nothing goes on. */
static void put_off(struct sim *s, struct sim_run *run, const struct dk_action *action) {
  struct dk_event event = {.kind = DK_EV_REFUSED, .id = action->id, .u.refused.reason = DK_REFUSED_NOT_YET};
  sim_trace(s, "attempt %llu of task %u of run %u cannot be sent yet", (unsigned long long)action->id.n, action->task,
            run->number);
  sim_engine_push(s, &event, NULL);
  if (++run->n_holds % 1000 == 0) sim_ask_resume_all(s);
}

/* What the run knows as the task's result is nowhere. */
static bool is_gone(struct sim *s, const struct sim_run *run, uint32_t task) {
  if (!run->facts[task] || sim_plan_is_pick(run->plan, task)) return false;
  const struct sim_key *key = sim_key_of(s, &run->fact_key[task]);
  return !key->results || !dk_digest_equal(&key->result, &run->fact_of[task]);
}

bool sim_copies_are_missing(struct sim *s, struct sim_run *run, uint32_t task) {
  uint32_t n = run->plan->graph.n_tasks, missing = 0;
  if (!s->n_losses) return false;
  uint8_t *needs = sim_need(dk_calloc(n + 1, 1));
  sim_plan_needs(run->plan, task, needs);
  for (uint32_t i = 0; i < n; i++) {
    if (!needs[i] || !is_gone(s, run, i)) continue;
    missing++;
    if (has_result(run->tasks[i].state)) tell(s, run, i);
  }
  dk_free(needs);
  return missing > 0;
}

bool sim_copies_were_lost(struct sim *s, const struct sim_run *run, uint32_t task) {
  uint32_t n = run->plan->graph.n_tasks;
  uint8_t *needs = sim_need(dk_calloc(n + 1, 1));
  bool is_any = false;
  sim_plan_needs(run->plan, task, needs);
  for (uint32_t i = 0; i < n; i++) {
    if (!needs[i] || sim_plan_is_pick(run->plan, i)) continue;
    is_any |= run->was_lost[i] || (run->facts[i] && sim_key_of(s, &run->fact_key[i])->losses);
  }
  dk_free(needs);
  return is_any;
}

static void key_anew(struct sim *s, const struct sim_run *run, const struct dk_action *action,
                     const struct dk_digest *key) {
  struct dk_event event = {.kind = DK_EV_REFUSED, .id = action->id, .u.refused.reason = DK_REFUSED_STALE_KEY};
  sim_trace(s, "attempt %llu of task %u of run %u has a key that is not true any more",
            (unsigned long long)action->id.n, action->task, run->number);
  sim_key_of(s, key)->is_left = true;
  sim_engine_push(s, &event, NULL);
}

bool sim_copies_may_send(struct sim *s, struct sim_run *run, const struct dk_action *action) {
  struct dk_digest key;
  const struct dk_digest *asked = dk_core_attempt_key(s->core, action->id);
  if (!s->n_losses || !run || !asked) return true;
  if (!sim_plan_key(run->plan, action->task, run->facts, &key))
    end_unsent(s, action); /* what it needs was lost, and was cancelled before it was made again */
  else if (sim_copies_are_missing(s, run, action->task))
    put_off(s, run, action);
  else if (!dk_digest_equal(&key, asked))
    key_anew(s, run, action, asked);
  else
    return true;
  return false;
}
