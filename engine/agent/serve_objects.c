/* What the daemon has besides orders: objects for remote jobs, and answers to who asks for an object, a log or a sign
 * of life. */
#include "engine/agent/journal.h"
#include "engine/agent/serve_private.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define WORK_NS 10000000u /* of a turn, for what takes long */

/* To the engine whose session is open; false: there is none, or it will not hear it. */
static bool say(struct serve *s, struct dk_message *message) {
  uint32_t conn;
  if (!dk_agent_session(s->agent, &conn, &message->session)) return false;
  struct engine *engine = dk_serve_find_engine(s, conn);
  if (!engine || engine->is_closing) return false;
  if (dk_conn_put(&engine->conn, message) == 0) return true;
  engine->is_closing = true;
  return false;
}

bool dk_serve_say_lacks(void *ctx, const struct dk_digest *digest, uint64_t offset) {
  struct dk_message message = {.type = DK_MSG_LACKS};
  message.u.want.digest = *digest;
  message.u.want.offset = offset;
  return say(ctx, &message);
}

/* Remote jobs. */

static int open_objects(struct serve *s, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/objects", s->root);
  if (!dk_buf_ok(&path)) return dk_error_set(error, -ENOMEM, "no memory to take an order");
  return dk_fetch_open(s->fetch, path.data, error);
}

static void refuse(struct serve *s, struct dk_id id, enum dk_refusal reason, const char *text) {
  struct dk_agent_event event = {.kind = DK_AGENT_EV_NO_DATA, .id = id, .reason = reason, .text = text};
  dk_serve_step(s, &event);
}

void dk_serve_fetch(struct serve *s, struct dk_id id, const struct dk_job *job) {
  struct dk_error error = {0};
  int r = open_objects(s, &error);
  if (r == 0) r = dk_fetch_order(s->fetch, id, job);
  if (r == 0) return;
  if (!error.code) dk_error_set(&error, r, "no memory to take an order");
  refuse(s, id, dk_fetch_refusal(r), error.text);
}

void dk_serve_work(struct serve *s) {
  dk_fetch_work(s->fetch, dk_now_ns() + WORK_NS);
  for (struct dk_fate fate; dk_fetch_next(s->fetch, &fate);) {
    struct dk_agent_event event = {.kind = DK_AGENT_EV_DATA, .id = fate.id};
    if (fate.is_here)
      dk_serve_step(s, &event);
    else
      refuse(s, fate.id, fate.reason, fate.text);
  }
}

/* Answers. */

