/* Syntax errors in words: first the mistakes that people make and that can be told from the tokens around, then the
 * plain "unexpected ..., expected ...". Each rule below returns whether it has said what there is to say. */
#include "lang/syntax/report.h"

#include "lang/base/number.h"
#include "lang/syntax/dk.tab.h"

#include <string.h>

struct error {
  struct dk_parse *p;
  struct dk_diags *diags;
  const struct dk_tokens *tokens;
  uint32_t index, expected;
  int kind, before, next; /* kinds of the token, and of those around it; 0 before the first */
  bool line_start;
  struct dk_span span, gap; /* of the token; behind the one before it */
  uint32_t open;            /* the innermost open bracket of the statement, or DK_NO_TOKEN */
  int open_kind;
};

static bool expects(const struct error *e, unsigned what) {
  return (e->expected & what) != 0;
}

static const char *text_of(const struct error *e, uint32_t index) {
  uint32_t len;
  const char *text = dk_token_text(e->tokens, index, &len);
  if (len > 40) return dk_arena_printf(e->p->arena, "%.*s...", 40, text);
  return dk_arena_strndup(e->p->arena, text, len);
}

static const char *describe(const struct error *e, uint32_t index) {
  switch (e->tokens->items[index].kind) {
  case TOK_END: return e->p->module ? "the end of the file" : "the end of the expression";
  case TOK_HOLE_CLOSE: return "the end of the hole";
  case TOK_STRING_OPEN:
  case TOK_RAW: return "a string";
  default: return dk_arena_printf(e->p->arena, "`%s`", text_of(e, index));
  }
}

/* Closers first, at most five. What a wider word covers is left out. */
static const char *list_expected(const struct error *e) {
  static const struct {
    uint32_t expect, covered_by;
    const char *text;
  } names[] = {
      {DK_EXPECT_PAREN, 0, "`)`"},
      {DK_EXPECT_BRACKET, 0, "`]`"},
      {DK_EXPECT_HOLE_CLOSE, 0, "`}}`"},
      {DK_EXPECT_BRACE, 0, "`}`"},
      {DK_EXPECT_COMMA, DK_EXPECT_BRACE | DK_EXPECT_ITEM, "`,`"},
      {DK_EXPECT_BODY, DK_EXPECT_VALUE, "`{`"},
      {DK_EXPECT_ASSIGN, 0, "`=`"},
      {DK_EXPECT_IN, DK_EXPECT_OPERATOR, "`in`"},
      {DK_EXPECT_TILDE, 0, "`~`"},
      {DK_EXPECT_THEN, 0, "`then`"},
      {DK_EXPECT_ELSE, 0, "`else`"},
      {DK_EXPECT_AS, 0, "`as`"},
      {DK_EXPECT_OVER, 0, "`over`"},
      {DK_EXPECT_DECL, 0, "a declaration"},
      {DK_EXPECT_ITEM, 0, "a statement"},
      {DK_EXPECT_VALUE, 0, "a value"},
      {DK_EXPECT_NAME, DK_EXPECT_VALUE | DK_EXPECT_ITEM | DK_EXPECT_OPERATOR, "a name"},
      {DK_EXPECT_STRING, DK_EXPECT_VALUE | DK_EXPECT_ITEM | DK_EXPECT_OPERATOR, "a string"},
      {DK_EXPECT_OPEN_PAREN, DK_EXPECT_VALUE | DK_EXPECT_OPERATOR, "`(`"},
      {DK_EXPECT_OPERATOR, 0, "an operator"},
      {DK_EXPECT_END, DK_EXPECT_DECL, "the end"},
  };
  const char *items[5];
  uint32_t n = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names && n < 5; i++)
    if (expects(e, names[i].expect) && !expects(e, names[i].covered_by)) items[n++] = names[i].text;
  if (n == 0) return NULL;
  const char *list = items[0];
  for (uint32_t i = 1; i < n; i++)
    list = dk_arena_printf(e->p->arena, "%s%s%s", list, i + 1 == n ? " or " : ", ", items[i]);
  return list;
}

static const char *closer_of(int open) {
  switch (open) {
  case '(': return ")";
  case '[': return "]";
  case TOK_HOLE_OPEN: return "}}";
  default: return "}";
  }
}

static bool is_closer(int kind) {
  return kind == ')' || kind == ']' || kind == '}' || kind == TOK_HOLE_CLOSE;
}

