/* The stream to the agent: see link.h. What the socket does not take at once is sent when it can. */
#include "engine/drive/link.h"

#include "engine/sys/outbox.h"
#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define RETRY_FIRST_NS 100000000u /* 0.1 s */
#define RETRY_MOST_NS 5000000000u /* 5 s */
/* A host that has never answered may refuse us: it is not asked often. */
#define RETRY_STRANGER_NS 60000000000u
#define READ_SIZE (256u << 10)
/* A connection whose agent says nothing after the hello is no agent. */
#define WELCOME_NS 10000000000u
/* Another machine that says nothing for so long is asked for a sign of life; when none comes, the stream is dead,
 * whatever its transport believes. */
#define QUIET_NS 4000000000u
#define ANSWER_NS 8000000000u

struct dk_link {
  struct dk_link_options with;
  struct dk_dial *dial; /* NULL: none, or one that has nothing to hold */
  bool is_dialling;
  int fd; /* -1: not connected */
  uint64_t session;
  bool welcomed, was_welcomed;
  struct dk_error broken; /* code 0: it is not */
  uint64_t pause;         /* after that */
  uint64_t connected_at, heard_at, asked_at, retry_at, retry_after;
  struct dk_host_facts facts;
  struct dk_buf in;
  struct dk_outbox out;
};

static void on_ready(void *ctx, int fd, short revents);

static int watch(struct dk_link *link) {
  short events = (short)(POLLIN | (dk_outbox_waiting(&link->out) ? POLLOUT : 0));

  return dk_loop_watch(link->with.dial.loop, link->fd, events, on_ready, link);
}

static void hang_up(struct dk_link *link) {
  link->is_dialling = false;
  if (link->dial) link->with.provider->hang_up(link->dial);
  link->dial = NULL;
}

/* The next try waits longer each time until an agent has welcomed us. */
static void retry_later(struct dk_link *link) {
  bool is_stranger = link->with.provider->is_remote && !link->was_welcomed;
  uint64_t most = is_stranger ? RETRY_STRANGER_NS : RETRY_MOST_NS;

  if (link->with.provider->is_remote && link->retry_after < UINT64_C(10) * RETRY_FIRST_NS)
    link->retry_after = UINT64_C(10) * RETRY_FIRST_NS;
  link->retry_at = dk_now_ns() + link->retry_after;
  link->retry_after = link->retry_after * 2 > most ? most : link->retry_after * 2;
}

/* Ends the session. */
static void drop(struct dk_link *link, const char *why) {
  uint64_t session = link->session;
  struct dk_error text = {0};

  if (link->fd < 0) return;
  dk_loop_unwatch(link->with.dial.loop, link->fd);
  close(link->fd);
  link->fd = -1;
  dk_buf_clear(&link->in);
  dk_outbox_clear(&link->out);
  if (link->welcomed) link->retry_after = RETRY_FIRST_NS;
  link->welcomed = false;
  link->broken.code = 0;
  const char *better = link->with.provider->why(link->dial);
  dk_error_set(&text, -ENOTCONN, "%s", better ? better : why); /* the dial's words go with it */
  hang_up(link);
  retry_later(link);
  link->with.down(link->with.ctx, session, text.text);
}

void dk_link_break(struct dk_link *link, const char *why, uint64_t pause_ns) {
  if (link->fd < 0) return;
  dk_error_set(&link->broken, -ECONNABORTED, "%s", why);
  link->pause = pause_ns;
}

/* By us: whatever its transport may know of. */
static void drop_broken(struct dk_link *link) {
  struct dk_error why = link->broken;

  hang_up(link);
  drop(link, why.text);
  link->retry_at = dk_now_ns() + (link->pause > RETRY_MOST_NS ? link->pause : RETRY_MOST_NS);
}

static int say_hello(struct dk_link *link) {
  struct dk_message hello = {.type = DK_MSG_HELLO, .session = link->session};

  memcpy(hello.u.hello.store, link->with.dial.store, sizeof hello.u.hello.store);
  hello.u.hello.protocol = DK_PROTOCOL;
  hello.u.hello.incarnation = link->with.incarnation;
  hello.u.hello.version = (char *)DK_VERSION;
  return dk_link_send(link, &hello);
}

static void on_dialled(void *ctx, int r, int fd, const struct dk_host_facts *facts, const struct dk_error *error) {
  struct dk_link *link = ctx;
  uint64_t session = dk_unix_ns();

  link->is_dialling = false;
  if (r < 0) {
    struct dk_error text = *error;
    hang_up(link);
    retry_later(link);
    link->with.down(link->with.ctx, 0, text.text);
    return;
  }
  link->fd = fd;
  link->facts = *facts;
  /* Sessions of one engine must differ and grow, whatever the wall clock does. */
  link->session = session > link->session ? session : link->session + 1;
  link->connected_at = link->heard_at = link->asked_at = dk_now_ns();
  link->welcomed = false;
  if (say_hello(link) < 0) drop(link, "out of memory");
}

static int on_met(void *ctx, const struct dk_host_facts *facts, struct dk_error *error) {
  const struct dk_link *link = ctx;

  return link->with.met(link->with.ctx, facts, error);
}

static int connect_now(struct dk_link *link, struct dk_error *error) {
  struct dk_dial *dial = NULL;

  link->is_dialling = true;
  int r = link->with.provider->dial(&link->with.dial, &dial, error);
  if (r < 0) {
    link->is_dialling = false;
    retry_later(link);
    return r;
  }
  /* It may have come to its end within the call. */
  if (link->is_dialling || link->fd >= 0)
    link->dial = dial;
  else if (dial)
    link->with.provider->hang_up(dial);
  return 0;
}

