/* The ssh below a dial: which way it takes, what it says, and its end. See private.h. */
#include "providers/ssh/private.h"

#include "providers/ssh/master.h"
#include "providers/ssh/remote.h"

#include <errno.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define REAP_MS 10u    /* between looks at an ssh that closes its stream */
#define REAP_MOST 200u /* looks */
#define READ_SIZE 4096u
#define READ_MOST 32u /* reads in a row: more than ssh says, less than a host could make us read */

static void on_words(void *ctx, int fd, short revents);

void dk_ssh_set_timer(struct dk_dial *dial, unsigned ms) {
  struct itimerspec when = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}};

  timerfd_settime(dial->timer, 0, &when, NULL);
}

static void close_stream(struct dk_dial *dial) {
  if (dial->child.stream < 0) return;
  dk_loop_unwatch(dial->with.loop, dial->child.stream);
  close(dial->child.stream);
  dial->child.stream = -1;
}

static void close_words(struct dk_dial *dial) {
  if (dial->child.words < 0) return;
  dk_loop_unwatch(dial->with.loop, dial->child.words);
  close(dial->child.words);
  dial->child.words = -1;
}

static void close_timer(struct dk_dial *dial) {
  if (dial->timer < 0) return;
  dk_loop_unwatch(dial->with.loop, dial->timer);
  close(dial->timer);
  dial->timer = -1;
}

void dk_ssh_close(struct dk_dial *dial) {
  close_stream(dial);
  close_words(dial);
  close_timer(dial);
}

void dk_ssh_over(struct dk_dial *dial, const struct dk_error *error) {
  struct dk_error text = *error;

  dial->step = DK_STEP_OVER;
  dk_ssh_close(dial);
  dk_ssh_program_close(&dial->program);
  dial->with.done(dial->with.ctx, text.code, -1, NULL, &text);
}

int dk_ssh_watch_stream(struct dk_dial *dial) {
  bool has_more = dk_outbox_waiting(&dial->out) || (dial->step == DK_STEP_PUSH && dial->pushed < dial->program.size);

  return dk_loop_watch(dial->with.loop, dial->child.stream, (short)(POLLIN | (has_more ? POLLOUT : 0)),
                       dk_ssh_on_stream, dial);
}

/* Starts ssh in one of the ways. Afterwards the dial is at its first step again. */
static int start(struct dk_dial *dial, enum dk_ssh_way way, const char *socket, struct dk_error *error) {
  dk_autobuf command = DK_BUF_INIT;
  struct dk_ssh_argv argv = {.n = 0};

  dial->way = way;
  dial->step = DK_STEP_FACTS;
  dial->talk = (struct dk_ssh_talk){.facts = {.used = UINT64_MAX}};
  dial->trouble = (struct dk_ssh_trouble){.len = 0};
  dk_outbox_clear(&dial->out);
  dk_ssh_remote(&dial->with, &command, &dial->out.bytes);
  if (way == DK_SSH_CHECK) dk_outbox_clear(&dial->out);
  int r = dk_buf_ok(&command) && dk_buf_ok(&dial->out.bytes) ? 0 : -ENOMEM;
  if (r == 0) r = dk_ssh_argv(way, &dial->with.host, dk_ssh_name(), socket, dk_buf_text(&command), &argv);
  if (r < 0)
    dk_error_system(error, r, "connecting with ssh");
  else
    r = dk_ssh_child_start(argv.items, &dial->child, error);
  dk_ssh_argv_finish(&argv);
  if (r < 0) return r;
  r = dk_ssh_watch_stream(dial);
  if (r == 0) r = dk_loop_watch(dial->with.loop, dial->child.words, POLLIN, on_words, dial);
  if (r < 0) dk_error_system(error, r, "connecting with ssh");
  dk_ssh_set_timer(dial, dk_ssh_patience(dial));
  return r;
}

/* A master that a person opened is a way in that needs no question; without one, a connection of our own, which nobody
 * else's end ends. That is the only way to a machine that only its key tells from others: a master may lead to one that
 * had its address before. */
int dk_ssh_start(struct dk_dial *dial, struct dk_error *error) {
  dk_autobuf socket = DK_BUF_INIT;

  if (dial->with.host.known_hosts) return start(dial, DK_SSH_DIRECT, NULL, error);
  /* That there can be no master is no reason not to connect. */
  if (dk_ssh_master_place(&dial->with.host, &socket, NULL) == 0 && dk_ssh_master_is_there(dk_buf_text(&socket)))
    return start(dial, DK_SSH_MASTER, dk_buf_text(&socket), error);
  return start(dial, DK_SSH_DIRECT, NULL, error);
}

static void start_next(struct dk_dial *dial, enum dk_ssh_way way) {
  struct dk_error error = {0};

  close_stream(dial);
  close_words(dial);
  dk_ssh_child_end(&dial->child, dial->with.loop);
  if (start(dial, way, NULL, &error) < 0) dk_ssh_over(dial, &error);
}

/* ssh has ended before the agent spoke: why, and is there another way? */
static void ended(struct dk_dial *dial) {
  const struct dk_host_config *host = &dial->with.host;
  struct dk_error error = {0};

  dk_ssh_trouble_end(&dial->trouble);
  if (dial->way == DK_SSH_CHECK) {
    if (dial->child.status == 0)
      start_next(dial, DK_SSH_THEIRS);
    else
      dk_ssh_over(dial, &dial->denied);
    return;
  }
  /* Once our own lines have come, what a login prints is hardly why. */
  bool is_why = !dial->talk.has_spoken || (dial->talk.is_going && dial->trouble.last[0] == '\0');
  const char *noise = is_why ? dial->talk.noise : NULL;
  dk_ssh_trouble_explain(&dial->trouble, host, dial->child.status, noise, &error);
  if (dial->trouble.kind == DK_SSH_DENIED && !dial->talk.has_spoken && dial->way != DK_SSH_THEIRS &&
      !host->known_hosts) {
    /* Not asked of the network again: a refused login too many, and some hosts shut us out. */
    dial->denied = error;
    start_next(dial, DK_SSH_CHECK);
    return;
  }
  if (dial->talk.is_going) dk_error_prefix(&error, "the agent did not start there");
  dk_ssh_over(dial, &error);
}

void dk_ssh_end_soon(struct dk_dial *dial) {
  close_stream(dial);
  dial->step = DK_STEP_ENDING;
  dial->looks = 0;
  dk_ssh_set_timer(dial, REAP_MS);
}

/* What ssh has said so far. False at its end. */
static bool read_words(struct dk_dial *dial) {
  char text[READ_SIZE];
  ssize_t n;

  if (dial->child.words < 0) return false;
  do n = read(dial->child.words, text, sizeof text);
  while (n < 0 && errno == EINTR);
  if (n > 0) dk_ssh_trouble_feed(&dial->trouble, text, (size_t)n);
  if (n == 0 || (n < 0 && errno != EAGAIN)) close_words(dial);
  return n > 0;
}

/* What the loop calls. */
static void on_words(void *ctx, int fd, short revents) {
  (void)fd, (void)revents;
  (void)read_words(ctx);
}

void dk_ssh_read_words(struct dk_dial *dial) {
  for (unsigned i = 0; i < READ_MOST && read_words(dial); i++) {}
}

void dk_ssh_look(struct dk_dial *dial) {
  if (!dk_ssh_child_has_ended(&dial->child) && ++dial->looks <= REAP_MOST) {
    dk_ssh_set_timer(dial, REAP_MS);
    return;
  }
  dk_ssh_read_words(dial);
  ended(dial);
}
