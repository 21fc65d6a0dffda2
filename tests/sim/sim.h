/* The fault simulator's world: one engine (the real core and the real turn), one host with the real agent core and model keepers, a
 * connection between them, a disk, a clock. Everything happens in one heap of events and follows from the seed.
 *
 *   engine.c  drives core and turn: next, commit, act; connects, dies, starts again
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
  FAULT_GAP,  /* the engine's machine sleeps; the host does not */
  FAULT_DARK, /* nothing connects for a long time */
  FAULT_CANCEL,
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
  EV_KEEPER_FOUND,
  EV_ANSWER,
  EV_CANCEL
};
struct sim_event {
  uint64_t at, serial;
  enum sim_event_kind kind;
  uint32_t conn, slot, epoch; /* epoch: of the engine, agent or keeper it is for; a later one does not get it */
  struct dk_id id;
  struct dk_event answer;        /* ANSWER */
  enum dk_agent_event_kind says; /* KEEPER_SAYS */
  struct dk_buf bytes;           /* TO_AGENT, TO_ENGINE: one frame; owned */
};

/* An order as its keeper has it, which is also its journal. */
enum sim_phase { ITEM_HELD, ITEM_RUNNING, ITEM_ENDED };
struct sim_item {
  struct dk_id id;
  struct dk_digest key;
  uint32_t task, cpus;
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
  enum sim_object object; /* what the result names */
  uint32_t results;       /* recorded ones */
  uint32_t bad_ends;      /* ends that its habit asked for so far */
};
struct sim_attempt {
  struct dk_id id;
  uint32_t assigned, started;
  bool is_recorded; /* ever durable */
};

/* Results that the engine was given, of late: what an acknowledgement may cover. */
struct sim_heard {
  uint64_t session, seq;
  struct dk_id id;
};
#define SIM_HEARD 256u

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

  /* net.c */
  uint32_t conn; /* that the engine talks over; 0: none */
  uint32_t last_conn;
  uint32_t cut_from, late_from; /* connections up to it: cut (to the agent); of older ones late answers may arrive */
  bool flaps;
  uint64_t session, to_agent_at, to_engine_at, dark_until;

  /* host.c */
  struct dk_agent *agent; /* NULL: not running */
  struct dk_agent_out agent_out;
  uint32_t agent_epoch;
  uint8_t boot[16];
  struct dk_agent_mark marks[DK_AGENT_MARKS_MAX];
  uint32_t n_marks;
  uint64_t agent_next_seq;
  struct sim_keeper keepers[SIM_SLOTS];

  /* disk.c */
  struct dk_record *attempts; /* living ones */
  uint32_t n_attempts, cap_attempts;
  struct dk_record incarnation;
  bool has_incarnation;
  struct sim_key *keys;
  uint32_t n_keys, cap_keys;
  struct sim_attempt *ids;
  uint32_t n_ids, cap_ids;
  uint8_t *task_state; /* of the current run, as recorded */
  struct dk_digest *task_key;
  uint8_t run_state;

  /* engine.c */
  struct dk_core *core; /* NULL: not running */
  struct dk_turn turn;
  struct dk_world world;
  uint32_t engine_epoch, run;
  uint64_t inc, highest_session, engine_session; /* session as the core knows it */
  struct dk_event queue[4096];
  struct dk_digest queue_bytes[4096];
  uint32_t queue_at, queue_n;
  struct dk_digest given;
  const struct dk_digest **facts; /* of this run, durable */
  struct dk_digest *fact_of;
  struct dk_digest *choice;
  struct sim_heard heard[SIM_HEARD];
  uint32_t n_heard;
  uint64_t asleep_until, silent_since;
  uint32_t unclaimed;
  enum sim_fault_kind commit_fault; /* FAULT_N_KINDS: none */
  bool cancelled, is_over;
  struct dk_digest durable; /* the core's digest at the last commit */
};

void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline bool sim_has_failed(const struct sim *s) {
  return s->failure[0] != 0;
}
void *sim_need(void *memory);

/* heap.c */
struct sim_event *sim_at(struct sim *s, uint64_t at,
                         enum sim_event_kind kind);                 /* zeroed; to be filled before the next call */
bool sim_pop(struct sim *s, uint64_t until, struct sim_event *ret); /* the first one not later than until */
uint64_t sim_next_at(const struct sim *s);
void sim_happen(struct sim *s, struct sim_event *event); /* and frees what it owns */

/* net.c */
void sim_send_to_agent(struct sim *s, uint64_t session, struct dk_message *message);
void sim_send_to_engine(struct sim *s, uint32_t conn, const struct dk_message *message);
void sim_connect(struct sim *s);
void sim_break(struct sim *s);
void sim_close_from_agent(struct sim *s, uint32_t conn);
void sim_net_event(struct sim *s, struct sim_event *event);

/* host.c */
void sim_host_init(struct sim *s);
void sim_agent_start(struct sim *s);
void sim_agent_kill(struct sim *s);
void sim_agent_message(struct sim *s, uint32_t conn, struct dk_message *message);
void sim_agent_closed(struct sim *s, uint32_t conn);
void sim_keeper_kill(struct sim *s, uint32_t slot);
void sim_keeper_unlink(struct sim *s, uint32_t slot);
void sim_reboot(struct sim *s, uint64_t random);
void sim_host_event(struct sim *s, struct sim_event *event);
uint32_t sim_running(const struct sim *s, const struct dk_digest *key); /* tasks of this key that run now */

/* disk.c */
struct sim_key *sim_key_of(struct sim *s, const struct dk_digest *key);
struct sim_attempt *sim_attempt_of(struct sim *s, struct dk_id id);
bool sim_is_living(const struct sim *s, struct dk_id id);
void sim_disk_sync(struct sim *s);
void sim_disk_commit(struct sim *s, const struct dk_record *records, uint32_t n, const struct dk_buf *bytes);
void sim_disk_load(struct sim *s, struct dk_core *core);

/* engine.c */
int sim_engine_run(struct sim *s); /* one engine's life: 0 the run is over, SIM_DEAD, or a negative errno */
void sim_engine_push(struct sim *s, const struct dk_event *event, const struct dk_digest *bytes);
void sim_engine_event(struct sim *s, struct sim_event *event);

/* fault.c */
void sim_faults_make(struct sim *s, uint64_t seed);
bool sim_faults_do(struct sim *s); /* those of this turn; true: the engine is killed */
const char *sim_fault_name(enum sim_fault_kind kind);

#endif
