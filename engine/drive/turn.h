/* The loop body of every program that drives the core: takes events in batches, steps the core, commits the records in
 * one transaction, and only then does what was gated. Commits are paced: when 256 records wait (not counting those that
 * would be found out again as quickly: a task has a result already); when it is urgent (an agent's queue runs
 * dry, the run is over) as soon as no event waits; else after `pace_ns`.
 *
 * An order that was undone while it waited for its commit is not sent. What was decided for a session with an agent
 * that is not open any more when its gate opens is not done: the core decides anew after it has heard what the agent
 * has. Acknowledgements to one agent in one commit are done as one, the highest. */
#ifndef DK_DRIVE_TURN_H
#define DK_DRIVE_TURN_H

#include "engine/drive/world.h"

struct dk_turn {
  struct dk_core *core;
  const struct dk_world *world;
  uint64_t seq;       /* of the commit that is being filled; starts at 1 */
  uint64_t pace_ns;   /* default 20 ms */
  uint64_t commit_at; /* when it is due; UINT64_MAX: nothing waits */
  uint64_t last_now;
  struct dk_out out;  /* records waiting for the commit, actions waiting for their gate */
  uint32_t n_weighed; /* records of `out` that were looked at, and how many of them are worth a commit */
  uint32_t n_worth;
  bool looks; /* the next wait only looks: a commit may have taken long */
};

void dk_turn_init(struct dk_turn *turn, struct dk_core *core, const struct dk_world *world);
void dk_turn_finish(struct dk_turn *turn);
/* One turn: waits for an event (or the next deadline), steps, commits when due. 0, or a negative errno after which the
 * core must be thrown away. A wait that ends more than 10 s after its deadline
 * (a machine that slept, a disk that hung) is told to the core as a gap, before the event. */
int dk_turn_once(struct dk_turn *turn);

#endif
