/* The door: create, load, step. What happens to an instance is in life.c, to a pool in pool.c; list.c has what lists
 * prove, fit.c and wish.c what is made. */
#include "engine/rent/internal.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define MINUTE (60 * SECOND)

void dk_rent_policy_default(struct dk_rent_policy *ret) {
  *ret = (struct dk_rent_policy){.doubt_ns = 15 * MINUTE,
                                 .again_ns = MINUTE,
                                 .list_soon_ns = 20 * SECOND,
                                 .list_ns = MINUTE,
                                 .list_seldom_ns = 10 * MINUTE,
                                 .down_ns = 2 * MINUTE,
                                 .unused_ns = 10 * MINUTE,
                                 .backoff_ns = 5 * SECOND,
                                 .backoff_max_ns = 5 * MINUTE,
                                 .quota_ns = MINUTE,
                                 .capacity_ns = 2 * MINUTE,
                                 .pause_ns = 10 * MINUTE,
                                 .fails_max = 3,
                                 .calls_max = 10,
                                 .max_out = 1024};
}

void dk_rent_name(const uint8_t store[16], uint64_t incarnation, uint32_t number, char ret[DK_RENT_NAME]) {
  uint64_t id = 0;
  for (uint32_t i = 0; i < 8; i++) id = id << 8 | store[i];
  snprintf(ret, DK_RENT_NAME, "dk-%016llx-%016llx-%u", (unsigned long long)id, (unsigned long long)incarnation, number);
}

int dk_rent_create(struct dk_rent **ret, const struct dk_rent_policy *policy, const uint8_t store[16],
                   uint64_t incarnation, uint64_t jitter_seed) {
  struct dk_rent *rent = dk_calloc(1, sizeof *rent);
  *ret = rent;
  if (!rent) return -ENOMEM;
  rent->policy = *policy;
  memcpy(rent->store, store, sizeof rent->store);
  rent->incarnation = incarnation;
  rent->jitter = jitter_seed;
  rent->wish_at = DK_RENT_NEVER;
  return 0;
}

void dk_rent_destroy(struct dk_rent *rent) {
  if (!rent) return;
  dk_rent_pool_finish(rent);
  dk_free(rent->machines);
  dk_free(rent->suspects);
  dk_free(rent->needs);
  dk_free(rent->left);
  dk_free(rent->rooms);
  dk_free(rent);
}

void dk_rent_copy(char *to, uint32_t size, const char *text) {
  size_t len = strlen(text);
  assert(len < size);
  memset(to, 0, size);
  memcpy(to, text, len);
}

/* Where it is, or would be. */
static uint32_t place_of(const struct dk_rent *rent, uint32_t number) {
  uint32_t first = 0, end = rent->n_machines;
  while (first < end) {
    uint32_t middle = first + (end - first) / 2;
    if (rent->machines[middle].of.number < number)
      first = middle + 1;
    else
      end = middle;
  }
  return first;
}

struct dk_rent_machine *dk_rent_machine_find(const struct dk_rent *rent, uint32_t number) {
  uint32_t i = place_of(rent, number);
  if (i == rent->n_machines || rent->machines[i].of.number != number || rent->machines[i].is_gone) return NULL;
  return &rent->machines[i];
}

static struct dk_rent_machine *insert(struct dk_rent *rent, const struct dk_rented *of, uint32_t pool) {
  if (!dk_grow(rent->machines, rent->n_machines, rent->cap_machines)) {
    rent->is_failed = true;
    return NULL;
  }
  uint32_t i = place_of(rent, of->number);
  struct dk_rent_machine *machine = &rent->machines[i];
  memmove(machine + 1, machine, (rent->n_machines - i) * sizeof *machine);
  rent->n_machines++;
  *machine = (struct dk_rent_machine){.of = *of,
                                      .pool = pool,
                                      .idle_from = DK_RENT_NEVER,
                                      .unused_from = DK_RENT_NEVER,
                                      .missing_from = DK_RENT_NEVER,
                                      .stopped_from = DK_RENT_NEVER};
  dk_rent_name(rent->store, of->incarnation, of->number, machine->name);
  struct dk_rent_pool_state *in = &rent->pools[pool];
  in->n++;
  in->n_strangers += of->is_stranger;
  in->is_proven |= of->is_proven;
  return machine;
}

struct dk_rent_machine *dk_rent_machine_add(struct dk_rent *rent, uint32_t pool, enum dk_rent_state state,
                                            uint64_t unix_ns) {
  struct dk_rented of = {.number = rent->taken + 1,
                         .incarnation = rent->incarnation,
                         .state = state,
                         .host = DK_RENT_NO_HOST,
                         .asked_unix_ns = unix_ns};
  memcpy(of.pool, rent->pools[pool].name, sizeof of.pool);
  memcpy(of.where, rent->pools[pool].where, sizeof of.where);
  struct dk_rent_machine *machine = insert(rent, &of, pool);
  if (!machine) return NULL;
  rent->taken++;
  machine->settled_at = rent->now;
  return machine;
}

