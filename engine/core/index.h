/* A hash index from 64-bit hashes to small item numbers, with removal (lang/base/map.h has none, on purpose). Items
 * live in the caller's array. Open addressing, linear probing, at most 1/2 full; removal shifts back, so there are no
 * tombstones. */
#ifndef DK_CORE_INDEX_H
#define DK_CORE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#define DK_INDEX_NONE UINT32_MAX

struct dk_index_slot {
  uint32_t hash, item;
};
struct dk_index {
  struct dk_index_slot *slots;
  uint32_t mask, count;
};

typedef bool dk_index_equal_fn(const void *ctx, uint32_t item, const void *key);

void dk_index_init(struct dk_index *index);
void dk_index_finish(struct dk_index *index);
/* The first item with this hash for which equal(ctx, item, key) holds, or DK_INDEX_NONE. */
uint32_t dk_index_find(const struct dk_index *index, uint64_t hash, dk_index_equal_fn *equal, const void *ctx,
                       const void *key);
int dk_index_add(struct dk_index *index, uint64_t hash, uint32_t item); /* 0 or -ENOMEM; several of one hash are fine */
void dk_index_remove(struct dk_index *index, uint64_t hash, uint32_t item); /* must be there */

#endif
