/* Control groups that hold a task to its memory, v2 or v1: where they may be made (cgroup_find.c), and one for one task
 * (cgroup.c).
 *
 * A group is a folder of the kernel's file system. What is in it may not use more than its limit: the kernel ends it
 * then, and counts that. Nothing here is needed for tasks to run: where there is no such folder, memory is watched
 * (engine/agent/task.c). */
#ifndef DK_SYS_CGROUP_H
#define DK_SYS_CGROUP_H

#include "lang/base/buf.h"
#include "lang/base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DK_CGROUP_AUTO "auto"
#define DK_CGROUP_OFF "off"

/* $DKRUN_CGROUP where it is set, else DK_CGROUP_AUTO: what dkrun starts its agents with. */
const char *dk_cgroup_asked(void);

/* The folder in which groups of tasks are made. */
struct dk_cgroups {
  unsigned version;   /* of the hierarchy: 2, 1; 0: there is no such folder */
  struct dk_buf path; /* absolute */
  struct dk_buf why;  /* version 0: the reason, in words that may follow ": " */
  bool
      /* v2: this process's group, which must be left first (no group has both processes and limited groups in it) */
      is_own;
};
#define DK_CGROUPS_INIT                                                                                                \
  { .path = DK_BUF_INIT, .why = DK_BUF_INIT }
void dk_cgroups_finish(struct dk_cgroups *cgroups);

/* Looks, and changes nothing. `asked`: a folder of a cgroup hierarchy that belongs to dkrun; DK_CGROUP_OFF; or
 * DK_CGROUP_AUTO, which is
 *   the process's own group where that was delegated: it is the user's, or systemd says so;
 *   for root `dkrun` at the hierarchy's root, where root's own group is that root, or a unit of systemd without a limit
 *   above it.
 * Never another manager's group, and never out of a limit. */
void dk_cgroups_find(const char *asked, struct dk_cgroups *ret);
/* Makes it ready, and tries whether a process can be put into a group there; when not, version is 0 afterwards and
 * `why` says why not. `is_probe`: what was made for that is taken away again, and an own group is not left (nor tried
 * then). */
void dk_cgroups_open(struct dk_cgroups *cgroups, bool is_probe);

/* The same, of texts as in /proc/self/cgroup and /proc/self/mountinfo: where the hierarchy that limits memory (v2: any)
 * is mounted, and the process's group from there ("/": the mounted root). false: there is none. */
bool dk_cgroup_parse(const char *groups, const char *mounts, unsigned version, struct dk_buf *ret_mount,
                     struct dk_buf *ret_group);

/* A group for one task. */
struct dk_cgroup {
  int dir; /* -1: none */
  unsigned version;
};
#define DK_CGROUP_NONE                                                                                                 \
  { .dir = -1 }

/* Makes `name` in `folder`; what is there under that name is ended and removed first. Swap counts as memory where the
 * kernel counts it. */
int dk_cgroup_make(const char *folder, const char *name, uint64_t memory, struct dk_cgroup *ret,
                   struct dk_error *error);
void dk_cgroup_close(struct dk_cgroup *cgroup);
/* Who writes "0" into this descriptor enters the group. The caller's to close; or negative errno. */
int dk_cgroup_entrance(const struct dk_cgroup *cgroup);

struct dk_cgroup_use {
  uint64_t kills; /* of its processes, for lack of memory */
  bool is_blind;  /* the kernel does not count those (v1 before Linux 4.13) */
  uint64_t hits;  /* of its limit, that could not be met by giving memory back */
  uint64_t peak;  /* bytes; 0: the kernel does not say */
};
void dk_cgroup_look(const struct dk_cgroup *cgroup, struct dk_cgroup_use *ret);
/* KILL to all that is in it: at once where the kernel can (v2, Linux 5.14), else one by one: again until none is left.
 * Returns how many it saw. */
size_t dk_cgroup_kill(const struct dk_cgroup *cgroup);
/* Ends what is in it, and removes it; nothing when there is none of the name. false: it is still there after five
 * seconds. */
bool dk_cgroup_remove(const char *folder, const char *name);

#endif
