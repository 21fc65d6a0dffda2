/* Diagnostics as text for people, in the form of docs/language.md, section Errors.
 *
 * Each place gets a row of its own under its line, so rows never collide. A place of several lines is marked at its
 * first and its last line. Long lines are cut to a window around what is marked. Nothing from a file reaches the
 * terminal raw. */
#include "lang/diag/diag.h"
#include "lang/diag/line.h"

#include <stdlib.h>
#include <string.h>

#define LINE_CELLS 150 /* of source text; with the gutter about 160 columns */
#define LINE_BEFORE 50 /* cells kept before what is marked, in a line that is cut */

#define SGR_RESET "\033[0m"
#define SGR_BOLD "\033[1m"
#define SGR_ERROR "\033[1;31m"
#define SGR_WARNING "\033[1;33m"
#define SGR_GUTTER "\033[1;34m"
#define SGR_HELP "\033[1;32m"

/* A row of ^ or - under a line. */
struct mark {
  const struct dk_source *source;
  uint32_t line, from, to; /* from and to in cells */
  uint32_t order;          /* 0: the primary place; then labels as they were added */
  const char *text;
};

struct marks {
  struct mark *items;
  uint32_t count, cap;
};

struct renderer {
  const struct dk_diags *diags;
  struct dk_buf *out;
  bool color;
  unsigned gutter; /* digits of the largest line number */
  const char *main_sgr;
};

static void sgr(const struct renderer *r, const char *code) {
  if (r->color) dk_buf_add_text(r->out, code);
}

static void add_escaped(const struct renderer *r, const char *text) {
  dk_buf_add_escaped(r->out, text, strlen(text));
}

static void add_mark(const struct renderer *r, struct marks *marks, struct dk_place place, uint32_t from_offset,
                     uint32_t to_offset, uint32_t order, const char *text) {
  struct dk_line line = dk_line_get(place.source, place.line);
  uint32_t start = place.source->lines[place.line - 1];
  struct mark mark = {.source = place.source, .line = place.line, .order = order, .text = text};
  mark.from = dk_line_cells(line, from_offset - start);
  mark.to = dk_line_cells(line, to_offset - start);
  if (from_offset - start > line.len) mark.from++; /* the line end itself */
  if (mark.to <= mark.from) mark.to = mark.from + 1;
  dk_arena_push(r->diags->arena, marks->items, marks->count, marks->cap) = mark;
}

static void add_span(const struct renderer *r, struct marks *marks, struct dk_span span, uint32_t order,
                     const char *text) {
  struct dk_place first = dk_sources_place(r->diags->sources, span.start);
  if (!first.source) return;
  uint32_t end = span.end > span.start ? span.end : span.start;
  struct dk_place last = dk_sources_place(r->diags->sources, end);
  if (last.source != first.source) last = first;
  /* A span that ends with a line end belongs to the line before. */
  if (last.line > first.line && last.offset == last.source->lines[last.line - 1])
    last = dk_sources_place(r->diags->sources, last.source->base + last.offset - 1);
  if (first.line == last.line) {
    add_mark(r, marks, first, first.offset, last.offset, order, text);
    return;
  }
  struct dk_line line = dk_line_get(first.source, first.line);
  add_mark(r, marks, first, first.offset, first.source->lines[first.line - 1] + line.len, order, NULL);
  line = dk_line_get(last.source, last.line);
  uint32_t blanks = 0;
  while (blanks < line.len && (line.text[blanks] == ' ' || line.text[blanks] == '\t')) blanks++;
  uint32_t start = last.source->lines[last.line - 1];
  add_mark(r, marks, last, start + blanks < last.offset ? start + blanks : start, last.offset, order, text);
}

static int compare_marks(const void *left, const void *right) {
  const struct mark *a = left, *b = right;
  if (a->source != b->source) return a->source->base < b->source->base ? -1 : 1;
  if (a->line != b->line) return a->line < b->line ? -1 : 1;
  if (a->order != b->order) return a->order < b->order ? -1 : 1;
  return 0;
}

static void show_bar(const struct renderer *r) {
  sgr(r, SGR_GUTTER);
  dk_buf_add_repeat(r->out, ' ', r->gutter + 1);
  dk_buf_add_char(r->out, '|');
  sgr(r, SGR_RESET);
}

