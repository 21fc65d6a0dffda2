/* Calls of built-in functions: arguments by value, then the function out of the one table (lang/check/builtins.def). */
#include "lang/eval/internal.h"

#include <inttypes.h>

/* One row a function: reading the .def again, so that a name without a function does not compile. */
#define FN_PURE(name) dk_fn_##name
#define FN_INERT(name) dk_fn_##name
#define FN_REFERENCE(name) NULL
#define FN_GRID(name) NULL
#define FN_LATER(name) NULL
static dk_builtin_fn *const functions[] = {
#define DK_BUILTIN(name, signature, flags, doc) FN_##flags(name),
#include "lang/check/builtins.def"
#undef DK_BUILTIN
};

struct dk_span dk_call_span(const struct dk_call *call, uint32_t arg) {
  const struct dk_fields *args = &call->expr->call.args;
  return arg < args->count && args->items[arg].value ? args->items[arg].value->span : call->expr->span;
}

bool dk_call_given(const struct dk_call *call, uint32_t arg) {
  const struct dk_fields *args = &call->expr->call.args;
  return arg < args->count && args->items[arg].value;
}

bool dk_call_wants(struct dk_call *call, uint32_t arg, const char *wants) {
  uint32_t n;
  const struct dk_builtin_info *info = &dk_builtins(&n)[call->which];
  struct dk_diag *diag = dk_ev_error(call->ev, DK_E0309, dk_call_span(call, arg), "`%s` wants %s, not %s", info->name,
                                     wants, dk_ev_type(call->ev, call->args[arg]));
  dk_diag_note(call->ev->eval->checked->diags, diag, "%s: %s", info->signature, info->doc);
  return false;
}

bool dk_call_text(struct dk_call *call, uint32_t arg, const struct dk_str **ret) {
  if (dk_value_get(call->ev->values, call->args[arg])->type != DK_TYPE_STRING)
    return dk_call_wants(call, arg, "a text");
  *ret = dk_value_str(call->ev->values, call->args[arg]);
  return true;
}

bool dk_call_int(struct dk_call *call, uint32_t arg, int64_t *ret) {
  const struct dk_value *value = dk_value_get(call->ev->values, call->args[arg]);
  if (value->type != DK_TYPE_INT) return dk_call_wants(call, arg, "an integer");
  *ret = value->u.i;
  return true;
}

bool dk_call_list(struct dk_call *call, uint32_t arg, const struct dk_value **ret) {
  *ret = dk_value_get(call->ev->values, call->args[arg]);
  return (*ret)->type == DK_TYPE_LIST || dk_call_wants(call, arg, "a list");
}

bool dk_call_return_list(struct dk_call *call, const dk_value_id *items, uint32_t n) {
  return dk_ev_list(call->ev, call->expr, items, n, call->ret);
}

bool dk_ev_builtin(struct dk_ev *ev, const struct dk_expr *expr, enum dk_builtin which, dk_value_id *ret) {
  const struct dk_fields *args = &expr->call.args;
  if (!functions[which]) {
    uint32_t n;
    dk_ev_error(ev, DK_E0308, expr->span, "`%s(...)` is not a value", dk_builtins(&n)[which].name);
    return false;
  }
  dk_value_id few[DK_BUILTIN_MAX_PARAMS];
  dk_value_id *values =
      args->count <= DK_BUILTIN_MAX_PARAMS ? few : dk_arena_array(ev->eval->checked->arena, dk_value_id, args->count);
  for (uint32_t i = 0; i < args->count; i++) {
    values[i] = DK_NULL;
    if (args->items[i].value && !dk_ev_value(ev, args->items[i].value, &values[i])) return false;
  }
  struct dk_call call = {ev, expr, which, values, args->count, ret};
  return functions[which](&call);
}
