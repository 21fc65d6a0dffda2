/* Binding the names of an expression to what they stand for.
 *
 * Order: locals (parameters of a function, variables of `for`), columns, the words of a task's body (inputs, outputs,
 * point, stdout, stderr), declarations, built-in functions. */
#include "lang/check/internal.h"

#include <string.h>

void dk_resolve_error(struct dk_expr *expr) {
  expr->kind = DK_EXPR_ERROR;
}

void dk_resolve_push(struct dk_scope *scope, const struct dk_str *name) {
  dk_arena_push(scope->checker->arena, scope->locals, scope->n_locals, scope->cap_locals) = (struct dk_local){name};
  if (scope->n_locals > scope->max_locals) scope->max_locals = scope->n_locals;
}

static void bind(struct dk_expr *expr, enum dk_binding_kind kind, uint32_t slot, const struct dk_decl *decl) {
  expr->name.binding = (struct dk_binding){.kind = kind, .slot = slot, .decl = decl};
}

static bool bind_local(const struct dk_scope *scope, struct dk_expr *expr) {
  for (uint32_t i = scope->n_locals; i-- > 0;) {
    if (scope->locals[i].name != expr->name.name) continue;
    bind(expr, DK_BIND_LOCAL, i, NULL);
    return true;
  }
  return false;
}

/* The words that mean something in a task's body only. */
static bool bind_word(struct dk_scope *scope, struct dk_expr *expr) {
  const char *name = expr->name.name->text;
  if (scope->allow & DK_ALLOW_POINT && strcmp(name, "point") == 0) {
    bind(expr, DK_BIND_POINT, 0, scope->task ? scope->task->decl : NULL);
    return true;
  }
  if (scope->allow & DK_ALLOW_STREAMS && (strcmp(name, "stdout") == 0 || strcmp(name, "stderr") == 0)) {
    bind(expr, DK_BIND_STREAM, 0, NULL);
    return true;
  }
  if (scope->allow & DK_ALLOW_ROW && strcmp(name, "task") == 0) {
    bind(expr, DK_BIND_COLUMN, 0, NULL);
    return true;
  }
  if (scope->task && strcmp(name, "keep") == 0 && !dk_scope_decl(scope, expr->name.name)) {
    dk_not_built(scope->checker, expr->span, "`{{keep}}`");
    dk_resolve_error(expr);
    return true;
  }
  return false;
}

/* `inputs` or `outputs` where they mean something; as a whole they are no value. */
static bool is_files_word(const struct dk_scope *scope, const struct dk_expr *expr, enum dk_binding_kind *ret) {
  if (expr->kind != DK_EXPR_NAME || !scope->task) return false;
  const char *name = expr->name.name->text;
  for (uint32_t i = 0; i < scope->n_locals; i++)
    if (scope->locals[i].name == expr->name.name) return false;
  if (scope->columns && dk_column_find(scope->columns, expr->name.name)) return false;
  *ret = strcmp(name, "inputs") == 0 ? DK_BIND_INPUTS : DK_BIND_OUTPUTS;
  return strcmp(name, "inputs") == 0 || strcmp(name, "outputs") == 0;
}

