/* The token array: what the scanner calls back, and the pass that tells names from declaration words. */
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

uint32_t dk_token_line(const struct dk_tokens *tokens, uint32_t index) {
  return line_start(tokens->source, tokens->items[index].start);
}

uint32_t dk_token_indent(const struct dk_tokens *tokens, uint32_t index) {
  return indent_at(tokens->source, dk_token_line(tokens, index));
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

/* Where to end a block string that begins before `from` and has no end of its own: at the first line that is indented no
 * further than the line it begins on. Only asked for when the marks of the file do not come in pairs, since a block's
 * lines may begin anywhere. */
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

bool dk_tokens_push(struct dk_tokens *tokens, enum dk_mode_kind kind, uint32_t start, uint32_t end) {
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

void dk_tokens_end_file(struct dk_tokens *tokens, uint32_t at) {
  for (bool reported = report_cut_hole(tokens, at); dk_tokens_mode(tokens)->kind != DK_MODE_CODE; reported = true) {
    tokens->line_ended = false;
    if (reported)
      close_silently(tokens, at);
    else
      dk_tokens_pop(tokens, at, at);
  }
}

void dk_tokens_add_raw(struct dk_tokens *tokens, uint32_t start, uint32_t end, bool is_closed) {
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

/* Which words begin declarations and statements. */

static const struct word {
  const char *text;
  int kind;
} decl_words[] = {
    {"experiment", TOK_EXPERIMENT},
    {"param", TOK_PARAM},
    {"let", TOK_LET},
    {"resource", TOK_RESOURCE},
    {"grid", TOK_GRID},
    {"task", TOK_TASK},
    {"pick", TOK_PICK},
    {"report", TOK_REPORT},
    {"import", TOK_IMPORT},
    {"image", TOK_IMAGE},
    {"source", TOK_SOURCE},
    {"provider", TOK_PROVIDER},
};
#define N_DECL_WORDS (sizeof decl_words / sizeof *decl_words)

static const struct word item_words[] = {
    {"exclude", TOK_EXCLUDE},
    {"include", TOK_INCLUDE},
    {"require", TOK_REQUIRE},
    {"vary", TOK_VARY},
};

static int find_word(const struct dk_tokens *tokens, uint32_t index, const struct word *words, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (dk_token_is(tokens, index, words[i].text)) return words[i].kind;
  return 0;
}

#define BRACES_KEPT 64

struct classifier {
  struct dk_tokens *tokens;
  uint32_t saved[BRACES_KEPT];     /* open brackets where each { stood: its } forgets those that were never closed */
  uint32_t depth, brackets, holes; /* open { } of code, ( ) and [ ], holes */
  uint32_t decl_indent;            /* of the line of the last declaration */
  bool in_import;                  /* behind `import`, before its `as` */
};

static bool is_name_like(int kind) {
  return kind == TOK_NAME || dk_token_is_reserved(kind);
}

static bool is_decl_here(const struct classifier *c, uint32_t i, int kind) {
  const struct dk_token *token = &c->tokens->items[i];
  int next = c->tokens->items[i + 1].kind;
  bool at_line_start = token->flags & DK_TOKEN_LINE_START;
  if (c->depth == 0 && c->brackets == 0) return true;
  /* Inside of brackets and braces it is one only where nothing else could be meant: something above is not closed. */
  if (!at_line_start) return false;
  bool is_left = dk_token_indent(c->tokens, i) <= c->decl_indent;
  if (next == '=' || next == TOK_IN || next == '~' || next == ',') return false;
  switch (kind) {
  case TOK_EXPERIMENT:
  case TOK_REPORT: return next == TOK_NAME || (next == '{' && is_left);
  case TOK_IMPORT: return next == TOK_NAME || ((next == TOK_STRING_OPEN || next == TOK_RAW) && is_left);
  default: return next == TOK_NAME || (is_left && is_name_like(next));
  }
}

static bool is_item_here(const struct classifier *c, uint32_t i, int kind) {
  int next = c->tokens->items[i + 1].kind;
  switch (kind) {
  case TOK_EXCLUDE:
  case TOK_REQUIRE: return dk_token_begins_value(next) && next != '{';
  case TOK_INCLUDE: return next == '{' || next == TOK_NAME;
  default: return next == TOK_NAME;
  }
}

/* `tsk train {` at the top: reads on as what was meant, so that what it holds is checked too. */
static int misspelt_decl(const struct classifier *c, uint32_t i) {
  struct dk_tokens *tokens = c->tokens;
  if (c->depth > 0 || c->brackets > 0 || !(tokens->items[i].flags & DK_TOKEN_LINE_START)) return 0;
  if (tokens->items[i + 1].kind != TOK_NAME) return 0;
  int third = tokens->items[i + 2].kind;
  if (third != '{' && third != '=' && third != TOK_NAME && third != '(') return 0;
  const char *words[N_DECL_WORDS];
  for (size_t j = 0; j < N_DECL_WORDS; j++) words[j] = decl_words[j].text;
  uint32_t len;
  const char *text = dk_token_text(tokens, i, &len);
  if (len > 32) return 0;
  const char *name = dk_arena_strndup(tokens->env->arena, text, len);
  const char *nearest = dk_nearest(name, words, N_DECL_WORDS);
  if (!nearest) return 0;
  struct dk_diag *diag =
      dk_diag_add(tokens->env->diags, DK_E0109, dk_token_span(tokens, i), "`%s` begins no declaration", name);
  dk_diag_help(tokens->env->diags, diag, "did you mean `%s`?", nearest);
  for (size_t j = 0; j < N_DECL_WORDS; j++)
    if (strcmp(decl_words[j].text, nearest) == 0) return decl_words[j].kind;
  return 0;
}

static void begin_decl(struct classifier *c, uint32_t i, int kind) {
  struct dk_token *token = &c->tokens->items[i];
  token->kind = (uint16_t)kind;
  c->depth = c->brackets = 0;
  c->decl_indent = dk_token_indent(c->tokens, i);
  c->in_import = kind == TOK_IMPORT;
}

static void classify_name(struct classifier *c, uint32_t i) {
  struct dk_tokens *tokens = c->tokens;
  int before = i > 0 ? tokens->items[i - 1].kind : 0;
  if (before == '.' || c->holes > 0) return;
  if (c->in_import && dk_token_ends_value(before) && dk_token_is(tokens, i, "as")) {
    tokens->items[i].kind = TOK_AS;
    c->in_import = false;
    return;
  }
  if (i >= 2 && before == TOK_NAME &&
      (tokens->items[i - 2].kind == TOK_TASK || tokens->items[i - 2].kind == TOK_GRID) &&
      dk_token_is(tokens, i, "over")) {
    tokens->items[i].kind = TOK_OVER;
    return;
  }
  bool after_comma = before == ',' && tokens->items[i + 1].kind == TOK_NAME && c->brackets == 0;
  bool line_start = tokens->items[i].flags & DK_TOKEN_LINE_START;
  int decl = find_word(tokens, i, decl_words, N_DECL_WORDS);
  /* A line that reads as the start of a declaration is one, also behind an unfinished expression. */
  bool reads_as_decl = decl && line_start && tokens->items[i + 1].kind == TOK_NAME;
  if (i > 0 && !dk_token_ends_value(before) && before != '{' && !after_comma && !reads_as_decl) return;
  if (!decl) decl = misspelt_decl(c, i);
  if (decl && is_decl_here(c, i, decl)) {
    begin_decl(c, i, decl);
    return;
  }
  int item = find_word(tokens, i, item_words, sizeof item_words / sizeof *item_words);
  if (item && (i > 0) && is_item_here(c, i, item)) {
    tokens->items[i].kind = (uint16_t)item;
    if (line_start) c->brackets = 0;
  }
}

static void check_minus(const struct dk_tokens *tokens, uint32_t i) {
  if (i == 0 || !dk_token_ends_value(tokens->items[i - 1].kind)) return;
  const struct dk_token *minus = &tokens->items[i], *next = &tokens->items[i + 1];
  if (!(minus->flags & DK_TOKEN_SPACE_BEFORE) || next->flags & DK_TOKEN_SPACE_BEFORE) return;
  if (!dk_token_begins_value(next->kind)) return;
  struct dk_diags *diags = tokens->env->diags;
  struct dk_diag *diag =
      dk_diag_add(diags, DK_E0106, dk_token_span(tokens, i), "is this a subtraction or a new value?");
  dk_diag_label(diags, diag, "a space before `-` and none behind it");
  dk_diag_help(diags, diag, "for two values write a comma before the `-`; to subtract write a space behind it");
}

static void classify(struct dk_tokens *tokens, bool is_file) {
  struct classifier c = {.tokens = tokens};
  for (uint32_t i = 0; i < tokens->count; i++) {
    struct dk_token *token = &tokens->items[i];
    switch (token->kind) {
    case '{':
      if (c.depth < BRACES_KEPT) c.saved[c.depth] = c.brackets;
      c.depth++;
      break;
    case '}':
      if (c.depth == 0) break;
      c.depth--;
      if (c.depth < BRACES_KEPT) c.brackets = c.saved[c.depth];
      break;
    case '(':
    case '[': c.brackets++; break;
    case ')':
    case ']': c.brackets -= c.brackets > 0; break;
    case TOK_HOLE_OPEN: c.holes++; break;
    case TOK_HOLE_CLOSE: c.holes -= c.holes > 0; break;
    case TOK_NAME:
      if (is_file) classify_name(&c, i);
      break;
    case '-': check_minus(tokens, i); break;
    default: break;
    }
  }
}

/* `not in` behind a value is one operator; the array shrinks in place. */
static void join_not_in(struct dk_tokens *tokens) {
  uint32_t kept = 0, comment = 0;
  for (uint32_t i = 0; i < tokens->count; i++) {
    while (comment < tokens->n_comments && tokens->comments[comment].before == i)
      tokens->comments[comment++].before = kept;
    struct dk_token token = tokens->items[i];
    if (token.kind == TOK_NOT && kept > 0 && dk_token_ends_value(tokens->items[kept - 1].kind) &&
        tokens->items[i + 1].kind == TOK_IN) {
      token.kind = TOK_NOT_IN;
      token.end = tokens->items[++i].end;
    }
    tokens->items[kept++] = token;
  }
  tokens->count = kept;
}

void dk_tokens_scan(struct dk_tokens *tokens, const struct dk_parse_env *env, const struct dk_source *source,
                    bool is_file) {
  *tokens = (struct dk_tokens){.env = env, .source = source, .n_modes = 1, .blank_end = UINT32_MAX};
  tokens->block_marks_total = total_block_marks(source);
  struct dk_scan scan = {tokens, env->arena, (char *)(uintptr_t)source->text, source->len};
  dk_scan_text(&scan);
  dk_tokens_end_file(tokens, source->len);
  if (tokens->too_many) tokens->count = tokens->n_comments = 0; /* half a file would only give errors that are none */
  add_flagged(tokens, TOK_END, source->len, source->len, 0);
  /* Two more, so that a look at the next two tokens needs no check. */
  for (int i = 0; i < 2; i++) {
    add_flagged(tokens, TOK_END, source->len, source->len, 0);
    tokens->count--;
  }
  classify(tokens, is_file);
  join_not_in(tokens);
}
