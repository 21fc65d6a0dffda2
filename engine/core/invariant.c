/* What must always be true of the core, found anew from nothing, and the digest of what lasts. For tests and for a
 * debug command: costs time in proportion to everything. */
#include "engine/core/internal.h"

#include <errno.h>
#include <string.h>

#define BROKEN(...) return dk_error_set(error, -EINVAL, __VA_ARGS__)

static bool is_claimed_state(uint8_t state) {
  return state == DK_TASK_READY || state == DK_TASK_RUNNING || state == DK_TASK_BACKOFF;
}

static int check_task_claim(const struct dk_core *core, const struct dk_core_run *run, uint32_t task,
                            struct dk_error *error) {
  uint8_t state = run->state[task];
  uint32_t i = run->word[task];
  if (i >= core->n_claims || !core->claims[i].is_used) BROKEN("task %u in state %u has no claim", task, state);
  const struct dk_claim *claim = &core->claims[i];
  if (claim->run != run || claim->task != task) BROKEN("task %u has the claim of task %u", task, claim->task);
  if (claim->outcome != CLAIM_OPEN) BROKEN("task %u has a claim that is closed", task);
  if ((claim->attempt != DK_NONE) != (state == DK_TASK_RUNNING))
    BROKEN("task %u in state %u: attempt %u", task, state, claim->attempt);
  if ((claim->heap_at != DK_NONE) != (state == DK_TASK_BACKOFF)) BROKEN("task %u in state %u: timer", task, state);
  if (dk_claim_find(core, &claim->key) != i) BROKEN("the claim of task %u is not found by its key", task);
  return 0;
}

static int check_share(const struct dk_core *core, const struct dk_core_run *run, uint32_t task,
                       struct dk_error *error) {
  uint32_t i = run->word[task];
  if (i >= core->n_shares || core->shares[i].run != run || core->shares[i].task != task)
    BROKEN("task %u shares nothing", task);
  if (!core->claims[core->shares[i].claim].is_used) BROKEN("task %u shares a claim that is gone", task);
  return 0;
}

static int check_queues(const struct dk_core_run *run, uint32_t task, struct dk_error *error) {
  uint8_t state = run->state[task], lane = run->lane_of ? run->lane_of[task] : 0;
  bool is_open = !(run->flags[task] & (TASK_HELD | TASK_STOPPED | TASK_UNWANTED));
  bool is_aside = dk_bits_has(&run->aside, task), is_ready = is_open && state == DK_TASK_READY && !is_aside;
  bool is_free = state == DK_TASK_WAITING && run->word[task] == 0 && !(run->flags[task] & TASK_UNWANTED);
  bool is_recalled = is_free && run->flags[task] & TASK_RESTORED, is_pending = is_free && is_open && !is_recalled;
  if (is_aside && !(is_open && state == DK_TASK_READY)) BROKEN("task %u in state %u is aside", task, state);
  if (dk_bits_has(&run->recalled, task) != is_recalled) BROKEN("task %u in state %u: recalled queue", task, state);
  for (uint8_t i = 0; i < run->n_lanes; i++) {
    if (dk_bits_has(&run->lanes[i].ready, task) != (is_ready && i == lane))
      BROKEN("task %u in state %u: ready queue", task, state);
    if (dk_bits_has(&run->lanes[i].fresh, task) && !(is_ready && i == lane))
      BROKEN("task %u in state %u is fresh", task, state);
    if (dk_bits_has(&run->lanes[i].pending, task) != (is_pending && i == lane))
      BROKEN("task %u in state %u: pending queue", task, state);
  }
  return 0;
}

static int check_task(const struct dk_core *core, const struct dk_core_run *run, uint32_t task,
                      struct dk_error *error) {
  uint8_t state = run->state[task];
  int r = check_queues(run, task, error);
  if (r == 0 && is_claimed_state(state)) r = check_task_claim(core, run, task, error);
  return r == 0 && state == DK_TASK_SHARED ? check_share(core, run, task, error) : r;
}