static bool is_comparison(int kind) {
  return kind == TOK_EQ || kind == TOK_NE || kind == '<' || kind == TOK_LE || kind == '>' || kind == TOK_GE ||
         kind == TOK_IN || kind == TOK_NOT_IN;
}

/* Nothing of an expression may follow: the file ends, or another statement or declaration begins. */
static bool is_beyond(const struct error *e) {
  return e->kind == TOK_END || dk_token_is_decl(e->kind) ||
         (e->line_start && dk_parse_begins_item(e->tokens, e->index) && e->p->n_blocks > 0);
}

static struct dk_diag *unclosed(const struct error *e, uint32_t open, struct dk_span at) {
  const char *closer = closer_of(e->tokens->items[open].kind);
  struct dk_diag *diag = dk_diag_add(e->diags, DK_E0102, at, "`%s` is not closed", text_of(e, open));
  dk_diag_label(e->diags, diag, "expected `%s`", closer);
  dk_diag_label_at(e->diags, diag, dk_token_span(e->tokens, open), "opened here");
  return diag;
}

/* A bracket of the statement is open where the statement must end, or meets the closer of another. */
static bool bracket_not_closed(const struct error *e) {
  if (e->open == DK_NO_TOKEN || e->open_kind == TOK_HOLE_OPEN) return false;
  if (!dk_token_ends_value(e->before) && e->before != ',') {
    if (!is_closer(e->kind) && !is_beyond(e)) return false;
    if (!expects(e, DK_EXPECT_PAREN | DK_EXPECT_BRACKET | DK_EXPECT_BRACE)) return false; /* a value is missing first */
  }
  bool wrong_closer = is_closer(e->kind) && (e->kind == TOK_HOLE_CLOSE || closer_of(e->open_kind)[0] != e->kind);
  if (!wrong_closer && !is_beyond(e)) return false;
  unclosed(e, e->open, e->gap);
  return true;
}

/* The first { inside the open block that was closed by a } further left than its line: that one is likely the
 * culprit. */
static uint32_t suspect_brace(const struct error *e, uint32_t block) {
  uint32_t stack[64], n = 0;
  for (uint32_t i = block; i < e->index; i++) {
    const struct dk_token *token = &e->tokens->items[i];
    if (token->kind == '{' && n < 64) stack[n++] = i;
    if (token->kind != '}' || n == 0) continue;
    uint32_t open = stack[--n];
    if (token->flags & DK_TOKEN_LINE_START && open != block &&
        dk_token_indent(e->tokens, i) < dk_token_indent(e->tokens, open))
      return open;
  }
  return DK_NO_TOKEN;
}

static bool block_not_closed(const struct error *e) {
  if (e->p->n_blocks == 0 || (e->kind != TOK_END && !dk_token_is_decl(e->kind))) return false;
  if (!expects(e, DK_EXPECT_BRACE)) return false;
  /* A string that is not closed took the rest of its line, and most likely the brace. */
  if (e->index > 0 && e->tokens->items[e->index - 1].flags & DK_TOKEN_REPORTED) return true;
  uint32_t block = e->p->blocks[e->p->n_blocks - 1], suspect = suspect_brace(e, block);
  if (suspect != DK_NO_TOKEN) {
    struct dk_diag *diag = dk_diag_add(e->diags, DK_E0102, dk_token_span(e->tokens, suspect), "`{` is not closed");
    dk_diag_label(e->diags, diag, "opened here; the next `}` is indented less than this line");
    dk_diag_label_at(e->diags, diag, e->gap, "a `}` is missing before the end of the declaration");
    return true;
  }
  struct dk_diag *diag = dk_diag_add(e->diags, DK_E0102, e->gap, "`{` is not closed");
  dk_diag_label(e->diags, diag, "expected `}`");
  dk_diag_label_at(e->diags, diag, dk_token_span(e->tokens, block), "opened here");
  if (dk_token_is_decl(e->kind) && !(e->line_start && dk_token_indent(e->tokens, e->index) == 0))
    dk_diag_help(e->diags, diag, "`%s` begins a declaration, which stands outside of braces", text_of(e, e->index));
  return true;
}

