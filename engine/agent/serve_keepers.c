/* The daemon's keepers: started, found again, and told; what they say becomes events of the core. */
#include "engine/agent/serve_private.h"
#include "engine/sys/fs.h"
#include "engine/sys/ledger.h"
#include "engine/sys/sock.h"
#include "engine/sys/spawn.h"
#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOT_NS 250000000u /* how often a slot is looked for, while orders go there */

static void on_keeper(void *ctx, int fd, short revents);

struct keeper *dk_serve_need_keeper(struct serve *s, uint32_t slot) {
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
  keeper->ledger = keeper->bequest = -1;
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

static int spawn_keeper(struct keeper *keeper, int listener, struct dk_error *error) {
  struct serve *s = keeper->serve;
  uint32_t slot = keeper->slot;
  char number[16], idle[24], gpus[16];
  int fds[] = {listener, keeper->ledger};
  dk_autobuf path = DK_BUF_INIT;
  slot_path(s, slot, "", &path);
  snprintf(number, sizeof number, "%u", slot);
  snprintf(gpus, sizeof gpus, "%u", s->options.gpus);
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
                  (char *)"--gpus",
                  gpus,
                  (char *)"--machine",
                  (char *)s->options.machine,
                  (char *)"--cgroup",
                  (char *)(s->cgroups.version ? dk_buf_text(&s->cgroups.path) : DK_CGROUP_OFF),
                  (char *)(keeper->ledger < 0 ? NULL
                           : s->books_cpus    ? "--book=all"
                                              : "--book=some"),
                  NULL};
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = argv;
  how.dir = "/";
  how.fds[2] = 2; /* the daemon's log */
  how.more_fds = fds;
  how.n_more_fds = keeper->ledger < 0 ? 1 : 2;
  how.new_session = true;
  how.nofile = &s->nofile; /* the keeper raises its own, and gives this one to tasks */
  pid_t pid;
  return dk_buf_ok(&path) ? dk_spawn(&how, &pid, error) : dk_error_set(error, -ENOMEM, "no memory to start a keeper");
}

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* Each keeper has a description of its own. Without one it books nothing, and goes on. */
static void open_ledger(struct keeper *keeper) {
  struct serve *s = keeper->serve;
  struct dk_error error = {0};
  close_fd(&keeper->ledger);
  if (s->ledger.len == 0) return;
  keeper->ledger = dk_ledger_open(s->ledger.data, &error);
  if (keeper->ledger < 0) dk_serve_complain("nothing is booked", &error);
}

/* The socket is made here, so that it is there before the keeper is; only the keeper holds it afterwards, so a refused
 * connection means that there is none. */
int dk_serve_start_keeper(struct keeper *keeper, struct dk_error *error) {
  struct serve *s = keeper->serve;
  if (!dk_serve_follow_folder(s)) /* where it was, nothing is made again */
    return dk_error_set(error, -ESTALE, "the folder is not at %s any more", s->root);
  dk_autobuf dir = DK_BUF_INIT, socket = DK_BUF_INIT;
  slot_path(s, keeper->slot, "", &dir);
  slot_path(s, keeper->slot, "sock", &socket);
  if (!dk_buf_ok(&dir) || !dk_buf_ok(&socket)) return dk_error_set(error, -ENOMEM, "no memory to start a keeper");
  keeper->started_at = dk_now_ns();
  int r = dk_fs_mkdirs(dir.data, 0700, error);
  if (r < 0) return r;
  int listener = dk_sock_listen(socket.data, 4, error);
  if (listener < 0) return listener;
  open_ledger(keeper);
  r = spawn_keeper(keeper, listener, error);
  int fd = r < 0 ? r : dk_sock_connect(socket.data, error);
  close(listener);
  if (fd < 0) return fd;
  r = greet(keeper, fd);
  return r < 0 ? dk_error_system(error, r, "talking to a new keeper") : 0;
}

static void say_lost(struct keeper *keeper) {
  keeper->is_known = keeper->is_lost = true;
  struct dk_agent_event event = {.kind = DK_AGENT_EV_KEEPER_LOST, .slot = keeper->slot};
  dk_serve_step(keeper->serve, &event);
}

/* The one of a slot that an earlier agent used: it lives, or another one reads its journal. */
static void find_keeper(struct keeper *keeper) {
  dk_autobuf socket = DK_BUF_INIT;
  struct dk_error error = {0};
  bool is_ours = dk_serve_follow_folder(keeper->serve);
  slot_path(keeper->serve, keeper->slot, "sock", &socket);
  int fd = !dk_buf_ok(&socket) ? -ENOMEM : is_ours ? dk_sock_connect(socket.data, NULL) : -ESTALE;
  int r = fd >= 0 ? greet(keeper, fd) : dk_serve_start_keeper(keeper, &error);
  keeper->retry_at = UINT64_MAX;
  if (r == 0) return;
  dk_serve_complain("a keeper cannot be started; trying again", &error);
  keeper->retry_at = dk_now_ns() + DK_SERVE_RETRY_NS;
}

