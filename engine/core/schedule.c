/* What next: which tasks to look up, which to hand out, when the run is over. The order of priority is the task's number (node
 * order, then row). A bounded window of tasks is looked up ahead of what can be handed out, so that keys need not be kept for
 * all; nodes with at_once have a window of their own, so that they do not block it. */
#include "engine/core/internal.h"

#define WINDOW 1024u       /* tasks looked up ahead */
#define WINDOW_LIMITED 64u /* of a node with at_once, above its limit */
#define DEPTH_MAX 4096u
#define WORK_AHEAD_NS 50000000u /* orders kept at the agent: about so much work, when tasks are short */
#define RATE_WINDOW_NS 250000000u
#define ATTEMPT_BLOCK 4096u /* numbers taken per INCARNATION record */

/* The number of the first task of the next node: to skip a node's queue. */
static uint32_t node_end(const struct dk_core *core, uint32_t node) {
  return core->graph->nodes[node].first + core->graph->nodes[node].rows;
}

/* --- looking up --- */

static bool is_window_full(const struct dk_core *core, uint32_t node) {
  uint32_t limit = core->graph->nodes[node].at_once;
  const uint32_t *count = core->nodes[node].by_state;
  return limit && (uint64_t)count[DK_TASK_LOOKUP] + count[DK_TASK_READY] + count[DK_TASK_RUNNING] >=
                      (uint64_t)limit + WINDOW_LIMITED;
}

static void ask(struct dk_core *core, uint32_t task, uint32_t node) {
  dk_task_do(core, task, TASK_ASK, NULL);
  core->word[task] = DK_NONE;
  dk_claim_asked(core, task);
  bool is_pick = core->graph->nodes[node].kind == DK_NODE_PICK;
  struct dk_action *action = dk_emit_action(core, is_pick ? DK_ACT_DECIDE : DK_ACT_LOOKUP, core->facts_seq);
  action->task = task;
}

void dk_schedule_load(struct dk_core *core) {
  if (!core->is_started || core->cancel) return;
  uint32_t from = 0;
  while (!dk_emit_is_full(core)) {
    uint32_t task = dk_bits_next(&core->pending, from);
    if (task == UINT32_MAX) return;
    uint32_t node = dk_fan_node(core->graph, task, &core->node_hint);
    if (core->graph->nodes[node].at_once == 0 && core->window >= WINDOW) return;
    if (is_window_full(core, node))
      from = node_end(core, node);
    else
      ask(core, task, node);
  }
}

/* It has no result: it shares, adopts, or waits to be handed out. */
static void miss(struct dk_core *core, uint32_t task, const struct dk_digest *key) {
  uint32_t claim = dk_claim_find(core, key);
  if (claim != DK_NONE && core->claims[claim].outcome == TASK_OK) {
    dk_task_do(core, task, TASK_HIT, &core->claims[claim]); /* recorded while it was looked for */
    return;
  }
  if (claim != DK_NONE) {
    dk_claim_share(core, claim, task);
    return;
  }
  claim = dk_claim_open(core, task, key);
  if (claim == DK_NONE) return;
  dk_task_do(core, task, TASK_MISS, &core->claims[claim]);
  core->word[task] = claim;
  uint32_t attempt = dk_attempt_find_unclaimed(core, key);
  if (attempt != DK_NONE) dk_attempt_claim(core, attempt, claim, TASK_ADOPT);
}

void dk_schedule_looked_up(struct dk_core *core, const struct dk_event *event) {
  uint32_t task = event->task;
  if (!core->graph || task >= core->graph->n_tasks || !(core->flags[task] & TASK_ASKED)) return;
  if (core->state[task] == DK_TASK_LOOKUP) { /* else it was cancelled meanwhile */
    const struct dk_digest *key = &event->u.looked_up.key;
    struct dk_claim known = {.key = *key, .attempt = DK_NONE, .cause = DK_CAUSE_INPUT};
    switch (event->u.looked_up.answer) {
    case DK_LOOKUP_HIT:
      known.cause = DK_CAUSE_OK;
      dk_task_do(core, task, TASK_HIT, &known);
      break;
    case DK_LOOKUP_MISS: miss(core, task, key); break;
    case DK_LOOKUP_SKIP: dk_task_do(core, task, TASK_SKIP, NULL); break;
    case DK_LOOKUP_BAD: dk_task_do(core, task, TASK_BAD, &known); break;
    }
  }
  dk_claim_answered(core, task);
}

void dk_schedule_decided(struct dk_core *core, const struct dk_event *event) {
  uint32_t task = event->task;
  if (!core->graph || task >= core->graph->n_tasks || !(core->flags[task] & TASK_ASKED)) return;
  if (core->state[task] == DK_TASK_LOOKUP) {
    dk_task_do(core, task, event->u.decided.ok ? TASK_CHOSEN : TASK_NO_CHOICE, NULL);
  }
  dk_claim_answered(core, task);
}

