/* Runs that have not ended, as the next engine finds them: see asked.h. */
#include "engine/store/asked.h"

#include "engine/store/codec.h"
#include "lang/base/alloc.h"
#include "lang/base/bytes.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define VERSION 1
#define RECENT 64u /* a mean follows a change of the program within about so many tasks */

/* --- keys: u32 run, big-endian, and what comes behind --- */

static void run_key(struct dk_buf *key, uint32_t run) {
  uint32_t big = htobe32(run);
  dk_buf_add(key, &big, sizeof big);
}

static int put(struct dk_batch *batch, enum dk_table table, const struct dk_buf *key, const struct dk_buf *value) {
  if (!dk_buf_ok(key) || !dk_buf_ok(value)) return -ENOMEM;
  dk_batch_put(batch, table, key->data, key->len, value->data, value->len);
  return dk_buf_ok(&batch->bytes) ? 0 : -ENOMEM;
}

/* --- how it was started --- */

int dk_batch_put_asked_run(struct dk_batch *batch, uint32_t run, const struct dk_asked_run *asked) {
  dk_autobuf key = DK_BUF_INIT, value = DK_BUF_INIT;

  run_key(&key, run);
  dk_write_u8(&value, VERSION);
  dk_write_u8(&value, (uint8_t)(asked->is_paused | asked->is_foreground << 1));
  dk_write_varint(&value, asked->jobs);
  dk_write_signed(&value, asked->priority);
  dk_write_varint(&value, asked->n_params);
  for (uint32_t i = 0; i < asked->n_params; i++) {
    dk_write_text(&value, asked->params[i].name);
    dk_write_text(&value, asked->params[i].value);
  }
  return put(batch, DK_TABLE_ASKED_RUNS, &key, &value);
}

static int decode_run(const void *data, size_t len, struct dk_asked_run *ret) {
  struct dk_reader reader;

  *ret = (struct dk_asked_run){0};
  dk_reader_init(&reader, data, len);
  if (dk_read_u8(&reader) != VERSION) reader.failed = true;
  uint8_t flags = dk_read_u8(&reader);
  ret->is_paused = flags & 1;
  ret->is_foreground = flags & 2;
  ret->jobs = (uint32_t)dk_read_varint(&reader);
  ret->priority = (int32_t)dk_read_signed(&reader);
  uint32_t n = dk_read_count(&reader, 2);
  ret->params = dk_calloc(n + 1, sizeof *ret->params);
  if (!ret->params) return -ENOMEM;
  for (; ret->n_params < n && !reader.failed; ret->n_params++) {
    ret->params[ret->n_params].name = dk_read_text(&reader);
    ret->params[ret->n_params].value = dk_read_text(&reader);
  }
  if (dk_reader_done(&reader)) return 0;
  dk_asked_run_finish(ret);
  return -EBADMSG;
}

int dk_store_get_asked_run(struct dk_store *store, uint32_t run, struct dk_asked_run *ret, struct dk_error *error) {
  dk_autobuf key = DK_BUF_INIT, value = DK_BUF_INIT;

  *ret = (struct dk_asked_run){0};
  run_key(&key, run);
  if (!dk_buf_ok(&key)) return dk_error_system(error, -ENOMEM, "reading run %u", run);
  int r = dk_store_get(store, DK_TABLE_ASKED_RUNS, key.data, key.len, &value, error);
  if (r == 0) r = decode_run(value.data, value.len, ret);
  return r == -EBADMSG ? dk_error_set(error, r, "how run %u was started cannot be read", run) : r;
}

void dk_asked_run_finish(struct dk_asked_run *asked) {
  for (uint32_t i = 0; asked->params && i < asked->n_params; i++) {
    dk_free(asked->params[i].name);
    dk_free(asked->params[i].value);
  }
  dk_free(asked->params);
  *asked = (struct dk_asked_run){0};
}

/* --- what was asked since --- */

int dk_ask_encode(const struct dk_ask *asked, struct dk_buf *out) {
  size_t before = out->len;
  uint32_t last = 0;

  dk_write_u8(out, VERSION);
  dk_write_u8(out, (uint8_t)asked->kind);
  dk_write_u8(out, asked->is_hard);
  dk_write_signed(out, asked->priority);
  dk_write_varint(out, 2 * (uint64_t)asked->n_ranges);
  for (uint32_t i = 0; i < 2 * asked->n_ranges; last = asked->ranges[i++])
    dk_write_varint(out, asked->ranges[i] - last);
  if (dk_buf_ok(out)) return 0;
  dk_buf_truncate(out, before);
  return -ENOMEM;
}

