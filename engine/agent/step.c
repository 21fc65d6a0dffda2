/* What each event does to the agent's core: one function an event, and the placing of orders that ends every step. */
#include "engine/agent/state_private.h"

#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Tasks shorter than this are handed to keepers ahead, so that a slot never waits for a round trip. */
#define SHORT_NS 20000000u
#define AHEAD_MAX 16u

/* Messages to the engine. */

static struct dk_message *say(struct dk_agent *a, struct dk_agent_out *out, enum dk_message_type type,
                              struct dk_id id) {
  struct dk_agent_action *action = dk_agent_act(out, DK_AGENT_ACT_SEND);
  if (!action) return NULL;
  action->conn = a->conn;
  action->message.type = type;
  action->message.session = a->session;
  action->message.id = id;
  return &action->message;
}

static int say_plain(struct dk_agent *a, struct dk_agent_out *out, enum dk_message_type type, struct dk_id id) {
  if (!a->has_session) return 0;
  return say(a, out, type, id) ? 0 : -ENOMEM;
}

static int say_started(struct dk_agent *a, struct dk_agent_out *out, const struct attempt *attempt) {
  if (!a->has_session) return 0;
  struct dk_message *message = say(a, out, DK_MSG_STARTED, attempt->id);
  if (!message) return -ENOMEM;
  message->u.started.slot = attempt->slot;
  message->u.started.unix_ns = attempt->started_unix_ns;
  return 0;
}

static int say_refused(struct dk_agent *a, struct dk_agent_out *out, struct dk_id id, enum dk_refusal reason,
                       const char *text) {
  if (!a->has_session) return 0;
  struct dk_message *message = say(a, out, DK_MSG_REFUSED, id);
  if (!message) return -ENOMEM;
  message->u.refused.reason = reason;
  message->u.refused.text = (char *)text; /* shallow, see state.h */
  return 0;
}

static int say_result(struct dk_agent *a, struct dk_agent_out *out, struct attempt *attempt) {
  if (!a->has_session || !a->is_open) return 0;
  struct dk_message *message = say(a, out, DK_MSG_RESULT, attempt->id);
  if (!message) return -ENOMEM;
  message->seq = attempt->seq;
  message->u.result = attempt->result;
  attempt->is_sent = true;
  return 0;
}

static int close_conn(struct dk_agent_out *out, uint32_t conn, const char *text) {
  struct dk_agent_action *action = dk_agent_act(out, DK_AGENT_ACT_SEND);
  if (!action) return -ENOMEM;
  action->conn = conn;
  action->message.type = DK_MSG_CLOSED;
  action->message.u.closed.text = (char *)text;
  action = dk_agent_act(out, DK_AGENT_ACT_CLOSE);
  if (!action) return -ENOMEM;
  action->conn = conn;
  return 0;
}

/* Results in the order of their numbers, as far as they were not sent in this session. */
static int send_results(struct dk_agent *a, struct dk_agent_out *out) {
  if (!a->is_open) return 0;
  for (uint64_t from = 0;;) {
    struct attempt *next = NULL;
    for (uint32_t i = 0; i < a->n_attempts; i++) {
      struct attempt *attempt = &a->attempts[i];
      if (attempt->phase != PHASE_ENDED || attempt->is_sent || attempt->seq <= from) continue;
      if (!next || attempt->seq < next->seq) next = attempt;
    }
    if (!next) return 0;
    from = next->seq;
    int r = say_result(a, out, next);
    if (r < 0) return r;
  }
}

static int open_session(struct dk_agent *a, struct dk_agent_out *out) {
  if (a->is_open) return 0;
  a->is_open = true;
  return send_results(a, out);
}

/* A keeper that is being found again may hold what is not known here. */
static bool is_every_keeper_heard(const struct dk_agent *a) {
  for (uint32_t i = 0; i < a->n_slots; i++) {
    if (a->slots[i].is_lost) return false;
  }
  return true;
}

