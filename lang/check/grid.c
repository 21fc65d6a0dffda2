/* Grids: their columns, and the expressions of their clauses. What the points are is plan's business. */
#include "lang/check/internal.h"

#include <string.h>

const struct dk_column_decl *dk_column_find(const struct dk_column_decls *columns, const struct dk_str *name) {
  for (uint32_t i = 0; i < columns->count; i++)
    if (columns->items[i].name == name) return &columns->items[i];
  return NULL;
}

static void add_columns(struct dk_checker *checker, struct dk_column_decls *to, const struct dk_column_decls *from) {
  for (uint32_t i = 0; i < from->count; i++)
    if (!dk_column_find(to, from->items[i].name))
      dk_arena_push(checker->arena, to->items, to->count, to->cap) = from->items[i];
}

/* A name or alias.name that should be a grid. */
static bool grid_name(struct dk_scope *scope, struct dk_expr *expr, struct dk_column_decls *ret,
                      const struct dk_decl **ret_grid) {
  struct dk_checker *checker = scope->checker;
  const struct dk_decl *decl = NULL;
  if (expr->kind == DK_EXPR_MEMBER) {
    const struct dk_decl *import =
        expr->member.of->kind == DK_EXPR_NAME ? dk_scope_decl(scope, expr->member.of->name.name) : NULL;
    if (import && import->kind == DK_DECL_IMPORT) {
      if (!dk_scope_usable(scope, import, expr->member.of->span)) return false;
      decl = dk_resolve_member(scope, expr, import);
      if (!decl) return false;
    }
  } else {
    decl = dk_scope_decl(scope, expr->name.name);
    if (!decl) {
      const char **names = dk_arena_array(checker->arena, const char *, scope->module->n_decls + 1);
      uint32_t n = 0;
      for (uint32_t i = 0; i < scope->module->n_decls && i < scope->before; i++)
        if (scope->module->decls[i]->kind == DK_DECL_GRID && scope->module->decls[i]->name)
          names[n++] = scope->module->decls[i]->name->text;
      struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0201, expr->span, "no grid `%s`", expr->name.name->text);
      dk_scope_suggest(checker, diag, expr->name.name->text, names, n);
      if (n)
        dk_diag_note(checker->diags, diag, "there %s %s", n == 1 ? "is the grid" : "are the grids",
                     dk_scope_list(checker, names, n));
      return false;
    }
  }
  if (!decl || decl->kind != DK_DECL_GRID) {
    struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0214, expr->span, "a grid is wanted here");
    if (decl) dk_diag_label_at(checker->diags, diag, decl->name_span, "`%s` is no grid", decl->name->text);
    dk_diag_help(checker->diags, diag, "declare one: `grid g { x in [1, 2] }`");
    return false;
  }
  if (!dk_scope_usable(scope, decl, expr->span)) return false;
  expr->name.binding = (struct dk_binding){.kind = DK_BIND_DECL, .decl = decl};
  const struct dk_checked_grid *grid = decl->checked;
  if (!grid) return false; /* it stands further down and was said to, or is wrong */
  add_columns(checker, ret, &grid->columns);
  *ret_grid = decl;
  return !grid->columns_unknown;
}

