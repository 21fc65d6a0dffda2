/* What would be lost with the copies that some hosts keep (store/hosts.h), and forgetting them. */
#ifndef DK_DRIVE_COPIES_H
#define DK_DRIVE_COPIES_H

#include "engine/drive/folder.h"
#include "engine/store/hosts.h"

struct dk_copies_sum {
  uint32_t n_results; /* that can be had nowhere else: their tasks would run again */
  uint64_t bytes;     /* of their outputs that are only there */
};

/* Of the hosts for which `is_meant` says so. 0 or a negative errno with words. */
int dk_copies_only_at(struct dk_folder *folder, dk_store_may_host_fn *is_meant, void *ctx, struct dk_copies_sum *ret,
                      struct dk_error *error);
/* They keep nothing any more: commits that, after the results that can be had nowhere else say of themselves that they
 * were cleaned (dk_saved). The folder is open for writing. */
int dk_copies_forget(struct dk_folder *folder, dk_store_may_host_fn *is_meant, void *ctx, struct dk_error *error);

#endif
