/* The stream to the agent: see link.h. What the socket does not take at once is sent when it can. */
#include "engine/drive/link.h"

#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RETRY_FIRST_NS 100000000u /* 0.1 s */
#define RETRY_MOST_NS 5000000000u /* 5 s */
#define READ_SIZE (256u << 10)
/* A connection whose agent says nothing after the hello is no agent. */
#define WELCOME_NS 10000000000u

struct dk_link {
  struct dk_link_options with;
  int fd; /* -1: not connected */
  uint64_t session;
  bool welcomed;
  uint64_t connected_at, retry_at, retry_after;
  struct dk_buf in, out;
  size_t sent; /* of out */
};

static void on_ready(void *ctx, int fd, short revents);

static int watch(struct dk_link *link) {
  short events = (short)(POLLIN | (link->out.len > link->sent ? POLLOUT : 0));

  return dk_loop_watch(link->with.loop, link->fd, events, on_ready, link);
}

/* Ends the session; the next try waits longer each time until an agent has welcomed us. */
static void drop(struct dk_link *link, const char *why) {
  uint64_t session = link->session;

  if (link->fd < 0) return;
  dk_loop_unwatch(link->with.loop, link->fd);
  close(link->fd);
  link->fd = -1;
  dk_buf_clear(&link->in);
  dk_buf_clear(&link->out);
  link->sent = 0;
  link->retry_after = link->welcomed ? RETRY_FIRST_NS : link->retry_after * 2;
  if (link->retry_after > RETRY_MOST_NS) link->retry_after = RETRY_MOST_NS;
  link->retry_at = dk_now_ns() + link->retry_after;
  link->welcomed = false;
  link->with.down(link->with.ctx, session, why);
}

static int say_hello(struct dk_link *link) {
  struct dk_message hello = {.type = DK_MSG_HELLO, .session = link->session};

  memcpy(hello.u.hello.store, link->with.store, sizeof hello.u.hello.store);
  hello.u.hello.protocol = DK_PROTOCOL;
  hello.u.hello.incarnation = link->with.incarnation;
  hello.u.hello.version = (char *)DK_VERSION;
  return dk_link_send(link, &hello);
}

static int connect_now(struct dk_link *link, struct dk_error *error) {
  uint64_t session = dk_unix_ns();
  int r = link->with.provider->connect(&link->with.host, &link->fd, error);

  if (r < 0) {
    link->fd = -1;
    link->retry_at = dk_now_ns() + link->retry_after;
    link->retry_after = link->retry_after * 2 > RETRY_MOST_NS ? RETRY_MOST_NS : link->retry_after * 2;
    return r;
  }
  /* Sessions of one engine must differ and grow, whatever the wall clock does. */
  link->session = session > link->session ? session : link->session + 1;
  link->connected_at = dk_now_ns();
  link->welcomed = false;
  r = say_hello(link);
  if (r < 0) return dk_error_system(error, r, "talking to the agent");
  return 0;
}

int dk_link_create(const struct dk_link_options *options, struct dk_link **ret, struct dk_error *error) {
  struct dk_link *link = dk_calloc(1, sizeof *link);

  *ret = NULL;
  if (!link) return dk_error_system(error, -ENOMEM, "connecting to the agent");
  link->with = *options;
  link->fd = -1;
  link->retry_after = RETRY_FIRST_NS;
  int r = connect_now(link, error);
  if (r < 0) {
    dk_link_destroy(link);
    return r;
  }
  *ret = link;
  return 0;
}

void dk_link_destroy(struct dk_link *link) {
  if (!link) return;
  if (link->fd >= 0) {
    dk_loop_unwatch(link->with.loop, link->fd);
    close(link->fd);
  }
  dk_buf_finish(&link->in);
  dk_buf_finish(&link->out);
  dk_free(link);
}

/* What the socket takes now; the rest when it is ready. */
static int flush(struct dk_link *link) {
  while (link->sent < link->out.len) {
    ssize_t n = send(link->fd, link->out.data + link->sent, link->out.len - link->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return watch(link);
    if (n < 0) return -errno;
    link->sent += (size_t)n;
  }
  dk_buf_clear(&link->out);
  link->sent = 0;
  return watch(link);
}

int dk_link_send(struct dk_link *link, struct dk_message *message) {
  if (link->fd < 0 || message->session != link->session) return 0;
  int r = dk_message_encode(message, &link->out);
  if (r < 0) return r;
  /* An error here is seen again by the read that follows it, outside of the caller's turn. */
  (void)flush(link);
  return 0;
}

/* Hands out every whole message in the buffer. */
static int take_messages(struct dk_link *link, struct dk_error *error) {
  size_t used = 0;
  uint64_t session = link->session;

  while (link->fd >= 0 && link->session == session) {
    struct dk_message message;
    long n = dk_message_decode(link->in.data + used, link->in.len - used, &message, error);
    if (n < 0) return (int)n;
    if (n == 0) break;
    used += (size_t)n;
    if (message.type == DK_MSG_WELCOME) {
      link->welcomed = true;
      link->retry_after = RETRY_FIRST_NS;
    }
    link->with.message(link->with.ctx, session, &message);
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
  if ((revents & POLLOUT) && flush(link) < 0) {
    drop(link, "the agent's stream broke");
    return;
  }
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
  if (take_messages(link, &error) < 0) drop(link, error.text);
}

uint64_t dk_link_deadline(const struct dk_link *link) {
  if (link->fd < 0) return link->retry_at;
  return link->welcomed ? UINT64_MAX : link->connected_at + WELCOME_NS;
}

void dk_link_tick(struct dk_link *link, uint64_t now_ns) {
  if (link->fd < 0 && now_ns >= link->retry_at)
    (void)connect_now(link, NULL);
  else if (link->fd >= 0 && !link->welcomed && now_ns >= link->connected_at + WELCOME_NS)
    drop(link, "the agent did not answer");
}
