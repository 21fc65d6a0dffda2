/* A host: the real agent core, driven as `serve` does it, and a model of the keepers: each runs the orders it is given
 * one after the other, keeps a journal that survives the agent and itself, and says what happened. Its journal is lost,
 * or its tail, when the host reboots. */
#include "lang/base/alloc.h"
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

#define LONG_NS (20 * SIM_MS) /* as engine/agent/keeper.c has it */

static void step(struct sim *s, struct sim_host *host, struct dk_agent_event *event);

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

static uint32_t slot_of(const struct sim_host *host, const struct sim_keeper *keeper) {
  return (uint32_t)(keeper - host->keepers);
}

/* What a keeper says takes a moment; it is lost when the agent dies meanwhile, and found in the journal then. */
static struct sim_event *say(struct sim *s, struct sim_host *host, uint32_t slot, enum dk_agent_event_kind kind,
                             struct dk_id id) {
  struct sim_event *event = sim_at_host(s, host, s->now + 100000, EV_KEEPER_SAYS);
  event->slot = slot;
  event->epoch = host->agent_epoch;
  event->conn = host->keepers[slot].link;
  event->says = kind;
  event->id = id;
  return event;
}

/* --- tasks --- */

static void begin(struct sim *s, struct sim_host *host, struct sim_keeper *keeper, struct sim_item *item) {
  struct sim_attempt *attempt = sim_attempt_of(s, item->id);
  sim_trace(s, "host %u: slot %u starts attempt %llu of task %u of plan %u", host->number, slot_of(host, keeper),
            (unsigned long long)item->id.n, item->task, item->plan);
  if (attempt->started++) sim_fail(s, "attempt %llu started twice", (unsigned long long)item->id.n);
  if (!attempt->is_recorded) sim_fail(s, "attempt %llu started before it was durable", (unsigned long long)item->id.n);
  const struct sim_key *key = sim_key_of(s, &item->key);
  if (sim_running(s, &item->key) && !key->was_given_up) sim_fail(s, "task %u runs twice at a time", item->task);
  if (key->results && !key->was_given_up) sim_fail(s, "task %u starts though it has a result", item->task);
  sim_check_wait(s, host, item);
  item->phase = ITEM_RUNNING;
  item->started_at = s->now;
  struct sim_event *event =
      sim_at_host(s, host, s->now + s->c->plans[item->plan].tasks[item->task].duration_ns, EV_TASK_END);
  event->slot = slot_of(host, keeper);
  event->epoch = keeper->epoch;
  event->id = item->id;
  say(s, host, slot_of(host, keeper), DK_AGENT_EV_KEEPER_STARTED, item->id);
  struct sim_event *busy = sim_at_host(s, host, s->now + LONG_NS, EV_KEEPER_BUSY);
  busy->slot = slot_of(host, keeper);
  busy->epoch = keeper->epoch;
  busy->id = item->id;
}

static bool is_busy(const struct sim *s, const struct sim_keeper *keeper) {
  for (uint32_t i = 0; i < keeper->n; i++) {
    if (keeper->items[i].phase == ITEM_RUNNING && s->now - keeper->items[i].started_at >= LONG_NS) return true;
  }
  return false;
}

/* What waits behind a task that takes long may start in another slot: given back, last first. */
static void give_back(struct sim *s, struct sim_host *host, struct sim_keeper *keeper) {
  for (uint32_t i = keeper->n; i-- > 0;) {
    if (keeper->items[i].phase != ITEM_HELD) continue;
    struct dk_id id = keeper->items[i].id;
    remove_item(keeper, &keeper->items[i]);
    say(s, host, slot_of(host, keeper), DK_AGENT_EV_KEEPER_RETURNED, id);
  }
}

static void begin_next(struct sim *s, struct sim_host *host, struct sim_keeper *keeper) {
  for (uint32_t i = 0; i < keeper->n; i++) {
    if (keeper->items[i].phase == ITEM_RUNNING) return;
  }
  for (uint32_t i = 0; i < keeper->n; i++) {
    if (keeper->items[i].phase != ITEM_HELD) continue;
    begin(s, host, keeper, &keeper->items[i]);
    return;
  }
}

