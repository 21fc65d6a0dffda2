/* See config.h. */
#include "engine/drive/config.h"

#include <errno.h>
#include <stdlib.h>

int dk_config_path(const char *name, struct dk_buf *ret, struct dk_error *error) {
  /* A relative path is to be ignored: XDG Base Directory Specification. */
  const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
  if (config && config[0] == '/')
    dk_buf_printf(ret, "%s/dkrun/%s", config, name);
  else if (home && home[0] == '/')
    dk_buf_printf(ret, "%s/.config/dkrun/%s", home, name);
  else
    return dk_error_set(error, -ENOENT,
                        "it is not known where your configuration is: HOME is not set\nhelp: set HOME, or "
                        "XDG_CONFIG_HOME");
  return dk_buf_ok(ret) ? 0 : dk_error_system(error, -ENOMEM, "finding your configuration");
}
