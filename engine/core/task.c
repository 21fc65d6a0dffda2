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
static const uint8_t next_state[TASK_N_EVENTS][DK_TASK_DONE] = {
  /* from:                                                    WAITING LOOKUP READY RUNNING SHARED BACKOFF */
  [TASK_BROKEN]    = /* something it needs has failed */      { NOT,   NO,    NO,   NO,     NO,    NO  },
  [TASK_ASK]       = /* its key, or its choice, is asked for */{ L,    NO,    NO,   NO,     NO,    NO  },
  [TASK_HIT]       = /* there is a result */                  { NO,    HAD,   NO,   NO,     NO,    NO  },
  [TASK_SKIP]      = /* `when` is false */                    { NO,    SKIP,  NO,   NO,     NO,    NO  },
  [TASK_BAD]       = /* cannot be handed out */               { NO,    BAD,   NO,   NO,     NO,    NO  },
  [TASK_MISS]      = /* it has to run */                      { NO,    Y,     NO,   NO,     NO,    NO  },
  [TASK_SHARE]     = /* another one has its key */            { NO,    S,     NO,   NO,     NO,    NO  },
  [TASK_ADOPT]     = /* a living attempt has its key */       { NO,    NO,    R,    NO,     NO,    R   },
  [TASK_ASSIGN]    = /* an attempt was made */                { NO,    NO,    R,    NO,     NO,    NO  },
  [TASK_OK]        = /* the attempt (S: the other's) ended */ { NO,    NO,    NO,   DONE,   HAD,   NO  },
  [TASK_FAIL]      = /* it failed for good */                 { NO,    NO,    NO,   BAD,    BAD,   NO  },
  [TASK_RETRY]     = /* it failed, try again later */         { NO,    NO,    NO,   B,      NO,    NO  },
  [TASK_AGAIN]     = /* the order came back, never started */ { NO,    NO,    NO,   Y,      NO,    NO  },
  [TASK_DUE]       = /* later is now */                       { NO,    NO,    NO,   NO,     NO,    Y   },
  [TASK_CANCEL]    = /* and no attempt is left */             { STOP,  STOP,  STOP, STOP,   STOP,  STOP},
  [TASK_CHOSEN]    = /* a pick */                             { NO,    DONE,  NO,   NO,     NO,    NO  },
  [TASK_NO_CHOICE] = /* a pick without a candidate */         { NO,    BAD,   NO,   NO,     NO,    NO  },
};
/* clang-format on */

bool dk_task_can(const struct dk_core *core, uint32_t task, enum dk_task_event event) {
  uint8_t state = core->state[task];
  return !dk_task_state_is_end(state) && next_state[event][state] != NO;
}

static bool is_in_window(uint8_t state) {
  return state == DK_TASK_LOOKUP || state == DK_TASK_READY;
}

static void set_state(struct dk_core *core, uint32_t task, uint8_t to) {
  uint8_t from = core->state[task];
  uint32_t node = dk_fan_node(core->graph, task, &core->node_hint);
  core->nodes[node].by_state[from]--;
  core->nodes[node].by_state[to]++;
  core->all.by_state[from]--;
  core->all.by_state[to]++;
  if (core->graph->nodes[node].at_once == 0) {
    core->window += (uint32_t)is_in_window(to) - (uint32_t)is_in_window(from);
  }
  if (from == DK_TASK_WAITING) dk_bits_remove(&core->pending, task);
  if (from == DK_TASK_READY) dk_bits_remove(&core->ready, task);
  if (to == DK_TASK_READY) dk_bits_add(&core->ready, task);
  core->state[task] = to;
}

/* The last attempt of an ended task: its number, or a place in the list of those of other incarnations. */
static void keep_attempt(struct dk_core *core, uint32_t task, struct dk_id id) {
  core->word[task] = 0;
  if (dk_id_is_none(id)) return;
  if (id.inc == core->incarnation && id.n > core->base && id.n - core->base < UINT32_MAX) {
    core->word[task] = (uint32_t)(id.n - core->base);
    return;
  }
  if (core->n_foreign == core->cap_foreign) {
    uint32_t larger = core->cap_foreign ? core->cap_foreign * 2 : 16;
    struct dk_id *ids = dk_realloc_array(core->foreign, larger, sizeof *ids);
    if (!ids) {
      core->is_failed = true;
      return;
    }
    core->foreign = ids;
    core->cap_foreign = larger;
  }
  core->flags[task] |= TASK_FOREIGN;
  core->word[task] = core->n_foreign;
  core->foreign[core->n_foreign++] = id;
}

