/* See supply.h. */
#include "engine/drive/supply.h"

#include "engine/drive/engine_priv.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Not more waits in the link, so that orders and acknowledgements are not behind much. */
#define WAITING_MAX (1u << 20)

static void close_first(struct dk_supply *supply) {
  if (supply->is_open) close(supply->fd);
  supply->is_open = false;
}

void dk_supply_clear(struct dk_supply *supply) {
  close_first(supply);
  supply->first = supply->n = 0;
  dk_map_clear(&supply->waiting);
}

void dk_supply_finish(struct dk_supply *supply) {
  dk_supply_clear(supply);
  dk_free(supply->items);
  dk_map_finish(&supply->waiting);
  *supply = (struct dk_supply){0};
}

static uint64_t hash_of(const struct dk_supply *supply, const struct dk_digest *content) {
  return dk_hash_bytes(content->bytes, sizeof content->bytes, supply->seed);
}

/* Of one that is being sent the agent may have dropped what came before it asked again. */
static bool is_waiting(const void *ctx, uint32_t i, const void *content) {
  const struct dk_supply *supply = ctx;
  return i >= supply->first + supply->is_open && dk_digest_equal(&supply->items[i].content, content);
}

/* Those that were sent are taken out when they are most of it. The map is that of so many at least: adding the others
 * to it again wants no memory. */
static void compact(struct dk_supply *supply) {
  uint32_t left = supply->n - supply->first;

  if (supply->first < 1024 || supply->first < left) return;
  memmove(supply->items, supply->items + supply->first, left * sizeof *supply->items);
  dk_map_clear(&supply->waiting);
  for (uint32_t i = 0; i < left; i++) (void)dk_map_add(&supply->waiting, hash_of(supply, &supply->items[i].content), i);
  supply->first = 0;
  supply->n = left;
}

int dk_supply_add(struct dk_supply *supply, const struct dk_digest *content, uint64_t offset) {
  if (!supply->seed && getrandom(&supply->seed, sizeof supply->seed, 0) != (ssize_t)sizeof supply->seed) return -EIO;
  compact(supply);
  uint64_t hash = hash_of(supply, content);
  uint32_t at = dk_map_find(&supply->waiting, hash, is_waiting, supply, content);
  if (at != DK_MAP_NONE) {
    supply->items[at].offset = offset;
    return 0;
  }
  if (supply->n - supply->first >= DK_SUPPLY_MAX) return -E2BIG;
  if (!dk_grow(supply->items, supply->n, supply->cap) || dk_map_add(&supply->waiting, hash, supply->n) < 0)
    return -ENOMEM;
  supply->items[supply->n++] = (struct dk_supply_item){*content, offset};
  return 0;
}

static void next(struct dk_supply *supply) {
  close_first(supply);
  supply->first++;
}

static int say_gone(const struct dk_supply *supply, struct dk_engine_host *host, bool is_there, const char *why) {
  struct dk_message gone = {.type = DK_MSG_GONE, .session = host->session};

  gone.u.gone.digest = supply->items[supply->first].content;
  gone.u.gone.is_there = is_there;
  gone.u.gone.text = (char *)why;
  return dk_link_send(host->link, &gone);
}

/* The next part of the first one. 1: that was its last. */
static int send_part(struct dk_supply *supply, struct dk_engine_host *host, char *buffer, struct dk_error *why) {
  struct dk_supply_item *item = &supply->items[supply->first];
  struct dk_message put = {.type = DK_MSG_PUT, .session = host->session};
  int r = 0;

  if (!supply->is_open) {
    r = dk_objects_open_one(&host->engine->with.folder->objects, &item->content, &supply->fd, &supply->total, why);
    supply->is_open = r == 0;
  }
  if (r == 0 && item->offset > supply->total) item->offset = 0; /* it begins anew */
  if (r < 0) return r;
  uint64_t rest = supply->total - item->offset;
  put.u.part.digest = item->content;
  put.u.part.offset = item->offset;
  put.u.part.total = supply->total;
  put.u.part.bytes = buffer;
  put.u.part.len = rest < DK_PART_MAX ? (uint32_t)rest : DK_PART_MAX;
  r = dk_fs_pread_all(supply->fd, buffer, put.u.part.len, item->offset);
  if (r < 0) return dk_error_system(why, r, "reading an object");
  r = dk_link_send(host->link, &put);
  if (r < 0) return r;
  item->offset += put.u.part.len;
  return item->offset == supply->total;
}

int dk_supply_pump(struct dk_supply *supply, struct dk_engine_host *host) {
  int r = 0;

  if (!host->link || !host->session || supply->first == supply->n) return 0;
  dk_autofree char *buffer = dk_alloc(DK_PART_MAX);
  if (!buffer) return -ENOMEM;
  while (r >= 0 && supply->first < supply->n && dk_link_waiting(host->link) < WAITING_MAX) {
    struct dk_error why = {0};
    r = send_part(supply, host, buffer, &why);
    if (r == -ENOMEM) return r;
    bool has_ended = r != 0;
    if (r < 0) r = say_gone(supply, host, r != -ENOENT, why.text);
    if (has_ended) next(supply);
  }
  return r < 0 ? r : 0;
}
