/* The agent's core: see state.h. Attempts live in a slab; those that wait form a list in the order they came. */
#include "engine/agent/state_private.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

int dk_agent_create(struct dk_agent **ret, const struct dk_agent_config *config, const struct dk_agent_mark *marks,
                    size_t n_marks) {
  assert(config->slots > 0);
  struct dk_agent *a = dk_calloc(1, sizeof *a);
  if (!a) return -ENOMEM;
  a->config = *config;
  if (a->config.queue_max == 0) a->config.queue_max = 4096;
  a->next_seq = config->next_seq ? config->next_seq : 1;
  a->head = a->tail = a->free = NONE;
  dk_map_init(&a->map, NULL);
  a->slots = dk_calloc(config->slots, sizeof *a->slots);
  a->n_slots = config->slots;
  a->n_marks = n_marks < DK_AGENT_MARKS_MAX ? n_marks : DK_AGENT_MARKS_MAX;
  if (!a->slots) {
    dk_agent_destroy(a);
    return -ENOMEM;
  }
  for (size_t i = 0; i < a->n_marks; i++) a->marks[i] = marks[n_marks - a->n_marks + i];
  *ret = a;
  return 0;
}

void dk_agent_destroy(struct dk_agent *a) {
  if (!a) return;
  for (uint32_t i = 0; i < a->n_attempts; i++) {
    dk_job_finish(&a->attempts[i].job);
    dk_result_finish(&a->attempts[i].result);
  }
  dk_free(a->attempts);
  dk_free(a->slots);
  dk_free(a->asks);
  dk_map_finish(&a->map);
  dk_free(a);
}

void dk_agent_out_finish(struct dk_agent_out *out) {
  dk_free(out->actions);
  *out = (struct dk_agent_out){0};
}

/* Attempts. */

static uint64_t hash_of(struct dk_id id) {
  return dk_hash_u64(id.n, id.inc);
}

static bool is_same(const void *ctx, uint32_t item, const void *key) {
  const struct dk_agent *a = ctx;
  return a->attempts[item].phase != PHASE_FREE && dk_id_equal(a->attempts[item].id, *(const struct dk_id *)key);
}

struct attempt *dk_agent_find(const struct dk_agent *a, struct dk_id id) {
  uint32_t i = dk_map_find(&a->map, hash_of(id), is_same, a, &id);
  return i == DK_MAP_NONE ? NULL : &a->attempts[i];
}

/* The map cannot remove, so entries of freed attempts stay until they are more than those of living ones. */
static int rebuild_map(struct dk_agent *a) {
  dk_map_clear(&a->map);
  a->n_stale = 0;
  int r = 0;
  for (uint32_t i = 0; r == 0 && i < a->n_attempts; i++) {
    if (a->attempts[i].phase != PHASE_FREE) r = dk_map_add(&a->map, hash_of(a->attempts[i].id), i);
  }
  return r;
}

struct attempt *dk_agent_add(struct dk_agent *a, struct dk_id id) {
  if (a->n_stale > a->n_live + 64 && rebuild_map(a) < 0) return NULL;
  uint32_t i = a->free;
  if (i == NONE) {
    if (!dk_grow(a->attempts, a->n_attempts, a->cap_attempts)) return NULL;
    i = a->n_attempts;
  }
  if (dk_map_add(&a->map, hash_of(id), i) < 0) return NULL;
  if (i == a->free)
    a->free = a->attempts[i].next;
  else
    a->n_attempts++;
  a->attempts[i] = (struct attempt){.id = id, .phase = PHASE_HELD, .prev = NONE, .next = NONE, .slot = NONE};
  a->n_live++;
  return &a->attempts[i];
}

static uint32_t index_of(const struct dk_agent *a, const struct attempt *attempt) {
  return (uint32_t)(attempt - a->attempts);
}

void dk_agent_drop(struct dk_agent *a, struct attempt *attempt) {
  assert(attempt->phase == PHASE_HELD || attempt->phase == PHASE_ENDED);
  dk_job_finish(&attempt->job);
  dk_result_finish(&attempt->result);
  attempt->phase = PHASE_FREE;
  attempt->next = a->free;
  a->free = index_of(a, attempt);
  a->n_live--;
  a->n_stale++;
}

void dk_agent_hold(struct dk_agent *a, struct attempt *attempt) {
  assert(attempt->phase == PHASE_HELD);
  attempt->phase = PHASE_WAITING;
  a->n_waiting++;
}

void dk_agent_unhold(struct dk_agent *a, struct attempt *attempt) {
  assert(attempt->phase == PHASE_WAITING);
  attempt->phase = PHASE_HELD;
  a->n_waiting--;
}

