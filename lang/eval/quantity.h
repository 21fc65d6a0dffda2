/* Quantities as written and as text: sizes, durations, money, rates.
 *
 * Sizes are whole bytes, durations whole nanoseconds, money and rates (an hour) whole millionths of a currency. A
 * literal that is not a whole number of these is an error, never rounded. */
#ifndef DK_EVAL_QUANTITY_H
#define DK_EVAL_QUANTITY_H

#include "lang/eval/value.h"

#define DK_SECOND 1000000000
#define DK_HOUR (3600 * (int64_t)DK_SECOND)
#define DK_MONEY_SCALE 1000000

enum dk_quantity_error {
  DK_QUANTITY_OK,
  DK_QUANTITY_UNIT,  /* unknown unit: *ret_unit .. + *ret_unit_len is it, inside `text` */
  DK_QUANTITY_FINE,  /* finer than the smallest unit */
  DK_QUANTITY_RANGE, /* beyond 64 bits */
  DK_QUANTITY_MIXED, /* parts that do not go together: 1h30GB */
};

struct dk_quantity {
  enum dk_type type;
  uint16_t unit;
  int64_t amount;
};

/* Reads "1h30m", "1.50USD/h", "32GiB". */
enum dk_quantity_error dk_quantity_parse(const char *text, size_t len, struct dk_quantity *ret, const char **ret_unit,
                                         size_t *ret_unit_len);
/* Exact text that reads back: "1h30m", "512MiB", "1.5USD/h". */
void dk_quantity_text(enum dk_type type, uint16_t unit, int64_t amount, struct dk_buf *out);

/* Money for people: "4.9334USD", rounded up to a hundredth of a hundredth where there is more. */
void dk_quantity_money_text(const char *currency, uint64_t millionths, struct dk_buf *out);

/* Every unit's name, for messages and suggestions (currencies are not among them). */
const char *const *dk_quantity_units(uint32_t *ret_n);

/* Three letters A-Z, packed 5 bits each. */
uint16_t dk_currency_pack(const char letters[3]);
void dk_currency_text(uint16_t unit, char ret[4]);

#endif
