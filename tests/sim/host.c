/* The host: the real agent core, driven as `serve` does it, and a model of the keepers: each runs the orders it is given one
 * after the other, keeps a journal that survives the agent and itself, and says what happened. Its journal is lost, or its
 * tail, when the host reboots. */
#include "lang/base/alloc.h"
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

static void step(struct sim *s, struct dk_agent_event *event);

static struct sim_item *find(struct sim_keeper *keeper, struct dk_id id) {
  for (uint32_t i = 0; i < keeper->n; i++) {
    if (dk_id_equal(keeper->items[i].id, id)) return &keeper->items[i];
  }
  return NULL;
}

static void remove_item(struct sim_keeper *keeper, struct sim_item *item) {
  uint32_t i = (uint32_t)(item - keeper->items);
  memmove(item, item + 1, (keeper->n - i - 1) * sizeof *item);
  keeper->n--;
}

static uint32_t slot_of(const struct sim *s, const struct sim_keeper *keeper) {
  return (uint32_t)(keeper - s->keepers);
}

/* What a keeper says takes a moment; it is lost when the agent dies meanwhile, and found in the journal then. */
static void say(struct sim *s, uint32_t slot, enum dk_agent_event_kind kind, struct dk_id id) {
  struct sim_event *event = sim_at(s, s->now + 100000, EV_KEEPER_SAYS);
  event->slot = slot;
  event->epoch = s->agent_epoch;
  event->conn = s->keepers[slot].link;
  event->says = kind;
  event->id = id;
}

/* --- tasks --- */

static void begin(struct sim *s, struct sim_keeper *keeper, struct sim_item *item) {
  struct sim_attempt *attempt = sim_attempt_of(s, item->id);
  sim_trace(s, "slot %u starts attempt %llu of task %u of plan %u", slot_of(s, keeper), (unsigned long long)item->id.n,
            item->task, item->plan);
  if (attempt->started++) sim_fail(s, "attempt %llu started twice", (unsigned long long)item->id.n);
  if (!attempt->is_recorded) sim_fail(s, "attempt %llu started before it was durable", (unsigned long long)item->id.n);
  if (sim_running(s, &item->key)) sim_fail(s, "task %u runs twice at a time", item->task);
  if (sim_key_of(s, &item->key)->results) sim_fail(s, "task %u starts though it has a result", item->task);
  item->phase = ITEM_RUNNING;
  item->started_at = s->now;
  struct sim_event *event = sim_at(s, s->now + s->c->plans[item->plan].tasks[item->task].duration_ns, EV_TASK_END);
  event->slot = slot_of(s, keeper);
  event->epoch = keeper->epoch;
  event->id = item->id;
  say(s, slot_of(s, keeper), DK_AGENT_EV_KEEPER_STARTED, item->id);
}

static void begin_next(struct sim *s, struct sim_keeper *keeper) {
  for (uint32_t i = 0; i < keeper->n; i++) {
    if (keeper->items[i].phase == ITEM_RUNNING) return;
  }
  for (uint32_t i = 0; i < keeper->n; i++) {
    if (keeper->items[i].phase != ITEM_HELD) continue;
    begin(s, keeper, &keeper->items[i]);
    return;
  }
}

static void end(struct sim *s, struct sim_keeper *keeper, struct sim_item *item, enum dk_cause cause, int32_t code) {
  sim_trace(s, "attempt %llu of task %u ends: cause %d code %d", (unsigned long long)item->id.n, item->task, cause,
            code);
  struct sim_key *key = sim_key_of(s, &item->key);
  if (cause == DK_CAUSE_OK && key->object == OBJECT_NONE) key->object = OBJECT_WRITTEN;
  item->phase = ITEM_ENDED;
  item->cause = cause;
  sim_attempt_of(s, item->id)->cause = cause;
  item->code = code;
  item->seq = ++keeper->next_seq;
  say(s, slot_of(s, keeper), DK_AGENT_EV_KEEPER_ENDED, item->id);
}

