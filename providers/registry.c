/* Every provider that this program has. */
#include "engine/drive/provider.h"
#include "providers/local/local.h"
#include "providers/ssh/schema.h"

#include <stddef.h>

const struct dk_provider dk_providers[] = {
    {.kind = "local", .dial = dk_local_dial, .why = dk_local_why, .hang_up = dk_local_hang_up},
    {.kind = "ssh", .schema = &dk_ssh_schema, .is_remote = true},
    {.kind = NULL},
};
