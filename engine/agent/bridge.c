/* See bridge.h. */
#include "engine/agent/bridge.h"
#include "engine/agent/carry.h"
#include "engine/agent/root.h"
#include "engine/sys/daemon.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READY "dkagent ready\n"

#define ARGS_MAX 20
struct daemon {
  char program[PATH_MAX], numbers[5][24];
  const char *argv[ARGS_MAX];
  unsigned n, n_numbers;
};

static void add(struct daemon *daemon, const char *name, const char *value) {
  daemon->argv[daemon->n++] = name;
  daemon->argv[daemon->n++] = value;
}

static void add_number(struct daemon *daemon, const char *name, uint64_t value, bool is_said) {
  if (!is_said) return;
  char *text = daemon->numbers[daemon->n_numbers++];
  snprintf(text, sizeof daemon->numbers[0], "%llu", (unsigned long long)value);
  add(daemon, name, text);
}

/* This program, by a name that people can read, as long as that is its file. */
static void find_program(char ret[PATH_MAX]) {
  ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
  ret[n > 0 ? n : 0] = '\0';
  if (!dk_fs_is_one_file(ret, "/proc/self/exe")) strcpy(ret, "/proc/self/exe");
}

static void make_daemon(struct daemon *ret, const struct dk_serve_options *options, const char *root) {
  ret->n = ret->n_numbers = 0;
  find_program(ret->program);
  add(ret, ret->program, "serve");
  add(ret, "--root", root);
  add(ret, "--ledger", options->ledger ? options->ledger : "off");
  add(ret, "--cgroup", options->cgroup);
  add_number(ret, "--slots", options->slots, options->slots > 0);
  add_number(ret, "--leave", options->leave, options->leave > 0);
  add_number(ret, "--gpus", options->gpus, options->gpus != UINT32_MAX);
  add_number(ret, "--nice", (uint64_t)options->nice, options->nice > 0);
  add_number(ret, "--idle-ms", options->idle_ms, true);
  if (*options->machine) add(ret, "--machine", options->machine);
  ret->argv[ret->n] = NULL;
}

int dk_bridge_run(const struct dk_serve_options *options, struct dk_error *error) {
  struct daemon daemon;
  int fd;
  int r = dk_root_check(options->root, true, error);
  if (r < 0) return r;
  dk_autofree char *root = dk_fs_absolute(options->root);
  if (!root) return dk_error_system(error, -errno, "cannot find %s", options->root);
  make_daemon(&daemon, options, root);
  r = dk_daemon_reach(root, daemon.argv, "the agent", &fd, error);
  if (r < 0) return r;
  signal(SIGPIPE, SIG_IGN); /* an end, not a death: the daemon is told */
  r = dk_fs_write_all(STDOUT_FILENO, READY, strlen(READY));
  if (r < 0) r = dk_error_system(error, r, "writing to stdout");
  if (r == 0) r = dk_carry(STDIN_FILENO, STDOUT_FILENO, fd);
  if (r == -ENOMEM) dk_error_set(error, r, "no memory to carry bytes");
  close(fd);
  return r;
}
