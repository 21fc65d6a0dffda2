/* Strings: escapes, block indentation, the parts between holes. */
#include "lang/syntax/text.h"

#include "lang/syntax/parse_state.h"

#include <string.h>

/* The text of a part being made; it never grows beyond the source's, so one allocation does. */
struct text {
  char *data;
  uint32_t len;
};

static void put_utf8(struct text *text, uint32_t c) {
  char *to = text->data + text->len;
  if (c < 0x80) {
    to[0] = (char)c;
    text->len += 1;
  } else if (c < 0x800) {
    to[0] = (char)(0xc0 | c >> 6);
    to[1] = (char)(0x80 | (c & 0x3f));
    text->len += 2;
  } else if (c < 0x10000) {
    to[0] = (char)(0xe0 | c >> 12);
    to[1] = (char)(0x80 | (c >> 6 & 0x3f));
    to[2] = (char)(0x80 | (c & 0x3f));
    text->len += 3;
  } else {
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    text->len += 4;
  }
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static struct dk_diag *report_escape(struct dk_parse *p, uint32_t start, uint32_t end, const char *why) {
  struct dk_span span = {p->tokens.source->base + start, p->tokens.source->base + end};
  return dk_diag_add(p->env->diags, DK_E0111, span, "%s", why);
}

/* \u{...} at `at`; returns the offset behind it. */
static uint32_t read_unicode(struct dk_parse *p, uint32_t at, uint32_t end, struct text *text) {
  const char *source = p->tokens.source->text;
  uint32_t from = at, c = 0, digits = 0;
  at += 2;
  if (at < end && source[at] == '{') {
    for (at++; at < end && hex_digit(source[at]) >= 0; at++, digits++)
      if (c <= 0x10ffff) c = c * 16 + (uint32_t)hex_digit(source[at]);
  }
  bool is_closed = digits > 0 && at < end && source[at] == '}';
  if (!is_closed) {
    struct dk_diag *diag = report_escape(p, from, at, "`\\u` is not followed by a character's number");
    dk_diag_help(p->env->diags, diag, "write it in hexadecimal between braces: \\u{e9}");
    return at;
  }
  at++;
  if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
    report_escape(p, from, at, c == 0 ? "a NUL byte cannot be handed to a program" : "there is no such character");
    return at;
  }
  put_utf8(text, c);
  return at;
}

/* \xNN at `at`. */
static uint32_t read_byte(struct dk_parse *p, uint32_t at, uint32_t end, struct text *text) {
  const char *source = p->tokens.source->text;
  int high = at + 2 < end ? hex_digit(source[at + 2]) : -1, low = at + 3 < end ? hex_digit(source[at + 3]) : -1;
  if (high < 0 || low < 0) {
    report_escape(p, at, at + 2, "`\\x` is not followed by two hexadecimal digits");
    return at + 2;
  }
  if (high == 0 && low == 0)
    report_escape(p, at, at + 4, "a NUL byte cannot be handed to a program");
  else
    text->data[text->len++] = (char)(high * 16 + low);
  return at + 4;
}

static uint32_t read_escape(struct dk_parse *p, uint32_t at, uint32_t end, struct text *text) {
  const char *source = p->tokens.source->text;
  char c = at + 1 < end ? source[at + 1] : '\0';
  switch (c) {
  case 'n': text->data[text->len++] = '\n'; return at + 2;
  case 't': text->data[text->len++] = '\t'; return at + 2;
  case 'r': text->data[text->len++] = '\r'; return at + 2;
  case '\\':
  case '"': text->data[text->len++] = c; return at + 2;
  case 'u': return read_unicode(p, at, end, text);
  case 'x': return read_byte(p, at, end, text);
  default: break;
  }
  unsigned len = at + 1 < end ? dk_utf8_len(source + at + 1, end - at - 1) : 0;
  struct dk_diag *diag = report_escape(p, at, at + 1 + len, "this is no escape");
  if (c == '{' || (c == '\0' && source[end] == '{'))
    dk_diag_help(p->env->diags, diag, "for two literal braces write {{\"{{\"}}");
  else
    dk_diag_help(p->env->diags, diag,
                 "for a backslash write `\\\\`, or put the text into '...', where it needs no escape");
  return at + 1 + len;
}

static void add_part(struct dk_expr *string, struct dk_string_part part) {
  string->string.parts[string->string.n_parts++] = part;
}

static void add_literal(struct dk_parse *p, struct dk_expr *string, const struct text *text, struct dk_span span) {
  if (text->len == 0) return;
  add_part(string, (struct dk_string_part){.literal = dk_intern(p->env->strs, text->data, text->len), .span = span});
}

static void start_parts(struct dk_parse *p, const struct dk_parts *parts, struct dk_expr *string) {
  string->string.parts = dk_arena_array(p->arena, struct dk_string_part, parts->count + 1);
}

