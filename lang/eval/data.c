/* Data files as values: JSON (RFC 8259), JSON lines, CSV (RFC 4180, with a header), lines of text.
 *
 * A JSON number without a point or exponent that fits is an int, else the nearest double. A CSV cell that reads as a
 * number is one; an empty cell is null. Errors name the line. Nesting is bounded by DK_VALUE_MAX_DEPTH. */
#include "lang/eval/internal.h"

#include "lang/base/number.h"

#include <stdlib.h>
#include <string.h>

struct reader {
  struct dk_ev *ev;
  const struct dk_expr *at_expr;
  const char *name, *start, *at, *end;
  unsigned depth;
};

struct items {
  dk_value_id *items;
  uint32_t n, cap;
};
struct names {
  const struct dk_str **items;
  uint32_t n, cap;
};

static struct dk_arena *arena_of(const struct reader *r) {
  return r->ev->eval->checked->arena;
}

static bool bad(struct reader *r, const char *what) {
  unsigned line = 1;
  for (const char *c = r->start; c < r->at; c++) line += *c == '\n';
  dk_ev_error(r->ev, DK_E0312, r->at_expr->span, "%s, line %u: %s", r->name, line, what);
  return false;
}

static void skip_space(struct reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) r->at++;
}

static bool json_value(struct reader *r, dk_value_id *ret);

static bool hex4(struct reader *r, uint32_t *ret) {
  *ret = 0;
  if (r->end - r->at < 4) return false;
  for (int i = 0; i < 4; i++) {
    char c = *r->at++;
    uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                            : 16;
    if (digit > 15) return false;
    *ret = *ret * 16 + digit;
  }
  return true;
}

static size_t put_utf8(char *to, uint32_t c) {
  if (c < 0x80) {
    to[0] = (char)c;
    return 1;
  }
  if (c < 0x800) {
    to[0] = (char)(0xc0 | c >> 6);
    to[1] = (char)(0x80 | (c & 0x3f));
    return 2;
  }
  if (c < 0x10000) {
    to[0] = (char)(0xe0 | c >> 12);
    to[1] = (char)(0x80 | (c >> 6 & 0x3f));
    to[2] = (char)(0x80 | (c & 0x3f));
    return 3;
  }
  to[0] = (char)(0xf0 | c >> 18);
  to[1] = (char)(0x80 | (c >> 12 & 0x3f));
  to[2] = (char)(0x80 | (c >> 6 & 0x3f));
  to[3] = (char)(0x80 | (c & 0x3f));
  return 4;
}

