/* The core by itself, an event at a time: what one step gives. Whole runs with faults are tests/sim's. */
#include "engine/core/core.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

/* A core with one run, and the output of its last step. */
struct bed {
  struct dk_core *core;
  struct dk_out out;
  uint64_t now, seq;
};

static struct dk_digest key_of(uint32_t n) {
  struct dk_digest key = {{0}};
  key.bytes[0] = (uint8_t)(n + 1);
  return key;
}

static int step(struct bed *bed, struct dk_event event) {
  dk_out_clear(&bed->out);
  bed->seq++;
  return dk_core_step(bed->core, bed->now, bed->seq, &event, &bed->out);
}

static void give(struct bed *bed, struct dk_event event) {
  struct dk_error error = {0};
  assert_int_equal(step(bed, event), 0);
  if (dk_core_check(bed->core, &error) < 0) fail_msg("%s", error.text);
}

static const struct dk_action *find_action(const struct bed *bed, enum dk_action_kind kind) {
  for (uint32_t i = 0; i < bed->out.n_actions; i++) {
    if (bed->out.actions[i].kind == kind) return &bed->out.actions[i];
  }
  return NULL;
}

static const struct dk_record *find_record(const struct bed *bed, enum dk_record_kind kind) {
  for (uint32_t i = 0; i < bed->out.n_records; i++) {
    if (bed->out.records[i].kind == kind) return &bed->out.records[i];
  }
  return NULL;
}

static void open_bed(struct bed *bed, const struct dk_graph *graph, const struct dk_record *records, uint32_t n) {
  struct dk_core_policy policy;
  memset(bed, 0, sizeof *bed);
  bed->now = 100 * SECOND;
  dk_core_policy_default(&policy);
  assert_int_equal(dk_core_create(&bed->core, &policy, 77, 1), 0);
  assert_int_equal(dk_core_load(bed->core, records, n), 0);
  assert_int_equal(dk_core_add_run(bed->core, &(struct dk_core_run_options){.run = 5, .graph = graph}), 0);
  give(bed, (struct dk_event){.kind = DK_EV_START, .run = 5});
}

static void close_bed(struct bed *bed) {
  dk_core_destroy(bed->core);
  dk_out_finish(&bed->out);
}

static void agent_up(struct bed *bed, uint64_t session) {
  give(bed, (struct dk_event){.kind = DK_EV_AGENT_UP, .session = session, .u.agent_up.slots = 1});
  assert_non_null(find_action(bed, DK_ACT_LIST));
}

static void agent_listed(struct bed *bed, uint64_t session) {
  agent_up(bed, session);
  give(bed, (struct dk_event){.kind = DK_EV_HAS_END, .session = session});
}

static void looked_up(struct bed *bed, uint32_t task, enum dk_lookup answer, uint32_t key) {
  give(bed, (struct dk_event){.kind = DK_EV_LOOKED_UP, .run = 5, .task = task, .u.looked_up = {answer, key_of(key)}});
}

static void ended(struct bed *bed, uint64_t session, struct dk_id id, enum dk_cause cause, int32_t code) {
  give(bed, (struct dk_event){.kind = DK_EV_ENDED,
                              .session = session,
                              .id = id,
                              .u.ended = {.seq = 9, .cause = cause, .code = code, .bytes = "x", .len = 1}});
}

static const struct dk_graph_node two_rows = {
    .rows = 2, .cpus = 1, .retry = {.lost = 1, .oom = 1, .other = 1, .n_exit = 1, .exit = {75}}};
static const struct dk_graph two = {.n_nodes = 1, .n_tasks = 2, .nodes = &two_rows};
static const struct dk_graph_node one_row = {
    .rows = 1, .cpus = 1, .retry = {.lost = 1, .oom = 1, .other = 1, .n_exit = 1, .exit = {75}}};
static const struct dk_graph one = {.n_nodes = 1, .n_tasks = 1, .nodes = &one_row};

static void test_one_task(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &one, NULL, 0);
  assert_non_null(find_action(&bed, DK_ACT_LOOKUP));
  looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_READY);
  agent_listed(&bed, 1);
  const struct dk_action *assign = find_action(&bed, DK_ACT_ASSIGN);
  assert_non_null(assign);
  assert_int_equal(assign->gate, bed.seq);
  assert_true(bed.out.urgent); /* the agent has nothing to do */
  assert_int_equal(find_record(&bed, DK_REC_INCARNATION)->id.inc, 77);
  assert_false(find_record(&bed, DK_REC_ATTEMPT)->del);
  struct dk_id id = assign->id;
  give(&bed, (struct dk_event){.kind = DK_EV_STARTED, .session = 1, .id = id, .u.started.slot = 3});
  assert_int_equal(find_record(&bed, DK_REC_TASK)->slot, 3);
  ended(&bed, 1, id, DK_CAUSE_OK, 0);
  assert_non_null(find_record(&bed, DK_REC_RESULT));
  assert_true(find_record(&bed, DK_REC_ATTEMPT)->del);
  assert_int_equal(find_record(&bed, DK_REC_TASK)->state, DK_TASK_DONE);
  assert_int_equal(find_record(&bed, DK_REC_RUN)->state, DK_RUN_DONE);
  assert_int_equal(find_action(&bed, DK_ACT_ACK)->gate, bed.seq);
  assert_int_equal(find_action(&bed, DK_ACT_FINISHED)->gate, bed.seq);
  assert_true(dk_id_equal(dk_core_task_attempt(bed.core, 5, 0), id));
  close_bed(&bed);
}

