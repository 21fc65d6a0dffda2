/* Writing: a batch in one transaction, with the row counts that it leads to. A full map is doubled and the batch
 * replayed; on a full disk the ballast is given up once; any other error but lack of memory is final, and said again at
 * the next commit. Nothing of a batch that failed is visible to anyone. */
#include "engine/store/batch.h"
#include "engine/store/private.h"
#include "lang/base/bytes.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int put(struct dk_store *store, MDB_txn *txn, const struct dk_batch_item *item) {
  MDB_val key = {item->klen, (void *)(uintptr_t)item->key}, value = {item->vlen + DK_STORE_CRC, NULL};
  unsigned flags = MDB_RESERVE | (item->op == DK_BATCH_PUT_NEW ? MDB_NOOVERWRITE : 0);
  int rc = mdb_put(txn, store->tables[item->table], &key, &value, flags);
  if (rc == MDB_KEYEXIST && item->op == DK_BATCH_PUT_NEW) return 0;
  if (rc) return rc;
  uint32_t crc = htole32(dk_store_crc(item->key, item->klen, item->value, item->vlen));
  memcpy(value.mv_data, &crc, DK_STORE_CRC);
  if (item->vlen) memcpy((char *)value.mv_data + DK_STORE_CRC, item->value, item->vlen);
  return 0;
}

/* One more than before; one that cannot be read counts as none. */
static int next_generation(const struct dk_store *store, MDB_txn *txn) {
  uint64_t generation = 0;
  if (dk_meta_get(store, txn, DK_STORE_GENERATION, &generation, sizeof generation, NULL) < 0) generation = 0;
  generation = htole64(le64toh(generation) + 1);
  return dk_meta_put(store, txn, DK_STORE_GENERATION, &generation, sizeof generation);
}

static int replay(struct dk_store *store, const struct dk_batch *batch) {
  MDB_txn *txn;
  int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
  if (rc) return rc;
  struct dk_batch_item item;
  for (size_t at = 0; rc == 0 && dk_batch_next(batch, &at, &item);) {
    if (item.op == DK_BATCH_DEL) {
      MDB_val key = {item.klen, (void *)(uintptr_t)item.key};
      rc = mdb_del(txn, store->tables[item.table], &key, NULL);
      if (rc == MDB_NOTFOUND) rc = 0;
    } else {
      rc = put(store, txn, &item);
    }
  }
  if (rc == 0 && batch->forgets) rc = next_generation(store, txn);
  struct dk_counts counts = {.turn = store->turn};
  if (rc == 0 && dk_counts_read(store, txn, &counts, NULL))
    rc = MDB_CORRUPTED; /* another process may have written too */
  if (rc == 0) rc = dk_counts_write(store, txn, counts.turn + 1);
  if (rc) {
    mdb_txn_abort(txn);
    return rc;
  }
  rc = mdb_txn_commit(txn);
  if (rc == 0) store->turn = counts.turn + 1;
  return rc;
}

static int grow(struct dk_store *store) {
  int dead;
  MDB_envinfo info;
  mdb_reader_check(store->env, &dead);
  int rc = mdb_env_info(store->env, &info);
  return rc ? rc : mdb_env_set_mapsize(store->env, info.me_mapsize * 2);
}

static int fail_again(const struct dk_store *store, struct dk_error *error) {
  int err = dk_store_fail(store, store->broken, "writing to the store", error);
  dk_error_prefix(error, "nothing is written any more after an earlier error");
  return err;
}

/* LMDB would go on writing into a file that nobody can open any more. */
static bool is_removed(const struct dk_store *store) {
  int fd;
  struct stat st;
  return mdb_env_get_fd(store->env, &fd) == 0 && fstat(fd, &st) == 0 && st.st_nlink == 0;
}

int dk_store_commit(struct dk_store *store, const struct dk_batch *batch, struct dk_error *error) {
  if (!dk_buf_ok(&batch->bytes)) return dk_error_system(error, -ENOMEM, "writing to the store %s", store->path);
  if (store->read_only) return dk_error_system(error, -EROFS, "writing to the store %s", store->path);
  if (store->broken) return fail_again(store, error);
  if (batch->n == 0) return 0;
  if (is_removed(store))
    return dk_error_set(error, -ESTALE,
                        "the store %s was removed while it was used\nhelp: run again: what is done is found in the "
                        "agent's journals or made again",
                        store->path);
  for (;;) {
    const char *outer = dk_guard_enter(store->path);
    int rc = replay(store, batch);
    dk_guard_leave(outer);
    if (rc == 0) return 0;
    if (rc == EIO && dk_store_disk_is_full(store, batch->bytes.len * 2)) rc = ENOSPC;
    if (rc == MDB_MAP_FULL)
      rc = grow(store);
    else if (rc == MDB_MAP_RESIZED)
      rc = mdb_env_set_mapsize(store->env, 0); /* another process has grown it: take its size */
    else if (dk_error_is_full(-rc) && dk_ballast_release(store))
      rc = 0;
    if (rc == 0) continue;
    store->broken = !dk_error_is_full(-rc) && rc != ENOMEM ? rc : 0;
    return dk_store_fail(store, rc, "writing to the store", error);
  }
}
