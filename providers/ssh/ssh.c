/* See ssh.h. A dial goes through steps: an ssh is started, its host says facts, is told which program it should have,
 * gets it when it lacks it, and becomes the agent's stream. Whatever a host says, nothing but that program is sent to it
 * and nothing of it is believed before the agent's own protocol starts. */
#include "providers/ssh/ssh.h"

#include "providers/ssh/argv.h"
#include "providers/ssh/child.h"
#include "providers/ssh/master.h"
#include "providers/ssh/program.h"
#include "providers/ssh/remote.h"
#include "providers/ssh/talk.h"
#include "providers/ssh/trouble.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define DEADLINE_MS 60000u /* without anything coming of it */
#define REAP_MS 10u        /* between looks at an ssh that closes its stream */
#define REAP_MOST 200u     /* looks */
#define WHY_NS 100000000u
#define PEEK_SIZE 4096u
#define PART_SIZE (64u << 10)

enum step {
  STEP_FACTS,  /* the script is sent, its facts come */
  STEP_ORDER,  /* told which program: is it there? */
  STEP_PUSH,   /* it was not */
  STEP_LOGIN,  /* the login shell becomes the agent's bridge */
  STEP_UP,     /* the stream is given away */
  STEP_ENDING, /* the stream has ended, ssh is about to */
  STEP_OVER,   /* `done` was told of a failure */
};

struct dk_dial {
  struct dk_dial_options with;
  enum step step;
  enum dk_ssh_way way;
  struct dk_ssh_child child;
  struct dk_ssh_talk talk;
  struct dk_ssh_trouble trouble;
  struct dk_ssh_program program; /* fd -1: not asked for yet */
  uint64_t pushed;               /* bytes of it that are in `out` or sent */
  struct dk_buf out;
  size_t sent; /* of out */
  int timer;
  unsigned looks;         /* at an ssh that ends */
  struct dk_error denied; /* why the first way failed, while another is tried */
  struct dk_error why;
};

static void on_stream(void *ctx, int fd, short revents);
static void on_words(void *ctx, int fd, short revents);
static void on_timer(void *ctx, int fd, short revents);

