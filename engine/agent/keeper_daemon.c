/* The keeper and the agent's daemon: what is said to it, the queue of what it orders, and what else it wants. */
#include "engine/agent/keeper_private.h"
#include "engine/sys/loop.h"
#include "engine/sys/sock.h"
#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define BATCH_NS 5000000u   /* reports wait for company this long, when there is more to do */
#define SERVICE_NS 5000000u /* while files are copied or read, the socket is looked at this often */

/* To the daemon. */

static void drop_daemon(struct keeper *k) {
  dk_conn_finish(&k->conn);
  k->has_daemon = false;
  k->flush_at = UINT64_MAX;
  k->idle_since = dk_now_ns();
}

void dk_keeper_flush_soon(struct keeper *k) {
  if (k->flush_at == UINT64_MAX) k->flush_at = dk_now_ns() + BATCH_NS;
}

static void say(struct keeper *k, const struct dk_message *message) {
  if (!k->has_daemon) return;
  if (dk_conn_put(&k->conn, message) < 0) {
    drop_daemon(k); /* no memory: a daemon that connects again hears everything from the journal */
    return;
  }
  dk_keeper_flush_soon(k);
}

static void say_started(struct keeper *k) {
  k->is_told = true;
  struct dk_message message = {.type = DK_MSG_STARTED, .id = k->task.id};
  message.u.started.slot = k->slot.number;
  message.u.started.unix_ns = k->task.result.started_unix_ns;
  say(k, &message);
}

/* A task so short that its RESULT goes out with this batch needs no STARTED. */
void dk_keeper_flush(struct keeper *k) {
  if (k->has_daemon && k->is_running && !k->is_told) say_started(k);
  k->flush_at = UINT64_MAX; /* also without a daemon: what is due and stays due would keep the loop awake */
  if (k->has_daemon && dk_conn_flush(&k->conn) < 0) drop_daemon(k);
}

static void say_plain(struct keeper *k, enum dk_message_type type, struct dk_id id) {
  struct dk_message message = {.type = type, .id = id};
  say(k, &message);
}

void dk_keeper_say_refused(struct keeper *k, struct dk_id id, enum dk_refusal reason, const char *text) {
  struct dk_message message = {.type = DK_MSG_REFUSED, .id = id};
  message.u.refused.reason = reason;
  message.u.refused.text = (char *)text;
  say(k, &message);
}

int dk_keeper_say_result(void *ctx, uint64_t seq, struct dk_id id, struct dk_result *result) {
  struct keeper *k = ctx;
  struct dk_message message = {.type = DK_MSG_RESULT, .id = id, .seq = seq};
  message.u.result = *result; /* shallow */
  say(k, &message);
  return 0;
}

/* The queue of orders. */

static size_t find_order(const struct keeper *k, struct dk_id id) {
  size_t i = k->first;
  while (i < k->n && !dk_id_equal(k->orders[i].id, id)) i++;
  return i;
}

/* One that is here already is the same order, said again: an attempt starts once. */
static int add_order(struct keeper *k, struct dk_message *message) {
  if (find_order(k, message->id) < k->n || (k->is_running && dk_id_equal(k->task.id, message->id))) return 0;
  if (k->first > 0 && k->first * 2 >= k->n) {
    k->n -= k->first;
    memmove(k->orders, k->orders + k->first, k->n * sizeof *k->orders);
    k->first = 0;
  }
  if (!dk_grow(k->orders, k->n, k->cap)) return -ENOMEM;
  k->orders[k->n++] = (struct order){message->id, message->u.job};
  memset(&message->u.job, 0, sizeof message->u.job);
  return 0;
}

void dk_keeper_remove_order(struct keeper *k, size_t i) {
  dk_job_finish(&k->orders[i].job);
  memmove(&k->orders[i], &k->orders[i + 1], (k->n - i - 1) * sizeof *k->orders);
  k->n--;
}

void dk_keeper_drop_orders(struct keeper *k) {
  while (k->n > k->first) dk_keeper_remove_order(k, k->n - 1);
}

/* Last first: the agent puts each at the front of its queue. `kept` of them stay. */
void dk_keeper_give_back(struct keeper *k, size_t kept) {
  while (k->n > k->first + kept) {
    say_plain(k, DK_MSG_REVOKED, k->orders[k->n - 1].id);
    dk_keeper_remove_order(k, k->n - 1);
  }
  dk_keeper_flush(k);
}

/* From the daemon. */

static void on_hello(struct keeper *k) {
  k->has_daemon = true;
  dk_keeper_drop_orders(k); /* an earlier daemon's; nobody knows of them now */
  struct dk_message welcome = {.type = DK_MSG_WELCOME};
  welcome.u.welcome.protocol = DK_PROTOCOL;
  memcpy(welcome.u.welcome.boot, k->boot, sizeof k->boot);
  welcome.u.welcome.slots = 1;
  welcome.u.welcome.pid = (uint32_t)getpid();
  welcome.u.welcome.version = (char *)DK_VERSION;
  say(k, &welcome);
  if (k->is_running) {
    struct dk_message has = {.type = DK_MSG_HAS, .id = k->task.id};
    has.u.has.state = DK_ATTEMPT_RUNNING;
    has.u.has.slot = k->task.job.cpus; /* here: how many slots it books */
    say(k, &has);
    say_started(k);
  }
  if (k->has_journal && dk_journal_each(&k->journal, dk_keeper_say_result, k, NULL) < 0) {
    drop_daemon(k); /* it will come again, or start another keeper */
    return;
  }
  say_plain(k, DK_MSG_HAS_END, (struct dk_id){0});
  dk_keeper_flush(k);
}

