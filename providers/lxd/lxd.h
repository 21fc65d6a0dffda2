/* Machines of an LXD or Incus server, by its unix socket or over https: the driver. What is sent and read is api.h's.
 */
#ifndef DK_PROVIDERS_LXD_LXD_H
#define DK_PROVIDERS_LXD_LXD_H

#include "engine/drive/cloud.h"
#include "lang/check/schema.h"
#include "providers/cloud/driver.h"

struct dk_lxd_site {
  const char *project, *profile, *pool; /* pool NULL: as the profile has it */
};

extern const struct dk_schema dk_lxd_schema;
int dk_lxd_open_site(struct dk_cloud_site *site, const struct dk_cloud_config *config, struct dk_error *error);
extern const struct dk_cloud_driver dk_lxd_driver;
extern const struct dk_cloud_provider dk_lxd_cloud;

#endif
