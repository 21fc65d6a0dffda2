/* Which hosts tasks run on: what files of providers say. */
#ifndef DK_DRIVE_HOSTS_H
#define DK_DRIVE_HOSTS_H

#include "engine/drive/provider.h"

#include <stdbool.h>

struct dk_host_entry {
  const struct dk_provider *provider;
  struct dk_host_config config;
  bool mixed; /* its system may differ from this machine's */
};

struct dk_hosts {
  const struct dk_host_entry *items;
  uint32_t n;
};

#endif
