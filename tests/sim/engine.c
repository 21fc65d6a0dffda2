/* The engine: the real core and the real turn over the simulated world. One life goes from loading what is durable to
 * the end of all runs, a failed commit, or a kill; the next one loads again, and must find what the last one had made
 * durable. */
#include "lang/base/alloc.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_TURNS 200000u

void sim_engine_push(struct sim *s, const struct dk_event *event, const struct dk_digest *bytes) {
  if (!s->core) return;
  if (s->queue_n == sizeof s->queue / sizeof *s->queue) {
    sim_fail(s, "thousands of events wait for the engine");
    return;
  }
  uint32_t at = (s->queue_at + s->queue_n++) % (sizeof s->queue / sizeof *s->queue);
  s->queue[at] = *event;
  if (bytes) s->queue_bytes[at] = *bytes;
}

/* --- lookups: answered with what was durable when they were asked, some time later --- */

static void answer_lookup(struct sim *s, struct sim_run *run, uint32_t task, struct dk_event *answer) {
  struct dk_digest *key = &answer->u.looked_up.key;
  answer->kind = DK_EV_LOOKED_UP;
  answer->run = run->number;
  answer->task = task;
  answer->u.looked_up.answer = DK_LOOKUP_MISS;
  if (dk_core_task_state(s->core, run->number, task) != DK_TASK_LOOKUP) return; /* cancelled meanwhile */
  if (!sim_plan_key(run->plan, task, run->facts, key)) {
    answer->u.looked_up.answer = DK_LOOKUP_BAD; /* what it needs was lost, and was cancelled before it was made again */
    if (!s->n_losses) sim_fail(s, "task %u of run %u is looked up before what it needs is durable", task, run->number);
    return;
  }
  run->asked_key[task] = *key;
  sim_key_of(s, key)->is_left = false;
  enum sim_habit habit = run->plan->tasks[task].habit;
  answer->u.looked_up.answer = habit == HABIT_WHEN            ? DK_LOOKUP_SKIP
                               : habit == HABIT_BAD           ? DK_LOOKUP_BAD
                               : !sim_key_of(s, key)->results ? DK_LOOKUP_MISS
                               : run->was_done[task]          ? DK_LOOKUP_OWN
                                                              : DK_LOOKUP_HIT;
  if (answer->u.looked_up.answer != DK_LOOKUP_HIT && answer->u.looked_up.answer != DK_LOOKUP_OWN) return;
  sim_learn(s, run, task, key);
}

static void answer_later(struct sim *s, const struct dk_event *answer) {
  uint64_t delay = sim_chance(&s->engine, 800) ? 0 : sim_below(&s->engine, 400) * SIM_MS;
  struct sim_event *event = sim_at(s, s->now + delay, EV_ANSWER);
  event->epoch = s->engine_epoch;
  event->answer = *answer;
}

/* A LOOKUP, or for a pick a DECIDE. */
static void look_up(struct sim *s, const struct dk_action *action) {
  struct dk_event answer;
  struct sim_run *run = sim_run_of(s, action->run);
  memset(&answer, 0, sizeof answer);
  if (!run) {
    sim_fail(s, "task %u of run %u is looked up, which is not there", action->task, action->run);
  } else if (action->kind == DK_ACT_LOOKUP) {
    answer_lookup(s, run, action->task, &answer);
  } else {
    answer.kind = DK_EV_DECIDED;
    answer.run = action->run;
    answer.task = action->task;
    answer.u.decided.ok = sim_plan_choice(run->plan, action->task, run->facts, &run->choice[action->task]);
  }
  answer_later(s, &answer);
}

/* --- orders --- */