/* Result of the nth attempt, and what becomes of the task. */
static enum dk_task_state after(enum dk_cause cause, int32_t code, uint32_t times) {
  struct bed bed;
  open_bed(&bed, &one, NULL, 0);
  looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
  agent_listed(&bed, 1);
  for (uint32_t i = 0; i < times; i++) {
    const struct dk_action *assign = find_action(&bed, DK_ACT_ASSIGN);
    assert_non_null(assign);
    ended(&bed, 1, assign->id, cause, code);
    /* The record says the same at once: a task that waits for its next try is not shown as running. */
    assert_int_equal(find_record(&bed, DK_REC_TASK)->state, dk_core_task_state(bed.core, 5, 0));
    if (dk_core_task_state(bed.core, 5, 0) != DK_TASK_BACKOFF || i + 1 == times) break;
    bed.now = dk_core_deadline(bed.core);
    assert_in_range(bed.now, 101 * SECOND, 104 * SECOND);
    give(&bed, (struct dk_event){.kind = DK_EV_TICK});
  }
  enum dk_task_state result = dk_core_task_state(bed.core, 5, 0);
  close_bed(&bed);
  return result;
}

static void test_retries(void **state) {
  (void)state;
  assert_int_equal(after(DK_CAUSE_EXIT, 1, 1), DK_TASK_FAILED);
  assert_int_equal(after(DK_CAUSE_EXIT, 75, 1), DK_TASK_BACKOFF);
  assert_int_equal(after(DK_CAUSE_EXIT, 75, 2), DK_TASK_FAILED);
  assert_int_equal(after(DK_CAUSE_OOM, 9, 1), DK_TASK_BACKOFF);
  assert_int_equal(after(DK_CAUSE_OOM, 9, 2), DK_TASK_FAILED);
  assert_int_equal(after(DK_CAUSE_LOST, 0, 1), DK_TASK_BACKOFF);
  assert_int_equal(after(DK_CAUSE_LOST, 0, 2), DK_TASK_FAILED);
  assert_int_equal(after(DK_CAUSE_SIGNAL, 11, 1), DK_TASK_FAILED);
  assert_int_equal(after(DK_CAUSE_TIMEOUT, 0, 1), DK_TASK_FAILED);
  assert_int_equal(after(DK_CAUSE_OUTPUT, 0, 1), DK_TASK_FAILED);
  assert_int_equal(after(DK_CAUSE_SPAWN, 0, 1), DK_TASK_FAILED);
}

static void test_same_key_runs_once(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &two, NULL, 0);
  looked_up(&bed, 0, DK_LOOKUP_MISS, 4);
  looked_up(&bed, 1, DK_LOOKUP_MISS, 4);
  assert_int_equal(dk_core_task_state(bed.core, 5, 1), DK_TASK_SHARED);
  agent_listed(&bed, 1);
  struct dk_id id = find_action(&bed, DK_ACT_ASSIGN)->id;
  ended(&bed, 1, id, DK_CAUSE_OK, 0);
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_DONE);
  assert_int_equal(dk_core_task_state(bed.core, 5, 1), DK_TASK_CACHED);
  close_bed(&bed);
}

/* The lookup of task 1 began before task 0 ended and missed its result. */
static void test_late_miss_is_a_hit(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &two, NULL, 0);
  looked_up(&bed, 0, DK_LOOKUP_MISS, 4);
  agent_listed(&bed, 1);
  ended(&bed, 1, find_action(&bed, DK_ACT_ASSIGN)->id, DK_CAUSE_OK, 0);
  looked_up(&bed, 1, DK_LOOKUP_MISS, 4);
  assert_int_equal(dk_core_task_state(bed.core, 5, 1), DK_TASK_CACHED);
  assert_null(find_action(&bed, DK_ACT_ASSIGN));
  close_bed(&bed);
}

static struct dk_record living_attempt(uint64_t inc, uint64_t n, uint32_t key) {
  return (struct dk_record){.kind = DK_REC_ATTEMPT, .id = {inc, n}, .key = key_of(key), .run = 1};
}

static void test_adoption(void **state) {
  (void)state;
  struct bed bed;
  struct dk_record records[2] = {living_attempt(5, 12, 0), living_attempt(5, 13, 9)};
  open_bed(&bed, &one, records, 2);
  assert_int_equal(dk_core_unclaimed(bed.core, 0), 2);
  looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_RUNNING);
  agent_up(&bed, 1);
  for (uint64_t n = 12; n <= 13; n++)
    give(&bed, (struct dk_event){.kind = DK_EV_HAS, .session = 1, .id = {5, n}, .u.has = {DK_ATTEMPT_RUNNING, 0}});
  give(&bed, (struct dk_event){.kind = DK_EV_HAS_END, .session = 1});
  assert_null(find_action(&bed, DK_ACT_ASSIGN));
  ended(&bed, 1, (struct dk_id){5, 12}, DK_CAUSE_OK, 0);
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_DONE);
  assert_int_equal(dk_core_task_attempt(bed.core, 5, 0).inc, 5);
  assert_int_equal(dk_core_unclaimed(bed.core, 0), 1); /* nobody asks for it: it runs on, and its result is kept */
  ended(&bed, 1, (struct dk_id){5, 13}, DK_CAUSE_OK, 0);
  assert_non_null(find_record(&bed, DK_REC_RESULT));
  close_bed(&bed);
}

static void test_what_the_agent_does_not_have(void **state) {
  (void)state;
  struct bed bed;
  struct dk_record record = living_attempt(5, 12, 0);
  open_bed(&bed, &one, &record, 1);
  looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
  agent_listed(&bed, 1);
  const struct dk_action *assign = find_action(&bed, DK_ACT_ASSIGN);
  assert_non_null(assign); /* it was never seen to start: again, at once */
  assert_int_equal(assign->id.inc, 77);
  close_bed(&bed);
}

