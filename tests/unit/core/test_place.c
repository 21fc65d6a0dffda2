/* Where the core hands a task out, when the world says what suits it and how far that is. */
#include "engine/core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define RUN 5u
#define HOSTS 4u
#define MAX_TASKS 3000u
#define NEVER DK_PLACE_NEVER

struct bed {
  struct dk_core *core;
  struct dk_out out;
  uint64_t now, seq;
  uint64_t near[MAX_TASKS][HOSTS]; /* what place says */
  uint32_t n_asked, most_asked;    /* calls of place: in this step, and in the longest one */
  uint32_t where[MAX_TASKS];       /* host of its last order, or NONE */
  struct dk_id id[MAX_TASKS];
  uint32_t order[MAX_TASKS], n_orders;
};
#define NONE UINT32_MAX

static void place(void *ctx, uint32_t run, uint32_t task, uint32_t n_hosts, uint64_t *ret_ns) {
  struct bed *bed = ctx;
  assert_int_equal(run, RUN);
  assert_true(n_hosts <= HOSTS);
  memcpy(ret_ns, bed->near[task], n_hosts * sizeof *ret_ns);
  bed->n_asked++;
}

static void step(struct bed *bed, struct dk_event event) {
  struct dk_error error = {0};
  dk_out_clear(&bed->out);
  bed->n_asked = 0;
  assert_int_equal(dk_core_step(bed->core, bed->now, ++bed->seq, &event, &bed->out), 0);
  if (dk_core_check(bed->core, &error) < 0) fail_msg("%s", error.text);
  if (bed->n_asked > bed->most_asked) bed->most_asked = bed->n_asked;
  for (uint32_t i = 0; i < bed->out.n_actions; i++) {
    const struct dk_action *action = &bed->out.actions[i];
    if (action->kind != DK_ACT_ASSIGN) continue;
    bed->where[action->task] = action->host;
    bed->id[action->task] = action->id;
    bed->order[bed->n_orders++ % MAX_TASKS] = action->task;
  }
}

/* As a turn does it: until the core has nothing more to do at this time. */
static void give(struct bed *bed, struct dk_event event) {
  struct dk_event lookups[MAX_TASKS];
  uint32_t n = 0, at = 0;
  step(bed, event);
  for (;;) {
    for (uint32_t i = 0; i < bed->out.n_actions; i++) {
      if (bed->out.actions[i].kind != DK_ACT_LOOKUP) continue;
      uint32_t task = bed->out.actions[i].task;
      lookups[n] = (struct dk_event){.kind = DK_EV_LOOKED_UP, .run = RUN, .task = task};
      lookups[n].u.looked_up.answer = DK_LOOKUP_MISS;
      lookups[n].u.looked_up.key.bytes[9] = 1;
      memcpy(lookups[n++].u.looked_up.key.bytes, &task, sizeof task);
    }
    if (at < n)
      step(bed, lookups[at++]);
    else if (dk_core_deadline(bed->core) <= bed->now)
      step(bed, (struct dk_event){.kind = DK_EV_TICK, .u.tick.is_idle = true});
    else
      return;
  }
}

static void open_bed(struct bed *bed, const struct dk_graph *graph) {
  struct dk_core_policy policy;
  memset(bed, 0, sizeof *bed);
  memset(bed->where, 0xff, sizeof bed->where);
  bed->now = 100 * SECOND;
  dk_core_policy_default(&policy);
  policy.place = place;
  policy.place_ctx = bed;
  assert_int_equal(dk_core_create(&bed->core, &policy, 77, 1), 0);
  assert_int_equal(dk_core_add_run(bed->core, &(struct dk_core_run_options){.run = RUN, .graph = graph}), 0);
}

static void start(struct bed *bed) {
  give(bed, (struct dk_event){.kind = DK_EV_START, .run = RUN});
}

static void close_bed(struct bed *bed) {
  dk_core_destroy(bed->core);
  dk_out_finish(&bed->out);
}

static void set(struct bed *bed, uint32_t first, uint32_t n, uint32_t host, uint64_t ns) {
  for (uint32_t task = first; task < first + n; task++) bed->near[task][host] = ns;
}

static void host_up(struct bed *bed, uint32_t host, uint32_t slots) {
  give(bed, (struct dk_event){.kind = DK_EV_AGENT_UP, .host = host, .session = 10, .u.agent_up.slots = slots});
  give(bed, (struct dk_event){.kind = DK_EV_HAS_END, .host = host, .session = 10});
}

