/* See shell.h. */
#include "providers/ssh/shell.h"

#include "engine/sys/outbox.h"
#include "lang/base/alloc.h"
#include "providers/ssh/argv.h"
#include "providers/ssh/child.h"
#include "providers/ssh/trouble.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMMAND "exec sh -s" /* for any login shell */
#define LOOK_NS 20000000     /* between looks at an ssh that ends */
#define SSH_FAILED 255       /* its exit code, as ssh(1) has it, when it was not the script's */

struct dk_shell {
  struct dk_shell_options with;
  struct dk_ssh_child child;
  struct dk_ssh_trouble trouble;
  struct dk_outbox out;
  int timer; /* when both streams have ended */
  bool has_begun;
};

static void watch_stream(struct dk_shell *shell);

/* A log that has no room loses what it has none for: what came of the script counts. */
static void add_log(const struct dk_shell *shell, const char *data, size_t len) {
  while (len > 0) {
    ssize_t n = write(shell->with.log, data, len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    data += n;
    len -= (size_t)n;
  }
}

static void close_end(struct dk_shell *shell, int *fd) {
  dk_loop_unwatch(shell->with.loop, *fd);
  close(*fd);
  *fd = -1;
}

/* Reads what is there; ret: its length. False: it has ended. */
static bool take(struct dk_shell *shell, int fd, bool is_words, size_t *ret) {
  char bytes[16384];
  ssize_t n;

  do n = read(fd, bytes, sizeof bytes);
  while (n < 0 && errno == EINTR);
  *ret = n > 0 ? (size_t)n : 0;
  add_log(shell, bytes, *ret);
  if (is_words) dk_ssh_trouble_feed(&shell->trouble, bytes, *ret);
  return n > 0 || (n < 0 && errno == EAGAIN);
}

/* --- its end --- */

static void look(struct dk_shell *shell) {
  const struct itimerspec when = {.it_value = {.tv_nsec = LOOK_NS}};
  struct dk_error error = {0};

  if (!dk_ssh_child_has_ended(&shell->child)) {
    (void)timerfd_settime(shell->timer, 0, &when, NULL);
    return;
  }
  int status = shell->child.status, code = WIFEXITED(status) ? WEXITSTATUS(status) : SSH_FAILED;
  if (status >= 0 && code != SSH_FAILED) {
    shell->with.done(shell->with.ctx, 0, code, NULL);
    return;
  }
  dk_ssh_trouble_end(&shell->trouble);
  dk_ssh_trouble_explain(&shell->trouble, &shell->with.host, status, NULL, &error);
  shell->with.done(shell->with.ctx, shell->has_begun ? -EPIPE : -EAGAIN, 0, &error);
}

static void on_timer(void *ctx, int fd, short revents) {
  uint64_t n;

  (void)revents;
  if (read(fd, &n, sizeof n) == sizeof n) look(ctx);
}

static void end_if_over(struct dk_shell *shell) {
  if (shell->child.stream < 0 && shell->child.words < 0) look(shell);
}

/* --- its streams --- */

/* The script, and then the end of its stdin. An error is seen by the read that follows it. */
static void flush(struct dk_shell *shell) {
  if (!dk_outbox_waiting(&shell->out)) return;
  if (dk_outbox_send(&shell->out, shell->child.stream) < 0) dk_outbox_clear(&shell->out);
  if (!dk_outbox_waiting(&shell->out)) (void)shutdown(shell->child.stream, SHUT_WR);
}

static void on_stream(void *ctx, int fd, short revents) {
  struct dk_shell *shell = ctx;

  size_t n;

  (void)revents;
  flush(shell);
  if (take(shell, fd, false, &n)) {
    watch_stream(shell);
    if (n == 0 || shell->has_begun) return;
    shell->has_begun = true;
    shell->with.begun(shell->with.ctx);
    return;
  }
  close_end(shell, &shell->child.stream);
  end_if_over(shell);
}

static void on_words(void *ctx, int fd, short revents) {
  struct dk_shell *shell = ctx;

  size_t n;

  (void)revents;
  if (take(shell, fd, true, &n)) return;
  close_end(shell, &shell->child.words);
  end_if_over(shell);
}

/* It is known to the loop already, when it is watched anew: no memory is needed. */
static void watch_stream(struct dk_shell *shell) {
  short events = (short)(POLLIN | (dk_outbox_waiting(&shell->out) ? POLLOUT : 0));

  (void)dk_loop_watch(shell->with.loop, shell->child.stream, events, on_stream, shell);
}

static int start(struct dk_shell *shell, struct dk_error *error) {
  struct dk_ssh_argv argv;

  int r = dk_ssh_argv(DK_SSH_DIRECT, &shell->with.host, dk_ssh_name(), NULL, COMMAND, &argv);
  if (r == 0)
    r = dk_ssh_child_start(argv.items, &shell->child, error);
  else
    dk_error_system(error, r, "connecting with ssh");
  dk_ssh_argv_finish(&argv);
  if (r < 0) return r;
  r = dk_loop_watch(shell->with.loop, shell->timer, POLLIN, on_timer, shell);
  if (r == 0) r = dk_loop_watch(shell->with.loop, shell->child.words, POLLIN, on_words, shell);
  if (r == 0) r = dk_loop_watch(shell->with.loop, shell->child.stream, POLLIN | POLLOUT, on_stream, shell);
  return r < 0 ? dk_error_system(error, r, "connecting with ssh") : 0;
}

int dk_ssh_shell(const struct dk_shell_options *options, struct dk_shell **ret, struct dk_error *error) {
  struct dk_shell *shell = dk_calloc(1, sizeof *shell);

  *ret = NULL;
  if (!shell) return dk_error_system(error, -ENOMEM, "connecting with ssh");
  shell->with = *options;
  shell->child = (struct dk_ssh_child)DK_SSH_CHILD_INIT;
  shell->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  dk_buf_add_text(&shell->out.bytes, options->script);
  int r = dk_ssh_check_config(&options->host, error);
  if (r == 0 && shell->timer < 0) r = dk_error_system(error, -errno, "connecting with ssh");
  if (r == 0 && !dk_buf_ok(&shell->out.bytes)) r = dk_error_system(error, -ENOMEM, "connecting with ssh");
  if (r == 0) r = start(shell, error);
  if (r < 0) {
    dk_ssh_close_shell(shell);
    return r;
  }
  *ret = shell;
  return 0;
}

void dk_ssh_close_shell(struct dk_shell *shell) {
  if (!shell) return;
  if (shell->child.stream >= 0) dk_loop_unwatch(shell->with.loop, shell->child.stream);
  if (shell->child.words >= 0) dk_loop_unwatch(shell->with.loop, shell->child.words);
  dk_ssh_child_end(&shell->child, shell->with.loop);
  if (shell->timer >= 0) {
    dk_loop_unwatch(shell->with.loop, shell->timer);
    close(shell->timer);
  }
  dk_outbox_finish(&shell->out);
  dk_free(shell);
}
