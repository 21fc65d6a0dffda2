/* See daemon.h. */
#include "engine/sys/daemon.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "engine/sys/proc.h"
#include "engine/sys/sock.h"
#include "engine/sys/spawn.h"
#include "lang/base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* It listens a few milliseconds after it was started. */
#define START_NS 10000000000u
#define POLL_MS 5
#define END_NS 10000000000u /* one that is told to end does so in one turn of its loop */
#define TRIES 5             /* somebody else may start another one meanwhile */
#define FILES_MIN 64u       /* descriptors of a daemon, and of all that it starts */

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

/* To whoever listens; when nobody does it is started. */
static int connect_or_start(const char *folder, const char *const *argv, const char *what, int *ret_fd,
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

/* Was it started from the file that argv[0] names, with these options? */
static bool is_the_one(pid_t pid, const char *const *argv) {
  dk_autobuf is = DK_BUF_INIT, wanted = DK_BUF_INIT;
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/exe", (long)pid);
  if (!dk_fs_is_one_file(path, argv[0])) return false;
  snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
  if (dk_fs_read(path, 1u << 16, &is, NULL) < 0) return false;
  for (const char *const *arg = argv + 1; *arg; arg++) dk_buf_add(&wanted, *arg, strlen(*arg) + 1);
  const char *options = is.len > 0 ? memchr(is.data, '\0', is.len) : NULL; /* behind the program's name */
  size_t len = options ? is.len - (size_t)(++options - is.data) : 0;
  return dk_buf_ok(&wanted) && len == wanted.len && memcmp(options, wanted.data, len) == 0;
}

static int end_it(pid_t pid, const char *what, struct dk_error *error) {
  struct dk_proc_stat stat;
  if (dk_proc_stat(pid, &stat) < 0) return 0;
  if (kill(pid, SIGTERM) < 0 && errno != ESRCH)
    return dk_error_system(error, -errno, "ending %s that was started otherwise (process %ld)", what, (long)pid);
  uint64_t until = dk_now_ns() + END_NS;
  while (dk_proc_is_alive(pid, stat.start_ticks)) {
    if (dk_now_ns() > until)
      return dk_error_set(error, -ETIMEDOUT,
                          "%s that was started otherwise (process %ld) does not end\nhelp: end it by hand, with "
                          "`kill -9 %ld`: its tasks go on",
                          what, (long)pid, (long)pid);
    poll(NULL, 0, POLL_MS);
  }
  return 0;
}

int dk_daemon_reach(const char *folder, const char *const *argv, const char *what, int *ret_fd,
                    struct dk_error *error) {
  for (int i = 0; i < TRIES; i++) {
    int r = connect_or_start(folder, argv, what, ret_fd, error);
    if (r < 0) return r;
    /* Who listens there; 0: a process that cannot be seen from here. */
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    if (getsockopt(*ret_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0) return 0;
    if (is_the_one(peer.pid, argv)) return 0;
    close(*ret_fd);
    r = end_it(peer.pid, what, error);
    if (r < 0) return r;
  }
  return dk_error_set(
      error, -EBUSY, "somebody else starts %s in %s with other options again and again\nhelp: give each its own folder",
      what, folder);
}
