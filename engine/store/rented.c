/* See rented.h. */
#include "engine/store/rented.h"

#include "lang/base/alloc.h"
#include "lang/base/bytes.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define VERSION 4 /* 1 lacked `where`, 2 the currency, 3 builders */
#define TAKEN_VERSION 1
#define SPENT_VERSION 1
/* In the table `meta`: numbers up to this were used; and, with three letters behind it, what was spent in a currency. */
#define TAKEN "rented"
#define SPENT DK_STORE_SPENT

enum { IS_STRANGER = 1, IS_LEAVING = 2, IS_PROVEN = 4, IS_BUILDER = 8, ALL_FLAGS = 15 };

int dk_rented_encode(const struct dk_rented *rented, struct dk_buf *out) {
  size_t before = out->len;

  if (!dk_buf_ok(out)) return -ENOMEM;
  dk_write_u8(out, VERSION);
  dk_write_u8(out, (uint8_t)rented->state);
  dk_write_u8(out, (uint8_t)((rented->is_stranger ? IS_STRANGER : 0) | (rented->is_leaving ? IS_LEAVING : 0) |
                             (rented->is_proven ? IS_PROVEN : 0) | (rented->is_builder ? IS_BUILDER : 0)));
  dk_write_text(out, rented->pool);
  dk_write_text(out, rented->id);
  dk_write_u32(out, rented->host);
  dk_write_u64(out, rented->asked_unix_ns);
  dk_write_text(out, rented->shape.name);
  dk_write_u32(out, rented->shape.cpus);
  dk_write_u32(out, rented->shape.gpus);
  dk_write_u64(out, rented->shape.memory);
  dk_write_u64(out, rented->shape.disk);
  dk_write_u64(out, rented->shape.price);
  dk_write_text(out, rented->where);
  dk_write_text(out, rented->shape.currency);
  if (dk_buf_ok(out)) return 0;
  dk_buf_truncate(out, before);
  return -ENOMEM;
}

static void read_name(struct dk_reader *reader, char *ret, size_t size) {
  size_t len;
  const char *text = dk_read_bytes(reader, &len);
  if (!text || len >= size || memchr(text, 0, len))
    reader->failed = true;
  else
    memcpy(ret, text, len);
}

int dk_rented_decode(const void *key, size_t klen, const void *value, size_t vlen, struct dk_rented *ret) {
  struct dk_reader reader;
  uint64_t incarnation;
  uint32_t number;

  *ret = (struct dk_rented){.number = 0};
  if (klen != DK_RENTED_KEY) return -EBADMSG;
  memcpy(&incarnation, key, sizeof incarnation);
  memcpy(&number, (const uint8_t *)key + sizeof incarnation, sizeof number);
  ret->incarnation = be64toh(incarnation);
  ret->number = be32toh(number);
  dk_reader_init(&reader, value, vlen);
  uint8_t version = dk_read_u8(&reader);
  if (version < 1 || version > VERSION) reader.failed = true;
  uint8_t state = dk_read_u8(&reader), flags = dk_read_u8(&reader);
  if (state < DK_RENT_ASKED || state > DK_RENT_ENDING || flags > ALL_FLAGS) reader.failed = true;
  ret->state = (enum dk_rent_state)state;
  ret->is_stranger = flags & IS_STRANGER;
  ret->is_leaving = flags & IS_LEAVING;
  ret->is_proven = flags & IS_PROVEN;
  ret->is_builder = flags & IS_BUILDER;
  read_name(&reader, ret->pool, sizeof ret->pool);
  read_name(&reader, ret->id, sizeof ret->id);
  ret->host = dk_read_u32(&reader);
  ret->asked_unix_ns = dk_read_u64(&reader);
  read_name(&reader, ret->shape.name, sizeof ret->shape.name);
  ret->shape.cpus = dk_read_u32(&reader);
  ret->shape.gpus = dk_read_u32(&reader);
  ret->shape.memory = dk_read_u64(&reader);
  ret->shape.disk = dk_read_u64(&reader);
  ret->shape.price = dk_read_u64(&reader);
  if (version > 1) read_name(&reader, ret->where, sizeof ret->where);
  if (version > 2) read_name(&reader, ret->shape.currency, sizeof ret->shape.currency);
  return dk_reader_done(&reader) && ret->number ? 0 : -EBADMSG;
}

static void rented_key(struct dk_buf *key, const struct dk_rented *rented) {
  uint64_t incarnation = htobe64(rented->incarnation);
  uint32_t number = htobe32(rented->number);
  dk_buf_add(key, &incarnation, sizeof incarnation);
  dk_buf_add(key, &number, sizeof number);
}

static int put(struct dk_batch *batch, enum dk_table table, const struct dk_buf *key, const struct dk_buf *value) {
  if (!dk_buf_ok(key) || !dk_buf_ok(value)) return -ENOMEM;
  dk_batch_put(batch, table, key->data, key->len, value->data, value->len);
  return dk_buf_ok(&batch->bytes) ? 0 : -ENOMEM;
}

