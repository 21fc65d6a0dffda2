/* Records in and out of the tables: keys, and which table; the values' bytes are codec.c. */
#include "engine/store/record.h"
#include "engine/store/codec.h"
#include "engine/store/private.h"
#include "engine/store/rented.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#define INCARNATION                                                                                                    \
  "incarnation"          /* in the table `meta`: of the last engine, and the attempt numbers that it has taken */
#define NAME_MAX_KEY 511 /* LMDB's MDB_MAXKEYSIZE */
#define STAT_SETTLED_NS 2000000000

/* Keys are big-endian, so that their order is number order. */
struct key {
  uint8_t bytes[64];
  size_t len;
};

static void key_u32(struct key *key, uint32_t value) {
  value = htobe32(value);
  memcpy(key->bytes + key->len, &value, sizeof value);
  key->len += sizeof value;
}

static void key_u64(struct key *key, uint64_t value) {
  value = htobe64(value);
  memcpy(key->bytes + key->len, &value, sizeof value);
  key->len += sizeof value;
}

static struct key key_of_task(uint32_t run, uint32_t task) {
  struct key key = {.len = 0};
  key_u32(&key, run);
  key_u32(&key, task);
  return key;
}

static struct key key_of_id(struct dk_id id) {
  struct key key = {.len = 0};
  key_u64(&key, id.inc);
  key_u64(&key, id.n);
  return key;
}

static struct key key_of_metrics(const struct dk_digest *task, const struct dk_digest *extractors) {
  struct key key = {.len = sizeof key.bytes};
  memcpy(key.bytes, task->bytes, DK_DIGEST_SIZE);
  memcpy(key.bytes + DK_DIGEST_SIZE, extractors->bytes, DK_DIGEST_SIZE);
  return key;
}

static uint32_t u32_at(const uint8_t *bytes) {
  uint32_t value;
  memcpy(&value, bytes, sizeof value);
  return be32toh(value);
}

static struct dk_id id_at(const uint8_t *bytes) {
  struct dk_id id;
  memcpy(&id.inc, bytes, sizeof id.inc);
  memcpy(&id.n, bytes + 8, sizeof id.n);
  id.inc = be64toh(id.inc);
  id.n = be64toh(id.n);
  return id;
}

/* Writing. */

static int put(struct dk_batch *batch, enum dk_table table, const struct key *key, struct dk_buf *value, int err) {
  if (err == 0 && !dk_buf_ok(value)) err = -ENOMEM;
  if (err == 0) {
    dk_batch_put(batch, table, key->bytes, key->len, value->data, value->len);
    if (!dk_buf_ok(&batch->bytes)) err = -ENOMEM;
  }
  dk_buf_finish(value);
  return err;
}

#define ATTEMPT_VERSION 2       /* 1: of this machine, one slot */
#define METRICS_OF_ATTEMPT 0x80 /* before the values, which begin with a version of their own, a small number */

static int add_attempt(struct dk_batch *batch, const struct dk_record *record) {
  struct key key = key_of_id(record->id);
  struct dk_buf value = DK_BUF_INIT;
  if (record->del) {
    dk_batch_del(batch, DK_TABLE_ATTEMPTS, key.bytes, key.len);
    return dk_buf_ok(&batch->bytes) ? 0 : -ENOMEM;
  }
  dk_write_u8(&value, ATTEMPT_VERSION);
  dk_codec_write_digest(&value, &record->key);
  dk_write_u32(&value, record->run);
  dk_write_u32(&value, record->task);
  dk_write_varint(&value, record->host);
  dk_write_varint(&value, record->booked);
  return put(batch, DK_TABLE_ATTEMPTS, &key, &value, 0);
}

static int add_task(struct dk_batch *batch, const struct dk_record *record) {
  struct key key = key_of_task(record->run, record->task);
  struct dk_buf value = DK_BUF_INIT;
  const struct dk_task_record task = {.state = (enum dk_task_state)record->state,
                                      .cause = (enum dk_cause)record->cause,
                                      .code = record->code,
                                      .attempts = record->attempts,
                                      .tries = record->tries,
                                      .slot = record->slot,
                                      .host = record->host,
                                      .attempt = record->id,
                                      .key = record->key};
  if (record->del) {
    dk_batch_del(batch, DK_TABLE_TASKS, key.bytes, key.len);
    return dk_buf_ok(&batch->bytes) ? 0 : -ENOMEM;
  }
  return put(batch, DK_TABLE_TASKS, &key, &value, dk_task_record_encode(&task, &value));
}

