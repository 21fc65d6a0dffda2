/* JSON strings and numbers; see json.h. Jansson cannot write a number as it was written by somebody else, hence
 * this. */
#include "engine/report/json.h"

#include <inttypes.h>
#include <string.h>

void dk_json_add_string(struct dk_buf *out, const char *text, size_t len) {
  dk_buf_add_char(out, '"');
  for (size_t i = 0; i < len;) {
    unsigned char c = (unsigned char)text[i];
    unsigned n = dk_utf8_len(text + i, len - i);
    if (!n) {
      dk_buf_add_text(out, "\xef\xbf\xbd");
      n = 1;
    } else if (c == '"' || c == '\\') {
      dk_buf_add_char(out, '\\');
      dk_buf_add_char(out, text[i]);
    } else if (c < 0x20 || c == 0x7f) {
      dk_buf_printf(out, "\\u%04x", c);
    } else {
      dk_buf_add(out, text + i, n);
    }
    i += n;
  }
  dk_buf_add_char(out, '"');
}

static size_t digits(const char *text, size_t len, size_t i) {
  while (i < len && text[i] >= '0' && text[i] <= '9') {
    i++;
  }
  return i;
}

/* RFC 8259, section 6. */
static bool is_number(const char *text, size_t len) {
  size_t i = len && text[0] == '-' ? 1 : 0, start = i;
  i = digits(text, len, i);
  if (i == start || (text[start] == '0' && i - start > 1)) {
    return false;
  }
  if (i < len && text[i] == '.') {
    start = ++i;
    i = digits(text, len, i);
    if (i == start) {
      return false;
    }
  }
  if (i < len && (text[i] == 'e' || text[i] == 'E')) {
    i++;
    if (i < len && (text[i] == '+' || text[i] == '-')) {
      i++;
    }
    start = i;
    i = digits(text, len, i);
    if (i == start) {
      return false;
    }
  }
  return i == len;
}

void dk_json_add_number_text(struct dk_buf *out, const char *text, size_t len) {
  if (is_number(text, len)) {
    dk_buf_add(out, text, len);
  } else {
    dk_json_add_string(out, text, len);
  }
}

void dk_json_add_text_field(struct dk_buf *out, const char *name, const char *text) {
  dk_buf_printf(out, ",\"%s\":", name);
  if (text)
    dk_json_add_string(out, text, strlen(text));
  else
    dk_buf_add_text(out, "null");
}

void dk_json_add_number_field(struct dk_buf *out, const char *name, bool is_known, uint64_t n) {
  if (is_known)
    dk_buf_printf(out, ",\"%s\":%" PRIu64, name, n);
  else
    dk_buf_printf(out, ",\"%s\":null", name);
}