int dk_batch_add_rent_record(struct dk_batch *batch, const struct dk_rent_record *record) {
  dk_autobuf key = DK_BUF_INIT, value = DK_BUF_INIT;

  if (record->kind == DK_RENT_REC_TAKEN) {
    dk_buf_add_text(&key, TAKEN);
    dk_write_u8(&value, TAKEN_VERSION);
    dk_write_u32(&value, record->taken);
    return put(batch, DK_TABLE_META, &key, &value);
  }
  if (record->kind == DK_RENT_REC_SPENT) {
    dk_buf_printf(&key, SPENT "%s", record->spent.currency);
    dk_write_u8(&value, SPENT_VERSION);
    dk_write_u64(&value, record->spent.micro);
    return put(batch, DK_TABLE_META, &key, &value);
  }
  rented_key(&key, &record->rented);
  if (!record->del) {
    if (dk_rented_encode(&record->rented, &value) < 0) return -ENOMEM;
    return put(batch, DK_TABLE_INSTANCES, &key, &value);
  }
  if (!dk_buf_ok(&key)) return -ENOMEM;
  dk_batch_del(batch, DK_TABLE_INSTANCES, key.data, key.len);
  return dk_buf_ok(&batch->bytes) ? 0 : -ENOMEM;
}

struct rented_walk {
  dk_store_rented_fn *fn;
  void *ctx;
};

static int visit_rented(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  const struct rented_walk *walk = ctx;
  struct dk_rented rented;
  int r = dk_rented_decode(key, klen, value, vlen, &rented);

  return r < 0 ? r : walk->fn(walk->ctx, &rented);
}

int dk_store_each_rented(struct dk_store *store, dk_store_rented_fn *fn, void *ctx, struct dk_error *error) {
  struct rented_walk walk = {fn, ctx};

  return dk_store_each(store, DK_TABLE_INSTANCES, NULL, 0, visit_rented, &walk, error);
}

struct loaded {
  struct dk_rent_record *records;
  uint32_t n, cap;
};

static struct dk_rent_record *add(struct loaded *loaded) {
  if (!dk_grow(loaded->records, loaded->n, loaded->cap)) return NULL;
  struct dk_rent_record *record = &loaded->records[loaded->n++];
  *record = (struct dk_rent_record){.kind = DK_RENT_REC_RENTED};
  return record;
}

static int add_rented(void *ctx, const struct dk_rented *rented) {
  struct dk_rent_record *record = add(ctx);
  if (!record) return -ENOMEM;
  record->rented = *rented;
  return 0;
}

static int add_taken(struct dk_store *store, struct loaded *loaded, struct dk_error *error) {
  dk_autobuf value = DK_BUF_INIT;
  struct dk_reader reader;
  int r = dk_store_get(store, DK_TABLE_META, TAKEN, strlen(TAKEN), &value, error);

  if (r < 0) return r == -ENOENT ? 0 : r;
  dk_reader_init(&reader, value.data, value.len);
  uint8_t version = dk_read_u8(&reader);
  uint32_t taken = dk_read_u32(&reader);
  if (version != TAKEN_VERSION || !dk_reader_done(&reader))
    return dk_error_set(error, -EBADMSG, "the store is damaged: the count of rented machines cannot be understood");
  struct dk_rent_record *record = add(loaded);
  if (!record) return -ENOMEM;
  record->kind = DK_RENT_REC_TAKEN;
  record->taken = taken;
  return 0;
}

static int add_spent(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct dk_reader reader;

  dk_reader_init(&reader, value, vlen);
  uint8_t version = dk_read_u8(&reader);
  uint64_t micro = dk_read_u64(&reader);
  if (klen != strlen(SPENT) + DK_CURRENCY - 1 || version != SPENT_VERSION || !dk_reader_done(&reader)) return -EBADMSG;
  struct dk_rent_record *record = add(ctx);
  if (!record) return -ENOMEM;
  record->kind = DK_RENT_REC_SPENT;
  record->spent.micro = micro;
  memcpy(record->spent.currency, (const char *)key + strlen(SPENT), DK_CURRENCY - 1);
  return 0;
}

int dk_store_load_rented(struct dk_store *store, struct dk_rent_record **ret, uint32_t *ret_n, struct dk_error *error) {
  struct loaded loaded = {.n = 0};
  int r = add_taken(store, &loaded, error);

  if (r == 0) r = dk_store_each(store, DK_TABLE_META, SPENT, strlen(SPENT), add_spent, &loaded, error);
  if (r == 0) r = dk_store_each_rented(store, add_rented, &loaded, error);
  if (r < 0) {
    dk_free(loaded.records);
    *ret = NULL;
    *ret_n = 0;
    if (r == -ENOMEM) return dk_error_system(error, r, "reading which machines are rented");
    return r;
  }
  *ret = loaded.records;
  *ret_n = loaded.n;
  return 0;
}

int dk_store_spent(struct dk_store *store, uint64_t unix_ns, struct dk_purse *ret, struct dk_error *error) {
  struct dk_rent_record *records;
  uint32_t n;
  int r = dk_store_load_rented(store, &records, &n, error);

  *ret = (struct dk_purse){.n = 0};
  for (uint32_t i = 0; i < n; i++) {
    const struct dk_rented *rented = &records[i].rented;
    if (records[i].kind == DK_RENT_REC_SPENT) dk_purse_add(ret, records[i].spent.currency, records[i].spent.micro);
    if (records[i].kind == DK_RENT_REC_RENTED)
      dk_purse_add(ret, rented->shape.currency, dk_rented_cost(rented, unix_ns));
  }
  dk_free(records);
  return r;
}
