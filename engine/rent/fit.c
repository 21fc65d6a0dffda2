/* Which instances and which shapes take what of the demand: see "What is made" in rent.h. */
#include "engine/rent/internal.h"
#include "lang/base/alloc.h"

#include <stdlib.h>
#include <string.h>

#define GIB (UINT64_C(1) << 30)

/* What a shape costs where its price is not known: only to be compared with others of that kind. */
static uint64_t size_of(const struct dk_rent_shape *shape) {
  return shape->cpus + shape->memory / (4 * GIB) + UINT64_C(16) * shape->gpus;
}

static uint64_t cost_of(const struct dk_rent_shape *shape) {
  return shape->price == DK_RENT_NO_PRICE ? size_of(shape) : shape->price;
}

/* How many tasks of the need fit, of those that it has. */
static uint32_t fitting(uint32_t cpus, uint32_t gpus, uint64_t memory, const struct dk_rent_need *need) {
  uint32_t n = cpus / (need->cpus ? need->cpus : 1);
  if (need->gpus && gpus / need->gpus < n) n = gpus / need->gpus;
  if (need->memory && memory / need->memory < n) n = (uint32_t)(memory / need->memory);
  return n < need->n ? n : need->n;
}

bool dk_rent_fit_may(const struct dk_rent_shape *shape, const struct dk_rent_need *need) {
  bool is_free = shape->price == DK_RENT_NO_PRICE || shape->price == 0;
  return is_free || (need->may_pay && (!*need->currency || strcmp(need->currency, shape->currency) == 0));
}

bool dk_rent_fit_takes(const struct dk_rent_shape *shape, const struct dk_rent_need *need) {
  struct dk_rent_need one = *need;
  one.n = 1;
  return fitting(shape->cpus, shape->gpus, shape->memory, &one) == 1;
}

/* --- instances that are there --- */

/* Tasks would go to it, or it is too early to say that they would not. */
static bool is_taking(const struct dk_rent *rent, const struct dk_rent_machine *machine) {
  const struct dk_rent_pool_state *pool = &rent->pools[machine->pool];
  if (machine->is_gone || machine->of.is_leaving || machine->of.is_builder) return false;
  if (!dk_rent_is_configured(pool) || pool->is_removed) return false;
  if (machine->of.state != DK_RENT_UP) return dk_rent_is_coming(machine);
  return !machine->tasks && (machine->is_answering || rent->now - machine->down_from < rent->policy.down_ns);
}

/* What is coming stays in the order in which it was asked for, at the end: else the next step would find other tasks
 * left than the one that asked for it. */
static int compare(const void *left, const void *right) {
  const struct dk_rent_room *a = left, *b = right;
  if (a->is_up != b->is_up) return a->is_up ? -1 : 1;
  if (!a->is_up) return a->number < b->number ? -1 : 1;
  if (a->has_price != b->has_price) return a->has_price ? -1 : 1;
  if (a->cost != b->cost) return a->cost < b->cost ? -1 : 1;
  return a->number < b->number ? -1 : a->number > b->number;
}

static struct dk_rent_room *add_room(struct dk_rent *rent, uint32_t i) {
  const struct dk_rent_machine *machine = &rent->machines[i];
  const struct dk_rent_shape *shape = &machine->of.shape;
  if (!dk_grow(rent->rooms, rent->n_rooms, rent->cap_rooms)) {
    rent->is_failed = true;
    return NULL;
  }
  struct dk_rent_room *room = &rent->rooms[rent->n_rooms++];
  *room = (struct dk_rent_room){.machine = i,
                                .cpus = shape->cpus,
                                .gpus = shape->gpus,
                                .memory = shape->memory,
                                .is_up = machine->of.state == DK_RENT_UP,
                                .has_price = shape->price != DK_RENT_NO_PRICE,
                                .cost = cost_of(shape),
                                .number = machine->of.number};
  return room;
}

static void fill(struct dk_rent *rent, struct dk_rent_room *room, struct dk_rent_need *need) {
  uint32_t n = fitting(room->cpus, room->gpus, room->memory, need);
  if (!n) return;
  room->cpus -= n * (need->cpus ? need->cpus : 1);
  room->gpus -= n * need->gpus;
  room->memory -= n * need->memory;
  need->n -= n;
  rent->machines[room->machine].is_needed = true;
}

static void fill_all(struct dk_rent *rent, struct dk_rent_room *room) {
  for (uint32_t k = 0; k < rent->n_needs; k++) fill(rent, room, &rent->left[k]);
}

bool dk_rent_fit_fill(struct dk_rent *rent) {
  rent->n_rooms = 0;
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    rent->machines[i].is_needed = false;
    if (is_taking(rent, &rent->machines[i]) && !add_room(rent, i)) return false;
  }
  if (rent->n_rooms) qsort(rent->rooms, rent->n_rooms, sizeof *rent->rooms, compare);
  for (uint32_t i = 0; i < rent->n_rooms; i++) fill_all(rent, &rent->rooms[i]);
  return true;
}

void dk_rent_fit_add(struct dk_rent *rent, uint32_t machine) {
  struct dk_rent_room *room = add_room(rent, machine);
  if (room) fill_all(rent, room);
}

/* --- shapes --- */

static bool is_better(const struct dk_rent_shape *a, uint32_t takes_a, const struct dk_rent_shape *b,
                      uint32_t takes_b) {
  bool has_a = a->price != DK_RENT_NO_PRICE, has_b = b->price != DK_RENT_NO_PRICE;
  if (has_a != has_b) return has_a;
  unsigned __int128 for_a = (unsigned __int128)cost_of(a) * takes_b, for_b = (unsigned __int128)cost_of(b) * takes_a;
  if (for_a != for_b) return for_a < for_b;
  if (takes_a != takes_b) return takes_a > takes_b;
  return size_of(a) < size_of(b);
}

uint32_t dk_rent_fit_shape(const struct dk_rent *rent, const struct dk_rent_pool_state *pool,
                           const struct dk_rent_need *need, uint64_t *ret_at) {
  uint32_t best = DK_RENT_NO_POOL, best_takes = 0;
  for (uint32_t i = 0; i < pool->n_offers; i++) {
    const struct dk_rent_offer *offer = &pool->offers[i];
    uint32_t takes = fitting(offer->shape.cpus, offer->shape.gpus, offer->shape.memory, need);
    if (!takes || !dk_rent_fit_may(&offer->shape, need)) continue;
    if (rent->now < offer->closed_until) {
      if (offer->closed_until < *ret_at) *ret_at = offer->closed_until;
      continue;
    }
    if (best != DK_RENT_NO_POOL && !is_better(&offer->shape, takes, &pool->offers[best].shape, best_takes)) continue;
    best = i;
    best_takes = takes;
  }
  return best;
}

uint32_t dk_rent_fit_least(const struct dk_rent *rent, const struct dk_rent_pool_state *pool,
                           const struct dk_rent_need *need, uint64_t *ret_at) {
  uint32_t best = DK_RENT_NO_POOL;
  for (uint32_t i = 0; i < pool->n_offers; i++) {
    const struct dk_rent_offer *offer = &pool->offers[i];
    if (!dk_rent_fit_may(&offer->shape, need)) continue;
    if (rent->now < offer->closed_until) {
      if (offer->closed_until < *ret_at) *ret_at = offer->closed_until;
      continue;
    }
    if (best == DK_RENT_NO_POOL || is_better(&offer->shape, 1, &pool->offers[best].shape, 1)) best = i;
  }
  return best;
}
