/* See keeper.h. The order of things for a task: START in the journal, directory filled, program started, tree dead, outputs
 * kept, END in the journal, RESULT to the daemon; ACK from the daemon forgets it. */
#include "engine/agent/keeper.h"
#include "engine/agent/booking.h"
#include "engine/agent/conn.h"
#include "engine/agent/survivors.h"
#include "engine/agent/task.h"
#include "engine/sys/loop.h"
#include "engine/sys/proc.h"
#include "engine/sys/sock.h"
#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_NS 5000000u      /* reports wait for company this long, when there is more to do */
#define GIVE_BACK_NS 20000000u /* a task that runs longer does not keep others waiting behind it */
#define WAIT_NS 20000000u      /* nor does one that waits so long for room on the machine */
#define SERVICE_NS 5000000u    /* while files are copied or read, the socket is looked at this often */
#define RULES_NS 5000000u      /* a keeper idle for so long gives its ruleset up: see sandbox.h */
#define GONE_NS 5000000000u    /* how often an idle keeper looks whether its folder is still there */
#define PATIENCE_NS 250000000u /* longest sleep while a task runs: a SIGCHLD is never waited for longer */

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

/* To the daemon. */

static void drop_daemon(struct keeper *k) {
  dk_conn_finish(&k->conn);
  k->has_daemon = false;
  k->flush_at = UINT64_MAX;
  k->idle_since = dk_now_ns();
}

static void say(struct keeper *k, const struct dk_message *message) {
  if (!k->has_daemon) return;
  if (dk_conn_put(&k->conn, message) < 0) {
    drop_daemon(k); /* no memory: a daemon that connects again hears everything from the journal */
    return;
  }
  if (k->flush_at == UINT64_MAX) k->flush_at = dk_now_ns() + BATCH_NS;
}

static void say_started(struct keeper *k) {
  k->is_told = true;
  struct dk_message message = {.type = DK_MSG_STARTED, .id = k->task.id};
  message.u.started.slot = k->slot.number;
  message.u.started.unix_ns = k->task.result.started_unix_ns;
  say(k, &message);
}

/* A task so short that its RESULT goes out with this batch needs no STARTED. */
static void flush(struct keeper *k) {
  if (k->has_daemon && k->is_running && !k->is_told) say_started(k);
  k->flush_at = UINT64_MAX; /* also without a daemon: what is due and stays due would keep the loop awake */
  if (k->has_daemon && dk_conn_flush(&k->conn) < 0) drop_daemon(k);
}

static void say_plain(struct keeper *k, enum dk_message_type type, struct dk_id id) {
  struct dk_message message = {.type = type, .id = id};
  say(k, &message);
}

static void say_refused(struct keeper *k, struct dk_id id, enum dk_refusal reason, const char *text) {
  struct dk_message message = {.type = DK_MSG_REFUSED, .id = id};
  message.u.refused.reason = reason;
  message.u.refused.text = (char *)text;
  say(k, &message);
}

