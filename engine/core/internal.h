/* What the files of the core share. Nobody else includes this.
 *
 * Three kinds of things:
 *   run      a graph with the states of its tasks: every (node, row) has 6 bytes (state, flags, word) and a bit in each
 *   queue;
 *   claim    a key that has been looked up and has no result: the task that owns it, its retries, its attempt, who else
 *   waits for
 *            it (shares: tasks of any run). The window of schedule.c bounds how many there are;
 *   attempt  a living attempt (one that is not known to have ended), of this engine or of an earlier one; it belongs to
 *   a claim, or is
 *            unclaimed. Exactly these are what lasts, as DK_REC_ATTEMPT.
 *
 * Files: core (door, dispatch), run (what is asked of runs: add, cancel, pause, priority), task (state x event), fan
 * (countdown), claim, attempt, session (what agents tell), host (the table of hosts, silence), schedule (what next),
 * place (where), recall (orders that wait at the wrong host), retry (when again), tried (retries of earlier lives),
 * emit (records and actions), invariant (check, digest), bits and index (containers). */
#ifndef DK_CORE_INTERNAL_H
#define DK_CORE_INTERNAL_H

#include "engine/core/bits.h"
#include "engine/core/core.h"
#include "engine/core/fan.h"
#include "engine/core/index.h"

#define DK_NONE UINT32_MAX

enum {
  TASK_UNWANTED = 1,   /* not of this run */
  TASK_ASKED = 2,      /* LOOKUP or DECIDE was emitted and not answered */
  TASK_ERA = 4,        /* in which of the two eras (claim.c) it was asked */
  TASK_FOREIGN = 8,    /* ended: word is an index in run->foreign, not a number of this incarnation */
  TASK_HELD = 16,      /* paused by itself */
  TASK_STOPPED = 32,   /* cancelled: it ends as soon as its attempt is known to have */
  TASK_HARD = 64,      /* STOPPED, without TERM first */
  TASK_RESTORED = 128, /* had ended in an earlier life of its run (if not in this one: see `recalled`) */
};

/* `word` of a task: WAITING: units it waits for. LOOKUP: core->n_good when it was asked. READY, RUNNING, BACKOFF: its
 * claim. SHARED: its share. Ended: number of its last attempt less core->base, 0: none. */

struct dk_claim {
  struct dk_digest key;
  struct dk_core_run *run; /* of the task that owns it; NULL: nobody (dk_claim_note) */
  uint32_t task;
  uint32_t attempt;       /* living one, or DK_NONE */
  uint32_t shares;        /* first of those that wait for the same key, or DK_NONE */
  struct dk_id last;      /* attempt made or adopted last, or none */
  uint32_t host;          /* of `last` */
  uint64_t due;           /* BACKOFF */
  uint32_t heap_at;       /* in core->timers, or DK_NONE */
  uint32_t next;          /* free, draining and retired ones are lists */
  uint8_t attempts;       /* of this run that may have begun: for people only (limits: `tries`) */
  uint8_t holds;          /* orders of it in a row that could not be sent yet */
  bool is_full_elsewhere; /* its attempt that ends now failed for lack of room on another machine */
  struct dk_tries tries;
  uint8_t outcome; /* CLAIM_OPEN, or the event for its sharers */
  uint8_t cause;
  int32_t code;
  bool is_used, is_indexed; /* indexed: found by its key */
  uint32_t good_at;         /* outcome OK: core->n_good by then */
  uint32_t placed_in;       /* core->news when it was last asked where its owner may run; 0: never */
  uint64_t suits;           /* what came of it: the hosts that were there and suited, see dk_place_bit */
};

struct dk_share {
  struct dk_core_run *run;
  uint32_t task, claim;
  uint32_t previous, next; /* of the claim's; next of free ones */
};

enum {
  ATTEMPT_STARTED = 1,
  ATTEMPT_SEEN = 2,
  ATTEMPT_KILLED = 4,
  ATTEMPT_UNHEARD = 8,  /* ended while no engine listened */
  ATTEMPT_RECALLED = 16 /* asked back, because another host has room */
};

