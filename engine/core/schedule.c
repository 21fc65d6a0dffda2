/* What next: which tasks to look up, which to hand out (where: place.c). Lanes of all runs in the order of their
 * priority; in a lane nodes in the run's order (critical path first), then rows. A bounded window of tasks a run is
 * looked up ahead of what can be handed out, so that keys need not be kept for all; nodes with at_once have a window of
 * their own, so that they do not block it. */
#include "engine/core/place.h"

#define WINDOW 1024u       /* tasks looked up ahead */
#define WINDOW_LIMITED 64u /* of a node with at_once, above its limit */
#define WINDOW_OWN 64u /* of each node, whatever others have: what waits for a busy host must not keep others idle */
/* Tasks of a run, beside its window, that suit no host that is there. When there are more they take its window, and
 * when that is full nothing is looked up until a host comes that suits. */
#define ASIDE_MAX 65536u
#define ATTEMPT_BLOCK 4096u /* numbers taken per INCARNATION record */

/* The nth node of a run in the order of handing out. */
static uint32_t node_at(const struct dk_core_run *run, uint32_t n) {
  return run->order ? run->order[n] : n;
}

/* --- looking up --- */

static bool is_window_full(const struct dk_core_run *run, uint32_t node) {
  uint32_t limit = run->graph->nodes[node].at_once;
  const uint32_t *count = run->nodes[node].by_state;
  if (!limit) return run->window >= WINDOW && count[DK_TASK_LOOKUP] + run->nodes[node].open >= WINDOW_OWN;
  return (uint64_t)count[DK_TASK_LOOKUP] + run->nodes[node].open + count[DK_TASK_RUNNING] >=
         (uint64_t)limit + WINDOW_LIMITED;
}

void dk_schedule_ask(struct dk_core *core, struct dk_core_run *run, uint32_t task) {
  run->word[task] = core->n_good;
  dk_claim_asked(core, run, task);
  bool is_pick = run->graph->nodes[dk_task_node(run, task)].kind == DK_NODE_PICK;
  struct dk_action *action = dk_emit_action(core, is_pick ? DK_ACT_DECIDE : DK_ACT_LOOKUP, core->facts_seq);
  action->run = run->number;
  action->task = task;
}

static void load_node(struct dk_core *core, struct dk_core_run *run, struct dk_bits *pending, uint32_t node) {
  const struct dk_graph_node *of = &run->graph->nodes[node];
  if (!run->nodes[node].by_state[DK_TASK_WAITING]) return;
  uint32_t task = of->first;
  while (!dk_emit_is_full(core) && !is_window_full(run, node) &&
         (task = dk_bits_next(pending, task)) < of->first + of->rows) {
    dk_task_do(core, run, task, TASK_ASK, NULL);
    dk_schedule_ask(core, run, task);
  }
}

static void load_run(struct dk_core *core, struct dk_core_run *run, struct dk_bits *pending) {
  for (uint32_t n = 0; n < run->graph->n_nodes && pending->count && !dk_emit_is_full(core); n++)
    load_node(core, run, pending, node_at(run, n));
}

void dk_schedule_load(struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_runs; i++) {
    if (core->runs[i]->is_started) load_run(core, core->runs[i], &core->runs[i]->recalled);
  }
  for (uint32_t i = 0; i < core->n_turns; i++) {
    struct dk_core_run *run = core->turns[i].run;
    if (run->is_started && !run->is_paused) load_run(core, run, &run->lanes[core->turns[i].lane].pending);
  }
}

static void adopt(struct dk_core *core, uint32_t claim, uint32_t attempt) {
  struct dk_claim *of = &core->claims[claim];
  bool is_new = core->attempts[attempt].run == of->run->number && !dk_id_equal(of->last, core->attempts[attempt].id);
  if (is_new && of->attempts < UINT8_MAX) of->attempts++; /* no record counted it yet */
  dk_attempt_claim(core, attempt, claim, TASK_ADOPT);
}

/* It has no result: it has failed before, shares, adopts, or waits to be handed out. */
static void miss(struct dk_core *core, struct dk_core_run *run, uint32_t task, const struct dk_digest *key) {
  uint32_t claim = dk_claim_find(core, key), asked_at = run->word[task];
  run->flags[task] &= (uint8_t)~TASK_RESTORED; /* what it had come to is gone: what was asked of it counts */
  if (run->flags[task] & TASK_STOPPED) {
    dk_task_do(core, run, task, TASK_CANCEL, NULL);
    return;
  }
  if (claim != DK_NONE && core->claims[claim].outcome == TASK_OK) {
    if (dk_claim_is_after(&core->claims[claim], asked_at)) {
      dk_task_do(core, run, task, TASK_HIT, &core->claims[claim]); /* recorded while it was looked for */
      return;
    }
    dk_claim_forget(core, claim); /* what it brought is lost by now, or this lookup had found it */
    claim = DK_NONE;
  }
  const struct dk_core_tried *tried = dk_tried_of(run, task, key);
  if (tried && tried->tries.is_over) {
    struct dk_claim known = dk_claim_of_tried(tried);
    dk_task_do(core, run, task, TASK_BAD, &known);
    return;
  }
  if (claim != DK_NONE) {
    dk_claim_share(core, claim, run, task);
    /* What its record says of retries is the claim's now: who owns that (it may be this one) has the same in its
     * record. */
    if (tried) dk_emit_task(core, run, task, run->state[task] == DK_TASK_SHARED ? NULL : &core->claims[claim]);
    return;
  }
  claim = dk_claim_open(core, run, task, key);
  if (claim == DK_NONE) return;
  dk_task_do(core, run, task, TASK_MISS, &core->claims[claim]);
  run->word[task] = claim;
  if (!dk_tries_is_none(&core->claims[claim].tries)) dk_emit_task(core, run, task, &core->claims[claim]);
  uint32_t attempt = dk_attempt_find_unclaimed(core, key);
  if (attempt != DK_NONE) adopt(core, claim, attempt);
}

