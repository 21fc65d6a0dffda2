/* Claims: tasks that were looked up, have no result yet and have not ended; one a key.
 *
 * Eras: a lookup that began before a result was recorded may answer "miss" after it. So a claim that ended well stays findable
 * (retired) until every lookup that was under way at its end has been answered. Lookups count in the era they began in; there
 * are two; the era changes when the other one has no lookup under way any more, and what retired two changes ago is freed. */
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
  if (core->n_claims == core->cap_claims) {
    uint32_t larger = core->cap_claims ? core->cap_claims * 2 : 64;
    struct dk_claim *claims = dk_realloc_array(core->claims, larger, sizeof *claims);
    if (!claims) {
      core->is_failed = true;
      return DK_NONE;
    }
    core->claims = claims;
    core->cap_claims = larger;
  }
  return core->n_claims++;
}

static void give_back(struct dk_core *core, uint32_t claim) {
  core->claims[claim].is_used = false;
  core->claims[claim].next = core->free_claim;
  core->free_claim = claim;
}

uint32_t dk_claim_open(struct dk_core *core, uint32_t task, const struct dk_digest *key) {
  uint32_t i = take(core);
  if (i == DK_NONE) return i;
  core->claims[i] = (struct dk_claim){.key = *key,
                                      .task = task,
                                      .attempt = DK_NONE,
                                      .sharers = DK_NO_TASK,
                                      .heap_at = DK_NONE,
                                      .next = DK_NONE,
                                      .outcome = CLAIM_OPEN,
                                      .is_used = true};
  if (dk_index_add(&core->claim_by_key, hash_key(key), i) < 0) {
    give_back(core, i);
    core->is_failed = true;
    return DK_NONE;
  }
  return i;
}

void dk_claim_share(struct dk_core *core, uint32_t claim, uint32_t task) {
  dk_task_do(core, task, TASK_SHARE, &core->claims[claim]);
  core->word[task] = core->claims[claim].sharers;
  core->claims[claim].sharers = task;
}

/* Out of use: at once, or when no lookup can have missed its result. */
static void close_claim(struct dk_core *core, uint32_t i) {
  struct dk_claim *claim = &core->claims[i];
  if (claim->outcome != TASK_OK) {
    give_back(core, i); /* was taken out of the index when it ended */
  } else if (core->asked[0] + core->asked[1] == 0) {
    dk_index_remove(&core->claim_by_key, hash_key(&claim->key), i);
    give_back(core, i);
  } else {
    claim->is_retired = true;
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
  if (event != TASK_OK) dk_index_remove(&core->claim_by_key, hash_key(&claim->key), i);
  dk_task_do(core, claim->task, event, claim);
  if (claim->sharers == DK_NO_TASK) {
    close_claim(core, i);
  } else {
    claim->next = core->draining;
    core->draining = i;
  }
}

void dk_claim_drain(struct dk_core *core) {
  while (core->draining != DK_NONE && !dk_emit_is_full(core)) {
    uint32_t i = core->draining, task = core->claims[i].sharers;
    if (task == DK_NO_TASK) {
      core->draining = core->claims[i].next;
      close_claim(core, i);
    } else {
      core->claims[i].sharers = core->word[task];
      dk_task_do(core, task, core->claims[i].outcome, &core->claims[i]);
    }
  }
}

void dk_claim_note(struct dk_core *core, const struct dk_digest *key, struct dk_id last) {
  if (core->asked[0] + core->asked[1] == 0) return;
  uint32_t i = dk_claim_open(core, DK_NO_TASK, key);
  if (i == DK_NONE) return;
  core->claims[i].last = last;
  core->claims[i].outcome = TASK_OK;
  close_claim(core, i);
}

void dk_claim_asked(struct dk_core *core, uint32_t task) {
  core->flags[task] = (uint8_t)((core->flags[task] & ~TASK_ERA) | TASK_ASKED | (core->era ? TASK_ERA : 0));
  core->asked[core->era]++;
}

static void free_retired(struct dk_core *core, uint32_t era) {
  while (core->retired[era] != DK_NONE) {
    uint32_t i = core->retired[era];
    core->retired[era] = core->claims[i].next;
    dk_index_remove(&core->claim_by_key, hash_key(&core->claims[i].key), i);
    give_back(core, i);
  }
}

void dk_claim_answered(struct dk_core *core, uint32_t task) {
  uint32_t era = (core->flags[task] & TASK_ERA) != 0;
  core->flags[task] &= (uint8_t)~TASK_ASKED;
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
  dk_index_finish(&core->claim_by_key);
}