static int add_incarnation(struct dk_batch *batch, const struct dk_record *record) {
  struct dk_buf value = DK_BUF_INIT;
  struct key key = {.len = strlen(INCARNATION)};
  memcpy(key.bytes, INCARNATION, key.len);
  dk_write_u8(&value, 1);
  dk_write_u64(&value, record->id.inc);
  dk_write_u64(&value, record->counter);
  return put(batch, DK_TABLE_META, &key, &value, 0);
}

static int add_bytes(struct dk_batch *batch, const struct dk_record *record, const struct dk_buf *bytes) {
  bool is_result = record->kind == DK_REC_RESULT;
  enum dk_table table = is_result ? DK_TABLE_RESULTS : DK_TABLE_FAILURES;
  struct key id = key_of_id(record->id);
  const void *key = is_result ? record->key.bytes : id.bytes;
  size_t klen = is_result ? DK_DIGEST_SIZE : id.len;
  if (record->del) {
    dk_batch_del(batch, table, key, klen);
  } else {
    assert(record->off <= bytes->len && record->len <= bytes->len - record->off);
    if (record->replaces) dk_batch_del(batch, table, key, klen);
    dk_batch_put_new(batch, table, key, klen, dk_buf_text(bytes) + record->off, record->len);
  }
  return dk_buf_ok(&batch->bytes) ? 0 : -ENOMEM;
}

int dk_batch_add_record(struct dk_batch *batch, const struct dk_record *record, const struct dk_buf *bytes) {
  switch (record->kind) {
  case DK_REC_INCARNATION: return add_incarnation(batch, record);
  case DK_REC_ATTEMPT: return add_attempt(batch, record);
  case DK_REC_TASK: return add_task(batch, record);
  case DK_REC_RESULT:
  case DK_REC_FAILURE: return add_bytes(batch, record, bytes);
  case DK_REC_RUN: return 0; /* the drive puts the whole run */
  }
  return -EINVAL;
}

int dk_batch_put_run(struct dk_batch *batch, const struct dk_run *run) {
  struct key key = {.len = 0};
  struct dk_buf value = DK_BUF_INIT;
  key_u32(&key, run->number);
  return put(batch, DK_TABLE_RUNS, &key, &value, dk_run_encode(run, &value));
}

int dk_batch_put_choice(struct dk_batch *batch, uint32_t run, uint32_t task, const struct dk_choice *choice) {
  struct key key = key_of_task(run, task);
  struct dk_buf value = DK_BUF_INIT;
  dk_write_u8(&value, 1);
  dk_write_u32(&value, choice->row);
  dk_write_double(&value, choice->score);
  dk_write_u32(&value, choice->n_candidates);
  return put(batch, DK_TABLE_CHOICES, &key, &value, 0);
}

int dk_batch_put_metrics(struct dk_batch *batch, const struct dk_digest *key, const struct dk_digest *extractors,
                         struct dk_id attempt, const struct dk_metric_values *values) {
  struct key both = key_of_metrics(key, extractors);
  struct dk_buf value = DK_BUF_INIT;
  dk_write_u8(&value, METRICS_OF_ATTEMPT);
  dk_write_u64(&value, attempt.inc);
  dk_write_u64(&value, attempt.n);
  return put(batch, DK_TABLE_METRICS, &both, &value, dk_metric_values_encode(values, &value));
}

/* The name as a key: as it is, or its digest when LMDB could not take it. */
static void name_key(const char *experiment, const char *label, struct dk_buf *ret) {
  dk_buf_add(ret, experiment, strlen(experiment) + 1);
  dk_buf_add_text(ret, label);
  if (!dk_buf_ok(ret) || ret->len <= NAME_MAX_KEY) return;
  struct dk_digest digest;
  dk_digest_of(ret->data, ret->len, &digest);
  dk_buf_clear(ret);
  dk_buf_add(ret, digest.bytes, DK_DIGEST_SIZE);
}

