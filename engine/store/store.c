/* Opening and closing: the environment, its tables, format and identity. Reading is read.c, writing commit.c.
 *
 * Keeps true: a data file is whole from the moment it has its name; no page of a damaged file is touched in this
 * process before a child has survived it; the data file's descriptor is not inherited by children. */
#include "engine/store/store.h"
#include "engine/store/private.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "lang/base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_DEFAULT (1ull << 30)
#define LOCK_BYTES (64u << 10) /* of the lock file, all readers and to spare */
#define BALLAST_DEFAULT (16ull << 20)
#define MAX_READERS 510

static const struct {
  const char *name, *noun;
} tables[DK_N_TABLES] = {
#define DK_STORE_TABLE(name, file, noun) [DK_TABLE_##name] = {file, noun},
    DK_STORE_TABLES(DK_STORE_TABLE)
#undef DK_STORE_TABLE
};

const char *dk_store_table_name(enum dk_table table) {
  assert((unsigned)table < DK_N_TABLES);
  return tables[table].name;
}

const char *dk_store_table_noun(enum dk_table table) {
  assert((unsigned)table < DK_N_TABLES);
  return tables[table].noun;
}

static int code_of(int rc) {
  switch (rc) {
  case MDB_NOTFOUND: return -ENOENT;
  case MDB_CORRUPTED:
  case MDB_PAGE_NOTFOUND:
  case MDB_INVALID: return -EBADMSG;
  case MDB_VERSION_MISMATCH: return -ENOTSUP;
  case MDB_READERS_FULL: return -EBUSY;
  default: return rc > 0 ? -rc : -EIO;
  }
}

int dk_store_fail(const struct dk_store *store, int rc, const char *what, struct dk_error *error) {
  if (rc == EIO && !store->read_only && dk_store_disk_is_full(store, 0)) rc = ENOSPC;
  int code = code_of(rc);
  switch (code) {
  case -EBADMSG:
    return dk_error_set(error, code, "%s %s: its files are damaged (%s)\n" DK_STORE_HELP, what, store->path,
                        mdb_strerror(rc));
  case -ENOTSUP:
    return dk_error_set(error, code, "%s %s: it was written by another version of the database library", what,
                        store->path);
  case -ENOSPC:
  case -EDQUOT:
    return dk_error_system(error, code, "%s %s\nhelp: make room on that disk; nothing was lost", what, store->path);
  case -EBUSY: return dk_error_set(error, code, "%s %s: too many processes read it at once", what, store->path);
  default:
    if (rc == MDB_PANIC || rc == EIO)
      return dk_error_set(error, code, "%s %s: the disk had an I/O error\nhelp: check the disk (dmesg), then run again",
                          what, store->path);
    if (rc > 0) return dk_error_system(error, code, "%s %s", what, store->path);
    return dk_error_set(error, code, "%s %s: %s", what, store->path, mdb_strerror(rc));
  }
}

static int make_folder(const char *path, struct dk_error *error) {
  if (mkdir(path, 0700) == 0 || errno == EEXIST) return 0;
  return dk_error_system(error, -errno, "making the folder %s", path);
}

bool dk_store_has_data(const char *path) {
  char file[4096];
  struct stat st;
  int n = snprintf(file, sizeof file, "%s/data.mdb", path);
  return n > 0 && (size_t)n < sizeof file && stat(file, &st) == 0 && st.st_size > 0;
}

/* A store that may not be looked at is not one that is not there. */
static int look_for_data(const char *path, struct dk_error *error) {
  struct stat st;
  dk_autobuf file = DK_BUF_INIT;
  dk_buf_printf(&file, "%s/data.mdb", path);
  if (!dk_buf_ok(&file)) return dk_error_system(error, -ENOMEM, "opening the store %s", path);
  if (stat(file.data, &st) == 0) return st.st_size > 0 ? 0 : dk_store_none(path, error);
  if (errno == ENOENT || errno == ENOTDIR) return dk_store_none(path, error);
  return dk_error_set(error, -errno,
                      "opening the store %s: %s\nhelp: whose is it, and may you read it? `ls -ld %s %s/..`", path,
                      strerror(errno), path, path);
}

int dk_store_none(const char *path, struct dk_error *error) {
  return dk_error_set(error, -ENOENT, "there is no store in %s yet\nhelp: `dkrun run` makes it", path);
}

/* LMDB by itself copes with a read-only file system, but not with a folder that this user may not write to. */
unsigned dk_store_open_flags(const char *path, bool read_only) {
  unsigned flags = MDB_NOTLS;
  if (!read_only) return flags;
  flags |= MDB_RDONLY;
  if (access(path, W_OK) != 0) flags |= MDB_NOLOCK;
  return flags;
}

/* LMDB writes into its lock file through a map: on a full disk that would be SIGBUS, so its blocks are asked for
 * before. Where that cannot be done, LMDB goes on as it always does. */
