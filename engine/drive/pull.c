/* See pull.h. Here: what is wanted, by whom, and how it ended. */
#include "engine/drive/pull_priv.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* --- the table --- */

int dk_pulls_create(struct dk_engine *engine, struct dk_pulls **ret) {
  struct dk_pulls *pulls = *ret = dk_calloc(1, sizeof *pulls);

  if (!pulls) return -ENOMEM;
  pulls->engine = engine;
  dk_map_init(&pulls->by_content, NULL);
  return getrandom(&pulls->seed, sizeof pulls->seed, 0) == (ssize_t)sizeof pulls->seed ? 0 : -EIO;
}

static void destroy(struct dk_pulls *pulls, struct dk_pull_item *item) {
  dk_pull_close_tmp(pulls, item);
  dk_pull_remove_sources(item);
  dk_free(item->waiters);
  dk_free(item);
}

void dk_pulls_destroy(struct dk_pulls *pulls) {
  if (!pulls) return;
  for (uint32_t i = 0; i < pulls->n; i++)
    if (pulls->items[i]) destroy(pulls, pulls->items[i]);
  dk_free(pulls->items);
  dk_free(pulls->queues);
  dk_map_finish(&pulls->by_content);
  dk_free(pulls);
}

struct key {
  const struct dk_digest *content;
  bool is_dir;
};

static uint64_t hash_of(const struct dk_pulls *pulls, const struct dk_digest *content) {
  return dk_hash_bytes(content->bytes, sizeof content->bytes, pulls->seed);
}

static bool is_of(const void *ctx, uint32_t index, const void *of) {
  const struct dk_pulls *pulls = ctx;
  const struct dk_pull_item *item = pulls->items[index];
  const struct key *key = of;
  return item && item->is_dir == key->is_dir && dk_digest_equal(&item->content, key->content);
}

struct dk_pull_item *dk_pull_find(const struct dk_pulls *pulls, const struct dk_digest *content, bool is_dir) {
  const struct key key = {content, is_dir};
  uint32_t i = dk_map_find(&pulls->by_content, hash_of(pulls, content), is_of, pulls, &key);
  return i == DK_MAP_NONE ? NULL : pulls->items[i];
}

/* Ended ones leave holes in the table: closed when they are most of it. The map is that of so many at least: adding the
 * living ones to it again wants no memory. */
static void compact(struct dk_pulls *pulls) {
  uint32_t kept = 0;

  if (pulls->n < 1024 || pulls->n_living > pulls->n / 2) return;
  dk_map_clear(&pulls->by_content);
  for (uint32_t i = 0; i < pulls->n; i++) {
    struct dk_pull_item *item = pulls->items[i];
    if (!item) continue;
    item->index = kept;
    pulls->items[kept++] = item;
    (void)dk_map_add(&pulls->by_content, hash_of(pulls, &item->content), item->index);
  }
  pulls->n = kept;
}

static struct dk_pull_item *add(struct dk_pulls *pulls, const struct dk_digest *content, bool is_dir,
                                enum dk_pull_order order) {
  struct dk_pull_item *item = dk_calloc(1, sizeof *item);

  if (!item) return NULL;
  compact(pulls);
  if (!dk_grow(pulls->items, pulls->n, pulls->cap) ||
      dk_map_add(&pulls->by_content, hash_of(pulls, content), pulls->n) < 0) {
    dk_free(item);
    return NULL;
  }
  *item = (struct dk_pull_item){.content = *content, .is_dir = is_dir, .order = order, .fd = -1, .index = pulls->n};
  pulls->items[pulls->n++] = item;
  pulls->n_living++;
  return item;
}

/* --- who waits --- */

static int add_waiter(struct dk_pull_item *item, const struct dk_pull_waiter *waiter) {
  if (!waiter->done) {
    item->is_own = true;
    return 0;
  }
  if (!dk_grow(item->waiters, item->n_waiters, item->cap_waiters)) return -ENOMEM;
  item->waiters[item->n_waiters++] = *waiter;
  return 0;
}