static void show_place(const struct renderer *r, const char *arrow, struct dk_place place) {
  sgr(r, SGR_GUTTER);
  dk_buf_add_repeat(r->out, ' ', r->gutter);
  dk_buf_add_text(r->out, arrow);
  sgr(r, SGR_RESET);
  dk_buf_add_char(r->out, ' ');
  add_escaped(r, place.source->path);
  dk_buf_printf(r->out, ":%u:%u\n", place.line, place.column);
  show_bar(r);
  dk_buf_add_char(r->out, '\n');
}

static void show_mark(const struct renderer *r, const struct mark *mark, uint32_t window, uint32_t window_end,
                      uint32_t lead) {
  show_bar(r);
  uint32_t from = mark->from > window ? mark->from : window, to = mark->to < window_end ? mark->to : window_end;
  if (from >= window_end) from = window_end - 1;
  if (to <= from) to = from + 1;
  dk_buf_add_repeat(r->out, ' ', 1 + lead + from - window);
  sgr(r, mark->order == 0 ? r->main_sgr : SGR_GUTTER);
  dk_buf_add_repeat(r->out, mark->order == 0 ? '^' : '-', to - from);
  if (mark->text && mark->text[0]) {
    dk_buf_add_char(r->out, ' ');
    add_escaped(r, mark->text);
  }
  sgr(r, SGR_RESET);
  dk_buf_add_char(r->out, '\n');
}

/* A line without marks, between two that have some. */
static void show_text(const struct renderer *r, const struct dk_source *source, uint32_t number) {
  struct dk_line line = dk_line_get(source, number);
  sgr(r, SGR_GUTTER);
  dk_buf_printf(r->out, "%*u |", (int)r->gutter, number);
  sgr(r, SGR_RESET);
  if (line.len > 0) dk_buf_add_char(r->out, ' ');
  dk_line_show(line, 0, LINE_CELLS, r->out);
  dk_buf_add_char(r->out, '\n');
}

/* One line of source and the rows of its marks[0..n). */
static void show_line(const struct renderer *r, const struct mark *marks, uint32_t n) {
  struct dk_line line = dk_line_get(marks->source, marks->line);
  uint32_t cells = dk_line_cells(line, line.len), window = 0, window_end = UINT32_MAX, lead = 0;
  if (cells > LINE_CELLS) {
    uint32_t from = marks->from < cells ? marks->from : cells;
    if (from > LINE_CELLS - LINE_BEFORE) window = from - LINE_BEFORE;
    window_end = window + LINE_CELLS;
    lead = window > 0 ? 3 : 0;
  }
  sgr(r, SGR_GUTTER);
  dk_buf_printf(r->out, "%*u |", (int)r->gutter, marks->line);
  sgr(r, SGR_RESET);
  if (line.len > 0) {
    dk_buf_add_char(r->out, ' ');
    if (lead) dk_buf_add_text(r->out, "...");
    dk_line_show(line, window, window_end, r->out);
    if (cells > window_end) dk_buf_add_text(r->out, "...");
  }
  dk_buf_add_char(r->out, '\n');
  for (uint32_t i = 0; i < n; i++) show_mark(r, &marks[i], window, window_end, lead);
}

static void show_marks(struct renderer *r, const struct marks *marks, const struct dk_source *source) {
  uint32_t last_line = 0;
  for (uint32_t i = 0; i < marks->count;) {
    uint32_t n = 1;
    const struct mark *mark = &marks->items[i];
    while (i + n < marks->count && mark[n].source == mark->source && mark[n].line == mark->line) n++;
    i += n;
    if (mark->source != source) continue;
    if (last_line != 0 && mark->line == last_line + 2) {
      show_text(r, source, last_line + 1);
    } else if (last_line != 0 && mark->line > last_line + 2) {
      sgr(r, SGR_GUTTER);
      dk_buf_add_text(r->out, "...\n");
      sgr(r, SGR_RESET);
    }
    show_line(r, mark, n);
    last_line = mark->line;
  }
}

