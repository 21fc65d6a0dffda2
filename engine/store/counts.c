/* Row counts: what a commit leaves in each table, written by that commit under a checksum of its own. LMDB keeps counts
 * too, each in the page that leads to its table; one that does not agree tells of a page that was lost or is an old
 * one, which its checksums of values cannot. Value of `counts` in the table `meta`: u64 turn, u32 number of tables,
 * then a u64 each. */
#include "engine/store/private.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define NAME "counts"
#define HEAD (sizeof(uint64_t) + sizeof(uint32_t))
#define TABLES_MAX 64 /* that a newer program may have */

/* The number of tables gives the value's size, so it is read first, unchecked; dk_meta_get then checks all of it. */
static uint32_t peek_n(const struct dk_store *store, MDB_txn *txn) {
  MDB_val key = {strlen(NAME), (void *)(uintptr_t)NAME}, value;
  uint32_t n;
  if (mdb_get(txn, store->tables[DK_TABLE_META], &key, &value) || value.mv_size < DK_STORE_CRC + HEAD) return 0;
  memcpy(&n, (const uint8_t *)value.mv_data + DK_STORE_CRC + sizeof(uint64_t), sizeof n);
  return le32toh(n);
}

int dk_counts_read(const struct dk_store *store, MDB_txn *txn, struct dk_counts *ret, struct dk_error *error) {
  uint8_t bytes[HEAD + TABLES_MAX * sizeof(uint64_t)];
  uint32_t n = peek_n(store, txn);
  memset(ret, 0, sizeof *ret);
  int err = dk_meta_get(store, txn, NAME, bytes, HEAD + (n <= TABLES_MAX ? n : 0) * sizeof(uint64_t), error);
  if (err) return err;
  if (n > DK_N_TABLES)
    return dk_error_set(error, -ENOTSUP,
                        "the store %s has %u tables; this program knows %d\nhelp: use the newer dkrun that wrote it",
                        store->path, n, DK_N_TABLES);
  memcpy(&ret->turn, bytes, sizeof ret->turn);
  ret->turn = le64toh(ret->turn);
  ret->n = n;
  for (uint32_t i = 0; i < n; i++) {
    memcpy(&ret->rows[i], bytes + HEAD + i * sizeof(uint64_t), sizeof(uint64_t));
    ret->rows[i] = le64toh(ret->rows[i]);
  }
  return 0;
}

static int put(const struct dk_store *store, MDB_txn *txn, uint64_t turn, const uint64_t rows[DK_N_TABLES]) {
  uint8_t bytes[HEAD + DK_N_TABLES * sizeof(uint64_t)];
  uint32_t n = htole32(DK_N_TABLES);
  turn = htole64(turn);
  memcpy(bytes, &turn, sizeof turn);
  memcpy(bytes + sizeof turn, &n, sizeof n);
  for (size_t i = 0; i < DK_N_TABLES; i++) {
    uint64_t count = htole64(rows[i]);
    memcpy(bytes + HEAD + i * sizeof count, &count, sizeof count);
  }
  return dk_meta_put(store, txn, NAME, bytes, sizeof bytes);
}

int dk_counts_write(const struct dk_store *store, MDB_txn *txn, uint64_t turn) {
  _Static_assert(DK_N_TABLES <= TABLES_MAX, "room for the counts");
  uint64_t rows[DK_N_TABLES] = {0};
  int rc = 0;
  bool is_first = false;
  for (int i = 0; rc == 0 && i < DK_N_TABLES; i++) {
    MDB_stat stat;
    rc = mdb_stat(txn, store->tables[i], &stat);
    if (rc == 0) rows[i] = stat.ms_entries;
  }
  if (rc == 0) { /* the first one is a row of `meta` itself */
    MDB_val key = {strlen(NAME), (void *)(uintptr_t)NAME}, value;
    is_first = mdb_get(txn, store->tables[DK_TABLE_META], &key, &value) == MDB_NOTFOUND;
    rows[DK_TABLE_META] += is_first;
    rc = put(store, txn, turn, rows);
  }
  return rc;
}

int dk_counts_compare(const struct dk_store *store, MDB_txn *txn, const struct dk_counts *counts,
                      struct dk_error *error) {
  for (uint32_t i = 0; i < counts->n; i++) {
    MDB_stat stat;
    int rc = mdb_stat(txn, store->tables[i], &stat);
    if (rc) return dk_store_fail(store, rc, "reading the store", error);
    if (stat.ms_entries != counts->rows[i])
      return dk_error_set(error, -EBADMSG,
                          "the store %s is damaged: the table `%s` has %zu rows where %llu were written\nhelp: "
                          "`dkrun fsck` says what else is",
                          store->path, dk_store_table_name((enum dk_table)i), stat.ms_entries,
                          (unsigned long long)counts->rows[i]);
  }
  return 0;
}