static int say_result(void *ctx, uint64_t seq, struct dk_id id, struct dk_result *result) {
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

static void remove_order(struct keeper *k, size_t i) {
  dk_job_finish(&k->orders[i].job);
  memmove(&k->orders[i], &k->orders[i + 1], (k->n - i - 1) * sizeof *k->orders);
  k->n--;
}

static void drop_orders(struct keeper *k) {
  while (k->n > k->first) remove_order(k, k->n - 1);
}

/* Last first: the agent puts each at the front of its queue. `kept` of them stay. */
static void give_back_orders(struct keeper *k, size_t kept) {
  while (k->n > k->first + kept) {
    say_plain(k, DK_MSG_REVOKED, k->orders[k->n - 1].id);
    remove_order(k, k->n - 1);
  }
  flush(k);
}

/* From the daemon. */

static void on_hello(struct keeper *k) {
  k->has_daemon = true;
  drop_orders(k); /* an earlier daemon's; nobody knows of them now */
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
  if (k->has_journal && dk_journal_each(&k->journal, say_result, k, NULL) < 0) {
    drop_daemon(k); /* it will come again, or start another keeper */
    return;
  }
  say_plain(k, DK_MSG_HAS_END, (struct dk_id){0});
  flush(k);
}

static void note_killed(struct keeper *k, struct dk_id id) {
  struct dk_result result = {.cause = DK_CAUSE_KILLED, .text = (char *)"ended before it started"};
  uint64_t seq;
  if (!k->has_journal) {
    say_refused(k, id, DK_REFUSED_DISK, "ended before it started");
    return;
  }
  (void)dk_journal_note(&k->journal, id, &result, &seq, NULL);
  say_result(k, seq, id, &result);
}

static void on_kill(struct keeper *k, const struct dk_message *message) {
  size_t i = find_order(k, message->id);
  if (i < k->n) {
    remove_order(k, i);
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
    if (add_order(k, message) < 0) say_refused(k, message->id, DK_REFUSED_BUSY, "the keeper is out of memory");
    break;
  case DK_MSG_REVOKE:
    i = find_order(k, message->id);
    if (i < k->n) {
      remove_order(k, i);
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

static void poll_once(struct keeper *k, uint64_t deadline_ns) {
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
static bool service(void *ctx) {
  struct keeper *k = ctx;
  uint64_t now = dk_now_ns();
  if (now >= k->service_at) {
    k->service_at = now + SERVICE_NS;
    if (now >= k->flush_at) flush(k);
    poll_once(k, 0);
  }
  return k->task.is_decided && k->task.result.cause == DK_CAUSE_KILLED;
}

/* Room on the machine. */

static struct dk_need need_of(const struct dk_job *job) {
  return (struct dk_need){.cpus = job->cpus, .gpus = job->gpus, .memory = job->memory, .gpu_model = job->gpu};
}

/* The first order's: books it, or waits for it. Those behind an order that waits go to others. */
static bool has_room(struct keeper *k) {
  const struct order *order = &k->orders[k->first];
  struct dk_need need = need_of(&order->job);
  uint64_t now = dk_now_ns();
  if (k->booking.is_waiting && !dk_id_equal(k->booked_for, order->id)) dk_booking_drop(&k->booking);
  k->booked_for = order->id;
  if (dk_booking_take(&k->booking, &need, now)) return true;
  if (k->n > k->first + 1 && now >= k->booking.since_ns + WAIT_NS) give_back_orders(k, 1);
  return false;
}

/* What no wait brings: the machine has lost something since the run was looked at. */
static bool refuse_needy(struct keeper *k) {
  dk_autobuf text = DK_BUF_INIT;
  struct dk_need need = need_of(&k->orders[k->first].job);
  dk_buf_add_text(&text, "it needs ");
  if (!dk_machine_lacks(&k->machine, &need, &text)) return false;
  say_refused(k, k->orders[k->first].id, DK_REFUSED_BAD, dk_buf_text(&text));
  remove_order(k, k->first);
  flush(k);
  return true;
}

static void give_room_back(struct keeper *k) {
  struct dk_need next = {0};
  if (k->n > k->first) next = need_of(&k->orders[k->first].job);
  dk_booking_leave(&k->booking, k->n > k->first ? &next : NULL);
}

static uint64_t room_deadline(const struct keeper *k) {
  if (!k->booking.is_waiting) return 0;
  uint64_t at = dk_booking_deadline(&k->booking), give_back = k->booking.since_ns + WAIT_NS;
  return k->n > k->first + 1 && give_back < at ? give_back : at;
}

/* Tasks. */

static void end_task(struct keeper *k) {
  dk_task_collect(&k->task, service, k);
  uint64_t seq;
  (void)dk_journal_finish(&k->journal, &k->task.result, &seq, NULL);
  k->is_running = false;
  say_result(k, seq, k->task.id, &k->task.result);
  dk_task_finish(&k->task);
  give_room_back(k);
  k->idle_since = dk_now_ns();
  if (k->first < k->n) return; /* the next one cleans up, and reports may wait */
  flush(k);
  /* At once: a full disk would stay full until the slot is used again. */
  (void)dk_workdir_clean(&k->slot.workdir, NULL);
}

static int open_journal(struct keeper *k, struct dk_error *error);

static void begin_task(struct keeper *k) {
  struct order order = k->orders[k->first++];
  struct dk_error error = {0};
  struct dk_journal_start start = {.id = order.id,
                                   .cpus = order.job.cpus,
                                   .keeper = getpid(),
                                   .keeper_start_ticks = k->start_ticks,
                                   .unix_ns = dk_unix_ns()};
  memcpy(start.boot, k->boot, sizeof start.boot);
  if (open_journal(k, &error) < 0 ||
      dk_journal_begin(&k->journal, &start, dk_task_result_max(&order.job), &error) < 0) {
    bool is_limit = error.code == -EMFILE || error.code == -ENFILE;
    say_refused(k, order.id, is_limit ? DK_REFUSED_BAD : DK_REFUSED_DISK, error.text);
    flush(k);
    dk_job_finish(&order.job);
    give_room_back(k);
    return;
  }
  k->is_running = true;
  k->slot.gpus = k->booking.gpus;
  k->slot.n_gpus = k->booking.n_gpus;
  k->slot.stuck = dk_smi_stuck(&k->booking.smi);
  k->is_told = false;
  if (k->flush_at == UINT64_MAX) k->flush_at = dk_now_ns() + BATCH_NS;
  k->task = (struct dk_task){.id = order.id,
                             .job = {.cpus = order.job.cpus},
                             .group = DK_CGROUP_NONE}; /* what a HELLO or KILL meanwhile looks at */
  bool has_started = dk_task_start(&k->task, &k->slot, order.id, &order.job, service, k);
  if (!has_started) end_task(k);
}

static void run_task(struct keeper *k) {
  uint64_t now = dk_now_ns();
  if (dk_task_wake(&k->task, now)) {
    end_task(k);
    return;
  }
  if (k->n > k->first && now >= k->task.started_ns + GIVE_BACK_NS) give_back_orders(k, 0);
}

/* Life. */

static uint64_t deadline(const struct keeper *k) {
  uint64_t at = k->flush_at;
  if (k->is_running) {
    uint64_t task = dk_task_deadline(&k->task);
    if (k->n > k->first && k->task.started_ns + GIVE_BACK_NS < task) task = k->task.started_ns + GIVE_BACK_NS;
    uint64_t soon = dk_now_ns() + PATIENCE_NS;
    if (task > soon) task = soon;
    return task < at ? task : at;
  }
  if (k->n > k->first) {
    uint64_t room = room_deadline(k);
    return room < at ? room : at;
  }
  uint64_t idle = k->has_daemon ? UINT64_MAX : k->idle_since + k->options.idle_ms * 1000000u;
  if (idle > dk_now_ns() + GONE_NS) idle = dk_now_ns() + GONE_NS;
  if (k->slot.sandbox.ruleset >= 0 && k->idle_since + RULES_NS < idle) idle = k->idle_since + RULES_NS;
  return idle < at ? idle : at;
}

/* The state folder was removed: nobody will ask for what happens here. Or moved: what was ordered meanwhile has paths of where it is now,
 * and is for a keeper that was started there (the daemon orders it again). */
static void look_for_folder(struct keeper *k) {
  struct stat own, named;
  k->folder_at = dk_now_ns() + PATIENCE_NS;
  if (!k->is_away && fstat(k->slot.dir, &own) == 0) {
    bool is_removed = own.st_nlink == 0;
    k->is_away =
        is_removed || stat(k->options.path, &named) < 0 || own.st_dev != named.st_dev || own.st_ino != named.st_ino;
    if (is_removed && k->is_running) dk_task_kill(&k->task, dk_now_ns(), 0);
  }
  if (!k->is_away) return;
  k->must_end = true;
  drop_orders(k);
}

static bool has_nothing_left(const struct keeper *k) {
  if (k->is_running || k->n > k->first) return false;
  if (k->must_end) return true;
  /* What is not acknowledged is in the journal: the next daemon starts a keeper that tells it. */
  return !k->has_daemon && dk_now_ns() >= k->idle_since + k->options.idle_ms * 1000000u;
}

/* A daemon that came just now is let in instead. */
static bool is_over(struct keeper *k) {
  if (!has_nothing_left(k)) return false;
  if (!k->must_end) poll_once(k, 0);
  return has_nothing_left(k);
}

/* What an earlier keeper of this slot left: its task is ended and counts as lost. */
static int recover(struct keeper *k, struct dk_error *error) {
  if (!k->journal.is_open_start) return 0;
  const struct dk_journal_start *start = &k->journal.start;
  struct dk_result result = {.cause = DK_CAUSE_LOST, .started_unix_ns = start->unix_ns};
  char text[200];
  if (memcmp(start->boot, k->boot, sizeof k->boot) != 0) {
    snprintf(text, sizeof text, "the machine went down while it ran");
  } else {
    size_t left = dk_survivors_end(start, k->boot);
    snprintf(text, sizeof text, "its keeper (process %ld) was ended while it ran%s", (long)start->keeper,
             left > 0 ? "; some of its processes could not be ended" : "");
  }
  result.text = text;
  uint64_t seq;
  return dk_journal_finish(&k->journal, &result, &seq, error);
}

static int open_journal(struct keeper *k, struct dk_error *error) {
  if (k->has_journal) return 0;
  int r = dk_journal_open(&k->journal, k->slot.dir, error);
  if (k->journal.was_copied)
    fprintf(
        stderr,
        "dkagent: slot %u: this folder is a copy; what its journal tells of runs where it was copied from, and is not "
        "touched\n",
        k->options.slot);
  if (r == 0) r = recover(k, error);
  k->has_journal = r == 0;
  if (r < 0) dk_journal_close(&k->journal);
  return r;
}

/* What an earlier keeper of this slot left in the slot's group, which is named by the slot's folder: no two have one name. */
static void end_group(struct keeper *k) {
  struct stat st;
  if (!k->slot.cgroups || fstat(k->slot.dir, &st) < 0) return;
  snprintf(k->slot.group, sizeof k->slot.group, "dkrun-%llx-%llx", (unsigned long long)st.st_dev,
           (unsigned long long)st.st_ino);
  (void)dk_cgroup_remove(k->slot.cgroups, k->slot.group);
}

static void begin_tasks(struct keeper *k) {
  while (!k->is_running && k->n > k->first) {
    if (refuse_needy(k)) continue;
    if (!has_room(k)) return;
    look_for_folder(k); /* what is ordered for a folder that is gone is not begun there */
    if (k->n > k->first) begin_task(k);
  }
  if (!k->is_running) dk_booking_drop(&k->booking); /* the order that waited may be gone */
}

static int open_keeper(struct keeper *k, const struct dk_keeper_options *options, struct dk_error *error) {
  *k = (struct keeper){.options = *options, .child_fd = -1, .flush_at = UINT64_MAX, .idle_since = dk_now_ns()};
  k->journal = (struct dk_journal){.fds = {-1, -1}};
  k->slot = (struct dk_slot){.number = options->slot, .dir = -1, .path = options->path};
  dk_machine_look(options->machine, &k->machine);
  k->slot.vendor = k->machine.gpus.vendor;
  k->slot.cgroups = options->cgroups;
  dk_booking_init(&k->booking, &k->machine, options->ledger, options->books_cpus);
  dk_proc_raise_nofile(&k->slot.nofile);
  dk_conn_init(&k->conn, -1);
  dk_workdir_init(&k->slot.workdir, -1);
  dk_sandbox_init(&k->slot.sandbox);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) return dk_error_system(error, -errno, "cannot become a subreaper");
  dk_proc_boot_id(k->boot);
  struct dk_proc_stat stat = {0};
  dk_proc_stat(getpid(), &stat);
  k->start_ticks = stat.start_ticks;
  k->slot.dir = open(options->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (k->slot.dir < 0) return dk_error_system(error, -errno, "cannot open the slot's directory %s", options->path);
  dk_workdir_init(&k->slot.workdir, k->slot.dir);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  k->child_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  if (k->child_fd < 0) return dk_error_system(error, -errno, "cannot watch for ended tasks");
  end_group(k);
  bool has_journal = open_journal(k, NULL) == 0; /* ends what an earlier task left running */
  dk_workdir_sweep(&k->slot.workdir);
  if (!has_journal) (void)open_journal(k, NULL); /* there may be room now; else the next order says why not */
  return 0;
}

static void close_keeper(struct keeper *k) {
  drop_orders(k);
  dk_booking_finish(&k->booking);
  dk_free(k->orders);
  dk_conn_finish(&k->conn);
  dk_journal_close(&k->journal);
  dk_workdir_finish(&k->slot.workdir);
  dk_sandbox_finish(&k->slot.sandbox);
  dk_spawn_found_finish(&k->slot.found);
  if (k->slot.dir >= 0) close(k->slot.dir);
  if (k->child_fd >= 0) close(k->child_fd);
}

int dk_keeper_run(const struct dk_keeper_options *options, struct dk_error *error) {
  struct keeper k;
  int r = open_keeper(&k, options, error);
  k.idle_since = dk_now_ns(); /* what an earlier one left may have taken long to end */
  while (r == 0 && !is_over(&k)) {
    poll_once(&k, deadline(&k));
    if (dk_now_ns() >= k.folder_at) look_for_folder(&k);
    if (k.is_running) run_task(&k);
    begin_tasks(&k);
    if (!k.is_running && k.slot.sandbox.ruleset >= 0 && dk_now_ns() >= k.idle_since + RULES_NS)
      dk_sandbox_finish(&k.slot.sandbox);
    if (dk_now_ns() >= k.flush_at) flush(&k);
  }
  close_keeper(&k);
  return r;
}
