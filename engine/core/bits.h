/* A set of numbers 0 .. n-1 with a fast "first member at or after": a bitmap with summary levels (64 to 1 each), 1.02
 * bits a number. Used for the queues of the core: task numbers are the order of priority. */
#ifndef DK_CORE_BITS_H
#define DK_CORE_BITS_H

#include <stdbool.h>
#include <stdint.h>

#define DK_BITS_LEVELS 6 /* 64^6 > 2^32 */

struct dk_bits {
  uint64_t *level[DK_BITS_LEVELS];
  uint32_t n, n_levels, count;
};

int dk_bits_init(struct dk_bits *bits, uint32_t n); /* all empty; 0 or -ENOMEM */
void dk_bits_finish(struct dk_bits *bits);
bool dk_bits_has(const struct dk_bits *bits, uint32_t i);
void dk_bits_add(struct dk_bits *bits, uint32_t i);               /* one that is there already is fine */
void dk_bits_remove(struct dk_bits *bits, uint32_t i);            /* one that is not there is fine */
uint32_t dk_bits_next(const struct dk_bits *bits, uint32_t from); /* first member >= from, or UINT32_MAX */

#endif
