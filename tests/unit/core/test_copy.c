/* The core, when the outputs of a task that has ended are lost: it is made again, and nobody is told twice. */
#include "engine/core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define RUN 5u
#define OTHER 6u
#define TASKS 8u

struct bed {
  struct dk_core *core;
  struct dk_out out;
  uint64_t now, seq;
  struct dk_id id[OTHER + 1][TASKS]; /* of its last order */
  uint32_t n_orders[OTHER + 1][TASKS], n_lookups[OTHER + 1][TASKS], n_over;
  struct dk_record task[OTHER + 1][TASKS]; /* last one */
};

static void step(struct bed *bed, struct dk_event event) {
  struct dk_error error = {0};
  dk_out_clear(&bed->out);
  assert_int_equal(dk_core_step(bed->core, bed->now, ++bed->seq, &event, &bed->out), 0);
  if (dk_core_check(bed->core, &error) < 0) fail_msg("%s", error.text);
  for (uint32_t i = 0; i < bed->out.n_records; i++) {
    const struct dk_record *record = &bed->out.records[i];
    if (record->kind == DK_REC_TASK) bed->task[record->run][record->task] = *record;
  }
  for (uint32_t i = 0; i < bed->out.n_actions; i++) {
    const struct dk_action *action = &bed->out.actions[i];
    if (action->kind == DK_ACT_ASSIGN) bed->id[action->run][action->task] = action->id;
    if (action->kind == DK_ACT_ASSIGN) bed->n_orders[action->run][action->task]++;
    if (action->kind == DK_ACT_LOOKUP) bed->n_lookups[action->run][action->task]++;
    if (action->kind == DK_ACT_FINISHED) bed->n_over++;
  }
}

static void give(struct bed *bed, struct dk_event event) {
  step(bed, event);
  while (bed->out.more) step(bed, (struct dk_event){.kind = DK_EV_TICK, .u.tick.is_idle = true});
}

static void add_run(struct bed *bed, uint32_t run, const struct dk_graph *graph) {
  assert_int_equal(dk_core_add_run(bed->core, &(struct dk_core_run_options){.run = run, .graph = graph}), 0);
  give(bed, (struct dk_event){.kind = DK_EV_START, .run = run});
}

static void open_bed(struct bed *bed, const struct dk_graph *graph, uint32_t max_out) {
  struct dk_core_policy policy;
  memset(bed, 0, sizeof *bed);
  bed->now = 100 * SECOND;
  dk_core_policy_default(&policy);
  policy.max_out = max_out;
  assert_int_equal(dk_core_create(&bed->core, &policy, 77, 1), 0);
  give(bed, (struct dk_event){.kind = DK_EV_AGENT_UP, .session = 1, .u.agent_up.slots = 8});
  give(bed, (struct dk_event){.kind = DK_EV_HAS_END, .session = 1});
  add_run(bed, RUN, graph);
}

static void close_bed(struct bed *bed) {
  dk_core_destroy(bed->core);
  dk_out_finish(&bed->out);
}

static struct dk_event answer(uint32_t run, uint32_t task, enum dk_lookup answer) {
  struct dk_event event = {.kind = DK_EV_LOOKED_UP, .run = run, .task = task, .u.looked_up.answer = answer};
  event.u.looked_up.key.bytes[0] = (uint8_t)(task + 1);
  return event;
}

static void missed(struct bed *bed, uint32_t run, uint32_t task) {
  give(bed, answer(run, task, DK_LOOKUP_MISS));
}

static struct dk_event end_of(const struct bed *bed, uint32_t run, uint32_t task, enum dk_cause cause) {
  return (struct dk_event){.kind = DK_EV_ENDED,
                           .session = 1,
                           .id = bed->id[run][task],
                           .u.ended = {.seq = 1, .cause = cause, .bytes = "x", .len = 1}};
}

static void ended(struct bed *bed, uint32_t run, uint32_t task, enum dk_cause cause) {
  give(bed, end_of(bed, run, task, cause));
}

static void make(struct bed *bed, uint32_t run, uint32_t task) {
  missed(bed, run, task);
  ended(bed, run, task, DK_CAUSE_OK);
  assert_int_equal(dk_core_task_state(bed->core, run, task), DK_TASK_DONE);
}