static bool has_result(uint8_t state) {
  return state == DK_TASK_DONE || state == DK_TASK_CACHED;
}

static void end(struct dk_core *core, uint32_t task, const struct dk_claim *claim) {
  core->unfinished--;
  if (core->state[task] == DK_TASK_FAILED) core->n_failed++;
  dk_emit_task(core, task, claim);
  /* The world learns a result from the record; of what it found itself (no attempt is known) it knows already. */
  if (has_result(core->state[task]) && !(claim && dk_id_is_none(claim->last))) core->facts_seq = core->seq;
  keep_attempt(core, task, claim ? claim->last : (struct dk_id){0, 0});
  dk_bits_add(&core->ended, task);
}

void dk_task_do(struct dk_core *core, uint32_t task, enum dk_task_event event, const struct dk_claim *claim) {
  uint8_t from = core->state[task];
  assert(!dk_task_state_is_end(from));
  uint8_t to = next_state[event][from];
  assert(to != NO);
  set_state(core, task, to);
  if (dk_task_state_is_end(to)) end(core, task, claim);
}

/* --- propagation --- */

static void hear(struct dk_core *core, uint32_t task, bool is_broken) {
  if (core->state[task] != DK_TASK_WAITING || core->flags[task] & TASK_UNWANTED) return;
  if (is_broken) {
    dk_task_do(core, task, TASK_BROKEN, NULL);
  } else {
    assert(core->word[task] > 0);
    if (--core->word[task] == 0) dk_bits_add(&core->pending, task);
  }
}

void dk_task_propagate(struct dk_core *core) {
  uint32_t work = core->policy.max_out * 256, task = 0;
  bool is_broken;
  while (!dk_emit_is_full(core)) {
    if (core->cursor.task == DK_NO_TASK) {
      task = dk_bits_next(&core->ended, 0);
      if (task == UINT32_MAX) return;
      dk_bits_remove(&core->ended, task);
      dk_fan_start(&core->fan, &core->cursor, task, has_result(core->state[task]));
    }
    if (dk_fan_next(&core->fan, &core->cursor, &work, &task, &is_broken))
      hear(core, task, is_broken);
    else if (work == 0)
      return;
  }
}

bool dk_task_is_done_telling(const struct dk_core *core) {
  return core->cursor.task == DK_NO_TASK && core->ended.count == 0;
}

/* --- the arrays --- */

static int alloc_tasks(struct dk_core *core) {
  uint32_t n = core->graph->n_tasks ? core->graph->n_tasks : 1;
  core->state = dk_calloc(n, sizeof *core->state);
  core->flags = dk_calloc(n, sizeof *core->flags);
  core->word = dk_calloc(n, sizeof *core->word);
  core->nodes = dk_calloc(core->graph->n_nodes ? core->graph->n_nodes : 1, sizeof *core->nodes);
  if (!core->state || !core->flags || !core->word || !core->nodes) return -ENOMEM;
  int r = dk_bits_init(&core->pending, n);
  if (r == 0) r = dk_bits_init(&core->ready, n);
  if (r == 0) r = dk_bits_init(&core->ended, n);
  return r ? r : dk_fan_init(&core->fan, core->graph);
}

int dk_task_init(struct dk_core *core, const uint8_t *wanted) {
  int r = alloc_tasks(core);
  if (r < 0) return r;
  core->cursor.task = DK_NO_TASK;
  for (uint32_t i = 0; i < core->graph->n_nodes; i++) {
    const struct dk_graph_node *node = &core->graph->nodes[i];
    dk_fan_waits(core->graph, i, core->word + node->first);
    for (uint32_t task = node->first; task < node->first + node->rows; task++) {
      if (wanted && !(wanted[task / 8] >> (task % 8) & 1)) {
        core->flags[task] = TASK_UNWANTED;
        continue;
      }
      core->unfinished++;
      core->nodes[i].by_state[DK_TASK_WAITING]++;
      if (core->word[task] == 0) dk_bits_add(&core->pending, task);
    }
    core->all.by_state[DK_TASK_WAITING] += core->nodes[i].by_state[DK_TASK_WAITING];
  }
  return 0;
}

void dk_task_finish(struct dk_core *core) {
  dk_free(core->state);
  dk_free(core->flags);
  dk_free(core->word);
  dk_free(core->nodes);
  dk_free(core->foreign);
  dk_bits_finish(&core->pending);
  dk_bits_finish(&core->ready);
  dk_bits_finish(&core->ended);
  dk_fan_finish(&core->fan);
}
