/* See pull.h. Here: what is wanted, by whom, and how it ended. */
#include "engine/drive/pull_priv.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

/* --- the table --- */

int dk_pulls_create(struct dk_engine *engine, struct dk_pulls **ret) {
  *ret = dk_calloc(1, sizeof **ret);
  if (!*ret) return -ENOMEM;
  (*ret)->engine = engine;
  dk_map_init(&(*ret)->by_content, NULL);
  return 0;
}

static void destroy(struct dk_pulls *pulls, struct dk_pull_item *item) {
  if (item->fd >= 0) {
    dk_objects_drop(&pulls->engine->with.folder->objects, item->tmp, item->fd);
    dk_content_finish(&item->hasher);
  }
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

static uint64_t hash_of(const struct dk_digest *content) {
  return dk_hash_bytes(content->bytes, sizeof content->bytes, 0);
}

static bool is_of(const void *ctx, uint32_t item, const void *key) {
  const struct dk_pulls *pulls = ctx;
  return pulls->items[item] && dk_digest_equal(&pulls->items[item]->copy.content, key);
}

struct dk_pull_item *dk_pull_find(const struct dk_pulls *pulls, const struct dk_digest *content) {
  uint32_t i = dk_map_find(&pulls->by_content, hash_of(content), is_of, pulls, content);
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
    (void)dk_map_add(&pulls->by_content, hash_of(&item->copy.content), item->index);
  }
  pulls->n = kept;
}

struct dk_pull_queue *dk_pull_queue_of(struct dk_pulls *pulls, const struct dk_engine_host *host) {
  uint32_t number = host->record.number;
  return number < pulls->n_queues ? &pulls->queues[number] : NULL;
}

static int need_queue(struct dk_pulls *pulls, const struct dk_engine_host *host) {
  uint32_t number = host->record.number;

  if (number < pulls->n_queues) return 0;
  struct dk_pull_queue *queues = dk_realloc_array(pulls->queues, number + 1, sizeof *queues);
  if (!queues) return -ENOMEM;
  memset(queues + pulls->n_queues, 0, (number + 1 - pulls->n_queues) * sizeof *queues);
  pulls->queues = queues;
  pulls->n_queues = number + 1;
  return 0;
}

static void enqueue(struct dk_pulls *pulls, struct dk_pull_item *item) {
  struct dk_pull_list *list = &dk_pull_queue_of(pulls, item->host)->by_order[item->order];

  item->next = NULL;
  if (list->last)
    list->last->next = item;
  else
    list->first = item;
  list->last = item;
}

void dk_pull_unqueue(struct dk_pulls *pulls, struct dk_pull_item *item) {
  struct dk_pull_list *list = &dk_pull_queue_of(pulls, item->host)->by_order[item->order];
  struct dk_pull_item **at = &list->first, *before = NULL;

  while (*at != item) {
    before = *at;
    at = &(*at)->next;
  }
  *at = item->next;
  if (list->last == item) list->last = before;
}

static struct dk_pull_item *add(struct dk_pulls *pulls, const struct dk_copy *copy, enum dk_pull_order order) {
  struct dk_engine_host *host = dk_fleet_find(pulls->engine, copy->host);
  struct dk_pull_item *item = host && need_queue(pulls, host) == 0 ? dk_calloc(1, sizeof *item) : NULL;

  if (!item) return NULL;
  compact(pulls);
  if (!dk_grow(pulls->items, pulls->n, pulls->cap) ||
      dk_map_add(&pulls->by_content, hash_of(&copy->content), pulls->n) < 0) {
    dk_free(item);
    return NULL;
  }
  *item = (struct dk_pull_item){.copy = *copy, .host = host, .order = order, .fd = -1, .index = pulls->n};
  pulls->items[pulls->n++] = item;
  pulls->n_living++;
  enqueue(pulls, item);
  return item;
}

/* --- who waits --- */

static int add_waiter(struct dk_pull_item *item, dk_pull_fn *done, void *ctx) {
  if (!done) {
    item->is_own = true;
    return 0;
  }
  if (!dk_grow(item->waiters, item->n_waiters, item->cap_waiters)) return -ENOMEM;
  item->waiters[item->n_waiters++] = (struct dk_pull_waiter){done, ctx};
  return 0;
}

static bool is_wanted(const struct dk_pull_item *item) {
  for (uint32_t i = 0; i < item->n_waiters; i++)
    if (item->waiters[i].done) return true;
  return item->is_own;
}