static bool closer_too_many(const struct error *e) {
  if (!is_closer(e->kind) || e->kind == TOK_HOLE_CLOSE || e->open != DK_NO_TOKEN) return false;
  if (e->kind == '}' && e->p->n_blocks > 0) return false;
  if (!dk_token_ends_value(e->before) && !expects(e, DK_EXPECT_DECL | DK_EXPECT_ITEM)) return false;
  struct dk_diag *diag = dk_diag_add(e->diags, DK_E0102, e->span, "`%s` closes nothing", text_of(e, e->index));
  dk_diag_label(e->diags, diag, "no `%s` is open here", e->kind == ')' ? "(" : e->kind == ']' ? "[" : "{");
  return true;
}

static bool empty_hole(const struct error *e) {
  if (e->kind != TOK_HOLE_CLOSE || e->before != TOK_HOLE_OPEN) return false;
  struct dk_span span = {dk_token_span(e->tokens, e->index - 1).start, e->span.end};
  struct dk_diag *diag = dk_diag_add(e->diags, DK_E0101, span, "the hole is empty");
  dk_diag_label(e->diags, diag, "expected a value between the braces");
  dk_diag_help(e->diags, diag, "for two literal braces write {{\"{{\"}}");
  return true;
}

static bool equals_mixed_up(const struct error *e) {
  if (e->kind == '=' && expects(e, DK_EXPECT_OPERATOR) && dk_token_ends_value(e->before)) {
    struct dk_diag *diag = dk_diag_add(e->diags, DK_E0104, e->span, "`=` gives a name its value, and compares nothing");
    dk_diag_label(e->diags, diag, "expected an operator");
    dk_diag_help(e->diags, diag, "to compare write `==`");
    return true;
  }
  if (e->kind == TOK_EQ && expects(e, DK_EXPECT_ASSIGN)) {
    struct dk_diag *diag = dk_diag_add(e->diags, DK_E0104, e->span, "`==` compares, and gives no name its value");
    dk_diag_label(e->diags, diag, "expected `=`");
    return true;
  }
  return false;
}

static bool chained(const struct error *e) {
  if (!dk_token_ends_value(e->before) || !expects(e, DK_EXPECT_OPERATOR)) return false;
  if (is_comparison(e->kind) && !expects(e, DK_EXPECT_COMPARISON)) {
    struct dk_diag *diag = dk_diag_add(e->diags, DK_E0107, e->span, "comparisons cannot be chained");
    dk_diag_label(e->diags, diag, "the comparison before it gives true or false");
    dk_diag_help(e->diags, diag, "write `a < b and b < c`");
    return true;
  }
  if (e->kind == TOK_RANGE && !expects(e, DK_EXPECT_RANGE)) {
    struct dk_diag *diag = dk_diag_add(e->diags, DK_E0107, e->span, "a range has two ends");
    dk_diag_help(e->diags, diag, "a step is written `1..9 by 2`");
    return true;
  }
  return false;
}

static bool reserved_name(const struct error *e) {
  if (!dk_token_is_reserved(e->kind) || !expects(e, DK_EXPECT_NAME) || expects(e, DK_EXPECT_VALUE)) return false;
  bool is_name = e->before == '.' || e->next == '=' || e->next == TOK_IN || e->next == '{' || e->before == ',' ||
                 dk_token_is_decl(e->before) || e->before == TOK_AS;
  if (!is_name || e->before == '}') return false;
  struct dk_diag *diag = dk_diag_add(e->diags, DK_E0108, e->span, "`%s` is a reserved word", text_of(e, e->index));
  dk_diag_label(e->diags, diag, "expected a name");
  dk_diag_help(e->diags, diag, "choose another name");
  return true;
}

static void help_foreign_word(const struct error *e, struct dk_diag *diag) {
  static const struct {
    const char *word, *help;
  } words[] = {
      {"def", "a function is written `let f(x) = ...`"},
      {"function", "a function is written `let f(x) = ...`"},
      {"fn", "a function is written `let f(x) = ...`"},
      {"const", "a value gets a name by `let x = ...`"},
      {"var", "a value gets a name by `let x = ...`"},
      {"from", "an import is written `import std.hardware as hw`"},
      {"include", "another file is used by `import \"./common.dk\" as common`"},
      {"for", "there are no loops: the axes of a grid make the points, `[f(x) for x in xs]` makes a list"},
      {"while", "there are no loops: the axes of a grid make the points, `[f(x) for x in xs]` makes a list"},
      {"if", "a choice is a value: `x = if a then b else c`"},
      {"elif", "write `else if`"},
      {"elseif", "write `else if`"},
      {"//", "a comment begins with `#`"},
      {"/", "a comment begins with `#`"},
  };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (dk_token_is(e->tokens, e->index, words[i].word)) dk_diag_help(e->diags, diag, "%s", words[i].help);
}

