/* See fetch.h. Here: what is wanted, by whom, and how it ended. */
#include "engine/drive/fetch_priv.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

/* --- the table --- */

int dk_fetches_create(struct dk_engine *engine, struct dk_fetches **ret) {
  *ret = dk_calloc(1, sizeof **ret);
  if (!*ret) return -ENOMEM;
  (*ret)->engine = engine;
  dk_map_init(&(*ret)->by_content, NULL);
  return 0;
}

static void destroy(struct dk_fetches *fetches, struct dk_fetch_item *item) {
  if (item->fd >= 0) {
    dk_objects_drop(&fetches->engine->with.folder->objects, item->tmp, item->fd);
    dk_content_finish(&item->hasher);
  }
  dk_free(item->waiters);
  dk_free(item);
}

void dk_fetches_destroy(struct dk_fetches *fetches) {
  if (!fetches) return;
  for (uint32_t i = 0; i < fetches->n; i++)
    if (fetches->items[i]) destroy(fetches, fetches->items[i]);
  dk_free(fetches->items);
  dk_free(fetches->queues);
  dk_map_finish(&fetches->by_content);
  dk_free(fetches);
}

static uint64_t hash_of(const struct dk_digest *content) {
  return dk_hash_bytes(content->bytes, sizeof content->bytes, 0);
}

static bool is_of(const void *ctx, uint32_t item, const void *key) {
  const struct dk_fetches *fetches = ctx;
  return fetches->items[item] && dk_digest_equal(&fetches->items[item]->copy.content, key);
}

struct dk_fetch_item *dk_fetch_find(const struct dk_fetches *fetches, const struct dk_digest *content) {
  uint32_t i = dk_map_find(&fetches->by_content, hash_of(content), is_of, fetches, content);
  return i == DK_MAP_NONE ? NULL : fetches->items[i];
}

/* Ended ones leave holes in the table: closed when they are most of it. The map is that of so many at least: adding the
 * living ones to it again wants no memory. */
static void compact(struct dk_fetches *fetches) {
  uint32_t kept = 0;

  if (fetches->n < 1024 || fetches->n_living > fetches->n / 2) return;
  dk_map_clear(&fetches->by_content);
  for (uint32_t i = 0; i < fetches->n; i++) {
    struct dk_fetch_item *item = fetches->items[i];
    if (!item) continue;
    item->index = kept;
    fetches->items[kept++] = item;
    (void)dk_map_add(&fetches->by_content, hash_of(&item->copy.content), item->index);
  }
  fetches->n = kept;
}

struct dk_fetch_queue *dk_fetch_queue_of(struct dk_fetches *fetches, const struct dk_engine_host *host) {
  uint32_t number = host->record.number;
  return number < fetches->n_queues ? &fetches->queues[number] : NULL;
}

static int need_queue(struct dk_fetches *fetches, const struct dk_engine_host *host) {
  uint32_t number = host->record.number;

  if (number < fetches->n_queues) return 0;
  struct dk_fetch_queue *queues = dk_realloc_array(fetches->queues, number + 1, sizeof *queues);
  if (!queues) return -ENOMEM;
  memset(queues + fetches->n_queues, 0, (number + 1 - fetches->n_queues) * sizeof *queues);
  fetches->queues = queues;
  fetches->n_queues = number + 1;
  return 0;
}

static void enqueue(struct dk_fetches *fetches, struct dk_fetch_item *item) {
  struct dk_fetch_list *list = &dk_fetch_queue_of(fetches, item->host)->by_order[item->order];

  item->next = NULL;
  if (list->last)
    list->last->next = item;
  else
    list->first = item;
  list->last = item;
}

void dk_fetch_unqueue(struct dk_fetches *fetches, struct dk_fetch_item *item) {
  struct dk_fetch_list *list = &dk_fetch_queue_of(fetches, item->host)->by_order[item->order];
  struct dk_fetch_item **at = &list->first, *before = NULL;

  while (*at != item) {
    before = *at;
    at = &(*at)->next;
  }
  *at = item->next;
  if (list->last == item) list->last = before;
}

static struct dk_fetch_item *add(struct dk_fetches *fetches, const struct dk_copy *copy, enum dk_fetch_order order) {
  struct dk_engine_host *host = dk_fleet_find(fetches->engine, copy->host);
  struct dk_fetch_item *item = host && need_queue(fetches, host) == 0 ? dk_calloc(1, sizeof *item) : NULL;

  if (!item) return NULL;
  compact(fetches);
  if (!dk_grow(fetches->items, fetches->n, fetches->cap) ||
      dk_map_add(&fetches->by_content, hash_of(&copy->content), fetches->n) < 0) {
    dk_free(item);
    return NULL;
  }
  *item = (struct dk_fetch_item){.copy = *copy, .host = host, .order = order, .fd = -1, .index = fetches->n};
  fetches->items[fetches->n++] = item;
  fetches->n_living++;
  enqueue(fetches, item);
  return item;
}

/* --- who waits --- */

