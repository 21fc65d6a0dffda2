/* How many attempts people read of: those that may have begun, whatever the limits on retries count. */
#include "engine/core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define RUN 5u

struct bed {
  struct dk_core *core;
  struct dk_out out;
  uint64_t now, seq, session;
  struct dk_id id; /* of the last order */
};

static const struct dk_graph_node node = {.rows = 1, .cpus = 1, .retry = {.lost = 2, .oom = 1, .other = 1}};
static const struct dk_graph one = {.n_nodes = 1, .n_tasks = 1, .nodes = &node};

static void give(struct bed *bed, struct dk_event event) {
  struct dk_error error = {0};

  dk_out_clear(&bed->out);
  assert_int_equal(dk_core_step(bed->core, bed->now, ++bed->seq, &event, &bed->out), 0);
  if (dk_core_check(bed->core, &error) < 0) fail_msg("%s", error.text);
  for (uint32_t i = 0; i < bed->out.n_actions; i++)
    if (bed->out.actions[i].kind == DK_ACT_ASSIGN) bed->id = bed->out.actions[i].id;
}

static void connect(struct bed *bed) {
  bed->session++;
  give(bed, (struct dk_event){.kind = DK_EV_AGENT_UP, .session = bed->session, .u.agent_up.slots = 1});
  give(bed, (struct dk_event){.kind = DK_EV_HAS_END, .session = bed->session});
}

static void open_bed(struct bed *bed) {
  struct dk_core_policy policy;

  memset(bed, 0, sizeof *bed);
  bed->now = 100 * SECOND;
  dk_core_policy_default(&policy);
  assert_int_equal(dk_core_create(&bed->core, &policy, 77, 1), 0);
  assert_int_equal(dk_core_add_run(bed->core, &(struct dk_core_run_options){.run = RUN, .graph = &one}), 0);
  give(bed, (struct dk_event){.kind = DK_EV_START, .run = RUN});
  give(bed, (struct dk_event){.kind = DK_EV_LOOKED_UP, .run = RUN, .u.looked_up = {.answer = DK_LOOKUP_MISS}});
  connect(bed);
}

static void close_bed(struct bed *bed) {
  dk_core_destroy(bed->core);
  dk_out_finish(&bed->out);
}

/* What the task's record says, in the last step. */
static uint32_t recorded(const struct bed *bed) {
  for (uint32_t i = bed->out.n_records; i-- > 0;)
    if (bed->out.records[i].kind == DK_REC_TASK) return bed->out.records[i].attempts;
  fail_msg("no record of the task");
  return 0;
}

static void wait_for_next(struct bed *bed) {
  bed->now += 600 * SECOND;
  give(bed, (struct dk_event){.kind = DK_EV_TICK});
}

static void start(struct bed *bed) {
  give(bed, (struct dk_event){.kind = DK_EV_STARTED, .session = bed->session, .id = bed->id});
}

static void refuse(struct bed *bed, uint64_t session, uint8_t reason) {
  give(bed, (struct dk_event){.kind = DK_EV_REFUSED, .session = session, .id = bed->id, .u.refused.reason = reason});
}

static void end_badly(struct bed *bed, uint64_t session, enum dk_cause cause) {
  give(bed, (struct dk_event){.kind = DK_EV_ENDED,
                              .session = session,
                              .id = bed->id,
                              .u.ended = {.seq = 9, .cause = cause, .code = 1, .bytes = "x", .len = 1}});
}

static void test_refused_is_not_begun(void **state) {
  (void)state;
  struct bed bed;

  open_bed(&bed);
  refuse(&bed, bed.session, DK_REFUSED_BUSY);
  wait_for_next(&bed);
  refuse(&bed, bed.session, DK_REFUSED_DISK);
  assert_int_equal(recorded(&bed), 0);
  wait_for_next(&bed);
  start(&bed);
  assert_int_equal(recorded(&bed), 1);
  close_bed(&bed);
}

/* Though it counts for no attempt, it is not refused for ever: the limit is another number. */
static void test_refusals_have_their_limit(void **state) {
  (void)state;
  struct bed bed;

  open_bed(&bed);
  for (uint32_t i = 0; i < 2; i++) {
    refuse(&bed, bed.session, DK_REFUSED_DISK);
    wait_for_next(&bed);
  }
  refuse(&bed, bed.session, DK_REFUSED_DISK);
  assert_int_equal(dk_core_task_state(bed.core, RUN, 0), DK_TASK_FAILED);
  assert_int_equal(recorded(&bed), 0);
  close_bed(&bed);
}

static void test_a_stale_one_may_have_begun(void **state) {
  (void)state;
  struct bed bed;

  open_bed(&bed);
  refuse(&bed, bed.session, DK_REFUSED_STALE);
  assert_int_equal(recorded(&bed), 1);
  close_bed(&bed);
}

static void test_asked_back_is_not_begun(void **state) {
  (void)state;
  struct bed bed;

  open_bed(&bed);
  give(&bed, (struct dk_event){.kind = DK_EV_REVOKED, .session = bed.session, .id = bed.id});
  wait_for_next(&bed);
  start(&bed);
  assert_int_equal(recorded(&bed), 1);
  close_bed(&bed);
}

/* An order that did not get there is not begun; one that had begun, and that its host does not have any more, is. */
static void test_absent(void **state) {
  (void)state;
  for (uint32_t had_begun = 0; had_begun < 2; had_begun++) {
    struct bed bed;
    open_bed(&bed);
    if (had_begun) start(&bed);
    give(&bed, (struct dk_event){.kind = DK_EV_AGENT_DOWN, .session = bed.session});
    connect(&bed);
    if (had_begun) wait_for_next(&bed);
    start(&bed);
    assert_int_equal(recorded(&bed), 1 + had_begun);
    close_bed(&bed);
  }
}

/* Nobody knows what became of it. */
static void test_lost_may_have_begun(void **state) {
  (void)state;
  struct bed bed;

  open_bed(&bed);
  give(&bed, (struct dk_event){.kind = DK_EV_AGENT_DOWN, .session = bed.session});
  wait_for_next(&bed);
  connect(&bed);
  start(&bed);
  assert_int_equal(recorded(&bed), 2);
  close_bed(&bed);
}

static void test_never_sent(void **state) {
  (void)state;
  struct bed bed;

  open_bed(&bed);
  end_badly(&bed, 0, DK_CAUSE_INPUT);
  assert_int_equal(dk_core_task_state(bed.core, RUN, 0), DK_TASK_FAILED);
  assert_int_equal(recorded(&bed), 0);
  close_bed(&bed);
}

static void test_ended_has_begun(void **state) {
  (void)state;
  struct bed bed;

  open_bed(&bed);
  end_badly(&bed, bed.session, DK_CAUSE_EXIT); /* nobody has heard of its start */
  assert_int_equal(recorded(&bed), 1);
  wait_for_next(&bed);
  start(&bed);
  end_badly(&bed, bed.session, DK_CAUSE_EXIT);
  assert_int_equal(recorded(&bed), 2);
  close_bed(&bed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_refused_is_not_begun),
      cmocka_unit_test(test_refusals_have_their_limit),
      cmocka_unit_test(test_a_stale_one_may_have_begun),
      cmocka_unit_test(test_asked_back_is_not_begun),
      cmocka_unit_test(test_absent),
      cmocka_unit_test(test_lost_may_have_begun),
      cmocka_unit_test(test_never_sent),
      cmocka_unit_test(test_ended_has_begun),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
