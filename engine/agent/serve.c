/* See serve.h. A turn of the loop reads what is there, steps the core for each message, does its actions, and at its end
 * writes the state file, acknowledges to the keepers, and sends everything in one go. */
#include "engine/agent/serve.h"
#include "engine/agent/conn.h"
#include "engine/agent/memory.h"
#include "engine/agent/state.h"
#include "engine/sys/fs.h"
#include "engine/sys/lock.h"
#include "engine/sys/loop.h"
#include "engine/sys/proc.h"
#include "engine/sys/sock.h"
#include "engine/sys/spawn.h"
#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUT_MAX (256u << 20) /* an engine that reads nothing is dropped beyond this */
#define START_TIMEOUT_NS 5000000000u
#define RETRY_NS 500000000u
#define GONE_NS 5000000000u /* how often it looks whether its folder and its socket are still there */

struct serve;

struct engine {
  struct serve *serve;
  uint32_t number; /* the core's name of the connection */
  struct dk_conn conn;
  bool is_closing; /* after what is to be sent */
};

struct keeper {
  struct serve *serve;
  uint32_t slot;
  struct dk_conn conn;
  bool is_known;     /* the core was told of it */
  uint64_t ack;      /* to be sent: everything up to here is forgotten; 0: nothing */
  uint64_t retry_at; /* UINT64_MAX: not to be started again by itself */
  uint64_t started_at;
};

struct serve {
  struct dk_serve_options options;
  char *root;
  struct rlimit nofile; /* as it was at the start: the tasks' */
  struct dk_lock lock;
  struct dk_loop *loop;
  struct dk_memory memory;
  struct dk_agent *agent;
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
  uint64_t next_seq;
  uint64_t idle_since;
  int broken; /* negative errno: the core must be thrown away */
};

static void complain(const char *what, const struct dk_error *error) {
  fprintf(stderr, "dkagent: %s%s%s\n", what, error->code ? ": " : "", error->code ? error->text : "");
}

static void step(struct serve *s, struct dk_agent_event *event);

/* Engines. */

static void on_engine(void *ctx, int fd, short revents);

static void drop_engine(struct serve *s, struct engine *engine) {
  for (size_t i = 0; i < s->n_engines; i++) {
    if (s->engines[i] != engine) continue;
    s->engines[i] = s->engines[--s->n_engines];
    break;
  }
  dk_loop_unwatch(s->loop, engine->conn.fd);
  dk_conn_finish(&engine->conn);
  struct dk_agent_event event = {.kind = DK_AGENT_EV_CLOSED, .conn = engine->number};
  dk_free(engine);
  step(s, &event);
}

static struct engine *find_engine(struct serve *s, uint32_t number) {
  for (size_t i = 0; i < s->n_engines; i++) {
    if (s->engines[i]->number == number) return s->engines[i];
  }
  return NULL;
}

static int add_engine(struct serve *s, int fd) {
  if (s->n_engines == s->cap_engines) {
    size_t cap = s->cap_engines ? 2 * s->cap_engines : 4;
    struct engine **engines = dk_realloc_array(s->engines, cap, sizeof *engines);
    if (!engines) return -ENOMEM;
    s->engines = engines;
    s->cap_engines = cap;
  }
  struct engine *engine = dk_calloc(1, sizeof *engine);
  if (!engine) return -ENOMEM;
  engine->serve = s;
  engine->number = s->next_conn++;
  dk_conn_init(&engine->conn, fd);
  if (dk_loop_watch(s->loop, fd, POLLIN, on_engine, engine) < 0) {
    dk_free(engine);
    return -ENOMEM;
  }
  s->engines[s->n_engines++] = engine;
  return 0;
}

static void on_listener(void *ctx, int fd, short revents) {
  struct serve *s = ctx;
  (void)revents;
  for (;;) {
    struct dk_error error = {0};
    int conn = dk_sock_accept(fd, &error);
    if (conn < 0) {
      if (conn != -EAGAIN) complain("an engine could not be let in", &error);
      return;
    }
    if (add_engine(s, conn) < 0) close(conn);
  }
}

