/* How many instances are wanted by now: what is created, and what has had nothing to do for long enough. */
#include "engine/rent/internal.h"
#include "lang/base/alloc.h"

#include <string.h>

void dk_rent_wish_demand(struct dk_rent *rent, const struct dk_rent_event *event) {
  rent->n_needs = 0;
  for (uint32_t i = 0; i < event->u.demand.n; i++) {
    if (!dk_grow(rent->needs, rent->n_needs, rent->cap_needs) || !dk_grow(rent->left, rent->n_needs, rent->cap_left)) {
      rent->is_failed = true;
      return;
    }
    rent->needs[rent->n_needs++] = event->u.demand.needs[i];
  }
  rent->is_demand_fresh = true;
}

enum answer { MAY, NOT_HERE, WAIT };

static uint32_t count_coming(const struct dk_rent *rent, uint32_t at) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    const struct dk_rent_machine *machine = &rent->machines[i];
    n += machine->pool == at && !machine->is_gone && dk_rent_is_coming(machine);
  }
  return n;
}

/* Is an image being made of one of the pool's? */
static bool is_building(const struct dk_rent *rent, uint32_t at) {
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    const struct dk_rent_machine *machine = &rent->machines[i];
    if (machine->pool == at && machine->of.is_builder && !machine->is_gone && machine->of.state != DK_RENT_ENDING)
      return true;
  }
  return false;
}

/* It gets tasks, or got some. */
static bool has_worker(const struct dk_rent *rent, uint32_t at) {
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    const struct dk_rent_machine *machine = &rent->machines[i];
    if (machine->pool == at && !machine->of.is_builder && !machine->is_gone) return true;
  }
  return false;
}

static void note(uint64_t *ret_at, uint64_t at) {
  if (at < *ret_at) *ret_at = at;
}

/* May the pool be asked for one more? */
static enum answer may_ask(const struct dk_rent *rent, uint32_t at, uint64_t *ret_at) {
  const struct dk_rent_pool_state *pool = &rent->pools[at];
  if (!dk_rent_is_configured(pool) || pool->is_removed || pool->is_closed || pool->is_stopped) return NOT_HERE;
  if (pool->image == DK_RENT_IMAGE_SOUGHT || (pool->image == DK_RENT_IMAGE_MISSING && is_building(rent, at)))
    return WAIT;
  if (pool->n >= pool->max_instances) return NOT_HERE;
  if (rent->now < pool->paused_until || rent->now < pool->quota_until) {
    note(ret_at, pool->paused_until > pool->quota_until ? pool->paused_until : pool->quota_until);
    return NOT_HERE;
  }
  /* After so many failures one at a time is tried. */
  if (pool->fails >= rent->policy.fails_max && count_coming(rent, at)) return NOT_HERE;
  if (pool->is_paid && !rent->policy.no_canary && !pool->is_proven && has_worker(rent, at)) return WAIT;
  bool is_careful = pool->quotas || pool->refusals;
  if (pool->calls >= (is_careful ? 1 : rent->policy.calls_max)) return WAIT;
  if (rent->now >= pool->wait_until) return MAY;
  note(ret_at, pool->wait_until);
  return WAIT;
}

static void create(struct dk_rent *rent, uint32_t at, uint32_t shape, uint64_t unix_ns) {
  struct dk_rent_pool_state *pool = &rent->pools[at];
  struct dk_rent_machine *machine = dk_rent_machine_add(rent, at, DK_RENT_ASKED, unix_ns);
  if (!machine) return;
  machine->of.shape = pool->offers[shape].shape;
  machine->of.is_builder = pool->image == DK_RENT_IMAGE_MISSING;
  machine->is_calling = true;
  machine->version = pool->version;
  pool->calls++;
  dk_rent_emit_taken(rent);
  dk_rent_emit_put(rent, machine);
  dk_rent_emit_act(rent, DK_RENT_CREATE, machine);
  if (!machine->of.is_builder) dk_rent_fit_add(rent, (uint32_t)(machine - rent->machines));
}

