/* Hash index with removal: see index.h. */
#include "engine/core/index.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#define INDEX_FIRST 64u

static uint32_t fold(uint64_t hash) {
  return (uint32_t)(hash ^ hash >> 32);
}

void dk_index_init(struct dk_index *index) {
  *index = (struct dk_index){0};
}

void dk_index_finish(struct dk_index *index) {
  dk_free(index->slots);
  dk_index_init(index);
}

uint32_t dk_index_find(const struct dk_index *index, uint64_t hash, dk_index_equal_fn *equal, const void *ctx,
                       const void *key) {
  if (!index->count) return DK_INDEX_NONE;
  uint32_t folded = fold(hash);
  for (uint32_t i = folded & index->mask; index->slots[i].item != DK_INDEX_NONE; i = (i + 1) & index->mask) {
    const struct dk_index_slot *slot = &index->slots[i];
    if (slot->hash == folded && equal(ctx, slot->item, key)) return slot->item;
  }
  return DK_INDEX_NONE;
}

static void place(struct dk_index *index, struct dk_index_slot slot) {
  uint32_t i = slot.hash & index->mask;
  while (index->slots[i].item != DK_INDEX_NONE) i = (i + 1) & index->mask;
  index->slots[i] = slot;
}

static int grow(struct dk_index *index) {
  struct dk_index old = *index;
  uint32_t size = old.slots ? (old.mask + 1) * 2 : INDEX_FIRST;
  if (size == 0) return -ENOMEM;
  struct dk_index_slot *slots = dk_realloc_array(NULL, size, sizeof *slots);
  if (!slots) return -ENOMEM;
  for (uint32_t i = 0; i < size; i++) slots[i] = (struct dk_index_slot){0, DK_INDEX_NONE};
  index->slots = slots;
  index->mask = size - 1;
  for (uint32_t i = 0; old.slots && i <= old.mask; i++) {
    if (old.slots[i].item != DK_INDEX_NONE) place(index, old.slots[i]);
  }
  dk_free(old.slots);
  return 0;
}

int dk_index_add(struct dk_index *index, uint64_t hash, uint32_t item) {
  assert(item != DK_INDEX_NONE);
  if (!index->slots || (uint64_t)(index->count + 1) * 2 > (uint64_t)index->mask + 1) {
    int r = grow(index);
    if (r < 0) return r;
  }
  place(index, (struct dk_index_slot){fold(hash), item});
  index->count++;
  return 0;
}

void dk_index_remove(struct dk_index *index, uint64_t hash, uint32_t item) {
  assert(index->count > 0);
  uint32_t i = fold(hash) & index->mask;
  while (index->slots[i].item != item) {
    assert(index->slots[i].item != DK_INDEX_NONE);
    i = (i + 1) & index->mask;
  }
  /* Knuth, The Art of Computer Programming 3, 6.4, algorithm R: close the hole with what probed over it. */
  for (uint32_t j = (i + 1) & index->mask; index->slots[j].item != DK_INDEX_NONE; j = (j + 1) & index->mask) {
    uint32_t home = index->slots[j].hash & index->mask;
    if (((j - home) & index->mask) >= ((j - i) & index->mask)) {
      index->slots[i] = index->slots[j];
      i = j;
    }
  }
  index->slots[i].item = DK_INDEX_NONE;
  index->count--;
}
