/* See outbox.h. */
#include "engine/sys/outbox.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void dk_outbox_finish(struct dk_outbox *out) {
  dk_buf_finish(&out->bytes);
  out->sent = 0;
}

void dk_outbox_clear(struct dk_outbox *out) {
  dk_buf_clear(&out->bytes);
  out->sent = 0;
}

size_t dk_outbox_waiting(const struct dk_outbox *out) {
  return out->bytes.len - out->sent;
}

/* A stream that never runs dry must not grow for ever; and each byte is moved about once. */
static void drop_sent(struct dk_outbox *out) {
  size_t left = dk_outbox_waiting(out);

  if (left == 0) {
    dk_outbox_clear(out);
  } else if (out->sent > left) {
    memmove(out->bytes.data, out->bytes.data + out->sent, left);
    dk_buf_truncate(&out->bytes, left);
    out->sent = 0;
  }
}

int dk_outbox_send(struct dk_outbox *out, int fd) {
  int r = 0;

  while (r == 0 && out->sent < out->bytes.len) {
    ssize_t n = send(fd, out->bytes.data + out->sent, dk_outbox_waiting(out), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0)
      out->sent += (size_t)n;
    else if (errno != EINTR)
      r = -errno;
  }
  drop_sent(out);
  return r == -EAGAIN || r == -EWOULDBLOCK ? 0 : r;
}
