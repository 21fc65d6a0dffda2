/* What a task may read: everything but the repository, of which it gets its own copy of what it declared (landlock(7),
 * Linux 5.19 and later). Landlock only ever allows, and whole hierarchies: so the rules name what stands beside the way
 * from "/" down to the repository. What that means: what is made beside that way while a task runs, the task cannot
 * read; the next one can.
 *
 * It is for cache keys to be true, no wall against an enemy: names can be listed, files written, and another mount of
 * the same file system leads in. */
#ifndef DK_AGENT_SANDBOX_H
#define DK_AGENT_SANDBOX_H

#include "lang/base/buf.h"
#include "lang/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dk_sandbox_rules {
  const char *repository; /* closed, absolute */
  const char *fences[2];  /* closed as well, or NULL: the agent's folder, the objects */
  const char *own;        /* open within what is closed: the slot's folder */
  char *const *open;      /* and these files or directories: mounts */
  uint32_t n_open;
  const char *path; /* PATH of the task, or NULL: an environment in the repository that is on it is open */
  const char *home; /* HOME of the task, or NULL */
  bool is_probe;    /* for looking only: nothing is made in HOME */
};

/* One ruleset. While it is held, and in a task that runs under it, files that stand beside the way and are removed keep
 * their space. Used again until the rules are others or something on the way to the repository has changed. */
struct dk_sandbox {
  int ruleset;         /* -1: none */
  const char *off;     /* why nothing is enforced, for people; NULL: it is */
  struct dk_buf inner; /* canonical paths that are open in what is closed, a NUL behind each */
  struct dk_buf key;   /* the rules that it was made for */
  struct dk_sandbox_stamp *stamps;
  size_t n_stamps;
  int mounts; /* /proc/self/mountinfo, -1: not open */
  uint64_t made_unix_ns;
};

void dk_sandbox_init(struct dk_sandbox *sandbox);
void dk_sandbox_finish(struct dk_sandbox *sandbox);
/* Sees to it that sandbox->ruleset fits the rules. 0, also when nothing can be enforced (`off` says why); -ENOMEM,
 * -EMFILE ... */
int dk_sandbox_make(struct dk_sandbox *sandbox, const struct dk_sandbox_rules *rules, struct dk_error *error);
/* Is this canonical path one that the rules of the last dk_sandbox_make keep from a task? */
bool dk_sandbox_is_closed(const struct dk_sandbox *sandbox, const struct dk_sandbox_rules *rules, const char *path);
/* The kernel's version of Landlock; 0: none, or turned off. */
int dk_sandbox_abi(void);
#define DK_SANDBOX_ABI_LEAST 2

#endif
