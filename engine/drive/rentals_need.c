/* What waits for machines, and whether one could be made for it: see rentals.h. */
#include "engine/drive/money.h"
#include "engine/drive/rentals_priv.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define TASKS_MOST 20000u /* that are looked at, of one run: more than the clouds of anybody would take at once */
#define FIRST_ANSWER_NS (UINT64_C(10) * 1000000000u)
#define KINDS_MOST 64u /* of needs; what waits behind them waits for the next look */

static struct dk_rent_need need_of(const struct dk_needs_of *of) {
  return of ? (struct dk_rent_need){.cpus = of->cpus, .gpus = of->gpus, .memory = of->memory}
            : (struct dk_rent_need){.cpus = 1};
}

/* Shapes have no models of GPUs: who names one waits for a host that is known to have it. */
static bool is_for_clouds(const struct dk_needs_of *of) {
  return !of || !of->gpu;
}

static bool is_same(const struct dk_rent_need *a, const struct dk_rent_need *b) {
  return a->cpus == b->cpus && a->gpus == b->gpus && a->memory == b->memory && a->may_pay == b->may_pay &&
         strcmp(a->currency, b->currency) == 0;
}

static void add(const struct dk_engine_run *run, struct dk_rent_need *needs, uint32_t *n,
                const struct dk_needs_of *of) {
  struct dk_rent_need need = need_of(of);
  uint32_t i = 0;

  dk_money_of_need(run, &need);
  while (i < *n && !is_same(&needs[i], &need)) i++;
  if (i == *n && *n == KINDS_MOST) return;
  if (i == *n) needs[(*n)++] = need;
  needs[i].n++;
}

static void add_run(const struct dk_engine_run *run, struct dk_rent_need *needs, uint32_t *n) {
  const struct dk_core *core = run->engine->core;
  uint32_t task = 0;

  if (run->is_over || run->is_cancelled) return;
  uint32_t spare = dk_core_spare_jobs(core, run->record.number);
  for (uint32_t i = 0; i < TASKS_MOST && i < spare; i++) {
    task = dk_core_next_ready(core, run->record.number, task);
    if (task == UINT32_MAX) return;
    const struct dk_needs_of *of = dk_needs_find(&run->needs, task++);
    if (is_for_clouds(of)) add(run, needs, n, of);
  }
}

/* Nobody pays for what a host of one's own would take, if it were asked: each has this long for its first answer. */
static bool is_awaited(const struct dk_engine_host *host, uint64_t now_ns) {
  return host && host->is_named && !host->is_left && host->link && !host->was_up &&
         host->record.state != DK_HOST_DOWN && now_ns - host->down_at < FIRST_ANSWER_NS;
}

static bool are_hosts_awaited(const struct dk_engine *engine, uint64_t now_ns) {
  for (uint32_t i = 0; i < engine->n_hosts; i++)
    if (is_awaited(engine->hosts[i], now_ns)) return true;
  return false;
}

/* Said anew each time: what was said before a machine came up counts for nothing after it. */
void dk_rentals_look_at_demand(struct dk_rentals *rentals, uint64_t now_ns) {
  const struct dk_engine *engine = rentals->engine;
  struct dk_rent_need needs[KINDS_MOST];
  struct dk_rent_event event = {.kind = DK_RENT_EV_DEMAND};

  if (are_hosts_awaited(engine, now_ns)) return;
  event.u.demand.needs = needs;
  for (uint32_t i = 0; i < engine->n_runs; i++) add_run(engine->runs[i], needs, &event.u.demand.n);
  if (event.u.demand.n < KINDS_MOST && dk_rentals_probe_need(rentals, &needs[event.u.demand.n])) event.u.demand.n++;
  if (event.u.demand.n == 0 && !rentals->has_demand) return;
  rentals->has_demand = event.u.demand.n > 0;
  dk_rentals_tell(rentals, &event);
}
