/* The agent's core: what it holds, admits, starts, reports and forgets. Pure: events in, actions out; no system call,
 * clock, thread or rand(). `serve` (sockets, keepers) and the fault simulator drive it.
 *
 * What it keeps true:
 *  - An attempt id starts at most once: an id that is held is never placed again, and an id at or below the highest
 *    forgotten one of its incarnation is refused (DK_ACTION_MARK makes that last).
 *  - A result is repeated to every new session until it is acknowledged; its number never changes while this agent
 *    lives, and numbers only grow, also over restarts (MARK carries them).
 *  - Only the newest session gives orders; what comes from another is refused.
 *  - A remote job is held until its data is here (FETCH, then DATA); it keeps no slot meanwhile, and comes into the
 *    queue then. What ends or revokes it before says GIVE_UP, once.
 *  - LIST, and REVOKE and KILL of an attempt that is not known, are answered only when every slot is known (a keeper
 * that is being found again may hold it).
 *  - A task books min(cpus, slots) slots; orders start in the order they came (no overtaking).
 * What it does not do: run, write or read anything; know about paths.
 *
 * Slots 0 .. slots-1. A keeper serves one slot; a task of several cpus runs in its first slot and books the others. */
#ifndef DK_AGENT_STATE_H
#define DK_AGENT_STATE_H

#include "engine/wire/message.h"

struct dk_agent;

struct dk_agent_config {
  uint32_t slots; /* at least 1 */
  uint32_t cpus;
  uint64_t memory; /* bytes, for WELCOME */
  uint32_t gpus;
  const char *gpu; /* as in WELCOME; borrowed; NULL: "" */
  uint8_t boot[16];
  uint32_t pid;
  const char *version; /* borrowed */
  uint32_t queue_max;  /* orders held and not started; more are refused as busy. 0: 4096 */
  uint64_t next_seq;   /* from the last MARK of an earlier agent; 0: 1 */
};

/* The highest forgotten attempt number of one incarnation. */
struct dk_agent_mark {
  uint64_t inc, n;
};
#define DK_AGENT_MARKS_MAX 256 /* incarnations remembered; beyond, the one that was longest unused is dropped */

enum dk_agent_event_kind {
  DK_AGENT_EV_MESSAGE, /* conn, message: from an engine. A job in it is moved out (zeroed) */
  DK_AGENT_EV_CLOSED,  /* conn is gone */
  /* From the keeper of `slot`. */
  DK_AGENT_EV_KEEPER_LOST, /* connection gone, or the slot is being found again: nothing is placed there until READY */
  /* id, state (QUEUED or RUNNING), cpus, unix_ns: it holds it; only between LOST and READY. A keeper drops what it has
   * not started when a new agent connects to it, so QUEUED is only for ids that this agent placed. */
  DK_AGENT_EV_KEEPER_HAS,
  /* Everything that its journal knows was told (HAS, ENDED). Orders that were on the way to it and were not told never
   * started: they are queued again. */
  DK_AGENT_EV_KEEPER_READY,
  DK_AGENT_EV_KEEPER_STARTED, /* id, unix_ns */
  DK_AGENT_EV_KEEPER_ENDED, /* id, keeper_seq, result (moved out, zeroed). Any time, also for an id that is not known */
  /* id: it will not start it (asked by RETURN, or it is busy with a long task): queued again */
  DK_AGENT_EV_KEEPER_RETURNED,
  DK_AGENT_EV_KEEPER_REFUSED, /* id, reason, text: not started, will not be */
  /* Of what FETCH was asked for; nothing when it waits no more. */
  DK_AGENT_EV_DATA,    /* id: all that it needs is here */
  DK_AGENT_EV_NO_DATA, /* id, reason, text: it will not come */
};

struct dk_agent_event {
  enum dk_agent_event_kind kind;
  uint32_t conn; /* the caller's number of a connection; never used again for another one */
  uint32_t slot;
  struct dk_id id;
  struct dk_message *message;
  enum dk_attempt_state state;
  uint32_t cpus; /* HAS: slots it books; 0: 1 */
  uint64_t unix_ns;
  uint64_t keeper_seq; /* ENDED: the keeper's number of it, comes back with FORGET */
  struct dk_result *result;
  enum dk_refusal reason;
  const char *text;
};

enum dk_agent_action_kind {
  DK_AGENT_ACT_SEND,  /* message to conn. It points into the state: encode it before the next step */
  DK_AGENT_ACT_CLOSE, /* conn, after what was sent to it; no CLOSED event is wanted, one does no harm */
  /* slot, id, job (borrowed until the next step): to the slot's keeper, start one if there is none */
  DK_AGENT_ACT_START,
  DK_AGENT_ACT_RETURN, /* slot, id: give it back if it has not started (RETURNED), else do nothing */
  DK_AGENT_ACT_KILL,   /* slot, id, grace_ms */
  /* slot, id, keeper_seq: acknowledged; drop it from the journal. After the MARK of the same step */
  DK_AGENT_ACT_FORGET,
  DK_AGENT_ACT_FETCH,   /* id, job (borrowed until the next step): DATA or NO_DATA is wanted */
  DK_AGENT_ACT_GIVE_UP, /* id: no longer */
  DK_AGENT_ACT_MARK,    /* mark, next_seq: must outlive this process before anything later in the list is done */
};

struct dk_agent_action {
  enum dk_agent_action_kind kind;
  uint32_t conn, slot;
  struct dk_id id;
  struct dk_message message; /* SEND: shallow, not to be finished */
  const struct dk_job *job;
  uint64_t grace_ms;
  uint64_t keeper_seq;
  struct dk_agent_mark mark;
  uint64_t next_seq;
};

struct dk_agent_out { /* reused: each step clears it first */
  struct dk_agent_action *actions;
  size_t n, cap;
};
void dk_agent_out_finish(struct dk_agent_out *out);

/* 0 or -ENOMEM. Every slot counts as ready and empty: say KEEPER_LOST first for those that must be found again. */
int dk_agent_create(struct dk_agent **ret, const struct dk_agent_config *config, const struct dk_agent_mark *marks,
                    size_t n_marks);
void dk_agent_destroy(struct dk_agent *agent);

/* 0; -ENOMEM: the state is broken and must be thrown away (the keepers know everything that matters). */
int dk_agent_step(struct dk_agent *agent, struct dk_agent_event *event, struct dk_agent_out *out);

/* No engine, nothing queued or running. What is not acknowledged waits in the keepers' journals for the next agent. */
bool dk_agent_is_idle(const struct dk_agent *agent);
/* What MARK actions have told so far, oldest first; at most DK_AGENT_MARKS_MAX. */
size_t dk_agent_marks(const struct dk_agent *agent, const struct dk_agent_mark **ret);

/* The connection that gives orders, and its session. false: none does. */
bool dk_agent_session(const struct dk_agent *agent, uint32_t *ret_conn, uint64_t *ret_session);
/* Where the attempt runs; false: it does not. */
bool dk_agent_is_running(const struct dk_agent *agent, struct dk_id id, uint32_t *ret_slot);

struct dk_agent_counts {
  uint32_t queued, placed, running,
      ended; /* queued: also what waits for data; placed: at a keeper, not known to have started */
};
void dk_agent_count(const struct dk_agent *agent, struct dk_agent_counts *ret);
/* Invariants; -EINVAL with the first that is broken. For tests. */
int dk_agent_check(const struct dk_agent *agent, struct dk_error *error);

#endif
