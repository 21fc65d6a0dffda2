/* Hosts of providers on the screen. */
#ifndef DK_CLI_PROVIDERS_H
#define DK_CLI_PROVIDERS_H

#include "engine/cli/cli.h"
#include "engine/drive/hosts.h"

/* Adds a table: provider, kind, host, where that is said, how it is used. own: only what the repository declares. */
void dk_providers_table(const struct dk_hosts *hosts, bool own, struct dk_buf *out);
/* What dk_hosts_load said: the files' diagnostics, or the error. An exit code, not 0. */
int dk_providers_fail(struct dk_cli *cli, const struct dk_hosts *hosts, const struct dk_error *error);

/* Has a machine of a cloud made, reached and given back; without `yes` people are asked. An exit code. */
int dk_providers_boot(struct dk_cli *cli, const char *name, bool yes);

#endif
