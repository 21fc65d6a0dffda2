/* The fault simulator's world: one engine (the real core and the real turn) with some runs, people who ask for things,
 * one to three hosts, each with the real agent core, model keepers and a connection to the engine, a disk, a clock.
 * Everything happens in one heap of events and follows from the seed.
 *
 *   engine.c  drives core and turn: next, commit, act; connects, dies, starts again
 *   people.c  runs that are asked for, and what is asked of them: kept before it is done, so that the next engine goes
 *   on with it
 *   place.c   what suits which host, and how far it is; hosts that are removed, and come back
 *   copy.c    copies of results that are lost, and may be other ones when they are made again
 *   check.c   after every step of the core, and every commit; check_end.c: at the end of every run
 *   host.c    the agent process, keepers with their journals, tasks; dies, restarts, reboots
 *   net.c     messages on their way (the real encoding), lost and late ones
 *   disk.c    what is durable; checks what may be recorded
 *   fault.c   the list of faults of a case
 *
 * A check that does not hold calls sim_fail; the first message stays, and everything winds down. */
#ifndef DK_SIM_SIM_H
#define DK_SIM_SIM_H

#include "engine/agent/state.h"
#include "engine/drive/turn.h"
#include "tests/sim/case.h"

#define SIM_MS UINT64_C(1000000)
#define SIM_SECOND UINT64_C(1000000000)
#define SIM_SLOTS 4u
#define SIM_DEAD (-1000) /* what a killed engine's turn returns */

enum sim_fault_kind {
  FAULT_ENGINE_KILL,   /* at the turn */
  FAULT_COMMIT_BEFORE, /* killed in the next commit: nothing of it is on the disk */
  FAULT_COMMIT_AFTER,  /* all of it is, but the engine never knew */
  FAULT_COMMIT_ENOSPC,
  FAULT_COMMIT_EIO,
  FAULT_COMMIT_SLOW, /* the next one takes 15 s */
  FAULT_DROP,        /* the connection breaks */
  FAULT_FLAP,        /* it breaks when the agent has just said what it has, and that comes late */
  FAULT_AGENT_KILL,
  FAULT_KEEPER_KILL,
  FAULT_KEEPER_LINK, /* the agent loses its connection to a keeper, which lives */
  FAULT_REBOOT,
  FAULT_GAP,    /* the engine's machine sleeps; the host does not */
  FAULT_DARK,   /* nothing connects for a long time */
  FAULT_CANCEL, /* these four: people ask for something */
  FAULT_PAUSE,
  FAULT_RESUME,
  FAULT_PRIORITY,
  FAULT_HOST_REMOVED, /* for a while */
  FAULT_COPY_LOST,
  FAULT_N_KINDS
};
struct sim_fault {
  enum sim_fault_kind kind;
  uint32_t turn; /* of the whole simulation */
  uint64_t random;
  bool is_done;
};
#define SIM_MAX_FAULTS 24u

enum sim_event_kind {
  EV_TO_AGENT,
  EV_TO_ENGINE,
  EV_AGENT_HEARS_CLOSE,
  EV_ENGINE_HEARS_CLOSE,
  EV_CONNECT,
  EV_AGENT_START,
  EV_TASK_END,
  EV_TASK_TERM,
  EV_KEEPER_SAYS,
  EV_KEEPER_BUSY,
  EV_KEEPER_FOUND,
  EV_DATA_CAME,
  EV_ANSWER,
  EV_ASK,
  EV_PLACES, /* other tasks suit other hosts */
  EV_HOST_ADDED
};
struct sim_event {
  uint64_t at, serial;
  enum sim_event_kind kind;
  uint32_t host, conn, slot, epoch; /* epoch: of the engine, agent or keeper it is for; a later one does not get it */
  struct dk_id id;
  struct dk_event answer;        /* ANSWER; ASK: of which run (tasks: as the last one of this kind) */
  enum dk_agent_event_kind says; /* KEEPER_SAYS */
  enum dk_refusal reason;        /* the same, KEEPER_REFUSED */
  struct dk_buf bytes;           /* TO_AGENT, TO_ENGINE: one frame; owned */
};

/* An order as its keeper has it, which is also its journal. */
enum sim_phase { ITEM_HELD, ITEM_RUNNING, ITEM_ENDED };
struct sim_item {
  struct dk_id id;
  struct dk_digest key;
  uint32_t plan, task, cpus;
  enum sim_phase phase;
  enum dk_cause cause;
  int32_t code;
  uint64_t seq, started_at;
};
struct sim_keeper {
  struct sim_item items[64];
  uint32_t n, epoch; /* a keeper that is killed is followed by the next epoch */
  uint32_t link;     /* of the agent to it: what was said over an earlier one is lost */
  uint64_t next_seq;
};

