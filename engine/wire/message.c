/* Frames and messages: see message.h and docs/agent-protocol.md. */
#include "engine/wire/message.h"
#include "engine/wire/codec.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define FRAME_HEAD 8u

static void put_id(struct dk_buf *buf, struct dk_id id) {
  dk_write_u64(buf, id.inc);
  dk_write_varint(buf, id.n);
}

static struct dk_id get_id(struct dk_reader *reader) {
  struct dk_id id;
  id.inc = dk_read_u64(reader);
  id.n = dk_read_varint(reader);
  return id;
}

static void put_digest(struct dk_buf *buf, const struct dk_digest *digest) {
  dk_buf_add(buf, digest->bytes, sizeof digest->bytes);
}

static void get_digest(struct dk_reader *reader, struct dk_digest *ret) {
  dk_wire_get_fixed(reader, ret->bytes, sizeof ret->bytes);
}

/* At most DK_PART_MAX bytes, which may have NULs. */
static char *get_part(struct dk_reader *reader, uint32_t *ret_len) {
  size_t len;
  const char *bytes = dk_read_bytes(reader, &len);
  if (bytes && len > DK_PART_MAX) reader->failed = true;
  if (!bytes || reader->failed) return NULL;
  char *copy = dk_alloc(len + 1);
  if (!copy) {
    reader->failed = reader->no_memory = true;
    return NULL;
  }
  memcpy(copy, bytes, len);
  copy[len] = '\0';
  *ret_len = (uint32_t)len;
  return copy;
}

static uint64_t get_len(struct dk_reader *reader) {
  uint64_t len = dk_read_varint(reader);
  if (len > DK_PART_MAX) reader->failed = true;
  return len;
}

static uint8_t get_stream(struct dk_reader *reader) {
  uint8_t stream = dk_read_u8(reader);
  if (stream != 1 && stream != 2) reader->failed = true;
  return stream;
}

static void put_body(struct dk_buf *buf, const struct dk_message *m) {
  dk_write_u8(buf, (uint8_t)m->type);
  put_id(buf, m->id);
  dk_write_u64(buf, m->session);
  dk_write_varint(buf, m->seq);
  switch (m->type) {
  case DK_MSG_HELLO:
    dk_write_u32(buf, m->u.hello.protocol);
    dk_buf_add(buf, m->u.hello.store, sizeof m->u.hello.store);
    dk_write_u64(buf, m->u.hello.incarnation);
    dk_write_text(buf, m->u.hello.version);
    break;
  case DK_MSG_WELCOME:
    dk_write_u32(buf, m->u.welcome.protocol);
    dk_buf_add(buf, m->u.welcome.boot, sizeof m->u.welcome.boot);
    dk_write_u32(buf, m->u.welcome.slots);
    dk_write_u32(buf, m->u.welcome.cpus);
    dk_write_varint(buf, m->u.welcome.memory);
    dk_write_u32(buf, m->u.welcome.pid);
    dk_write_text(buf, m->u.welcome.version);
    if (m->u.welcome.protocol < 3) break;
    dk_write_varint(buf, m->u.welcome.gpus);
    dk_write_text(buf, m->u.welcome.gpu);
    dk_write_u64(buf, m->u.welcome.unix_ns);
    dk_write_varint(buf, m->u.welcome.free);
    break;
  case DK_MSG_ASSIGN: dk_wire_put_job(buf, &m->u.job); break;
  case DK_MSG_KILL: dk_write_varint(buf, m->u.kill.grace_ms); break;
  case DK_MSG_HAS:
    dk_write_u8(buf, (uint8_t)m->u.has.state);
    dk_write_u32(buf, m->u.has.slot);
    break;
  case DK_MSG_STARTED:
    dk_write_u32(buf, m->u.started.slot);
    dk_write_u64(buf, m->u.started.unix_ns);
    break;
  case DK_MSG_REFUSED:
    dk_write_u8(buf, (uint8_t)m->u.refused.reason);
    dk_write_text(buf, m->u.refused.text);
    break;
  case DK_MSG_RESULT: dk_wire_put_result(buf, &m->u.result); break;
  case DK_MSG_CLOSED: dk_write_text(buf, m->u.closed.text); break;
  case DK_MSG_GET:
  case DK_MSG_LACKS:
    put_digest(buf, &m->u.want.digest);
    dk_write_varint(buf, m->u.want.offset);
    dk_write_varint(buf, m->u.want.len);
    break;
  case DK_MSG_PUT:
  case DK_MSG_PART:
    put_digest(buf, &m->u.part.digest);
    dk_write_varint(buf, m->u.part.offset);
    dk_write_varint(buf, m->u.part.total);
    dk_write_bytes(buf, m->u.part.bytes, m->u.part.len);
    break;
  case DK_MSG_GONE:
    put_digest(buf, &m->u.gone.digest);
    dk_write_u8(buf, m->u.gone.is_there);
    dk_write_text(buf, m->u.gone.text);
    break;
  case DK_MSG_READ:
    dk_write_u8(buf, m->u.log.stream);
    dk_write_varint(buf, m->u.log.offset);
    dk_write_varint(buf, m->u.log.len);
    break;
  case DK_MSG_LOG:
    dk_write_u8(buf, m->u.log.stream);
    dk_write_varint(buf, m->u.log.offset);
    dk_write_varint(buf, m->u.log.total);
    dk_write_bytes(buf, m->u.log.bytes, m->u.log.len);
    break;
  case DK_MSG_PONG:
    dk_write_u64(buf, m->u.pong.unix_ns);
    dk_write_varint(buf, m->u.pong.free);
    break;
  case DK_MSG_LIST:
  case DK_MSG_REVOKE:
  case DK_MSG_ACK:
  case DK_MSG_PING:
  case DK_MSG_HAS_END:
  case DK_MSG_REVOKED: break;
  }
}

