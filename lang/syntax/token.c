/* The token array: what may be asked of it, and what the scanner calls back. */
#include "lang/syntax/token.h"

#include "lang/syntax/dk.tab.h"
#include "lang/syntax/scan.h"

#include <string.h>

struct dk_span dk_token_span(const struct dk_tokens *tokens, uint32_t index) {
  const struct dk_token *token = &tokens->items[index];
  return (struct dk_span){tokens->source->base + token->start, tokens->source->base + token->end};
}

const char *dk_token_text(const struct dk_tokens *tokens, uint32_t index, uint32_t *ret_len) {
  const struct dk_token *token = &tokens->items[index];
  *ret_len = token->end - token->start;
  return tokens->source->text + token->start;
}

bool dk_token_is(const struct dk_tokens *tokens, uint32_t index, const char *text) {
  uint32_t len;
  const char *have = dk_token_text(tokens, index, &len);
  return strlen(text) == len && memcmp(have, text, len) == 0;
}

bool dk_token_ends_value(int kind) {
  switch (kind) {
  case TOK_NAME:
  case TOK_INT:
  case TOK_FLOAT:
  case TOK_QUANTITY:
  case TOK_BAD_NUMBER:
  case TOK_RAW:
  case TOK_STRING_CLOSE:
  case TOK_TRUE:
  case TOK_FALSE:
  case TOK_NULL:
  case ')':
  case ']':
  case '}': return true;
  default: return false;
  }
}

bool dk_token_begins_value(int kind) {
  switch (kind) {
  case TOK_NAME:
  case TOK_INT:
  case TOK_FLOAT:
  case TOK_QUANTITY:
  case TOK_BAD_NUMBER:
  case TOK_RAW:
  case TOK_STRING_OPEN:
  case TOK_TRUE:
  case TOK_FALSE:
  case TOK_NULL:
  case TOK_NOT:
  case TOK_IF:
  case '(':
  case '[':
  case '{':
  case '-': return true;
  default: return false;
  }
}

bool dk_token_is_reserved(int kind) {
  switch (kind) {
  case TOK_AND:
  case TOK_OR:
  case TOK_NOT:
  case TOK_IN:
  case TOK_IF:
  case TOK_THEN:
  case TOK_ELSE:
  case TOK_FOR:
  case TOK_WHERE:
  case TOK_WITH:
  case TOK_BY:
  case TOK_TRUE:
  case TOK_FALSE:
  case TOK_NULL: return true;
  default: return false;
  }
}

bool dk_token_is_decl(int kind) {
  return kind >= TOK_EXPERIMENT && kind <= TOK_PROVIDER;
}

static uint32_t line_start(const struct dk_source *source, uint32_t offset) {
  uint32_t low = 0, high = source->n_lines;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (source->lines[middle] <= offset)
      low = middle;
    else
      high = middle;
  }
  return source->lines[low];
}

static uint32_t indent_at(const struct dk_source *source, uint32_t line) {
  uint32_t width = 0;
  for (uint32_t at = line; at < source->len; at++) {
    if (source->text[at] == ' ')
      width++;
    else if (source->text[at] == '\t')
      width = (width + 8) / 8 * 8;
    else
      break;
  }
  return width;
}

uint32_t dk_token_indent(const struct dk_tokens *tokens, uint32_t index) {
  return indent_at(tokens->source, line_start(tokens->source, tokens->items[index].start));
}

/* What the scanner calls. */

static struct dk_span span_of(const struct dk_tokens *tokens, uint32_t start, uint32_t end) {
  return (struct dk_span){tokens->source->base + start, tokens->source->base + end};
}

static void add_flagged(struct dk_tokens *tokens, int kind, uint32_t start, uint32_t end, unsigned flags) {
  if (tokens->count > 0 && kind == TOK_TEXT) {
    struct dk_token *last = &tokens->items[tokens->count - 1];
    if (last->kind == TOK_TEXT && last->end == start) {
      last->end = end;
      return;
    }
  }
  if (tokens->count >= DK_TOKENS_MAX && kind != TOK_END) {
    if (!tokens->too_many)
      dk_diag_add(tokens->env->diags, DK_E0116, span_of(tokens, start, end),
                  "the file has more than %u words and signs", DK_TOKENS_MAX);
    tokens->too_many = true;
    return;
  }
  if (tokens->line_ended || tokens->count == 0) flags |= DK_TOKEN_LINE_START | DK_TOKEN_SPACE_BEFORE;
  if (tokens->blank_end == start) flags |= DK_TOKEN_SPACE_BEFORE;
  if (tokens->odd_left_out) flags |= DK_TOKEN_AFTER_ODD;
  tokens->line_ended = tokens->odd_left_out = false;
  dk_arena_push(tokens->env->arena, tokens->items, tokens->count, tokens->cap) =
      (struct dk_token){(uint16_t)kind, (uint16_t)flags, start, end};
}

