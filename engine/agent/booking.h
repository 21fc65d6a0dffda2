/* What a keeper has booked of the machine for its task, and how it waits for it. GPUs first, then memory, then
 * processors, each in its queue of the ledger: who waits for one holds only what comes before, so two never wait for
 * each other. */
#ifndef DK_AGENT_BOOKING_H
#define DK_AGENT_BOOKING_H

#include "engine/agent/smi.h"
#include "engine/sys/machine.h"

struct dk_booking {
  const struct dk_machine *machine; /* borrowed */
  int ledger;                       /* borrowed; -1: nothing is booked, everything may start */
  bool books_cpus;
  enum dk_pool stage; /* whose queue it stands in; DK_POOL_N: all is booked, or nothing is asked for */
  bool is_waiting, is_held;
  uint32_t cpus, n_gpus; /* of what is asked for or held */
  uint64_t memory;
  uint64_t ticket, since_ns, again_ns;
  uint64_t way_until_ns; /* it lets others pass */
  int watch;             /* of the ledger, while it waits; -1 */
  struct dk_smi smi;
  uint64_t looked_ns; /* when `busy` was found; 0: never */
  bool busy[DK_GPU_MAX];
  uint32_t gpus[DK_GPU_MAX]; /* held: n_gpus of them, rising */
};

void dk_booking_init(struct dk_booking *booking, const struct dk_machine *machine, int ledger, bool books_cpus);
void dk_booking_finish(struct dk_booking *booking);

/* Books what is needed: true when it has it. Else asked again when one of dk_booking_fds is readable, at
 * dk_booking_deadline, or whenever. What the task before had is kept when it fits and nobody else waits. */
bool dk_booking_take(struct dk_booking *booking, const struct dk_need *need, uint64_t now_ns);
/* The task has ended. `next` may go on with what it had; NULL: there is none. */
void dk_booking_leave(struct dk_booking *booking, const struct dk_need *next);
/* Nothing is asked for any more, nothing is held. */
void dk_booking_drop(struct dk_booking *booking);

#define DK_BOOKING_FDS 2
void dk_booking_fds(const struct dk_booking *booking, int ret[DK_BOOKING_FDS]); /* -1: none */
uint64_t dk_booking_deadline(const struct dk_booking *booking);                 /* UINT64_MAX: it does not wait */

#endif
