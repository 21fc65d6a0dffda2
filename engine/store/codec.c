/* The store's values as bytes: see record.h. Each starts with a version byte; the decoders take any bytes and leave
 * nothing allocated when they refuse them. */
#include "engine/store/codec.h"
#include "engine/store/record.h"
#include "lang/base/alloc.h"
#include "lang/base/bytes.h"

#include <errno.h>
#include <string.h>

#define VERSION 1
#define RUN_VERSION 2 /* 1 knew nothing of costs */

static int written(struct dk_buf *out, size_t before) {
  if (dk_buf_ok(out)) return 0;
  dk_buf_truncate(out, before);
  return -ENOMEM;
}

void dk_codec_write_digest(struct dk_buf *out, const struct dk_digest *digest) {
  dk_buf_add(out, digest->bytes, DK_DIGEST_SIZE);
}

void dk_codec_read_digest(struct dk_reader *reader, struct dk_digest *ret) {
  const void *bytes = dk_read_fixed(reader, DK_DIGEST_SIZE);
  if (bytes)
    memcpy(ret->bytes, bytes, DK_DIGEST_SIZE);
  else
    memset(ret, 0, sizeof *ret);
}

static void write_id(struct dk_buf *out, struct dk_id id) {
  dk_write_u64(out, id.inc);
  dk_write_u64(out, id.n);
}

static struct dk_id read_id(struct dk_reader *reader) {
  struct dk_id id;
  id.inc = dk_read_u64(reader);
  id.n = dk_read_u64(reader);
  return id;
}

static void read_version(struct dk_reader *reader) {
  if (dk_read_u8(reader) != VERSION) reader->failed = true;
}

static void write_money(struct dk_buf *out, const struct dk_money *money) {
  dk_buf_add(out, money->currency, sizeof money->currency);
  dk_write_varint(out, money->micro);
}

static void read_money(struct dk_reader *reader, struct dk_money *ret) {
  *ret = (struct dk_money){.micro = 0};
  const void *currency = dk_read_fixed(reader, sizeof ret->currency);
  if (currency) memcpy(ret->currency, currency, sizeof ret->currency);
  if (ret->currency[sizeof ret->currency - 1]) reader->failed = true;
  ret->micro = dk_read_varint(reader);
}

static void write_purse(struct dk_buf *out, const struct dk_purse *purse) {
  dk_write_varint(out, purse->n);
  for (uint32_t i = 0; i < purse->n; i++) write_money(out, &purse->items[i]);
}

static void read_purse(struct dk_reader *reader, struct dk_purse *ret) {
  *ret = (struct dk_purse){.n = 0};
  uint64_t n = dk_read_varint(reader);
  if (n > DK_PURSE_MOST) reader->failed = true;
  for (uint64_t i = 0; i < n && !reader->failed; i++) {
    struct dk_money money;
    read_money(reader, &money);
    dk_purse_add(ret, money.currency, money.micro);
  }
}

void dk_consent_write(struct dk_buf *out, const struct dk_consent *consent) {
  dk_write_u8(out, (uint8_t)consent->pay);
  write_money(out, &consent->limit);
}

void dk_consent_read(struct dk_reader *reader, struct dk_consent *ret) {
  uint8_t pay = dk_read_u8(reader);
  if (pay > DK_PAY_ANY) reader->failed = true;
  ret->pay = (enum dk_pay)pay;
  read_money(reader, &ret->limit);
}

int dk_run_encode(const struct dk_run *run, struct dk_buf *out) {
  size_t before = out->len;
  dk_write_u8(out, RUN_VERSION);
  dk_write_u32(out, run->number);
  dk_write_u8(out, (uint8_t)run->state);
  dk_write_text(out, run->name);
  dk_write_text(out, run->file);
  dk_write_text(out, run->commit);
  dk_write_text(out, run->snapshot);
  dk_write_varint(out, run->n_changed);
  dk_write_text(out, run->params);
  dk_codec_write_digest(out, &run->plan);
  dk_write_u64(out, run->started_unix_ns);
  dk_write_u64(out, run->ended_unix_ns);
  const uint32_t counts[] = {run->n_tasks, run->n_done, run->n_cached, run->n_failed, run->n_not_run};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) dk_write_varint(out, counts[i]);
  dk_write_u32(out, run->engine_pid);
  dk_consent_write(out, &run->consent);
  write_purse(out, &run->before);
  write_purse(out, &run->cost);
  return written(out, before);
}

static uint32_t read_small(struct dk_reader *reader) {
  uint64_t value = dk_read_varint(reader);
  if (value > UINT32_MAX) reader->failed = true;
  return (uint32_t)value;
}

