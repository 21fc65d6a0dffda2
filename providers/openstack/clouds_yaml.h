/* clouds.yaml, in which OpenStack's own tools find clouds and credentials (openstacksdk, doc/source/user/config/
 * configuration.rst and openstack/config/loader.py): one cloud of it.
 *
 * The file: OS_CLIENT_CONFIG_FILE, else clouds.yaml or .yml in $XDG_CONFIG_HOME/openstack (~/.config/openstack) or
 * /etc/openstack; the first that is there. secure.yaml beside it says more, and its words count first. Two differences
 * from those tools: no file of the working directory is read, which belongs to a repository that somebody else may have
 * written (docs/adr/0020), and secure.yaml counts in the same folder alone: else a file could send another's password
 * elsewhere. */
#ifndef DK_PROVIDERS_OPENSTACK_CLOUDS_YAML_H
#define DK_PROVIDERS_OPENSTACK_CLOUDS_YAML_H

#include "lang/base/error.h"

struct dk_clouds_yaml;

/* `cloud`: NULL is the only one that there is. 0; -ENOENT no file, or no such cloud; -EBADMSG no YAML; -ENOMEM, or the
 * errno of a file. */
int dk_clouds_yaml_open(const char *cloud, struct dk_clouds_yaml **ret, struct dk_error *error);
void dk_clouds_yaml_close(struct dk_clouds_yaml *yaml); /* wipes what was read; NULL is fine */

/* What the cloud says under `name`, in `auth` or beside it ("region-name" is region_name); NULL: nothing. As long as
 * it is open. */
const char *dk_clouds_yaml_get(const struct dk_clouds_yaml *yaml, const char *name);
const char *dk_clouds_yaml_path(const struct dk_clouds_yaml *yaml);

#endif
