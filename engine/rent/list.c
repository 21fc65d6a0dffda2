/* What lists, gets and deletes prove (rent.h): who is there, who is not, and who is of this store without a record. */
#include "engine/rent/internal.h"
#include "lang/base/alloc.h"

#include <string.h>

#define BLIND 5u

void dk_rent_list_missing(struct dk_rent *rent, struct dk_rent_machine *machine, uint64_t asked) {
  machine->is_standing = false;
  if (machine->is_calling || machine->is_answering) return;
  bool is_known = dk_rent_has_id(machine);
  uint64_t from = machine->settled_at + (is_known ? dk_rent_pool_of(rent, machine)->lag_ns : 0);
  uint64_t apart = is_known ? rent->policy.again_ns : rent->policy.doubt_ns;
  if (asked < from) return;
  if (machine->missing_from == DK_RENT_NEVER)
    machine->missing_from = asked;
  else if (asked >= machine->missing_from && asked - machine->missing_from >= apart)
    machine->is_missing = true;
}

/* It is there, and does not run. */
static void note_stopped(struct dk_rent *rent, struct dk_rent_machine *machine, uint64_t asked) {
  if (machine->is_answering) return;
  if (machine->stopped_from == DK_RENT_NEVER)
    machine->stopped_from = asked;
  else if (asked - machine->stopped_from >= rent->policy.again_ns)
    machine->is_stopped = true;
}

static void dial(struct dk_rent *rent, struct dk_rent_machine *machine) {
  bool is_wanted = machine->of.state == DK_RENT_MADE || machine->of.state == DK_RENT_UP;
  if (!is_wanted || machine->is_dialled) return;
  machine->is_dialled = true;
  dk_rent_emit_act(rent, DK_RENT_DIAL, machine);
}

static void see(struct dk_rent *rent, struct dk_rent_machine *machine, const struct dk_rent_event *event) {
  const struct dk_rent_pool_state *pool = dk_rent_pool_of(rent, machine);
  enum dk_rent_seen seen = event->u.listed.seen;
  machine->is_standing = seen != DK_RENT_DELETING;
  machine->is_listed = true;
  machine->serial = pool->serial;
  machine->missing_from = DK_RENT_NEVER;
  machine->is_missing = false;
  if (!dk_rent_has_id(machine)) {
    dk_rent_copy(machine->of.id, sizeof machine->of.id, event->u.listed.id);
    if (machine->of.state == DK_RENT_ENDING) dk_rent_emit_put(rent, machine);
  }
  dk_rent_life_happen(rent, machine, seen == DK_RENT_FAILED ? DK_RENT_FACT_FAILED : DK_RENT_FACT_SEEN);
  if (seen == DK_RENT_STOPPED || seen == DK_RENT_DELETING || seen == DK_RENT_FAILED) {
    note_stopped(rent, machine, pool->list_asked);
    return;
  }
  machine->stopped_from = DK_RENT_NEVER;
  machine->is_stopped = false;
  if (seen == DK_RENT_RUNNING) dial(rent, machine);
}

/* --- strangers --- */

static struct dk_rent_suspect *suspect_of(struct dk_rent *rent, uint32_t pool, const char *id) {
  for (uint32_t i = 0; i < rent->n_suspects; i++) {
    if (rent->suspects[i].pool == pool && strcmp(rent->suspects[i].id, id) == 0) return &rent->suspects[i];
  }
  if (!dk_grow(rent->suspects, rent->n_suspects, rent->cap_suspects)) {
    rent->is_failed = true;
    return NULL;
  }
  struct dk_rent_suspect *suspect = &rent->suspects[rent->n_suspects++];
  *suspect = (struct dk_rent_suspect){.pool = pool, .first_asked = rent->pools[pool].list_asked};
  dk_rent_copy(suspect->id, sizeof suspect->id, id);
  return suspect;
}

static void take_in(struct dk_rent *rent, uint32_t pool, const struct dk_rent_event *event) {
  struct dk_rent_machine *machine = dk_rent_machine_add(rent, pool, DK_RENT_ENDING, event->unix_ns);
  if (!machine) return;
  machine->of.is_stranger = true;
  rent->pools[pool].n_strangers++;
  dk_rent_copy(machine->of.id, sizeof machine->of.id, event->u.listed.id);
  machine->is_listed = true;
  machine->serial = rent->pools[pool].serial;
  machine->delete_at = rent->now;
  dk_rent_emit_taken(rent);
  dk_rent_emit_put(rent, machine);
  dk_rent_emit_tell(rent, DK_RENT_TELL_STRANGER, machine->of.number, rent->pools[pool].number, 0, 0);
}

static void suspect(struct dk_rent *rent, uint32_t pool, const struct dk_rent_event *event) {
  struct dk_rent_suspect *suspect = suspect_of(rent, pool, event->u.listed.id);
  if (!suspect) return;
  suspect->serial = rent->pools[pool].serial;
  uint64_t age = event->u.listed.age_ns, seen = rent->pools[pool].list_asked - suspect->first_asked;
  if (age == UINT64_MAX || age < rent->policy.doubt_ns || seen < rent->policy.again_ns) return;
  *suspect = rent->suspects[--rent->n_suspects];
  take_in(rent, pool, event);
}

