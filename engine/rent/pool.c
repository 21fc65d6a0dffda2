/* Pools: how they are configured, what their clouds' answers to create calls mean, and when they may be asked again. */
#include "engine/rent/internal.h"
#include "lang/base/alloc.h"
#include "lang/base/map.h"

#include <assert.h>
#include <string.h>

#define LAG (5 * 60 * UINT64_C(1000000000))
#define DOUBLED_MAX 5u
#define RETRY_AFTER_MAX (3600 * UINT64_C(1000000000))

static uint64_t random_below(struct dk_rent *rent, uint64_t n) {
  return n ? dk_hash_u64(rent->n_jitter++, rent->jitter) % n : 0;
}

static uint64_t doubled(uint64_t base, uint32_t times) {
  return base << (times < DOUBLED_MAX ? times : DOUBLED_MAX);
}

uint64_t dk_rent_later(struct dk_rent *rent, uint64_t base, uint32_t times) {
  uint64_t wait = doubled(base, times);
  return wait + random_below(rent, wait / 4);
}

uint64_t dk_rent_backoff(struct dk_rent *rent, uint32_t times) {
  uint64_t most = rent->policy.backoff_ns;
  for (uint32_t i = 0; i < times && most < rent->policy.backoff_max_ns; i++) most *= 2;
  return random_below(rent, most < rent->policy.backoff_max_ns ? most : rent->policy.backoff_max_ns) + 1;
}

struct dk_rent_pool_state *dk_rent_pool_find(struct dk_rent *rent, uint32_t number) {
  for (uint32_t i = 0; i < rent->n_pools; i++) {
    if (rent->pools[i].number == number && dk_rent_is_configured(&rent->pools[i])) return &rent->pools[i];
  }
  return NULL;
}

/* Does pool a come before b? */
static bool is_before(const struct dk_rent_pool_state *a, const struct dk_rent_pool_state *b) {
  return a->order != b->order ? a->order < b->order : a->number < b->number;
}

static void sort(struct dk_rent *rent) {
  for (uint32_t i = 0; i < rent->n_pools; i++) {
    uint32_t at = i;
    for (; at > 0 && is_before(&rent->pools[i], &rent->pools[rent->order[at - 1]]); at--)
      rent->order[at] = rent->order[at - 1];
    rent->order[at] = i;
  }
}

static uint32_t place_of(const struct dk_rent *rent, const char *name, const char *where) {
  for (uint32_t i = 0; i < rent->n_pools; i++) {
    if (strcmp(rent->pools[i].name, name) == 0 && strcmp(rent->pools[i].where, where) == 0) return i;
  }
  return DK_RENT_NO_POOL;
}

uint32_t dk_rent_pool_need(struct dk_rent *rent, const char *name, const char *where) {
  uint32_t at = place_of(rent, name, where);
  if (at != DK_RENT_NO_POOL) return at;
  if (!dk_grow(rent->pools, rent->n_pools, rent->cap_pools) || !dk_grow(rent->order, rent->n_pools, rent->cap_order)) {
    rent->is_failed = true;
    return DK_RENT_NO_POOL;
  }
  struct dk_rent_pool_state *pool = &rent->pools[rent->n_pools++];
  *pool = (struct dk_rent_pool_state){.number = DK_RENT_NO_POOL};
  dk_rent_copy(pool->name, sizeof pool->name, name);
  dk_rent_copy(pool->where, sizeof pool->where, where);
  sort(rent);
  return rent->n_pools - 1;
}

static bool copy_offers(struct dk_rent_pool_state *pool, const struct dk_rent_pool *from) {
  struct dk_rent_offer *offers = dk_calloc(from->n_shapes, sizeof *offers);
  if (!offers) return false;
  for (uint32_t i = 0; i < from->n_shapes; i++) offers[i].shape = from->shapes[i];
  dk_free(pool->offers);
  pool->offers = offers;
  pool->n_offers = from->n_shapes;
  return true;
}

static uint64_t at_most_ever(uint64_t ns) {
  return ns < UINT64_MAX / 4 ? ns : UINT64_MAX / 4;
}

/* What was recorded without a place is in this one, from now on. */
static void place(struct dk_rent *rent, const struct dk_rent_pool *from) {
  uint32_t at = place_of(rent, from->name, "");
  if (at == DK_RENT_NO_POOL || place_of(rent, from->name, from->where) != DK_RENT_NO_POOL) return;
  dk_rent_copy(rent->pools[at].where, sizeof rent->pools[at].where, from->where);
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    struct dk_rent_machine *machine = &rent->machines[i];
    if (machine->pool != at) continue;
    dk_rent_copy(machine->of.where, sizeof machine->of.where, from->where);
    dk_rent_emit_put(rent, machine);
  }
}

static void configure(struct dk_rent *rent, const struct dk_rent_pool *from) {
  place(rent, from);
  uint32_t i = dk_rent_pool_need(rent, from->name, from->where);
  if (i == DK_RENT_NO_POOL) return;
  struct dk_rent_pool_state *pool = &rent->pools[i];
  if (!copy_offers(pool, from)) {
    rent->is_failed = true;
    return;
  }
  assert(!dk_rent_is_configured(pool) || pool->number == from->number);
  pool->number = from->number;
  pool->version++;
  pool->order = from->order;
  pool->max_instances = from->max_instances;
  if (pool->allowed < from->max_instances) pool->allowed = from->max_instances;
  pool->idle_ns = at_most_ever(from->idle_ns);
  pool->boot_ns = at_most_ever(from->boot_ns);
  pool->lag_ns = from->lag_ns ? at_most_ever(from->lag_ns) : LAG;
  pool->is_paid = from->is_paid;
  pool->image = from->image;
  pool->is_removed = pool->is_closed = pool->is_stopped = pool->told_quota = pool->told_capacity = false;
  pool->fails = pool->quotas = pool->refusals = pool->list_fails = 0;
  pool->paused_until = pool->quota_until = pool->wait_until = pool->list_at = 0;
  sort(rent);
}

