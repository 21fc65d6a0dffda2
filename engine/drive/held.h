/* Results of a host that wait for what goes with them: logs, and small outputs, come to this machine before a result is
 * taken, so that metrics can be read, and so that nothing small is anywhere else. In their order: an acknowledgement
 * covers all before it. For the files of the engine. */
#ifndef DK_DRIVE_HELD_H
#define DK_DRIVE_HELD_H

#include "engine/wire/message.h"

struct dk_engine_host;
struct held;

struct dk_held {
  struct held *first, *last;
};
void dk_held_clear(struct dk_held *held, struct dk_engine_host *host); /* the session is over: they are said again */
/* Takes what the message owns. 0 or -ENOMEM. Those that need not wait any longer are handed to dk_engine_take_result. */
int dk_held_add(struct dk_held *held, struct dk_engine_host *host, uint64_t session, struct dk_message *message);

#endif
