/* What the agent tells: sessions, what it has, ends of attempts. Everything that is not of the open session is dropped (the agent
 * repeats in the next one whatever is not acknowledged). Nothing is handed out before the agent has said what it has: an
 * order that an earlier session left undone is then known to be absent, and any order of that session that is still under
 * way is refused by the agent. */
#include "engine/core/internal.h"

/* --- ends --- */

/* The claim's owner was cancelled and nothing of it is left at the agent. Who shares the claim goes on with it. */
static void was_stopped(struct dk_core *core, uint32_t i, enum dk_cause cause, int32_t code) {
  struct dk_core_run *run = core->claims[i].run;
  uint32_t task = core->claims[i].task;
  if (!dk_claim_pass(core, i)) {
    dk_claim_end(core, i, TASK_CANCEL, cause, code);
    return;
  }
  dk_task_do(core, run, task, TASK_CANCEL, &core->claims[i]);
  dk_task_do(core, core->claims[i].run, core->claims[i].task, TASK_AGAIN, &core->claims[i]);
  dk_claim_yield(core, i);
}

/* The claim's attempt is gone and gave no result. */
static void came_to_nothing(struct dk_core *core, uint32_t claim, enum dk_cause cause, int32_t code) {
  struct dk_claim *of = &core->claims[claim];
  of->cause = (uint8_t)cause;
  of->code = code;
  if (dk_claim_is_stopped(of))
    was_stopped(core, claim, cause, code);
  else if (dk_retry_count(of->run, of->task, &of->tries, cause, code))
    dk_retry_wait(core, claim);
  else
    dk_claim_end(core, claim, TASK_FAIL, cause, code);
}

/* The order never started; it counts for nothing. */
static void was_not_started(struct dk_core *core, uint32_t claim) {
  struct dk_claim *of = &core->claims[claim];
  if (dk_claim_is_stopped(of)) {
    was_stopped(core, claim, DK_CAUSE_KILLED, 0);
    return;
  }
  dk_task_do(core, of->run, of->task, TASK_AGAIN, of);
  dk_claim_yield(core, claim);
}

/* An attempt that was given up for lost shows up: its task takes it back unless it has another one by now. */
static void take_back(struct dk_core *core, uint32_t attempt) {
  if (core->attempts[attempt].claim != DK_NONE) return;
  uint32_t claim = dk_claim_find(core, &core->attempts[attempt].key);
  if (claim == DK_NONE || core->claims[claim].outcome != CLAIM_OPEN || core->claims[claim].attempt != DK_NONE) return;
  if (dk_task_can(core->claims[claim].run, core->claims[claim].task, TASK_ADOPT))
    dk_attempt_claim(core, attempt, claim, TASK_ADOPT);
}

static void record_end(struct dk_core *core, const struct dk_attempt *attempt, const struct dk_event *event) {
  bool is_ok = event->u.ended.cause == DK_CAUSE_OK;
  struct dk_record *record = dk_emit_record(core, is_ok ? DK_REC_RESULT : DK_REC_FAILURE);
  record->id = attempt->id;
  record->key = attempt->key;
  dk_emit_bytes(core, record, event->u.ended.bytes, event->u.ended.len);
  if (is_ok) core->facts_seq = core->seq;
}

static void acknowledge(struct dk_core *core, uint64_t agent_seq) {
  struct dk_action *action = dk_emit_action(core, DK_ACT_ACK, core->seq);
  action->seq = agent_seq;
}

static void ended(struct dk_core *core, uint32_t i, const struct dk_event *event) {
  take_back(core, i);
  struct dk_attempt gone = core->attempts[i];
  record_end(core, &gone, event);
  dk_attempt_remove(core, i);
  core->agent.window_ends++;
  core->agent.hold_until = 0;
  bool is_ok = event->u.ended.cause == DK_CAUSE_OK;
  if (gone.claim == DK_NONE) {
    if (is_ok)
      dk_claim_note(core, &gone.key, gone.id);
    else
      dk_run_note_end(core, &gone, event->u.ended.cause, event->u.ended.code);
  } else if (is_ok) {
    dk_claim_end(core, gone.claim, TASK_OK, DK_CAUSE_OK, event->u.ended.code);
  } else if (gone.flags & ATTEMPT_UNHEARD && core->claims[gone.claim].run->number != gone.made_by) {
    /* It failed before this run was asked for: a failure is tried again by the next run. */
    was_not_started(core, gone.claim);
  } else {
    came_to_nothing(core, gone.claim, event->u.ended.cause, event->u.ended.code);
  }
}

