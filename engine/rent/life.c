/* The life of an instance: one table says what each fact makes of each state; the rest finds the facts out. */
#include "engine/rent/internal.h"

#include <assert.h>
#include <string.h>

/* In the table: the next state, or one of these. */
#define STAY 0u
#define GONE 6u
#define FAIL 0x80u /* with a state: a machine of the pool has come to nothing */

#define ASKED DK_RENT_ASKED
#define DOUBT DK_RENT_DOUBT
#define MADE DK_RENT_MADE
#define UP DK_RENT_UP
#define ENDING DK_RENT_ENDING
#define AT(fact) [DK_RENT_FACT_##fact]

static const uint8_t next_state[ENDING + 1][DK_RENT_N_FACTS] = {
    [ASKED] = {AT(CREATED) = MADE, AT(REFUSED) = GONE, AT(BROKE) = DOUBT, AT(SEEN) = MADE, AT(FAILED) = ENDING | FAIL,
               AT(RELEASED) = ENDING},
    [DOUBT] = {AT(SEEN) = MADE, AT(FAILED) = ENDING | FAIL, AT(MISSING) = GONE, AT(RELEASED) = ENDING},
    [MADE] = {AT(FAILED) = ENDING | FAIL, AT(STOPPED) = ENDING | FAIL, AT(MISSING) = GONE | FAIL, AT(REACHED) = UP,
              AT(LATE) = ENDING | FAIL, AT(IDLE) = ENDING, AT(RELEASED) = ENDING},
    [UP] = {AT(STOPPED) = ENDING, AT(MISSING) = GONE, AT(IDLE) = ENDING, AT(UNUSED) = ENDING | FAIL,
            AT(RELEASED) = ENDING},
    [ENDING] = {AT(REFUSED) = GONE, AT(MISSING) = GONE},
};

static void forget(struct dk_rent *rent, struct dk_rent_machine *machine) {
  if (machine->is_dialled || machine->of.host != DK_RENT_NO_HOST) dk_rent_emit_act(rent, DK_RENT_FORGET, machine);
  machine->is_dialled = false;
}

#define STUCK 10u

static void ask_delete(struct dk_rent *rent, struct dk_rent_machine *machine) {
  if (!dk_rent_has_id(machine) || machine->is_deleting || rent->now < machine->delete_at) return;
  machine->is_deleting = true;
  machine->delete_asked = rent->now;
  dk_rent_emit_act(rent, DK_RENT_DELETE, machine);
  if (++machine->deletes < STUCK || !machine->is_standing || machine->was_stuck_told) return;
  machine->was_stuck_told = true;
  dk_rent_emit_tell(rent, DK_RENT_TELL_STUCK, machine->of.number, dk_rent_pool_of(rent, machine)->number,
                    machine->deletes, 0);
}

static void enter(struct dk_rent *rent, struct dk_rent_machine *machine, enum dk_rent_state state) {
  rent->has_news = true;
  machine->of.state = state;
  machine->missing_from = machine->stopped_from = DK_RENT_NEVER;
  machine->idle_from = machine->unused_from = DK_RENT_NEVER;
  machine->is_missing = machine->is_stopped = false;
  dk_rent_emit_put(rent, machine);
  switch (state) {
  case DK_RENT_ASKED: break;
  case DK_RENT_DOUBT: machine->settled_at = rent->now; break;
  case DK_RENT_MADE:
    machine->settled_at = machine->boots_from = rent->now;
    dk_rent_pool_made(rent, machine);
    break;
  case DK_RENT_UP: break;
  case DK_RENT_ENDING:
    forget(rent, machine);
    machine->is_answering = machine->is_hard = machine->is_soft = false;
    machine->delete_at = rent->now;
    ask_delete(rent, machine);
    break;
  }
}

/* In the commit that takes the record out: then it is counted once. */
static void settle_cost(struct dk_rent *rent, const struct dk_rent_machine *machine) {
  uint64_t cost = dk_rent_has_id(machine) ? dk_rented_cost(&machine->of, rent->unix_ns) : 0;
  if (!cost) return;
  dk_purse_add(&rent->spent, machine->of.shape.currency, cost);
  dk_rent_emit_spent(rent, machine->of.shape.currency);
}

