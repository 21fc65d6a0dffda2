/* One simulated case from its seed to its end. */
#ifndef DK_SIM_RUN_H
#define DK_SIM_RUN_H

#include "tests/sim/sim.h"

#define SIM_ALL_FAULTS UINT32_MAX
#define SIM_FAILURE 600

struct sim_choice { /* what to run: the seed's case, or less of it */
  uint64_t seed;
  uint32_t faults; /* a bit each */
  struct sim_limits limits;
  bool trace;
};

struct sim_totals {
  uint64_t cases, runs, tasks, attempts, turns, lives, faults[FAULT_N_KINDS];
};

/* True: all was well. ret_failure (SIM_FAILURE bytes) says what was not; totals may be NULL. */
bool sim_run_case(const struct sim_choice *choice, struct sim_totals *totals, char *ret_failure, uint32_t *ret_faults);

#endif