static int add_waiter(struct dk_fetch_item *item, dk_fetch_fn *done, void *ctx) {
  if (!done) {
    item->is_own = true;
    return 0;
  }
  if (!dk_grow(item->waiters, item->n_waiters, item->cap_waiters)) return -ENOMEM;
  item->waiters[item->n_waiters++] = (struct dk_fetch_waiter){done, ctx};
  return 0;
}

static bool is_wanted(const struct dk_fetch_item *item) {
  for (uint32_t i = 0; i < item->n_waiters; i++)
    if (item->waiters[i].done) return true;
  return item->is_own;
}

int dk_fetch(struct dk_fetches *fetches, const struct dk_copy *copy, enum dk_fetch_order order, dk_fetch_fn *done,
             void *ctx) {
  struct dk_fetch_item *item = dk_fetch_find(fetches, &copy->content);
  bool is_new = !item;

  if (is_new) item = add(fetches, copy, order);
  if (!item) return -ENOMEM;
  if (add_waiter(item, done, ctx) < 0) {
    if (is_new) dk_fetch_end(fetches, item, -ENOMEM, "");
    return -ENOMEM;
  }
  if (order == DK_FETCH_URGENT && item->order != order && !item->is_here) {
    dk_fetch_unqueue(fetches, item);
    item->order = order;
    enqueue(fetches, item);
  }
  dk_fetch_pump(fetches, item->host);
  return 0;
}

void dk_fetch_forget(struct dk_fetches *fetches, const void *ctx) {
  for (uint32_t i = 0; i < fetches->n; i++) {
    struct dk_fetch_item *item = fetches->items[i];
    for (uint32_t k = 0; item && k < item->n_waiters; k++)
      if (item->waiters[k].ctx == ctx) item->waiters[k].done = NULL;
  }
}

static void leave(struct dk_fetches *fetches, struct dk_fetch_item *item, const void *ctx);

/* What was asked for and is still on its way is not taken for the answer to what is asked next. */
static void drop(struct dk_fetches *fetches, struct dk_fetch_item *item) {
  bool is_dir = item->is_here && item->n_files > 0;

  for (uint32_t i = 0; is_dir && i < fetches->n; i++)
    if (fetches->items[i] && fetches->items[i] != item) leave(fetches, fetches->items[i], item);
  dk_fetch_end(fetches, item, -ECANCELED, "");
}

static void leave(struct dk_fetches *fetches, struct dk_fetch_item *item, const void *ctx) {
  bool was_its = false;

  for (uint32_t i = 0; i < item->n_waiters; i++) {
    if (item->waiters[i].ctx != ctx) continue;
    item->waiters[i].done = NULL;
    was_its = true;
  }
  if (was_its && !is_wanted(item)) drop(fetches, item);
}

void dk_fetch_give_up(struct dk_fetches *fetches, const struct dk_digest *content, const void *ctx) {
  struct dk_fetch_item *item = dk_fetch_find(fetches, content);
  if (item) leave(fetches, item, ctx);
}

bool dk_fetch_progress(const struct dk_fetches *fetches, const struct dk_digest *content, uint64_t *ret_here,
                       uint64_t *ret_total) {
  const struct dk_fetch_item *item = dk_fetch_find(fetches, content);

  if (!item) return false;
  *ret_here = item->taken + item->files_taken;
  *ret_total = (item->has_total ? item->total : item->copy.size) + item->files_total;
  return true;
}

/* --- the end of one --- */

static void remember_failure(struct dk_fetches *fetches, const struct dk_digest *content, int r, const char *words) {
  uint32_t at = (fetches->first_failure + fetches->n_failures) % DK_FETCH_FAILURES_MAX;

  if (fetches->n_failures == DK_FETCH_FAILURES_MAX)
    fetches->first_failure = (fetches->first_failure + 1) % DK_FETCH_FAILURES_MAX;
  else
    fetches->n_failures++;
  fetches->failures[at].content = *content;
  dk_error_set(&fetches->failures[at].why, r, "%s", words);
}

int dk_fetch_take_failure(struct dk_fetches *fetches, const struct dk_digest *content, struct dk_error *ret) {
  for (uint32_t i = 0; i < fetches->n_failures; i++) {
    uint32_t at = (fetches->first_failure + i) % DK_FETCH_FAILURES_MAX;
    uint32_t last = (fetches->first_failure + fetches->n_failures - 1) % DK_FETCH_FAILURES_MAX;
    if (!dk_digest_equal(&fetches->failures[at].content, content)) continue;
    if (ret) *ret = fetches->failures[at].why;
    int r = fetches->failures[at].why.code;
    fetches->failures[at] = fetches->failures[last];
    fetches->n_failures--;
    return r;
  }
  return 0;
}

static bool is_not_there(int r) {
  return r == -ENOENT || r == -EBADMSG;
}

