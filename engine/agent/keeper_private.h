/* The insides of the keeper, shared by keeper.c (its life), keeper_daemon.c (who gives orders) and keeper_task.c (what
 * it does about them). For nobody else. */
#ifndef DK_AGENT_KEEPER_PRIVATE_H
#define DK_AGENT_KEEPER_PRIVATE_H

#include "engine/agent/booking.h"
#include "engine/agent/conn.h"
#include "engine/agent/keeper.h"
#include "engine/agent/task.h"

#define DK_KEEPER_PATIENCE_NS 250000000u /* longest sleep while a task runs: a SIGCHLD is never waited for longer */

struct order {
  struct dk_id id;
  struct dk_job job;
};

struct keeper {
  struct dk_keeper_options options;
  struct dk_slot slot;
  struct dk_journal journal;
  bool has_journal; /* false: it could not be opened; tried again for each order */
  uint8_t boot[16];
  uint64_t start_ticks;
  int child_fd; /* signalfd of SIGCHLD */
  struct dk_conn conn;
  bool has_daemon;      /* it said hello */
  bool must_end;        /* it said that nothing will come any more */
  bool is_away;         /* the slot's folder is no longer where it was: this keeper takes no orders */
  struct order *orders; /* a queue: first .. n */
  size_t first, n, cap;
  bool is_running; /* a task is here */
  bool is_told;    /* STARTED or HAS was said for it */
  struct dk_task task;
  struct dk_machine machine;
  struct dk_booking booking; /* of the running task, or of the first order while that waits */
  struct dk_id booked_for;
  uint64_t flush_at, service_at, idle_since, folder_at;
};

/* The daemon. A failed connection is dropped; the next daemon hears everything from the journal. */

/* Says nothing when there is no daemon; goes out with the next flush. */
void dk_keeper_say_refused(struct keeper *k, struct dk_id id, enum dk_refusal reason, const char *text);
int dk_keeper_say_result(void *ctx, uint64_t seq, struct dk_id id, struct dk_result *result); /* ctx: the keeper; 0 */
void dk_keeper_flush(struct keeper *k);
void dk_keeper_flush_soon(struct keeper *k); /* when more to say had time to come */

void dk_keeper_remove_order(struct keeper *k, size_t i);
void dk_keeper_drop_orders(struct keeper *k);
void dk_keeper_give_back(struct keeper *k, size_t kept); /* all but the first `kept` orders */

/* Waits for a child's end, the daemon or room on the machine, at most until deadline_ns, and does what the daemon
 * says. */
void dk_keeper_poll(struct keeper *k, uint64_t deadline_ns);
/* A dk_fs_stop_fn, asked while files are copied or read: answers the daemon; true: the task is to be ended. */
bool dk_keeper_service(void *ctx);

/* Tasks. */

/* Begins orders until one runs, waits for room, or none is left. */
void dk_keeper_begin_tasks(struct keeper *k);
/* Looks after the one that runs. */
void dk_keeper_run_task(struct keeper *k);
/* When one of the two has something to do. Only when a task runs or is ordered. */
uint64_t dk_keeper_task_deadline(const struct keeper *k);

/* Life. */

/* 0 when it is open already. Opening it ends what an earlier keeper left running. */
int dk_keeper_open_journal(struct keeper *k, struct dk_error *error);
/* Has the slot's folder gone, or moved? Then this keeper ends, and its orders are dropped. */
void dk_keeper_look_for_folder(struct keeper *k);

#endif
