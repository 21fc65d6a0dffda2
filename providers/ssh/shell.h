/* Scripts on machines that ssh reaches: `shell` of engine/drive/provider.h. */
#ifndef DK_PROVIDERS_SSH_SHELL_H
#define DK_PROVIDERS_SSH_SHELL_H

#include "engine/drive/provider.h"

int dk_ssh_shell(const struct dk_shell_options *options, struct dk_shell **ret, struct dk_error *error);
void dk_ssh_close_shell(struct dk_shell *shell);

#endif
