/* The disk: what is durable. A commit is all or nothing (that is LMDB's promise; the store's own tests cut its file);
 * what happens around it is in fault.c. Checks here: a result is recorded once, an attempt ends once, a done task has a
 * result. */
#include "lang/base/alloc.h"
#include "tests/sim/sim.h"

#include <string.h>

struct sim_key *sim_key_of(struct sim *s, const struct dk_digest *key) {
  for (uint32_t i = 0; i < s->n_keys; i++) {
    if (dk_digest_equal(&s->keys[i].key, key)) return &s->keys[i];
  }
  if (!dk_grow(s->keys, s->n_keys, s->cap_keys)) sim_need(NULL);
  s->keys[s->n_keys] = (struct sim_key){.key = *key};
  return &s->keys[s->n_keys++];
}

struct sim_attempt *sim_attempt_of(struct sim *s, struct dk_id id) {
  for (uint32_t i = s->n_ids; i-- > 0;) {
    if (dk_id_equal(s->ids[i].id, id)) return &s->ids[i];
  }
  if (!dk_grow(s->ids, s->n_ids, s->cap_ids)) sim_need(NULL);
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
  if (i != UINT32_MAX && dk_digest_equal(&s->attempts[i].key, &record->key)) { /* another task has it */
    s->attempts[i] = *record;
    return;
  }
  if (attempt->is_recorded) sim_fail(s, "attempt %llu is made twice", (unsigned long long)record->id.n);
  attempt->is_recorded = true;
  attempt->run = record->run;
  attempt->task = record->task;
  if (!dk_grow(s->attempts, s->n_attempts, s->cap_attempts)) sim_need(NULL);
  s->attempts[s->n_attempts++] = *record;
}

static uint32_t find_host(const struct sim *s, struct dk_id id) {
  uint32_t i = find(s, id);
  return i == UINT32_MAX ? 0 : s->attempts[i].host;
}

static void put_result(struct sim *s, const struct dk_record *record, const struct dk_buf *bytes) {
  struct dk_digest expected;
  uint32_t version = sim_attempt_of(s, record->id)->version;
  sim_result_of(&record->key, version, &expected);
  if (record->len != sizeof expected || memcmp(bytes->data + record->off, &expected, sizeof expected) != 0)
    sim_fail(s, "a result that is not that of its key");
  struct sim_key *key = sim_key_of(s, &record->key);
  if (key->object != OBJECT_DURABLE)
    sim_fail(s, "the result of attempt %llu is recorded before its outputs are durable",
             (unsigned long long)record->id.n);
  key->result = expected;
  s->n_changes += version > 0;
  key->result_at = s->now;
  if (s->n_losses) sim_engine_push(s, &(struct dk_event){.kind = DK_EV_TICK}, NULL); /* what needs it may run again */
  key->made_at |= UINT32_C(1) << find_host(s, record->id);
  if (key->results++) sim_fail(s, "a second result of one key, by attempt %llu", (unsigned long long)record->id.n);
}

/* What a task came to stays so, also when a later engine comes to it again. */
static void check_again(struct sim *s, const struct sim_run *run, const struct dk_record *record) {
  const struct dk_record *before = &run->tasks[record->task];
  bool had_result = before->state == DK_TASK_DONE || before->state == DK_TASK_CACHED;
  if (!dk_task_state_is_end(before->state)) return;
  if (had_result && run->was_lost[record->task]) return;
  bool is_final = before->state == DK_TASK_FAILED || before->state == DK_TASK_CANCELLED;
  if (!is_final && s->n_losses && run->ended_in[record->task] != s->engine_epoch) return; /* check_end.c: is_unsure */
  if (run->ended_in[record->task] == s->engine_epoch)
    sim_fail(s, "task %u of run %u ends twice", record->task, record->run);
  else if (before->state != record->state)
    sim_fail(s, "task %u of run %u was in state %u for an earlier engine, and is in state %u now", record->task,
             record->run, before->state, record->state);
}

