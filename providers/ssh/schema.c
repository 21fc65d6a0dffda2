#include "providers/ssh/schema.h"

static const struct dk_schema_field fields[] = {
    {"user", DK_KIND_TEXT, false, false, "a user's name on the hosts", "as whom ssh logs in"},
    {"port", DK_KIND_INT, false, false, "a whole number from 1 to 65535", "where sshd listens"},
    {"config", DK_KIND_TEXT, false, false, "the path of a file for `ssh -F`", "instead of ~/.ssh/config"},
};
const struct dk_schema dk_ssh_schema = {"a provider of kind `ssh`", fields, sizeof fields / sizeof *fields};
