/* A source line in terminal cells.
 *
 * Widths: a short table of the ranges that are wide (W, F) or zero-width (Mn, Me, Cf) in Unicode's EastAsianWidth.txt
 * and UnicodeData.txt; rare scripts fall under one cell. Bidirectional controls are shown escaped, so that a text
 * cannot be displayed in another order than it is read (CVE-2021-42574). */
#include "lang/diag/line.h"

#include <stdio.h>

#define TAB_WIDTH 4

struct range {
  uint32_t first, last;
};

static const struct range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xa960, 0xa97c},
    {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
    {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};
static const struct range combining[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x064b, 0x065f}, {0x0900, 0x0902},   {0x1ab0, 0x1aff},
    {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef},
};
static const struct range hidden[] = {
    {0x0080, 0x009f}, {0x00ad, 0x00ad}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff},
};

#define IN(ranges, c) in_ranges((ranges), sizeof(ranges) / sizeof *(ranges), (c))

static bool in_ranges(const struct range *ranges, size_t n, uint32_t c) {
  for (size_t i = 0; i < n; i++)
    if (c >= ranges[i].first && c <= ranges[i].last) return true;
  return false;
}

struct shown {
  char text[16];
  unsigned len, cells, bytes; /* of `text`; on the terminal; in the source */
};

static uint32_t decode(const char *text, unsigned len) {
  const unsigned char *b = (const unsigned char *)text;
  switch (len) {
  case 1: return b[0];
  case 2: return (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu);
  case 3: return (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
  default: return (b[0] & 0x07u) << 18 | (b[1] & 0x3fu) << 12 | (b[2] & 0x3fu) << 6 | (b[3] & 0x3fu);
  }
}

static void show_escape(struct shown *ret, const char *format, uint32_t value) {
  char text[sizeof ret->text];
  int n =
      format[0] == 'x' ? snprintf(text, sizeof text, "\\x%02x", value) : snprintf(text, sizeof text, "\\u{%x}", value);
  for (int i = 0; i <= n; i++) ret->text[i] = text[i];
  ret->len = ret->cells = (unsigned)n;
}

static struct shown show_char(struct dk_line line, uint32_t at, uint32_t cell) {
  struct shown shown = {.bytes = 1};
  unsigned char byte = (unsigned char)line.text[at];
  if (byte == '\t') {
    shown.len = shown.cells = TAB_WIDTH - cell % TAB_WIDTH;
    for (unsigned i = 0; i < shown.len; i++) shown.text[i] = ' ';
    return shown;
  }
  unsigned len = dk_utf8_len(line.text + at, line.len - at);
  if (len == 0 || byte < 0x20 || byte == 0x7f) {
    show_escape(&shown, "x", byte);
    return shown;
  }
  shown.bytes = len;
  uint32_t c = decode(line.text + at, len);
  if (IN(hidden, c)) {
    show_escape(&shown, "u", c);
    return shown;
  }
  for (unsigned i = 0; i < len; i++) shown.text[i] = line.text[at + i];
  shown.len = len;
  shown.cells = IN(combining, c) ? 0 : IN(wide, c) ? 2 : 1;
  return shown;
}

struct dk_line dk_line_get(const struct dk_source *source, uint32_t number) {
  uint32_t start = source->lines[number - 1];
  uint32_t end = number < source->n_lines ? source->lines[number] - 1 : source->len;
  if (end > start && source->text[end - 1] == '\r') end--;
  return (struct dk_line){source->text + start, end - start};
}

uint32_t dk_line_cells(struct dk_line line, uint32_t len) {
  uint32_t cell = 0;
  for (uint32_t at = 0; at < len && at < line.len;) {
    unsigned char byte = (unsigned char)line.text[at];
    if (byte >= ' ' && byte < 0x7f) { /* most of them, and a line may have millions */
      cell++;
      at++;
      continue;
    }
    struct shown shown = show_char(line, at, cell);
    cell += shown.cells;
    at += shown.bytes;
  }
  return cell;
}

void dk_line_show(struct dk_line line, uint32_t from, uint32_t to, struct dk_buf *out) {
  uint32_t cell = 0;
  for (uint32_t at = 0; at < line.len && cell <= to;) {
    struct shown shown = show_char(line, at, cell);
    uint32_t end = cell + shown.cells;
    if (cell >= from && end <= to) {
      dk_buf_add(out, shown.text, shown.len);
    } else {
      uint32_t first = cell > from ? cell : from, last = end < to ? end : to;
      if (last > first) dk_buf_add_repeat(out, ' ', last - first);
    }
    cell = end;
    at += shown.bytes;
  }
}
