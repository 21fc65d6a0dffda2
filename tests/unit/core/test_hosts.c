/* The core with more than one host: who gets what, and what becomes of attempts when a host falls silent and comes
 * back. Whole runs with faults are tests/sim's. */
#include "engine/core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define RUN 5u
#define ROWS 8u

struct bed {
  struct dk_core *core;
  struct dk_out out;
  uint64_t now, seq;
  struct dk_id at[3][ROWS]; /* orders by host, in the order in which they were given */
  uint32_t n[3];
};

static const struct dk_graph_node narrow = {.rows = ROWS, .cpus = 1, .retry = {.lost = 3}};
static const struct dk_graph many = {.n_nodes = 1, .n_tasks = ROWS, .nodes = &narrow};
static const struct dk_graph_node single = {.rows = 1, .cpus = 1, .retry = {.lost = 3}};
static const struct dk_graph one = {.n_nodes = 1, .n_tasks = 1, .nodes = &single};

static void give(struct bed *bed, struct dk_event event) {
  struct dk_error error = {0};
  dk_out_clear(&bed->out);
  assert_int_equal(dk_core_step(bed->core, bed->now, ++bed->seq, &event, &bed->out), 0);
  if (dk_core_check(bed->core, &error) < 0) fail_msg("%s", error.text);
  for (uint32_t i = 0; i < bed->out.n_actions; i++) {
    const struct dk_action *action = &bed->out.actions[i];
    if (action->kind == DK_ACT_ASSIGN) bed->at[action->host][bed->n[action->host]++] = action->id;
  }
}

static const struct dk_action *find_action(const struct bed *bed, enum dk_action_kind kind, struct dk_id id) {
  for (uint32_t i = 0; i < bed->out.n_actions; i++) {
    if (bed->out.actions[i].kind == kind && dk_id_equal(bed->out.actions[i].id, id)) return &bed->out.actions[i];
  }
  return NULL;
}

static const struct dk_record *find_record(const struct bed *bed, enum dk_record_kind kind) {
  for (uint32_t i = 0; i < bed->out.n_records; i++) {
    if (bed->out.records[i].kind == kind) return &bed->out.records[i];
  }
  return NULL;
}

static void open_bed(struct bed *bed, const struct dk_graph *graph) {
  struct dk_core_policy policy;
  memset(bed, 0, sizeof *bed);
  bed->now = 100 * SECOND;
  dk_core_policy_default(&policy);
  assert_int_equal(dk_core_create(&bed->core, &policy, 77, 1), 0);
  assert_int_equal(dk_core_add_run(bed->core, &(struct dk_core_run_options){.run = RUN, .graph = graph}), 0);
  give(bed, (struct dk_event){.kind = DK_EV_START, .run = RUN});
  for (uint32_t task = 0; task < graph->n_tasks; task++) {
    struct dk_event miss = {.kind = DK_EV_LOOKED_UP, .run = RUN, .task = task};
    miss.u.looked_up.answer = DK_LOOKUP_MISS;
    miss.u.looked_up.key.bytes[0] = (uint8_t)(task + 1);
    give(bed, miss);
  }
}

static void close_bed(struct bed *bed) {
  dk_core_destroy(bed->core);
  dk_out_finish(&bed->out);
}

static void up(struct bed *bed, uint32_t host, uint64_t session, uint32_t slots) {
  give(bed, (struct dk_event){.kind = DK_EV_AGENT_UP, .host = host, .session = session, .u.agent_up.slots = slots});
}

static void listed(struct bed *bed, uint32_t host, uint64_t session) {
  give(bed, (struct dk_event){.kind = DK_EV_HAS_END, .host = host, .session = session});
}

static void started(struct bed *bed, uint32_t host, uint64_t session, struct dk_id id) {
  give(bed, (struct dk_event){.kind = DK_EV_STARTED, .host = host, .session = session, .id = id});
}

static void ended(struct bed *bed, uint32_t host, uint64_t session, struct dk_id id, enum dk_cause cause) {
  give(bed, (struct dk_event){.kind = DK_EV_ENDED,
                              .host = host,
                              .session = session,
                              .id = id,
                              .u.ended = {.seq = 1, .cause = cause, .bytes = "x", .len = 1}});
}

static void has(struct bed *bed, uint32_t host, uint64_t session, struct dk_id id, enum dk_attempt_state state) {
  give(bed, (struct dk_event){
                .kind = DK_EV_HAS, .host = host, .session = session, .id = id, .u.has = {.state = (uint8_t)state}});
}

static void pass(struct bed *bed, uint64_t ns) {
  bed->now += ns;
  give(bed, (struct dk_event){.kind = DK_EV_TICK});
}