static void note_killed(struct keeper *k, struct dk_id id) {
  struct dk_result result = {.cause = DK_CAUSE_KILLED, .text = (char *)"ended before it started"};
  uint64_t seq;
  if (!k->has_journal) {
    dk_keeper_say_refused(k, id, DK_REFUSED_DISK, "ended before it started");
    return;
  }
  (void)dk_journal_note(&k->journal, id, &result, &seq, NULL);
  dk_keeper_say_result(k, seq, id, &result);
}

static void on_kill(struct keeper *k, const struct dk_message *message) {
  size_t i = find_order(k, message->id);
  if (i < k->n) {
    dk_keeper_remove_order(k, i);
    note_killed(k, message->id);
  } else if (k->is_running && dk_id_equal(k->task.id, message->id)) {
    dk_task_kill(&k->task, dk_now_ns(), message->u.kill.grace_ms);
  }
}

static void on_message(struct keeper *k, struct dk_message *message) {
  if (message->type != DK_MSG_HELLO && !k->has_daemon) return;
  size_t i;
  switch (message->type) {
  case DK_MSG_HELLO: on_hello(k); break;
  case DK_MSG_ASSIGN:
    if (add_order(k, message) < 0)
      dk_keeper_say_refused(k, message->id, DK_REFUSED_BUSY, "the keeper is out of memory");
    break;
  case DK_MSG_REVOKE:
    i = find_order(k, message->id);
    if (i < k->n) {
      dk_keeper_remove_order(k, i);
      say_plain(k, DK_MSG_REVOKED, message->id);
    }
    break;
  case DK_MSG_KILL: on_kill(k, message); break;
  case DK_MSG_ACK:
    if (k->has_journal) dk_journal_forget(&k->journal, message->seq);
    break;
  case DK_MSG_CLOSED: k->must_end = true; break;
  default: break;
  }
}

static void read_daemon(struct keeper *k) {
  int ended = dk_conn_fill(&k->conn);
  struct dk_message message;
  int r = 0;
  while (k->conn.fd >= 0 && (r = dk_conn_next(&k->conn, &message, NULL)) > 0) {
    on_message(k, &message);
    dk_message_finish(&message);
  }
  if (k->conn.fd >= 0 && (r < 0 || ended < 0)) drop_daemon(k);
}

static void accept_daemon(struct keeper *k) {
  int fd = dk_sock_accept(k->options.listener, NULL);
  if (fd < 0) return;
  drop_daemon(k); /* the newest one is the one that lives: it holds the lock */
  dk_conn_init(&k->conn, fd);
}

void dk_keeper_poll(struct keeper *k, uint64_t deadline_ns) {
  struct pollfd fds[3 + DK_BOOKING_FDS] = {
      {.fd = k->child_fd, .events = POLLIN}, {.fd = k->options.listener, .events = POLLIN}, {.fd = k->conn.fd}};
  int room[DK_BOOKING_FDS];
  dk_booking_fds(&k->booking, room);
  for (int i = 0; i < DK_BOOKING_FDS; i++) fds[3 + i] = (struct pollfd){.fd = room[i], .events = POLLIN};
  /* What is not flushed yet is no reason to wake up. */
  fds[2].events = (short)(POLLIN | (k->flush_at == UINT64_MAX && dk_conn_is_waiting(&k->conn) ? POLLOUT : 0));
  uint64_t now = dk_now_ns();
  uint64_t wait = deadline_ns <= now ? 0 : deadline_ns - now;
  struct timespec time = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
  if (ppoll(fds, 3 + DK_BOOKING_FDS, deadline_ns == UINT64_MAX ? NULL : &time, NULL) <= 0) return;
  if (fds[0].revents) {
    struct signalfd_siginfo info[4];
    while (read(k->child_fd, info, sizeof info) == (ssize_t)sizeof info) continue;
  }
  if (fds[2].revents & POLLOUT) {
    if (dk_conn_flush(&k->conn) < 0) drop_daemon(k);
  }
  if (fds[2].revents & ~POLLOUT && k->conn.fd == fds[2].fd && k->conn.fd >= 0) read_daemon(k);
  if (fds[1].revents) accept_daemon(k);
}

/* Asked while files are copied or read: answers the daemon, says whether the task is to be ended. */
bool dk_keeper_service(void *ctx) {
  struct keeper *k = ctx;
  uint64_t now = dk_now_ns();
  if (now >= k->service_at) {
    k->service_at = now + SERVICE_NS;
    if (now >= k->flush_at) dk_keeper_flush(k);
    dk_keeper_poll(k, 0);
  }
  return k->task.is_decided && k->task.result.cause == DK_CAUSE_KILLED;
}