static void test_strangers_are_killed(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &one, NULL, 0);
  agent_up(&bed, 1);
  give(&bed, (struct dk_event){.kind = DK_EV_HAS, .session = 1, .id = {6, 6}, .u.has = {DK_ATTEMPT_RUNNING, 0}});
  assert_true(find_action(&bed, DK_ACT_KILL)->hard);
  ended(&bed, 1, (struct dk_id){6, 6}, DK_CAUSE_KILLED, 9);
  assert_non_null(find_action(&bed, DK_ACT_ACK));
  assert_int_equal(bed.out.n_records, 0);
  close_bed(&bed);
}

static void test_stale_sessions_are_dropped(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &one, NULL, 0);
  looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
  agent_listed(&bed, 1);
  struct dk_id id = find_action(&bed, DK_ACT_ASSIGN)->id;
  agent_up(&bed, 2);
  ended(&bed, 1, id, DK_CAUSE_OK, 0);
  assert_int_equal(bed.out.n_records + bed.out.n_actions, 0);
  give(&bed, (struct dk_event){.kind = DK_EV_HAS_END, .session = 1});
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_RUNNING);
  close_bed(&bed);
}

static void test_lost_and_found(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &one, NULL, 0);
  looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
  agent_listed(&bed, 1);
  struct dk_id id = find_action(&bed, DK_ACT_ASSIGN)->id;
  give(&bed, (struct dk_event){.kind = DK_EV_STARTED, .session = 1, .id = id});
  give(&bed, (struct dk_event){.kind = DK_EV_AGENT_DOWN, .session = 1});
  assert_int_equal(dk_core_deadline(bed.core), bed.now + 60 * SECOND);
  bed.now += 59 * SECOND;
  give(&bed, (struct dk_event){.kind = DK_EV_GAP}); /* silence before it proves nothing */
  bed.now += 59 * SECOND;
  give(&bed, (struct dk_event){.kind = DK_EV_TICK});
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_RUNNING);
  bed.now += 1 * SECOND;
  give(&bed, (struct dk_event){.kind = DK_EV_TICK});
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_BACKOFF);
  agent_up(&bed, 2);
  give(&bed, (struct dk_event){.kind = DK_EV_HAS, .session = 2, .id = id, .u.has = {DK_ATTEMPT_RUNNING, 0}});
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_RUNNING); /* taken back, not run twice */
  ended(&bed, 2, id, DK_CAUSE_OK, 0);
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_DONE);
  close_bed(&bed);
}

static void test_refusals(void **state) {
  (void)state;
  static const struct {
    enum dk_refusal reason;
    enum dk_task_state state;
  } table[] = {{DK_REFUSED_BUSY, DK_TASK_READY},
               {DK_REFUSED_BAD, DK_TASK_FAILED},
               {DK_REFUSED_DISK, DK_TASK_BACKOFF},
               {DK_REFUSED_STALE, DK_TASK_BACKOFF}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct bed bed;
    open_bed(&bed, &one, NULL, 0);
    looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
    agent_listed(&bed, 1);
    struct dk_id id = find_action(&bed, DK_ACT_ASSIGN)->id;
    give(&bed, (struct dk_event){
                   .kind = DK_EV_REFUSED, .session = 1, .id = id, .u.refused.reason = (uint8_t)table[i].reason});
    assert_int_equal(dk_core_task_state(bed.core, 5, 0), table[i].state);
    assert_true(find_record(&bed, DK_REC_ATTEMPT)->del);
    close_bed(&bed);
  }
}

static void test_cancel(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &two, NULL, 0);
  looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
  looked_up(&bed, 1, DK_LOOKUP_MISS, 1);
  agent_listed(&bed, 1); /* both: one slot, one waits behind it */
  struct dk_id first = dk_core_task_attempt(bed.core, 5, 0), second = dk_core_task_attempt(bed.core, 5, 1);
  give(&bed, (struct dk_event){.kind = DK_EV_STARTED, .session = 1, .id = first});
  give(&bed, (struct dk_event){.kind = DK_EV_CANCEL, .run = 5});
  assert_true(dk_id_equal(find_action(&bed, DK_ACT_KILL)->id, first));
  assert_false(find_action(&bed, DK_ACT_KILL)->hard);
  assert_true(dk_id_equal(find_action(&bed, DK_ACT_REVOKE)->id, second));
  give(&bed, (struct dk_event){.kind = DK_EV_STARTED, .session = 1, .id = second}); /* too late to revoke */
  assert_true(dk_id_equal(find_action(&bed, DK_ACT_KILL)->id, second));
  give(&bed, (struct dk_event){.kind = DK_EV_CANCEL, .run = 5, .u.ask.hard = true});
  assert_true(find_action(&bed, DK_ACT_KILL)->hard);
  ended(&bed, 1, second, DK_CAUSE_KILLED, 9);
  assert_int_equal(dk_core_task_state(bed.core, 5, 1), DK_TASK_CANCELLED);
  assert_null(find_action(&bed, DK_ACT_FINISHED));
  ended(&bed, 1, first, DK_CAUSE_OK, 0); /* done before the signal came: kept */
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_DONE);
  assert_int_equal(find_record(&bed, DK_REC_RUN)->state, DK_RUN_INTERRUPTED);
  assert_non_null(find_action(&bed, DK_ACT_FINISHED));
  close_bed(&bed);
}

static void test_a_used_incarnation_goes_on(void **state) {
  (void)state;
  struct bed bed;
  struct dk_record record = {.kind = DK_REC_INCARNATION, .id = {77, 0}, .counter = 500};
  open_bed(&bed, &one, &record, 1);
  looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
  agent_listed(&bed, 1);
  assert_int_equal(find_action(&bed, DK_ACT_ASSIGN)->id.n, 501);
  close_bed(&bed);
}

