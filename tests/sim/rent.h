/* The simulator of rented machines: the real dk_rent, one engine after another that commits, acts and dies at every
 * point, one to three clouds that lie, and tasks that come and go. Everything happens in one heap of events and follows
 * from the seed.
 *
 *   rent_case.c    what a case is: pools, needs, faults
 *   rent_engine.c  the engine: steps, commits, acts, dies, starts again
 *   rent_cloud.c   the clouds: stale and incomplete lists, lost replies, doubled calls, quota, capacity, slow deletes
 *   rent_work.c    agents and tasks: who runs what, what is not saved, what waits
 *   rent_image.c   images, and what is done with builders
 *   rent_people.c  faults, and what people ask for
 *   rent_check.c   after every step, commit and act
 *   rent_heap.c    what is to happen, by time
 *
 * After calm_at the clouds behave, and people are quiet: then everything that waits is to be done, and nothing of this
 * store is to be left in any cloud. A check that does not hold calls rs_fail; the first message stays. */
#ifndef DK_SIM_RENT_H
#define DK_SIM_RENT_H

#include "engine/rent/rent.h"
#include "tests/sim/random.h"

#define RS_MS UINT64_C(1000000)
#define RS_SECOND UINT64_C(1000000000)
#define RS_MINUTE (60 * RS_SECOND)
#define RS_HOUR (60 * RS_MINUTE)
#define RS_NEVER UINT64_MAX
#define RS_POOLS 3u
#define RS_SHAPES 3u
#define RS_KINDS 3u
#define RS_MACHINES 1000u
#define RS_TASKS 32u
#define RS_FAULTS 16u
#define RS_QUEUE 4096u
#define RS_DEAD 1 /* the engine was killed */

enum rs_fault_kind {
  RS_KILL,          /* these six: the engine dies: between two turns */
  RS_BEFORE_COMMIT, /* nothing of the turn is on the disk */
  RS_AFTER_COMMIT,  /* all of it is, and nothing of it was done */
  RS_AMID_ACTS,     /* some of it was done */
  RS_AT_CREATE,     /* one of these three, or when all was done, at the next turn that creates something */
  RS_AT_ENDING,     /* likewise, that ends something */
  RS_GAP,           /* the engine's machine sleeps */
  RS_BREAK,         /* the connection to an agent */
  RS_HIDE,          /* lists lack a machine whose agent answers, for a while */
  RS_STOP,          /* a machine stops: preempted, or broken */
  RS_RELEASE,       /* people release one, a pool, all */
  RS_CHANGE,        /* a pool is configured with another maximum */
  RS_REMOVE,        /* a pool is taken out of the configuration, for a while */
  RS_CANCEL,        /* what waits is not wanted any more */
  RS_BLIND,         /* lists are incomplete for a while */
  RS_DENY,          /* credentials are refused, until people configure the pool anew */
  RS_STARVE,        /* quota and capacity go, for a while */
  RS_N_FAULTS
};
struct rs_fault {
  enum rs_fault_kind kind;
  uint32_t turn;
  uint64_t random;
  bool is_done;
};

enum rs_event_kind {
  RS_ANSWER,
  RS_CONNECT,
  RS_CUT,
  RS_WORK,
  RS_ARRIVE,
  RS_LOST,
  RS_CONFIGURE,
  RS_SAVE_US,
  RS_IMAGE,
  RS_BUILT
};
struct rs_event {
  uint64_t at, serial;
  enum rs_event_kind kind;
  uint32_t epoch; /* ANSWER: of the engine that asked */
  uint32_t machine, pool, n;
  struct dk_rent_event answer;
};

enum rs_task_state { RS_RUNS, RS_ENDED /* its engine does not know */, RS_UNSAVED };
struct rs_task {
  uint32_t kind;
  enum rs_task_state state;
  uint64_t since, until;
};

