/* What agents tell: sessions, what they have, ends of attempts. Everything that is not of the host's open session is
 * dropped (the agent repeats in the next one whatever is not acknowledged). Nothing is handed out to a host before its
 * agent has said what it has: an order that an earlier session left undone is then known to be absent, and any order of
 * that session that is still under way is refused by the agent.
 *
 * A host that was given up may come back with attempts that were made anew elsewhere. Who is ahead of the other stays:
 * a good end, then what has started. The other one is condemned: it is ended, and nothing of it is recorded. */
#include "engine/core/place.h"

/* --- ends --- */

/* The claim's owner alone ends, with TASK_CANCEL or TASK_FAIL; nothing of it is left at the agent. Who shares the claim
 * goes on with it. */
static void end_owner(struct dk_core *core, uint32_t i, enum dk_task_event event, enum dk_cause cause, int32_t code) {
  struct dk_core_run *run = core->claims[i].run;
  uint32_t task = core->claims[i].task;
  if (!dk_claim_pass(core, i)) {
    dk_claim_end(core, i, event, cause, code);
    return;
  }
  dk_task_do(core, run, task, event, &core->claims[i]);
  dk_task_do(core, core->claims[i].run, core->claims[i].task, TASK_AGAIN, &core->claims[i]);
  dk_claim_yield(core, i);
}

static void was_stopped(struct dk_core *core, uint32_t claim, enum dk_cause cause, int32_t code) {
  end_owner(core, claim, TASK_CANCEL, cause, code);
}

/* The claim's attempt is gone and gave no result. When it was never sent, that says nothing of those who share it: what
 * one run cannot give may be there in another. */
static void came_to_nothing(struct dk_core *core, uint32_t claim, enum dk_cause cause, int32_t code, bool was_sent) {
  struct dk_claim *of = &core->claims[claim];
  of->cause = (uint8_t)cause;
  of->code = code;
  if (dk_claim_is_stopped(of))
    was_stopped(core, claim, cause, code);
  else if (dk_retry_count(of->run, of->task, &of->tries, of->is_full_elsewhere ? DK_CAUSE_LOST : cause, code))
    dk_retry_wait(core, claim);
  else if (was_sent)
    dk_claim_end(core, claim, TASK_FAIL, cause, code);
  else
    end_owner(core, claim, TASK_FAIL, cause, code);
}

/* It is known that it never began: it is none of the attempts that people read of. */
static void uncount(struct dk_core *core, uint32_t i) {
  const struct dk_attempt *attempt = &core->attempts[i];
  if (attempt->claim == DK_NONE || attempt->flags & ATTEMPT_STARTED) return;
  uint8_t *attempts = &core->claims[attempt->claim].attempts;
  if (*attempts > 0 && *attempts < UINT8_MAX) --*attempts;
}

/* The order never started, as far as is known; it counts against no limit. */
static void was_not_started(struct dk_core *core, uint32_t claim) {
  struct dk_claim *of = &core->claims[claim];
  if (dk_claim_is_stopped(of)) {
    was_stopped(core, claim, DK_CAUSE_KILLED, 0);
    return;
  }
  dk_task_do(core, of->run, of->task, TASK_AGAIN, of);
  dk_claim_yield(core, claim);
}

/* Nobody waits for it any more. */
static void condemn(struct dk_core *core, uint32_t attempt) {
  dk_attempt_condemn(core, attempt);
  dk_session_stop(core, attempt, true, false);
}

void dk_session_end_rivals(struct dk_core *core, const struct dk_digest *key) {
  for (uint32_t i; !core->is_failed && (i = dk_attempt_find_idle(core, key)) != DK_NONE;) condemn(core, i);
}

/* The open claim that an unclaimed attempt would be of; DK_NONE: none. */
static uint32_t claim_for(const struct dk_core *core, uint32_t attempt) {
  if (core->attempts[attempt].claim != DK_NONE) return DK_NONE;
  uint32_t claim = dk_claim_find(core, &core->attempts[attempt].key);
  return claim != DK_NONE && core->claims[claim].outcome == CLAIM_OPEN ? claim : DK_NONE;
}

/* An attempt that was given up for lost shows up: its task takes it back. When that has another one by now, this one
 * replaces it if it is ahead, else it is to end, unless it has ended already. */
