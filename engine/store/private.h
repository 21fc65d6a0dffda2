/* What the files of this room share: the open environment and the way LMDB's errors become ours. Included by nobody else. */
#ifndef DK_STORE_PRIVATE_H
#define DK_STORE_PRIVATE_H

#include "engine/store/store.h"

#include <lmdb.h>

struct dk_store {
  char *path;
  MDB_env *env;
  MDB_txn *reader; /* reset between uses; NULL until the first one */
  MDB_dbi tables[DK_N_TABLES];
  bool read_only, copied;
  int broken;            /* LMDB's result of the commit after which nothing is written any more; 0: none */
  bool is_short;         /* the ballast was given up for a commit */
  uint64_t ballast_size; /* 0: none wanted */
  uint8_t id[16];
};

/* Every value at rest is 4 bytes of CRC-32C (of the key, then of the value), then the value. */
#define DK_STORE_CRC 4
uint32_t dk_store_crc(const void *key, size_t klen, const void *value, size_t vlen);

const char *dk_store_table_name(enum dk_table table);
/* Turns an LMDB result into a negative errno and says "what: why". */
int dk_store_fail(const struct dk_store *store, int rc, const char *what, struct dk_error *error);

/* A read transaction: begin gives one (growing the map if another process did), done puts it to rest. */
int dk_store_read_begin(struct dk_store *store, MDB_txn **ret, struct dk_error *error);
void dk_store_read_done(struct dk_store *store);

/* ballast.c: space kept aside so that ends of tasks can still be recorded on a full disk. */
void dk_ballast_make(struct dk_store *store);
bool dk_ballast_release(struct dk_store *store); /* false: there was none */

/* place.c: where a store may live, and how to tell a copy. */
bool dk_place_is_network(uint64_t magic, const char *fuse_type);
int dk_place_check(const char *path, struct dk_error *error);
struct dk_binding {
  uint8_t bytes[32];
}; /* digest of machine id, file system and inode of the folder */
int dk_place_binding(const char *path, struct dk_binding *ret, struct dk_error *error);

/* check.c: opens the environment in a child and reads the ends of each table, or all of it. A file that would crash
 * this process (truncated under its map, rubbish for pages) is -EBADMSG here. */
int dk_check_in_child(const char *path, unsigned env_flags, bool all, struct dk_error *error);

#endif