static void assign(struct sim *s, const struct dk_action *action) {
  struct sim_attempt *attempt = sim_attempt_of(s, action->id);
  const struct dk_digest *key = dk_core_attempt_key(s->core, action->id);
  attempt->assigned_at = s->now;
  if (key) sim_key_of(s, key)->is_left = false;
  if (attempt->assigned++) sim_fail(s, "attempt %llu is assigned twice", (unsigned long long)action->id.n);
  if (!sim_is_living(s, action->id))
    sim_fail(s, "attempt %llu is assigned before it is durable", (unsigned long long)action->id.n);
  if (!key) { /* ended meanwhile in the core: an order that another step of this turn has undone must not go out */
    sim_fail(s, "attempt %llu is assigned though the core does not know it", (unsigned long long)action->id.n);
    return;
  }
  if (sim_key_of(s, key)->results) sim_fail(s, "task %u is assigned though it has a result", action->task);
  const struct sim_run *run = sim_run_of(s, action->run);
  if (!run) {
    sim_fail(s, "attempt %llu is for run %u, which is not there", (unsigned long long)action->id.n, action->run);
    return;
  }
  attempt->program = run->plan->tasks[action->task].program;
  char hex[DK_DIGEST_HEX + 1], label[32];
  char *argv[1] = {hex};
  dk_digest_hex(key, hex);
  snprintf(label, sizeof label, "%u.%u", (uint32_t)(run - s->runs), action->task);
  struct dk_message message = {.type = DK_MSG_ASSIGN, .id = action->id};
  uint32_t row;
  message.u.job = (struct dk_job){.label = label, .argv = argv, .n_argv = 1, .objects = label};
  message.u.job.cpus = run->plan->graph.nodes[dk_graph_node_of(&run->plan->graph, action->task, &row)].cpus;
  if (!sim_copies_may_send(s, sim_run_of(s, action->run), action)) return;
  if (s->c->refuses && sim_chance(&s->engine, 20)) { /* the world cannot hand it out */
    struct dk_event event = {.kind = DK_EV_ENDED, .id = action->id, .u.ended.cause = DK_CAUSE_LOST};
    sim_engine_push(s, &event, &(struct dk_digest){{0}});
    return;
  }
  sim_trace(s, "assign attempt %llu of task %u of run %u to host %u", (unsigned long long)action->id.n, action->task,
            action->run, action->host);
  sim_send_to_agent(s, &s->hosts[action->host], action->session, &message);
}

/* Nothing that is not durable may be acknowledged: the agent forgets it. */
static void acknowledge(struct sim *s, const struct dk_action *action) {
  for (uint32_t i = 0; i < SIM_HEARD; i++) {
    const struct sim_heard *heard = &s->heard[i];
    if (heard->host == action->host && heard->session == action->session && heard->session &&
        heard->seq <= action->seq && sim_is_living(s, heard->id))
      sim_fail(s, "the end of attempt %llu is acknowledged before it is durable", (unsigned long long)heard->id.n);
  }
  struct dk_message message = {.type = DK_MSG_ACK, .seq = action->seq};
  sim_send_to_agent(s, &s->hosts[action->host], action->session, &message);
}

static void world_act(void *ctx, const struct dk_action *action) {
  struct sim *s = ctx;
  struct dk_message message = {.id = action->id};
  switch (action->kind) {
  case DK_ACT_LOOKUP:
  case DK_ACT_DECIDE: look_up(s, action); return;
  case DK_ACT_ASSIGN: assign(s, action); return;
  case DK_ACT_ACK: acknowledge(s, action); return;
  case DK_ACT_FINISHED: sim_run_finish(s, action->run); return;
  case DK_ACT_LIST: message.type = DK_MSG_LIST; break;
  case DK_ACT_REVOKE: message.type = DK_MSG_REVOKE; break;
  case DK_ACT_KILL:
    message.type = DK_MSG_KILL;
    message.u.kill.grace_ms = action->hard ? 0 : 5000;
    break;
  }
  sim_send_to_agent(s, &s->hosts[action->host], action->session, &message);
}

/* --- steps: the turn's calls of dk_core_step come through here (CMakeLists.txt) --- */

static struct sim *stepping;
int __real_dk_core_step(struct dk_core *core, uint64_t now_ns, uint64_t seq, const struct dk_event *event,
                        struct dk_out *out);
int __wrap_dk_core_step(struct dk_core *core, uint64_t now_ns, uint64_t seq, const struct dk_event *event,
                        struct dk_out *out);

