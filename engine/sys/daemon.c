/* See daemon.h. */
#include "engine/sys/daemon.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "engine/sys/sock.h"
#include "engine/sys/spawn.h"
#include "lang/base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* It listens a few milliseconds after it was started. */
#define START_NS 10000000000u
#define POLL_MS 5
#define FILES_MIN 64u /* descriptors of a daemon, and of all that it starts */

static int start(const char *folder, const char *const *argv, const char *what, pid_t *ret_pid,
                 struct dk_error *error) {
  struct rlimit files;
  /* It outlives who starts it, and would fail the work of others too. */
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < FILES_MIN)
    return dk_error_set(error, -EMFILE,
                        "no more than %llu files may be open at a time here, and %s needs %u\n"
                        "help: `ulimit -n` of the shell, or what set it, has to allow more",
                        (unsigned long long)files.rlim_max, what, FILES_MIN);
  dk_autobuf log = DK_BUF_INIT;
  dk_buf_printf(&log, "%s/log", folder);
  if (!dk_buf_ok(&log)) return dk_error_system(error, -ENOMEM, "starting %s", what);
  int fd = open(dk_buf_text(&log), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return dk_error_system(error, -errno, "writing %s", dk_buf_text(&log));
  struct dk_spawn spawn = DK_SPAWN_INIT;
  spawn.argv = (char *const *)argv;
  spawn.dir = "/";
  spawn.fds[1] = fd;
  spawn.fds[2] = fd;
  spawn.new_session = true;
  int r = dk_spawn(&spawn, ret_pid, error);
  close(fd);
  return r < 0 ? dk_error_prefix(error, "%s cannot be started", what) : 0;
}

/* One that found another at work ended well: that one will answer. */
static bool has_failed(pid_t pid) {
  int status;
  return waitpid(pid, &status, WNOHANG) == pid && !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int dk_daemon_reach(const char *folder, const char *const *argv, const char *what, int *ret_fd,
                    struct dk_error *error) {
  dk_autobuf socket = DK_BUF_INIT;
  uint64_t until = dk_now_ns() + START_NS;
  pid_t pid = 0;
  dk_buf_printf(&socket, "%s/sock", folder);
  if (!dk_buf_ok(&socket)) return dk_error_system(error, -ENOMEM, "starting %s", what);
  int r = dk_fs_mkdirs(folder, 0700, error);
  if (r < 0) return r;
  for (;;) {
    r = dk_sock_connect(dk_buf_text(&socket), NULL);
    if (r >= 0) {
      *ret_fd = r;
      return 0;
    }
    if (pid == 0) {
      r = start(folder, argv, what, &pid, error);
      if (r < 0) return r;
    }
    if (has_failed(pid))
      return dk_error_set(error, -ECHILD, "%s ended as soon as it was started\nhelp: its words are in %s/log", what,
                          folder);
    if (dk_now_ns() > until)
      return dk_error_set(error, -ETIMEDOUT, "%s does not answer\nhelp: its words are in %s/log", what, folder);
    poll(NULL, 0, POLL_MS);
  }
}