void dk_tokens_add(struct dk_tokens *tokens, int kind, uint32_t start, uint32_t end) {
  unsigned flags = 0;
  if (kind == TOK_BAD_NUMBER) {
    flags = DK_TOKEN_REPORTED;
    struct dk_diag *diag = dk_diag_add(tokens->env->diags, DK_E0114, span_of(tokens, start, end), "this is no number");
    const char *text = tokens->source->text + start;
    if (text[0] == '.')
      dk_diag_help(tokens->env->diags, diag, "write a digit before the point: `0%.*s`", (int)(end - start), text);
    else if (text[0] == '0' && (text[1] == 'x' || text[1] == 'b' || text[1] == 'o'))
      dk_diag_help(tokens->env->diags, diag, "numbers are decimal");
    else
      dk_diag_help(tokens->env->diags, diag,
                   "a name begins with a letter; a quantity is a number and a unit: 512MB, 1h30m");
  }
  add_flagged(tokens, kind, start, end, flags);
}

void dk_tokens_add_comment(struct dk_tokens *tokens, uint32_t start, uint32_t end) {
  tokens->blank_end = end;
  dk_arena_push(tokens->env->arena, tokens->comments, tokens->n_comments, tokens->cap_comments) =
      (struct dk_comment){start, end, tokens->count};
}

struct dk_mode *dk_tokens_mode(struct dk_tokens *tokens) {
  return &tokens->modes[tokens->n_modes - 1];
}

/* Counts the """ before an offset; offsets come in rising order. */
static uint32_t count_block_marks(struct dk_tokens *tokens, uint32_t offset) {
  const char *text = tokens->source->text;
  while (tokens->block_marks_at + 3 <= tokens->source->len && tokens->block_marks_at < offset) {
    if (memcmp(text + tokens->block_marks_at, "\"\"\"", 3) == 0) {
      tokens->block_marks++;
      tokens->block_marks_at += 3;
    } else {
      tokens->block_marks_at++;
    }
  }
  return tokens->block_marks;
}

static uint32_t total_block_marks(const struct dk_source *source) {
  uint32_t total = 0;
  for (uint32_t at = 0; at + 3 <= source->len;) {
    bool is_mark = memcmp(source->text + at, "\"\"\"", 3) == 0;
    total += is_mark;
    at += is_mark ? 3 : 1;
  }
  return total;
}

/* Where to end a block string that begins before `from` and has no end of its own: at the first line that is indented
 * no further than the line it begins on. Only asked for when the marks of the file do not come in pairs, since a
 * block's lines may begin anywhere. */
static uint32_t block_limit(struct dk_tokens *tokens, uint32_t from) {
  const struct dk_source *source = tokens->source;
  uint32_t seen = count_block_marks(tokens, from);
  if ((tokens->block_marks_total - seen) % 2 == 1) return UINT32_MAX;
  uint32_t outer = indent_at(source, line_start(source, from));
  for (uint32_t at = from; at < source->len; at++) {
    if (at + 3 <= source->len && memcmp(source->text + at, "\"\"\"", 3) == 0) return UINT32_MAX;
    if (source->text[at] != '\n') continue;
    uint32_t first = at + 1;
    while (first < source->len && (source->text[first] == ' ' || source->text[first] == '\t')) first++;
    if (first >= source->len || source->text[first] == '\n' || source->text[first] == '\r') continue;
    if (first + 3 <= source->len && memcmp(source->text + first, "\"\"\"", 3) == 0) return UINT32_MAX;
    if (indent_at(source, at + 1) <= outer) return at + 1;
  }
  return UINT32_MAX;
}

