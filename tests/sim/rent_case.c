/* One case from its seed to its end. */
#include "lang/base/alloc.h"
#include "tests/sim/rent.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define GIB (UINT64_C(1) << 30)

void rs_fail(struct rs *s, const char *format, ...) {
  if (rs_has_failed(s)) return;
  va_list ap;
  va_start(ap, format);
  vsnprintf(s->failure, sizeof s->failure, format, ap);
  va_end(ap);
  rs_trace(s, "FAILED: %s", s->failure);
}

void rs_trace(struct rs *s, const char *format, ...) {
  if (!s->trace) return;
  va_list ap;
  va_start(ap, format);
  printf("%6u %10.1f s  ", s->turns, (double)s->now / 1e9);
  vprintf(format, ap);
  printf("\n");
  va_end(ap);
}

static uint32_t often(struct sim_random *random, uint32_t most) {
  return sim_chance(random, 500) ? 0 : sim_below(random, most + 1);
}

static void make_shapes(struct rs *s, struct rs_pool *pool, struct sim_random *random) {
  bool has_prices = sim_chance(random, 600);
  pool->config.n_shapes = 1 + sim_below(random, RS_SHAPES);
  pool->config.shapes = pool->shapes;
  for (uint32_t i = 0; i < pool->config.n_shapes; i++) {
    struct dk_rent_shape *shape = &pool->shapes[i];
    snprintf(shape->name, sizeof shape->name, "shape-%u", i);
    shape->cpus = 1u << sim_below(random, 5);
    shape->gpus = sim_chance(random, 250) ? 1 + sim_below(random, 2) : 0;
    shape->memory = shape->cpus * (sim_chance(random, 300) ? 8 : 4) * GIB;
    if (has_prices) strcpy(shape->currency, "USD");
    shape->price =
        has_prices ? shape->cpus * 40000 + shape->gpus * 900000 + sim_below(random, 20000) : DK_RENT_NO_PRICE;
    if (!sim_chance(random, 300)) continue;
    pool->of_shape[i].closed_from = s->now + sim_below(random, 7200) * RS_SECOND;
    pool->of_shape[i].closed_until = pool->of_shape[i].closed_from + sim_below(random, 7200) * RS_SECOND;
  }
}

static void make_pool(struct rs *s, uint32_t i, struct sim_random *random) {
  static const char *const names[RS_POOLS] = {"alpha", "beta", "gamma"};
  struct rs_pool *pool = &s->pools[i];
  pool->config = (struct dk_rent_pool){.number = i + 1,
                                       .name = names[i],
                                       .where = "there",
                                       .order = (int32_t)sim_below(random, 3),
                                       .max_instances = 1 + sim_below(random, 6),
                                       .idle_ns = (30 + sim_below(random, 600)) * RS_SECOND,
                                       .boot_ns = (3 + sim_below(random, 8)) * RS_MINUTE,
                                       .lag_ns = (30 + sim_below(random, 270)) * RS_SECOND,
                                       .is_paid = sim_chance(random, 500)};
  pool->is_configured = true;
  pool->has_image = sim_chance(random, 300);
  pool->account = sim_chance(random, 700) ? i : sim_below(random, i + 1);
  pool->max_first = pool->config.max_instances;
  pool->boot_ns = pool->config.boot_ns / 3;
  pool->quota = sim_below(random, pool->max_first + 1);
  if (sim_chance(random, 400)) {
    pool->quota_from = s->now + sim_below(random, 3600) * RS_SECOND;
    pool->quota_until = pool->quota_from + sim_below(random, 7200) * RS_SECOND;
  }
  bool is_bad = sim_chance(random, 600);
  pool->p_lost = is_bad ? often(random, 400) : 0;
  pool->p_doubled = is_bad ? often(random, 200) : 0;
  pool->p_throttled = is_bad ? often(random, 400) : 0;
  pool->p_transient = is_bad ? often(random, 300) : 0;
  pool->p_async = is_bad ? often(random, sim_chance(random, 200) ? 1000 : 300) : 0;
  pool->p_slow_boot = is_bad ? often(random, sim_chance(random, 200) ? 1000 : 300) : 0;
  pool->p_partial = is_bad ? often(random, 400) : 0;
  pool->p_delete_lost = is_bad ? often(random, 500) : 0;
  make_shapes(s, pool, random);
}