/* A machine as it is in a cloud. Times may lie in the future. */
struct rs_machine {
  uint32_t pool, shape, number; /* number: of the create call; 0: not of ours, or planted */
  char id[40], name[DK_RENT_NAME];
  bool is_ours, is_doubled; /* doubled: one call made it and another one */
  uint64_t dated_at;        /* by the API's own date */
  uint64_t made_at, visible_at, runs_at, agent_at, fails_at, stops_at, deleting_at, gone_at;
  bool is_dialled, is_linked; /* by the engine of now */
  uint64_t dark_until;        /* it cannot be reached */
  uint64_t hidden_until;      /* lists lack it while it is connected */
  struct rs_task tasks[RS_TASKS];
  uint32_t n_tasks;
  bool may_go;                     /* people released it */
  bool may_break;                  /* and said hard */
  bool is_useless;                 /* its agent answers, but no task suits it */
  bool is_load_queued, is_unheard; /* the engine of now was not told yet; it was not told anything */
  uint32_t told_tasks;
  uint32_t links;   /* connections so far */
  uint64_t busy_at; /* it had something to do, or could not tell, until then */
  uint64_t used_from, used_ns;
};

struct rs_shape_state {
  uint64_t closed_from, closed_until; /* the cloud has none of it left */
  uint64_t refused_at, not_before;    /* the engine of now has no reason to ask for it earlier */
};
struct rs_pool {
  struct dk_rent_pool config;
  struct dk_rent_shape shapes[RS_SHAPES];
  struct rs_shape_state of_shape[RS_SHAPES];
  uint32_t max_first; /* what max_instances is in the end */
  uint32_t quota;
  uint64_t quota_from, quota_until; /* when it is that low */
  uint64_t blind_until;
  uint32_t account; /* lists show what is in it */
  bool is_denied, is_configured;
  bool has_image, is_made;       /* its machines are made from an image that is to be made; it is in the cloud */
  enum dk_rent_image told_image; /* to the engine of now */
  /* In a thousand calls: */
  uint32_t p_lost, p_doubled, p_throttled, p_transient, p_async, p_slow_boot, p_partial, p_delete_lost;
  uint64_t boot_ns;
  /* What the engine of now was told, and must heed. */
  uint64_t not_before, quota_before, refused_at, configured_at;
  bool is_known;             /* it was configured */
  bool is_stopped, was_told; /* denied; and people know */
  bool is_proven;
  uint32_t fails;              /* in a row */
  uint64_t paused_until;       /* as it has said itself; 0: it has not since the first of these */
  uint32_t told_max, max_ever; /* of instances */
  bool was_over;               /* doubled calls made more than that */
};

struct rs_totals {
  uint64_t cases, turns, lives, creates, machines, doubled, over, strangers, tasks, tells[DK_RENT_TELL_BLIND + 1];
  double paid_s, used_s;
};

struct rs {
  uint64_t seed;
  bool trace;
  char failure[400];
  uint64_t now, serial, calm_at;
  uint32_t turns, epoch;
  struct sim_random luck; /* of everything but the case */
  struct rs_event *heap;
  uint32_t n_heap, cap_heap;

  struct rs_pool pools[RS_POOLS];
  uint32_t n_pools;
  struct dk_rent_need kinds[RS_KINDS];
  uint32_t n_kinds;
  uint32_t to_come, waiting[RS_KINDS]; /* to_come: bursts */
  uint64_t done, done_at;
  struct rs_fault faults[RS_FAULTS];
  uint32_t n_faults;
  struct dk_rent_policy policy;
  uint8_t store[16];

  struct rs_machine machines[RS_MACHINES];
  uint32_t n_machines;
  uint32_t n_doubled, n_strangers, n_creates;
  uint64_t asked_at[RS_MACHINES]; /* by number: when its create was decided */

  /* The engine. */
  struct dk_rent *rent; /* NULL: not running */
  struct dk_rent_out out;
  uint64_t seq, committed;
  struct dk_rent_event queue[RS_QUEUE];
  uint32_t queue_at, queue_n;
  struct dk_rent_need demand[RS_KINDS], told_demand[RS_KINDS]; /* of now; as it was given to the engine */
  bool is_dirty, is_stale;  /* the demand is to be said again; the engine has taken tasks since */
  uint64_t quiet_from;      /* nothing waits since then */
  enum rs_fault_kind armed; /* RS_N_FAULTS: none */
  bool is_gap;              /* to be told */
  uint32_t n_still;         /* turns without time or event */

