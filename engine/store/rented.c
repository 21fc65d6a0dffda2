/* See rented.h. */
#include "engine/store/rented.h"

#include "engine/store/codec.h"
#include "lang/base/alloc.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define VERSION 1

enum { STRANGER = 1, LEAVING = 2, PROVEN = 4 };

static void put_shape(struct dk_buf *out, const struct dk_rent_shape *shape) {
  dk_write_text(out, shape->name);
  dk_write_u32(out, shape->cpus);
  dk_write_u32(out, shape->gpus);
  dk_write_varint(out, shape->memory);
  dk_write_varint(out, shape->disk);
  dk_write_u64(out, shape->price);
}

static void put_rented(struct dk_buf *out, const struct dk_rented *rented) {
  dk_write_u8(out, (uint8_t)rented->state);
  dk_write_u8(out, (uint8_t)((rented->is_stranger ? STRANGER : 0) | (rented->is_leaving ? LEAVING : 0) |
                             (rented->is_proven ? PROVEN : 0)));
  dk_write_u64(out, rented->incarnation);
  dk_write_text(out, rented->pool);
  dk_write_text(out, rented->id);
  put_shape(out, &rented->shape);
  dk_write_u32(out, rented->host);
  dk_write_u64(out, rented->asked_unix_ns);
}

int dk_rented_encode(const struct dk_rent_record *record, struct dk_buf *ret_key, struct dk_buf *ret_value) {
  uint32_t number = htobe32(record->kind == DK_RENT_REC_RENTED ? record->rented.number : 0);

  dk_write_u8(ret_key, 0);
  dk_buf_add(ret_key, &number, sizeof number);
  dk_write_u8(ret_value, VERSION);
  if (record->kind == DK_RENT_REC_TAKEN)
    dk_write_u32(ret_value, record->taken);
  else
    put_rented(ret_value, &record->rented);
  return dk_buf_ok(ret_key) && dk_buf_ok(ret_value) ? 0 : -ENOMEM;
}

/* A text that has to fit, with its NUL. */
static void get_text(struct dk_reader *reader, char *ret, size_t size) {
  size_t len = 0;
  const char *bytes = dk_read_bytes(reader, &len);

  if (!bytes || len >= size || memchr(bytes, 0, len)) {
    reader->failed = true;
    return;
  }
  memcpy(ret, bytes, len);
  ret[len] = '\0';
}

static void get_shape(struct dk_reader *reader, struct dk_rent_shape *ret) {
  get_text(reader, ret->name, sizeof ret->name);
  ret->cpus = dk_read_u32(reader);
  ret->gpus = dk_read_u32(reader);
  ret->memory = dk_read_varint(reader);
  ret->disk = dk_read_varint(reader);
  ret->price = dk_read_u64(reader);
}

static void get_rented(struct dk_reader *reader, struct dk_rented *ret) {
  uint8_t state = dk_read_u8(reader), flags = dk_read_u8(reader);

  if (state < DK_RENT_ASKED || state > DK_RENT_ENDING || flags > (STRANGER | LEAVING | PROVEN)) reader->failed = true;
  ret->state = (enum dk_rent_state)state;
  ret->is_stranger = flags & STRANGER;
  ret->is_leaving = flags & LEAVING;
  ret->is_proven = flags & PROVEN;
  ret->incarnation = dk_read_u64(reader);
  get_text(reader, ret->pool, sizeof ret->pool);
  get_text(reader, ret->id, sizeof ret->id);
  get_shape(reader, &ret->shape);
  ret->host = dk_read_u32(reader);
  ret->asked_unix_ns = dk_read_u64(reader);
}

int dk_rented_decode(const void *key, size_t klen, const void *value, size_t vlen, struct dk_rent_record *ret) {
  struct dk_reader reader;
  uint32_t number;

  *ret = (struct dk_rent_record){.kind = DK_RENT_REC_RENTED};
  if (klen != DK_RENTED_KEY || *(const uint8_t *)key != 0) return -EBADMSG;
  memcpy(&number, (const uint8_t *)key + 1, sizeof number);
  ret->rented.number = be32toh(number);
  dk_reader_init(&reader, value, vlen);
  if (dk_read_u8(&reader) != VERSION) reader.failed = true;
  if (ret->rented.number == 0) {
    ret->kind = DK_RENT_REC_TAKEN;
    ret->taken = dk_read_u32(&reader);
  } else {
    get_rented(&reader, &ret->rented);
  }
  return dk_reader_done(&reader) ? 0 : -EBADMSG;
}

int dk_batch_add_rent(struct dk_batch *batch, const struct dk_rent_record *record) {
  dk_autobuf key = DK_BUF_INIT, value = DK_BUF_INIT;

  if (dk_rented_encode(record, &key, &value) < 0) return -ENOMEM;
  if (record->del)
    dk_batch_del(batch, DK_TABLE_RENTED, key.data, key.len);
  else
    dk_batch_put(batch, DK_TABLE_RENTED, key.data, key.len, value.data, value.len);
  return dk_buf_ok(&batch->bytes) ? 0 : -ENOMEM;
}

struct load {
  struct dk_rent_record *items;
  uint32_t n, cap;
};

static int load_one(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct load *load = ctx;

  if (!dk_grow(load->items, load->n, load->cap)) return -ENOMEM;
  return dk_rented_decode(key, klen, value, vlen, &load->items[load->n++]);
}

int dk_store_load_rent(struct dk_store *store, struct dk_rent_record **ret, uint32_t *ret_n, struct dk_error *error) {
  struct load load = {NULL, 0, 0};
  int r = dk_store_each(store, DK_TABLE_RENTED, NULL, 0, load_one, &load, error);

  if (r < 0) {
    dk_free(load.items);
    return error && error->text[0] ? r : dk_error_system(error, r, "reading what machines there are");
  }
  *ret = load.items;
  *ret_n = load.n;
  return 0;
}