struct dk_attempt {
  struct dk_id id;
  struct dk_digest key;
  uint32_t run,
      /* as recorded: whose it is, or was last; DK_NO_TASK: to be ended when the agent tells of it, unless claimed */
      task;
  uint32_t made_by; /* run that made it, or had it when this engine began */
  uint32_t claim;   /* or DK_NONE */
  uint32_t host;
  uint64_t recall_at; /* an order that waits may be asked back from then on */
  uint32_t booked;    /* slots */
  uint32_t slot;
  uint32_t flags;
  uint32_t next; /* free list */
  bool is_used;
};

struct dk_node_count {
  uint32_t by_state[DK_N_STATES];
  uint32_t queued, started; /* RUNNING ones: order not started yet; started */
  uint32_t open;            /* READY ones that nothing keeps back, and that are not aside */
  /* The READY ones but those that are fresh had all been asked about when core->news was waits_in, and suit no host
   * but these (dk_place_bit). With one lane; else it is not known. */
  uint32_t waits_in;
  uint64_t waits;
};

/* Tasks that are handed out at the same priority. */
struct dk_lane {
  int32_t priority;
  struct dk_bits pending; /* nothing to wait for; not looked up; not held */
  struct dk_bits ready;   /* READY; not held; not aside */
  struct dk_bits fresh;   /* of these, those that have not been asked about since they are in the queue */
};
#define DK_LANES_MAX 32u /* different priorities in a run */

struct dk_core_run {
  uint32_t number;
  const struct dk_graph *graph;
  struct dk_fan fan;
  struct dk_fan_cursor cursor;
  uint8_t *state, *flags;
  uint32_t *word;
  uint8_t *lane_of; /* NULL: all in lane 0, which has the run's own priority */
  struct dk_lane *lanes;
  uint32_t n_lanes;
  uint32_t *order;         /* nodes in the order of handing out; NULL: as numbered */
  struct dk_bits ended;    /* others have not heard of it yet */
  struct dk_bits stopping; /* STOPPED, not looked at yet */
  struct dk_bits
      recalled; /* RESTORED, nothing to wait for; not looked up: in no lane, not kept back by pause or cancel */
  struct dk_bits remade; /* ended well once, all have heard of it, and its outputs were lost; empty until one is */
  struct dk_bits aside;  /* READY, not held, but no host that is there suits: in no lane and no window (place.c) */
  uint32_t aside_at, aside_left; /* of those, to be asked about anew: the next one, and about how many */
  struct dk_node_count *nodes, all;
  uint32_t unfinished; /* wanted tasks that have not ended */
  uint32_t asked;      /* lookups not answered */
  uint32_t n_failed;
  uint32_t node_hint;
  uint32_t window;       /* LOOKUP ones and open READY ones of nodes without at_once */
  uint32_t jobs, booked; /* slots: limit (0: none), of the attempts that its tasks own */
  struct dk_id *foreign; /* last attempts that are of other incarnations, of ended tasks */
  uint32_t n_foreign, cap_foreign;
  struct dk_core_tried *tried; /* of an earlier life, by key; of a task that was looked up since it counts no more */
  uint32_t n_tried, cap_tried;
  bool is_started, is_finished, is_paused;
  bool has_enough;   /* of the slots that it may book, while orders are handed out */
  bool is_cancelled; /* as a whole: also attempts that none of its tasks claims are to end */
};

/* A run's lane in the order of handing out. */
struct dk_core_turn {
  struct dk_core_run *run;
  uint32_t lane;
};