static bool sample(struct dk_scope *scope, struct dk_expr *expr, struct dk_column_decls *ret) {
  struct dk_checker *checker = scope->checker;
  const struct dk_decl *grid;
  struct dk_fields *args = &expr->call.args;
  struct dk_expr *of = args->count && !args->items[0].name ? args->items[0].value : NULL;
  for (uint32_t i = of ? 1 : 0; i < args->count; i++)
    if (args->items[i].value) dk_resolve(scope, args->items[i].value);
  struct dk_diag *diag = NULL;
  struct dk_field sorted[3] = {{0}};
  static const char *const names[] = {"grid", "n", "seed"};
  for (uint32_t i = 0; i < args->count && !diag; i++) {
    uint32_t at = i;
    for (uint32_t j = 0; args->items[i].name && j < 3; j++)
      if (strcmp(args->items[i].name->text, names[j]) == 0) at = j;
    bool known = !args->items[i].name || (at < 3 && strcmp(args->items[i].name->text, names[at]) == 0);
    if (at >= 3 || !known || sorted[at].value)
      diag = dk_diag_add(checker->diags, DK_E0211, expr->span, "wrong arguments of `sample`");
    else
      sorted[at] = args->items[i];
  }
  if (!diag && (!sorted[0].value || !sorted[1].value || !sorted[2].value))
    diag = dk_diag_add(checker->diags, DK_E0211, expr->span, "`sample` lacks an argument");
  if (diag) {
    dk_diag_note(checker->diags, diag,
                 "its form is `sample(grid, n, seed = 1)`; the seed makes it the same every time");
    return false;
  }
  struct dk_field *items = dk_arena_memdup(checker->arena, sorted, sizeof sorted);
  *args = (struct dk_fields){items, 3, 3};
  expr->call.callee->name.binding = (struct dk_binding){.kind = DK_BIND_BUILTIN, .slot = DK_BUILTIN_sample};
  return dk_check_grid_expr(scope, sorted[0].value, ret, &grid);
}

static bool where(struct dk_scope *scope, struct dk_expr *expr, struct dk_column_decls *ret) {
  const struct dk_decl *grid = NULL;
  struct dk_column_decls columns = {NULL, 0, 0};
  bool ok = dk_check_grid_expr(scope, expr->where.of, &columns, &grid);
  struct dk_scope inner = *scope;
  inner.columns = &columns;
  inner.columns_unknown = !ok;
  inner.grid = grid;
  inner.what = "`where`";
  dk_resolve(&inner, expr->where.predicate);
  add_columns(scope->checker, ret, &columns);
  return ok;
}

static bool is_call_of(const struct dk_scope *scope, const struct dk_expr *expr, const char *name) {
  return expr->kind == DK_EXPR_CALL && expr->call.callee->kind == DK_EXPR_NAME &&
         strcmp(expr->call.callee->name.name->text, name) == 0 && !dk_scope_decl(scope, expr->call.callee->name.name);
}

bool dk_check_grid_expr(struct dk_scope *scope, struct dk_expr *expr, struct dk_column_decls *ret,
                        const struct dk_decl **ret_grid) {
  const struct dk_decl *ignored;
  bool ok = false;
  *ret_grid = NULL;
  if (expr->kind == DK_EXPR_ERROR) return false;
  if (expr->kind == DK_EXPR_NAME || expr->kind == DK_EXPR_MEMBER) {
    ok = grid_name(scope, expr, ret, ret_grid);
  } else if (expr->kind == DK_EXPR_BINARY && (expr->binary.op == DK_OP_ADD || expr->binary.op == DK_OP_MUL)) {
    ok = dk_check_grid_expr(scope, expr->binary.left, ret, &ignored);
    ok = dk_check_grid_expr(scope, expr->binary.right, ret, &ignored) && ok;
  } else if (expr->kind == DK_EXPR_WHERE) {
    ok = where(scope, expr, ret);
  } else if (is_call_of(scope, expr, "sample")) {
    ok = sample(scope, expr, ret);
  } else if (is_call_of(scope, expr, "rows")) {
    dk_not_built(scope->checker, expr->span, "`rows`");
  } else {
    struct dk_diag *diag = dk_diag_add(scope->checker->diags, DK_E0214, expr->span, "a grid is wanted here");
    dk_diag_help(scope->checker->diags, diag,
                 "grids are named, multiplied (a * b), added (a + b), narrowed (a where x > 1) or sampled (sample(a, "
                 "10, seed = 1))");
  }
  if (!ok) dk_resolve_error(expr);
  return ok;
}