static struct dk_event loss(uint32_t run, uint32_t task) {
  return (struct dk_event){.kind = DK_EV_COPY_LOST, .run = run, .task = task};
}

static void lose(struct bed *bed, uint32_t run, uint32_t task) {
  give(bed, loss(run, task));
}

static void put_off(struct bed *bed, uint32_t run, uint32_t task) {
  give(bed, (struct dk_event){.kind = DK_EV_REFUSED, .id = bed->id[run][task], .u.refused.reason = DK_REFUSED_NOT_YET});
}

/* The key of an order that was not sent is not true any more. */
static void key_anew(struct bed *bed, uint32_t run, uint32_t task) {
  struct dk_event event = {.kind = DK_EV_REFUSED, .id = bed->id[run][task]};
  event.u.refused.reason = DK_REFUSED_STALE_KEY;
  give(bed, event);
}

static void missed_as(struct bed *bed, uint32_t run, uint32_t task, uint8_t key) {
  struct dk_event event = answer(run, task, DK_LOOKUP_MISS);
  event.u.looked_up.key.bytes[0] = key;
  give(bed, event);
}

static void ask(struct bed *bed, enum dk_event_kind kind, uint8_t tasks) {
  give(bed, (struct dk_event){.kind = kind, .run = RUN, .u.ask.tasks = &tasks});
}

static void pass(struct bed *bed, uint64_t ns) {
  bed->now += ns;
  give(bed, (struct dk_event){.kind = DK_EV_TICK, .u.tick.is_idle = true});
}

static enum dk_task_state state_of(const struct bed *bed, uint32_t task) {
  return dk_core_task_state(bed->core, RUN, task);
}

/* Tasks 0 and 1; 2 needs 0, 3 needs 1; 4 needs both, 5 too but goes on when one fails; 6 is a pick among them. */
static const struct dk_edge same = {.kind = DK_EDGE_SAME}, all = {.kind = DK_EDGE_ALL},
                            rest = {.kind = DK_EDGE_ALL, .skip_failed = true};
static const struct dk_graph_node nodes[] = {
    {.rows = 2, .cpus = 1, .retry = {.lost = 1}},
    {.first = 2, .rows = 2, .cpus = 1, .n_edges = 1, .edges = &same},
    {.first = 4, .rows = 1, .cpus = 1, .n_edges = 1, .edges = &all},
    {.first = 5, .rows = 1, .cpus = 1, .n_edges = 1, .edges = &rest},
    {.first = 6, .rows = 1, .cpus = 1, .kind = DK_NODE_PICK, .n_edges = 1, .edges = &rest},
};
static const struct dk_graph graph = {.n_nodes = 5, .n_tasks = 7, .nodes = nodes};
static const struct dk_graph pair = {.n_nodes = 1, .n_tasks = 2, .nodes = nodes};

static void test_it_is_made_again(void **state) {
  struct bed bed;
  (void)state;
  open_bed(&bed, &graph, 1024);
  make(&bed, RUN, 0);
  make(&bed, RUN, 2);
  lose(&bed, RUN, 0);
  assert_int_equal(state_of(&bed, 0), DK_TASK_LOOKUP);
  assert_int_equal(bed.task[RUN][0].state, DK_TASK_LOOKUP); /* who looks sees that it has no result */
  assert_int_equal(bed.n_lookups[RUN][0], 2);
  assert_int_equal(state_of(&bed, 2), DK_TASK_DONE);
  make(&bed, RUN, 1);
  assert_int_equal(state_of(&bed, 4), DK_TASK_LOOKUP); /* as far as it is known, it has all that it needs */
  make(&bed, RUN, 3);
  make(&bed, RUN, 4);
  make(&bed, RUN, 5);
  give(&bed, (struct dk_event){.kind = DK_EV_DECIDED, .run = RUN, .task = 6, .u.decided.ok = true});
  assert_int_equal(bed.n_over, 0); /* not before it has ended again */
  make(&bed, RUN, 0);
  assert_int_equal(bed.n_orders[RUN][0], 2);
  assert_int_equal(bed.n_over, 1);
  for (uint32_t task = 2; task < 6; task++) assert_int_equal(bed.n_orders[RUN][task], 1);
  close_bed(&bed);
}