void sim_learn(struct sim *s, struct sim_run *run, uint32_t task, const struct dk_digest *key) {
  run->fact_of[task] = sim_key_of(s, key)->result;
  run->fact_key[task] = *key;
  run->facts[task] = &run->fact_of[task];
  if (run->was_lost[task]) sim_engine_push(s, &(struct dk_event){.kind = DK_EV_TICK}, NULL); /* the same */
}

static void put_task(struct sim *s, const struct dk_record *record) {
  uint32_t task = record->task;
  struct sim_run *run = sim_run_of(s, record->run);
  if (!run) {
    sim_fail(s, "task %u is recorded in run %u, which is not there", task, record->run);
    return;
  }
  if (!run->plan->tasks[task].is_wanted) sim_fail(s, "task %u is recorded though nobody wants it", task);
  check_again(s, run, record);
  run->tasks[task] = *record;
  if (dk_task_state_is_end(record->state)) run->ended_in[task] = s->engine_epoch;
  bool is_bad = record->state == DK_TASK_CANCELLED || record->state == DK_TASK_FAILED;
  if (is_bad || record->state == DK_TASK_NOT_RUN) run->facts[task] = NULL;
  if (is_bad && run->was_lost[task]) sim_engine_push(s, &(struct dk_event){.kind = DK_EV_TICK}, NULL);
  if (record->state != DK_TASK_DONE && record->state != DK_TASK_CACHED) return;
  if (sim_plan_is_pick(run->plan, task)) {
    run->fact_of[task] = run->choice[task];
    run->facts[task] = &run->fact_of[task];
    return;
  }
  const struct sim_key *key = sim_key_of(s, &record->key);
  if (!key->results && !key->losses) sim_fail(s, "task %u of run %u is done without a result", task, record->run);
  /* One that was lost before its end was durable may have been looked up again by then. */
  if (!run->was_lost[task] && !dk_digest_equal(&record->key, &run->asked_key[task]))
    sim_fail(s, "task %u of run %u ends with the result of another key than it was looked up by", task, record->run);
  sim_learn(s, run, task, &record->key);
}

static void put_run(struct sim *s, const struct dk_record *record) {
  struct sim_run *run = sim_run_of(s, record->run);
  if (run)
    run->state = record->state;
  else
    sim_fail(s, "the end of run %u is recorded, which is not there", record->run);
}

static bool is_shared(const struct sim *s, uint64_t program) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < s->c->n_plans; i++) {
    const struct sim_plan *plan = &s->c->plans[i];
    for (uint32_t task = 0; task < plan->graph.n_tasks; task++) found += plan->tasks[task].program == program;
  }
  return found > 1;
}

/* Nothing gets more tries than its limit allows, however many engines had its run. Tasks that share a key can: who was
 * not told of the failure before the kill has the key by itself then. */
static void put_failure(struct sim *s, const struct dk_record *record) {
  const struct sim_attempt *attempt = sim_attempt_of(s, record->id);
  struct sim_run *run = sim_run_of(s, attempt->run);
  uint32_t task = attempt->task, row;
  if (!run || attempt->cause != DK_CAUSE_EXIT) return;
  if (s->n_losses) return; /* what it needs may be another thing by now, and so is its key; or it ended well since */
  if (sim_key_of(s, &record->key)->was_given_up) return; /* of two at a time one counts */
  uint32_t allowed = run->plan->graph.nodes[dk_graph_node_of(&run->plan->graph, task, &row)].retry.other + 1u;
  if (++run->failures[task] > allowed && !is_shared(s, run->plan->tasks[task].program))
    sim_fail(s, "task %u of run %u failed %u times, of %u that its limit allows", task, run->number,
             run->failures[task], allowed);
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
    case DK_REC_RUN: put_run(s, &records[i]); break;
    case DK_REC_FAILURE: put_failure(s, &records[i]); break;
    case DK_REC_RESULT: break;
    }
  }
}

void sim_disk_load(struct sim *s, struct dk_core *core) {
  int r = s->has_incarnation ? dk_core_load(core, &s->incarnation, 1) : 0;
  if (r == 0) r = dk_core_load(core, s->attempts, s->n_attempts);
  if (r < 0) sim_fail(s, "the core cannot be loaded: %d", r);
}