static bool json_escape(struct reader *r, char *to, size_t *len) {
  static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
  char c = r->at < r->end ? *r->at++ : '\0';
  const char *plain = c ? strchr(from, c) : NULL;
  if (plain) {
    to[(*len)++] = into[plain - from];
    return true;
  }
  uint32_t code, low;
  if (c != 'u' || !hex4(r, &code)) return bad(r, "an escape that JSON does not have");
  if (code >= 0xd800 && code < 0xdc00 && r->end - r->at > 2 && r->at[0] == '\\' && r->at[1] == 'u') {
    r->at += 2;
    if (!hex4(r, &low) || low < 0xdc00 || low > 0xdfff) return bad(r, "half of a surrogate pair");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  if (code >= 0xd800 && code <= 0xdfff) return bad(r, "half of a surrogate pair");
  *len += put_utf8(to + *len, code);
  return true;
}

static bool json_string(struct reader *r, const struct dk_str **ret) {
  const char *close = r->at + 1;
  while (close < r->end && *close != '"') close += *close == '\\' && close + 1 < r->end ? 2 : 1;
  /* A text never has more bytes than its literal. */
  char *text = dk_arena_alloc(arena_of(r), (size_t)(close - r->at) + 8);
  size_t len = 0;
  for (r->at++; r->at < r->end && *r->at != '"';) {
    char c = *r->at++;
    if ((unsigned char)c < 0x20) return bad(r, "a control character in a text");
    if (c != '\\')
      text[len++] = c;
    else if (!json_escape(r, text, &len))
      return false;
  }
  if (r->at == r->end) return bad(r, "a text without its closing quote");
  r->at++;
  *ret = dk_intern(r->ev->values->strs, text, len);
  return true;
}

static bool number(struct reader *r, const char *text, size_t len, dk_value_id *ret) {
  int64_t i;
  double d;
  bool is_int = !memchr(text, '.', len) && !memchr(text, 'e', len) && !memchr(text, 'E', len);
  if (is_int && dk_number_parse_int(text, len, &i) == 0)
    *ret = dk_value_int(r->ev->values, i);
  else if (dk_number_parse(text, len, &d) == 0 && d - d == 0)
    *ret = dk_value_float(r->ev->values, d);
  else
    return false;
  return true;
}

/* RFC 8259, section 6: no leading zeros, digits on both sides of a point. */
static bool is_json_number(const char *at, const char *end) {
  at += at < end && *at == '-';
  if (at == end || *at < '0' || *at > '9') return false;
  if (*at == '0' && at + 1 < end && at[1] >= '0' && at[1] <= '9') return false;
  while (at < end && *at >= '0' && *at <= '9') at++;
  if (at < end && *at == '.') {
    const char *first = ++at;
    while (at < end && *at >= '0' && *at <= '9') at++;
    if (at == first) return false;
  }
  if (at < end && (*at == 'e' || *at == 'E')) {
    at++;
    at += at < end && (*at == '-' || *at == '+');
    const char *first = at;
    while (at < end && *at >= '0' && *at <= '9') at++;
    if (at == first) return false;
  }
  return at == end;
}

static bool json_word(struct reader *r, dk_value_id *ret) {
  const char *start = r->at;
  while (r->at < r->end && !strchr(",]} \t\r\n", *r->at)) r->at++;
  size_t len = (size_t)(r->at - start);
  if (len == 4 && memcmp(start, "true", 4) == 0)
    *ret = dk_value_bool(r->ev->values, true);
  else if (len == 5 && memcmp(start, "false", 5) == 0)
    *ret = dk_value_bool(r->ev->values, false);
  else if (len == 4 && memcmp(start, "null", 4) == 0)
    *ret = DK_NULL;
  else if (!is_json_number(start, r->at) || !number(r, start, len, ret))
    return bad(r, "a JSON value is expected here");
  return true;
}

static bool json_list(struct reader *r, dk_value_id *ret) {
  struct items items = {NULL, 0, 0};
  for (r->at++;;) {
    skip_space(r);
    if (r->at < r->end && *r->at == ']' && !items.n) break;
    dk_value_id item = 0;
    if (!dk_ev_elements(r->ev, r->at_expr, 1, "this list") || !json_value(r, &item)) return false;
    dk_arena_push(arena_of(r), items.items, items.n, items.cap) = item;
    skip_space(r);
    if (r->at < r->end && *r->at == ',')
      r->at++;
    else if (r->at < r->end && *r->at == ']')
      break;
    else
      return bad(r, "`,` or `]` is expected here");
  }
  r->at++;
  return dk_ev_list(r->ev, r->at_expr, items.items, items.n, ret);
}

static int compare_names(const void *a, const void *b) {
  const struct dk_str *x = *(const struct dk_str *const *)a, *y = *(const struct dk_str *const *)b;
  return x->id < y->id ? -1 : x->id > y->id;
}

static bool make_record(struct reader *r, const struct names *names, const struct items *items, dk_value_id *ret) {
  const struct dk_str **sorted = dk_arena_array(arena_of(r), const struct dk_str *, (size_t)names->n + 1);
  if (names->n) memcpy(sorted, names->items, names->n * sizeof *sorted);
  qsort(sorted, names->n, sizeof *sorted, compare_names);
  for (uint32_t i = 1; i < names->n; i++)
    if (sorted[i] == sorted[i - 1]) return bad(r, dk_arena_printf(arena_of(r), "`%s` is there twice", sorted[i]->text));
  *ret = dk_value_record(r->ev->values, names->items, items->items, names->n);
  return dk_ev_weight(r->ev, r->at_expr, *ret);
}

static bool json_record(struct reader *r, dk_value_id *ret) {
  struct names names = {NULL, 0, 0};
  struct items items = {NULL, 0, 0};
  for (r->at++;;) {
    skip_space(r);
    if (r->at < r->end && *r->at == '}' && !items.n) break;
    const struct dk_str *name = NULL;
    dk_value_id item = 0;
    if (r->at == r->end || *r->at != '"') return bad(r, "a name in quotes is expected here");
    if (!dk_ev_elements(r->ev, r->at_expr, 1, "this record") || !json_string(r, &name)) return false;
    skip_space(r);
    if (r->at == r->end || *r->at != ':') return bad(r, "`:` is expected here");
    r->at++;
    if (!json_value(r, &item)) return false;
    dk_arena_push(arena_of(r), names.items, names.n, names.cap) = name;
    dk_arena_push(arena_of(r), items.items, items.n, items.cap) = item;
    skip_space(r);
    if (r->at < r->end && *r->at == ',')
      r->at++;
    else if (r->at < r->end && *r->at == '}')
      break;
    else
      return bad(r, "`,` or `}` is expected here");
  }
  r->at++;
  return make_record(r, &names, &items, ret);
}

static bool json_value(struct reader *r, dk_value_id *ret) {
  const struct dk_str *text = NULL;
  skip_space(r);
  char c = r->at < r->end ? *r->at : '\0';
  if (c == '"') {
    if (!json_string(r, &text)) return false;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it does not see that bad() is false */
    return dk_ev_text(r->ev, r->at_expr, text->text, text->len, ret);
  }
  if (c != '[' && c != '{') return json_word(r, ret);
  if (++r->depth > DK_VALUE_MAX_DEPTH) return bad(r, "nested too deep");
  bool ok = c == '[' ? json_list(r, ret) : json_record(r, ret);
  r->depth--;
  return ok;
}

static bool json_file(struct reader *r, dk_value_id *ret) {
  if (!json_value(r, ret)) return false;
  skip_space(r);
  return r->at == r->end || bad(r, "more after the end of the value");
}

static bool json_lines(struct reader *r, dk_value_id *ret) {
  struct items items = {NULL, 0, 0};
  for (skip_space(r); r->at < r->end; skip_space(r)) {
    dk_value_id item = 0;
    if (!dk_ev_elements(r->ev, r->at_expr, 1, "this list") || !json_value(r, &item)) return false;
    dk_arena_push(arena_of(r), items.items, items.n, items.cap) = item;
  }
  return dk_ev_list(r->ev, r->at_expr, items.items, items.n, ret);
}

static bool text_lines(struct reader *r, dk_value_id *ret) {
  struct items items = {NULL, 0, 0};
  while (r->at < r->end) {
    const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    if (!end) end = r->end;
    size_t len = (size_t)(end - r->at);
    if (len && r->at[len - 1] == '\r') len--;
    dk_value_id item = 0;
    if (!dk_ev_elements(r->ev, r->at_expr, 1, "this list") || !dk_ev_text(r->ev, r->at_expr, r->at, len, &item))
      return false;
    dk_arena_push(arena_of(r), items.items, items.n, items.cap) = item;
    r->at = end < r->end ? end + 1 : end;
  }
  return dk_ev_list(r->ev, r->at_expr, items.items, items.n, ret);
}

/* One CSV cell; *ret_last when it ends its row. *ret_quoted: text even if it looks like a number. */
static bool csv_cell(struct reader *r, const char **ret, size_t *ret_len, bool *ret_quoted, bool *ret_last) {
  *ret_quoted = r->at < r->end && *r->at == '"';
  if (*ret_quoted) {
    const char *start = ++r->at;
    char *text = NULL;
    size_t len = 0;
    for (;; r->at++) {
      if (r->at == r->end) return bad(r, "a cell without its closing quote");
      if (*r->at == '"' && !(r->at + 1 < r->end && r->at[1] == '"')) break;
      r->at += *r->at == '"';
      len++;
    }
    text = dk_arena_alloc(arena_of(r), len + 1);
    len = 0;
    for (const char *c = start; c < r->at; c++) {
      text[len++] = *c;
      c += *c == '"';
    }
    r->at++;
    *ret = text;
    *ret_len = len;
  } else {
    *ret = r->at;
    while (r->at < r->end && *r->at != ',' && *r->at != '\n') r->at++;
    *ret_len = (size_t)(r->at - *ret);
    if (*ret_len && (*ret)[*ret_len - 1] == '\r') (*ret_len)--;
  }
  if (r->at < r->end && *r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n') r->at++;
  *ret_last = r->at == r->end || *r->at == '\n';
  if (!*ret_last && *r->at != ',') return bad(r, "`,` is expected behind a quoted cell");
  r->at += r->at < r->end;
  return true;
}

static bool csv_value(struct reader *r, const char *text, size_t len, bool quoted, dk_value_id *ret) {
  *ret = DK_NULL;
  if (!quoted && len == 0) return true;
  bool plain = len && (*text == '-' || *text == '.' || (*text >= '0' && *text <= '9'));
  if (!quoted && plain && number(r, text, len, ret)) return true;
  return dk_ev_text(r->ev, r->at_expr, text, len, ret);
}

static bool csv_row(struct reader *r, const struct names *names, dk_value_id *ret) {
  struct items items = {NULL, 0, 0};
  bool last = false, quoted;
  const char *text, *begin = r->at;
  size_t len;
  while (!last) {
    dk_value_id item = 0;
    if (!dk_ev_elements(r->ev, r->at_expr, 1, "this record") || !csv_cell(r, &text, &len, &quoted, &last)) return false;
    if (items.n == names->n) return bad(r, "a row with more cells than the header");
    if (!csv_value(r, text, len, quoted, &item)) return false;
    dk_arena_push(arena_of(r), items.items, items.n, items.cap) = item;
  }
  if (items.n < names->n) {
    r->at = begin; /* its line, not the one behind it */
    return bad(r, "a row with fewer cells than the header");
  }
  return make_record(r, names, &items, ret);
}

static bool csv_file(struct reader *r, dk_value_id *ret) {
  struct names names = {NULL, 0, 0};
  struct items rows = {NULL, 0, 0};
  bool last = r->at == r->end, quoted;
  while (!last) {
    const char *text = "";
    size_t len = 0;
    if (!csv_cell(r, &text, &len, &quoted, &last)) return false;
    dk_arena_push(arena_of(r), names.items, names.n, names.cap) = dk_intern(r->ev->values->strs, text, len);
  }
  while (r->at < r->end) {
    dk_value_id row = 0;
    if (*r->at == '\n' || (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n')) { /* an empty line */
      r->at += *r->at == '\r' ? 2 : 1;
      continue;
    }
    if (!csv_row(r, &names, &row)) return false;
    dk_arena_push(arena_of(r), rows.items, rows.n, rows.cap) = row;
  }
  return dk_ev_list(r->ev, r->at_expr, rows.items, rows.n, ret);
}

bool dk_ev_data(struct dk_ev *ev, const struct dk_expr *at, const char *name, const char *text, size_t len,
                dk_value_id *ret) {
  struct reader r = {ev, at, name, text, text, text + len, 0};
  const char *dot = strrchr(name, '.');
  if (!dk_utf8_is_valid(text, len)) {
    dk_ev_error(ev, DK_E0312, at->span, "%s is not UTF-8 text", name);
    return false;
  }
  if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) r.at += 3; /* a byte order mark, as spreadsheets write it */
  if (dot && strcmp(dot, ".json") == 0) return json_file(&r, ret);
  if (dot && strcmp(dot, ".jsonl") == 0) return json_lines(&r, ret);
  if (dot && strcmp(dot, ".csv") == 0) return csv_file(&r, ret);
  if (dot && strcmp(dot, ".txt") == 0) return text_lines(&r, ret);
  struct dk_diag *diag = dk_ev_error(ev, DK_E0310, at->span, "`load` cannot tell what is in `%s`", name);
  dk_diag_help(ev->eval->checked->diags, diag, "it reads files whose names end in .json, .jsonl, .csv or .txt");
  return false;
}
