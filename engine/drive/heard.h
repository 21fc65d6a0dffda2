/* What an agent said, as an event of the core. Pure: the engine and the fault simulator link the same. */
#ifndef DK_DRIVE_HEARD_H
#define DK_DRIVE_HEARD_H

#include "engine/core/event.h"
#include "engine/wire/message.h"

/* false: the message is no event (CLOSED, what is said of objects and logs, or one that only an engine says). The bytes
 * of a RESULT's event (u.ended.bytes) are the caller's to add. */
bool dk_heard_event(const struct dk_message *message, uint32_t host, uint64_t session, struct dk_event *ret);

#endif
