/* A result as bytes: inside RESULT, in the keeper's journal and in the store. Old versions stay readable. */
#include "engine/wire/codec.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define RESULT_VERSION 1

enum { KEPT_DIR = 1, KEPT_MISSING = 2, KEPT_INLINE = 4, KEPT_DIGEST = 8, KEPT_FLAGS = 15 };

static void put_kept(struct dk_buf *buf, const struct dk_kept *kept) {
  unsigned flags = (kept->is_dir ? KEPT_DIR : 0u) | (kept->is_missing ? KEPT_MISSING : 0u) |
                   (kept->bytes ? KEPT_INLINE : 0u) |
                   (!kept->bytes && !dk_digest_is_zero(&kept->digest) ? KEPT_DIGEST : 0u);
  dk_write_u8(buf, (uint8_t)flags);
  dk_write_varint(buf, kept->total);
  if (kept->bytes) {
    dk_write_bytes(buf, kept->bytes, kept->size);
    return;
  }
  dk_write_varint(buf, kept->size);
  if (flags & KEPT_DIGEST) dk_buf_add(buf, kept->digest.bytes, sizeof kept->digest.bytes);
}

static void get_kept(struct dk_reader *reader, struct dk_kept *ret) {
  uint8_t flags = dk_read_u8(reader);
  if (flags & ~KEPT_FLAGS || (flags & KEPT_INLINE && flags & KEPT_DIGEST)) reader->failed = true;
  ret->is_dir = flags & KEPT_DIR;
  ret->is_missing = flags & KEPT_MISSING;
  ret->total = dk_read_varint(reader);
  if (!(flags & KEPT_INLINE)) {
    ret->size = dk_read_varint(reader);
    if (flags & KEPT_DIGEST) dk_wire_get_fixed(reader, ret->digest.bytes, sizeof ret->digest.bytes);
    /* One value has one encoding: no digest is said by the flag. */
    if (flags & KEPT_DIGEST && dk_digest_is_zero(&ret->digest)) reader->failed = true;
    return;
  }
  size_t len;
  const char *bytes = dk_read_bytes(reader, &len);
  if (!bytes) return;
  ret->bytes = dk_alloc(len + 1);
  if (!ret->bytes) {
    reader->failed = reader->no_memory = true;
    return;
  }
  memcpy(ret->bytes, bytes, len);
  ret->bytes[len] = '\0';
  ret->size = len;
}

void dk_wire_put_result(struct dk_buf *buf, const struct dk_result *result) {
  dk_write_u8(buf, RESULT_VERSION);
  dk_write_u8(buf, (uint8_t)result->cause);
  dk_write_signed(buf, result->code);
  dk_write_text(buf, result->text);
  dk_write_u64(buf, result->started_unix_ns);
  dk_write_varint(buf, result->wall_ns);
  dk_write_varint(buf, result->user_ns);
  dk_write_varint(buf, result->sys_ns);
  dk_write_varint(buf, result->max_rss);
  put_kept(buf, &result->out);
  put_kept(buf, &result->err);
  dk_write_varint(buf, result->n_outputs);
  for (uint32_t i = 0; i < result->n_outputs; i++) put_kept(buf, &result->outputs[i]);
  dk_write_varint(buf, result->n_keep_files);
  for (uint32_t i = 0; i < result->n_keep_files; i++) put_kept(buf, &result->keep_files[i]);
}

void dk_wire_get_result(struct dk_reader *reader, struct dk_result *ret) {
  if (dk_read_u8(reader) != RESULT_VERSION) reader->failed = true;
  uint8_t cause = dk_read_u8(reader);
  if (cause > DK_CAUSE_LOST) reader->failed = true;
  ret->cause = reader->failed ? DK_CAUSE_LOST : (enum dk_cause)cause;
  int64_t code = dk_read_signed(reader);
  if (code < INT32_MIN || code > INT32_MAX) reader->failed = true;
  ret->code = (int32_t)code;
  ret->text = dk_read_text(reader);
  ret->started_unix_ns = dk_read_u64(reader);
  ret->wall_ns = dk_read_varint(reader);
  ret->user_ns = dk_read_varint(reader);
  ret->sys_ns = dk_read_varint(reader);
  ret->max_rss = dk_read_varint(reader);
  get_kept(reader, &ret->out);
  get_kept(reader, &ret->err);
  ret->outputs = dk_wire_get_items(reader, 3, sizeof *ret->outputs, &ret->n_outputs);
  for (uint32_t i = 0; i < ret->n_outputs; i++) get_kept(reader, &ret->outputs[i]);
  ret->keep_files = dk_wire_get_items(reader, 3, sizeof *ret->keep_files, &ret->n_keep_files);
  for (uint32_t i = 0; i < ret->n_keep_files; i++) get_kept(reader, &ret->keep_files[i]);
}

int dk_result_encode(const struct dk_result *result, struct dk_buf *out) {
  size_t before = out->len;
  dk_wire_put_result(out, result);
  if (dk_buf_ok(out)) return 0;
  dk_buf_truncate(out, before);
  return -ENOMEM;
}

int dk_result_decode(const void *data, size_t len, struct dk_result *ret, struct dk_error *error) {
  *ret = (struct dk_result){0};
  struct dk_reader reader;
  dk_reader_init(&reader, data, len);
  dk_wire_get_result(&reader, ret);
  if (dk_reader_done(&reader)) return 0;
  dk_result_finish(ret);
  if (reader.no_memory) return dk_error_system(error, -ENOMEM, "reading a result");
  if (len > 0 && *(const uint8_t *)data > RESULT_VERSION)
    return dk_error_set(error, -EPROTO, "a result was written by a newer dkrun (format %u)", *(const uint8_t *)data);
  return dk_error_set(error, -EPROTO, "the bytes of a result are damaged");
}

void dk_result_finish(struct dk_result *result) {
  dk_free(result->text);
  dk_free(result->out.bytes);
  dk_free(result->err.bytes);
  for (uint32_t i = 0; i < result->n_outputs; i++) dk_free(result->outputs[i].bytes);
  dk_free(result->outputs);
  for (uint32_t i = 0; i < result->n_keep_files; i++) dk_free(result->keep_files[i].bytes);
  dk_free(result->keep_files);
  memset(result, 0, sizeof *result);
}
