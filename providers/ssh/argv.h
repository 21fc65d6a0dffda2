/* The command line of ssh. Pure. */
#ifndef DK_PROVIDERS_SSH_ARGV_H
#define DK_PROVIDERS_SSH_ARGV_H

#include "engine/drive/provider.h"

#include "lang/base/buf.h"

#include <stdbool.h>

/* Whose connection is used. */
enum dk_ssh_way {
  DK_SSH_DIRECT, /* one of its own, that nobody else's end ends */
  DK_SSH_MASTER, /* through the master that dk_ssh_open_master opened, where a person answered ssh's questions */
  DK_SSH_THEIRS, /* through a master that the user's own configuration names; else as DIRECT */
  DK_SSH_CHECK,  /* no connection: is there a master of THEIRS? (ssh -O check) */
  DK_SSH_LOGIN,  /* in the foreground: asks what it has to, and leaves the master behind */
};

#define DK_SSH_ARGV_MAX 80
#define DK_SSH_MADE_MAX 8
/* What items point to is the host's, the arguments' or literal, or in what is made here. */
struct dk_ssh_argv {
  const char *items[DK_SSH_ARGV_MAX]; /* NULL-terminated */
  unsigned n;
  char port[8];
  struct dk_buf made[DK_SSH_MADE_MAX];
  unsigned n_made;
};

/* [A-Za-z0-9_.:@-]+, no leading `-`: what may be a name on ssh's command line. */
bool dk_ssh_is_host_name(const char *name);
/* Can ssh be told of it? Anything but what it would take for a variable, `${...}`, which nothing keeps it from. */
bool dk_ssh_is_path(const char *path);
/* What is said of a rented machine comes from its cloud, and from where the repository lies. -EINVAL: it has other
 * names and paths. */
int dk_ssh_check_config(const struct dk_host_config *host, struct dk_error *error);
/* `host` is of such names and paths. `program` is ssh; `socket`: of MASTER and LOGIN; `command`: for the login shell
 * there, not of CHECK. 0 or -ENOMEM. */
int dk_ssh_argv(enum dk_ssh_way way, const struct dk_host_config *host, const char *program, const char *socket,
                const char *command, struct dk_ssh_argv *ret);
void dk_ssh_argv_finish(struct dk_ssh_argv *argv);
/* Appends what a person would type to get there, quoted for a shell. */
void dk_ssh_by_hand(const struct dk_host_config *host, struct dk_buf *out);

#endif
