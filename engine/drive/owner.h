/* Who makes machines, and where: the tag by which people tell whose a machine is when nothing but the cloud is left to
 * ask. "anna@desk:/home/anna/exp", user, machine and repository; without what is not known, or would not fit. Whoever
 * may tag machines may write anything: what it says is looked up, and never believed. */
#ifndef DK_DRIVE_OWNER_H
#define DK_DRIVE_OWNER_H

#include "engine/drive/cloud.h"

/* Of this user, machine and repository (its root). */
void dk_owner_write(const char *root, char ret[DK_CLOUD_OWNER]);
/* The repository that a tag names on the machine called `node`, in the tag; NULL: none. */
const char *dk_owner_path(const char *owner, const char *node);
/* What this machine is called in tags. */
void dk_owner_node(char ret[65]);

#endif