static int answer_list(struct dk_agent *a, struct dk_agent_out *out) {
  if (!a->has_session || !a->wants_list || !is_every_keeper_heard(a)) return 0;
  a->wants_list = false;
  for (uint32_t i = 0; i < a->n_attempts; i++) {
    const struct attempt *attempt = &a->attempts[i];
    if (attempt->phase == PHASE_FREE) continue;
    struct dk_message *has = say(a, out, DK_MSG_HAS, attempt->id);
    if (!has) return -ENOMEM;
    has->u.has.state = attempt->phase == PHASE_ENDED     ? DK_ATTEMPT_ENDED
                       : attempt->phase == PHASE_RUNNING ? DK_ATTEMPT_RUNNING
                                                         : DK_ATTEMPT_QUEUED;
    has->u.has.slot = attempt->phase == PHASE_RUNNING ? attempt->slot : 0;
  }
  int r = say_plain(a, out, DK_MSG_HAS_END, (struct dk_id){0});
  return r < 0 ? r : open_session(a, out);
}

/* Placing. */

static uint32_t slots_booked(const struct dk_agent *a) {
  uint32_t booked = 0;
  /* A lost slot may hold anything; it counts as booked until its keeper is heard. */
  for (uint32_t i = 0; i < a->n_slots; i++)
    booked += a->slots[i].is_lost && a->slots[i].width == 0 ? 1 : a->slots[i].width;
  return booked;
}

static uint32_t find_free(const struct dk_agent *a) {
  for (uint32_t i = 0; i < a->config.slots; i++) {
    if (a->slots[i].load == 0 && !a->slots[i].is_lost) return i;
  }
  return NONE;
}

/* The least loaded slot that may be given one more ahead. */
static uint32_t find_ahead(const struct dk_agent *a) {
  if (a->mean_wall_ns == 0 || a->mean_wall_ns >= SHORT_NS) return NONE;
  uint64_t ahead = SHORT_NS / a->mean_wall_ns;
  if (ahead > AHEAD_MAX) ahead = AHEAD_MAX;
  uint32_t best = NONE;
  for (uint32_t i = 0; i < a->config.slots; i++) {
    const struct slot *slot = &a->slots[i];
    if (slot->is_lost || slot->is_slow || slot->width != 1 || slot->load > ahead) continue;
    if (best == NONE || slot->load < a->slots[best].load) best = i;
  }
  return best;
}

static int place(struct dk_agent *a, struct dk_agent_out *out) {
  uint32_t booked = a->head == NONE ? 0 : slots_booked(a);
  while (a->head != NONE) {
    struct attempt *attempt = &a->attempts[a->head];
    uint32_t width = dk_agent_width(a, attempt), slot = NONE;
    bool is_free = booked + width <= a->config.slots;
    if (is_free) slot = find_free(a);
    if (slot == NONE && width == 1) {
      is_free = false;
      slot = find_ahead(a);
    }
    if (slot == NONE) return 0;
    dk_agent_dequeue(a, attempt);
    dk_agent_book(a, attempt, slot);
    if (is_free) booked += width;
    struct dk_agent_action *action = dk_agent_act(out, DK_AGENT_ACT_START);
    if (!action) return -ENOMEM;
    action->slot = slot;
    action->id = attempt->id;
    action->job = &attempt->job;
  }
  return 0;
}

/* Ends. */

static void measure(struct dk_agent *a, uint64_t wall_ns) {
  if (wall_ns < 500000) wall_ns = 500000;
  a->mean_wall_ns = a->mean_wall_ns ? a->mean_wall_ns - a->mean_wall_ns / 8 + wall_ns / 8 : wall_ns;
}

static int finish(struct dk_agent *a, struct attempt *attempt, struct dk_result *result, uint64_t keeper_seq,
                  struct dk_agent_out *out) {
  attempt->phase = PHASE_ENDED;
  dk_job_finish(&attempt->job);
  attempt->result = *result;
  memset(result, 0, sizeof *result);
  attempt->keeper_seq = keeper_seq;
  attempt->seq = a->next_seq++;
  attempt->is_sent = false;
  return say_result(a, out, attempt);
}

static int finish_here(struct dk_agent *a, struct attempt *attempt, enum dk_cause cause, const char *text,
                       struct dk_agent_out *out) {
  struct dk_result result = {.cause = cause, .text = dk_strdup(text)};
  if (!result.text) return -ENOMEM;
  return finish(a, attempt, &result, 0, out);
}