void dk_serve_lose_keeper(struct keeper *keeper) {
  dk_loop_unwatch(keeper->serve->loop, keeper->conn.fd);
  dk_conn_finish(&keeper->conn);
  /* A killed one leaves processes; the next one ends them before it says that it is ready. */
  close_fd(&keeper->bequest);
  keeper->bequest = keeper->ledger;
  keeper->ledger = -1;
  keeper->is_old = false;
  say_lost(keeper);
  /* One that dies at once is not started in a tight loop. */
  uint64_t now = dk_now_ns();
  if (now - keeper->started_at < DK_SERVE_RETRY_NS)
    keeper->retry_at = now + DK_SERVE_RETRY_NS;
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
    if (message.type == DK_MSG_WELCOME) keeper->is_old = message.u.welcome.protocol != DK_PROTOCOL;
    if (message.type == DK_MSG_HAS_END) {
      keeper->is_lost = false;
      close_fd(&keeper->bequest);
    }
    if (make_event(keeper, &message, &event)) dk_serve_step(keeper->serve, &event);
    dk_message_finish(&message);
  }
  if (r < 0) dk_serve_complain("a keeper's stream is broken", &error);
  if (keeper->conn.fd == fd && (r < 0 || ended < 0)) dk_serve_lose_keeper(keeper);
}

void dk_serve_to_keeper(struct serve *s, uint32_t slot, const struct dk_message *message) {
  struct keeper *keeper = slot < s->n_keepers ? s->keepers[slot] : NULL;
  if (keeper && dk_conn_put(&keeper->conn, message) < 0) s->broken = -ENOMEM;
}

bool dk_serve_is_slot_gone(struct keeper *keeper) {
  dk_autobuf socket = DK_BUF_INIT;
  uint64_t now = dk_now_ns();
  if (now < keeper->seen_at + SLOT_NS) return false;
  keeper->seen_at = now;
  slot_path(keeper->serve, keeper->slot, "sock", &socket);
  return dk_buf_ok(&socket) && access(socket.data, F_OK) < 0 && errno == ENOENT;
}

int dk_serve_find_slots(struct serve *s, struct dk_error *error) {
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
    struct keeper *keeper = dk_serve_need_keeper(s, (uint32_t)slot);
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

void dk_serve_retry_keepers(struct serve *s) {
  uint64_t now = dk_now_ns();
  for (uint32_t i = 0; i < s->n_keepers; i++) {
    if (s->keepers[i] && s->keepers[i]->retry_at <= now) find_keeper(s->keepers[i]);
  }
}

uint64_t dk_serve_retry_at(const struct serve *s) {
  uint64_t at = UINT64_MAX;
  for (uint32_t i = 0; i < s->n_keepers; i++) {
    if (s->keepers[i] && s->keepers[i]->retry_at < at) at = s->keepers[i]->retry_at;
  }
  return at;
}

static void flush_keeper(struct serve *s, struct keeper *keeper) {
  if (keeper->conn.fd < 0) return;
  if (keeper->ack > 0 && !s->is_marked) {
    struct dk_message ack = {.type = DK_MSG_ACK, .seq = keeper->ack};
    if (dk_conn_put(&keeper->conn, &ack) == 0) keeper->ack = 0;
  }
  if (dk_conn_flush(&keeper->conn) < 0) {
    dk_serve_lose_keeper(keeper);
    return;
  }
  short events = (short)(POLLIN | (dk_conn_is_waiting(&keeper->conn) ? POLLOUT : 0));
  dk_loop_watch(s->loop, keeper->conn.fd, events, on_keeper, keeper);
}

void dk_serve_flush_keepers(struct serve *s) {
  for (uint32_t i = 0; i < s->n_keepers; i++) {
    if (s->keepers[i]) flush_keeper(s, s->keepers[i]);
  }
}

void dk_serve_dismiss_keepers(struct serve *s) {
  if (!dk_agent_is_idle(s->agent)) return;
  struct dk_message closed = {.type = DK_MSG_CLOSED};
  for (uint32_t i = 0; i < s->n_keepers; i++) {
    if (!s->keepers[i]) continue;
    dk_serve_to_keeper(s, i, &closed);
    (void)dk_conn_flush(&s->keepers[i]->conn);
  }
}

void dk_serve_close_keepers(struct serve *s) {
  for (uint32_t i = 0; i < s->n_keepers; i++) {
    if (!s->keepers[i]) continue;
    dk_conn_finish(&s->keepers[i]->conn);
    close_fd(&s->keepers[i]->ledger);
    close_fd(&s->keepers[i]->bequest);
    dk_free(s->keepers[i]);
  }
  dk_free(s->keepers);
}
