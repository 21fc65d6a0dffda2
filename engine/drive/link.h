/* The engine's end of the stream to an agent: connects, says hello, turns bytes into messages, and comes back after a
 * loss.
 *
 * What blocks is the provider's (provider.h): a dial of this machine's agent in dk_link_create and dk_link_tick, and
 * when a stream has broken, in the loop or in dk_link_tick, up to 0.1 s for why. Nothing else does. */
#ifndef DK_DRIVE_LINK_H
#define DK_DRIVE_LINK_H

#include "engine/drive/provider.h"
#include "engine/sys/loop.h"
#include "engine/wire/message.h"

struct dk_link;

struct dk_link_options {
  const struct dk_provider *provider;
  struct dk_dial_options dial; /* met, done and ctx are the link's own */
  uint64_t incarnation;
  uint64_t after; /* its sessions are higher than this one: the last of an earlier link with the host */
  /* As in dk_dial_options: may its agent be spoken to? Negative: `down` is told the words. */
  int (*met)(void *ctx, const struct dk_host_facts *facts, struct dk_error *error);
  /* Called for each message (WELCOME first); it may take what the message owns by clearing those fields. */
  void (*message)(void *ctx, uint64_t session, struct dk_message *message);
  /* The stream is gone, or (session 0) the host could not be reached; the link tries again by itself. `why` is for
   * people. */
  void (*down)(void *ctx, uint64_t session, const char *why);
  /* Little waits to be sent: what is large may be sent now (dk_link_waiting). */
  void (*room)(void *ctx);
  void *ctx;
};

/* Tries to connect at once. Of this machine's agent a failure is returned; another machine's is told by `down`, and it
 * is tried again for as long as the link lives. No callback may destroy the link. */
int dk_link_create(const struct dk_link_options *options, struct dk_link **ret, struct dk_error *error);
void dk_link_destroy(struct dk_link *link);
/* Queues a message. It names the session it was decided in and is dropped when that is not the open one: what the core
 * decided before it heard of a new session must not be said in it. The core says it again. */
int dk_link_send(struct dk_link *link, struct dk_message *message);
uint64_t dk_link_session(const struct dk_link *link); /* the last one; 0: there was none */
/* Ends the session: not now, but with the next tick. Until then nothing is heard. Another one is tried for after a
 * while, and not before `pause_ns` are over. `why` is for people. */
void dk_link_break(struct dk_link *link, const char *why, uint64_t pause_ns);
/* What kept it from being reached may be gone: it is tried again with the next tick. */
void dk_link_hurry(struct dk_link *link);
/* What was found out of the host when it was reached last. */
const struct dk_host_facts *dk_link_facts(const struct dk_link *link);
/* Bytes that wait to be sent: who has much to send waits until there are few. */
size_t dk_link_waiting(const struct dk_link *link);
/* When dk_link_tick wants to be called (reconnect, a sign of life); UINT64_MAX: never. */
uint64_t dk_link_deadline(const struct dk_link *link);
void dk_link_tick(struct dk_link *link, uint64_t now_ns);

#endif
