/* The agent's daemon: engines on DIR/sock, keepers on DIR/slots/N/sock, and the core (state.h) between them. It runs
 * nothing itself, so it may crash or be replaced: keepers and their journals know what matters. */
#ifndef DK_AGENT_SERVE_H
#define DK_AGENT_SERVE_H

#include "lang/base/error.h"

#include <stdint.h>

struct dk_serve_options {
  const char *root; /* made when it is not there (0700) */
  uint32_t slots;   /* 0: the cpus that this process may use, but for `leave`; at least 1 */
  uint32_t leave;
  uint32_t gpus; /* at most so many are told of and booked; UINT32_MAX: all */
  int nice;      /* of this process and all that it starts; 0: as it was started */
  /* Where the machine is booked: a directory, or DK_LEDGER_AUTO. NULL: only memory and GPUs, and only in this root.
   * With more slots than there are cpus, no cpus are booked. */
  const char *ledger;
  const char *cgroup;  /* where tasks get groups with memory limits, as dk_cgroups_find takes it */
  const char *machine; /* before /dev, /proc and /sys, where GPUs are looked for; "" is this machine */
  uint64_t idle_ms;    /* ends itself this long after the last engine left, when nothing runs or is unacknowledged */
};

/* Runs until it ends itself or gets SIGTERM (SIGHUP: only when it is idle): 0. Also 0, at once, when another one serves
 * this root. */
int dk_serve_run(const struct dk_serve_options *options, struct dk_error *error);

#endif
