/* The providers of a dkrun for tests: clouds that make nothing, for what is said of them before anything is made. */
#include "engine/drive/provider.h"
#include "providers/local/local.h"

#include <stddef.h>

static const struct dk_schema_field fields[] = {
    {"region", DK_KIND_TEXT, true, false, "the name of a region", "where"},
};
static const struct dk_schema schema = {"a provider of kind `far`", fields, 1};
static const struct dk_cloud_provider far = {.start = NULL}, near = {.knows_shapes = true};

const struct dk_provider dk_providers[] = {
    {.kind = "local", .dial = dk_local_dial, .why = dk_local_why, .hang_up = dk_local_hang_up},
    {.kind = "far", .schema = &schema, .is_remote = true, .cloud = &far},
    {.kind = "near", .is_remote = true, .cloud = &near},
    {.kind = NULL},
};
