/* The parser's door, the walk over the tokens, and the recovery: where the reading goes on after an error.
 *
 * A statement that failed is skipped up to a line that can begin a statement and is indented no further than the
 * failing one, or up to the end of its block. Braces that were never closed are closed where the next declaration
 * begins. So an error costs one statement, and what follows is read as if that had been right. */
#include "lang/syntax/parse.h"

#include "lang/syntax/dk.tab.h"
#include "lang/syntax/parse_state.h"

#include <string.h>

/* Whose arena bison's LAC stack grows in: its hooks are given no context. Set for the time of one yyparse. */
static _Thread_local struct dk_arena *scratch_arena;

void *dk_parse_scratch(size_t size) {
  return dk_arena_alloc(scratch_arena, size);
}

static void set_point(const struct dk_parse *p, uint32_t token, struct dk_span *ret) {
  ret->start = ret->end = p->tokens.source->base + p->tokens.items[token].start;
}

int dk_parse_next(struct dk_parse *p, uint32_t *ret_index, struct dk_span *ret_span) {
  set_point(p, p->at < p->tokens.count ? p->at : p->tokens.count - 1, ret_span);
  int kind = 0;
  if (p->start) {
    kind = p->start;
    p->start = 0;
    return kind;
  }
  if (p->sync) {
    kind = p->sync;
    p->sync = 0;
    return kind;
  }
  if (p->closes > 0) {
    p->closes--;
    return TOK_CLOSE;
  }
  if (p->at >= p->tokens.count) return TOK_YYEOF;
  p->last = p->at++;
  *ret_index = p->last;
  *ret_span = dk_token_span(&p->tokens, p->last);
  kind = p->tokens.items[p->last].kind;
  if (kind == TOK_HOLE_OPEN) dk_arena_push(p->arena, p->holes, p->n_holes, p->cap_holes) = p->last;
  if (kind == TOK_HOLE_CLOSE && p->n_holes > 0) p->n_holes--;
  if (dk_token_is_decl(kind) && p->n_blocks == 0) {
    p->decl_before = p->decl_start;
    p->decl_start = p->last;
  }
  return kind;
}

void dk_parse_open_block(struct dk_parse *p) {
  dk_arena_push(p->arena, p->blocks, p->n_blocks, p->cap_blocks) = p->last;
}

void dk_parse_close_block(struct dk_parse *p) {
  if (p->n_blocks > 0) p->n_blocks--;
}

bool dk_parse_begins_item(const struct dk_tokens *tokens, uint32_t index) {
  int kind = tokens->items[index].kind, next = tokens->items[index + 1].kind;
  if (kind >= TOK_EXCLUDE && kind <= TOK_VARY) return true;
  if (dk_token_is_reserved(kind)) return next == '=';
  return kind == TOK_NAME && (next == '=' || next == TOK_IN || next == '~' || next == '{' || next == ',');
}

/* A line where the reading can go on: what reads as a statement, or a word behind a value, which no expression has. The
 * token that failed itself only where a statement may begin with its kind, else nothing would be gained. */
static bool resumes_item(const struct dk_parse *p, uint32_t index) {
  const struct dk_token *token = &p->tokens.items[index];
  if (dk_parse_begins_item(&p->tokens, index)) return index > p->last || !dk_token_is_reserved(token->kind);
  return index > 0 && token->kind == TOK_NAME && dk_token_ends_value(token[-1].kind);
}

uint32_t dk_parse_open_bracket(const struct dk_tokens *tokens, uint32_t from, uint32_t index) {
  uint32_t closed = 0;
  for (uint32_t i = index; i-- > from;) {
    switch (tokens->items[i].kind) {
    case ')':
    case ']':
    case '}':
    case TOK_HOLE_CLOSE: closed++; break;
    case '(':
    case '[':
    case '{':
    case TOK_HOLE_OPEN:
      if (closed == 0) return i;
      closed--;
      break;
    default: break;
    }
  }
  return DK_NO_TOKEN;
}

/* Open braces of records between the start of the failing statement and the error. */
static uint32_t open_records(const struct dk_parse *p) {
  uint32_t depth = 0;
  for (uint32_t i = p->item_start; i < p->last; i++) {
    if (p->tokens.items[i].kind == '{') depth++;
    if (p->tokens.items[i].kind == '}' && depth > 0) depth--;
  }
  return depth;
}