static void show_sources(struct renderer *r, const struct marks *marks, const struct dk_diag *diag) {
  struct dk_place place = dk_sources_place(r->diags->sources, diag->span.start);
  if (place.source) {
    show_place(r, "-->", place);
    show_marks(r, marks, place.source);
  }
  for (uint32_t i = 0; i < diag->n_labels; i++) {
    struct dk_place other = dk_sources_place(r->diags->sources, diag->labels[i].span.start);
    if (!other.source || other.source == place.source) continue;
    bool seen = false;
    for (uint32_t j = 0; j < i && !seen; j++)
      seen = dk_sources_place(r->diags->sources, diag->labels[j].span.start).source == other.source;
    if (seen) continue;
    show_place(r, ":::", other);
    show_marks(r, marks, other.source);
  }
}

/* A text of several lines goes on under its first letter. */
static void show_remark(const struct renderer *r, const char *word, const char *text) {
  dk_buf_add_repeat(r->out, ' ', r->gutter + 1);
  sgr(r, SGR_GUTTER);
  dk_buf_add_text(r->out, "= ");
  sgr(r, SGR_HELP);
  dk_buf_add_text(r->out, word);
  sgr(r, SGR_RESET);
  dk_buf_add_text(r->out, ": ");
  for (;;) {
    size_t len = strcspn(text, "\n");
    dk_buf_add_escaped(r->out, text, len);
    dk_buf_add_char(r->out, '\n');
    if (text[len] == '\0' || text[len + 1] == '\0') return;
    text += len + 1;
    dk_buf_add_repeat(r->out, ' ', r->gutter + 3 + (unsigned)strlen(word) + 2);
  }
}

static void show_diag(struct renderer *r, const struct dk_diag *diag) {
  bool is_warning = dk_code_is_warning(diag->code);
  r->main_sgr = is_warning ? SGR_WARNING : SGR_ERROR;
  sgr(r, r->main_sgr);
  dk_buf_printf(r->out, "%s[%s]", is_warning ? "warning" : "error", dk_code_name(diag->code));
  sgr(r, SGR_RESET);
  sgr(r, SGR_BOLD);
  dk_buf_add_text(r->out, ": ");
  add_escaped(r, diag->message);
  sgr(r, SGR_RESET);
  dk_buf_add_char(r->out, '\n');

  struct marks marks = {0};
  add_span(r, &marks, diag->span, 0, diag->label);
  for (uint32_t i = 0; i < diag->n_labels; i++) add_span(r, &marks, diag->labels[i].span, i + 1, diag->labels[i].text);
  uint32_t largest = 1;
  for (uint32_t i = 0; i < marks.count; i++)
    if (marks.items[i].line > largest) largest = marks.items[i].line;
  r->gutter = 1;
  while (largest >= 10) {
    largest /= 10;
    r->gutter++;
  }
  if (marks.count > 0) {
    qsort(marks.items, marks.count, sizeof *marks.items, compare_marks);
    show_sources(r, &marks, diag);
  }
  if (marks.count > 0 && diag->n_helps + diag->n_notes > 0) {
    show_bar(r);
    dk_buf_add_char(r->out, '\n');
  }
  for (uint32_t i = 0; i < diag->n_helps; i++) show_remark(r, "help", diag->helps[i]);
  for (uint32_t i = 0; i < diag->n_notes; i++) show_remark(r, "note", diag->notes[i]);
  dk_buf_add_char(r->out, '\n');
}

static void show_counts(const struct dk_diags *diags, struct dk_buf *out) {
  if (diags->n_errors + diags->n_warnings == 0) return;
  if (diags->n_errors > 0) dk_buf_printf(out, "%u error%s", diags->n_errors, diags->n_errors == 1 ? "" : "s");
  if (diags->n_errors > 0 && diags->n_warnings > 0) dk_buf_add_text(out, ", ");
  if (diags->n_warnings > 0) dk_buf_printf(out, "%u warning%s", diags->n_warnings, diags->n_warnings == 1 ? "" : "s");
  if (diags->n_errors + diags->n_warnings > diags->count) dk_buf_printf(out, " (the first %u are shown)", diags->count);
  dk_buf_add_char(out, '\n');
}

void dk_diags_render(const struct dk_diags *diags, bool color, struct dk_buf *out) {
  struct renderer renderer = {.diags = diags, .out = out, .color = color};
  for (uint32_t i = 0; i < diags->count; i++) show_diag(&renderer, diags->items[i]);
  show_counts(diags, out);
}
