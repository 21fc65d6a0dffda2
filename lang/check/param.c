/* Parameters given on the command line: -p name=text.
 *
 * Where the file's value is a plain text, the given text is taken as it is; else it is read as an expression without
 * names, and a bare word that is none is a text. The kind is compared with the file's at evaluation. */
#include "lang/check/internal.h"

static void unknown(struct dk_checker *checker, const struct dk_check_given *given) {
  const struct dk_checked *checked = checker->checked;
  const char **names = dk_arena_array(checker->arena, const char *, checked->n_params + 1);
  for (uint32_t i = 0; i < checked->n_params; i++) names[i] = checked->params[i].decl->name->text;
  struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0215, DK_NO_SPAN, "no parameter `%s`", given->name);
  dk_scope_suggest(checker, diag, given->name, names, checked->n_params);
  if (checked->n_params)
    dk_diag_note(checker->diags, diag, "the file has the parameters %s",
                 dk_scope_list(checker, names, checked->n_params));
  else
    dk_diag_note(checker->diags, diag, "the file has no parameters; declare one with `param %s = ...`", given->name);
}

static bool is_plain_text(const struct dk_expr *expr) {
  return expr && expr->kind == DK_EXPR_STRING &&
         (expr->string.n_parts == 0 || (expr->string.n_parts == 1 && expr->string.parts[0].literal));
}

static struct dk_expr *text_expr(struct dk_checker *checker, const struct dk_source *source) {
  struct dk_expr *expr = dk_arena_new(checker->arena, struct dk_expr);
  struct dk_string_part *part = dk_arena_new(checker->arena, struct dk_string_part);
  expr->kind = DK_EXPR_STRING;
  expr->depth = 1;
  expr->span = (struct dk_span){source->base, source->base + source->len};
  part->literal = dk_intern(checker->strs, source->text, source->len);
  part->span = expr->span;
  expr->string.parts = part;
  expr->string.n_parts = 1;
  return expr;
}

static bool is_bare_word(const struct dk_source *source) {
  for (uint32_t i = 0; i < source->len; i++) {
    char c = source->text[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(i && ((c >= '0' && c <= '9') || c == '-' || c == '.' || c == '/'))) return false;
  }
  return source->len > 0;
}

static struct dk_expr *read_given(struct dk_checker *checker, const struct dk_param *param) {
  const char *path = dk_arena_printf(checker->arena, "-p %s", param->decl->name->text);
  size_t len = 0;
  while (param->given[len]) len++;
  const struct dk_source *source = dk_sources_add(checker->checked->sources, path, param->given, len);
  if (is_plain_text(param->decl->value)) return text_expr(checker, source);
  struct dk_parse_env env = {checker->arena, checker->strs, checker->diags};
  struct dk_expr *expr = NULL;
  if (is_bare_word(source)) { /* true, false and null are the only words that are expressions */
    const struct dk_str *text = dk_intern(checker->strs, source->text, source->len);
    static const char *const words[] = {"true", "false", "null"};
    bool is_literal = false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
      is_literal = is_literal || dk_intern_text(checker->strs, words[i]) == text;
    if (!is_literal) return text_expr(checker, source);
  }
  expr = dk_parse_expr(&env, source);
  if (!expr) return NULL;
  struct dk_scope scope = {.checker = checker, .module = param->decl->module, .before = 0, .what = "-p"};
  dk_resolve(&scope, expr);
  return expr;
}

void dk_check_given(struct dk_checker *checker, const struct dk_check_given *given, uint32_t n_given) {
  struct dk_checked *checked = checker->checked;
  for (uint32_t i = 0; i < n_given; i++) {
    const struct dk_str *name = dk_intern_text(checker->strs, given[i].name);
    struct dk_param *param = NULL;
    for (uint32_t j = 0; j < checked->n_params; j++)
      if (checked->params[j].decl->name == name) param = &checked->params[j];
    if (param)
      param->given = given[i].text; /* the last one counts, as with any option */
    else
      unknown(checker, &given[i]);
  }
  for (uint32_t i = 0; i < checked->n_params; i++)
    if (checked->params[i].given) checked->params[i].given_expr = read_given(checker, &checked->params[i]);
}
