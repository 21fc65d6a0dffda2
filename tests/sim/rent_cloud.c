/* The clouds. What a call does and what is answered are two things; what is listed is of a moment that has passed. */
#include "tests/sim/rent.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static bool may(struct rs *s, uint32_t in_thousand) {
  return sim_chance(&s->luck, in_thousand) && !rs_is_calm(s);
}

static uint64_t within(struct rs *s, uint64_t ns) {
  return (uint64_t)((double)ns * sim_below(&s->luck, 1000) / 1000);
}

static struct rs_machine *add(struct rs *s, uint32_t pool) {
  assert(s->n_machines < RS_MACHINES);
  uint32_t i = s->n_machines++;
  struct rs_machine *machine = &s->machines[i];
  *machine = (struct rs_machine){.pool = pool,
                                 .runs_at = RS_NEVER,
                                 .agent_at = RS_NEVER,
                                 .fails_at = RS_NEVER,
                                 .stops_at = RS_NEVER,
                                 .deleting_at = RS_NEVER,
                                 .gone_at = RS_NEVER};
  snprintf(machine->id, sizeof machine->id, "i-%06u", i + 1);
  return machine;
}

static struct rs_machine *by_id(struct rs *s, const char *id) {
  for (uint32_t i = 0; i < s->n_machines; i++) {
    if (strcmp(s->machines[i].id, id) == 0) return &s->machines[i];
  }
  return NULL;
}

static uint32_t pool_of(const struct rs *s, const char *name) {
  for (uint32_t i = 0; i < s->n_pools; i++) {
    if (strcmp(s->pools[i].config.name, name) == 0) return i;
  }
  return 0;
}

struct rs_machine *rs_machine_of(struct rs *s, const struct dk_rented *rented) {
  return rented->id[0] ? by_id(s, rented->id) : NULL;
}

void rs_cloud_plant(struct rs *s) {
  for (uint32_t i = 0; i < s->n_pools; i++) {
    uint32_t n = sim_below(&s->luck, 4);
    for (uint32_t k = 0; k < n; k++) {
      struct rs_machine *machine = add(s, i);
      machine->is_ours = sim_chance(&s->luck, 400);
      s->n_strangers += machine->is_ours;
      snprintf(machine->name, sizeof machine->name, machine->is_ours ? "dk-older-%u" : "web-%u", s->n_machines);
      /* Some appear late: others use their clouds too. */
      machine->made_at = sim_chance(&s->luck, 500) ? RS_SECOND : s->now + sim_below(&s->luck, 100) * RS_MINUTE;
      machine->dated_at = machine->visible_at = machine->runs_at = machine->made_at;
    }
  }
}

/* --- what is answered --- */

static struct dk_rent_event *answer(struct rs *s, uint64_t at, enum dk_rent_event_kind kind, uint32_t pool,
                                    uint32_t number) {
  struct rs_event *event = rs_at(s, at, RS_ANSWER);
  event->answer = (struct dk_rent_event){.kind = kind, .number = number, .pool = s->pools[pool].config.number};
  return &event->answer;
}

/* --- create --- */

static uint32_t count(const struct rs *s, uint32_t pool) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < s->n_machines; i++) {
    const struct rs_machine *machine = &s->machines[i];
    n += machine->pool == pool && machine->is_ours && machine->made_at != RS_NEVER && s->now < machine->gone_at;
  }
  return n;
}

static struct rs_machine *make(struct rs *s, uint32_t pool, uint32_t shape, const struct dk_rented *rented,
                               uint64_t made_at) {
  struct rs_pool *in = &s->pools[pool];
  struct rs_machine *machine = add(s, pool);
  machine->shape = shape;
  machine->number = rented->number;
  machine->is_ours = true;
  dk_rent_name(s->store, rented->incarnation, rented->number, machine->name);
  machine->made_at = machine->dated_at = machine->busy_at = made_at;
  machine->visible_at = made_at + within(s, in->config.lag_ns / 2);
  uint64_t boot = in->boot_ns / 2 + within(s, in->boot_ns);
  machine->is_useless = may(s, 20);
  if (may(s, in->p_async)) {
    machine->fails_at = made_at + within(s, boot);
  } else if (may(s, in->p_slow_boot)) {
    machine->runs_at = made_at + boot;
    if (sim_chance(&s->luck, 500)) machine->agent_at = made_at + 2 * in->config.boot_ns + within(s, RS_HOUR);
  } else {
    machine->runs_at = made_at + boot;
    machine->agent_at = made_at + boot + within(s, in->boot_ns / 2);
  }
  return machine;
}

