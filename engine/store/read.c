/* Reading: one value, a range, the last of a range. A read transaction lives for one call or one block of a range, so
 * that no reader holds old pages while its caller thinks. */
#include "engine/store/private.h"
#include "lang/base/bytes.h"
#include "lang/base/digest.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#define BLOCK_BYTES (256u << 10)

uint32_t dk_store_crc(const void *key, size_t klen, const void *value, size_t vlen) {
  return dk_crc32c(value, vlen, dk_crc32c(key, klen, 0));
}

int dk_store_read_begin(struct dk_store *store, MDB_txn **ret, struct dk_error *error) {
  dk_guard_enter(store->path);
  for (;;) {
    int rc = store->reader ? mdb_txn_renew(store->reader) : mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader);
    if (rc == 0) {
      *ret = store->reader;
      return 0;
    }
    if (rc == MDB_MAP_RESIZED) { /* another process has grown the map */
      rc = mdb_env_set_mapsize(store->env, 0);
      if (rc == 0) continue;
    }
    dk_guard_leave(NULL);
    return dk_store_fail(store, rc, "reading the store", error);
  }
}

void dk_store_read_done(struct dk_store *store) {
  mdb_txn_reset(store->reader);
  dk_guard_leave(NULL);
}

/* Damage is named by table and key; keys are binary, so they are shown as hex, cut at 32 bytes. */
static int damaged(const struct dk_store *store, enum dk_table table, const MDB_val *key, struct dk_error *error) {
  char hex[65] = "";
  const uint8_t *bytes = key->mv_data;
  for (size_t i = 0; i < key->mv_size && i < 32; i++) {
    hex[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
    hex[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    hex[2 * i + 2] = '\0';
  }
  return dk_error_set(error, -EBADMSG,
                      "the store %s is damaged: the value of %s in the table `%s` is not what was written\nhelp: "
                      "`dkrun fsck` says what else is",
                      store->path, hex, dk_store_table_name(table));
}

static int check_value(const struct dk_store *store, enum dk_table table, const MDB_val *key, const MDB_val *value,
                       struct dk_error *error) {
  uint32_t crc;
  if (value->mv_size < DK_STORE_CRC) return damaged(store, table, key, error);
  memcpy(&crc, value->mv_data, DK_STORE_CRC);
  const char *at = (const char *)value->mv_data + DK_STORE_CRC;
  if (le32toh(crc) != dk_store_crc(key->mv_data, key->mv_size, at, value->mv_size - DK_STORE_CRC))
    return damaged(store, table, key, error);
  return 0;
}

/* A table that came after this store was last written has nothing in it. */
static int no_entry(struct dk_store *store, enum dk_table table, struct dk_error *error) {
  if (!error) return -ENOENT;
  /* A plan of a million new tasks asks a million times: writing it out took longer than the look. */
  if (store->none.code == 0 || store->none_in != table) {
    dk_error_set(&store->none, -ENOENT, "the store %s has no such entry in the table `%s`", store->path,
                 dk_store_table_name(table));
    store->none_in = table;
  }
  *error = store->none;
  return -ENOENT;
}

static void add_value(struct dk_buf *out, const MDB_val *value) {
  dk_buf_add(out, (const char *)value->mv_data + DK_STORE_CRC, value->mv_size - DK_STORE_CRC);
}

static int no_memory(const struct dk_store *store, struct dk_error *error) {
  return dk_error_system(error, -ENOMEM, "reading the store %s", store->path);
}

int dk_store_get(struct dk_store *store, enum dk_table table, const void *key, size_t klen, struct dk_buf *ret,
                 struct dk_error *error) {
  assert((unsigned)table < DK_N_TABLES && klen > 0 && klen <= DK_KEY_MAX);
  dk_buf_clear(ret);
  if (store->tables[table] == DK_NO_TABLE) return no_entry(store, table, error);
  MDB_txn *txn = NULL;
  int err = dk_store_read_begin(store, &txn, error);
  if (err) return err;
  MDB_val k = {klen, (void *)(uintptr_t)key}, v;
  int rc = mdb_get(txn, store->tables[table], &k, &v);
  if (rc == MDB_NOTFOUND)
    err = no_entry(store, table, error);
  else if (rc)
    err = dk_store_fail(store, rc, "reading the store", error);
  else
    err = check_value(store, table, &k, &v, error);
  if (err == 0) add_value(ret, &v);
  dk_store_read_done(store);
  return err == 0 && !dk_buf_ok(ret) ? no_memory(store, error) : err;
}

uint64_t dk_store_generation(struct dk_store *store) {
  dk_autobuf value = DK_BUF_INIT;
  struct dk_reader reader;
  if (dk_store_get(store, DK_TABLE_META, DK_STORE_GENERATION, strlen(DK_STORE_GENERATION), &value, NULL) < 0) return 0;
  dk_reader_init(&reader, value.data, value.len);
  return dk_read_u64(&reader);
}

static bool starts_with(const MDB_val *key, const void *prefix, size_t plen) {
  return key->mv_size >= plen && (plen == 0 || memcmp(key->mv_data, prefix, plen) == 0);
}

/* A block of pairs, copied out: u32 key length, u32 value length, key, value. */
struct block {
  struct dk_buf bytes;
  uint8_t last[DK_KEY_MAX]; /* last key of the block before: the next one starts behind it */
  size_t last_len;
  bool at_end;
};

static int fill_from(struct dk_store *store, MDB_cursor *cursor, enum dk_table table, const void *prefix, size_t plen,
                     struct block *block, struct dk_error *error) {
  MDB_val key, value;
  bool is_first = block->last_len == 0;
  key = is_first ? (MDB_val){plen, (void *)(uintptr_t)prefix} : (MDB_val){block->last_len, block->last};
  int rc = mdb_cursor_get(cursor, &key, &value, is_first && plen == 0 ? MDB_FIRST : MDB_SET_RANGE);
  if (rc == 0 && !is_first && key.mv_size == block->last_len && memcmp(key.mv_data, block->last, key.mv_size) == 0)
    rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
    if (!starts_with(&key, prefix, plen)) {
      block->at_end = true;
      return 0;
    }
    if (block->bytes.len >= BLOCK_BYTES) return 0;
    int err = check_value(store, table, &key, &value, error);
    if (err) return err;
    dk_write_u32(&block->bytes, (uint32_t)key.mv_size);
    dk_write_u32(&block->bytes, (uint32_t)(value.mv_size - DK_STORE_CRC));
    dk_buf_add(&block->bytes, key.mv_data, key.mv_size);
    add_value(&block->bytes, &value);
    if (!dk_buf_ok(&block->bytes)) return no_memory(store, error);
    memcpy(block->last, key.mv_data, key.mv_size);
    block->last_len = key.mv_size;
  }
  if (rc != MDB_NOTFOUND) return dk_store_fail(store, rc, "reading the store", error);
  block->at_end = true;
  return 0;
}

static int fill(struct dk_store *store, enum dk_table table, const void *prefix, size_t plen, struct block *block,
                struct dk_error *error) {
  MDB_txn *txn = NULL;
  MDB_cursor *cursor;
  dk_buf_clear(&block->bytes);
  int err = dk_store_read_begin(store, &txn, error);
  if (err) return err;
  int rc = mdb_cursor_open(txn, store->tables[table], &cursor);
  if (rc) {
    err = dk_store_fail(store, rc, "reading the store", error);
  } else {
    err = fill_from(store, cursor, table, prefix, plen, block, error);
    mdb_cursor_close(cursor);
  }
  dk_store_read_done(store);
  return err;
}

int dk_store_each(struct dk_store *store, enum dk_table table, const void *prefix, size_t plen, dk_store_each_fn *fn,
                  void *ctx, struct dk_error *error) {
  assert((unsigned)table < DK_N_TABLES && plen <= DK_KEY_MAX);
  struct block block = {.bytes = DK_BUF_INIT, .at_end = store->tables[table] == DK_NO_TABLE};
  int err = 0;
  while (err == 0 && !block.at_end) {
    /* What was read before damage was met is given out first. */
    int damage = fill(store, table, prefix, plen, &block, error);
    struct dk_reader reader;
    dk_reader_init(&reader, block.bytes.data, dk_buf_ok(&block.bytes) ? block.bytes.len : 0);
    while (err == 0 && !dk_reader_done(&reader)) {
      size_t klen = dk_read_u32(&reader), vlen = dk_read_u32(&reader);
      const void *key = dk_read_fixed(&reader, klen);
      const void *value = dk_read_fixed(&reader, vlen);
      assert(!reader.failed);
      err = fn(ctx, key, klen, value, vlen);
    }
    if (err == 0) err = damage;
  }
  dk_buf_finish(&block.bytes);
  return err;
}

/* Puts the cursor on the last key that starts with the prefix, if there is one: just before the first key behind them
 * all. */
static int seek_last(MDB_cursor *cursor, const void *prefix, size_t plen, MDB_val *key, MDB_val *value) {
  uint8_t behind[DK_KEY_MAX];
  if (plen) memcpy(behind, prefix, plen);
  size_t len = plen;
  while (len > 0 && behind[len - 1] == 0xff) len--;
  if (len == 0) return mdb_cursor_get(cursor, key, value, MDB_LAST);
  behind[len - 1]++;
  *key = (MDB_val){len, behind};
  int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
  if (rc == MDB_NOTFOUND) return mdb_cursor_get(cursor, key, value, MDB_LAST);
  return rc ? rc : mdb_cursor_get(cursor, key, value, MDB_PREV);
}

int dk_store_last(struct dk_store *store, enum dk_table table, const void *prefix, size_t plen, struct dk_buf *ret_key,
                  struct dk_buf *ret_value, struct dk_error *error) {
  assert((unsigned)table < DK_N_TABLES && plen <= DK_KEY_MAX);
  dk_buf_clear(ret_key);
  dk_buf_clear(ret_value);
  if (store->tables[table] == DK_NO_TABLE) return no_entry(store, table, error);
  MDB_txn *txn = NULL;
  MDB_cursor *cursor = NULL;
  MDB_val key = {0}, value = {0};
  int err = dk_store_read_begin(store, &txn, error);
  if (err) return err;
  int rc = mdb_cursor_open(txn, store->tables[table], &cursor);
  if (rc == 0) rc = seek_last(cursor, prefix, plen, &key, &value);
  if (rc == 0 && !starts_with(&key, prefix, plen)) rc = MDB_NOTFOUND;
  if (rc == MDB_NOTFOUND)
    err = no_entry(store, table, error);
  else if (rc)
    err = dk_store_fail(store, rc, "reading the store", error);
  else
    err = check_value(store, table, &key, &value, error);
  if (err == 0) {
    dk_buf_add(ret_key, key.mv_data, key.mv_size);
    add_value(ret_value, &value);
    if (!dk_buf_ok(ret_key) || !dk_buf_ok(ret_value)) err = no_memory(store, error);
  }
  if (cursor) mdb_cursor_close(cursor);
  dk_store_read_done(store);
  return err;
}
