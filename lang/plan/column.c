/* Columns: see column.h. */
#include "lang/plan/column.h"

#include <assert.h>
#include <string.h>

dk_value_id dk_column_value(const struct dk_column *column, uint32_t row) {
  return column->values[dk_column_code(column, row)];
}

static void digit_codes(const struct dk_column *column, uint32_t first, uint32_t n, uint32_t *ret) {
  uint32_t code = first / column->stride % column->card, left = column->stride - first % column->stride;
  if (column->stride == 1) {
    for (uint32_t i = 0; i < n; i++) {
      ret[i] = code;
      if (++code == column->card) code = 0;
    }
    return;
  }
  for (uint32_t i = 0; i < n;) {
    uint32_t end = left < n - i ? i + left : n;
    while (i < end) ret[i++] = code;
    left = column->stride;
    if (++code == column->card) code = 0;
  }
}

void dk_column_codes(const struct dk_column *column, uint32_t first, uint32_t n, uint32_t *ret) {
  assert(n <= DK_BLOCK);
  switch (column->width) {
  case 0: digit_codes(column, first, n, ret); return;
  case 1: {
    const uint8_t *codes = (const uint8_t *)column->codes + first;
    for (uint32_t i = 0; i < n; i++) ret[i] = codes[i];
    return;
  }
  case 2: {
    const uint16_t *codes = (const uint16_t *)column->codes + first;
    for (uint32_t i = 0; i < n; i++) ret[i] = codes[i];
    return;
  }
  default: memcpy(ret, (const uint32_t *)column->codes + first, n * sizeof *ret); return;
  }
}

uint8_t dk_column_width(uint32_t card) {
  return card <= 1u << 8 ? 1 : card <= 1u << 16 ? 2 : 4;
}

void *dk_codes_new(struct dk_arena *arena, uint8_t width, uint32_t rows) {
  return dk_arena_calloc(arena, rows, width);
}

static void set_codes(struct dk_column *column, uint8_t width, void *codes) {
  column->width = width;
  column->codes = codes;
  column->stride = 1;
}

void dk_column_stretch(struct dk_arena *arena, struct dk_column *column, uint32_t rows, uint32_t times) {
  if (column->width == 0) {
    column->stride *= times;
    return;
  }
  void *codes = dk_codes_new(arena, column->width, rows * times);
  uint32_t at = 0;
  for (uint32_t r = 0; r < rows; r++) {
    uint32_t code = dk_code_get(column->codes, column->width, r);
    for (uint32_t i = 0; i < times; i++) dk_code_put(codes, column->width, at++, code);
  }
  column->codes = codes;
}

void dk_column_tile(struct dk_arena *arena, struct dk_column *column, uint32_t rows, uint32_t times) {
  if (column->width == 0) return; /* rows is a multiple of stride * card, so the digit goes round by itself */
  char *codes = dk_codes_new(arena, column->width, rows * times);
  size_t size = (size_t)rows * column->width;
  for (uint32_t i = 0; size && i < times; i++) memcpy(codes + i * size, column->codes, size);
  column->codes = codes;
}

void dk_column_spread(struct dk_arena *arena, struct dk_column *column, uint32_t rows, const uint32_t *counts,
                      uint32_t total) {
  uint8_t width = dk_column_width(column->card);
  void *codes = dk_codes_new(arena, width, total);
  uint32_t block[DK_BLOCK], at = 0;
  for (uint32_t first = 0; first < rows; first += DK_BLOCK) {
    uint32_t n = rows - first < DK_BLOCK ? rows - first : DK_BLOCK;
    dk_column_codes(column, first, n, block);
    for (uint32_t i = 0; i < n; i++)
      for (uint32_t k = counts[first + i]; k; k--) dk_code_put(codes, width, at++, block[i]);
  }
  assert(at == total);
  set_codes(column, width, codes);
}

void dk_column_filter(struct dk_arena *arena, struct dk_column *column, uint32_t rows, const uint8_t *keep,
                      uint32_t kept) {
  uint8_t width = dk_column_width(column->card);
  void *codes = dk_codes_new(arena, width, kept + 1); /* one more: the loop writes before it knows */
  uint32_t block[DK_BLOCK], at = 0;
  for (uint32_t first = 0; first < rows; first += DK_BLOCK) {
    uint32_t n = rows - first < DK_BLOCK ? rows - first : DK_BLOCK;
    dk_column_codes(column, first, n, block);
    const uint8_t *flags = keep + first;
    if (width == 1) {
      for (uint32_t i = 0; i < n; i++) {
        ((uint8_t *)codes)[at] = (uint8_t)block[i];
        at += flags[i];
      }
    } else {
      for (uint32_t i = 0; i < n; i++) {
        dk_code_put(codes, width, at, block[i]);
        at += flags[i];
      }
    }
  }
  assert(at == kept);
  set_codes(column, width, codes);
}

void dk_column_extend(struct dk_arena *arena, struct dk_column *column, uint32_t rows, uint32_t more, uint32_t card) {
  uint8_t width = dk_column_width(card);
  void *codes = dk_codes_new(arena, width, rows + more);
  uint32_t block[DK_BLOCK];
  for (uint32_t first = 0; first < rows; first += DK_BLOCK) {
    uint32_t n = rows - first < DK_BLOCK ? rows - first : DK_BLOCK;
    dk_column_codes(column, first, n, block);
    for (uint32_t i = 0; i < n; i++) dk_code_put(codes, width, first + i, block[i]);
  }
  set_codes(column, width, codes);
}

void dk_dict_init(struct dk_dict *dict, struct dk_arena *arena) {
  *dict = (struct dk_dict){.arena = arena};
  dk_map_init(&dict->map, arena);
}

static bool equals_key(const void *ctx, uint32_t item, const void *key) {
  return ((const struct dk_dict *)ctx)->keys[item] == *(const dk_value_id *)key;
}

uint32_t dk_dict_find(const struct dk_dict *dict, dk_value_id key) {
  return dk_map_find(&dict->map, dk_hash_u64(key, 0), equals_key, dict, &key);
}

uint32_t dk_dict_add(struct dk_dict *dict, dk_value_id key, dk_value_id value, bool *ret_is_new) {
  uint32_t found = dk_dict_find(dict, key);
  if (ret_is_new) *ret_is_new = found == DK_MAP_NONE;
  if (found != DK_MAP_NONE) return found;
  uint32_t code = dict->count;
  dk_arena_push(dict->arena, dict->values, dict->count, dict->cap) = value;
  uint32_t n_keys = code;
  dk_arena_push(dict->arena, dict->keys, n_keys, dict->cap_keys) = key;
  (void)dk_map_add(&dict->map, dk_hash_u64(key, 0), code); /* an arena's map jumps when memory is short */
  return code;
}