static int requeue(struct dk_agent *a, struct attempt *attempt, struct dk_agent_out *out) {
  dk_agent_unbook(a, attempt);
  if (attempt->is_killed) return finish_here(a, attempt, DK_CAUSE_KILLED, "ended before it started", out);
  if (!attempt->is_revoking) {
    dk_agent_enqueue(a, attempt, true);
    return 0;
  }
  struct dk_id id = attempt->id;
  dk_agent_drop(a, attempt);
  return say_plain(a, out, DK_MSG_REVOKED, id);
}

/* From the engine. */

static int on_hello(struct dk_agent *a, uint32_t conn, const struct dk_message *hello, struct dk_agent_out *out) {
  if (hello->u.hello.protocol != DK_PROTOCOL)
    return close_conn(out, conn,
                      "this agent speaks another protocol version: end it (it ends itself a minute after its last "
                      "task) and start again");
  bool is_known = a->incarnation == hello->u.hello.incarnation && a->session > 0;
  if (is_known && (hello->session < a->session || (hello->session == a->session && conn != a->conn)))
    return close_conn(out, conn, "a newer session of the same engine is open");
  if (a->has_session && a->conn != conn) {
    int r = close_conn(out, a->conn, "another dkrun has taken over this agent");
    if (r < 0) return r;
  }
  a->has_session = true;
  a->is_open = a->wants_list = false;
  a->n_asks = 0; /* whoever still wants that says it again when the list tells of the attempt */
  a->conn = conn;
  a->session = hello->session;
  a->incarnation = hello->u.hello.incarnation;
  for (uint32_t i = 0; i < a->n_attempts; i++) a->attempts[i].is_sent = false;
  struct dk_message *welcome = say(a, out, DK_MSG_WELCOME, (struct dk_id){0});
  if (!welcome) return -ENOMEM;
  welcome->u.welcome.protocol = DK_PROTOCOL;
  memcpy(welcome->u.welcome.boot, a->config.boot, sizeof a->config.boot);
  welcome->u.welcome.slots = a->config.slots;
  welcome->u.welcome.cpus = a->config.cpus;
  welcome->u.welcome.memory = a->config.memory;
  welcome->u.welcome.pid = a->config.pid;
  welcome->u.welcome.version = (char *)a->config.version;
  welcome->u.welcome.gpus = a->config.gpus;
  welcome->u.welcome.gpu = (char *)a->config.gpu;
  return 0;
}

/* Heard of already: say again how it stands. */
static int tell_again(struct dk_agent *a, struct attempt *attempt, struct dk_agent_out *out) {
  if (attempt->phase == PHASE_RUNNING) return say_started(a, out, attempt);
  if (attempt->phase == PHASE_ENDED) return say_result(a, out, attempt);
  return 0;
}

/* Data. */

static int wait_for_data(struct dk_agent *a, struct attempt *attempt, struct dk_agent_out *out) {
  dk_agent_hold(a, attempt);
  struct dk_agent_action *action = dk_agent_act(out, DK_AGENT_ACT_FETCH);
  if (!action) return -ENOMEM;
  action->id = attempt->id;
  action->job = &attempt->job;
  return 0;
}

/* To HELD. */
static int give_up_data(struct dk_agent *a, struct attempt *attempt, struct dk_agent_out *out) {
  dk_agent_unhold(a, attempt);
  struct dk_agent_action *action = dk_agent_act(out, DK_AGENT_ACT_GIVE_UP);
  if (!action) return -ENOMEM;
  action->id = attempt->id;
  return 0;
}

static int on_data(struct dk_agent *a, const struct dk_agent_event *event, struct dk_agent_out *out) {
  struct attempt *attempt = dk_agent_find(a, event->id);
  if (!attempt || attempt->phase != PHASE_WAITING) return 0;
  dk_agent_unhold(a, attempt);
  if (event->kind == DK_AGENT_EV_DATA) {
    dk_agent_enqueue(a, attempt, false);
    return 0;
  }
  dk_agent_drop(a, attempt);
  return say_refused(a, out, event->id, event->reason, event->text);
}

