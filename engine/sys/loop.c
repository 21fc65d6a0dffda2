/* poll(2) over an array, and a signalfd: see loop.h. */
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

struct watch {
  dk_loop_fd_fn *fn;
  void *ctx;
};

struct signal_watch {
  int signal;
  dk_loop_signal_fn *fn;
  void *ctx;
};

struct dk_loop {
  struct pollfd *fds; /* fd -1: unwatched, swept before the next poll */
  struct watch *watches;
  size_t n, cap;
  bool has_holes;
  int signal_fd; /* -1: no signal is wanted */
  sigset_t mask;
  struct signal_watch *signals;
  size_t n_signals;
};

static uint64_t clock_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t dk_now_ns(void) {
  return clock_ns(CLOCK_BOOTTIME);
}

uint64_t dk_unix_ns(void) {
  return clock_ns(CLOCK_REALTIME);
}

int dk_loop_create(struct dk_loop **ret, struct dk_error *error) {
  struct dk_loop *loop = dk_calloc(1, sizeof *loop);
  if (!loop) return dk_error_set(error, -ENOMEM, "no memory for the event loop");
  loop->signal_fd = -1;
  sigemptyset(&loop->mask);
  *ret = loop;
  return 0;
}

void dk_loop_destroy(struct dk_loop *loop) {
  if (!loop) return;
  if (loop->signal_fd >= 0) close(loop->signal_fd);
  dk_free(loop->fds);
  dk_free(loop->watches);
  dk_free(loop->signals);
  dk_free(loop);
}

static int grow(struct dk_loop *loop) {
  size_t cap = loop->cap ? 2 * loop->cap : 16;
  struct pollfd *fds = dk_realloc_array(loop->fds, cap, sizeof *fds);
  if (!fds) return -ENOMEM;
  loop->fds = fds;
  struct watch *watches = dk_realloc_array(loop->watches, cap, sizeof *watches);
  if (!watches) return -ENOMEM;
  loop->watches = watches;
  loop->cap = cap;
  return 0;
}

int dk_loop_watch(struct dk_loop *loop, int fd, short events, dk_loop_fd_fn *fn, void *ctx) {
  assert(fd >= 0 && fn);
  size_t i = 0;
  while (i < loop->n && loop->fds[i].fd != fd) i++;
  if (i == loop->n) {
    if (loop->n == loop->cap && grow(loop) < 0) return -ENOMEM;
    loop->n++;
    loop->fds[i].revents = 0;
  }
  loop->fds[i].fd = fd;
  loop->fds[i].events = events;
  loop->watches[i] = (struct watch){fn, ctx};
  return 0;
}

void dk_loop_unwatch(struct dk_loop *loop, int fd) {
  for (size_t i = 0; i < loop->n; i++) {
    if (loop->fds[i].fd != fd) continue;
    loop->fds[i].fd = -1;
    loop->fds[i].revents = 0;
    loop->has_holes = true;
    return;
  }
}

static void sweep(struct dk_loop *loop) {
  size_t kept = 0;
  for (size_t i = 0; i < loop->n; i++) {
    if (loop->fds[i].fd < 0) continue;
    loop->fds[kept] = loop->fds[i];
    loop->watches[kept++] = loop->watches[i];
  }
  loop->n = kept;
  loop->has_holes = false;
}

static void on_signals(void *ctx, int fd, short revents) {
  struct dk_loop *loop = ctx;
  (void)revents;
  struct signalfd_siginfo info;
  while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
    for (size_t i = 0; i < loop->n_signals; i++) {
      if ((uint32_t)loop->signals[i].signal == info.ssi_signo)
        loop->signals[i].fn(loop->signals[i].ctx, loop->signals[i].signal);
    }
  }
}

int dk_loop_signal(struct dk_loop *loop, int signal, dk_loop_signal_fn *fn, void *ctx) {
  struct signal_watch *signals = dk_realloc_array(loop->signals, loop->n_signals + 1, sizeof *signals);
  if (!signals) return -ENOMEM;
  loop->signals = signals;
  sigset_t mask = loop->mask;
  sigaddset(&mask, signal);
  int fd = signalfd(loop->signal_fd, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) return -errno;
  if (loop->signal_fd < 0) {
    int r = dk_loop_watch(loop, fd, POLLIN, on_signals, loop);
    if (r < 0) {
      close(fd);
      return r;
    }
    loop->signal_fd = fd;
  }
  /* An ignored signal never reaches a signalfd. */
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigaction(signal, &action, NULL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signal);
  if (sigprocmask(SIG_BLOCK, &one, NULL) < 0) return -errno;
  loop->mask = mask;
  loop->signals[loop->n_signals++] = (struct signal_watch){signal, fn, ctx};
  return 0;
}

static int poll_timeout(uint64_t deadline_ns) {
  if (deadline_ns == UINT64_MAX) return -1;
  uint64_t now = dk_now_ns();
  if (deadline_ns <= now) return 0;
  uint64_t ms = (deadline_ns - now + 999999) / 1000000;
  return ms > INT_MAX ? INT_MAX : (int)ms;
}

int dk_loop_once(struct dk_loop *loop, uint64_t deadline_ns) {
  if (loop->has_holes) sweep(loop);
  int ready = poll(loop->fds, (nfds_t)loop->n, poll_timeout(deadline_ns));
  if (ready < 0) return errno == EINTR ? 1 : -errno;
  size_t n = loop->n; /* what a callback adds was not polled */
  int called = 0;
  for (size_t i = 0; i < n && ready > 0; i++) {
    short revents = loop->fds[i].revents;
    if (loop->fds[i].fd < 0 || revents == 0) continue;
    loop->fds[i].revents = 0;
    ready--;
    called = 1;
    loop->watches[i].fn(loop->watches[i].ctx, loop->fds[i].fd, revents);
  }
  return called;
}
