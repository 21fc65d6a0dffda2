/* What is checked after every step of the core, and after every commit. */
#include "tests/sim/sim.h"

/* --- silence --- */

static bool is_silent(const struct sim *s, const struct sim_host *host) {
  return !host->engine_session && s->now - host->silent_since >= s->c->policy.lost_after_ns;
}

/* Attempts are given up only after their host was silent for lost_after, all of it seen by an engine that was awake. */
static void check_silence(struct sim *s, struct sim_host *host) {
  uint32_t unclaimed = dk_core_unclaimed(s->core, host->number);
  if (unclaimed > host->unclaimed && !host->engine_session && !host->is_removed && !is_silent(s, host))
    sim_fail(s, "attempts at host %u were given up after %llu ms of silence", host->number,
             (unsigned long long)((s->now - host->silent_since) / SIM_MS));
  host->unclaimed = unclaimed;
}

void sim_check_give_up(struct sim *s, struct sim_host *host) {
  host->is_lost = true;
  for (uint32_t i = 0; i < s->n_attempts; i++) {
    if (s->attempts[i].host == host->number) sim_key_of(s, &s->attempts[i].key)->was_given_up = true;
  }
}

void sim_check_core(struct sim *s) {
  struct dk_error error = {0};
  if (dk_core_check(s->core, &error) < 0) sim_fail(s, "core: %s", error.text);
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    struct sim_host *host = &s->hosts[i];
    check_silence(s, host);
    if (!host->is_lost && is_silent(s, host)) sim_check_give_up(s, host);
  }
}

/* --- what people asked for --- */

/* Something that was asked of it waits for the engine. */
static bool is_behind(const struct sim *s, const struct sim_run *run) {
  const uint32_t cap = sizeof s->queue / sizeof *s->queue;
  if (s->in_hand == run->number) return true;
  for (uint32_t i = 0; i < s->queue_n; i++) {
    const struct dk_event *event = &s->queue[(s->queue_at + i) % cap];
    if (event->run != run->number) continue;
    if (event->kind == DK_EV_START || (event->kind >= DK_EV_CANCEL && event->kind <= DK_EV_PRIORITY)) return true;
  }
  return false;
}

/* What has become possible may not be known to the core yet: the news of that waits for it. */
static bool is_news_behind(const struct sim *s) {
  const uint32_t cap = sizeof s->queue / sizeof *s->queue;
  if (s->has_news_in_hand) return true;
  for (uint32_t i = 0; i < s->queue_n; i++) {
    if (sim_is_news(&s->queue[(s->queue_at + i) % cap])) return true;
  }
  return false;
}

static bool is_kept_back(const struct sim_run *run, uint32_t task) {
  return run->is_paused || run->is_held[task] || run->is_stopped[task];
}

static uint32_t cpus_of(const struct sim_run *run, uint32_t task) {
  uint32_t row;
  return run->plan->graph.nodes[dk_graph_node_of(&run->plan->graph, task, &row)].cpus;
}

/* Nothing is or will be there, as of this step. */
static bool has_nothing(const struct sim *s, const struct sim_host *host, const struct dk_out *out, uint32_t at) {
  for (uint32_t i = 0; i < at; i++) {
    if (out->actions[i].kind == DK_ACT_ASSIGN && out->actions[i].host == host->number) return false;
  }
  return host->idle_since && host->listens_since && !s->c->refuses;
}

