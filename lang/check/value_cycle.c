/* Lets, functions, params, resources and grids that use each other in a circle.
 *
 * They use names above them only, so a circle shows as a use of something that stands further down. Whether that leads
 * back is searched in the tree as it was parsed: what stands below has not been bound yet. */
#include "lang/check/internal.h"

#define SHOWN 12 /* steps of a circle that are named */

/* A declaration that was reached, and the expression that uses it. */
struct step {
  struct dk_decl *decl;
  struct dk_expr *expr; /* in the step `from`; NULL for the first */
  uint32_t from;
};

struct search {
  const struct dk_scope *scope;
  struct step *steps; /* breadth first, so that the circle shown is a short one */
  uint32_t n_steps, cap_steps, at, back_from;
  struct dk_expr *back;         /* the use of scope->self, once found */
  uint8_t *seen;                /* by index of declaration */
  const struct dk_str **hidden; /* parameters, variables of `for`, columns */
  uint32_t n_hidden, cap_hidden;
};

static bool is_hidden(const struct search *search, const struct dk_str *name) {
  for (uint32_t i = 0; i < search->n_hidden; i++)
    if (search->hidden[i] == name) return true;
  return false;
}

static void hide(struct search *search, const struct dk_str *const *names, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    dk_arena_push(search->scope->checker->arena, search->hidden, search->n_hidden, search->cap_hidden) = names[i];
}

static bool has_names(const struct dk_decl *decl) {
  return decl->kind == DK_DECL_LET || decl->kind == DK_DECL_PARAM || dk_decl_is_record(decl->kind) ||
         decl->kind == DK_DECL_GRID;
}

static void use_name(struct search *search, struct dk_expr *expr) {
  const struct dk_scope *scope = search->scope;
  if (search->back || is_hidden(search, expr->name.name)) return;
  const struct dk_decl *decl = dk_scope_find(scope->checker, scope->module, expr->name.name);
  if (!decl || !has_names(decl) || decl->index < scope->self->index) return;
  if (decl == scope->self) {
    search->back = expr;
    search->back_from = search->at;
  } else if (!search->seen[decl->index]) {
    search->seen[decl->index] = 1;
    dk_arena_push(scope->checker->arena, search->steps, search->n_steps, search->cap_steps) =
        (struct step){scope->module->decls[decl->index], expr, search->at};
  }
}

static void read_expr(void *ctx, struct dk_expr *expr) {
  struct search *search = ctx;
  uint32_t n = search->n_hidden;
  if (expr->kind == DK_EXPR_NAME) use_name(search, expr);
  for (uint32_t i = 0; expr->kind == DK_EXPR_FOR && i < expr->comprehension.n_fors; i++)
    hide(search, expr->comprehension.fors[i].names, expr->comprehension.fors[i].n_names);
  dk_walk_children(expr, read_expr, search);
  search->n_hidden = n;
}

static void read_block(struct search *search, const struct dk_decl *decl) {
  for (uint32_t i = 0; decl->block && i < decl->block->count; i++) {
    const struct dk_stmt *stmt = &decl->block->items[i];
    if (stmt->value) read_expr(search, stmt->value);
    if (stmt->message) read_expr(search, stmt->message);
    if (decl->kind != DK_DECL_GRID) continue;
    hide(search, stmt->names, stmt->n_names);
    if (stmt->kind == DK_STMT_FIELD) hide(search, &stmt->name, 1);
  }
}

static void read_decl(struct search *search, const struct dk_decl *decl) {
  search->n_hidden = 0;
  hide(search, decl->params, decl->n_params);
  if (decl->value) read_expr(search, decl->value);
  if (decl->over) read_expr(search, decl->over);
  read_block(search, decl);
}

static void report(const struct search *search, struct dk_span at) {
  struct dk_checker *checker = search->scope->checker;
  const char *self = search->scope->self->name->text, *path = self;
  uint32_t n = 0, *way = dk_arena_array(checker->arena, uint32_t, search->n_steps);
  for (uint32_t i = search->back_from; i; i = search->steps[i].from) way[n++] = i;
  way[n++] = 0;
  for (uint32_t i = n; i-- > 0 && n - i <= SHOWN;)
    path = dk_arena_printf(checker->arena, "%s -> %s", path, search->steps[way[i]].decl->name->text);
  struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0205, at, "`%s` uses itself: %s%s -> %s", self, path,
                                     n > SHOWN ? " -> ..." : "", self);
  dk_diag_label(checker->diags, diag, "`%s` uses `%s` here", self, search->steps[0].decl->name->text);
  for (uint32_t i = n; i-- > 0;) {
    struct dk_expr *use = i ? search->steps[way[i - 1]].expr : search->back;
    if (n - i <= SHOWN)
      dk_diag_label_at(checker->diags, diag, use->span, "`%s` uses `%s` here", search->steps[way[i]].decl->name->text,
                       i ? search->steps[way[i - 1]].decl->name->text : self);
    dk_resolve_error(use); /* the circle is said once */
  }
  dk_diag_note(checker->diags, diag,
               "lets, functions, params, resources and grids use names above them only, so nothing recurses");
}

bool dk_check_value_cycle(struct dk_scope *scope, const struct dk_decl *decl, struct dk_span at) {
  if (!scope->self || !has_names(decl)) return false;
  struct search search = {.scope = scope};
  search.seen = dk_arena_array(scope->checker->arena, uint8_t, scope->module->n_decls);
  search.seen[decl->index] = 1;
  dk_arena_push(scope->checker->arena, search.steps, search.n_steps, search.cap_steps) =
      (struct step){scope->module->decls[decl->index], NULL, 0};
  for (; search.at < search.n_steps && !search.back; search.at++) read_decl(&search, search.steps[search.at].decl);
  if (search.back) report(&search, at);
  return search.back != NULL;
}