/* A host, and the session with its agent. */
struct dk_host {
  bool is_known;
  uint32_t n_living; /* attempts */
  uint32_t booked;   /* slots of these */
  uint32_t fresh;    /* of these, ordered under fresh_seq (not sent before it is durable) */
  uint64_t fresh_seq;
  uint64_t session; /* 0: none is open */
  uint64_t last;    /* highest session ever */
  bool is_listed;   /* HAS_END came in this session */
  bool is_lost;     /* silent for lost_after, or removed: nothing is expected of it until it comes back */
  bool is_removed;  /* not configured any more */
  bool is_timed;    /* down_since is set */
  uint64_t down_since, lost_after_ns; /* lost_after_ns: its own; 0: the policy's */
  uint32_t slots;
  uint64_t hold_until; /* it was busy: nothing is assigned before */
  /* Ends per window, for the queue's depth. */
  uint64_t window_at, last_end; /* last_end: or when it came up */
  uint32_t window_ends, rate;   /* rate: ends a second in the last full window */
  /* While orders are handed out. */
  uint64_t
      /* slots' worth of orders that it is to have; 0: it gets none, or what waits for it must not be overtaken */
      capacity;
  uint32_t spare; /* recall.c: slots that nothing that is ready could be given to */
};

struct dk_core {
  struct dk_core_policy policy;
  uint64_t jitter;
  uint64_t incarnation, base,
      next_n; /* next_n: number of the next attempt; base: those up to it are of an earlier life */
  struct {
    uint64_t inc, counter;
  } saved; /* the INCARNATION fact as recorded (or about to be) */

  struct dk_core_run **runs; /* by number */
  uint32_t n_runs, cap_runs;
  struct dk_core_turn *turns; /* all lanes of all runs: by priority, then number of the run */
  uint32_t n_turns, cap_turns;

  struct dk_claim *claims;
  uint32_t n_claims, cap_claims, free_claim, draining;
  struct dk_index claim_by_key;
  struct dk_share *shares;
  uint32_t n_shares, cap_shares, free_share;
  uint32_t era;                  /* 0 or 1: that of new lookups */
  uint32_t asked[2], retired[2]; /* lookups not answered; claims that ended well in it */
  uint32_t n_good;               /* claims that ended well: what came before what, modulo 2^32 */

  struct dk_attempt *attempts;
  uint32_t n_attempts, cap_attempts, free_attempt, n_living, n_unclaimed, n_loaded;
  struct dk_index attempt_by_id, unclaimed_by_key;

  uint32_t *timers; /* heap of claims by due */
  uint32_t n_timers, cap_timers;

  struct dk_host *hosts; /* by number */
  uint64_t *place_ns;    /* by host: what policy.place said last */
  uint32_t n_hosts, cap_hosts;
  uint32_t news;      /* counts (from 1) when what place says, or who is there, may have changed */
  uint64_t recall_at; /* when orders that may wait at the wrong host are looked at again; UINT64_MAX: there are none */
  uint64_t recall_hosts; /* bits of those that had spare slots when they were looked at last */
  uint32_t recall_news;  /* `news` by then */
  bool is_failed;        /* out of memory: throw it away */
  bool is_cut;           /* the step's output was full: there is more to do */
  bool has_ended;        /* this step finished a run */
  bool has_moved;        /* a task took over a claim or adopted an attempt: at_once may be passed */

  /* Of the step that runs. */
  uint64_t now, seq,
      facts_seq; /* facts_seq: last one that adds or takes away a result or a choice: lookups wait for it */
  struct dk_out *out;
  uint32_t out_limit;         /* n_records + n_actions may reach it */
  struct dk_record no_record; /* what emit gives when there is no memory: is_failed is set then */
  struct dk_action no_action;
};

/* task.c */
enum dk_task_event {
  TASK_BROKEN,
  TASK_ASK,
  TASK_HIT,
  TASK_OWN,
  TASK_SKIP,
  TASK_BAD,
  TASK_MISS,
  TASK_SHARE,
  TASK_ADOPT,
  TASK_ASSIGN,
  TASK_OK,
  TASK_FAIL,
  TASK_RETRY,
  TASK_AGAIN,
  TASK_REKEY,
  TASK_DUE,
  TASK_CANCEL,
  TASK_CHOSEN,
  TASK_NO_CHOICE,
  TASK_N_EVENTS
};
#define CLAIM_OPEN TASK_N_EVENTS
int dk_task_init(struct dk_core_run *run, const uint8_t *wanted);
void dk_task_finish(struct dk_core_run *run);
uint32_t dk_task_node(struct dk_core_run *run, uint32_t task);
/* Does what the table says; for an end state the record and the news to those that wait for it are done too. `claim` is
 * what is known of its attempt, NULL: nothing. */
