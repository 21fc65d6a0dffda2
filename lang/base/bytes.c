/* Little-endian fields and varints: see bytes.h. Written byte by byte, so it is the same on any machine. */
#include "lang/base/bytes.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

void dk_reader_init(struct dk_reader *reader, const void *data, size_t len) {
  static const uint8_t nothing[1];
  reader->at = data ? data : nothing;
  reader->end = reader->at + (data ? len : 0);
  reader->failed = !data && len > 0;
  reader->no_memory = false;
}

static size_t left(const struct dk_reader *reader) {
  return reader->failed ? 0 : (size_t)(reader->end - reader->at);
}

const void *dk_read_fixed(struct dk_reader *reader, size_t len) {
  if (reader->failed || len > left(reader)) {
    reader->failed = true;
    return NULL;
  }
  const uint8_t *at = reader->at;
  reader->at += len;
  return at;
}

static uint64_t read_le(struct dk_reader *reader, unsigned bytes) {
  const uint8_t *at = dk_read_fixed(reader, bytes);
  uint64_t value = 0;
  for (unsigned i = 0; at && i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
  return value;
}

uint8_t dk_read_u8(struct dk_reader *reader) {
  return (uint8_t)read_le(reader, 1);
}

uint16_t dk_read_u16(struct dk_reader *reader) {
  return (uint16_t)read_le(reader, 2);
}

uint32_t dk_read_u32(struct dk_reader *reader) {
  return (uint32_t)read_le(reader, 4);
}

uint64_t dk_read_u64(struct dk_reader *reader) {
  return read_le(reader, 8);
}

uint64_t dk_read_varint(struct dk_reader *reader) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    uint8_t byte = dk_read_u8(reader);
    if (reader->failed) return 0;
    if (shift == 63 && byte > 1) break; /* more than 64 bits */
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte & 0x80) continue;
    if (byte == 0 && shift > 0) break; /* a longer encoding of a shorter number */
    return value;
  }
  reader->failed = true;
  return 0;
}

int64_t dk_read_signed(struct dk_reader *reader) {
  uint64_t zigzag = dk_read_varint(reader);
  return (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
}

double dk_read_double(struct dk_reader *reader) {
  uint64_t bits = dk_read_u64(reader);
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

const char *dk_read_bytes(struct dk_reader *reader, size_t *ret_len) {
  uint64_t len = dk_read_varint(reader);
  *ret_len = 0;
  if (reader->failed || len > left(reader)) {
    reader->failed = true;
    return NULL;
  }
  *ret_len = (size_t)len;
  return dk_read_fixed(reader, (size_t)len);
}

uint32_t dk_read_count(struct dk_reader *reader, size_t min_size) {
  uint64_t count = dk_read_varint(reader);
  if (reader->failed || count > UINT32_MAX || count > left(reader) / (min_size ? min_size : 1)) {
    reader->failed = true;
    return 0;
  }
  return (uint32_t)count;
}

bool dk_reader_done(const struct dk_reader *reader) {
  return !reader->failed && reader->at == reader->end;
}

int dk_reader_error(const struct dk_reader *reader) {
  if (dk_reader_done(reader)) return 0;
  return reader->no_memory ? -ENOMEM : -EBADMSG;
}

char *dk_read_text(struct dk_reader *reader) {
  size_t len;
  const char *bytes = dk_read_bytes(reader, &len);
  if (!bytes || memchr(bytes, '\0', len)) {
    reader->failed = true;
    return NULL;
  }
  char *copy = dk_strndup(bytes, len);
  if (!copy) reader->failed = reader->no_memory = true;
  return copy;
}

static void write_le(struct dk_buf *buf, uint64_t value, unsigned bytes) {
  uint8_t out[8];
  for (unsigned i = 0; i < bytes; i++) out[i] = (uint8_t)(value >> (8 * i));
  dk_buf_add(buf, out, bytes);
}

void dk_write_u8(struct dk_buf *buf, uint8_t value) {
  write_le(buf, value, 1);
}

void dk_write_u16(struct dk_buf *buf, uint16_t value) {
  write_le(buf, value, 2);
}

void dk_write_u32(struct dk_buf *buf, uint32_t value) {
  write_le(buf, value, 4);
}

void dk_write_u64(struct dk_buf *buf, uint64_t value) {
  write_le(buf, value, 8);
}

void dk_write_varint(struct dk_buf *buf, uint64_t value) {
  uint8_t out[10];
  size_t n = 0;
  for (; value >= 0x80; value >>= 7) out[n++] = (uint8_t)(value | 0x80);
  out[n++] = (uint8_t)value;
  dk_buf_add(buf, out, n);
}

void dk_write_signed(struct dk_buf *buf, int64_t value) {
  uint64_t sign = value < 0 ? UINT64_MAX : 0;
  dk_write_varint(buf, ((uint64_t)value << 1) ^ sign);
}

void dk_write_double(struct dk_buf *buf, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  dk_write_u64(buf, bits);
}

void dk_write_bytes(struct dk_buf *buf, const void *data, size_t len) {
  dk_write_varint(buf, len);
  dk_buf_add(buf, data, len);
}

void dk_write_text(struct dk_buf *buf, const char *text) {
  dk_write_bytes(buf, text, text ? strlen(text) : 0);
}