static void on_engine(void *ctx, int fd, short revents) {
  struct engine *engine = ctx;
  struct serve *s = engine->serve;
  uint32_t number = engine->number;
  assert(fd == engine->conn.fd);
  if (!(revents & ~POLLOUT)) return; /* flushed at the end of the turn */
  struct dk_error error = {0};
  int ended = dk_conn_fill(&engine->conn), r = 0;
  struct dk_message message;
  while (!engine->is_closing && (r = dk_conn_next(&engine->conn, &message, &error)) > 0) {
    struct dk_agent_event event = {.kind = DK_AGENT_EV_MESSAGE, .conn = number, .message = &message};
    step(s, &event);
    dk_message_finish(&message);
    if (find_engine(s, number) != engine) return;
  }
  if (r < 0) complain("an engine's stream is broken", &error);
  if (r < 0 || ended < 0) drop_engine(s, engine);
}

/* Keepers. */

static void on_keeper(void *ctx, int fd, short revents);

static struct keeper *need_keeper(struct serve *s, uint32_t slot) {
  if (slot >= s->n_keepers) {
    struct keeper **keepers = dk_realloc_array(s->keepers, slot + 1, sizeof *keepers);
    if (!keepers) return NULL;
    memset(keepers + s->n_keepers, 0, (slot + 1 - s->n_keepers) * sizeof *keepers);
    s->keepers = keepers;
    s->n_keepers = slot + 1;
  }
  if (s->keepers[slot]) return s->keepers[slot];
  struct keeper *keeper = dk_calloc(1, sizeof *keeper);
  if (!keeper) return NULL;
  keeper->serve = s;
  keeper->slot = slot;
  keeper->retry_at = UINT64_MAX;
  dk_conn_init(&keeper->conn, -1);
  s->keepers[slot] = keeper;
  return keeper;
}

static void slot_path(const struct serve *s, uint32_t slot, const char *name, struct dk_buf *ret) {
  dk_buf_printf(ret, "%s/slots/%u%s%s", s->root, slot, *name ? "/" : "", name);
}

/* Takes over a connection to a keeper: hello, and it tells all that it knows. */
static int greet(struct keeper *keeper, int fd) {
  struct serve *s = keeper->serve;
  dk_conn_init(&keeper->conn, fd);
  struct dk_message hello = {.type = DK_MSG_HELLO};
  hello.u.hello.protocol = DK_PROTOCOL;
  hello.u.hello.version = (char *)DK_VERSION;
  int r = dk_conn_put(&keeper->conn, &hello);
  if (r == 0) r = dk_conn_flush(&keeper->conn);
  if (r == 0) r = dk_loop_watch(s->loop, fd, POLLIN, on_keeper, keeper);
  if (r < 0) dk_conn_finish(&keeper->conn);
  return r;
}

static int spawn_keeper(struct serve *s, uint32_t slot, int listener, struct dk_error *error) {
  char number[16], idle[24];
  dk_autobuf path = DK_BUF_INIT;
  slot_path(s, slot, "", &path);
  snprintf(number, sizeof number, "%u", slot);
  snprintf(idle, sizeof idle, "%llu", (unsigned long long)s->options.idle_ms);
  /* The file itself, also when another one has taken its name by now. */
  static const char program[] = "/proc/self/exe";
  char *argv[] = {(char *)program,
                  (char *)"keeper",
                  (char *)"--slot",
                  number,
                  (char *)"--dir",
                  (char *)dk_buf_text(&path),
                  (char *)"--idle-ms",
                  idle,
                  NULL};
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = argv;
  how.dir = "/";
  how.fds[2] = 2; /* the daemon's log */
  how.more_fds = &listener;
  how.n_more_fds = 1;
  how.new_session = true;
  how.nofile = &s->nofile; /* the keeper raises its own, and gives this one to tasks */
  pid_t pid;
  return dk_buf_ok(&path) ? dk_spawn(&how, &pid, error) : dk_error_set(error, -ENOMEM, "no memory to start a keeper");
}

/* The socket is made here, so that it is there before the keeper is; only the keeper holds it afterwards, so a refused connection
 * means that there is none. */