static void end_by_habit(struct sim *s, struct sim_keeper *keeper, struct sim_item *item) {
  const struct sim_task *task = &s->c->plans[item->plan].tasks[item->task];
  struct sim_key *key = sim_key_of(s, &item->key);
  bool is_bad_yet = key->bad_ends < task->bad_ends;
  sim_check_wanted(s, item);
  switch (task->habit) {
  case HABIT_STUBBORN: end(s, keeper, item, DK_CAUSE_EXIT, 75); return;
  case HABIT_EXIT: end(s, keeper, item, DK_CAUSE_EXIT, 1); return;
  case HABIT_SIGNAL: end(s, keeper, item, DK_CAUSE_SIGNAL, 11); return;
  case HABIT_TIMEOUT: end(s, keeper, item, DK_CAUSE_TIMEOUT, 0); return;
  case HABIT_TRANSIENT:
  case HABIT_OOM:
    key->bad_ends += is_bad_yet;
    if (is_bad_yet && task->habit == HABIT_OOM)
      end(s, keeper, item, DK_CAUSE_OOM, 9);
    else if (is_bad_yet)
      end(s, keeper, item, DK_CAUSE_EXIT, 75);
    else
      end(s, keeper, item, DK_CAUSE_OK, 0);
    return;
  default: end(s, keeper, item, DK_CAUSE_OK, 0);
  }
}

bool sim_is_running(const struct sim *s, struct dk_id id) {
  for (uint32_t slot = 0; slot < SIM_SLOTS; slot++) {
    for (uint32_t i = 0; i < s->keepers[slot].n; i++) {
      const struct sim_item *item = &s->keepers[slot].items[i];
      if (item->phase == ITEM_RUNNING && dk_id_equal(item->id, id)) return true;
    }
  }
  return false;
}

uint32_t sim_running(const struct sim *s, const struct dk_digest *key) {
  uint32_t n = 0;
  for (uint32_t slot = 0; slot < SIM_SLOTS; slot++) {
    for (uint32_t i = 0; i < s->keepers[slot].n; i++) {
      const struct sim_item *item = &s->keepers[slot].items[i];
      n += item->phase == ITEM_RUNNING && dk_digest_equal(&item->key, key);
    }
  }
  return n;
}

/* --- the agent's orders to keepers --- */

static void start_item(struct sim *s, const struct dk_agent_action *action) {
  struct sim_keeper *keeper = &s->keepers[action->slot];
  struct sim_item item = {.id = action->id, .cpus = action->job->cpus};
  dk_digest_parse(action->job->argv[0], strlen(action->job->argv[0]), &item.key);
  char *dot;
  item.plan = (uint32_t)strtoul(action->job->label, &dot, 10);
  item.task = (uint32_t)strtoul(dot + 1, NULL, 10);
  if (find(keeper, action->id) || keeper->n == 64) {
    sim_fail(s, "the agent gave attempt %llu to its keeper twice", (unsigned long long)action->id.n);
    return;
  }
  if (s->c->refuses && sim_chance(&s->tasks, 50)) { /* its disk is full, say */
    say(s, action->slot, DK_AGENT_EV_KEEPER_REFUSED, item.id);
    return;
  }
  keeper->items[keeper->n++] = item;
  begin_next(s, keeper);
}

static void return_item(struct sim *s, uint32_t slot, struct dk_id id) {
  struct sim_item *item = find(&s->keepers[slot], id);
  if (!item || item->phase != ITEM_HELD) return;
  remove_item(&s->keepers[slot], item);
  say(s, slot, DK_AGENT_EV_KEEPER_RETURNED, id);
}

static void kill_item(struct sim *s, uint32_t slot, struct dk_id id, uint64_t grace_ms) {
  struct sim_item *item = find(&s->keepers[slot], id);
  if (!item || item->phase == ITEM_ENDED) return;
  if (item->phase == ITEM_HELD) {
    end(s, &s->keepers[slot], item, DK_CAUSE_KILLED, 0);
    return;
  }
  uint64_t grace = sim_chance(&s->tasks, 500) ? 0 : sim_random_next(&s->tasks) % (grace_ms * SIM_MS + 1);
  struct sim_event *event = sim_at(s, s->now + grace, EV_TASK_TERM);
  event->slot = slot;
  event->epoch = s->keepers[slot].epoch;
  event->id = id;
}

static void set_mark(struct sim *s, const struct dk_agent_action *action) {
  s->agent_next_seq = action->next_seq;
  for (uint32_t i = 0; i < s->n_marks; i++) {
    if (s->marks[i].inc != action->mark.inc) continue;
    if (action->mark.n > s->marks[i].n) s->marks[i].n = action->mark.n;
    return;
  }
  if (s->n_marks < DK_AGENT_MARKS_MAX) s->marks[s->n_marks++] = action->mark;
}