int dk_message_encode(const struct dk_message *message, struct dk_buf *out) {
  size_t before = out->len;
  if (!dk_buf_ok(out)) return -ENOMEM;
  dk_write_u64(out, 0); /* the head, filled in below */
  put_body(out, message);
  int r = !dk_buf_ok(out) ? -ENOMEM : out->len - before - FRAME_HEAD > DK_FRAME_MAX ? -EMSGSIZE : 0;
  if (r < 0) {
    dk_buf_truncate(out, before);
    out->failed = false; /* what was in it before is whole */
    return r;
  }
  uint32_t len = (uint32_t)(out->len - before - FRAME_HEAD);
  uint8_t *head = (uint8_t *)out->data + before;
  uint32_t crc = dk_crc32c(head + FRAME_HEAD, len, 0);
  for (unsigned i = 0; i < 4; i++) {
    head[i] = (uint8_t)(len >> (8 * i));
    head[4 + i] = (uint8_t)(crc >> (8 * i));
  }
  return 0;
}

static void get_body(struct dk_reader *reader, struct dk_message *m) {
  uint8_t type = dk_read_u8(reader);
  m->type = (enum dk_message_type)type;
  m->id = get_id(reader);
  m->session = dk_read_u64(reader);
  m->seq = dk_read_varint(reader);
  switch (type) {
  case DK_MSG_HELLO:
    m->u.hello.protocol = dk_read_u32(reader);
    dk_wire_get_fixed(reader, m->u.hello.store, sizeof m->u.hello.store);
    m->u.hello.incarnation = dk_read_u64(reader);
    m->u.hello.version = dk_read_text(reader);
    break;
  case DK_MSG_WELCOME:
    m->u.welcome.protocol = dk_read_u32(reader);
    dk_wire_get_fixed(reader, m->u.welcome.boot, sizeof m->u.welcome.boot);
    m->u.welcome.slots = dk_read_u32(reader);
    m->u.welcome.cpus = dk_read_u32(reader);
    m->u.welcome.memory = dk_read_varint(reader);
    m->u.welcome.pid = dk_read_u32(reader);
    m->u.welcome.version = dk_read_text(reader);
    if (m->u.welcome.protocol < 3) break;
    m->u.welcome.gpus = dk_wire_get_count32(reader);
    m->u.welcome.gpu = dk_read_text(reader);
    m->u.welcome.unix_ns = dk_read_u64(reader);
    m->u.welcome.free = dk_read_varint(reader);
    break;
  case DK_MSG_ASSIGN: dk_wire_get_job(reader, &m->u.job); break;
  case DK_MSG_KILL: m->u.kill.grace_ms = dk_read_varint(reader); break;
  case DK_MSG_HAS: {
    uint8_t state = dk_read_u8(reader);
    if (state < DK_ATTEMPT_QUEUED || state > DK_ATTEMPT_ENDED) reader->failed = true;
    m->u.has.state = (enum dk_attempt_state)state;
    m->u.has.slot = dk_read_u32(reader);
    break;
  }
  case DK_MSG_STARTED:
    m->u.started.slot = dk_read_u32(reader);
    m->u.started.unix_ns = dk_read_u64(reader);
    break;
  case DK_MSG_REFUSED: {
    uint8_t reason = dk_read_u8(reader);
    if (reason < DK_REFUSED_BUSY || reason > DK_REFUSED_DATA) reader->failed = true;
    m->u.refused.reason = (enum dk_refusal)reason;
    m->u.refused.text = dk_read_text(reader);
    break;
  }
  case DK_MSG_RESULT: dk_wire_get_result(reader, &m->u.result); break;
  case DK_MSG_CLOSED: m->u.closed.text = dk_read_text(reader); break;
  case DK_MSG_GET:
  case DK_MSG_LACKS:
    get_digest(reader, &m->u.want.digest);
    m->u.want.offset = dk_read_varint(reader);
    m->u.want.len = get_len(reader);
    break;
  case DK_MSG_PUT:
  case DK_MSG_PART:
    get_digest(reader, &m->u.part.digest);
    m->u.part.offset = dk_read_varint(reader);
    m->u.part.total = dk_read_varint(reader);
    m->u.part.bytes = get_part(reader, &m->u.part.len);
    if (m->u.part.offset > m->u.part.total || m->u.part.len > m->u.part.total - m->u.part.offset) reader->failed = true;
    break;
  case DK_MSG_GONE: {
    get_digest(reader, &m->u.gone.digest);
    uint8_t is_there = dk_read_u8(reader);
    if (is_there > 1) reader->failed = true;
    m->u.gone.is_there = is_there == 1;
    m->u.gone.text = dk_read_text(reader);
    break;
  }
  case DK_MSG_READ:
    m->u.log.stream = get_stream(reader);
    m->u.log.offset = dk_read_varint(reader);
    m->u.log.len = (uint32_t)get_len(reader);
    break;
  case DK_MSG_LOG:
    m->u.log.stream = get_stream(reader);
    m->u.log.offset = dk_read_varint(reader);
    m->u.log.total = dk_read_varint(reader);
    m->u.log.bytes = get_part(reader, &m->u.log.len);
    break;
  case DK_MSG_PONG:
    m->u.pong.unix_ns = dk_read_u64(reader);
    m->u.pong.free = dk_read_varint(reader);
    break;
  case DK_MSG_LIST:
  case DK_MSG_REVOKE:
  case DK_MSG_ACK:
  case DK_MSG_PING:
  case DK_MSG_HAS_END:
  case DK_MSG_REVOKED: break;
  default: reader->failed = true; break;
  }
}

