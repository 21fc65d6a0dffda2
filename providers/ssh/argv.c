/* See argv.h. ssh takes the first value that it is given for an option, so what is here goes before the user's own
 * configuration; whatever is not here is as they have it: keys, agent, jump hosts, known hosts, addresses. */
#include "providers/ssh/argv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* How soon a dead connection is noticed, and what must not come with it: our stream is the whole of stdin and stdout.
 * Without these a user's options for typing (RemoteCommand, LocalCommand, RequestTTY, forwardings) would break it. */
static const char *const always[] = {
    "ServerAliveInterval=2", "ServerAliveCountMax=3",   "ConnectTimeout=10",       "ForwardAgent=no",
    "ForwardX11=no",         "ClearAllForwardings=yes", "RequestTTY=no",           "EscapeChar=none",
    "RemoteCommand=none",    "PermitLocalCommand=no",   "ExitOnForwardFailure=no",
};
/* INFO is the default: who has QUIET would not hear why it failed. Nobody is there to answer a question. */
static const char *const unattended[] = {"LogLevel=INFO", "BatchMode=yes", "ControlMaster=no"};
static const char *const attended[] = {"BatchMode=no", "ControlMaster=auto", "ControlPersist=12h"};

/* For a machine whose key is known from when it was made: nothing else says who it is. Keys that it has made for itself
 * are learned from it (UpdateHostKeys, in OpenSSH's PROTOCOL "hostkeys-00@openssh.com"). An older ssh does not know
 * KnownHostsCommand. "none" would be a file of that name for the global one. */
static const char *const known[] = {
    "GlobalKnownHostsFile=/dev/null",
    "StrictHostKeyChecking=yes",
    "CheckHostIP=no",
    "UpdateHostKeys=yes",
    "VerifyHostKeyDNS=no",
    "IgnoreUnknown=KnownHostsCommand",
    "KnownHostsCommand=none",
};
/* Its key is asked for, not those of an agent; files that the user's own configuration names come after it. */
static const char *const identified[] = {"IdentitiesOnly=yes", "IdentityAgent=none"};