static void act(struct sim *s, const struct dk_agent_action *action) {
  struct sim_item *item;
  switch (action->kind) {
  case DK_AGENT_ACT_SEND:
    if (action->conn == s->conn) sim_send_to_engine(s, action->conn, &action->message);
    break;
  case DK_AGENT_ACT_CLOSE: sim_close_from_agent(s, action->conn); break;
  case DK_AGENT_ACT_START: start_item(s, action); break;
  case DK_AGENT_ACT_RETURN: return_item(s, action->slot, action->id); break;
  case DK_AGENT_ACT_KILL: kill_item(s, action->slot, action->id, action->grace_ms); break;
  case DK_AGENT_ACT_FORGET:
    item = find(&s->keepers[action->slot], action->id);
    if (sim_is_living(s, action->id))
      sim_fail(s, "attempt %llu is forgotten before its end is durable", (unsigned long long)action->id.n);
    if (item && item->seq == action->keeper_seq) remove_item(&s->keepers[action->slot], item);
    break;
  case DK_AGENT_ACT_MARK: set_mark(s, action); break;
  }
}

/* --- the agent's events --- */

static void step(struct sim *s, struct dk_agent_event *event) {
  struct dk_error error = {0};
  if (dk_agent_step(s->agent, event, &s->agent_out) < 0) sim_fail(s, "the agent has no memory");
  if (dk_agent_check(s->agent, &error) < 0) sim_fail(s, "agent: %s", error.text);
  for (size_t i = 0; i < s->agent_out.n; i++) act(s, &s->agent_out.actions[i]);
}

void sim_agent_message(struct sim *s, uint32_t conn, struct dk_message *message) {
  struct dk_agent_event event = {.kind = DK_AGENT_EV_MESSAGE, .conn = conn, .message = message};
  step(s, &event);
}

void sim_agent_closed(struct sim *s, uint32_t conn) {
  struct dk_agent_event event = {.kind = DK_AGENT_EV_CLOSED, .conn = conn};
  if (s->agent) step(s, &event);
}

static void tell_ended(struct sim *s, uint32_t slot, const struct sim_item *item) {
  struct dk_digest result;
  char *text = sim_need(dk_alloc(DK_DIGEST_HEX + 1));
  sim_result_of(&item->key, &result);
  dk_digest_hex(&result, text);
  struct dk_result told = {
      .cause = item->cause, .code = item->code, .text = text, .wall_ns = s->now - item->started_at};
  struct dk_agent_event event = {
      .kind = DK_AGENT_EV_KEEPER_ENDED, .slot = slot, .id = item->id, .keeper_seq = item->seq, .result = &told};
  step(s, &event);
  dk_result_finish(&told);
}

static void keeper_says(struct sim *s, const struct sim_event *said) {
  if (!s->agent || said->epoch != s->agent_epoch || said->conn != s->keepers[said->slot].link) return;
  const struct sim_item *item = find(&s->keepers[said->slot], said->id);
  if (said->says == DK_AGENT_EV_KEEPER_ENDED) {
    if (item && item->phase == ITEM_ENDED) tell_ended(s, said->slot, item);
  } else {
    struct dk_agent_event event = {
        .kind = said->says, .slot = said->slot, .id = said->id, .reason = DK_REFUSED_DISK, .text = "no space"};
    step(s, &event);
  }
  begin_next(s, &s->keepers[said->slot]);
}

/* The agent has found the keeper again, or its journal. Steps change nothing in the journal but FORGET, so a copy is walked. */
static void keeper_found(struct sim *s, uint32_t slot) {
  struct sim_keeper was = s->keepers[slot];
  for (uint32_t i = 0; i < was.n && s->agent; i++) {
    if (was.items[i].phase == ITEM_ENDED) {
      tell_ended(s, slot, &was.items[i]);
    } else {
      struct dk_agent_event event = {
          .kind = DK_AGENT_EV_KEEPER_HAS, .slot = slot, .id = was.items[i].id, .cpus = was.items[i].cpus};
      event.state = was.items[i].phase == ITEM_RUNNING ? DK_ATTEMPT_RUNNING : DK_ATTEMPT_QUEUED;
      step(s, &event);
    }
  }
  struct dk_agent_event ready = {.kind = DK_AGENT_EV_KEEPER_READY, .slot = slot};
  step(s, &ready);
}