int dk_batch_put_name(struct dk_batch *batch, const char *experiment, const char *label, const struct dk_digest *key) {
  dk_autobuf name = DK_BUF_INIT;
  uint8_t value[1 + DK_DIGEST_SIZE] = {1};
  memcpy(value + 1, key->bytes, DK_DIGEST_SIZE);
  name_key(experiment, label, &name);
  if (!dk_buf_ok(&name)) return -ENOMEM;
  dk_batch_put(batch, DK_TABLE_NAMES, name.data, name.len, value, sizeof value);
  return dk_buf_ok(&batch->bytes) ? 0 : -ENOMEM;
}

/* In the table `meta`: a word, a blank and a digest. */
static struct key key_of_word(const char *word, const struct dk_digest *digest) {
  struct key key = {.len = strlen(word)};
  assert(key.len + 1 + DK_DIGEST_SIZE <= sizeof key.bytes);
  memcpy(key.bytes, word, key.len);
  key.bytes[key.len++] = ' ';
  memcpy(key.bytes + key.len, digest->bytes, DK_DIGEST_SIZE);
  key.len += DK_DIGEST_SIZE;
  return key;
}

static int put_word(struct dk_batch *batch, const char *word, const struct dk_digest *digest, const void *data,
                    size_t len) {
  struct key key = key_of_word(word, digest);
  dk_batch_put(batch, DK_TABLE_META, key.bytes, key.len, data, len);
  return dk_buf_ok(&batch->bytes) ? 0 : -ENOMEM;
}

static int get_word(struct dk_store *store, const char *word, const struct dk_digest *digest, struct dk_buf *ret) {
  struct key key = key_of_word(word, digest);
  return dk_store_get(store, DK_TABLE_META, key.bytes, key.len, ret, NULL);
}

int dk_batch_put_environment(struct dk_batch *batch, const struct dk_digest *id, const char *text) {
  return put_word(batch, "environment", id, text, strlen(text));
}

int dk_store_get_environment(struct dk_store *store, const struct dk_digest *id, struct dk_buf *ret) {
  return get_word(store, "environment", id, ret);
}

int dk_batch_put_unchanged(struct dk_batch *batch, const struct dk_digest *asked, const void *data, size_t len) {
  return put_word(batch, "unchanged", asked, data, len);
}

int dk_store_get_unchanged(struct dk_store *store, const struct dk_digest *asked, struct dk_buf *ret) {
  return get_word(store, "unchanged", asked, ret);
}

/* Reading. */

static int bad_value(int err, enum dk_table table, struct dk_error *error) {
  if (err == -EBADMSG)
    return dk_error_set(error, err, "a %s in the store cannot be understood: it is damaged, or a newer dkrun wrote it",
                        dk_store_table_noun(table));
  return dk_error_system(error, err, "reading a %s from the store", dk_store_table_noun(table));
}

struct attempts {
  struct dk_record *items;
  uint32_t n, cap;
};

static struct dk_record *add_one(struct attempts *list) {
  if (!dk_grow(list->items, list->n, list->cap)) return NULL;
  struct dk_record *record = &list->items[list->n++];
  memset(record, 0, sizeof *record);
  return record;
}

int dk_attempt_record_decode(const void *data, size_t len, struct dk_record *record) {
  struct dk_reader reader;
  dk_reader_init(&reader, data, len);
  *record = (struct dk_record){.kind = DK_REC_ATTEMPT};
  uint8_t version = dk_read_u8(&reader);
  if (version < 1 || version > ATTEMPT_VERSION) return -EBADMSG;
  dk_codec_read_digest(&reader, &record->key);
  record->run = dk_read_u32(&reader);
  record->task = dk_read_u32(&reader);
  uint64_t host = version >= 2 ? dk_read_varint(&reader) : 0, booked = version >= 2 ? dk_read_varint(&reader) : 1;
  if (host >= DK_HOSTS_MAX || booked < 1 || booked > UINT32_MAX) return -EBADMSG;
  record->host = (uint32_t)host;
  record->booked = (uint32_t)booked;
  return dk_reader_done(&reader) ? 0 : -EBADMSG;
}

static int load_attempt(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct dk_record *record = add_one(ctx);
  if (!record) return -ENOMEM;
  int err = klen == 16 ? dk_attempt_record_decode(value, vlen, record) : -EBADMSG;
  if (err == 0) record->id = id_at(key);
  return err;
}

