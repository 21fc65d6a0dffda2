/* The one hash map: finds 32-bit item numbers by a hash and an equality the caller gives. Items live in the caller's
 * own array; the map stores (hash, item). Open addressing, linear probing, power of two, at most 3/4 full. No removal
 * other than dk_map_clear (no user needs it).
 *
 * Memory: from `arena` when that is set (out of memory jumps), else from the heap (-ENOMEM). */
#ifndef DK_BASE_MAP_H
#define DK_BASE_MAP_H

#include "lang/base/arena.h"

#include <stdbool.h>
#include <stdint.h>

#define DK_MAP_NONE UINT32_MAX

struct dk_map_slot {
  uint32_t hash, item;
};

struct dk_map {
  struct dk_map_slot *slots;
  uint32_t mask, count;
  struct dk_arena *arena; /* NULL: heap */
};

typedef bool dk_map_equal_fn(const void *ctx, uint32_t item, const void *key);

void dk_map_init(struct dk_map *map, struct dk_arena *arena);
void dk_map_finish(struct dk_map *map);
void dk_map_clear(struct dk_map *map);
/* The item with this hash for which equal(ctx, item, key) holds, or DK_MAP_NONE. */
uint32_t dk_map_find(const struct dk_map *map, uint64_t hash, dk_map_equal_fn *equal, const void *ctx, const void *key);
/* Adds an item that is not there. 0 or -ENOMEM (heap maps only; nothing changed). */
int dk_map_add(struct dk_map *map, uint64_t hash, uint32_t item);

/* 64-bit hash of bytes; the same on every machine and run (no seed: inputs are bounded by the language's limits).
 * wyhash-like mix of 8-byte words; not cryptographic. */
uint64_t dk_hash_bytes(const void *data, size_t len, uint64_t seed);
uint64_t dk_hash_u64(uint64_t value, uint64_t seed);

#endif