static int start_keeper(struct keeper *keeper, struct dk_error *error) {
  struct serve *s = keeper->serve;
  dk_autobuf dir = DK_BUF_INIT, socket = DK_BUF_INIT;
  slot_path(s, keeper->slot, "", &dir);
  slot_path(s, keeper->slot, "sock", &socket);
  if (!dk_buf_ok(&dir) || !dk_buf_ok(&socket)) return dk_error_set(error, -ENOMEM, "no memory to start a keeper");
  keeper->started_at = dk_now_ns();
  int r = dk_fs_mkdirs(dir.data, 0700, error);
  if (r < 0) return r;
  int listener = dk_sock_listen(socket.data, 4, error);
  if (listener < 0) return listener;
  r = spawn_keeper(s, keeper->slot, listener, error);
  int fd = r < 0 ? r : dk_sock_connect(socket.data, error);
  close(listener);
  return fd < 0 ? fd : greet(keeper, fd);
}

static void say_lost(struct keeper *keeper) {
  keeper->is_known = true;
  struct dk_agent_event event = {.kind = DK_AGENT_EV_KEEPER_LOST, .slot = keeper->slot};
  step(keeper->serve, &event);
}

/* The one of a slot that an earlier agent used: it lives, or another one reads its journal. */
static void find_keeper(struct keeper *keeper) {
  dk_autobuf socket = DK_BUF_INIT;
  struct dk_error error = {0};
  slot_path(keeper->serve, keeper->slot, "sock", &socket);
  int fd = dk_buf_ok(&socket) ? dk_sock_connect(socket.data, NULL) : -ENOMEM;
  int r = fd >= 0 ? greet(keeper, fd) : start_keeper(keeper, &error);
  keeper->retry_at = UINT64_MAX;
  if (r == 0) return;
  complain("a keeper cannot be started; trying again", &error);
  keeper->retry_at = dk_now_ns() + RETRY_NS;
}

static void lose_keeper(struct keeper *keeper) {
  dk_loop_unwatch(keeper->serve->loop, keeper->conn.fd);
  dk_conn_finish(&keeper->conn);
  say_lost(keeper);
  /* One that dies at once is not started in a tight loop. */
  uint64_t now = dk_now_ns();
  if (now - keeper->started_at < RETRY_NS)
    keeper->retry_at = now + RETRY_NS;
  else
    find_keeper(keeper);
}

static bool make_event(struct keeper *keeper, struct dk_message *message, struct dk_agent_event *ret) {
  *ret = (struct dk_agent_event){.slot = keeper->slot, .id = message->id};
  switch (message->type) {
  case DK_MSG_HAS:
    ret->kind = DK_AGENT_EV_KEEPER_HAS;
    ret->state = message->u.has.state;
    ret->cpus = message->u.has.slot;
    return true;
  case DK_MSG_HAS_END: ret->kind = DK_AGENT_EV_KEEPER_READY; return true;
  case DK_MSG_STARTED:
    ret->kind = DK_AGENT_EV_KEEPER_STARTED;
    ret->unix_ns = message->u.started.unix_ns;
    return true;
  case DK_MSG_RESULT:
    ret->kind = DK_AGENT_EV_KEEPER_ENDED;
    ret->keeper_seq = message->seq;
    ret->result = &message->u.result;
    return true;
  case DK_MSG_REVOKED: ret->kind = DK_AGENT_EV_KEEPER_RETURNED; return true;
  case DK_MSG_REFUSED:
    ret->kind = DK_AGENT_EV_KEEPER_REFUSED;
    ret->reason = message->u.refused.reason;
    ret->text = message->u.refused.text;
    return true;
  default: return false;
  }
}

static void on_keeper(void *ctx, int fd, short revents) {
  struct keeper *keeper = ctx;
  if (!(revents & ~POLLOUT)) return;
  int ended = dk_conn_fill(&keeper->conn), r = 0;
  struct dk_message message;
  struct dk_error error = {0};
  while (keeper->conn.fd == fd && (r = dk_conn_next(&keeper->conn, &message, &error)) > 0) {
    struct dk_agent_event event;
    if (make_event(keeper, &message, &event)) step(keeper->serve, &event);
    dk_message_finish(&message);
  }
  if (r < 0) complain("a keeper's stream is broken", &error);
  if (keeper->conn.fd == fd && (r < 0 || ended < 0)) lose_keeper(keeper);
}

static void to_keeper(struct serve *s, uint32_t slot, const struct dk_message *message) {
  struct keeper *keeper = slot < s->n_keepers ? s->keepers[slot] : NULL;
  if (keeper && dk_conn_put(&keeper->conn, message) < 0) s->broken = -ENOMEM;
}