/* Of the instance that the need asks the pool for, or of the one that makes an image for it. */
static uint32_t choose_shape(const struct dk_rent *rent, const struct dk_rent_pool_state *pool,
                             const struct dk_rent_need *need, uint64_t *ret_at) {
  uint32_t shape = dk_rent_fit_shape(rent, pool, need, ret_at);
  bool is_for_image = shape != DK_RENT_NO_POOL && pool->image == DK_RENT_IMAGE_MISSING;
  return is_for_image ? dk_rent_fit_least(rent, pool, need, ret_at) : shape;
}

/* One instance for the need, of the first pool that has one. False: there is none for it now. */
static bool ask_one(struct dk_rent *rent, const struct dk_rent_need *need, uint64_t unix_ns) {
  for (uint32_t i = 0; i < rent->n_pools; i++) {
    uint32_t at = rent->order[i];
    uint64_t open_at = DK_RENT_NEVER;
    uint32_t shape = choose_shape(rent, &rent->pools[at], need, &open_at);
    enum answer answer = shape == DK_RENT_NO_POOL ? NOT_HERE : may_ask(rent, at, &open_at);
    note(&rent->wish_at, open_at);
    if (answer == NOT_HERE) continue;
    if (answer == WAIT) return false;
    create(rent, at, shape, unix_ns);
    return !rent->is_failed;
  }
  return false;
}

static bool has_passed(const struct dk_rent *rent, uint64_t *from, uint64_t ns) {
  if (*from == DK_RENT_NEVER) *from = rent->now;
  return rent->now - *from >= ns;
}

/* What has nothing to do. What boots and is not wanted any more counts as well; so does, in the end, what would take
 * some of the demand and is given none: then something is wrong with it that only the world knows. True: what others
 * have to take has changed by that. */
static bool end_idle(struct dk_rent *rent) {
  bool has_ended = false;
  for (uint32_t i = 0; i < rent->n_machines && !dk_rent_emit_is_full(rent); i++) {
    struct dk_rent_machine *machine = &rent->machines[i];
    const struct dk_rent_pool_state *pool = dk_rent_pool_of(rent, machine);
    bool is_up = machine->of.state == DK_RENT_UP;
    bool is_done =
        machine->of.state == DK_RENT_MADE || (is_up && machine->is_load_known && !machine->tasks && !machine->unsaved);
    if (machine->is_gone || machine->of.is_builder || !dk_rent_is_configured(pool)) is_done = false;
    if (!is_done || machine->is_needed) machine->idle_from = DK_RENT_NEVER;
    if (!is_done || !is_up || !machine->is_needed) machine->unused_from = DK_RENT_NEVER;
    if (!is_done) continue;
    if (!machine->is_needed && has_passed(rent, &machine->idle_from, pool->idle_ns))
      dk_rent_life_happen(rent, machine, DK_RENT_FACT_IDLE);
    if (!machine->is_needed || !is_up || !has_passed(rent, &machine->unused_from, rent->policy.unused_ns)) continue;
    dk_rent_life_happen(rent, machine, DK_RENT_FACT_UNUSED);
    has_ended = true;
  }
  return has_ended;
}

static bool fill(struct dk_rent *rent) {
  if (rent->n_needs) memcpy(rent->left, rent->needs, rent->n_needs * sizeof *rent->left);
  return dk_rent_fit_fill(rent);
}

void dk_rent_wish_pass(struct dk_rent *rent, uint64_t unix_ns) {
  rent->wish_at = DK_RENT_NEVER;
  if (!fill(rent) || (end_idle(rent) && !fill(rent))) return;
  struct dk_rent_need *left = rent->left;
  for (uint32_t k = 0; k < rent->n_needs && rent->is_demand_fresh; k++) {
    while (left[k].n && !dk_rent_emit_is_full(rent) && ask_one(rent, &left[k], unix_ns)) continue;
  }
}
