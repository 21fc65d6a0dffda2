/* Characters that are no part of the language: says what they are, and adds the token that was meant where that is
 * clear, so that the reading goes on as if it had been written right. */
#include "lang/syntax/token.h"

#include "lang/syntax/dk.tab.h"

#include <string.h>

/* kind 0: left out, as a blank; TOK_ODD: stays in the way, the parser reports nothing more about it. */
static const struct odd {
  const char *text;
  int kind;
  const char *what, *help;
} odds[] = {
    {"&&", TOK_AND, NULL, "write `and`"},
    {"||", TOK_OR, NULL, "write `or`"},
    {"&", TOK_AND, NULL, "write `and`"},
    {"|", TOK_OR, NULL, "write `or`"},
    {"!", TOK_NOT, NULL, "write `not`"},
    {"^", TOK_POW, NULL, "a power is written `**`"},
    {";", 0, NULL, "nothing stands between statements: leave it out"},
    {":", '=', NULL, "a name gets its value by `=`"},
    {":=", '=', NULL, "a name gets its value by `=`"},
    {"=>", '=', NULL, "a name gets its value by `=`; for greater or equal write `>=`"},
    {"->", TOK_ODD, NULL, "there are no arrows; a function is written `let f(x) = ...`"},
    {"===", TOK_EQ, NULL, "write `==`"},
    {"!==", TOK_NE, NULL, "write `!=`"},
    {"<>", TOK_NE, NULL, "write `!=`"},
    {"+=", '=', NULL, "values do not change: give the new value another name"},
    {"-=", '=', NULL, "values do not change: give the new value another name"},
    {"*=", '=', NULL, "values do not change: give the new value another name"},
    {"/=", '=', NULL, "values do not change: give the new value another name; for unequal write `!=`"},
    {"++", '+', NULL, "values do not change; to join lists write `concat(a, b)`"},
    {"?", TOK_ODD, NULL, "a choice is written `if a then b else c`, a value in place of null `a ?? b`"},
    {"$", 0, NULL, "names stand alone; in a string write {{name}}"},
    {"`", TOK_ODD, "a backtick", "strings stand in \"...\" or '...'"},
    {"@", TOK_ODD, NULL, NULL},
    {"\\", 0, NULL, "a statement may go on over several lines without it"},
    {"\xc2\xa0", 0, "a no-break space (U+00A0)", "write an ordinary space"},
    {"\xe2\x80\xaf", 0, "a narrow no-break space (U+202F)", "write an ordinary space"},
    {"\xe3\x80\x80", 0, "a wide space (U+3000)", "write an ordinary space"},
    {"\xe2\x80\x8b", 0, "an invisible space (U+200B)", "delete it"},
    {"\xef\xbb\xbf", 0, "a byte order mark (U+FEFF)", "delete it"},
    {"\xe2\x80\x9c", 0, "a typographic quotation mark", "write a plain `\"`"},
    {"\xe2\x80\x9d", 0, "a typographic quotation mark", "write a plain `\"`"},
    {"\xe2\x80\x9e", 0, "a typographic quotation mark", "write a plain `\"`"},
    {"\xe2\x80\x98", 0, "a typographic quotation mark", "write a plain `'`"},
    {"\xe2\x80\x99", 0, "a typographic quotation mark", "write a plain `'`"},
    {"\xe2\x80\x90", '-', "a typographic hyphen", "write a plain `-`"},
    {"\xe2\x80\x93", '-', "a dash", "write a plain `-`"},
    {"\xe2\x80\x94", '-', "a dash", "write a plain `-`"},
    {"\xe2\x88\x92", '-', "a typographic minus", "write a plain `-`"},
    {"\xc3\x97", '*', NULL, "write `*`"},
    {"\xc2\xb7", '*', NULL, "write `*`"},
    {"\xc3\xb7", '/', NULL, "write `/`"},
    {"\xe2\x89\xa4", TOK_LE, NULL, "write `<=`"},
    {"\xe2\x89\xa5", TOK_GE, NULL, "write `>=`"},
    {"\xe2\x89\xa0", TOK_NE, NULL, "write `!=`"},
    {"\xe2\x88\x88", TOK_IN, NULL, "write `in`"},
    {"\xe2\x80\xa6", TOK_RANGE, "an ellipsis", "a range is written `1..3`"},
    {"\xef\xbc\x88", '(', "a wide bracket", "write a plain `(`"},
    {"\xef\xbc\x89", ')', "a wide bracket", "write a plain `)`"},
    {"\xef\xbc\x8c", ',', "a wide comma", "write a plain `,`"},
    {"\xe3\x80\x81", ',', "a wide comma", "write a plain `,`"},
    {"\xef\xbc\x9a", '=', "a wide colon", "a name gets its value by `=`"},
    {"\xef\xbc\x9d", '=', "a wide equals sign", "write a plain `=`"},
};

