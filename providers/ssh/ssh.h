/* Provider `ssh`: hosts that one can log in to. One ssh a host, for as long as the agent is spoken to; what is needed
 * there, a POSIX sh, and the agent's program is brought. docs/ssh.md says what the user sees of it. */
#ifndef DK_PROVIDERS_SSH_SSH_H
#define DK_PROVIDERS_SSH_SSH_H

#include "engine/drive/provider.h"

/* As struct dk_provider has them; settle is dk_ssh_children_settle (child.h). The options' strings must live until
 * hang_up. */
int dk_ssh_dial(const struct dk_dial_options *options, struct dk_dial **ret, struct dk_error *error);
const char *dk_ssh_why(struct dk_dial *dial);
void dk_ssh_hang_up(struct dk_dial *dial);

#endif