/* Refused, and certainly nothing made; false: it is not. */
static bool is_refused(struct rs *s, uint32_t pool, uint32_t shape, uint32_t number) {
  struct rs_pool *in = &s->pools[pool];
  const struct rs_shape_state *of = &in->of_shape[shape];
  bool is_scarce = s->now >= of->closed_from && s->now < of->closed_until && !rs_is_calm(s);
  bool is_low = s->now >= in->quota_from && s->now < in->quota_until && !rs_is_calm(s);
  enum dk_rent_refusal reason;
  uint64_t retry_after = 0;
  if (in->is_denied) {
    reason = sim_chance(&s->luck, 500) ? DK_RENT_DENIED : DK_RENT_BAD;
  } else if (may(s, in->p_throttled)) {
    reason = DK_RENT_THROTTLED;
    if (sim_chance(&s->luck, 500)) retry_after = (1 + sim_below(&s->luck, 300)) * RS_SECOND;
  } else if (is_low && count(s, pool) >= in->quota) {
    reason = DK_RENT_QUOTA;
  } else if (is_scarce) {
    reason = DK_RENT_CAPACITY;
  } else if (may(s, in->p_transient)) {
    reason = DK_RENT_TRANSIENT;
  } else {
    return false;
  }
  struct dk_rent_event *event = answer(s, s->now + within(s, 10 * RS_SECOND), DK_RENT_EV_CREATE_FAILED, pool, number);
  event->u.failed.reason = reason;
  event->u.failed.retry_after_ns = retry_after;
  return true;
}

static void create(struct rs *s, uint32_t number) {
  const struct dk_rented *rented = rs_record(s, number);
  uint32_t pool = pool_of(s, rented->pool), shape = 0;
  while (strcmp(s->pools[pool].shapes[shape].name, rented->shape.name) != 0) shape++;
  s->n_creates++;
  if (is_refused(s, pool, shape, number)) return;
  uint64_t answered_at = s->now + RS_SECOND + within(s, sim_chance(&s->luck, 100) ? 5 * RS_MINUTE : 20 * RS_SECOND);
  bool is_lost = may(s, s->pools[pool].p_lost), is_doubled = may(s, s->pools[pool].p_doubled);
  if (is_lost && sim_chance(&s->luck, 400)) {
    answer(s, answered_at, DK_RENT_EV_CREATE_DOUBT, pool, number); /* it never arrived */
    return;
  }
  /* Of a call that broke something may come later, but not much later than a call can be on its way. */
  uint64_t made_at = is_lost ? answered_at + within(s, 8 * RS_MINUTE) : s->now + within(s, answered_at - s->now);
  struct rs_machine *machine = make(s, pool, shape, rented, made_at);
  if (is_doubled) {
    make(s, pool, shape, rented, made_at + within(s, 3 * RS_MINUTE))->is_doubled = machine->is_doubled = true;
    s->n_doubled++;
  }
  if (is_lost)
    answer(s, answered_at, DK_RENT_EV_CREATE_DOUBT, pool, number);
  else
    answer(s, answered_at, DK_RENT_EV_CREATED, pool, number)->u.created.id = machine->id;
}

/* --- list --- */

/* Is it known at that moment? */
static bool is_seen(const struct rs_machine *machine, uint64_t at) {
  return at >= machine->visible_at && at < machine->gone_at && machine->made_at != RS_NEVER;
}

static enum dk_rent_seen seen(struct rs *s, const struct rs_machine *machine, uint64_t at) {
  if (at >= machine->deleting_at) return DK_RENT_DELETING;
  if (at >= machine->stops_at) return DK_RENT_STOPPED;
  if (at >= machine->fails_at) return DK_RENT_FAILED;
  if (sim_chance(&s->luck, 20)) return DK_RENT_UNKNOWN;
  return at >= machine->runs_at ? DK_RENT_RUNNING : DK_RENT_BOOTING;
}

