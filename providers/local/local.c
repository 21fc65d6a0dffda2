#include "providers/local/local.h"

#include "engine/sys/cgroup.h"
#include "engine/sys/fs.h"
#include "engine/sys/ledger.h"
#include "engine/sys/loop.h"
#include "engine/sys/sock.h"
#include "engine/sys/spawn.h"
#include "lang/base/alloc.h"
#include "lang/base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The daemon listens a few milliseconds after it was started. */
#define START_NS 10000000000u
#define POLL_MS 5
#define FILES_MIN 64u /* descriptors of an agent, and of each keeper and task */

/* Starts `dkagent serve`. It puts itself into the background of nobody: a session of its own, no terminal, its words in
 * agent/log. Several may be started at once: the agent's own lock lets one live. */
static int start_agent(const struct dk_dial_options *options, const char *root, pid_t *ret_pid,
                       struct dk_error *error) {
  dk_autobuf log = DK_BUF_INIT;
  char slots[16];
  const char *argv[] = {options->agent_program,
                        "serve",
                        "--root",
                        root,
                        "--ledger",
                        dk_ledger_asked(),
                        "--cgroup",
                        dk_cgroup_asked(),
                        options->slots ? "--slots" : NULL,
                        slots,
                        NULL};
  struct dk_spawn spawn = DK_SPAWN_INIT;
  struct rlimit files;
  int fd, r;

  /* It outlives who starts it, and would fail the tasks of others too. */
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < FILES_MIN)
    return dk_error_set(error, -EMFILE,
                        "no more than %llu files may be open at a time here, and the agent needs %u\n"
                        "help: `ulimit -n` of the shell, or what set it, has to allow more",
                        (unsigned long long)files.rlim_max, FILES_MIN);

  snprintf(slots, sizeof slots, "%u", options->slots);
  dk_buf_printf(&log, "%s/log", root);
  if (!dk_buf_ok(&log)) return dk_error_system(error, -ENOMEM, "starting the agent");
  fd = open(dk_buf_text(&log), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return dk_error_system(error, -errno, "writing %s", dk_buf_text(&log));
  spawn.argv = (char *const *)argv;
  spawn.dir = "/";
  spawn.fds[1] = fd;
  spawn.fds[2] = fd;
  spawn.new_session = true;
  r = dk_spawn(&spawn, ret_pid, error);
  close(fd);
  return r < 0 ? dk_error_prefix(error, "the agent cannot be started") : 0;
}

/* One that found another at work ended well: that one will answer. */
static bool has_failed(pid_t agent) {
  int status;

  return waitpid(agent, &status, WNOHANG) == agent && !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int reach(const struct dk_dial_options *options, int *ret_fd, struct dk_error *error) {
  dk_autobuf root = DK_BUF_INIT, socket = DK_BUF_INIT;
  uint64_t until = dk_now_ns() + START_NS;
  pid_t agent = 0;
  int r;

  dk_buf_printf(&root, "%s/agent", options->state);
  dk_buf_printf(&socket, "%s/agent/sock", options->state);
  if (!dk_buf_ok(&root) || !dk_buf_ok(&socket)) return dk_error_system(error, -ENOMEM, "starting the agent");
  r = dk_fs_mkdirs(dk_buf_text(&root), 0700, error);
  if (r < 0) return r;

  for (;;) {
    r = dk_sock_connect(dk_buf_text(&socket), NULL);
    if (r >= 0) {
      *ret_fd = r;
      return 0;
    }
    if (agent == 0) {
      r = start_agent(options, dk_buf_text(&root), &agent, error);
      if (r < 0) return r;
    }
    if (has_failed(agent))
      return dk_error_set(error, -ECHILD, "the agent ended as soon as it was started\nhelp: its words are in %s/log",
                          dk_buf_text(&root));
    if (dk_now_ns() > until)
      return dk_error_set(error, -ETIMEDOUT, "the agent does not answer\nhelp: its words are in %s/log",
                          dk_buf_text(&root));
    poll(NULL, 0, POLL_MS);
  }
}

/* Reached within the call: nothing is left to be held. */
int dk_local_dial(const struct dk_dial_options *options, struct dk_dial **ret, struct dk_error *error) {
  struct dk_host_facts facts = {.arch = ""};
  int fd;
  int r = reach(options, &fd, error);

  *ret = NULL;
  if (r == 0) options->done(options->ctx, 0, fd, &facts, NULL);
  return r;
}

const char *dk_local_why(struct dk_dial *dial) {
  (void)dial;
  return NULL;
}

void dk_local_hang_up(struct dk_dial *dial) {
  (void)dial;
}
