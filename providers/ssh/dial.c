/* See ssh.h. A dial goes through steps: an ssh is started, its host says facts, is told which program it should have,
 * gets it when it lacks it, and becomes the agent's stream. Whatever a host says, nothing but that program is sent to
 * it and nothing of it is believed before the agent's own protocol starts. */
#include "providers/ssh/ssh.h"

#include "providers/ssh/private.h"
#include "providers/ssh/remote.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define DEADLINE_MS 60000u
#define TENDING_MS 600000u /* while what may be many files is looked at or removed there */
#define WHY_NS 100000000u
#define PEEK_SIZE 4096u
#define PART_SIZE (64u << 10)

unsigned dk_ssh_patience(const struct dk_dial *dial) {
  bool is_tending = dial->with.way != DK_DIAL_AGENT && (dial->step == DK_STEP_ORDER || dial->step == DK_STEP_PUSH);

  return is_tending ? TENDING_MS : DEADLINE_MS;
}

static void enter(struct dk_dial *dial, enum dk_ssh_step step) {
  dial->step = step;
  dk_ssh_set_timer(dial, dk_ssh_patience(dial));
}

static void tell_silence(const struct dk_dial *dial, struct dk_error *ret) {
  const char *last = dial->trouble.last[0] ? dial->trouble.last : dial->talk.noise;
  dk_autobuf by_hand = DK_BUF_INIT;

  dk_ssh_by_hand(&dial->with.host, &by_hand);
  dk_error_set(
      ret, -ETIMEDOUT,
      "nothing came of it for %u s while %s%s%s\n"
      "help: what its login starts (~/.profile, ~/.bashrc, ...) or a file server there may hang; does this come "
      "to a prompt: %s",
      dk_ssh_patience(dial) / 1000,
      dial->step == DK_STEP_PUSH    ? "the agent's program was sent"
      : dial->step == DK_STEP_LOGIN ? "its login shell was to start the agent"
      : dial->talk.has_spoken       ? "it was set up"
                                    : "ssh logged in",
      *last ? "; the last that was said: " : "", last, dk_buf_text(&by_hand));
}

void dk_ssh_on_timer(void *ctx, int fd, short revents) {
  struct dk_dial *dial = ctx;
  struct dk_error error = {0};
  uint64_t n;

  (void)revents;
  if (read(fd, &n, sizeof n) != sizeof n) return; /* set anew, or no longer, since it was seen */
  if (dial->step == DK_STEP_ENDING) {
    dk_ssh_look(dial);
    return;
  }
  tell_silence(dial, &error);
  dk_ssh_over(dial, &error);
}

static void over_memory(struct dk_dial *dial) {
  struct dk_error error = {0};

  dk_error_system(&error, -ENOMEM, "connecting with ssh");
  dk_ssh_over(dial, &error);
}

/* Sending */

/* More of the program into an empty buffer. */
static int refill(struct dk_dial *dial) {
  dk_outbox_clear(&dial->out);
  if (dial->step != DK_STEP_PUSH || dial->pushed == dial->program.size) return 0;
  uint64_t left = dial->program.size - dial->pushed;
  size_t want = left > PART_SIZE ? PART_SIZE : (size_t)left;
  void *room = dk_buf_reserve(&dial->out.bytes, want);
  if (!room) return -ENOMEM;
  long n = dk_ssh_program_read(&dial->program, room, want, dial->pushed);
  if (n <= 0) return n < 0 ? (int)n : -EIO; /* it became shorter */
  dk_buf_commit(&dial->out.bytes, (size_t)n);
  dial->pushed += (uint64_t)n;
  return 0;
}

/* As much as the stream takes now. An error of the stream is seen by the read that follows it. */
static void flush(struct dk_dial *dial) {
  struct dk_error error = {0};
  size_t waiting;

  do {
    int r = dk_outbox_waiting(&dial->out) ? 0 : refill(dial);
    if (r < 0) {
      dk_error_system(&error, r, "reading the agent's program");
      dk_ssh_over(dial, &error);
      return;
    }
    waiting = dk_outbox_waiting(&dial->out);
    if (waiting && dk_outbox_send(&dial->out, dial->child.stream) < 0) {
      dk_outbox_clear(&dial->out);
      dial->pushed = dial->program.size;
      break;
    }
    if (dk_outbox_waiting(&dial->out) < waiting) dk_ssh_set_timer(dial, dk_ssh_patience(dial));
  } while (waiting && !dk_outbox_waiting(&dial->out));
  (void)dk_ssh_watch_stream(dial); /* it is known to the loop: no memory is needed */
}

/* What the host says */

static void answer(struct dk_dial *dial) {
  struct dk_error error = {0};

  if (dial->with.met && dial->with.met(dial->with.ctx, &dial->talk.facts, &error) < 0) {
    dk_ssh_over(dial, &error);
    return;
  }
  if (dk_ssh_program_open(dial->with.agent_program, dial->talk.facts.arch, &dial->program, &error) < 0) {
    dk_ssh_over(dial, &error);
    return;
  }
  dk_ssh_remote_order(&dial->program, &dial->out.bytes);
  if (!dk_buf_ok(&dial->out.bytes)) {
    over_memory(dial);
    return;
  }
  enter(dial, DK_STEP_ORDER);
  flush(dial);
}

static void give_away(struct dk_dial *dial) {
  int fd = dial->child.stream;

  dial->step = DK_STEP_UP;
  dk_loop_unwatch(dial->with.loop, fd);
  dial->child.stream = -1;
  dk_ssh_set_timer(dial, 0);
  dk_ssh_program_close(&dial->program);
  dk_outbox_finish(&dial->out);
  dial->trouble = (struct dk_ssh_trouble){.len = 0}; /* what a login grumbles is not why it ends one day */
  dial->with.done(dial->with.ctx, 0, fd, &dial->talk.facts, NULL);
}