/* Actions. */

static enum dk_refusal reason_of(int code) {
  if (code == -ENOMEM) return DK_REFUSED_BUSY;
  return code == -EMFILE || code == -ENFILE ? DK_REFUSED_BAD : DK_REFUSED_DISK; /* a limit does not pass by itself */
}

static void refuse_start(struct serve *s, const struct dk_agent_action *action, const struct dk_error *error) {
  struct dk_agent_event event = {.kind = DK_AGENT_EV_KEEPER_REFUSED,
                                 .slot = action->slot,
                                 .id = action->id,
                                 .reason = reason_of(error->code),
                                 .text = error->text};
  step(s, &event);
}

/* Somebody removed the slots: the keeper ends when it sees that. */
static bool is_slot_gone(const struct keeper *keeper) {
  dk_autobuf socket = DK_BUF_INIT;
  slot_path(keeper->serve, keeper->slot, "sock", &socket);
  return dk_buf_ok(&socket) && access(socket.data, F_OK) < 0 && errno == ENOENT;
}

static int do_start(struct serve *s, const struct dk_agent_action *action, struct dk_error *error) {
  struct keeper *keeper = need_keeper(s, action->slot);
  if (!keeper) return dk_error_set(error, -ENOMEM, "no memory for a keeper");
  if (keeper->conn.fd >= 0 && is_slot_gone(keeper)) {
    lose_keeper(keeper); /* the next one does not know of the order: the core places it again */
    return 0;
  }
  int r = keeper->conn.fd < 0 ? start_keeper(keeper, error) : 0;
  if (r < 0) return r;
  keeper->is_known = true;
  struct dk_message message = {.type = DK_MSG_ASSIGN, .id = action->id};
  message.u.job = *action->job; /* shallow */
  r = dk_conn_put(&keeper->conn, &message);
  return r < 0 ? dk_error_system(error, r, "cannot hand an order to a keeper") : 0;
}

static void do_send(struct serve *s, const struct dk_agent_action *action) {
  struct engine *engine = find_engine(s, action->conn);
  if (engine && dk_conn_put(&engine->conn, &action->message) < 0) engine->is_closing = true;
}

static void do_plain(struct serve *s, const struct dk_agent_action *action, enum dk_message_type type) {
  struct dk_message message = {.type = type, .id = action->id};
  if (type == DK_MSG_KILL) message.u.kill.grace_ms = action->grace_ms;
  to_keeper(s, action->slot, &message);
}

static void do_forget(struct serve *s, const struct dk_agent_action *action) {
  struct keeper *keeper = action->slot < s->n_keepers ? s->keepers[action->slot] : NULL;
  if (keeper && action->keeper_seq > keeper->ack) keeper->ack = action->keeper_seq;
}

static void do_actions(struct serve *s, const struct dk_agent_out *out) {
  for (size_t i = 0; i < out->n; i++) {
    const struct dk_agent_action *action = &out->actions[i];
    struct dk_error error = {0};
    struct engine *engine;
    switch (action->kind) {
    case DK_AGENT_ACT_SEND: do_send(s, action); break;
    case DK_AGENT_ACT_CLOSE:
      engine = find_engine(s, action->conn);
      if (engine) engine->is_closing = true;
      break;
    case DK_AGENT_ACT_START:
      if (do_start(s, action, &error) < 0) refuse_start(s, action, &error);
      break;
    case DK_AGENT_ACT_RETURN: do_plain(s, action, DK_MSG_REVOKE); break;
    case DK_AGENT_ACT_KILL: do_plain(s, action, DK_MSG_KILL); break;
    case DK_AGENT_ACT_FORGET: do_forget(s, action); break;
    case DK_AGENT_ACT_MARK:
      s->is_marked = true;
      s->next_seq = action->next_seq;
      break;
    }
  }
}

/* Actions of a step may make another step (a start that failed): each has its own list. */
static void step(struct serve *s, struct dk_agent_event *event) {
  if (s->broken < 0) return;
  struct dk_agent_out out = s->out;
  s->out = (struct dk_agent_out){0};
  int r = dk_agent_step(s->agent, event, &out);
  if (r < 0) s->broken = r;
  if (r == 0) do_actions(s, &out);
  dk_agent_out_finish(&s->out);
  s->out = out;
}

