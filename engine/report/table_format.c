/* Writing a table: aligned text, Markdown, CSV (RFC 4180, with \n), JSON. */
#include "engine/report/cell.h"
#include "engine/report/json.h"
#include "engine/report/table_priv.h"
#include "lang/base/alloc.h"

#include <string.h>

bool dk_table_format_find(const char *name, enum dk_table_format *ret) {
  static const char *const names[] = {"text", "csv", "json", "md"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(name, names[i]) == 0) {
      *ret = (enum dk_table_format)i;
      return true;
    }
  }
  return false;
}

/* A cell as people see it. */
static void add_shown(const struct table_cells *t, const struct cell *cell, struct dk_buf *out) {
  switch (cell->kind) {
  case CELL_BLANK: break;
  case CELL_MISSING: dk_buf_add_char(out, '-'); break;
  case CELL_FAILED: dk_buf_add_text(out, "failed"); break;
  default: dk_buf_add_escaped(out, cell_text(t, cell), cell->len); break;
  }
}

/* Numbers are set right; so is a column of them with holes. */
static bool is_number_column(const struct table_cells *t, uint32_t column) {
  bool any = false;
  for (uint32_t r = 0; r < t->n_rows; r++) {
    enum cell_kind kind = table_cell(t, r, column)->kind;
    if (kind == CELL_TEXT) {
      return false;
    }
    any |= kind == CELL_NUMBER;
  }
  return any;
}

static uint32_t column_width(const struct table_cells *t, uint32_t column) {
  const char *title = t->columns[column].title;
  uint32_t width = dk_text_columns(title, strlen(title));
  dk_autobuf text = DK_BUF_INIT;
  for (uint32_t r = 0; r < t->n_rows; r++) {
    dk_buf_truncate(&text, 0);
    add_shown(t, table_cell(t, r, column), &text);
    uint32_t w = dk_text_columns(dk_buf_text(&text), text.len);
    width = w > width ? w : width;
  }
  return width;
}

static void add_aligned(struct dk_buf *out, const char *text, size_t len, uint32_t width, bool right, bool last) {
  if (right) {
    dk_cell_right(out, text, len, width);
  } else if (last) {
    dk_buf_add(out, text, len); /* no spaces at the end of a line */
  } else {
    dk_cell_left(out, text, len, width);
  }
}

struct layout {
  uint32_t width;
  bool right;
};

static struct layout *make_layout(const struct table_cells *t) {
  struct layout *layout = dk_calloc(t->n_columns, sizeof *layout);
  for (uint32_t c = 0; layout && c < t->n_columns; c++) {
    layout[c] = (struct layout){column_width(t, c), is_number_column(t, c)};
  }
  return layout;
}

static void text_row(const struct table_cells *t, const struct layout *layout, uint32_t r, bool color,
                     struct dk_buf *out) {
  dk_autobuf text = DK_BUF_INIT;
  for (uint32_t c = 0; c < t->n_columns; c++) {
    const struct cell *cell = table_cell(t, r, c);
    bool red = color && cell->kind == CELL_FAILED;
    dk_buf_truncate(&text, 0);
    add_shown(t, cell, &text);
    dk_buf_inherit(out, &text);
    dk_buf_add_text(out, c ? "  " : "");
    dk_buf_add_text(out, dk_paint_on(red, DK_PAINT_RED));
    add_aligned(out, dk_buf_text(&text), text.len, layout[c].width, layout[c].right, c + 1 == t->n_columns);
    dk_buf_add_text(out, dk_paint_off(red));
  }
  dk_buf_add_char(out, '\n');
}

static void add_unfinished(const struct table_cells *t, struct dk_buf *out) {
  uint64_t all = t->n_unfinished + t->n_rows;
  dk_buf_printf(out, "%llu of %llu point%s %s not ended", (unsigned long long)t->n_unfinished, (unsigned long long)all,
                all == 1 ? "" : "s", t->n_unfinished == 1 ? "has" : "have");
}

void dk_table_format_text(const struct table_cells *t, bool color, struct dk_buf *out) {
  dk_autofree struct layout *layout = make_layout(t);
  if (!layout) {
    out->failed = true;
    return;
  }
  if (t->title) {
    dk_buf_add_text(out, dk_paint_on(color, DK_PAINT_BOLD));
    dk_buf_add_escaped(out, t->title, strlen(t->title));
    dk_buf_add_text(out, dk_paint_off(color));
    dk_buf_add_char(out, '\n');
  }
  dk_buf_add_text(out, dk_paint_on(color, DK_PAINT_DIM));
  for (uint32_t c = 0; c < t->n_columns; c++) {
    const char *title = t->columns[c].title;
    dk_buf_add_text(out, c ? "  " : "");
    add_aligned(out, title, strlen(title), layout[c].width, layout[c].right, c + 1 == t->n_columns);
  }
  dk_buf_add_text(out, dk_paint_off(color));
  dk_buf_add_char(out, '\n');
  for (uint32_t r = 0; r < t->n_rows; r++) {
    text_row(t, layout, r, color, out);
  }
  if (t->n_unfinished) {
    dk_buf_add_char(out, '(');
    add_unfinished(t, out);
    dk_buf_add_text(out, ")\n");
  }
}

