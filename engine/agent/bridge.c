/* See bridge.h. */
#include "engine/agent/bridge.h"
#include "engine/agent/carry.h"
#include "engine/agent/root.h"
#include "engine/sys/daemon.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "engine/sys/proc.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define END_NS 10000000000u /* a daemon that is told to end does so in one turn of its loop */
#define TRIES 5             /* somebody else may start another one meanwhile */
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

static bool is_one_file(const char *a, const char *b) {
  struct stat is, other;
  return stat(a, &is) == 0 && stat(b, &other) == 0 && is.st_dev == other.st_dev && is.st_ino == other.st_ino;
}

/* This program, by a name that people can read, as long as that is its file. */
static void find_program(char ret[PATH_MAX]) {
  ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
  ret[n > 0 ? n : 0] = '\0';
  if (!is_one_file(ret, "/proc/self/exe")) strcpy(ret, "/proc/self/exe");
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

/* Was it started from this file, with these options? */
static bool is_the_one(const struct daemon *daemon, pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/exe", (long)pid);
  if (!is_one_file(path, "/proc/self/exe")) return false;
  dk_autobuf is = DK_BUF_INIT, wanted = DK_BUF_INIT;
  snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
  if (dk_fs_read(path, 1u << 16, &is, NULL) < 0) return false;
  for (unsigned i = 1; i < daemon->n; i++) dk_buf_add(&wanted, daemon->argv[i], strlen(daemon->argv[i]) + 1);
  const char *options = is.len > 0 ? memchr(is.data, '\0', is.len) : NULL; /* behind the program's name */
  size_t len = options ? is.len - (size_t)(++options - is.data) : 0;
  return dk_buf_ok(&wanted) && len == wanted.len && memcmp(options, wanted.data, len) == 0;
}

static int end_daemon(pid_t pid, struct dk_error *error) {
  struct dk_proc_stat stat;
  if (dk_proc_stat(pid, &stat) < 0) return 0;
  if (kill(pid, SIGTERM) < 0 && errno != ESRCH)
    return dk_error_system(error, -errno, "ending the agent that was started otherwise (process %ld)", (long)pid);
  uint64_t until = dk_now_ns() + END_NS;
  while (dk_proc_is_alive(pid, stat.start_ticks)) {
    if (dk_now_ns() > until)
      return dk_error_set(error, -ETIMEDOUT,
                          "the agent that was started otherwise (process %ld) does not end\nhelp: end it by hand, with "
                          "`kill -9 %ld`: its tasks go on",
                          (long)pid, (long)pid);
    poll(NULL, 0, 5);
  }
  return 0;
}

static int reach(const struct daemon *daemon, const char *root, int *ret_fd, struct dk_error *error) {
  for (int i = 0; i < TRIES; i++) {
    int r = dk_daemon_reach(root, daemon->argv, "the agent", ret_fd, error);
    if (r < 0) return r;
    /* Who listens there; 0: a process that cannot be seen from here. */
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    if (getsockopt(*ret_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0) return 0;
    if (is_the_one(daemon, peer.pid)) return 0;
    close(*ret_fd);
    r = end_daemon(peer.pid, error);
    if (r < 0) return r;
  }
  return dk_error_set(error, -EBUSY,
                      "somebody else starts the agent in %s with other options again and again\nhelp: give each its "
                      "own folder",
                      root);
}

int dk_bridge_run(const struct dk_serve_options *options, struct dk_error *error) {
  struct daemon daemon;
  int fd;
  int r = dk_root_check(options->root, true, error);
  if (r < 0) return r;
  dk_autofree char *root = dk_fs_absolute(options->root);
  if (!root) return dk_error_system(error, -errno, "cannot find %s", options->root);
  make_daemon(&daemon, options, root);
  r = reach(&daemon, root, &fd, error);
  if (r < 0) return r;
  signal(SIGPIPE, SIG_IGN); /* an end, not a death: the daemon is told */
  r = dk_fs_write_all(STDOUT_FILENO, READY, strlen(READY));
  if (r < 0) r = dk_error_system(error, r, "writing to stdout");
  if (r == 0) r = dk_carry(STDIN_FILENO, STDOUT_FILENO, fd);
  if (r == -ENOMEM) dk_error_set(error, r, "no memory to carry bytes");
  close(fd);
  return r;
}
