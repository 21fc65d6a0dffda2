/* Whether a claim may try again, and when: limits per cause, exponential backoff with jitter, a binary heap of due
 * times. */
#include "engine/core/internal.h"
#include "lang/base/alloc.h"
#include "lang/base/map.h"

#include <assert.h>

#define HOLDS_MOST 4u /* an order that cannot be sent yet is tried again after 8 times the backoff at most */

static bool is_listed(const struct dk_retry *retry, int32_t code) {
  for (uint32_t i = 0; i < retry->n_exit; i++) {
    if (retry->exit[i] == code) return true;
  }
  return retry->n_exit == 0; /* no list: any code */
}

static bool use(uint8_t *used, uint32_t limit) {
  if (*used >= limit || *used == UINT8_MAX) return false;
  ++*used;
  return true;
}

bool dk_retry_count(struct dk_core_run *run, uint32_t task, struct dk_tries *tries, enum dk_cause cause, int32_t code) {
  const struct dk_retry *retry = &run->graph->nodes[dk_task_node(run, task)].retry;
  switch (cause) {
  case DK_CAUSE_LOST:
  case DK_CAUSE_KILLED: return use(&tries->lost, retry->lost); /* killed, but not by us: as good as lost */
  case DK_CAUSE_OOM: return use(&tries->oom, retry->oom);
  case DK_CAUSE_EXIT: return is_listed(retry, code) && use(&tries->other, retry->other);
  case DK_CAUSE_SIGNAL: return is_listed(retry, 128 + code) && use(&tries->other, retry->other); /* as shells say it */
  case DK_CAUSE_OK:
  case DK_CAUSE_TIMEOUT:
  case DK_CAUSE_OUTPUT:
  case DK_CAUSE_INPUT:
  case DK_CAUSE_DISK:
  case DK_CAUSE_SPAWN: return false;
  }
  return false;
}

/* --- the heap --- */

static bool is_before(const struct dk_core *core, uint32_t a, uint32_t b) {
  const struct dk_claim *x = &core->claims[a], *y = &core->claims[b];
  return x->due != y->due ? x->due < y->due : a < b;
}

static void put(struct dk_core *core, uint32_t at, uint32_t claim) {
  core->timers[at] = claim;
  core->claims[claim].heap_at = at;
}

static void rise(struct dk_core *core, uint32_t at, uint32_t claim) {
  for (; at > 0 && is_before(core, claim, core->timers[(at - 1) / 2]); at = (at - 1) / 2) {
    put(core, at, core->timers[(at - 1) / 2]);
  }
  put(core, at, claim);
}

static void sink(struct dk_core *core, uint32_t at, uint32_t claim) {
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= core->n_timers) break;
    if (child + 1 < core->n_timers && is_before(core, core->timers[child + 1], core->timers[child])) child++;
    if (!is_before(core, core->timers[child], claim)) break;
    put(core, at, core->timers[child]);
    at = child;
  }
  rise(core, at, claim);
}

/* Before it is tried for the nth time again. */
static uint64_t backoff(const struct dk_core *core, uint32_t n) {
  uint64_t wait = core->policy.backoff_ns;
  for (uint32_t i = 1; i < n && wait < core->policy.backoff_max_ns; i++) wait *= 2;
  return wait > core->policy.backoff_max_ns ? core->policy.backoff_max_ns : wait;
}

static uint64_t delay(const struct dk_core *core, const struct dk_claim *claim) {
  uint64_t wait = backoff(core, (uint32_t)claim->tries.lost + claim->tries.oom + claim->tries.other);
  uint64_t random = dk_hash_u64(claim->last.n, core->jitter);
  return wait + (wait / 4) * (random >> 48) / 65536; /* up to a quarter more, so that many do not come back at once */
}

static void wait_for(struct dk_core *core, uint32_t claim, uint64_t ns) {
  struct dk_claim *of = &core->claims[claim];
  if (!dk_grow(core->timers, core->n_timers, core->cap_timers)) {
    core->is_failed = true;
    return;
  }
  of->due = core->now + ns;
  dk_task_do(core, of->run, of->task, TASK_RETRY, of);
  rise(core, core->n_timers++, claim);
}

void dk_retry_wait(struct dk_core *core, uint32_t claim) {
  struct dk_claim *of = &core->claims[claim];
  wait_for(core, claim, delay(core, of));
  dk_emit_task(core, of->run, of->task, of); /* who looks must not take it for one that runs */
}

void dk_retry_hold(struct dk_core *core, uint32_t claim) {
  uint8_t *holds = &core->claims[claim].holds;
  if (*holds < HOLDS_MOST) ++*holds;
  wait_for(core, claim, backoff(core, *holds));
}

void dk_retry_stop(struct dk_core *core, uint32_t claim) {
  uint32_t at = core->claims[claim].heap_at;
  if (at == DK_NONE) return;
  core->claims[claim].heap_at = DK_NONE;
  uint32_t last = core->timers[--core->n_timers];
  if (last != claim) sink(core, at, last);
}

void dk_retry_due(struct dk_core *core) {
  while (core->n_timers && core->claims[core->timers[0]].due <= core->now) {
    uint32_t claim = core->timers[0];
    dk_retry_stop(core, claim);
    dk_task_do(core, core->claims[claim].run, core->claims[claim].task, TASK_DUE, &core->claims[claim]);
    dk_claim_yield(core, claim);
  }
}

uint64_t dk_retry_next(const struct dk_core *core) {
  return core->n_timers ? core->claims[core->timers[0]].due : UINT64_MAX;
}

void dk_retry_finish(struct dk_core *core) {
  dk_free(core->timers);
}