/* What is remembered of a key or an attempt over the whole simulation. */
enum sim_object { OBJECT_NONE, OBJECT_WRITTEN, OBJECT_DURABLE };
struct sim_key {
  struct dk_digest key;
  enum sim_object object;  /* what the result names */
  uint32_t results;        /* recorded ones */
  uint32_t bad_ends;       /* ends that its habit asked for so far */
  uint64_t result_at;      /* when it was recorded */
  uint32_t made_at;        /* a bit per host: where results of it were made */
  uint32_t losses;         /* how often all copies were lost: then `results` is 0 again */
  struct dk_digest result; /* as it was recorded last */
  bool is_left;            /* those that waited for it were keyed anew, and nobody has asked for it since */
  bool was_given_up;       /* a host with an attempt of it was silent for too long: another one may run beside it */
};
struct sim_attempt {
  struct dk_id id;
  uint64_t assigned_at;
  uint32_t assigned, started;
  bool is_recorded;    /* ever durable */
  uint32_t run, task;  /* that made it */
  uint64_t program;    /* of that task */
  enum dk_cause cause; /* of its end */
  uint32_t version;    /* of what it made */
};

/* Results that the engine was given, of late: what an acknowledgement may cover. */
struct sim_heard {
  uint32_t host;
  uint64_t session, seq;
  struct dk_id id;
};
#define SIM_HEARD 256u

/* --- hosts --- */

struct sim_host {
  uint32_t number;

  /* net.c; numbers of connections are each host's own, so that sessions of different hosts have the same */
  uint32_t conn; /* that the engine talks over; 0: none */
  uint32_t last_conn;
  uint32_t cut_from, late_from; /* connections up to it: cut (to the agent); of older ones late answers may arrive */
  bool flaps;
  uint64_t session, to_agent_at, to_engine_at, dark_until;
  uint64_t removed_until; /* place.c: later than now: it is not configured */

  /* host.c */
  uint32_t slots;
  struct dk_agent *agent; /* NULL: not running */
  struct dk_agent_out agent_out;
  uint32_t agent_epoch;
  uint8_t boot[16];
  struct dk_agent_mark marks[DK_AGENT_MARKS_MAX];
  uint32_t n_marks;
  uint64_t agent_next_seq;
  struct sim_keeper keepers[SIM_SLOTS];

  /* engine.c: what the engine knows of it */
  uint64_t highest_session, engine_session; /* session as the core knows it */
  uint64_t silent_since;
  uint64_t listens_since; /* it knows what the agent has, and is awake; 0: it does not */
  uint64_t idle_since;    /* it has no attempt; 0: it has */
  bool is_lost;           /* it was silent for so long, or removed, that its attempts were given up */
  bool is_removed;        /* as the core knows it */
  bool is_leaving;        /* the same: what waits there is asked back, wherever else it could go */
  uint32_t unclaimed;
};

/* --- runs --- */

/* Something that was asked of a run, as it is kept (engine/store/asked.h). */
struct sim_ask {
  enum dk_event_kind kind;
  bool is_hard;
  int32_t priority;
  uint8_t *tasks; /* owned; NULL: the whole run */
};

/* What the next engine must find of it is marked *. */
enum sim_run_phase { RUN_LATER, RUN_OPEN, RUN_OVER };
struct sim_run {
  const struct sim_plan *plan;
  uint32_t number;                /* * 0: not asked for yet */
  enum sim_run_phase phase;       /* * */
  uint32_t first_turn;            /* LATER: asked for then */
  uint32_t again;                 /* how often it is asked for again after it was cancelled */
  uint8_t state;                  /* * of its RUN record; 0: none */
  struct dk_record *tasks;        /* * TASK record of each; state 0: none */
  uint32_t *ended_in;             /* epoch of the engine that recorded its end; 0: none */
  uint32_t *failures;             /* of each task: exits of attempts that were made for it */
  struct dk_digest *asked_key;    /* of each task: as its last lookup was answered */
  uint8_t *was_lost;              /* of each task: a copy of its result was, and the core was told so in this run */
  struct dk_digest durable_tries; /* the core's digest of its retries at the last commit */
  struct sim_ask *asks;           /* * */
  uint32_t n_asks, cap_asks;

  /* What people want by now: the sum of the asks. */
  bool is_paused, is_cancelled;
  uint64_t stopped_at; /* something was cancelled last */
  int32_t priority;
  uint8_t *is_held, *is_stopped, *has_own; /* a byte per task */
  int32_t *own_priority;