void dk_task_do(struct dk_core *core, struct dk_core_run *run, uint32_t task, enum dk_task_event event,
                const struct dk_claim *claim);
bool dk_task_can(const struct dk_core_run *run, uint32_t task, enum dk_task_event event);
/* A DONE or CACHED one is looked up again. */
void dk_task_reopen(struct dk_core *core, struct dk_core_run *run, uint32_t task);
/* It had ended well, and all have heard of that: see `remade`. */
static inline bool dk_task_is_remade(const struct dk_core_run *run, uint32_t task) {
  return run->remade.count && dk_bits_has(&run->remade, task);
}
static inline bool dk_task_has_result(const struct dk_core_run *run, uint32_t task) {
  return run->state[task] == DK_TASK_DONE || run->state[task] == DK_TASK_CACHED;
}
/* A task that shared a claim gets it, in the state that its owner had. */
void dk_task_inherit(struct dk_core *core, struct dk_core_run *run, uint32_t task, enum dk_task_state state);
void dk_task_queue(struct dk_core_run *run, uint32_t task);     /* puts it into the queues that it belongs in */
void dk_task_unqueue(struct dk_core_run *run, uint32_t task);   /* takes it out of them (before it changes lanes) */
void dk_task_set_aside(struct dk_core_run *run, uint32_t task); /* a READY one; dk_task_queue takes it back */
/* A task that had ended already when its run was added. */
void dk_task_restore(struct dk_core *core, struct dk_core_run *run, const struct dk_core_ended *ended);
void dk_task_propagate(struct dk_core *core); /* tells consumers of ended tasks, until the step's output is full */
bool dk_task_is_done_telling(const struct dk_core_run *run);
/* Not looked up in this life of its run. */
static inline bool dk_task_is_untouched(const struct dk_core_run *run, uint32_t task) {
  return run->state[task] == DK_TASK_WAITING || run->state[task] == DK_TASK_LOOKUP;
}

/* run.c */
struct dk_core_run *dk_run_find(const struct dk_core *core, uint32_t number); /* NULL: not there */
void dk_run_event(struct dk_core *core, const struct dk_event *event);        /* START CANCEL PAUSE RESUME PRIORITY */
void dk_run_stop(struct dk_core *core); /* goes on with what was cancelled, until the step's output is full */
bool dk_run_is_done_stopping(const struct dk_core *core);
void dk_run_end(struct dk_core *core); /* FINISHED for those that are over */
/* The attempt is of a task of this run that was cancelled, and no task claims it. */
bool dk_run_has_left(const struct dk_core_run *run, const struct dk_attempt *attempt);
void dk_run_destroy_all(struct dk_core *core);
static inline bool dk_run_keeps_back(const struct dk_core_run *run, uint32_t task) {
  return run->is_paused || run->flags[task] & (TASK_HELD | TASK_STOPPED);
}

/* claim.c */
uint32_t dk_claim_find(const struct dk_core *core, const struct dk_digest *key);
uint32_t dk_claim_open(struct dk_core *core, struct dk_core_run *run, uint32_t task,
                       const struct dk_digest *key);                  /* DK_NONE: no memory */
struct dk_claim dk_claim_of_tried(const struct dk_core_tried *tried); /* what a record says of it; in no list */
void dk_claim_share(struct dk_core *core, uint32_t claim, struct dk_core_run *run, uint32_t task);
/* The task waits no longer for the claim of another (it was cancelled). */
void dk_claim_unshare(struct dk_core *core, struct dk_core_run *run, uint32_t task);
/* The first of those that share it becomes its owner; false: nobody does. The old owner is left without it, in its old
 * state. */
