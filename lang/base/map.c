/* The hash map and the hash: see map.h. An empty slot has the item DK_MAP_NONE. */
#include "lang/base/map.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#define MAP_FIRST 16

void dk_map_init(struct dk_map *map, struct dk_arena *arena) {
  *map = (struct dk_map){.arena = arena};
}

void dk_map_finish(struct dk_map *map) {
  if (!map->arena) dk_free(map->slots);
  dk_map_init(map, map->arena);
}

static void empty(struct dk_map_slot *slots, size_t n) {
  for (size_t i = 0; i < n; i++) slots[i] = (struct dk_map_slot){0, DK_MAP_NONE};
}

void dk_map_clear(struct dk_map *map) {
  if (map->slots) empty(map->slots, (size_t)map->mask + 1);
  map->count = 0;
}

static uint32_t fold(uint64_t hash) {
  return (uint32_t)(hash ^ hash >> 32);
}

uint32_t dk_map_find(const struct dk_map *map, uint64_t hash, dk_map_equal_fn *equal, const void *ctx,
                     const void *key) {
  if (map->count == 0) return DK_MAP_NONE;
  uint32_t folded = fold(hash);
  for (uint32_t i = folded & map->mask; map->slots[i].item != DK_MAP_NONE; i = (i + 1) & map->mask) {
    if (map->slots[i].hash == folded && equal(ctx, map->slots[i].item, key)) return map->slots[i].item;
  }
  return DK_MAP_NONE;
}

static void place(struct dk_map_slot *slots, uint32_t mask, struct dk_map_slot slot) {
  uint32_t i = slot.hash & mask;
  while (slots[i].item != DK_MAP_NONE) i = (i + 1) & mask;
  slots[i] = slot;
}

static int grow(struct dk_map *map) {
  size_t n = map->slots ? (size_t)map->mask + 1 : 0;
  size_t larger = n ? n * 2 : MAP_FIRST;
  if (larger > (size_t)UINT32_MAX + 1) return -ENOMEM;
  struct dk_map_slot *slots = map->arena ? dk_arena_array(map->arena, struct dk_map_slot, larger)
                                         : dk_realloc_array(NULL, larger, sizeof *slots);
  if (!slots) return -ENOMEM;
  empty(slots, larger);
  uint32_t mask = (uint32_t)(larger - 1);
  for (size_t i = 0; i < n; i++) {
    if (map->slots[i].item != DK_MAP_NONE) place(slots, mask, map->slots[i]);
  }
  if (!map->arena) dk_free(map->slots);
  map->slots = slots;
  map->mask = mask;
  return 0;
}

int dk_map_add(struct dk_map *map, uint64_t hash, uint32_t item) {
  assert(item != DK_MAP_NONE);
  size_t n = map->slots ? (size_t)map->mask + 1 : 0;
  if (!map->slots || ((size_t)map->count + 1) * 4 > n * 3) {
    int r = grow(map);
    if (r < 0) return r;
  }
  place(map->slots, map->mask, (struct dk_map_slot){fold(hash), item});
  map->count++;
  return 0;
}

/* The two odd constants are wyhash's (Wang Yi, public domain); the mix is the folded 64 x 64 -> 128 bit product. */
#define HASH_A 0xa0761d6478bd642full
#define HASH_B 0xe7037ed1a0b428dbull

static uint64_t mix(uint64_t a, uint64_t b) {
  unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The sum keeps what came before even where the product is zero. */
static uint64_t step(uint64_t hash, uint64_t word) {
  return (hash << 29 | hash >> 35) + mix(word ^ HASH_A, hash ^ HASH_B);
}

uint64_t dk_hash_bytes(const void *data, size_t len, uint64_t seed) {
  const unsigned char *at = data;
  uint64_t hash = seed ^ HASH_A, word;
  size_t n = len;
  for (; n >= 8; n -= 8, at += 8) {
    memcpy(&word, at, 8);
    hash = step(hash, le64toh(word));
  }
  word = 0;
  for (size_t i = 0; i < n; i++) word |= (uint64_t)at[i] << (8 * i);
  hash = step(hash, word);
  return mix(hash ^ HASH_A, (uint64_t)len ^ HASH_B);
}

uint64_t dk_hash_u64(uint64_t value, uint64_t seed) {
  return mix(step(seed ^ HASH_A, value) ^ HASH_A, HASH_B);
}
