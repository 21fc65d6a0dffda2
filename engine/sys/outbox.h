/* Bytes that wait to go out of a non-blocking socket. */
#ifndef DK_SYS_OUTBOX_H
#define DK_SYS_OUTBOX_H

#include "lang/base/buf.h"

/* Zero to begin with. What is to be sent is appended to `bytes`, by whoever holds it. */
struct dk_outbox {
  struct dk_buf bytes;
  size_t sent; /* of them; they are kept as long as more is left than they are */
};

void dk_outbox_finish(struct dk_outbox *out);
void dk_outbox_clear(struct dk_outbox *out); /* nothing waits any more */
size_t dk_outbox_waiting(const struct dk_outbox *out);
/* Sends as much as the socket takes now. 0: what is left waits (dk_outbox_waiting); a negative errno: the stream is of
 * no use any more (EPIPE; no signal is raised). */
int dk_outbox_send(struct dk_outbox *out, int fd);

#endif
