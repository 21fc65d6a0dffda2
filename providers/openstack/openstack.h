/* Machines of an OpenStack cloud: the driver. What is sent and read is api.h's. */
#ifndef DK_PROVIDERS_OPENSTACK_OPENSTACK_H
#define DK_PROVIDERS_OPENSTACK_OPENSTACK_H

#include "engine/drive/cloud.h"
#include "lang/check/schema.h"
#include "providers/cloud/driver.h"
#include "providers/openstack/api.h"

struct dk_openstack_site {
  struct dk_openstack_who who;
  const char *source;                   /* where that was read, for people */
  const char *network, *security_group; /* NULL: the only network there is; the project's default group */
};

struct dk_openstack_session {
  const char *token;
  struct dk_openstack_token is;
};

extern const struct dk_schema dk_openstack_schema;
int dk_openstack_open_site(struct dk_cloud_site *site, const struct dk_cloud_config *config, struct dk_error *error);
extern const struct dk_cloud_driver dk_openstack_driver;
extern const struct dk_cloud_provider dk_openstack_cloud;

#endif
