/* What must hold after every step, before each record is kept and each action done, and in the end. Found from what the
 * clouds and machines really are. */
#include "tests/sim/rent.h"

#include <string.h>

static struct rs_pool *pool_named(struct rs *s, const char *name) {
  for (uint32_t i = 0; i < s->n_pools; i++) {
    if (strcmp(s->pools[i].config.name, name) == 0) return &s->pools[i];
  }
  return &s->pools[0];
}

/* --- events --- */

/* A call that was made before another one was refused, or at that moment, is refused with that. */
static void refuse(struct rs *s, uint32_t number, uint64_t wait_ns, uint64_t *refused_at, uint64_t *not_before) {
  bool is_first = s->asked_at[number % RS_MACHINES] > *refused_at;
  *refused_at = s->now;
  if (is_first) *not_before = s->now + wait_ns;
}

static struct rs_shape_state *shape_of(struct rs_pool *pool, const struct dk_rented *rented) {
  uint32_t i = 0;
  while (strcmp(pool->shapes[i].name, rented->shape.name) != 0) i++;
  return &pool->of_shape[i];
}

static void note_refusal(struct rs *s, const struct dk_rent_event *event) {
  const struct dk_rented *rented = dk_rent_find(s->rent, event->number);
  if (!rented) return;
  struct rs_pool *pool = pool_named(s, rented->pool);
  struct rs_shape_state *shape = shape_of(pool, rented);
  uint64_t until = s->now + event->u.failed.retry_after_ns;
  switch (event->u.failed.reason) {
  case DK_RENT_QUOTA: refuse(s, rented->number, s->policy.quota_ns, &pool->refused_at, &pool->quota_before); break;
  case DK_RENT_CAPACITY:
    refuse(s, rented->number, s->policy.capacity_ns, &shape->refused_at, &shape->not_before);
    break;
  case DK_RENT_THROTTLED:
    if (until > pool->not_before) pool->not_before = until;
    break;
  case DK_RENT_DENIED:
  case DK_RENT_BAD: pool->is_stopped |= s->asked_at[rented->number % RS_MACHINES] > pool->configured_at; break;
  case DK_RENT_TRANSIENT: break;
  }
}

static void note_row(struct rs *s, const struct dk_rent_event *event) {
  for (uint32_t i = 0; i < s->n_machines && event->u.listed.seen == DK_RENT_FAILED; i++) {
    const struct rs_machine *machine = &s->machines[i];
    bool is_its_own = s->pools[machine->pool].config.number == event->pool;
    if (!is_its_own || strcmp(machine->id, event->u.listed.id) != 0) continue;
    const struct dk_rented *rented = dk_rent_find(s->rent, machine->number);
    bool is_young = rented && rented->state != DK_RENT_ENDING && rented->state != DK_RENT_UP;
    if (!is_young || (rented->id[0] && strcmp(rented->id, machine->id) != 0)) continue;
    struct rs_shape_state *of = &s->pools[machine->pool].of_shape[machine->shape];
    s->pools[machine->pool].fails++;
    refuse(s, rented->number, s->policy.capacity_ns, &of->refused_at, &of->not_before);
  }
}

static void note_pool(struct rs *s, const struct dk_rent_event *event) {
  struct rs_pool *pool = pool_named(s, event->u.configured->name);
  pool->not_before = pool->quota_before = pool->refused_at = pool->paused_until = 0;
  pool->is_stopped = pool->was_told = false;
  pool->fails = 0;
  for (uint32_t i = 0; i < s->n_machines && !pool->is_known; i++) {
    if (&s->pools[s->machines[i].pool] == pool) s->machines[i].busy_at = s->now;
  }
  pool->is_known = true;
  pool->told_image = event->u.configured->image;
  pool->configured_at = s->now;
  pool->told_max = pool->config.max_instances;
  if (pool->told_max > pool->max_ever) pool->max_ever = pool->told_max;
  for (uint32_t i = 0; i < RS_SHAPES; i++) pool->of_shape[i].not_before = pool->of_shape[i].refused_at = 0;
}