/* In a block: at the next statement, at its end, or, closing all blocks, at the next declaration. */
static void recover_in_block(struct dk_parse *p) {
  const struct dk_tokens *tokens = &p->tokens;
  uint32_t limit = dk_token_indent(tokens, p->item_start < tokens->count ? p->item_start : tokens->count - 1);
  uint32_t outer = dk_token_indent(tokens, p->blocks[p->n_blocks - 1]);
  uint32_t depth = open_records(p);
  p->sync = TOK_SYNC_ITEM;
  for (p->at = p->last;; p->at++) {
    const struct dk_token *token = &tokens->items[p->at];
    bool line_start = token->flags & DK_TOKEN_LINE_START;
    if (token->kind == TOK_END || dk_token_is_decl(token->kind)) {
      p->closes = p->n_blocks;
      return;
    }
    if (token->kind == '}' && (depth == 0 || (line_start && dk_token_indent(tokens, p->at) <= outer))) return;
    if (token->kind == '}') depth--;
    if (token->kind == '{') depth++;
    if (line_start && resumes_item(p, p->at) && dk_token_indent(tokens, p->at) <= limit) return;
  }
}

static void recover_in_file(struct dk_parse *p) {
  const struct dk_tokens *tokens = &p->tokens;
  p->sync = TOK_SYNC_DECL;
  p->at = p->last;
  /* The next declaration's word came too early: what failed is the declaration before it. */
  if (p->decl_start == p->last) p->decl_start = p->decl_before;
  while (tokens->items[p->at].kind != TOK_END && !dk_token_is_decl(tokens->items[p->at].kind)) p->at++;
}

/* In a hole: at its end, which the scanner always gives. */
static void recover_in_hole(struct dk_parse *p) {
  uint32_t depth = 0;
  for (p->at = p->last; p->at < p->tokens.count; p->at++) {
    int kind = p->tokens.items[p->at].kind;
    if (kind == TOK_HOLE_OPEN) depth++;
    if (kind != TOK_HOLE_CLOSE) continue;
    if (depth == 0) return;
    depth--;
  }
}

void dk_parse_recover(struct dk_parse *p) {
  p->decl_has_errors = true;
  p->sync = 0;
  p->closes = 0;
  /* bison still holds the token that failed: the end of a hole is what it looks for, so nothing is skipped. */
  if (p->tokens.items[p->last].kind == TOK_HOLE_CLOSE) return;
  if (p->n_holes > 0)
    recover_in_hole(p);
  else if (p->n_blocks > 0)
    recover_in_block(p);
  else
    recover_in_file(p);
}

static bool check_text(const struct dk_parse_env *env, const struct dk_source *source) {
  for (uint32_t at = 0; at < source->len;) {
    unsigned len = dk_utf8_len(source->text + at, source->len - at);
    if (len > 0 && source->text[at] != '\0') {
      at += len;
      continue;
    }
    struct dk_span span = {source->base + at, source->base + at + 1};
    struct dk_diag *diag = dk_diag_add(env->diags, DK_E0703, span, "this is not text: byte 0x%02x at offset %u",
                                       (unsigned char)source->text[at], at);
    dk_diag_help(env->diags, diag, len == 0 ? "save the file as UTF-8" : "a source file has no NUL bytes");
    return false;
  }
  return true;
}

static void run(struct dk_parse *p, const struct dk_source *source, int start) {
  p->start = start;
  p->last = 0;
  p->decl_start = p->decl_before = DK_NO_TOKEN;
  dk_tokens_scan(&p->tokens, p->env, source, start == TOK_START_FILE);
  scratch_arena = p->arena;
  dk_yyparse(p);
  scratch_arena = NULL;
}

struct dk_module *dk_parse_file(const struct dk_parse_env *env, const struct dk_source *source) {
  struct dk_module *module = dk_arena_new(env->arena, struct dk_module);
  module->source = source;
  module->name = dk_intern_text(env->strs, source->path);
  if (!check_text(env, source)) return module;
  struct dk_parse parse = {.env = env, .arena = env->arena, .module = module};
  run(&parse, source, TOK_START_FILE);
  return module;
}

struct dk_expr *dk_parse_expr(const struct dk_parse_env *env, const struct dk_source *source) {
  if (!check_text(env, source)) return NULL;
  uint32_t before = env->diags->n_errors;
  struct dk_parse parse = {.env = env, .arena = env->arena};
  run(&parse, source, TOK_START_EXPR);
  return env->diags->n_errors == before ? parse.expr : NULL;
}
