/* What the core takes and gives: events, records, actions. All plain data.
 *
 * Everything that happened is an event; what must last is a record; everything to be done is an action. */
#ifndef DK_CORE_EVENT_H
#define DK_CORE_EVENT_H

#include "engine/wire/id.h"
#include "lang/base/buf.h"
#include "lang/base/digest.h"

/* State of a task, kept in the store too (per run): only add. */
enum dk_task_state {
  DK_TASK_WAITING = 0, /* needs others */
  DK_TASK_LOOKUP = 1,  /* its key is being looked up */
  DK_TASK_READY = 2,
  DK_TASK_RUNNING = 3, /* an attempt is assigned (it may still be queued at the agent) */
  DK_TASK_SHARED = 4,  /* another task with the same key runs; waits for its result */
  DK_TASK_BACKOFF = 5, /* will be tried again at a later time */
  /* ended */
  DK_TASK_DONE = 6,   /* ran in this run */
  DK_TASK_CACHED = 7, /* had a result already */
  DK_TASK_FAILED = 8,
  DK_TASK_NOT_RUN = 9,  /* something that it needs failed, or was not run */
  DK_TASK_SKIPPED = 10, /* `when` was false */
  DK_TASK_CANCELLED = 11,
};
#define DK_N_STATES (DK_TASK_CANCELLED + 1)
static inline bool dk_task_state_is_end(enum dk_task_state state) {
  return state >= DK_TASK_DONE;
}

/* State of a run in the store: only add. */
enum dk_run_state { DK_RUN_RUNNING = 1, DK_RUN_DONE = 2, DK_RUN_FAILED = 3, DK_RUN_INTERRUPTED = 4 /* or cancelled */ };

enum dk_event_kind {
  DK_EV_TICK,       /* time passed; and, unless it is_idle, what policy.place says may have changed (core.h) */
  DK_EV_GAP,        /* the clock jumped or a turn took over 10 s: silence before it proves nothing */
  DK_EV_START,      /* the run was added; go */
  DK_EV_LOOKED_UP,  /* answer to DK_ACT_LOOKUP */
  DK_EV_DECIDED,    /* answer to DK_ACT_DECIDE: a pick */
  DK_EV_AGENT_UP,   /* a session with a host's agent is open: slots, boot. Makes the host known */
  DK_EV_AGENT_DOWN, /* the session's connection is closed */
  DK_EV_HAS,        /* answer to DK_ACT_LIST, an attempt each */
  DK_EV_HAS_END,
  DK_EV_STARTED,
  /* With reason BAD the task fails, unless policy.place says by now that it may not run on this host and may run on
   * another known one: then it is handed out there. With session 0 and reason NOT_YET it comes from the world itself,
   * for an ASSIGN that it cannot send yet (an input is being made again): the task is handed out again after
   * policy.backoff_ns (twice that the next time, up to backoff_max_ns), and nothing is counted against it. Where the
   * world knows it before, policy.place says NOT_NOW instead, which costs nothing. With session 0 and reason STALE_KEY
   * as well: what the task is keyed by is another thing by now (an input was made again, and is not the same). It is
   * looked up again, and so are those that share its key; what it did under the old one counts for nothing. */
  DK_EV_REFUSED,
  DK_EV_REVOKED,
  /* A result, outputs saved. With session 0 it comes from the world itself, for an ASSIGN that it could not send: that
   * fails the task that it is for, and others that share its key are handed out themselves. */
  DK_EV_ENDED,
  /* What people ask of a run, or of some of its tasks. */
  DK_EV_CANCEL, /* soft: nothing new starts, running attempts get TERM then KILL; hard: KILL at once. Not taken back */
  DK_EV_PAUSE,  /* nothing new starts; what runs goes on */
  DK_EV_RESUME, /* the end of that */
  DK_EV_PRIORITY, /* who comes first */
  /* The outputs of a task that is DONE or CACHED in this run cannot be had any more, by nobody: it is looked up again
   * (MISS: it is made again), and ends once more before its run is over. Nobody is told a second time of a good end.
   * After a bad one nothing starts that still waits for others; what has ended stays; an order of what was looked up
   * before is the world's to end (ENDED with session 0), until then to put off (REFUSED, NOT_YET), or to have keyed
   * anew (STALE_KEY). Of any other task, of a pick, or after FINISHED: dropped. Nothing of it lasts: the next engine
   * looks every task up. */
  DK_EV_COPY_LOST,
  /* What is configured. */
  DK_EV_HOST_ADDED, /* the host may come up: makes it known before its AGENT_UP (for REFUSED) */
  /* The host is not configured any more: what it has is given up now, and its session is over. It may be added again,
   * or just come up. Of one that is not known: dropped. */
  DK_EV_HOST_REMOVED,
};