static void not_a_value(struct dk_scope *scope, struct dk_expr *expr, const struct dk_decl *decl) {
  struct dk_diags *diags = scope->checker->diags;
  struct dk_diag *diag = NULL;
  const char *name = decl->name->text;
  switch (decl->kind) {
  case DK_DECL_LET:
    diag = dk_diag_add(diags, DK_E0214, expr->span, "`%s` is a function: it must be called", name);
    if (decl->n_params)
      dk_diag_help(diags, diag, "write `%s(%s%s)`", name, decl->params[0]->text, decl->n_params > 1 ? ", ..." : "");
    break;
  case DK_DECL_GRID:
    diag = dk_diag_add(diags, DK_E0214, expr->span, "`%s` is a grid, not a value", name);
    dk_diag_help(diags, diag, "grids stand behind `over` and in other grids; a task over it uses its columns by name");
    break;
  case DK_DECL_TASK:
  case DK_DECL_PICK:
    diag = dk_diag_add(diags, DK_E0214, expr->span, "`%s` is a %s, not a value", name,
                       decl->kind == DK_DECL_TASK ? "task" : "pick");
    dk_diag_help(diags, diag,
                 decl->kind == DK_DECL_TASK
                     ? "name one of its outputs or metrics, as in `%s.model`; `gather(%s)` takes all of it"
                     : "name a column, metric or output of what it chose, as in `%s.lr`",
                 name, name);
    break;
  case DK_DECL_IMPORT:
    diag = dk_diag_add(diags, DK_E0214, expr->span, "`%s` is a module, not a value", name);
    dk_diag_help(diags, diag, "name one of its members, as in `%s.name`", name);
    break;
  case DK_DECL_PROVIDER:
    if (!scope->checker->kinds) break;
    dk_diag_add(diags, DK_E0214, expr->span, "`%s` is a provider, not a value", name);
    break;
  default: break; /* an experiment's image, source or provider: said at their declarations */
  }
  dk_resolve_error(expr);
}

static void use_decl(struct dk_scope *scope, struct dk_expr *expr, const struct dk_decl *decl) {
  bool is_built = decl->kind != DK_DECL_IMAGE || scope->checker->kinds;
  bool is_value = (decl->kind == DK_DECL_LET && !decl->is_function) || decl->kind == DK_DECL_PARAM ||
                  (dk_decl_is_record(decl->kind) && is_built);
  if (!dk_scope_usable(scope, decl, expr->span))
    dk_resolve_error(expr);
  else if (!is_value)
    not_a_value(scope, expr, decl);
  else
    bind(expr, DK_BIND_DECL, 0, decl);
}

static void name(struct dk_scope *scope, struct dk_expr *expr) {
  enum dk_binding_kind files;
  enum dk_builtin builtin;
  if (bind_local(scope, expr)) return;
  if (scope->columns && dk_column_find(scope->columns, expr->name.name)) {
    bind(expr, DK_BIND_COLUMN, 0, NULL);
    return;
  }
  if (bind_word(scope, expr)) return;
  if (is_files_word(scope, expr, &files)) {
    const char *word = expr->name.name->text;
    struct dk_diag *diag =
        dk_diag_add(scope->checker->diags, DK_E0214, expr->span, "`%s` as a whole is not a value", word);
    dk_diag_help(scope->checker->diags, diag, "name one, as in `%s.data`", word);
    dk_resolve_error(expr);
    return;
  }
  const struct dk_decl *decl = dk_scope_find(scope->checker, scope->module, expr->name.name);
  if (decl) {
    use_decl(scope, expr, decl);
    return;
  }
  if (dk_builtin_find(expr->name.name->text, &builtin)) {
    uint32_t n;
    struct dk_diag *diag = dk_diag_add(scope->checker->diags, DK_E0214, expr->span,
                                       "`%s` is a function: it must be called", expr->name.name->text);
    dk_diag_help(scope->checker->diags, diag, "its form is `%s`", dk_builtins(&n)[builtin].signature);
  } else {
    dk_scope_unknown(scope, expr->name.name, expr->span, false);
  }
  dk_resolve_error(expr);
}

static bool is_exported(const struct dk_decl *decl) {
  return decl->kind == DK_DECL_LET || dk_decl_is_record(decl->kind) || decl->kind == DK_DECL_GRID ||
         decl->kind == DK_DECL_TASK;
}

const struct dk_decl *dk_resolve_member(struct dk_scope *scope, struct dk_expr *expr, const struct dk_decl *import) {
  struct dk_checker *checker = scope->checker;
  const struct dk_str *wanted = expr->member.name;
  const struct dk_decl *decl = import->imported ? dk_scope_find(checker, import->imported, wanted) : NULL;
  if (decl && is_exported(decl)) {
    const struct dk_str *full =
        dk_intern_text(checker->strs, dk_arena_printf(checker->arena, "%s.%s", import->name->text, wanted->text));
    expr->kind = DK_EXPR_NAME;
    expr->name.name = full;
    bind(expr, DK_BIND_DECL, 0, decl);
    return decl;
  }
  if (import->imported) { /* else the import itself was wrong, and that was said */
    struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0212, expr->member.name_span, "no `%s` in module `%s`",
                                       wanted->text, import->name->text);
    const char **names = dk_arena_array(checker->arena, const char *, import->imported->n_decls + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < import->imported->n_decls; i++)
      if (is_exported(import->imported->decls[i]) && import->imported->decls[i]->name)
        names[n++] = import->imported->decls[i]->name->text;
    dk_scope_suggest(checker, diag, wanted->text, names, n);
    if (n) dk_diag_note(checker->diags, diag, "it has %s", dk_scope_list(checker, names, n));
  }
  dk_resolve_error(expr);
  return NULL;
}

