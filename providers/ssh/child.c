/* See child.h. */
#include "providers/ssh/child.h"

#include "engine/sys/loop.h"
#include "engine/sys/spawn.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TERM_NS 100000000u
#define KILL_NS 100000000u
/* ssh without a terminal would start a program that asks in a window. The ssh of a jump host too, which does not get
 * our BatchMode. */
#define NO_QUESTIONS "SSH_ASKPASS_REQUIRE=never"

const char *dk_ssh_name(void) {
  const char *name = getenv("DKRUN_SSH");

  return name && *name ? name : "ssh";
}

/* Our environment and NO_QUESTIONS. The texts are not copied. */
static char **make_environment(void) {
  size_t n = 0, kept = 0;

  while (environ[n]) n++;
  char **env = dk_calloc(n + 2, sizeof *env);
  for (size_t i = 0; env && i < n; i++)
    if (strncmp(environ[i], NO_QUESTIONS, sizeof "SSH_ASKPASS_REQUIRE") != 0) env[kept++] = environ[i];
  if (env) env[kept] = (char *)NO_QUESTIONS;
  return env;
}

static int start_with(const char *const *argv, int stream, int words, pid_t *ret_pid, struct dk_error *error) {
  dk_autofree char **env = make_environment();
  struct dk_spawn spawn = DK_SPAWN_INIT;

  if (!env) return dk_error_system(error, -ENOMEM, "starting %s", argv[0]);
  spawn.argv = (char *const *)argv;
  spawn.env = env;
  spawn.dir = "/";
  spawn.fds[0] = spawn.fds[1] = stream;
  spawn.fds[2] = words;
  spawn.new_session = true;
  int r = dk_spawn(&spawn, ret_pid, error);
  if (r == -ENOENT && strcmp(argv[0], "ssh") == 0)
    return dk_error_set(error, r, "ssh is not installed here\nhelp: Debian and Ubuntu: apt install openssh-client");
  return r;
}

static int not_blocking(int fd) {
  int flags = fcntl(fd, F_GETFL);

  return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int dk_ssh_child_start(const char *const *argv, struct dk_ssh_child *ret, struct dk_error *error) {
  int ends[2] = {-1, -1}, words[2] = {-1, -1};
  int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || pipe2(words, O_CLOEXEC) < 0 ? -errno : 0;

  *ret = (struct dk_ssh_child)DK_SSH_CHILD_INIT;
  if (r == 0) r = not_blocking(ends[0]);
  if (r == 0) r = not_blocking(words[0]);
  if (r < 0)
    dk_error_system(error, r, "starting %s", argv[0]);
  else
    r = start_with(argv, ends[1], words[1], &ret->pid, error);
  if (ends[1] >= 0) close(ends[1]);
  if (words[1] >= 0) close(words[1]);
  if (r < 0) {
    if (ends[0] >= 0) close(ends[0]);
    if (words[0] >= 0) close(words[0]);
    return r;
  }
  ret->stream = ends[0];
  ret->words = words[0];
  return 0;
}

bool dk_ssh_child_has_ended(struct dk_ssh_child *child) {
  pid_t pid;
  int status = -1;

  if (child->pid == 0) return true;
  do pid = waitpid(child->pid, &status, WNOHANG);
  while (pid < 0 && errno == EINTR);
  if (pid == 0) return false;
  child->pid = 0;
  child->status = pid > 0 ? status : -1; /* ECHILD: somebody else has reaped it */
  return true;
}

static bool ends_within(struct dk_ssh_child *child, uint64_t ns) {
  uint64_t until = dk_now_ns() + ns;

  while (!dk_ssh_child_has_ended(child)) {
    if (dk_now_ns() > until) return false;
    poll(NULL, 0, 1);
  }
  return true;
}

void dk_ssh_child_end(struct dk_ssh_child *child) {
  if (child->stream >= 0) close(child->stream);
  if (child->words >= 0) close(child->words);
  child->stream = child->words = -1;
  /* The group: a ProxyCommand goes with it. Not once it is reaped: the number may be another's. */
  if (dk_ssh_child_has_ended(child)) return;
  kill(-child->pid, SIGTERM);
  if (ends_within(child, TERM_NS)) return;
  kill(-child->pid, SIGKILL);
  (void)ends_within(child, KILL_NS);
  child->pid = 0;
}