static bool not_a_declaration(const struct error *e) {
  if (!expects(e, DK_EXPECT_DECL) || expects(e, DK_EXPECT_OPERATOR) || e->p->n_blocks > 0) return false;
  struct dk_diag *diag = dk_diag_add(e->diags, DK_E0109, e->span, "%s begins no declaration", describe(e, e->index));
  dk_diag_label(e->diags, diag, "expected a declaration: task, grid, let, param, pick, report, ...");
  help_foreign_word(e, diag);
  if (e->kind == TOK_NAME && (e->next == '=' || e->next == TOK_IN || e->next == '{')) {
    if (e->before == '}')
      dk_diag_label_at(e->diags, diag, dk_token_span(e->tokens, e->index - 1), "the declaration before it ends here");
    else if (e->next == '=')
      dk_diag_help(e->diags, diag, "to give a value a name write `let %s = ...`", text_of(e, e->index));
  }
  return true;
}

static bool half_an_if(const struct error *e) {
  bool then = expects(e, DK_EXPECT_THEN), otherwise = expects(e, DK_EXPECT_ELSE);
  if ((!then && !otherwise) || !dk_token_ends_value(e->before) || expects(e, DK_EXPECT_VALUE)) return false;
  struct dk_diag *diag = dk_diag_add(e->diags, DK_E0101, e->gap, "the `if` has no `%s`", then ? "then" : "else");
  dk_diag_label(e->diags, diag, "expected `%s`%s", then ? "then" : "else", then ? "" : " and a value");
  if (dk_token_is(e->tokens, e->index, "elif"))
    help_foreign_word(e, diag);
  else
    dk_diag_help(e->diags, diag, "write `if a then b else c`");
  return true;
}

static bool is_number(int kind) {
  return kind == TOK_INT || kind == TOK_FLOAT;
}

/* `60 s`: the unit is read as a name, which is wrong itself in a list, and makes wrong what follows it in a block. */
static bool blank_in_quantity(const struct error *e) {
  bool is_here = e->kind == TOK_NAME && !e->line_start && is_number(e->before);
  if (!is_here && (e->index < 2 || e->before != TOK_NAME || e->kind == TOK_EQ)) return false;
  uint32_t at = is_here ? e->index : e->index - 1;
  const struct dk_token *unit = &e->tokens->items[at];
  if (unit->flags & DK_TOKEN_LINE_START || !is_number(e->tokens->items[at - 1].kind)) return false;
  const char *name = dk_number_unit(text_of(e, at));
  if (!name) return false;
  struct dk_span span = {dk_token_span(e->tokens, at - 1).start, dk_token_span(e->tokens, at).end};
  struct dk_diag *diag = dk_diag_add(e->diags, DK_E0101, span, "a blank stands between a number and its unit");
  dk_diag_help(e->diags, diag, "write `%s%s`", text_of(e, at - 1), name);
  return true;
}

static bool missing_comma(const struct error *e) {
  if (!expects(e, DK_EXPECT_COMMA) || !dk_token_ends_value(e->before)) return false;
  if (e->open_kind != '(' && e->open_kind != '[') return false;
  if (!dk_token_begins_value(e->kind) || e->kind == TOK_IF) return false;
  bool may_be_name = e->kind == TOK_NAME && (e->next == '=' || e->next == TOK_IN || e->next == '~');
  const char *closer = closer_of(e->open_kind);
  struct dk_diag *diag;
  if (may_be_name && e->p->n_blocks > 0) {
    diag = dk_diag_add(e->diags, DK_E0103, e->gap, "`,` or `%s` is missing before `%s`", closer, text_of(e, e->index));
    dk_diag_label(e->diags, diag, "expected `,` or `%s`", closer);
    dk_diag_label_at(e->diags, diag, dk_token_span(e->tokens, e->open), "opened here");
  } else {
    diag = dk_diag_add(e->diags, DK_E0103, e->gap, "a comma is missing between two values");
    dk_diag_label(e->diags, diag, "expected `,` or `%s`", closer);
  }
  return true;
}