static void end(struct sim *s, struct sim_host *host, struct sim_keeper *keeper, struct sim_item *item,
                enum dk_cause cause, int32_t code) {
  sim_trace(s, "attempt %llu of task %u ends: cause %d code %d", (unsigned long long)item->id.n, item->task, cause,
            code);
  struct sim_key *key = sim_key_of(s, &item->key);
  if (cause == DK_CAUSE_OK && key->object == OBJECT_NONE) key->object = OBJECT_WRITTEN;
  item->phase = ITEM_ENDED;
  item->cause = cause;
  sim_attempt_of(s, item->id)->cause = cause;
  sim_attempt_of(s, item->id)->version = s->c->plans[item->plan].tasks[item->task].wavers ? key->losses : 0;
  item->code = code;
  item->seq = ++keeper->next_seq;
  say(s, host, slot_of(host, keeper), DK_AGENT_EV_KEEPER_ENDED, item->id);
}

static void end_by_habit(struct sim *s, struct sim_host *host, struct sim_keeper *keeper, struct sim_item *item) {
  const struct sim_task *task = &s->c->plans[item->plan].tasks[item->task];
  struct sim_key *key = sim_key_of(s, &item->key);
  bool is_bad_yet = key->bad_ends < task->bad_ends;
  sim_check_wanted(s, host, item);
  switch (task->habit) {
  case HABIT_STUBBORN: end(s, host, keeper, item, DK_CAUSE_EXIT, 75); return;
  case HABIT_EXIT: end(s, host, keeper, item, DK_CAUSE_EXIT, 1); return;
  case HABIT_SIGNAL: end(s, host, keeper, item, DK_CAUSE_SIGNAL, 11); return;
  case HABIT_TIMEOUT: end(s, host, keeper, item, DK_CAUSE_TIMEOUT, 0); return;
  case HABIT_TRANSIENT:
  case HABIT_OOM:
    key->bad_ends += is_bad_yet;
    if (is_bad_yet && task->habit == HABIT_OOM)
      end(s, host, keeper, item, DK_CAUSE_OOM, 9);
    else if (is_bad_yet)
      end(s, host, keeper, item, DK_CAUSE_EXIT, 75);
    else
      end(s, host, keeper, item, DK_CAUSE_OK, 0);
    return;
  default: end(s, host, keeper, item, DK_CAUSE_OK, 0);
  }
}

static bool is_running(const struct sim_host *host, struct dk_id id) {
  for (uint32_t slot = 0; slot < SIM_SLOTS; slot++) {
    for (uint32_t i = 0; i < host->keepers[slot].n; i++) {
      const struct sim_item *item = &host->keepers[slot].items[i];
      if (item->phase == ITEM_RUNNING && dk_id_equal(item->id, id)) return true;
    }
  }
  return false;
}

bool sim_is_running(const struct sim *s, struct dk_id id) {
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    if (is_running(&s->hosts[i], id)) return true;
  }
  return false;
}

static uint32_t running_at(const struct sim_host *host, const struct dk_digest *key) {
  uint32_t n = 0;
  for (uint32_t slot = 0; slot < SIM_SLOTS; slot++) {
    for (uint32_t i = 0; i < host->keepers[slot].n; i++) {
      const struct sim_item *item = &host->keepers[slot].items[i];
      n += item->phase == ITEM_RUNNING && dk_digest_equal(&item->key, key);
    }
  }
  return n;
}

uint32_t sim_running(const struct sim *s, const struct dk_digest *key) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < s->c->n_hosts; i++) n += running_at(&s->hosts[i], key);
  return n;
}

/* --- the agent's orders to keepers --- */

static void start_item(struct sim *s, struct sim_host *host, const struct dk_agent_action *action) {
  struct sim_keeper *keeper = &host->keepers[action->slot];
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
    say(s, host, action->slot, DK_AGENT_EV_KEEPER_REFUSED, item.id)->reason = DK_REFUSED_DISK;
    return;
  }
  if (!sim_place_has_mount(s, s->c->plans[item.plan].tasks[item.task].program, host->number)) {
    say(s, host, action->slot, DK_AGENT_EV_KEEPER_REFUSED, item.id)->reason = DK_REFUSED_BAD;
    return;
  }
  keeper->items[keeper->n++] = item;
  begin_next(s, host, keeper);
  if (is_busy(s, keeper)) give_back(s, host, keeper);
}

/* Data comes later; not in the order in which it was asked for. */
static void fetch(struct sim *s, struct sim_host *host, struct dk_id id) {
  struct sim_event *event = sim_at_host(s, host, s->now + sim_below(&s->tasks, 200) * SIM_MS, EV_DATA_CAME);
  event->epoch = host->agent_epoch;
  event->id = id;
}

