/* The constructors of statements and declarations. */
#include "lang/syntax/build.h"

#include "lang/syntax/dk.tab.h"
#include "lang/syntax/parse_state.h"

#include <string.h>

static const struct dk_str *intern_token(struct dk_parse *p, uint32_t token) {
  uint32_t len;
  const char *text = dk_token_text(&p->tokens, token, &len);
  return dk_intern(p->env->strs, text, len);
}

struct dk_stmt *dk_build_stmt(struct dk_parse *p, enum dk_stmt_kind kind, const struct dk_names *names,
                              struct dk_expr *value) {
  struct dk_stmt *stmt = dk_arena_new(p->arena, struct dk_stmt);
  stmt->kind = kind;
  stmt->value = value;
  if (names) {
    stmt->names = names->items;
    stmt->name_spans = names->spans;
    stmt->n_names = names->count;
  }
  return stmt;
}

struct dk_stmt *dk_build_stmt_field(struct dk_parse *p, struct dk_field key, struct dk_expr *value) {
  struct dk_stmt *stmt = dk_build_stmt(p, DK_STMT_FIELD, NULL, value);
  stmt->name = key.name;
  stmt->name_span = key.name_span;
  return stmt;
}

struct dk_stmt *dk_build_stmt_block(struct dk_parse *p, uint32_t name, struct dk_block *block) {
  struct dk_stmt *stmt = dk_build_stmt(p, DK_STMT_BLOCK, NULL, NULL);
  stmt->name = intern_token(p, name);
  stmt->name_span = dk_token_span(&p->tokens, name);
  stmt->block = block;
  return stmt;
}

struct dk_stmt *dk_build_vary(struct dk_parse *p, const struct dk_names *names, struct dk_expr *value) {
  struct dk_stmt *stmt = dk_build_stmt(p, DK_STMT_AXIS, names, value);
  stmt->is_vary = true;
  return stmt;
}

struct dk_stmt *dk_build_require(struct dk_parse *p, struct dk_expr *value, struct dk_expr *message) {
  struct dk_stmt *stmt = dk_build_stmt(p, DK_STMT_REQUIRE, NULL, value);
  stmt->message = message;
  return stmt;
}

struct dk_block *dk_build_block(struct dk_parse *p) {
  return dk_arena_new(p->arena, struct dk_block);
}

struct dk_block *dk_build_block_add(struct dk_parse *p, struct dk_block *block, const struct dk_stmt *stmt,
                                    struct dk_span span) {
  dk_arena_push(p->arena, block->items, block->count, block->cap) = *stmt;
  block->items[block->count - 1].span = span;
  return block;
}

/* Reads `a, b` at *index as names. */
static struct dk_names *read_names(struct dk_parse *p, uint32_t *index) {
  struct dk_names *names = dk_build_names(p);
  for (;;) {
    if (p->tokens.items[*index].kind != TOK_NAME) return NULL;
    dk_build_names_add(p, names, (*index)++);
    if (p->tokens.items[*index].kind != ',') return names;
    ++*index;
  }
}

struct dk_block *dk_build_block_broken(struct dk_parse *p, struct dk_block *block) {
  block->has_errors = true;
  uint32_t at = p->item_start;
  if (at >= p->tokens.count) return block;
  bool is_vary = p->tokens.items[at].kind == TOK_VARY;
  if (is_vary) at++;
  struct dk_names *names = read_names(p, &at);
  if (!names) return block;
  int sign = p->tokens.items[at].kind;
  struct dk_span span = {names->spans[0].start, dk_token_span(&p->tokens, at).end};
  struct dk_stmt *stmt;
  if (sign == '=' && names->count == 1 && !is_vary) {
    stmt = dk_build_stmt(p, DK_STMT_FIELD, NULL, dk_build_error(p, span));
    stmt->name = names->items[0];
    stmt->name_span = names->spans[0];
  } else if (sign == TOK_IN || sign == '~') {
    stmt = dk_build_stmt(p, sign == '~' ? DK_STMT_DRAW_AXIS : DK_STMT_AXIS, names, dk_build_error(p, span));
    stmt->is_vary = is_vary;
  } else {
    return block;
  }
  return dk_build_block_add(p, block, stmt, span);
}

struct dk_block *dk_build_block_end(struct dk_parse *p, struct dk_block *block, struct dk_span span) {
  dk_parse_close_block(p);
  block->span = span;
  return block;
}

struct dk_path dk_build_dotted(uint32_t first, uint32_t last) {
  return (struct dk_path){.first = first, .last = last};
}

struct dk_path dk_build_path(struct dk_parse *p, const struct dk_expr *string) {
  struct dk_field key = dk_build_key_text(p, (struct dk_expr *)(uintptr_t)string);
  return (struct dk_path){.quoted = key.name, .first = DK_NO_TOKEN, .last = DK_NO_TOKEN};
}

struct dk_decl *dk_build_decl(struct dk_parse *p, enum dk_decl_kind kind, uint32_t name, struct dk_expr *value,
                              struct dk_expr *over, struct dk_block *block) {
  struct dk_decl *decl = dk_arena_new(p->arena, struct dk_decl);
  decl->kind = kind;
  decl->value = value;
  decl->over = over;
  decl->block = block;
  if (name != DK_NO_TOKEN) {
    decl->name = intern_token(p, name);
    decl->name_span = dk_token_span(&p->tokens, name);
  }
  return decl;
}

