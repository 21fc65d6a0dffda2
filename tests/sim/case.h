/* One simulated case, made from a seed: what its runs are to do (random graphs, some of the same tasks), how each task
 * behaves, and what must come out, found by a plain recursion that shares nothing with the core. */
#ifndef DK_SIM_CASE_H
#define DK_SIM_CASE_H

#include "engine/core/core.h"
#include "tests/sim/random.h"

enum sim_class { SIM_GOOD, SIM_FAILED, SIM_NOT_RUN, SIM_SKIPPED };

enum sim_habit {
  HABIT_OK,
  HABIT_EXIT,      /* always fails */
  HABIT_TRANSIENT, /* exit 75, `bad_ends` times, then ok */
  HABIT_OOM,       /* the same with OOM */
  HABIT_STUBBORN,  /* exit 75, each time */
  HABIT_SIGNAL,
  HABIT_TIMEOUT,
  HABIT_WHEN, /* `when` is false */
  HABIT_BAD,  /* cannot be handed out */
};

struct sim_task {
  uint64_t program; /* tasks of the same program and inputs have the same key */
  enum sim_habit habit;
  uint32_t bad_ends;
  uint64_t duration_ns;
  bool wavers; /* made again after it was lost, its result is another one */
  bool is_wanted;
  bool has_key; /* an undisturbed run comes to run it, or to find its result */
  struct dk_digest key;
  enum sim_class expect;
  struct dk_digest fact; /* of a good one: digest of its result (a pick: of its choice) */
};

#define SIM_MAX_NODES 9u
#define SIM_MAX_RUNS 4u
#define SIM_MAX_HOSTS 3u

/* What one run is to do, and how it is asked for. */
struct sim_plan {
  struct dk_graph graph;
  struct sim_task *tasks;
  uint32_t order[SIM_MAX_NODES]; /* nodes, each after what it needs */
  uint8_t *wanted;               /* NULL: all */
  uint32_t first_turn;           /* it is asked for then, or when nothing else is left to do */
  int32_t priority;
  uint32_t jobs;
  bool is_paused, is_foreground; /* foreground: it ends with its engine, and is asked for again */
};

struct sim_case {
  uint64_t seed;
  struct sim_plan plans[SIM_MAX_RUNS];
  uint32_t n_plans;
  struct dk_core_policy policy;
  uint32_t n_hosts, slots[SIM_MAX_HOSTS];
  bool has_places;     /* tasks are particular about where they run (place.c) */
  bool has_mounts;     /* and of some the world learns it when they are refused; then no host is removed */
  bool knows_inputs;   /* the world knows before it makes an order that what it needs was lost */
  uint64_t changes[4]; /* when what suits changes */
  bool refuses;        /* agents' queues are short, and their keepers refuse at times */
  bool has_wavering;   /* some programs waver */
  bool is_remote;      /* its jobs wait for their data at the agent */
};

struct sim_limits { /* at most; for shrinking: the rest of the case is as the seed says */
  uint32_t nodes, rows, runs, hosts;
};
void sim_case_init(struct sim_case *ret, uint64_t seed, const struct sim_limits *limits);
void sim_case_finish(struct sim_case *c);
uint32_t sim_case_wanted(const struct sim_case *c); /* tasks of all runs */

/* The key of a task from the facts of what it needs (NULL: no result). False: something that it needs is missing. */
bool sim_plan_key(const struct sim_plan *plan, uint32_t task, const struct dk_digest *const *facts,
                  struct dk_digest *ret);
/* The choice of a pick: the fact of its first good candidate. */
bool sim_plan_choice(const struct sim_plan *plan, uint32_t task, const struct dk_digest *const *facts,
                     struct dk_digest *ret);
/* What comes of a task, and its fact when that is good. */
enum sim_class sim_plan_class(const struct sim_plan *plan, uint32_t task, const struct dk_digest *const *facts,
                              struct dk_digest *ret_fact);
bool sim_plan_is_pick(const struct sim_plan *plan, uint32_t task);
/* What it needs: a byte per task of the plan, zeroed by the caller. */
void sim_plan_needs(const struct sim_plan *plan, uint32_t task, uint8_t *ret);
void sim_result_of(const struct dk_digest *key, uint32_t version, struct dk_digest *ret);

#endif
