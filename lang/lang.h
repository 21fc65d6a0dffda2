/* The door of lang/: a file becomes a plan, or diagnostics. Knows nothing of running. */
#ifndef DK_LANG_LANG_H
#define DK_LANG_LANG_H

#include "lang/base/error.h"
#include "lang/check/check.h"
#include "lang/diag/diag.h"
#include "lang/eval/eval.h"
#include "lang/plan/plan.h"

struct dk_load; /* one compilation: owns the arena with everything in it */

struct dk_load_options {
  const struct dk_check_given *given; /* -p */
  uint32_t n_given;
  dk_check_pattern_fn *check_pattern; /* of metrics; NULL: regexes are taken as they are */
  const char *root; /* the repository's root (absolute): imports and loads stay inside; NULL: the file's directory */
  /* Files as they were at another time: fills *ret with the content of a path below root and returns true, or returns
   * false: it is read where it lies. NULL: all are. */
  bool (*pinned)(void *ctx, const char *path, struct dk_buf *ret);
  void *pinned_ctx;
  const char *name; /* what the file is called in messages and in the plan; NULL: `path` */
};

/* Reads, parses, checks and plans `path`. 0 and *ret set (also when the file has errors: see dk_load_plan), or -ENOMEM.
 * A file that cannot be read is a diagnostic (E0701 ...) without a place. */
int dk_load(const char *path, const struct dk_load_options *options, struct dk_load **ret, struct dk_error *error);
void dk_load_destroy(struct dk_load *load);
const struct dk_plan *dk_load_plan(const struct dk_load *load); /* NULL: the file has errors */
const struct dk_diags *dk_load_diags(const struct dk_load *load);
/* All the project's files that were read and directories that were looked into: as long as they are the same, so is the
 * plan. Embedded modules are left out: they are the program's. */
struct dk_load_seen {
  const char *path; /* relative to the repository's root; "" is the root itself */
  bool is_dir;
  struct dk_digest
      /* of a file its content's, as it was read; of a directory dk_names_digest of its sorted entries, or zero: not
       * there */
      digest;
};
const struct dk_load_seen *dk_load_seen(const struct dk_load *load, uint32_t *ret_n);

#endif
