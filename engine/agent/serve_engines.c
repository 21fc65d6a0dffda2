/* The daemon's engines: the socket of its folder, and a stream of messages with each who came. */
#include "engine/agent/serve_private.h"
#include "engine/sys/sock.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define OUT_MAX (256u << 20)  /* an engine that reads nothing is dropped beyond this */
#define BEHIND_MAX (8u << 20) /* nor is it heard while it has not taken this much */

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
  dk_serve_step(s, &event);
}

struct engine *dk_serve_find_engine(struct serve *s, uint32_t number) {
  for (size_t i = 0; i < s->n_engines; i++) {
    if (s->engines[i]->number == number) return s->engines[i];
  }
  return NULL;
}

static int add_engine(struct serve *s, int fd) {
  if (!dk_grow(s->engines, s->n_engines, s->cap_engines)) return -ENOMEM;
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
  dk_serve_follow_folder(s); /* before any order: whoever comes found the folder where it is now */
  for (;;) {
    struct dk_error error = {0};
    int conn = dk_sock_accept(fd, &error);
    if (conn < 0) {
      if (conn != -EAGAIN) dk_serve_complain("an engine could not be let in", &error);
      return;
    }
    if (add_engine(s, conn) < 0) close(conn);
  }
}

static bool is_full(const struct engine *engine) {
  return dk_outbox_waiting(&engine->conn.out) >= BEHIND_MAX;
}

static bool is_ready(const struct engine *engine) {
  return engine->is_behind && !is_full(engine);
}

/* false: it was dropped. */
static bool hear(struct serve *s, struct engine *engine) {
  uint32_t number = engine->number;
  struct dk_error error = {0};
  struct dk_message message;
  int r = 0;
  engine->is_behind = false;
  while (!engine->is_closing && !is_full(engine) && (r = dk_conn_next(&engine->conn, &message, &error)) > 0) {
    struct dk_agent_event event = {.kind = DK_AGENT_EV_MESSAGE, .conn = number, .message = &message};
    if (!dk_serve_answer(s, number, &message)) dk_serve_step(s, &event);
    dk_message_finish(&message);
    if (dk_serve_find_engine(s, number) != engine) return false;
  }
  engine->is_behind = is_full(engine);
  if (r >= 0) return true;
  dk_serve_complain("an engine's stream is broken", &error);
  drop_engine(s, engine);
  return false;
}

static void on_engine(void *ctx, int fd, short revents) {
  struct engine *engine = ctx;
  struct serve *s = engine->serve;
  assert(fd == engine->conn.fd);
  if (!(revents & ~POLLOUT)) return; /* flushed at the end of the turn */
  int ended = dk_conn_fill(&engine->conn);
  bool is_there = hear(s, engine);
  if (!is_there || ended == 0) return;
  (void)dk_conn_flush(&engine->conn); /* who only closed its way out hears the answers to what it said before */
  drop_engine(s, engine);
}

void dk_serve_hear_engines(struct serve *s) {
  for (size_t i = s->n_engines; i-- > 0;) {
    if (i < s->n_engines && is_ready(s->engines[i])) (void)hear(s, s->engines[i]);
  }
}

bool dk_serve_is_any_ready(const struct serve *s) {
  for (size_t i = 0; i < s->n_engines; i++) {
    if (is_ready(s->engines[i])) return true;
  }
  return false;
}

static void flush_engine(struct serve *s, struct engine *engine) {
  int r = dk_conn_flush(&engine->conn);
  bool is_waiting = dk_conn_is_waiting(&engine->conn);
  if (r < 0 || dk_outbox_waiting(&engine->conn.out) > OUT_MAX || (engine->is_closing && !is_waiting)) {
    drop_engine(s, engine);
    return;
  }
  short events = (short)((engine->is_behind ? 0 : POLLIN) | (is_waiting ? POLLOUT : 0));
  dk_loop_watch(s->loop, engine->conn.fd, events, on_engine, engine);
}

void dk_serve_flush_engines(struct serve *s) {
  for (size_t i = s->n_engines; i-- > 0;) flush_engine(s, s->engines[i]);
}

/* The socket. */

/* Is `name` in the folder still this file? */
static bool is_own(const struct serve *s, const char *name, const struct stat *own) {
  dk_autobuf path = DK_BUF_INIT;
  struct stat st;
  dk_buf_printf(&path, "%s/%s", s->root, name);
  return dk_buf_ok(&path) && lstat(path.data, &st) == 0 && st.st_dev == own->st_dev && st.st_ino == own->st_ino;
}

int dk_serve_listen(struct serve *s, struct dk_error *error) {
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
    dk_serve_let_in(s); /* who came before */
    dk_loop_unwatch(s->loop, s->listener);
    close(s->listener);
  }
  s->listener = fd;
  s->bound = bound;
  return 0;
}

/* At the folder's path, whosever it is. */
static bool has_lock(const struct serve *s) {
  dk_autobuf path = DK_BUF_INIT;
  struct stat st;
  dk_buf_printf(&path, "%s/lock", s->root);
  return dk_buf_ok(&path) && lstat(path.data, &st) == 0;
}

/* Somebody removed or replaced it: nobody would find this agent any more. When the folder that is there now is another
 * one, with an agent of its own, that is what engines want: this one ends, and who finds its folder again finds what
 * its keepers wrote. */
void dk_serve_look_at_socket(struct serve *s) {
  uint64_t now = dk_now_ns();
  if (now < s->look_at) return;
  s->look_at = now + DK_SERVE_GONE_NS;
  if (!dk_serve_follow_folder(s)) {
    s->must_end = s->must_end || has_lock(s);
    return;
  }
  if (is_own(s, "sock", &s->bound)) return;
  struct dk_error error = {0};
  if (dk_serve_listen(s, &error) < 0) dk_serve_complain("its socket is gone, and cannot be made again", &error);
}

void dk_serve_let_in(struct serve *s) {
  on_listener(s, s->listener, 0);
}

void dk_serve_close_engines(struct serve *s) {
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
}
