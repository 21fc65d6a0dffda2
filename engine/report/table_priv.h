/* A table with its cells computed, between table.c (what stands in it) and table_format.c (how it is written). */
#ifndef DK_REPORT_TABLE_PRIV_H
#define DK_REPORT_TABLE_PRIV_H

#include "engine/report/table.h"

enum cell_kind {
  CELL_BLANK,   /* the row's template has no such column or metric */
  CELL_MISSING, /* it has, without a value (yet) */
  CELL_FAILED,  /* its task failed */
  CELL_NUMBER,
  CELL_TEXT,
};

struct cell {
  enum cell_kind kind;
  size_t off, len; /* in table_cells.text */
  double number;   /* NUMBER: for sorting */
};

struct table_row {
  uint32_t task, template_index, row;
  uint32_t cells; /* index of its first cell */
};

struct table_cells {
  const char *title; /* NULL: none */
  const struct dk_table_column *columns;
  uint32_t n_columns;
  struct table_row *rows;
  uint32_t n_rows;
  struct cell *cells;
  struct dk_buf text;
  uint64_t n_unfinished; /* points left out: they did not end, were not run or cancelled */
};

static inline const struct cell *table_cell(const struct table_cells *t, uint32_t row, uint32_t column) {
  return &t->cells[t->rows[row].cells + column];
}
static inline const char *cell_text(const struct table_cells *t, const struct cell *cell) {
  return dk_buf_text(&t->text) + cell->off;
}

void dk_table_format_text(const struct table_cells *t, bool color, struct dk_buf *out);
void dk_table_format_md(const struct table_cells *t, struct dk_buf *out);
void dk_table_format_csv(const struct table_cells *t, struct dk_buf *out);
void dk_table_format_json(const struct dk_row_source *rows, const struct table_cells *t, struct dk_buf *out);

#endif
