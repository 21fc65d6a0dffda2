/* The engine of the simulator: events one by one or in batches, a commit, then what was gated; it dies at every point
 * between, and another one goes on with what was committed. */
#include "lang/base/alloc.h"
#include "tests/sim/rent.h"

#include <assert.h>
#include <string.h>

#define STILL_MAX 100u
#define END_WITHIN (14 * RS_HOUR) /* of calm, and of the last task that was done */

void rs_push(struct rs *s, const struct dk_rent_event *event) {
  assert(s->queue_n < RS_QUEUE);
  s->queue[(s->queue_at + s->queue_n++) % RS_QUEUE] = *event;
}

void rs_push_pool(struct rs *s, uint32_t pool) {
  rs_push(s, &(struct dk_rent_event){.kind = DK_RENT_EV_POOL, .u.configured = &s->pools[pool].config});
}

/* --- the disk --- */

struct dk_rented *rs_record(struct rs *s, uint32_t number) {
  for (uint32_t i = 0; i < s->n_rented; i++) {
    if (s->rented[i].number == number) return &s->rented[i];
  }
  return NULL;
}

uint32_t rs_records_of(const struct rs *s, uint32_t pool) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < s->n_rented; i++) n += strcmp(s->rented[i].pool, s->pools[pool].config.name) == 0;
  return n;
}

static void apply(struct rs *s, const struct dk_rent_record *record) {
  rs_check_record(s, record);
  if (record->kind == DK_RENT_REC_TAKEN) {
    s->taken = record->taken;
    return;
  }
  if (record->kind == DK_RENT_REC_SPENT) {
    uint64_t was = dk_purse_of(&s->spent, record->spent.currency);
    dk_purse_add(&s->spent, record->spent.currency, record->spent.micro - was);
    return;
  }
  struct dk_rented *there = rs_record(s, record->rented.number);
  if (record->del) {
    if (there) *there = s->rented[--s->n_rented];
    return;
  }
  if (!there) {
    bool has_room = dk_grow(s->rented, s->n_rented, s->cap_rented);
    assert(has_room);
    there = &s->rented[s->n_rented++];
  }
  *there = record->rented;
}

static void load(struct rs *s) {
  struct dk_rent_record taken = {.kind = DK_RENT_REC_TAKEN, .taken = s->taken};
  struct dk_digest digest;
  int r = dk_rent_create(&s->rent, &s->policy, s->store, s->epoch, s->seed + s->epoch);
  assert(r == 0);
  for (uint32_t i = s->n_rented; i > 0 && r == 0; i--) { /* in no order */
    struct dk_rent_record record = {.rented = s->rented[i - 1]};
    r = dk_rent_load(s->rent, &record, 1);
  }
  if (r == 0) r = dk_rent_load(s->rent, &taken, 1);
  for (uint32_t i = 0; r == 0 && i < s->spent.n; i++) {
    struct dk_rent_record spent = {.kind = DK_RENT_REC_SPENT, .spent = s->spent.items[i]};
    r = dk_rent_load(s->rent, &spent, 1);
  }
  assert(r == 0);
  dk_rent_digest(s->rent, &digest);
  if (s->committed && !dk_digest_equal(&digest, &s->durable)) rs_fail(s, "what was loaded is not what was committed");
}

/* --- turns --- */

static void act(struct rs *s, const struct dk_rent_action *action) {
  rs_check_act(s, action);
  if (rs_has_failed(s)) return;
  struct dk_rented *record = action->number ? rs_record(s, action->number) : NULL;
  struct rs_machine *machine = record ? rs_machine_of(s, record) : NULL;
  switch (action->kind) {
  case DK_RENT_CREATE:
  case DK_RENT_LIST:
  case DK_RENT_DELETE: rs_cloud_act(s, action); break;
  case DK_RENT_DIAL:
    if (machine) rs_work_dial(s, machine);
    break;
  case DK_RENT_FORGET: break; /* what follows from it follows from the record */
  case DK_RENT_TELL: rs_people_tell(s, action); break;
  }
}