void dk_rent_pool_event(struct dk_rent *rent, const struct dk_rent_event *event) {
  if (event->kind == DK_RENT_EV_POOL) {
    configure(rent, event->u.configured);
    return;
  }
  struct dk_rent_pool_state *pool = dk_rent_pool_find(rent, event->pool);
  if (!pool) return;
  if (event->kind == DK_RENT_EV_IMAGE)
    pool->image = event->u.image;
  else
    pool->is_removed = true;
}

static struct dk_rent_offer *offer_of(struct dk_rent_pool_state *pool, const struct dk_rent_machine *machine) {
  for (uint32_t i = 0; i < pool->n_offers; i++) {
    if (strcmp(pool->offers[i].shape.name, machine->of.shape.name) == 0) return &pool->offers[i];
  }
  return NULL;
}

static void stop(struct dk_rent *rent, struct dk_rent_pool_state *pool, enum dk_rent_tell tell) {
  if (!pool->is_stopped) dk_rent_emit_tell(rent, tell, 0, pool->number, 0, 0);
  pool->is_stopped = true;
}

static void short_of_quota(struct dk_rent *rent, struct dk_rent_pool_state *pool) {
  /* Calls that were under way together are refused together: that is one refusal. */
  if (rent->now < pool->quota_until) return;
  pool->quota_until = rent->now + dk_rent_later(rent, rent->policy.quota_ns, pool->quotas++);
  /* Without this one, and those that are asked for and may be refused as well. */
  uint32_t there = pool->n - pool->n_strangers - pool->calls - 1;
  if (!pool->told_quota) dk_rent_emit_tell(rent, DK_RENT_TELL_QUOTA, 0, pool->number, there, 0);
  pool->told_quota = true;
}

static void close_offer(struct dk_rent *rent, struct dk_rent_offer *offer) {
  if (offer && rent->now >= offer->closed_until)
    offer->closed_until = rent->now + dk_rent_later(rent, rent->policy.capacity_ns, offer->refusals++);
}

static void short_of_capacity(struct dk_rent *rent, struct dk_rent_pool_state *pool, struct dk_rent_offer *offer) {
  close_offer(rent, offer);
  if (!pool->told_capacity) dk_rent_emit_tell(rent, DK_RENT_TELL_CAPACITY, 0, pool->number, 0, 0);
  pool->told_capacity = true;
}

void dk_rent_pool_refused(struct dk_rent *rent, const struct dk_rent_machine *machine,
                          const struct dk_rent_event *event) {
  struct dk_rent_pool_state *pool = dk_rent_pool_of(rent, machine);
  uint64_t retry_after = 0;
  switch (event->u.failed.reason) {
  case DK_RENT_QUOTA: short_of_quota(rent, pool); return;
  case DK_RENT_CAPACITY: short_of_capacity(rent, pool, offer_of(pool, machine)); return;
  case DK_RENT_DENIED:
  case DK_RENT_BAD:
    if (machine->version != pool->version) break; /* since then people may have put it right */
    stop(rent, pool, event->u.failed.reason == DK_RENT_DENIED ? DK_RENT_TELL_DENIED : DK_RENT_TELL_BAD);
    return;
  case DK_RENT_THROTTLED:
    retry_after = event->u.failed.retry_after_ns;
    if (retry_after > RETRY_AFTER_MAX) retry_after = RETRY_AFTER_MAX;
    break;
  case DK_RENT_TRANSIENT: break;
  }
  uint64_t until = rent->now + retry_after + dk_rent_backoff(rent, pool->refusals++);
  if (until > pool->wait_until) pool->wait_until = until;
}

void dk_rent_pool_made(struct dk_rent *rent, const struct dk_rent_machine *machine) {
  struct dk_rent_pool_state *pool = dk_rent_pool_of(rent, machine);
  pool->quotas = pool->refusals = 0;
  pool->told_quota = pool->told_capacity = false;
}

void dk_rent_pool_failed(struct dk_rent *rent, const struct dk_rent_machine *machine, bool is_refused) {
  struct dk_rent_pool_state *pool = dk_rent_pool_of(rent, machine);
  if (is_refused) close_offer(rent, offer_of(pool, machine));
  /* What fails during a pause was made before it: it is the same trouble. */
  if (rent->now < pool->paused_until) return;
  uint32_t most = rent->policy.fails_max;
  if (++pool->fails < most) return;
  uint64_t wait = dk_rent_later(rent, rent->policy.pause_ns, pool->fails - most);
  pool->paused_until = rent->now + wait;
  dk_rent_emit_tell(rent, DK_RENT_TELL_FAILING, 0, pool->number, pool->fails, wait);
}

void dk_rent_pool_works(struct dk_rent *rent, const struct dk_rent_machine *machine) {
  struct dk_rent_pool_state *pool = dk_rent_pool_of(rent, machine);
  struct dk_rent_offer *offer = offer_of(pool, machine);
  if (offer) offer->refusals = 0;
  pool->fails = 0;
  pool->paused_until = 0;
}

void dk_rent_pool_finish(struct dk_rent *rent) {
  for (uint32_t i = 0; i < rent->n_pools; i++) dk_free(rent->pools[i].offers);
  dk_free(rent->pools);
  dk_free(rent->order);
}
