/* The life of a task, on one screen; and what the end of one means for others. */
#include "engine/core/internal.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>

#define NO 255 /* cannot happen: a bug */
enum {
  W = DK_TASK_WAITING,
  L = DK_TASK_LOOKUP,
  Y = DK_TASK_READY,
  R = DK_TASK_RUNNING,
  S = DK_TASK_SHARED,
  B = DK_TASK_BACKOFF,
  DONE = DK_TASK_DONE,
  HAD = DK_TASK_CACHED,
  BAD = DK_TASK_FAILED,
  NOT = DK_TASK_NOT_RUN,
  SKIP = DK_TASK_SKIPPED,
  STOP = DK_TASK_CANCELLED,
};

/* clang-format off */
/* And COPY_LOST takes DONE and CACHED back to LOOKUP: dk_task_reopen. */
static const uint8_t next_state[TASK_N_EVENTS][DK_TASK_DONE] = {
  /* from:                                                    WAITING LOOKUP READY RUNNING SHARED BACKOFF */
  [TASK_BROKEN]    = /* something it needs has failed */      { NOT,   NO,    NO,   NO,     NO,    NO  },
  [TASK_ASK]       = /* its key, or its choice, is asked for */{ L,    NO,    NO,   NO,     NO,    NO  },
  [TASK_HIT]       = /* there is a result */                  { NO,    HAD,   NO,   NO,     NO,    NO  },
  [TASK_OWN]       = /* one that this run made before */      { NO,    DONE,  NO,   NO,     NO,    NO  },
  [TASK_SKIP]      = /* `when` is false */                    { NO,    SKIP,  NO,   NO,     NO,    NO  },
  [TASK_BAD]       = /* cannot be handed out */               { NO,    BAD,   NO,   NO,     NO,    NO  },
  [TASK_MISS]      = /* it has to run */                      { NO,    Y,     NO,   NO,     NO,    NO  },
  [TASK_SHARE]     = /* another one has its key */            { NO,    S,     S,    NO,     NO,    NO  },
  [TASK_ADOPT]     = /* a living attempt has its key */       { NO,    NO,    R,    NO,     NO,    R   },
  [TASK_ASSIGN]    = /* an attempt was made */                { NO,    NO,    R,    NO,     NO,    NO  },
  [TASK_OK]        = /* the attempt (S: the other's) ended */ { NO,    NO,    NO,   DONE,   HAD,   NO  },
  [TASK_FAIL]      = /* it failed for good */                 { NO,    NO,    NO,   BAD,    BAD,   NO  },
  [TASK_RETRY]     = /* it failed, try again later */         { NO,    NO,    NO,   B,      NO,    NO  },
  [TASK_AGAIN]     = /* the order came back, never started */ { NO,    NO,    NO,   Y,      NO,    NO  },
  [TASK_REKEY]     = /* its key is not true any more */       { NO,    NO,    NO,   L,      L,     NO  },
  [TASK_DUE]       = /* later is now */                       { NO,    NO,    NO,   NO,     NO,    Y   },
  [TASK_CANCEL]    = /* and no attempt is left */             { STOP,  STOP,  STOP, STOP,   STOP,  STOP},
  [TASK_CHOSEN]    = /* a pick */                             { NO,    DONE,  NO,   NO,     NO,    NO  },
  [TASK_NO_CHOICE] = /* a pick without a candidate */         { NO,    BAD,   NO,   NO,     NO,    NO  },
};
/* clang-format on */

uint32_t dk_task_node(struct dk_core_run *run, uint32_t task) {
  return dk_fan_node(run->graph, task, &run->node_hint);
}

bool dk_task_can(const struct dk_core_run *run, uint32_t task, enum dk_task_event event) {
  uint8_t state = run->state[task];
  return !dk_task_state_is_end(state) && next_state[event][state] != NO;
}

/* --- the queues --- */

static struct dk_lane *lane_of(struct dk_core_run *run, uint32_t task) {
  return &run->lanes[run->lane_of ? run->lane_of[task] : 0];
}

static void put(struct dk_bits *queue, uint32_t task, bool belongs) {
  if (belongs)
    dk_bits_add(queue, task);
  else
    dk_bits_remove(queue, task);
}

/* What is kept back, and what no host suits, must not take the place of others in the window. */
static void put_ready(struct dk_core_run *run, uint32_t task, bool belongs) {
  struct dk_bits *ready = &lane_of(run, task)->ready;
  uint32_t node = dk_task_node(run, task), by = belongs ? 1 : UINT32_MAX;
  dk_bits_remove(&run->aside, task);
  if (dk_bits_has(ready, task) == belongs) return;
  put(ready, task, belongs);
  put(&lane_of(run, task)->fresh, task, belongs);
  run->nodes[node].open += by;
  if (run->graph->nodes[node].at_once == 0) run->window += by;
}

void dk_task_unqueue(struct dk_core_run *run, uint32_t task) {
  dk_bits_remove(&lane_of(run, task)->pending, task);
  put_ready(run, task, false);
}