static void leave(struct dk_rent *rent, struct dk_rent_machine *machine) {
  bool was_doubt = machine->of.state == DK_RENT_DOUBT;
  machine->is_gone = true;
  machine->gate = rent->seq;
  dk_rent_emit_del(rent, machine);
  settle_cost(rent, machine);
  forget(rent, machine);
  if (was_doubt)
    dk_rent_emit_tell(rent, DK_RENT_TELL_GIVEN_UP, machine->of.number, dk_rent_pool_of(rent, machine)->number, 0, 0);
}

void dk_rent_life_happen(struct dk_rent *rent, struct dk_rent_machine *machine, enum dk_rent_fact fact) {
  uint8_t next = next_state[machine->of.state][fact];
  bool is_lost = fact == DK_RENT_FACT_STOPPED || fact == DK_RENT_FACT_MISSING;
  if (is_lost && machine->of.state == DK_RENT_UP)
    dk_rent_emit_tell(rent, DK_RENT_TELL_LOST, machine->of.number, dk_rent_pool_of(rent, machine)->number,
                      machine->unsaved, 0);
  if (next & FAIL) dk_rent_pool_failed(rent, machine, fact == DK_RENT_FACT_FAILED);
  next &= (uint8_t)~FAIL;
  if (next == GONE)
    leave(rent, machine);
  else if (next != STAY)
    enter(rent, machine, (enum dk_rent_state)next);
}

/* --- events --- */

/* The answer to its create call. */
static void settle(struct dk_rent *rent, struct dk_rent_machine *machine, const struct dk_rent_event *event) {
  if (!machine->is_calling) return;
  machine->is_calling = false;
  machine->settled_at = rent->now;
  dk_rent_pool_of(rent, machine)->calls--;
  if (event->kind == DK_RENT_EV_CREATED) {
    assert(event->u.created.id[0]);
    bool is_new = !dk_rent_has_id(machine);
    if (is_new) dk_rent_copy(machine->of.id, sizeof machine->of.id, event->u.created.id);
    if (is_new && machine->of.state == DK_RENT_ENDING) dk_rent_emit_put(rent, machine);
    dk_rent_life_happen(rent, machine, DK_RENT_FACT_CREATED);
  } else if (event->kind == DK_RENT_EV_CREATE_FAILED) {
    dk_rent_pool_refused(rent, machine, event);
    /* A list has shown it already: then the call was done twice. */
    if (!dk_rent_has_id(machine)) dk_rent_life_happen(rent, machine, DK_RENT_FACT_REFUSED);
  } else {
    dk_rent_life_happen(rent, machine, DK_RENT_FACT_BROKE);
  }
}

static void deleted(struct dk_rent *rent, struct dk_rent_machine *machine, enum dk_rent_delete answer) {
  if (!machine->is_deleting) return;
  machine->is_deleting = false;
  machine->is_agreed |= answer == DK_RENT_ACCEPTED || answer == DK_RENT_NOT_FOUND;
  machine->delete_at = rent->now + dk_rent_backoff(rent, machine->deletes);
  if (answer == DK_RENT_NOT_FOUND) dk_rent_list_missing(rent, machine, machine->delete_asked);
}

static void agent_up(struct dk_rent *rent, struct dk_rent_machine *machine) {
  if (machine->of.state != DK_RENT_MADE && machine->of.state != DK_RENT_UP) return;
  machine->is_answering = true;
  machine->missing_from = machine->stopped_from = DK_RENT_NEVER;
  machine->is_missing = machine->is_stopped = machine->was_kept_told = false;
  rent->is_demand_fresh = false;
  if (machine->of.state == DK_RENT_MADE) {
    dk_rent_pool_works(rent, machine);
    machine->is_load_known = true; /* it has had no task before */
  }
  dk_rent_life_happen(rent, machine, DK_RENT_FACT_REACHED);
}

static void load(struct dk_rent *rent, struct dk_rent_machine *machine, const struct dk_rent_event *event) {
  if (machine->of.state != DK_RENT_UP) return;
  if (event->u.load.tasks > machine->tasks) rent->is_demand_fresh = false;
  machine->is_load_known = true;
  machine->tasks = event->u.load.tasks;
  machine->unsaved = event->u.load.unsaved;
  if (!event->u.load.is_proof || machine->of.is_proven) return;
  machine->of.is_proven = dk_rent_pool_of(rent, machine)->is_proven = true;
  dk_rent_emit_put(rent, machine);
}

