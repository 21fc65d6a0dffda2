/* The disk: what is durable. A commit is all or nothing (that is LMDB's promise; the store's own tests cut its file); what happens
 * around it is in fault.c. Checks here: a result is recorded once, an attempt ends once, a done task has a result. */
#include "lang/base/alloc.h"
#include "tests/sim/sim.h"

#include <string.h>

struct sim_key *sim_key_of(struct sim *s, const struct dk_digest *key) {
  for (uint32_t i = 0; i < s->n_keys; i++) {
    if (dk_digest_equal(&s->keys[i].key, key)) return &s->keys[i];
  }
  if (s->n_keys == s->cap_keys) {
    s->cap_keys = s->cap_keys ? s->cap_keys * 2 : 64;
    s->keys = sim_need(dk_realloc_array(s->keys, s->cap_keys, sizeof *s->keys));
  }
  s->keys[s->n_keys] = (struct sim_key){.key = *key};
  return &s->keys[s->n_keys++];
}

struct sim_attempt *sim_attempt_of(struct sim *s, struct dk_id id) {
  for (uint32_t i = s->n_ids; i-- > 0;) {
    if (dk_id_equal(s->ids[i].id, id)) return &s->ids[i];
  }
  if (s->n_ids == s->cap_ids) {
    s->cap_ids = s->cap_ids ? s->cap_ids * 2 : 64;
    s->ids = sim_need(dk_realloc_array(s->ids, s->cap_ids, sizeof *s->ids));
  }
  s->ids[s->n_ids] = (struct sim_attempt){.id = id};
  return &s->ids[s->n_ids++];
}

static uint32_t find(const struct sim *s, struct dk_id id) {
  for (uint32_t i = 0; i < s->n_attempts; i++) {
    if (dk_id_equal(s->attempts[i].id, id)) return i;
  }
  return UINT32_MAX;
}

bool sim_is_living(const struct sim *s, struct dk_id id) {
  return find(s, id) != UINT32_MAX;
}

static void put_attempt(struct sim *s, const struct dk_record *record) {
  uint32_t i = find(s, record->id);
  if (record->del) {
    if (i == UINT32_MAX)
      sim_fail(s, "attempt %llu ends twice", (unsigned long long)record->id.n);
    else
      s->attempts[i] = s->attempts[--s->n_attempts];
    return;
  }
  struct sim_attempt *attempt = sim_attempt_of(s, record->id);
  if (attempt->is_recorded) sim_fail(s, "attempt %llu is made twice", (unsigned long long)record->id.n);
  attempt->is_recorded = true;
  if (s->n_attempts == s->cap_attempts) {
    s->cap_attempts = s->cap_attempts ? s->cap_attempts * 2 : 64;
    s->attempts = sim_need(dk_realloc_array(s->attempts, s->cap_attempts, sizeof *s->attempts));
  }
  s->attempts[s->n_attempts++] = *record;
}

static void put_result(struct sim *s, const struct dk_record *record, const struct dk_buf *bytes) {
  struct dk_digest expected;
  sim_case_result(&record->key, &expected);
  if (record->len != sizeof expected || memcmp(bytes->data + record->off, &expected, sizeof expected) != 0)
    sim_fail(s, "a result that is not that of its key");
  struct sim_key *key = sim_key_of(s, &record->key);
  if (key->object != OBJECT_DURABLE)
    sim_fail(s, "the result of attempt %llu is recorded before its outputs are durable",
             (unsigned long long)record->id.n);
  if (key->results++) sim_fail(s, "a second result of one key, by attempt %llu", (unsigned long long)record->id.n);
}

static void put_task(struct sim *s, const struct dk_record *record) {
  uint32_t task = record->task;
  if (record->run != s->run) sim_fail(s, "task %u is recorded in run %u", task, record->run);
  if (!s->c->tasks[task].is_wanted) sim_fail(s, "task %u is recorded though nobody wants it", task);
  if (dk_task_state_is_end(s->task_state[task])) sim_fail(s, "task %u ends twice", task);
  s->task_state[task] = record->state;
  s->task_key[task] = record->key;
  if (record->state != DK_TASK_DONE && record->state != DK_TASK_CACHED) return;
  if (sim_case_is_pick(s->c, task))
    s->fact_of[task] = s->choice[task];
  else if (sim_key_of(s, &record->key)->results)
    sim_case_result(&record->key, &s->fact_of[task]);
  else
    sim_fail(s, "task %u is done without a result", task);
  s->facts[task] = &s->fact_of[task];
}

void sim_disk_sync(struct sim *s) {
  for (uint32_t i = 0; i < s->n_keys; i++) {
    if (s->keys[i].object == OBJECT_WRITTEN) s->keys[i].object = OBJECT_DURABLE;
  }
}

void sim_disk_commit(struct sim *s, const struct dk_record *records, uint32_t n, const struct dk_buf *bytes) {
  for (uint32_t i = 0; i < n; i++) { /* results first: a transaction has no order */
    if (records[i].kind == DK_REC_RESULT) put_result(s, &records[i], bytes);
  }
  for (uint32_t i = 0; i < n; i++) {
    switch (records[i].kind) {
    case DK_REC_INCARNATION:
      s->incarnation = records[i];
      s->has_incarnation = true;
      break;
    case DK_REC_ATTEMPT: put_attempt(s, &records[i]); break;
    case DK_REC_TASK: put_task(s, &records[i]); break;
    case DK_REC_RUN: s->run_state = records[i].state; break;
    case DK_REC_RESULT:
    case DK_REC_FAILURE: break;
    }
  }
}

void sim_disk_load(struct sim *s, struct dk_core *core) {
  int r = s->has_incarnation ? dk_core_load(core, &s->incarnation, 1) : 0;
  if (r == 0) r = dk_core_load(core, s->attempts, s->n_attempts);
  if (r < 0) sim_fail(s, "the core cannot be loaded: %d", r);
}
