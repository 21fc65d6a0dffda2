/* What is wrong in a store's files, and what can be saved of them. Nothing of the files is trusted: children read them, so whatever
 * they hold is an answer here and no crash. Both read everything, in one thread, and wait for it. */
#ifndef DK_STORE_REPAIR_H
#define DK_STORE_REPAIR_H

#include "engine/store/store.h"

enum dk_damage_kind {
  DK_DAMAGE_FILE,  /* it cannot be opened as a database */
  DK_DAMAGE_TABLE, /* a table cannot be walked from end to end (text says how that ended), or is not there */
  DK_DAMAGE_ROWS,  /* a table has `is` rows where `should` were recorded */
  DK_DAMAGE_VALUE, /* the value of `key` is not what was written */
};
struct dk_damage {
  enum dk_damage_kind kind;
  enum dk_table table;
  const void *key;
  size_t klen;
  uint64_t is, should;
  const char *text;
};
typedef int dk_damage_fn(void *ctx, const struct dk_damage *damage); /* not 0: ends it, and is returned */

/* Calls fn for all that is found; 0 whether or not there was anything. May be done while an engine works. -ENOENT: no store. */
int dk_store_examine(const char *path, dk_damage_fn *fn, void *ctx, struct dk_error *error);

/* Makes the store anew of every pair that can still be read (from both ends of each table up to what is damaged) and whose checksum is
 * right; the id is kept. The old data file is moved to `aside`, a path that must not exist, on the same file system. Whoever calls holds
 * the folder's lock. ret_kept: rows of each table. */
int dk_store_rebuild(const char *path, const char *aside, uint64_t ret_kept[DK_N_TABLES], struct dk_error *error);

#endif