static void test_wide_tasks_and_depth(void **state) {
  (void)state;
  struct bed bed;
  static const struct dk_graph_node wide = {.rows = 3, .cpus = 8};
  static const struct dk_graph graph = {.n_nodes = 1, .n_tasks = 3, .nodes = &wide};
  open_bed(&bed, &graph, NULL, 0);
  for (uint32_t i = 0; i < 3; i++) looked_up(&bed, i, DK_LOOKUP_MISS, i);
  give(&bed, (struct dk_event){.kind = DK_EV_AGENT_UP, .session = 1, .u.agent_up.slots = 4});
  give(&bed, (struct dk_event){.kind = DK_EV_HAS_END, .session = 1});
  struct dk_core_counts counts;
  dk_core_counts(bed.core, 5, 0, &counts);
  assert_int_equal(counts.by_state[DK_TASK_RUNNING], 2); /* each books all 4 slots; two a slot are kept at the agent */
  assert_int_equal(counts.queued_at_agent, 2);
  close_bed(&bed);
}

/* --- several runs --- */

static const uint8_t first_only[] = {1}, second_only[] = {2};

static void add(struct bed *bed, struct dk_core_run_options options) {
  assert_int_equal(dk_core_add_run(bed->core, &options), 0);
  give(bed, (struct dk_event){.kind = DK_EV_START, .run = options.run});
}

static void looked_up_in(struct bed *bed, uint32_t run, uint32_t task, enum dk_lookup answer, uint32_t key) {
  give(bed, (struct dk_event){.kind = DK_EV_LOOKED_UP, .run = run, .task = task, .u.looked_up = {answer, key_of(key)}});
}

/* Two runs want the same key; the one whose task has the attempt is cancelled: the other goes on with it. */
static void test_cancelled_owner_leaves_its_attempt_to_who_shares_it(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &one, NULL, 0);
  add(&bed, (struct dk_core_run_options){.run = 6, .graph = &one});
  looked_up_in(&bed, 5, 0, DK_LOOKUP_MISS, 1);
  looked_up_in(&bed, 6, 0, DK_LOOKUP_MISS, 1);
  agent_listed(&bed, 1);
  struct dk_id id = find_action(&bed, DK_ACT_ASSIGN)->id;
  give(&bed, (struct dk_event){.kind = DK_EV_STARTED, .session = 1, .id = id});
  give(&bed, (struct dk_event){.kind = DK_EV_CANCEL, .run = 5});
  assert_null(find_action(&bed, DK_ACT_KILL));
  assert_int_equal(find_action(&bed, DK_ACT_FINISHED)->run, 5);
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_CANCELLED);
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_RUNNING);
  dk_core_remove_run(bed.core, 5);
  ended(&bed, 1, id, DK_CAUSE_OK, 0);
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_DONE);
  close_bed(&bed);
}

/* The kill is under way when another run comes for the same key: it runs the task again. */
static void test_who_shares_a_killed_attempt_runs_again(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &one, NULL, 0);
  looked_up_in(&bed, 5, 0, DK_LOOKUP_MISS, 1);
  agent_listed(&bed, 1);
  struct dk_id id = find_action(&bed, DK_ACT_ASSIGN)->id;
  give(&bed, (struct dk_event){.kind = DK_EV_STARTED, .session = 1, .id = id});
  give(&bed, (struct dk_event){.kind = DK_EV_CANCEL, .run = 5});
  assert_non_null(find_action(&bed, DK_ACT_KILL));
  add(&bed, (struct dk_core_run_options){.run = 6, .graph = &one});
  looked_up_in(&bed, 6, 0, DK_LOOKUP_MISS, 1);
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_SHARED);
  ended(&bed, 1, id, DK_CAUSE_KILLED, 15);
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_CANCELLED);
  assert_int_equal(find_action(&bed, DK_ACT_ASSIGN)->run, 6);
  close_bed(&bed);
}

static void test_a_paused_task_keeps_its_place(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &two, NULL, 0);
  looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
  give(&bed, (struct dk_event){.kind = DK_EV_PAUSE, .run = 5, .u.ask.tasks = first_only});
  looked_up(&bed, 1, DK_LOOKUP_MISS, 1);
  agent_listed(&bed, 1);
  struct dk_id second = find_action(&bed, DK_ACT_ASSIGN)->id;
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_READY);
  give(&bed, (struct dk_event){.kind = DK_EV_PAUSE, .run = 5}); /* the order has not started: it comes back */
  assert_true(dk_id_equal(find_action(&bed, DK_ACT_REVOKE)->id, second));
  give(&bed, (struct dk_event){.kind = DK_EV_REVOKED, .session = 1, .id = second});
  assert_int_equal(dk_core_task_state(bed.core, 5, 1), DK_TASK_READY);
  assert_null(find_action(&bed, DK_ACT_ASSIGN));
  give(&bed, (struct dk_event){.kind = DK_EV_RESUME, .run = 5});
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_RUNNING);
  close_bed(&bed);
}

static uint32_t assigned_first(struct bed *bed, uint32_t *ret_run) {
  agent_listed(bed, 1);
  const struct dk_action *assign = find_action(bed, DK_ACT_ASSIGN);
  assert_non_null(assign);
  *ret_run = assign->run;
  return assign->task;
}

static void test_priorities(void **state) {
  (void)state;
  struct bed bed;
  uint32_t run;
  open_bed(&bed, &two, NULL, 0);
  add(&bed, (struct dk_core_run_options){.run = 6, .graph = &two, .priority = 3});
  for (uint32_t i = 0; i < 2; i++) looked_up_in(&bed, 5, i, DK_LOOKUP_MISS, i);
  for (uint32_t i = 0; i < 2; i++) looked_up_in(&bed, 6, i, DK_LOOKUP_MISS, 2 + i);
  give(&bed, (struct dk_event){.kind = DK_EV_PRIORITY, .run = 5, .u.ask = {.tasks = second_only, .priority = 7}});
  assert_int_equal(assigned_first(&bed, &run), 1);
  assert_int_equal(run, 5);
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_RUNNING); /* then the run that comes first */
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_READY);
  close_bed(&bed);
}

