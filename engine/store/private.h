/* What the files of this room share: the open environment and the way LMDB's errors become ours. Included by nobody
 * else. */
#ifndef DK_STORE_PRIVATE_H
#define DK_STORE_PRIVATE_H

#include "engine/store/store.h"

#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/types.h>

#define DK_NO_TABLE UINT_MAX /* a store that was written before there was this one, opened for reading */

/* A reader in another process, as long as it holds the same snapshot. */
#define DK_READERS_WATCHED 32
#define DK_READERS_EVERY_NS UINT64_C(10000000000)
#define DK_READER_OLD_NS UINT64_C(60000000000)
struct dk_watched_reader {
  long pid; /* 0: none */
  unsigned long long txn;
  uint64_t since_ns; /* when it was first seen with it */
  bool was_named;
};

#define DK_STORE_GENERATION "generation"

struct dk_store {
  char *path;
  MDB_env *env;
  MDB_txn *reader; /* reset between uses; NULL until the first one */
  MDB_dbi tables[DK_N_TABLES];
  uint64_t turn; /* of the last commit that this handle saw */
  bool read_only, copied;
  int broken;            /* LMDB's result of the commit after which nothing is written any more; 0: none */
  bool is_short;         /* the ballast was given up for a commit */
  uint64_t ballast_size; /* 0: none wanted */
  uint8_t id[16];
  uint64_t look_at_ns; /* when readers are looked at next */
  struct dk_watched_reader readers[DK_READERS_WATCHED];
  struct dk_error none; /* what is said of a table that lacks an entry; made when first asked for that table */
  enum dk_table none_in;
};

/* Every value at rest is 4 bytes of CRC-32C (of the key, then of the value), then the value. */
#define DK_STORE_CRC 4
#define DK_KEY_MAX 511    /* LMDB's default MDB_MAXKEYSIZE */
#define DK_TABLES_OF_1 10 /* tables of format 1, which does not say how many it has */
#define DK_MAX_TABLES 32  /* that LMDB is told of: at least DK_N_TABLES */
uint32_t dk_store_crc(const void *key, size_t klen, const void *value, size_t vlen);

const char *dk_store_table_noun(enum dk_table table); /* what an entry is called */
/* Turns an LMDB result into a negative errno and says "what: why". */
int dk_store_fail(const struct dk_store *store, int rc, const char *what, struct dk_error *error);

/* meta.c: entries of the table `meta`, of a fixed size each. get: -ENOENT without a message; -EBADMSG. */
int dk_meta_get(const struct dk_store *store, MDB_txn *txn, const char *name, void *ret, size_t len,
                struct dk_error *error);
int dk_meta_put(const struct dk_store *store, MDB_txn *txn, const char *name, const void *data,
                size_t len); /* LMDB's result */

/* counts.c: how many rows each table had after a commit, in a value of its own that the commit writes last. */
struct dk_counts {
  uint64_t turn; /* commits so far */
  uint32_t n;    /* tables that the store has: those of the program that wrote it last */
  uint64_t rows[DK_N_TABLES];
};
/* -ENOENT: format 1 had none. -ENOTSUP: a newer program's, with more tables. */
int dk_counts_read(const struct dk_store *store, MDB_txn *txn, struct dk_counts *ret, struct dk_error *error);
int dk_counts_write(const struct dk_store *store, MDB_txn *txn, uint64_t turn); /* of txn's tables; LMDB's result */
/* What is recorded against what the tables have. */
int dk_counts_compare(const struct dk_store *store, MDB_txn *txn, const struct dk_counts *counts,
                      struct dk_error *error);

/* migrate.c: finds out the format, opens the tables, and for writing brings a store of an older format up to this one:
 * then *ret_changed is true, and the caller writes the counts when it has written all that it wants to. */
int dk_migrate_open(struct dk_store *store, MDB_txn *txn, bool is_new, bool *ret_changed, struct dk_error *error);

/* A read transaction: begin gives one (growing the map if another process did), done puts it to rest. Between them
 * (only on success) LMDB is guarded. */
int dk_store_read_begin(struct dk_store *store, MDB_txn **ret, struct dk_error *error);
void dk_store_read_done(struct dk_store *store);

/* ballast.c: space kept aside so that ends of tasks can still be recorded on a full disk. */
void dk_ballast_make(struct dk_store *store);
bool dk_ballast_release(struct dk_store *store); /* false: there was none */
/* LMDB says EIO when a write came out short, which is what a full disk looks like from there. Whether it is one is
 * tried out with a file next to the data, of `wanted` bytes and some more; a true I/O error stays one. */
bool dk_store_disk_is_full(const struct dk_store *store, uint64_t wanted);

/* place.c: where a store may live, and how to tell a copy. */
bool dk_place_is_network(uint64_t magic, const char *fuse_type);
struct dk_binding {
  uint8_t bytes[32];
}; /* digest of machine id, file system and inode of the folder */
int dk_place_binding(const char *path, struct dk_binding *ret, struct dk_error *error);

/* guard.c: around every use of LMDB. Enter gives what leave wants. */
const char *dk_guard_enter(const char *path);
void dk_guard_leave(const char *outer);

/* readers.c: appends those that are to be named now, "process 123 (dkrun) for 65 s, ...": old ones, each once. */
void dk_readers_look(struct dk_store *store, uint64_t now_ns, struct dk_buf *out);

/* child.c: fn in a process of its own, which writes what it finds to `to`. End says in words how it died; NULL: it
 * ended well. */
struct dk_child {
  pid_t pid;
  FILE *from;
};
typedef void dk_child_fn(void *ctx, FILE *to);
int dk_child_start(struct dk_child *child, dk_child_fn *fn, void *ctx, unsigned seconds);
const char *dk_child_end(struct dk_child *child);

/* check.c: opens the environment in a child and reads the ends of each table. A file that would crash this process
 * (truncated under its map, rubbish for pages) is -EBADMSG here. */
int dk_check_in_child(const char *path, unsigned env_flags, struct dk_error *error);
/* For children: LMDB's results. */
int dk_check_begin(const char *path, unsigned env_flags, MDB_env **ret_env, MDB_txn **ret);
int dk_check_rows(MDB_txn *txn, MDB_dbi dbi, uint64_t *ret); /* as LMDB counts them, if the file has room for so many */
/* pages.c: every page that the transaction can reach, looked at without LMDB. 0, MDB_CORRUPTED, or what went wrong. */
int dk_check_pages(MDB_txn *txn);
/* Every pair that a leaf in the file at `path` still holds, whether or not anything leads to that page, until fn
 * returns non-zero (which is then returned). is_current: false when the list of free pages cannot be read, so that the
 * pair may be one of long ago. Positive errno. */
typedef int dk_pair_fn(void *ctx, const MDB_val *key, const MDB_val *value, bool is_current);
int dk_pages_each_pair(const char *path, dk_pair_fn *fn, void *ctx);
int dk_check_walk(MDB_txn *txn, MDB_dbi dbi);                  /* all pairs, every page of them touched */
bool dk_check_value(const MDB_val *key, const MDB_val *value); /* its checksum */

/* store.c */
#define DK_STORE_HELP "help: `dkrun fsck` says what is damaged, `dkrun fsck --repair` keeps what can be read"
bool dk_store_has_data(const char *path);
int dk_store_none(const char *path, struct dk_error *error); /* -ENOENT */
unsigned dk_store_open_flags(const char *path, bool read_only);

#endif
