/* A command's connection to the engine of a state folder: found, started when wanted, and talked to
 * (engine/drive/talk.h). */
#ifndef DK_CLI_CLIENT_H
#define DK_CLI_CLIENT_H

#include "engine/cli/cli.h"
#include "engine/drive/talk.h"

#include <errno.h>

struct dk_client {
  struct dk_talk_stream stream;
};
#define DK_CLIENT_INIT                                                                                                 \
  {                                                                                                                    \
    { .fd = -1 }                                                                                                       \
  }

/* Connects to the engine that works in cli->state. -ENOENT: none does (also one that is just ending). -EPROTO: it is of
 * another version, with words. An engine that has the lock but does not listen yet is waited for. */
int dk_client_connect(struct dk_cli *cli, struct dk_client *ret, struct dk_error *error);
/* The same; one is started in the background when none works here. What keeps it from starting is the error. */
int dk_client_start(struct dk_cli *cli, struct dk_client *ret, struct dk_error *error);
void dk_client_close(struct dk_client *client);

/* Asks an engine without work to end, and returns when it has, at the latest after some seconds: for who wants the
 * folder's lock, which decides. */
void dk_client_dismiss(struct dk_cli *cli);

/* Waits for the next frame (tests of the clock: never longer than `wait_ns`). 1, 0: nothing came, -ECONNRESET: the
 * engine has gone. */
int dk_client_next(struct dk_client *client, uint64_t wait_ns, struct dk_talk *ret);
/* Says something and waits for SUBMITTED, DONE, LOG or REFUSED; notes that come meanwhile are left out. REFUSED is its
 * code, with words. -ECONNRESET or -EPIPE: the engine has gone; whether it heard is not known. */
int dk_client_call(struct dk_client *client, const struct dk_talk *talk, struct dk_talk *ret, struct dk_error *error);
static inline bool dk_client_is_lost(int r) {
  return r == -ECONNRESET || r == -EPIPE;
}
/* dk_client_start and dk_client_call, again when the engine is lost meanwhile: nothing that is said here does harm when
 * it is said twice. On failure nothing is open. */
int dk_client_start_call(struct dk_cli *cli, const struct dk_talk *talk, struct dk_client *ret_client,
                         struct dk_talk *ret, struct dk_error *error);

#endif
