/* The connection to an engine: see client.h. */
#include "engine/cli/client.h"

#include "engine/sys/fs.h"
#include "engine/sys/lock.h"
#include "engine/sys/sock.h"
#include "engine/sys/spawn.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define START_NS (30 * SECOND)  /* a large store is examined before it is used */
#define ANSWER_NS (10 * SECOND) /* to a hello */
#define END_NS (10 * SECOND)    /* a dismissed engine takes leave of its agent */
#define POLL_MS 10
#define LOG_MAX 4096u

void dk_client_close(struct dk_client *client) {
  dk_talk_close(&client->stream);
}

int dk_client_next(struct dk_client *client, uint64_t wait_ns, struct dk_talk *ret) {
  uint64_t until = dk_now_ns() + wait_ns;

  for (;;) {
    int r = dk_talk_next(&client->stream, ret);
    if (r != 0) return r;
    uint64_t now = dk_now_ns();
    if (now >= until) return 0;
    uint64_t ms = (until - now + 999999) / 1000000;
    struct pollfd fd = {.fd = client->stream.fd,
                        .events = (short)(POLLIN | (dk_talk_wants_out(&client->stream) ? POLLOUT : 0))};
    if (poll(&fd, 1, ms > INT_MAX ? INT_MAX : (int)ms) < 0 && errno != EINTR) return -errno;
    if (fd.revents & POLLOUT && (r = dk_talk_flush(&client->stream)) < 0) return r;
    if (fd.revents & (POLLIN | POLLHUP | POLLERR) && (r = dk_talk_read(&client->stream)) < 0) return r;
  }
}

int dk_client_call(struct dk_client *client, const struct dk_talk *talk, struct dk_talk *ret, struct dk_error *error) {
  int r = dk_talk_send(&client->stream, talk);

  *ret = (struct dk_talk){0};
  while (r >= 0) {
    r = dk_client_next(client, UINT64_MAX / 2, ret);
    if (r < 0) break;
    if (ret->kind == DK_TALK_SUBMITTED || ret->kind == DK_TALK_DONE || ret->kind == DK_TALK_LOG) return 0;
    if (ret->kind == DK_TALK_REFUSED) return dk_error_set(error, ret->value < 0 ? ret->value : -EIO, "%s", ret->text);
    dk_talk_finish(ret);
  }
  return dk_error_set(error, r, "the engine has gone: %s\nhelp: its words are in .dkrun/engine.log", strerror(-r));
}

static int say_hello(struct dk_client *client, char *root, uint32_t pid, struct dk_error *error) {
  struct dk_talk hello = {.kind = DK_TALK_HELLO, .value = DK_TALK_PROTOCOL, .text = root}, answer;
  int r = dk_talk_send(&client->stream, &hello);

  if (r == 0) r = dk_client_next(client, ANSWER_NS, &answer);
  if (r == 0) return dk_error_set(error, -ETIMEDOUT, "the engine (process %u) does not answer", pid);
  if (r < 0) return dk_error_system(error, r, "talking to the engine (process %u)", pid);
  if (answer.kind == DK_TALK_REFUSED) {
    dk_error_set(error, answer.value < 0 ? answer.value : -EIO, "%s", answer.text);
    r = error->code;
    dk_talk_finish(&answer);
    return r;
  }
  bool is_ours = answer.kind == DK_TALK_WELCOME && answer.value == DK_TALK_PROTOCOL;
  if (!is_ours)
    dk_error_set(error, -EPROTO,
                 "the engine that works here (process %u) is another version of dkrun: %s\n"
                 "help: end it (`kill %u`): its tasks go on, and this dkrun takes its runs up",
                 pid, answer.text ? answer.text : "", pid);
  dk_talk_finish(&answer);
  return is_ours ? 0 : -EPROTO;
}

static int connect_now(struct dk_cli *cli, struct dk_client *ret, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  uint32_t pid;

  *ret = (struct dk_client)DK_CLIENT_INIT;
  dk_buf_printf(&path, "%s/" DK_TALK_SOCKET, cli->state);
  if (!dk_buf_ok(&path)) return dk_error_system(error, -ENOMEM, "connecting to the engine");
  if (!dk_cli_engine_alive(cli, &pid)) return -ENOENT;
  int fd = dk_sock_connect(dk_buf_text(&path), NULL);
  if (fd < 0) return -EAGAIN; /* it begins, or ends */
  ret->stream.fd = fd;
  int r = say_hello(ret, cli->root, pid, error);
  if (r < 0) dk_client_close(ret);
  return r == -ECONNRESET || r == -EPIPE ? -EAGAIN : r;
}

int dk_client_connect(struct dk_cli *cli, struct dk_client *ret, struct dk_error *error) {
  uint64_t until = dk_now_ns() + START_NS;
  int r;

  while ((r = connect_now(cli, ret, error)) == -EAGAIN && dk_now_ns() < until) poll(NULL, 0, POLL_MS);
  if (r != -EAGAIN) return r;
  dk_autobuf path = DK_BUF_INIT;
  char holder[DK_LOCK_WORDS];
  dk_buf_printf(&path, "%s/lock", cli->state);
  dk_lock_words(dk_buf_text(&path), holder);
  return dk_error_set(
      error, r,
      "process %s has %s for itself, and does not listen\nhelp: run again when it has ended; an engine's words "
      "are in %s/engine.log",
      holder, cli->state, cli->state);
}

/* --- starting --- */

