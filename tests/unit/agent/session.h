/* A recorded session: what an engine said to a real agent, and what that answered, in turns. tests/data/session3 has
 * one.
 *
 * A folder with two files a turn, `NN-engine` and `NN-agent`: bytes as they were on the stream, whole frames. A turn in
 * which the engine says HELLO begins with a new connection. In a turn in which it says nothing, a file `go` comes into
 * the folder of the task in the first slot, which waits for it; before it asks for a log, that task has made a file
 * `here`. The agent has one slot, and a folder of its own. */
#ifndef DK_TEST_SESSION_H
#define DK_TEST_SESSION_H

#include "tests/unit/agent/client.h"

#define SESSION_TURNS_MAX 99
struct turn {
  struct dk_buf engine, agent;
};
struct session {
  struct turn turns[SESSION_TURNS_MAX];
  uint32_t n;
};

void session_load(struct session *session, const char *dir); /* fails the test when there is none */
void session_save(const struct session *session, const char *dir);
void session_finish(struct session *session);

/* Plays the engine's side of a turn against the client's daemon. *answer gets as many frames as are in `n`, as they
 * came. */
void session_play(struct client *client, const struct turn *turn, uint32_t n, struct dk_buf *ret_answer);

/* Calls `look` for each message, with the bytes of its frame; returns how many there are. Fails the test when it cannot
 * be read. */
typedef void session_look_fn(void *ctx, struct dk_message *message, const char *frame, size_t len);
uint32_t session_each(const struct dk_buf *bytes, session_look_fn *look, void *ctx);

/* What differs from time to time and from machine to machine is made nothing. */
void session_level(struct dk_message *message);

#endif