static void refused(struct dk_core *core, uint32_t i, uint8_t reason) {
  uint32_t claim = core->attempts[i].claim;
  dk_attempt_remove(core, i);
  if (reason == DK_REFUSED_BUSY) core->agent.hold_until = core->now + core->policy.backoff_ns;
  if (claim == DK_NONE) return;
  struct dk_claim *of = &core->claims[claim];
  if (reason == DK_REFUSED_BUSY || dk_claim_is_stopped(of)) {
    was_not_started(core, claim);
  } else if (reason == DK_REFUSED_BAD) {
    dk_claim_end(core, claim, TASK_FAIL, DK_CAUSE_SPAWN, 0);
  } else if (reason != DK_REFUSED_DISK) {
    came_to_nothing(core, claim, DK_CAUSE_LOST, 0);
  } else if (dk_retry_count(of->run, of->task, &of->tries, DK_CAUSE_LOST, 0)) { /* may pass: as often as a lost one */
    dk_retry_wait(core, claim);
  } else {
    dk_claim_end(core, claim, TASK_FAIL, DK_CAUSE_DISK, 0);
  }
}

/* --- ending what runs --- */

static struct dk_action *order(struct dk_core *core, enum dk_action_kind kind, const struct dk_attempt *attempt) {
  struct dk_action *action = dk_emit_action(core, kind, core->seq);
  action->id = attempt->id;
  action->task = attempt->task;
  return action;
}

void dk_session_stop(struct dk_core *core, uint32_t i, bool is_hard, bool again) {
  struct dk_attempt *attempt = &core->attempts[i];
  if (!core->agent.session || (attempt->flags & ATTEMPT_KILLED && !again)) return;
  bool is_started = attempt->flags & ATTEMPT_STARTED;
  if (is_started) attempt->flags |= ATTEMPT_KILLED;
  order(core, is_started ? DK_ACT_KILL : DK_ACT_REVOKE, attempt)->hard = is_hard;
}

void dk_session_revoke(struct dk_core *core, uint32_t i) {
  if (core->agent.session && !(core->attempts[i].flags & ATTEMPT_STARTED))
    order(core, DK_ACT_REVOKE, &core->attempts[i]);
}

/* What was asked of its task (or of its run, when no task has it) is said again to whom has it now. */
static void remind(struct dk_core *core, uint32_t i) {
  const struct dk_attempt *attempt = &core->attempts[i];
  if (attempt->claim == DK_NONE) {
    const struct dk_core_run *run = dk_run_find(core, attempt->run);
    if (attempt->task == DK_NO_TASK)
      dk_session_stop(core, i, false, false);
    else if (run && dk_run_has_left(run, attempt))
      dk_session_stop(core, i, run->flags[attempt->task] & TASK_HARD, false);
    return;
  }
  const struct dk_claim *claim = &core->claims[attempt->claim];
  if (dk_claim_is_stopped(claim))
    dk_session_stop(core, i, claim->run->flags[claim->task] & TASK_HARD, false);
  else if (dk_run_keeps_back(claim->run, claim->task))
    dk_session_revoke(core, i);
}

/* --- sessions --- */

static void up(struct dk_core *core, const struct dk_event *event) {
  struct dk_session *agent = &core->agent;
  if (event->session <= agent->last) return; /* sessions of one engine grow */
  agent->session = agent->last = event->session;
  agent->slots = event->u.agent_up.slots ? event->u.agent_up.slots : 1;
  agent->is_listed = false;
  agent->is_lost = false;
  agent->is_timed = false;
  agent->hold_until = 0;
  for (uint32_t i = 0; i < core->n_attempts; i++) core->attempts[i].flags &= ~(uint32_t)(ATTEMPT_SEEN | ATTEMPT_KILLED);
  dk_emit_action(core, DK_ACT_LIST, 0);
}

static void down(struct dk_core *core) {
  core->agent.session = 0;
  core->agent.is_listed = false;
  core->agent.is_timed = true;
  core->agent.down_since = core->now;
}

