/* See schema.h. */
#include "providers/ssh/schema.h"

static const struct dk_schema_field fields[] = {
    {"user", DK_KIND_TEXT, false, false, "a user's name on the hosts", "who logs in; as ssh has it"},
    {"port", DK_KIND_INT, false, false, "a whole number from 1 to 65535", "of the ssh server; as ssh has it"},
    {"config", DK_KIND_TEXT, false, false, "the path of a file for `ssh -F`",
     "ssh's configuration file, as `ssh -F` has it"},
};
const struct dk_schema dk_ssh_schema = {"a provider of kind `ssh`", fields, sizeof fields / sizeof *fields};
