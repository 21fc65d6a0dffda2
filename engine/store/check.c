/* Reading a store in a child process, because a damaged one can kill whoever touches it: a truncated data file is SIGBUS under the
 * map, rubbish for a page is SIGSEGV or an assertion inside LMDB.
 *
 * It forks: called when a store is opened or checked, not while work goes on (forking a large process is slow). */
#include "engine/store/private.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUICK_PAIRS 64 /* from each end of a table */
#define CHILD_DAMAGED 77
#define CHILD_SECONDS 3600 /* a loop in damaged pages must end; a walk of all of a large store may take long */
#define QUICK_SECONDS 60

/* Sums up the pair so that its pages are really read, and checks its CRC where values have one. */
static int look_at(const MDB_val *key, const MDB_val *value, bool has_crc) {
  volatile uint8_t sum = 0;
  const uint8_t *at = value->mv_data;
  for (size_t i = 0; i < value->mv_size; i += 256) sum = (uint8_t)(sum + at[i]);
  if (!has_crc) return 0;
  uint32_t crc;
  if (value->mv_size < DK_STORE_CRC) return CHILD_DAMAGED;
  memcpy(&crc, at, DK_STORE_CRC);
  uint32_t is = dk_store_crc(key->mv_data, key->mv_size, at + DK_STORE_CRC, value->mv_size - DK_STORE_CRC);
  return is == le32toh(crc) ? 0 : CHILD_DAMAGED;
}

/* The values' checksums only matter when all is read: on opening, damage to one value must not close the rest. */
static int walk(MDB_txn *txn, MDB_dbi dbi, bool has_crc, bool all) {
  MDB_cursor *cursor;
  MDB_val key, value;
  int rc = mdb_cursor_open(txn, dbi, &cursor);
  if (rc) return rc;
  size_t n = 0;
  while ((rc = mdb_cursor_get(cursor, &key, &value, n ? MDB_NEXT : MDB_FIRST)) == 0 && (all || n < QUICK_PAIRS)) {
    rc = look_at(&key, &value, has_crc && all);
    if (rc) return rc;
    n++;
  }
  if (rc && rc != MDB_NOTFOUND) return rc;
  MDB_stat stat;
  rc = mdb_stat(txn, dbi, &stat);
  if (rc || all) return rc ? rc : n == stat.ms_entries ? 0 : MDB_CORRUPTED;
  for (n = 0; (rc = mdb_cursor_get(cursor, &key, &value, n ? MDB_PREV : MDB_LAST)) == 0 && n < QUICK_PAIRS; n++)
    look_at(&key, &value, false);
  return rc == MDB_NOTFOUND ? 0 : rc;
}

static int read_all(const char *path, unsigned env_flags, bool all) {
  MDB_env *env;
  MDB_txn *txn;
  int rc = mdb_env_create(&env);
  if (rc == 0) rc = mdb_env_set_maxdbs(env, DK_N_TABLES + 1);
  if (rc == 0) rc = mdb_env_open(env, path, MDB_RDONLY | MDB_NOTLS | env_flags, 0600);
  if (rc == 0) rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
  if (rc == MDB_MAP_RESIZED && mdb_env_set_mapsize(env, 0) == 0) rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
  if (rc) return rc;
  rc = walk(txn, 0, false, true); /* 0: LMDB's list of free pages, which every commit uses */
  for (int i = 0; rc == 0 && i < DK_N_TABLES; i++) {
    MDB_dbi dbi;
    rc = mdb_dbi_open(txn, dk_store_table_name((enum dk_table)i), 0, &dbi);
    if (rc == MDB_NOTFOUND) rc = MDB_CORRUPTED; /* a data file has all its tables when it gets its name (make_data) */
    if (rc == 0) rc = walk(txn, dbi, all, all || i == DK_TABLE_META); /* that one is written to on opening */
  }
  mdb_txn_abort(txn);
  mdb_env_close(env);
  return rc;
}

static void become_child(bool all) {
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  const int fatal[] = {SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGALRM};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) signal(fatal[i], SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigprocmask(SIG_SETMASK, &set, NULL);
  alarm(all ? CHILD_SECONDS : QUICK_SECONDS);
  if (!freopen("/dev/null", "w", stderr)) _exit(EXIT_FAILURE); /* LMDB prints failed assertions */
}

/* The child tells an errno of opening through the pipe, so that it can be said in words. */
static void child(int pipe_fd, const char *path, unsigned env_flags, bool all) {
  become_child(all);
  int rc = read_all(path, env_flags, all);
  ssize_t n = write(pipe_fd, &rc, sizeof rc);
  _exit(n == (ssize_t)sizeof rc ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int judge(const char *path, bool has_answer, int rc, int status, struct dk_error *error) {
  static const char help[] = "\nhelp: keep a copy, then move the folder away; results will be computed again";
  if (has_answer) {
    const struct dk_store named = {.path = (char *)(uintptr_t)path};
    if (rc == 0) return 0;
    if (rc == CHILD_DAMAGED)
      return dk_error_set(error, -EBADMSG, "the store %s is damaged: a value is not what was written%s", path, help);
    if (rc == ENOENT) return 0; /* removed meanwhile: opening it says so or makes it */
    /* LMDB gives EINVAL for a first page of another size, and for maps beyond reason; any of its own codes for rubbish. */
    bool is_rubbish =
        rc == EINVAL || (rc < 0 && rc != MDB_VERSION_MISMATCH && rc != MDB_READERS_FULL && rc != MDB_PANIC);
    return dk_store_fail(&named, is_rubbish ? MDB_INVALID : rc, "checking the store", error);
  }
  const char *why = "reading it ended in an error";
  if (WIFSIGNALED(status)) {
    int sig = WTERMSIG(status);
    why = sig == SIGBUS    ? "its data file is shorter than it should be (bus error)"
          : sig == SIGALRM ? "reading it did not come to an end"
          : sig == SIGKILL ? "the process that read it was killed"
                           : "reading it crashed";
  }
  return dk_error_set(error, -EBADMSG, "the store %s is damaged: %s%s", path, why, help);
}

int dk_check_in_child(const char *path, unsigned env_flags, bool all, struct dk_error *error) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return dk_error_system(error, -errno, "checking the store %s", path);
  pid_t pid = fork();
  if (pid == 0) child(fds[1], path, env_flags, all);
  int fork_errno = errno;
  close(fds[1]);
  if (pid < 0) {
    close(fds[0]);
    return dk_error_system(error, -fork_errno, "checking the store %s", path);
  }
  int rc = 0, status = 0;
  ssize_t n;
  while ((n = read(fds[0], &rc, sizeof rc)) < 0 && errno == EINTR) {}
  close(fds[0]);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  bool has_answer = n == (ssize_t)sizeof rc && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
  return judge(path, has_answer, rc, status, error);
}
