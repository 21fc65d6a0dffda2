/* Messages as events: see heard.h. */
#include "engine/drive/heard.h"

#include <string.h>

bool dk_heard_event(const struct dk_message *message, uint32_t host, uint64_t session, struct dk_event *ret) {
  memset(ret, 0, sizeof *ret); /* padding too: the simulator's events are compared */
  ret->id = message->id;
  ret->host = host;
  ret->session = session;
  switch (message->type) {
  case DK_MSG_WELCOME:
    ret->kind = DK_EV_AGENT_UP;
    ret->u.agent_up.slots = message->u.welcome.slots;
    memcpy(ret->u.agent_up.boot, message->u.welcome.boot, sizeof ret->u.agent_up.boot);
    return true;
  case DK_MSG_HAS:
    ret->kind = DK_EV_HAS;
    ret->u.has.state = (uint8_t)message->u.has.state;
    ret->u.has.slot = message->u.has.slot;
    return true;
  case DK_MSG_HAS_END: ret->kind = DK_EV_HAS_END; return true;
  case DK_MSG_STARTED:
    ret->kind = DK_EV_STARTED;
    ret->u.started.slot = message->u.started.slot;
    return true;
  case DK_MSG_REFUSED:
    ret->kind = DK_EV_REFUSED;
    ret->u.refused.reason = (uint8_t)message->u.refused.reason;
    return true;
  case DK_MSG_REVOKED: ret->kind = DK_EV_REVOKED; return true;
  case DK_MSG_RESULT:
    ret->kind = DK_EV_ENDED;
    ret->u.ended.seq = message->seq;
    ret->u.ended.cause = message->u.result.cause;
    ret->u.ended.code = message->u.result.code;
    return true;
  case DK_MSG_CLOSED:
  case DK_MSG_HELLO:
  case DK_MSG_LIST:
  case DK_MSG_ASSIGN:
  case DK_MSG_REVOKE:
  case DK_MSG_KILL:
  case DK_MSG_ACK:
  case DK_MSG_PUT:
  case DK_MSG_GET:
  case DK_MSG_READ:
  case DK_MSG_PING:
  case DK_MSG_GONE:
  case DK_MSG_LACKS:
  case DK_MSG_PART:
  case DK_MSG_LOG:
  case DK_MSG_PONG: return false;
  }
  return false;
}
