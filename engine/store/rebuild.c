/* A store made anew of what can still be read of a damaged one. Children walk each table from its front, and where that does not come to an
 * end from its back too, and hand over the pairs whose checksums are right; what lies between two damaged pages is lost.
 *
 * Keeps true: the damaged file stays in its place until the new one is whole and takes it, in one rename. */
#include "engine/store/private.h"
#include "engine/store/repair.h"
#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"

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

static int give(const MDB_val *key, const MDB_val *value, FILE *to) {
  const uint32_t lens[] = {(uint32_t)key->mv_size, (uint32_t)(value->mv_size - DK_STORE_CRC)};
  fwrite(lens, sizeof lens, 1, to);
  fwrite(key->mv_data, lens[0], 1, to);
  fwrite((const char *)value->mv_data + DK_STORE_CRC, lens[1], 1, to);
  return fflush(to); /* it may crash at the next one */
}

static int walk(MDB_txn *txn, const struct salvage *salvage, FILE *to) {
  MDB_cursor *cursor;
  MDB_dbi dbi;
  MDB_val key, value;
  uint64_t most = 0;
  int rc = mdb_dbi_open(txn, dk_store_table_name(salvage->table), 0, &dbi);
  if (rc == 0) rc = dk_check_rows(txn, dbi, &most);
  if (rc == 0) rc = mdb_cursor_open(txn, dbi, &cursor);
  MDB_cursor_op first = salvage->backward ? MDB_LAST : MDB_FIRST, next = salvage->backward ? MDB_PREV : MDB_NEXT;
  for (uint64_t n = 0; rc == 0; n++) {
    rc = mdb_cursor_get(cursor, &key, &value, n ? next : first);
    if (rc == 0 && n == most) rc = MDB_CORRUPTED;
    if (rc == 0 && dk_check_value(&key, &value) && give(&key, &value, to)) rc = EPIPE;
  }
  return rc == MDB_NOTFOUND ? 0 : rc;
}

/* At the end a key of no length, and LMDB's result. */
static void in_child(void *ctx, FILE *to) {
  const struct salvage *salvage = ctx;
  MDB_env *env;
  MDB_txn *txn;
  int rc = dk_check_begin(salvage->path, salvage->env_flags, &env, &txn);
  if (rc == 0) rc = walk(txn, salvage, to);
  const uint32_t end[] = {0, (uint32_t)rc};
  fwrite(end, sizeof end, 1, to);
}

struct taken {
  uint64_t turn; /* as far as it could be read */
  bool is_whole; /* the last walk came to its end */
};

/* Format, counts and binding are the new store's own; the rest of `meta` makes it the same store. */
static bool is_own(const char *key, size_t klen) {
  static const char *const names[] = {"format", "counts", "binding"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (klen == strlen(names[i]) && memcmp(key, names[i], klen) == 0) return true;
  return false;
}

static void take(enum dk_table table, const char *key, size_t klen, const char *value, size_t vlen,
                 struct dk_batch *batch, struct taken *taken) {
  if (table == DK_TABLE_META && is_own(key, klen)) {
    if (klen == strlen("counts") && memcmp(key, "counts", klen) == 0 && vlen >= sizeof taken->turn) {
      memcpy(&taken->turn, value, sizeof taken->turn);
      taken->turn = le64toh(taken->turn);
    }
    return;
  }
  if (table == DK_TABLE_META)
    dk_batch_put(batch, table, key, klen, value, vlen);
  else
    dk_batch_put_new(batch, table, key, klen, value, vlen);
}

static int flush(struct dk_store *made, struct dk_batch *batch, struct dk_error *error) {
  int err = dk_store_commit(made, batch, error);
  dk_batch_clear(batch);
  return err;
}

static int read_pairs(FILE *from, struct dk_store *made, enum dk_table table, struct taken *taken,
                      struct dk_error *error) {
  struct dk_batch batch = DK_BATCH_INIT;
  dk_autobuf pair = DK_BUF_INIT;
  uint32_t lens[2];
  int err = 0;
  while (err == 0 && fread(lens, sizeof lens, 1, from) == 1) {
    if (lens[0] == 0) {
      taken->is_whole = lens[1] == 0;
      break;
    }
    dk_buf_clear(&pair);
    size_t len = (size_t)lens[0] + lens[1];
    char *at = lens[0] <= DK_KEY_MAX ? dk_buf_reserve(&pair, len) : NULL;
    if (!at) err = dk_error_system(error, lens[0] <= DK_KEY_MAX ? -ENOMEM : -EBADMSG, "rebuilding the store");
    if (err || fread(at, len, 1, from) != 1) break; /* it crashed in the middle */
    take(table, at, lens[0], at + lens[0], lens[1], &batch, taken);
    if (batch.bytes.len > BATCH_BYTES) err = flush(made, &batch, error);
  }
  if (err == 0) err = flush(made, &batch, error);
  dk_batch_finish(&batch);
  return err;
}

static int salvage_table(const char *path, struct dk_store *made, enum dk_table table, struct taken *taken,
                         struct dk_error *error) {
  struct salvage salvage = {path, dk_store_open_flags(path, true), table, false};
  taken->is_whole = false;
  for (int pass = 0; pass < 2 && !taken->is_whole; pass++) {
    struct dk_child child;
    salvage.backward = pass == 1;
    int err = dk_child_start(&child, in_child, &salvage, SECONDS);
    if (err) return dk_error_system(error, err, "rebuilding the store %s", path);
    err = read_pairs(child.from, made, table, taken, error);
    if (dk_child_end(&child)) taken->is_whole = false;
    if (err) return err;
  }
  return 0;
}

/* The same store in the same folder, at a turn that it has not had. Where the turn was lost, seconds since 1970 are more than it can have
 * come to. */
static int finish(struct dk_store *made, const char *path, uint64_t turn, uint64_t ret_kept[DK_N_TABLES],
                  struct dk_error *error) {
  struct dk_binding binding;
  struct dk_counts counts;
  MDB_txn *txn;
  int err = dk_place_binding(path, &binding, error);
  if (err) return err;
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
  for (int i = 0; i < DK_N_TABLES; i++) ret_kept[i] = counts.rows[i];
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

int dk_store_rebuild(const char *path, const char *aside, uint64_t ret_kept[DK_N_TABLES], struct dk_error *error) {
  const struct dk_store_options options = {.ballast = DK_STORE_NO_BALLAST};
  struct dk_store *made = NULL;
  struct taken taken = {.turn = 0};
  dk_autobuf folder = DK_BUF_INIT;
  if (!dk_store_has_data(path)) return dk_store_none(path, error);
  dk_buf_printf(&folder, "%s/new-XXXXXX", path);
  if (!dk_buf_ok(&folder)) return dk_error_system(error, -ENOMEM, "rebuilding the store %s", path);
  if (!mkdtemp(folder.data)) return dk_error_system(error, -errno, "rebuilding the store %s", path);
  int err = dk_store_open(folder.data, &options, &made, error);
  for (int i = 0; i < DK_N_TABLES && err == 0; i++) err = salvage_table(path, made, (enum dk_table)i, &taken, error);
  if (err == 0) err = finish(made, path, taken.turn, ret_kept, error);
  dk_store_close(made);
  if (err == 0) err = replace(path, folder.data, aside, error);
  dk_fs_remove_tree(folder.data, NULL);
  return err;
}