/* The end of a turn. */

static void write_marks(struct serve *s) {
  if (!s->is_marked) return;
  const struct dk_agent_mark *marks;
  size_t n = dk_agent_marks(s->agent, &marks);
  int r = dk_memory_write(&s->memory, marks, n, s->next_seq);
  if (r < 0) {
    struct dk_error error = {0};
    dk_error_system(&error, r, "%s/state", s->root);
    complain("forgotten attempts cannot be noted", &error);
    return; /* nothing is forgotten before that works */
  }
  s->is_marked = false;
}

static void flush_keeper(struct serve *s, struct keeper *keeper) {
  if (keeper->conn.fd < 0) return;
  if (keeper->ack > 0 && !s->is_marked) {
    struct dk_message ack = {.type = DK_MSG_ACK, .seq = keeper->ack};
    if (dk_conn_put(&keeper->conn, &ack) == 0) keeper->ack = 0;
  }
  if (dk_conn_flush(&keeper->conn) < 0) {
    lose_keeper(keeper);
    return;
  }
  short events = (short)(POLLIN | (dk_conn_is_waiting(&keeper->conn) ? POLLOUT : 0));
  dk_loop_watch(s->loop, keeper->conn.fd, events, on_keeper, keeper);
}

static void flush_engine(struct serve *s, struct engine *engine) {
  int r = dk_conn_flush(&engine->conn);
  bool is_waiting = dk_conn_is_waiting(&engine->conn);
  if (r < 0 || engine->conn.out.len > OUT_MAX || (engine->is_closing && !is_waiting)) {
    drop_engine(s, engine);
    return;
  }
  short events = (short)(POLLIN | (is_waiting ? POLLOUT : 0));
  dk_loop_watch(s->loop, engine->conn.fd, events, on_engine, engine);
}

static void end_turn(struct serve *s) {
  uint64_t now = dk_now_ns();
  for (uint32_t i = 0; i < s->n_keepers; i++) {
    if (s->keepers[i] && s->keepers[i]->retry_at <= now) find_keeper(s->keepers[i]);
  }
  write_marks(s);
  for (uint32_t i = 0; i < s->n_keepers; i++) {
    if (s->keepers[i]) flush_keeper(s, s->keepers[i]);
  }
  for (size_t i = s->n_engines; i-- > 0;) flush_engine(s, s->engines[i]);
  if (s->n_engines > 0 || !dk_agent_is_idle(s->agent)) s->idle_since = now;
}

static uint64_t deadline(const struct serve *s) {
  uint64_t at = UINT64_MAX;
  for (uint32_t i = 0; i < s->n_keepers; i++) {
    if (s->keepers[i] && s->keepers[i]->retry_at < at) at = s->keepers[i]->retry_at;
  }
  if (s->is_marked && dk_now_ns() + RETRY_NS < at) at = dk_now_ns() + RETRY_NS;
  uint64_t idle = s->idle_since + s->options.idle_ms * 1000000u;
  if (s->n_engines == 0 && dk_agent_is_idle(s->agent) && idle < at) at = idle;
  if (dk_now_ns() + GONE_NS < at) at = dk_now_ns() + GONE_NS;
  return at;
}

/* The state folder was removed: its keepers see it by themselves. */
static bool is_folder_gone(const struct serve *s) {
  struct stat st;
  return fstat(s->lock.fd, &st) == 0 && st.st_nlink == 0;
}

/* The socket. */

/* Is `name` in the folder still this file? */
static bool is_own(const struct serve *s, const char *name, const struct stat *own) {
  dk_autobuf path = DK_BUF_INIT;
  struct stat st;
  dk_buf_printf(&path, "%s/%s", s->root, name);
  return dk_buf_ok(&path) && lstat(path.data, &st) == 0 && st.st_dev == own->st_dev && st.st_ino == own->st_ino;
}

