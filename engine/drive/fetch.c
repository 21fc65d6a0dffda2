/* See fetch.h. */
#include "engine/drive/fetch.h"

#include "engine/drive/engine_priv.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "lang/base/map.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PARTS_MAX 16u /* asked for and not here yet, of one host: 4 MiB, so 40 MB/s at 100 ms */
#define NONE UINT32_MAX

struct waiter {
  dk_fetch_fn *done;
  void *ctx;
};

struct fetch {
  uint32_t index; /* in the table */
  struct dk_engine_host *host;
  struct dk_copy copy;
  struct fetch *next;      /* of the same host, in the order in which they were asked for */
  uint64_t taken, asked;   /* bytes */
  uint64_t total;          /* once the first part is here */
  bool has_total, is_here; /* is_here: its own content; a directory's files may be missing */
  uint32_t n_files;        /* of a directory, not here yet */
  int fd;                  /* its file in tmp/, -1: not open */
  char tmp[DK_OBJECTS_TMP];
  struct dk_content_hasher hasher;
  struct fetch *parent; /* the directory that it is a file of, and that asked first */
  struct waiter *waiters;
  uint32_t n_waiters, cap_waiters;
  int failed; /* of a directory: one of its files */
  struct dk_error why;
};

struct dk_fetches {
  struct dk_engine *engine;
  struct dk_map by_content;
  struct fetch **items; /* NULL: ended */
  uint32_t n, cap, n_living;
  struct queue {
    struct fetch *first, *last;
    uint32_t n_asked; /* parts */
  } * queues;         /* by host */
  uint32_t n_queues;
};

/* --- the table --- */

int dk_fetches_create(struct dk_engine *engine, struct dk_fetches **ret) {
  *ret = dk_calloc(1, sizeof **ret);
  if (!*ret) return -ENOMEM;
  (*ret)->engine = engine;
  dk_map_init(&(*ret)->by_content, NULL);
  return 0;
}

static void close_file(struct dk_fetches *fetches, struct fetch *fetch) {
  if (fetch->fd < 0) return;
  dk_objects_drop(&fetches->engine->with.folder->objects, fetch->tmp, fetch->fd);
  dk_content_finish(&fetch->hasher);
  fetch->fd = -1;
}

