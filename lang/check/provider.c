/* Blocks of a file of providers: the kind, which chooses the fields, and the fields. */
#include "lang/check/internal.h"

#include <string.h>

/* The text that an expression is, without holes; NULL for any other. */
static const char *plain_text(const struct dk_expr *expr) {
  if (expr->kind != DK_EXPR_STRING || expr->string.n_parts > 1) return NULL;
  if (expr->string.n_parts == 0) return "";
  return expr->string.parts[0].literal ? expr->string.parts[0].literal->text : NULL;
}

static const char *list_kinds(struct dk_checker *checker) {
  const struct dk_provider_kinds *kinds = checker->kinds;
  return dk_scope_list(checker, kinds->names, kinds->n_names);
}

/* The kind as it is written: it decides which fields there are, so nothing is computed. False after an error. */
static bool read_kind(struct dk_checker *checker, const struct dk_block *block, const char **ret) {
  const struct dk_provider_kinds *kinds = checker->kinds;
  const struct dk_stmt *stmt = NULL;
  *ret = NULL;
  for (uint32_t i = 0; block && i < block->count && !stmt; i++)
    if (block->items[i].kind == DK_STMT_FIELD && strcmp(block->items[i].name->text, "kind") == 0)
      stmt = &block->items[i];
  if (!stmt) return true;
  if (!stmt->value || stmt->value->kind == DK_EXPR_ERROR) return false;
  const char *text = plain_text(stmt->value);
  if (!text) {
    struct dk_diag *diag =
        dk_diag_add(checker->diags, DK_E0209, stmt->value->span, "`kind` wants a plain text in quotes");
    dk_diag_note(checker->diags, diag, "there are %s; the kind decides which fields there are", list_kinds(checker));
    return false;
  }
  for (uint32_t i = 0; i < kinds->n_names; i++)
    if (strcmp(kinds->names[i], text) == 0) *ret = kinds->names[i];
  if (*ret) return true;
  struct dk_diag *diag =
      dk_diag_add(checker->diags, DK_E0223, stmt->value->span, "no kind of provider is called `%s`", text);
  dk_scope_suggest(checker, diag, text, kinds->names, kinds->n_names);
  dk_diag_note(checker->diags, diag, "there are %s", list_kinds(checker));
  return false;
}

void dk_check_provider(struct dk_checker *checker, const struct dk_decl *decl) {
  struct dk_checked *checked = checker->checked;
  struct dk_checked_provider *provider = dk_arena_new(checker->arena, struct dk_checked_provider);
  struct dk_stmt *found[DK_BODY_MAX];
  struct dk_scope scope = {.checker = checker,
                           .module = decl->module,
                           .before = UINT32_MAX,
                           .what = dk_arena_printf(checker->arena, "provider `%s`", decl->name->text)};
  provider->decl = decl;
  dk_arena_push(checker->arena, checked->providers, checked->n_providers, checked->cap_providers) = provider;
  if (!read_kind(checker, decl->block, &provider->kind)) {
    provider->is_broken = true;
    return; /* which fields it may have is not known */
  }
  const struct dk_schema *schema = checker->kinds->schema(checker->kinds->ctx, decl->name->text, provider->kind);
  uint32_t errors = checker->diags->n_errors;
  dk_body_read(checker, schema, decl->block, decl->name_span, found);
  provider->schema = schema;
  provider->values = dk_arena_array(checker->arena, struct dk_expr *, schema->n_fields + 1);
  provider->name_spans = dk_arena_array(checker->arena, struct dk_span, schema->n_fields + 1);
  for (uint32_t i = 0; i < schema->n_fields; i++) {
    if (!found[i] || !found[i]->value) continue;
    dk_resolve(&scope, found[i]->value);
    dk_body_kind(checker, &schema->fields[i], found[i]->value);
    provider->values[i] = found[i]->value;
    provider->name_spans[i] = found[i]->name_span;
  }
  provider->is_broken = checker->diags->n_errors > errors || (decl->block && decl->block->has_errors);
}
