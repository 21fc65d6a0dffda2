/* A batch: writes kept as bytes until they are committed, so that the same ones can be replayed when the map was too
 * small. An item: u8 operation, u8 table, u32 key length, u32 value length, key, value. */
#include "engine/store/batch.h"
#include "engine/store/private.h"
#include "lang/base/bytes.h"

#include <assert.h>
#include <string.h>

static void add(struct dk_batch *batch, enum dk_batch_op op, enum dk_table table, const void *key, size_t klen,
                const void *value, size_t vlen) {
  assert((unsigned)table < DK_N_TABLES && klen > 0 && klen <= DK_KEY_MAX);
  struct dk_buf *out = &batch->bytes;
  if (vlen > UINT32_MAX - 64) {
    out->failed = true;
    return;
  }
  size_t before = out->len;
  dk_write_u8(out, (uint8_t)op);
  dk_write_u8(out, (uint8_t)table);
  dk_write_u32(out, (uint32_t)klen);
  dk_write_u32(out, (uint32_t)vlen);
  dk_buf_add(out, key, klen);
  dk_buf_add(out, value, vlen);
  if (dk_buf_ok(out))
    batch->n++;
  else
    dk_buf_truncate(out, before);
}

void dk_batch_put(struct dk_batch *batch, enum dk_table table, const void *key, size_t klen, const void *value,
                  size_t vlen) {
  add(batch, DK_BATCH_PUT, table, key, klen, value, vlen);
}

void dk_batch_put_new(struct dk_batch *batch, enum dk_table table, const void *key, size_t klen, const void *value,
                      size_t vlen) {
  add(batch, DK_BATCH_PUT_NEW, table, key, klen, value, vlen);
}

void dk_batch_del(struct dk_batch *batch, enum dk_table table, const void *key, size_t klen) {
  add(batch, DK_BATCH_DEL, table, key, klen, NULL, 0);
  batch->forgets |=
      table == DK_TABLE_RESULTS || table == DK_TABLE_METRICS || table == DK_TABLE_RUNS || table == DK_TABLE_COPIES;
}

void dk_batch_append(struct dk_batch *batch, const struct dk_batch *other) {
  dk_buf_add(&batch->bytes, other->bytes.data, other->bytes.len);
  if (!dk_buf_ok(&other->bytes)) batch->bytes.failed = true;
  batch->n += other->n;
  batch->forgets |= other->forgets;
}

void dk_batch_clear(struct dk_batch *batch) {
  dk_buf_clear(&batch->bytes);
  batch->n = 0;
  batch->forgets = false;
}

void dk_batch_finish(struct dk_batch *batch) {
  dk_buf_finish(&batch->bytes);
  batch->n = 0;
}

bool dk_batch_next(const struct dk_batch *batch, size_t *at, struct dk_batch_item *ret) {
  if (*at >= batch->bytes.len) return false;
  struct dk_reader reader;
  dk_reader_init(&reader, batch->bytes.data + *at, batch->bytes.len - *at);
  ret->op = (enum dk_batch_op)dk_read_u8(&reader);
  ret->table = (enum dk_table)dk_read_u8(&reader);
  ret->klen = dk_read_u32(&reader);
  ret->vlen = dk_read_u32(&reader);
  ret->key = dk_read_fixed(&reader, ret->klen);
  ret->value = dk_read_fixed(&reader, ret->vlen);
  assert(!reader.failed);
  *at = batch->bytes.len - (size_t)(reader.end - reader.at);
  return true;
}