static uint64_t later(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

/* It suits where it goes; and it does not go far when there is a near host that has nothing to do. */
static void check_place(struct sim *s, struct sim_run *run, const struct dk_action *action, const struct dk_out *out,
                        uint32_t at) {
  uint64_t program = run->plan->tasks[action->task].program, ns = sim_place_ns(s, program, action->host);
  if (ns >= DK_PLACE_NOT_NOW)
    sim_fail(s, "task %u of run %u is handed out to host %u, which it does not suit", action->task, action->run,
             action->host);
  for (uint32_t i = 0; i < s->c->n_hosts && s->policy.place; i++) {
    const struct sim_host *host = &s->hosts[i];
    if (sim_place_ns(s, program, i) >= ns || cpus_of(run, action->task) > host->slots) continue;
    if (has_nothing(s, host, out, at))
      sim_fail(s, "task %u of run %u goes to host %u though host %u is nearer and has nothing to do", action->task,
               action->run, action->host, i);
  }
  if (s->c->knows_inputs && s->policy.place && sim_copies_are_missing(s, run, action->task))
    sim_fail(s, "task %u of run %u is handed out though something that it needs is lost", action->task, run->number);
  if (s->now < run->held_until[action->task])
    sim_fail(s, "task %u of run %u is handed out again %llu ms too early", action->task, action->run,
             (unsigned long long)((run->held_until[action->task] - s->now) / SIM_MS));
}

static void check_assign(struct sim *s, const struct dk_out *out, uint32_t at) {
  const struct dk_action *action = &out->actions[at];
  struct sim_run *run = sim_run_of(s, action->run);
  if (!run)
    sim_fail(s, "task %u of run %u is handed out, which is not there", action->task, action->run);
  else if (!is_behind(s, run) && is_kept_back(run, action->task))
    sim_fail(s, "task %u of run %u is handed out though it is %s", action->task, action->run,
             run->is_stopped[action->task] ? "cancelled" : "paused");
  else
    check_place(s, run, action, out, at);
}

/* A task that is not cancelled waits for the same key. */
static bool is_shared(struct sim *s, const struct dk_digest *key) {
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    const struct sim_run *run = &s->runs[i];
    if (run->phase != RUN_OPEN || !dk_core_has_run(s->core, run->number) || is_behind(s, run)) continue;
    for (uint32_t task = 0; task < run->plan->graph.n_tasks; task++) {
      if (dk_core_task_state(s->core, run->number, task) == DK_TASK_SHARED && !run->is_stopped[task] &&
          dk_digest_equal(&run->asked_key[task], key))
        return true;
    }
  }
  return false;
}

/* An order that waits at a busy host is asked back by the core itself. */
static bool is_recall(struct sim *s, const struct dk_action *action) {
  uint32_t run, task;
  if (action->kind != DK_ACT_REVOKE || !dk_core_attempt_task(s->core, action->id, &run, &task)) return false;
  return !sim_run_of(s, run)->is_stopped[task];
}

static void check_stop(struct sim *s, const struct dk_action *action) {
  if (is_recall(s, action)) return;
  const struct dk_digest *key = dk_core_attempt_key(s->core, action->id);
  if (key && is_shared(s, key))
    sim_fail(s, "a cancel ends attempt %llu, for which another task waits", (unsigned long long)action->id.n);
}

/* --- who comes first --- */

struct rank {
  int32_t priority;
  uint32_t run;
};

static struct rank rank_of(const struct sim_run *run, uint32_t task) {
  return (struct rank){run->has_own[task] ? run->own_priority[task] : run->priority, run->number};
}

static bool is_before(struct rank a, struct rank b) {
  return a.priority != b.priority ? a.priority > b.priority : a.run < b.run;
}

/* It may wait for the larger hosts while narrower tasks go to smaller ones. */
static bool is_choosy(const struct sim *s, const struct dk_graph_node *node) {
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    if (node->cpus > s->c->slots[i]) return s->c->n_hosts > 1;
  }
  return false;
}

/* Nothing but its rank can have kept it from being handed out. */
static bool could_go(struct sim *s, const struct sim_run *run, uint32_t task) {
  uint32_t row;
  if (run->plan->jobs || is_kept_back(run, task)) return false;
  if (dk_core_task_state(s->core, run->number, task) != DK_TASK_READY) return false;
  if (s->c->knows_inputs && s->n_losses && sim_copies_were_lost(s, run, task)) return false;
  const struct dk_graph_node *node = &run->plan->graph.nodes[dk_graph_node_of(&run->plan->graph, task, &row)];
  return !node->at_once && !is_choosy(s, node) && sim_place_is_any(s, run->plan->tasks[task].program);
}

static void check_order(struct sim *s, struct rank last) {
  if (s->policy.place && (dk_core_deadline(s->core) <= s->now || is_news_behind(s)))
    return; /* it is not done with asking where they may run */
  for (uint32_t i = 0; i < s->c->n_plans && !sim_has_failed(s); i++) {
    const struct sim_run *run = &s->runs[i];
    if (run->phase != RUN_OPEN || !dk_core_has_run(s->core, run->number)) continue;
    if (is_behind(s, run)) return;
  }
  for (uint32_t i = 0; i < s->c->n_plans && !sim_has_failed(s); i++) {
    const struct sim_run *run = &s->runs[i];
    if (run->phase != RUN_OPEN || !dk_core_has_run(s->core, run->number)) continue;
    for (uint32_t task = 0; task < run->plan->graph.n_tasks; task++) {
      if (is_before(rank_of(run, task), last) && could_go(s, run, task))
        sim_fail(s, "a task of run %u with priority %d is handed out before task %u of run %u with %d", last.run,
                 last.priority, task, run->number, rank_of(run, task).priority);
    }
  }
}