void dk_task_set_aside(struct dk_core_run *run, uint32_t task) {
  put_ready(run, task, false);
  dk_bits_add(&run->aside, task);
}

void dk_task_queue(struct dk_core_run *run, uint32_t task) {
  bool is_open = !(run->flags[task] & (TASK_UNWANTED | TASK_HELD | TASK_STOPPED));
  bool is_free = run->state[task] == DK_TASK_WAITING && run->word[task] == 0,
       was_ended = run->flags[task] & TASK_RESTORED;
  put(&run->recalled, task, is_free && was_ended);
  put(&lane_of(run, task)->pending, task, is_free && is_open && !was_ended);
  put_ready(run, task, is_open && run->state[task] == DK_TASK_READY);
}

static void set_state(struct dk_core_run *run, uint32_t task, uint8_t to) {
  uint8_t from = run->state[task];
  uint32_t node = dk_task_node(run, task);
  run->nodes[node].by_state[from]--;
  run->nodes[node].by_state[to]++;
  run->all.by_state[from]--;
  run->all.by_state[to]++;
  if (run->graph->nodes[node].at_once == 0) {
    run->window += (uint32_t)(to == DK_TASK_LOOKUP) - (uint32_t)(from == DK_TASK_LOOKUP);
  }
  run->state[task] = to;
  if (from == DK_TASK_WAITING || from == DK_TASK_READY || to == DK_TASK_READY) dk_task_queue(run, task);
}

/* The last attempt of an ended task: its number, or a place in the list of those of other incarnations. */
static void keep_attempt(struct dk_core *core, struct dk_core_run *run, uint32_t task, struct dk_id id) {
  run->word[task] = 0;
  if (dk_id_is_none(id)) return;
  if (id.inc == core->incarnation && id.n > core->base && id.n - core->base < UINT32_MAX) {
    run->word[task] = (uint32_t)(id.n - core->base);
    return;
  }
  if (!dk_grow(run->foreign, run->n_foreign, run->cap_foreign)) {
    core->is_failed = true;
    return;
  }
  run->flags[task] |= TASK_FOREIGN;
  run->word[task] = run->n_foreign;
  run->foreign[run->n_foreign++] = id;
}

/* Counts, and the news to those that wait for it. */
static void close_task(struct dk_core *core, struct dk_core_run *run, uint32_t task, struct dk_id last) {
  run->unfinished--;
  if (run->state[task] == DK_TASK_FAILED) run->n_failed++;
  keep_attempt(core, run, task, last);
  if (!dk_task_is_remade(run, task) || !dk_task_has_result(run, task)) dk_bits_add(&run->ended, task);
}

static void end(struct dk_core *core, struct dk_core_run *run, uint32_t task, const struct dk_claim *claim) {
  dk_emit_task(core, run, task, claim);
  /* The world learns a result from the record; of what it found itself (no attempt is known) it knows already. */
  if (dk_task_has_result(run, task) && !(claim && dk_id_is_none(claim->last))) core->facts_seq = core->seq;
  close_task(core, run, task, claim ? claim->last : (struct dk_id){0, 0});
}

/* Nothing of what it did before counts, and who looks must not take it for one that runs or has a result. */
static void look_again(struct dk_core *core, struct dk_core_run *run, uint32_t task) {
  dk_tried_forget(run, task);
  dk_emit_task(core, run, task, NULL);
  dk_schedule_ask(core, run, task);
}

void dk_task_do(struct dk_core *core, struct dk_core_run *run, uint32_t task, enum dk_task_event event,
                const struct dk_claim *claim) {
  uint8_t from = run->state[task];
  assert(!dk_task_state_is_end(from));
  uint8_t to = next_state[event][from];
  assert(to != NO);
  set_state(run, task, to);
  if (event == TASK_REKEY) look_again(core, run, task);
  if (dk_task_state_is_end(to)) end(core, run, task, claim);
}

/* Those that were told of its end go on, as far as they can without its outputs; those that were not wait for it as
 * they did. */
void dk_task_reopen(struct dk_core *core, struct dk_core_run *run, uint32_t task) {
  assert(dk_task_has_result(run, task) && !(run->flags[task] & TASK_ASKED));
  if (!run->remade.n_levels && dk_bits_init(&run->remade, run->graph->n_tasks) < 0) {
    core->is_failed = true;
    return;
  }
  if (dk_bits_has(&run->ended, task))
    dk_bits_remove(&run->ended, task);
  else
    dk_bits_add(&run->remade, task);
  run->flags[task] &= (uint8_t) ~(TASK_FOREIGN | TASK_RESTORED);
  run->unfinished++;
  set_state(run, task, DK_TASK_LOOKUP);
  look_again(core, run, task);
}

void dk_task_inherit(struct dk_core *core, struct dk_core_run *run, uint32_t task, enum dk_task_state state) {
  assert(run->state[task] == DK_TASK_SHARED);
  set_state(run, task, state);
  const struct dk_claim *claim = &core->claims[run->word[task]];
  if (state != DK_TASK_READY || !dk_tries_is_none(&claim->tries)) dk_emit_task(core, run, task, claim);
}