void dk_rent_life_event(struct dk_rent *rent, const struct dk_rent_event *event) {
  struct dk_rent_machine *machine = dk_rent_machine_find(rent, event->number);
  if (!machine) return;
  switch (event->kind) {
  case DK_RENT_EV_CREATED:
  case DK_RENT_EV_CREATE_FAILED:
  case DK_RENT_EV_CREATE_DOUBT: settle(rent, machine, event); break;
  case DK_RENT_EV_GONE:
    if (dk_rent_has_id(machine)) dk_rent_list_missing(rent, machine, event->u.gone.asked_ns);
    break;
  case DK_RENT_EV_DELETE_ANSWERED: deleted(rent, machine, event->u.deleted.answer); break;
  case DK_RENT_EV_HOST:
    if (machine->of.host == event->u.host.host) break;
    machine->of.host = event->u.host.host;
    dk_rent_emit_put(rent, machine);
    break;
  case DK_RENT_EV_AGENT_UP: agent_up(rent, machine); break;
  case DK_RENT_EV_AGENT_DOWN:
    if (machine->is_answering) machine->down_from = rent->now;
    machine->is_answering = false;
    break;
  default: load(rent, machine, event); break;
  }
}

void dk_rent_life_release(struct dk_rent *rent, const struct dk_rent_event *event) {
  bool is_all = event->number == DK_RENT_ALL;
  struct dk_rent_pool_state *pool = event->pool == DK_RENT_NO_POOL ? NULL : dk_rent_pool_find(rent, event->pool);
  if (is_all && !pool && event->pool != DK_RENT_NO_POOL) return;
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    struct dk_rent_machine *machine = &rent->machines[i];
    if (is_all ? pool && &rent->pools[machine->pool] != pool : machine->of.number != event->number) continue;
    if (event->u.release.is_hard)
      machine->is_hard = true;
    else
      machine->is_soft = true;
  }
  for (uint32_t i = 0; i < rent->n_pools && is_all; i++) {
    if (!pool || pool == &rent->pools[i]) rent->pools[i].is_closed = true;
  }
}

/* --- time --- */

void dk_rent_life_begin(struct dk_rent *rent) {
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    struct dk_rent_machine *machine = &rent->machines[i];
    machine->settled_at = machine->boots_from = machine->down_from = machine->delete_at = rent->now;
    if (machine->of.is_builder) machine->is_hard = true; /* who was at work there is gone */
  }
}

void dk_rent_life_gap(struct dk_rent *rent) {
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    struct dk_rent_machine *machine = &rent->machines[i];
    machine->boots_from = machine->down_from = rent->now;
    if (machine->idle_from != DK_RENT_NEVER) machine->idle_from = rent->now;
    if (machine->unused_from != DK_RENT_NEVER) machine->unused_from = rent->now;
  }
}

/* Nothing is lost with it. */
static bool is_empty(const struct dk_rent_machine *machine) {
  return machine->of.state != DK_RENT_UP || machine->of.is_builder ||
         (machine->is_load_known && !machine->tasks && !machine->unsaved);
}

static void release(struct dk_rent *rent, struct dk_rent_machine *machine) {
  const struct dk_rent_pool_state *pool = dk_rent_pool_of(rent, machine);
  bool leaves = machine->is_soft || pool->is_removed;
  if (machine->of.state != DK_RENT_ENDING && machine->is_hard) {
    machine->was_hard = true;
    dk_rent_life_happen(rent, machine, DK_RENT_FACT_RELEASED);
  } else if (machine->of.state != DK_RENT_ENDING && (leaves || machine->of.is_leaving)) {
    if (is_empty(machine)) {
      dk_rent_life_happen(rent, machine, DK_RENT_FACT_RELEASED);
    } else if (!machine->of.is_leaving) {
      machine->of.is_leaving = true;
      dk_rent_emit_put(rent, machine);
    }
  }
  machine->is_hard = machine->is_soft = false;
}