enum dk_lookup {
  DK_LOOKUP_HIT,
  DK_LOOKUP_OWN, /* a result that an earlier life of this run made: DONE, not CACHED */
  DK_LOOKUP_MISS,
  DK_LOOKUP_SKIP /* `when` is false */,
  DK_LOOKUP_BAD /* cannot be handed out: text says why */
};

#define DK_HOSTS_MAX 65536u
#define DK_HOST_LOCAL 0u /* this machine */

struct dk_event {
  enum dk_event_kind kind;
  struct dk_id id; /* HAS STARTED REFUSED REVOKED ENDED */
  /* HOST_ADDED, HOST_REMOVED, AGENT_UP, and all that come from an agent: the host that it is on (a number of the
   * world's, below DK_HOSTS_MAX, the same in every engine of a store), and the session with it (higher than any before
   * with this host): stale ones are dropped. */
  uint32_t host;
  uint64_t session;
  /* START LOOKED_UP DECIDED CANCEL PAUSE RESUME PRIORITY COPY_LOST; of one that is not there: dropped */
  uint32_t run;
  uint32_t task; /* LOOKED_UP DECIDED COPY_LOST */
  union {
    struct {
      bool is_idle; /* nothing has happened but that time passed: dk_core_deadline asked for it */
    } tick;
    struct {
      enum dk_lookup answer;
      struct dk_digest key;
    } looked_up;
    struct {
      bool ok;
    } decided; /* not ok: no candidate left; the pick fails */
    struct {
      uint64_t lost_after_ns; /* 0: policy.lost_after_ns */
      bool is_leaving; /* it will be removed: orders that wait there are asked back now (policy.place sends no more) */
    } host_added;
    struct {
      uint32_t slots;
      uint8_t boot[16];
    } agent_up;
    struct {
      uint8_t state;
      uint32_t slot;
    } has; /* enum dk_attempt_state */
    struct {
      uint32_t slot;
    } started;
    struct {
      uint8_t reason;
    } refused; /* enum dk_refusal */
    /* `bytes` is what the store keeps under the key when cause is OK (result and metrics, encoded by the caller), and
     * under the attempt when it failed; borrowed for the call. */
    struct {
      uint64_t seq;
      enum dk_cause cause;
      int32_t code;
      const void *bytes;
      uint32_t len;
      bool replaces; /* what the store keeps of an earlier one under the key gives way to it */
    } ended;
    /* CANCEL PAUSE RESUME PRIORITY: a bit per task (borrowed for the call), NULL: the whole run. */
    struct {
      const uint8_t *tasks;
      bool hard;        /* CANCEL */
      int32_t priority; /* PRIORITY */
    } ask;
  } u;
};

/* Attempts of a task that came to nothing in its run, as its limits count them (lang/plan/graph.h, dk_retry): what
 * decides whether it is tried again. That is not how often it began: an order that a host refused for lack of room never
 * began and counts here, one that was asked back never began either and counts nowhere. */
struct dk_tries {
  uint8_t lost, oom, other;
  bool
      is_over; /* one came to nothing that may not be tried again, before its task was asked for: it fails when it is */
};
static inline bool dk_tries_is_none(const struct dk_tries *tries) {
  return !tries->lost && !tries->oom && !tries->other && !tries->is_over;
}

