/* The core with more tasks than its window: what is looked up and handed out, driven to a standstill after each
 * event. */
#include "engine/core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define MAX_TASKS 3000

/* Every lookup finds nothing; attempts end when the test says so. */
struct bed {
  struct dk_core *core;
  struct dk_out out;
  uint64_t now, seq;
  uint32_t asked[MAX_TASKS], n_asked; /* not answered */
  struct dk_id ids[MAX_TASKS];        /* of what was handed out, in order */
  uint32_t tasks[MAX_TASKS], n_assigned;
};

static void note_actions(struct bed *bed) {
  for (uint32_t i = 0; i < bed->out.n_actions; i++) {
    const struct dk_action *action = &bed->out.actions[i];
    if (action->kind == DK_ACT_LOOKUP) bed->asked[bed->n_asked++] = action->task;
    if (action->kind != DK_ACT_ASSIGN) continue;
    bed->ids[bed->n_assigned] = action->id;
    bed->tasks[bed->n_assigned++] = action->task;
  }
}

static void step(struct bed *bed, struct dk_event event) {
  do {
    dk_out_clear(&bed->out);
    bed->seq++;
    assert_int_equal(dk_core_step(bed->core, bed->now, bed->seq, &event, &bed->out), 0);
    note_actions(bed);
    event = (struct dk_event){.kind = DK_EV_TICK};
  } while (bed->out.more);
}

static void give(struct bed *bed, struct dk_event event) {
  struct dk_error error = {0};
  step(bed, event);
  while (bed->n_asked > 0) {
    uint32_t task = bed->asked[--bed->n_asked];
    struct dk_event answer = {
        .kind = DK_EV_LOOKED_UP, .run = 5, .task = task, .u.looked_up = {.answer = DK_LOOKUP_MISS}};
    memcpy(answer.u.looked_up.key.bytes, &task, sizeof task);
    answer.u.looked_up.key.bytes[8] = 1;
    step(bed, answer);
  }
  if (dk_core_check(bed->core, &error) < 0) fail_msg("%s", error.text);
}

static void open_bed(struct bed *bed, const struct dk_graph *graph, uint32_t slots, uint32_t jobs) {
  struct dk_core_policy policy;
  memset(bed, 0, sizeof *bed);
  bed->now = 100 * SECOND;
  dk_core_policy_default(&policy);
  assert_int_equal(dk_core_create(&bed->core, &policy, 77, 1), 0);
  const struct dk_core_run_options run = {.run = 5, .graph = graph, .jobs = jobs};
  assert_int_equal(dk_core_add_run(bed->core, &run), 0);
  give(bed, (struct dk_event){.kind = DK_EV_START, .run = 5});
  give(bed, (struct dk_event){.kind = DK_EV_AGENT_UP, .session = 1, .u.agent_up.slots = slots});
}

static void close_bed(struct bed *bed) {
  dk_core_destroy(bed->core);
  dk_out_finish(&bed->out);
}

static void end(struct bed *bed, uint32_t i) {
  give(bed, (struct dk_event){.kind = DK_EV_ENDED,
                              .session = 1,
                              .id = bed->ids[i],
                              .u.ended = {.seq = i + 1, .cause = DK_CAUSE_OK, .bytes = "x", .len = 1}});
}

/* All that was looked up is paused by itself: the rest is looked up, and runs. */
static void test_paused_ones_do_not_fill_the_window(void **state) {
  (void)state;
  static struct bed bed;
  static const struct dk_graph_node node = {.rows = 3000, .cpus = 1};
  static const struct dk_graph graph = {.n_nodes = 1, .n_tasks = 3000, .nodes = &node};
  static uint8_t first[3000 / 8];
  memset(first, 0xff, 2000 / 8);
  open_bed(&bed, &graph, 2, 0);
  give(&bed, (struct dk_event){.kind = DK_EV_PAUSE, .run = 5, .u.ask.tasks = first});
  give(&bed, (struct dk_event){.kind = DK_EV_HAS_END, .session = 1});
  for (uint32_t i = 0; i < bed.n_assigned; i++) {
    assert_true(bed.tasks[i] >= 2000);
    end(&bed, i);
  }
  assert_int_equal(bed.n_assigned, 1000);
  give(&bed, (struct dk_event){.kind = DK_EV_RESUME, .run = 5, .u.ask.tasks = first});
  for (uint32_t i = 1000; i < bed.n_assigned; i++) end(&bed, i);
  assert_int_equal(bed.n_assigned, 3000);
  close_bed(&bed);
}

/* A wide task that comes first is not overtaken for ever by narrow ones of its run, because its run has taken the slots
 * that it may have. */
static void test_a_run_that_has_enough_keeps_its_order(void **state) {
  (void)state;
  static struct bed bed;
  static const struct dk_graph_node nodes[] = {{.rows = 400, .cpus = 1}, {.rows = 1, .cpus = 4, .first = 400}};
  static const struct dk_graph graph = {.n_nodes = 2, .n_tasks = 401, .nodes = nodes};
  static uint8_t wide[401 / 8 + 1];
  wide[400 / 8] = 1u << (400 % 8);
  open_bed(&bed, &graph, 8, 4);
  give(&bed, (struct dk_event){.kind = DK_EV_HAS_END, .session = 1});
  give(&bed, (struct dk_event){.kind = DK_EV_PRIORITY, .run = 5, .u.ask = {.tasks = wide, .priority = 100}});
  uint32_t before = bed.n_assigned;
  for (uint32_t i = 0; i < bed.n_assigned; i++) end(&bed, i);
  assert_int_equal(bed.n_assigned, 401);
  assert_true(before < 10);
  assert_int_equal(bed.tasks[before], 400);
  close_bed(&bed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_paused_ones_do_not_fill_the_window),
      cmocka_unit_test(test_a_run_that_has_enough_keeps_its_order),
  };
  return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