static int spawn(struct dk_cli *cli, const char *log, pid_t *ret_pid, struct dk_error *error) {
  char self[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

  if (n < 0) return dk_error_system(error, -errno, "finding dkrun");
  self[n] = 0;
  int r = dk_fs_mkdirs(cli->state, 0700, error);
  if (r < 0) return r;
  int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return dk_error_system(error, -errno, "writing %s", log);
  char slots[16];
  snprintf(slots, sizeof slots, "%u", cli->slots);
  const char *argv[] = {self, "engine", "--slots", slots, cli->as_restored ? "--as-restored" : NULL, NULL};
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = (char *const *)argv;
  how.dir = cli->root;
  how.fds[1] = how.fds[2] = fd;
  how.new_session = true;
  r = dk_spawn(&how, ret_pid, error);
  close(fd);
  return r < 0 ? dk_error_prefix(error, "the engine cannot be started") : 0;
}

/* What it had to say before it listened, to who made it start. */
static void pass_on_words(const char *log) {
  dk_autobuf words = DK_BUF_INIT;

  if (dk_fs_read(log, LOG_MAX, &words, NULL) == 0) fputs(dk_buf_text(&words), stderr);
}

/* Its words are the error; "dkrun: " in front of them is said again by who prints it. One that was killed may have had
 * other words. */
static int has_failed(const char *log, int status, struct dk_error *error) {
  dk_autobuf words = DK_BUF_INIT, end = DK_BUF_INIT;

  if (dk_fs_read(log, LOG_MAX, &words, NULL) < 0) dk_buf_clear(&words);
  const char *text = dk_buf_text(&words);
  if (strncmp(text, "dkrun: ", 7) == 0) text += 7;
  while (words.len > 0 && words.data[words.len - 1] == '\n') dk_buf_truncate(&words, words.len - 1);
  if (*text && !WIFSIGNALED(status)) return dk_error_set(error, -EIO, "%s", text);
  if (WIFSIGNALED(status)) {
    const char *name = sigabbrev_np(WTERMSIG(status));
    dk_buf_printf(&end, "was killed by signal %d (%s)", WTERMSIG(status), name ? name : "?");
  } else {
    dk_buf_printf(&end, "ended with exit code %d", WEXITSTATUS(status));
  }
  return dk_error_set(error, -EIO,
                      "the engine %s before it listened; its log %s: %s\n"
                      "help: run again%s",
                      dk_buf_text(&end), *text ? "says" : "is empty", *text ? text : log,
                      WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                          ? "; signal 9 comes from the kernel when memory is short (`dmesg` tells), or from a `kill -9`"
                          : "");
}

int dk_client_start(struct dk_cli *cli, struct dk_client *ret, struct dk_error *error) {
  dk_autobuf log = DK_BUF_INIT;
  uint64_t until = dk_now_ns() + START_NS;
  pid_t pid = 0;
  int r, status;

  dk_buf_printf(&log, "%s/engine.log", cli->state);
  if (!dk_buf_ok(&log)) return dk_error_system(error, -ENOMEM, "starting the engine");
  for (;;) {
    r = connect_now(cli, ret, error);
    if (r == 0 && pid > 0) pass_on_words(dk_buf_text(&log));
    if (r != -ENOENT && r != -EAGAIN) return r;
    if (r == -ENOENT && pid == 0) {
      r = spawn(cli, dk_buf_text(&log), &pid, error);
      if (r < 0) return r == -ENOENT ? -EIO : r; /* that would say that nobody works here */
    }
    /* Of several that start at once one gets the lock; the others end, and the one is found. */
    if (pid > 0 && waitpid(pid, &status, WNOHANG) == pid) {
      pid = 0;
      if (connect_now(cli, ret, error) == 0) return 0;
      uint32_t other;
      bool was_taken = WIFEXITED(status) && WEXITSTATUS(status) == DK_EXIT_TAKEN;
      if (!was_taken && !dk_cli_engine_alive(cli, &other)) return has_failed(dk_buf_text(&log), status, error);
    }
    if (dk_now_ns() > until)
      return dk_error_set(error, -ETIMEDOUT, "the engine does not answer\nhelp: its words are in %s",
                          dk_buf_text(&log));
    poll(NULL, 0, POLL_MS);
  }
}

#define TRIES 3

int dk_client_start_call(struct dk_cli *cli, const struct dk_talk *talk, struct dk_client *ret_client,
                         struct dk_talk *ret, struct dk_error *error) {
  int r = 0;

  for (int i = 0; i < TRIES; i++) {
    *ret = (struct dk_talk){0};
    r = dk_client_start(cli, ret_client, error);
    if (r < 0) return r;
    r = dk_client_call(ret_client, talk, ret, error);
    if (r == 0) return 0;
    dk_talk_finish(ret);
    dk_client_close(ret_client);
    if (!dk_client_is_lost(r)) return r;
  }
  return r;
}

/* --- ending --- */

/* -EAGAIN: it begins or ends, or has a run or somebody who watches; that may be over in a moment. */
static int ask_to_leave(struct dk_cli *cli) {
  const struct dk_talk leave = {.kind = DK_TALK_LEAVE};
  struct dk_client client;
  struct dk_talk answer = {0};
  int r = connect_now(cli, &client, NULL);

  if (r < 0) return r;
  r = dk_client_call(&client, &leave, &answer, NULL);
  dk_talk_finish(&answer);
  dk_client_close(&client);
  return r == -EBUSY ? -EAGAIN : r;
}

void dk_client_dismiss(struct dk_cli *cli) {
  uint64_t until = dk_now_ns() + SECOND / 2;
  uint32_t pid;
  int r;

  while ((r = ask_to_leave(cli)) == -EAGAIN && dk_now_ns() < until) poll(NULL, 0, POLL_MS);
  until = dk_now_ns() + END_NS;
  while (r == 0 && dk_cli_engine_alive(cli, &pid) && dk_now_ns() < until) poll(NULL, 0, POLL_MS);
}