/* In place of the one before, if any; that one stays when this fails. */
static int listen_anew(struct serve *s, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/sock", s->root);
  if (!dk_buf_ok(&path)) return dk_error_set(error, -ENOMEM, "no memory for a socket");
  int fd = dk_sock_listen(path.data, 16, error);
  if (fd < 0) return fd;
  struct stat bound;
  int r = lstat(path.data, &bound) < 0 ? -errno : dk_loop_watch(s->loop, fd, POLLIN, on_listener, s);
  if (r < 0) {
    close(fd);
    return dk_error_system(error, r, "cannot listen on %s", path.data);
  }
  if (s->listener >= 0) {
    on_listener(s, s->listener, 0); /* who came before */
    dk_loop_unwatch(s->loop, s->listener);
    close(s->listener);
  }
  s->listener = fd;
  s->bound = bound;
  return 0;
}

/* Somebody removed or replaced it: nobody would find this agent any more. Not when the folder's lock is another's: its socket is
 * what engines want then. */
static void look_at_socket(struct serve *s) {
  uint64_t now = dk_now_ns();
  if (now < s->look_at) return;
  s->look_at = now + GONE_NS;
  struct stat lock;
  if (is_own(s, "sock", &s->bound) || fstat(s->lock.fd, &lock) < 0 || !is_own(s, "lock", &lock)) return;
  struct dk_error error = {0};
  if (listen_anew(s, &error) < 0) complain("its socket is gone, and cannot be made again", &error);
}

/* Beginning and end. */

static void on_signal(void *ctx, int signal) {
  struct serve *s = ctx;
  if (signal == SIGCHLD) {
    while (waitpid(-1, NULL, WNOHANG) > 0) continue; /* a keeper's end is seen on its socket */
  } else if (signal != SIGHUP) {
    s->must_end = true;
  }
}

/* Does a living daemon hold this connection? One that was killed while it started a keeper is listened for by that child until
 * it has exec'd; the connection ends then. */
static bool is_served(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  return poll(&poll_fd, 1, 100) == 0;
}

/* Another one may be about to end: its socket is gone then, and its lock soon. 1: it serves. */
static int take_lock(struct serve *s, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT, socket = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/lock", s->root);
  dk_buf_printf(&socket, "%s/sock", s->root);
  if (!dk_buf_ok(&path) || !dk_buf_ok(&socket)) return dk_error_set(error, -ENOMEM, "no memory to start the agent");
  uint64_t until = dk_now_ns() + START_TIMEOUT_NS;
  for (;;) {
    int r = dk_lock_take(&s->lock, path.data, "dkagent serve", error);
    if (r != -EWOULDBLOCK) return r;
    int fd = dk_sock_connect(socket.data, NULL);
    bool is_other = fd >= 0 && is_served(fd);
    if (fd >= 0) close(fd);
    if (is_other) return 1;
    if (dk_now_ns() > until) return r;
    poll(NULL, 0, 5);
  }
}

static int find_slots(struct serve *s, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/slots", s->root);
  if (!dk_buf_ok(&path)) return dk_error_set(error, -ENOMEM, "no memory to start the agent");
  DIR *dir = opendir(path.data);
  if (!dir) return errno == ENOENT ? 0 : dk_error_system(error, -errno, "cannot read %s", path.data);
  int r = 0;
  for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
    char *end;
    unsigned long slot = strtoul(entry->d_name, &end, 10);
    if (*end || end == entry->d_name || slot > 65535) continue;
    struct keeper *keeper = need_keeper(s, (uint32_t)slot);
    if (!keeper) r = dk_error_set(error, -ENOMEM, "no memory to start the agent");
  }
  closedir(dir);
  /* All are lost before any is found: a LIST is answered when the last one is. */
  for (uint32_t i = 0; r == 0 && i < s->n_keepers; i++) {
    if (s->keepers[i]) say_lost(s->keepers[i]);
  }
  for (uint32_t i = 0; r == 0 && i < s->n_keepers; i++) {
    if (s->keepers[i]) find_keeper(s->keepers[i]);
  }
  return r;
}

static int make_agent(struct serve *s, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/state", s->root);
  if (!dk_buf_ok(&path)) return dk_error_set(error, -ENOMEM, "no memory to start the agent");
  int r = dk_memory_open(&s->memory, path.data, error);
  if (r < 0) return r;
  uint32_t cpus = dk_proc_cpus();
  struct dk_agent_config config = {.slots = s->options.slots ? s->options.slots : cpus,
                                   .cpus = cpus,
                                   .memory = dk_proc_memory(),
                                   .pid = (uint32_t)getpid(),
                                   .version = DK_VERSION,
                                   .next_seq = s->memory.next_seq};
  dk_proc_boot_id(config.boot);
  r = dk_agent_create(&s->agent, &config, s->memory.marks, s->memory.n);
  return r < 0 ? dk_error_set(error, r, "no memory to start the agent") : 0;
}