static int reserve_lock(const char *path, struct dk_error *error) {
  char file[4096];
  int n = snprintf(file, sizeof file, "%s/lock.mdb", path);
  if (n < 0 || (size_t)n >= sizeof file) return 0;
  int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return dk_error_is_full(-errno) ? dk_error_system(error, -errno, "making %s", file) : 0;
  int err = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LOCK_BYTES) == 0 ? 0 : -errno;
  close(fd); /* before LMDB locks it: closing any descriptor of a file drops this process's locks on it */
  if (!dk_error_is_full(err)) return 0;
  return dk_error_system(error, err, "opening the store %s\nhelp: make room on that disk; nothing was lost", path);
}

static int open_env(struct dk_store *store, const char *folder, unsigned flags, uint64_t map_size,
                    struct dk_error *error) {
  int rc = mdb_env_create(&store->env);
  if (rc == 0) rc = mdb_env_set_mapsize(store->env, map_size ? map_size : MAP_DEFAULT);
  if (rc == 0) rc = mdb_env_set_maxdbs(store->env, DK_MAX_TABLES);
  if (rc == 0) rc = mdb_env_set_maxreaders(store->env, MAX_READERS);
  if (rc == 0) rc = mdb_env_open(store->env, folder, flags, 0600);
  if (rc == ENOENT && store->read_only) return dk_store_none(store->path, error);
  if (rc) return dk_store_fail(store, rc, "opening the store", error);
  int fd;
  if (mdb_env_get_fd(store->env, &fd) == 0) fcntl(fd, F_SETFD, FD_CLOEXEC); /* LMDB 0.9 opens it without */
  if (!store->read_only) {
    int dead;
    mdb_reader_check(store->env, &dead);
  }
  return 0;
}

/* An identity of its own, and where it came from when this is a copy. */
static int new_identity(struct dk_store *store, MDB_txn *txn, const struct dk_binding *binding,
                        struct dk_error *error) {
  if (store->copied) { /* what runs belongs to the original: a copy neither ends it nor waits for it */
    int rc = dk_meta_put(store, txn, "copied-from", store->id, sizeof store->id);
    if (rc == 0) rc = mdb_drop(txn, store->tables[DK_TABLE_ATTEMPTS], 0);
    if (rc) return dk_store_fail(store, rc, "writing the store", error);
  }
  if (getrandom(store->id, sizeof store->id, 0) != (ssize_t)sizeof store->id)
    return dk_error_system(error, -errno, "asking the system for random bytes");
  int rc = dk_meta_put(store, txn, "id", store->id, sizeof store->id);
  if (rc == 0) rc = dk_meta_put(store, txn, "binding", binding, sizeof *binding);
  return rc ? dk_store_fail(store, rc, "writing the store", error) : 0;
}

/* A copy by hard links: LMDB writes in place, so what is written to the copy would be in the original, and both would
 * be lost. */
static int refuse_links(const char *path, struct dk_error *error) {
  char file[4096];
  struct stat st;
  int n = snprintf(file, sizeof file, "%s/data.mdb", path);
  if (n < 0 || (size_t)n >= sizeof file || stat(file, &st) != 0 || st.st_nlink <= 1) return 0;
  return dk_error_set(
      error, -EMLINK,
      "the store %s was copied with hard links (cp -al): what is written here would change the original\n"
      "help: copy the state folder with `cp -a`, and put that in the place of this one",
      path);
}

static int check_identity(struct dk_store *store, MDB_txn *txn, bool is_new, bool *ret_changed,
                          struct dk_error *error) {
  struct dk_binding here, recorded;
  int err = dk_place_binding(store->path, &here, error);
  if (err) return err;
  *ret_changed |= is_new;
  if (is_new) return new_identity(store, txn, &here, error);
  err = dk_meta_get(store, txn, "id", store->id, sizeof store->id, error);
  if (err == 0) err = dk_meta_get(store, txn, "binding", &recorded, sizeof recorded, error);
  if (err == -ENOENT) return dk_error_set(error, -EBADMSG, "the store %s is damaged: it has no id", store->path);
  if (err) return err;
  store->copied = memcmp(&here, &recorded, sizeof here) != 0;
  if (!store->copied || store->read_only) return 0;
  err = refuse_links(store->path, error);
  if (err) return err;
  *ret_changed = true;
  return new_identity(store, txn, &here, error);
}

/* What lacks in a store that is not new is damage: it was made whole, and LMDB must not be made to write into
 * rubbish. */