int dk_link_create(const struct dk_link_options *options, struct dk_link **ret, struct dk_error *error) {
  struct dk_link *link = dk_calloc(1, sizeof *link);

  *ret = NULL;
  if (!link) return dk_error_system(error, -ENOMEM, "connecting to the agent");
  link->with = *options;
  link->with.dial.met = on_met;
  link->with.dial.done = on_dialled;
  link->with.dial.ctx = link;
  link->fd = -1;
  link->retry_after = RETRY_FIRST_NS;
  link->session = options->after;
  struct dk_error why = {0};
  int r = connect_now(link, &why);
  if (r < 0 && options->provider->is_remote) {
    options->down(options->ctx, 0, why.text);
    r = 0;
  }
  if (r < 0) {
    if (error) *error = why;
    dk_link_destroy(link);
    return r;
  }
  *ret = link;
  return 0;
}

void dk_link_destroy(struct dk_link *link) {
  if (!link) return;
  if (link->fd >= 0) {
    dk_loop_unwatch(link->with.dial.loop, link->fd);
    close(link->fd);
  }
  hang_up(link);
  dk_buf_finish(&link->in);
  dk_outbox_finish(&link->out);
  dk_free(link);
}

/* What the socket takes now; the rest when it is ready. */
static int flush(struct dk_link *link) {
  int r = dk_outbox_send(&link->out, link->fd);

  return r < 0 ? r : watch(link);
}

int dk_link_send(struct dk_link *link, struct dk_message *message) {
  if (link->fd < 0 || message->session != link->session) return 0;
  int r = dk_message_encode(message, &link->out.bytes);
  if (r < 0) return r;
  /* An error here is seen again by the read that follows it, outside of the caller's turn. */
  (void)flush(link);
  return 0;
}

/* Hands out every whole message in the buffer. */
static int take_messages(struct dk_link *link, struct dk_error *error) {
  size_t used = 0;
  uint64_t session = link->session;

  while (link->fd >= 0 && link->session == session && !link->broken.code) {
    struct dk_message message;
    long n = dk_message_decode(link->in.data + used, link->in.len - used, &message, error);
    if (n < 0) return (int)n;
    if (n == 0) break;
    used += (size_t)n;
    if (message.type == DK_MSG_WELCOME) {
      link->welcomed = link->was_welcomed = true;
      link->retry_after = RETRY_FIRST_NS;
    }
    /* Before it has welcomed us an agent has nothing to say, but why it will not. */
    if (link->welcomed || message.type == DK_MSG_CLOSED) link->with.message(link->with.ctx, session, &message);
    dk_message_finish(&message);
  }
  if (link->fd >= 0 && used > 0) {
    memmove(link->in.data, link->in.data + used, link->in.len - used);
    dk_buf_truncate(&link->in, link->in.len - used);
  }
  return 0;
}

static void on_ready(void *ctx, int fd, short revents) {
  struct dk_link *link = ctx;
  struct dk_error error = {0};
  ssize_t n;

  assert(fd == link->fd);
  if (link->broken.code) return;
  if ((revents & POLLOUT) && flush(link) < 0) {
    drop(link, "the agent's stream broke");
    return;
  }
  if (revents & POLLOUT) link->with.room(link->with.ctx);
  if (!(revents & (POLLIN | POLLHUP | POLLERR))) return;
  void *room = dk_buf_reserve(&link->in, READ_SIZE);
  if (!room) {
    drop(link, "out of memory");
    return;
  }
  do {
    n = read(fd, room, READ_SIZE);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
  if (n <= 0) {
    drop(link, n == 0 ? "the agent has gone" : strerror(errno));
    return;
  }
  link->in.len += (size_t)n;
  link->heard_at = dk_now_ns();
  if (take_messages(link, &error) < 0) drop(link, error.text);
}

uint64_t dk_link_session(const struct dk_link *link) {
  return link->session;
}

void dk_link_hurry(struct dk_link *link) {
  link->retry_at = 0;
  link->retry_after = RETRY_FIRST_NS;
}

const struct dk_host_facts *dk_link_facts(const struct dk_link *link) {
  return &link->facts;
}

size_t dk_link_waiting(const struct dk_link *link) {
  return dk_outbox_waiting(&link->out);
}

/* When a sign of life is to be asked for, or, when it was, the stream to be given up. */
static uint64_t quiet_until(const struct dk_link *link) {
  if (!link->with.provider->is_remote) return UINT64_MAX;
  return link->asked_at > link->heard_at ? link->asked_at + ANSWER_NS : link->heard_at + QUIET_NS;
}

/* Something has come that was not read yet: it is we who were silent (stopped, swapped out, at a slow disk). */
static bool has_unread(const struct dk_link *link) {
  struct pollfd stream = {.fd = link->fd, .events = POLLIN};

  return poll(&stream, 1, 0) > 0;
}

uint64_t dk_link_deadline(const struct dk_link *link) {
  if (link->is_dialling) return UINT64_MAX;
  if (link->fd < 0) return link->retry_at;
  if (link->broken.code) return 0;
  return link->welcomed ? quiet_until(link) : link->connected_at + WELCOME_NS;
}

void dk_link_tick(struct dk_link *link, uint64_t now_ns) {
  struct dk_message ping = {.type = DK_MSG_PING, .session = link->session};

  if (now_ns < dk_link_deadline(link)) return;
  if (link->fd < 0) {
    (void)connect_now(link, NULL);
  } else if (link->broken.code) {
    drop_broken(link);
  } else if (has_unread(link)) {
    return;
  } else if (!link->welcomed) {
    drop(link, "the agent did not answer");
  } else if (link->asked_at > link->heard_at) {
    drop(link, "nothing was heard of it for 12 s");
  } else {
    link->asked_at = now_ns;
    (void)dk_link_send(link, &ping); /* no memory: asked again by the next session */
  }
}