static void data_came(struct sim *s, struct sim_host *host, const struct sim_event *came) {
  if (!host->agent || came->epoch != host->agent_epoch) return;
  bool is_gone = s->c->refuses && sim_chance(&s->tasks, 50);
  struct dk_agent_event event = {.kind = is_gone ? DK_AGENT_EV_NO_DATA : DK_AGENT_EV_DATA,
                                 .id = came->id,
                                 .reason = DK_REFUSED_DISK,
                                 .text = "no space"};
  step(s, host, &event);
}

static void return_item(struct sim *s, struct sim_host *host, uint32_t slot, struct dk_id id) {
  struct sim_item *item = find(&host->keepers[slot], id);
  if (!item || item->phase != ITEM_HELD) return;
  remove_item(&host->keepers[slot], item);
  say(s, host, slot, DK_AGENT_EV_KEEPER_RETURNED, id);
}

static void kill_item(struct sim *s, struct sim_host *host, uint32_t slot, struct dk_id id, uint64_t grace_ms) {
  struct sim_item *item = find(&host->keepers[slot], id);
  if (!item || item->phase == ITEM_ENDED) return;
  if (item->phase == ITEM_HELD) {
    end(s, host, &host->keepers[slot], item, DK_CAUSE_KILLED, 0);
    return;
  }
  uint64_t grace = sim_chance(&s->tasks, 500) ? 0 : sim_random_next(&s->tasks) % (grace_ms * SIM_MS + 1);
  struct sim_event *event = sim_at_host(s, host, s->now + grace, EV_TASK_TERM);
  event->slot = slot;
  event->epoch = host->keepers[slot].epoch;
  event->id = id;
}

/* It has not started and will not, the agent says: then no keeper has it. */
static void check_revoked(struct sim *s, struct sim_host *host, struct dk_id id) {
  for (uint32_t slot = 0; slot < SIM_SLOTS; slot++) {
    if (find(&host->keepers[slot], id))
      sim_fail(s, "the agent gives attempt %llu back, which slot %u of host %u has", (unsigned long long)id.n, slot,
               host->number);
  }
}

static void set_mark(struct sim_host *host, const struct dk_agent_action *action) {
  host->agent_next_seq = action->next_seq;
  for (uint32_t i = 0; i < host->n_marks; i++) {
    if (host->marks[i].inc != action->mark.inc) continue;
    if (action->mark.n > host->marks[i].n) host->marks[i].n = action->mark.n;
    return;
  }
  if (host->n_marks < DK_AGENT_MARKS_MAX) host->marks[host->n_marks++] = action->mark;
}

static void act(struct sim *s, struct sim_host *host, const struct dk_agent_action *action) {
  struct sim_item *item;
  switch (action->kind) {
  case DK_AGENT_ACT_SEND:
    if (action->message.type == DK_MSG_REVOKED) check_revoked(s, host, action->message.id);
    if (action->conn == host->conn) sim_send_to_engine(s, host, action->conn, &action->message);
    break;
  case DK_AGENT_ACT_CLOSE: sim_close_from_agent(s, host, action->conn); break;
  case DK_AGENT_ACT_START: start_item(s, host, action); break;
  case DK_AGENT_ACT_RETURN: return_item(s, host, action->slot, action->id); break;
  case DK_AGENT_ACT_KILL: kill_item(s, host, action->slot, action->id, action->grace_ms); break;
  case DK_AGENT_ACT_FORGET:
    item = find(&host->keepers[action->slot], action->id);
    if (sim_is_living(s, action->id))
      sim_fail(s, "attempt %llu is forgotten before its end is durable", (unsigned long long)action->id.n);
    if (item && item->seq == action->keeper_seq) remove_item(&host->keepers[action->slot], item);
    break;
  case DK_AGENT_ACT_FETCH: fetch(s, host, action->id); break;
  case DK_AGENT_ACT_GIVE_UP: break; /* what comes all the same is no event for the agent */
  case DK_AGENT_ACT_MARK: set_mark(host, action); break;
  }
}

/* --- the agent's events --- */

