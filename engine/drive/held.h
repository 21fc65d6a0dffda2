/* Results of a host that wait for what goes with them: logs, and small outputs, come to this machine before a result is
 * taken, so that metrics can be read, and so that nothing small is anywhere else. In their order: an acknowledgement
 * covers all before it. For the files of the engine.
 *
 * A result is taken without one of its contents only when its own host has that no more (or cannot read it, or sends
 * something else), and no other host that is known to have it gives it. */
#ifndef DK_DRIVE_HELD_H
#define DK_DRIVE_HELD_H

#include "engine/wire/message.h"

/* Of a task's outputs, files come with its result as long as they are no more than this together. Bytes. */
#define DK_HELD_SMALL (1u << 20)

struct dk_engine_host;
struct held;

struct dk_held {
  struct held *first, *last;
  size_t bytes; /* that they take */
  bool is_full; /* what came behind them was dropped: when they are taken it is heard in a new session */
};
void dk_held_clear(struct dk_held *held, struct dk_engine_host *host); /* the session is over: they are said again */
/* Takes what the message owns, or drops it (is_full). 0 or -ENOMEM. Those that need not wait any longer are handed to
 * dk_engine_take_result. */
int dk_held_add(struct dk_held *held, struct dk_engine_host *host, uint64_t session, struct dk_message *message);

#endif