static int make_loop(struct serve *s, struct dk_error *error) {
  int r = dk_loop_create(&s->loop, error);
  if (r < 0) return r;
  static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
  for (size_t i = 0; r == 0 && i < sizeof signals / sizeof *signals; i++)
    r = dk_loop_signal(s->loop, signals[i], on_signal, s);
  return r < 0 ? dk_error_system(error, r, "cannot watch for signals") : 0;
}

static int open_serve(struct serve *s, struct dk_error *error) {
  int r = dk_fs_mkdirs(s->options.root, 0700, error);
  if (r < 0) return r;
  s->root = dk_fs_absolute(s->options.root);
  if (!s->root) return dk_error_system(error, -errno, "cannot find %s", s->options.root);
  r = take_lock(s, error);
  if (r != 0) return r;
  r = make_loop(s, error);
  if (r == 0) r = make_agent(s, error);
  if (r == 0) r = find_slots(s, error);
  if (r < 0) return r;
  s->idle_since = dk_now_ns();
  s->look_at = s->idle_since + GONE_NS;
  return listen_anew(s, error);
}

/* An engine that came just now is let in instead. */
static bool may_end(struct serve *s) {
  if (s->must_end || is_folder_gone(s)) return true;
  if (s->n_engines > 0 || !dk_agent_is_idle(s->agent)) return false;
  if (dk_now_ns() < s->idle_since + s->options.idle_ms * 1000000u) return false;
  on_listener(s, s->listener, 0);
  return s->n_engines == 0;
}

/* Nothing is left to do: keepers need not wait for another daemon. */
static void dismiss_keepers(struct serve *s) {
  if (!dk_agent_is_idle(s->agent)) return;
  struct dk_message closed = {.type = DK_MSG_CLOSED};
  for (uint32_t i = 0; i < s->n_keepers; i++) {
    if (!s->keepers[i]) continue;
    to_keeper(s, i, &closed);
    (void)dk_conn_flush(&s->keepers[i]->conn);
  }
}

static void close_serve(struct serve *s) {
  if (s->listener >= 0) {
    dk_autobuf socket = DK_BUF_INIT;
    dk_buf_printf(&socket, "%s/sock", s->root);
    if (dk_buf_ok(&socket) && is_own(s, "sock", &s->bound)) unlink(socket.data); /* not a later agent's */
    close(s->listener);
  }
  for (size_t i = 0; i < s->n_engines; i++) {
    dk_conn_finish(&s->engines[i]->conn);
    dk_free(s->engines[i]);
  }
  dk_free(s->engines);
  for (uint32_t i = 0; i < s->n_keepers; i++) {
    if (!s->keepers[i]) continue;
    dk_conn_finish(&s->keepers[i]->conn);
    dk_free(s->keepers[i]);
  }
  dk_free(s->keepers);
  dk_agent_out_finish(&s->out);
  dk_agent_destroy(s->agent);
  dk_memory_close(&s->memory);
  dk_loop_destroy(s->loop);
  dk_lock_release(&s->lock);
  dk_free(s->root);
}

int dk_serve_run(const struct dk_serve_options *options, struct dk_error *error) {
  struct serve s = {.options = *options, .lock = DK_LOCK_INIT, .memory = {.fd = -1}, .listener = -1, .next_conn = 1};
  dk_proc_raise_nofile(&s.nofile);
  int r = open_serve(&s, error);
  bool is_other = r > 0;
  while (r == 0) {
    end_turn(&s);
    if (s.broken < 0) r = dk_error_system(error, s.broken, "the agent cannot go on; start it again: nothing is lost");
    if (r < 0 || may_end(&s)) break;
    look_at_socket(&s);
    r = dk_loop_once(s.loop, deadline(&s));
    if (r < 0) dk_error_system(error, r, "waiting for work");
    if (r > 0) r = 0;
  }
  if (r == 0) dismiss_keepers(&s);
  close_serve(&s);
  return is_other ? 0 : r;
}