void rs_check_event(struct rs *s, const struct dk_rent_event *event) {
  if (event->kind != DK_RENT_EV_LISTED && event->kind != DK_RENT_EV_LIST_END)
    rs_trace(s, "event %d of %u", event->kind, event->number ? event->number : event->pool);
  const struct dk_rented *rented = dk_rent_find(s->rent, event->number);
  struct rs_machine *machine = rented ? rs_machine_of(s, rented) : NULL;
  if (event->kind == DK_RENT_EV_CREATE_FAILED) note_refusal(s, event);
  if (event->kind == DK_RENT_EV_LISTED) note_row(s, event);
  if (event->kind == DK_RENT_EV_POOL) note_pool(s, event);
  if (event->kind == DK_RENT_EV_IMAGE) s->pools[event->pool - 1].told_image = event->u.image;
  if (event->kind == DK_RENT_EV_DEMAND) {
    memcpy(s->told_demand, s->demand, sizeof s->demand);
    s->is_stale = false;
  }
  if (event->kind == DK_RENT_EV_AGENT_UP) {
    s->is_stale = true;
    if (rented && rented->state == DK_RENT_MADE) {
      struct rs_pool *pool = pool_named(s, rented->pool);
      pool->fails = 0;
      pool->paused_until = 0;
    }
  }
  if (event->kind == DK_RENT_EV_LOAD && machine) {
    s->is_stale |= event->u.load.tasks > machine->told_tasks;
    machine->told_tasks = event->u.load.tasks;
    if (machine->is_unheard) machine->busy_at = s->now;
    machine->is_load_queued = machine->is_unheard = false;
  }
}

/* --- steps --- */

static bool fits(const struct dk_rent_shape *shape, const struct dk_rent_need *need) {
  return shape->cpus >= need->cpus && shape->gpus >= need->gpus && shape->memory >= need->memory;
}

/* Could some machine of the pool take some of what waits? */
static bool is_builder_wanted(const struct rs *s, const struct rs_pool *pool) {
  for (uint32_t k = 0; k < s->n_kinds; k++)
    for (uint32_t i = 0; s->told_demand[k].n && i < pool->config.n_shapes; i++)
      if (fits(&pool->shapes[i], &s->told_demand[k])) return true;
  return false;
}

/* Each instance that is coming takes a task at least of what waits: one more is for one more task. */
static bool is_wanted(struct rs *s, const struct dk_rented *rented) {
  uint32_t all = 0;
  for (uint32_t k = 0; k < s->n_kinds; k++) all += s->told_demand[k].n;
  for (uint32_t k = 0; k < s->n_kinds; k++) {
    const struct dk_rent_need *need = &s->told_demand[k];
    uint32_t coming = 0;
    if (!need->n || !fits(&rented->shape, need)) continue;
    for (uint32_t i = 0; i < dk_rent_count(s->rent, UINT32_MAX); i++) {
      const struct dk_rented *other = dk_rent_at(s->rent, i);
      const struct rs_pool *of = pool_named(s, other->pool);
      bool is_coming = other->state < DK_RENT_UP && !other->is_builder && other->number < rented->number &&
                       !other->is_leaving && of->is_configured && of->is_known;
      coming += is_coming && fits(&other->shape, need);
    }
    if (coming < all) return true;
  }
  return false;
}

static uint32_t count_builders(const struct rs *s, const struct dk_rented *like) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < dk_rent_count(s->rent, UINT32_MAX); i++)
    n += dk_rent_at(s->rent, i)->is_builder && strcmp(dk_rent_at(s->rent, i)->pool, like->pool) == 0;
  return n;
}

static void check_create(struct rs *s, const struct dk_rented *rented) {
  struct rs_pool *pool = pool_named(s, rented->pool);
  uint32_t n = dk_rent_count(s->rent, pool->config.number), n_workers = n - count_builders(s, rented);
  s->asked_at[rented->number % RS_MACHINES] = s->now;
  if (n > pool->told_max) rs_fail(s, "a create makes %u of %s, %u are allowed", n, pool->config.name, pool->told_max);
  if (s->now < pool->not_before || s->now < pool->quota_before)
    rs_fail(s, "a create in %s before it may be asked again", pool->config.name);
  if (s->now < shape_of(pool, rented)->not_before) rs_fail(s, "a create of a shape that there is none of");
  if (pool->is_stopped) rs_fail(s, "a create in %s, which denies it", pool->config.name);
  if (pool->config.is_paid && !s->policy.no_canary && !pool->is_proven && n_workers > 1)
    rs_fail(s, "a second instance in %s before the first has proven itself", pool->config.name);
  if (pool->fails >= s->policy.fails_max && !pool->paused_until)
    rs_fail(s, "%u failures in a row in %s, and no pause", pool->fails, pool->config.name);
  if (s->now < pool->paused_until) rs_fail(s, "a create in %s during its pause", pool->config.name);
  if (s->is_stale) rs_fail(s, "a create for a demand from before tasks were taken");
  rs_image_check(s, rented);
  if (!(rented->is_builder ? is_builder_wanted(s, pool) : is_wanted(s, rented)))
    rs_fail(s, "instance %u is made for nothing", rented->number);
}

