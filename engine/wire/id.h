/* Identity of attempts and sessions, shared by engine and agent. */
#ifndef DK_WIRE_ID_H
#define DK_WIRE_ID_H

#include <stdbool.h>
#include <stdint.h>

/* An attempt: `inc` is the random incarnation of the engine that made it (committed before it is used), `n` counts from
 * 1 within it. An attempt id starts at most once. */
struct dk_id {
  uint64_t inc, n;
};

static inline bool dk_id_equal(struct dk_id a, struct dk_id b) {
  return a.inc == b.inc && a.n == b.n;
}
static inline bool dk_id_is_none(struct dk_id id) {
  return id.n == 0;
}

/* Why an attempt ended, or why it counts as ended. Values are on disk and on the wire: only add. */
enum dk_cause {
  DK_CAUSE_OK = 0,   /* exit 0 and every output is there */
  DK_CAUSE_EXIT = 1, /* exit code not 0 */
  DK_CAUSE_SIGNAL = 2,
  DK_CAUSE_TIMEOUT = 3,
  DK_CAUSE_OOM = 4,
  DK_CAUSE_KILLED = 5, /* by a KILL order */
  DK_CAUSE_OUTPUT = 6, /* an output is missing or is no file or directory that can be kept */
  DK_CAUSE_INPUT = 7,  /* an input changed while it was used, or could not be placed */
  DK_CAUSE_DISK = 8,   /* no space, or I/O error, in the task's directory, its log or its outputs */
  DK_CAUSE_SPAWN = 9,  /* the program could not be started, or the task not be handed out */
  DK_CAUSE_LOST = 10,  /* keeper or machine gone; nothing is known of the end */
};
const char *dk_cause_name(enum dk_cause cause); /* "exit", "timeout", ... */

/* How far an attempt is, as the agent says it; why an order was refused. On the wire: only add. */
enum dk_attempt_state { DK_ATTEMPT_QUEUED = 1, DK_ATTEMPT_RUNNING = 2, DK_ATTEMPT_ENDED = 3 };
enum dk_refusal {
  DK_REFUSED_BUSY = 1,
  DK_REFUSED_STALE = 2 /* old session, boot, or forgotten id */,
  DK_REFUSED_DISK = 3,
  DK_REFUSED_BAD = 4,
  DK_REFUSED_DATA = 5, /* an input is not there, and the engine has said that it is GONE */
  /* Never on the wire: the engine's own world says them of an order that it has not sent (core/event.h). */
  DK_REFUSED_NOT_YET = 64,
  DK_REFUSED_STALE_KEY = 65
};

#endif