static void test_an_order_is_put_off(void **state) {
  struct bed bed;
  (void)state;
  open_bed(&bed, &graph, 1024);
  make(&bed, RUN, 0);
  missed(&bed, RUN, 2);
  put_off(&bed, RUN, 2);
  lose(&bed, RUN, 0);
  assert_int_equal(state_of(&bed, 2), DK_TASK_BACKOFF);
  put_off(&bed, RUN, 2); /* said again: it is known no more */
  pass(&bed, SECOND - 1);
  assert_int_equal(bed.n_orders[RUN][2], 1);
  pass(&bed, 1);
  assert_int_equal(bed.n_orders[RUN][2], 2);
  put_off(&bed, RUN, 2);
  pass(&bed, SECOND);
  assert_int_equal(bed.n_orders[RUN][2], 2); /* twice as long, not for ever */
  make(&bed, RUN, 0);
  for (uint32_t i = 0; i < 20; i++) {
    pass(&bed, 300 * SECOND);
    put_off(&bed, RUN, 2);
  }
  assert_int_equal(bed.n_orders[RUN][2], 22);
  pass(&bed, 300 * SECOND);
  give(&bed, (struct dk_event){.kind = DK_EV_STARTED, .session = 1, .id = bed.id[RUN][2]});
  assert_int_equal(bed.task[RUN][2].attempts, 1);
  assert_true(dk_tries_is_none(&bed.task[RUN][2].tries));
  close_bed(&bed);
}

static void test_a_bad_end(void **state) {
  struct bed bed;
  (void)state;
  open_bed(&bed, &graph, 1024);
  make(&bed, RUN, 0);
  make(&bed, RUN, 2);
  lose(&bed, RUN, 0);
  missed(&bed, RUN, 0);
  ended(&bed, RUN, 0, DK_CAUSE_EXIT);
  assert_int_equal(state_of(&bed, 0), DK_TASK_FAILED);
  assert_int_equal(state_of(&bed, 2), DK_TASK_DONE);
  assert_int_equal(state_of(&bed, 4), DK_TASK_NOT_RUN);
  assert_int_equal(state_of(&bed, 5), DK_TASK_WAITING); /* for 1, and for 0 no longer */
  make(&bed, RUN, 1);
  make(&bed, RUN, 3);
  make(&bed, RUN, 5);
  give(&bed, (struct dk_event){.kind = DK_EV_DECIDED, .run = RUN, .task = 6, .u.decided.ok = true});
  assert_int_equal(bed.n_over, 1);
  close_bed(&bed);
}

static void test_lost_before_others_have_heard(void **state) {
  struct bed bed;
  (void)state;
  open_bed(&bed, &graph, 1);
  missed(&bed, RUN, 0);
  step(&bed, end_of(&bed, RUN, 0, DK_CAUSE_OK));
  assert_true(bed.out.more);
  assert_int_equal(state_of(&bed, 2), DK_TASK_WAITING);
  lose(&bed, RUN, 0);
  assert_int_equal(state_of(&bed, 2), DK_TASK_WAITING); /* as if it had not ended */
  missed(&bed, RUN, 0);
  ended(&bed, RUN, 0, DK_CAUSE_OK);
  assert_int_equal(state_of(&bed, 2), DK_TASK_LOOKUP);
  close_bed(&bed);
}

/* A lookup that is under way keeps what has ended well findable; for one that began later it is not there. */
static void test_lost_while_lookups_are_under_way(void **state) {
  struct bed bed;
  (void)state;
  open_bed(&bed, &graph, 1024);
  make(&bed, RUN, 0); /* 1 is being looked up */
  lose(&bed, RUN, 0);
  missed(&bed, RUN, 0);
  assert_int_equal(state_of(&bed, 0), DK_TASK_RUNNING);
  add_run(&bed, OTHER, &pair); /* it has asked, and the answer takes its time */
  ended(&bed, RUN, 0, DK_CAUSE_OK);
  missed(&bed, OTHER, 0);
  assert_int_equal(dk_core_task_state(bed.core, OTHER, 0), DK_TASK_CACHED);
  close_bed(&bed);
}