/* An order that is asked back from a busy host could go to another one. */
static void check_recall(struct sim *s, const struct dk_action *action) {
  uint32_t number, task;
  if (s->hosts[action->host].is_leaving) return;
  if (!dk_core_attempt_task(s->core, action->id, &number, &task)) return;
  const struct sim_run *run = sim_run_of(s, number);
  if (is_behind(s, run) || is_kept_back(run, task)) return;
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    bool suits = sim_place_ns(s, run->plan->tasks[task].program, i) < DK_PLACE_NOT_NOW;
    if (i != action->host && suits && s->hosts[i].listens_since) return;
  }
  sim_fail(s, "task %u of run %u is asked back from host %u, but it could go nowhere else", task, number, action->host);
}

void sim_check_step(struct sim *s, const struct dk_event *event, const struct dk_out *out, uint32_t first_action) {
  struct rank last = {0, 0};
  sim_check_core(s);
  for (uint32_t i = first_action; i < out->n_actions && !sim_has_failed(s); i++) {
    const struct dk_action *action = &out->actions[i];
    if (action->kind == DK_ACT_ASSIGN) {
      check_assign(s, out, i);
      const struct sim_run *run = sim_run_of(s, action->run);
      if (run && (last.run == 0 || is_before(last, rank_of(run, action->task)))) last = rank_of(run, action->task);
    }
    struct sim_run *over = action->kind == DK_ACT_FINISHED ? sim_run_of(s, action->run) : NULL;
    if (over) over->were_lost = 0;
    for (uint32_t h = 0; over && h < s->c->n_hosts; h++) {
      if (s->hosts[h].is_lost) over->were_lost |= UINT32_C(1) << h;
    }
    /* Before a GAP an event was taken already that the core has not seen. */
    bool is_asked = event->kind == DK_EV_CANCEL || event->kind == DK_EV_PAUSE || event->kind == DK_EV_GAP;
    if (action->kind == DK_ACT_REVOKE && !is_asked) check_recall(s, action);
    bool is_stop = action->kind == DK_ACT_KILL || action->kind == DK_ACT_REVOKE;
    if (is_stop && event->kind == DK_EV_CANCEL) check_stop(s, action);
  }
  if (last.run && !sim_has_failed(s)) check_order(s, last);
}

/* What is durable of an attempt that runs says whose it is: a new engine must know whose cancel ends it. Under a key
 * that was given up it is nobody's, and is to be ended. */
void sim_check_owners(struct sim *s) {
  uint32_t run, task;
  for (uint32_t i = 0; i < s->n_attempts; i++) {
    const struct dk_record *record = &s->attempts[i];
    bool is_left = sim_key_of(s, &record->key)->is_left && s->queue_n == 0;
    if (is_left && record->task != DK_NO_TASK && !dk_core_attempt_task(s->core, record->id, &run, &task))
      sim_fail(s, "attempt %llu is nobody's, since task %u of run %u got another key, and is not to be ended",
               (unsigned long long)record->id.n, record->task, record->run);
    if (!s->hosts[record->host].listens_since) continue;
    if (!dk_core_attempt_task(s->core, record->id, &run, &task) || !sim_is_running(s, record->id)) continue;
    if (record->run != run || record->task != task)
      sim_fail(s, "attempt %llu is recorded as of task %u of run %u, but task %u of run %u has it",
               (unsigned long long)record->id.n, record->task, record->run, task, run);
  }
}

#define SOON (12 * SIM_SECOND) /* messages and the grace of a soft cancel take less */

/* A run goes on, or came to its end, with this task, and it is not to be cancelled. */
static bool is_wanted(const struct sim_run *run, uint32_t task) {
  return run->plan->is_foreground || !run->is_stopped[task];
}

void sim_check_wanted(struct sim *s, const struct sim_host *host, const struct sim_item *item) {
  const struct sim_key *key = sim_key_of(s, &item->key);
  uint64_t since = host->listens_since;
  bool is_known = false;
  if (!since || s->now < s->asleep_until) return;
  if (key->results && s->now - later(since, key->result_at) > SOON) {
    sim_fail(s, "attempt %llu ran on to its end, %llu ms after another one had brought the result",
             (unsigned long long)item->id.n, (unsigned long long)((s->now - later(since, key->result_at)) / SIM_MS));
    return;
  }
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    const struct sim_run *run = &s->runs[i];
    for (uint32_t task = 0; task < run->plan->graph.n_tasks; task++) {
      const struct sim_task *of = &run->plan->tasks[task];
      if (!of->is_wanted || !of->has_key || !dk_digest_equal(&of->key, &item->key)) continue;
      if (is_wanted(run, task)) return;
      is_known = true;
      if (run->stopped_at > since) since = run->stopped_at;
    }
  }
  if (is_known && s->now - since > SOON)
    sim_fail(s, "attempt %llu ran on to its end, %llu ms after the last one that wanted it was cancelled",
             (unsigned long long)item->id.n, (unsigned long long)((s->now - since) / SIM_MS));
}

