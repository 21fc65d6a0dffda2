/* The insides of the agent's daemon, shared by serve.c (its life), serve_engines.c (who gives orders), serve_keepers.c
 * (who carries them out) and serve_act.c (the core between them). For nobody else. */
#ifndef DK_AGENT_SERVE_PRIVATE_H
#define DK_AGENT_SERVE_PRIVATE_H

#include "engine/agent/conn.h"
#include "engine/agent/fetch.h"
#include "engine/agent/memory.h"
#include "engine/agent/serve.h"
#include "engine/agent/state.h"
#include "engine/sys/cgroup.h"
#include "engine/sys/gpu.h"
#include "engine/sys/lock.h"
#include "engine/sys/loop.h"

#include <sys/resource.h>
#include <sys/stat.h>

#define DK_SERVE_RETRY_NS 500000000u /* what failed is tried again this much later */
#define DK_SERVE_GONE_NS 5000000000u /* how often it looks whether its folder and its socket are still there */

struct serve;

/* Who gives orders. */
struct engine {
  struct serve *serve;
  uint32_t number; /* the core's name of the connection */
  struct dk_conn conn;
  bool is_closing; /* after what is to be sent */
  bool is_behind;  /* it asks for more than it takes: what it says waits in conn.in */
};

/* Who carries out those of one slot. */
struct keeper {
  struct serve *serve;
  uint32_t slot;
  struct dk_conn conn;
  bool is_known;     /* the core was told of it */
  bool is_lost;      /* and that it was lost, but not yet that it, or the next one, is ready */
  uint64_t ack;      /* to be sent: everything up to here is forgotten; 0: nothing */
  uint64_t retry_at; /* UINT64_MAX: not to be started again by itself */
  uint64_t started_at;
  uint64_t seen_at; /* when its slot was last looked for */
  bool is_old;      /* of another version: it gets no orders, the next one does */
  int ledger;       /* the same description as the keeper's: what it booked stays booked when it is killed; -1 */
  int bequest;      /* of the one before it, until what that left running is ended; -1 */
};

struct serve {
  struct dk_serve_options options;
  char *root;
  struct dk_buf ledger;      /* directory where the machine is booked */
  struct dk_cgroups cgroups; /* for tasks with a memory limit */
  bool books_cpus;           /* else only memory and GPUs */
  struct rlimit nofile;      /* as it was at the start: the tasks' */
  struct dk_lock lock;
  struct dk_loop *loop;
  struct dk_memory memory;
  struct dk_agent *agent;
  struct dk_fetch *fetch;
  struct dk_gpus gpus;
  struct dk_buf models; /* of them, as WELCOME has it */
  struct dk_agent_out out;
  int listener;
  struct stat bound; /* the socket's file, while listener is not -1 */
  uint64_t look_at;  /* at the socket's file */
  struct engine **engines;
  size_t n_engines, cap_engines;
  uint32_t next_conn;
  struct keeper **keepers; /* by slot; NULL: none yet */
  uint32_t n_keepers;
  bool is_marked, must_end;
  bool is_hurried; /* got a HUP: ends now, if it is idle */
  uint64_t next_seq;
  uint64_t idle_since;
  int broken; /* negative errno: the core must be thrown away */
};

/* In the daemon's log. */
void dk_serve_complain(const char *what, const struct dk_error *error);

/* The folder was moved: what its lock lies in is the root from now on. Keepers see it by themselves, and those in the
 * new place follow. false: it is not to be found (something is mounted over it, or it was unmounted): what is at its
 * path is not ours, and neither are the keepers that are met there. */
bool dk_serve_follow_folder(struct serve *s);

/* Tells the core, and does what it says. Nothing once the daemon is broken. */
void dk_serve_step(struct serve *s, struct dk_agent_event *event);

/* Engines. */

/* The socket of the folder, in place of the one before, if any; that one stays when this fails. */
int dk_serve_listen(struct serve *s, struct dk_error *error);
void dk_serve_let_in(struct serve *s); /* who waits at the socket */
void dk_serve_look_at_socket(struct serve *s);
struct engine *dk_serve_find_engine(struct serve *s, uint32_t number); /* NULL: gone */
void dk_serve_flush_engines(struct serve *s);
void dk_serve_hear_engines(struct serve *s);       /* those that were behind, and are not any more */
bool dk_serve_is_any_ready(const struct serve *s); /* to be heard like that, at once */
void dk_serve_close_engines(struct serve *s);      /* and the socket */

/* Objects, and answers. */

bool dk_serve_say_lacks(void *ctx, const struct dk_digest *digest, uint64_t offset); /* a dk_fetch_say_fn; ctx: s */
/* What this job needs and is not here is asked for. */
void dk_serve_fetch(struct serve *s, struct dk_id id, const struct dk_job *job);
/* Goes on with what takes long, and tells the core of orders whose data is here, or will not come. */
void dk_serve_work(struct serve *s);
uint64_t dk_serve_free(const struct serve *s); /* bytes, where its folder is */
/* true: it was about objects, a log or a sign of life, from the session's connection, and is done with. The core has no
 * part in that. */
bool dk_serve_answer(struct serve *s, uint32_t conn, const struct dk_message *message);

/* Keepers. */

int dk_serve_find_slots(struct serve *s, struct dk_error *error);    /* those that an earlier agent used */
struct keeper *dk_serve_need_keeper(struct serve *s, uint32_t slot); /* its entry; NULL: no memory */
int dk_serve_start_keeper(struct keeper *keeper, struct dk_error *error);
/* Its connection is dead: it is found again, or the next one is started. */
void dk_serve_lose_keeper(struct keeper *keeper);
/* Somebody removed the slots: the keeper ends when it sees that, before any order, and then the core places the order
 * again. Looked for four times a second. */
bool dk_serve_is_slot_gone(struct keeper *keeper);
void dk_serve_to_keeper(struct serve *s, uint32_t slot, const struct dk_message *message);
void dk_serve_retry_keepers(struct serve *s);
uint64_t dk_serve_retry_at(const struct serve *s); /* when that has something to do; UINT64_MAX: not */
void dk_serve_flush_keepers(struct serve *s);
/* Nothing is left to do: keepers need not wait for another daemon. */
void dk_serve_dismiss_keepers(struct serve *s);
void dk_serve_close_keepers(struct serve *s);

#endif
