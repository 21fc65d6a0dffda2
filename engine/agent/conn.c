/* See conn.h. */
#include "engine/agent/conn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_STEP (64u << 10)
#define READ_MOST (4u << 20)

void dk_conn_init(struct dk_conn *conn, int fd) {
  *conn = (struct dk_conn){.fd = fd, .in = DK_BUF_INIT};
}

void dk_conn_finish(struct dk_conn *conn) {
  if (conn->fd >= 0) close(conn->fd);
  dk_buf_finish(&conn->in);
  dk_outbox_finish(&conn->out);
  dk_conn_init(conn, -1);
}

int dk_conn_put(struct dk_conn *conn, const struct dk_message *message) {
  return conn->fd < 0 ? 0 : dk_message_encode(message, &conn->out.bytes);
}

int dk_conn_flush(struct dk_conn *conn) {
  return conn->fd < 0 ? 0 : dk_outbox_send(&conn->out, conn->fd);
}

bool dk_conn_is_waiting(const struct dk_conn *conn) {
  return conn->fd >= 0 && dk_outbox_waiting(&conn->out) > 0;
}

static void drop_taken(struct dk_conn *conn) {
  if (conn->in_at == 0) return;
  size_t left = conn->in.len - conn->in_at;
  memmove(conn->in.data, conn->in.data + conn->in_at, left);
  dk_buf_truncate(&conn->in, left);
  conn->in_at = 0;
}

int dk_conn_fill(struct dk_conn *conn) {
  drop_taken(conn);
  for (size_t got = 0;;) {
    void *room = dk_buf_reserve(&conn->in, READ_STEP);
    if (!room) return -ENOMEM;
    ssize_t n = recv(conn->fd, room, READ_STEP, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
    if (n < 0) return -errno;
    if (n == 0) return -EPIPE;
    dk_buf_commit(&conn->in, (size_t)n);
    got += (size_t)n;
    /* The rest when what came is taken: whoever sends without end must not fill the memory. */
    if ((size_t)n < READ_STEP || got >= READ_MOST) return 0;
  }
}

int dk_conn_next(struct dk_conn *conn, struct dk_message *ret, struct dk_error *error) {
  if (conn->in_at == conn->in.len) return 0;
  long n = dk_message_decode(conn->in.data + conn->in_at, conn->in.len - conn->in_at, ret, error);
  if (n <= 0) return (int)n;
  conn->in_at += (size_t)n;
  return 1;
}
