/* Faults of a case, as a list, so that a failing one can be tried with fewer; and what people ask for. */
#include "tests/sim/rent.h"

#include <string.h>

static const char *const names[RS_N_FAULTS] = {
    [RS_KILL] = "kill",
    [RS_BEFORE_COMMIT] = "before-commit",
    [RS_AFTER_COMMIT] = "after-commit",
    [RS_AMID_ACTS] = "amid-acts",
    [RS_AT_CREATE] = "at-create",
    [RS_AT_ENDING] = "at-ending",
    [RS_GAP] = "gap",
    [RS_BREAK] = "break",
    [RS_HIDE] = "hide",
    [RS_STOP] = "stop",
    [RS_RELEASE] = "release",
    [RS_CHANGE] = "change",
    [RS_REMOVE] = "remove",
    [RS_CANCEL] = "cancel",
    [RS_BLIND] = "blind",
    [RS_DENY] = "deny",
    [RS_STARVE] = "starve",
};

const char *rs_fault_name(enum rs_fault_kind kind) {
  return kind < RS_N_FAULTS ? names[kind] : "none";
}

void rs_faults_make(struct rs *s, struct sim_random *random) {
  s->n_faults = sim_chance(random, 150) ? 0 : 1 + sim_below(random, RS_FAULTS);
  for (uint32_t i = 0; i < s->n_faults; i++) {
    uint32_t turn =
        i && sim_chance(random, 400) ? s->faults[i - 1].turn + sim_below(random, 8) : sim_below(random, 900);
    s->faults[i] = (struct rs_fault){
        .kind = (enum rs_fault_kind)sim_below(random, RS_N_FAULTS), .turn = turn, .random = sim_random_next(random)};
  }
  for (uint32_t i = 0; i < s->n_pools; i++) rs_at(s, s->calm_at, RS_CONFIGURE)->pool = i;
}

static void configure_later(struct rs *s, uint32_t pool) {
  rs_at(s, s->now + (1 + sim_below(&s->luck, 60)) * RS_MINUTE, RS_CONFIGURE)->pool = pool;
}

/* One of the cloud's machines that this store made, that runs. */
static struct rs_machine *some_machine(struct rs *s, uint64_t random) {
  struct rs_machine *found = NULL;
  uint32_t n = 0;
  for (uint32_t i = 0; i < s->n_machines; i++) {
    struct rs_machine *machine = &s->machines[i];
    if (!machine->number || !rs_is_there(s, machine) || s->now >= machine->stops_at) continue;
    if (random % ++n == 0) found = machine;
  }
  return found;
}

static void may_end(struct rs *s, uint32_t pool, uint32_t number, bool is_hard) {
  for (uint32_t i = 0; i < s->n_machines; i++) {
    struct rs_machine *machine = &s->machines[i];
    const struct dk_rented *record = rs_record_at(s, machine);
    if (number ? !record || record->number != number : pool < s->n_pools && machine->pool != pool) continue;
    machine->may_go = true;
    machine->may_break |= is_hard;
  }
}

static void release(struct rs *s, uint32_t pool, uint32_t number, bool is_hard) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_RELEASE, .number = number, .pool = UINT32_MAX};
  if (!number && pool < s->n_pools) event.pool = s->pools[pool].config.number;
  event.u.release.is_hard = is_hard;
  may_end(s, pool, number, is_hard);
  rs_push(s, &event);
  for (uint32_t i = 0; i < s->n_pools && !number; i++) {
    if (pool == i || pool >= s->n_pools) configure_later(s, i);
  }
}

static void release_some(struct rs *s, uint64_t random) {
  bool is_hard = random & 1;
  uint32_t pool = (uint32_t)(random >> 8) % (s->n_pools + 1);
  const struct dk_rented *one = s->n_rented ? &s->rented[(random >> 16) % s->n_rented] : NULL;
  if (random & 6)
    release(s, 0, one ? one->number : 1, is_hard);
  else
    release(s, pool, DK_RENT_ALL, is_hard);
}