static uint32_t get_u32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

long dk_message_decode(const void *data, size_t len, struct dk_message *ret, struct dk_error *error) {
  const uint8_t *bytes = data;
  memset(ret, 0, sizeof *ret);
  if (len < 4) return 0;
  uint32_t size = get_u32(bytes);
  if (size == 0 || size > DK_FRAME_MAX)
    return dk_error_set(error, -EPROTO, "no message of dkrun: a frame claims %u bytes", size);
  if (len - 4 < (size_t)size + 4) return 0;
  if (dk_crc32c(bytes + FRAME_HEAD, size, 0) != get_u32(bytes + 4))
    return dk_error_set(error, -EPROTO, "a message was damaged on its way (checksum)");
  struct dk_reader reader;
  dk_reader_init(&reader, bytes + FRAME_HEAD, size);
  get_body(&reader, ret);
  if (!dk_reader_done(&reader)) {
    unsigned type = (unsigned)ret->type;
    dk_message_finish(ret);
    if (reader.no_memory) return dk_error_system(error, -ENOMEM, "reading a message");
    return dk_error_set(error, -EPROTO,
                        "a message of type %u cannot be read: is the other side another version of dkrun?", type);
  }
  if (ret->type == DK_MSG_WELCOME && ret->u.welcome.slots > DK_SLOTS_MAX) {
    uint32_t slots = ret->u.welcome.slots;
    dk_message_finish(ret);
    return dk_error_set(error, -EPROTO, "its agent says that it has %u slots, and no agent has more than %u", slots,
                        DK_SLOTS_MAX);
  }
  return (long)size + (long)FRAME_HEAD;
}

void dk_message_finish(struct dk_message *m) {
  switch (m->type) {
  case DK_MSG_HELLO: dk_free(m->u.hello.version); break;
  case DK_MSG_WELCOME:
    dk_free(m->u.welcome.version);
    dk_free(m->u.welcome.gpu);
    break;
  case DK_MSG_ASSIGN: dk_job_finish(&m->u.job); break;
  case DK_MSG_REFUSED: dk_free(m->u.refused.text); break;
  case DK_MSG_RESULT: dk_result_finish(&m->u.result); break;
  case DK_MSG_CLOSED: dk_free(m->u.closed.text); break;
  case DK_MSG_PUT:
  case DK_MSG_PART: dk_free(m->u.part.bytes); break;
  case DK_MSG_GONE: dk_free(m->u.gone.text); break;
  case DK_MSG_LOG: dk_free(m->u.log.bytes); break;
  case DK_MSG_GET:
  case DK_MSG_READ:
  case DK_MSG_PING:
  case DK_MSG_PONG:
  case DK_MSG_LACKS:
  case DK_MSG_LIST:
  case DK_MSG_REVOKE:
  case DK_MSG_KILL:
  case DK_MSG_ACK:
  case DK_MSG_HAS:
  case DK_MSG_HAS_END:
  case DK_MSG_STARTED:
  case DK_MSG_REVOKED:
  default: break;
  }
  memset(m, 0, sizeof *m);
}
