/* What a dead keeper left running: found, and ended. */
#ifndef DK_AGENT_SURVIVORS_H
#define DK_AGENT_SURVIVORS_H

#include "engine/agent/journal.h"

/* Ends every process that the attempt of `start` left: those of the dead keeper's session (it made one, and a session's
 * number is not used again while it has members), those that were started with its DK_ATTEMPT in their environment, and
 * all below them. Not airtight: a process that left the session, gave up its parent and cleared its environment is not
 * found. Nothing is done when `boot` is another boot. Returns how many processes were still there after five
 * seconds. */
size_t dk_survivors_end(const struct dk_journal_start *start, const uint8_t boot[16]);

/* DK_ATTEMPT's value: "<incarnation, 16 hex digits>-<number>". */
#define DK_ATTEMPT_TEXT 40
void dk_attempt_text(struct dk_id id, char ret[DK_ATTEMPT_TEXT]);

#endif