/* What needs no commit is done at once. */
static void act_early(struct rs *s, uint32_t first) {
  uint32_t kept = first;
  for (uint32_t i = first; i < s->out.n_actions; i++) {
    struct dk_rent_action action = s->out.actions[i];
    if (action.gate <= s->committed)
      act(s, &action);
    else
      s->out.actions[kept++] = action;
  }
  s->out.n_actions = kept;
}

static void step(struct rs *s, const struct dk_rent_event *event) {
  struct dk_rent_event tick = {.kind = DK_RENT_EV_TICK};
  uint32_t times = 0;
  do {
    uint32_t records = s->out.n_records, actions = s->out.n_actions;
    struct dk_rent_event stamped = *event;
    stamped.unix_ns = s->now + 77 * RS_HOUR;
    int r = dk_rent_step(s->rent, s->now, s->seq, &stamped, &s->out);
    assert(r == 0);
    if (s->out.n_records - records + s->out.n_actions - actions > s->policy.max_out + 12)
      rs_fail(s, "a step gave %u records and %u actions", s->out.n_records - records, s->out.n_actions - actions);
    rs_check_step(s, actions);
    act_early(s, actions);
    event = &tick;
    if (++times > 10000) rs_fail(s, "there is always more");
  } while (s->out.more && !rs_has_failed(s));
}

/* Does this commit do what the armed fault waits for? */
static bool is_awaited(const struct rs *s) {
  if (s->armed != RS_AT_CREATE && s->armed != RS_AT_ENDING) return true;
  enum dk_rent_state state = s->armed == RS_AT_CREATE ? DK_RENT_ASKED : DK_RENT_ENDING;
  for (uint32_t i = 0; i < s->out.n_records; i++) {
    const struct dk_rent_record *record = &s->out.records[i];
    if (record->kind == DK_RENT_REC_RENTED && !record->del && record->rented.state == state) return true;
  }
  return false;
}

static bool commit(struct rs *s) {
  enum rs_fault_kind fault = RS_N_FAULTS;
  if (s->armed != RS_N_FAULTS && is_awaited(s)) {
    fault = s->armed;
    s->armed = RS_N_FAULTS;
    if (fault == RS_AT_CREATE || fault == RS_AT_ENDING)
      fault = (enum rs_fault_kind)(RS_BEFORE_COMMIT + sim_below(&s->luck, 4)); /* RS_AT_CREATE: when all was done */
  }
  if (fault == RS_BEFORE_COMMIT) return true;
  for (uint32_t i = 0; i < s->out.n_records; i++) apply(s, &s->out.records[i]);
  s->committed = s->seq++;
  dk_rent_digest(s->rent, &s->durable);
  if (fault == RS_AFTER_COMMIT) return true;
  uint32_t n = fault == RS_AMID_ACTS ? s->out.n_actions / 2 : s->out.n_actions;
  for (uint32_t i = 0; i < n && !rs_has_failed(s); i++) act(s, &s->out.actions[i]);
  for (uint32_t i = 0; i < s->n_machines && !rs_has_failed(s); i++) rs_work_forget(s, &s->machines[i]);
  dk_rent_out_clear(&s->out);
  rs_check_commit(s);
  return fault != RS_N_FAULTS;
}

/* The next event of the queue, or what happens next in the world, or the time that was asked for. */
static void take(struct rs *s, struct dk_rent_event *ret) {
  *ret = (struct dk_rent_event){.kind = DK_RENT_EV_TICK};
  if (s->is_gap) {
    s->is_gap = false;
    ret->kind = DK_RENT_EV_GAP;
    for (uint32_t i = 0; i < s->n_machines; i++) s->machines[i].busy_at = s->now;
    s->quiet_from = s->now;
    return;
  }
  uint64_t before = s->now, deadline = dk_rent_deadline(s->rent);
  struct rs_event event;
  while (!s->queue_n && rs_pop(s, deadline, &event)) {
    if (event.at > s->now) s->now = event.at;
    rs_happen(s, &event);
  }
  s->n_still = s->queue_n || s->now > before || deadline > s->now ? 0 : s->n_still + 1;
  if (s->n_still > STILL_MAX) rs_fail(s, "it asks for a time that has come, and does nothing then");
  if (s->queue_n) {
    *ret = s->queue[s->queue_at];
    s->queue_at = (s->queue_at + 1) % RS_QUEUE;
    s->queue_n--;
    rs_check_event(s, ret);
  } else if (deadline != RS_NEVER && deadline > s->now) {
    s->now = deadline;
  }
}