/* To HELD, when it is one that has not been placed. */
static int take_back(struct dk_agent *a, struct attempt *attempt, struct dk_agent_out *out) {
  if (attempt->phase == PHASE_WAITING) return give_up_data(a, attempt, out);
  if (attempt->phase == PHASE_QUEUED) dk_agent_dequeue(a, attempt);
  return 0;
}

/* Orders. */

static int on_assign(struct dk_agent *a, struct dk_message *message, struct dk_agent_out *out) {
  int r = open_session(a, out);
  if (r < 0) return r;
  struct attempt *attempt = dk_agent_find(a, message->id);
  if (attempt) return tell_again(a, attempt, out);
  if (dk_id_is_none(message->id) || message->u.job.n_argv == 0)
    return say_refused(a, out, message->id, DK_REFUSED_BAD, "an order without an id or a program");
  if (dk_agent_is_forgotten(a, message->id))
    return say_refused(a, out, message->id, DK_REFUSED_STALE,
                       "this attempt, or a later one, has ended and was acknowledged");
  if (a->n_queued + a->n_waiting >= a->config.queue_max)
    return say_refused(a, out, message->id, DK_REFUSED_BUSY, "the agent's queue is full");
  attempt = dk_agent_add(a, message->id);
  if (!attempt) return -ENOMEM;
  attempt->job = message->u.job;
  memset(&message->u.job, 0, sizeof message->u.job);
  if (attempt->job.is_remote) return wait_for_data(a, attempt, out);
  dk_agent_enqueue(a, attempt, false);
  return 0;
}

/* Of an attempt that is not known: it is not here, and will not start. */
static int on_unknown(struct dk_agent *a, struct ask ask, struct dk_agent_out *out) {
  if (is_every_keeper_heard(a)) return say_plain(a, out, DK_MSG_REVOKED, ask.id);
  if (!dk_grow(a->asks, a->n_asks, a->cap_asks)) return -ENOMEM;
  a->asks[a->n_asks++] = ask;
  return 0;
}

static int on_revoke(struct dk_agent *a, struct dk_id id, struct dk_agent_out *out) {
  struct attempt *attempt = dk_agent_find(a, id);
  if (!attempt) return on_unknown(a, (struct ask){.id = id}, out);
  int r = take_back(a, attempt, out);
  if (r < 0) return r;
  if (attempt->phase == PHASE_HELD) {
    dk_agent_drop(a, attempt);
    return say_plain(a, out, DK_MSG_REVOKED, id);
  }
  if (attempt->phase != PHASE_PLACED) return tell_again(a, attempt, out);
  attempt->is_revoking = true;
  struct dk_agent_action *action = dk_agent_act(out, DK_AGENT_ACT_RETURN);
  if (!action) return -ENOMEM;
  action->slot = attempt->slot;
  action->id = id;
  return 0;
}

static int kill_placed(const struct attempt *attempt, struct dk_agent_out *out) {
  struct dk_agent_action *action = dk_agent_act(out, DK_AGENT_ACT_KILL);
  if (!action) return -ENOMEM;
  action->slot = attempt->slot;
  action->id = attempt->id;
  action->grace_ms = attempt->grace_ms;
  return 0;
}

static int on_kill(struct dk_agent *a, struct dk_id id, uint64_t grace_ms, struct dk_agent_out *out) {
  struct attempt *attempt = dk_agent_find(a, id);
  if (!attempt) return on_unknown(a, (struct ask){.id = id, .is_kill = true, .grace_ms = grace_ms}, out);
  if (attempt->phase == PHASE_ENDED) return tell_again(a, attempt, out);
  int r = take_back(a, attempt, out);
  if (r < 0) return r;
  if (attempt->phase == PHASE_HELD) return finish_here(a, attempt, DK_CAUSE_KILLED, "ended before it started", out);
  attempt->is_killed = true;
  attempt->grace_ms = grace_ms;
  return kill_placed(attempt, out);
}

/* What waited until every keeper was heard. */
static int answer_asks(struct dk_agent *a, struct dk_agent_out *out) {
  if (!is_every_keeper_heard(a)) return 0;
  int r = 0;
  for (uint32_t i = 0; r == 0 && i < a->n_asks; i++) {
    const struct ask *ask = &a->asks[i];
    r = ask->is_kill ? on_kill(a, ask->id, ask->grace_ms, out) : on_revoke(a, ask->id, out);
  }
  a->n_asks = 0;
  return r;
}

