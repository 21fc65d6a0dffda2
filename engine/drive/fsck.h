/* Is everything that the store names there and as it was recorded? Finds damage to the store's files, to records,
 * objects, directories, code trees and pinned sources, and things that do not belong in the state folder; mends what
 * can be mended.
 *
 * Without `repair` nothing is changed, and an engine may be at work meanwhile. With it the folder is locked. Mending
 * never takes a result that is whole and not in doubt: a result of which something is lost is deleted (its task runs
 * again), one that was made from a content that is altered and does not show since when too (lists of inputs apart:
 * their digests are not known one by one), and what is damaged or stray is moved to `damaged/` in the state folder,
 * never deleted. Killed at any point it can be begun again. */
#ifndef DK_DRIVE_FSCK_H
#define DK_DRIVE_FSCK_H

#include "lang/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum dk_finding_state {
  DK_FINDING_FOUND,  /* `repair` would mend it as `help` says */
  DK_FINDING_MENDED, /* as `help` says */
  DK_FINDING_LEFT,   /* it cannot be mended here; `help` says what to do */
  DK_FINDING_NOTE    /* no damage */
};
struct dk_finding {
  enum dk_finding_state state;
  const char *what, *help;
};

struct dk_fsck_options {
  const char *root; /* of the user's repository */
  bool repair;
  bool quick; /* contents of objects and sources are not read: only that they are there, and their sizes */
  void (*found)(void *ctx, const struct dk_finding *finding);
  void *ctx;
};
struct dk_fsck_sum {
  uint64_t n_found, n_mended, n_left;              /* found: all but notes */
  uint64_t runs, results, objects, trees, sources; /* looked at */
};
/* 0 whether or not something was found. -ENOENT: nothing was run here. -EWOULDBLOCK: repair, and an engine works
 * here. */
int dk_fsck(const struct dk_fsck_options *options, struct dk_fsck_sum *ret, struct dk_error *error);

#endif