static void files_member(struct dk_scope *scope, struct dk_expr *expr, enum dk_binding_kind kind) {
  struct dk_checker *checker = scope->checker;
  bool inputs = kind == DK_BIND_INPUTS;
  const char *word = inputs ? "input" : "output";
  const struct dk_named_exprs *have = inputs ? &scope->task->inputs : &scope->task->outputs;
  if (!(scope->allow & (inputs ? DK_ALLOW_INPUTS : DK_ALLOW_OUTPUTS))) {
    struct dk_diag *diag =
        dk_diag_add(checker->diags, DK_E0218, expr->span, "%ss cannot be used in %s", word, scope->what);
    dk_diag_note(checker->diags, diag,
                 "`%ss.%s` is a path that exists while the task runs: it may stand in `run` and `env`", word,
                 expr->member.name->text);
    dk_resolve_error(expr);
    return;
  }
  bind(expr->member.of, kind, 0, NULL);
  const char **names = dk_arena_array(checker->arena, const char *, have->count + 1);
  for (uint32_t i = 0; i < have->count; i++) {
    if (have->items[i].name == expr->member.name) return;
    names[i] = have->items[i].name->text;
  }
  struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0212, expr->member.name_span, "task `%s` has no %s `%s`",
                                     scope->task->decl->name->text, word, expr->member.name->text);
  dk_scope_suggest(checker, diag, expr->member.name->text, names, have->count);
  if (have->count)
    dk_diag_note(checker->diags, diag, "its %ss are %s", word, dk_scope_list(checker, names, have->count));
  else
    dk_diag_help(checker->diags, diag, "declare it: `%ss { %s = ... }`", word, expr->member.name->text);
  dk_resolve_error(expr);
}

static void member(struct dk_scope *scope, struct dk_expr *expr) {
  struct dk_target target;
  enum dk_binding_kind files;
  if (dk_ref_target(scope, expr->member.of, &target)) {
    dk_ref_make(scope, expr, &target, expr->member.name, expr->member.name_span);
    return;
  }
  if (is_files_word(scope, expr->member.of, &files)) {
    files_member(scope, expr, files);
    return;
  }
  if (expr->member.of->kind == DK_EXPR_NAME) {
    const struct dk_decl *import = dk_scope_decl(scope, expr->member.of->name.name);
    if (import && import->kind == DK_DECL_IMPORT) {
      bool usable = dk_scope_usable(scope, import, expr->member.of->span);
      const struct dk_decl *decl = dk_resolve_member(scope, expr, import);
      if (!usable)
        dk_resolve_error(expr);
      else if (decl)
        use_decl(scope, expr, decl);
      return;
    }
  }
  dk_resolve(scope, expr->member.of);
  if (expr->member.of->kind == DK_EXPR_ERROR) dk_resolve_error(expr);
}

static void comprehension(struct dk_scope *scope, struct dk_expr *expr) {
  uint32_t first = scope->n_locals;
  expr->comprehension.first_slot = first;
  for (uint32_t i = 0; i < expr->comprehension.n_fors; i++) {
    struct dk_for *f = &expr->comprehension.fors[i];
    dk_resolve(scope, f->in);
    for (uint32_t j = 0; j < f->n_names; j++) dk_resolve_push(scope, f->names[j]);
    for (uint32_t j = 0; j < f->ifs.count; j++) dk_resolve(scope, f->ifs.items[j]);
  }
  expr->comprehension.n_slots = scope->n_locals - first;
  dk_resolve(scope, expr->comprehension.value);
  scope->n_locals = first;
}