static bool is_wanted(const struct dk_pull_item *item) {
  for (uint32_t i = 0; i < item->n_waiters; i++)
    if (item->waiters[i].done) return true;
  return item->is_own;
}

static void hurry(struct dk_pulls *pulls, struct dk_pull_item *item) {
  dk_pull_unqueue(pulls, item);
  item->order = DK_PULL_URGENT;
  dk_pull_enqueue(pulls, item);
}

/* One content, at any of these hosts (at least one). */
static int want(struct dk_pulls *pulls, const struct dk_copy *copies, uint32_t n, enum dk_pull_order order,
                const struct dk_pull_waiter *waiter) {
  struct dk_pull_item *item = dk_pull_find(pulls, &copies->content, copies->is_dir);
  bool is_new = !item;
  int r = 0;

  if (is_new) item = add(pulls, &copies->content, copies->is_dir, order);
  if (!item) return -ENOMEM;
  for (uint32_t i = 0; r == 0 && i < n; i++)
    r = dk_pull_add_source(pulls, item, dk_fleet_find(pulls->engine, copies[i].host), copies[i].size);
  if (r == 0) r = add_waiter(item, waiter);
  if (r < 0) {
    if (is_new) dk_pull_end(pulls, item, r, "");
    return r;
  }
  if (!is_new && order == DK_PULL_URGENT && item->order != order && !item->is_here) hurry(pulls, item);
  if (!item->is_here) dk_pull_choose(pulls, item);
  dk_pull_pump(pulls, item->host);
  return 0;
}

int dk_pull(struct dk_pulls *pulls, const struct dk_copy *copy, enum dk_pull_order order, dk_pull_fn *done, void *ctx) {
  const struct dk_pull_waiter waiter = {done, ctx, dk_fleet_find(pulls->engine, copy->host)};
  return want(pulls, copy, 1, order, &waiter);
}

struct copies {
  const struct dk_pulls *pulls;
  bool is_dir;
  struct dk_copy *items;
  uint32_t n, cap;
};

static int add_copy(void *ctx, const struct dk_copy *copy) {
  struct copies *copies = ctx;

  if (!dk_fleet_has_copies(copies->pulls->engine, copy->host)) return 0;
  if (!dk_grow(copies->items, copies->n, copies->cap)) return -ENOMEM;
  copies->items[copies->n] = *copy;
  copies->items[copies->n++].is_dir = copies->is_dir;
  return 0;
}

int dk_pull_copies(struct dk_pulls *pulls, const struct dk_digest *content, bool is_dir, dk_pull_fn *done, void *ctx,
                   struct dk_error *error) {
  struct copies copies = {.pulls = pulls, .is_dir = is_dir};
  const struct dk_pull_waiter waiter = {done, ctx, NULL};
  int r = dk_store_each_copy(pulls->engine->with.folder->store, content, add_copy, &copies, error);

  if (r == 0) r = copies.n ? want(pulls, copies.items, copies.n, DK_PULL_IN_TURN, &waiter) : -ENOENT;
  dk_free(copies.items);
  return r == -ENOMEM ? dk_error_system(error, r, "fetching what is at a host") : r;
}

void dk_pull_forget(struct dk_pulls *pulls, const void *ctx) {
  for (uint32_t i = 0; i < pulls->n; i++) {
    struct dk_pull_item *item = pulls->items[i];
    for (uint32_t k = 0; item && k < item->n_waiters; k++)
      if (item->waiters[k].ctx == ctx) item->waiters[k].done = NULL;
  }
}

static void leave(struct dk_pulls *pulls, struct dk_pull_item *item, const void *ctx);

/* What was asked for and is still on its way is not taken for the answer to what is asked next. */
static void drop(struct dk_pulls *pulls, struct dk_pull_item *item) {
  bool is_dir = item->is_here && item->n_files > 0;

  for (uint32_t i = 0; is_dir && i < pulls->n; i++)
    if (pulls->items[i] && pulls->items[i] != item) leave(pulls, pulls->items[i], item);
  dk_pull_end(pulls, item, -ECANCELED, "");
}