static int on_ack(struct dk_agent *a, uint64_t seq, struct dk_agent_out *out) {
  for (uint32_t i = 0; i < a->n_attempts; i++) {
    struct attempt *attempt = &a->attempts[i];
    /* What was not sent in this session cannot have been committed by it. */
    if (attempt->phase != PHASE_ENDED || !attempt->is_sent || attempt->seq > seq) continue;
    int r = dk_agent_forget(a, attempt, out);
    if (r < 0) return r;
  }
  return 0;
}

static int on_message(struct dk_agent *a, uint32_t conn, struct dk_message *message, struct dk_agent_out *out) {
  if (message->type == DK_MSG_HELLO) return on_hello(a, conn, message, out);
  if (!a->has_session || conn != a->conn)
    return close_conn(out, conn, "this connection has no session: say hello first");
  if (message->session != a->session) {
    if (message->type != DK_MSG_ASSIGN) return 0;
    return say_refused(a, out, message->id, DK_REFUSED_STALE, "the order is of another session");
  }
  switch (message->type) {
  case DK_MSG_LIST: a->wants_list = true; return answer_list(a, out);
  case DK_MSG_ASSIGN: return on_assign(a, message, out);
  case DK_MSG_REVOKE: return on_revoke(a, message->id, out);
  case DK_MSG_KILL: return on_kill(a, message->id, message->u.kill.grace_ms, out);
  case DK_MSG_ACK: return on_ack(a, message->seq, out);
  default: a->has_session = false; return close_conn(out, conn, "an engine does not send that");
  }
}

/* From keepers. */

static void on_lost(struct dk_agent *a, uint32_t slot) {
  a->slots[slot].is_lost = true;
  for (uint32_t i = 0; i < a->n_attempts; i++) {
    if (a->attempts[i].slot == slot) a->attempts[i].is_told = false;
  }
}

static int on_has(struct dk_agent *a, const struct dk_agent_event *event, struct dk_agent_out *out) {
  struct attempt *attempt = dk_agent_find(a, event->id);
  if (!attempt && event->state != DK_ATTEMPT_RUNNING) return 0; /* what is only queued there has no job here */
  if (!attempt) {
    attempt = dk_agent_add(a, event->id);
    if (!attempt) return -ENOMEM;
    attempt->job.cpus = event->cpus;
    dk_agent_book(a, attempt, event->slot);
  }
  if (attempt->phase != PHASE_PLACED && attempt->phase != PHASE_RUNNING) return 0;
  attempt->is_told = true;
  if (event->state != DK_ATTEMPT_RUNNING || attempt->phase == PHASE_RUNNING) return 0;
  attempt->phase = PHASE_RUNNING;
  attempt->started_unix_ns = event->unix_ns;
  return say_started(a, out, attempt);
}

static int on_ready(struct dk_agent *a, uint32_t slot, struct dk_agent_out *out) {
  if (!a->slots[slot].is_lost) return 0; /* a new keeper that was started for an order: it has that one before it */
  a->slots[slot].is_lost = false;
  a->slots[slot].is_slow = false;
  /* Backwards, so that they stand in the queue as they came. */
  for (uint32_t i = a->n_attempts; i-- > 0;) {
    struct attempt *attempt = &a->attempts[i];
    if (attempt->slot != slot) continue;
    int r = 0;
    if (attempt->is_told) {
      /* The order to end it may have gone down with the connection. */
      bool is_there = attempt->phase == PHASE_PLACED || attempt->phase == PHASE_RUNNING;
      if (is_there && attempt->is_killed) r = kill_placed(attempt, out);
    } else if (attempt->phase == PHASE_PLACED) {
      r = requeue(a, attempt, out);
    } else if (attempt->phase == PHASE_RUNNING) {
      /* The journal that knew of its start is gone. */
      dk_agent_unbook(a, attempt);
      r = finish_here(a, attempt, DK_CAUSE_LOST, "its keeper and the keeper's journal are gone", out);
    }
    if (r < 0) return r;
  }
  int r = answer_asks(a, out);
  return r < 0 ? r : answer_list(a, out);
}