static void set_timer(struct dk_dial *dial, unsigned ms) {
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

/* The dial has failed. The callee may hang up: nothing of it is touched after this. */
static void over(struct dk_dial *dial, const struct dk_error *error) {
  struct dk_error text = *error;

  dial->step = STEP_OVER;
  close_stream(dial);
  close_words(dial);
  close_timer(dial);
  dk_ssh_program_close(&dial->program);
  dial->with.done(dial->with.ctx, text.code, -1, NULL, &text);
}

static void over_memory(struct dk_dial *dial) {
  struct dk_error error = {0};

  dk_error_system(&error, -ENOMEM, "connecting with ssh");
  over(dial, &error);
}

static int watch_stream(struct dk_dial *dial) {
  bool has_more = dial->sent < dial->out.len || (dial->step == STEP_PUSH && dial->pushed < dial->program.size);

  return dk_loop_watch(dial->with.loop, dial->child.stream, (short)(POLLIN | (has_more ? POLLOUT : 0)), on_stream,
                       dial);
}

/* Starts ssh in one of the ways. Afterwards the dial is at its first step again. */
static int start(struct dk_dial *dial, enum dk_ssh_way way, const char *socket, struct dk_error *error) {
  dk_autobuf command = DK_BUF_INIT;
  struct dk_ssh_argv argv = {.n = 0};

  dial->way = way;
  dial->step = STEP_FACTS;
  dial->talk = (struct dk_ssh_talk){.len = 0};
  dial->trouble = (struct dk_ssh_trouble){.len = 0};
  dk_buf_clear(&dial->out);
  dial->sent = 0;
  dk_ssh_remote(&dial->with, &command, &dial->out);
  if (way == DK_SSH_CHECK) dk_buf_clear(&dial->out);
  int r = dk_buf_ok(&command) && dk_buf_ok(&dial->out) ? 0 : -ENOMEM;
  if (r == 0) r = dk_ssh_argv(way, &dial->with.host, dk_ssh_name(), socket, dk_buf_text(&command), &argv);
  if (r < 0)
    dk_error_system(error, r, "connecting with ssh");
  else
    r = dk_ssh_child_start(argv.items, &dial->child, error);
  dk_ssh_argv_finish(&argv);
  if (r < 0) return r;
  r = watch_stream(dial);
  if (r == 0) r = dk_loop_watch(dial->with.loop, dial->child.words, POLLIN, on_words, dial);
  if (r < 0) dk_error_system(error, r, "connecting with ssh");
  set_timer(dial, DEADLINE_MS);
  return r;
}

/* A master that a person opened is a way in that needs no question; without one, a connection of our own, which nobody
 * else's end ends. */
static int start_first(struct dk_dial *dial, struct dk_error *error) {
  dk_autobuf socket = DK_BUF_INIT;

  /* That there can be no master is no reason not to connect. */
  if (dk_ssh_master_place(&dial->with.host, &socket, NULL) == 0 && dk_ssh_master_is_there(dk_buf_text(&socket)))
    return start(dial, DK_SSH_MASTER, dk_buf_text(&socket), error);
  return start(dial, DK_SSH_DIRECT, NULL, error);
}

static void start_next(struct dk_dial *dial, enum dk_ssh_way way) {
  struct dk_error error = {0};

  close_stream(dial);
  close_words(dial);
  dk_ssh_child_end(&dial->child);
  if (start(dial, way, NULL, &error) < 0) over(dial, &error);
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
      over(dial, &dial->denied);
    return;
  }
  /* Once our own lines have come, what a login prints is hardly why. */
  bool is_why = !dial->talk.has_spoken || (dial->talk.is_going && dial->trouble.last[0] == '\0');
  const char *noise = is_why ? dial->talk.noise : NULL;
  dk_ssh_trouble_explain(&dial->trouble, host, dial->child.status, noise, &error);
  if (dial->trouble.kind == DK_SSH_DENIED && !dial->talk.has_spoken && dial->way != DK_SSH_THEIRS) {
    /* Not asked of the network again: a refused login too many, and some hosts shut us out. */
    dial->denied = error;
    start_next(dial, DK_SSH_CHECK);
    return;
  }
  if (dial->talk.is_going) dk_error_prefix(&error, "the agent did not start there");
  over(dial, &error);
}

static void end_soon(struct dk_dial *dial) {
  close_stream(dial);
  dial->step = STEP_ENDING;
  dial->looks = 0;
  set_timer(dial, REAP_MS);
}

/* What ssh has said so far. False at its end. */
static bool read_words(struct dk_dial *dial) {
  char text[PEEK_SIZE];
  ssize_t n;

  if (dial->child.words < 0) return false;
  do n = read(dial->child.words, text, sizeof text);
  while (n < 0 && errno == EINTR);
  if (n > 0) dk_ssh_trouble_feed(&dial->trouble, text, (size_t)n);
  if (n == 0 || (n < 0 && errno != EAGAIN)) close_words(dial);
  return n > 0;
}

static void on_words(void *ctx, int fd, short revents) {
  (void)fd, (void)revents;
  (void)read_words(ctx);
}

/* All of it, but not more than a host could make us read. */
static void read_last_words(struct dk_dial *dial) {
  for (unsigned i = 0; i < 32 && read_words(dial); i++) {}
}

static void on_timer(void *ctx, int fd, short revents) {
  struct dk_dial *dial = ctx;
  struct dk_error error = {0};
  uint64_t n;

  (void)revents;
  (void)!read(fd, &n, sizeof n);
  if (dial->step == STEP_ENDING) {
    if (dk_ssh_child_has_ended(&dial->child) || ++dial->looks > REAP_MOST) {
      read_last_words(dial);
      ended(dial);
    } else {
      set_timer(dial, REAP_MS);
    }
    return;
  }
  const char *last = dial->trouble.last[0] ? dial->trouble.last : dial->talk.noise;
  dk_error_set(&error, -ETIMEDOUT, "nothing came of it for %u s while %s%s%s", DEADLINE_MS / 1000,
               dial->step == STEP_PUSH    ? "the agent's program was sent"
               : dial->step == STEP_LOGIN ? "its login shell was to start the agent"
               : dial->talk.has_spoken    ? "it was set up"
                                          : "ssh logged in",
               *last ? "; the last that was said: " : "", last);
  over(dial, &error);
}