static int check_tasks(const struct dk_core *core, const struct dk_core_run *run, struct dk_error *error) {
  struct dk_node_count all = {0};
  uint32_t unfinished = 0, window = 0, asked = 0;
  for (uint32_t n = 0; n < run->graph->n_nodes; n++) {
    const struct dk_graph_node *node = &run->graph->nodes[n];
    struct dk_node_count count = {0};
    for (uint32_t task = node->first; task < node->first + node->rows; task++) {
      uint8_t state = run->state[task];
      asked += (run->flags[task] & TASK_ASKED) != 0;
      if (run->flags[task] & TASK_UNWANTED) {
        if (state != DK_TASK_WAITING) BROKEN("unwanted task %u is in state %u", task, state);
        continue;
      }
      count.by_state[state]++;
      unfinished += !dk_task_state_is_end(state);
      bool is_open =
          state == DK_TASK_READY && !(run->flags[task] & (TASK_HELD | TASK_STOPPED)) && !dk_bits_has(&run->aside, task);
      count.open += is_open;
      window += node->at_once == 0 && (state == DK_TASK_LOOKUP || is_open);
      int r = check_task(core, run, task, error);
      if (r < 0) return r;
    }
    if (memcmp(count.by_state, run->nodes[n].by_state, sizeof count.by_state) != 0)
      BROKEN("node %u: counts of states", n);
    if (count.open != run->nodes[n].open) BROKEN("node %u: %u ready, not %u", n, count.open, run->nodes[n].open);
    /* Adoption and inheritance may go over the limit: what runs already is not ended for it. */
    if (node->at_once && count.by_state[DK_TASK_RUNNING] > node->at_once && !core->has_moved)
      BROKEN("node %u: %u at once", n, count.by_state[DK_TASK_RUNNING]);
    for (uint32_t s = 0; s < DK_N_STATES; s++) all.by_state[s] += count.by_state[s];
  }
  if (memcmp(all.by_state, run->all.by_state, sizeof all.by_state) != 0) BROKEN("counts of states");
  if (unfinished != run->unfinished) BROKEN("%u unfinished, not %u", unfinished, run->unfinished);
  if (window != run->window) BROKEN("%u in the window, not %u", window, run->window);
  if (asked != run->asked) BROKEN("%u lookups under way, not %u", asked, run->asked);
  if (run->is_finished && (run->unfinished || run->booked)) BROKEN("finished with %u tasks left", run->unfinished);
  return 0;
}

/* Has ended, as far as its consumers know; of what was lost and is made again they hear only if they wait for others as
 * well, and it comes to a bad end. */
static bool is_end(const struct dk_core_run *run, uint32_t task) {
  return dk_task_state_is_end(run->state[task]) || dk_task_is_remade(run, task);
}

static bool is_good(const struct dk_core_run *run, uint32_t task, uint8_t consumer) {
  bool has_heard =
      dk_task_state_is_end(run->state[task]) && (consumer == DK_TASK_WAITING || consumer == DK_TASK_NOT_RUN);
  return dk_task_has_result(run, task) || (dk_task_is_remade(run, task) && !has_heard);
}

/* What a waiting row should wait for, from the producers' states. -1: it can never run. */
static int64_t units(const struct dk_core_run *run, const struct dk_graph_node *node, uint32_t row) {
  uint8_t consumer = run->state[node->first + row];
  int64_t n = 0;
  for (uint32_t k = 0; k < node->n_edges; k++) {
    const struct dk_edge *edge = &node->edges[k];
    uint32_t first, producer = run->graph->nodes[edge->producer].first;
    const uint32_t *list;
    uint32_t rows = dk_edge_rows(run->graph, edge, row, &first, &list);
    if (edge->kind == DK_EDGE_ONE && run->graph->nodes[edge->producer].rows == 0) rows = 0;
    bool is_open = false;
    for (uint32_t i = 0; i < rows; i++) {
      uint32_t task = producer + (list ? list[i] : first + i);
      if (!is_end(run, task))
        is_open = true;
      else if (!is_good(run, task, consumer) && !edge->skip_failed)
        return -1;
    }
    n += is_open;
  }
  return n;
}

/* Only when all have heard of all ends. */
static int check_waits(const struct dk_core_run *run, struct dk_error *error) {
  if (!dk_task_is_done_telling(run)) return 0;
  for (uint32_t n = 0; n < run->graph->n_nodes; n++) {
    const struct dk_graph_node *node = &run->graph->nodes[n];
    for (uint32_t row = 0; row < node->rows; row++) {
      uint32_t task = node->first + row;
      uint8_t state = run->state[task];
      if (run->flags[task] & TASK_UNWANTED || state == DK_TASK_CANCELLED) continue;
      if (run->flags[task] & TASK_RESTORED && state == DK_TASK_FAILED) continue;
      int64_t want = units(run, node, row);
      if (state == DK_TASK_NOT_RUN ? want != -1 : state == DK_TASK_WAITING ? want != run->word[task] : want != 0)
        BROKEN("task %u in state %u waits for %u units, not %lld", task, state, run->word[task], (long long)want);
    }
  }
  return 0;
}

