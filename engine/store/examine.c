/* Reading all of a store: a child for each table, so that what is wrong with one does not hide the others. */
#include "engine/store/private.h"
#include "engine/store/repair.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SECONDS 3600 /* a large store may take long; a loop in damaged pages must end */
#define FREE_PAGES (-1)
#define ALL_PAGES DK_N_TABLES
#define END UINT32_MAX

struct look {
  const char *path;
  unsigned env_flags;
  int table; /* FREE_PAGES: opens the file and reads LMDB's own list; ALL_PAGES: looks at the pages themselves */
};

/* What the child says at its end, behind the keys of bad values (u32 length, bytes). */
struct verdict {
  int rc;
  bool has_counts;
  bool is_later; /* the store was last written by a program without this table */
  uint64_t rows, recorded;
};

bool dk_check_value(const MDB_val *key, const MDB_val *value) {
  uint32_t crc;
  if (value->mv_size < DK_STORE_CRC) return false;
  memcpy(&crc, value->mv_data, DK_STORE_CRC);
  return le32toh(crc) == dk_store_crc(key->mv_data, key->mv_size, (const char *)value->mv_data + DK_STORE_CRC,
                                      value->mv_size - DK_STORE_CRC);
}

static void say_bad(const MDB_val *key, FILE *to) {
  uint32_t len = (uint32_t)key->mv_size;
  fwrite(&len, sizeof len, 1, to);
  fwrite(key->mv_data, len, 1, to);
  fflush(to); /* it may crash at the next one */
}

/* A key that is not what was written may stand where nobody looks for it, or be in the way of others. */
static bool is_found(MDB_txn *txn, MDB_dbi dbi, MDB_val key, const MDB_val *value) {
  MDB_val found;
  return mdb_get(txn, dbi, &key, &found) == 0 && found.mv_data == value->mv_data;
}

static int walk(MDB_txn *txn, MDB_dbi dbi, uint64_t *ret_rows, FILE *to) {
  MDB_cursor *cursor;
  MDB_val key, value;
  uint64_t most = 0;
  int rc = dk_check_rows(txn, dbi, &most);
  if (rc == 0) rc = mdb_cursor_open(txn, dbi, &cursor);
  for (; rc == 0; ++*ret_rows) {
    rc = mdb_cursor_get(cursor, &key, &value, *ret_rows ? MDB_NEXT : MDB_FIRST);
    if (rc == 0 && *ret_rows == most) rc = MDB_CORRUPTED; /* it may go round and round */
    if (rc == 0 && !is_found(txn, dbi, key, &value)) rc = MDB_CORRUPTED;
    if (rc) break;
    if (!dk_check_value(&key, &value)) say_bad(&key, to);
  }
  return rc != MDB_NOTFOUND ? rc : *ret_rows == most ? 0 : MDB_CORRUPTED;
}

/* What the store says about a table: there or not (one that came after the store was last written), and how many
 * rows. */
static void read_counts(MDB_txn *txn, const char *path, int table, struct verdict *verdict) {
  struct dk_store store = {.path = (char *)(uintptr_t)path};
  struct dk_counts counts;
  if (mdb_dbi_open(txn, dk_store_table_name(DK_TABLE_META), 0, &store.tables[DK_TABLE_META]) != 0) return;
  verdict->has_counts = dk_counts_read(&store, txn, &counts, NULL) == 0;
  verdict->is_later = (uint32_t)table >= (verdict->has_counts ? counts.n : DK_TABLES_OF_1);
  verdict->recorded = verdict->has_counts && !verdict->is_later ? counts.rows[table] : 0;
}

static void in_child(void *ctx, FILE *to) {
  const struct look *look = ctx;
  struct verdict verdict = {.rc = 0};
  MDB_env *env;
  MDB_txn *txn;
  MDB_dbi dbi = 0;
  verdict.rc = dk_check_begin(look->path, look->env_flags, &env, &txn);
  if (verdict.rc == 0 && look->table == FREE_PAGES) {
    verdict.rc = dk_check_walk(txn, 0);
  } else if (verdict.rc == 0 && look->table == ALL_PAGES) {
    verdict.rc = dk_check_pages(txn);
  } else if (verdict.rc == 0) {
    read_counts(txn, look->path, look->table, &verdict);
    verdict.rc = mdb_dbi_open(txn, dk_store_table_name((enum dk_table)look->table), 0, &dbi);
    if (verdict.rc == 0) verdict.rc = walk(txn, dbi, &verdict.rows, to);
    if (verdict.rc == MDB_NOTFOUND && verdict.is_later) verdict.rc = 0;
  }
  const uint32_t end = END;
  fwrite(&end, sizeof end, 1, to);
  fwrite(&verdict, sizeof verdict, 1, to);
}