/* Columns and lets in one file have one name only by accident: say so, once, where the column is. */
static void warn_hidden(struct dk_scope *scope, const struct dk_str *name, struct dk_span span) {
  const struct dk_decl *decl = dk_scope_find(scope->checker, scope->module, name);
  if (!decl || (decl->kind != DK_DECL_LET && decl->kind != DK_DECL_PARAM)) return;
  struct dk_diag *diag = dk_diag_add(scope->checker->diags, DK_W0201, span, "column `%s` hides the %s of that name",
                                     name->text, decl->kind == DK_DECL_LET ? "let" : "param");
  dk_diag_label_at(scope->checker->diags, diag, decl->name_span, "hidden where the column is seen");
  dk_diag_help(scope->checker->diags, diag, "give one of them another name");
}

static void add_column(struct dk_scope *scope, struct dk_checked_grid *grid, const struct dk_str *name,
                       struct dk_span span, enum dk_column_role role) {
  struct dk_checker *checker = scope->checker;
  const struct dk_column_decl *first = dk_column_find(&grid->columns, name);
  if (first) {
    struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0202, span, "column `%s` is declared twice", name->text);
    dk_diag_label_at(checker->diags, diag, first->span, "declared here first");
    grid->is_broken = true;
    return;
  }
  if (grid->columns.count == DK_CHECK_MAX_ITEMS) {
    if (!grid->is_broken)
      dk_diag_add(checker->diags, DK_E0221, span, "a grid has at most %d columns", DK_CHECK_MAX_ITEMS);
    grid->is_broken = grid->columns_unknown = true;
    return;
  }
  warn_hidden(scope, name, span);
  dk_arena_push(checker->arena, grid->columns.items, grid->columns.count, grid->columns.cap) =
      (struct dk_column_decl){name, role, span};
}

static void include(struct dk_scope *scope, struct dk_checked_grid *grid, const struct dk_stmt *stmt) {
  struct dk_checker *checker = scope->checker;
  struct dk_scope inner = *scope;
  inner.columns = NULL;
  inner.grid = NULL;
  dk_resolve(&inner, stmt->value);
  if (stmt->value->kind != DK_EXPR_RECORD || scope->columns_unknown) return;
  for (uint32_t i = 0; i < stmt->value->record.fields.count; i++) {
    const struct dk_field *field = &stmt->value->record.fields.items[i];
    const struct dk_column_decl *column = dk_column_find(&grid->columns, field->name);
    if (column && column->role == DK_COLUMN_AXIS) continue;
    struct dk_diag *diag;
    if (column) {
      diag = dk_diag_add(checker->diags, DK_E0203, field->name_span,
                         "`%s` is a derived column: it is computed, not given", field->name->text);
      dk_diag_label_at(checker->diags, diag, column->span, "declared here");
    } else {
      const char **names = dk_arena_array(checker->arena, const char *, grid->columns.count + 1);
      uint32_t n = 0;
      for (uint32_t j = 0; j < grid->columns.count; j++)
        if (grid->columns.items[j].role == DK_COLUMN_AXIS) names[n++] = grid->columns.items[j].name->text;
      diag = dk_diag_add(checker->diags, DK_E0203, field->name_span, "no axis `%s` in grid `%s`", field->name->text,
                         grid->decl->name->text);
      dk_scope_suggest(checker, diag, field->name->text, names, n);
      if (n) dk_diag_note(checker->diags, diag, "its axes above are %s", dk_scope_list(checker, names, n));
    }
    dk_resolve_error(stmt->value);
    return;
  }
}