static void tell(struct bed *bed, enum dk_event_kind kind, uint32_t task) {
  struct dk_event event = {.kind = kind, .host = bed->where[task], .session = 10, .id = bed->id[task]};
  if (kind == DK_EV_ENDED) event.u.ended.seq = 1;
  give(bed, event);
}

static void refuse(struct bed *bed, uint32_t task, enum dk_refusal reason) {
  give(bed, (struct dk_event){.kind = DK_EV_REFUSED,
                              .host = bed->where[task],
                              .session = 10,
                              .id = bed->id[task],
                              .u.refused.reason = (uint8_t)reason});
}

static bool is_asked_back(const struct bed *bed, uint32_t task) {
  for (uint32_t i = 0; i < bed->out.n_actions; i++) {
    const struct dk_action *action = &bed->out.actions[i];
    if (action->kind == DK_ACT_REVOKE && dk_id_equal(action->id, bed->id[task])) return true;
  }
  return false;
}

static enum dk_task_state state_of(const struct bed *bed, uint32_t task) {
  return dk_core_task_state(bed->core, RUN, task);
}

static const struct dk_graph_node three_rows = {.rows = 3, .cpus = 1};
static const struct dk_graph three = {.n_nodes = 1, .n_tasks = 3, .nodes = &three_rows};

static void test_the_nearest_free_slot_is_next(void **state) {
  static struct bed bed;
  (void)state;
  open_bed(&bed, &three);
  set(&bed, 0, 3, 0, 5 * SECOND);
  set(&bed, 0, 3, 2, 60 * SECOND);
  host_up(&bed, 0, 1);
  host_up(&bed, 1, 1);
  host_up(&bed, 2, 8);
  start(&bed);
  assert_int_equal(bed.where[0], 1);
  assert_int_equal(bed.where[1], 0);
  assert_int_equal(bed.where[2], 1); /* to wait there is expected to take less than to bring all that is needed to 2 */
  close_bed(&bed);
}

static void test_what_suits_nobody_keeps_nobody_back(void **state) {
  static struct bed bed;
  (void)state;
  open_bed(&bed, &three);
  set(&bed, 0, 2, 0, NEVER);
  host_up(&bed, 0, 1);
  start(&bed);
  assert_int_equal(state_of(&bed, 0), DK_TASK_READY);
  assert_int_equal(state_of(&bed, 1), DK_TASK_READY);
  assert_int_equal(bed.where[2], 0);
  set(&bed, 0, 1, 0, 0);
  step(&bed, (struct dk_event){.kind = DK_EV_TICK, .u.tick.is_idle = true});
  assert_int_equal(bed.n_asked, 0); /* time has passed, no more */
  give(&bed, (struct dk_event){.kind = DK_EV_TICK});
  assert_int_equal(bed.where[0], 0);
  assert_int_equal(state_of(&bed, 1), DK_TASK_READY);
  set(&bed, 1, 1, 1, 0);
  host_up(&bed, 1, 1);
  assert_int_equal(bed.where[1], 1);
  close_bed(&bed);
}

static void test_what_waits_for_a_busy_host_keeps_nobody_back(void **state) {
  static struct bed bed;
  static const struct dk_graph_node node = {.rows = 8, .cpus = 1};
  static const struct dk_graph graph = {.n_nodes = 1, .n_tasks = 8, .nodes = &node};
  (void)state;
  open_bed(&bed, &graph);
  set(&bed, 0, 7, 1, NEVER);
  set(&bed, 7, 1, 0, NEVER);
  host_up(&bed, 0, 1);
  host_up(&bed, 1, 1);
  start(&bed);
  assert_int_equal(bed.where[1], 0);
  assert_int_equal(state_of(&bed, 2), DK_TASK_READY);
  assert_int_equal(bed.where[7], 1);
  tell(&bed, DK_EV_ENDED, 0);
  assert_int_equal(bed.where[2], 0); /* the next row, though others were asked about meanwhile */
  assert_int_equal(state_of(&bed, 3), DK_TASK_READY);
  close_bed(&bed);
}

