/* Files of the repository as inputs: content digests, remembered for the run; unless dry, the content is taken into the
 * objects, so that an edit during the run changes nothing in it. A directory is its manifest. */
#ifndef DK_DRIVE_FILE_H
#define DK_DRIVE_FILE_H

#include "engine/drive/lookup.h"

/* `path` is relative to the repository's root. -ENOENT with help when it is missing; -EAGAIN never: a file that changes
 * while it is read is an error with words (-EBUSY). */
int dk_file_digest(struct dk_lookup_state *state, const char *path, struct dk_digest *ret, bool *ret_is_dir,
                   struct dk_error *error);
/* A content that this run gave the file before (an earlier engine): 0 or -ENOMEM. */
int dk_file_recall(struct dk_lookup_state *state, const char *path, const struct dk_digest *digest, bool is_dir);
void dk_file_facts_finish(struct dk_lookup_state *state);

#endif