static void list(struct rs *s, uint32_t pool, uint32_t serial) {
  struct rs_pool *in = &s->pools[pool];
  bool is_blind = s->now < in->blind_until || in->is_denied, is_partial = is_blind || may(s, in->p_partial);
  /* Each list may come from another replica. */
  uint64_t stale = sim_chance(&s->luck, 500) ? within(s, in->config.lag_ns / 2) : 0, of = s->now - stale;
  uint64_t at = s->now + RS_SECOND + within(s, sim_chance(&s->luck, 100) ? RS_MINUTE : 3 * RS_SECOND);
  for (uint32_t i = 0; i < s->n_machines; i++) {
    const struct rs_machine *machine = &s->machines[i];
    if (s->pools[machine->pool].account != in->account || !is_seen(machine, of)) continue;
    if (machine->is_linked && s->now < machine->hidden_until) continue;
    if (is_partial && (is_blind || sim_chance(&s->luck, 500))) continue;
    struct dk_rent_event *row = answer(s, at, DK_RENT_EV_LISTED, pool, 0);
    row->u.listed.serial = serial;
    row->u.listed.id = machine->id;
    row->u.listed.name = machine->name;
    row->u.listed.seen = seen(s, machine, of);
    row->u.listed.age_ns = of - machine->dated_at;
    row->u.listed.is_ours = machine->is_ours;
    at += within(s, RS_SECOND / 10);
  }
  struct dk_rent_event *end = answer(s, at, DK_RENT_EV_LIST_END, pool, 0);
  end->u.list_end.serial = serial;
  end->u.list_end.is_complete = !is_partial;
}

/* --- delete --- */

void rs_cloud_gone(struct rs *s, struct rs_machine *machine) {
  struct rs_event *event =
      rs_at(s, machine->stops_at < machine->gone_at ? machine->stops_at : machine->gone_at, RS_CUT);
  event->machine = (uint32_t)(machine - s->machines);
  event->n = 1;
}

static void delete_one(struct rs *s, uint32_t number) {
  const struct dk_rented *rented = rs_record(s, number);
  struct rs_machine *machine = rs_machine_of(s, rented);
  uint64_t at = s->now + RS_SECOND + within(s, 10 * RS_SECOND);
  enum dk_rent_delete said = DK_RENT_ACCEPTED;
  bool is_lost = may(s, s->pools[machine->pool].p_delete_lost), works = true;
  if (s->pools[machine->pool].is_denied || !is_seen(machine, s->now)) {
    said = s->pools[machine->pool].is_denied ? DK_RENT_DELETE_FAILED : DK_RENT_NOT_FOUND;
    works = false;
  } else if (is_lost) {
    said =
        (enum dk_rent_delete[]){DK_RENT_ACCEPTED, DK_RENT_DELETE_FAILED, DK_RENT_DELETE_DOUBT}[sim_below(&s->luck, 3)];
    works = said == DK_RENT_DELETE_DOUBT && sim_chance(&s->luck, 500);
  }
  if (works && machine->deleting_at == RS_NEVER) {
    machine->deleting_at = s->now;
    machine->gone_at = s->now + within(s, sim_chance(&s->luck, 200) ? 10 * RS_MINUTE : RS_MINUTE);
    rs_cloud_gone(s, machine);
  }
  answer(s, at, DK_RENT_EV_DELETE_ANSWERED, machine->pool, number)->u.deleted.answer = said;
  if (said == DK_RENT_NOT_FOUND && sim_chance(&s->luck, 300))
    answer(s, at, DK_RENT_EV_GONE, machine->pool, number)->u.gone.asked_ns = s->now;
}

void rs_cloud_act(struct rs *s, const struct dk_rent_action *action) {
  rs_trace(s, "%s %u",
           action->kind == DK_RENT_CREATE ? "create"
           : action->kind == DK_RENT_LIST ? "list"
                                          : "delete",
           action->kind == DK_RENT_LIST ? action->pool : action->number);
  if (action->kind == DK_RENT_CREATE)
    create(s, action->number);
  else if (action->kind == DK_RENT_LIST)
    list(s, action->pool - 1, action->serial);
  else
    delete_one(s, action->number);
}
