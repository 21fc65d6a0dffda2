/* One line of a source as a terminal shows it: tabs expanded, what cannot be shown escaped, cells counted. */
#ifndef DK_DIAG_LINE_H
#define DK_DIAG_LINE_H

#include "lang/base/buf.h"
#include "lang/diag/source.h"

struct dk_line {
  const char *text; /* the line's bytes, without the line end (and without a CR before it) */
  uint32_t len;
};

struct dk_line dk_line_get(const struct dk_source *source, uint32_t number); /* 1-based */
/* Cells taken by the first `len` bytes: East Asian wide characters take two, combining marks none, an escape its
 * length. */
uint32_t dk_line_cells(struct dk_line line, uint32_t len);
/* The cells [from, to) of the shown line. A character that is cut in two is shown as spaces. */
void dk_line_show(struct dk_line line, uint32_t from, uint32_t to, struct dk_buf *out);

#endif
