/* The core between engines and keepers: each event is a step, each step's actions are done at once. */
#include "engine/agent/localise.h"
#include "engine/agent/serve_private.h"

#include <errno.h>

static enum dk_refusal reason_of(int code) {
  if (code == -ENOMEM) return DK_REFUSED_BUSY;
  return dk_error_is_limit(code) ? DK_REFUSED_BAD : DK_REFUSED_DISK; /* a limit does not pass by itself */
}

static void refuse_start(struct serve *s, const struct dk_agent_action *action, const struct dk_error *error) {
  struct dk_agent_event event = {.kind = DK_AGENT_EV_KEEPER_REFUSED,
                                 .slot = action->slot,
                                 .id = action->id,
                                 .reason = reason_of(error->code),
                                 .text = error->text};
  dk_serve_step(s, &event);
}

static int do_start(struct serve *s, const struct dk_agent_action *action, struct dk_error *error) {
  struct keeper *keeper = dk_serve_need_keeper(s, action->slot);
  if (!keeper) return dk_error_set(error, -ENOMEM, "no memory for a keeper");
  /* Lost since this was decided: when the slot is ready the core places the order again, and it must not be there
   * twice. */
  if (keeper->is_lost) return 0;
  if (keeper->conn.fd >= 0 && dk_serve_is_slot_gone(keeper)) {
    dk_serve_lose_keeper(keeper); /* the next one does not know of the order: the core places it again */
    return 0;
  }
  if (keeper->conn.fd >= 0 && keeper->is_old) {
    struct dk_message closed = {.type = DK_MSG_CLOSED};
    dk_serve_to_keeper(s, action->slot, &closed); /* when it is gone the core places the order again */
    return 0;
  }
  int r = keeper->conn.fd < 0 ? dk_serve_start_keeper(keeper, error) : 0;
  if (r < 0) return r;
  keeper->is_known = true;
  struct dk_message message = {.type = DK_MSG_ASSIGN, .id = action->id};
  struct dk_local_job local;
  r = dk_local_job_make(&local, action->job, s->root);
  if (r < 0) return dk_error_set(error, r, "no memory to hand an order to a keeper");
  message.u.job = local.job; /* shallow */
  r = dk_conn_put(&keeper->conn, &message);
  dk_local_job_finish(&local);
  return r < 0 ? dk_error_system(error, r, "cannot hand an order to a keeper") : 0;
}

static void do_send(struct serve *s, const struct dk_agent_action *action) {
  struct engine *engine = dk_serve_find_engine(s, action->conn);
  struct dk_message message = action->message; /* shallow */
  if (message.type == DK_MSG_WELCOME) {
    message.u.welcome.unix_ns = dk_unix_ns();
    message.u.welcome.free = dk_serve_free(s);
    dk_fetch_new_session(s->fetch);
  }
  if (message.type == DK_MSG_HAS_END) dk_fetch_say(s->fetch);
  if (engine && dk_conn_put(&engine->conn, &message) < 0) engine->is_closing = true;
}

static void do_plain(struct serve *s, const struct dk_agent_action *action, enum dk_message_type type) {
  struct dk_message message = {.type = type, .id = action->id};
  if (type == DK_MSG_KILL) message.u.kill.grace_ms = action->grace_ms;
  dk_serve_to_keeper(s, action->slot, &message);
}

static void do_forget(struct serve *s, const struct dk_agent_action *action) {
  struct keeper *keeper = action->slot < s->n_keepers ? s->keepers[action->slot] : NULL;
  if (keeper && action->keeper_seq > keeper->ack) keeper->ack = action->keeper_seq;
}

static void do_actions(struct serve *s, const struct dk_agent_out *out) {
  for (size_t i = 0; i < out->n; i++) {
    const struct dk_agent_action *action = &out->actions[i];
    struct dk_error error = {0};
    struct engine *engine;
    switch (action->kind) {
    case DK_AGENT_ACT_SEND: do_send(s, action); break;
    case DK_AGENT_ACT_CLOSE:
      engine = dk_serve_find_engine(s, action->conn);
      if (engine) engine->is_closing = true;
      break;
    case DK_AGENT_ACT_START:
      if (do_start(s, action, &error) < 0) refuse_start(s, action, &error);
      break;
    case DK_AGENT_ACT_RETURN: do_plain(s, action, DK_MSG_REVOKE); break;
    case DK_AGENT_ACT_KILL: do_plain(s, action, DK_MSG_KILL); break;
    case DK_AGENT_ACT_FORGET: do_forget(s, action); break;
    case DK_AGENT_ACT_FETCH: dk_serve_fetch(s, action->id, action->job); break;
    case DK_AGENT_ACT_GIVE_UP: dk_fetch_forget(s->fetch, action->id); break;
    case DK_AGENT_ACT_MARK:
      s->is_marked = true;
      s->next_seq = action->next_seq;
      break;
    }
  }
}

/* Actions of a step may make another step (a start that failed): each has its own list. */
void dk_serve_step(struct serve *s, struct dk_agent_event *event) {
  if (s->broken < 0) return;
  struct dk_agent_out out = s->out;
  s->out = (struct dk_agent_out){0};
  int r = dk_agent_step(s->agent, event, &out);
  if (r < 0) s->broken = r;
  if (r == 0) do_actions(s, &out);
  dk_agent_out_finish(&s->out);
  s->out = out;
}