void dk_agent_enqueue(struct dk_agent *a, struct attempt *attempt, bool at_front) {
  uint32_t i = index_of(a, attempt);
  attempt->phase = PHASE_QUEUED;
  attempt->slot = NONE;
  attempt->prev = at_front ? NONE : a->tail;
  attempt->next = at_front ? a->head : NONE;
  if (attempt->prev != NONE)
    a->attempts[attempt->prev].next = i;
  else
    a->head = i;
  if (attempt->next != NONE)
    a->attempts[attempt->next].prev = i;
  else
    a->tail = i;
  a->n_queued++;
}

void dk_agent_dequeue(struct dk_agent *a, struct attempt *attempt) {
  assert(attempt->phase == PHASE_QUEUED);
  if (attempt->prev != NONE)
    a->attempts[attempt->prev].next = attempt->next;
  else
    a->head = attempt->next;
  if (attempt->next != NONE)
    a->attempts[attempt->next].prev = attempt->prev;
  else
    a->tail = attempt->prev;
  attempt->prev = attempt->next = NONE;
  attempt->phase = PHASE_HELD;
  a->n_queued--;
}

/* Slots. */

uint32_t dk_agent_width(const struct dk_agent *a, const struct attempt *attempt) {
  uint32_t cpus = attempt->job.cpus ? attempt->job.cpus : 1;
  return cpus < a->config.slots ? cpus : a->config.slots;
}

/* Slots beyond the configured ones exist only while what an earlier agent left there is not acknowledged. */
int dk_agent_need_slot(struct dk_agent *a, uint32_t slot) {
  if (slot < a->n_slots) return 0;
  if (slot > 1u << 20) return -EINVAL;
  struct slot *slots = dk_realloc_array(a->slots, slot + 1, sizeof *slots);
  if (!slots) return -ENOMEM;
  memset(slots + a->n_slots, 0, (slot + 1 - a->n_slots) * sizeof *slots);
  a->slots = slots;
  a->n_slots = slot + 1;
  return 0;
}

void dk_agent_book(struct dk_agent *a, struct attempt *attempt, uint32_t slot) {
  attempt->phase = PHASE_PLACED;
  attempt->slot = slot;
  struct slot *at = &a->slots[slot];
  uint32_t width = dk_agent_width(a, attempt);
  at->load++;
  if (at->width < width) at->width = width;
}

void dk_agent_unbook(struct dk_agent *a, struct attempt *attempt) {
  assert(attempt->phase == PHASE_PLACED || attempt->phase == PHASE_RUNNING);
  struct slot *slot = &a->slots[attempt->slot];
  /* Only tasks of one slot are put behind others, so what is left is one wide. */
  slot->width = --slot->load > 0 ? 1 : 0;
  attempt->phase = PHASE_HELD;
}

/* Marks. */

bool dk_agent_is_forgotten(const struct dk_agent *a, struct dk_id id) {
  for (size_t i = 0; i < a->n_marks; i++) {
    if (a->marks[i].inc == id.inc) return id.n <= a->marks[i].n;
  }
  return false;
}

/* True when that moved a mark. The one used last stands last. */
static bool raise_mark(struct dk_agent *a, struct dk_id id) {
  size_t i = 0;
  while (i < a->n_marks && a->marks[i].inc != id.inc) i++;
  struct dk_agent_mark mark = {id.inc, id.n};
  if (i < a->n_marks) {
    if (a->marks[i].n >= id.n) return false;
  } else if (a->n_marks == DK_AGENT_MARKS_MAX) {
    i = 0;
  } else {
    a->n_marks++;
  }
  memmove(&a->marks[i], &a->marks[i + 1], (a->n_marks - i - 1) * sizeof mark);
  a->marks[a->n_marks - 1] = mark;
  return true;
}

/* Actions. */

struct dk_agent_action *dk_agent_act(struct dk_agent_out *out, enum dk_agent_action_kind kind) {
  if (!dk_grow(out->actions, out->n, out->cap)) return NULL;
  struct dk_agent_action *action = &out->actions[out->n++];
  *action = (struct dk_agent_action){.kind = kind};
  return action;
}

int dk_agent_forget(struct dk_agent *a, struct attempt *attempt, struct dk_agent_out *out) {
  struct dk_id id = attempt->id;
  if (raise_mark(a, id)) {
    struct dk_agent_action *mark = dk_agent_act(out, DK_AGENT_ACT_MARK);
    if (!mark) return -ENOMEM;
    mark->mark = (struct dk_agent_mark){id.inc, id.n};
    mark->next_seq = a->next_seq;
  }
  if (attempt->keeper_seq > 0) {
    struct dk_agent_action *forget = dk_agent_act(out, DK_AGENT_ACT_FORGET);
    if (!forget) return -ENOMEM;
    forget->slot = attempt->slot;
    forget->id = id;
    forget->keeper_seq = attempt->keeper_seq;
  }
  dk_agent_drop(a, attempt);
  return 0;
}

