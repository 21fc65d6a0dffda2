/* An engine's side for tests: starts the real dkagent on a directory of its own and talks to it. */
#ifndef DK_TEST_AGENT_CLIENT_H
#define DK_TEST_AGENT_CLIENT_H

#include "engine/agent/conn.h"

#include <sys/types.h>

struct client {
  char dir[1024]; /* temporary: agent in dir/agent, objects in dir/objects */
  char objects[1100];
  pid_t daemon;
  uint32_t slots, idle_ms;
  char ledger[1100], machine[1100]; /* what the daemon is started with; empty: off, and this machine */
  const char *program;              /* NULL: the dkagent of this build */
  uint32_t protocol;                /* to say; 0: this build's */
  char *const *env;                 /* of the daemon; NULL: this one's */
  struct dk_conn conn;
  uint64_t session;
  uint64_t inc;
};

void client_init(struct client *client, uint32_t slots); /* makes the directories */
void client_finish(struct client *client);               /* ends daemon and keepers, removes the directory */
void client_start_daemon(struct client *client);
void client_kill_daemon(struct client *client, int signal); /* and waits for its end */
/* Connects (waits for the socket) and says hello; checks the welcome. */
void client_connect(struct client *client);
/* The same over a stream that leads to the agent; false: it ended before the welcome. */
bool client_greet(struct client *client, int fd, struct dk_message *ret_welcome);
void client_disconnect(struct client *client);
void client_send(struct client *client, struct dk_message *message); /* session is filled in */
/* The next message, at most 2 min later; fails the test otherwise. */
void client_next(struct client *client, struct dk_message *ret);
/* The next one of this type; others are dropped. */
void client_expect(struct client *client, enum dk_message_type type, struct dk_message *ret);
/* The result of attempt n; other messages are dropped. Not acknowledged. */
void client_result(struct client *client, uint64_t n, struct dk_result *ret, uint64_t *ret_seq);
void client_ack(struct client *client, uint64_t seq);
void client_list(struct client *client);
void client_kill(struct client *client, uint64_t n, uint64_t grace_ms);

/* A job of `sh -c script` with PATH, T (client.dir) and what this module's other functions add. Finish with
 * dk_job_finish. */
struct dk_job client_job(const struct client *client, const char *script);
/* The same as a remote one: no paths, and an environment that has only T. */
struct dk_job client_remote_job(const struct client *client, const char *script);
void client_add_digest(struct dk_job *job, const struct dk_digest *digest, const char *place, bool is_dir);
/* Bytes offset .. offset + len of an object, which has `total`. */
void client_put(struct client *client, const struct dk_digest *digest, const char *bytes, size_t len, uint64_t offset,
                uint64_t total);
void client_put_all(struct client *client, const void *bytes, size_t len); /* in as many parts as it takes */
/* The next message is LACKS of this object (NULL: any), from this offset on. */
void client_lacks(struct client *client, const struct dk_digest *digest, uint64_t offset);
void client_add_output(struct dk_job *job, const char *name, const char *path, bool is_dir);
void client_add_input(struct dk_job *job, const char *from, const char *place, bool is_dir);
void client_assign(struct client *client, uint64_t n, struct dk_job *job); /* finishes the job */
/* Assigns, waits for the result, acknowledges. */
void client_run(struct client *client, uint64_t n, struct dk_job *job, struct dk_result *ret);

/* The living keeper of a slot; fails when there is none. */
pid_t client_keeper(const struct client *client, uint32_t slot);
pid_t client_find_keeper(const struct client *client, uint32_t slot); /* the same, or 0 */
bool client_wait_for(bool (*is_true)(void *ctx), void *ctx);          /* polls up to 2 min */
bool client_is_alive(pid_t pid);
/* Text of a kept thing: inline or from the object. Heap. */
char *client_text(const struct client *client, const struct dk_kept *kept);
void client_object(const struct client *client, const struct dk_digest *digest, char *ret, size_t size);
void client_sh(const char *command); /* fails the test when it does */

#endif
