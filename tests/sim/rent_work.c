/* Agents and tasks. What the engine knows of a machine's work is what is true of it: tasks that are handed out and have
 * not been heard to end, and results that are nowhere else. Both are on its disk (the store has attempts and results),
 * so that the next engine knows them. */
#include "tests/sim/rent.h"

#include <string.h>

#define LOST_AFTER RS_MINUTE
#define PROOF RS_MINUTE

static uint32_t index_of(const struct rs *s, const struct rs_machine *machine) {
  return (uint32_t)(machine - s->machines);
}

struct dk_rented *rs_record_at(struct rs *s, const struct rs_machine *machine) {
  for (uint32_t i = 0; i < s->n_rented; i++) {
    if (strcmp(s->rented[i].id, machine->id) == 0) return &s->rented[i];
  }
  return NULL;
}

uint32_t rs_work_count(const struct rs_machine *machine, bool is_unsaved) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < machine->n_tasks; i++) n += (machine->tasks[i].state == RS_UNSAVED) == is_unsaved;
  return n;
}

void rs_work_use(struct rs *s, struct rs_machine *machine) {
  if (machine->used_from) {
    uint64_t until = s->now < machine->gone_at ? s->now : machine->gone_at;
    if (until > machine->used_from) machine->used_ns += until - machine->used_from;
  }
  machine->used_from = machine->n_tasks ? s->now : 0;
}

static void wake(struct rs *s, const struct rs_machine *machine, uint64_t at) {
  rs_at(s, at, RS_WORK)->machine = index_of(s, machine);
}

static void push_load(struct rs *s, struct rs_machine *machine, bool is_proof) {
  const struct dk_rented *record = rs_record_at(s, machine);
  if (!s->rent || !record) return;
  struct dk_rent_event event = {.kind = DK_RENT_EV_LOAD, .number = record->number};
  event.u.load.tasks = rs_work_count(machine, false);
  event.u.load.unsaved = rs_work_count(machine, true);
  event.u.load.is_proof = is_proof;
  for (uint32_t i = 0; i < machine->n_tasks; i++) {
    const struct rs_task *task = &machine->tasks[i];
    event.u.load.is_proof |= task->state == RS_UNSAVED || s->now - task->since >= PROOF;
  }
  if (event.u.load.is_proof) s->pools[machine->pool].is_proven = true;
  machine->is_load_queued = true;
  rs_push(s, &event);
}

static void push_demand(struct rs *s) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_DEMAND};
  s->is_dirty = false;
  for (uint32_t i = 0; i < s->n_kinds; i++) {
    s->demand[i] = s->kinds[i];
    s->demand[i].n = s->waiting[i];
    if (s->waiting[i]) s->quiet_from = s->now;
  }
  event.u.demand.needs = s->demand;
  event.u.demand.n = s->n_kinds;
  rs_push(s, &event);
}

/* They are to be done again, elsewhere. */
static bool give_back(struct rs *s, struct rs_machine *machine, bool with_unsaved) {
  uint32_t n = 0, before = machine->n_tasks;
  rs_work_use(s, machine);
  for (uint32_t i = 0; i < before; i++) {
    const struct rs_task task = machine->tasks[i];
    if (task.state == RS_UNSAVED && !with_unsaved)
      machine->tasks[n++] = task;
    else
      s->waiting[task.kind]++;
  }
  machine->n_tasks = n;
  rs_work_use(s, machine);
  if (n == before) return false;
  machine->busy_at = s->now;
  s->is_dirty = true;
  return true;
}

/* It is silent; what it runs is given up when it stays so. */
static void expect(struct rs *s, const struct rs_machine *machine) {
  struct rs_event *lost = rs_at(s, s->now + LOST_AFTER, RS_LOST);
  lost->machine = index_of(s, machine);
  lost->n = machine->links;
}

void rs_work_begin(struct rs *s) {
  for (uint32_t i = 0; i < s->n_machines; i++) {
    struct rs_machine *machine = &s->machines[i];
    const struct dk_rented *record = rs_record_at(s, machine);
    machine->is_dialled = machine->is_linked = machine->is_load_queued = false;
    machine->links++;
    machine->told_tasks = 0;
    machine->busy_at = s->now;
    bool is_kept = record && (record->state == DK_RENT_MADE || record->state == DK_RENT_UP);
    if (!is_kept) give_back(s, machine, true);
    machine->is_unheard = is_kept && record->state == DK_RENT_UP && !record->is_builder;
    if (machine->is_unheard) {
      rs_at(s, s->now + (sim_chance(&s->luck, 500) ? sim_below(&s->luck, 900) * RS_SECOND : 0), RS_WORK)->machine = i;
      expect(s, machine);
    }
  }
  push_demand(s);
}

void rs_work_dial(struct rs *s, struct rs_machine *machine) {
  const struct dk_rented *record = rs_record_at(s, machine);
  machine->is_dialled = true;
  if (record) {
    struct dk_rent_event event = {.kind = DK_RENT_EV_HOST, .number = record->number};
    event.u.host.host = record->number + 100;
    rs_push(s, &event);
  }
  rs_at(s, s->now + 2 * RS_SECOND, RS_CONNECT)->machine = index_of(s, machine);
}

void rs_work_forget(struct rs *s, struct rs_machine *machine) {
  if (!machine->is_dialled && !machine->n_tasks) return;
  const struct dk_rented *record = rs_record_at(s, machine);
  if (record && (record->state == DK_RENT_MADE || record->state == DK_RENT_UP)) return;
  machine->is_dialled = machine->is_linked = false;
  machine->links++;
  give_back(s, machine, true);
}