static int load_incarnation(struct dk_store *store, struct attempts *list, struct dk_error *error) {
  dk_autobuf value = DK_BUF_INIT;
  int err = dk_store_get(store, DK_TABLE_META, INCARNATION, strlen(INCARNATION), &value, error);
  if (err == -ENOENT) return 0;
  if (err) return err;
  struct dk_record *record = add_one(list);
  if (!record) return bad_value(-ENOMEM, DK_TABLE_META, error);
  struct dk_reader reader;
  dk_reader_init(&reader, value.data, value.len);
  record->kind = DK_REC_INCARNATION;
  uint8_t version = dk_read_u8(&reader);
  record->id.inc = dk_read_u64(&reader);
  record->counter = dk_read_u64(&reader);
  return dk_reader_done(&reader) && version == 1 ? 0 : bad_value(-EBADMSG, DK_TABLE_META, error);
}

int dk_store_load_core(struct dk_store *store, struct dk_record **ret, uint32_t *ret_n, struct dk_error *error) {
  struct attempts list = {NULL, 0, 0};
  struct dk_error inner = {.code = 0};
  *ret = NULL;
  *ret_n = 0;
  int err = load_incarnation(store, &list, error);
  if (err == 0) {
    err = dk_store_each(store, DK_TABLE_ATTEMPTS, NULL, 0, load_attempt, &list, &inner);
    if (err && inner.code == 0) bad_value(err, DK_TABLE_ATTEMPTS, error);
    if (err && inner.code && error) *error = inner;
  }
  if (err) {
    dk_free(list.items);
    return err;
  }
  *ret = list.items;
  *ret_n = list.n;
  return 0;
}

int dk_store_run_number(const void *key, size_t klen, uint32_t *ret) {
  uint32_t big;
  if (klen != sizeof big) return -EBADMSG;
  memcpy(&big, key, sizeof big);
  *ret = be32toh(big);
  return 0;
}

int dk_store_get_run(struct dk_store *store, uint32_t run, struct dk_run *ret, struct dk_error *error) {
  dk_autobuf value = DK_BUF_INIT;
  dk_autobuf last = DK_BUF_INIT;
  struct key key = {.len = 0};
  key_u32(&key, run);
  int err = run == 0 ? dk_store_last(store, DK_TABLE_RUNS, NULL, 0, &last, &value, error)
                     : dk_store_get(store, DK_TABLE_RUNS, key.bytes, key.len, &value, error);
  memset(ret, 0, sizeof *ret);
  if (err == -ENOENT && run == 0) return dk_error_set(error, err, "there is no run yet\nhelp: `dkrun run` makes one");
  if (err == -ENOENT) return dk_error_set(error, err, "there is no run %u\nhelp: `dkrun status` lists them", run);
  if (err) return err;
  err = dk_run_decode(value.data, value.len, ret);
  return err ? bad_value(err, DK_TABLE_RUNS, error) : 0;
}

int dk_store_run_cost(struct dk_store *store, const struct dk_run *run, uint64_t unix_ns, struct dk_purse *ret,
                      struct dk_error *error) {
  struct dk_purse spent;
  *ret = run->cost;
  if (run->state != DK_RUN_RUNNING) return 0;
  int r = dk_store_spent(store, unix_ns, &spent, error);
  if (r == 0) *ret = dk_purse_since(&spent, &run->before);
  return r;
}

int dk_store_get_task(struct dk_store *store, uint32_t run, uint32_t task, struct dk_task_record *ret,
                      struct dk_error *error) {
  dk_autobuf value = DK_BUF_INIT;
  struct key key = key_of_task(run, task);
  memset(ret, 0, sizeof *ret);
  int err = dk_store_get(store, DK_TABLE_TASKS, key.bytes, key.len, &value, error);
  if (err) return err;
  err = dk_task_record_decode(value.data, value.len, ret);
  return err ? bad_value(err, DK_TABLE_TASKS, error) : 0;
}

int dk_store_get_saved(struct dk_store *store, const struct dk_digest *key, struct dk_saved *ret,
                       struct dk_error *error) {
  dk_autobuf value = DK_BUF_INIT;
  memset(ret, 0, sizeof *ret);
  int err = dk_store_get(store, DK_TABLE_RESULTS, key->bytes, DK_DIGEST_SIZE, &value, error);
  if (err) return err;
  err = dk_saved_decode(value.data, value.len, ret);
  return err ? bad_value(err, DK_TABLE_RESULTS, error) : 0;
}

