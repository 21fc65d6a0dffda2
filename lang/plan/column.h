/* Columns: reading their codes, and the few whole-column operations that grids are made of.
 *
 * Keeps true: a column of width 0 is a digit of the row number (code = row / stride % card) and costs nothing per row;
 * any other column has one code of 1, 2 or 4 bytes a row. Loops over rows read codes in blocks of DK_BLOCK through
 * dk_column_codes. Operations never write into codes that another grid may share: they make new ones. */
#ifndef DK_PLAN_COLUMN_H
#define DK_PLAN_COLUMN_H

#include "lang/plan/plan.h"

#define DK_BLOCK 1024u

static inline uint32_t dk_code_get(const void *codes, uint8_t width, uint32_t row) {
  if (width == 1) return ((const uint8_t *)codes)[row];
  if (width == 2) return ((const uint16_t *)codes)[row];
  return ((const uint32_t *)codes)[row];
}

static inline void dk_code_put(void *codes, uint8_t width, uint32_t row, uint32_t code) {
  if (width == 1)
    ((uint8_t *)codes)[row] = (uint8_t)code;
  else if (width == 2)
    ((uint16_t *)codes)[row] = (uint16_t)code;
  else
    ((uint32_t *)codes)[row] = code;
}

static inline uint32_t dk_column_code(const struct dk_column *column, uint32_t row) {
  return column->width == 0 ? row / column->stride % column->card : dk_code_get(column->codes, column->width, row);
}

/* Codes of rows first .. first + n - 1; n is at most DK_BLOCK. */
void dk_column_codes(const struct dk_column *column, uint32_t first, uint32_t n, uint32_t *ret);

/* Bytes a code takes: 1, 2 or 4. */
uint8_t dk_column_width(uint32_t card);
void *dk_codes_new(struct dk_arena *arena, uint8_t width, uint32_t rows);

/* `rows` is the number of rows that the column has before the operation. */
void dk_column_stretch(struct dk_arena *arena, struct dk_column *column, uint32_t rows,
                       uint32_t times); /* each row n times */
void dk_column_tile(struct dk_arena *arena, struct dk_column *column, uint32_t rows,
                    uint32_t times); /* all rows, n times over */
void dk_column_spread(struct dk_arena *arena, struct dk_column *column, uint32_t rows, const uint32_t *counts,
                      uint32_t total);
/* Keeps the rows with keep[row] != 0, `kept` of them. */
void dk_column_filter(struct dk_arena *arena, struct dk_column *column, uint32_t rows, const uint8_t *keep,
                      uint32_t kept);
/* A column of rows + more rows, the new ones' codes unset; width fits `card`. */
void dk_column_extend(struct dk_arena *arena, struct dk_column *column, uint32_t rows, uint32_t more, uint32_t card);

/* A growing list of distinct values: value -> code. Two values are the same when their keys are; what the key is (an
 * identity, the value itself) is the caller's choice. */
struct dk_dict {
  struct dk_arena *arena;
  dk_value_id *values, *keys;
  uint32_t count, cap, cap_keys;
  struct dk_map map;
};
void dk_dict_init(struct dk_dict *dict, struct dk_arena *arena);
uint32_t dk_dict_find(const struct dk_dict *dict, dk_value_id key); /* code, or DK_MAP_NONE */
uint32_t dk_dict_add(struct dk_dict *dict, dk_value_id key, dk_value_id value,
                     bool *ret_is_new); /* ret_is_new may be NULL */

#endif