/* The run and task that an answer is for, if it is waited for. */
static struct dk_core_run *find_asked(const struct dk_core *core, const struct dk_event *event) {
  struct dk_core_run *run = dk_run_find(core, event->run);
  return run && event->task < run->graph->n_tasks && run->flags[event->task] & TASK_ASKED ? run : NULL;
}

void dk_schedule_looked_up(struct dk_core *core, const struct dk_event *event) {
  uint32_t task = event->task;
  struct dk_core_run *run = find_asked(core, event);
  if (!run) return;
  if (run->state[task] == DK_TASK_LOOKUP) { /* else it was cancelled meanwhile */
    const struct dk_digest *key = &event->u.looked_up.key;
    struct dk_claim known = {.key = *key, .attempt = DK_NONE, .cause = DK_CAUSE_INPUT};
    switch (event->u.looked_up.answer) {
    case DK_LOOKUP_HIT:
    case DK_LOOKUP_OWN:
      known.cause = DK_CAUSE_OK;
      dk_task_do(core, run, task, event->u.looked_up.answer == DK_LOOKUP_OWN ? TASK_OWN : TASK_HIT, &known);
      break;
    case DK_LOOKUP_MISS: miss(core, run, task, key); break;
    case DK_LOOKUP_SKIP: dk_task_do(core, run, task, TASK_SKIP, NULL); break;
    case DK_LOOKUP_BAD: dk_task_do(core, run, task, TASK_BAD, &known); break;
    }
  }
  dk_claim_answered(core, run, task);
}

void dk_schedule_decided(struct dk_core *core, const struct dk_event *event) {
  uint32_t task = event->task;
  struct dk_core_run *run = find_asked(core, event);
  if (!run) return;
  if (run->state[task] == DK_TASK_LOOKUP)
    dk_task_do(core, run, task, event->u.decided.ok ? TASK_CHOSEN : TASK_NO_CHOICE, NULL);
  dk_claim_answered(core, run, task);
}

void dk_schedule_copy_lost(struct dk_core *core, const struct dk_event *event) {
  struct dk_core_run *run = dk_run_find(core, event->run);
  uint32_t task = event->task;
  if (!run || run->is_finished || task >= run->graph->n_tasks || !dk_task_has_result(run, task)) return;
  if (run->graph->nodes[dk_task_node(run, task)].kind == DK_NODE_PICK) return;
  dk_task_reopen(core, run, task);
}

/* --- handing out --- */

