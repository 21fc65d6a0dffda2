/* Claims: keys that were looked up and have no result yet; a task owns each, others may share it.
 *
 * Eras: a lookup that began before a result was recorded may answer "miss" after it. So a claim that ended well stays
 * findable (retired) until every lookup that was under way at its end has been answered. Lookups count in the era they
 * began in; there are two; the era changes when the other one has no lookup under way any more, and what retired two
 * changes ago is freed. */
#include "engine/core/internal.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <string.h>

static uint64_t hash_key(const struct dk_digest *key) {
  uint64_t hash;
  memcpy(&hash, key->bytes, sizeof hash); /* a digest is as good as a hash gets */
  return hash;
}

static bool has_key(const void *ctx, uint32_t item, const void *key) {
  const struct dk_core *core = ctx;
  return dk_digest_equal(&core->claims[item].key, key);
}

uint32_t dk_claim_find(const struct dk_core *core, const struct dk_digest *key) {
  return dk_index_find(&core->claim_by_key, hash_key(key), has_key, core, key);
}

static uint32_t take(struct dk_core *core) {
  uint32_t i = core->free_claim;
  if (i != DK_NONE) {
    core->free_claim = core->claims[i].next;
    return i;
  }
  if (!dk_grow(core->claims, core->n_claims, core->cap_claims)) {
    core->is_failed = true;
    return DK_NONE;
  }
  return core->n_claims++;
}

void dk_claim_forget(struct dk_core *core, uint32_t claim) {
  if (core->claims[claim].is_indexed) dk_index_remove(&core->claim_by_key, hash_key(&core->claims[claim].key), claim);
  core->claims[claim].is_indexed = false;
}

static void give_back(struct dk_core *core, uint32_t claim) {
  dk_claim_forget(core, claim);
  core->claims[claim].is_used = false;
  core->claims[claim].next = core->free_claim;
  core->free_claim = claim;
}

/* Its run was added with what it had been before: nothing is tried anew because an engine was killed. */
static void take_up(const struct dk_core *core, struct dk_claim *claim) {
  const struct dk_core_tried *tried = dk_tried_find(core, claim->run, claim->task, &claim->key);
  if (!tried) return;
  claim->last = tried->attempt;
  claim->host = tried->host;
  claim->attempts = tried->attempts;
  claim->tries = tried->tries;
}

struct dk_claim dk_claim_of_tried(const struct dk_core_tried *tried) {
  return (struct dk_claim){.key = tried->key,
                           .last = tried->attempt,
                           .host = tried->host,
                           .attempt = DK_NONE,
                           .attempts = tried->attempts,
                           .tries = tried->tries,
                           .cause = tried->cause,
                           .code = tried->code};
}

uint32_t dk_claim_open(struct dk_core *core, struct dk_core_run *run, uint32_t task, const struct dk_digest *key) {
  uint32_t i = take(core);
  if (i == DK_NONE) return i;
  core->claims[i] = (struct dk_claim){.key = *key,
                                      .run = run,
                                      .task = task,
                                      .attempt = DK_NONE,
                                      .shares = DK_NONE,
                                      .heap_at = DK_NONE,
                                      .next = DK_NONE,
                                      .outcome = CLAIM_OPEN,
                                      .is_used = true,
                                      .is_indexed = true};
  if (run) take_up(core, &core->claims[i]);
  if (dk_index_add(&core->claim_by_key, hash_key(key), i) < 0) {
    core->claims[i].is_indexed = false;
    give_back(core, i);
    core->is_failed = true;
    return DK_NONE;
  }
  return i;
}

/* --- shares --- */

static uint32_t take_share(struct dk_core *core) {
  uint32_t i = core->free_share;
  if (i != DK_NONE) {
    core->free_share = core->shares[i].next;
    return i;
  }
  if (!dk_grow(core->shares, core->n_shares, core->cap_shares)) {
    core->is_failed = true;
    return DK_NONE;
  }
  return core->n_shares++;
}

void dk_claim_share(struct dk_core *core, uint32_t claim, struct dk_core_run *run, uint32_t task) {
  uint32_t i = take_share(core);
  if (i == DK_NONE) return;
  uint32_t first = core->claims[claim].shares;
  core->shares[i] = (struct dk_share){.run = run, .task = task, .claim = claim, .previous = DK_NONE, .next = first};
  if (first != DK_NONE) core->shares[first].previous = i;
  core->claims[claim].shares = i;
  dk_task_do(core, run, task, TASK_SHARE, &core->claims[claim]);
  run->word[task] = i;
  dk_claim_yield(core, claim);
}

static void drop_share(struct dk_core *core, uint32_t i) {
  struct dk_share *share = &core->shares[i];
  if (share->previous != DK_NONE)
    core->shares[share->previous].next = share->next;
  else
    core->claims[share->claim].shares = share->next;
  if (share->next != DK_NONE) core->shares[share->next].previous = share->previous;
  share->run = NULL;
  share->next = core->free_share;
  core->free_share = i;
}

void dk_claim_unshare(struct dk_core *core, struct dk_core_run *run, uint32_t task) {
  drop_share(core, run->word[task]);
}

bool dk_claim_pass(struct dk_core *core, uint32_t i) {
  struct dk_claim *claim = &core->claims[i];
  if (claim->shares == DK_NONE) return false;
  struct dk_core_run *old_run = claim->run;
  uint32_t old_task = claim->task;
  struct dk_share heir = core->shares[claim->shares];
  drop_share(core, claim->shares);
  claim->placed_in = 0;
  claim->run = heir.run;
  claim->task = heir.task;
  heir.run->word[heir.task] = i;
  dk_task_inherit(core, heir.run, heir.task, old_run->state[old_task]);
  if (claim->attempt != DK_NONE) dk_attempt_move(core, claim->attempt, old_run, old_task);
  core->has_moved = true;
  return true;
}