enum ahead { AHEAD_OF_NONE, AHEAD_OF_QUEUED, AHEAD_OF_ALL };

static void take_back(struct dk_core *core, uint32_t attempt, enum ahead ahead, bool has_ended) {
  uint32_t claim = claim_for(core, attempt);
  if (claim == DK_NONE) return;
  struct dk_claim *of = &core->claims[claim];
  uint32_t other = of->attempt;
  if (other != DK_NONE) {
    bool is_ahead =
        ahead == AHEAD_OF_ALL || (ahead == AHEAD_OF_QUEUED && !(core->attempts[other].flags & ATTEMPT_STARTED));
    if (!is_ahead) {
      if (!has_ended) condemn(core, attempt);
      return;
    }
    dk_attempt_release(core, other);
    condemn(core, other);
    dk_task_do(core, of->run, of->task, TASK_AGAIN, of);
  }
  if (dk_task_can(of->run, of->task, TASK_ADOPT)) dk_attempt_claim(core, attempt, claim, TASK_ADOPT);
}

static void record_end(struct dk_core *core, const struct dk_attempt *attempt, const struct dk_event *event) {
  bool is_ok = event->u.ended.cause == DK_CAUSE_OK;
  struct dk_record *record = dk_emit_record(core, is_ok ? DK_REC_RESULT : DK_REC_FAILURE);
  record->id = attempt->id;
  record->key = attempt->key;
  record->replaces = event->u.ended.replaces;
  dk_emit_bytes(core, record, event->u.ended.bytes, event->u.ended.len);
  if (is_ok) core->facts_seq = core->seq;
}

static void ended(struct dk_core *core, uint32_t i, const struct dk_event *event) {
  bool is_ok = event->u.ended.cause == DK_CAUSE_OK;
  if (event->session == 0) uncount(core, i);
  if (is_ok || core->attempts[i].task != DK_NO_TASK) take_back(core, i, is_ok ? AHEAD_OF_ALL : AHEAD_OF_NONE, true);
  struct dk_attempt gone = core->attempts[i];
  struct dk_host *host = &core->hosts[gone.host];
  bool is_condemned = gone.claim == DK_NONE && gone.task == DK_NO_TASK;
  if (!is_condemned) record_end(core, &gone, event);
  dk_attempt_remove(core, i);
  host->window_ends++;
  host->last_end = core->now;
  host->hold_until = 0;
  if (is_condemned) return;
  if (is_ok) dk_session_end_rivals(core, &gone.key);
  if (gone.claim == DK_NONE) {
    if (is_ok)
      dk_claim_note(core, &gone);
    else
      dk_tried_note_end(core, &gone, event->u.ended.cause, event->u.ended.code);
  } else if (is_ok) {
    dk_claim_end(core, gone.claim, TASK_OK, DK_CAUSE_OK, event->u.ended.code);
  } else if (gone.flags & ATTEMPT_UNHEARD && core->claims[gone.claim].run->number != gone.made_by) {
    /* It failed before this run was asked for: a failure is tried again by the next run. */
    was_not_started(core, gone.claim);
  } else {
    /* Another machine's disk: a further one may have room, so it counts as what is lost with a host does. */
    core->claims[gone.claim].is_full_elsewhere =
        event->u.ended.cause == DK_CAUSE_DISK && gone.host != DK_HOST_LOCAL && event->session != 0;
    came_to_nothing(core, gone.claim, event->u.ended.cause, event->u.ended.code, event->session != 0);
  }
}

static void refused(struct dk_core *core, uint32_t i, uint8_t reason) {
  uint32_t claim = core->attempts[i].claim, host = core->attempts[i].host;
  if (reason != DK_REFUSED_STALE) uncount(core, i); /* of a stale one nobody knows what became of it */
  dk_attempt_remove(core, i);
  if (reason == DK_REFUSED_BUSY) core->hosts[host].hold_until = core->now + core->policy.backoff_ns;
  if (claim == DK_NONE) return;
  struct dk_claim *of = &core->claims[claim];
  if (reason == DK_REFUSED_BUSY || dk_claim_is_stopped(of)) {
    was_not_started(core, claim);
  } else if (reason == DK_REFUSED_BAD && dk_place_is_elsewhere(core, of->run, of->task, host)) {
    was_not_started(core, claim);
  } else if (reason == DK_REFUSED_BAD) {
    dk_claim_end(core, claim, TASK_FAIL, DK_CAUSE_SPAWN, 0);
  } else if (reason != DK_REFUSED_DISK) {
    came_to_nothing(core, claim, DK_CAUSE_LOST, 0, true);
  } else if (dk_retry_count(of->run, of->task, &of->tries, DK_CAUSE_LOST, 0)) { /* may pass: as often as a lost one */
    of->cause = DK_CAUSE_DISK;
    dk_retry_wait(core, claim);
  } else {
    dk_claim_end(core, claim, TASK_FAIL, DK_CAUSE_DISK, 0);
  }
}

