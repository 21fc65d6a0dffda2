/* Widths and padding; see cell.h. */
#include "engine/report/cell.h"

struct range {
  uint32_t first, last;
};

/* Unicode 15 East_Asian_Width W and F by blocks (UAX #11), and emoji blocks that terminals draw wide. */
static const struct range wide[] = {
    {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},
    {0xa000, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
    {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x16fe0, 0x18aff}, {0x1b000, 0x1b2ff}, {0x1f300, 0x1f64f},
    {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};
/* Combining marks and zero-width characters that occur in names. */
static const struct range zero[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x064b, 0x065f}, {0x1ab0, 0x1aff},
    {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
};

static bool in_ranges(uint32_t c, const struct range *ranges, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (c >= ranges[i].first && c <= ranges[i].last) {
      return true;
    }
  }
  return false;
}

/* Code point of a well-formed sequence of n bytes. */
static uint32_t code_point(const char *text, unsigned n) {
  const unsigned char *p = (const unsigned char *)text;
  switch (n) {
  case 2: return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
  case 3: return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
  case 4:
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 | (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
  default: return p[0];
  }
}

/* Bytes of the next character (at least 1) and its columns. */
static size_t step(const char *text, size_t len, uint32_t *ret_columns) {
  unsigned n = dk_utf8_len(text, len);
  if (n <= 1) {
    *ret_columns = 1;
    return 1;
  }
  uint32_t c = code_point(text, n);
  *ret_columns = in_ranges(c, zero, sizeof zero / sizeof *zero)   ? 0
                 : in_ranges(c, wide, sizeof wide / sizeof *wide) ? 2
                                                                  : 1;
  return n;
}

uint32_t dk_text_columns(const char *text, size_t len) {
  uint32_t total = 0;
  for (size_t i = 0; i < len;) {
    uint32_t columns;
    i += step(text + i, len - i, &columns);
    total += columns;
  }
  return total;
}

uint32_t dk_cell_cut(struct dk_buf *out, const char *text, size_t len, uint32_t width) {
  uint32_t total = dk_text_columns(text, len);
  if (total <= width) {
    dk_buf_add(out, text, len);
    return total;
  }
  uint32_t room = width >= 8 ? width - 3 : width, used = 0;
  size_t i = 0;
  while (i < len) {
    uint32_t columns;
    size_t n = step(text + i, len - i, &columns);
    if (used + columns > room) {
      break;
    }
    i += n;
    used += columns;
  }
  dk_buf_add(out, text, i);
  if (width >= 8) {
    dk_buf_add_text(out, "...");
    used += 3;
  }
  return used;
}

void dk_cell_left(struct dk_buf *out, const char *text, size_t len, uint32_t width) {
  dk_buf_add_repeat(out, ' ', width - dk_cell_cut(out, text, len, width));
}

void dk_cell_right(struct dk_buf *out, const char *text, size_t len, uint32_t width) {
  uint32_t columns = dk_text_columns(text, len);
  if (columns < width) {
    dk_buf_add_repeat(out, ' ', width - columns);
  }
  dk_cell_cut(out, text, len, width);
}

void dk_clock_text(uint64_t nanoseconds, struct dk_buf *out) {
  uint64_t s = nanoseconds / 1000000000u;
  unsigned seconds = (unsigned)(s % 60), minutes = (unsigned)(s / 60 % 60), hours = (unsigned)(s / 3600 % 24);
  uint64_t days = s / 86400;
  if (days) {
    dk_buf_printf(out, "%llud %02u:%02u:%02u", (unsigned long long)days, hours, minutes, seconds);
  } else if (hours) {
    dk_buf_printf(out, "%u:%02u:%02u", hours, minutes, seconds);
  } else {
    dk_buf_printf(out, "%u:%02u", minutes, seconds);
  }
}

const char *dk_paint_on(bool color, enum dk_paint paint) {
  static const char *const codes[] = {"", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"};
  return color ? codes[paint] : "";
}

const char *dk_paint_off(bool color) {
  return color ? "\x1b[0m" : "";
}