int dk_store_get_failure(struct dk_store *store, struct dk_id attempt, struct dk_result *ret, struct dk_error *error) {
  dk_autobuf value = DK_BUF_INIT;
  struct key key = key_of_id(attempt);
  memset(ret, 0, sizeof *ret);
  int err = dk_store_get(store, DK_TABLE_FAILURES, key.bytes, key.len, &value, error);
  return err ? err : dk_result_decode(value.data, value.len, ret, error);
}

int dk_store_get_choice(struct dk_store *store, uint32_t run, uint32_t task, struct dk_choice *ret,
                        struct dk_error *error) {
  dk_autobuf value = DK_BUF_INIT;
  struct key key = key_of_task(run, task);
  memset(ret, 0, sizeof *ret);
  int err = dk_store_get(store, DK_TABLE_CHOICES, key.bytes, key.len, &value, error);
  if (err) return err;
  struct dk_reader reader;
  dk_reader_init(&reader, value.data, value.len);
  uint8_t version = dk_read_u8(&reader);
  ret->row = dk_read_u32(&reader);
  ret->score = dk_read_double(&reader);
  ret->n_candidates = dk_read_u32(&reader);
  return dk_reader_done(&reader) && version == 1 ? 0 : bad_value(-EBADMSG, DK_TABLE_CHOICES, error);
}

int dk_metrics_decode(const void *data, size_t len, struct dk_id *ret_attempt, struct dk_metric_values *ret) {
  struct dk_reader reader;
  *ret_attempt = (struct dk_id){0, 0};
  dk_reader_init(&reader, data, len);
  if (dk_read_u8(&reader) != METRICS_OF_ATTEMPT || reader.failed) return dk_metric_values_decode(data, len, ret);
  ret_attempt->inc = dk_read_u64(&reader);
  ret_attempt->n = dk_read_u64(&reader);
  *ret = (struct dk_metric_values){NULL, 0};
  return reader.failed ? -EBADMSG : dk_metric_values_decode(reader.at, (size_t)(reader.end - reader.at), ret);
}

int dk_store_get_metrics(struct dk_store *store, const struct dk_digest *key, const struct dk_digest *extractors,
                         const struct dk_id *attempt, struct dk_metric_values *ret, struct dk_error *error) {
  dk_autobuf value = DK_BUF_INIT;
  struct key both = key_of_metrics(key, extractors);
  struct dk_id of;
  *ret = (struct dk_metric_values){NULL, 0};
  int err = dk_store_get(store, DK_TABLE_METRICS, both.bytes, both.len, &value, error);
  if (err) return err;
  err = dk_metrics_decode(value.data, value.len, &of, ret);
  if (err) return bad_value(err, DK_TABLE_METRICS, error);
  if (!attempt || dk_id_equal(of, *attempt)) return 0;
  dk_metric_values_finish(ret);
  return -ENOENT;
}

int dk_store_get_name(struct dk_store *store, const char *experiment, const char *label, struct dk_digest *ret,
                      struct dk_error *error) {
  dk_autobuf name = DK_BUF_INIT;
  dk_autobuf value = DK_BUF_INIT;
  memset(ret, 0, sizeof *ret);
  name_key(experiment, label, &name);
  if (!dk_buf_ok(&name)) return bad_value(-ENOMEM, DK_TABLE_NAMES, error);
  int err = dk_store_get(store, DK_TABLE_NAMES, name.data, name.len, &value, error);
  if (err) return err;
  if (value.len != 1 + DK_DIGEST_SIZE || value.data[0] != 1) return bad_value(-EBADMSG, DK_TABLE_NAMES, error);
  memcpy(ret->bytes, value.data + 1, DK_DIGEST_SIZE);
  return 0;
}

struct each_task {
  dk_store_task_fn *fn;
  void *ctx;
  struct dk_error *error;
};

static int give_task(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct each_task *each = ctx;
  struct dk_task_record record;
  if (klen != 8) return bad_value(-EBADMSG, DK_TABLE_TASKS, each->error);
  int err = dk_task_record_decode(value, vlen, &record);
  if (err) return bad_value(err, DK_TABLE_TASKS, each->error);
  return each->fn(each->ctx, u32_at((const uint8_t *)key + 4), &record);
}