/* f"..." and the like of other languages: the letters right before a string are said to be none, and taken away. */
static void drop_prefix(struct dk_tokens *tokens, uint32_t start) {
  static const char *const prefixes[] = {"f", "r", "b", "u", "fr", "rf", "br", "rb"};
  const struct dk_token *last = tokens->count ? &tokens->items[tokens->count - 1] : NULL;
  if (!last || last->kind != TOK_NAME || last->end != start) return;
  const char *text = tokens->source->text + last->start;
  uint32_t len = last->end - last->start;
  bool is_prefix = false;
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
    is_prefix = is_prefix || (strlen(prefixes[i]) == len && strncasecmp(prefixes[i], text, len) == 0);
  if (!is_prefix) return;
  struct dk_diags *diags = tokens->env->diags;
  struct dk_diag *diag = dk_diag_add(diags, DK_E0105, span_of(tokens, last->start, last->end),
                                     "strings have no prefix `%.*s`", (int)len, text);
  if (memchr(text, 'f', len) || memchr(text, 'F', len))
    dk_diag_help(diags, diag, "leave it out: every string in double quotes may have holes, \"lr is {{lr}}\"");
  else if (memchr(text, 'r', len) || memchr(text, 'R', len))
    dk_diag_help(diags, diag, "leave it out: in single quotes, '...', a backslash and braces are text");
  else
    dk_diag_help(diags, diag, "leave it out");
  tokens->count--;
  if (last->flags & DK_TOKEN_LINE_START) tokens->line_ended = true;
  if (last->flags & DK_TOKEN_SPACE_BEFORE) tokens->blank_end = start;
}

bool dk_tokens_push(struct dk_tokens *tokens, enum dk_mode_kind kind, uint32_t start, uint32_t end) {
  if (kind != DK_MODE_HOLE) drop_prefix(tokens, start);
  if (tokens->n_modes == DK_MODES_MAX) {
    if (!tokens->too_nested)
      dk_diag_add(tokens->env->diags, DK_E0115, span_of(tokens, start, end), "strings and holes are nested too deeply");
    tokens->too_nested = true;
    if (kind != DK_MODE_HOLE) add_flagged(tokens, TOK_BAD_NUMBER, start, end, DK_TOKEN_REPORTED);
    return false;
  }
  add_flagged(tokens, kind == DK_MODE_HOLE ? TOK_HOLE_OPEN : TOK_STRING_OPEN, start, end, 0);
  struct dk_mode mode = {.kind = kind, .open = tokens->count - 1, .limit = UINT32_MAX};
  if (kind == DK_MODE_BLOCK) mode.limit = block_limit(tokens, end);
  tokens->modes[tokens->n_modes++] = mode;
  return true;
}

bool dk_tokens_in_hole(const struct dk_tokens *tokens) {
  return tokens->n_modes >= 2 && tokens->modes[tokens->n_modes - 2].kind == DK_MODE_HOLE;
}

static void report_unclosed(struct dk_tokens *tokens, const struct dk_mode *mode, uint32_t at) {
  struct dk_diags *diags = tokens->env->diags;
  const struct dk_token *open = &tokens->items[mode->open];
  if (mode->kind == DK_MODE_HOLE) {
    struct dk_diag *diag = dk_diag_add(diags, DK_E0112, span_of(tokens, open->start, open->end),
                                       "the hole that begins here is not closed on its line");
    dk_diag_label(diags, diag, "expected `}}` behind the expression");
    dk_diag_help(diags, diag, "for two literal braces write {{\"{{\"}}");
    return;
  }
  if (mode->kind == DK_MODE_BLOCK) {
    struct dk_diag *diag =
        dk_diag_add(diags, DK_E0110, span_of(tokens, open->start, open->end), "the block string is not closed");
    dk_diag_label(diags, diag, "opened here");
    if (mode->limit == at)
      dk_diag_label_at(diags, diag, span_of(tokens, at, at), "expected `\"\"\"` on a line of its own before this");
    else
      dk_diag_help(diags, diag, "write `\"\"\"` behind its last line");
    return;
  }
  uint32_t end = at;
  while (end > open->end && strchr(" \t\r", tokens->source->text[end - 1])) end--;
  struct dk_diag *diag = dk_diag_add(diags, DK_E0110, span_of(tokens, open->start, end), "the string is not closed");
  dk_diag_label(diags, diag, "expected `\"` before the line ends");
  dk_diag_help(diags, diag, "a text of several lines stands in three quotes: \"\"\" ... \"\"\"");
}

