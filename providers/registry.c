/* Every provider that this program has. */
#include "engine/drive/provider.h"
#include "providers/local/local.h"
#include "providers/lxd/lxd.h"
#include "providers/openstack/openstack.h"
#include "providers/ssh/child.h"
#include "providers/ssh/master.h"
#include "providers/ssh/schema.h"
#include "providers/ssh/shell.h"
#include "providers/ssh/ssh.h"

#include <stddef.h>

const struct dk_provider dk_providers[] = {
    {.kind = "local", .dial = dk_local_dial, .why = dk_local_why, .hang_up = dk_local_hang_up},
    {.kind = "ssh",
     .schema = &dk_ssh_schema,
     .is_remote = true,
     .dial = dk_ssh_dial,
     .why = dk_ssh_why,
     .hang_up = dk_ssh_hang_up,
     .settle = dk_ssh_children_settle,
     .login = dk_ssh_open_master},
    {.kind = "lxd",
     .schema = &dk_lxd_schema,
     .is_remote = true,
     .cloud = &dk_lxd_cloud,
     .dial = dk_ssh_dial,
     .why = dk_ssh_why,
     .hang_up = dk_ssh_hang_up,
     .shell = dk_ssh_shell,
     .close_shell = dk_ssh_close_shell},
    {.kind = "openstack",
     .schema = &dk_openstack_schema,
     .is_remote = true,
     .cloud = &dk_openstack_cloud,
     .dial = dk_ssh_dial,
     .why = dk_ssh_why,
     .hang_up = dk_ssh_hang_up,
     .shell = dk_ssh_shell,
     .close_shell = dk_ssh_close_shell},
    {.kind = NULL},
};
