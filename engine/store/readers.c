/* Readers that hold old pages: a process that was stopped in the middle of reading (SIGSTOP, a debugger) keeps every
 * page of its snapshot, and the file grows with each commit until it ends. LMDB says which snapshot each reader holds,
 * but not since when, so that is watched here. Readers of dead processes are cleared. */
#include "engine/store/private.h"
#include "engine/sys/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct listing {
  struct dk_store *store;
  uint64_t now_ns;
  struct dk_buf *out;
  bool seen[DK_READERS_WATCHED];
};

/* The entry of this reader, or one that is free; NULL: more than are watched at once, the next look takes it. */
static struct dk_watched_reader *find(struct dk_store *store, long pid, unsigned long long txn) {
  struct dk_watched_reader *free_one = NULL;
  for (size_t i = 0; i < DK_READERS_WATCHED; i++) {
    struct dk_watched_reader *reader = &store->readers[i];
    if (reader->pid == pid && reader->txn == txn) return reader;
    if (reader->pid == 0) free_one = reader;
  }
  return free_one;
}

static void name(struct dk_buf *out, long pid, uint64_t age_ns) {
  char path[64], program[64] = "";
  snprintf(path, sizeof path, "/proc/%ld/comm", pid);
  FILE *file = fopen(path, "re");
  if (file && fgets(program, sizeof program, file)) program[strcspn(program, "\n")] = '\0';
  if (file) fclose(file);
  dk_buf_printf(out, "%sprocess %ld (", out->len ? ", " : "", pid);
  dk_buf_add_escaped(out, program, strlen(program));
  dk_buf_printf(out, ") for %llu s", (unsigned long long)(age_ns / 1000000000u));
}

/* A line of LMDB's table of readers: pid, thread, snapshot ("-": none is held). The first line is its heading. */
static int look(const char *line, void *ctx) {
  struct listing *listing = ctx;
  unsigned long long txn;
  long pid;
  if (sscanf(line, "%ld %*s %llu", &pid, &txn) != 2 || pid == getpid()) return 0;
  struct dk_watched_reader *reader = find(listing->store, pid, txn);
  if (!reader) return 0;
  if (reader->pid == 0) *reader = (struct dk_watched_reader){pid, txn, listing->now_ns, false};
  listing->seen[reader - listing->store->readers] = true;
  uint64_t age = listing->now_ns - reader->since_ns;
  if (age < DK_READER_OLD_NS || reader->was_named) return 0;
  reader->was_named = true;
  name(listing->out, pid, age);
  return 0;
}

void dk_readers_look(struct dk_store *store, uint64_t now_ns, struct dk_buf *out) {
  struct listing listing = {.store = store, .now_ns = now_ns, .out = out};
  int dead;
  mdb_reader_check(store->env, &dead);
  mdb_reader_list(store->env, look, &listing);
  for (size_t i = 0; i < DK_READERS_WATCHED; i++)
    if (!listing.seen[i]) store->readers[i] = (struct dk_watched_reader){0};
}

bool dk_store_old_readers(struct dk_store *store, struct dk_error *ret) {
  uint64_t now = dk_now_ns();
  dk_autobuf names = DK_BUF_INIT;
  if (now < store->look_at_ns) return false;
  store->look_at_ns = now + DK_READERS_EVERY_NS;
  dk_readers_look(store, now, &names);
  if (names.len == 0 || !dk_buf_ok(&names)) return false;
  dk_error_set(ret, -EBUSY,
               "the store is being read by %s; until that ends, its file grows with everything that is recorded\n"
               "help: it was stopped, it seems: `kill -CONT` lets it go on, `kill` ends it",
               names.data);
  return true;
}