  /* The engine's own. */
  const struct dk_digest **facts; /* durable ones */
  struct dk_digest *fact_of, *choice;
  struct dk_digest *fact_key;         /* the key that the fact was found or made under */
  uint8_t *was_done;                  /* a byte per task */
  uint64_t *held_until, *ready_since; /* of each task; 0: never */
  uint32_t n_holds;                   /* orders that were put off */
  bool is_finished;                   /* to be removed after this turn */
  uint32_t were_lost;                 /* a bit per host, when its end was decided */
};

struct sim {
  const struct sim_case *c;
  struct sim_fault faults[SIM_MAX_FAULTS];
  uint32_t n_faults;
  bool trace;
  char failure[600]; /* empty: none */
  uint64_t now, serial;
  uint32_t turns;
  struct sim_event *heap;
  uint32_t n_heap, cap_heap;
  struct sim_random net, tasks, disk, engine;

  struct sim_host hosts[SIM_MAX_HOSTS]; /* c->n_hosts of them */

  /* disk.c */
  struct dk_record *attempts; /* living ones */
  uint32_t n_attempts, cap_attempts;
  struct dk_record incarnation;
  bool has_incarnation;
  struct sim_key *keys;
  uint32_t n_keys, cap_keys;
  struct sim_attempt *ids;
  uint32_t n_ids, cap_ids;
  uint32_t n_losses;
  uint32_t n_changes; /* results that were made again, and are others */
  bool tells_early;
  struct sim_run runs[SIM_MAX_RUNS]; /* of each plan the latest */
  uint32_t last_run;                 /* highest number */

  /* engine.c */
  struct dk_core *core; /* NULL: not running */
  struct dk_core_policy policy;
  struct {
    uint64_t program;
    uint32_t host;
  } learned[256]; /* that the host does not have what the program needs */
  uint32_t n_learned;
  struct dk_turn turn;
  struct dk_world world;
  uint32_t engine_epoch;
  uint64_t inc;
  struct dk_event queue[4096];
  struct dk_digest queue_bytes[4096];
  uint32_t queue_at, queue_n;
  struct dk_digest given;
  uint32_t in_hand; /* run of the event that was taken and not stepped yet: a GAP may come first */
  bool has_news_in_hand;
  struct sim_heard heard[SIM_HEARD];
  uint32_t n_heard;
  uint64_t asleep_until;
  enum sim_fault_kind commit_fault; /* FAULT_N_KINDS: none */
  struct dk_digest durable;         /* the core's digest at the last commit */
};

void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline bool sim_has_failed(const struct sim *s) {
  return s->failure[0] != 0;
}
void *sim_need(void *memory);

/* heap.c */
struct sim_event *sim_at(struct sim *s, uint64_t at,
                         enum sim_event_kind kind); /* zeroed; to be filled before the next call */
struct sim_event *sim_at_host(struct sim *s, const struct sim_host *host, uint64_t at, enum sim_event_kind kind);
bool sim_pop(struct sim *s, uint64_t until, struct sim_event *ret); /* the first one not later than until */
uint64_t sim_next_at(const struct sim *s);
void sim_happen(struct sim *s, struct sim_event *event); /* and frees what it owns */

/* net.c */
void sim_send_to_agent(struct sim *s, struct sim_host *host, uint64_t session, struct dk_message *message);
void sim_send_to_engine(struct sim *s, struct sim_host *host, uint32_t conn, const struct dk_message *message);
void sim_connect(struct sim *s, struct sim_host *host);
void sim_break(struct sim *s, struct sim_host *host);
void sim_close_from_agent(struct sim *s, struct sim_host *host, uint32_t conn);
void sim_net_event(struct sim *s, struct sim_event *event);

/* host.c */
void sim_hosts_init(struct sim *s);
void sim_hosts_finish(struct sim *s);
void sim_agent_start(struct sim *s, struct sim_host *host);
void sim_agent_kill(struct sim *s, struct sim_host *host);
void sim_agent_message(struct sim *s, struct sim_host *host, uint32_t conn, struct dk_message *message);
void sim_agent_closed(struct sim *s, struct sim_host *host, uint32_t conn);
void sim_keeper_kill(struct sim *s, struct sim_host *host, uint32_t slot);
void sim_keeper_unlink(struct sim *s, struct sim_host *host, uint32_t slot);
void sim_reboot(struct sim *s, struct sim_host *host, uint64_t random);
void sim_host_event(struct sim *s, struct sim_event *event);
uint32_t sim_running(const struct sim *s, const struct dk_digest *key); /* tasks of this key that run now */
bool sim_is_running(const struct sim *s, struct dk_id id);