static void block(struct dk_scope *scope, struct dk_checked_grid *grid, const struct dk_stmt *stmt) {
  const char *name = stmt->name->text;
  bool later = strcmp(name, "draw") == 0 || strcmp(name, "base") == 0 || strcmp(name, "vary") == 0;
  grid->is_broken = grid->columns_unknown = true;
  if (later) {
    dk_not_built(scope->checker, stmt->name_span, dk_arena_printf(scope->checker->arena, "`%s` in a grid", name));
    return;
  }
  struct dk_diag *diag =
      dk_diag_add(scope->checker->diags, DK_E0206, stmt->name_span, "no block `%s` in a grid", stmt->name->text);
  dk_diag_note(scope->checker->diags, diag,
               "a grid has axes (x in ...), derived columns (y = ...), exclude, include and require");
}

static void clause(struct dk_scope *scope, struct dk_checked_grid *grid, struct dk_stmt *stmt) {
  switch (stmt->kind) {
  case DK_STMT_AXIS:
    if (stmt->is_vary) {
      dk_not_built(scope->checker, stmt->span, "`vary` in a grid");
      grid->is_broken = true;
    }
    dk_resolve(scope, stmt->value);
    for (uint32_t i = 0; i < stmt->n_names; i++)
      add_column(scope, grid, stmt->names[i], stmt->name_spans[i], DK_COLUMN_AXIS);
    return;
  case DK_STMT_DRAW_AXIS:
    dk_not_built(scope->checker, stmt->span, "drawing values with `~`");
    dk_resolve_error(stmt->value);
    grid->is_broken = true;
    for (uint32_t i = 0; i < stmt->n_names; i++)
      add_column(scope, grid, stmt->names[i], stmt->name_spans[i], DK_COLUMN_AXIS);
    return;
  case DK_STMT_FIELD:
    dk_resolve(scope, stmt->value);
    add_column(scope, grid, stmt->name, stmt->name_span, DK_COLUMN_DERIVED);
    return;
  case DK_STMT_EXCLUDE: dk_resolve(scope, stmt->value); return;
  case DK_STMT_INCLUDE: include(scope, grid, stmt); return;
  case DK_STMT_REQUIRE:
    dk_resolve(scope, stmt->value);
    if (stmt->message) dk_resolve(scope, stmt->message);
    return;
  case DK_STMT_BLOCK: block(scope, grid, stmt); return;
  }
}

void dk_check_grid(struct dk_checker *checker, struct dk_decl *decl) {
  struct dk_checked_grid *grid = dk_arena_new(checker->arena, struct dk_checked_grid);
  struct dk_checked *checked = checker->checked;
  struct dk_scope scope = {.checker = checker,
                           .module = decl->module,
                           .before = decl->index,
                           .self = decl,
                           .what = dk_arena_printf(checker->arena, "grid `%s`", decl->name->text)};
  const struct dk_decl *ignored;
  grid->decl = decl;
  grid->is_broken = grid->columns_unknown = decl->has_errors;
  if (decl->value && !dk_check_grid_expr(&scope, decl->value, &grid->columns, &ignored)) grid->columns_unknown = true;
  if (decl->over && !dk_check_grid_expr(&scope, decl->over, &grid->columns, &ignored)) grid->columns_unknown = true;
  grid->is_broken = grid->columns_unknown;
  scope.columns = &grid->columns;
  scope.grid = decl;
  for (uint32_t i = 0; decl->block && i < decl->block->count; i++) {
    scope.columns_unknown = grid->columns_unknown;
    clause(&scope, grid, &decl->block->items[i]);
  }
  if (decl->block && !grid->columns.count && !grid->is_broken) {
    struct dk_diag *diag =
        dk_diag_add(checker->diags, DK_E0208, decl->name_span, "grid `%s` has no axis", decl->name->text);
    dk_diag_help(checker->diags, diag, "add one, as in `lr in [0.1, 0.01]`");
    grid->is_broken = grid->columns_unknown = true;
  }
  if (grid->is_broken) { /* nothing for plan to expand: what it would say follows from what was said */
    decl->block = NULL;
    decl->value = NULL;
  }
  decl->checked = grid;
  dk_arena_push(checker->arena, checked->grids, checked->n_grids, checked->cap_grids) = grid;
}
