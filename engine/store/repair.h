/* What is wrong in a store's files, and what can be saved of them. Nothing of the files is trusted: children read them,
 * so whatever they hold is an answer here and no crash. Both read everything, in one thread, and wait for it. */
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

/* Calls fn for all that is found; 0 whether or not there was anything. May be done while an engine works. -ENOENT: no
 * store. */
int dk_store_examine(const char *path, dk_damage_fn *fn, void *ctx, struct dk_error *error);

/* The table that a pair is of, told by its key and value alone; DK_N_TABLES: that of none, or of one whose entries
 * cannot be told so (names, the stat shortcut, input files, durations, how runs that go on were started). */
enum dk_table dk_store_table_of(const void *key, size_t klen, const void *value, size_t vlen);

/* Makes the store anew of every pair that can still be read and whose checksum is right; the id is kept if it can be. A
 * table is read from both ends up to what is damaged; then all pages of the file that are in use are looked through for
 * pairs that tell by themselves where they belong. Where not even the list of pages in use can be read these are only
 * results and metrics, of which an old one is as good as a new one. The old data file is moved to `aside`, a path that
 * must not exist, on the same file system. Whoever calls holds the folder's lock. */
struct dk_rebuilt {
  uint64_t rows[DK_N_TABLES]; /* that the new store has */
  uint64_t were[DK_N_TABLES]; /* that the old one said it had */
  bool knows_were;            /* false: that could not be read */
};
int dk_store_rebuild(const char *path, const char *aside, struct dk_rebuilt *ret, struct dk_error *error);

#endif
