/* Interned strings and the nearest name: see str.h. */
#include "lang/base/str.h"

#include <string.h>

void dk_strs_init(struct dk_strs *strs, struct dk_arena *arena) {
  *strs = (struct dk_strs){.arena = arena};
  dk_map_init(&strs->map, arena);
}

struct key {
  const char *text;
  size_t len;
};

static bool is_equal(const void *ctx, uint32_t item, const void *key) {
  const struct dk_strs *strs = ctx;
  const struct key *wanted = key;
  const struct dk_str *str = strs->items[item];
  return str->len == wanted->len && memcmp(str->text, wanted->text, wanted->len) == 0;
}

const struct dk_str *dk_intern(struct dk_strs *strs, const char *text, size_t len) {
  struct key key = {len ? text : "", len};
  uint64_t hash = dk_hash_bytes(key.text, len, 0);
  uint32_t found = dk_map_find(&strs->map, hash, is_equal, strs, &key);
  if (found != DK_MAP_NONE) return strs->items[found];

  /* A string of 4 GiB, or the 2^32nd one, ends as "out of memory". */
  size_t n = len < UINT32_MAX && strs->count < DK_MAP_NONE ? len : SIZE_MAX - sizeof(struct dk_str) - 1;
  struct dk_str *str = dk_arena_alloc(strs->arena, sizeof *str + n + 1);
  str->id = strs->count;
  str->len = (uint32_t)len;
  memcpy(str->text, key.text, len);
  dk_arena_push(strs->arena, strs->items, strs->count, strs->cap) = str;
  dk_map_add(&strs->map, hash, str->id);
  return str;
}

const struct dk_str *dk_intern_text(struct dk_strs *strs, const char *text) {
  return dk_intern(strs, text, strlen(text));
}

#define NEAREST_MAX 64 /* bytes of a name; longer ones get no suggestion */

static unsigned min2(unsigned a, unsigned b) {
  return a < b ? a : b;
}

/* Optimal string alignment: insert, delete, replace, or swap two neighbours, each for 1. Both at most NEAREST_MAX. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len) {
  unsigned rows[3][NEAREST_MAX + 1];
  unsigned *before = rows[0], *last = rows[1], *row = rows[2];
  for (unsigned j = 0; j <= b_len; j++) last[j] = before[j] = j;
  for (unsigned i = 1; i <= a_len; i++) {
    row[0] = i;
    for (unsigned j = 1; j <= b_len; j++) {
      row[j] = min2(last[j - 1] + (a[i - 1] != b[j - 1]), min2(last[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = min2(row[j], before[j - 2] + 1);
    }
    unsigned *free_row = before;
    before = last;
    last = row;
    row = free_row;
  }
  return last[b_len];
}

const char *dk_nearest(const char *name, const char *const *candidates, size_t n) {
  size_t len = strlen(name);
  unsigned limit = len <= 3 ? 1 : len <= 7 ? 2 : 3;
  const char *best = NULL;
  if (len > NEAREST_MAX) return NULL;
  for (size_t i = 0; i < n; i++) {
    size_t other = strlen(candidates[i]);
    if (other > NEAREST_MAX || other > len + limit || len > other + limit) continue;
    unsigned d = distance(name, len, candidates[i], other);
    /* Two names with no byte in common are not near, however short they are. */
    if (d > limit || d >= (len > other ? len : other)) continue;
    best = candidates[i];
    if (d == 0) break;
    limit = d - 1; /* of equally near ones the first stays */
  }
  return best;
}