/* READY for long, though a host that it suits has nothing to do. */
static void check_ready(struct sim *s, struct sim_run *run, uint32_t task) {
  uint32_t row;
  const struct dk_graph_node *node = &run->plan->graph.nodes[dk_graph_node_of(&run->plan->graph, task, &row)];
  bool is_ready = dk_core_task_state(s->core, run->number, task) == DK_TASK_READY && !is_kept_back(run, task) &&
                  !sim_copies_are_missing(s, run, task);
  if (!is_ready)
    run->ready_since[task] = 0;
  else if (!run->ready_since[task])
    run->ready_since[task] = s->now;
  if (!is_ready || node->at_once || run->plan->jobs || s->now < s->asleep_until) return;
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    const struct sim_host *host = &s->hosts[i];
    uint64_t suits = sim_place_since(s, run->plan->tasks[task].program, i);
    if (suits == UINT64_MAX || !host->idle_since || !host->listens_since || node->cpus > host->slots) continue;
    uint64_t since = later(later(suits, run->ready_since[task]), later(host->idle_since, host->listens_since));
    if (s->now > since + SOON)
      sim_fail(s, "task %u of run %u is ready for %llu ms while host %u, which it suits, has nothing to do", task,
               run->number, (unsigned long long)((s->now - since) / SIM_MS), i);
  }
}

static void check_all_ready(struct sim *s) {
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    struct sim_run *run = &s->runs[i];
    if (run->phase != RUN_OPEN || !dk_core_has_run(s->core, run->number)) continue;
    for (uint32_t task = 0; task < run->plan->graph.n_tasks; task++) check_ready(s, run, task);
  }
}

void sim_check_idle(struct sim *s) {
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    struct sim_host *host = &s->hosts[i];
    uint32_t n = 0;
    for (uint32_t k = 0; k < s->n_attempts; k++) n += s->attempts[k].host == i;
    if (n > 0)
      host->idle_since = 0;
    else if (!host->idle_since)
      host->idle_since = s->now;
  }
  check_all_ready(s);
}

void sim_check_wait(struct sim *s, const struct sim_host *host, const struct sim_item *item) {
  uint64_t assigned = sim_attempt_of(s, item->id)->assigned_at;
  uint32_t run, task;
  if (s->c->refuses || s->c->is_remote || !host->listens_since || s->now < s->asleep_until) return;
  if (!dk_core_attempt_task(s->core, item->id, &run, &task) || is_kept_back(sim_run_of(s, run), task)) return;
  if (s->c->knows_inputs && s->n_losses && sim_copies_were_lost(s, sim_run_of(s, run), task)) return;
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    const struct sim_host *other = &s->hosts[i];
    uint64_t since = later(later(assigned, other->idle_since), later(host->listens_since, other->listens_since));
    if (!other->idle_since || !other->listens_since || item->cpus > other->slots) continue;
    uint64_t program = s->c->plans[item->plan].tasks[item->task].program, suits = sim_place_since(s, program, i);
    if (suits == UINT64_MAX || (s->policy.place && sim_place_ns(s, program, i) > 0)) continue;
    since = later(since, suits);
    if (s->now - since > s->c->policy.recall_ns + SOON)
      sim_fail(s, "attempt %llu waited %llu ms at host %u while host %u had nothing to do",
               (unsigned long long)item->id.n, (unsigned long long)((s->now - since) / SIM_MS), host->number, i);
  }
}

/* Nothing will happen by itself any more: then only what people hold back may wait. */
void sim_check_rest(struct sim *s) {
  for (uint32_t i = 0; i < s->c->n_plans && !sim_has_failed(s); i++) {
    struct sim_run *run = &s->runs[i];
    if (run->phase != RUN_OPEN || run->is_paused) continue;
    for (uint32_t task = 0; task < run->plan->graph.n_tasks; task++) {
      enum dk_task_state state = dk_core_task_state(s->core, run->number, task);
      if ((state == DK_TASK_READY || state == DK_TASK_SHARED) && sim_copies_are_missing(s, run, task))
        continue; /* that is held back, then */
      if (state != DK_TASK_WAITING && !dk_task_state_is_end(state) && !run->is_held[task])
        sim_fail(s, "task %u of run %u waits in state %d though nobody holds it back", task, run->number, state);
    }
  }
}