static void test_it_is_found_again(void **state) {
  struct bed bed;
  (void)state;
  open_bed(&bed, &pair, 1024);
  make(&bed, RUN, 0);
  lose(&bed, RUN, 0);
  lose(&bed, RUN, 0); /* it is known by now */
  assert_int_equal(bed.n_lookups[RUN][0], 2);
  give(&bed, answer(RUN, 0, DK_LOOKUP_OWN));
  assert_int_equal(state_of(&bed, 0), DK_TASK_DONE);
  lose(&bed, RUN, 0);
  give(&bed, answer(RUN, 0, DK_LOOKUP_HIT));
  assert_int_equal(state_of(&bed, 0), DK_TASK_CACHED);
  make(&bed, RUN, 1);
  assert_int_equal(bed.n_over, 1);
  close_bed(&bed);
}

static void test_what_is_dropped(void **state) {
  struct bed bed;
  (void)state;
  open_bed(&bed, &graph, 1024);
  lose(&bed, RUN, 0); /* in LOOKUP */
  lose(&bed, RUN, 2); /* WAITING */
  lose(&bed, RUN, 99);
  lose(&bed, 99, 0);
  missed(&bed, RUN, 0);
  lose(&bed, RUN, 0); /* RUNNING */
  ended(&bed, RUN, 0, DK_CAUSE_EXIT);
  lose(&bed, RUN, 0); /* FAILED */
  assert_int_equal(state_of(&bed, 0), DK_TASK_FAILED);
  make(&bed, RUN, 1);
  make(&bed, RUN, 3);
  give(&bed, (struct dk_event){.kind = DK_EV_DECIDED, .run = RUN, .task = 6, .u.decided.ok = true});
  lose(&bed, RUN, 6); /* a pick has no outputs */
  assert_int_equal(state_of(&bed, 6), DK_TASK_DONE);
  make(&bed, RUN, 5);
  assert_int_equal(bed.n_over, 1);
  lose(&bed, RUN, 1); /* it is over */
  assert_int_equal(state_of(&bed, 1), DK_TASK_DONE);
  for (uint32_t task = 0; task < TASKS; task++) assert_in_range(bed.n_lookups[RUN][task], 0, 1);
  close_bed(&bed);
}

static void test_two_runs_have_lost_the_same(void **state) {
  struct bed bed;
  (void)state;
  open_bed(&bed, &pair, 1024);
  make(&bed, RUN, 0);
  add_run(&bed, OTHER, &pair);
  give(&bed, answer(OTHER, 0, DK_LOOKUP_HIT));
  lose(&bed, RUN, 0);
  lose(&bed, OTHER, 0);
  missed(&bed, RUN, 0);
  missed(&bed, OTHER, 0);
  assert_int_equal(dk_core_task_state(bed.core, OTHER, 0), DK_TASK_SHARED);
  ended(&bed, RUN, 0, DK_CAUSE_OK);
  assert_int_equal(state_of(&bed, 0), DK_TASK_DONE);
  assert_int_equal(dk_core_task_state(bed.core, OTHER, 0), DK_TASK_CACHED);
  close_bed(&bed);
}

/* An order that one run cannot send says nothing of the other one. */
static void test_what_cannot_be_sent_fails_alone(void **state) {
  struct bed bed;
  (void)state;
  open_bed(&bed, &pair, 1024);
  missed(&bed, RUN, 0);
  add_run(&bed, OTHER, &pair);
  missed(&bed, OTHER, 0);
  struct dk_event unsent = end_of(&bed, RUN, 0, DK_CAUSE_INPUT);
  unsent.session = 0;
  give(&bed, unsent);
  assert_int_equal(state_of(&bed, 0), DK_TASK_FAILED);
  assert_int_equal(bed.n_orders[OTHER][0], 1);
  ended(&bed, OTHER, 0, DK_CAUSE_OK);
  assert_int_equal(dk_core_task_state(bed.core, OTHER, 0), DK_TASK_DONE);
  close_bed(&bed);
}

