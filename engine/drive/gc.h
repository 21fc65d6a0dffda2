/* Deleting what is not wanted any more: runs by age or by the room that they take, with the results that only they
 * used, and then everything in the state folder that no run and no result reaches (objects, code trees, pinned sources,
 * files that were never finished).
 *
 * Safe at any instant: records go first, durably, then what they alone named; killed in between, the rest is found as
 * unreachable by the next one. The folder is locked by the caller, so no engine works in it; what an agent may still
 * need or tell is not touched: with an attempt that is not known to have ended nothing is deleted (-EBUSY). The last
 * run is always kept, and so are runs that go on. */
#ifndef DK_DRIVE_GC_H
#define DK_DRIVE_GC_H

#include "engine/drive/folder.h"

struct dk_gc_policy {
  bool dry_run;
  uint64_t before_unix_ns; /* runs that ended before it go; 0: none by age */
  uint64_t keep_bytes;     /* oldest runs go until the folder takes no more; UINT64_MAX: none by size */
};

struct dk_gc_part {
  uint64_t n, bytes; /* on disk */
};
struct dk_gc_sum {              /* what is deleted, or would be */
  uint32_t first_run, last_run; /* runs first to last; 0: none */
  struct dk_gc_part runs, results, failures, objects, unfinished, trees;
  uint64_t copies;            /* places of contents at hosts that are forgotten; what is there stays */
  uint64_t sources;           /* pinned commits that go; their bytes are not known before */
  uint64_t bytes, kept_bytes; /* all that goes, and what the folder takes then (without the sources') */
  bool sources_stay;          /* their file system cannot exchange two folders */
};

/* root: the user's repository. */
int dk_gc(struct dk_folder *folder, const char *root, const struct dk_gc_policy *policy, struct dk_gc_sum *ret,
          struct dk_error *error);

#endif
