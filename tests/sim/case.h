/* One simulated case, made from a seed: a random graph, how each of its tasks behaves, and what must come out, found by a plain
 * recursion that shares nothing with the core. */
#ifndef DK_SIM_CASE_H
#define DK_SIM_CASE_H

#include "engine/core/core.h"

/* A seeded sequence (splitmix64, Steele, Lea and Flood 2014). Streams of different purposes do not disturb each other. */
struct sim_random {
  uint64_t state;
};
struct sim_random sim_random_of(uint64_t seed, uint64_t purpose);
uint64_t sim_random_next(struct sim_random *random);
uint32_t sim_below(struct sim_random *random, uint32_t n); /* 0 .. n-1; n at least 1 */
bool sim_chance(struct sim_random *random, uint32_t in_thousand);

enum sim_class { SIM_GOOD, SIM_FAILED, SIM_NOT_RUN, SIM_SKIPPED };

enum sim_habit {
  HABIT_OK,
  HABIT_EXIT,      /* always fails */
  HABIT_TRANSIENT, /* exit 75, `bad_ends` times, then ok */
  HABIT_OOM,       /* the same with OOM */
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
  bool is_wanted;
  enum sim_class expect;
  struct dk_digest fact; /* of a good one: digest of its result (a pick: of its choice) */
};

struct sim_case {
  uint64_t seed;
  struct dk_graph graph;
  struct sim_task *tasks;
  uint8_t *wanted; /* NULL: all */
  struct dk_core_policy policy;
  uint32_t slots;
  bool refuses; /* the agent's queue is short, and its keepers refuse at times */
};

#define SIM_MAX_NODES 9u
/* At most max_nodes nodes and max_rows rows (for shrinking; the rest of the case is as the seed says). */
void sim_case_init(struct sim_case *ret, uint64_t seed, uint32_t max_nodes, uint32_t max_rows);
void sim_case_finish(struct sim_case *c);

/* The key of a task from the facts of what it needs (NULL: no result). False: something that it needs is missing. */
bool sim_case_key(const struct sim_case *c, uint32_t task, const struct dk_digest *const *facts, struct dk_digest *ret);
/* The choice of a pick: the fact of its first good candidate. */
bool sim_case_choice(const struct sim_case *c, uint32_t task, const struct dk_digest *const *facts,
                     struct dk_digest *ret);
void sim_case_result(const struct dk_digest *key, struct dk_digest *ret);
bool sim_case_is_pick(const struct sim_case *c, uint32_t task);

#endif
