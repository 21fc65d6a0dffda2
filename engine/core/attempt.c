/* Living attempts: the table, its two indexes, and who claims them. */
#include "engine/core/internal.h"
#include "lang/base/alloc.h"
#include "lang/base/map.h"

#include <assert.h>
#include <string.h>

static uint64_t hash_id(struct dk_id id) {
  return dk_hash_u64(id.n, id.inc);
}

static uint64_t hash_key(const struct dk_digest *key) {
  uint64_t hash;
  memcpy(&hash, key->bytes, sizeof hash);
  return hash;
}

static bool has_id(const void *ctx, uint32_t item, const void *key) {
  const struct dk_core *core = ctx;
  return dk_id_equal(core->attempts[item].id, *(const struct dk_id *)key);
}

static bool has_key(const struct dk_core *core, uint32_t item, const void *key) {
  return dk_digest_equal(&core->attempts[item].key, key);
}

static bool is_there(const void *ctx, uint32_t item, const void *key) {
  const struct dk_core *core = ctx;
  return has_key(core, item, key) && core->hosts[core->attempts[item].host].is_listed;
}

static bool is_expected(const void *ctx, uint32_t item, const void *key) {
  const struct dk_core *core = ctx;
  return has_key(core, item, key) && !core->hosts[core->attempts[item].host].is_lost;
}

static bool is_awaited(const void *ctx, uint32_t item, const void *key) {
  const struct dk_core *core = ctx;
  return is_expected(ctx, item, key) && core->attempts[item].task != DK_NO_TASK;
}

static bool is_idle(const void *ctx, uint32_t item, const void *key) {
  const struct dk_core *core = ctx;
  return has_key(core, item, key) && core->attempts[item].task != DK_NO_TASK;
}

uint32_t dk_attempt_find(const struct dk_core *core, struct dk_id id) {
  return dk_index_find(&core->attempt_by_id, hash_id(id), has_id, core, &id);
}

uint32_t dk_attempt_find_unclaimed(const struct dk_core *core, const struct dk_digest *key) {
  uint32_t i = dk_index_find(&core->unclaimed_by_key, hash_key(key), is_there, core, key);
  return i != DK_NONE ? i : dk_index_find(&core->unclaimed_by_key, hash_key(key), is_expected, core, key);
}

uint32_t dk_attempt_find_expected(const struct dk_core *core, const struct dk_digest *key) {
  return core->n_unclaimed ? dk_index_find(&core->unclaimed_by_key, hash_key(key), is_awaited, core, key) : DK_NONE;
}

uint32_t dk_attempt_find_idle(const struct dk_core *core, const struct dk_digest *key) {
  return dk_index_find(&core->unclaimed_by_key, hash_key(key), is_idle, core, key);
}

static void add_unclaimed(struct dk_core *core, uint32_t i) {
  if (dk_index_add(&core->unclaimed_by_key, hash_key(&core->attempts[i].key), i) < 0) core->is_failed = true;
  core->n_unclaimed++;
}

static void remove_unclaimed(struct dk_core *core, uint32_t i) {
  if (core->is_failed) return; /* it may not have been added */
  dk_index_remove(&core->unclaimed_by_key, hash_key(&core->attempts[i].key), i);
  core->n_unclaimed--;
}

uint32_t dk_attempt_add(struct dk_core *core, const struct dk_attempt *attempt) {
  uint32_t i = core->free_attempt;
  struct dk_host *host = dk_host_need(core, attempt->host);
  if (!host) return DK_NONE;
  if (i != DK_NONE) {
    core->free_attempt = core->attempts[i].next;
  } else {
    if (!dk_grow(core->attempts, core->n_attempts, core->cap_attempts)) {
      core->is_failed = true;
      return DK_NONE;
    }
    i = core->n_attempts++;
  }
  core->attempts[i] = *attempt;
  core->attempts[i].claim = DK_NONE;
  core->attempts[i].is_used = true;
  if (dk_index_add(&core->attempt_by_id, hash_id(attempt->id), i) < 0) core->is_failed = true;
  add_unclaimed(core, i);
  core->n_living++;
  host->n_living++;
  host->booked += attempt->booked;
  return core->is_failed ? DK_NONE : i;
}

/* The counts of orders that wait and that run, and what the run has booked; `by` is 1, or UINT32_MAX for one less. */
static void count(struct dk_core_run *run, uint32_t task, const struct dk_attempt *attempt, uint32_t by) {
  struct dk_node_count *node = &run->nodes[dk_task_node(run, task)];
  bool is_started = attempt->flags & ATTEMPT_STARTED;
  *(is_started ? &node->started : &node->queued) += by;
  *(is_started ? &run->all.started : &run->all.queued) += by;
  run->booked += by * attempt->booked;
}

