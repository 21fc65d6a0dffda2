/* Which words are names and which begin declarations and statements: only the words of expressions are reserved, so
 * `task`, `grid` and the others are told by where they stand and what follows. Also the rule of the ambiguous minus. */
#include "lang/syntax/token.h"

#include "lang/syntax/dk.tab.h"

#include <string.h>

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

void dk_tokens_classify(struct dk_tokens *tokens, bool is_file) {
  classify(tokens, is_file);
  join_not_in(tokens);
}
