/* Looking at a store in a child process, because a damaged one can kill whoever touches it: a truncated data file is
 * SIGBUS under the map, rubbish for a page is SIGSEGV or an assertion inside LMDB.
 *
 * It forks: used when a store is opened, examined or rebuilt, not while work goes on (forking a large process is
 * slow). */
#include "engine/store/private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void run(int fd, dk_child_fn *fn, void *ctx, unsigned seconds) {
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  const int fatal[] = {SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGALRM};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) signal(fatal[i], SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigprocmask(SIG_SETMASK, &set, NULL);
  alarm(seconds);                                              /* a loop in damaged pages must end */
  if (!freopen("/dev/null", "w", stderr)) _exit(EXIT_FAILURE); /* LMDB prints failed assertions */
  FILE *to = fdopen(fd, "wb");
  if (!to) _exit(EXIT_FAILURE);
  fn(ctx, to);
  _exit(fflush(to) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int dk_child_start(struct dk_child *child, dk_child_fn *fn, void *ctx, unsigned seconds) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return -errno;
  child->from = fdopen(fds[0], "rb");
  if (!child->from) {
    int err = -errno;
    close(fds[0]);
    close(fds[1]);
    return err;
  }
  fflush(NULL); /* what is buffered is this process's to write */
  child->pid = fork();
  if (child->pid == 0) run(fds[1], fn, ctx, seconds);
  int err = child->pid < 0 ? -errno : 0;
  close(fds[1]);
  if (err) fclose(child->from);
  return err;
}

const char *dk_child_end(struct dk_child *child) {
  int status = 0;
  fclose(child->from);
  while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {}
  if (WIFEXITED(status)) return WEXITSTATUS(status) == EXIT_SUCCESS ? NULL : "reading it ended in an error";
  switch (WTERMSIG(status)) {
  case SIGBUS: return "its data file is shorter than it should be (bus error)";
  case SIGALRM: return "reading it did not come to an end";
  case SIGKILL: return "the process that read it was killed";
  default: return "reading it crashed";
  }
}
