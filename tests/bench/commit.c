/* bench_commit: durable transactions a second, LMDB by itself and our store on top of it: what a completion costs at
 * most, and what a pace of 20 ms spares.
 *
 *   bench_commit lmdb|store DIR TRANSACTIONS RECORDS     RECORDS puts of 200 bytes a transaction; DIR is made */
#include "engine/store/store.h"
#include "lang/base/digest.h"

#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static _Noreturn void fail(const char *what, const char *why) {
  fprintf(stderr, "bench_commit: %s: %s\n", what, why);
  exit(1);
}

static void want(int r, const char *what) {
  if (r != 0) fail(what, mdb_strerror(r));
}

/* Keys as results have them: digests, so spread over the tree. */
static void key_of(long n, struct dk_digest *ret) {
  dk_digest_of(&n, sizeof n, ret);
}

static void by_lmdb(const char *dir, long transactions, long records) {
  MDB_env *env;
  MDB_txn *txn;
  MDB_dbi dbi;
  char value[200] = {0};
  if (mkdir(dir, 0700) < 0) fail(dir, "cannot be made");
  want(mdb_env_create(&env), "mdb_env_create");
  want(mdb_env_set_mapsize(env, (size_t)1 << 30), "mdb_env_set_mapsize");
  want(mdb_env_open(env, dir, 0, 0600), "mdb_env_open");
  for (long t = 0; t < transactions; t++) {
    want(mdb_txn_begin(env, NULL, 0, &txn), "mdb_txn_begin");
    want(mdb_dbi_open(txn, NULL, 0, &dbi), "mdb_dbi_open");
    for (long i = 0; i < records; i++) {
      struct dk_digest digest;
      key_of(t * records + i, &digest);
      MDB_val key = {sizeof digest.bytes, digest.bytes}, data = {sizeof value, value};
      want(mdb_put(txn, dbi, &key, &data, 0), "mdb_put");
    }
    want(mdb_txn_commit(txn), "mdb_txn_commit");
  }
  mdb_env_close(env);
}

static void by_store(const char *dir, long transactions, long records) {
  struct dk_store *store;
  struct dk_error error = {0};
  struct dk_store_options options = {.ballast = DK_STORE_NO_BALLAST};
  char value[200] = {0};
  if (dk_store_open(dir, &options, &store, &error) < 0) fail("the store cannot be opened", error.text);
  struct dk_batch batch = DK_BATCH_INIT;
  for (long t = 0; t < transactions; t++) {
    dk_batch_clear(&batch);
    for (long i = 0; i < records; i++) {
      struct dk_digest digest;
      key_of(t * records + i, &digest);
      dk_batch_put(&batch, DK_TABLE_RESULTS, digest.bytes, sizeof digest.bytes, value, sizeof value);
    }
    if (dk_store_commit(store, &batch, &error) < 0) fail("a commit failed", error.text);
  }
  dk_batch_finish(&batch);
  dk_store_close(store);
}

int main(int argc, char **argv) {
  long transactions = argc == 5 ? strtol(argv[3], NULL, 10) : 0, records = argc == 5 ? strtol(argv[4], NULL, 10) : 0;
  if (transactions < 1 || records < 1 || (strcmp(argv[1], "lmdb") != 0 && strcmp(argv[1], "store") != 0)) {
    fprintf(stderr, "usage: bench_commit lmdb|store DIR TRANSACTIONS RECORDS\n");
    return 2;
  }
  if (strcmp(argv[1], "lmdb") == 0)
    by_lmdb(argv[2], transactions, records);
  else
    by_store(argv[2], transactions, records);
  return 0;
}