/* Before the time that was asked for, and while nothing happens, there is nothing to do. */
static void look_early(struct rs *s) {
  uint64_t until = dk_rent_deadline(s->rent);
  if (s->n_heap && s->heap[0].at < until) until = s->heap[0].at;
  if (until == RS_NEVER || until <= s->now + 1 || s->is_gap) return;
  s->now += (uint64_t)((double)(until - 1 - s->now) * sim_below(&s->luck, 1001) / 1000);
  if (s->now >= until) s->now = until - 1;
  step(s, &(struct dk_rent_event){.kind = DK_RENT_EV_TICK});
  if (s->out.n_records || s->out.n_actions)
    rs_fail(s, "it does something (%u records, %u actions, the first of kind %d, state %d) earlier than it asked for",
            s->out.n_records, s->out.n_actions, s->out.n_actions ? (int)s->out.actions[0].kind : -1,
            s->out.n_records ? (int)s->out.records[0].rented.state : -1);
}

static void begin(struct rs *s) {
  s->epoch++;
  s->queue_at = s->queue_n = 0;
  s->seq = s->committed + 1;
  s->is_gap = s->is_stale = false;
  s->n_still = 0;
  s->quiet_from = s->now;
  dk_rent_out_clear(&s->out);
  rs_trace(s, "engine %u", s->epoch);
  load(s);
  for (uint32_t i = 0; i < s->n_pools; i++) {
    struct rs_pool *pool = &s->pools[i];
    pool->not_before = pool->quota_before = pool->refused_at = 0;
    pool->fails = 0;
    pool->paused_until = 0;
    pool->is_known = pool->is_stopped = pool->was_told = pool->is_proven = false;
    for (uint32_t k = 0; k < RS_SHAPES; k++) pool->of_shape[k].not_before = pool->of_shape[k].refused_at = 0;
    for (uint32_t k = 0; k < s->n_rented; k++)
      pool->is_proven |= s->rented[k].is_proven && strcmp(s->rented[k].pool, pool->config.name) == 0;
  }
  rs_image_begin(s);
  for (uint32_t i = 0; i < s->n_pools; i++)
    if (s->pools[i].is_configured) rs_push_pool(s, i);
  rs_work_begin(s);
}

static int die(struct rs *s) {
  rs_trace(s, "killed");
  dk_rent_destroy(s->rent);
  s->rent = NULL;
  return RS_DEAD;
}

int rs_engine_live(struct rs *s) {
  begin(s);
  while (!rs_has_failed(s)) {
    s->turns++;
    if (rs_faults_do(s)) return die(s);
    uint32_t n = 1 + sim_below(&s->luck, 4);
    struct dk_rent_event event;
    do {
      take(s, &event);
      step(s, &event);
    } while (--n && s->queue_n && !rs_has_failed(s));
    if (rs_has_failed(s)) break;
    if (commit(s)) return die(s);
    if (!s->queue_n) rs_work_assign(s);
    if (!s->queue_n && sim_chance(&s->luck, 200)) look_early(s);
    if (rs_is_over(s)) {
      rs_check_end(s);
      return 0;
    }
    uint64_t moved_at = s->done_at > s->calm_at ? s->done_at : s->calm_at;
    if (s->now > moved_at + END_WITHIN) rs_check_end(s);
  }
  return 0;
}