void rs_work_cut(struct rs *s, struct rs_machine *machine) {
  const struct dk_rented *record = rs_record_at(s, machine);
  if (!machine->is_linked || !s->rent) return;
  machine->is_linked = false;
  machine->links++;
  if (record) rs_push(s, &(struct dk_rent_event){.kind = DK_RENT_EV_AGENT_DOWN, .number = record->number});
  rs_at(s, s->now + 5 * RS_SECOND, RS_CONNECT)->machine = index_of(s, machine);
  expect(s, machine);
}

/* What a connected agent says. */
static void hear(struct rs *s, struct rs_machine *machine) {
  uint32_t n = 0;
  bool is_proof = false;
  rs_work_use(s, machine);
  bool had = machine->n_tasks > 0;
  for (uint32_t i = 0; i < machine->n_tasks; i++) {
    struct rs_task task = machine->tasks[i];
    if (task.state != RS_UNSAVED && task.until <= s->now) {
      task.state = RS_UNSAVED;
      task.until = s->now + sim_below(&s->luck, 30) * RS_SECOND;
      if (task.until > s->now) wake(s, machine, task.until);
    }
    if (task.state == RS_UNSAVED && task.until <= s->now) {
      s->done++;
      s->done_at = s->now;
      is_proof = true;
    } else {
      machine->tasks[n++] = task;
    }
  }
  machine->n_tasks = n;
  if (had) machine->busy_at = s->now;
  rs_work_use(s, machine);
  push_load(s, machine, is_proof);
}

static void connect(struct rs *s, struct rs_machine *machine) {
  if (!machine->is_dialled || machine->is_linked || !s->rent) return;
  bool runs = s->now >= machine->agent_at && s->now < machine->stops_at && s->now < machine->gone_at;
  if (!runs || s->now < machine->dark_until) {
    rs_at(s, s->now + 30 * RS_SECOND, RS_CONNECT)->machine = index_of(s, machine);
    return;
  }
  const struct dk_rented *record = rs_record_at(s, machine);
  if (!record) return;
  machine->is_linked = true;
  if (record->state == DK_RENT_MADE) machine->busy_at = s->now;
  machine->links++;
  rs_push(s, &(struct dk_rent_event){.kind = DK_RENT_EV_AGENT_UP, .number = record->number});
  s->is_dirty = true;
  if (!record->is_builder)
    hear(s, machine);
  else if (record->incarnation == s->epoch)
    rs_image_build(s, index_of(s, machine));
}

static void arrive(struct rs *s, uint32_t n) {
  s->to_come--;
  for (uint32_t i = 0; i < n; i++) s->waiting[sim_below(&s->luck, s->n_kinds)]++;
  s->is_dirty = true;
}

void rs_work_cancel(struct rs *s) {
  memset(s->waiting, 0, sizeof s->waiting);
  s->is_dirty = true;
}

void rs_work_event(struct rs *s, const struct rs_event *event) {
  struct rs_machine *machine = &s->machines[event->machine];
  switch (event->kind) {
  case RS_CONNECT:
    if (event->epoch == s->epoch) connect(s, machine);
    break;
  case RS_CUT:
    if (s->now >= machine->stops_at || s->now >= machine->gone_at) rs_work_cut(s, machine);
    break;
  case RS_WORK:
    if (machine->is_linked)
      hear(s, machine);
    else if (machine->is_unheard && event->epoch == s->epoch)
      push_load(s, machine, false);
    break;
  case RS_LOST:
    if (event->epoch == s->epoch && s->rent && !machine->is_linked && event->n == machine->links &&
        give_back(s, machine, false))
      push_load(s, machine, false);
    break;
  default: arrive(s, event->n); break;
  }
}

/* --- handing out --- */

static bool has_room(const struct rs *s, const struct rs_machine *machine, const struct dk_rent_need *need) {
  struct dk_rent_shape left = s->pools[machine->pool].shapes[machine->shape];
  if (machine->n_tasks == RS_TASKS) return false;
  for (uint32_t i = 0; i < machine->n_tasks; i++) {
    const struct dk_rent_need *used = &s->kinds[machine->tasks[i].kind];
    if (machine->tasks[i].state == RS_UNSAVED) continue;
    left.cpus -= used->cpus;
    left.gpus -= used->gpus;
    left.memory -= used->memory;
  }
  return left.cpus >= need->cpus && left.gpus >= need->gpus && left.memory >= need->memory;
}

static bool hand_out(struct rs *s, struct rs_machine *machine) {
  bool has_changed = false;
  for (uint32_t k = 0; k < s->n_kinds; k++) {
    while (s->waiting[k] && has_room(s, machine, &s->kinds[k])) {
      uint64_t lasts = (10 + sim_below(&s->luck, sim_chance(&s->luck, 200) ? 3000 : 300)) * RS_SECOND;
      rs_work_use(s, machine);
      machine->tasks[machine->n_tasks++] = (struct rs_task){.kind = k, .since = s->now, .until = s->now + lasts};
      rs_work_use(s, machine);
      wake(s, machine, s->now + lasts);
      if (lasts > PROOF) wake(s, machine, s->now + PROOF);
      s->waiting[k]--;
      has_changed = true;
    }
  }
  return has_changed;
}

void rs_work_assign(struct rs *s) {
  for (uint32_t i = 0; i < s->n_machines; i++) {
    struct rs_machine *machine = &s->machines[i];
    const struct dk_rented *record = machine->is_linked ? rs_record_at(s, machine) : NULL;
    if (!record || record->state != DK_RENT_UP || record->is_leaving || record->is_builder ||
        !s->pools[machine->pool].is_configured)
      continue;
    if (machine->is_useless || !hand_out(s, machine)) continue;
    push_load(s, machine, false);
    s->is_dirty = true;
  }
  if (s->is_dirty) push_demand(s);
}
