/* Cells in columns, for lists on the screen. */
#ifndef DK_CLI_COLUMNS_H
#define DK_CLI_COLUMNS_H

#include "lang/base/buf.h"

struct dk_column_head {
  const char *title;
  bool is_number;   /* to the right */
  bool is_optional; /* left out where no cell says more than "-" */
};

#define DK_COLUMNS_MOST 16u

/* Appends the heads and the rows, two spaces between columns and none behind the last. `cells` is by row, then by
 * column; escaped already. */
void dk_columns_add(struct dk_buf *out, const struct dk_column_head *heads, size_t n_columns, const char *const *cells,
                    size_t n_rows);

#endif
