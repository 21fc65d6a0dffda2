/* The fields that a provider of kind "ssh" has besides those of all. */
#ifndef DK_PROVIDERS_SSH_SCHEMA_H
#define DK_PROVIDERS_SSH_SCHEMA_H

#include "lang/check/schema.h"

extern const struct dk_schema dk_ssh_schema;

#endif
