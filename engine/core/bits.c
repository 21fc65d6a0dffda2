/* Bitmap with summaries: see bits.h. Bit i of level k+1 says that word i of level k is not zero. */
#include "engine/core/bits.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <stddef.h>

static uint32_t words(uint32_t n) {
  return n / 64 + (n % 64 != 0);
}

int dk_bits_init(struct dk_bits *bits, uint32_t n) {
  *bits = (struct dk_bits){.n = n};
  uint32_t size = n;
  do {
    size = words(size);
    bits->level[bits->n_levels] = dk_calloc(size ? size : 1, sizeof(uint64_t));
    if (!bits->level[bits->n_levels]) {
      dk_bits_finish(bits);
      return -ENOMEM;
    }
    bits->n_levels++;
  } while (size > 1);
  return 0;
}

void dk_bits_finish(struct dk_bits *bits) {
  for (uint32_t i = 0; i < bits->n_levels; i++) dk_free(bits->level[i]);
  *bits = (struct dk_bits){0};
}

bool dk_bits_has(const struct dk_bits *bits, uint32_t i) {
  return bits->level[0][i / 64] >> (i % 64) & 1;
}

void dk_bits_add(struct dk_bits *bits, uint32_t i) {
  if (dk_bits_has(bits, i)) return;
  bits->count++;
  for (uint32_t k = 0; k < bits->n_levels; k++, i /= 64) {
    uint64_t old = bits->level[k][i / 64];
    bits->level[k][i / 64] = old | UINT64_C(1) << (i % 64);
    if (old) return;
  }
}

void dk_bits_remove(struct dk_bits *bits, uint32_t i) {
  if (!dk_bits_has(bits, i)) return;
  bits->count--;
  for (uint32_t k = 0; k < bits->n_levels; k++, i /= 64) {
    bits->level[k][i / 64] &= ~(UINT64_C(1) << (i % 64));
    if (bits->level[k][i / 64]) return;
  }
}

uint32_t dk_bits_next(const struct dk_bits *bits, uint32_t from) {
  if (from >= bits->n) return UINT32_MAX;
  uint32_t at = from, k = 0;
  for (;;) { /* up, until a word has a bit at or after `at` */
    uint64_t word = bits->level[k][at / 64] >> (at % 64);
    if (word) {
      at += (uint32_t)__builtin_ctzll(word);
      break;
    }
    if (++k == bits->n_levels) return UINT32_MAX;
    uint64_t following = (uint64_t)at / 64 + 1;
    uint64_t size = bits->n; /* bits on level k */
    for (uint32_t i = 0; i < k; i++) size = words((uint32_t)size);
    if (following >= size) return UINT32_MAX;
    at = (uint32_t)following;
  }
  while (k > 0) { /* down, to the first bit below */
    k--;
    at = at * 64 + (uint32_t)__builtin_ctzll(bits->level[k][at]);
  }
  return at;
}
