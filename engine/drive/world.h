/* What one turn of the engine needs from the world: the real one (engine.c), or the simulator's. */
#ifndef DK_DRIVE_WORLD_H
#define DK_DRIVE_WORLD_H

#include "engine/core/core.h"

struct dk_world {
  void *ctx;
  /* Waits until an event is there or `deadline_ns` has passed. 1: *ret filled (bytes it points to stay valid until the
   * next call), 0: deadline, negative errno: stop. *ret_now is the time in either case. */
  int (*next)(void *ctx, uint64_t deadline_ns, struct dk_event *ret, uint64_t *ret_now);
  /* Makes durable what results name (their objects). Called before each commit that has a RESULT in it: a record must
   * not outlive what it names. 0, or a negative errno as from commit. */
  int (*sync)(void *ctx);
  /* Makes the records durable, all or none. 0, or a negative errno: the core must be thrown away and nothing gated is
   * done. A TASK record that says DONE or CACHED makes the result under its key that of the task, for the lookups that
   * follow (it may be another task's result with the same key, which this world has not seen come in). One that says
   * CANCELLED takes away what a lookup of the task has found. */
  int (*commit)(void *ctx, uint64_t seq, const struct dk_record *records, uint32_t n, const struct dk_buf *bytes);
  /* Starts an action; never blocks for long; its answer is an event. What is for the agent names the session it was
   * decided in: the world drops it when its connection's is another by now, of which the core has not heard yet
   * (tests/sim/plants/old-session). */
  void (*act)(void *ctx, const struct dk_action *action);
};

#endif
