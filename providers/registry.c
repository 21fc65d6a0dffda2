/* Every provider that this program has. */
#include "engine/drive/provider.h"
#include "providers/local/local.h"

#include <stddef.h>

const struct dk_provider dk_providers[] = {
    {.kind = "local", .connect = dk_local_connect},
    {.kind = NULL},
};