int dk_ask_decode(const void *data, size_t len, struct dk_ask *ret) {
  struct dk_reader reader;
  uint64_t at = 0;

  *ret = (struct dk_ask){0};
  dk_reader_init(&reader, data, len);
  if (dk_read_u8(&reader) != VERSION) reader.failed = true;
  ret->kind = dk_read_u8(&reader);
  if (ret->kind < DK_EV_CANCEL || ret->kind > DK_EV_PRIORITY) reader.failed = true;
  uint8_t is_hard = dk_read_u8(&reader);
  if (is_hard > 1) reader.failed = true;
  ret->is_hard = is_hard == 1;
  int64_t priority = dk_read_signed(&reader);
  if (priority < INT32_MIN || priority > INT32_MAX) reader.failed = true;
  ret->priority = (int32_t)priority;
  uint32_t n = dk_read_count(&reader, 1);
  if (n % 2) reader.failed = true;
  ret->ranges = dk_calloc(n + 1, sizeof *ret->ranges);
  if (!ret->ranges) return -ENOMEM;
  for (uint32_t i = 0; i < n && !reader.failed; i++) {
    uint64_t step = dk_read_varint(&reader);
    at += step <= UINT32_MAX ? step : UINT32_MAX;
    if (step > UINT32_MAX || at > UINT32_MAX) reader.failed = true;
    ret->ranges[i] = (uint32_t)at;
  }
  ret->n_ranges = n / 2;
  if (dk_reader_done(&reader)) return 0;
  dk_ask_finish(ret);
  return -EBADMSG;
}

void dk_ask_finish(struct dk_ask *asked) {
  dk_free(asked->ranges);
  *asked = (struct dk_ask){0};
}

int dk_batch_put_ask(struct dk_batch *batch, uint32_t run, uint32_t n, const struct dk_ask *asked) {
  dk_autobuf key = DK_BUF_INIT, value = DK_BUF_INIT;

  run_key(&key, run);
  run_key(&key, n);
  int r = dk_ask_encode(asked, &value);
  return r < 0 ? r : put(batch, DK_TABLE_ASKED, &key, &value);
}

struct asked_walk {
  dk_store_ask_fn *fn;
  void *ctx;
};

static int visit_asked(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  const struct asked_walk *walk = ctx;
  struct dk_ask asked;
  uint32_t n;

  if (klen != 8) return -EBADMSG;
  memcpy(&n, (const char *)key + 4, sizeof n);
  int r = dk_ask_decode(value, vlen, &asked);
  if (r == 0) r = walk->fn(walk->ctx, be32toh(n), &asked);
  dk_ask_finish(&asked);
  return r;
}

int dk_store_each_ask(struct dk_store *store, uint32_t run, dk_store_ask_fn *fn, void *ctx, struct dk_error *error) {
  dk_autobuf key = DK_BUF_INIT;
  struct asked_walk walk = {fn, ctx};

  run_key(&key, run);
  if (!dk_buf_ok(&key)) return dk_error_system(error, -ENOMEM, "reading run %u", run);
  return dk_store_each(store, DK_TABLE_ASKED, key.data, key.len, visit_asked, &walk, error);
}

/* --- input files --- */

/* A path that is too long for a key is not kept: such a file is hashed anew. */
#define PATH_KEY_MAX 500u /* LMDB's keys end at 511 bytes */

int dk_batch_put_run_file(struct dk_batch *batch, uint32_t run, const char *path, const struct dk_digest *digest,
                          bool is_dir) {
  dk_autobuf key = DK_BUF_INIT, value = DK_BUF_INIT;

  if (strlen(path) > PATH_KEY_MAX) return 0;
  run_key(&key, run);
  dk_buf_add_text(&key, path);
  dk_write_u8(&value, VERSION);
  dk_write_u8(&value, is_dir);
  dk_codec_write_digest(&value, digest);
  return put(batch, DK_TABLE_RUN_FILES, &key, &value);
}

struct file_walk {
  dk_store_run_file_fn *fn;
  void *ctx;
};

