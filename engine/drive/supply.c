/* See supply.h. */
#include "engine/drive/supply.h"

#include "engine/drive/engine_priv.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>
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
}

void dk_supply_finish(struct dk_supply *supply) {
  dk_supply_clear(supply);
  dk_free(supply->items);
  *supply = (struct dk_supply){0};
}

static int grow(struct dk_supply *supply) {
  uint32_t larger = supply->cap ? supply->cap * 2 : 16;
  struct dk_supply_item *items = dk_calloc(larger, sizeof *items);

  if (!items) return -ENOMEM;
  for (uint32_t i = 0; i < supply->n; i++) items[i] = supply->items[(supply->first + i) % supply->cap];
  dk_free(supply->items);
  supply->items = items;
  supply->cap = larger;
  supply->first = 0;
  return 0;
}

int dk_supply_add(struct dk_supply *supply, const struct dk_digest *content, uint64_t offset) {
  if (supply->n == supply->cap && grow(supply) < 0) return -ENOMEM;
  supply->items[(supply->first + supply->n) % supply->cap] = (struct dk_supply_item){*content, offset};
  supply->n++;
  return 0;
}

static void next(struct dk_supply *supply) {
  close_first(supply);
  supply->first = (supply->first + 1) % supply->cap;
  supply->n--;
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

  if (!host->link || !host->session || supply->n == 0) return 0;
  dk_autofree char *buffer = dk_alloc(DK_PART_MAX);
  if (!buffer) return -ENOMEM;
  while (r >= 0 && supply->n > 0 && dk_link_waiting(host->link) < WAITING_MAX) {
    struct dk_error why = {0};
    r = send_part(supply, host, buffer, &why);
    if (r == -ENOMEM) return r;
    bool has_ended = r != 0;
    if (r < 0) r = say_gone(supply, host, r != -ENOENT, why.text);
    if (has_ended) next(supply);
  }
  return r < 0 ? r : 0;
}