static void test_order_of_nodes_and_jobs(void **state) {
  (void)state;
  struct bed bed;
  static const struct dk_graph_node nodes[2] = {{.rows = 2, .cpus = 1}, {.rows = 2, .cpus = 1, .first = 2}};
  static const struct dk_graph graph = {.n_nodes = 2, .n_tasks = 4, .nodes = nodes};
  static const uint32_t order[2] = {1, 0};
  open_bed(&bed, &one, NULL, 0);
  add(&bed, (struct dk_core_run_options){.run = 6, .graph = &graph, .priority = 1, .order = order, .jobs = 1});
  for (uint32_t i = 0; i < 4; i++) looked_up_in(&bed, 6, i, DK_LOOKUP_MISS, i);
  looked_up(&bed, 0, DK_LOOKUP_MISS, 9);
  give(&bed, (struct dk_event){.kind = DK_EV_AGENT_UP, .session = 1, .u.agent_up.slots = 2});
  give(&bed, (struct dk_event){.kind = DK_EV_HAS_END, .session = 1});
  assert_int_equal(find_action(&bed, DK_ACT_ASSIGN)->task, 2);
  assert_int_equal(find_action(&bed, DK_ACT_ASSIGN)->run, 6);
  struct dk_core_counts counts;
  dk_core_counts(bed.core, 6, UINT32_MAX, &counts);
  assert_int_equal(counts.by_state[DK_TASK_RUNNING], 1); /* as many as it may have; the other run gets what is left */
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_RUNNING);
  close_bed(&bed);
}

/* A run that an earlier engine did not finish: what it made is done, what failed for good stays so, also for who needs
 * it. */
static void test_a_run_goes_on(void **state) {
  (void)state;
  struct bed bed;
  static const struct dk_edge edge = {.kind = DK_EDGE_SAME, .producer = 0};
  static const struct dk_graph_node nodes[2] = {{.rows = 2, .cpus = 1},
                                                {.rows = 2, .cpus = 1, .first = 2, .n_edges = 1, .edges = &edge}};
  static const struct dk_graph graph = {.n_nodes = 2, .n_tasks = 4, .nodes = nodes};
  struct dk_core_ended ended_before = {.task = 1, .state = DK_TASK_FAILED, .attempt = {3, 9}};
  open_bed(&bed, &one, NULL, 0);
  add(&bed, (struct dk_core_run_options){.run = 4, .graph = &graph, .ended = &ended_before, .n_ended = 1});
  looked_up_in(&bed, 4, 0, DK_LOOKUP_OWN, 0);
  assert_int_equal(dk_core_task_state(bed.core, 4, 0), DK_TASK_DONE);
  assert_int_equal(dk_core_task_state(bed.core, 4, 3), DK_TASK_NOT_RUN);
  assert_true(dk_id_equal(dk_core_task_attempt(bed.core, 4, 1), (struct dk_id){3, 9}));
  looked_up_in(&bed, 4, 2, DK_LOOKUP_HIT, 2);
  assert_int_equal(find_record(&bed, DK_REC_RUN)->state, DK_RUN_FAILED);
  close_bed(&bed);
}

/* A task was done when it was cancelled, or in spite of it. An engine that goes on with its run asks for all of that
 * again: it stays done. */
static void test_what_had_ended_is_not_cancelled_when_its_run_goes_on(void **state) {
  (void)state;
  struct bed bed;
  static const struct dk_core_ended was_done[] = {{.task = 0, .state = DK_TASK_DONE}};
  open_bed(&bed, &one, NULL, 0);
  add(&bed, (struct dk_core_run_options){.run = 6, .graph = &two, .ended = was_done, .n_ended = 1, .paused = true});
  assert_int_equal(find_action(&bed, DK_ACT_LOOKUP)->task, 0); /* and no pause holds it back */
  give(&bed, (struct dk_event){.kind = DK_EV_CANCEL, .run = 6});
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_LOOKUP);
  assert_int_equal(dk_core_task_state(bed.core, 6, 1), DK_TASK_CANCELLED);
  assert_null(find_action(&bed, DK_ACT_FINISHED));
  looked_up_in(&bed, 6, 0, DK_LOOKUP_OWN, 1);
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_DONE);
  assert_non_null(find_action(&bed, DK_ACT_FINISHED));
  close_bed(&bed);
}

/* The same, but its result is gone: then it is cancelled. */
static void test_what_has_lost_its_result_is_cancelled(void **state) {
  (void)state;
  struct bed bed;
  static const struct dk_core_ended was_done[] = {{.task = 0, .state = DK_TASK_DONE}};
  open_bed(&bed, &one, NULL, 0);
  add(&bed, (struct dk_core_run_options){.run = 6, .graph = &one, .ended = was_done, .n_ended = 1});
  give(&bed, (struct dk_event){.kind = DK_EV_CANCEL, .run = 6});
  looked_up_in(&bed, 6, 0, DK_LOOKUP_MISS, 1);
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_CANCELLED);
  assert_non_null(find_action(&bed, DK_ACT_FINISHED));
  close_bed(&bed);
}

/* The engine died when a cancel was kept, but not done. Its tasks have no claim in the next one when the cancel comes:
 * what they had at the agent is ended all the same, and the run is not over before that. */
