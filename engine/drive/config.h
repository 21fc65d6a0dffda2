/* The user's folder of configuration: $XDG_CONFIG_HOME/dkrun, ~/.config/dkrun where that is not set. */
#ifndef DK_DRIVE_CONFIG_H
#define DK_DRIVE_CONFIG_H

#include "lang/base/buf.h"
#include "lang/base/error.h"

/* Appends the path of `name` in it; nothing is made. -ENOENT: it is not known where that is. */
int dk_config_path(const char *name, struct dk_buf *ret, struct dk_error *error);

#endif