static void count_owner(struct dk_core *core, const struct dk_attempt *attempt, uint32_t by) {
  count(core->claims[attempt->claim].run, core->claims[attempt->claim].task, attempt, by);
}

/* So that the next engine knows whose cancel ends it. What may have ended before anybody asked for it again stays with
 * who made it (session.c: its failure is not theirs). */
void dk_attempt_own(struct dk_core *core, uint32_t i) {
  struct dk_attempt *attempt = &core->attempts[i];
  if (attempt->claim == DK_NONE) return;
  const struct dk_claim *claim = &core->claims[attempt->claim];
  bool is_living =
      attempt->id.inc == core->incarnation || (attempt->flags & ATTEMPT_SEEN && !(attempt->flags & ATTEMPT_UNHEARD));
  if (!is_living || (attempt->run == claim->run->number && attempt->task == claim->task)) return;
  attempt->run = claim->run->number;
  attempt->task = claim->task;
  dk_emit_attempt(core, attempt, false);
}

void dk_attempt_condemn(struct dk_core *core, uint32_t i) {
  core->attempts[i].task = DK_NO_TASK;
  dk_emit_attempt(core, &core->attempts[i], false);
}

void dk_attempt_move(struct dk_core *core, uint32_t i, struct dk_core_run *from, uint32_t task) {
  count(from, task, &core->attempts[i], UINT32_MAX);
  count_owner(core, &core->attempts[i], 1);
  dk_attempt_own(core, i);
}

static void leave_claim(struct dk_core *core, uint32_t i) {
  struct dk_attempt *attempt = &core->attempts[i];
  count_owner(core, attempt, UINT32_MAX);
  core->claims[attempt->claim].attempt = DK_NONE;
  attempt->claim = DK_NONE;
}

void dk_attempt_remove(struct dk_core *core, uint32_t i) {
  struct dk_attempt *attempt = &core->attempts[i];
  if (attempt->claim != DK_NONE)
    leave_claim(core, i);
  else
    remove_unclaimed(core, i);
  dk_emit_attempt(core, attempt, true);
  dk_index_remove(&core->attempt_by_id, hash_id(attempt->id), i);
  core->hosts[attempt->host].booked -= attempt->booked;
  core->hosts[attempt->host].n_living--;
  core->n_living--;
  attempt->is_used = false;
  attempt->next = core->free_attempt;
  core->free_attempt = i;
}

static void emit_owner(struct dk_core *core, const struct dk_attempt *attempt) {
  const struct dk_claim *claim = &core->claims[attempt->claim];
  dk_emit_task(core, claim->run, claim->task, claim);
}

void dk_attempt_claim(struct dk_core *core, uint32_t i, uint32_t claim, enum dk_task_event event) {
  struct dk_attempt *attempt = &core->attempts[i];
  assert(attempt->claim == DK_NONE && core->claims[claim].attempt == DK_NONE);
  remove_unclaimed(core, i);
  attempt->claim = claim;
  core->claims[claim].attempt = i;
  core->claims[claim].last = attempt->id;
  core->claims[claim].host = attempt->host;
  count_owner(core, attempt, 1);
  dk_retry_stop(core, claim);
  dk_task_do(core, core->claims[claim].run, core->claims[claim].task, event, &core->claims[claim]);
  if (event == TASK_ADOPT) core->has_moved = true;
  if (attempt->flags & ATTEMPT_STARTED) emit_owner(core, attempt);
  dk_attempt_own(core, i);
}

void dk_attempt_release(struct dk_core *core, uint32_t i) {
  leave_claim(core, i);
  add_unclaimed(core, i);
}

void dk_attempt_set_started(struct dk_core *core, uint32_t i, uint32_t slot) {
  struct dk_attempt *attempt = &core->attempts[i];
  if (attempt->flags & ATTEMPT_STARTED) return;
  attempt->slot = slot;
  if (attempt->claim == DK_NONE) {
    attempt->flags |= ATTEMPT_STARTED;
    return;
  }
  core->claims[attempt->claim].holds = 0;
  count_owner(core, attempt, UINT32_MAX);
  attempt->flags |= ATTEMPT_STARTED;
  count_owner(core, attempt, 1);
  emit_owner(core, attempt);
}

void dk_attempt_finish(struct dk_core *core) {
  dk_free(core->attempts);
  dk_index_finish(&core->attempt_by_id);
  dk_index_finish(&core->unclaimed_by_key);
}