/* Sending */

/* More of the program into an empty buffer. */
static int refill(struct dk_dial *dial) {
  dk_buf_clear(&dial->out);
  dial->sent = 0;
  if (dial->step != STEP_PUSH || dial->pushed == dial->program.size) return 0;
  uint64_t left = dial->program.size - dial->pushed;
  size_t want = left > PART_SIZE ? PART_SIZE : (size_t)left;
  void *room = dk_buf_reserve(&dial->out, want);
  if (!room) return -ENOMEM;
  long n = dk_ssh_program_read(&dial->program, room, want, dial->pushed);
  if (n <= 0) return n < 0 ? (int)n : -EIO; /* it became shorter */
  dk_buf_commit(&dial->out, (size_t)n);
  dial->pushed += (uint64_t)n;
  return 0;
}

/* As much as the stream takes now. An error of the stream is seen by the read that follows it. */
static void flush(struct dk_dial *dial) {
  struct dk_error error = {0};

  for (;;) {
    if (dial->sent == dial->out.len) {
      int r = refill(dial);
      if (r < 0) {
        dk_error_system(&error, r, "reading the agent's program");
        over(dial, &error);
        return;
      }
      if (dial->out.len == 0) break;
    }
    ssize_t n =
        send(dial->child.stream, dial->out.data + dial->sent, dial->out.len - dial->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) {
      dk_buf_clear(&dial->out);
      dial->sent = 0;
      dial->pushed = dial->program.size;
    }
    if (n < 0) break;
    dial->sent += (size_t)n;
    set_timer(dial, DEADLINE_MS);
  }
  (void)watch_stream(dial); /* it is known to the loop: no memory is needed */
}

/* What the host says */

static void answer(struct dk_dial *dial) {
  struct dk_error error = {0};

  if (dk_ssh_program_open(dial->with.agent_program, dial->talk.facts.arch, &dial->program, &error) < 0) {
    over(dial, &error);
    return;
  }
  dk_ssh_remote_order(&dial->program, &dial->out);
  if (!dk_buf_ok(&dial->out)) {
    over_memory(dial);
    return;
  }
  dial->step = STEP_ORDER;
  flush(dial);
}

static void give_away(struct dk_dial *dial) {
  int fd = dial->child.stream;

  dial->step = STEP_UP;
  dk_loop_unwatch(dial->with.loop, fd);
  dial->child.stream = -1;
  close_timer(dial);
  dk_ssh_program_close(&dial->program);
  dk_buf_finish(&dial->out);
  dial->trouble = (struct dk_ssh_trouble){.len = 0}; /* what a login grumbles is not why it ends one day */
  dial->with.done(dial->with.ctx, 0, fd, &dial->talk.facts, NULL);
}

/* Something that has no place at this step: it is broken, or hostile. */
static void refuse(struct dk_dial *dial, const char *what) {
  struct dk_error error = {0};

  dk_error_set(&error, -EPROTO, "what it says makes no sense: %s", what);
  over(dial, &error);
}

static void fail(struct dk_dial *dial) {
  struct dk_error error = {0};

  dk_error_set(&error, -EREMOTEIO, "%s%s%s", dial->talk.words, dial->talk.help[0] ? "\nhelp: " : "", dial->talk.help);
  over(dial, &error);
}

static void flooded(struct dk_dial *dial) {
  struct dk_error error = {0};

  dk_error_set(&error, -EOVERFLOW,
               "its login prints more than %u KiB, and nothing of ours among it; the last line: %s\n"
               "help: what a login shell starts should print nothing unless it has a terminal",
               DK_SSH_NOISE >> 10, dial->talk.noise);
  over(dial, &error);
}