uint64_t dk_serve_free(const struct serve *s) {
  struct statvfs fs;
  return statvfs(s->root, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
}

static ssize_t read_at(int fd, void *data, size_t len, uint64_t offset) {
  size_t at = 0;
  while (at < len) {
    ssize_t n = pread(fd, (char *)data + at, len - at, (off_t)(offset + at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) break;
    at += (size_t)n;
  }
  return (ssize_t)at;
}

static void say_gone(struct serve *s, const struct dk_digest *digest, bool is_there, const char *text) {
  struct dk_message message = {.type = DK_MSG_GONE};
  message.u.gone.digest = *digest;
  message.u.gone.is_there = is_there;
  message.u.gone.text = (char *)text;
  say(s, &message);
}

static void on_get(struct serve *s, const struct dk_message *message) {
  const struct dk_digest *digest = &message->u.want.digest;
  struct dk_error error = {0};
  struct dk_message part = {.type = DK_MSG_PART};
  part.u.part.digest = *digest;
  part.u.part.offset = message->u.want.offset;
  int fd = -1, r = open_objects(s, &error);
  if (r == 0) r = dk_objects_open_one(dk_fetch_objects(s->fetch), digest, &fd, &part.u.part.total, &error);
  if (r == 0 && part.u.part.offset > part.u.part.total)
    r = dk_error_set(&error, -ERANGE, "it has %llu bytes", (unsigned long long)part.u.part.total);
  if (r == 0) {
    uint64_t left = part.u.part.total - part.u.part.offset;
    size_t len = left < message->u.want.len ? (size_t)left : (size_t)message->u.want.len;
    dk_autofree char *bytes = dk_alloc(len);
    ssize_t n = bytes ? read_at(fd, bytes, len, part.u.part.offset) : -ENOMEM;
    if (n == (ssize_t)len) {
      part.u.part.bytes = bytes;
      part.u.part.len = (uint32_t)len;
      say(s, &part);
    } else {
      r = dk_error_system(&error, n < 0 ? (int)n : -EIO, "reading an object");
    }
  }
  if (fd >= 0) close(fd);
  if (r < 0) say_gone(s, digest, r != -ENOENT && r != -ERANGE, error.text);
}

/* Where the next bytes are that were not punched out, and how many of them lie together. */
static uint64_t next_bytes(int fd, uint64_t from, uint64_t end, uint32_t *len) {
  off_t data = lseek(fd, (off_t)from, SEEK_DATA);
  if (data < 0 && errno == ENXIO) { /* nothing but a hole is left */
    *len = 0;
    return end;
  }
  uint64_t at = data > (off_t)from ? (uint64_t)data : from;
  off_t hole = lseek(fd, (off_t)at, SEEK_HOLE);
  if (hole > (off_t)at && (uint64_t)hole - at < *len) *len = (uint32_t)((uint64_t)hole - at);
  return at;
}

static int open_stream(const struct serve *s, uint32_t slot, uint8_t stream, int *ret_slot_dir) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/slots/%u", s->root, slot);
  *ret_slot_dir = dk_buf_ok(&path) ? open(path.data, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
  if (*ret_slot_dir < 0) return -1;
  return openat(*ret_slot_dir, stream == 1 ? "out" : "err", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* A keeper notes a start before it empties the files: what was read before this is asked is the attempt's own. */
static bool is_its_slot(int slot_dir, struct dk_id id) {
  struct dk_journal_start start;
  bool is_open;
  return dk_journal_look(slot_dir, &start, &is_open) == 0 && dk_id_equal(start.id, id);
}

static void read_stream(int fd, struct dk_message *log, char *bytes, uint32_t len) {
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return;
  log->u.log.total = (uint64_t)st.st_size;
  if (log->u.log.offset >= log->u.log.total) len = 0;
  if (len > 0) log->u.log.offset = next_bytes(fd, log->u.log.offset, log->u.log.total, &len);
  ssize_t n = read_at(fd, bytes, len, log->u.log.offset);
  log->u.log.bytes = bytes;
  log->u.log.len = n > 0 ? (uint32_t)n : 0;
  /* It was written to meanwhile. */
  if (log->u.log.len > 0 && log->u.log.offset + log->u.log.len > log->u.log.total)
    log->u.log.total = log->u.log.offset + log->u.log.len;
}

static void on_read(struct serve *s, const struct dk_message *message) {
  struct dk_message log = {.type = DK_MSG_LOG, .id = message->id};
  dk_autofree char *bytes = dk_alloc(message->u.log.len);
  uint32_t slot;
  int fd = -1, slot_dir = -1;
  log.u.log.stream = message->u.log.stream;
  log.u.log.offset = message->u.log.offset;
  if (bytes && dk_agent_is_running(s->agent, message->id, &slot))
    fd = open_stream(s, slot, log.u.log.stream, &slot_dir);
  if (fd >= 0) read_stream(fd, &log, bytes, message->u.log.len);
  if (fd < 0 || !is_its_slot(slot_dir, message->id)) log.u.log.offset = log.u.log.total = log.u.log.len = 0;
  if (fd >= 0) close(fd);
  if (slot_dir >= 0) close(slot_dir);
  say(s, &log);
}

static void on_ping(struct serve *s) {
  struct dk_message pong = {.type = DK_MSG_PONG};
  pong.u.pong.unix_ns = dk_unix_ns();
  pong.u.pong.free = dk_serve_free(s);
  say(s, &pong);
}

bool dk_serve_answer(struct serve *s, uint32_t number, const struct dk_message *message) {
  uint32_t conn;
  uint64_t session;
  if (!dk_agent_session(s->agent, &conn, &session) || conn != number) return false;
  switch (message->type) {
  case DK_MSG_PUT:
    dk_fetch_part(s->fetch, &message->u.part.digest, message->u.part.offset, message->u.part.total,
                  message->u.part.bytes, message->u.part.len);
    return true;
  case DK_MSG_GONE: dk_fetch_gone(s->fetch, &message->u.gone.digest, message->u.gone.text); return true;
  case DK_MSG_GET: on_get(s, message); return true;
  case DK_MSG_READ: on_read(s, message); return true;
  case DK_MSG_PING: on_ping(s); return true;
  default: return false;
  }
}
