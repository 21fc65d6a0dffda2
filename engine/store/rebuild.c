/* A store made anew of what can still be read of a damaged one. Children walk each table from its front, and where that
 * does not come to an end from its back too, and hand over the pairs whose checksums are right. Then one more looks at
 * the pages of the file as they lie (pages.c): it finds what nothing leads to any more, and puts right what was read
 * where a wrong page was led to.
 *
 * Keeps true: the damaged file stays in its place until the new one is whole and takes it, in one rename. */
#include "engine/store/private.h"
#include "engine/store/repair.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/bytes.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECONDS 3600
#define BATCH_BYTES (4u << 20)

struct salvage {
  const char *path;
  unsigned env_flags;
  enum dk_table table;
  bool backward;
};

static int give(enum dk_table table, const MDB_val *key, const MDB_val *value, FILE *to) {
  const uint32_t lens[] = {(uint32_t)table, (uint32_t)key->mv_size, (uint32_t)(value->mv_size - DK_STORE_CRC)};
  fwrite(lens, sizeof lens, 1, to);
  fwrite(key->mv_data, lens[1], 1, to);
  fwrite((const char *)value->mv_data + DK_STORE_CRC, lens[2], 1, to);
  return fflush(to); /* it may crash at the next one */
}

static int walk(MDB_txn *txn, const struct salvage *salvage, FILE *to) {
  MDB_cursor *cursor;
  MDB_dbi dbi;
  MDB_val key, value;
  uint64_t most = 0, n = 0;
  int rc = mdb_dbi_open(txn, dk_store_table_name(salvage->table), 0, &dbi);
  if (rc == MDB_NOTFOUND) rc = MDB_CORRUPTED; /* it, or the way to it, is lost */
  if (rc == 0) rc = dk_check_rows(txn, dbi, &most);
  if (rc == 0) rc = mdb_cursor_open(txn, dbi, &cursor);
  MDB_cursor_op first = salvage->backward ? MDB_LAST : MDB_FIRST, next = salvage->backward ? MDB_PREV : MDB_NEXT;
  for (; rc == 0; n++) {
    rc = mdb_cursor_get(cursor, &key, &value, n ? next : first);
    if (rc == MDB_NOTFOUND) break;
    if (rc == 0 && n == most) rc = MDB_CORRUPTED;
    if (rc == 0 && dk_check_value(&key, &value) && give(salvage->table, &key, &value, to)) rc = EPIPE;
  }
  return rc != MDB_NOTFOUND ? rc : n == most ? 0 : MDB_CORRUPTED;
}

static void give_end(int rc, FILE *to) {
  const uint32_t end[] = {0, 0, (uint32_t)rc};
  fwrite(end, sizeof end, 1, to);
}

/* At the end a key of no length, and LMDB's result. */
static void walk_in_child(void *ctx, FILE *to) {
  const struct salvage *salvage = ctx;
  MDB_env *env;
  MDB_txn *txn;
  int rc = dk_check_begin(salvage->path, salvage->env_flags, &env, &txn);
  if (rc == 0) rc = walk(txn, salvage, to);
  give_end(rc, to);
}

struct look {
  const char *path;
  FILE *to;
};

/* What is kept under a key is the same whenever it was written. */
static bool is_timeless(enum dk_table table) {
  return table == DK_TABLE_RESULTS || table == DK_TABLE_METRICS;
}

static int look_at_pair(void *ctx, const MDB_val *key, const MDB_val *value, bool is_current) {
  const struct look *look = ctx;
  if (!dk_check_value(key, value)) return 0;
  enum dk_table table = dk_store_table_of(key->mv_data, key->mv_size, (const char *)value->mv_data + DK_STORE_CRC,
                                          value->mv_size - DK_STORE_CRC);
  bool is_taken = table != DK_N_TABLES && (is_current || is_timeless(table));
  return is_taken && give(table, key, value, look->to) ? EPIPE : 0;
}

static void look_in_child(void *ctx, FILE *to) {
  struct look look = *(const struct look *)ctx;
  look.to = to;
  give_end(dk_pages_each_pair(look.path, look_at_pair, &look), to);
}