static int on_started(struct dk_agent *a, const struct dk_agent_event *event, struct dk_agent_out *out) {
  struct attempt *attempt = dk_agent_find(a, event->id);
  if (!attempt || attempt->phase != PHASE_PLACED) return 0;
  attempt->phase = PHASE_RUNNING;
  attempt->is_told = true;
  attempt->started_unix_ns = event->unix_ns;
  return say_started(a, out, attempt);
}

static int on_ended(struct dk_agent *a, struct dk_agent_event *event, struct dk_agent_out *out) {
  struct attempt *attempt = dk_agent_find(a, event->id);
  if (!attempt) {
    attempt = dk_agent_add(a, event->id); /* of an earlier agent */
    if (!attempt) return -ENOMEM;
    attempt->slot = event->slot;
  } else if (attempt->phase == PHASE_ENDED) {
    attempt->keeper_seq = event->keeper_seq; /* told again after the connection to the keeper was lost */
    attempt->slot = event->slot;
    return 0;
  } else if (attempt->phase == PHASE_QUEUED || attempt->phase == PHASE_WAITING) {
    int r = take_back(a, attempt, out);
    if (r < 0) return r;
    attempt->slot = event->slot;
  } else {
    a->slots[attempt->slot].is_slow = false;
    dk_agent_unbook(a, attempt);
  }
  measure(a, event->result->wall_ns);
  return finish(a, attempt, event->result, event->keeper_seq, out);
}

static int on_returned(struct dk_agent *a, const struct dk_agent_event *event, struct dk_agent_out *out) {
  struct attempt *attempt = dk_agent_find(a, event->id);
  if (!attempt || attempt->phase != PHASE_PLACED || attempt->slot != event->slot) return 0;
  if (!attempt->is_revoking && a->slots[event->slot].load > 1) a->slots[event->slot].is_slow = true;
  return requeue(a, attempt, out);
}

static int on_refused(struct dk_agent *a, const struct dk_agent_event *event, struct dk_agent_out *out) {
  struct attempt *attempt = dk_agent_find(a, event->id);
  if (!attempt || attempt->phase != PHASE_PLACED) return 0;
  dk_agent_unbook(a, attempt);
  dk_agent_drop(a, attempt);
  return say_refused(a, out, event->id, event->reason, event->text);
}

static int on_keeper(struct dk_agent *a, struct dk_agent_event *event, struct dk_agent_out *out) {
  int r = dk_agent_need_slot(a, event->slot);
  if (r < 0) return r;
  switch (event->kind) {
  case DK_AGENT_EV_KEEPER_LOST: on_lost(a, event->slot); return 0;
  case DK_AGENT_EV_KEEPER_HAS: return on_has(a, event, out);
  case DK_AGENT_EV_KEEPER_READY: return on_ready(a, event->slot, out);
  case DK_AGENT_EV_KEEPER_STARTED: return on_started(a, event, out);
  case DK_AGENT_EV_KEEPER_ENDED: return on_ended(a, event, out);
  case DK_AGENT_EV_KEEPER_RETURNED: return on_returned(a, event, out);
  case DK_AGENT_EV_KEEPER_REFUSED: return on_refused(a, event, out);
  case DK_AGENT_EV_DATA:
  case DK_AGENT_EV_NO_DATA:
  case DK_AGENT_EV_MESSAGE:
  case DK_AGENT_EV_CLOSED: break;
  }
  return 0;
}

int dk_agent_step(struct dk_agent *a, struct dk_agent_event *event, struct dk_agent_out *out) {
  out->n = 0;
  int r = 0;
  if (event->kind == DK_AGENT_EV_MESSAGE) {
    r = on_message(a, event->conn, event->message, out);
  } else if (event->kind == DK_AGENT_EV_CLOSED) {
    if (a->has_session && a->conn == event->conn) a->has_session = a->is_open = a->wants_list = false;
  } else if (event->kind == DK_AGENT_EV_DATA || event->kind == DK_AGENT_EV_NO_DATA) {
    r = on_data(a, event, out);
  } else {
    r = on_keeper(a, event, out);
  }
  return r < 0 ? r : place(a, out);
}