static void drop_held(struct sim_keeper *keeper) {
  for (uint32_t i = keeper->n; i-- > 0;) {
    if (keeper->items[i].phase == ITEM_HELD) remove_item(keeper, &keeper->items[i]);
  }
}

static void find_again(struct sim *s, uint32_t slot) {
  struct dk_agent_event lost = {.kind = DK_AGENT_EV_KEEPER_LOST, .slot = slot};
  s->keepers[slot].link++;
  step(s, &lost);
  struct sim_event *event = sim_at(s, s->now + sim_below(&s->tasks, 100) * SIM_MS, EV_KEEPER_FOUND);
  event->slot = slot;
  event->epoch = s->agent_epoch;
  event->conn = s->keepers[slot].link;
}

void sim_agent_start(struct sim *s) {
  if (s->agent) return;
  struct dk_agent_config config = {.slots = s->c->slots,
                                   .cpus = s->c->slots,
                                   .memory = 1 << 20,
                                   .pid = 1,
                                   .version = "sim",
                                   .next_seq = s->agent_next_seq};
  if (s->c->refuses) config.queue_max = 2; /* busy, often */
  memcpy(config.boot, s->boot, sizeof config.boot);
  s->agent_epoch++;
  if (dk_agent_create(&s->agent, &config, s->marks, s->n_marks) < 0) sim_fail(s, "the agent has no memory");
  for (uint32_t slot = 0; slot < s->c->slots; slot++) {
    drop_held(&s->keepers[slot]); /* a keeper does that when a new agent connects */
    if (s->keepers[slot].n) find_again(s, slot);
  }
}

void sim_agent_kill(struct sim *s) {
  if (!s->agent) return;
  sim_trace(s, "the agent is killed");
  dk_agent_destroy(s->agent);
  s->agent = NULL;
  s->agent_epoch++;
  sim_break(s);
  s->cut_from = s->last_conn;
  sim_at(s, s->now + sim_below(&s->tasks, 3000) * SIM_MS, EV_AGENT_START);
}

/* Its tasks die with it; the agent reads the journal and reports them lost. */
static void all_lost(struct sim *s, struct sim_keeper *keeper) {
  keeper->epoch++;
  drop_held(keeper);
  for (uint32_t i = 0; i < keeper->n; i++) {
    if (keeper->items[i].phase == ITEM_RUNNING) end(s, keeper, &keeper->items[i], DK_CAUSE_LOST, 0);
  }
}

void sim_keeper_kill(struct sim *s, uint32_t slot) {
  sim_trace(s, "the keeper of slot %u is killed", slot);
  all_lost(s, &s->keepers[slot]);
  if (s->agent) find_again(s, slot);
}

void sim_keeper_unlink(struct sim *s, uint32_t slot) {
  if (s->agent) find_again(s, slot);
}

void sim_reboot(struct sim *s, uint64_t random) {
  sim_trace(s, "the host reboots");
  sim_agent_kill(s);
  for (uint32_t slot = 0; slot < SIM_SLOTS; slot++) {
    all_lost(s, &s->keepers[slot]);
    if (random >> slot & 1)
      s->keepers[slot].n = 0; /* nothing had reached the disk */
    else if (s->keepers[slot].n && random >> (8 + slot) & 1)
      s->keepers[slot].n--; /* or the last entry had not */
  }
  s->boot[0]++;
}

void sim_host_init(struct sim *s) {
  sim_agent_start(s);
}

void sim_host_event(struct sim *s, struct sim_event *event) {
  struct sim_keeper *keeper = &s->keepers[event->slot];
  struct sim_item *item = find(keeper, event->id);
  bool is_its = event->epoch == keeper->epoch && item && item->phase == ITEM_RUNNING;
  switch (event->kind) {
  case EV_AGENT_START: sim_agent_start(s); break;
  case EV_TASK_END:
    if (is_its) end_by_habit(s, keeper, item);
    if (is_its) begin_next(s, keeper);
    break;
  case EV_TASK_TERM:
    if (is_its) end(s, keeper, item, DK_CAUSE_KILLED, 0);
    if (is_its) begin_next(s, keeper);
    break;
  case EV_KEEPER_SAYS: keeper_says(s, event); break;
  case EV_KEEPER_FOUND:
    if (s->agent && event->epoch == s->agent_epoch && event->conn == keeper->link) keeper_found(s, event->slot);
    break;
  default: break;
  }
}