int dk_rent_load(struct dk_rent *rent, const struct dk_rent_record *records, uint32_t n) {
  assert(!rent->has_begun);
  for (uint32_t i = 0; i < n && !rent->is_failed; i++) {
    const struct dk_rent_record *record = &records[i];
    if (record->del) continue;
    if (record->kind == DK_RENT_REC_SPENT) {
      dk_purse_add(&rent->spent, record->spent.currency, record->spent.micro);
      continue;
    }
    uint32_t taken = record->kind == DK_RENT_REC_TAKEN ? record->taken : record->rented.number;
    if (taken > rent->taken) rent->taken = taken;
    if (record->kind != DK_RENT_REC_RENTED || dk_rent_machine_find(rent, record->rented.number)) continue;
    uint32_t pool = dk_rent_pool_need(rent, record->rented.pool, record->rented.where);
    if (pool != DK_RENT_NO_POOL && insert(rent, &record->rented, pool)) rent->pools[pool].allowed++;
  }
  return rent->is_failed ? -ENOMEM : 0;
}

static void dispatch(struct dk_rent *rent, const struct dk_rent_event *event) {
  switch (event->kind) {
  case DK_RENT_EV_TICK: break;
  case DK_RENT_EV_GAP: dk_rent_life_gap(rent); break;
  case DK_RENT_EV_POOL:
  case DK_RENT_EV_POOL_REMOVED:
  case DK_RENT_EV_IMAGE: dk_rent_pool_event(rent, event); break;
  case DK_RENT_EV_DEMAND: dk_rent_wish_demand(rent, event); break;
  case DK_RENT_EV_LISTED:
  case DK_RENT_EV_LIST_END: dk_rent_list_event(rent, event); break;
  case DK_RENT_EV_RELEASE: dk_rent_life_release(rent, event); break;
  case DK_RENT_EV_CREATED:
  case DK_RENT_EV_CREATE_FAILED:
  case DK_RENT_EV_CREATE_DOUBT:
  case DK_RENT_EV_GONE:
  case DK_RENT_EV_DELETE_ANSWERED:
  case DK_RENT_EV_HOST:
  case DK_RENT_EV_AGENT_UP:
  case DK_RENT_EV_AGENT_DOWN:
  case DK_RENT_EV_LOAD: dk_rent_life_event(rent, event); break;
  }
}

int dk_rent_step(struct dk_rent *rent, uint64_t now_ns, uint64_t seq, const struct dk_rent_event *event,
                 struct dk_rent_out *out) {
  if (rent->is_failed) return -ENOMEM;
  assert(now_ns >= rent->now && seq >= rent->seq);
  rent->now = now_ns;
  rent->seq = seq;
  rent->unix_ns = event->unix_ns;
  rent->out = out;
  rent->out_limit = out->n_records + out->n_actions + rent->policy.max_out;
  if (!rent->has_begun) dk_rent_life_begin(rent);
  rent->has_begun = true;
  rent->has_news = event->kind != DK_RENT_EV_LISTED;
  dispatch(rent, event);
  if (rent->has_news) {
    dk_rent_life_pass(rent);
    dk_rent_life_sweep(rent);
    dk_rent_wish_pass(rent, event->unix_ns);
    dk_rent_list_ask(rent);
  }
  dk_rent_life_sweep(rent);
  rent->is_cut = dk_rent_emit_is_full(rent);
  out->more = rent->is_cut;
  rent->out = NULL;
  return rent->is_failed ? -ENOMEM : 0;
}

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

uint64_t dk_rent_deadline(const struct dk_rent *rent) {
  if (rent->is_cut || !rent->has_begun) return rent->now;
  return earlier(rent->wish_at, earlier(dk_rent_life_deadline(rent), dk_rent_list_deadline(rent)));
}

uint32_t dk_rent_count(const struct dk_rent *rent, uint32_t pool) {
  if (pool == DK_RENT_NO_POOL) return rent->n_machines;
  for (uint32_t i = 0; i < rent->n_pools; i++) {
    if (rent->pools[i].number == pool) return rent->pools[i].n;
  }
  return 0;
}

const struct dk_rented *dk_rent_at(const struct dk_rent *rent, uint32_t i) {
  assert(i < rent->n_machines);
  return &rent->machines[i].of;
}

const struct dk_rented *dk_rent_find(const struct dk_rent *rent, uint32_t number) {
  const struct dk_rent_machine *machine = dk_rent_machine_find(rent, number);
  return machine ? &machine->of : NULL;
}

bool dk_rent_is_going(const struct dk_rent *rent, uint32_t number) {
  const struct dk_rent_machine *machine = dk_rent_machine_find(rent, number);
  return machine && machine->of.state == DK_RENT_ENDING && (machine->is_agreed || !dk_rent_has_id(machine));
}

struct dk_purse dk_rent_spent(const struct dk_rent *rent, uint64_t unix_ns) {
  struct dk_purse spent = rent->spent;
  for (uint32_t i = 0; i < rent->n_machines; i++)
    dk_purse_add(&spent, rent->machines[i].of.shape.currency, dk_rented_cost(&rent->machines[i].of, unix_ns));
  return spent;
}

bool dk_rent_can(const struct dk_rent *rent, const struct dk_rent_need *need) {
  for (uint32_t i = 0; i < rent->n_pools; i++) {
    const struct dk_rent_pool_state *pool = &rent->pools[i];
    if (!dk_rent_is_configured(pool) || pool->is_removed || pool->max_instances == 0) continue;
    for (uint32_t k = 0; k < pool->n_offers; k++) {
      const struct dk_rent_shape *shape = &pool->offers[k].shape;
      if (dk_rent_fit_takes(shape, need) && dk_rent_fit_may(shape, need)) return true;
    }
  }
  return false;
}