bool dk_claim_pass(struct dk_core *core, uint32_t claim);
/* The owner is kept back, and nothing of it is at the agent: the first sharer that is not kept back takes its place,
 * and it waits with the others. To be called when one of that has come true. */
void dk_claim_yield(struct dk_core *core, uint32_t claim);
/* Is not found by its key any more. */
void dk_claim_forget(struct dk_core *core, uint32_t claim);
/* Ended well after a lookup that began when n_good was so high: that may have missed it. */
static inline bool dk_claim_is_after(const struct dk_claim *claim, uint32_t n_good) {
  return claim->good_at != n_good && claim->good_at - n_good < UINT32_MAX / 2;
}
/* The claim is over: its task gets the event (TASK_OK, TASK_FAIL, TASK_CANCEL, TASK_REKEY), and then those that share
 * it. */
void dk_claim_end(struct dk_core *core, uint32_t claim, enum dk_task_event event, enum dk_cause cause, int32_t code);
/* Does a task that is not cancelled wait for its result? False for DK_NONE. */
bool dk_claim_is_wanted(const struct dk_core *core, uint32_t claim);
void dk_claim_drain(struct dk_core *core);
/* A result that no claim waited for: lookups that are under way may have missed it. */
void dk_claim_note(struct dk_core *core, const struct dk_attempt *last);
void dk_claim_asked(struct dk_core *core, struct dk_core_run *run, uint32_t task);
void dk_claim_answered(struct dk_core *core, struct dk_core_run *run, uint32_t task);
void dk_claim_finish(struct dk_core *core);
static inline bool dk_claim_is_stopped(const struct dk_claim *claim) {
  return claim->run->flags[claim->task] & TASK_STOPPED;
}

/* attempt.c */
uint32_t dk_attempt_find(const struct dk_core *core, struct dk_id id);
/* One that a task could adopt: best at a host that is there, else at one that is not lost. DK_NONE: none. */
uint32_t dk_attempt_find_unclaimed(const struct dk_core *core, const struct dk_digest *key);
/* One at a host that is not lost, and that nobody has condemned: while there is one, no other is made. */
uint32_t dk_attempt_find_expected(const struct dk_core *core, const struct dk_digest *key);
/* One that nobody has condemned yet. */
uint32_t dk_attempt_find_idle(const struct dk_core *core, const struct dk_digest *key);
uint32_t dk_attempt_add(struct dk_core *core, const struct dk_attempt *attempt); /* unclaimed; DK_NONE: no memory */
void dk_attempt_remove(struct dk_core *core, uint32_t attempt);                  /* and its record */
void dk_attempt_claim(struct dk_core *core, uint32_t attempt, uint32_t claim, enum dk_task_event event);
void dk_attempt_release(struct dk_core *core, uint32_t attempt); /* the claim gives it up; it lives on */
void dk_attempt_move(struct dk_core *core, uint32_t attempt, struct dk_core_run *from,
                     uint32_t task);                         /* its claim has a new owner */
void dk_attempt_own(struct dk_core *core, uint32_t attempt); /* records whose it is by now, when it is known to live */
/* Nobody wants it: it is to be ended when its host is seen, and nothing of it is recorded (unless a task claims it
 * before). */
void dk_attempt_condemn(struct dk_core *core, uint32_t attempt);
void dk_attempt_set_started(struct dk_core *core, uint32_t attempt, uint32_t slot);
void dk_attempt_finish(struct dk_core *core);

/* host.c */
struct dk_host *dk_host_need(struct dk_core *core, uint32_t number);           /* NULL: no memory */
void dk_host_event(struct dk_core *core, const struct dk_event *event);        /* HOST_ADDED, HOST_REMOVED */
const struct dk_host *dk_host_at(const struct dk_core *core, uint32_t number); /* of a living attempt: it is known */
void dk_host_gap(struct dk_core *core);                                        /* silence begins anew */
void dk_host_pass_time(struct dk_core *core);                                  /* lost_after */
uint64_t dk_host_deadline(const struct dk_core *core);
void dk_host_finish(struct dk_core *core);
/* Orders may go to it (it may be busy). */
static inline bool dk_host_is_there(const struct dk_host *host) {
  return host->session && host->is_listed;
}