static int set_up(struct dk_store *store, bool is_new, struct dk_error *error) {
  MDB_txn *txn;
  int rc = mdb_txn_begin(store->env, NULL, store->read_only ? MDB_RDONLY : 0, &txn);
  if (rc) return dk_store_fail(store, rc, "opening the store", error);
  bool is_changed;
  int err = dk_migrate_open(store, txn, is_new, &is_changed, error);
  if (err == 0) err = check_identity(store, txn, is_new, &is_changed, error);
  if (err == 0 && is_changed && (rc = dk_counts_write(store, txn, ++store->turn)) != 0)
    err = dk_store_fail(store, rc, "writing the store", error);
  if (err) {
    mdb_txn_abort(txn);
    return err;
  }
  rc = mdb_txn_commit(txn); /* nothing is written when nothing was put */
  return rc ? dk_store_fail(store, rc, "opening the store", error) : 0;
}

/* A new data file, in its place: whoever is first wins. An empty one is no data file (a power cut, a copy that was
 * broken off). */
static int put_in_place(const char *folder, const char *from, const char *to) {
  struct stat st;
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int r;
  while ((r = flock(fd, LOCK_EX)) != 0 && errno == EINTR) continue;
  bool is_there = r == 0 && stat(to, &st) == 0 && st.st_size > 0;
  if (r == 0 && !is_there) r = rename(from, to);
  int err = r == 0 ? 0 : -errno;
  close(fd);
  return err;
}

/* Made whole in a folder of its own: a full disk or a power cut leaves no half of a data file, which could not be told
 * from a damaged one. */
static int make_data(const struct dk_store *store, struct dk_error *error) {
  struct dk_store made = {.path = store->path};
  dk_autobuf folder = DK_BUF_INIT;
  dk_autobuf from = DK_BUF_INIT;
  dk_autobuf to = DK_BUF_INIT;
  dk_buf_printf(&folder, "%s/new-XXXXXX", store->path);
  if (!dk_buf_ok(&folder)) return dk_error_system(error, -ENOMEM, "making the store %s", store->path);
  if (!mkdtemp(folder.data)) return dk_error_system(error, -errno, "making the store %s", store->path);
  dk_buf_printf(&from, "%s/data.mdb", folder.data);
  dk_buf_printf(&to, "%s/data.mdb", store->path);
  int err = reserve_lock(folder.data, error);
  if (err == 0) err = open_env(&made, folder.data, MDB_NOTLS, 0, error);
  if (err == 0) err = set_up(&made, true, error);
  mdb_env_close(made.env);
  if (err == 0) {
    err = dk_buf_ok(&from) && dk_buf_ok(&to) ? put_in_place(store->path, from.data, to.data) : -ENOMEM;
    if (err) dk_error_system(error, err, "making the store %s", store->path);
  }
  if (err == 0) err = dk_fs_sync_dir(store->path, error);
  dk_fs_remove_tree(folder.data, NULL);
  return err;
}

static int open_here(struct dk_store *store, uint64_t map_size, struct dk_error *error) {
  unsigned flags = dk_store_open_flags(store->path, store->read_only);
  int err = flags & MDB_NOLOCK ? 0 : reserve_lock(store->path, error);
  if (err == 0)
    err = dk_store_has_data(store->path) ? dk_check_in_child(store->path, flags, error) : make_data(store, error);
  const char *outer = dk_guard_enter(store->path);
  if (err == 0) err = open_env(store, store->path, flags, map_size, error);
  if (err == 0) err = set_up(store, false, error);
  dk_guard_leave(outer);
  return err;
}

int dk_store_open(const char *path, const struct dk_store_options *options, struct dk_store **ret,
                  struct dk_error *error) {
  static const struct dk_store_options defaults;
  *ret = NULL;
  if (!options) options = &defaults;
  int err = options->read_only ? 0 : make_folder(path, error);
  if (err == 0 && options->read_only) err = look_for_data(path, error);
  if (err == 0) err = dk_place_check(path, error);
  if (err) return err;
  struct dk_store *store = dk_calloc(1, sizeof *store);
  if (store) store->path = dk_strdup(path);
  if (!store || !store->path) {
    dk_free(store);
    return dk_error_system(error, -ENOMEM, "opening the store %s", path);
  }
  store->read_only = options->read_only;
  if (!options->read_only && options->ballast != DK_STORE_NO_BALLAST)
    store->ballast_size = options->ballast ? options->ballast : BALLAST_DEFAULT;
  err = open_here(store, options->map_size, error);
  if (err) {
    dk_store_close(store);
    return err;
  }
  dk_ballast_make(store);
  *ret = store;
  return 0;
}

void dk_store_close(struct dk_store *store) {
  if (!store) return;
  if (store->reader) mdb_txn_abort(store->reader);
  if (store->env) mdb_env_close(store->env);
  dk_free(store->path);
  dk_free(store);
}

void dk_store_id(const struct dk_store *store, uint8_t ret[16]) {
  memcpy(ret, store->id, sizeof store->id);
}

bool dk_store_was_copied(const struct dk_store *store) {
  return store->copied;
}

uint64_t dk_store_turn(const struct dk_store *store) {
  return store->turn;
}

bool dk_store_is_short(const struct dk_store *store) {
  return store->is_short;
}