int dk_run_decode(const void *data, size_t len, struct dk_run *ret) {
  struct dk_reader reader;
  dk_reader_init(&reader, data, len);
  memset(ret, 0, sizeof *ret);
  uint8_t version = dk_read_u8(&reader);
  if (version < 1 || version > RUN_VERSION) reader.failed = true;
  ret->number = dk_read_u32(&reader);
  uint8_t state = dk_read_u8(&reader);
  if (state < DK_RUN_RUNNING || state > DK_RUN_INTERRUPTED) reader.failed = true;
  ret->state = (enum dk_run_state)state;
  ret->name = dk_read_text(&reader);
  ret->file = dk_read_text(&reader);
  ret->commit = dk_read_text(&reader);
  ret->snapshot = dk_read_text(&reader);
  ret->n_changed = read_small(&reader);
  ret->params = dk_read_text(&reader);
  dk_codec_read_digest(&reader, &ret->plan);
  ret->started_unix_ns = dk_read_u64(&reader);
  ret->ended_unix_ns = dk_read_u64(&reader);
  uint32_t *const counts[] = {&ret->n_tasks, &ret->n_done, &ret->n_cached, &ret->n_failed, &ret->n_not_run};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) *counts[i] = read_small(&reader);
  ret->engine_pid = dk_read_u32(&reader);
  if (version > 1) {
    dk_consent_read(&reader, &ret->consent);
    read_purse(&reader, &ret->before);
    read_purse(&reader, &ret->cost);
  }
  int err = dk_reader_error(&reader);
  if (err) dk_run_finish(ret);
  return err;
}

void dk_run_finish(struct dk_run *run) {
  dk_free(run->name);
  dk_free(run->file);
  dk_free(run->commit);
  dk_free(run->snapshot);
  dk_free(run->params);
  memset(run, 0, sizeof *run);
}

/* Of a task; version 1 has no tries, and is what most have. */
#define TRIES_VERSION 2 /* retries were used */
#define HOST_VERSION 3  /* it runs, or ran last, on another machine */

int dk_task_record_encode(const struct dk_task_record *task, struct dk_buf *out) {
  size_t before = out->len;
  bool has_host = task->host != DK_HOST_LOCAL, has_tries = has_host || !dk_tries_is_none(&task->tries);
  dk_write_u8(out, has_host ? HOST_VERSION : has_tries ? TRIES_VERSION : VERSION);
  dk_write_u8(out, (uint8_t)task->state);
  dk_write_u8(out, (uint8_t)task->cause);
  dk_write_u8(out, task->attempts);
  dk_write_signed(out, task->code);
  dk_write_u32(out, task->slot);
  write_id(out, task->attempt);
  dk_codec_write_digest(out, &task->key);
  if (has_tries) {
    dk_write_u8(out, task->tries.lost);
    dk_write_u8(out, task->tries.oom);
    dk_write_u8(out, task->tries.other);
    dk_write_u8(out, task->tries.is_over);
  }
  if (has_host) dk_write_varint(out, task->host);
  return written(out, before);
}

int dk_task_record_decode(const void *data, size_t len, struct dk_task_record *ret) {
  struct dk_reader reader;
  dk_reader_init(&reader, data, len);
  memset(ret, 0, sizeof *ret);
  uint8_t version = dk_read_u8(&reader);
  if (version < VERSION || version > HOST_VERSION) reader.failed = true;
  uint8_t state = dk_read_u8(&reader), cause = dk_read_u8(&reader);
  if (state > DK_TASK_CANCELLED || cause > DK_CAUSE_LOST) reader.failed = true;
  ret->state = (enum dk_task_state)state;
  ret->cause = (enum dk_cause)cause;
  ret->attempts = dk_read_u8(&reader);
  int64_t code = dk_read_signed(&reader);
  if (code < INT32_MIN || code > INT32_MAX) reader.failed = true;
  ret->code = (int32_t)code;
  ret->slot = dk_read_u32(&reader);
  ret->attempt = read_id(&reader);
  dk_codec_read_digest(&reader, &ret->key);
  if (version >= TRIES_VERSION) {
    ret->tries.lost = dk_read_u8(&reader);
    ret->tries.oom = dk_read_u8(&reader);
    ret->tries.other = dk_read_u8(&reader);
    ret->tries.is_over = dk_read_u8(&reader);
  }
  uint64_t host = version >= HOST_VERSION ? dk_read_varint(&reader) : DK_HOST_LOCAL;
  if (host >= DK_HOSTS_MAX) reader.failed = true;
  ret->host = (uint32_t)host;
  return dk_reader_error(&reader);
}

#define CLEANED_VERSION 2 /* of a result: outputs of it were removed from a host */

