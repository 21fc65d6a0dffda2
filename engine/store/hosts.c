/* See hosts.h. */
#include "engine/store/hosts.h"

#include "engine/store/codec.h"
#include "lang/base/alloc.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define VERSION 1
#define PLACE_VERSION 2 /* of a host whose place is known */

static int put(struct dk_batch *batch, enum dk_table table, const struct dk_buf *key, const struct dk_buf *value) {
  if (!dk_buf_ok(key) || !dk_buf_ok(value)) return -ENOMEM;
  dk_batch_put(batch, table, key->data, key->len, value->data, value->len);
  return dk_buf_ok(&batch->bytes) ? 0 : -ENOMEM;
}

static void number_key(struct dk_buf *key, uint32_t number) {
  uint32_t big = htobe32(number);
  dk_buf_add(key, &big, sizeof big);
}

static uint32_t number_at(const void *key) {
  uint32_t big;
  memcpy(&big, key, sizeof big);
  return be32toh(big);
}

/* --- hosts --- */

int dk_host_record_encode(const struct dk_host_record *host, struct dk_buf *out) {
  size_t before = out->len;

  if (!dk_buf_ok(out)) return -ENOMEM;
  bool has_place = host->place && *host->place;
  dk_write_u8(out, has_place ? PLACE_VERSION : VERSION);
  dk_write_u8(out, (uint8_t)host->state);
  dk_write_text(out, host->provider);
  dk_write_text(out, host->name);
  dk_write_text(out, host->words);
  dk_write_text(out, host->system);
  dk_write_text(out, host->gpu);
  dk_write_u64(out, host->changed_unix_ns);
  dk_write_u64(out, host->seen_unix_ns);
  dk_write_varint(out, host->memory);
  dk_write_varint(out, host->free);
  dk_write_signed(out, host->clock_ns);
  dk_write_u32(out, host->slots);
  dk_write_u32(out, host->cpus);
  dk_write_u32(out, host->gpus);
  if (has_place) dk_write_text(out, host->place);
  if (dk_buf_ok(out)) return 0;
  dk_buf_truncate(out, before);
  return -ENOMEM;
}

int dk_host_record_decode(const void *data, size_t len, struct dk_host_record *ret) {
  struct dk_reader reader;

  *ret = (struct dk_host_record){0};
  dk_reader_init(&reader, data, len);
  uint8_t version = dk_read_u8(&reader);
  if (version < VERSION || version > PLACE_VERSION) reader.failed = true;
  uint8_t state = dk_read_u8(&reader);
  if (state > DK_HOST_REMOVED) reader.failed = true;
  ret->state = (enum dk_host_state)state;
  ret->provider = dk_read_text(&reader);
  ret->name = dk_read_text(&reader);
  ret->words = dk_read_text(&reader);
  ret->system = dk_read_text(&reader);
  ret->gpu = dk_read_text(&reader);
  ret->changed_unix_ns = dk_read_u64(&reader);
  ret->seen_unix_ns = dk_read_u64(&reader);
  ret->memory = dk_read_varint(&reader);
  ret->free = dk_read_varint(&reader);
  ret->clock_ns = dk_read_signed(&reader);
  ret->slots = dk_read_u32(&reader);
  ret->cpus = dk_read_u32(&reader);
  ret->gpus = dk_read_u32(&reader);
  if (version >= PLACE_VERSION) ret->place = dk_read_text(&reader);
  if (dk_reader_done(&reader)) return 0;
  dk_host_record_finish(ret);
  return dk_reader_error(&reader);
}

void dk_host_record_finish(struct dk_host_record *host) {
  dk_free(host->provider);
  dk_free(host->name);
  dk_free(host->words);
  dk_free(host->system);
  dk_free(host->gpu);
  dk_free(host->place);
  *host = (struct dk_host_record){0};
}

int dk_batch_put_host(struct dk_batch *batch, const struct dk_host_record *host) {
  dk_autobuf key = DK_BUF_INIT, value = DK_BUF_INIT;

  number_key(&key, host->number);
  if (dk_host_record_encode(host, &value) < 0) return -ENOMEM;
  return put(batch, DK_TABLE_HOSTS, &key, &value);
}

int dk_store_get_host(struct dk_store *store, uint32_t number, struct dk_host_record *ret, struct dk_error *error) {
  dk_autobuf key = DK_BUF_INIT, value = DK_BUF_INIT;

  *ret = (struct dk_host_record){0};
  number_key(&key, number);
  if (!dk_buf_ok(&key)) return dk_error_system(error, -ENOMEM, "reading a host");
  int r = dk_store_get(store, DK_TABLE_HOSTS, key.data, key.len, &value, error);
  if (r < 0) return r;
  r = dk_host_record_decode(value.data, value.len, ret);
  if (r < 0) return dk_error_system(error, r, "reading host %u", number);
  ret->number = number;
  return 0;
}

struct host_walk {
  dk_store_host_fn *fn;
  void *ctx;
};