/* Host 1 has one task that runs, and falls silent until that is given up; host 2 gets another attempt of it. */
static struct dk_id run_twice(struct bed *bed) {
  open_bed(bed, &one);
  up(bed, 1, 10, 1);
  listed(bed, 1, 10);
  struct dk_id first = bed->at[1][0];
  started(bed, 1, 10, first);
  up(bed, 2, 10, 1);
  listed(bed, 2, 10);
  give(bed, (struct dk_event){.kind = DK_EV_AGENT_DOWN, .host = 1, .session = 10});
  pass(bed, 59 * SECOND);
  assert_int_equal(bed->n[2], 0);
  pass(bed, 1 * SECOND);
  assert_int_equal(dk_core_task_state(bed->core, RUN, 0), DK_TASK_BACKOFF);
  pass(bed, 2 * SECOND);
  assert_int_equal(bed->n[2], 1);
  return first;
}

static void test_the_least_loaded_host_is_next(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &many);
  up(&bed, 1, 10, 1);
  up(&bed, 2, 10, 3);
  listed(&bed, 1, 10);
  assert_int_equal(bed.n[1], 2); /* it runs one, and one waits there */
  listed(&bed, 2, 10);
  assert_int_equal(bed.n[2], 6);
  close_bed(&bed);
}

static void test_a_wide_task_goes_where_it_has_room(void **state) {
  (void)state;
  static const struct dk_graph_node nodes[] = {{.rows = 2, .cpus = 4}, {.rows = 2, .first = 2, .cpus = 1}};
  static const struct dk_graph graph = {.n_nodes = 2, .n_tasks = 4, .nodes = nodes};
  struct bed bed;
  open_bed(&bed, &graph);
  up(&bed, 2, 10, 4);
  listed(&bed, 2, 10);
  assert_int_equal(bed.n[2], 2); /* both wide ones: one runs, one waits, and nothing overtakes */
  up(&bed, 1, 10, 1);
  listed(&bed, 1, 10);
  assert_int_equal(bed.n[1], 2); /* the narrow ones need not wait for that */
  close_bed(&bed);
}

static void test_sessions_are_each_hosts_own(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &one);
  up(&bed, 1, 10, 1);
  listed(&bed, 1, 10);
  up(&bed, 2, 10, 1);
  struct dk_id id = bed.at[1][0];
  ended(&bed, 2, 10, id, DK_CAUSE_OK); /* it speaks of what is not its own */
  assert_int_equal(dk_core_task_state(bed.core, RUN, 0), DK_TASK_RUNNING);
  assert_null(find_record(&bed, DK_REC_RESULT));
  listed(&bed, 2, 10);
  assert_int_equal(dk_core_task_state(bed.core, RUN, 0), DK_TASK_RUNNING);
  ended(&bed, 1, 10, id, DK_CAUSE_OK);
  assert_int_equal(dk_core_task_state(bed.core, RUN, 0), DK_TASK_DONE);
  close_bed(&bed);
}

static void test_the_first_good_end_counts(void **state) {
  (void)state;
  struct bed bed;
  struct dk_id first = run_twice(&bed), second = bed.at[2][0];
  started(&bed, 2, 10, second);
  up(&bed, 1, 20, 1);
  has(&bed, 1, 20, first, DK_ATTEMPT_ENDED);
  listed(&bed, 1, 20);
  ended(&bed, 1, 20, first, DK_CAUSE_OK);
  assert_int_equal(dk_core_task_state(bed.core, RUN, 0), DK_TASK_DONE);
  assert_non_null(find_record(&bed, DK_REC_RESULT));
  const struct dk_action *kill = find_action(&bed, DK_ACT_KILL, second);
  assert_non_null(kill);
  assert_int_equal(kill->host, 2);
  assert_null(find_record(&bed, DK_REC_RUN)); /* it is over when that has ended */
  ended(&bed, 2, 10, second, DK_CAUSE_OK);
  assert_null(find_record(&bed, DK_REC_RESULT));
  assert_int_equal(find_record(&bed, DK_REC_RUN)->state, DK_RUN_DONE);
  close_bed(&bed);
}

static void test_who_has_started_stays(void **state) {
  (void)state;
  struct bed bed;
  struct dk_id first = run_twice(&bed), second = bed.at[2][0];
  started(&bed, 2, 10, second);
  up(&bed, 1, 20, 1);
  has(&bed, 1, 20, first, DK_ATTEMPT_RUNNING);
  assert_non_null(find_action(&bed, DK_ACT_KILL, first));
  assert_true(dk_id_equal(dk_core_task_attempt(bed.core, RUN, 0), second));
  close_bed(&bed);
  first = run_twice(&bed); /* now the second one has not started */
  second = bed.at[2][0];
  up(&bed, 1, 20, 1);
  has(&bed, 1, 20, first, DK_ATTEMPT_RUNNING);
  assert_non_null(find_action(&bed, DK_ACT_REVOKE, second));
  assert_true(dk_id_equal(dk_core_task_attempt(bed.core, RUN, 0), first));
  close_bed(&bed);
}