  /* The disk. */
  struct dk_rented *rented;
  uint32_t n_rented, cap_rented;
  uint32_t taken;
  struct dk_purse spent;
  struct dk_digest durable;

  uint64_t tells[DK_RENT_TELL_BLIND + 1];
};

void rs_fail(struct rs *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void rs_trace(struct rs *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline bool rs_has_failed(const struct rs *s) {
  return s->failure[0] != 0;
}
static inline bool rs_is_calm(const struct rs *s) {
  return s->now >= s->calm_at;
}
static inline bool rs_is_there(const struct rs *s, const struct rs_machine *machine) {
  return s->now >= machine->made_at && s->now < machine->gone_at;
}

/* rent_heap.c */
struct rs_event *rs_at(struct rs *s, uint64_t at, enum rs_event_kind kind); /* zeroed but for that */
bool rs_pop(struct rs *s, uint64_t until, struct rs_event *ret);
void rs_happen(struct rs *s, const struct rs_event *event);

/* rent_case.c */
void rs_case_init(struct rs *s);
bool rs_run(uint64_t seed, uint32_t faults, bool trace, struct rs_totals *totals, char *ret_failure, size_t size,
            uint32_t *ret_faults);

/* rent_engine.c */
int rs_engine_live(struct rs *s); /* 0: all is done; RS_DEAD */
void rs_push(struct rs *s, const struct dk_rent_event *event);
void rs_push_pool(struct rs *s, uint32_t pool);
struct dk_rented *rs_record(struct rs *s, uint32_t number); /* as it is on the disk; NULL: there is none */
uint32_t rs_records_of(const struct rs *s, uint32_t pool);

/* rent_cloud.c */
void rs_cloud_act(struct rs *s, const struct dk_rent_action *action);
void rs_cloud_plant(struct rs *s);                                              /* others' machines, and strangers */
struct rs_machine *rs_machine_of(struct rs *s, const struct dk_rented *rented); /* by pool and id; NULL */
void rs_cloud_gone(struct rs *s, struct rs_machine *machine);                   /* it ends at its gone_at */

/* rent_work.c */
struct dk_rented *rs_record_at(struct rs *s, const struct rs_machine *machine); /* by its id; NULL: there is none */
void rs_work_begin(struct rs *s); /* a new engine: what it knows of its machines */
void rs_work_dial(struct rs *s, struct rs_machine *machine);
void rs_work_forget(struct rs *s, struct rs_machine *machine); /* if its record says that it is given up */
void rs_work_cancel(struct rs *s);
void rs_work_event(struct rs *s, const struct rs_event *event);
void rs_work_assign(struct rs *s);
void rs_work_cut(struct rs *s, struct rs_machine *machine);
uint32_t rs_work_count(const struct rs_machine *machine, bool is_unsaved);
void rs_work_use(struct rs *s, struct rs_machine *machine); /* counts the time for which it was used */

/* rent_image.c */
void rs_image_begin(struct rs *s); /* a new engine: what it knows of them */
void rs_image_build(struct rs *s, uint32_t machine);
void rs_image_event(struct rs *s, const struct rs_event *event);
void rs_image_check(struct rs *s, const struct dk_rented *rented); /* one that is created */

/* rent_people.c */
void rs_faults_make(struct rs *s, struct sim_random *random);
bool rs_faults_do(struct rs *s); /* true: the engine is killed */
void rs_people_event(struct rs *s, const struct rs_event *event);
void rs_people_tell(struct rs *s, const struct dk_rent_action *action);
const char *rs_fault_name(enum rs_fault_kind kind);

/* rent_check.c */
void rs_check_event(struct rs *s, const struct dk_rent_event *event); /* before it is given to the engine */
void rs_check_step(struct rs *s, uint32_t first_action);
void rs_check_commit(struct rs *s);
void rs_check_record(struct rs *s, const struct dk_rent_record *record); /* before it is applied */
void rs_check_act(struct rs *s, const struct dk_rent_action *action);
void rs_check_end(struct rs *s);
bool rs_is_over(struct rs *s);

#endif