/* What the core knows of a host once it has this event. A GAP may come before one that was taken. */
static void hear(struct sim *s, const struct dk_event *event) {
  struct sim_host *host = &s->hosts[event->host];
  if (event->kind == DK_EV_AGENT_UP && event->session > host->highest_session) {
    host->engine_session = host->highest_session = event->session;
    host->is_lost = host->is_removed = host->is_leaving = false;
  }
  if (event->kind == DK_EV_HOST_ADDED && event->u.host_added.is_leaving) host->is_leaving = true;
  if (event->kind == DK_EV_HOST_REMOVED) {
    host->engine_session = host->listens_since = 0;
    host->silent_since = s->now;
    host->is_removed = true;
    sim_check_give_up(s, host);
  }
  if (event->kind == DK_EV_HAS_END && event->session == host->engine_session) host->listens_since = s->now;
  if (event->kind == DK_EV_AGENT_DOWN && event->session == host->engine_session) {
    host->engine_session = host->listens_since = 0;
    host->silent_since = s->now;
  }
}

int __wrap_dk_core_step(struct dk_core *core, uint64_t now_ns, uint64_t seq, const struct dk_event *event,
                        struct dk_out *out) {
  uint32_t first = out->n_actions, number, task;
  bool is_held = event->kind == DK_EV_REFUSED && event->u.refused.reason == DK_REFUSED_NOT_YET &&
                 dk_core_attempt_task(core, event->id, &number, &task);
  hear(stepping, event);
  int r = __real_dk_core_step(core, now_ns, seq, event, out);
  if (event->kind != DK_EV_GAP) {
    stepping->in_hand = 0;
    stepping->has_news_in_hand = false;
  }
  if (r == 0 && is_held && dk_core_task_state(core, number, task) == DK_TASK_BACKOFF)
    sim_run_of(stepping, number)->held_until[task] = now_ns + stepping->c->policy.backoff_ns;
  /* A host that was lost has an order of it after all, which may come back. */
  if (r == 0 && event->kind == DK_EV_HAS && dk_core_attempt_task(core, event->id, &number, &task))
    sim_run_of(stepping, number)->held_until[task] = 0;
  if (r == 0) sim_check_step(stepping, event, out, first);
  return r;
}

/* --- commits --- */

/* It was asleep: silence before that proves nothing. */
static void begin_anew(struct sim *s) {
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    s->hosts[i].silent_since = s->now;
    if (s->hosts[i].listens_since) s->hosts[i].listens_since = s->now;
  }
}

static int world_sync(void *ctx) {
  sim_disk_sync(ctx);
  return 0;
}

static int world_commit(void *ctx, uint64_t seq, const struct dk_record *records, uint32_t n,
                        const struct dk_buf *bytes) {
  struct sim *s = ctx;
  enum sim_fault_kind fault = s->commit_fault;
  (void)seq;
  s->commit_fault = FAULT_N_KINDS;
  s->now += sim_below(&s->disk, 3000) * 1000;
  if (fault != FAULT_N_KINDS) sim_trace(s, "commit of %u records: %s", n, sim_fault_name(fault));
  if (fault == FAULT_COMMIT_ENOSPC) return -ENOSPC;
  if (fault == FAULT_COMMIT_EIO) return -EIO;
  if (fault == FAULT_COMMIT_BEFORE) return SIM_DEAD;
  if (fault == FAULT_COMMIT_SLOW) s->now += 15 * SIM_SECOND;
  if (fault == FAULT_COMMIT_SLOW) begin_anew(s);
  sim_disk_commit(s, records, n, bytes);
  sim_check_owners(s);
  sim_check_idle(s);
  dk_core_digest(s->core, &s->durable);
  sim_runs_committed(s);
  return fault == FAULT_COMMIT_AFTER ? SIM_DEAD : 0;
}

/* --- events --- */

static int take(struct sim *s, struct dk_event *ret) {
  *ret = s->queue[s->queue_at];
  if (ret->kind == DK_EV_ENDED) {
    s->given = s->queue_bytes[s->queue_at];
    ret->u.ended.bytes = &s->given;
    ret->u.ended.len = sizeof s->given;
    s->heard[s->n_heard++ % SIM_HEARD] = (struct sim_heard){ret->host, ret->session, ret->u.ended.seq, ret->id};
  }
  s->queue_at = (s->queue_at + 1) % (sizeof s->queue / sizeof *s->queue);
  s->queue_n--;
  s->in_hand = ret->run;
  s->has_news_in_hand = sim_is_news(ret);
  return 1;
}

