/* Text in columns: how wide a text is on a terminal, padding, cutting, and times as a clock shows them. */
#ifndef DK_REPORT_CELL_H
#define DK_REPORT_CELL_H

#include "lang/base/buf.h"

/* Columns that well-formed UTF-8 takes: 0 for combining marks, 2 for East Asian wide characters and emoji, 1 for the
 * rest (a bad byte too). Good enough for names and values; no locale is asked. */
uint32_t dk_text_columns(const char *text, size_t len);
/* Appends at most `width` columns of it; what does not fit ends in "..." (or is just cut below 8 columns). Returns the
 * columns taken. */
uint32_t dk_cell_cut(struct dk_buf *out, const char *text, size_t len, uint32_t width);
/* The same, padded with spaces to exactly `width` columns. */
void dk_cell_left(struct dk_buf *out, const char *text, size_t len, uint32_t width);
void dk_cell_right(struct dk_buf *out, const char *text, size_t len, uint32_t width);

/* "0:06", "12:34", "1:02:03", "2d 03:04:05". */
void dk_clock_text(uint64_t nanoseconds, struct dk_buf *out);

/* SGR colours used for states; "" unless `color`. */
enum dk_paint {
  DK_PAINT_NONE,
  DK_PAINT_BOLD,
  DK_PAINT_DIM,
  DK_PAINT_RED,
  DK_PAINT_GREEN,
  DK_PAINT_YELLOW,
  DK_PAINT_CYAN
};
const char *dk_paint_on(bool color, enum dk_paint paint);
const char *dk_paint_off(bool color);

#endif