int dk_store_each_task(struct dk_store *store, uint32_t run, dk_store_task_fn *fn, void *ctx, struct dk_error *error) {
  struct each_task each = {fn, ctx, error};
  struct key key = {.len = 0};
  key_u32(&key, run);
  return dk_store_each(store, DK_TABLE_TASKS, key.bytes, key.len, give_task, &each, error);
}

/* The stat shortcut. Its key is the path's digest: paths may be longer than a key can be. */

static void write_stat(struct dk_buf *out, const struct dk_stat_key *key) {
  dk_write_u64(out, key->dev);
  dk_write_u64(out, key->ino);
  dk_write_u64(out, key->size);
  dk_write_signed(out, key->mtime_ns);
  dk_write_signed(out, key->ctime_ns);
}

static bool is_settled(int64_t changed_ns, uint64_t hashed_ns) {
  return changed_ns <= INT64_MAX - STAT_SETTLED_NS &&
         (changed_ns < 0 || (uint64_t)changed_ns + STAT_SETTLED_NS <= hashed_ns);
}

struct stat_entry {
  uint64_t hashed_ns;
  struct dk_stat_key key;
  struct dk_digest digest;
};

static bool read_stat(const void *data, size_t len, struct stat_entry *ret) {
  struct dk_reader reader;
  dk_reader_init(&reader, data, len);
  uint8_t version = dk_read_u8(&reader);
  ret->hashed_ns = dk_read_u64(&reader);
  ret->key.dev = dk_read_u64(&reader);
  ret->key.ino = dk_read_u64(&reader);
  ret->key.size = dk_read_u64(&reader);
  ret->key.mtime_ns = dk_read_signed(&reader);
  ret->key.ctime_ns = dk_read_signed(&reader);
  dk_codec_read_digest(&reader, &ret->digest);
  return dk_reader_done(&reader) && version == 1;
}

int dk_store_get_stat(struct dk_store *store, const char *path, const struct dk_stat_key *key, struct dk_digest *ret) {
  dk_autobuf value = DK_BUF_INIT;
  struct dk_digest name;
  struct stat_entry was;
  dk_digest_of(path, strlen(path), &name);
  int err = dk_store_get(store, DK_TABLE_STAT, name.bytes, DK_DIGEST_SIZE, &value, NULL);
  if (err) return err;
  if (!read_stat(value.data, value.len, &was)) return -ENOENT; /* only a shortcut: hash again */
  *ret = was.digest;
  bool is_same = was.key.dev == key->dev && was.key.ino == key->ino && was.key.size == key->size &&
                 was.key.mtime_ns == key->mtime_ns && was.key.ctime_ns == key->ctime_ns;
  return is_same && is_settled(was.key.mtime_ns, was.hashed_ns) && is_settled(was.key.ctime_ns, was.hashed_ns)
             ? 0
             : -ENOENT;
}

struct stat_walk {
  dk_store_content_fn *fn;
  void *ctx;
};

static int give_content(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  const struct stat_walk *walk = ctx;
  struct stat_entry entry;
  (void)key;
  (void)klen;
  return read_stat(value, vlen, &entry) ? walk->fn(walk->ctx, &entry.digest) : 0;
}

int dk_store_each_content(struct dk_store *store, dk_store_content_fn *fn, void *ctx, struct dk_error *error) {
  struct stat_walk walk = {fn, ctx};
  return dk_store_each(store, DK_TABLE_STAT, NULL, 0, give_content, &walk, error);
}

int dk_batch_put_stat(struct dk_batch *batch, const char *path, const struct dk_stat_key *key,
                      const struct dk_digest *digest, uint64_t now_unix_ns) {
  struct dk_digest name;
  struct key bytes = {.len = DK_DIGEST_SIZE};
  struct dk_buf value = DK_BUF_INIT;
  dk_digest_of(path, strlen(path), &name);
  memcpy(bytes.bytes, name.bytes, DK_DIGEST_SIZE);
  dk_write_u8(&value, 1);
  dk_write_u64(&value, now_unix_ns);
  write_stat(&value, key);
  dk_codec_write_digest(&value, digest);
  return put(batch, DK_TABLE_STAT, &bytes, &value, 0);
}