/* The bracket that the closer at `close` belongs to. */
static uint32_t matching_open(const struct error *e, uint32_t close) {
  return close > 0 && is_closer(e->tokens->items[close].kind) ? dk_parse_open_bracket(e->tokens, 0, close)
                                                              : DK_NO_TOKEN;
}

static bool missing_body(const struct error *e) {
  if (!expects(e, DK_EXPECT_BODY) || expects(e, DK_EXPECT_VALUE) || e->p->n_blocks > 0) return false;
  if (expects(e, DK_EXPECT_ASSIGN)) return false;
  uint32_t open = e->before == '}' ? matching_open(e, e->index - 1) : DK_NO_TOKEN;
  if (open != DK_NO_TOKEN && open > 0 && e->tokens->items[open - 1].kind == TOK_OVER) {
    struct dk_span over = dk_token_span(e->tokens, open - 1);
    struct dk_diag *no_grid = dk_diag_add(e->diags, DK_E0101, over, "the grid is missing behind `over`");
    dk_diag_label(e->diags, no_grid, "expected a grid behind this");
    return true;
  }
  struct dk_diag *diag = dk_diag_add(e->diags, DK_E0101, e->gap, "the body of the declaration is missing");
  dk_diag_label(e->diags, diag, "expected %s", expects(e, DK_EXPECT_OVER) ? "`{` or `over`" : "`{`");
  if (e->kind == '=' && e->p->decl_start != DK_NO_TOKEN)
    dk_diag_help(e->diags, diag, "write `%s %s { ... }`", text_of(e, e->p->decl_start),
                 text_of(e, e->p->decl_start + 1));
  return true;
}

static void suggest_statement(const struct error *e, struct dk_diag *diag, const char *name) {
  static const char *const words[] = {"exclude", "include", "require", "vary"};
  const char *nearest = dk_nearest(name, words, sizeof words / sizeof *words);
  if (strcmp(name, "let") == 0)
    dk_diag_help(e->diags, diag, "`let` stands outside of braces; in a grid a column is written `x = ...`");
  else if (nearest && strcmp(nearest, name) != 0)
    dk_diag_help(e->diags, diag, "did you mean `%s`?", nearest);
}

/* A string where a statement begins. */
static bool stray_string(const struct error *e) {
  if ((e->before != TOK_STRING_CLOSE && e->before != TOK_RAW) || e->p->n_blocks == 0) return false;
  uint32_t start = e->index - 1;
  while (e->before != TOK_RAW && start > 0 && e->tokens->items[start].kind != TOK_STRING_OPEN) start--;
  struct dk_span span = {dk_token_span(e->tokens, start).start, e->gap.end};
  struct dk_diag *diag = dk_diag_add(e->diags, DK_E0101, span, "a string stands where a statement begins");
  dk_diag_label(e->diags, diag, "expected a name, or `=` behind this");
  dk_diag_help(e->diags, diag, "a comma goes before the text of a `require`, and between the values of a list");
  return true;
}

/* A statement of a block whose second word is wrong, `lr 0.1`, or another name without its `=`. */
static bool missing_sign(const struct error *e) {
  if (!expects(e, DK_EXPECT_ASSIGN) || expects(e, DK_EXPECT_OPERATOR | DK_EXPECT_VALUE) || e->index == 0) return false;
  if (!dk_token_begins_value(e->kind) && !is_closer(e->kind) && !is_beyond(e) && e->kind != ',') return false;
  if (!expects(e, DK_EXPECT_IN) && stray_string(e)) return true;
  const char *name = text_of(e, e->index - 1);
  if (!expects(e, DK_EXPECT_IN)) {
    struct dk_diag *no_sign = dk_diag_add(e->diags, DK_E0101, e->gap, "`=` is missing behind `%s`", name);
    dk_diag_label(e->diags, no_sign, "expected %s", list_expected(e));
    return true;
  }
  struct dk_diag *diag = dk_diag_add(e->diags, DK_E0101, e->gap, "`=` or `in` is missing behind `%s`", name);
  dk_diag_label(e->diags, diag, "expected %s", list_expected(e));
  dk_diag_help(e->diags, diag, "a field is written `%s = ...`, an axis of a grid `%s in ...`", name, name);
  suggest_statement(e, diag, name);
  return true;
}

