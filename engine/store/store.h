/* The store: tables of bytes in one LMDB environment, one writer, any number of readers in other processes.
 *
 * Every commit is one synchronous transaction (never NOSYNC, NOMETASYNC, WRITEMAP) and records how many rows each table
 * has then. A value carries a CRC-32C that is checked when it is read (-EBADMSG names table and key). Format versions:
 * a newer store is refused (-ENOTSUP); an older one is migrated when it is opened for writing, and read as it is
 * otherwise. A damaged file is -EBADMSG at opening (a child reads it first, so that SIGBUS is a message); a damaged
 * page that only a later read or commit meets ends the process with words (dk_store_guard). A full map is grown and the
 * batch replayed; a full disk is -ENOSPC with nothing changed; any other error on commit but lack of memory is final
 * for this environment, and said again by each later commit: close it and stop (fsync's EIO is never retried; reading
 * may fail too). Network file systems are refused (-EXDEV) with a message; so is writing to a copy by hard links
 * (-EMLINK). A handle belongs to one thread, and a process opens a folder once at a time (LMDB's rule: closing one
 * drops the other's locks). */
#ifndef DK_STORE_STORE_H
#define DK_STORE_STORE_H

#include "lang/base/buf.h"
#include "lang/base/error.h"

#include <stdbool.h>

#define DK_STORE_FORMAT 2

/* The tables, one a line: name here, name in the file, what an entry is called in messages. A new one goes to the end,
 * and that is all: a store that was written before it is given it when it is next opened for writing (migrate.c). Never
 * moved or removed. */
#define DK_STORE_TABLES(X)                                                                                             \
  X(META, "meta", "counter")         /* format, store id, row counts, incarnation */                                   \
  X(RUNS, "runs", "run")             /* u32 run (big-endian) -> struct dk_run */                                       \
  X(TASKS, "tasks", "task")          /* u32 run, u32 task (big-endian) -> struct dk_task_record */                     \
  X(CHOICES, "choices", "choice")    /* u32 run, u32 pick task (big-endian) -> struct dk_choice */                     \
  X(ATTEMPTS, "attempts", "attempt") /* attempt id (big-endian) -> struct dk_record, ATTEMPT: living ones */           \
  X(FAILURES, "failures", "failure") /* attempt id (big-endian) -> result (wire/message.h) of a failed attempt */      \
  X(RESULTS, "results", "result")    /* key -> struct dk_saved: first one wins */                                      \
  X(METRICS, "metrics", "metrics")   /* key, extractors' digest -> struct dk_metric_values */                          \
  X(NAMES, "names", "name") /* experiment NUL task's name -> key of its last result: for `why` (a name longer \
                                        than LMDB's 511 bytes is kept by its digest) */        \
  X(STAT, "stat", "stat")   /* path -> dev, ino, size, mtime, ctime, content digest: the stat shortcut */              \
  X(ASKED_RUNS, "asked_runs", "run that goes on") /* u32 run (big-endian) -> struct dk_asked_run (asked.h) */          \
  X(ASKED, "asked", "order")                      /* u32 run, u32 number (big-endian) -> struct dk_ask */              \
  X(RUN_FILES, "run_files", "input file")         /* u32 run (big-endian), path -> content digest */                   \
  X(DURATIONS, "durations", "duration")           /* experiment NUL template -> struct dk_duration */                  \
  X(HOSTS, "hosts", "host")                       /* u32 number (big-endian) -> struct dk_host_record (hosts.h) */     \
  X(COPIES, "copies", "copy")                     /* content digest, u32 host (big-endian) -> its size */              \
  X(INSTANCES, "instances", "rented machine")     /* u64 incarnation, u32 number -> struct dk_rented (rented.h) */

enum dk_table {
#define DK_STORE_TABLE(name, file, noun) DK_TABLE_##name,
  DK_STORE_TABLES(DK_STORE_TABLE)
#undef DK_STORE_TABLE
      DK_N_TABLES
};

const char *dk_store_table_name(enum dk_table table); /* in the file */

struct dk_store;

#define DK_STORE_NO_BALLAST UINT64_MAX
struct dk_store_options {
  bool read_only;    /* no lock file is written where the folder is read-only either; -ENOENT if there is no store */
  uint64_t map_size; /* bytes to start with; 0: 1 GiB (tests use small ones to make it grow) */
  uint64_t ballast;  /* bytes kept aside for a full disk; 0: 16 MiB; DK_STORE_NO_BALLAST: none */
};

