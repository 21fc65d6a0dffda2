/* Processes as /proc shows them: identity over pid reuse, descendants, memory. Linux only. */
#ifndef DK_SYS_PROC_H
#define DK_SYS_PROC_H

#include "lang/base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* The kernel's id of this boot (/proc/sys/kernel/random/boot_id); zeros and a negative errno when it cannot be read. */
int dk_proc_boot_id(uint8_t ret[16]);

struct dk_proc_stat {
  pid_t ppid, pgrp, session;
  char state;           /* 'R', 'S', 'D', 'Z' ... */
  uint64_t start_ticks; /* since boot (proc(5), field 22): pid, start and boot name a process for good */
  uint64_t rss_pages;
};
int dk_proc_stat(pid_t pid, struct dk_proc_stat *ret); /* 0, -ESRCH, ... */
/* Is `pid` still the process that was started then, and not a zombie? */
bool dk_proc_is_alive(pid_t pid, uint64_t start_ticks);

struct dk_pids {
  pid_t *items;
  size_t n, cap;
};
void dk_pids_finish(struct dk_pids *pids);
/* Appends all descendants of pid (not pid itself), parents first. 0 or -ENOMEM. */
int dk_proc_descendants(pid_t pid, struct dk_pids *ret);
/* Appends all processes of this user for which match(ctx, pid, stat) holds. */
typedef bool dk_proc_match_fn(void *ctx, pid_t pid, const struct dk_proc_stat *stat);
int dk_proc_find(dk_proc_match_fn *match, void *ctx, struct dk_pids *ret);
/* Has the process `entry` ("NAME=value") in the environment it was started with? */
bool dk_proc_has_env(pid_t pid, const char *entry);

/* Sends `signal` to every descendant of pid. Returns how many there were. */
size_t dk_proc_signal_descendants(pid_t pid, int signal);
/* Proportional set size in bytes, so that shared pages count once over a tree; 0 when unknown. */
uint64_t dk_proc_pss(pid_t pid);
/* The kernel's count of processes it killed for lack of memory since boot; 0 when unknown. */
uint64_t dk_proc_oom_kills(void);
/* Raises the soft limit of open files to the hard one, as far as that can be done; *ret_before: what it was, for
 * children. */
void dk_proc_raise_nofile(struct rlimit *ret_before);
uint32_t dk_proc_cpus(void);   /* that this process may use */
uint64_t dk_proc_memory(void); /* of the machine, bytes */

#endif