static bool field_equal(const void *ctx, uint32_t item, const void *key) {
  const struct dk_fields *fields = ctx;
  return fields->items[item].name == key;
}

static bool fields_are_distinct(struct dk_scope *scope, const struct dk_fields *fields) {
  struct dk_diags *diags = scope->checker->diags;
  struct dk_map seen;
  bool distinct = true;
  dk_map_init(&seen, scope->checker->arena);
  for (uint32_t i = 0; i < fields->count; i++) {
    const struct dk_str *field = fields->items[i].name;
    if (!field) return false; /* could not be parsed */
    uint64_t hash = dk_hash_u64(field->id, 0);
    uint32_t first = dk_map_find(&seen, hash, field_equal, fields, field);
    if (first == DK_MAP_NONE) {
      (void)dk_map_add(&seen, hash, i); /* an arena's map jumps instead of failing */
      continue;
    }
    struct dk_diag *diag = dk_diag_add(diags, DK_E0207, fields->items[i].name_span, "`%s` is given twice", field->text);
    dk_diag_label_at(diags, diag, fields->items[first].name_span, "given here first");
    distinct = false;
  }
  return distinct;
}

static void resolve_child(void *ctx, struct dk_expr *child) {
  dk_resolve(ctx, child);
}

static void wrong_index(struct dk_scope *scope, struct dk_expr *expr, const struct dk_target *target) {
  struct dk_diag *diag =
      dk_diag_add(scope->checker->diags, DK_E0214, expr->span, "points of %s `%s` are selected by their columns",
                  target->decl->kind == DK_DECL_TASK ? "task" : "pick", target->decl->name->text);
  dk_diag_help(scope->checker->diags, diag, "write `%s[column = value].name`", target->decl->name->text);
  dk_resolve_error(expr);
}

void dk_resolve(struct dk_scope *scope, struct dk_expr *expr) {
  struct dk_target target;
  switch (expr->kind) {
  case DK_EXPR_ERROR:
  case DK_EXPR_REF: return;
  case DK_EXPR_NAME: name(scope, expr); return;
  case DK_EXPR_MEMBER: member(scope, expr); return;
  case DK_EXPR_CALL: dk_resolve_call(scope, expr); return;
  case DK_EXPR_FOR: comprehension(scope, expr); return;
  case DK_EXPR_INDEX:
    if (dk_ref_target(scope, expr->index.of, &target)) {
      wrong_index(scope, expr, &target);
      return;
    }
    break;
  case DK_EXPR_SELECT:
    if (dk_ref_target(scope, expr, &target)) {
      struct dk_diag *diag = dk_diag_add(scope->checker->diags, DK_E0214, expr->span,
                                         "`%s[...]` selects points; it is not a value", target.decl->name->text);
      dk_diag_help(scope->checker->diags, diag, "name one of their outputs or metrics: `%s[...].name`",
                   target.decl->name->text);
    } else {
      struct dk_diag *diag = dk_diag_add(scope->checker->diags, DK_E0214, expr->span,
                                         "`[name = value]` selects points of a task, and this is none");
      dk_diag_help(scope->checker->diags, diag, "an element of a list or record is `x[i]`; a comparison is `==`");
    }
    dk_resolve_error(expr);
    return;
  case DK_EXPR_WHERE: {
    struct dk_diag *diag = dk_diag_add(scope->checker->diags, DK_E0214, expr->span,
                                       "`where` makes a grid of a grid; a grid is not a value");
    dk_diag_help(scope->checker->diags, diag, "elements of a list are chosen with `[x for x in xs if ...]`");
    dk_resolve_error(expr);
    return;
  }
  case DK_EXPR_RECORD:
    if (!fields_are_distinct(scope, &expr->record.fields)) {
      dk_resolve_error(expr);
      return;
    }
    break;
  case DK_EXPR_WITH:
    if (!fields_are_distinct(scope, &expr->with.fields)) {
      dk_resolve_error(expr);
      return;
    }
    break;
  default: break;
  }
  dk_walk_children(expr, resolve_child, scope);
}