/* --- handing out --- */

/* Slots' worth of orders to keep at the agent: a few a slot, more when tasks are so short that it would run dry between two
 * commits. */
static uint64_t depth(struct dk_core *core) {
  struct dk_session *agent = &core->agent;
  uint64_t passed = core->now - agent->window_at;
  if (passed >= RATE_WINDOW_NS) {
    agent->rate = (uint32_t)(agent->window_ends * UINT64_C(1000000000) / passed);
    agent->window_ends = 0;
    agent->window_at = core->now;
  }
  uint64_t ahead = (uint64_t)agent->rate * WORK_AHEAD_NS / 1000000000u;
  if (ahead > DEPTH_MAX) ahead = DEPTH_MAX;
  return (uint64_t)agent->slots * core->policy.queue_per_slot + ahead;
}

static struct dk_id new_id(struct dk_core *core) {
  struct dk_id id = {core->incarnation, core->next_n++};
  if (core->saved.inc != id.inc || id.n > core->saved.counter) {
    core->saved.inc = id.inc;
    core->saved.counter = id.n + ATTEMPT_BLOCK - 1;
    struct dk_record *record = dk_emit_record(core, DK_REC_INCARNATION);
    record->id.inc = id.inc;
    record->counter = core->saved.counter;
  }
  return id;
}

static void assign(struct dk_core *core, uint32_t task, uint32_t cost) {
  uint32_t claim = core->word[task];
  struct dk_attempt made = {
      .id = new_id(core), .key = core->claims[claim].key, .run = core->run, .task = task, .booked = cost};
  uint32_t i = dk_attempt_add(core, &made);
  if (i == DK_NONE) return;
  if (core->claims[claim].attempts < UINT8_MAX) core->claims[claim].attempts++;
  dk_attempt_claim(core, i, claim, TASK_ASSIGN);
  dk_emit_attempt(core, &core->attempts[i], false);
  struct dk_action *action = dk_emit_action(core, DK_ACT_ASSIGN, core->seq);
  action->id = made.id;
  action->task = task;
  core->fresh += cost;
}

void dk_schedule_assign(struct dk_core *core) {
  struct dk_session *agent = &core->agent;
  if (!agent->session || !agent->is_listed || core->cancel || core->now < agent->hold_until) return;
  uint64_t capacity = depth(core);
  uint32_t from = 0;
  while (!dk_emit_is_full(core)) {
    uint32_t task = dk_bits_next(&core->ready, from);
    if (task == UINT32_MAX) return;
    uint32_t at = dk_fan_node(core->graph, task, &core->node_hint);
    const struct dk_graph_node *node = &core->graph->nodes[at];
    if (node->at_once && core->nodes[at].by_state[DK_TASK_RUNNING] >= node->at_once) {
      from = node_end(core, at);
      continue;
    }
    uint32_t cost = node->cpus < 1 ? 1 : node->cpus > agent->slots ? agent->slots : node->cpus;
    if (core->booked && core->booked + (uint64_t)cost > capacity) return; /* no overtaking: a wide task would starve */
    assign(core, task, cost);
  }
}

bool dk_schedule_is_urgent(const struct dk_core *core) {
  if (core->is_finished) return true;
  if (!core->agent.is_listed || core->booked >= (uint64_t)core->fresh + core->agent.slots) return false;
  return core->fresh || (core->facts_seq == core->seq && core->asked[0] + core->asked[1]);
}

/* --- the end --- */

/* Tasks that have nothing at the agent end at once; the others when their attempt does. */
void dk_schedule_cancel(struct dk_core *core) {
  if (!core->cancel || !core->graph) return;
  for (; core->cancel_at < core->graph->n_tasks && !dk_emit_is_full(core); core->cancel_at++) {
    uint32_t task = core->cancel_at;
    if (core->flags[task] & TASK_UNWANTED) continue;
    switch ((enum dk_task_state)core->state[task]) {
    case DK_TASK_WAITING:
    case DK_TASK_LOOKUP: dk_task_do(core, task, TASK_CANCEL, NULL); break;
    case DK_TASK_READY:
    case DK_TASK_BACKOFF: dk_claim_end(core, core->word[task], TASK_CANCEL, DK_CAUSE_KILLED, 0); break;
    default: break; /* RUNNING waits for its attempt, SHARED for that */
    }
  }
}

void dk_schedule_finish(struct dk_core *core) {
  if (!core->is_started || core->is_finished || core->unfinished) return;
  core->is_finished = true;
  struct dk_record *record = dk_emit_record(core, DK_REC_RUN);
  record->run = core->run;
  record->state = core->all.by_state[DK_TASK_CANCELLED] ? DK_RUN_INTERRUPTED
                  : core->n_failed                      ? DK_RUN_FAILED
                                                        : DK_RUN_DONE;
  dk_emit_action(core, DK_ACT_FINISHED, core->seq);
}