static int world_next(void *ctx, uint64_t deadline, struct dk_event *ret, uint64_t *ret_now) {
  struct sim *s = ctx;
  sim_runs_submit(s);
  if (++s->turns > MAX_TURNS) sim_fail(s, "no end after %u turns", s->turns);
  sim_copies_tell_early(s);
  if (sim_faults_do(s) || sim_has_failed(s)) return SIM_DEAD;
  struct sim_event event;
  for (;;) {
    if (sim_pop(s, s->now > s->asleep_until ? s->now : s->asleep_until, &event)) {
      if (event.at > s->now) s->now = event.at;
      sim_happen(s, &event);
      if (sim_has_failed(s)) return SIM_DEAD;
      continue;
    }
    if (s->asleep_until) {
      if (s->now < s->asleep_until) s->now = s->asleep_until;
      s->asleep_until = 0;
      begin_anew(s);
    }
    *ret_now = s->now;
    if (s->queue_n) return take(s, ret);
    if (deadline <= s->now) return 0;
    uint64_t at = sim_next_at(s);
    if (at == UINT64_MAX && deadline == UINT64_MAX) {
      sim_check_rest(s);
      if (sim_ask_resume_all(s)) continue;
      sim_fail(s, "nothing will ever happen again");
      return SIM_DEAD;
    }
    s->now = at < deadline ? at : deadline;
  }
}

void sim_engine_event(struct sim *s, struct sim_event *event) {
  if (event->epoch == s->engine_epoch) sim_engine_push(s, &event->answer, NULL);
}

/* --- a life --- */

static void new_life(struct sim *s) {
  s->engine_epoch++;
  /* A random incarnation; at times the one before again, which is allowed: its numbers are durable. */
  if (s->inc == 0 || !sim_chance(&s->engine, 300)) s->inc = sim_random_next(&s->engine) | 1;
  s->queue_at = s->queue_n = 0;
  s->commit_fault = FAULT_N_KINDS;
  for (uint32_t i = 0; i < s->n_keys; i++) s->keys[i].is_left = false; /* nothing of it lasts */
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    struct sim_host *host = &s->hosts[i];
    host->engine_session = host->highest_session = host->listens_since = 0;
    host->silent_since = s->now;
    host->is_lost = host->is_removed = host->is_leaving = false;
    host->conn = 0;
    host->late_from = host->last_conn;
  }
}

static int live(struct sim *s) {
  struct dk_digest digest;
  int r = dk_core_create(&s->core, &s->policy, s->inc, s->c->seed);
  if (r == 0) sim_disk_load(s, s->core);
  dk_core_digest(s->core, &digest);
  if (s->engine_epoch > 1 && !dk_digest_equal(&digest, &s->durable))
    sim_fail(s, "what was loaded is not what was durable");
  s->durable = digest;
  for (uint32_t i = 0; i < s->c->n_hosts; i++) s->hosts[i].unclaimed = dk_core_unclaimed(s->core, i);
  dk_turn_init(&s->turn, s->core, &s->world);
  s->turn.last_now = s->now;
  sim_places_begin(s);
  if (r == 0) sim_runs_recall(s);
  for (uint32_t i = 0; i < s->c->n_hosts; i++) sim_connect(s, &s->hosts[i]);
  while (r == 0 && !sim_runs_are_over(s) && !sim_has_failed(s)) {
    r = dk_turn_once(&s->turn);
    if (r == 0) sim_runs_reap(s);
  }
  return r;
}

int sim_engine_run(struct sim *s) {
  s->world = (struct dk_world){s, world_next, world_sync, world_commit, world_act};
  new_life(s);
  stepping = s;
  sim_trace(s, "engine %u starts, incarnation %llx", s->engine_epoch, (unsigned long long)s->inc);
  int r = live(s);
  sim_trace(s, "engine %u ends: %d", s->engine_epoch, r);
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    sim_break(s, &s->hosts[i]);
    s->hosts[i].listens_since = 0;
  }
  dk_turn_finish(&s->turn);
  dk_core_destroy(s->core);
  s->core = NULL;
  return r;
}