static void has(struct dk_core *core, uint32_t i, const struct dk_event *event) {
  if (i == DK_NONE) {
    if (event->u.has.state == DK_ATTEMPT_ENDED) return; /* its result follows, and is acknowledged */
    struct dk_action *action = dk_emit_action(core, DK_ACT_KILL, core->seq); /* nobody's: the store never heard of it */
    action->id = event->id;
    action->hard = true;
    return;
  }
  core->attempts[i].flags |= ATTEMPT_SEEN;
  if (event->u.has.state == DK_ATTEMPT_ENDED && event->id.inc != core->incarnation)
    core->attempts[i].flags |= ATTEMPT_UNHEARD;
  take_back(core, i);
  dk_attempt_own(core, i);
  if (event->u.has.state != DK_ATTEMPT_QUEUED) dk_attempt_set_started(core, i, event->u.has.slot);
  if (event->u.has.state != DK_ATTEMPT_ENDED) remind(core, i);
}

/* What it did not name, it does not have: never arrived, or lost with the machine. */
static void has_end(struct dk_core *core) {
  if (core->agent.is_listed) return;
  core->agent.is_listed = true;
  for (uint32_t i = 0; i < core->n_attempts; i++) {
    const struct dk_attempt *attempt = &core->attempts[i];
    if (!attempt->is_used || attempt->flags & ATTEMPT_SEEN) continue;
    uint32_t claim = attempt->claim;
    bool is_started = attempt->flags & ATTEMPT_STARTED;
    dk_attempt_remove(core, i);
    if (claim == DK_NONE) continue;
    if (is_started)
      came_to_nothing(core, claim, DK_CAUSE_LOST, 0);
    else
      was_not_started(core, claim);
  }
}

static void started(struct dk_core *core, uint32_t i, uint32_t slot) {
  dk_attempt_set_started(core, i, slot);
  remind(core, i); /* a REVOKE came too late */
}

void dk_session_event(struct dk_core *core, const struct dk_event *event) {
  if (event->kind == DK_EV_AGENT_UP) {
    up(core, event);
    return;
  }
  if (event->kind == DK_EV_ENDED && event->session == 0) { /* it was never sent: no session can know better */
    uint32_t own = dk_attempt_find(core, event->id);
    if (own != DK_NONE) ended(core, own, event);
    return;
  }
  if (event->session == 0 || event->session != core->agent.session) return;
  uint32_t i =
      event->kind == DK_EV_AGENT_DOWN || event->kind == DK_EV_HAS_END ? DK_NONE : dk_attempt_find(core, event->id);
  switch (event->kind) {
  case DK_EV_AGENT_DOWN: down(core); break;
  case DK_EV_HAS: has(core, i, event); break;
  case DK_EV_HAS_END: has_end(core); break;
  case DK_EV_ENDED:
    if (i != DK_NONE) ended(core, i, event);
    acknowledge(core, event->u.ended.seq);
    break;
  case DK_EV_STARTED:
    if (i != DK_NONE) started(core, i, event->u.started.slot);
    break;
  case DK_EV_REFUSED:
    if (i != DK_NONE) refused(core, i, event->u.refused.reason);
    break;
  case DK_EV_REVOKED:
    if (i != DK_NONE) {
      uint32_t claim = core->attempts[i].claim;
      dk_attempt_remove(core, i);
      if (claim != DK_NONE) was_not_started(core, claim);
    }
    break;
  default: break;
  }
}

/* Silent for too long: what it had may be run again. The attempts stay known, in case it comes back with them. */
void dk_session_pass_time(struct dk_core *core) {
  struct dk_session *agent = &core->agent;
  if (agent->session || agent->is_lost) return;
  if (!agent->is_timed) {
    agent->is_timed = true;
    agent->down_since = core->now;
  }
  if (core->now - agent->down_since < core->policy.lost_after_ns) return;
  agent->is_lost = true;
  for (uint32_t i = 0; i < core->n_attempts; i++) {
    if (!core->attempts[i].is_used || core->attempts[i].claim == DK_NONE) continue;
    uint32_t claim = core->attempts[i].claim;
    bool is_started = core->attempts[i].flags & ATTEMPT_STARTED;
    dk_attempt_release(core, i);
    if (is_started)
      came_to_nothing(core, claim, DK_CAUSE_LOST, 0);
    else
      was_not_started(core, claim);
  }
}
