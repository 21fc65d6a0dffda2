/* How much untracked files may be to be kept with a run: 1 MiB each and 20 MiB in all. */
#ifndef DK_SOURCE_CAPS_H
#define DK_SOURCE_CAPS_H

#include "engine/source/worktree.h"

#define DK_CAPS_FILE (1u << 20)   /* bytes of one untracked file */
#define DK_CAPS_TOTAL (20u << 20) /* of all */

/* -EFBIG: some pass the caps; the message names the largest, how many there are, and the folder or the file to leave
 * out.
 */
int dk_caps_check(struct dk_repo *repo, const struct dk_changes *changes, struct dk_error *error);

#endif
