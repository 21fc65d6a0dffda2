/* dkrun's own repository looked after: is what it pins whole, and made anew with less in it. Whoever changes it holds
 * the folder's lock. */
#ifndef DK_SOURCE_KEEP_H
#define DK_SOURCE_KEEP_H

#include "lang/base/digest.h"
#include "lang/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct dk_source_pin {
  const char *commit,
      *pinned;  /* of a run: 40 hex digits each; equal when the tree was clean. "": not kept, passed over */
  bool is_lost; /* set by dk_source_keep */
};

/* Reads all that each pin names. fn is called for those that are missing or damaged, with the words. `state` is the
 * .dkrun directory. */
typedef int dk_source_bad_fn(void *ctx, uint32_t pin, const char *text);
int dk_source_check(const char *state, const struct dk_source_pin *pins, uint32_t n, dk_source_bad_fn *fn, void *ctx,
                    struct dk_error *error);
/* Leaves only what the pins name, in one step: a repository is made beside it and exchanged with it. What cannot be
 * read there is taken from the user's repository at `root` (NULL: not), and left out where that does not have it
 * either; such pins are lost. -ENOTSUP: the file system cannot exchange. */
int dk_source_keep(const char *state, const char *root, struct dk_source_pin *pins, uint32_t n, struct dk_error *error);
/* Code digest of a materialised tree (code.h), of what lies there now. -EINVAL: something that no commit holds lies in
 * it. */
int dk_source_tree_digest(const char *path, struct dk_digest *ret, struct dk_error *error);

#endif