static void test_the_widest_host_is_one_that_suits(void **state) {
  static struct bed bed;
  static const struct dk_graph_node nodes[] = {{.rows = 1, .cpus = 8}, {.first = 1, .rows = 2, .cpus = 1}};
  static const struct dk_graph graph = {.n_nodes = 2, .n_tasks = 3, .nodes = nodes};
  (void)state;
  open_bed(&bed, &graph);
  set(&bed, 0, 1, 0, NEVER);
  set(&bed, 1, 2, 1, NEVER);
  set(&bed, 1, 2, 2, NEVER);
  host_up(&bed, 0, 16);
  host_up(&bed, 1, 2); /* too small for what the task wants, and yet the largest that it may run on */
  host_up(&bed, 2, 1);
  start(&bed);
  assert_int_equal(bed.where[0], 1);
  assert_int_equal(bed.where[1], 0);
  assert_int_equal(bed.where[2], 0);
  close_bed(&bed);
}

static void test_what_is_refused_here_is_tried_elsewhere(void **state) {
  static struct bed bed;
  (void)state;
  open_bed(&bed, &three);
  set(&bed, 0, 3, 1, SECOND);
  host_up(&bed, 0, 3);
  start(&bed);
  assert_int_equal(bed.where[0], 0);
  give(&bed, (struct dk_event){.kind = DK_EV_HOST_ADDED, .host = 1}); /* it is known, and not there yet */
  set(&bed, 0, 1, 0, NEVER);
  refuse(&bed, 0, DK_REFUSED_BAD);
  assert_int_equal(state_of(&bed, 0), DK_TASK_READY);
  refuse(&bed, 1, DK_REFUSED_BAD); /* the world still says that it suits: it would be refused again */
  assert_int_equal(state_of(&bed, 1), DK_TASK_FAILED);
  host_up(&bed, 1, 1);
  assert_int_equal(bed.where[0], 1);
  set(&bed, 0, 1, 1, NEVER);
  refuse(&bed, 0, DK_REFUSED_BAD);
  assert_int_equal(state_of(&bed, 0), DK_TASK_FAILED);
  give(&bed, (struct dk_event){.kind = DK_EV_HOST_REMOVED, .host = 1});
  set(&bed, 2, 1, 0, NEVER);
  refuse(&bed, 2, DK_REFUSED_BAD); /* the other one is not configured any more */
  assert_int_equal(state_of(&bed, 2), DK_TASK_FAILED);
  close_bed(&bed);
}

/* Host 0 runs one, and one waits there; host 1 has come up, with nothing to do. */
static void wait_at_0(struct bed *bed, uint64_t ns) {
  static const struct dk_graph_node node = {.rows = 2, .cpus = 1};
  static const struct dk_graph graph = {.n_nodes = 1, .n_tasks = 2, .nodes = &node};
  open_bed(bed, &graph);
  set(bed, 0, 2, 1, ns);
  host_up(bed, 0, 1);
  start(bed);
  tell(bed, DK_EV_STARTED, 0);
  host_up(bed, 1, 1);
  bed->now += SECOND;
  give(bed, (struct dk_event){.kind = DK_EV_TICK, .u.tick.is_idle = true});
}

static void test_an_order_comes_back_when_it_starts_earlier_elsewhere(void **state) {
  static struct bed bed;
  (void)state;
  wait_at_0(&bed, NEVER);
  assert_false(is_asked_back(&bed, 1));
  bed.now += 1000 * SECOND;
  give(&bed, (struct dk_event){.kind = DK_EV_TICK, .u.tick.is_idle = true});
  assert_false(is_asked_back(&bed, 1));
  set(&bed, 1, 1, 1, 0);
  give(&bed, (struct dk_event){.kind = DK_EV_TICK});
  assert_true(is_asked_back(&bed, 1));
  close_bed(&bed);
  wait_at_0(&bed, 9 * SECOND);
  assert_true(is_asked_back(&bed, 1));
  close_bed(&bed);
  wait_at_0(&bed, 60 * SECOND);
  assert_false(is_asked_back(&bed, 1));
  for (uint32_t i = 0; i < 58; i++) { /* it has been far from the end for as long as that would take */
    bed.now += SECOND;
    give(&bed, (struct dk_event){.kind = DK_EV_TICK, .u.tick.is_idle = true});
    assert_false(is_asked_back(&bed, 1));
  }
  bed.now += 2 * SECOND;
  give(&bed, (struct dk_event){.kind = DK_EV_TICK, .u.tick.is_idle = true});
  assert_true(is_asked_back(&bed, 1));
  tell(&bed, DK_EV_REVOKED, 1);
  assert_int_equal(bed.where[1], 1);
  close_bed(&bed);
}

