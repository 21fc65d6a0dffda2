/* See schema.h. */
#include "providers/ssh/schema.h"

static const struct dk_schema_field fields[] = {
    {"user", DK_KIND_TEXT, false, false, "a user's name", "who logs in; as ssh has it"},
    {"port", DK_KIND_INT, false, false, "a port such as 2222", "of the ssh server; as ssh has it"},
    {"config", DK_KIND_TEXT, false, false, "a file such as \"ssh_config\"",
     "ssh's configuration file, as `ssh -F` has it"},
};
const struct dk_schema dk_ssh_schema = {"a provider of kind \"ssh\"", fields, sizeof fields / sizeof *fields};
