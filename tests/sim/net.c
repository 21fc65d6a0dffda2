/* The connections: messages in their real encoding, in order within a connection, cut at any point. The agent may hear
 * of a break long after the engine has come back on another connection, and events of an old session may still wait in
 * the engine. */
#include "engine/drive/heard.h"
#include "tests/sim/sim.h"

#include <string.h>

static uint64_t delay(struct sim *s) {
  uint32_t kind = sim_below(&s->net, 100);
  if (kind < 70) return sim_below(&s->net, 300) * 1000;
  return kind < 98 ? sim_below(&s->net, 20) * SIM_MS : sim_below(&s->net, 2000) * SIM_MS;
}

static void send(struct sim *s, struct sim_host *host, enum sim_event_kind kind, uint32_t conn, uint64_t *last,
                 const struct dk_message *message) {
  uint64_t at = s->now + delay(s);
  if (at < *last) at = *last;
  *last = at;
  struct sim_event *event = sim_at_host(s, host, at, kind);
  event->conn = conn;
  if (dk_message_encode(message, &event->bytes) < 0) sim_fail(s, "message %d cannot be encoded", message->type);
}

void sim_send_to_agent(struct sim *s, struct sim_host *host, uint64_t session, struct dk_message *message) {
  if (!host->conn || session != host->session) return; /* the link may be ahead of what the core has heard */
  sim_trace(s, "  to agent %u: message %d, attempt %llu, seq %llu", host->number, message->type,
            (unsigned long long)message->id.n, (unsigned long long)message->seq);
  message->session = host->session;
  send(s, host, EV_TO_AGENT, host->conn, &host->to_agent_at, message);
}

void sim_send_to_engine(struct sim *s, struct sim_host *host, uint32_t conn, const struct dk_message *message) {
  uint32_t late_from = host->late_from;
  send(s, host, EV_TO_ENGINE, conn, &host->to_engine_at, message);
  if (message->type != DK_MSG_HAS_END || !host->flaps) return;
  host->flaps = false;
  sim_break(s, host);
  host->late_from = late_from;
}

void sim_connect(struct sim *s, struct sim_host *host) {
  sim_at_host(s, host, s->now + sim_below(&s->net, 300) * SIM_MS, EV_CONNECT)->epoch = s->engine_epoch;
}

static void connect_now(struct sim *s, struct sim_host *host) {
  if (host->conn) return;
  if (!host->agent || s->now < host->dark_until) {
    /* The link would start an agent; it takes its time. */
    sim_at_host(s, host, s->now + (100 + sim_below(&s->net, 4900)) * SIM_MS, EV_CONNECT)->epoch = s->engine_epoch;
    return;
  }
  host->conn = ++host->last_conn;
  host->session = host->last_conn * 10; /* grows, as the real one's clock does */
  host->to_agent_at = host->to_engine_at = 0;
  struct dk_message hello = {.type = DK_MSG_HELLO};
  hello.u.hello.protocol = DK_PROTOCOL;
  hello.u.hello.incarnation = s->inc;
  hello.u.hello.version = (char *)(uintptr_t) "sim";
  sim_trace(s, "host %u: connection %u, session %llu", host->number, host->conn, (unsigned long long)host->session);
  sim_send_to_agent(s, host, host->session, &hello);
}

void sim_break(struct sim *s, struct sim_host *host) {
  if (!host->conn) return;
  uint32_t conn = host->conn;
  sim_trace(s, "host %u: connection %u breaks", host->number, conn);
  host->conn = 0;
  if (sim_chance(&s->net, 500))
    host->cut_from = conn; /* what is on the way to the agent is lost, else it still arrives */
  if (sim_chance(&s->net, 600)) host->late_from = conn; /* what is on the way to the engine is lost */
  sim_at_host(s, host, s->now + sim_below(&s->net, 3000) * SIM_MS, EV_AGENT_HEARS_CLOSE)->conn = conn;
  struct sim_event *event = sim_at_host(s, host, s->now + sim_below(&s->net, 50) * SIM_MS, EV_ENGINE_HEARS_CLOSE);
  event->conn = conn;
  event->epoch = s->engine_epoch;
}

void sim_close_from_agent(struct sim *s, struct sim_host *host, uint32_t conn) {
  if (conn != host->conn) return;
  host->conn = 0;
  struct sim_event *event = sim_at_host(s, host, host->to_engine_at, EV_ENGINE_HEARS_CLOSE);
  event->conn = conn;
  event->epoch = s->engine_epoch;
}

static void to_engine(struct sim *s, struct sim_host *host, uint32_t conn, const struct dk_message *message) {
  struct dk_event event;
  struct dk_digest result = {{0}};
  if (!dk_heard_event(message, host->number, conn * 10, &event)) return; /* CLOSED: the break follows */
  if (event.kind == DK_EV_ENDED && message->u.result.text)
    dk_digest_parse(message->u.result.text, strlen(message->u.result.text), &result);
  sim_trace(s, "  from agent %u: message %d, attempt %llu, seq %llu", host->number, message->type,
            (unsigned long long)message->id.n, (unsigned long long)message->seq);
  if (event.kind == DK_EV_REFUSED && event.u.refused.reason == DK_REFUSED_BAD)
    sim_place_learn(s, event.id, host->number);
  sim_engine_push(s, &event, event.kind == DK_EV_ENDED ? &result : NULL);
}

/* What comes over a broken connection is not seen while the engine takes that for open (so nothing is reordered within
 * a session); then it is stale, and may come at any time. */
static bool put_off(struct sim *s, struct sim_host *host, struct sim_event *event) {
  if (event->conn == host->conn) return false;
  bool is_stale = host->engine_session != event->conn * 10;
  if (is_stale && (event->slot > 0 || sim_chance(&s->net, 500))) return false;
  uint64_t delay = is_stale ? sim_below(&s->net, 1500) : 60;
  struct sim_event *later = sim_at_host(s, host, s->now + delay * SIM_MS, EV_TO_ENGINE);
  later->conn = event->conn;
  later->slot = is_stale; /* once is enough */
  later->bytes = event->bytes;
  event->bytes = (struct dk_buf)DK_BUF_INIT;
  return true;
}

void sim_net_event(struct sim *s, struct sim_event *event) {
  struct sim_host *host = &s->hosts[event->host];
  struct dk_message message;
  memset(&message, 0, sizeof message);
  bool has_message = event->kind == EV_TO_AGENT || event->kind == EV_TO_ENGINE;
  if (has_message && dk_message_decode(event->bytes.data, event->bytes.len, &message, NULL) <= 0) {
    sim_fail(s, "a message cannot be decoded");
    return;
  }
  switch (event->kind) {
  case EV_TO_AGENT:
    if (host->agent && event->conn > host->cut_from) sim_agent_message(s, host, event->conn, &message);
    break;
  case EV_TO_ENGINE:
    if (!s->core || (event->conn != host->conn && event->conn <= host->late_from)) break;
    if (!put_off(s, host, event)) to_engine(s, host, event->conn, &message);
    break;
  case EV_AGENT_HEARS_CLOSE: sim_agent_closed(s, host, event->conn); break;
  case EV_ENGINE_HEARS_CLOSE:
    if (event->epoch == s->engine_epoch && s->core) {
      struct dk_event down = {.kind = DK_EV_AGENT_DOWN, .host = host->number, .session = event->conn * 10};
      sim_engine_push(s, &down, NULL);
      sim_connect(s, host);
    }
    break;
  case EV_CONNECT:
    if (event->epoch == s->engine_epoch && s->core) connect_now(s, host);
    break;
  default: break;
  }
  if (has_message) dk_message_finish(&message);
}