/* What hosts have is what attempts say. */
static int check_hosts(const struct dk_core *core, struct dk_error *error) {
  for (uint32_t h = 0; h < core->n_hosts; h++) {
    uint32_t living = 0, booked = 0;
    for (uint32_t i = 0; i < core->n_attempts; i++) {
      if (!core->attempts[i].is_used || core->attempts[i].host != h) continue;
      living++;
      booked += core->attempts[i].booked;
    }
    const struct dk_host *host = &core->hosts[h];
    if (living != host->n_living || booked != host->booked) BROKEN("host %u: counts of attempts", h);
    if (host->is_lost && host->session) BROKEN("host %u is lost, and has a session", h);
    if (host->is_removed && !host->is_lost) BROKEN("host %u is removed, but not lost", h);
  }
  return 0;
}

static int check_attempts(const struct dk_core *core, struct dk_error *error) {
  uint32_t living = 0, unclaimed = 0;
  for (uint32_t i = 0; i < core->n_attempts; i++) {
    const struct dk_attempt *attempt = &core->attempts[i];
    if (!attempt->is_used) continue;
    living++;
    if (attempt->host >= core->n_hosts || !core->hosts[attempt->host].is_known)
      BROKEN("attempt %llu is at host %u, which is not known", (unsigned long long)attempt->id.n, attempt->host);
    if (attempt->claim != DK_NONE && core->hosts[attempt->host].is_lost)
      BROKEN("attempt %llu is waited for, but its host is lost", (unsigned long long)attempt->id.n);
    if (dk_attempt_find(core, attempt->id) != i)
      BROKEN("attempt %llu is not found, or there twice", (unsigned long long)attempt->id.n);
    if (attempt->claim == DK_NONE) {
      unclaimed++;
      continue;
    }
    const struct dk_claim *claim = &core->claims[attempt->claim];
    if (!claim->is_used || claim->attempt != i)
      BROKEN("attempt %llu has a claim that is not its own", (unsigned long long)attempt->id.n);
    if (!dk_digest_equal(&claim->key, &attempt->key))
      BROKEN("attempt %llu and its claim have different keys", (unsigned long long)attempt->id.n);
    if (claim->run->state[claim->task] != DK_TASK_RUNNING)
      BROKEN("attempt %llu: its task is not running", (unsigned long long)attempt->id.n);
  }
  if (living != core->n_living || unclaimed != core->n_unclaimed) BROKEN("counts of attempts");
  return 0;
}

/* What a run has at the agent. */
static int check_orders(const struct dk_core *core, const struct dk_core_run *run, struct dk_error *error) {
  uint32_t queued = 0, started = 0, booked = 0;
  for (uint32_t i = 0; i < core->n_attempts; i++) {
    const struct dk_attempt *attempt = &core->attempts[i];
    if (!attempt->is_used || attempt->claim == DK_NONE || core->claims[attempt->claim].run != run) continue;
    booked += attempt->booked;
    if (attempt->flags & ATTEMPT_STARTED)
      started++;
    else
      queued++;
  }
  if (queued != run->all.queued || started != run->all.started || booked != run->booked) BROKEN("counts of orders");
  return 0;
}

static int check_claims(const struct dk_core *core, struct dk_error *error) {
  uint32_t timers = 0, shared = 0, sharing = 0;
  for (uint32_t i = 0; i < core->n_claims; i++) {
    const struct dk_claim *claim = &core->claims[i];
    if (!claim->is_used) continue;
    if (claim->heap_at != DK_NONE) {
      timers++;
      if (core->timers[claim->heap_at] != i) BROKEN("claim %u: timer", i);
      if (claim->heap_at > 0 && core->claims[core->timers[(claim->heap_at - 1) / 2]].due > claim->due)
        BROKEN("claim %u: order of timers", i);
    }
    uint32_t previous = DK_NONE;
    for (uint32_t at = claim->shares; at != DK_NONE; previous = at, at = core->shares[at].next, shared++) {
      const struct dk_share *share = &core->shares[at];
      if (share->claim != i || share->previous != previous) BROKEN("claim %u: its shares", i);
      if (share->run->state[share->task] != DK_TASK_SHARED)
        BROKEN("task %u shares a claim in state %u", share->task, share->run->state[share->task]);
    }
  }
  for (uint32_t i = 0; i < core->n_runs; i++) sharing += core->runs[i]->all.by_state[DK_TASK_SHARED];
  if (timers != core->n_timers) BROKEN("%u timers, not %u", timers, core->n_timers);
  if (shared != sharing) BROKEN("%u tasks share, not %u", shared, sharing);
  return 0;
}

