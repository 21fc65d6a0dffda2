/* Where a task goes. Of the hosts that are there, suit it and have room: the one where it can start soonest, counting
 * what must be brought there (policy.place) and the wait for a slot; of equal ones that of which the smallest part is
 * booked.
 *
 * What it costs to ask: a step must not ask about every task that waits. So each claim keeps which hosts suited when it
 * was last asked about, and is not asked about again while none of them has room, until there is news: a host came or
 * went, or the world said that answers have changed (TICK). A task that no host suits that is there is set aside, out
 * of the queues; after news those aside are asked about again, some in each step. */
#include "engine/core/place.h"

#include <string.h>

#define SECOND UINT64_C(1000000000)
#define DEPTH_MAX 4096u
#define WORK_AHEAD_NS 50000000u /* orders kept at the agent: about so much work, when tasks are short */
#define RATE_WINDOW_NS 250000000u
#define WAIT_UNKNOWN_NS (10 * SECOND) /* for a slot of a host where nothing has ended of late */

/* --- hosts --- */

/* Slots' worth of orders to keep at a host: a few a slot, more when tasks are so short that it would run dry between
 * two commits. */
static uint64_t depth(const struct dk_core *core, struct dk_host *host) {
  uint64_t passed = core->now - host->window_at;
  if (passed >= RATE_WINDOW_NS) {
    host->rate = (uint32_t)(host->window_ends * SECOND / passed);
    host->window_ends = 0;
    host->window_at = core->now;
  }
  uint64_t ahead = (uint64_t)host->rate * WORK_AHEAD_NS / SECOND;
  if (ahead > DEPTH_MAX) ahead = DEPTH_MAX;
  return (uint64_t)host->slots * core->policy.queue_per_slot + ahead;
}

struct dk_places dk_place_open(struct dk_core *core) {
  struct dk_places places = {0};
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    struct dk_host *host = &core->hosts[i];
    host->capacity = 0;
    if (!dk_host_is_there(host)) continue;
    places.slots += host->slots;
    if (core->now < host->hold_until) continue;
    host->capacity = depth(core, host);
    places.n_open++;
    places.open |= dk_place_bit(i);
  }
  return places;
}

/* No overtaking: when the next one does not fit, nothing behind it is handed out there, or a wide task would starve. */
static bool fits(const struct dk_host *host, uint32_t cost) {
  return !host->booked || host->booked + (uint64_t)cost <= host->capacity;
}

static bool has_slots(const struct dk_host *host, uint32_t booked, uint32_t cost) {
  return !booked || booked + (uint64_t)cost <= host->slots;
}

/* How long an order waits at a host of which so much is booked: as long as it takes that as many end as are too many.
 * Where nothing has ended for long, nothing is expected to end for as long again. */
static uint64_t wait_at(const struct dk_core *core, const struct dk_host *host, uint32_t booked, uint32_t cost) {
  if (has_slots(host, booked, cost)) return 0;
  if (host->rate) return (booked + (uint64_t)cost - host->slots) * SECOND / host->rate + 1;
  uint64_t quiet = core->now - host->last_end;
  return quiet > WAIT_UNKNOWN_NS ? quiet : WAIT_UNKNOWN_NS;
}

static uint64_t add(uint64_t a, uint64_t b) {
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* --- what place says --- */

static void ask(struct dk_core *core, const struct dk_core_run *run, uint32_t task) {
  if (core->policy.place)
    core->policy.place(core->policy.place_ctx, run->number, task, core->n_hosts, core->place_ns);
  else
    memset(core->place_ns, 0, core->n_hosts * sizeof *core->place_ns);
}

static bool suits(const struct dk_core *core, uint32_t host) {
  return dk_host_is_there(&core->hosts[host]) && core->place_ns[host] < DK_PLACE_NOT_NOW;
}

/* What a task books of a host, when `most` are the slots of the largest one that is there and suits it: that one has as
 * many as it can get. 0: the host is too small. */
static uint32_t cost_at(const struct dk_host *host, uint32_t most, uint32_t cpus) {
  uint32_t cost = cpus < 1 ? 1 : cpus > most ? most : cpus;
  return cost <= host->slots ? cost : 0;
}

/* Asks, for a task that has a claim; what it books of each host is its cost_at with what this returns. */
static uint32_t ask_for_claim(struct dk_core *core, struct dk_core_run *run, uint32_t task, struct dk_claim *claim) {
  uint32_t cpus = run->graph->nodes[dk_task_node(run, task)].cpus, most = 0;
  ask(core, run, task);
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    if (suits(core, i) && core->hosts[i].slots > most) most = core->hosts[i].slots;
  }
  claim->placed_in = core->news;
  claim->suits = 0;
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    if (suits(core, i) && cost_at(&core->hosts[i], most, cpus)) claim->suits |= dk_place_bit(i);
  }
  return most;
}

/* --- the choice --- */

/* Is a task better off at host a than at b? */
static bool is_better(const struct dk_core *core, uint32_t a, uint64_t at_a, uint32_t b, uint64_t at_b) {
  const struct dk_host *x = &core->hosts[a], *y = &core->hosts[b];
  if (at_a != at_b) return at_a < at_b;
  return (uint64_t)x->booked * y->slots < (uint64_t)y->booked * x->slots;
}