/* place.c */
/* How far the host is from a task as the engine's world knows it, DK_PLACE_NOT_NOW, DK_PLACE_NEVER. */
uint64_t sim_place_ns(const struct sim *s, uint64_t program, uint32_t host);
/* Since when it has suited all along; UINT64_MAX: it does not. */
uint64_t sim_place_since(const struct sim *s, uint64_t program, uint32_t host);
bool sim_place_is_any(const struct sim *s, uint64_t program); /* it suits all hosts that are configured, always */
bool sim_place_has_mount(const struct sim *s, uint64_t program, uint32_t host);
void sim_place_learn(struct sim *s, struct dk_id refused, uint32_t host);
void sim_places_init(struct sim *s);
void sim_places_begin(struct sim *s); /* a new engine */
void sim_host_remove(struct sim *s, struct sim_host *host, uint64_t random);
void sim_place_event(struct sim *s, struct sim_event *event);
bool sim_is_news(const struct dk_event *event); /* of which hosts there are, or of what suits them */

/* copy.c */
void sim_copies_lose_some(struct sim *s, uint64_t random);
void sim_copies_tell_early(struct sim *s); /* in the middle of what the end of a task means for others */
void sim_copies_lose_host(struct sim *s, const struct sim_host *host, uint64_t random);
/* Something that the task needs was lost, and is not made again yet; those who lost it are told so. */
bool sim_copies_are_missing(struct sim *s, struct sim_run *run, uint32_t task);
bool sim_copies_were_lost(struct sim *s, const struct sim_run *run,
                          uint32_t task); /* of something that the task needs */
/* Whether an order can be sent. Else the world says what follows from that. */
bool sim_copies_may_send(struct sim *s, struct sim_run *run, const struct dk_action *action);

/* disk.c */
struct sim_key *sim_key_of(struct sim *s, const struct dk_digest *key);
struct sim_attempt *sim_attempt_of(struct sim *s, struct dk_id id);
bool sim_is_living(const struct sim *s, struct dk_id id);
void sim_learn(struct sim *s, struct sim_run *run, uint32_t task,
               const struct dk_digest *key); /* its result is a fact */
void sim_disk_sync(struct sim *s);
void sim_disk_commit(struct sim *s, const struct dk_record *records, uint32_t n, const struct dk_buf *bytes);
void sim_disk_load(struct sim *s, struct dk_core *core);

/* engine.c */
int sim_engine_run(struct sim *s); /* one engine's life: 0 all runs are over, SIM_DEAD, or a negative errno */
void sim_engine_push(struct sim *s, const struct dk_event *event, const struct dk_digest *bytes);
void sim_engine_event(struct sim *s, struct sim_event *event);

/* people.c */
void sim_runs_init(struct sim *s);
void sim_runs_finish(struct sim *s);
struct sim_run *sim_run_of(struct sim *s, uint32_t number); /* an open one; NULL: none */
void sim_runs_submit(struct sim *s);                        /* those whose turn has come */
void sim_runs_recall(struct sim *s);                        /* a new engine goes on with those that are open */
void sim_runs_committed(struct sim *s);                     /* what the core knows of them is durable */
void sim_runs_reap(struct sim *s);
bool sim_runs_are_over(const struct sim *s);
void sim_run_finish(struct sim *s, uint32_t number); /* FINISHED */
void sim_ask(struct sim *s, struct sim_run *run, const struct dk_event *event);
void sim_ask_some(struct sim *s, enum dk_event_kind kind, uint64_t random);
bool sim_ask_resume_all(struct sim *s); /* false: nothing is held back */
void sim_people_event(struct sim *s, struct sim_event *event);

/* check.c */
void sim_check_core(struct sim *s);
void sim_check_give_up(struct sim *s, struct sim_host *host); /* what is there may run elsewhere as well from now on */
/* After a step: what it has decided is in out->actions from first_action on. */
void sim_check_step(struct sim *s, const struct dk_event *event, const struct dk_out *out, uint32_t first_action);
void sim_check_owners(struct sim *s); /* after a commit */
/* A task comes to its end by itself: somebody wants that. */
void sim_check_wanted(struct sim *s, const struct sim_host *host, const struct sim_item *item);
/* A task starts: it has not waited for that while another host had nothing to do. */
void sim_check_wait(struct sim *s, const struct sim_host *host, const struct sim_item *item);
void sim_check_idle(struct sim *s); /* after a commit: nothing is READY for long while a host has nothing to do */
void sim_check_rest(struct sim *s); /* nothing will happen by itself any more */
void sim_check_end(struct sim *s, const struct sim_run *run); /* check_end.c */

/* fault.c */
void sim_faults_make(struct sim *s, uint64_t seed);
bool sim_faults_do(struct sim *s); /* those of this turn; true: the engine is killed */
const char *sim_fault_name(enum sim_fault_kind kind);

#endif
