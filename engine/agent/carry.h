/* Bytes both ways between two streams, until either ends. */
#ifndef DK_AGENT_CARRY_H
#define DK_AGENT_CARRY_H

/* `in` and `out` are one side (made non-blocking meanwhile), `sock` is the other, a non-blocking socket. When `in`
 * ends, the socket's way out is closed and what still comes from it is carried; when the socket ends, what came is
 * carried and that is all. Ends at once when nobody reads `out` any more. 0 or -ENOMEM. */
int dk_carry(int in, int out, int sock);

#endif
