/* Formats. 1: the first. 2: row counts and turns (counts.c), and with them a store says how many tables it has, so that
 * a program with more can tell a table that is new to it from one that was lost.
 *
 * Keeps true: a migration is one transaction: a store is of the old format or of the new one, whatever happens
 * meanwhile. */
#include "engine/store/private.h"

#include <endian.h>
#include <errno.h>

static int read_format(const struct dk_store *store, MDB_txn *txn, uint32_t *ret, struct dk_error *error) {
  int err = dk_meta_get(store, txn, "format", ret, sizeof *ret, error);
  if (err == -ENOENT) return dk_error_set(error, -EBADMSG, "the store %s is damaged: it has no format", store->path);
  if (err) return err;
  *ret = le32toh(*ret);
  if (*ret > DK_STORE_FORMAT)
    return dk_error_set(error, -ENOTSUP,
                        "the store %s has format %u; this program knows formats up to %d\nhelp: use the newer dkrun "
                        "that wrote it",
                        store->path, *ret, DK_STORE_FORMAT);
  if (*ret < 1) return dk_error_set(error, -EBADMSG, "the store %s is damaged: its format is %u", store->path, *ret);
  return 0;
}

/* The tables from `first` on; MDB_CREATE for those that are to be made. */
static int open_tables(struct dk_store *store, MDB_txn *txn, uint32_t first, uint32_t end, unsigned flags,
                       struct dk_error *error) {
  for (uint32_t i = first; i < end; i++) {
    int rc = mdb_dbi_open(txn, dk_store_table_name((enum dk_table)i), flags, &store->tables[i]);
    if (rc) return dk_store_fail(store, rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc, "opening the store", error);
  }
  return 0;
}

/* The tables that the store has, and what it says about them. */
static int open_known(struct dk_store *store, MDB_txn *txn, uint32_t *ret_format, struct dk_counts *ret,
                      struct dk_error *error) {
  *ret = (struct dk_counts){.n = DK_TABLES_OF_1};
  int err = open_tables(store, txn, DK_TABLE_META, DK_TABLE_META + 1, 0, error);
  if (err == 0) err = read_format(store, txn, ret_format, error);
  if (err == 0 && *ret_format >= 2) {
    err = dk_counts_read(store, txn, ret, error);
    if (err == -ENOENT)
      err = dk_error_set(error, -EBADMSG, "the store %s is damaged: it has no row counts", store->path);
  }
  if (err == 0) err = open_tables(store, txn, DK_TABLE_META + 1, ret->n, 0, error);
  if (err == 0 && *ret_format >= 2) err = dk_counts_compare(store, txn, ret, error);
  return err;
}

int dk_migrate_open(struct dk_store *store, MDB_txn *txn, bool is_new, bool *ret_changed, struct dk_error *error) {
  struct dk_counts counts = {.n = 0};
  uint32_t format = 0;
  *ret_changed = false;
  for (int i = 0; i < DK_N_TABLES; i++) store->tables[i] = DK_NO_TABLE;
  int err = is_new ? 0 : open_known(store, txn, &format, &counts, error);
  store->turn = counts.turn;
  if (err || store->read_only || (format == DK_STORE_FORMAT && counts.n == DK_N_TABLES)) return err;
  *ret_changed = true;
  err = open_tables(store, txn, counts.n, DK_N_TABLES, MDB_CREATE, error);
  if (err) return err;
  format = htole32(DK_STORE_FORMAT);
  int rc = dk_meta_put(store, txn, "format", &format, sizeof format);
  return rc ? dk_store_fail(store, rc, "writing the store", error) : 0;
}
