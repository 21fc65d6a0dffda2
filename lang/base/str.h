/* Interned strings of one compilation: equal text, equal pointer. */
#ifndef DK_BASE_STR_H
#define DK_BASE_STR_H

#include "lang/base/map.h"

struct dk_str {
  uint32_t id;  /* 0, 1, 2 ... in order of first use */
  uint32_t len; /* bytes, without the NUL */
  char text[];  /* may hold any byte; NUL-terminated */
};

struct dk_strs {
  struct dk_arena *arena;
  struct dk_map map;
  const struct dk_str **items;
  uint32_t count, cap;
};

void dk_strs_init(struct dk_strs *strs, struct dk_arena *arena);
const struct dk_str *dk_intern(struct dk_strs *strs, const char *text, size_t len);
const struct dk_str *dk_intern_text(struct dk_strs *strs, const char *text);
/* The candidate nearest to `name` by Damerau-Levenshtein distance (at most 1 for names up to 3 bytes, 2 up to 7, 3
 * beyond), or NULL. For "did you mean". */
const char *dk_nearest(const char *name, const char *const *candidates, size_t n);

#endif
