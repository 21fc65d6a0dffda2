/* What is checked at the end of every run: what its tasks have come to. */
#include "lang/base/alloc.h"
#include "tests/sim/sim.h"

#include <string.h>

static enum sim_class class_of(enum dk_task_state state) {
  return state == DK_TASK_DONE || state == DK_TASK_CACHED ? SIM_GOOD
         : state == DK_TASK_NOT_RUN                       ? SIM_NOT_RUN
         : state == DK_TASK_SKIPPED                       ? SIM_SKIPPED
                                                          : SIM_FAILED;
}

/* A task, of those that it needs or that these need, was cancelled, maybe after it had ended and its outputs were lost:
 * what comes of this one depends on whether it had started by then. In the order of the plan. */
static bool is_unsure(const struct sim_run *run, uint32_t task, const uint8_t *unsure, uint8_t *needs) {
  memset(needs, 0, run->plan->graph.n_tasks);
  sim_plan_needs(run->plan, task, needs);
  for (uint32_t i = 0; i < run->plan->graph.n_tasks; i++) {
    if (needs[i] && (unsure[i] || (run->is_stopped[i] && class_of(run->tasks[i].state) != SIM_GOOD))) return true;
  }
  return false;
}

/* It came to what an undisturbed run comes to, given what those that it needs have come to; or it was cancelled, as
 * asked. */
static void check_task(struct sim *s, const struct sim_run *run, uint32_t task, const struct dk_digest **facts,
                       bool unsure) {
  enum dk_task_state state = run->tasks[task].state, in_core = dk_core_task_state(s->core, run->number, task);
  struct dk_digest fact;
  enum sim_class want = sim_plan_class(run->plan, task, facts, &fact), got = class_of(state);
  if (state != in_core)
    sim_fail(s, "task %u of run %u: state %d is recorded, the core has %d", task, run->number, state, in_core);
  else if (!dk_task_state_is_end(state))
    sim_fail(s, "task %u of run %u did not end", task, run->number);
  else if (state == DK_TASK_CANCELLED && !run->is_stopped[task])
    sim_fail(s, "task %u of run %u is cancelled though nobody asked for that", task, run->number);
  else if (state != DK_TASK_CANCELLED && got != want && !unsure)
    sim_fail(s, "task %u of run %u ends in state %d, class %d was expected", task, run->number, state, want);
  else if (got == SIM_GOOD && !unsure && !s->n_changes && !dk_digest_equal(&run->fact_of[task], &fact))
    sim_fail(s, "task %u of run %u has another result than an undisturbed run", task, run->number);
  if (got == SIM_GOOD) facts[task] = &run->fact_of[task];
}

/* A run that nobody cancelled anything of: the same, from what the case says by itself. */
static void check_undisturbed(struct sim *s, const struct sim_run *run, uint32_t task) {
  const struct sim_task *of = &run->plan->tasks[task];
  enum sim_class got = class_of(run->tasks[task].state);
  bool is_same = s->n_changes || dk_digest_equal(&run->fact_of[task], &of->fact); /* else see disk.c: put_task */
  if (got != of->expect || (got == SIM_GOOD && !is_same))
    sim_fail(s, "task %u of run %u came to another end than in an undisturbed run", task, run->number);
}

/* Attempts of what was cancelled have ended, or another run goes on with them. When nobody knows what became of their
 * host they may live, but their records say that they are to be ended. */
static void check_left(struct sim *s, const struct sim_run *run) {
  uint32_t by_run, by_task;
  for (uint32_t i = 0; i < s->n_attempts; i++) {
    const struct dk_record *attempt = &s->attempts[i];
    bool is_known = attempt->task < run->plan->graph.n_tasks;
    if (attempt->run != run->number || (is_known && run->tasks[attempt->task].state != DK_TASK_CANCELLED)) continue;
    bool was_lost = run->were_lost >> attempt->host & 1;
    if (!was_lost && s->hosts[attempt->host].is_lost) continue; /* another run gave it up since */
    if ((is_known || !was_lost) && !dk_core_attempt_task(s->core, attempt->id, &by_run, &by_task))
      sim_fail(s, "run %u is over, but attempt %llu of a cancelled task is left", run->number,
               (unsigned long long)attempt->id.n);
  }
}

void sim_check_end(struct sim *s, const struct sim_run *run) {
  const struct dk_graph *graph = &run->plan->graph;
  const struct dk_digest **facts = sim_need(dk_calloc(graph->n_tasks + 1, sizeof *facts));
  uint8_t *unsure = sim_need(dk_calloc(graph->n_tasks + 1, 1)), *needs = sim_need(dk_calloc(graph->n_tasks + 1, 1));
  bool is_stopped = false, is_cancelled = false, is_failed = false;
  for (uint32_t k = 0; k < graph->n_nodes; k++) {
    const struct dk_graph_node *node = &graph->nodes[run->plan->order[k]];
    for (uint32_t task = node->first; task < node->first + node->rows; task++) {
      is_stopped |= run->is_stopped[task] != 0;
      if (!run->plan->tasks[task].is_wanted) continue;
      unsure[task] = s->n_losses && is_unsure(run, task, unsure, needs);
      check_task(s, run, task, facts, unsure[task]);
      is_cancelled |= run->tasks[task].state == DK_TASK_CANCELLED;
      is_failed |= run->tasks[task].state == DK_TASK_FAILED;
    }
  }
  for (uint32_t task = 0; task < graph->n_tasks && !is_stopped; task++) {
    if (run->plan->tasks[task].is_wanted) check_undisturbed(s, run, task);
  }
  if (is_cancelled) check_left(s, run);
  enum dk_run_state state = is_cancelled ? DK_RUN_INTERRUPTED : is_failed ? DK_RUN_FAILED : DK_RUN_DONE;
  if (run->state != state) sim_fail(s, "run %u ends in state %d, not %d", run->number, run->state, state);
  dk_free(facts);
  dk_free(unsure);
  dk_free(needs);
}