/* Each fits a shape of some pool. */
static void make_kinds(struct rs *s, struct sim_random *random) {
  s->n_kinds = 1 + sim_below(random, RS_KINDS);
  for (uint32_t i = 0; i < s->n_kinds; i++) {
    const struct rs_pool *pool = &s->pools[sim_below(random, s->n_pools)];
    const struct dk_rent_shape *shape = &pool->shapes[sim_below(random, pool->config.n_shapes)];
    struct dk_rent_need *need = &s->kinds[i];
    need->may_pay = true;
    need->cpus = 1 + sim_below(random, shape->cpus);
    if (sim_chance(random, 500)) need->cpus = 1;
    need->gpus = shape->gpus && sim_chance(random, 500) ? 1 : 0;
    need->memory = sim_chance(random, 500) ? shape->memory / (1 + sim_below(random, shape->cpus)) : 0;
  }
}

void rs_case_init(struct rs *s) {
  struct sim_random random = sim_random_of(s->seed, 101);
  s->luck = sim_random_of(s->seed, 102);
  s->now = RS_HOUR;
  s->calm_at = s->now + (30 + sim_below(&random, 240)) * RS_MINUTE;
  s->armed = RS_N_FAULTS;
  dk_rent_policy_default(&s->policy);
  s->policy.max_out = sim_chance(&random, 300) ? 1 + sim_below(&random, 8) : 1024;
  s->policy.no_canary = sim_chance(&random, 200);
  s->policy.calls_max = 1 + sim_below(&random, 10);
  for (uint32_t i = 0; i < sizeof s->store; i++) s->store[i] = (uint8_t)sim_below(&random, 256);
  s->n_pools = 1 + sim_below(&random, RS_POOLS);
  for (uint32_t i = 0; i < s->n_pools; i++) make_pool(s, i, &random);
  make_kinds(s, &random);
  rs_faults_make(s, &random);
  rs_cloud_plant(s);
  s->to_come = 1 + sim_below(&random, 4);
  for (uint32_t i = 0; i < s->to_come; i++) {
    uint64_t at = s->now + (i ? sim_below(&random, 200) * RS_MINUTE : sim_below(&random, 60) * RS_SECOND);
    rs_at(s, at, RS_ARRIVE)->n = 1 + sim_below(&random, sim_chance(&random, 300) ? 100 : 12);
  }
}

/* No engine for a while; the clouds go on. */
static void pass_time(struct rs *s) {
  uint64_t until =
      s->now + (sim_chance(&s->luck, 700) ? sim_below(&s->luck, 60) * RS_SECOND : sim_below(&s->luck, 90) * RS_MINUTE);
  struct rs_event event;
  while (rs_pop(s, until, &event)) {
    if (event.at > s->now) s->now = event.at;
    rs_happen(s, &event);
  }
  s->now = until;
}

static void add_totals(struct rs_totals *to, struct rs *s) {
  to->cases++;
  to->turns += s->turns;
  to->lives += s->epoch;
  to->creates += s->n_creates;
  to->machines += s->n_machines;
  to->doubled += s->n_doubled;
  for (uint32_t i = 0; i < s->n_pools; i++) to->over += s->pools[i].was_over;
  to->strangers += s->n_strangers;
  to->tasks += s->done;
  for (uint32_t i = 0; i <= DK_RENT_TELL_BLIND; i++) to->tells[i] += s->tells[i];
  for (uint32_t i = 0; i < s->n_machines; i++) {
    struct rs_machine *machine = &s->machines[i];
    if (!machine->number || machine->gone_at == RS_NEVER || machine->gone_at < machine->made_at) continue;
    rs_work_use(s, machine);
    to->paid_s += (double)(machine->gone_at - machine->made_at) / 1e9;
    to->used_s += (double)machine->used_ns / 1e9;
  }
}

bool rs_run(uint64_t seed, uint32_t faults, bool trace, struct rs_totals *totals, char *ret_failure, size_t size,
            uint32_t *ret_faults) {
  static struct rs s; /* large */
  memset(&s, 0, sizeof s);
  s.seed = seed;
  s.trace = trace;
  rs_case_init(&s);
  for (uint32_t i = 0; i < s.n_faults; i++) s.faults[i].is_done = !(faults >> i & 1);
  while (!rs_has_failed(&s) && rs_engine_live(&s) == RS_DEAD && !rs_has_failed(&s)) pass_time(&s);
  if (totals) add_totals(totals, &s);
  if (ret_faults) *ret_faults = s.n_faults;
  snprintf(ret_failure, size, "%s", s.failure);
  dk_rent_destroy(s.rent);
  dk_rent_out_finish(&s.out);
  dk_free(s.heap);
  dk_free(s.rented);
  return !rs_has_failed(&s);
}
