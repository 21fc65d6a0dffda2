/* UTF-8, escaping and shell words: see text.h. */
#include "lang/base/text.h"
#include "lang/base/buf.h"

#include <stdint.h>
#include <string.h>

static bool is_tail(unsigned char c) {
  return (c & 0xc0) == 0x80;
}

unsigned dk_utf8_len(const char *text, size_t len) {
  const unsigned char *s = (const unsigned char *)text;
  if (len == 0) return 0;
  if (s[0] < 0x80) return 1;
  if (s[0] < 0xc2 || s[0] > 0xf4 || len < 2) return 0;
  /* The second byte's range depends on the first (RFC 3629, section 4): this bars overlong forms and surrogates. */
  unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
  unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
  if (s[1] < low || s[1] > high) return 0;
  if (s[0] < 0xe0) return 2;
  if (len < 3 || !is_tail(s[2])) return 0;
  if (s[0] < 0xf0) return 3;
  return len >= 4 && is_tail(s[3]) ? 4 : 0;
}

bool dk_utf8_is_valid(const char *text, size_t len) {
  while (len > 0) {
    unsigned n = dk_utf8_len(text, len);
    if (n == 0) return false;
    text += n;
    len -= n;
  }
  return true;
}

/* Whether the well-formed sequence of n bytes must not reach a terminal as it is. */
static bool is_control(const unsigned char *s, unsigned n) {
  if (n == 1) return s[0] < 0x20 || s[0] == 0x7f;
  if (n == 2) return s[0] == 0xc2 && s[1] < 0xa0;
  if (n != 3 || s[0] != 0xe2) return false;
  unsigned point = 0x2000u | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
  return point == 0x200e || point == 0x200f || (point >= 0x2028 && point <= 0x202e) ||
         (point >= 0x2066 && point <= 0x2069);
}

static char *put_hex(char *at, unsigned char c) {
  static const char digits[] = "0123456789abcdef";
  *at++ = '\\';
  *at++ = 'x';
  *at++ = digits[c >> 4];
  *at++ = digits[c & 15];
  return at;
}

size_t dk_escape_step(const char *text, size_t len, char ret[DK_ESCAPED_MAX]) {
  const unsigned char *s = (const unsigned char *)text;
  unsigned n = dk_utf8_len(text, len);
  if (n > 0 && !is_control(s, n)) {
    memcpy(ret, text, n);
    ret[n] = '\0';
    return n;
  }
  char *at = ret;
  if (n == 0) n = 1;
  if (*s == '\n' || *s == '\t' || *s == '\r') {
    *at++ = '\\';
    *at++ = *s == '\n' ? 'n' : *s == '\t' ? 't' : 'r';
  } else {
    for (unsigned i = 0; i < n; i++) at = put_hex(at, s[i]);
  }
  *at = '\0';
  return n;
}

void dk_buf_add_escaped(struct dk_buf *buf, const char *text, size_t len) {
  char step[DK_ESCAPED_MAX];
  while (len > 0) {
    size_t used = dk_escape_step(text, len, step);
    dk_buf_add_text(buf, step);
    text += used;
    len -= used;
  }
}

static bool is_bare(const char *text, size_t len) {
  if (len == 0 || *text == '=') return false; /* zsh expands =word */
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && (c == '\0' || !strchr("_@%+=:,./-", c))) return false;
  }
  return true;
}

static bool needs_dollar(const char *text, size_t len) {
  while (len > 0) {
    unsigned n = dk_utf8_len(text, len);
    if (n == 0 || is_control((const unsigned char *)text, n)) return true;
    text += n;
    len -= n;
  }
  return false;
}

static void add_quoted(struct dk_buf *buf, const char *text, size_t len) {
  dk_buf_add_char(buf, '\'');
  for (size_t i = 0; i < len; i++) {
    if (text[i] == '\'') {
      dk_buf_add_text(buf, "'\\''");
    } else {
      dk_buf_add_char(buf, text[i]);
    }
  }
  dk_buf_add_char(buf, '\'');
}

/* Octal and not \xNN: shells differ in how many hex digits they take, three octal ones are the same everywhere. */
static void add_dollar_quoted(struct dk_buf *buf, const char *text, size_t len) {
  dk_buf_add_text(buf, "$'");
  while (len > 0) {
    unsigned n = dk_utf8_len(text, len);
    bool plain = n > 0 && !is_control((const unsigned char *)text, n);
    if (n == 0) n = 1;
    if (plain) {
      if (*text == '\'' || *text == '\\') dk_buf_add_char(buf, '\\');
      dk_buf_add(buf, text, n);
    } else if (*text == '\n' || *text == '\t' || *text == '\r') {
      dk_buf_add_text(buf, *text == '\n' ? "\\n" : *text == '\t' ? "\\t" : "\\r");
    } else {
      for (unsigned i = 0; i < n; i++) dk_buf_printf(buf, "\\%03o", (unsigned)(unsigned char)text[i]);
    }
    text += n;
    len -= n;
  }
  dk_buf_add_char(buf, '\'');
}

void dk_buf_add_shell_word(struct dk_buf *buf, const char *text, size_t len) {
  if (is_bare(text, len)) {
    dk_buf_add(buf, text, len);
  } else if (needs_dollar(text, len)) {
    add_dollar_quoted(buf, text, len);
  } else {
    add_quoted(buf, text, len);
  }
}
