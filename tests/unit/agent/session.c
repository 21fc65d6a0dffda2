/* See session.h. */
#include "tests/unit/agent/session.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "engine/sys/sock.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS 120000000000u
#define FILE_MAX (16u << 20)

/* Files. */

static void file_name(char *ret, size_t size, const char *dir, uint32_t turn, const char *side) {
  int n = snprintf(ret, size, "%s/%02u-%s", dir, turn + 1, side);
  assert_true(n > 0 && (size_t)n < size);
}

void session_load(struct session *session, const char *dir) {
  char path[4300];
  memset(session, 0, sizeof *session);
  for (; session->n < SESSION_TURNS_MAX; session->n++) {
    struct turn *turn = &session->turns[session->n];
    struct dk_error error = {0};
    file_name(path, sizeof path, dir, session->n, "engine");
    if (session->n > 0 && access(path, F_OK) < 0) return;
    if (dk_fs_read(path, FILE_MAX, &turn->engine, &error) < 0) fail_msg("%s", error.text);
    file_name(path, sizeof path, dir, session->n, "agent");
    if (dk_fs_read(path, FILE_MAX, &turn->agent, &error) < 0) fail_msg("%s", error.text);
  }
}

void session_save(const struct session *session, const char *dir) {
  char path[4300];
  struct dk_error error = {0};
  assert_int_equal(dk_fs_mkdirs(dir, 0755, NULL), 0);
  for (uint32_t i = 0; i < session->n; i++) {
    const struct turn *turn = &session->turns[i];
    file_name(path, sizeof path, dir, i, "engine");
    if (dk_fs_write(path, turn->engine.data, turn->engine.len, 0644, false, &error) < 0) fail_msg("%s", error.text);
    file_name(path, sizeof path, dir, i, "agent");
    if (dk_fs_write(path, turn->agent.data, turn->agent.len, 0644, false, &error) < 0) fail_msg("%s", error.text);
  }
}

void session_finish(struct session *session) {
  for (uint32_t i = 0; i < SESSION_TURNS_MAX; i++) {
    dk_buf_finish(&session->turns[i].engine);
    dk_buf_finish(&session->turns[i].agent);
  }
  session->n = 0;
}

/* Messages. */

uint32_t session_each(const struct dk_buf *bytes, session_look_fn *look, void *ctx) {
  uint32_t n = 0;
  for (size_t at = 0; at < bytes->len; n++) {
    struct dk_message message;
    struct dk_error error = {0};
    long used = dk_message_decode(bytes->data + at, bytes->len - at, &message, &error);
    if (used <= 0) fail_msg("frame %u of a turn, at byte %zu: %s", n + 1, at, used < 0 ? error.text : "it is cut off");
    if (look) look(ctx, &message, bytes->data + at, (size_t)used);
    dk_message_finish(&message);
    at += (size_t)used;
  }
  return n;
}

void session_level(struct dk_message *message) {
  switch (message->type) {
  case DK_MSG_WELCOME: {
    char *version = message->u.welcome.version, *gpu = message->u.welcome.gpu;
    uint32_t protocol = message->u.welcome.protocol, slots = message->u.welcome.slots;
    if (version) *version = '\0';
    if (gpu) *gpu = '\0';
    memset(&message->u.welcome, 0, sizeof message->u.welcome);
    message->u.welcome.version = version;
    message->u.welcome.gpu = gpu;
    message->u.welcome.protocol = protocol;
    message->u.welcome.slots = slots;
    return;
  }
  case DK_MSG_GONE: /* the words have a path */
    if (message->u.gone.text) *message->u.gone.text = '\0';
    return;
  case DK_MSG_STARTED: message->u.started.unix_ns = 0; return;
  case DK_MSG_PONG: message->u.pong.unix_ns = message->u.pong.free = 0; return;
  case DK_MSG_RESULT:
    message->u.result.started_unix_ns = message->u.result.wall_ns = 0;
    message->u.result.user_ns = message->u.result.sys_ns = message->u.result.max_rss = 0;
    return;
  default: return;
  }
}

/* The engine's side. */

static void task_file(const struct client *client, const char *name, char *ret, size_t size) {
  int n = snprintf(ret, size, "%s/agent/slots/0/work/%s", client->dir, name);
  assert_true(n > 0 && (size_t)n < size);
}

static bool is_here(void *ctx) {
  char path[1200];
  task_file(ctx, "here", path, sizeof path);
  return access(path, F_OK) == 0;
}

static void look_at_order(void *ctx, struct dk_message *message, const char *frame, size_t len) {
  struct client *client = ctx;
  (void)frame;
  (void)len;
  if (message->type == DK_MSG_READ && !client_wait_for(is_here, client)) fail_msg("the task has not written");
  if (message->type != DK_MSG_HELLO) return;
  char path[1100];
  snprintf(path, sizeof path, "%s/agent/sock", client->dir);
  uint64_t until = dk_now_ns() + PATIENCE_NS;
  int fd = -1;
  while ((fd = dk_sock_connect(path, NULL)) < 0) {
    if (dk_now_ns() > until) fail_msg("the agent does not listen");
    poll(NULL, 0, 5);
  }
  client_disconnect(client);
  client->conn.fd = fd;
}

static void go(const struct client *client) {
  char path[1200];
  task_file(client, "go", path, sizeof path);
  assert_int_equal(dk_fs_write(path, "", 0, 0644, false, NULL), 0);
}

void session_play(struct client *client, const struct turn *turn, uint32_t n, struct dk_buf *ret_answer) {
  session_each(&turn->engine, look_at_order, client);
  if (turn->engine.len == 0) go(client);
  dk_buf_add(&client->conn.out.bytes, turn->engine.data, turn->engine.len);
  uint64_t until = dk_now_ns() + PATIENCE_NS;
  size_t start = ret_answer->len;
  assert_int_equal(dk_conn_flush(&client->conn), 0); /* less than a socket holds */
  assert_false(dk_conn_is_waiting(&client->conn));
  while (n > 0) {
    struct dk_message message;
    struct dk_error error = {0};
    size_t at = client->conn.in_at;
    int r = dk_conn_next(&client->conn, &message, &error);
    if (r < 0) fail_msg("%s", error.text);
    if (r > 0) {
      dk_buf_add(ret_answer, client->conn.in.data + at, client->conn.in_at - at);
      dk_message_finish(&message);
      n--;
      continue;
    }
    if (dk_now_ns() > until) fail_msg("%u answers are missing after %zu bytes", n, ret_answer->len - start);
    struct pollfd fd = {.fd = client->conn.fd, .events = POLLIN};
    if (poll(&fd, 1, 200) > 0 && dk_conn_fill(&client->conn) < 0 && client->conn.in_at == client->conn.in.len)
      fail_msg("the agent closed the connection, and %u answers are missing", n);
  }
  assert_true(dk_buf_ok(ret_answer));
}