void dk_tokens_pop(struct dk_tokens *tokens, uint32_t start, uint32_t end) {
  struct dk_mode *mode = dk_tokens_mode(tokens);
  if (start == end && !tokens->too_many) report_unclosed(tokens, mode, start);
  if (start == end) tokens->line_ended = false;
  add_flagged(tokens, mode->kind == DK_MODE_HOLE ? TOK_HOLE_CLOSE : TOK_STRING_CLOSE, start, end,
              start == end ? DK_TOKEN_REPORTED : 0);
  tokens->n_modes--;
}

static void close_silently(struct dk_tokens *tokens, uint32_t at) {
  bool is_hole = dk_tokens_mode(tokens)->kind == DK_MODE_HOLE;
  add_flagged(tokens, is_hole ? TOK_HOLE_CLOSE : TOK_STRING_CLOSE, at, at, DK_TOKEN_REPORTED);
  tokens->n_modes--;
}

/* A hole that is cut off by the line end is what is reported, not the strings in it and around it. */
static bool report_cut_hole(struct dk_tokens *tokens, uint32_t at) {
  uint32_t i = 0;
  while (i < tokens->n_modes && tokens->modes[i].kind != DK_MODE_HOLE) i++;
  if (i == tokens->n_modes) return false;
  if (!tokens->too_many) report_unclosed(tokens, &tokens->modes[i], at);
  for (; i < tokens->n_modes; i++) tokens->items[tokens->modes[i].open].flags |= DK_TOKEN_REPORTED;
  return true;
}

void dk_tokens_end_line(struct dk_tokens *tokens, uint32_t at) {
  for (bool reported = report_cut_hole(tokens, at);; reported = true) {
    enum dk_mode_kind kind = dk_tokens_mode(tokens)->kind;
    if (kind == DK_MODE_CODE || kind == DK_MODE_BLOCK) break;
    tokens->line_ended = false;
    if (reported)
      close_silently(tokens, at);
    else
      dk_tokens_pop(tokens, at, at);
  }
  /* A hole of a block string that was cut off: the line end belongs to the block's text. */
  if (dk_tokens_mode(tokens)->kind == DK_MODE_BLOCK)
    add_flagged(tokens, TOK_TEXT, at, at + 1, 0);
  else
    tokens->line_ended = true;
}

static void end_file(struct dk_tokens *tokens, uint32_t at) {
  for (bool reported = report_cut_hole(tokens, at); dk_tokens_mode(tokens)->kind != DK_MODE_CODE; reported = true) {
    tokens->line_ended = false;
    if (reported)
      close_silently(tokens, at);
    else
      dk_tokens_pop(tokens, at, at);
  }
}

void dk_tokens_add_raw(struct dk_tokens *tokens, uint32_t start, uint32_t end, bool is_closed) {
  drop_prefix(tokens, start);
  if (is_closed) {
    add_flagged(tokens, TOK_RAW, start, end, 0);
    return;
  }
  while (end > start + 1 && strchr(" \t\r", tokens->source->text[end - 1])) end--;
  struct dk_diag *diag =
      dk_diag_add(tokens->env->diags, DK_E0110, span_of(tokens, start, end), "the string is not closed");
  dk_diag_label(tokens->env->diags, diag, "expected `'` before the line ends");
  add_flagged(tokens, TOK_RAW, start, end, DK_TOKEN_REPORTED);
}

void dk_tokens_scan(struct dk_tokens *tokens, const struct dk_parse_env *env, const struct dk_source *source,
                    bool is_file) {
  *tokens = (struct dk_tokens){.env = env, .source = source, .n_modes = 1, .blank_end = UINT32_MAX};
  tokens->block_marks_total = total_block_marks(source);
  struct dk_scan scan = {tokens, env->arena, (char *)(uintptr_t)source->text, source->len};
  dk_scan_text(&scan);
  end_file(tokens, source->len);
  if (tokens->too_many) tokens->count = tokens->n_comments = 0; /* half a file would only give errors that are none */
  add_flagged(tokens, TOK_END, source->len, source->len, 0);
  /* Two more, so that a look at the next two tokens needs no check. */
  for (int i = 0; i < 2; i++) {
    add_flagged(tokens, TOK_END, source->len, source->len, 0);
    tokens->count--;
  }
  dk_tokens_classify(tokens, is_file);
}