static void test_a_cancel_ends_what_an_earlier_engine_had_handed_out(void **state) {
  (void)state;
  struct bed bed;
  struct dk_record living = {.kind = DK_REC_ATTEMPT, .id = {70, 3}, .key = key_of(1), .run = 6, .task = 0};
  open_bed(&bed, &one, &living, 1);
  add(&bed, (struct dk_core_run_options){.run = 6, .graph = &two});
  give(&bed, (struct dk_event){.kind = DK_EV_CANCEL, .run = 6, .u.ask.tasks = first_only});
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_CANCELLED);
  give(&bed, (struct dk_event){.kind = DK_EV_CANCEL, .run = 6, .u.ask.tasks = second_only});
  looked_up_in(&bed, 6, 0, DK_LOOKUP_MISS, 1);
  looked_up_in(&bed, 6, 1, DK_LOOKUP_MISS, 2);
  assert_null(find_action(&bed, DK_ACT_FINISHED));
  agent_up(&bed, 1);
  give(&bed,
       (struct dk_event){.kind = DK_EV_HAS, .session = 1, .id = living.id, .u.has = {.state = DK_ATTEMPT_RUNNING}});
  assert_true(dk_id_equal(find_action(&bed, DK_ACT_KILL)->id, living.id));
  ended(&bed, 1, living.id, DK_CAUSE_KILLED, 15);
  assert_int_equal(find_action(&bed, DK_ACT_FINISHED)->run, 6);
  close_bed(&bed);
}

/* Two runs want the same key; the one that has it is paused: the other need not wait. */
static void test_a_paused_owner_lets_who_shares_it_go_first(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &one, NULL, 0);
  add(&bed, (struct dk_core_run_options){.run = 6, .graph = &one});
  looked_up_in(&bed, 5, 0, DK_LOOKUP_MISS, 1);
  looked_up_in(&bed, 6, 0, DK_LOOKUP_MISS, 1);
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_SHARED);
  give(&bed, (struct dk_event){.kind = DK_EV_PAUSE, .run = 5});
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_SHARED);
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_READY);
  give(&bed, (struct dk_event){.kind = DK_EV_PAUSE, .run = 6}); /* nobody may go: it stays */
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_READY);
  give(&bed, (struct dk_event){.kind = DK_EV_RESUME, .run = 5});
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_READY);
  agent_listed(&bed, 1);
  assert_int_equal(find_action(&bed, DK_ACT_ASSIGN)->run, 5);
  struct dk_id id = find_action(&bed, DK_ACT_ASSIGN)->id;
  give(&bed, (struct dk_event){.kind = DK_EV_RESUME, .run = 6});
  give(&bed, (struct dk_event){.kind = DK_EV_PAUSE, .run = 5}); /* the order comes back, and goes to the other */
  give(&bed, (struct dk_event){.kind = DK_EV_REVOKED, .session = 1, .id = id});
  assert_int_equal(find_action(&bed, DK_ACT_ASSIGN)->run, 6);
  assert_int_equal(dk_core_check(bed.core, &(struct dk_error){0}), 0);
  close_bed(&bed);
}

static void has_running(struct bed *bed, uint64_t session, struct dk_id id) {
  agent_up(bed, session);
  give(bed, (struct dk_event){.kind = DK_EV_HAS, .session = session, .id = id, .u.has = {.state = DK_ATTEMPT_RUNNING}});
}

/* The record of an attempt follows who has it: the next engine must know whose cancel ends it. */
static void test_an_attempt_is_recorded_as_of_who_adopts_it(void **state) {
  (void)state;
  struct bed bed;
  struct dk_record living = {.kind = DK_REC_ATTEMPT, .id = {70, 3}, .key = key_of(1), .run = 4, .task = 9};
  open_bed(&bed, &two, &living, 1);
  looked_up(&bed, 1, DK_LOOKUP_MISS, 1);
  assert_int_equal(dk_core_task_state(bed.core, 5, 1), DK_TASK_RUNNING);
  has_running(&bed, 1, living.id);
  const struct dk_record *record = find_record(&bed, DK_REC_ATTEMPT);
  assert_non_null(record);
  assert_false(record->del);
  assert_int_equal(record->run, 5);
  assert_int_equal(record->task, 1);
  living.run = 5;
  living.task = 1;
  close_bed(&bed);
  open_bed(&bed, &two, &living, 1); /* the next engine, which is asked for the cancel before anything is looked up */
  give(&bed, (struct dk_event){.kind = DK_EV_CANCEL, .run = 5, .u.ask.hard = true});
  has_running(&bed, 1, living.id);
  assert_true(find_action(&bed, DK_ACT_KILL)->hard);
  close_bed(&bed);
}

/* The host is lost: the run is over all the same. When it comes back, what was cancelled is ended, by any engine. */
static void test_what_is_cancelled_at_a_lost_host_ends_when_it_comes_back(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &one, NULL, 0);
  looked_up(&bed, 0, DK_LOOKUP_MISS, 1);
  agent_listed(&bed, 1);
  struct dk_id id = find_action(&bed, DK_ACT_ASSIGN)->id;
  give(&bed, (struct dk_event){.kind = DK_EV_STARTED, .session = 1, .id = id});
  give(&bed, (struct dk_event){.kind = DK_EV_AGENT_DOWN, .session = 1});
  bed.now += 61 * SECOND;
  give(&bed, (struct dk_event){.kind = DK_EV_TICK});
  give(&bed, (struct dk_event){.kind = DK_EV_CANCEL, .run = 5});
  assert_non_null(find_action(&bed, DK_ACT_FINISHED));
  struct dk_record left = *find_record(&bed, DK_REC_ATTEMPT);
  assert_false(left.del);
  dk_core_remove_run(bed.core, 5);
  has_running(&bed, 2, id);
  assert_true(dk_id_equal(find_action(&bed, DK_ACT_KILL)->id, id));
  close_bed(&bed);
  open_bed(&bed, &one, &left, 1);
  has_running(&bed, 1, id);
  assert_true(dk_id_equal(find_action(&bed, DK_ACT_KILL)->id, id));
  close_bed(&bed);
  open_bed(&bed, &one, &left, 1); /* unless it is wanted again by then */
  looked_up(&bed, 0, DK_LOOKUP_MISS, 1);
  has_running(&bed, 1, id);
  assert_null(find_action(&bed, DK_ACT_KILL));
  close_bed(&bed);
}

