/* Contents that are only at hosts are brought here by the engine, for commands that copy or read them. */
#ifndef DK_CLI_BRING_H
#define DK_CLI_BRING_H

#include "engine/cli/cli.h"
#include "engine/drive/reach.h"

struct dk_bring {
  struct dk_wanted *wanted;
  uint32_t n, cap;
};

/* Notes that it is wanted, when it is not here and a host has it. 0, -ENOMEM or another negative errno with words. */
int dk_bring_add(struct dk_bring *bring, struct dk_store *store, const struct dk_objects *objects,
                 const struct dk_wanted *wanted, struct dk_error *error);
/* Brings all of them here, in one go; an engine is started in the background when none works. What is waited for is
 * said on stderr, and on a terminal how far it is. 0, or a negative errno with words, which *ret_which they are about.
 */
int dk_bring(struct dk_cli *cli, const struct dk_bring *bring, uint32_t *ret_which, struct dk_error *error);
void dk_bring_finish(struct dk_bring *bring);

#endif