/* The world has not sent the order: as if it had not been made. Its claim, for what follows; DK_NONE: nothing does. */
static uint32_t unmake(struct dk_core *core, uint32_t i) {
  uint32_t claim = core->attempts[i].claim;
  uncount(core, i);
  dk_attempt_remove(core, i);
  if (claim == DK_NONE) return claim;
  struct dk_claim *of = &core->claims[claim];
  if (!dk_claim_is_stopped(of)) return claim;
  was_not_started(core, claim);
  return DK_NONE;
}

static void not_yet(struct dk_core *core, uint32_t i) {
  uint32_t claim = unmake(core, i);
  if (claim != DK_NONE) dk_retry_hold(core, claim);
}

/* What a lost host may still do under the key is nobody's, unless a task gets the same one again. */
static void stale_key(struct dk_core *core, uint32_t i) {
  uint32_t claim = unmake(core, i);
  if (claim == DK_NONE) return;
  dk_session_end_rivals(core, &core->claims[claim].key);
  dk_claim_end(core, claim, TASK_REKEY, DK_CAUSE_OK, 0);
}

/* --- ending what runs --- */

static struct dk_action *order(struct dk_core *core, enum dk_action_kind kind, const struct dk_attempt *attempt) {
  struct dk_action *action = dk_emit_order(core, kind, core->seq, attempt->host);
  action->id = attempt->id;
  action->task = attempt->task;
  return action;
}

void dk_session_stop(struct dk_core *core, uint32_t i, bool is_hard, bool again) {
  struct dk_attempt *attempt = &core->attempts[i];
  if (!core->hosts[attempt->host].session || (attempt->flags & ATTEMPT_KILLED && !again)) return;
  bool is_started = attempt->flags & ATTEMPT_STARTED;
  if (is_started) attempt->flags |= ATTEMPT_KILLED;
  order(core, is_started ? DK_ACT_KILL : DK_ACT_REVOKE, attempt)->hard = is_hard;
}

void dk_session_revoke(struct dk_core *core, uint32_t i) {
  const struct dk_attempt *attempt = &core->attempts[i];
  if (core->hosts[attempt->host].session && !(attempt->flags & ATTEMPT_STARTED)) order(core, DK_ACT_REVOKE, attempt);
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
  struct dk_host *host = dk_host_need(core, event->host);
  if (!host || event->session <= host->last) return; /* sessions of one engine grow */
  host->session = host->last = event->session;
  host->slots = event->u.agent_up.slots ? event->u.agent_up.slots : 1;
  host->is_listed = false;
  host->is_lost = false;
  host->is_removed = false;
  host->is_timed = false;
  host->last_end = core->now;
  host->hold_until = 0;
  for (uint32_t i = 0; i < core->n_attempts; i++) {
    if (core->attempts[i].host == event->host)
      core->attempts[i].flags &= ~(uint32_t)(ATTEMPT_SEEN | ATTEMPT_KILLED | ATTEMPT_RECALLED);
  }
  dk_emit_order(core, DK_ACT_LIST, 0, event->host);
}

static void down(struct dk_core *core, struct dk_host *host) {
  host->session = 0;
  host->is_listed = false;
  host->is_timed = true;
  host->down_since = core->now;
}