static void check_told(struct rs *s, const struct dk_rent_action *action) {
  bool is_denied = action->tell == DK_RENT_TELL_DENIED || action->tell == DK_RENT_TELL_BAD;
  struct rs_pool *pool = action->pool <= s->n_pools ? &s->pools[action->pool - 1] : NULL;
  if (pool && action->tell == DK_RENT_TELL_FAILING) pool->paused_until = s->now + action->wait_ns;
  if (!pool || !is_denied) return;
  if (pool->was_told) rs_fail(s, "people are told twice that %s denies it", pool->config.name);
  pool->was_told = true;
}

void rs_check_step(struct rs *s, uint32_t first_action) {
  struct dk_error error;
  if (dk_rent_check(s->rent, &error) < 0) rs_fail(s, "%s", error.text);
  for (uint32_t i = first_action; i < s->out.n_actions && !rs_has_failed(s); i++) {
    const struct dk_rent_action *action = &s->out.actions[i];
    if (action->kind == DK_RENT_TELL) check_told(s, action);
    if (action->kind != DK_RENT_CREATE) continue;
    const struct dk_rented *rented = dk_rent_find(s->rent, action->number);
    if (rented)
      check_create(s, rented);
    else
      rs_fail(s, "a create of instance %u, which is not there", action->number);
  }
}

/* --- records --- */

/* Does the cloud have it, or will it, from a call that is on its way? */
static bool is_left(const struct rs *s, const struct dk_rented *rented) {
  for (uint32_t i = 0; i < s->n_machines; i++) {
    const struct rs_machine *machine = &s->machines[i];
    bool is_it = rented->id[0] ? strcmp(machine->id, rented->id) == 0 : machine->number == rented->number;
    if (is_it && s->now < machine->gone_at) return true;
  }
  return false;
}

static void check_ending(struct rs *s, const struct dk_rented *rented) {
  const struct rs_machine *machine = rs_machine_of(s, rented);
  const struct rs_pool *pool = pool_named(s, rented->pool);
  if (!machine || rented->is_builder || machine->may_break || machine->is_load_queued) return;
  uint32_t unsaved = rs_work_count(machine, true), tasks = rs_work_count(machine, false);
  bool has_stopped = s->now >= machine->stops_at || s->now >= machine->gone_at;
  if (unsaved) rs_fail(s, "instance %u ends with %u unsaved results", rented->number, unsaved);
  if (tasks && !has_stopped) rs_fail(s, "instance %u ends with %u tasks on it", rented->number, tasks);
  if (!has_stopped && !machine->may_go && !machine->is_useless && s->now - machine->busy_at < pool->config.idle_ns)
    rs_fail(s, "instance %u ends after %.1f s without work, %.1f s were asked for", rented->number,
            (double)(s->now - machine->busy_at) / 1e9, (double)pool->config.idle_ns / 1e9);
}

void rs_check_record(struct rs *s, const struct dk_rent_record *record) {
  if (record->kind == DK_RENT_REC_TAKEN) {
    if (record->taken <= s->taken) rs_fail(s, "number %u is taken again", record->taken);
    return;
  }
  if (record->kind == DK_RENT_REC_SPENT) {
    if (record->spent.micro <= dk_purse_of(&s->spent, record->spent.currency))
      rs_fail(s, "less %s was spent than before", record->spent.currency);
    return;
  }
  const struct dk_rented *was = rs_record(s, record->rented.number), *is = &record->rented;
  if (record->del) {
    if (was && is_left(s, was)) rs_fail(s, "the record of instance %u goes, and the cloud has it", was->number);
    return;
  }
  if (!was && is->number != s->taken) rs_fail(s, "number %u is used again", is->number);
  if (was && was->state == DK_RENT_UP && is->state == DK_RENT_ENDING) check_ending(s, is);
}

/* --- actions --- */

static void check_delete(struct rs *s, const struct dk_rented *rented) {
  const struct rs_machine *machine = rs_machine_of(s, rented);
  if (rented->state != DK_RENT_ENDING) rs_fail(s, "instance %u is deleted in state %d", rented->number, rented->state);
  if (!machine) {
    rs_fail(s, "instance %u is deleted without an id", rented->number);
    return;
  }
  if (!machine->is_ours) rs_fail(s, "somebody else's machine %s is deleted", machine->id);
  if (rented->is_stranger && s->now - machine->dated_at < s->policy.doubt_ns)
    rs_fail(s, "stranger %s is deleted when it is %.0f s old", machine->id, (double)(s->now - machine->dated_at) / 1e9);
}

