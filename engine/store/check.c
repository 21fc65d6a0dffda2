/* The quick check before a store is opened: the ends of each table are read by a child. What is deeper is found by who
 * meets it (guard.c), and by dk_store_examine, which reads all of it. */
#include "engine/store/private.h"

#include <errno.h>

#define QUICK_PAIRS 64 /* from each end of a table */
#define QUICK_SECONDS 60
#define NODE_LEAST 10 /* bytes that a row takes at least in a page of LMDB: its head and its place */

static void touch(const MDB_val *value) {
  volatile uint8_t sum = 0;
  const uint8_t *at = value->mv_data;
  for (size_t i = 0; i < value->mv_size; i += 256) sum = (uint8_t)(sum + at[i]);
}

/* Damage to one value must not close the rest, so checksums are not looked at. */
static int walk_ends(MDB_txn *txn, MDB_dbi dbi) {
  static const MDB_cursor_op ops[][2] = {{MDB_FIRST, MDB_NEXT}, {MDB_LAST, MDB_PREV}};
  MDB_cursor *cursor;
  MDB_val key, value;
  int rc = mdb_cursor_open(txn, dbi, &cursor);
  for (int end = 0; rc == 0 && end < 2; end++) {
    for (int n = 0; n < QUICK_PAIRS && (rc = mdb_cursor_get(cursor, &key, &value, ops[end][n > 0])) == 0; n++)
      touch(&value);
    if (rc == MDB_NOTFOUND) rc = 0;
  }
  return rc;
}

int dk_check_rows(MDB_txn *txn, MDB_dbi dbi, uint64_t *ret) {
  MDB_stat stat;
  MDB_envinfo info;
  int rc = mdb_stat(txn, dbi, &stat);
  if (rc == 0) rc = mdb_env_info(mdb_txn_env(txn), &info);
  if (rc) return rc;
  uint64_t room = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize / NODE_LEAST;
  *ret = stat.ms_entries;
  return stat.ms_entries <= room ? 0 : MDB_CORRUPTED;
}

int dk_check_walk(MDB_txn *txn, MDB_dbi dbi) {
  MDB_cursor *cursor;
  MDB_val key, value;
  uint64_t rows = 0, n = 0;
  int rc = dk_check_rows(txn, dbi, &rows);
  if (rc == 0) rc = mdb_cursor_open(txn, dbi, &cursor);
  for (; rc == 0; n++) {
    rc = mdb_cursor_get(cursor, &key, &value, n ? MDB_NEXT : MDB_FIRST);
    if (rc == MDB_NOTFOUND) break;
    if (rc == 0 && n == rows) rc = MDB_CORRUPTED; /* it may go round and round */
    if (rc == 0) touch(&value);
  }
  return rc != MDB_NOTFOUND ? rc : n == rows ? 0 : MDB_CORRUPTED;
}

/* Who is killed while it reads, and the children here, leave their places in LMDB's list of readers, which has an end.
 * The engine takes them back when it commits; while a task runs for hours it does not. */
static void free_readers(MDB_env *env) {
  MDB_envinfo info;
  int dead;
  if (mdb_env_info(env, &info) == 0 && info.me_numreaders > info.me_maxreaders / 2) mdb_reader_check(env, &dead);
}

int dk_check_begin(const char *path, unsigned env_flags, MDB_env **ret_env, MDB_txn **ret) {
  int rc = mdb_env_create(ret_env);
  if (rc == 0) rc = mdb_env_set_maxdbs(*ret_env, DK_MAX_TABLES);
  if (rc == 0) rc = mdb_env_open(*ret_env, path, MDB_RDONLY | MDB_NOTLS | env_flags, 0600);
  if (rc == 0) free_readers(*ret_env);
  if (rc == 0) rc = mdb_txn_begin(*ret_env, NULL, MDB_RDONLY, ret);
  if (rc == MDB_MAP_RESIZED && mdb_env_set_mapsize(*ret_env, 0) == 0)
    rc = mdb_txn_begin(*ret_env, NULL, MDB_RDONLY, ret);
  return rc;
}

struct quick {
  const char *path;
  unsigned env_flags;
};

/* Tables that are not there are left to who opens the store: it knows how many there should be. */
static int read_ends(const struct quick *quick) {
  MDB_env *env;
  MDB_txn *txn;
  int rc = dk_check_begin(quick->path, quick->env_flags, &env, &txn);
  if (rc == 0) rc = dk_check_walk(txn, 0); /* 0: LMDB's list of free pages, which every commit uses */
  for (int i = 0; rc == 0 && i < DK_N_TABLES; i++) {
    MDB_dbi dbi;
    rc = mdb_dbi_open(txn, dk_store_table_name((enum dk_table)i), 0, &dbi);
    if (rc == 0)
      rc = i == DK_TABLE_META ? dk_check_walk(txn, dbi) : walk_ends(txn, dbi); /* it is written to on opening */
    if (rc == MDB_NOTFOUND && i != DK_TABLE_META) rc = 0;
  }
  return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
}

static void in_child(void *ctx, FILE *to) {
  int rc = read_ends(ctx);
  fwrite(&rc, sizeof rc, 1, to);
}

/* LMDB gives EINVAL for a first page of another size, and for maps beyond reason; any of its own codes for rubbish. */
static int code_of(int rc) {
  bool is_rubbish = rc == EINVAL || (rc < 0 && rc != MDB_VERSION_MISMATCH && rc != MDB_READERS_FULL && rc != MDB_PANIC);
  return is_rubbish ? MDB_INVALID : rc;
}

int dk_check_in_child(const char *path, unsigned env_flags, struct dk_error *error) {
  const struct dk_store named = {.path = (char *)(uintptr_t)path};
  struct quick quick = {path, env_flags};
  struct dk_child child;
  int rc = 0;
  int err = dk_child_start(&child, in_child, &quick, QUICK_SECONDS);
  if (err) return dk_error_system(error, err, "checking the store %s", path);
  bool has_answer = fread(&rc, sizeof rc, 1, child.from) == 1;
  const char *why = dk_child_end(&child);
  if (why || !has_answer)
    return dk_error_set(error, -EBADMSG, "the store %s is damaged: %s\n" DK_STORE_HELP, path,
                        why ? why : "reading it ended in an error");
  if (rc == 0 || rc == ENOENT) return 0; /* removed meanwhile: opening it says so or makes it */
  return dk_store_fail(&named, code_of(rc), "checking the store", error);
}