/* session.c: the events that come from agents */
void dk_session_event(struct dk_core *core, const struct dk_event *event);
/* The claim gives up its attempt, whose host is lost. */
void dk_session_lose(struct dk_core *core, uint32_t attempt);
/* A result of the key is recorded: whatever else runs for it is to end. */
void dk_session_end_rivals(struct dk_core *core, const struct dk_digest *key);
/* Tells the agent to end an attempt; `again`: though it was told before. Nothing while none is there: HAS will do
 * it. */
void dk_session_stop(struct dk_core *core, uint32_t attempt, bool is_hard, bool again);
void dk_session_revoke(struct dk_core *core, uint32_t attempt); /* unless it has started */

/* schedule.c */
void dk_schedule_ask(struct dk_core *core, struct dk_core_run *run, uint32_t task); /* one that is in state LOOKUP */
void dk_schedule_load(struct dk_core *core); /* READY queue is filled by lookups */
void dk_schedule_assign(struct dk_core *core);
uint64_t dk_schedule_deadline(const struct dk_core *core);
void dk_schedule_looked_up(struct dk_core *core, const struct dk_event *event);
void dk_schedule_decided(struct dk_core *core, const struct dk_event *event);
void dk_schedule_copy_lost(struct dk_core *core, const struct dk_event *event);
bool dk_schedule_is_urgent(const struct dk_core *core);

/* tried.c */
int dk_tried_init(struct dk_core_run *run, const struct dk_core_tried *tried, uint32_t n); /* 0 or -ENOMEM */
/* What the task had used of its retries in an earlier life of its run; NULL: nothing. */
const struct dk_core_tried *dk_tried_of(const struct dk_core_run *run, uint32_t task, const struct dk_digest *key);
/* The same of all tasks of this key, in any run, that have not been looked up since: of the one that had used most. */
const struct dk_core_tried *dk_tried_find(const struct dk_core *core, const struct dk_core_run *run, uint32_t task,
                                          const struct dk_digest *key);
void dk_tried_forget(struct dk_core_run *run, uint32_t task); /* it came to a good end after that */
/* An attempt of an earlier life came to nothing before its task was looked up: counted for when it is. */
void dk_tried_note_end(struct dk_core *core, const struct dk_attempt *gone, enum dk_cause cause, int32_t code);

/* retry.c */
/* Counts the end of an attempt against the limits of its task; true: it may be tried again. */
bool dk_retry_count(struct dk_core_run *run, uint32_t task, struct dk_tries *tries, enum dk_cause cause, int32_t code);
void dk_retry_wait(struct dk_core *core, uint32_t claim); /* BACKOFF and its timer */
void dk_retry_hold(struct dk_core *core,
                   uint32_t claim); /* the same for an order that was not sent: nothing has failed */
void dk_retry_stop(struct dk_core *core, uint32_t claim); /* forgets the timer */
void dk_retry_due(struct dk_core *core);
uint64_t dk_retry_next(const struct dk_core *core);
void dk_retry_finish(struct dk_core *core);

/* emit.c */
bool dk_emit_is_full(const struct dk_core *core);
struct dk_record *dk_emit_record(struct dk_core *core, enum dk_record_kind kind); /* zeroed but for kind; never NULL */
struct dk_action *dk_emit_action(struct dk_core *core, enum dk_action_kind kind, uint64_t gate);
struct dk_action *dk_emit_order(struct dk_core *core, enum dk_action_kind kind, uint64_t gate, uint32_t host);
void dk_emit_attempt(struct dk_core *core, const struct dk_attempt *attempt, bool del);
void dk_emit_task(struct dk_core *core, const struct dk_core_run *run, uint32_t task, const struct dk_claim *claim);
void dk_emit_bytes(struct dk_core *core, struct dk_record *record, const void *bytes, uint32_t len);

#endif
