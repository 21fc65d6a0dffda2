/* The keeper of one slot: a process that is parent and subreaper of its task's tree, and writes the journal. It listens
 * on slots/N/sock and speaks the agent protocol's messages with one agent daemon at a time (docs/agent-protocol.md,
 * "Keepers"); it goes on when that is gone. */
#ifndef DK_AGENT_KEEPER_H
#define DK_AGENT_KEEPER_H

#include "lang/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct dk_keeper_options {
  uint32_t slot;
  const char *path;    /* slots/N, absolute */
  int listener;        /* bound to its socket, non-blocking */
  int ledger;          /* what it books over (engine/sys/ledger.h); -1: nothing */
  bool books_cpus;     /* else only memory and GPUs */
  uint32_t gpus;       /* at most so many are booked; UINT32_MAX: all */
  const char *machine; /* before /dev, /proc and /sys, where GPUs are looked for; "" is this machine */
  const char *cgroups; /* folder for groups of tasks that have a memory limit; NULL: that is watched */
  uint64_t idle_ms;    /* ends itself after this long without a task, a daemon, and anything unreported */
};

/* Runs until it ends itself: 0, or negative errno. */
int dk_keeper_run(const struct dk_keeper_options *options, struct dk_error *error);

#endif
