/* See carry.h. Each way holds at most one buffer: it is read into when it is empty. */
#include "engine/agent/carry.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE (256u << 10)

struct way {
  int from, to;
  char *data;
  size_t at, len;  /* what is not written yet: at .. len */
  bool has_ended;  /* `from`: nothing more comes */
  bool is_useless; /* `to`: it takes nothing more */
};

static bool is_empty(const struct way *way) {
  return way->at == way->len;
}

static bool wants_read(const struct way *way) {
  return is_empty(way) && !way->has_ended;
}

static bool is_later(void) {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void take(struct way *way) {
  ssize_t n = read(way->from, way->data, SIZE);
  if (n < 0 && is_later()) return;
  way->at = 0;
  way->len = n > 0 ? (size_t)n : 0;
  way->has_ended = n <= 0;
}

static void give(struct way *way) {
  ssize_t n = write(way->to, way->data + way->at, way->len - way->at);
  if (n < 0 && is_later()) return;
  if (n > 0) way->at += (size_t)n;
  if (n >= 0) return;
  way->is_useless = way->has_ended = true;
  way->at = way->len = 0;
}

/* What nothing is wanted of is not waited for: an end that is not taken yet would wake this up for ever. */
static struct pollfd wait_for(int fd, short events) {
  return (struct pollfd){.fd = events ? fd : -1, .events = events};
}

static void carry(struct way *to_sock, struct way *from_sock) {
  bool is_shut = false;
  while (!(from_sock->has_ended && is_empty(from_sock))) {
    short events = (short)((wants_read(from_sock) ? POLLIN : 0) | (is_empty(to_sock) ? 0 : POLLOUT));
    struct pollfd fds[3] = {wait_for(to_sock->from, wants_read(to_sock) ? POLLIN : 0),
                            wait_for(to_sock->to, events),
                            {.fd = from_sock->to, .events = (short)(is_empty(from_sock) ? 0 : POLLOUT)}};
    if (poll(fds, 3, -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL)) return; /* nobody reads that */
    if (fds[0].revents) take(to_sock);
    if (fds[1].revents && wants_read(from_sock)) take(from_sock);
    if (!is_empty(to_sock)) give(to_sock);
    if (!is_empty(from_sock)) give(from_sock);
    if (from_sock->is_useless) return;
    if (is_shut || !to_sock->has_ended || !is_empty(to_sock)) continue;
    (void)shutdown(to_sock->to, SHUT_WR); /* it may be gone */
    is_shut = true;
  }
}

int dk_carry(int in, int out, int sock) {
  dk_autofree char *data = dk_alloc((size_t)2 * SIZE);
  if (!data) return -ENOMEM;
  struct way to_sock = {.from = in, .to = sock, .data = data},
             from_sock = {.from = sock, .to = out, .data = data + SIZE};
  int in_flags = fcntl(in, F_GETFL), out_flags = fcntl(out, F_GETFL);
  (void)fcntl(in, F_SETFL, in_flags | O_NONBLOCK);
  (void)fcntl(out, F_SETFL, out_flags | O_NONBLOCK);
  carry(&to_sock, &from_sock);
  /* They may be a terminal's, and others' too. */
  (void)fcntl(out, F_SETFL, out_flags);
  (void)fcntl(in, F_SETFL, in_flags);
  return 0;
}