/* Slots of orders that are not sent yet: their commit is under way. */
static uint32_t fresh(const struct dk_core *core, const struct dk_host *host) {
  return host->fresh_seq == core->seq ? host->fresh : 0;
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

static void assign(struct dk_core *core, struct dk_core_run *run, uint32_t task, uint32_t number, uint32_t cost) {
  uint32_t claim = run->word[task];
  struct dk_host *host = &core->hosts[number];
  struct dk_attempt made = {.id = new_id(core),
                            .key = core->claims[claim].key,
                            .run = run->number,
                            .task = task,
                            .made_by = run->number,
                            .host = number,
                            .recall_at = core->now + core->policy.recall_ns,
                            .booked = cost};
  uint32_t i = dk_attempt_add(core, &made);
  if (i == DK_NONE) return;
  if (core->claims[claim].attempts < UINT8_MAX) core->claims[claim].attempts++;
  dk_attempt_claim(core, i, claim, TASK_ASSIGN);
  dk_emit_attempt(core, &core->attempts[i], false);
  struct dk_action *action = dk_emit_order(core, DK_ACT_ASSIGN, core->seq, number);
  action->id = made.id;
  action->run = run->number;
  action->task = task;
  action->ooms = core->claims[claim].tries.oom;
  host->fresh = fresh(core, host) + cost;
  host->fresh_seq = core->seq;
}

/* A run that may have all that there is has orders wait there like any other. */
static bool fits_run(const struct dk_core_run *run, const struct dk_places *places, uint32_t cost) {
  if (!run->jobs || run->jobs >= places->slots) return true;
  return !run->booked || run->booked + (uint64_t)cost <= run->jobs;
}

enum handed { HANDED_ALL, HANDED_ENOUGH_OF_RUN, HANDED_ENOUGH };

/* Those of the node that were asked about wait for hosts that have no room: only fresh ones need be looked at. */
static bool all_wait(const struct dk_core *core, const struct dk_core_run *run, uint32_t node,
                     const struct dk_places *places) {
  return run->n_lanes == 1 && run->nodes[node].waits_in == core->news && !(run->nodes[node].waits & places->open);
}

/* Where a READY task goes; false: nowhere for now. */
static bool place(struct dk_core *core, struct dk_core_run *run, uint32_t task, struct dk_places *places,
                  uint32_t *ret_host, uint32_t *ret_cost) {
  enum dk_placed placed;
  if (!dk_place_is_known(core, places, &core->claims[run->word[task]], &placed))
    placed = dk_place_choose(core, places, run, task, ret_host, ret_cost);
  if (placed == DK_PLACED_NOWHERE && run->aside.count < ASIDE_MAX) dk_task_set_aside(run, task);
  return placed == DK_PLACED;
}

/* What it had is gone, but an engine before this one had made another attempt of it, when it gave a host up. */
static bool adopt_other(struct dk_core *core, uint32_t claim) {
  uint32_t attempt = dk_attempt_find_expected(core, &core->claims[claim].key);
  if (attempt != DK_NONE) adopt(core, claim, attempt);
  return attempt != DK_NONE;
}

/* Rows in their order; one that finds no room does not keep those back that may run elsewhere. */
static enum handed assign_node(struct dk_core *core, struct dk_core_run *run, struct dk_lane *lane, uint32_t at,
                               struct dk_places *places) {
  const struct dk_graph_node *node = &run->graph->nodes[at];
  struct dk_node_count *count = &run->nodes[at];
  uint32_t host, cost;
  uint64_t waits = 0;
  for (uint32_t task = node->first; count->by_state[DK_TASK_READY]; task++) {
    if (node->at_once && count->by_state[DK_TASK_RUNNING] >= node->at_once) return HANDED_ALL;
    bool fresh_only = all_wait(core, run, at, places);
    if (fresh_only) waits |= count->waits;
    task = dk_bits_next(fresh_only ? &lane->fresh : &lane->ready, task);
    if (task >= node->first + node->rows) {
      count->waits_in = core->news;
      count->waits = waits;
      return HANDED_ALL;
    }
    if (dk_emit_is_full(core)) return HANDED_ENOUGH;
    if (place(core, run, task, places, &host, &cost)) {
      if (!fits_run(run, places, cost)) return HANDED_ENOUGH_OF_RUN;
      if (!adopt_other(core, run->word[task])) assign(core, run, task, host, cost);
      continue;
    }
    dk_bits_remove(&lane->fresh, task);
    waits |= core->claims[run->word[task]].suits;
    count->waits |= waits;
    if (!places->n_open) return HANDED_ENOUGH;
  }
  return HANDED_ALL;
}

void dk_schedule_assign(struct dk_core *core) {
  struct dk_places places = dk_place_open(core);
  if (!places.n_open) return;
  for (uint32_t i = 0; i < core->n_runs; i++) core->runs[i]->has_enough = false;
  for (uint32_t i = 0; i < core->n_turns; i++) {
    struct dk_core_run *run = core->turns[i].run;
    struct dk_lane *lane = &run->lanes[core->turns[i].lane];
    enum handed handed = HANDED_ALL;
    if (run->is_paused || run->has_enough) continue;
    for (uint32_t n = 0; n < run->graph->n_nodes && lane->ready.count && handed == HANDED_ALL; n++)
      handed = assign_node(core, run, lane, node_at(run, n), &places);
    if (handed == HANDED_ENOUGH) return;
    run->has_enough = handed == HANDED_ENOUGH_OF_RUN; /* its lower lanes do not overtake what waits here */
  }
}

static bool has_ready(const struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_turns; i++) {
    if (core->turns[i].run->lanes[core->turns[i].lane].ready.count) return true;
  }
  return false;
}

uint64_t dk_schedule_deadline(const struct dk_core *core) {
  uint64_t at = core->recall_at;
  bool is_ready = has_ready(core);
  for (uint32_t i = 0; is_ready && i < core->n_hosts; i++) {
    uint64_t until = core->hosts[i].hold_until;
    if (until > core->now && until < at) at = until;
  }
  return at;
}

bool dk_schedule_is_urgent(const struct dk_core *core) {
  bool has_facts = core->facts_seq == core->seq && core->asked[0] + core->asked[1];
  if (core->has_ended) return true;
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    const struct dk_host *host = &core->hosts[i];
    uint32_t waiting = fresh(core, host);
    bool runs_dry = host->is_listed && host->booked < (uint64_t)waiting + host->slots;
    if (runs_dry && (waiting || has_facts)) return true;
  }
  return false;
}