struct dk_decl *dk_build_function(struct dk_parse *p, uint32_t name, const struct dk_names *params,
                                  struct dk_expr *value) {
  struct dk_decl *decl = dk_build_decl(p, DK_DECL_LET, name, value, NULL, NULL);
  decl->is_function = true;
  decl->params = params->items;
  decl->n_params = params->count;
  return decl;
}

/* "hardware" of std.hardware, "common" of "./lib/common.dk". */
static const struct dk_str *last_word(struct dk_parse *p, const struct dk_str *path) {
  const char *start = path->text, *slash = strrchr(start, '/');
  if (slash) start = slash + 1;
  size_t len = strlen(start);
  if (len > 3 && strcmp(start + len - 3, ".dk") == 0) len -= 3;
  for (size_t i = len; i-- > 0;)
    if (start[i] == '.') {
      start += i + 1;
      len -= i + 1;
      break;
    }
  return dk_intern(p->env->strs, start, len);
}

struct dk_decl *dk_build_import(struct dk_parse *p, struct dk_path path, struct dk_span path_span, uint32_t alias) {
  struct dk_decl *decl = dk_build_decl(p, DK_DECL_IMPORT, alias, NULL, NULL, NULL);
  decl->path_span = path_span;
  decl->path = path.quoted;
  decl->path_is_std = !path.quoted;
  if (!path.quoted) {
    /* The dots may have blanks around them. */
    char *text = dk_arena_alloc(p->arena, path_span.end - path_span.start + 1);
    size_t len = 0;
    for (uint32_t i = path.first; i <= path.last; i++) {
      uint32_t n;
      const char *word = dk_token_text(&p->tokens, i, &n);
      memcpy(text + len, word, n);
      len += n;
    }
    decl->path = dk_intern(p->env->strs, text, len);
  }
  if (!decl->name) {
    decl->name = last_word(p, decl->path);
    decl->name_span = path_span;
    struct dk_diag *diag = dk_diag_add(p->env->diags, DK_E0121, path_span, "the import has no name");
    dk_diag_label(p->env->diags, diag, "expected `as` and a name behind this");
    if (decl->path_is_std)
      dk_diag_help(p->env->diags, diag, "write `import %s as %s`", decl->path->text, decl->name->text);
    else
      dk_diag_help(p->env->diags, diag, "write `import \"%s\" as %s`", decl->path->text, decl->name->text);
  }
  return decl;
}

void dk_build_decl_add(struct dk_parse *p, struct dk_decl *decl, struct dk_span span) {
  struct dk_module *module = p->module;
  decl->span = span;
  decl->module = module;
  decl->index = module->n_decls;
  decl->has_errors = p->decl_has_errors;
  p->decl_has_errors = false;
  dk_arena_push(p->arena, module->decls, module->n_decls, module->cap_decls) = decl;
  /* bison may have looked at the next declaration's word already. */
  if (p->decl_start != DK_NO_TOKEN && p->decl_start < p->last) p->decl_start = DK_NO_TOKEN;
  p->decl_before = DK_NO_TOKEN;
}

static enum dk_decl_kind kind_of(int token) {
  switch (token) {
  case TOK_EXPERIMENT: return DK_DECL_EXPERIMENT;
  case TOK_PARAM: return DK_DECL_PARAM;
  case TOK_LET: return DK_DECL_LET;
  case TOK_RESOURCE: return DK_DECL_RESOURCE;
  case TOK_GRID: return DK_DECL_GRID;
  case TOK_TASK: return DK_DECL_TASK;
  case TOK_PICK: return DK_DECL_PICK;
  case TOK_IMAGE: return DK_DECL_IMAGE;
  case TOK_SOURCE: return DK_DECL_SOURCE;
  case TOK_PROVIDER: return DK_DECL_PROVIDER;
  case TOK_REPORT: return DK_DECL_REPORT;
  default: return DK_DECL_IMPORT;
  }
}

void dk_build_decl_broken(struct dk_parse *p) {
  uint32_t start = p->decl_start;
  p->decl_start = DK_NO_TOKEN;
  p->decl_has_errors = true;
  if (start == DK_NO_TOKEN || p->tokens.items[start + 1].kind != TOK_NAME) {
    p->decl_has_errors = false;
    return;
  }
  enum dk_decl_kind kind = kind_of(p->tokens.items[start].kind);
  if (kind == DK_DECL_IMPORT) {
    p->decl_has_errors = false;
    return;
  }
  struct dk_span span = dk_build_between(dk_token_span(&p->tokens, start), dk_token_span(&p->tokens, start + 1));
  bool has_value = kind == DK_DECL_PARAM || kind == DK_DECL_LET || kind == DK_DECL_SOURCE || kind == DK_DECL_GRID;
  struct dk_block *block = NULL;
  if (!has_value) {
    block = dk_build_block(p);
    block->has_errors = true;
    block->span = span;
  }
  struct dk_expr *error = dk_build_error(p, span);
  struct dk_decl *decl =
      dk_build_decl(p, kind, start + 1, has_value ? error : NULL, kind == DK_DECL_TASK ? error : NULL, block);
  if (kind == DK_DECL_LET && p->tokens.items[start + 2].kind == '(') {
    uint32_t at = start + 3;
    const struct dk_names *params = read_names(p, &at);
    decl->is_function = true;
    decl->params = params ? params->items : NULL;
    decl->n_params = params ? params->count : 0;
  }
  dk_build_decl_add(p, decl, span);
}
