/* See child.h. */
#include "providers/ssh/child.h"

#include "engine/sys/spawn.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define TERM_NS 100000000u
#define KILL_NS 100000000u
#define LOOK_NS 10000000 /* between looks at one that is ending */
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

/* --- the end --- */

/* One that is to end, until it is reaped. */
struct ending {
  struct ending *next;
  struct dk_ssh_child child; /* its pid */
  struct dk_loop *loop;
  int timer;
  uint64_t since;
  bool was_killed;
};
static struct ending *first_ending; /* of the process: its dials and their loops may be gone before them */

/* The group: a ProxyCommand goes with it. Not once it is reaped: the number may be another's. */
static void kill_group(const struct dk_ssh_child *child, int signal) {
  if (child->pid != 0) kill(-child->pid, signal);
}

static void forget(struct ending *ending) {
  struct ending **at = &first_ending;

  while (*at != ending) at = &(*at)->next;
  *at = ending->next;
  dk_loop_unwatch(ending->loop, ending->timer);
  close(ending->timer);
  dk_free(ending);
}

static void on_timer(void *ctx, int fd, short revents) {
  struct ending *ending = ctx;
  uint64_t n, now = dk_now_ns();

  (void)revents;
  if (read(fd, &n, sizeof n) != sizeof n) return;
  if (dk_ssh_child_has_ended(&ending->child) || now - ending->since > TERM_NS + KILL_NS) {
    forget(ending);
  } else if (!ending->was_killed && now - ending->since > TERM_NS) {
    kill_group(&ending->child, SIGKILL);
    ending->was_killed = true;
  }
}

static int await_end(const struct dk_ssh_child *child, struct dk_loop *loop) {
  const struct itimerspec when = {.it_value = {.tv_nsec = LOOK_NS}, .it_interval = {.tv_nsec = LOOK_NS}};
  struct ending *ending = dk_calloc(1, sizeof *ending);

  if (!ending) return -ENOMEM;
  *ending = (struct ending){.child = *child, .loop = loop, .since = dk_now_ns()};
  ending->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  int r = ending->timer < 0 || timerfd_settime(ending->timer, 0, &when, NULL) < 0 ? -errno : 0;
  if (r == 0) r = dk_loop_watch(loop, ending->timer, POLLIN, on_timer, ending);
  if (r < 0) {
    if (ending->timer >= 0) close(ending->timer);
    dk_free(ending);
    return r;
  }
  ending->next = first_ending;
  first_ending = ending;
  return 0;
}

static bool ends_within(struct dk_ssh_child *child, uint64_t ns) {
  uint64_t until = dk_now_ns() + ns;

  while (!dk_ssh_child_has_ended(child)) {
    if (dk_now_ns() > until) return false;
    poll(NULL, 0, 1);
  }
  return true;
}

void dk_ssh_child_end(struct dk_ssh_child *child, struct dk_loop *loop) {
  if (child->stream >= 0) close(child->stream);
  if (child->words >= 0) close(child->words);
  child->stream = child->words = -1;
  if (dk_ssh_child_has_ended(child)) return;
  kill_group(child, SIGTERM);
  if (await_end(child, loop) < 0 && !ends_within(child, TERM_NS)) {
    kill_group(child, SIGKILL);
    (void)ends_within(child, KILL_NS);
  }
  child->pid = 0;
}

static bool all_end_within(uint64_t ns) {
  uint64_t until = dk_now_ns() + ns;

  for (;;) {
    for (struct ending *ending = first_ending, *next; ending; ending = next) {
      next = ending->next;
      if (dk_ssh_child_has_ended(&ending->child)) forget(ending);
    }
    if (!first_ending) return true;
    if (dk_now_ns() > until) return false;
    poll(NULL, 0, 1);
  }
}

void dk_ssh_children_settle(void) {
  if (all_end_within(TERM_NS)) return;
  for (struct ending *ending = first_ending; ending; ending = ending->next) kill_group(&ending->child, SIGKILL);
  (void)all_end_within(KILL_NS);
  while (first_ending) forget(first_ending);
}