static void add_md(struct dk_buf *out, const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (text[i] == '|' || text[i] == '\\' || text[i] == '*' || text[i] == '_' || text[i] == '`' || text[i] == '<') {
      dk_buf_add_char(out, '\\');
    }
    dk_buf_add_char(out, text[i]);
  }
}

void dk_table_format_md(const struct table_cells *t, struct dk_buf *out) {
  dk_autobuf text = DK_BUF_INIT;
  if (t->title) {
    dk_buf_add_escaped(&text, t->title, strlen(t->title));
    dk_buf_add_text(out, "### ");
    add_md(out, dk_buf_text(&text), text.len);
    dk_buf_add_text(out, "\n\n");
  }
  dk_buf_add_char(out, '|');
  for (uint32_t c = 0; c < t->n_columns; c++) {
    dk_buf_add_char(out, ' ');
    add_md(out, t->columns[c].title, strlen(t->columns[c].title));
    dk_buf_add_text(out, " |");
  }
  dk_buf_add_text(out, "\n|");
  for (uint32_t c = 0; c < t->n_columns; c++) {
    dk_buf_add_text(out, is_number_column(t, c) ? " ---: |" : " --- |");
  }
  dk_buf_add_char(out, '\n');
  for (uint32_t r = 0; r < t->n_rows; r++) {
    dk_buf_add_char(out, '|');
    for (uint32_t c = 0; c < t->n_columns; c++) {
      dk_buf_truncate(&text, 0);
      add_shown(t, table_cell(t, r, c), &text);
      dk_buf_add_char(out, ' ');
      add_md(out, dk_buf_text(&text), text.len);
      dk_buf_add_text(out, " |");
    }
    dk_buf_add_char(out, '\n');
  }
  if (t->n_unfinished) {
    dk_buf_add_char(out, '\n');
    add_unfinished(t, out);
    dk_buf_add_char(out, '\n');
  }
}

static void add_csv(struct dk_buf *out, const char *text, size_t len) {
  bool quote = false;
  for (size_t i = 0; i < len && !quote; i++) {
    quote = text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
  }
  if (!quote) {
    dk_buf_add(out, text, len);
    return;
  }
  dk_buf_add_char(out, '"');
  for (size_t i = 0; i < len; i++) {
    dk_buf_add_text(out, text[i] == '"' ? "\"" : "");
    dk_buf_add_char(out, text[i]);
  }
  dk_buf_add_char(out, '"');
}

void dk_table_format_csv(const struct table_cells *t, struct dk_buf *out) {
  for (uint32_t c = 0; c < t->n_columns; c++) {
    dk_buf_add_text(out, c ? "," : "");
    add_csv(out, t->columns[c].title, strlen(t->columns[c].title));
  }
  dk_buf_add_char(out, '\n');
  for (uint32_t r = 0; r < t->n_rows; r++) {
    for (uint32_t c = 0; c < t->n_columns; c++) {
      const struct cell *cell = table_cell(t, r, c);
      dk_buf_add_text(out, c ? "," : "");
      if (cell->kind >= CELL_NUMBER) {
        add_csv(out, cell_text(t, cell), cell->len);
      }
    }
    dk_buf_add_char(out, '\n');
  }
}

static void json_row(const struct dk_row_source *rows, const struct table_cells *t, uint32_t r, struct dk_buf *out) {
  dk_autobuf name = DK_BUF_INIT;
  uint32_t task = t->rows[r].task;
  dk_plan_task_name(rows->plan, task, &name);
  dk_buf_inherit(out, &name);
  dk_buf_add_text(out, "{\"task\":");
  dk_json_add_string(out, dk_buf_text(&name), name.len);
  dk_buf_printf(out, ",\"id\":\"t%u\",\"state\":\"%s\",\"cells\":{", task + 1,
                dk_task_state_word(rows->tasks[task].state));
  for (uint32_t c = 0; c < t->n_columns; c++) {
    const struct cell *cell = table_cell(t, r, c);
    dk_buf_add_text(out, c ? "," : "");
    dk_json_add_string(out, t->columns[c].title, strlen(t->columns[c].title));
    dk_buf_add_char(out, ':');
    if (cell->kind == CELL_NUMBER) {
      dk_json_add_number_text(out, cell_text(t, cell), cell->len);
    } else if (cell->kind == CELL_TEXT) {
      dk_json_add_string(out, cell_text(t, cell), cell->len);
    } else {
      dk_buf_add_text(out, "null");
    }
  }
  dk_buf_add_text(out, "}}");
}

void dk_table_format_json(const struct dk_row_source *rows, const struct table_cells *t, struct dk_buf *out) {
  dk_buf_add_text(out, "{\"title\":");
  if (t->title) {
    dk_json_add_string(out, t->title, strlen(t->title));
  } else {
    dk_buf_add_text(out, "null");
  }
  dk_buf_add_text(out, ",\"columns\":[");
  for (uint32_t c = 0; c < t->n_columns; c++) {
    dk_buf_add_text(out, c ? "," : "");
    dk_json_add_string(out, t->columns[c].title, strlen(t->columns[c].title));
  }
  dk_buf_add_text(out, "],\"rows\":[");
  for (uint32_t r = 0; r < t->n_rows; r++) {
    dk_buf_add_text(out, r ? ",\n" : "\n");
    json_row(rows, t, r, out);
  }
  dk_buf_printf(out, "],\"unfinished\":%llu}", (unsigned long long)t->n_unfinished);
}