/* The host has done what it was dialled for, and there is no stream to give away. */
static void close_done(struct dk_dial *dial) {
  struct dk_host_facts facts = dial->talk.facts;

  dial->step = DK_STEP_OVER;
  dk_ssh_close(dial);
  dk_ssh_program_close(&dial->program);
  dial->with.done(dial->with.ctx, 0, -1, &facts, NULL);
}

/* Something that has no place at this step: it is broken, or hostile. */
static void refuse(struct dk_dial *dial, const char *what) {
  struct dk_error error = {0};

  dk_error_set(&error, -EPROTO, "what it says makes no sense: %s", what);
  dk_ssh_over(dial, &error);
}

static void fail(struct dk_dial *dial) {
  struct dk_error error = {0};

  dk_error_set(&error, -EREMOTEIO, "%s%s%s", dial->talk.words, dial->talk.help[0] ? "\nhelp: " : "", dial->talk.help);
  dk_ssh_over(dial, &error);
}

static void flooded(struct dk_dial *dial) {
  struct dk_error error = {0};

  dk_error_set(&error, -EOVERFLOW,
               "its login prints more than %u KiB, and nothing of ours among it; the last line: %s\n"
               "help: what a login shell starts should print nothing unless it has a terminal",
               DK_SSH_NOISE >> 10, dial->talk.noise);
  dk_ssh_over(dial, &error);
}

static void handle(struct dk_dial *dial, enum dk_ssh_said said) {
  bool has_stream = dial->with.way == DK_DIAL_AGENT || dial->with.way == DK_DIAL_TRY;

  switch (said) {
  case DK_SSH_NOTHING: break;
  case DK_SSH_FAILED: fail(dial); break;
  case DK_SSH_FLOOD: flooded(dial); break;
  case DK_SSH_ASK:
    if (dial->step == DK_STEP_FACTS)
      answer(dial);
    else
      refuse(dial, "it asks twice");
    break;
  case DK_SSH_WANT:
    if (dial->step != DK_STEP_ORDER || strcmp(dial->talk.name, dial->program.name) != 0) {
      refuse(dial, "it wants what it was not offered");
      break;
    }
    enter(dial, DK_STEP_PUSH);
    dial->pushed = 0;
    flush(dial);
    break;
  case DK_SSH_GO:
    if (!has_stream || (dial->step != DK_STEP_ORDER && dial->step != DK_STEP_PUSH) || dk_outbox_waiting(&dial->out) ||
        (dial->step == DK_STEP_PUSH && dial->pushed < dial->program.size))
      refuse(dial, "it goes on without the program");
    else
      enter(dial, DK_STEP_LOGIN);
    break;
  case DK_SSH_READY: give_away(dial); break;
  case DK_SSH_DONE:
    if (has_stream)
      refuse(dial, "it did what it was not asked for");
    else
      close_done(dial);
    break;
  }
}

void dk_ssh_on_stream(void *ctx, int fd, short revents) {
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
    dk_ssh_end_soon(dial);
    return;
  }
  enum dk_ssh_said said = dk_ssh_talk_feed(&dial->talk, text, (size_t)n, &used);
  if (recv(fd, text, used, MSG_DONTWAIT) != (ssize_t)used) {
    dk_ssh_end_soon(dial);
    return;
  }
  if (said != DK_SSH_NOTHING) handle(dial, said);
}

int dk_ssh_dial(const struct dk_dial_options *options, struct dk_dial **ret, struct dk_error *error) {
  *ret = NULL;
  int r = dk_ssh_check_config(&options->host, error);
  if (r < 0) return r;
  struct dk_dial *dial = dk_calloc(1, sizeof *dial);
  if (!dial) return dk_error_system(error, -ENOMEM, "connecting with ssh");
  dial->with = *options;
  dial->child = (struct dk_ssh_child)DK_SSH_CHILD_INIT;
  dial->program.fd = -1;
  dial->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  r = dial->timer < 0 ? -errno : dk_loop_watch(options->loop, dial->timer, POLLIN, dk_ssh_on_timer, dial);
  if (r < 0)
    dk_error_system(error, r, "connecting with ssh");
  else
    r = dk_ssh_start(dial, error);
  if (r < 0) {
    dk_ssh_hang_up(dial);
    return r;
  }
  *ret = dial;
  return 0;
}

/* The stream may have ended a moment before ssh says why. */
const char *dk_ssh_why(struct dk_dial *dial) {
  if (!dial || dial->step != DK_STEP_UP) return NULL;
  uint64_t until = dk_now_ns() + WHY_NS;
  while (!dk_ssh_child_has_ended(&dial->child) && dk_now_ns() < until) poll(NULL, 0, 2);
  dk_ssh_read_words(dial);
  dk_ssh_trouble_end(&dial->trouble);
  if (dial->trouble.last[0] == '\0' && dial->child.status <= 0) return NULL;
  dk_ssh_trouble_explain(&dial->trouble, &dial->with.host, dial->child.status, NULL, &dial->why);
  return dial->why.text;
}

void dk_ssh_hang_up(struct dk_dial *dial) {
  if (!dial) return;
  dk_ssh_close(dial);
  dk_ssh_child_end(&dial->child, dial->with.loop);
  dk_ssh_program_close(&dial->program);
  dk_outbox_finish(&dial->out);
  dk_free(dial);
}