static void test_what_was_asked_after_its_end_counts(void **state) {
  struct bed bed;
  (void)state;
  open_bed(&bed, &pair, 1024);
  make(&bed, RUN, 0);
  ask(&bed, DK_EV_PAUSE, 1);
  lose(&bed, RUN, 0);
  missed(&bed, RUN, 0);
  assert_int_equal(state_of(&bed, 0), DK_TASK_READY);
  assert_int_equal(bed.n_orders[RUN][0], 1);
  ask(&bed, DK_EV_RESUME, 1);
  assert_int_equal(bed.n_orders[RUN][0], 2);
  ended(&bed, RUN, 0, DK_CAUSE_OK);
  ask(&bed, DK_EV_CANCEL, 1);
  assert_int_equal(state_of(&bed, 0), DK_TASK_DONE); /* it stays what it is, as long as it is there */
  lose(&bed, RUN, 0);
  give(&bed, answer(RUN, 0, DK_LOOKUP_HIT));
  assert_int_equal(state_of(&bed, 0), DK_TASK_CACHED);
  lose(&bed, RUN, 0);
  missed(&bed, RUN, 0);
  assert_int_equal(state_of(&bed, 0), DK_TASK_CANCELLED);
  close_bed(&bed);
}

static const struct dk_retry twice = {.lost = 1, .other = 1};
static const struct dk_graph_node limited_nodes[] = {{.rows = 3, .cpus = 1, .at_once = 2, .retry = twice}};
static const struct dk_graph limited = {.n_nodes = 1, .n_tasks = 3, .nodes = limited_nodes};

static void test_it_is_keyed_anew(void **state) {
  struct bed bed;
  struct dk_core_counts counts;
  (void)state;
  open_bed(&bed, &limited, 1024);
  for (uint32_t task = 0; task < 3; task++) missed(&bed, RUN, task);
  assert_int_equal(state_of(&bed, 2), DK_TASK_READY);
  ended(&bed, RUN, 0, DK_CAUSE_EXIT);
  pass(&bed, 300 * SECOND); /* the second try of 0 is after 2, whose turn it was */
  ended(&bed, RUN, 1, DK_CAUSE_OK);
  assert_int_equal(bed.n_orders[RUN][0], 2);
  key_anew(&bed, RUN, 0);
  assert_int_equal(state_of(&bed, 0), DK_TASK_LOOKUP);
  assert_int_equal(bed.task[RUN][0].state, DK_TASK_LOOKUP); /* its retries went with its key */
  assert_true(dk_tries_is_none(&bed.task[RUN][0].tries));
  dk_core_counts(bed.core, RUN, UINT32_MAX, &counts);
  assert_int_equal(counts.queued_at_agent, 1);
  key_anew(&bed, RUN, 0); /* said again: it is known no more */
  assert_int_equal(bed.n_lookups[RUN][0], 2);
  missed_as(&bed, RUN, 0, 90);
  assert_int_equal(bed.n_orders[RUN][0], 3); /* at once: nothing has failed */
  ended(&bed, RUN, 0, DK_CAUSE_EXIT);
  assert_int_equal(state_of(&bed, 0), DK_TASK_BACKOFF);
  assert_int_equal(bed.task[RUN][0].attempts, 1);
  pass(&bed, 300 * SECOND);
  ended(&bed, RUN, 0, DK_CAUSE_OK);
  ended(&bed, RUN, 2, DK_CAUSE_OK);
  assert_int_equal(bed.task[RUN][0].key.bytes[0], 90);
  assert_int_equal(bed.n_over, 1);
  close_bed(&bed);
}

/* Those that share the key are looked up too, and part when they get others; one at a time where there is no room. */
static void test_who_shares_the_key_is_keyed_anew(void **state) {
  struct bed bed;
  (void)state;
  open_bed(&bed, &pair, 1);
  missed(&bed, RUN, 0);
  missed_as(&bed, RUN, 1, 1);
  add_run(&bed, OTHER, &pair);
  missed(&bed, OTHER, 0);
  missed_as(&bed, OTHER, 1, 50);
  assert_int_equal(state_of(&bed, 1), DK_TASK_SHARED);
  key_anew(&bed, RUN, 0);
  assert_int_equal(state_of(&bed, 0), DK_TASK_LOOKUP);
  assert_int_equal(state_of(&bed, 1), DK_TASK_LOOKUP);
  assert_int_equal(dk_core_task_state(bed.core, OTHER, 0), DK_TASK_LOOKUP);
  assert_int_equal(dk_core_task_state(bed.core, OTHER, 1), DK_TASK_RUNNING);
  missed_as(&bed, RUN, 0, 60);
  give(&bed, answer(RUN, 1, DK_LOOKUP_HIT));
  missed(&bed, OTHER, 0); /* for it the key is true */
  assert_int_equal(bed.n_orders[OTHER][0], 1);
  ended(&bed, RUN, 0, DK_CAUSE_OK);
  assert_int_equal(dk_core_task_state(bed.core, OTHER, 0), DK_TASK_RUNNING);
  ended(&bed, OTHER, 0, DK_CAUSE_OK);
  ended(&bed, OTHER, 1, DK_CAUSE_OK);
  assert_int_equal(bed.n_over, 2);
  close_bed(&bed);
}