static void has(struct dk_core *core, uint32_t i, const struct dk_event *event) {
  if (i == DK_NONE) {
    if (event->u.has.state == DK_ATTEMPT_ENDED) return; /* its result follows, and is acknowledged */
    /* Nobody's: the store never heard of it. */
    struct dk_action *action = dk_emit_order(core, DK_ACT_KILL, core->seq, event->host);
    action->id = event->id;
    action->hard = true;
    return;
  }
  core->attempts[i].flags |= ATTEMPT_SEEN;
  if (event->u.has.state == DK_ATTEMPT_ENDED && event->id.inc != core->incarnation)
    core->attempts[i].flags |= ATTEMPT_UNHEARD;
  bool has_ended = event->u.has.state == DK_ATTEMPT_ENDED; /* how it ended is told next */
  take_back(core, i, event->u.has.state == DK_ATTEMPT_RUNNING ? AHEAD_OF_QUEUED : AHEAD_OF_NONE, has_ended);
  dk_attempt_own(core, i);
  if (event->u.has.state != DK_ATTEMPT_QUEUED) dk_attempt_set_started(core, i, event->u.has.slot);
  if (event->u.has.state != DK_ATTEMPT_ENDED) remind(core, i);
}

/* What it did not name, it does not have: never arrived, or lost with the machine. */
static void has_end(struct dk_core *core, uint32_t host) {
  if (core->hosts[host].is_listed) return;
  core->hosts[host].is_listed = true;
  for (uint32_t i = 0; i < core->n_attempts; i++) {
    const struct dk_attempt *attempt = &core->attempts[i];
    if (!attempt->is_used || attempt->host != host || attempt->flags & ATTEMPT_SEEN) continue;
    uint32_t claim = attempt->claim;
    bool is_started = attempt->flags & ATTEMPT_STARTED;
    uncount(core, i);
    dk_attempt_remove(core, i);
    if (claim == DK_NONE) continue;
    if (is_started)
      came_to_nothing(core, claim, DK_CAUSE_LOST, 0, true);
    else
      was_not_started(core, claim);
  }
}

static void started(struct dk_core *core, uint32_t i, uint32_t slot) {
  dk_attempt_set_started(core, i, slot);
  remind(core, i); /* a REVOKE came too late */
}

/* The attempt that a host's agent speaks of; DK_NONE: none, or one that is not this host's. */
static uint32_t find(const struct dk_core *core, const struct dk_event *event) {
  if (event->kind == DK_EV_AGENT_DOWN || event->kind == DK_EV_HAS_END) return DK_NONE;
  uint32_t i = dk_attempt_find(core, event->id);
  return i != DK_NONE && core->attempts[i].host == event->host ? i : DK_NONE;
}

/* The world itself says it of an order that was never sent: no session can know better. */
static void unsent(struct dk_core *core, const struct dk_event *event) {
  uint32_t i = dk_attempt_find(core, event->id);
  if (i == DK_NONE) return;
  if (event->kind == DK_EV_ENDED) ended(core, i, event);
  if (event->kind == DK_EV_REFUSED && event->u.refused.reason == DK_REFUSED_NOT_YET) not_yet(core, i);
  if (event->kind == DK_EV_REFUSED && event->u.refused.reason == DK_REFUSED_STALE_KEY) stale_key(core, i);
}

void dk_session_event(struct dk_core *core, const struct dk_event *event) {
  if (event->kind == DK_EV_AGENT_UP) {
    up(core, event);
    return;
  }
  if (event->session == 0) {
    unsent(core, event);
    return;
  }
  if (event->session != dk_core_session(core, event->host)) return;
  uint32_t i = find(core, event);
  switch (event->kind) {
  case DK_EV_AGENT_DOWN: down(core, &core->hosts[event->host]); break;
  case DK_EV_HAS: has(core, i, event); break;
  case DK_EV_HAS_END: has_end(core, event->host); break;
  case DK_EV_ENDED:
    if (i != DK_NONE) ended(core, i, event);
    dk_emit_order(core, DK_ACT_ACK, core->seq, event->host)->seq = event->u.ended.seq;
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
      uncount(core, i);
      dk_attempt_remove(core, i);
      if (claim != DK_NONE) was_not_started(core, claim);
    }
    break;
  default: break;
  }
}

void dk_session_lose(struct dk_core *core, uint32_t i) {
  uint32_t claim = core->attempts[i].claim;
  bool is_started = core->attempts[i].flags & ATTEMPT_STARTED;
  dk_attempt_release(core, i);
  if (is_started)
    came_to_nothing(core, claim, DK_CAUSE_LOST, 0, true);
  else
    was_not_started(core, claim);
}
