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

bool dk_ssh_is_host_name(const char *name) {
  static const char fine[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:@-";

  return *name != '\0' && *name != '-' && name[strspn(name, fine)] == '\0';
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

int dk_ssh_argv(enum dk_ssh_way way, const struct dk_host_config *host, const char *program, const char *socket,
                const char *command, struct dk_ssh_argv *ret) {
  assert(dk_ssh_is_host_name(host->name));
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
    dk_buf_printf(&ret->control, "ControlPath=%s", socket);
    if (!dk_buf_ok(&ret->control)) return -ENOMEM;
    add(ret, "-o");
    add(ret, dk_buf_text(&ret->control));
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
  dk_buf_finish(&argv->control);
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
  add_word(out, " ", host->name);
}