static void test_what_is_removed_is_lost_at_once(void **state) {
  static struct bed bed;
  (void)state;
  open_bed(&bed, &three);
  host_up(&bed, 0, 2);
  start(&bed);
  tell(&bed, DK_EV_STARTED, 0);
  struct dk_id first = bed.id[1];
  host_up(&bed, 1, 8);
  give(&bed, (struct dk_event){.kind = DK_EV_HOST_REMOVED, .host = 0});
  assert_int_equal(dk_core_session(bed.core, 0), 0);
  assert_int_equal(dk_core_unclaimed(bed.core, 0), 3);
  assert_int_equal(state_of(&bed, 0), DK_TASK_FAILED); /* no retries: it had started */
  assert_int_equal(bed.where[1], 1);
  give(&bed, (struct dk_event){.kind = DK_EV_HOST_REMOVED, .host = 0});
  give(&bed, (struct dk_event){.kind = DK_EV_HOST_REMOVED, .host = 3}); /* nobody knows it */
  give(&bed, (struct dk_event){.kind = DK_EV_AGENT_UP, .host = 0, .session = 20, .u.agent_up.slots = 2});
  struct dk_event has = {.kind = DK_EV_HAS, .host = 0, .session = 20, .id = first};
  has.u.has.state = DK_ATTEMPT_RUNNING; /* it is back, and ahead of the order at host 1 */
  give(&bed, has);
  assert_true(dk_id_equal(dk_core_task_attempt(bed.core, RUN, 1), first));
  close_bed(&bed);
}

/* --- many --- */

static void test_many_that_suit_nobody(void **state) {
  static struct bed bed;
  static const struct dk_graph_node node = {.rows = MAX_TASKS, .cpus = 1};
  static const struct dk_graph graph = {.n_nodes = 1, .n_tasks = MAX_TASKS, .nodes = &node};
  (void)state;
  open_bed(&bed, &graph);
  set(&bed, 0, MAX_TASKS - 1, 0, NEVER);
  host_up(&bed, 0, 1);
  start(&bed);
  assert_int_equal(bed.where[MAX_TASKS - 1], 0); /* the last row is looked up, and handed out */
  bed.most_asked = 0;
  tell(&bed, DK_EV_ENDED, MAX_TASKS - 1);
  assert_int_equal(bed.most_asked, 0);
  set(&bed, MAX_TASKS - 2, 1, 0, 0);
  give(&bed, (struct dk_event){.kind = DK_EV_TICK});
  assert_int_equal(bed.where[MAX_TASKS - 2], 0);
  assert_in_range(bed.most_asked, 2, 1100); /* in pieces */
  close_bed(&bed);
}

static void test_many_that_wait_for_a_busy_host(void **state) {
  static struct bed bed;
  static const struct dk_graph_node nodes[] = {{.rows = 2000, .cpus = 1}, {.first = 2000, .rows = 1000, .cpus = 1}};
  static const struct dk_graph graph = {.n_nodes = 2, .n_tasks = MAX_TASKS, .nodes = nodes};
  (void)state;
  open_bed(&bed, &graph);
  set(&bed, 0, 2000, 1, NEVER);
  set(&bed, 2000, 1000, 0, NEVER);
  host_up(&bed, 0, 1);
  host_up(&bed, 1, 1);
  start(&bed);
  bed.most_asked = 0;
  for (uint32_t task = 2000; task < MAX_TASKS; task++) { /* though the others fill the window, and never end */
    assert_int_equal(bed.where[task], 1);
    tell(&bed, DK_EV_ENDED, task);
  }
  assert_in_range(bed.most_asked, 1, 8); /* what waits is not asked about each time */
  close_bed(&bed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_nearest_free_slot_is_next),
      cmocka_unit_test(test_what_suits_nobody_keeps_nobody_back),
      cmocka_unit_test(test_what_waits_for_a_busy_host_keeps_nobody_back),
      cmocka_unit_test(test_the_widest_host_is_one_that_suits),
      cmocka_unit_test(test_what_is_refused_here_is_tried_elsewhere),
      cmocka_unit_test(test_an_order_comes_back_when_it_starts_earlier_elsewhere),
      cmocka_unit_test(test_what_is_removed_is_lost_at_once),
      cmocka_unit_test(test_many_that_suit_nobody),
      cmocka_unit_test(test_many_that_wait_for_a_busy_host),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