/* Takes what the child says. *ret_verdict: false when it died before its end. */
static int listen(FILE *from, const struct look *look, dk_damage_fn *fn, void *ctx, struct verdict *ret,
                  bool *ret_verdict) {
  uint8_t key[DK_KEY_MAX];
  uint32_t len;
  int err = 0;
  *ret_verdict = false;
  while (fread(&len, sizeof len, 1, from) == 1 && len != END && len <= sizeof key && fread(key, len, 1, from) == 1) {
    const struct dk_damage damage = {
        .kind = DK_DAMAGE_VALUE, .table = (enum dk_table)look->table, .key = key, .klen = len};
    if (err == 0) err = fn(ctx, &damage);
    len = 0;
  }
  if (len == END) *ret_verdict = fread(ret, sizeof *ret, 1, from) == 1;
  return err;
}

/* *ret_reads: false from then on that something is wrong with more than values. */
static int look_at(const struct look *look, dk_damage_fn *fn, void *ctx, bool *ret_reads, struct dk_error *error) {
  bool is_file = look->table == FREE_PAGES || look->table == ALL_PAGES;
  struct dk_child child;
  struct verdict verdict = {.rc = 0};
  bool has_verdict;
  int err = dk_child_start(&child, in_child, (void *)(uintptr_t)look, SECONDS);
  if (err) return dk_error_system(error, err, "examining the store %s", look->path);
  err = listen(child.from, look, fn, ctx, &verdict, &has_verdict);
  const char *why = dk_child_end(&child);
  if (!why && !has_verdict) why = "reading it ended in an error";
  if (!why && look->table == ALL_PAGES && verdict.rc == MDB_CORRUPTED)
    why = "one of its pages is not as it was written";
  if (!why && verdict.rc) why = mdb_strerror(verdict.rc);
  if (err || (!why && (is_file || !verdict.has_counts || verdict.rows == verdict.recorded))) return err;
  *ret_reads = false;
  struct dk_damage damage = {.kind = is_file ? DK_DAMAGE_FILE : DK_DAMAGE_TABLE, .text = why};
  damage.table = is_file ? DK_TABLE_META : (enum dk_table)look->table;
  if (!why) damage.kind = DK_DAMAGE_ROWS;
  damage.is = verdict.rows;
  damage.should = verdict.recorded;
  return fn(ctx, &damage);
}

int dk_store_examine(const char *path, dk_damage_fn *fn, void *ctx, struct dk_error *error) {
  if (!dk_store_has_data(path)) return dk_store_none(path, error);
  int err = dk_place_check(path, error);
  struct look look = {path, dk_store_open_flags(path, true), FREE_PAGES};
  bool reads = true;
  if (err == 0) err = look_at(&look, fn, ctx, &reads, error);
  if (!reads) return err;
  for (look.table = 0; err == 0 && look.table < DK_N_TABLES; look.table++) err = look_at(&look, fn, ctx, &reads, error);
  look.table = ALL_PAGES; /* what reads well may still be the end of who writes */
  return err == 0 && reads ? look_at(&look, fn, ctx, &reads, error) : err;
}

static int first_one(void *ctx, const struct dk_damage *damage) {
  static const char *const words[] = {[DK_DAMAGE_FILE] = "it cannot be opened",
                                      [DK_DAMAGE_TABLE] = "it cannot be read",
                                      [DK_DAMAGE_ROWS] = "rows are missing, or too many",
                                      [DK_DAMAGE_VALUE] = "a value is not what was written"};
  return dk_error_set(ctx, -EBADMSG, "the store is damaged: table `%s`: %s%s%s\n" DK_STORE_HELP,
                      dk_store_table_name(damage->table), words[damage->kind], damage->text ? ": " : "",
                      damage->text ? damage->text : "");
}

int dk_store_check(const char *path, struct dk_error *error) {
  struct dk_error own;
  return dk_store_examine(path, first_one, error ? error : &own, error);
}