/* `path` is a directory that is made if missing (not when read_only). */
int dk_store_open(const char *path, const struct dk_store_options *options, struct dk_store **ret,
                  struct dk_error *error);
void dk_store_close(struct dk_store *store);
/* May a store be kept in this directory? -EXDEV: on a network file system. */
int dk_place_check(const char *path, struct dk_error *error);
/* The name of the file system that it is on ("ext4"); false: it cannot be known (btrfs shows another device than its
 * mount's). */
bool dk_place_type(const char *path, char *ret, size_t size);
/* 16 random bytes, bound to (machine id, device, inode) of the folder: a copied store gets a new one when it is opened
 * for writing. */
void dk_store_id(const struct dk_store *store, uint8_t ret[16]);
bool dk_store_was_copied(const struct dk_store *store);
/* Commits so far, copies and restored backups included: what came out of a store at a later turn is not known to one at
 * an earlier. */
uint64_t dk_store_turn(const struct dk_store *store);
/* A commit needed the ballast because the disk is full: hand out nothing new, let what runs end. */
bool dk_store_is_short(const struct dk_store *store);
/* Once in a process, before stores are used: when LMDB crashes over a damaged page, say so on stderr and exit with this
 * code (guard.c). Faults elsewhere are left as they were. */
void dk_store_guard(int exit_code);
/* For the engine, now and then (it looks at most every 10 s): true when a process has been reading one snapshot for
 * more than a minute, so that the file grows; *ret names it, once. Those of dead processes are cleared on the way. */
bool dk_store_old_readers(struct dk_store *store, struct dk_error *ret);
/* Reads every page and checks every value of a store that this process has not open. -EBADMSG says what is wrong. */
int dk_store_check(const char *path, struct dk_error *error);

/* A batch of writes, in memory until it is committed. Sticky failure as in dk_buf. */
struct dk_batch {
  struct dk_buf bytes;
  uint32_t n;
  bool forgets; /* something is deleted that "nothing to do" of a whole run stands on: results, metrics, runs, copies */
};
#define DK_BATCH_INIT                                                                                                  \
  { DK_BUF_INIT, 0, false }
void dk_batch_put(struct dk_batch *batch, enum dk_table table, const void *key, size_t klen, const void *value,
                  size_t vlen);
void dk_batch_put_new(struct dk_batch *batch, enum dk_table table, const void *key, size_t klen, const void *value,
                      size_t vlen); /* an existing one stays */
void dk_batch_del(struct dk_batch *batch, enum dk_table table, const void *key,
                  size_t klen); /* a missing one is fine. Of results, metrics, runs and copies: with a new generation,
                                   see dk_store_generation */
/* Puts the writes of `other` behind those of `batch`; a failure of `other` fails `batch`. */
void dk_batch_append(struct dk_batch *batch, const struct dk_batch *other);
void dk_batch_clear(struct dk_batch *batch);
void dk_batch_finish(struct dk_batch *batch);

/* All of the batch, durable, or nothing. Does not clear it. */
int dk_store_commit(struct dk_store *store, const struct dk_batch *batch, struct dk_error *error);

/* Changes with every commit that deletes results, metrics, runs or copies; 0: none ever did. */
uint64_t dk_store_generation(struct dk_store *store);

/* Copies the value into *ret (cleared first). -ENOENT when there is none, -EBADMSG when it is damaged. */
int dk_store_get(struct dk_store *store, enum dk_table table, const void *key, size_t klen, struct dk_buf *ret,
                 struct dk_error *error);
/* Calls fn for each pair whose key starts with the prefix, in key order, until it returns non-zero (which is then
 * returned). The reader is renewed in between so that a long walk does not pin old pages: what is written meanwhile may
 * be seen or not. fn may read other things from the store and may write to it. */
typedef int dk_store_each_fn(void *ctx, const void *key, size_t klen, const void *value, size_t vlen);
int dk_store_each(struct dk_store *store, enum dk_table table, const void *prefix, size_t plen, dk_store_each_fn *fn,
                  void *ctx, struct dk_error *error);
/* The last pair whose key starts with the prefix. */
int dk_store_last(struct dk_store *store, enum dk_table table, const void *prefix, size_t plen, struct dk_buf *ret_key,
                  struct dk_buf *ret_value, struct dk_error *error);

#endif