static void step(struct sim *s, struct sim_host *host, struct dk_agent_event *event) {
  struct dk_error error = {0};
  if (dk_agent_step(host->agent, event, &host->agent_out) < 0) sim_fail(s, "the agent has no memory");
  if (dk_agent_check(host->agent, &error) < 0) sim_fail(s, "agent: %s", error.text);
  for (size_t i = 0; i < host->agent_out.n; i++) act(s, host, &host->agent_out.actions[i]);
}

void sim_agent_message(struct sim *s, struct sim_host *host, uint32_t conn, struct dk_message *message) {
  struct dk_agent_event event = {.kind = DK_AGENT_EV_MESSAGE, .conn = conn, .message = message};
  if (message->type == DK_MSG_ASSIGN) message->u.job.is_remote = s->c->is_remote;
  step(s, host, &event);
}

void sim_agent_closed(struct sim *s, struct sim_host *host, uint32_t conn) {
  struct dk_agent_event event = {.kind = DK_AGENT_EV_CLOSED, .conn = conn};
  if (host->agent) step(s, host, &event);
}

static void tell_ended(struct sim *s, struct sim_host *host, uint32_t slot, const struct sim_item *item) {
  struct dk_digest result;
  char *text = sim_need(dk_alloc(DK_DIGEST_HEX + 1));
  sim_result_of(&item->key, sim_attempt_of(s, item->id)->version, &result);
  dk_digest_hex(&result, text);
  struct dk_result told = {
      .cause = item->cause, .code = item->code, .text = text, .wall_ns = s->now - item->started_at};
  struct dk_agent_event event = {
      .kind = DK_AGENT_EV_KEEPER_ENDED, .slot = slot, .id = item->id, .keeper_seq = item->seq, .result = &told};
  step(s, host, &event);
  dk_result_finish(&told);
}

static void keeper_says(struct sim *s, struct sim_host *host, const struct sim_event *said) {
  if (!host->agent || said->epoch != host->agent_epoch || said->conn != host->keepers[said->slot].link) return;
  const struct sim_item *item = find(&host->keepers[said->slot], said->id);
  if (said->says == DK_AGENT_EV_KEEPER_ENDED) {
    if (item && item->phase == ITEM_ENDED) tell_ended(s, host, said->slot, item);
  } else {
    struct dk_agent_event event = {
        .kind = said->says, .slot = said->slot, .id = said->id, .reason = said->reason, .text = "not here"};
    step(s, host, &event);
  }
  begin_next(s, host, &host->keepers[said->slot]);
}

/* The agent has found the keeper again, or its journal. Steps change nothing in the journal but FORGET, so a copy is
 * walked. */
static void keeper_found(struct sim *s, struct sim_host *host, uint32_t slot) {
  struct sim_keeper was = host->keepers[slot];
  for (uint32_t i = 0; i < was.n && host->agent; i++) {
    if (was.items[i].phase == ITEM_ENDED) {
      tell_ended(s, host, slot, &was.items[i]);
    } else {
      struct dk_agent_event event = {
          .kind = DK_AGENT_EV_KEEPER_HAS, .slot = slot, .id = was.items[i].id, .cpus = was.items[i].cpus};
      event.state = was.items[i].phase == ITEM_RUNNING ? DK_ATTEMPT_RUNNING : DK_ATTEMPT_QUEUED;
      step(s, host, &event);
    }
  }
  struct dk_agent_event ready = {.kind = DK_AGENT_EV_KEEPER_READY, .slot = slot};
  step(s, host, &ready);
}

static void drop_held(struct sim_keeper *keeper) {
  for (uint32_t i = keeper->n; i-- > 0;) {
    if (keeper->items[i].phase == ITEM_HELD) remove_item(keeper, &keeper->items[i]);
  }
}

/* A keeper that was killed is followed by one that first ends what is left of its task. */
static void find_again(struct sim *s, struct sim_host *host, uint32_t slot) {
  struct dk_agent_event lost = {.kind = DK_AGENT_EV_KEEPER_LOST, .slot = slot};
  host->keepers[slot].link++;
  step(s, host, &lost);
  struct sim_event *event = sim_at_host(
      s, host, s->now + sim_below(&s->tasks, sim_chance(&s->tasks, 300) ? 5000 : 100) * SIM_MS, EV_KEEPER_FOUND);
  event->slot = slot;
  event->epoch = host->agent_epoch;
  event->conn = host->keepers[slot].link;
}