static const struct dk_core_tried tried_once = {
    .task = 0, .attempt = {3, 9}, .attempts = 1, .cause = DK_CAUSE_OOM, .tries = {.oom = 1}};

/* A run that is taken up has what is left of its retries, and its tasks what they had grown to. */
static void test_retries_go_on(void **state) {
  (void)state;
  struct bed bed;
  struct dk_core_tried tried = tried_once;
  tried.key = key_of(0);
  open_bed(&bed, &two, NULL, 0);
  add(&bed, (struct dk_core_run_options){.run = 4, .graph = &one, .tried = &tried, .n_tried = 1});
  struct dk_digest before, after_it;
  dk_core_tries_digest(bed.core, 4, &before);
  looked_up_in(&bed, 4, 0, DK_LOOKUP_MISS, 0);
  assert_int_equal(find_record(&bed, DK_REC_TASK)->tries.oom, 1);
  dk_core_tries_digest(bed.core, 4, &after_it);
  assert_true(dk_digest_equal(&before, &after_it));
  agent_listed(&bed, 1);
  const struct dk_action *assign = find_action(&bed, DK_ACT_ASSIGN);
  assert_int_equal(assign->run, 4);
  assert_int_equal(assign->ooms, 1);
  ended(&bed, 1, assign->id, DK_CAUSE_OOM, 9);
  assert_int_equal(find_record(&bed, DK_REC_TASK)->state, DK_TASK_FAILED);
  assert_int_equal(find_record(&bed, DK_REC_TASK)->attempts, 2);
  close_bed(&bed);
}

/* The end of an earlier engine's attempt comes before its task can be looked up: it counts all the same, for its own
 * run. */
static void test_an_end_before_the_lookup(void **state) {
  (void)state;
  static const struct {
    int32_t code;
    enum dk_task_state state;
  } table[] = {{75, DK_TASK_READY}, {1, DK_TASK_FAILED}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct bed bed;
    struct dk_record record = living_attempt(5, 12, 0);
    record.run = 5;
    open_bed(&bed, &one, &record, 1);
    agent_up(&bed, 1);
    give(&bed, (struct dk_event){.kind = DK_EV_HAS, .session = 1, .id = {5, 12}, .u.has = {DK_ATTEMPT_ENDED, 0}});
    ended(&bed, 1, (struct dk_id){5, 12}, DK_CAUSE_EXIT, table[i].code);
    const struct dk_record *noted = find_record(&bed, DK_REC_TASK);
    assert_int_equal(noted->attempts, 1);
    assert_int_equal(noted->tries.is_over, table[i].state == DK_TASK_FAILED);
    looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
    assert_int_equal(dk_core_task_state(bed.core, 5, 0), table[i].state);
    assert_int_equal(find_record(&bed, DK_REC_TASK)->code, table[i].state == DK_TASK_FAILED ? 1 : 0);
    close_bed(&bed);
  }
}

/* A task was done for an earlier engine; an older attempt of it, that was given up for lost, fails now. It stays
 * done. */
static void test_what_was_done_is_not_tried(void **state) {
  (void)state;
  struct bed bed;
  static const struct dk_core_ended was_done[] = {{.task = 0, .state = DK_TASK_DONE}};
  struct dk_record record = living_attempt(5, 12, 0);
  record.run = 6;
  open_bed(&bed, &one, &record, 1);
  add(&bed, (struct dk_core_run_options){.run = 6, .graph = &one, .ended = was_done, .n_ended = 1});
  agent_up(&bed, 1);
  ended(&bed, 1, (struct dk_id){5, 12}, DK_CAUSE_EXIT, 75);
  assert_null(find_record(&bed, DK_REC_TASK));
  looked_up_in(&bed, 6, 0, DK_LOOKUP_OWN, 0);
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_DONE);
  close_bed(&bed);
}

static const struct dk_record *last_task_record(const struct bed *bed, uint32_t run) {
  const struct dk_record *last = NULL;
  for (uint32_t i = 0; i < bed->out.n_records; i++) {
    const struct dk_record *record = &bed->out.records[i];
    if (record->kind == DK_REC_TASK && record->run == run) last = record;
  }
  return last;
}

/* Retries go with the claim: its owner has them in its record, and who leaves it to a sharer has them no more. */
static void test_retries_go_to_the_owner(void **state) {
  (void)state;
  struct bed bed;
  struct dk_core_tried tried = tried_once;
  tried.key = key_of(0);
  open_bed(&bed, &one, NULL, 0);
  add(&bed, (struct dk_core_run_options){.run = 6, .graph = &one, .tried = &tried, .n_tried = 1});
  looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
  assert_int_equal(last_task_record(&bed, 5)->tries.oom, 1);
  give(&bed, (struct dk_event){.kind = DK_EV_PAUSE, .run = 5});
  looked_up_in(&bed, 6, 0, DK_LOOKUP_MISS, 0); /* it shares, and goes first at once */
  assert_int_equal(dk_core_task_state(bed.core, 6, 0), DK_TASK_READY);
  assert_int_equal(last_task_record(&bed, 6)->tries.oom, 1);
  assert_int_equal(last_task_record(&bed, 5)->tries.oom, 0);
  give(&bed, (struct dk_event){.kind = DK_EV_RESUME, .run = 5});
  give(&bed, (struct dk_event){.kind = DK_EV_PAUSE, .run = 6}); /* and back */
  assert_int_equal(dk_core_task_state(bed.core, 5, 0), DK_TASK_READY);
  assert_int_equal(last_task_record(&bed, 5)->tries.oom, 1);
  assert_int_equal(last_task_record(&bed, 6)->tries.oom, 0);
  close_bed(&bed);
}