void dk_claim_yield(struct dk_core *core, uint32_t i) {
  struct dk_claim *claim = &core->claims[i];
  struct dk_core_run *old_run = claim->run;
  uint32_t old_task = claim->task, at = claim->shares;
  if (claim->outcome != CLAIM_OPEN || old_run->state[old_task] != DK_TASK_READY) return;
  if (!dk_run_keeps_back(old_run, old_task)) return;
  while (at != DK_NONE && dk_run_keeps_back(core->shares[at].run, core->shares[at].task)) at = core->shares[at].next;
  if (at == DK_NONE) return;
  struct dk_share *share = &core->shares[at];
  claim->placed_in = 0;
  claim->run = share->run;
  claim->task = share->task;
  share->run = old_run;
  share->task = old_task;
  dk_task_do(core, old_run, old_task, TASK_SHARE, claim);
  old_run->word[old_task] = at;
  if (!dk_tries_is_none(&claim->tries)) dk_emit_task(core, old_run, old_task, NULL); /* they are the new owner's now */
  claim->run->word[claim->task] = i;
  dk_task_inherit(core, claim->run, claim->task, DK_TASK_READY);
}

bool dk_claim_is_wanted(const struct dk_core *core, uint32_t i) {
  if (i == DK_NONE || core->claims[i].outcome != CLAIM_OPEN) return false;
  if (!dk_claim_is_stopped(&core->claims[i])) return true;
  for (uint32_t at = core->claims[i].shares; at != DK_NONE; at = core->shares[at].next) {
    const struct dk_share *share = &core->shares[at];
    if (!(share->run->flags[share->task] & TASK_STOPPED)) return true;
  }
  return false;
}

/* Out of use: at once, or when no lookup can have missed its result. */
static void close_claim(struct dk_core *core, uint32_t i) {
  struct dk_claim *claim = &core->claims[i];
  if (!claim->is_indexed || core->asked[0] + core->asked[1] == 0) {
    give_back(core, i);
  } else {
    claim->next = core->retired[core->era];
    core->retired[core->era] = i;
  }
}

void dk_claim_end(struct dk_core *core, uint32_t i, enum dk_task_event event, enum dk_cause cause, int32_t code) {
  struct dk_claim *claim = &core->claims[i];
  assert(claim->attempt == DK_NONE && claim->outcome == CLAIM_OPEN);
  dk_retry_stop(core, i);
  claim->outcome = (uint8_t)event;
  claim->cause = (uint8_t)cause;
  claim->code = code;
  if (event != TASK_OK)
    dk_claim_forget(core, i);
  else
    claim->good_at = ++core->n_good;
  dk_task_do(core, claim->run, claim->task, event, claim);
  claim->run = NULL;
  if (claim->shares == DK_NONE) {
    close_claim(core, i);
  } else {
    claim->next = core->draining;
    core->draining = i;
  }
}

void dk_claim_drain(struct dk_core *core) {
  while (core->draining != DK_NONE && !dk_emit_is_full(core)) {
    uint32_t i = core->draining, first = core->claims[i].shares;
    if (first == DK_NONE) {
      core->draining = core->claims[i].next;
      close_claim(core, i);
    } else {
      struct dk_share share = core->shares[first];
      drop_share(core, first);
      dk_task_do(core, share.run, share.task, core->claims[i].outcome, &core->claims[i]);
    }
  }
}

void dk_claim_note(struct dk_core *core, const struct dk_attempt *last) {
  if (core->asked[0] + core->asked[1] == 0) return;
  uint32_t i = dk_claim_open(core, NULL, DK_NO_TASK, &last->key);
  if (i == DK_NONE) return;
  core->claims[i].last = last->id;
  core->claims[i].host = last->host;
  core->claims[i].outcome = TASK_OK;
  core->claims[i].good_at = ++core->n_good;
  close_claim(core, i);
}

void dk_claim_asked(struct dk_core *core, struct dk_core_run *run, uint32_t task) {
  run->flags[task] = (uint8_t)((run->flags[task] & ~TASK_ERA) | TASK_ASKED | (core->era ? TASK_ERA : 0));
  run->asked++;
  core->asked[core->era]++;
}

static void free_retired(struct dk_core *core, uint32_t era) {
  while (core->retired[era] != DK_NONE) {
    uint32_t i = core->retired[era];
    core->retired[era] = core->claims[i].next;
    give_back(core, i);
  }
}

void dk_claim_answered(struct dk_core *core, struct dk_core_run *run, uint32_t task) {
  uint32_t era = (run->flags[task] & TASK_ERA) != 0;
  run->flags[task] &= (uint8_t)~TASK_ASKED;
  run->asked--;
  core->asked[era]--;
  uint32_t other = core->era ^ 1;
  if (core->asked[other] == 0) { /* what retired in the other era waited for lookups of that era alone */
    free_retired(core, other);
    core->era = other;
    if (core->asked[other ^ 1] == 0) free_retired(core, other ^ 1);
  }
}

void dk_claim_finish(struct dk_core *core) {
  dk_free(core->claims);
  dk_free(core->shares);
  dk_index_finish(&core->claim_by_key);
}