int dk_saved_encode(const struct dk_saved *saved, struct dk_buf *out) {
  size_t before = out->len;
  bool is_cleaned = saved->cleaned && *saved->cleaned;
  dk_write_u8(out, is_cleaned ? CLEANED_VERSION : VERSION);
  write_id(out, saved->attempt);
  dk_write_u32(out, saved->run);
  dk_write_text(out, saved->label);
  dk_write_text(out, saved->host);
  if (is_cleaned) dk_write_text(out, saved->cleaned);
  dk_write_varint(out, saved->n_parts);
  for (uint32_t i = 0; i < saved->n_parts; i++) {
    dk_write_text(out, saved->parts[i].name);
    dk_codec_write_digest(out, &saved->parts[i].digest);
  }
  int err = dk_result_encode(&saved->result, out);
  if (err) {
    dk_buf_truncate(out, before);
    return err;
  }
  return written(out, before);
}

static void finish_head(struct dk_saved *saved) {
  dk_free(saved->label);
  dk_free(saved->host);
  dk_free(saved->cleaned);
  for (uint32_t i = 0; i < saved->n_parts; i++) dk_free(saved->parts[i].name);
  dk_free(saved->parts);
}

static int read_parts(struct dk_reader *reader, struct dk_saved *ret) {
  uint32_t n = dk_read_count(reader, 1 + DK_DIGEST_SIZE);
  if (reader->failed) return reader->no_memory ? -ENOMEM : -EBADMSG;
  ret->parts = dk_calloc(n, sizeof *ret->parts);
  if (!ret->parts) return -ENOMEM;
  ret->n_parts = n;
  for (uint32_t i = 0; i < n && !reader->failed; i++) {
    ret->parts[i].name = dk_read_text(reader);
    dk_codec_read_digest(reader, &ret->parts[i].digest);
  }
  return reader->no_memory ? -ENOMEM : reader->failed ? -EBADMSG : 0;
}

int dk_saved_decode(const void *data, size_t len, struct dk_saved *ret) {
  struct dk_reader reader;
  dk_reader_init(&reader, data, len);
  memset(ret, 0, sizeof *ret);
  uint8_t version = dk_read_u8(&reader);
  if (version != VERSION && version != CLEANED_VERSION) reader.failed = true;
  ret->attempt = read_id(&reader);
  ret->run = dk_read_u32(&reader);
  ret->label = dk_read_text(&reader);
  ret->host = dk_read_text(&reader);
  if (version == CLEANED_VERSION) ret->cleaned = dk_read_text(&reader);
  int err = read_parts(&reader, ret);
  if (err == 0) err = dk_result_decode(reader.at, (size_t)(reader.end - reader.at), &ret->result, NULL);
  if (err) {
    finish_head(ret);
    memset(ret, 0, sizeof *ret);
    return err == -ENOMEM ? err : -EBADMSG;
  }
  return 0;
}

void dk_saved_finish(struct dk_saved *saved) {
  finish_head(saved);
  dk_result_finish(&saved->result);
  memset(saved, 0, sizeof *saved);
}

int dk_metric_values_encode(const struct dk_metric_values *values, struct dk_buf *out) {
  size_t before = out->len;
  dk_write_u8(out, VERSION);
  dk_write_varint(out, values->n);
  for (uint32_t i = 0; i < values->n; i++) {
    const struct dk_metric_value *value = &values->items[i];
    dk_write_u8(out, (uint8_t)value->state);
    if (value->state == DK_METRIC_NUMBER) dk_write_double(out, value->number);
    if (value->state != DK_METRIC_MISSING) dk_write_text(out, value->text);
  }
  return written(out, before);
}

int dk_metric_values_decode(const void *data, size_t len, struct dk_metric_values *ret) {
  struct dk_reader reader;
  dk_reader_init(&reader, data, len);
  *ret = (struct dk_metric_values){NULL, 0};
  read_version(&reader);
  uint32_t n = dk_read_count(&reader, 1);
  if (reader.failed) return -EBADMSG;
  ret->items = dk_calloc(n, sizeof *ret->items);
  if (!ret->items) return -ENOMEM;
  ret->n = n;
  for (uint32_t i = 0; i < n; i++) {
    struct dk_metric_value *value = &ret->items[i];
    uint8_t state = dk_read_u8(&reader);
    if (state > DK_METRIC_TEXT) reader.failed = true;
    value->state = (enum dk_metric_state)state;
    if (reader.failed) break;
    if (state == DK_METRIC_NUMBER) value->number = dk_read_double(&reader);
    if (state != DK_METRIC_MISSING) value->text = dk_read_text(&reader);
  }
  int err = dk_reader_error(&reader);
  if (err) dk_metric_values_finish(ret);
  return err;
}

void dk_metric_values_finish(struct dk_metric_values *values) {
  for (uint32_t i = 0; i < values->n; i++) dk_free(values->items[i].text);
  dk_free(values->items);
  *values = (struct dk_metric_values){NULL, 0};
}