/* Of several that had tried the same, what the one that used most had left; what was looked up since counts no more. */
static void test_the_most_retries_count(void **state) {
  (void)state;
  struct bed bed;
  struct dk_core_tried once = tried_once, twice = tried_once;
  once.key = twice.key = key_of(0);
  twice.tries.other = 1;
  open_bed(&bed, &one, NULL, 0);
  add(&bed, (struct dk_core_run_options){.run = 6, .graph = &one, .tried = &once, .n_tried = 1});
  add(&bed, (struct dk_core_run_options){.run = 7, .graph = &one, .tried = &twice, .n_tried = 1});
  looked_up_in(&bed, 6, 0, DK_LOOKUP_MISS, 0);
  assert_int_equal(last_task_record(&bed, 6)->tries.oom, 1);
  assert_int_equal(last_task_record(&bed, 6)->tries.other, 1);
  give(&bed, (struct dk_event){.kind = DK_EV_CANCEL, .run = 6});
  give(&bed, (struct dk_event){.kind = DK_EV_CANCEL, .run = 7});
  looked_up(&bed, 0, DK_LOOKUP_MISS, 0);
  assert_null(last_task_record(&bed, 5)); /* it has all of its own */
  agent_listed(&bed, 1);
  assert_int_equal(find_action(&bed, DK_ACT_ASSIGN)->ooms, 0);
  close_bed(&bed);
}

/* Every allocation fails once: the step says so, and the core can be destroyed. */
static void test_no_memory(void **state) {
  (void)state;
  bool is_clean = false;
  for (uint64_t n = 1; !is_clean; n++) {
    struct dk_core_policy policy;
    struct dk_core *core = NULL;
    struct dk_out out = {0};
    struct dk_record record = living_attempt(5, 12, 0);
    dk_core_policy_default(&policy);
    dk_alloc_fail_at(n);
    int r = dk_core_create(&core, &policy, 77, 1);
    if (r == 0) r = dk_core_load(core, &record, 1);
    struct dk_core_tried tried = tried_once;
    if (r == 0)
      r = dk_core_add_run(core, &(struct dk_core_run_options){.run = 5, .graph = &two, .tried = &tried, .n_tried = 1});
    struct dk_event events[] = {
        {.kind = DK_EV_START, .run = 5},
        {.kind = DK_EV_LOOKED_UP, .run = 5, .task = 0, .u.looked_up = {DK_LOOKUP_MISS, key_of(0)}},
        {.kind = DK_EV_LOOKED_UP, .run = 5, .task = 1, .u.looked_up = {DK_LOOKUP_MISS, key_of(1)}},
        {.kind = DK_EV_AGENT_UP, .session = 1, .u.agent_up.slots = 2},
        {.kind = DK_EV_HAS, .session = 1, .id = {5, 12}, .u.has = {DK_ATTEMPT_RUNNING, 0}},
        {.kind = DK_EV_HAS_END, .session = 1},
        {.kind = DK_EV_ENDED, .session = 1, .id = {5, 12}, .u.ended = {.cause = DK_CAUSE_OK, .bytes = "x", .len = 1}},
        {.kind = DK_EV_ENDED, .session = 1, .id = {77, 1}, .u.ended = {.cause = DK_CAUSE_LOST, .bytes = "x", .len = 1}},
        {.kind = DK_EV_PRIORITY, .run = 5, .u.ask = {.tasks = second_only, .priority = 1}},
        {.kind = DK_EV_CANCEL, .run = 5},
    };
    for (size_t i = 0; r == 0 && i < sizeof events / sizeof *events; i++)
      r = dk_core_step(core, 1, i + 1, &events[i], &out);
    if (r == 0) assert_int_equal(dk_core_task_state(core, 5, 1), DK_TASK_CANCELLED);
    is_clean = dk_alloc_count() < n;
    assert_int_equal(r, is_clean ? 0 : -ENOMEM);
    dk_alloc_fail_at(0);
    dk_core_destroy(core);
    dk_out_finish(&out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_task),
      cmocka_unit_test(test_retries),
      cmocka_unit_test(test_same_key_runs_once),
      cmocka_unit_test(test_late_miss_is_a_hit),
      cmocka_unit_test(test_adoption),
      cmocka_unit_test(test_what_the_agent_does_not_have),
      cmocka_unit_test(test_strangers_are_killed),
      cmocka_unit_test(test_stale_sessions_are_dropped),
      cmocka_unit_test(test_lost_and_found),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_cancel),
      cmocka_unit_test(test_a_used_incarnation_goes_on),
      cmocka_unit_test(test_wide_tasks_and_depth),
      cmocka_unit_test(test_cancelled_owner_leaves_its_attempt_to_who_shares_it),
      cmocka_unit_test(test_who_shares_a_killed_attempt_runs_again),
      cmocka_unit_test(test_a_paused_task_keeps_its_place),
      cmocka_unit_test(test_priorities),
      cmocka_unit_test(test_order_of_nodes_and_jobs),
      cmocka_unit_test(test_a_run_goes_on),
      cmocka_unit_test(test_what_had_ended_is_not_cancelled_when_its_run_goes_on),
      cmocka_unit_test(test_what_has_lost_its_result_is_cancelled),
      cmocka_unit_test(test_a_cancel_ends_what_an_earlier_engine_had_handed_out),
      cmocka_unit_test(test_a_paused_owner_lets_who_shares_it_go_first),
      cmocka_unit_test(test_an_attempt_is_recorded_as_of_who_adopts_it),
      cmocka_unit_test(test_what_is_cancelled_at_a_lost_host_ends_when_it_comes_back),
      cmocka_unit_test(test_retries_go_on),
      cmocka_unit_test(test_an_end_before_the_lookup),
      cmocka_unit_test(test_what_was_done_is_not_tried),
      cmocka_unit_test(test_retries_go_to_the_owner),
      cmocka_unit_test(test_the_most_retries_count),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