/* --- lists --- */

/* By its id; one whose id is not known by its name. */
static struct dk_rent_machine *find(struct dk_rent *rent, uint32_t pool, const struct dk_rent_event *event) {
  struct dk_rent_machine *named = NULL;
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    struct dk_rent_machine *machine = &rent->machines[i];
    if (machine->pool != pool || machine->is_gone) continue;
    if (!dk_rent_has_id(machine)) {
      if (strcmp(machine->name, event->u.listed.name) == 0) named = machine;
    } else if (strcmp(machine->of.id, event->u.listed.id) == 0) {
      return machine;
    }
  }
  return named;
}

/* Two pools may be of one account: each list shows what is the other's. */
static bool is_of_another(const struct dk_rent *rent, uint32_t pool, const struct dk_rent_event *event) {
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    const struct dk_rent_machine *machine = &rent->machines[i];
    if (machine->pool == pool || machine->is_gone) continue;
    if (strcmp(machine->of.id, event->u.listed.id) == 0 || strcmp(machine->name, event->u.listed.name) == 0)
      return true;
  }
  return false;
}

static void listed(struct dk_rent *rent, uint32_t pool, const struct dk_rent_event *event) {
  struct dk_rent_machine *machine = find(rent, pool, event);
  if (machine)
    see(rent, machine, event);
  else if (event->u.listed.is_ours && !is_of_another(rent, pool, event))
    suspect(rent, pool, event);
}

static void end(struct dk_rent *rent, uint32_t at, bool is_complete) {
  struct dk_rent_pool_state *pool = &rent->pools[at];
  pool->is_listing = false;
  if (!is_complete) {
    pool->list_at = rent->now + dk_rent_backoff(rent, pool->list_fails + 2);
    if (++pool->list_fails == BLIND) dk_rent_emit_tell(rent, DK_RENT_TELL_BLIND, 0, pool->number, BLIND, 0);
    return;
  }
  pool->list_fails = 0;
  pool->list_at = 0;
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    struct dk_rent_machine *machine = &rent->machines[i];
    bool is_there = machine->is_listed && machine->serial == pool->serial;
    if (machine->pool == at && !machine->is_gone && !is_there) dk_rent_list_missing(rent, machine, pool->list_asked);
  }
  for (uint32_t i = 0; i < rent->n_suspects;) {
    struct dk_rent_suspect *suspect = &rent->suspects[i];
    if (suspect->pool == at && suspect->serial != pool->serial)
      *suspect = rent->suspects[--rent->n_suspects];
    else
      i++;
  }
}

void dk_rent_list_event(struct dk_rent *rent, const struct dk_rent_event *event) {
  struct dk_rent_pool_state *pool = dk_rent_pool_find(rent, event->pool);
  bool is_row = event->kind == DK_RENT_EV_LISTED;
  uint32_t serial = is_row ? event->u.listed.serial : event->u.list_end.serial;
  if (!pool || !pool->is_listing || serial != pool->serial) return;
  uint32_t at = (uint32_t)(pool - rent->pools);
  if (is_row)
    listed(rent, at, event);
  else
    end(rent, at, event->u.list_end.is_complete);
}

/* When the pool's next list is wanted. */
static uint64_t due(const struct dk_rent *rent, uint32_t at) {
  const struct dk_rent_pool_state *pool = &rent->pools[at];
  if (!dk_rent_is_configured(pool) || pool->is_listing || (pool->is_removed && !pool->n)) return DK_RENT_NEVER;
  if (!pool->serial) return rent->now;
  uint64_t wait = rent->policy.list_seldom_ns;
  for (uint32_t i = 0; i < rent->n_suspects; i++) {
    if (rent->suspects[i].pool == at && rent->policy.list_ns < wait) wait = rent->policy.list_ns;
  }
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    const struct dk_rent_machine *machine = &rent->machines[i];
    if (machine->pool != at || machine->is_answering || machine->of.state == DK_RENT_ASKED) continue;
    bool is_soon = machine->of.state != DK_RENT_UP && !machine->is_dialled;
    uint64_t mine = is_soon ? rent->policy.list_soon_ns : rent->policy.list_ns;
    if (mine < wait) wait = mine;
  }
  uint64_t at_last = pool->list_asked + wait;
  return at_last > pool->list_at ? at_last : pool->list_at;
}

void dk_rent_list_ask(struct dk_rent *rent) {
  for (uint32_t i = 0; i < rent->n_pools && !dk_rent_emit_is_full(rent); i++) {
    if (due(rent, i) > rent->now) continue;
    struct dk_rent_pool_state *pool = &rent->pools[i];
    pool->is_listing = true;
    pool->serial++;
    pool->list_asked = rent->now;
    dk_rent_emit_list(rent, pool);
  }
}

uint64_t dk_rent_list_deadline(const struct dk_rent *rent) {
  uint64_t at = DK_RENT_NEVER;
  for (uint32_t i = 0; i < rent->n_pools; i++) {
    uint64_t next = due(rent, i);
    if (next < at) at = next;
  }
  return at;
}
