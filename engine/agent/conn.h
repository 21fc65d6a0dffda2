/* A stream of messages over a non-blocking socket: what waits to go out, what came in and is not taken yet. */
#ifndef DK_AGENT_CONN_H
#define DK_AGENT_CONN_H

#include "engine/sys/outbox.h"
#include "engine/wire/message.h"

struct dk_conn {
  int fd; /* owned; -1: closed */
  struct dk_buf in;
  size_t in_at; /* taken of it */
  struct dk_outbox out;
};

void dk_conn_init(struct dk_conn *conn, int fd);
void dk_conn_finish(struct dk_conn *conn); /* closes; what waits is lost */

/* Appends to what waits. 0, -ENOMEM, -EMSGSIZE. */
int dk_conn_put(struct dk_conn *conn, const struct dk_message *message);
/* Sends what the socket takes. 0, also when some is left (dk_conn_is_waiting); negative errno: the connection is
 * dead. */
int dk_conn_flush(struct dk_conn *conn);
bool dk_conn_is_waiting(const struct dk_conn *conn);
/* Reads what is there, some MiB at most. 0; -EPIPE at its end; another negative errno. */
int dk_conn_fill(struct dk_conn *conn);
/* The next whole message: 1 (finish it), 0: none, negative errno: the stream is broken. */
int dk_conn_next(struct dk_conn *conn, struct dk_message *ret, struct dk_error *error);

#endif