static void handle(struct dk_dial *dial, enum dk_ssh_said said) {
  set_timer(dial, DEADLINE_MS);
  switch (said) {
  case DK_SSH_NOTHING: break;
  case DK_SSH_FAILED: fail(dial); break;
  case DK_SSH_FLOOD: flooded(dial); break;
  case DK_SSH_ASK:
    if (dial->step == STEP_FACTS)
      answer(dial);
    else
      refuse(dial, "it asks twice");
    break;
  case DK_SSH_WANT:
    if (dial->step != STEP_ORDER || strcmp(dial->talk.name, dial->program.name) != 0) {
      refuse(dial, "it wants what it was not offered");
      break;
    }
    dial->step = STEP_PUSH;
    dial->pushed = 0;
    flush(dial);
    break;
  case DK_SSH_GO:
    if ((dial->step != STEP_ORDER && dial->step != STEP_PUSH) || dial->sent < dial->out.len ||
        (dial->step == STEP_PUSH && dial->pushed < dial->program.size))
      refuse(dial, "it goes on without the program");
    else
      dial->step = STEP_LOGIN;
    break;
  case DK_SSH_READY: give_away(dial); break;
  }
}

static void on_stream(void *ctx, int fd, short revents) {
  struct dk_dial *dial = ctx;
  char text[PEEK_SIZE];
  size_t used = 0;
  ssize_t n;

  if (!(revents & (POLLIN | POLLHUP | POLLERR))) {
    flush(dial);
    return;
  }
  /* Not one byte more than what is for us: what follows is the agent's. */
  do n = recv(fd, text, sizeof text, MSG_PEEK | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    end_soon(dial);
    return;
  }
  enum dk_ssh_said said = dk_ssh_talk_feed(&dial->talk, text, (size_t)n, &used);
  if (recv(fd, text, used, MSG_DONTWAIT) != (ssize_t)used) {
    end_soon(dial);
    return;
  }
  if (said != DK_SSH_NOTHING) handle(dial, said);
}

int dk_ssh_dial(const struct dk_dial_options *options, struct dk_dial **ret, struct dk_error *error) {
  *ret = NULL;
  if (!dk_ssh_is_host_name(options->host.name))
    return dk_error_set(error, -EINVAL, "%s is no name of a host", options->host.name);
  struct dk_dial *dial = dk_calloc(1, sizeof *dial);
  if (!dial) return dk_error_system(error, -ENOMEM, "connecting with ssh");
  dial->with = *options;
  dial->child = (struct dk_ssh_child)DK_SSH_CHILD_INIT;
  dial->program.fd = -1;
  dial->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  int r = dial->timer < 0 ? -errno : dk_loop_watch(options->loop, dial->timer, POLLIN, on_timer, dial);
  if (r < 0)
    dk_error_system(error, r, "connecting with ssh");
  else
    r = start_first(dial, error);
  if (r < 0) {
    dk_ssh_hang_up(dial);
    return r;
  }
  *ret = dial;
  return 0;
}

/* The stream may have ended a moment before ssh says why. */
const char *dk_ssh_why(struct dk_dial *dial) {
  if (!dial || dial->step != STEP_UP) return NULL;
  uint64_t until = dk_now_ns() + WHY_NS;
  while (!dk_ssh_child_has_ended(&dial->child) && dk_now_ns() < until) poll(NULL, 0, 2);
  read_last_words(dial);
  dk_ssh_trouble_end(&dial->trouble);
  if (dial->trouble.last[0] == '\0' && dial->child.status <= 0) return NULL;
  dk_ssh_trouble_explain(&dial->trouble, &dial->with.host, dial->child.status, NULL, &dial->why);
  return dial->why.text;
}

void dk_ssh_hang_up(struct dk_dial *dial) {
  if (!dial) return;
  close_stream(dial);
  close_words(dial);
  close_timer(dial);
  dk_ssh_child_end(&dial->child);
  dk_ssh_program_close(&dial->program);
  dk_buf_finish(&dial->out);
  dk_free(dial);
}