void dk_fetch_end(struct dk_fetches *fetches, struct dk_fetch_item *item, int r, const char *words) {
  struct dk_fetch_queue *queue = dk_fetch_queue_of(fetches, item->host);
  struct dk_fetch_waiter *waiters = item->waiters;
  uint32_t n = item->n_waiters;
  dk_autobuf text = DK_BUF_INIT;

  dk_buf_add_text(&text, words); /* they may be the item's own */
  if (!item->is_here) dk_fetch_unqueue(fetches, item);
  for (uint32_t i = 0; i < queue->n_asked; i++) {
    struct dk_fetch_asked *asked = &queue->asked[(queue->first_asked + i) % DK_FETCH_PARTS_MAX];
    if (dk_digest_equal(&asked->content, &item->copy.content)) asked->is_void = true;
  }
  if (is_not_there(r))
    dk_fleet_lose_copy(item->host, &item->copy.content);
  else if (r < 0 && r != -EHOSTUNREACH && item->is_own)
    remember_failure(fetches, &item->copy.content, r, words);
  else if (r == 0)
    (void)dk_fetch_take_failure(fetches, &item->copy.content, NULL);
  /* Tasks that wait for it may be handed out now (place.c). */
  if (item->is_own) dk_engine_push(fetches->engine, &(struct dk_event){.kind = DK_EV_TICK}, NULL);
  fetches->items[item->index] = NULL;
  fetches->n_living--;
  item->waiters = NULL;
  destroy(fetches, item);
  for (uint32_t i = 0; i < n; i++)
    if (waiters[i].done) waiters[i].done(waiters[i].ctx, r, dk_buf_text(&text));
  dk_free(waiters);
}

void dk_fetch_fail(struct dk_fetches *fetches, struct dk_fetch_item *item, int r, const char *what) {
  struct dk_error words = {0};

  dk_error_set(&words, r, "%s: %s", item->host->record.name, what);
  dk_fetch_end(fetches, item, r, words.text);
}

void dk_fetch_lost(struct dk_fetches *fetches, struct dk_engine_host *host) {
  struct dk_fetch_queue *queue;

  /* Whoever is told may ask for more, of other hosts: the queues may have moved. */
  for (unsigned order = 0; order < 2; order++)
    while ((queue = dk_fetch_queue_of(fetches, host)) && queue->by_order[order].first)
      dk_fetch_fail(fetches, queue->by_order[order].first, -EHOSTUNREACH, "it cannot be reached");
}

/* --- directories --- */

/* A file of a directory has come, or not. */
static void count_file(struct dk_fetches *fetches, struct dk_fetch_item *dir, int r, const char *words) {
  if (r < 0 && dir->failed == 0) {
    dir->failed = r;
    dk_error_set(&dir->why, r, "%s", words);
  }
  if (--dir->n_files > 0) return;
  dk_fetch_end(fetches, dir, dir->failed, dir->failed ? dir->why.text : "");
}

static void on_file(void *ctx, int r, const char *words) {
  struct dk_fetch_item *dir = ctx;
  count_file(dir->host->engine->fetches, dir, r, words);
}

void dk_fetch_count(struct dk_fetch_item *item, uint64_t bytes) {
  item->taken += bytes;
  for (uint32_t i = 0; i < item->n_waiters; i++)
    if (item->waiters[i].done == on_file) ((struct dk_fetch_item *)item->waiters[i].ctx)->files_taken += bytes;
}

static int fetch_file(struct dk_fetches *fetches, struct dk_fetch_item *dir, const struct dk_manifest_entry *entry) {
  const struct dk_copy file = {entry->digest, dir->copy.host, entry->size, false};
  const struct dk_fetch_item *joined = dk_fetch_find(fetches, &file.content);
  uint64_t taken = joined ? joined->taken : 0;
  int r = dk_fetch(fetches, &file, dir->order, on_file, dir);

  if (r < 0) return r;
  dir->n_files++;
  dir->files_total += entry->size;
  dir->files_taken += taken;
  return 0;
}

/* The files that a manifest names and that are not here. Held by one more than there are, so that none ends it early. */
static void fetch_files(struct dk_fetches *fetches, struct dk_fetch_item *dir) {
  struct dk_objects *objects = &fetches->engine->with.folder->objects;
  dk_autobuf manifest = DK_BUF_INIT;
  dk_autofree struct dk_manifest_entry *entries = NULL;
  struct dk_error error = {0};
  uint32_t n = 0;
  int r = dk_objects_read(objects, &dir->copy.content, DK_MANIFEST_MAX, &manifest, &error);

  if (is_not_there(r)) r = -EIO; /* here: it says nothing of the host */
  if (r == 0) r = dk_manifest_parse(manifest.data, manifest.len, &entries, &n, &error);
  dir->n_files = 1;
  for (uint32_t i = 0; r == 0 && i < n; i++) {
    if (entries[i].kind != 'f' && entries[i].kind != 'x') continue;
    if (dk_objects_has(objects, &entries[i].digest, NULL)) continue;
    r = fetch_file(fetches, dir, &entries[i]);
    if (r < 0) dk_error_system(&error, r, "fetching a directory");
  }
  count_file(fetches, dir, r, error.text);
}

void dk_fetch_is_here(struct dk_fetches *fetches, struct dk_fetch_item *item) {
  dk_fetch_unqueue(fetches, item);
  item->is_here = true;
  fetches->engine->has_unsynced = true;
  if (item->copy.is_dir)
    fetch_files(fetches, item);
  else
    dk_fetch_end(fetches, item, 0, "");
}