static bool is_curled_pair(const char *text, uint32_t len) {
  return len > 3 && memcmp(text, "\xe2\x80", 2) == 0;
}

static void add_token(struct dk_tokens *tokens, int kind, uint32_t start, uint32_t end) {
  if (kind == 0) {
    tokens->blank_end = end;
    tokens->odd_left_out = true;
    return;
  }
  uint32_t before = tokens->count;
  dk_tokens_add(tokens, kind, start, end);
  if (tokens->count > before) tokens->items[before].flags |= DK_TOKEN_REPORTED;
}

void dk_tokens_add_odd(struct dk_tokens *tokens, uint32_t start, uint32_t end) {
  struct dk_diags *diags = tokens->env->diags;
  const char *text = tokens->source->text + start;
  uint32_t len = end - start;
  struct dk_span span = {tokens->source->base + start, tokens->source->base + end};
  if (is_curled_pair(text, len)) {
    struct dk_diag *diag = dk_diag_add(diags, DK_E0105, span, "this text stands in typographic quotation marks");
    dk_diag_help(diags, diag, "write plain ones: \"...\"");
    add_token(tokens, TOK_RAW, start, end);
    return;
  }
  if (len > 3 && text[0] == '\\') {
    struct dk_diag *diag = dk_diag_add(diags, DK_E0105, span, "quotation marks have no backslash here");
    dk_diag_help(diags, diag, "a string inside a hole is written as outside of it: {{f(\"x\")}}");
    add_token(tokens, TOK_RAW, start, end);
    return;
  }
  for (size_t i = 0; i < sizeof odds / sizeof *odds; i++) {
    if (strlen(odds[i].text) != len || memcmp(odds[i].text, text, len) != 0) continue;
    struct dk_diag *diag =
        odds[i].what ? dk_diag_add(diags, DK_E0105, span, "%s does not belong here", odds[i].what)
                     : dk_diag_add(diags, DK_E0105, span, "`%.*s` is no part of the language", (int)len, text);
    if (odds[i].help) dk_diag_help(diags, diag, "%s", odds[i].help);
    add_token(tokens, odds[i].kind, start, end);
    return;
  }
  if ((unsigned char)text[0] < 0x20 || text[0] == 0x7f)
    dk_diag_add(diags, DK_E0105, span, "a control character (0x%02x) does not belong here", (unsigned char)text[0]);
  else
    dk_diag_add(diags, DK_E0105, span, "`%.*s` is no part of the language", (int)len, text);
  add_token(tokens, 0, start, end);
}

void dk_tokens_add_foreign(struct dk_tokens *tokens, uint32_t start, uint32_t end) {
  struct dk_diags *diags = tokens->env->diags;
  struct dk_span span = {tokens->source->base + start, tokens->source->base + end};
  struct dk_diag *diag =
      dk_diag_add(diags, DK_E0105, span, "`%.*s` is no name", (int)(end - start), tokens->source->text + start);
  dk_diag_help(diags, diag, "names are written with the letters a to z, digits and `_`; other text stands in \"...\"");
  add_token(tokens, TOK_NAME, start, end);
}