static int visit_host(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  const struct host_walk *walk = ctx;
  struct dk_host_record host;

  if (klen != sizeof host.number) return -EBADMSG;
  int r = dk_host_record_decode(value, vlen, &host);
  if (r < 0) return r;
  host.number = number_at(key);
  r = walk->fn(walk->ctx, &host);
  dk_host_record_finish(&host);
  return r;
}

int dk_store_each_host(struct dk_store *store, dk_store_host_fn *fn, void *ctx, struct dk_error *error) {
  struct host_walk walk = {fn, ctx};

  return dk_store_each(store, DK_TABLE_HOSTS, NULL, 0, visit_host, &walk, error);
}

/* --- copies --- */

static void copy_key(struct dk_buf *key, const struct dk_digest *content, uint32_t host) {
  dk_buf_add(key, content->bytes, sizeof content->bytes);
  number_key(key, host);
}

int dk_batch_put_copy(struct dk_batch *batch, const struct dk_copy *copy) {
  dk_autobuf key = DK_BUF_INIT, value = DK_BUF_INIT;

  copy_key(&key, &copy->content, copy->host);
  dk_write_u8(&value, VERSION);
  dk_write_varint(&value, copy->size);
  dk_write_u8(&value, copy->is_dir);
  return put(batch, DK_TABLE_COPIES, &key, &value);
}

int dk_batch_del_copy(struct dk_batch *batch, const struct dk_digest *content, uint32_t host) {
  dk_autobuf key = DK_BUF_INIT;

  copy_key(&key, content, host);
  if (!dk_buf_ok(&key)) return -ENOMEM;
  dk_batch_del(batch, DK_TABLE_COPIES, key.data, key.len);
  return dk_buf_ok(&batch->bytes) ? 0 : -ENOMEM;
}

struct copy_walk {
  dk_store_copy_fn *fn;
  void *ctx;
};

int dk_copy_decode(const void *key, size_t klen, const void *value, size_t vlen, struct dk_copy *ret) {
  struct dk_reader reader;

  if (klen != DK_COPY_KEY) return -EBADMSG;
  memcpy(ret->content.bytes, key, sizeof ret->content.bytes);
  ret->host = number_at((const uint8_t *)key + sizeof ret->content.bytes);
  dk_reader_init(&reader, value, vlen);
  if (dk_read_u8(&reader) != VERSION) reader.failed = true;
  ret->size = dk_read_varint(&reader);
  uint8_t is_dir = dk_read_u8(&reader);
  if (is_dir > 1) reader.failed = true;
  ret->is_dir = is_dir == 1;
  return dk_reader_done(&reader) ? 0 : -EBADMSG;
}

int dk_store_get_copy(struct dk_store *store, const struct dk_digest *content, uint32_t host, struct dk_copy *ret,
                      struct dk_error *error) {
  dk_autobuf key = DK_BUF_INIT, value = DK_BUF_INIT;
  struct dk_copy copy;

  copy_key(&key, content, host);
  if (!dk_buf_ok(&key)) return dk_error_system(error, -ENOMEM, "reading where a content is");
  int r = dk_store_get(store, DK_TABLE_COPIES, key.data, key.len, &value, error);
  if (r == 0) r = dk_copy_decode(key.data, key.len, value.data, value.len, ret ? ret : &copy);
  return r;
}

static int visit_copy(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  const struct copy_walk *walk = ctx;
  struct dk_copy copy;
  int r = dk_copy_decode(key, klen, value, vlen, &copy);

  return r < 0 ? r : walk->fn(walk->ctx, &copy);
}

int dk_store_each_copy(struct dk_store *store, const struct dk_digest *content, dk_store_copy_fn *fn, void *ctx,
                       struct dk_error *error) {
  struct copy_walk walk = {fn, ctx};

  return dk_store_each(store, DK_TABLE_COPIES, content ? content->bytes : NULL, content ? sizeof content->bytes : 0,
                       visit_copy, &walk, error);
}

struct copy_search {
  struct dk_store *store;
  dk_store_may_host_fn *may;
  void *ctx;
  struct dk_copy *ret;
};

static int judge_copy(void *ctx, const struct dk_copy *copy) {
  const struct copy_search *search = ctx;
  struct dk_host_record host;

  if (search->may && !search->may(search->ctx, copy->host)) return 0;
  if (dk_store_get_host(search->store, copy->host, &host, NULL) < 0) return 0;
  bool is_there = search->may || host.state != DK_HOST_REMOVED;
  dk_host_record_finish(&host);
  if (is_there) *search->ret = *copy;
  return is_there;
}

int dk_store_find_copy(struct dk_store *store, const struct dk_digest *content, dk_store_may_host_fn *may, void *ctx,
                       struct dk_copy *ret, struct dk_error *error) {
  struct copy_search search = {store, may, ctx, ret};
  int r = dk_store_each_copy(store, content, judge_copy, &search, error);

  return r < 0 ? r : r > 0 ? 0 : -ENOENT;
}