void sim_agent_start(struct sim *s, struct sim_host *host) {
  if (host->agent) return;
  struct dk_agent_config config = {.slots = host->slots,
                                   .cpus = host->slots,
                                   .memory = 1 << 20,
                                   .pid = 1,
                                   .version = "sim",
                                   .next_seq = host->agent_next_seq};
  if (s->c->refuses) config.queue_max = 2; /* busy, often */
  memcpy(config.boot, host->boot, sizeof config.boot);
  host->agent_epoch++;
  if (dk_agent_create(&host->agent, &config, host->marks, host->n_marks) < 0) sim_fail(s, "the agent has no memory");
  for (uint32_t slot = 0; slot < host->slots; slot++) {
    drop_held(&host->keepers[slot]); /* a keeper does that when a new agent connects */
    if (host->keepers[slot].n) find_again(s, host, slot);
  }
}

void sim_agent_kill(struct sim *s, struct sim_host *host) {
  if (!host->agent) return;
  sim_trace(s, "host %u: the agent is killed", host->number);
  dk_agent_destroy(host->agent);
  host->agent = NULL;
  host->agent_epoch++;
  sim_break(s, host);
  host->cut_from = host->last_conn;
  sim_at_host(s, host, s->now + sim_below(&s->tasks, 3000) * SIM_MS, EV_AGENT_START);
}

/* Its tasks die with it; the agent reads the journal and reports them lost. */
static void all_lost(struct sim *s, struct sim_host *host, struct sim_keeper *keeper) {
  keeper->epoch++;
  drop_held(keeper);
  for (uint32_t i = 0; i < keeper->n; i++) {
    if (keeper->items[i].phase == ITEM_RUNNING) end(s, host, keeper, &keeper->items[i], DK_CAUSE_LOST, 0);
  }
}

void sim_keeper_kill(struct sim *s, struct sim_host *host, uint32_t slot) {
  sim_trace(s, "host %u: the keeper of slot %u is killed", host->number, slot);
  all_lost(s, host, &host->keepers[slot]);
  if (host->agent) find_again(s, host, slot);
}

void sim_keeper_unlink(struct sim *s, struct sim_host *host, uint32_t slot) {
  if (host->agent) find_again(s, host, slot);
}

void sim_reboot(struct sim *s, struct sim_host *host, uint64_t random) {
  sim_trace(s, "host %u reboots", host->number);
  sim_agent_kill(s, host);
  for (uint32_t slot = 0; slot < SIM_SLOTS; slot++) {
    all_lost(s, host, &host->keepers[slot]);
    if (random >> slot & 1)
      host->keepers[slot].n = 0; /* nothing had reached the disk */
    else if (host->keepers[slot].n && random >> (8 + slot) & 1)
      host->keepers[slot].n--; /* or the last entry had not */
  }
  host->boot[0]++;
}

void sim_hosts_init(struct sim *s) {
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    s->hosts[i].number = i;
    s->hosts[i].slots = s->c->slots[i];
    sim_agent_start(s, &s->hosts[i]);
  }
}

void sim_hosts_finish(struct sim *s) {
  for (uint32_t i = 0; i < s->c->n_hosts; i++) {
    dk_agent_destroy(s->hosts[i].agent);
    dk_agent_out_finish(&s->hosts[i].agent_out);
  }
}

void sim_host_event(struct sim *s, struct sim_event *event) {
  struct sim_host *host = &s->hosts[event->host];
  struct sim_keeper *keeper = &host->keepers[event->slot];
  struct sim_item *item = find(keeper, event->id);
  bool is_its = event->epoch == keeper->epoch && item && item->phase == ITEM_RUNNING;
  switch (event->kind) {
  case EV_AGENT_START: sim_agent_start(s, host); break;
  case EV_TASK_END:
    if (is_its) end_by_habit(s, host, keeper, item);
    if (is_its) begin_next(s, host, keeper);
    break;
  case EV_TASK_TERM:
    if (is_its) end(s, host, keeper, item, DK_CAUSE_KILLED, 0);
    if (is_its) begin_next(s, host, keeper);
    break;
  case EV_KEEPER_BUSY:
    if (is_its) give_back(s, host, keeper);
    break;
  case EV_KEEPER_SAYS: keeper_says(s, host, event); break;
  case EV_DATA_CAME: data_came(s, host, event); break;
  case EV_KEEPER_FOUND:
    if (host->agent && event->epoch == host->agent_epoch && event->conn == keeper->link)
      keeper_found(s, host, event->slot);
    break;
  default: break;
  }
}