/* Records: puts and deletes of facts. Keys and values are encoded by engine/store/record.h's functions on the way to
 * the store; the core and the simulator see the struct. */
enum dk_record_kind {
  /* one fact, a put replaces it: incarnation, and the highest number taken in blocks (never reused) */
  DK_REC_INCARNATION,
  DK_REC_ATTEMPT, /* put at assignment, and when another task has it; deleted when its end is recorded */
  DK_REC_TASK,    /* state of a task in this run, at its end (and RUNNING, with attempt and slot, for readers) */
  DK_REC_RESULT,  /* key -> bytes; the first one wins, unless its outputs were lost (COPY_LOST): then the new one */
  DK_REC_FAILURE, /* attempt -> bytes of a failed attempt (for logs) */
  DK_REC_RUN,     /* a run's end */
};
struct dk_record {
  enum dk_record_kind kind;
  bool del;
  struct dk_id id;      /* ATTEMPT, FAILURE; TASK: last attempt or none */
  struct dk_digest key; /* ATTEMPT, TASK, RESULT */
  uint32_t run, task;   /* ATTEMPT, TASK, RUN */
  uint32_t host;        /* ATTEMPT: where it is; TASK: where the last one is, or was */
  uint32_t booked;      /* ATTEMPT: slots, there */
  uint8_t state, cause; /* TASK: dk_task_state, dk_cause; RUN: dk_run_state */
  uint8_t attempts;     /* TASK: those of this run that may have begun, for people: a limit on retries counts `tries` */
  struct dk_tries tries; /* TASK: those that count against a limit */
  int32_t code;          /* TASK: exit code or signal */
  uint32_t slot;         /* TASK RUNNING */
  uint64_t counter;      /* INCARNATION: numbers up to this are taken; id.inc is the incarnation */
  uint32_t off, len;     /* RESULT, FAILURE: bytes in dk_out.bytes */
  bool replaces;         /* RESULT: in place of one that is there; else that stays */
};

enum dk_action_kind {
  DK_ACT_LOOKUP, /* ungated: compute the task's key and look for a result; answer LOOKED_UP */
  DK_ACT_DECIDE, /* gated: compute a pick from recorded metrics; answer DECIDED */
  DK_ACT_LIST,   /* ungated: ask the host's agent what it has; answers HAS ..., HAS_END */
  DK_ACT_ASSIGN, /* gated */
  DK_ACT_REVOKE, /* gated: a queued order that is not started yet */
  DK_ACT_KILL,   /* gated */
  DK_ACT_ACK,    /* gated: everything up to seq is committed */
  /* gated: every task of the run has ended and no attempt of one is left; dk_core_remove_run is next */
  DK_ACT_FINISHED,
};
struct dk_action {
  enum dk_action_kind kind;
  uint64_t gate;    /* do it only when the commit of this sequence number is durable; 0: at once */
  struct dk_id id;  /* ASSIGN REVOKE KILL */
  uint32_t run;     /* LOOKUP DECIDE ASSIGN FINISHED */
  uint32_t task;    /* LOOKUP DECIDE ASSIGN */
  uint32_t ooms;    /* ASSIGN: attempts of it that ended for lack of memory: this one gets more (dk_plan_memory) */
  uint64_t seq;     /* ACK */
  uint32_t host;    /* LIST ASSIGN REVOKE KILL ACK: whose agent it is for */
  uint64_t session; /* the same: that it was decided in; to be dropped when another is open by then */
  bool hard;        /* KILL: no TERM first */
};

struct dk_out { /* caller-owned, reused: cleared by the caller */
  struct dk_record *records;
  uint32_t n_records, cap_records;
  struct dk_action *actions;
  uint32_t n_actions, cap_actions;
  struct dk_buf bytes;
  bool urgent; /* the agent runs dry, or the run is over: commit as soon as no event waits */
  bool more;   /* cut at the cap: step again with TICK and the same time */
};

#endif