static int visit_file(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  const struct file_walk *walk = ctx;
  struct dk_reader reader;
  struct dk_digest digest;
  dk_autofree char *path = klen >= 4 ? dk_strndup((const char *)key + 4, klen - 4) : NULL;

  if (!path) return klen >= 4 ? -ENOMEM : -EBADMSG;
  dk_reader_init(&reader, value, vlen);
  if (dk_read_u8(&reader) != VERSION) reader.failed = true;
  bool is_dir = dk_read_u8(&reader);
  dk_codec_read_digest(&reader, &digest);
  return dk_reader_done(&reader) ? walk->fn(walk->ctx, path, &digest, is_dir) : -EBADMSG;
}

int dk_store_each_run_file(struct dk_store *store, uint32_t run, dk_store_run_file_fn *fn, void *ctx,
                           struct dk_error *error) {
  dk_autobuf key = DK_BUF_INIT;
  struct file_walk walk = {fn, ctx};

  run_key(&key, run);
  if (!dk_buf_ok(&key)) return dk_error_system(error, -ENOMEM, "reading run %u", run);
  return dk_store_each(store, DK_TABLE_RUN_FILES, key.data, key.len, visit_file, &walk, error);
}

/* --- the end --- */

struct deletion {
  struct dk_batch *batch;
  enum dk_table table;
};

static int del(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  const struct deletion *deletion = ctx;

  (void)value;
  (void)vlen;
  dk_batch_del(deletion->batch, deletion->table, key, klen);
  return dk_buf_ok(&deletion->batch->bytes) ? 0 : -ENOMEM;
}

int dk_batch_del_asked(struct dk_batch *batch, struct dk_store *store, uint32_t run, struct dk_error *error) {
  static const enum dk_table tables[] = {DK_TABLE_ASKED_RUNS, DK_TABLE_ASKED, DK_TABLE_RUN_FILES};
  dk_autobuf key = DK_BUF_INIT;
  int r = 0;

  run_key(&key, run);
  if (!dk_buf_ok(&key)) return dk_error_system(error, -ENOMEM, "ending run %u", run);
  for (size_t i = 0; r == 0 && i < sizeof tables / sizeof *tables; i++) {
    struct deletion deletion = {batch, tables[i]};
    r = dk_store_each(store, tables[i], key.data, key.len, del, &deletion, error);
  }
  return r;
}

/* --- durations --- */

static void duration_key(struct dk_buf *key, const char *experiment, const char *tmpl) {
  dk_buf_add(key, experiment, strlen(experiment) + 1);
  dk_buf_add_text(key, tmpl);
}

void dk_duration_add(struct dk_duration *duration, uint64_t wall_ns) {
  duration->n++;
  int64_t weight = (int64_t)(duration->n < RECENT ? duration->n : RECENT);
  duration->mean_ns = (uint64_t)((int64_t)duration->mean_ns + ((int64_t)wall_ns - (int64_t)duration->mean_ns) / weight);
}

int dk_batch_put_duration(struct dk_batch *batch, const char *experiment, const char *tmpl,
                          const struct dk_duration *duration) {
  dk_autobuf key = DK_BUF_INIT, value = DK_BUF_INIT;

  duration_key(&key, experiment, tmpl);
  if (key.len > PATH_KEY_MAX) return 0;
  dk_write_u8(&value, VERSION);
  dk_write_varint(&value, duration->n);
  dk_write_varint(&value, duration->mean_ns);
  return put(batch, DK_TABLE_DURATIONS, &key, &value);
}

int dk_store_get_duration(struct dk_store *store, const char *experiment, const char *tmpl, struct dk_duration *ret,
                          struct dk_error *error) {
  dk_autobuf key = DK_BUF_INIT, value = DK_BUF_INIT;
  struct dk_reader reader;

  *ret = (struct dk_duration){0};
  duration_key(&key, experiment, tmpl);
  if (!dk_buf_ok(&key)) return dk_error_system(error, -ENOMEM, "reading durations");
  if (key.len > PATH_KEY_MAX) return -ENOENT;
  int r = dk_store_get(store, DK_TABLE_DURATIONS, key.data, key.len, &value, error);
  if (r < 0) return r;
  dk_reader_init(&reader, value.data, value.len);
  if (dk_read_u8(&reader) != VERSION) reader.failed = true;
  ret->n = dk_read_varint(&reader);
  ret->mean_ns = dk_read_varint(&reader);
  return dk_reader_done(&reader) ? 0 : dk_error_set(error, -EBADMSG, "the durations of `%s` cannot be read", tmpl);
}
