/* The only place that starts processes: vfork and exec. Never fork: from a process of 2 GiB it makes 8 tasks a
 * second. */
#ifndef DK_SYS_SPAWN_H
#define DK_SYS_SPAWN_H

#include "lang/base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Where a program was found in a PATH: for a quarter of a second, longer than most tasks and shorter than anybody sees,
 * it is tried there first. A failed execve for each directory before it costs as much as half of what else there is to
 * a start. Zero to begin with. */
struct dk_spawn_found {
  char *path, *name; /* what was looked for; heap */
  size_t at;         /* the directory's place in PATH */
  uint64_t until_ns; /* dk_now_ns */
};
void dk_spawn_found_finish(struct dk_spawn_found *found);

struct dk_spawn {
  char *const *argv;   /* NULL-terminated; argv[0] with a slash is taken as it is, else searched in PATH of `env` */
  char *const *env;    /* NULL-terminated "NAME=value"; NULL: this process's environment */
  int dir_fd;          /* working directory, or -1: this one's */
  const char *dir;     /* the same by path (used when dir_fd is -1), or NULL */
  int fds[3];          /* become 0, 1, 2 of the child; -1: /dev/null */
  const int *more_fds; /* become 3, 4, ...; none of them may be below 3 + n_more_fds */
  unsigned n_more_fds;
  bool new_session;            /* setsid */
  bool new_group;              /* setpgid(0, 0) */
  int umask;                   /* -1: inherited */
  const struct rlimit *nofile; /* its RLIMIT_NOFILE; NULL: inherited */
  bool signals_are_default;    /* the caller vouches that no signal is ignored here: saves the child's loop over them */
  struct dk_spawn_found *found; /* kept by the caller from start to start; or NULL */
  int landlock; /* a ruleset (landlock(7)) that it and its children live under, or -1. Sets no_new_privs where this
                   process may not do without */
  int cgroup;   /* open for writing: the `cgroup.procs` of a group that it enters, or -1 */
};
/* Everything zero but the descriptors and umask: -1. */
#define DK_SPAWN_INIT                                                                                                  \
  { .dir_fd = -1, .fds = {-1, -1, -1}, .umask = -1, .landlock = -1, .cgroup = -1 }

/* Starts it: all signals at their defaults and unblocked, no other descriptor inherited. Returns when the program has
 * been exec'd. 0, or a negative errno with the program's name and what to do (program not found, not executable, script
 * without #! line, arguments too long). The child is the caller's to reap. */
int dk_spawn(const struct dk_spawn *spawn, pid_t *ret_pid, struct dk_error *error);

/* Runs to the end: the exit code, 128 + signal, or negative errno. */
int dk_spawn_wait(const struct dk_spawn *spawn, struct dk_error *error);

#endif
