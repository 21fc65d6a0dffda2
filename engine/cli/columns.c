/* See columns.h. */
#include "engine/cli/columns.h"

#include "engine/report/cell.h"

#include <assert.h>
#include <string.h>

static void add_cell(struct dk_buf *out, const struct dk_column_head *head, const char *text, size_t width,
                     bool is_last) {
  size_t columns = dk_text_columns(text, strlen(text)), space = width > columns ? width - columns : 0;

  if (head->is_number) dk_buf_add_repeat(out, ' ', space);
  dk_buf_add_text(out, text);
  if (is_last) return;
  dk_buf_add_repeat(out, ' ', (head->is_number ? 0 : space) + 2);
}

void dk_columns_add(struct dk_buf *out, const struct dk_column_head *heads, size_t n_columns, const char *const *cells,
                    size_t n_rows) {
  size_t widths[DK_COLUMNS_MOST], last = 0;

  assert(n_columns <= DK_COLUMNS_MOST);
  for (size_t c = 0; c < n_columns; c++) {
    bool says = !heads[c].is_optional;
    widths[c] = strlen(heads[c].title);
    for (size_t i = 0; i < n_rows; i++) {
      const char *cell = cells[i * n_columns + c];
      size_t width = dk_text_columns(cell, strlen(cell));
      if (width > widths[c]) widths[c] = width;
      says = says || strcmp(cell, "-") != 0;
    }
    if (!says) widths[c] = 0;
    if (says) last = c;
  }
  for (size_t i = 0; i <= n_rows; i++) {
    for (size_t c = 0; c < n_columns; c++)
      if (widths[c])
        add_cell(out, &heads[c], i ? cells[(i - 1) * n_columns + c] : heads[c].title, widths[c], c == last);
    dk_buf_add_char(out, '\n');
  }
}