void dk_task_restore(struct dk_core *core, struct dk_core_run *run, const struct dk_core_ended *ended) {
  uint32_t task = ended->task;
  assert(dk_task_state_is_end(ended->state));
  if (task >= run->graph->n_tasks || run->flags[task] & TASK_UNWANTED || run->state[task] != DK_TASK_WAITING) return;
  run->flags[task] |= TASK_RESTORED;
  if (ended->state != DK_TASK_FAILED && ended->state != DK_TASK_CANCELLED) {
    dk_task_queue(run, task);
    return;
  }
  if (ended->state == DK_TASK_CANCELLED) run->flags[task] |= TASK_STOPPED;
  set_state(run, task, ended->state);
  close_task(core, run, task, ended->attempt);
}

/* --- propagation --- */

static void hear(struct dk_core *core, struct dk_core_run *run, uint32_t task, bool is_broken) {
  if (run->state[task] != DK_TASK_WAITING || run->flags[task] & TASK_UNWANTED) return;
  if (is_broken) {
    dk_task_do(core, run, task, TASK_BROKEN, NULL);
  } else {
    assert(run->word[task] > 0);
    if (--run->word[task] == 0) dk_task_queue(run, task);
  }
}

static void propagate(struct dk_core *core, struct dk_core_run *run) {
  uint32_t work = core->policy.max_out * 256, task = 0;
  bool is_broken;
  while (!dk_emit_is_full(core)) {
    if (run->cursor.task == DK_NO_TASK) {
      task = dk_bits_next(&run->ended, 0);
      if (task == UINT32_MAX) return;
      dk_bits_remove(&run->ended, task);
      dk_fan_start(&run->fan, &run->cursor, task, dk_task_has_result(run, task), dk_task_is_remade(run, task));
    }
    if (dk_fan_next(&run->fan, &run->cursor, &work, &task, &is_broken))
      hear(core, run, task, is_broken);
    else if (work == 0)
      return;
  }
}

void dk_task_propagate(struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_runs; i++) propagate(core, core->runs[i]);
}

bool dk_task_is_done_telling(const struct dk_core_run *run) {
  return run->cursor.task == DK_NO_TASK && run->ended.count == 0;
}

/* --- the arrays --- */

static int alloc_tasks(struct dk_core_run *run) {
  uint32_t n = run->graph->n_tasks ? run->graph->n_tasks : 1;
  run->state = dk_calloc(n, sizeof *run->state);
  run->flags = dk_calloc(n, sizeof *run->flags);
  run->word = dk_calloc(n, sizeof *run->word);
  run->nodes = dk_calloc(run->graph->n_nodes ? run->graph->n_nodes : 1, sizeof *run->nodes);
  if (!run->state || !run->flags || !run->word || !run->nodes) return -ENOMEM;
  run->n_lanes = 1;
  int r = dk_bits_init(&run->lanes[0].pending, n);
  if (r == 0) r = dk_bits_init(&run->lanes[0].ready, n);
  if (r == 0) r = dk_bits_init(&run->lanes[0].fresh, n);
  if (r == 0) r = dk_bits_init(&run->ended, n);
  if (r == 0) r = dk_bits_init(&run->stopping, n);
  if (r == 0) r = dk_bits_init(&run->recalled, n);
  if (r == 0) r = dk_bits_init(&run->aside, n);
  return r ? r : dk_fan_init(&run->fan, run->graph);
}

int dk_task_init(struct dk_core_run *run, const uint8_t *wanted) {
  int r = alloc_tasks(run);
  if (r < 0) return r;
  run->cursor.task = DK_NO_TASK;
  for (uint32_t i = 0; i < run->graph->n_nodes; i++) {
    const struct dk_graph_node *node = &run->graph->nodes[i];
    dk_fan_waits(run->graph, i, run->word + node->first);
    for (uint32_t task = node->first; task < node->first + node->rows; task++) {
      if (wanted && !(wanted[task / 8] >> (task % 8) & 1)) {
        run->flags[task] = TASK_UNWANTED;
        continue;
      }
      run->unfinished++;
      run->nodes[i].by_state[DK_TASK_WAITING]++;
      dk_task_queue(run, task);
    }
    run->all.by_state[DK_TASK_WAITING] += run->nodes[i].by_state[DK_TASK_WAITING];
  }
  return 0;
}

void dk_task_finish(struct dk_core_run *run) {
  dk_free(run->state);
  dk_free(run->flags);
  dk_free(run->word);
  dk_free(run->nodes);
  dk_free(run->foreign);
  dk_free(run->lane_of);
  for (uint32_t i = 0; i < run->n_lanes; i++) {
    dk_bits_finish(&run->lanes[i].pending);
    dk_bits_finish(&run->lanes[i].ready);
    dk_bits_finish(&run->lanes[i].fresh);
  }
  dk_free(run->lanes);
  dk_bits_finish(&run->ended);
  dk_bits_finish(&run->stopping);
  dk_bits_finish(&run->recalled);
  dk_bits_finish(&run->aside);
  dk_bits_finish(&run->remade);
  dk_fan_finish(&run->fan);
}