struct taken {
  struct dk_store *made;
  uint64_t turn; /* as far as it could be read */
  uint64_t were[DK_N_TABLES];
  bool knows_were;
  bool is_whole; /* the last child came to its end, and found all that it was to find */
  bool replaces; /* what comes is surer than what is there */
};

/* Format, counts and binding are the new store's own; the rest of `meta` makes it the same store. */
static bool is_own(const char *key, size_t klen) {
  static const char *const names[] = {"format", "counts", "binding"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (klen == strlen(names[i]) && memcmp(key, names[i], klen) == 0) return true;
  return false;
}

static void take_counts(const char *value, size_t vlen, struct taken *taken) {
  struct dk_reader reader;
  dk_reader_init(&reader, value, vlen);
  uint64_t turn = dk_read_u64(&reader);
  uint32_t n = dk_read_u32(&reader);
  if (reader.failed || n > DK_N_TABLES) return;
  for (uint32_t i = 0; i < n; i++) taken->were[i] = dk_read_u64(&reader);
  taken->turn = turn;
  taken->knows_were = dk_reader_done(&reader);
}

static void take(enum dk_table table, const char *key, size_t klen, const char *value, size_t vlen,
                 struct dk_batch *batch, struct taken *taken) {
  enum dk_table is = dk_store_table_of(key, klen, value, vlen);
  if (is != DK_N_TABLES && is != table) return; /* another table's page was led to */
  if (table == DK_TABLE_META && is_own(key, klen)) {
    if (klen == strlen("counts") && memcmp(key, "counts", klen) == 0) take_counts(value, vlen, taken);
    return;
  }
  if (table == DK_TABLE_META || (taken->replaces && !is_timeless(table)))
    dk_batch_put(batch, table, key, klen, value, vlen);
  else
    dk_batch_put_new(batch, table, key, klen, value, vlen);
}

static int flush(struct dk_store *made, struct dk_batch *batch, struct dk_error *error) {
  int err = dk_store_commit(made, batch, error);
  dk_batch_clear(batch);
  return err;
}

static int read_pairs(FILE *from, struct taken *taken, struct dk_error *error) {
  struct dk_batch batch = DK_BATCH_INIT;
  dk_autobuf pair = DK_BUF_INIT;
  uint32_t head[3]; /* table, key's length, value's */
  int err = 0;
  while (err == 0 && fread(head, sizeof head, 1, from) == 1) {
    if (head[1] == 0) {
      taken->is_whole = head[2] == 0;
      break;
    }
    dk_buf_clear(&pair);
    size_t len = (size_t)head[1] + head[2];
    bool is_sane = head[0] < DK_N_TABLES && head[1] <= DK_KEY_MAX;
    char *at = is_sane ? dk_buf_reserve(&pair, len) : NULL;
    if (!at) err = dk_error_system(error, is_sane ? -ENOMEM : -EBADMSG, "rebuilding the store");
    if (err || fread(at, len, 1, from) != 1) break; /* it crashed in the middle */
    take((enum dk_table)head[0], at, head[1], at + head[1], head[2], &batch, taken);
    if (batch.bytes.len > BATCH_BYTES) err = flush(taken->made, &batch, error);
  }
  if (err == 0) err = flush(taken->made, &batch, error);
  dk_batch_finish(&batch);
  return err;
}

static int take_from(dk_child_fn *fn, void *ctx, struct taken *taken, struct dk_error *error) {
  struct dk_child child;
  taken->is_whole = false;
  int err = dk_child_start(&child, fn, ctx, SECONDS);
  if (err) return dk_error_system(error, err, "rebuilding the store");
  err = read_pairs(child.from, taken, error);
  if (dk_child_end(&child)) taken->is_whole = false;
  return err;
}

static int salvage_all(const char *path, struct taken *taken, struct dk_error *error) {
  int err = 0;
  for (int i = 0; i < DK_N_TABLES && err == 0; i++) {
    struct salvage salvage = {path, dk_store_open_flags(path, true), (enum dk_table)i, false};
    err = take_from(walk_in_child, &salvage, taken, error);
    salvage.backward = true;
    if (err == 0 && !taken->is_whole) err = take_from(walk_in_child, &salvage, taken, error);
  }
  struct look look = {.path = path};
  taken->replaces = true;
  return err ? err : take_from(look_in_child, &look, taken, error);
}

/* The same store in the same folder, at a turn that it has not had. Where the turn was lost, seconds since 1970 are
 * more than it can have come to. */
static int finish(const struct taken *taken, const char *path, struct dk_rebuilt *ret, struct dk_error *error) {
  struct dk_store *made = taken->made;
  struct dk_binding binding;
  struct dk_counts counts;
  MDB_txn *txn;
  int err = dk_place_binding(path, &binding, error);
  if (err) return err;
  uint64_t turn = taken->turn;
  if (turn == 0) turn = dk_unix_ns() / 1000000000u;
  int rc = mdb_txn_begin(made->env, NULL, 0, &txn);
  if (rc) return dk_store_fail(made, rc, "rebuilding the store", error);
  rc = dk_meta_put(made, txn, "binding", &binding, sizeof binding);
  if (rc == 0) rc = dk_counts_write(made, txn, turn + 1);
  if (rc == 0) err = dk_counts_read(made, txn, &counts, error);
  if (rc || err) {
    mdb_txn_abort(txn);
    return rc ? dk_store_fail(made, rc, "rebuilding the store", error) : err;
  }
  memcpy(ret->rows, counts.rows, sizeof ret->rows);
  memcpy(ret->were, taken->were, sizeof ret->were);
  ret->knows_were = taken->knows_were;
  rc = mdb_txn_commit(txn);
  return rc ? dk_store_fail(made, rc, "rebuilding the store", error) : 0;
}

/* The lock file goes first: it belongs to the old data, and whoever opens the store now makes a new one. */
static int replace(const char *path, const char *made, const char *aside, struct dk_error *error) {
  dk_autobuf data = DK_BUF_INIT;
  dk_autobuf lock = DK_BUF_INIT;
  dk_autobuf from = DK_BUF_INIT;
  dk_buf_printf(&data, "%s/data.mdb", path);
  dk_buf_printf(&lock, "%s/lock.mdb", path);
  dk_buf_printf(&from, "%s/data.mdb", made);
  if (!dk_buf_ok(&data) || !dk_buf_ok(&lock) || !dk_buf_ok(&from))
    return dk_error_system(error, -ENOMEM, "rebuilding the store %s", path);
  if (link(data.data, aside) != 0) return dk_error_system(error, -errno, "keeping the damaged store as %s", aside);
  if (unlink(lock.data) != 0 && errno != ENOENT) return dk_error_system(error, -errno, "removing %s", lock.data);
  if (rename(from.data, data.data) != 0) return dk_error_system(error, -errno, "replacing %s", data.data);
  return dk_fs_sync_dir(path, error);
}

int dk_store_rebuild(const char *path, const char *aside, struct dk_rebuilt *ret, struct dk_error *error) {
  const struct dk_store_options options = {.ballast = DK_STORE_NO_BALLAST};
  struct taken taken = {.turn = 0};
  dk_autobuf folder = DK_BUF_INIT;
  if (!dk_store_has_data(path)) return dk_store_none(path, error);
  dk_buf_printf(&folder, "%s/new-XXXXXX", path);
  if (!dk_buf_ok(&folder)) return dk_error_system(error, -ENOMEM, "rebuilding the store %s", path);
  if (!mkdtemp(folder.data)) return dk_error_system(error, -errno, "rebuilding the store %s", path);
  int err = dk_store_open(folder.data, &options, &taken.made, error);
  if (err == 0) err = salvage_all(path, &taken, error);
  if (err == 0) err = finish(&taken, path, ret, error);
  dk_store_close(taken.made);
  if (err == 0) err = replace(path, folder.data, aside, error);
  dk_fs_remove_tree(folder.data, NULL);
  return err;
}