void dk_text_quoted(struct dk_parse *p, const struct dk_parts *parts, struct dk_expr *string) {
  const char *source = p->tokens.source->text;
  start_parts(p, parts, string);
  for (uint32_t i = 0; i < parts->count; i++) {
    const struct dk_part *part = &parts->items[i];
    if (part->hole) {
      add_part(string, (struct dk_string_part){.hole = part->hole, .span = part->span});
      continue;
    }
    const struct dk_token *token = &p->tokens.items[part->token];
    /* No escape is shorter than what it stands for: \u{7} and up give at most 4 bytes for 5. */
    struct text text = {dk_arena_alloc(p->arena, token->end - token->start + 1), 0};
    for (uint32_t at = token->start; at < token->end;) {
      if (source[at] == '\\')
        at = read_escape(p, at, token->end, &text);
      else
        text.data[text.len++] = source[at++];
    }
    add_literal(p, string, &text, part->span);
  }
}

/* Blocks. A line begins behind each line end in a text part; what stands on the line of the opening quotes is no line
 * of its own, and neither is the last one when it holds only the closing quotes. */
struct indent {
  const char *text; /* what the lines so far all begin with; NULL before the first */
  uint32_t len;
  bool mixed;
};

static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

static void meet_indent(struct dk_parse *p, struct indent *indent, uint32_t at, uint32_t len) {
  const char *line = p->tokens.source->text + at;
  if (!indent->text) {
    indent->text = line;
    indent->len = len;
    return;
  }
  uint32_t common = 0;
  while (common < len && common < indent->len && line[common] == indent->text[common]) common++;
  if (common < len && common < indent->len && !indent->mixed) {
    indent->mixed = true;
    struct dk_span span = {p->tokens.source->base + at, p->tokens.source->base + at + len};
    struct dk_diag *diag =
        dk_diag_add(p->env->diags, DK_E0117, span, "the lines of this block begin with different blanks");
    dk_diag_label(p->env->diags, diag, "%s here", line[common] == '\t' ? "a tab" : "a space");
    dk_diag_help(p->env->diags, diag, "indent all of its lines with spaces");
  }
  indent->len = common;
}

/* Calls meet_indent for each line of one text part. */
static void measure_part(struct dk_parse *p, struct indent *indent, const struct dk_token *token, bool hole_follows) {
  const char *source = p->tokens.source->text;
  for (uint32_t at = token->start; at < token->end; at++) {
    if (source[at] != '\n') continue;
    uint32_t first = at + 1;
    while (first < token->end && is_blank(source[first])) first++;
    if (first == token->end ? !hole_follows : source[first] == '\n' || source[first] == '\r') continue;
    meet_indent(p, indent, at + 1, first - at - 1);
  }
}

static uint32_t skip_indent(const char *source, uint32_t at, uint32_t end, uint32_t indent) {
  uint32_t stop = end - at < indent ? end : at + indent;
  while (at < stop && is_blank(source[at])) at++;
  return at;
}

/* Where the text of the first part begins: behind the line end, when the rest of the opening line is blank. */
static uint32_t first_offset(const char *source, const struct dk_token *token, uint32_t indent) {
  uint32_t at = token->start;
  while (at < token->end && is_blank(source[at])) at++;
  if (at < token->end && source[at] == '\r') at++;
  if (at >= token->end || source[at] != '\n') return token->start;
  return skip_indent(source, at + 1, token->end, indent);
}

/* Where the text of the last part ends: before the last line end, when only blanks follow it. */
static uint32_t last_offset(const char *source, const struct dk_token *token, uint32_t from) {
  uint32_t at = token->end;
  while (at > token->start && is_blank(source[at - 1])) at--;
  if (at == token->start || source[at - 1] != '\n') return token->end;
  at--;
  if (at > token->start && source[at - 1] == '\r') at--;
  return at > from ? at : from;
}

static void copy_block_part(const char *source, uint32_t at, uint32_t end, uint32_t indent, struct text *text) {
  while (at < end) {
    if (source[at] == '\r' && at + 1 < end && source[at + 1] == '\n') {
      at++; /* the same text whatever line ends a checkout makes */
      continue;
    }
    text->data[text->len++] = source[at];
    if (source[at++] == '\n') at = skip_indent(source, at, end, indent);
  }
}

void dk_text_block(struct dk_parse *p, const struct dk_parts *parts, struct dk_expr *string) {
  const char *source = p->tokens.source->text;
  struct indent indent = {0};
  for (uint32_t i = 0; i < parts->count; i++)
    if (!parts->items[i].hole) measure_part(p, &indent, &p->tokens.items[parts->items[i].token], i + 1 < parts->count);
  start_parts(p, parts, string);
  for (uint32_t i = 0; i < parts->count; i++) {
    const struct dk_part *part = &parts->items[i];
    if (part->hole) {
      add_part(string, (struct dk_string_part){.hole = part->hole, .span = part->span});
      continue;
    }
    const struct dk_token *token = &p->tokens.items[part->token];
    uint32_t from = i == 0 ? first_offset(source, token, indent.len) : token->start;
    uint32_t to = i + 1 == parts->count ? last_offset(source, token, from) : token->end;
    struct text text = {dk_arena_alloc(p->arena, token->end - token->start + 1), 0};
    copy_block_part(source, from, to, indent.len, &text);
    add_literal(p, string, &text, part->span);
  }
}
