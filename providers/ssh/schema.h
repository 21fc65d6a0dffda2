/* What a provider of kind "ssh" has beside the fields that all have (engine/drive/hosts.h). */
#ifndef DK_SSH_SCHEMA_H
#define DK_SSH_SCHEMA_H

#include "lang/check/schema.h"

extern const struct dk_schema dk_ssh_schema; /* user, port, config */

#endif
