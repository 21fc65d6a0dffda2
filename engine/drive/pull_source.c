/* See pull.h. Here: which host is asked. */
#include "engine/drive/pull_priv.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

/* --- the queues of hosts --- */

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

void dk_pull_enqueue(struct dk_pulls *pulls, struct dk_pull_item *item) {
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

void dk_pull_leave_host(struct dk_pulls *pulls, struct dk_pull_item *item) {
  struct dk_pull_queue *queue = dk_pull_queue_of(pulls, item->host);

  dk_pull_unqueue(pulls, item);
  for (uint32_t i = 0; i < queue->n_asked; i++) {
    struct dk_pull_asked *asked = &queue->asked[(queue->first_asked + i) % DK_PULL_PARTS_MAX];
    if (asked->is_dir == item->is_dir && dk_digest_equal(&asked->content, &item->content)) asked->is_void = true;
  }
}

/* --- sources --- */

struct dk_pull_source *dk_pull_source_of(const struct dk_pull_item *item, const struct dk_engine_host *host) {
  for (uint32_t i = 0; i < item->n_sources; i++)
    if (item->sources[i].host == host) return &item->sources[i];
  return NULL;
}

int dk_pull_add_source(struct dk_pulls *pulls, struct dk_pull_item *item, struct dk_engine_host *host, uint64_t size) {
  struct dk_pull_source *source = dk_pull_source_of(item, host);

  if (source && (item->host != host || item->is_here)) {
    dk_free(source->why);
    *source = (struct dk_pull_source){.host = host, .size = size};
  }
  if (source) return 0;
  if (need_queue(pulls, host) < 0 || !dk_grow(item->sources, item->n_sources, item->cap_sources)) return -ENOMEM;
  item->sources[item->n_sources++] = (struct dk_pull_source){.host = host, .size = size};
  return 0;
}

void dk_pull_remove_sources(struct dk_pull_item *item) {
  for (uint32_t i = 0; i < item->n_sources; i++) dk_free(item->sources[i].why);
  dk_free(item->sources);
  item->sources = NULL;
  item->n_sources = 0;
}

/* One that can be reached, else one that may come back; NULL: none is left. */
static struct dk_pull_source *best(const struct dk_pulls *pulls, const struct dk_pull_item *item) {
  struct dk_pull_source *waits = NULL;

  for (uint32_t i = 0; i < item->n_sources; i++) {
    struct dk_pull_source *source = &item->sources[i];
    if (source->failed) continue;
    if (source->host->session) return source;
    if (!waits && dk_fleet_has_copies(pulls->engine, source->host->record.number)) waits = source;
  }
  return waits;
}

/* Goes on there from the byte where it is; when it has another size there, what has come is of something else. */
static void move(struct dk_pulls *pulls, struct dk_pull_item *item, struct dk_pull_source *to) {
  const struct dk_pull_source *from = dk_pull_source_of(item, item->host);

  dk_pull_leave_host(pulls, item);
  if (from->size != to->size) dk_pull_begin_anew(pulls, item);
  item->asked = item->taken;
  item->host = to->host;
  dk_pull_tell_directories(item, 0);
  dk_pull_enqueue(pulls, item);
  dk_pull_pump(pulls, item->host);
}

void dk_pull_choose(struct dk_pulls *pulls, struct dk_pull_item *item) {
  struct dk_pull_source *source = best(pulls, item);

  if (!item->host) {
    item->host = source ? source->host : item->sources[0].host;
    dk_pull_enqueue(pulls, item);
  } else if (!item->host->session && source && source->host->session) {
    move(pulls, item, source);
  }
}

/* --- when one fails --- */

bool dk_pull_is_not_there(int r) {
  return r == -ENOENT || r == -EBADMSG;
}

static int verdict_of(const struct dk_pull_source *source) {
  return source->failed ? source->failed : -EHOSTUNREACH;
}

/* By which of them it may be had again soonest: that is what is said of all. */
static int rank(const struct dk_pull_source *source) {
  int r = verdict_of(source);
  return dk_pull_is_not_there(r) ? 0 : r == -EHOSTUNREACH ? 1 : 2;
}

int dk_pull_verdict(const struct dk_pull_item *item, const struct dk_engine_host *host, struct dk_error *ret) {
  const struct dk_pull_source *of = host ? dk_pull_source_of(item, host) : NULL;

  for (uint32_t i = 0; !host && i < item->n_sources; i++)
    if (!of || rank(&item->sources[i]) > rank(of)) of = &item->sources[i];
  const char *why = of->failed ? of->why ? of->why : "it does not come from there" : "it cannot be reached";
  return dk_error_set(ret, verdict_of(of), "%s: %s", of->host->record.name, why);
}

bool dk_pull_is_of_host(int r) {
  return dk_pull_is_not_there(r) || r == -EREMOTEIO || r == -EPROTO;
}

void dk_pull_fail(struct dk_pulls *pulls, struct dk_pull_item *item, int r, const char *what) {
  struct dk_pull_source *source = dk_pull_source_of(item, item->host), *next;
  struct dk_error words = {0};

  if (!dk_pull_is_of_host(r)) {
    dk_error_set(&words, r, "%s: %s", item->host->record.name, what);
    dk_pull_end(pulls, item, r, words.text);
    return;
  }
  dk_free(source->why);
  source->why = dk_strdup(what);
  source->failed = r;
  if (dk_pull_is_not_there(r)) dk_fleet_lose_copy(item->host, &item->content);
  next = best(pulls, item);
  if (next)
    move(pulls, item, next);
  else
    dk_pull_end(pulls, item, r, NULL);
}

/* --- hosts come and go --- */

void dk_pull_up(struct dk_pulls *pulls, struct dk_engine_host *host) {
  for (uint32_t i = 0; i < pulls->n; i++) {
    struct dk_pull_item *item = pulls->items[i];
    if (item && !item->is_here) dk_pull_choose(pulls, item);
  }
  dk_pull_pump(pulls, host);
}

/* The bytes that were taken stay. */
void dk_pull_down(struct dk_pulls *pulls, struct dk_engine_host *host) {
  struct dk_pull_queue *queue = dk_pull_queue_of(pulls, host);

  if (!queue) return;
  queue->n_asked = 0;
  for (unsigned order = 0; order < 2; order++)
    for (struct dk_pull_item *item = queue->by_order[order].first, *next; item; item = next) {
      next = item->next;
      item->asked = item->taken;
      dk_pull_choose(pulls, item);
    }
}

void dk_pull_lost(struct dk_pulls *pulls, struct dk_engine_host *host) {
  struct dk_pull_queue *queue;

  /* Whoever is told may ask for more, of other hosts: the queues may have moved. */
  for (unsigned order = 0; order < 2; order++)
    while ((queue = dk_pull_queue_of(pulls, host)) && queue->by_order[order].first) {
      struct dk_pull_item *item = queue->by_order[order].first;
      struct dk_pull_source *next = best(pulls, item);
      if (next)
        move(pulls, item, next);
      else
        dk_pull_end(pulls, item, -EHOSTUNREACH, NULL);
    }
}

/* --- one that sends nothing --- */

uint64_t dk_pull_silent_at(struct dk_pulls *pulls, const struct dk_engine_host *host) {
  const struct dk_pull_queue *queue = dk_pull_queue_of(pulls, host);
  return queue && queue->n_asked > 0 ? queue->since + DK_PULL_SILENT_NS : UINT64_MAX;
}

bool dk_pull_silent(struct dk_pulls *pulls, const struct dk_engine_host *host) {
  struct dk_pull_queue *queue = dk_pull_queue_of(pulls, host);
  bool was_silent = queue->is_silent;

  queue->is_silent = true;
  return was_silent;
}