static void destroy(struct dk_fetches *fetches, struct fetch *fetch) {
  close_file(fetches, fetch);
  dk_free(fetch->waiters);
  dk_free(fetch);
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

static struct fetch *find(const struct dk_fetches *fetches, const struct dk_digest *content) {
  uint32_t i = dk_map_find(&fetches->by_content, hash_of(content), is_of, fetches, content);
  return i == DK_MAP_NONE ? NULL : fetches->items[i];
}

/* Ended ones leave holes in the table: closed when they are most of it. */
static int compact(struct dk_fetches *fetches) {
  uint32_t kept = 0;

  if (fetches->n < 1024 || fetches->n_living > fetches->n / 2) return 0;
  dk_map_clear(&fetches->by_content);
  for (uint32_t i = 0; i < fetches->n; i++) {
    struct fetch *fetch = fetches->items[i];
    if (!fetch) continue;
    fetch->index = kept;
    fetches->items[kept++] = fetch;
  }
  fetches->n = kept;
  for (uint32_t i = 0; i < kept; i++)
    if (dk_map_add(&fetches->by_content, hash_of(&fetches->items[i]->copy.content), i) < 0) return -ENOMEM;
  return 0;
}

static struct queue *queue_of(struct dk_fetches *fetches, const struct dk_engine_host *host) {
  uint32_t number = host->record.number;

  if (number >= fetches->n_queues) {
    struct queue *queues = dk_realloc_array(fetches->queues, number + 1, sizeof *queues);
    if (!queues) return NULL;
    memset(queues + fetches->n_queues, 0, (number + 1 - fetches->n_queues) * sizeof *queues);
    fetches->queues = queues;
    fetches->n_queues = number + 1;
  }
  return &fetches->queues[number];
}

static void unqueue(struct queue *queue, const struct fetch *fetch) {
  struct fetch **at = &queue->first, *before = NULL;

  while (*at != fetch) {
    before = *at;
    at = &(*at)->next;
  }
  *at = fetch->next;
  if (queue->last == fetch) queue->last = before;
}

static int add_waiter(struct fetch *fetch, dk_fetch_fn *done, void *ctx) {
  if (!done) return 0;
  if (!dk_grow(fetch->waiters, fetch->n_waiters, fetch->cap_waiters)) return -ENOMEM;
  fetch->waiters[fetch->n_waiters++] = (struct waiter){done, ctx};
  return 0;
}

static struct fetch *add(struct dk_fetches *fetches, const struct dk_copy *copy) {
  struct dk_engine_host *host = dk_fleet_find(fetches->engine, copy->host);
  struct queue *queue = host ? queue_of(fetches, host) : NULL;
  struct fetch *fetch = queue ? dk_calloc(1, sizeof *fetch) : NULL;

  if (!fetch) return NULL;
  if (compact(fetches) < 0 || !dk_grow(fetches->items, fetches->n, fetches->cap) ||
      dk_map_add(&fetches->by_content, hash_of(&copy->content), fetches->n) < 0) {
    dk_free(fetch);
    return NULL;
  }
  fetch->copy = *copy;
  fetch->host = host;
  fetch->fd = -1;
  fetch->index = fetches->n;
  fetches->items[fetches->n++] = fetch;
  fetches->n_living++;
  if (queue->last)
    queue->last->next = fetch;
  else
    queue->first = fetch;
  queue->last = fetch;
  return fetch;
}

int dk_fetch(struct dk_fetches *fetches, const struct dk_copy *copy, dk_fetch_fn *done, void *ctx) {
  struct fetch *fetch = find(fetches, &copy->content);

  if (!fetch) fetch = add(fetches, copy);
  if (!fetch || add_waiter(fetch, done, ctx) < 0) return -ENOMEM;
  dk_fetch_pump(fetches, fetch->host);
  return 0;
}

void dk_fetch_forget(struct dk_fetches *fetches, const void *ctx) {
  for (uint32_t i = 0; i < fetches->n; i++) {
    struct fetch *fetch = fetches->items[i];
    for (uint32_t k = 0; fetch && k < fetch->n_waiters; k++)
      if (fetch->waiters[k].ctx == ctx) fetch->waiters[k].done = NULL;
  }
}

bool dk_fetch_is_under_way(const struct dk_fetches *fetches, const struct dk_digest *content) {
  return find(fetches, content) != NULL;
}

/* --- the end of one --- */

static void end(struct dk_fetches *fetches, struct fetch *fetch, int r, const char *words);

/* A file of a directory has come, or not. */
static void tell_parent(struct dk_fetches *fetches, struct fetch *parent, int r, const char *words) {
  if (r < 0 && parent->failed == 0) {
    parent->failed = r;
    dk_error_set(&parent->why, r, "%s", words);
  }
  if (--parent->n_files > 0) return;
  end(fetches, parent, parent->failed, parent->failed ? parent->why.text : "");
}

static void on_file(void *ctx, int r, const char *words) {
  struct fetch *parent = ctx;
  tell_parent(parent->host->engine->fetches, parent, r, words);
}

static void end(struct dk_fetches *fetches, struct fetch *fetch, int r, const char *words) {
  struct waiter *waiters = fetch->waiters;
  uint32_t n = fetch->n_waiters;
  dk_autobuf text = DK_BUF_INIT;

  dk_buf_add_text(&text, words); /* they may be the fetch's own */
  if (!fetch->is_here) unqueue(&fetches->queues[fetch->host->record.number], fetch);
  fetches->items[fetch->index] = NULL;
  fetches->n_living--;
  fetch->waiters = NULL;
  destroy(fetches, fetch);
  for (uint32_t i = 0; i < n; i++)
    if (waiters[i].done) waiters[i].done(waiters[i].ctx, r, dk_buf_text(&text));
  dk_free(waiters);
}

static void fail(struct dk_fetches *fetches, struct fetch *fetch, int r, const char *what) {
  struct dk_error words = {0};

  dk_error_set(&words, r, "%s: %s", fetch->host->record.name, what);
  end(fetches, fetch, r, words.text);
}

/* The files that a manifest names and that are not here. Held by one more than there are, so that none ends it early. */
static void fetch_files(struct dk_fetches *fetches, struct fetch *fetch) {
  struct dk_objects *objects = &fetches->engine->with.folder->objects;
  dk_autobuf manifest = DK_BUF_INIT;
  dk_autofree struct dk_manifest_entry *entries = NULL;
  struct dk_error error = {0};
  uint32_t n = 0;
  int r = dk_objects_read(objects, &fetch->copy.content, DK_MANIFEST_MAX, &manifest, &error);

  if (r == 0) r = dk_manifest_parse(manifest.data, manifest.len, &entries, &n, &error);
  fetch->n_files = 1;
  for (uint32_t i = 0; r == 0 && i < n; i++) {
    struct dk_copy file = {entries[i].digest, fetch->copy.host, entries[i].size, false};
    if (entries[i].kind != 'f' && entries[i].kind != 'x') continue;
    if (dk_objects_has(objects, &file.content, NULL)) continue;
    r = dk_fetch(fetches, &file, on_file, fetch);
    if (r == 0)
      fetch->n_files++;
    else
      dk_error_system(&error, r, "fetching a directory");
  }
  tell_parent(fetches, fetch, r, error.text);
}

/* All its bytes are in tmp/. */
static void finish(struct dk_fetches *fetches, struct fetch *fetch) {
  struct dk_objects *objects = &fetches->engine->with.folder->objects;
  struct dk_digest is;
  struct dk_error error = {0};
  int r = dk_content_get(&fetch->hasher, &is);
  int fd = fetch->fd;

  fetch->fd = -1;
  if (r == 0 && !dk_digest_equal(&is, &fetch->copy.content)) r = -EBADMSG;
  if (r < 0) {
    dk_objects_drop(objects, fetch->tmp, fd);
    fail(fetches, fetch, r, r == -EBADMSG ? "what it sent is not the content that was asked for" : "out of memory");
    return;
  }
  r = dk_objects_place(objects, fetch->tmp, fd, &is, &error);
  if (r < 0) {
    fail(fetches, fetch, r, error.text);
    return;
  }
  unqueue(&fetches->queues[fetch->host->record.number], fetch);
  fetch->is_here = true;
  fetches->engine->has_unsynced = true;
  if (fetch->copy.is_dir)
    fetch_files(fetches, fetch);
  else
    end(fetches, fetch, 0, "");
}

/* --- asking --- */

static bool has_more_to_ask(const struct fetch *fetch) {
  return fetch->has_total ? fetch->asked < fetch->total : fetch->asked == fetch->taken;
}

/* One that has not said its size is asked for its first part only. */
static int ask(struct dk_fetches *fetches, struct fetch *fetch) {
  struct dk_message get = {.type = DK_MSG_GET, .session = fetch->host->session};

  (void)fetches;
  get.u.want.digest = fetch->copy.content;
  get.u.want.offset = fetch->asked;
  get.u.want.len = DK_PART_MAX;
  int r = dk_link_send(fetch->host->link, &get);
  if (r == 0) fetch->asked += DK_PART_MAX;
  return r;
}

void dk_fetch_pump(struct dk_fetches *fetches, struct dk_engine_host *host) {
  struct queue *queue = queue_of(fetches, host);

  if (!queue || !host->link || !host->session) return;
  for (struct fetch *fetch = queue->first; fetch && queue->n_asked < PARTS_MAX; fetch = fetch->next) {
    while (queue->n_asked < PARTS_MAX && has_more_to_ask(fetch)) {
      if (ask(fetches, fetch) < 0) return; /* no memory: at the next chance */
      queue->n_asked++;
    }
  }
}

/* --- what comes --- */

static int open_file(struct dk_fetches *fetches, struct fetch *fetch, struct dk_error *error) {
  int r = dk_objects_tmp(&fetches->engine->with.folder->objects, fetch->tmp, &fetch->fd, error);

  if (r < 0) {
    fetch->fd = -1;
    return r;
  }
  dk_content_init(&fetch->hasher);
  return 0;
}

static void answered(struct dk_fetches *fetches, struct dk_engine_host *host) {
  struct queue *queue = queue_of(fetches, host);
  if (queue && queue->n_asked > 0) queue->n_asked--;
}

static void take(struct dk_fetches *fetches, struct fetch *fetch, const struct dk_message *message) {
  struct dk_error error = {0};
  int r = fetch->fd < 0 ? open_file(fetches, fetch, &error) : 0;

  if (r == 0) {
    r = dk_fs_write_all(fetch->fd, message->u.part.bytes, message->u.part.len);
    if (r < 0) dk_error_system(&error, r, "keeping what came from %s", fetch->host->record.name);
  }
  if (r < 0) {
    fail(fetches, fetch, r, error.text);
    return;
  }
  dk_content_add(&fetch->hasher, message->u.part.bytes, message->u.part.len);
  fetch->taken += message->u.part.len;
  fetch->total = message->u.part.total;
  fetch->has_total = true;
  if (fetch->asked > fetch->total) fetch->asked = fetch->total;
  if (fetch->taken == fetch->total) finish(fetches, fetch);
}

void dk_fetch_part(struct dk_fetches *fetches, struct dk_engine_host *host, const struct dk_message *message) {
  struct fetch *fetch = find(fetches, &message->u.part.digest);

  answered(fetches, host);
  if (fetch && fetch->host == host && !fetch->is_here) {
    bool is_next = message->u.part.offset == fetch->taken &&
                   (!fetch->has_total || message->u.part.total == fetch->total) &&
                   (message->u.part.len > 0 || message->u.part.total == fetch->taken);
    if (is_next)
      take(fetches, fetch, message);
    else
      fail(fetches, fetch, -EPROTO, "its agent sent another part than was asked for");
  }
  dk_fetch_pump(fetches, host);
}

void dk_fetch_gone(struct dk_fetches *fetches, struct dk_engine_host *host, const struct dk_message *message) {
  struct fetch *fetch = find(fetches, &message->u.gone.digest);

  answered(fetches, host);
  if (fetch && fetch->host == host && !fetch->is_here) fail(fetches, fetch, -ENOENT, message->u.gone.text);
  dk_fetch_pump(fetches, host);
}

void dk_fetch_down(struct dk_fetches *fetches, struct dk_engine_host *host) {
  struct queue *queue = queue_of(fetches, host);

  if (!queue) return;
  queue->n_asked = 0;
  for (struct fetch *fetch = queue->first; fetch; fetch = fetch->next) fetch->asked = fetch->taken;
}

void dk_fetch_lost(struct dk_fetches *fetches, struct dk_engine_host *host) {
  struct queue *queue = queue_of(fetches, host);

  while (queue && queue->first) {
    fail(fetches, queue->first, -EHOSTUNREACH, "it has the only copy, and cannot be reached");
    queue = queue_of(fetches, host); /* whoever was told may have asked for more */
  }
}
