/* Calls: which function, and its arguments brought into the parameters' order. */
#include "lang/check/internal.h"

#include <inttypes.h>
#include <string.h>

struct param {
  const char *name;
  uint32_t len;
  bool optional, variadic;
};

struct callee {
  const char *name, *form; /* "round", "round(x, digits?)" */
  const struct param *params;
  uint32_t n_params;
  const struct dk_decl *decl; /* a function of the file, or NULL */
};

static bool is_param(const struct param *param, const struct dk_str *name) {
  return param->len == name->len && memcmp(param->name, name->text, name->len) == 0;
}

static struct dk_diag *wrong(struct dk_scope *scope, const struct callee *callee, struct dk_span span,
                             const char *message) {
  struct dk_diag *diag = dk_diag_add(scope->checker->diags, DK_E0211, span, "%s", message);
  if (callee->decl) dk_diag_label_at(scope->checker->diags, diag, callee->decl->name_span, "declared here");
  dk_diag_note(scope->checker->diags, diag, "its form is `%s`", callee->form);
  return diag;
}

static bool unknown_param(struct dk_scope *scope, const struct callee *callee, const struct dk_field *arg) {
  struct dk_arena *arena = scope->checker->arena;
  const char **names = dk_arena_array(arena, const char *, callee->n_params + 1);
  for (uint32_t i = 0; i < callee->n_params; i++)
    names[i] = dk_arena_strndup(arena, callee->params[i].name, callee->params[i].len);
  struct dk_diag *diag = wrong(scope, callee, arg->name_span,
                               dk_arena_printf(arena, "`%s` has no parameter `%s`", callee->name, arg->name->text));
  dk_scope_suggest(scope->checker, diag, arg->name->text, names, callee->n_params);
  return false;
}

/* Which parameter the argument is for; UINT32_MAX after an error. */
static uint32_t param_of(struct dk_scope *scope, const struct callee *callee, const struct dk_expr *call,
                         uint32_t arg) {
  const struct dk_field *field = &call->call.args.items[arg];
  struct dk_arena *arena = scope->checker->arena;
  if (field->name) {
    for (uint32_t i = 0; i < callee->n_params; i++)
      if (is_param(&callee->params[i], field->name) && !callee->params[i].variadic) return i;
    unknown_param(scope, callee, field);
    return UINT32_MAX;
  }
  if (arg && call->call.args.items[arg - 1].name) return UINT32_MAX; /* said by the parser */
  if (arg < callee->n_params) return arg;
  if (callee->n_params && callee->params[callee->n_params - 1].variadic) return callee->n_params - 1;
  wrong(scope, callee, field->value->span,
        dk_arena_printf(arena, "`%s` takes %" PRIu32 " argument%s, not %" PRIu32, callee->name, callee->n_params,
                        callee->n_params == 1 ? "" : "s", call->call.args.count));
  return UINT32_MAX;
}

static bool arrange(struct dk_scope *scope, const struct callee *callee, struct dk_expr *call) {
  struct dk_arena *arena = scope->checker->arena;
  struct dk_fields *args = &call->call.args;
  uint32_t n = args->count > callee->n_params ? args->count : callee->n_params, used = callee->n_params;
  struct dk_field *items = dk_arena_array(arena, struct dk_field, n + 1);
  for (uint32_t i = 0; i < args->count; i++) {
    uint32_t param = param_of(scope, callee, call, i);
    if (param == UINT32_MAX) return false;
    uint32_t at = callee->params[param].variadic ? i : param;
    if (items[at].value) {
      wrong(scope, callee, args->items[i].name_span,
            dk_arena_printf(arena, "`%s` is given twice", args->items[i].name->text));
      return false;
    }
    items[at] = args->items[i];
    if (at >= used) used = at + 1;
  }
  for (uint32_t i = 0; i < callee->n_params; i++) {
    if (items[i].value || callee->params[i].optional) continue;
    wrong(scope, callee, call->span,
          dk_arena_printf(arena, "`%s` lacks its argument `%.*s`", callee->name, (int)callee->params[i].len,
                          callee->params[i].name));
    return false;
  }
  *args = (struct dk_fields){items, used, n};
  return true;
}

static void call_function(struct dk_scope *scope, struct dk_expr *call, const struct dk_decl *decl) {
  struct dk_arena *arena = scope->checker->arena;
  struct param *params = dk_arena_array(arena, struct param, decl->n_params + 1);
  const char **names = dk_arena_array(arena, const char *, decl->n_params + 1);
  for (uint32_t i = 0; i < decl->n_params; i++) {
    params[i] = (struct param){decl->params[i]->text, decl->params[i]->len, false, false};
    names[i] = decl->params[i]->text;
  }
  const char *form =
      dk_arena_printf(arena, "%s(%s)", decl->name->text, dk_scope_list(scope->checker, names, decl->n_params));
  struct callee callee = {decl->name->text, form, params, decl->n_params, decl};
  if (!arrange(scope, &callee, call)) dk_resolve_error(call);
}

