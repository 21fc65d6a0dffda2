/* See money.h. */
#include "engine/rent/event.h"

#include <string.h>

#define HOUR (UINT64_C(3600) * 1000000000u)

uint64_t dk_money_for(uint64_t price, uint64_t ns) {
  unsigned __int128 micro = ((unsigned __int128)price * ns + HOUR - 1) / HOUR;

  return micro < UINT64_MAX ? (uint64_t)micro : UINT64_MAX;
}

uint64_t dk_rented_cost(const struct dk_rented *rented, uint64_t unix_ns) {
  bool is_known = *rented->shape.currency && rented->shape.price != DK_RENT_NO_PRICE;
  return is_known && unix_ns > rented->asked_unix_ns
             ? dk_money_for(rented->shape.price, unix_ns - rented->asked_unix_ns)
             : 0;
}

static const struct dk_money *find(const struct dk_purse *purse, const char *currency) {
  for (uint32_t i = 0; i < purse->n; i++)
    if (strcmp(purse->items[i].currency, currency) == 0) return &purse->items[i];
  return NULL;
}

void dk_purse_add(struct dk_purse *purse, const char *currency, uint64_t micro) {
  if (!*currency || micro == 0) return;
  const struct dk_money *there = find(purse, currency);
  if (!there && purse->n == DK_PURSE_MOST) return;
  struct dk_money *item = there ? &purse->items[there - purse->items] : &purse->items[purse->n++];
  if (!there) {
    *item = (struct dk_money){.micro = 0};
    strncpy(item->currency, currency, sizeof item->currency - 1);
  }
  item->micro = micro < UINT64_MAX - item->micro ? item->micro + micro : UINT64_MAX;
}

uint64_t dk_purse_of(const struct dk_purse *purse, const char *currency) {
  const struct dk_money *there = find(purse, currency);

  return there ? there->micro : 0;
}

struct dk_purse dk_purse_since(const struct dk_purse *now, const struct dk_purse *before) {
  struct dk_purse more = {.n = 0};

  for (uint32_t i = 0; i < now->n; i++) {
    uint64_t was = dk_purse_of(before, now->items[i].currency);
    if (now->items[i].micro > was) dk_purse_add(&more, now->items[i].currency, now->items[i].micro - was);
  }
  return more;
}