static void test_cancelled_before_it_is_keyed_anew(void **state) {
  struct bed bed;
  (void)state;
  open_bed(&bed, &pair, 1024);
  missed(&bed, RUN, 0);
  ask(&bed, DK_EV_CANCEL, 1);
  assert_int_equal(state_of(&bed, 0), DK_TASK_RUNNING); /* as far as it knows */
  key_anew(&bed, RUN, 0);
  assert_int_equal(state_of(&bed, 0), DK_TASK_CANCELLED);
  missed(&bed, RUN, 1);
  ask(&bed, DK_EV_PAUSE, 2);
  key_anew(&bed, RUN, 1);
  missed_as(&bed, RUN, 1, 60);
  assert_int_equal(state_of(&bed, 1), DK_TASK_READY); /* paused under its new key as well */
  ask(&bed, DK_EV_RESUME, 2);
  ended(&bed, RUN, 1, DK_CAUSE_OK);
  assert_int_equal(bed.n_over, 1);
  close_bed(&bed);
}

static uint32_t n_ends(const struct bed *bed, struct dk_id id) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < bed->out.n_actions; i++) {
    const struct dk_action *action = &bed->out.actions[i];
    n += (action->kind == DK_ACT_KILL || action->kind == DK_ACT_REVOKE) && dk_id_equal(action->id, id);
  }
  return n;
}

/* What runs on under the old key at a host that was lost is ended when that comes back, unless the key is true again.
 */
static void test_what_a_lost_host_does_under_the_old_key(void **state) {
  for (uint32_t again = 0; again < 2; again++) {
    struct bed bed;
    (void)state;
    open_bed(&bed, &pair, 1024);
    give(&bed, (struct dk_event){.kind = DK_EV_AGENT_UP, .host = 1, .session = 1, .u.agent_up.slots = 8});
    missed(&bed, RUN, 0);
    struct dk_id first = bed.id[RUN][0];
    give(&bed, (struct dk_event){.kind = DK_EV_STARTED, .session = 1, .id = first});
    give(&bed, (struct dk_event){.kind = DK_EV_HAS_END, .host = 1, .session = 1});
    give(&bed, (struct dk_event){.kind = DK_EV_HOST_REMOVED});
    pass(&bed, 2 * SECOND);
    assert_int_equal(bed.n_orders[RUN][0], 2);
    key_anew(&bed, RUN, 0);
    missed_as(&bed, RUN, 0, again ? 1 : 60);
    assert_int_equal(bed.n_orders[RUN][0], 3);
    give(&bed, (struct dk_event){.kind = DK_EV_AGENT_UP, .session = 2, .u.agent_up.slots = 8});
    struct dk_event has = {.kind = DK_EV_HAS, .session = 2, .id = first, .u.has.state = DK_ATTEMPT_RUNNING};
    step(&bed, has);
    assert_int_equal(n_ends(&bed, first), !again);
    uint32_t run, task;
    assert_int_equal(dk_core_attempt_task(bed.core, first, &run, &task), again);
    close_bed(&bed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_it_is_made_again),
      cmocka_unit_test(test_an_order_is_put_off),
      cmocka_unit_test(test_a_bad_end),
      cmocka_unit_test(test_lost_before_others_have_heard),
      cmocka_unit_test(test_lost_while_lookups_are_under_way),
      cmocka_unit_test(test_it_is_found_again),
      cmocka_unit_test(test_what_is_dropped),
      cmocka_unit_test(test_two_runs_have_lost_the_same),
      cmocka_unit_test(test_what_cannot_be_sent_fails_alone),
      cmocka_unit_test(test_what_was_asked_after_its_end_counts),
      cmocka_unit_test(test_it_is_keyed_anew),
      cmocka_unit_test(test_who_shares_the_key_is_keyed_anew),
      cmocka_unit_test(test_cancelled_before_it_is_keyed_anew),
      cmocka_unit_test(test_what_a_lost_host_does_under_the_old_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