static void call_builtin(struct dk_scope *scope, struct dk_expr *call, enum dk_builtin which) {
  uint32_t n;
  const struct dk_builtin_info *info = &dk_builtins(&n)[which];
  struct dk_builtin_params parsed;
  struct param params[DK_BUILTIN_MAX_PARAMS];
  dk_builtin_params(which, &parsed);
  for (uint32_t i = 0; i < parsed.count; i++)
    params[i] =
        (struct param){parsed.items[i].name, parsed.items[i].len, parsed.items[i].optional, parsed.items[i].variadic};
  struct callee callee = {info->name, info->signature, params, parsed.count, NULL};
  call->call.callee->name.binding = (struct dk_binding){.kind = DK_BIND_BUILTIN, .slot = which};
  if (info->class == DK_BUILTIN_LATER) {
    dk_not_built(scope->checker, call->span, dk_arena_printf(scope->checker->arena, "`%s`", info->name));
    dk_resolve_error(call);
  } else if (!arrange(scope, &callee, call)) {
    dk_resolve_error(call);
  }
}

static void not_a_function(struct dk_scope *scope, struct dk_expr *call, const char *name) {
  struct dk_diag *diag =
      dk_diag_add(scope->checker->diags, DK_E0211, call->call.callee->span, "%s is not a function", name);
  dk_diag_help(scope->checker->diags, diag, "a function is declared as `let f(x) = ...`");
  dk_resolve_error(call);
}

static void resolve_args(struct dk_scope *scope, struct dk_expr *call) {
  for (uint32_t i = 0; i < call->call.args.count; i++)
    if (call->call.args.items[i].value) dk_resolve(scope, call->call.args.items[i].value);
}

static void use_callee(struct dk_scope *scope, struct dk_expr *call, const struct dk_decl *decl) {
  struct dk_expr *callee = call->call.callee;
  resolve_args(scope, call);
  if (!dk_scope_usable(scope, decl, callee->span)) {
    dk_resolve_error(call);
  } else if (decl->kind != DK_DECL_LET || !decl->is_function) {
    not_a_function(scope, call, dk_arena_printf(scope->checker->arena, "`%s`", decl->name->text));
  } else {
    callee->name.binding = (struct dk_binding){.kind = DK_BIND_DECL, .decl = decl};
    call_function(scope, call, decl);
  }
}

static bool is_hidden(const struct dk_scope *scope, const struct dk_str *name) {
  for (uint32_t i = 0; i < scope->n_locals; i++)
    if (scope->locals[i].name == name) return true;
  return scope->columns && dk_column_find(scope->columns, name);
}

static void call_name(struct dk_scope *scope, struct dk_expr *call) {
  const struct dk_str *name = call->call.callee->name.name;
  enum dk_builtin builtin;
  if (is_hidden(scope, name)) {
    resolve_args(scope, call);
    not_a_function(scope, call, dk_arena_printf(scope->checker->arena, "`%s`", name->text));
    return;
  }
  const struct dk_decl *decl = dk_scope_find(scope->checker, scope->module, name);
  if (decl) {
    use_callee(scope, call, decl);
    return;
  }
  if (!dk_builtin_find(name->text, &builtin)) {
    resolve_args(scope, call);
    dk_scope_unknown(scope, name, call->call.callee->span, true);
    dk_resolve_error(call);
    return;
  }
  if (builtin == DK_BUILTIN_gather) {
    dk_ref_gather(scope, call);
    return;
  }
  resolve_args(scope, call);
  if (builtin == DK_BUILTIN_sample) {
    struct dk_diag *diag =
        dk_diag_add(scope->checker->diags, DK_E0214, call->span, "`sample` makes a grid; a grid is not a value");
    dk_diag_help(scope->checker->diags, diag, "write `grid some = sample(...)`");
    dk_resolve_error(call);
    return;
  }
  call_builtin(scope, call, builtin);
}

void dk_resolve_call(struct dk_scope *scope, struct dk_expr *call) {
  struct dk_expr *callee = call->call.callee;
  if (callee->kind == DK_EXPR_NAME) {
    call_name(scope, call);
    return;
  }
  if (callee->kind == DK_EXPR_MEMBER && callee->member.of->kind == DK_EXPR_NAME) {
    const struct dk_decl *import = dk_scope_decl(scope, callee->member.of->name.name);
    if (import && import->kind == DK_DECL_IMPORT) {
      bool usable = dk_scope_usable(scope, import, callee->member.of->span);
      const struct dk_decl *decl = dk_resolve_member(scope, callee, import);
      if (usable && decl)
        use_callee(scope, call, decl);
      else {
        resolve_args(scope, call);
        dk_resolve_error(call);
      }
      return;
    }
  }
  dk_resolve(scope, callee);
  resolve_args(scope, call);
  if (callee->kind == DK_EXPR_ERROR)
    dk_resolve_error(call);
  else
    not_a_function(scope, call, "this");
}
