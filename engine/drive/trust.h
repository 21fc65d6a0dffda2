/* Which repositories' providers.dk count as if they were the user's own, and as they were when: the file `trusted` in
 * the user's folder of configuration, a line a repository. */
#ifndef DK_DRIVE_TRUST_H
#define DK_DRIVE_TRUST_H

#include "lang/base/digest.h"
#include "lang/base/error.h"

/* `root` is a canonical path. 1 and *ret: what was trusted there; 0: nothing; negative errno with words. */
int dk_trust_find(const char *root, struct dk_digest *ret, struct dk_error *error);
/* Trusts `digest` there, in place of any other; NULL: nothing any more. What others write meanwhile is not lost. 1:
 * that is new; 0: it was so already; negative errno with words: it is as it was. */
int dk_trust_set(const char *root, const struct dk_digest *digest, struct dk_error *error);

#endif