static void remove_pool(struct rs *s, uint32_t pool) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_POOL_REMOVED, .pool = s->pools[pool].config.number};
  s->pools[pool].is_configured = false;
  may_end(s, pool, 0, false);
  rs_push(s, &event);
  configure_later(s, pool);
}

static void stop(struct rs *s, struct rs_machine *machine, uint64_t random) {
  machine->stops_at = s->now;
  if (random & 16 && machine->gone_at > s->now) machine->gone_at = s->now + (random >> 8) % 600 * RS_SECOND;
  rs_cloud_gone(s, machine);
}

static void happen(struct rs *s, const struct rs_fault *fault) {
  uint64_t random = fault->random, minutes = (random >> 32) % 60 * RS_MINUTE;
  uint32_t i = (uint32_t)(random >> 4) % s->n_pools;
  struct rs_pool *pool = &s->pools[i];
  struct rs_machine *machine = some_machine(s, random >> 20);
  switch (fault->kind) {
  case RS_BREAK:
    if (!machine) break;
    machine->dark_until = s->now + (random & 1 ? minutes : 30 * RS_SECOND);
    rs_work_cut(s, machine);
    break;
  case RS_HIDE:
    if (machine) machine->hidden_until = s->now + minutes;
    break;
  case RS_STOP:
    if (machine) stop(s, machine, random);
    break;
  case RS_RELEASE: release_some(s, random); break;
  case RS_CHANGE:
    pool->config.max_instances = (uint32_t)(random >> 40) % 7;
    if (pool->is_configured) rs_push_pool(s, i);
    break;
  case RS_REMOVE: remove_pool(s, i); break;
  case RS_CANCEL: rs_work_cancel(s); break;
  case RS_BLIND: pool->blind_until = s->now + minutes; break;
  case RS_DENY:
    pool->is_denied = true;
    configure_later(s, i);
    break;
  case RS_STARVE:
    pool->quota = (uint32_t)(random >> 40) % 2;
    pool->quota_from = s->now;
    pool->quota_until = s->now + minutes;
    pool->of_shape[0].closed_from = s->now;
    pool->of_shape[0].closed_until = s->now + 2 * minutes;
    break;
  default: s->armed = fault->kind; break;
  }
}

bool rs_faults_do(struct rs *s) {
  bool is_killed = false;
  for (uint32_t i = 0; i < s->n_faults; i++) {
    struct rs_fault *fault = &s->faults[i];
    if (fault->is_done || fault->turn > s->turns) continue;
    fault->is_done = true;
    if (rs_is_calm(s)) continue;
    rs_trace(s, "fault %s", rs_fault_name(fault->kind));
    if (fault->kind == RS_KILL) {
      is_killed = true;
    } else if (fault->kind == RS_GAP) {
      s->now += (1 + (fault->random >> 8) % 200) * RS_MINUTE;
      s->is_gap = true;
    } else {
      happen(s, fault);
    }
  }
  return is_killed;
}

/* People put a pool right: its credentials, what was closed, and in the end its maximum. */
static void configure(struct rs *s, uint32_t i) {
  struct rs_pool *pool = &s->pools[i];
  pool->is_denied = false;
  pool->is_configured = true;
  if (rs_is_calm(s)) pool->config.max_instances = pool->max_first;
  if (s->rent) rs_push_pool(s, i);
}

void rs_people_event(struct rs *s, const struct rs_event *event) {
  if (event->kind == RS_CONFIGURE)
    configure(s, event->pool);
  else if (s->rent && event->epoch == s->epoch && rs_record(s, event->n))
    release(s, 0, event->n, true);
}

void rs_people_tell(struct rs *s, const struct dk_rent_action *action) {
  rs_trace(s, "told %d of %u", action->tell, action->number ? action->number : action->pool);
  s->tells[action->tell]++;
  if (action->tell != DK_RENT_TELL_UNSAVED) return;
  /* Somebody gives up what is on it. */
  rs_at(s, s->now + (5 + sim_below(&s->luck, 60)) * RS_MINUTE, RS_SAVE_US)->n = action->number;
}
