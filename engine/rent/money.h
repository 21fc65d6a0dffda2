/* What machines cost: amounts in any number of currencies, as the prices of shapes have them. Plain data.
 *
 * What is reckoned is a price times how long a machine is there, from its record on: what a cloud bills may be less (it
 * begins later, and ends before people know) or more (traffic, addresses, disks of their own). */
#ifndef DK_RENT_MONEY_H
#define DK_RENT_MONEY_H

#include <stdint.h>

#define DK_CURRENCY 4u /* bytes of "USD", NUL included */
#define DK_PURSE_MOST 16u

struct dk_money {
  char currency[DK_CURRENCY];
  uint64_t micro; /* millionths */
};

/* At most one amount of each currency, none that is 0. What is of more currencies than fit is left out. */
struct dk_purse {
  struct dk_money items[DK_PURSE_MOST];
  uint32_t n;
};

/* A price for an hour, for so long; rounded up, UINT64_MAX when it is more than that. */
uint64_t dk_money_for(uint64_t price, uint64_t ns);
/* Amounts that are too large stay at UINT64_MAX. Of no currency ("") or no amount: nothing is added. */
void dk_purse_add(struct dk_purse *purse, const char *currency, uint64_t micro);
uint64_t dk_purse_of(const struct dk_purse *purse, const char *currency); /* 0: there is none */
/* What `now` has more than `before`; never less than nothing. */
struct dk_purse dk_purse_since(const struct dk_purse *now, const struct dk_purse *before);

#endif