int dk_pull(struct dk_pulls *pulls, const struct dk_copy *copy, enum dk_pull_order order, dk_pull_fn *done, void *ctx) {
  struct dk_pull_item *item = dk_pull_find(pulls, &copy->content);
  bool is_new = !item;

  if (is_new) item = add(pulls, copy, order);
  if (!item) return -ENOMEM;
  if (add_waiter(item, done, ctx) < 0) {
    if (is_new) dk_pull_end(pulls, item, -ENOMEM, "");
    return -ENOMEM;
  }
  if (order == DK_PULL_URGENT && item->order != order && !item->is_here) {
    dk_pull_unqueue(pulls, item);
    item->order = order;
    enqueue(pulls, item);
  }
  dk_pull_pump(pulls, item->host);
  return 0;
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

void dk_pull_give_up(struct dk_pulls *pulls, const struct dk_digest *content, const void *ctx) {
  struct dk_pull_item *item = dk_pull_find(pulls, content);
  if (item) leave(pulls, item, ctx);
}

bool dk_pull_progress(const struct dk_pulls *pulls, const struct dk_digest *content, uint64_t *ret_here,
                      uint64_t *ret_total) {
  const struct dk_pull_item *item = dk_pull_find(pulls, content);

  if (!item) return false;
  *ret_here = item->taken + item->files_taken;
  *ret_total = (item->has_total ? item->total : item->copy.size) + item->files_total;
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

static bool is_not_there(int r) {
  return r == -ENOENT || r == -EBADMSG;
}

void dk_pull_end(struct dk_pulls *pulls, struct dk_pull_item *item, int r, const char *words) {
  struct dk_pull_queue *queue = dk_pull_queue_of(pulls, item->host);
  struct dk_pull_waiter *waiters = item->waiters;
  uint32_t n = item->n_waiters;
  dk_autobuf text = DK_BUF_INIT;

  dk_buf_add_text(&text, words); /* they may be the item's own */
  if (!item->is_here) dk_pull_unqueue(pulls, item);
  for (uint32_t i = 0; i < queue->n_asked; i++) {
    struct dk_pull_asked *asked = &queue->asked[(queue->first_asked + i) % DK_PULL_PARTS_MAX];
    if (dk_digest_equal(&asked->content, &item->copy.content)) asked->is_void = true;
  }
  if (is_not_there(r))
    dk_fleet_lose_copy(item->host, &item->copy.content);
  else if (r < 0 && r != -EHOSTUNREACH && item->is_own)
    remember_failure(pulls, &item->copy.content, r, words);
  else if (r == 0)
    (void)dk_pull_take_failure(pulls, &item->copy.content, NULL);
  /* Tasks that wait for it may be handed out now (place.c). */
  if (item->is_own) dk_engine_push(pulls->engine, &(struct dk_event){.kind = DK_EV_TICK}, NULL);
  pulls->items[item->index] = NULL;
  pulls->n_living--;
  item->waiters = NULL;
  destroy(pulls, item);
  for (uint32_t i = 0; i < n; i++)
    if (waiters[i].done) waiters[i].done(waiters[i].ctx, r, dk_buf_text(&text));
  dk_free(waiters);
}

void dk_pull_fail(struct dk_pulls *pulls, struct dk_pull_item *item, int r, const char *what) {
  struct dk_error words = {0};

  dk_error_set(&words, r, "%s: %s", item->host->record.name, what);
  dk_pull_end(pulls, item, r, words.text);
}

void dk_pull_lost(struct dk_pulls *pulls, struct dk_engine_host *host) {
  struct dk_pull_queue *queue;

  /* Whoever is told may ask for more, of other hosts: the queues may have moved. */
  for (unsigned order = 0; order < 2; order++)
    while ((queue = dk_pull_queue_of(pulls, host)) && queue->by_order[order].first)
      dk_pull_fail(pulls, queue->by_order[order].first, -EHOSTUNREACH, "it cannot be reached");
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

void dk_pull_count(struct dk_pull_item *item, uint64_t bytes) {
  item->taken += bytes;
  for (uint32_t i = 0; i < item->n_waiters; i++)
    if (item->waiters[i].done == on_file) ((struct dk_pull_item *)item->waiters[i].ctx)->files_taken += bytes;
}

static int fetch_file(struct dk_pulls *pulls, struct dk_pull_item *dir, const struct dk_manifest_entry *entry) {
  const struct dk_copy file = {entry->digest, dir->copy.host, entry->size, false};
  const struct dk_pull_item *joined = dk_pull_find(pulls, &file.content);
  uint64_t taken = joined ? joined->taken : 0;
  int r = dk_pull(pulls, &file, dir->order, on_file, dir);

  if (r < 0) return r;
  dir->n_files++;
  dir->files_total += entry->size;
  dir->files_taken += taken;
  return 0;
}

/* The files that a manifest names and that are not here. Held by one more than there are, so that none ends it early. */
static void fetch_files(struct dk_pulls *pulls, struct dk_pull_item *dir) {
  struct dk_objects *objects = &pulls->engine->with.folder->objects;
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
    r = fetch_file(pulls, dir, &entries[i]);
    if (r < 0) dk_error_system(&error, r, "fetching a directory");
  }
  count_file(pulls, dir, r, error.text);
}

void dk_pull_is_here(struct dk_pulls *pulls, struct dk_pull_item *item) {
  dk_pull_unqueue(pulls, item);
  item->is_here = true;
  pulls->engine->has_unsynced = true;
  if (item->copy.is_dir)
    fetch_files(pulls, item);
  else
    dk_pull_end(pulls, item, 0, "");
}