int dk_core_check(const struct dk_core *core, struct dk_error *error) {
  int r = 0;
  uint32_t asked = 0;
  if (core->is_failed) return 0;
  for (uint32_t i = 0; r == 0 && i < core->n_runs; i++) {
    r = check_tasks(core, core->runs[i], error);
    if (r == 0) r = check_waits(core->runs[i], error);
    if (r == 0) r = check_orders(core, core->runs[i], error);
    asked += core->runs[i]->asked;
  }
  if (r == 0) r = check_attempts(core, error);
  if (r == 0) r = check_hosts(core, error);
  if (r == 0) r = check_claims(core, error);
  if (r == 0 && asked != core->asked[0] + core->asked[1])
    BROKEN("%u lookups under way, not %u", asked, core->asked[0] + core->asked[1]);
  return r;
}

/* Facts without an order: their digests are added up. */
static void add_fact(struct dk_hasher *hasher, uint64_t sum[4]) {
  struct dk_digest one;
  uint64_t words[4];
  dk_hasher_get(hasher, &one);
  memcpy(words, one.bytes, sizeof words);
  for (uint32_t k = 0; k < 4; k++) sum[k] += words[k];
}

void dk_core_digest(const struct dk_core *core, struct dk_digest *ret) {
  uint64_t sum[4] = {0};
  for (uint32_t i = 0; i < core->n_attempts; i++) {
    const struct dk_attempt *attempt = &core->attempts[i];
    if (!attempt->is_used) continue;
    struct dk_hasher hasher;
    dk_hasher_init(&hasher);
    dk_hasher_add_u64(&hasher, attempt->id.inc);
    dk_hasher_add_u64(&hasher, attempt->id.n);
    dk_hasher_add(&hasher, attempt->key.bytes, DK_DIGEST_SIZE);
    dk_hasher_add_u64(&hasher, (uint64_t)attempt->run << 32 | attempt->task);
    dk_hasher_add_u64(&hasher, (uint64_t)attempt->host << 32 | attempt->booked);
    add_fact(&hasher, sum);
  }
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add_u64(&hasher, core->saved.inc);
  dk_hasher_add_u64(&hasher, core->saved.counter);
  for (uint32_t k = 0; k < 4; k++) dk_hasher_add_u64(&hasher, sum[k]);
  dk_hasher_get(&hasher, ret);
}

static void add_tries(const struct dk_core_run *run, uint32_t task, const struct dk_digest *key,
                      const struct dk_tries *tries, uint64_t sum[4]) {
  struct dk_hasher hasher;
  if (dk_tries_is_none(tries)) return;
  dk_hasher_init(&hasher);
  dk_hasher_add(&hasher, key->bytes, DK_DIGEST_SIZE);
  dk_hasher_add_u64(&hasher, (uint64_t)run->number << 32 | task);
  dk_hasher_add_u64(&hasher, (uint64_t)tries->is_over << 24 | (uint64_t)tries->lost << 16 | (uint64_t)tries->oom << 8 |
                                 tries->other);
  add_fact(&hasher, sum);
}

void dk_core_tries_digest(const struct dk_core *core, uint32_t number, struct dk_digest *ret) {
  const struct dk_core_run *run = dk_run_find(core, number);
  uint64_t sum[4] = {0};
  for (uint32_t i = 0; i < core->n_claims; i++) {
    const struct dk_claim *claim = &core->claims[i];
    if (claim->is_used && claim->outcome == CLAIM_OPEN && claim->run == run)
      add_tries(run, claim->task, &claim->key, &claim->tries, sum);
  }
  for (uint32_t i = 0; run && i < run->n_tried; i++) {
    const struct dk_core_tried *tried = &run->tried[i];
    if (dk_task_is_untouched(run, tried->task)) add_tries(run, tried->task, &tried->key, &tried->tries, sum);
  }
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  for (uint32_t k = 0; k < 4; k++) dk_hasher_add_u64(&hasher, sum[k]);
  dk_hasher_get(&hasher, ret);
}