static void leave(struct dk_pulls *pulls, struct dk_pull_item *item, const void *ctx) {
  bool was_its = false;

  for (uint32_t i = 0; i < item->n_waiters; i++) {
    if (item->waiters[i].ctx != ctx) continue;
    item->waiters[i].done = NULL;
    was_its = true;
  }
  if (was_its && !is_wanted(item)) drop(pulls, item);
}

void dk_pull_give_up(struct dk_pulls *pulls, const struct dk_digest *content, bool is_dir, const void *ctx) {
  struct dk_pull_item *item = dk_pull_find(pulls, content, is_dir);
  if (item) leave(pulls, item, ctx);
}

bool dk_pull_progress(const struct dk_pulls *pulls, const struct dk_digest *content, bool is_dir,
                      struct dk_pull_progress *ret) {
  const struct dk_pull_item *item = dk_pull_find(pulls, content, is_dir);

  if (!item) return false;
  const struct dk_pull_source *source = dk_pull_source_of(item, item->host);
  *ret = (struct dk_pull_progress){item->taken + item->files_taken, source->size + item->files_total,
                                   item->is_here && item->from ? item->from : item->host};
  return true;
}

/* --- the end of one --- */

static void remember_failure(struct dk_pulls *pulls, const struct dk_digest *content, int r, const char *words) {
  uint32_t at = (pulls->first_failure + pulls->n_failures) % DK_PULL_FAILURES_MAX;

  if (pulls->n_failures == DK_PULL_FAILURES_MAX)
    pulls->first_failure = (pulls->first_failure + 1) % DK_PULL_FAILURES_MAX;
  else
    pulls->n_failures++;
  pulls->failures[at].content = *content;
  dk_error_set(&pulls->failures[at].why, r, "%s", words);
}

int dk_pull_take_failure(struct dk_pulls *pulls, const struct dk_digest *content, struct dk_error *ret) {
  for (uint32_t i = 0; i < pulls->n_failures; i++) {
    uint32_t at = (pulls->first_failure + i) % DK_PULL_FAILURES_MAX;
    uint32_t last = (pulls->first_failure + pulls->n_failures - 1) % DK_PULL_FAILURES_MAX;
    if (!dk_digest_equal(&pulls->failures[at].content, content)) continue;
    if (ret) *ret = pulls->failures[at].why;
    int r = pulls->failures[at].why.code;
    pulls->failures[at] = pulls->failures[last];
    pulls->n_failures--;
    return r;
  }
  return 0;
}

/* What is wrong with the files that a manifest names, or with that, is so at all hosts that were asked for them. */
static void lose_directory(struct dk_pull_item *item) {
  for (uint32_t i = 0; i < item->n_sources; i++) dk_fleet_lose_copy(item->sources[i].host, &item->content);
}

static void record_end(struct dk_pulls *pulls, struct dk_pull_item *item, int r, const char *words) {
  if (dk_pull_is_not_there(r) && item->is_here) lose_directory(item);
  if (r < 0 && !dk_pull_is_not_there(r) && r != -EHOSTUNREACH && item->is_own)
    remember_failure(pulls, &item->content, r, words);
  else if (r == 0)
    (void)dk_pull_take_failure(pulls, &item->content, NULL);
  /* Tasks that wait for it may be handed out now (fleet_place.c). */
  if (item->is_own) dk_engine_push(pulls->engine, &(struct dk_event){.kind = DK_EV_TICK}, NULL);
}

void dk_pull_end(struct dk_pulls *pulls, struct dk_pull_item *item, int r, const char *words) {
  struct dk_error all = {0};

  if (!words) r = dk_pull_verdict(item, NULL, &all);
  if (item->host && !item->is_here) dk_pull_leave_host(pulls, item);
  record_end(pulls, item, r, words ? words : all.text);
  pulls->items[item->index] = NULL;
  pulls->n_living--;
  for (uint32_t i = 0; i < item->n_waiters; i++) {
    const struct dk_pull_waiter *waiter = &item->waiters[i];
    struct dk_error own = all;
    int is = !words && waiter->host ? dk_pull_verdict(item, waiter->host, &own) : r;
    if (waiter->done) waiter->done(waiter->ctx, is, words ? words : own.text);
  }
  destroy(pulls, item);
}