static void test_what_waits_at_a_busy_host_comes_back(void **state) {
  (void)state;
  static const struct dk_graph_node node = {.rows = 2, .cpus = 1};
  static const struct dk_graph graph = {.n_nodes = 1, .n_tasks = 2, .nodes = &node};
  struct bed bed;
  open_bed(&bed, &graph);
  up(&bed, 1, 10, 1);
  listed(&bed, 1, 10);
  struct dk_id waits = bed.at[1][1];
  started(&bed, 1, 10, bed.at[1][0]);
  up(&bed, 2, 10, 1);
  listed(&bed, 2, 10);
  assert_null(find_action(&bed, DK_ACT_REVOKE, waits));
  bed.now = dk_core_deadline(bed.core);
  assert_int_equal(bed.now, 101 * SECOND);
  pass(&bed, 0);
  assert_non_null(find_action(&bed, DK_ACT_REVOKE, waits));
  give(&bed, (struct dk_event){.kind = DK_EV_REVOKED, .host = 1, .session = 10, .id = waits});
  assert_int_equal(bed.n[2], 1);
  close_bed(&bed);
}

static void test_silence_is_each_hosts_own(void **state) {
  (void)state;
  struct bed bed;
  open_bed(&bed, &many);
  for (uint32_t host = 1; host <= 2; host++) {
    up(&bed, host, 10, 1);
    listed(&bed, host, 10);
  }
  give(&bed, (struct dk_event){.kind = DK_EV_AGENT_DOWN, .host = 1, .session = 10});
  assert_true(dk_core_is_timing(bed.core));
  pass(&bed, 60 * SECOND);
  assert_false(dk_core_is_timing(bed.core));
  assert_int_equal(dk_core_unclaimed(bed.core, 1), 2);
  assert_int_equal(dk_core_unclaimed(bed.core, 2), 0);
  assert_int_equal(dk_core_session(bed.core, 1), 0);
  assert_int_equal(dk_core_session(bed.core, 2), 10);
  close_bed(&bed);
}

/* An engine that gave a host up, and died, leaves two of one key. */
static void test_no_third_attempt_while_two_may_live(void **state) {
  (void)state;
  struct dk_core_policy policy;
  struct bed bed = {.now = 100 * SECOND};
  struct dk_record records[2];
  memset(records, 0, sizeof records);
  for (uint32_t i = 0; i < 2; i++) {
    records[i] = (struct dk_record){
        .kind = DK_REC_ATTEMPT, .id = {76, i + 1}, .key.bytes[0] = 1, .run = RUN, .host = i + 1, .booked = 1};
  }
  dk_core_policy_default(&policy);
  assert_int_equal(dk_core_create(&bed.core, &policy, 77, 1), 0);
  assert_int_equal(dk_core_load(bed.core, records, 2), 0);
  assert_int_equal(dk_core_add_run(bed.core, &(struct dk_core_run_options){.run = RUN, .graph = &one}), 0);
  give(&bed, (struct dk_event){.kind = DK_EV_START, .run = RUN});
  struct dk_event miss = {.kind = DK_EV_LOOKED_UP, .run = RUN, .u.looked_up.answer = DK_LOOKUP_MISS};
  miss.u.looked_up.key.bytes[0] = 1;
  give(&bed, miss);
  uint32_t first = (uint32_t)dk_core_task_attempt(bed.core, RUN, 0).n, other = 3 - first;
  up(&bed, first, 10, 1);
  listed(&bed, first, 10); /* it has none: that one never got there */
  assert_int_equal(bed.n[first], 0);
  assert_int_equal(dk_core_task_attempt(bed.core, RUN, 0).n, other);
  up(&bed, other, 10, 1);
  listed(&bed, other, 10); /* nor the other one */
  assert_int_equal(bed.n[1] + bed.n[2], 1);
  close_bed(&bed);
}

static void test_where_a_task_ended_is_recorded(void **state) {
  (void)state;
  struct bed bed;
  run_twice(&bed);
  started(&bed, 2, 10, bed.at[2][0]);
  ended(&bed, 2, 10, bed.at[2][0], DK_CAUSE_EXIT);
  const struct dk_record *task = find_record(&bed, DK_REC_TASK);
  assert_non_null(task);
  assert_int_equal(task->state, DK_TASK_FAILED);
  assert_int_equal(task->host, 2);
  close_bed(&bed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_least_loaded_host_is_next),
      cmocka_unit_test(test_a_wide_task_goes_where_it_has_room),
      cmocka_unit_test(test_sessions_are_each_hosts_own),
      cmocka_unit_test(test_the_first_good_end_counts),
      cmocka_unit_test(test_who_has_started_stays),
      cmocka_unit_test(test_what_waits_at_a_busy_host_comes_back),
      cmocka_unit_test(test_silence_is_each_hosts_own),
      cmocka_unit_test(test_no_third_attempt_while_two_may_live),
      cmocka_unit_test(test_where_a_task_ended_is_recorded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