static bool missing_value(const struct error *e) {
  if (!expects(e, DK_EXPECT_VALUE) || expects(e, DK_EXPECT_OPERATOR) || e->index == 0) return false;
  if (!is_closer(e->kind) && !is_beyond(e) && e->kind != ',' && !e->line_start) return false;
  struct dk_diag *diag =
      dk_diag_add(e->diags, DK_E0101, e->gap, "a value is missing behind %s", describe(e, e->index - 1));
  dk_diag_label(e->diags, diag, "expected a value");
  return true;
}

/* The text ends, or the next statement begins, before the one in work is whole. */
static bool cut_short(const struct error *e) {
  if (!is_beyond(e) || e->index == 0 || expects(e, DK_EXPECT_OPERATOR | DK_EXPECT_DECL | DK_EXPECT_ITEM)) return false;
  const char *list = list_expected(e);
  if (!list) return false;
  struct dk_diag *diag =
      dk_diag_add(e->diags, DK_E0101, e->gap, "something is missing behind %s", describe(e, e->index - 1));
  dk_diag_label(e->diags, diag, "expected %s", list);
  return true;
}

static void unexpected(const struct error *e) {
  const char *list = list_expected(e);
  struct dk_diag *diag = dk_diag_add(e->diags, DK_E0101, e->span, "unexpected %s", describe(e, e->index));
  if (list) dk_diag_label(e->diags, diag, "expected %s", list);
  help_foreign_word(e, diag);
  if (e->open_kind == TOK_HOLE_OPEN && dk_token_ends_value(e->before))
    dk_diag_help(e->diags, diag, "a hole holds one value; for two literal braces write {{\"{{\"}}");
  if (e->kind == ',' && e->before == '}' && expects(e, DK_EXPECT_ITEM))
    dk_diag_help(e->diags, diag, "nothing stands between statements: leave it out");
  if (e->kind == TOK_LET && e->p->n_blocks > 0)
    dk_diag_help(e->diags, diag, "`let` stands outside of braces; in a grid a column is written `x = ...`");
}

/* Where to look for what is open: this hole, this statement, this declaration. */
static uint32_t scope_start(const struct dk_parse *p) {
  if (p->n_holes > 0 && p->tokens.items[p->last].kind != TOK_HOLE_CLOSE) return p->holes[p->n_holes - 1];
  if (p->n_blocks > 0) return p->item_start;
  if (!p->module) return 0;
  return p->decl_start == p->last ? p->decl_before : p->decl_start;
}

void dk_report_syntax(struct dk_parse *p, uint32_t expected) {
  const struct dk_tokens *tokens = &p->tokens;
  const struct dk_token *token = &tokens->items[p->last];
  if (token->flags & (DK_TOKEN_REPORTED | DK_TOKEN_AFTER_ODD)) return;
  if (p->last > 0 && tokens->items[p->last - 1].kind == TOK_ODD) return;
  if (tokens->too_many) return;
  struct error e = {.p = p, .diags = p->env->diags, .tokens = tokens, .index = p->last, .expected = expected};
  e.kind = token->kind;
  e.before = p->last > 0 ? tokens->items[p->last - 1].kind : 0;
  e.next = tokens->items[p->last + 1].kind;
  e.line_start = token->flags & DK_TOKEN_LINE_START;
  e.span = dk_token_span(tokens, p->last);
  e.gap = e.span;
  if (p->last > 0) e.gap.start = e.gap.end = dk_token_span(tokens, p->last - 1).end;
  uint32_t from = scope_start(p);
  e.open = from == DK_NO_TOKEN ? DK_NO_TOKEN : dk_parse_open_bracket(tokens, from, p->last);
  if (e.open != DK_NO_TOKEN) e.open_kind = tokens->items[e.open].kind;

  if (blank_in_quantity(&e) || empty_hole(&e) || bracket_not_closed(&e) || block_not_closed(&e) ||
      closer_too_many(&e) || equals_mixed_up(&e) || chained(&e) || reserved_name(&e) || not_a_declaration(&e) ||
      half_an_if(&e) || missing_comma(&e) || missing_body(&e) || missing_sign(&e) || missing_value(&e) || cut_short(&e))
    return;
  unexpected(&e);
}

void dk_report_too_deep(struct dk_parse *p, struct dk_span span) {
  if (p->too_deep) return;
  p->too_deep = true;
  struct dk_diag *diag = dk_diag_add(p->env->diags, DK_E0115, span, "this is nested too deeply");
  dk_diag_help(p->env->diags, diag, "give a name to a part of it with `let`");
}