/* --- directories --- */

/* A file of a directory has come, or not. */
static void count_file(struct dk_pulls *pulls, struct dk_pull_item *dir, int r, const char *words) {
  if (r < 0 && dir->failed == 0) {
    dir->failed = r;
    dk_error_set(&dir->why, r, "%s", words);
  }
  if (--dir->n_files > 0) return;
  dk_pull_end(pulls, dir, dir->failed, dir->failed ? dir->why.text : "");
}

static void on_file(void *ctx, int r, const char *words) {
  struct dk_pull_item *dir = ctx;
  count_file(dir->host->engine->pulls, dir, r, words);
}

void dk_pull_tell_directories(const struct dk_pull_item *file, int64_t bytes) {
  for (uint32_t i = 0; i < file->n_waiters; i++) {
    struct dk_pull_item *dir = file->waiters[i].ctx;
    if (file->waiters[i].done != on_file) continue;
    dir->files_taken += (uint64_t)bytes;
    dir->from = file->host; /* which need not have the directory */
  }
}

/* At all hosts that may have the directory. `copies` has room for them. */
static int fetch_file(struct dk_pulls *pulls, struct dk_pull_item *dir, const struct dk_manifest_entry *entry,
                      struct dk_copy *copies) {
  const struct dk_pull_item *joined = dk_pull_find(pulls, &entry->digest, false);
  const struct dk_pull_waiter waiter = {on_file, dir, NULL};
  uint64_t taken = joined ? joined->taken : 0;
  uint32_t n = 0;

  for (uint32_t i = 0; i < dir->n_sources; i++)
    if (!dir->sources[i].failed)
      copies[n++] = (struct dk_copy){entry->digest, dir->sources[i].host->record.number, entry->size, false};
  int r = want(pulls, copies, n, dir->order, &waiter);
  if (r < 0) return r;
  dir->n_files++;
  dir->files_total += entry->size;
  dir->files_taken += taken;
  return 0;
}

/* The files that a manifest names and that are not here. Held by one more than there are, so that none ends it early.
 */
static void fetch_files(struct dk_pulls *pulls, struct dk_pull_item *dir) {
  struct dk_objects *objects = &pulls->engine->with.folder->objects;
  dk_autobuf manifest = DK_BUF_INIT;
  dk_autofree struct dk_manifest_entry *entries = NULL;
  dk_autofree struct dk_copy *copies = dk_calloc(dir->n_sources, sizeof *copies);
  struct dk_error error = {0};
  uint32_t n = 0;
  int r = copies ? dk_objects_read(objects, &dir->content, DK_MANIFEST_MAX, &manifest, &error) : -ENOMEM;

  if (dk_pull_is_not_there(r)) r = -EIO; /* here: it says nothing of the host */
  if (r == 0) r = dk_manifest_parse(manifest.data, manifest.len, &entries, &n, &error);
  dir->n_files = 1;
  for (uint32_t i = 0; r == 0 && i < n; i++) {
    if (entries[i].kind != 'f' && entries[i].kind != 'x') continue;
    if (dk_objects_has(objects, &entries[i].digest, NULL)) continue;
    r = fetch_file(pulls, dir, &entries[i], copies);
  }
  if (r == -ENOMEM) dk_error_system(&error, r, "fetching a directory");
  count_file(pulls, dir, r, error.text);
}

void dk_pull_is_here(struct dk_pulls *pulls, struct dk_pull_item *item) {
  dk_pull_leave_host(pulls, item);
  item->is_here = true;
  pulls->engine->has_unsynced = true;
  if (item->is_dir)
    fetch_files(pulls, item);
  else
    dk_pull_end(pulls, item, 0, "");
}