bool dk_ssh_is_host_name(const char *name) {
  static const char fine[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:@-";

  return *name != '\0' && *name != '-' && name[strspn(name, fine)] == '\0';
}

bool dk_ssh_is_path(const char *path) {
  return *path == '/' && !strstr(path, "${") && !strpbrk(path, "\n\r");
}

int dk_ssh_check_config(const struct dk_host_config *host, struct dk_error *error) {
  const char *const paths[] = {host->identity, host->known_hosts};

  if (!dk_ssh_is_host_name(host->name)) return dk_error_set(error, -EINVAL, "%s is no name of a host", host->name);
  if (host->address && !dk_ssh_is_host_name(host->address))
    return dk_error_set(error, -EINVAL, "%s is no address of a host", host->address);
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    if (paths[i] && !dk_ssh_is_path(paths[i]))
      return dk_error_set(error, -EINVAL,
                          "ssh cannot be told of the file %s: it takes `${` for a variable\n"
                          "help: rename the directory that has that in its name",
                          paths[i]);
  return 0;
}

static void add(struct dk_ssh_argv *argv, const char *item) {
  assert(argv->n + 1 < DK_SSH_ARGV_MAX);
  argv->items[argv->n++] = item;
  argv->items[argv->n] = NULL;
}

static void add_options(struct dk_ssh_argv *argv, const char *const *options, size_t n) {
  for (size_t i = 0; i < n; i++) {
    add(argv, "-o");
    add(argv, options[i]);
  }
}

#define ADD_OPTIONS(argv, options) add_options(argv, options, sizeof(options) / sizeof *(options))

/* A value is split at blanks and has its own quotes (argv_split in OpenSSH's misc.c), and `%` begins a token. */
static void add_path_value(struct dk_buf *out, const char *name, const char *path) {
  dk_buf_printf(out, "%s=\"", name);
  for (; *path; path++) {
    if (*path == '"' || *path == '\\' || *path == '%') dk_buf_add_char(out, *path == '%' ? '%' : '\\');
    dk_buf_add_char(out, *path);
  }
  dk_buf_add_char(out, '"');
}

/* For the value of an option. */
static struct dk_buf *add_made(struct dk_ssh_argv *argv) {
  assert(argv->n_made < DK_SSH_MADE_MAX);
  return &argv->made[argv->n_made++];
}

/* Of a rented machine. */
static void make_machine(const struct dk_host_config *host, struct dk_ssh_argv *ret) {
  if (host->address) dk_buf_printf(add_made(ret), "HostName=%s", host->address);
  if (host->known_hosts) {
    dk_buf_printf(add_made(ret), "HostKeyAlias=%s", host->name);
    add_path_value(add_made(ret), "UserKnownHostsFile", host->known_hosts);
  }
  if (host->identity) add_path_value(add_made(ret), "IdentityFile", host->identity);
}

/* -ENOMEM when what is made is not whole. */
static int add_machine(const struct dk_host_config *host, struct dk_ssh_argv *ret) {
  make_machine(host, ret);
  for (unsigned i = 0; i < ret->n_made; i++) {
    if (!dk_buf_ok(&ret->made[i])) return -ENOMEM;
    add(ret, "-o");
    add(ret, dk_buf_text(&ret->made[i]));
  }
  if (host->known_hosts) ADD_OPTIONS(ret, known);
  if (host->identity) ADD_OPTIONS(ret, identified);
  return 0;
}

int dk_ssh_argv(enum dk_ssh_way way, const struct dk_host_config *host, const char *program, const char *socket,
                const char *command, struct dk_ssh_argv *ret) {
  assert(dk_ssh_is_host_name(host->name) && (!host->address || dk_ssh_is_host_name(host->address)));
  assert(!host->identity || dk_ssh_is_path(host->identity));
  assert(!host->known_hosts || dk_ssh_is_path(host->known_hosts));
  *ret = (struct dk_ssh_argv){.n = 0};
  add(ret, program);
  if (host->ssh_config) {
    add(ret, "-F");
    add(ret, host->ssh_config);
  }
  if (host->port > 0) {
    snprintf(ret->port, sizeof ret->port, "%u", host->port);
    add(ret, "-p");
    add(ret, ret->port);
  }
  if (host->user) {
    add(ret, "-l");
    add(ret, host->user);
  }
  int r = add_machine(host, ret);
  if (r < 0) return r;
  add(ret, "-T");
  ADD_OPTIONS(ret, always);
  if (way == DK_SSH_LOGIN)
    ADD_OPTIONS(ret, attended);
  else
    ADD_OPTIONS(ret, unattended);
  if (way == DK_SSH_DIRECT) {
    add(ret, "-o");
    add(ret, "ControlPath=none");
  } else if (way == DK_SSH_MASTER || way == DK_SSH_LOGIN) {
    struct dk_buf *control = add_made(ret);
    dk_buf_printf(control, "ControlPath=%s", socket);
    if (!dk_buf_ok(control)) return -ENOMEM;
    add(ret, "-o");
    add(ret, dk_buf_text(control));
  } else if (way == DK_SSH_CHECK) {
    add(ret, "-O");
    add(ret, "check");
  }
  add(ret, "--");
  add(ret, host->name);
  if (way != DK_SSH_CHECK) add(ret, command);
  return 0;
}

void dk_ssh_argv_finish(struct dk_ssh_argv *argv) {
  for (unsigned i = 0; i < argv->n_made; i++) dk_buf_finish(&argv->made[i]);
}

static void add_word(struct dk_buf *out, const char *flag, const char *word) {
  dk_buf_add_text(out, flag);
  dk_buf_add_shell_word(out, word, strlen(word));
}

void dk_ssh_by_hand(const struct dk_host_config *host, struct dk_buf *out) {
  dk_buf_add_text(out, "ssh");
  if (host->ssh_config) add_word(out, " -F ", host->ssh_config);
  if (host->port > 0) dk_buf_printf(out, " -p %u", host->port);
  if (host->user) add_word(out, " -l ", host->user);
  struct dk_ssh_argv machine = {.n = 0};
  int r = add_machine(host, &machine);
  for (unsigned i = 0; i < machine.n; i += 2) add_word(out, " -o ", machine.items[i + 1]);
  for (unsigned i = 0; r < 0 && i < machine.n_made; i++) dk_buf_inherit(out, &machine.made[i]);
  dk_ssh_argv_finish(&machine);
  add_word(out, " ", host->name);
}