void rs_check_act(struct rs *s, const struct dk_rent_action *action) {
  if (action->kind != DK_RENT_CREATE && action->kind != DK_RENT_DELETE) return;
  const struct dk_rented *rented = rs_record(s, action->number);
  if (!rented)
    rs_fail(s, "instance %u is created or deleted without a record", action->number);
  else if (action->kind == DK_RENT_DELETE)
    check_delete(s, rented);
}

/* --- commits --- */

/* How many of the pool there really are. Of those that one call made one counts, as long as it is recorded, unless
 * `all`. */
static uint32_t count_made(struct rs *s, uint32_t pool, bool all) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < s->n_machines; i++) {
    const struct rs_machine *machine = &s->machines[i];
    if (machine->pool != pool || !machine->number || s->now >= machine->gone_at) continue;
    const struct dk_rented *record = rs_record_at(s, machine);
    n += all || !machine->is_doubled || (record && !record->is_stranger);
  }
  return n;
}

static void check_maximum(struct rs *s, struct rs_pool *pool) {
  uint32_t n = count_made(s, pool->config.number - 1, false);
  if (n > pool->max_ever)
    rs_fail(s, "%s has %u instances, at most %u were allowed", pool->config.name, n, pool->max_ever);
  pool->was_over |= count_made(s, pool->config.number - 1, true) > pool->max_ever;
}

static void check_idle(struct rs *s, const struct rs_machine *machine) {
  const struct dk_rented *record = machine->is_linked ? rs_record_at(s, machine) : NULL;
  if (!record || record->state != DK_RENT_UP || machine->n_tasks || machine->is_load_queued || machine->is_unheard)
    return;
  if (record->is_builder && !record->is_leaving) return; /* it is at work for twenty minutes at most */
  uint64_t from = machine->busy_at > s->quiet_from ? machine->busy_at : s->quiet_from;
  if (s->now - from > s->pools[machine->pool].config.idle_ns + 2 * RS_MINUTE)
    rs_fail(s, "instance %u has nothing to do, and is kept", record->number);
  if (record->is_leaving) rs_fail(s, "instance %u is released and has nothing to do, and is kept", record->number);
}

void rs_check_commit(struct rs *s) {
  for (uint32_t k = 0; k < s->n_kinds; k++) {
    if (s->waiting[k] || s->told_demand[k].n) s->quiet_from = s->now;
  }
  for (uint32_t i = 0; i < s->n_pools && !rs_has_failed(s); i++) check_maximum(s, &s->pools[i]);
  for (uint32_t i = 0; i < s->n_machines && !rs_has_failed(s); i++) check_idle(s, &s->machines[i]);
}

/* --- the end --- */

static bool is_ours_left(const struct rs *s) {
  for (uint32_t i = 0; i < s->n_machines; i++) {
    if (s->machines[i].is_ours && s->now < s->machines[i].gone_at) return true;
  }
  return false;
}

bool rs_is_over(struct rs *s) {
  if (!rs_is_calm(s) || s->to_come || s->queue_n || s->n_rented) return false;
  for (uint32_t k = 0; k < s->n_kinds; k++) {
    if (s->waiting[k]) return false;
  }
  return !is_ours_left(s);
}

void rs_check_end(struct rs *s) {
  if (rs_has_failed(s)) return;
  for (uint32_t k = 0; k < s->n_kinds; k++) {
    if (s->waiting[k]) rs_fail(s, "%u tasks of kind %u still wait", s->waiting[k], k);
  }
  for (uint32_t i = 0; i < s->n_rented; i++)
    rs_fail(s, "instance %u of %s is left in state %d", s->rented[i].number, s->rented[i].pool, s->rented[i].state);
  for (uint32_t i = 0; i < s->n_machines; i++) {
    const struct rs_machine *machine = &s->machines[i];
    if (machine->is_ours && s->now < machine->gone_at) rs_fail(s, "%s (%s) is left", machine->id, machine->name);
    if (!machine->is_ours && machine->gone_at != RS_NEVER) rs_fail(s, "somebody else's %s is gone", machine->id);
  }
  if (s->to_come) rs_fail(s, "the case has not come to its end");
}