/* It may have what is nowhere else. */
static bool is_kept(const struct dk_rent_machine *machine) {
  if (machine->of.state != DK_RENT_UP || machine->of.is_builder) return false;
  return !machine->is_load_known || machine->unsaved;
}

static bool is_lonely(const struct dk_rent *rent, const struct dk_rent_machine *machine) {
  return !machine->is_answering && rent->now - machine->down_from >= rent->policy.doubt_ns;
}

static void tell_kept(struct dk_rent *rent, struct dk_rent_machine *machine) {
  if (!is_kept(machine) || machine->was_kept_told || !(machine->is_stopped || is_lonely(rent, machine))) return;
  machine->was_kept_told = true;
  dk_rent_emit_tell(rent, DK_RENT_TELL_UNSAVED, machine->of.number, dk_rent_pool_of(rent, machine)->number,
                    machine->unsaved, 0);
}

static void pass(struct dk_rent *rent, struct dk_rent_machine *machine) {
  const struct dk_rent_pool_state *pool = dk_rent_pool_of(rent, machine);
  if (machine->of.state == DK_RENT_ASKED && !machine->is_calling)
    dk_rent_life_happen(rent, machine, DK_RENT_FACT_BROKE); /* an earlier engine's call */
  if (!dk_rent_is_configured(pool)) return;
  release(rent, machine);
  if (machine->is_missing && !machine->is_gone)
    dk_rent_life_happen(rent, machine, DK_RENT_FACT_MISSING);
  else if (machine->is_stopped && !machine->is_gone && !is_kept(machine))
    dk_rent_life_happen(rent, machine, DK_RENT_FACT_STOPPED);
  if (machine->is_gone) return;
  tell_kept(rent, machine);
  if (machine->of.state == DK_RENT_MADE && rent->now - machine->boots_from >= pool->boot_ns)
    dk_rent_life_happen(rent, machine, DK_RENT_FACT_LATE);
  if (machine->of.state == DK_RENT_ENDING) ask_delete(rent, machine);
}

void dk_rent_life_pass(struct dk_rent *rent) {
  for (uint32_t i = 0; i < rent->n_machines && !dk_rent_emit_is_full(rent); i++) {
    if (!rent->machines[i].is_gone) pass(rent, &rent->machines[i]);
  }
}

void dk_rent_life_sweep(struct dk_rent *rent) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    const struct dk_rent_machine *machine = &rent->machines[i];
    if (machine->is_gone) {
      struct dk_rent_pool_state *pool = dk_rent_pool_of(rent, machine);
      pool->n--;
      pool->n_strangers -= machine->of.is_stranger;
      pool->calls -= machine->is_calling;
      uint32_t own = pool->n - pool->n_strangers, may = own > pool->max_instances ? own : pool->max_instances;
      if (may < pool->allowed) pool->allowed = may;
    } else {
      if (n != i) rent->machines[n] = *machine;
      n++;
    }
  }
  rent->n_machines = n;
}

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

uint64_t dk_rent_life_deadline(const struct dk_rent *rent) {
  uint64_t at = DK_RENT_NEVER;
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    const struct dk_rent_machine *machine = &rent->machines[i];
    const struct dk_rent_pool_state *pool = &rent->pools[machine->pool];
    if (!dk_rent_is_configured(pool)) continue;
    if (machine->of.state == DK_RENT_MADE) at = earlier(at, machine->boots_from + pool->boot_ns);
    if (machine->idle_from != DK_RENT_NEVER) at = earlier(at, machine->idle_from + pool->idle_ns);
    if (machine->of.state == DK_RENT_ENDING && dk_rent_has_id(machine) && !machine->is_deleting)
      at = earlier(at, machine->delete_at);
    if (machine->unused_from != DK_RENT_NEVER) at = earlier(at, machine->unused_from + rent->policy.unused_ns);
    if (is_kept(machine) && !machine->is_answering && !machine->was_kept_told)
      at = earlier(at, machine->down_from + rent->policy.doubt_ns);
    uint64_t down_at = machine->down_from + rent->policy.down_ns; /* from then on it takes no tasks of the demand */
    if (machine->of.state == DK_RENT_UP && !machine->is_answering && down_at > rent->now) at = earlier(at, down_at);
  }
  return at;
}