/* What is seen from outside. */

bool dk_agent_is_idle(const struct dk_agent *a) {
  struct dk_agent_counts counts;
  dk_agent_count(a, &counts);
  if (counts.queued + counts.placed + counts.running > 0 || a->has_session) return false;
  for (uint32_t i = 0; i < a->n_slots; i++) {
    if (a->slots[i].is_lost) return false;
  }
  return true;
}

bool dk_agent_session(const struct dk_agent *a, uint32_t *ret_conn, uint64_t *ret_session) {
  if (!a->has_session) return false;
  *ret_conn = a->conn;
  *ret_session = a->session;
  return true;
}

bool dk_agent_is_running(const struct dk_agent *a, struct dk_id id, uint32_t *ret_slot) {
  const struct attempt *attempt = dk_agent_find(a, id);
  if (!attempt || attempt->phase != PHASE_RUNNING) return false;
  *ret_slot = attempt->slot;
  return true;
}

void dk_agent_count(const struct dk_agent *a, struct dk_agent_counts *ret) {
  *ret = (struct dk_agent_counts){0};
  for (uint32_t i = 0; i < a->n_attempts; i++) {
    switch (a->attempts[i].phase) {
    case PHASE_WAITING:
    case PHASE_QUEUED: ret->queued++; break;
    case PHASE_PLACED: ret->placed++; break;
    case PHASE_RUNNING: ret->running++; break;
    case PHASE_ENDED: ret->ended++; break;
    case PHASE_FREE:
    case PHASE_HELD: break;
    }
  }
}

static int check_attempt(const struct dk_agent *a, uint32_t i, struct dk_error *error) {
  const struct attempt *attempt = &a->attempts[i];
  if (attempt->phase == PHASE_FREE) return 0;
  unsigned long long n = attempt->id.n;
  if (dk_agent_find(a, attempt->id) != attempt)
    return dk_error_set(error, -EINVAL, "attempt %llu is not found by its id", n);
  if (attempt->phase == PHASE_HELD) return dk_error_set(error, -EINVAL, "attempt %llu is in no phase", n);
  if (attempt->phase == PHASE_ENDED && attempt->seq == 0)
    return dk_error_set(error, -EINVAL, "the result of attempt %llu has no number", n);
  bool has_place = attempt->phase == PHASE_PLACED || attempt->phase == PHASE_RUNNING;
  if (has_place && (attempt->slot >= a->n_slots || a->slots[attempt->slot].load == 0))
    return dk_error_set(error, -EINVAL, "attempt %llu is on slot %u, which does not count it", n, attempt->slot);
  return 0;
}

int dk_agent_check(const struct dk_agent *a, struct dk_error *error) {
  uint32_t live = 0, waiting = 0, queued = 0, placed = 0, load = 0;
  for (uint32_t i = 0; i < a->n_attempts; i++) {
    int r = check_attempt(a, i, error);
    if (r < 0) return r;
    enum phase phase = a->attempts[i].phase;
    live += phase != PHASE_FREE;
    waiting += phase == PHASE_WAITING;
    placed += phase == PHASE_PLACED || phase == PHASE_RUNNING;
  }
  for (uint32_t i = a->head, last = NONE; i != NONE; last = i, i = a->attempts[i].next) {
    if (a->attempts[i].phase != PHASE_QUEUED || a->attempts[i].prev != last || ++queued > a->n_live)
      return dk_error_set(error, -EINVAL, "the queue is broken at attempt %llu",
                          (unsigned long long)a->attempts[i].id.n);
  }
  for (uint32_t i = 0; i < a->n_slots; i++) {
    load += a->slots[i].load;
    if ((a->slots[i].load == 0) != (a->slots[i].width == 0))
      return dk_error_set(error, -EINVAL, "slot %u: %u attempts book %u", i, a->slots[i].load, a->slots[i].width);
  }
  if (live != a->n_live || waiting != a->n_waiting || queued != a->n_queued || placed != load)
    return dk_error_set(error, -EINVAL, "counts: %u/%u live, %u/%u waiting, %u/%u queued, %u/%u placed", live,
                        a->n_live, waiting, a->n_waiting, queued, a->n_queued, placed, load);
  return 0;
}

size_t dk_agent_marks(const struct dk_agent *a, const struct dk_agent_mark **ret) {
  *ret = a->marks;
  return a->n_marks;
}