/* It waits for these hosts: they are closed to those behind it. */
static void close_hosts(struct dk_core *core, struct dk_places *places, uint32_t most, uint32_t cpus) {
  places->n_open = 0;
  places->open = 0;
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    struct dk_host *host = &core->hosts[i];
    if (suits(core, i) && cost_at(host, most, cpus)) host->capacity = 0;
    if (!host->capacity) continue;
    places->n_open++;
    places->open |= dk_place_bit(i);
  }
}

enum dk_placed dk_place_choose(struct dk_core *core, struct dk_places *places, struct dk_core_run *run, uint32_t task,
                               uint32_t *ret_host, uint32_t *ret_cost) {
  struct dk_claim *claim = &core->claims[run->word[task]];
  uint32_t most = ask_for_claim(core, run, task, claim), best = DK_NONE;
  uint32_t cpus = run->graph->nodes[dk_task_node(run, task)].cpus;
  uint64_t best_ns = 0;
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    const struct dk_host *host = &core->hosts[i];
    uint32_t cost = host->capacity && suits(core, i) ? cost_at(host, most, cpus) : 0;
    if (!cost || !fits(host, cost)) continue;
    uint64_t ns = add(core->place_ns[i], wait_at(core, host, host->booked, cost));
    if (best != DK_NONE && !is_better(core, i, ns, best, best_ns)) continue;
    best = i;
    best_ns = ns;
  }
  if (best == DK_NONE) {
    close_hosts(core, places, most, cpus);
    return claim->suits ? DK_PLACED_NO_ROOM : DK_PLACED_NOWHERE;
  }
  *ret_host = best;
  *ret_cost = cost_at(&core->hosts[best], most, cpus);
  return DK_PLACED;
}

bool dk_place_is_known(const struct dk_core *core, const struct dk_places *places, const struct dk_claim *claim,
                       enum dk_placed *ret) {
  *ret = claim->suits ? DK_PLACED_NO_ROOM : DK_PLACED_NOWHERE;
  return claim->placed_in == core->news && !(claim->suits & places->open);
}

uint32_t dk_place_better(struct dk_core *core, const struct dk_attempt *attempt) {
  struct dk_claim *claim = &core->claims[attempt->claim];
  const struct dk_host *now = dk_host_at(core, attempt->host);
  ask_for_claim(core, claim->run, claim->task, claim);
  uint64_t stay =
      add(core->place_ns[attempt->host], wait_at(core, now, now->booked - attempt->booked, attempt->booked));
  uint32_t best = DK_NONE;
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    if (core->hosts[i].spare < attempt->booked || !suits(core, i) || core->place_ns[i] >= stay) continue;
    if (best == DK_NONE || is_better(core, i, core->place_ns[i], best, core->place_ns[best])) best = i;
  }
  return best;
}

bool dk_place_is_elsewhere(struct dk_core *core, struct dk_core_run *run, uint32_t task, uint32_t host) {
  if (!core->policy.place) return false;
  ask(core, run, task);
  core->claims[run->word[task]].placed_in = 0;               /* what it was told before is old */
  if (core->place_ns[host] < DK_PLACE_NOT_NOW) return false; /* it would be refused there again, and again */
  for (uint32_t i = 0; i < core->n_hosts; i++) {
    bool is_known = core->hosts[i].is_known && !core->hosts[i].is_removed && i != host;
    if (is_known && core->place_ns[i] != DK_PLACE_NEVER) return true;
  }
  return false;
}

/* --- news --- */

static bool is_news(const struct dk_event *event) {
  switch (event->kind) {
  case DK_EV_TICK: return !event->u.tick.is_idle;
  case DK_EV_HOST_ADDED:
  case DK_EV_HOST_REMOVED:
  case DK_EV_AGENT_UP:
  case DK_EV_AGENT_DOWN:
  case DK_EV_HAS_END: return true;
  default: return false;
  }
}

void dk_place_note(struct dk_core *core, const struct dk_event *event) {
  if (!is_news(event)) return;
  if (++core->news == 0) core->news = 1;
  for (uint32_t i = 0; i < core->n_runs; i++) core->runs[i]->aside_left = core->runs[i]->aside.count;
}

/* Once round from where it is, however often there is news meanwhile: nobody is left out for long. */
static void recheck(struct dk_core *core, struct dk_core_run *run, uint32_t *budget) {
  for (; run->aside_left && *budget; --*budget, run->aside_left--) {
    uint32_t task = dk_bits_next(&run->aside, run->aside_at);
    if (task == UINT32_MAX) task = dk_bits_next(&run->aside, 0);
    if (task == UINT32_MAX) break;
    struct dk_claim *claim = &core->claims[run->word[task]];
    ask_for_claim(core, run, task, claim);
    if (claim->suits) dk_task_queue(run, task);
    run->aside_at = task + 1;
  }
  if (!run->aside.count) run->aside_left = 0;
}

void dk_place_recheck(struct dk_core *core) {
  uint32_t budget = core->policy.max_out;
  for (uint32_t i = 0; i < core->n_runs; i++) recheck(core, core->runs[i], &budget);
}

bool dk_place_is_checking(const struct dk_core *core) {
  for (uint32_t i = 0; i < core->n_runs; i++) {
    if (core->runs[i]->aside_left) return true;
  }
  return false;
}
