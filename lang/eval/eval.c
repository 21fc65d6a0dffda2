/* The walk over the checked tree: see eval.h. */
#include "lang/base/number.h"
#include "lang/eval/internal.h"

#include "lang/check/schema.h"
#include "lang/eval/quantity.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

_Static_assert(DK_KIND_LIST == 1 << DK_TYPE_LIST && DK_KIND_TEXT == 1 << DK_TYPE_STRING &&
                   DK_KIND_CALL == 1 << DK_TYPE_CALL,
               "kinds of check/schema.h are the types' bits");

static struct dk_diags *diags_of(const struct dk_ev *ev) {
  return ev->eval->checked->diags;
}

static struct dk_arena *arena_of(const struct dk_ev *ev) {
  return ev->eval->checked->arena;
}

static bool fail(struct dk_ev *ev, enum dk_eval_result why) {
  ev->why = why;
  return false;
}

/* Rooms for locals up to `top`. */
static void need_slots(struct dk_ev *ev, uint32_t top) {
  struct dk_eval_priv *priv = ev->eval->priv;
  if (top > ev->top) ev->top = top;
  while (priv->n_slots < ev->top) dk_arena_push(arena_of(ev), priv->slots, priv->n_slots, priv->cap_slots) = DK_NULL;
}

static bool as_bool(struct dk_ev *ev, const struct dk_expr *expr, const char *who, bool *ret) {
  dk_value_id id;
  if (!dk_ev_value(ev, expr, &id)) return false;
  const struct dk_value *value = dk_value_get(ev->values, id);
  *ret = value->u.i != 0;
  if (value->type == DK_TYPE_BOOL) return true;
  struct dk_diag *diag =
      dk_ev_error(ev, DK_E0311, expr->span, "%s wants true or false, not %s", who, dk_ev_type(ev, id));
  dk_diag_label(diags_of(ev), diag, "this is %s", dk_ev_show(ev, id));
  return false;
}

static bool quantity(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  struct dk_quantity q;
  const char *unit;
  size_t len;
  uint32_t n;
  const struct dk_str *text = expr->text;
  struct dk_diag *diag = NULL;
  switch (dk_quantity_parse(text->text, text->len, &q, &unit, &len)) {
  case DK_QUANTITY_OK: *ret = dk_value_quantity(ev->values, q.type, q.unit, q.amount); return true;
  case DK_QUANTITY_UNIT: {
    diag = dk_ev_error(ev, DK_E0306, expr->span, "unknown unit `%.*s`", (int)len, unit);
    const char *const *units = dk_quantity_units(&n);
    const char *written = dk_arena_strndup(arena_of(ev), unit, len), *near = dk_number_unit(written);
    if (near && strcasecmp(written, near) != 0) {
      dk_diag_help(diags_of(ev), diag, "this unit is written `%s`", near);
      break;
    }
    if (!near) near = dk_nearest(written, units, n);
    if (near) dk_diag_help(diags_of(ev), diag, "did you mean `%s`?", near);
    dk_diag_note(diags_of(ev), diag,
                 "sizes: B kB MB GB TB KiB MiB GiB TiB; durations: ns us ms s m h d; money: three capitals such "
                 "as USD, an hour: USD/h");
    break;
  }
  case DK_QUANTITY_FINE:
    dk_ev_error(ev, DK_E0306, expr->span,
                "`%s` is finer than the smallest unit (a byte, a nanosecond, a millionth of a currency)", text->text);
    break;
  case DK_QUANTITY_RANGE: dk_ev_error(ev, DK_E0306, expr->span, "`%s` is beyond 64 bits", text->text); break;
  case DK_QUANTITY_MIXED:
    dk_ev_error(ev, DK_E0306, expr->span, "only durations are written in several parts, as in 1h30m");
    break;
  }
  return false;
}

/* Lists and records. */

static bool list(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  uint32_t n = expr->list.items.count;
  if (!dk_ev_elements(ev, expr, n, "this list")) return false;
  dk_value_id *items = dk_arena_array(arena_of(ev), dk_value_id, (size_t)n + 1);
  for (uint32_t i = 0; i < n; i++)
    if (!dk_ev_value(ev, expr->list.items.items[i], &items[i])) return false;
  return dk_ev_list(ev, expr, items, n, ret);
}

/* Fields of `of` (NULL: none) changed and added to by `fields`. */
static bool record(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id of, const struct dk_fields *fields,
                   dk_value_id *ret) {
  uint32_t n_of = dk_value_get(ev->values, of)->len, n = 0;
  if (!dk_ev_step(ev, expr, (uint64_t)n_of * fields->count / 8)) return false;
  if (!dk_ev_elements(ev, expr, (int64_t)n_of + fields->count, "this record")) return false;
  const struct dk_str **names = dk_arena_array(arena_of(ev), const struct dk_str *, (size_t)n_of + fields->count + 1);
  dk_value_id *items = dk_arena_array(arena_of(ev), dk_value_id, (size_t)n_of + fields->count + 1);
  for (uint32_t i = 0; i < fields->count; i++, n++) {
    names[n] = fields->items[i].name;
    if (!dk_ev_value(ev, fields->items[i].value, &items[n])) return false;
  }
  for (uint32_t i = 0; i < n_of; i++) {
    const struct dk_str *name = dk_value_name(ev->values, of, i);
    bool changed = false;
    for (uint32_t j = 0; j < fields->count && !changed; j++) changed = fields->items[j].name == name;
    if (changed) continue;
    names[n] = name;
    items[n++] = dk_value_item(ev->values, of, i);
  }
  *ret = dk_value_record(ev->values, names, items, n);
  return dk_ev_weight(ev, expr, *ret);
}

static bool with(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  dk_value_id of;
  if (!dk_ev_value(ev, expr->with.of, &of)) return false;
  if (dk_value_get(ev->values, of)->type != DK_TYPE_RECORD) {
    dk_ev_error(ev, DK_E0308, expr->with.of->span, "`with` changes fields of a record; this is %s", dk_ev_type(ev, of));
    return false;
  }
  return record(ev, expr, of, &expr->with.fields, ret);
}

static bool no_field(struct dk_ev *ev, struct dk_span span, dk_value_id of, const char *name) {
  uint32_t n = dk_value_get(ev->values, of)->len;
  const char **names = dk_arena_array(arena_of(ev), const char *, (size_t)n + 1), *listed = "";
  for (uint32_t i = 0; i < n; i++) {
    names[i] = dk_value_name(ev->values, of, i)->text;
    if (i < 20) listed = dk_arena_printf(arena_of(ev), "%s%s%s", listed, i ? ", " : "", names[i]);
  }
  struct dk_diag *diag = dk_ev_error(ev, DK_E0308, span, "no field `%s` in this record", name);
  const char *near = dk_nearest(name, names, n);
  if (near) dk_diag_help(diags_of(ev), diag, "did you mean `%s`?", near);
  if (n)
    dk_diag_note(diags_of(ev), diag, "it has the fields %s%s", listed, n > 20 ? ", ..." : "");
  else
    dk_diag_note(diags_of(ev), diag, "it is empty");
  return false;
}

static bool member(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  const struct dk_expr *of = expr->member.of;
  if (of->kind == DK_EXPR_NAME &&
      (of->name.binding.kind == DK_BIND_INPUTS || of->name.binding.kind == DK_BIND_OUTPUTS)) {
    if (!ev->frame || !ev->frame->path) return fail(ev, DK_EVAL_LATE);
    *ret = ev->frame->path(ev->frame->ctx, of->name.binding.kind, expr->member.name);
    return true;
  }
  dk_value_id id;
  if (!dk_ev_value(ev, of, &id)) return false;
  enum dk_type type = (enum dk_type)dk_value_get(ev->values, id)->type;
  if (type != DK_TYPE_RECORD) {
    struct dk_diag *diag = dk_ev_error(ev, DK_E0308, expr->member.name_span, "%s has no field `%s`", dk_type_name(type),
                                       expr->member.name->text);
    dk_diag_label_at(diags_of(ev), diag, of->span, "this is %s", dk_ev_show(ev, id));
    return false;
  }
  if (dk_value_field(ev->values, id, expr->member.name, ret)) return true;
  if (dk_ev_is_absent(ev, id, expr->member.name)) {
    *ret = DK_NULL;
    return true;
  }
  return no_field(ev, expr->member.name_span, id, expr->member.name->text);
}

static bool index_record(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id of, dk_value_id index,
                         dk_value_id *ret) {
  struct dk_buf *scratch = &ev->eval->scratch;
  dk_buf_clear(scratch);
  if (!dk_value_hole_text(ev->values, index, scratch)) {
    dk_ev_error(ev, DK_E0308, expr->index.index->span, "a record's field is named by a text or number, not %s",
                dk_ev_type(ev, index));
    return false;
  }
  const struct dk_str *name = dk_intern(ev->values->strs, dk_buf_text(dk_ev_written(ev)), scratch->len);
  dk_buf_finish(scratch);
  if (dk_value_field(ev->values, of, name, ret)) return true;
  if (dk_ev_is_absent(ev, of, name)) {
    *ret = DK_NULL;
    return true;
  }
  return no_field(ev, expr->index.index->span, of, name->text);
}

static bool index_of(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  dk_value_id of, index;
  if (!dk_ev_value(ev, expr->index.of, &of) || !dk_ev_value(ev, expr->index.index, &index)) return false;
  const struct dk_value *value = dk_value_get(ev->values, of), *at = dk_value_get(ev->values, index);
  if (value->type == DK_TYPE_RECORD) return index_record(ev, expr, of, index, ret);
  if (value->type != DK_TYPE_LIST) {
    dk_ev_error(ev, DK_E0308, expr->index.of->span, "[...] wants a list or record, not %s", dk_ev_type(ev, of));
    return false;
  }
  if (at->type == DK_TYPE_INT && at->u.i >= 0 && at->u.i < (int64_t)value->len) {
    *ret = dk_value_item(ev->values, of, (uint32_t)at->u.i);
    return true;
  }
  struct dk_diag *diag = dk_ev_error(ev, DK_E0308, expr->index.index->span, "no element %s in a list of %" PRIu32,
                                     dk_ev_show(ev, index), value->len);
  dk_diag_note(diags_of(ev), diag, "elements are counted from 0");
  return false;
}

/* Comprehensions: `for` after `for`, the first slowest. */

struct loop {
  const struct dk_expr *expr;
  dk_value_id *items;
  uint32_t n, cap;
};

static bool bind(struct dk_ev *ev, const struct dk_for *f, uint32_t slot, dk_value_id item) {
  dk_value_id *slots = ev->eval->priv->slots;
  if (f->n_names == 1) {
    slots[slot] = item;
    return true;
  }
  const struct dk_value *value = dk_value_get(ev->values, item);
  if (value->type != DK_TYPE_LIST || value->len != f->n_names) {
    dk_ev_error(ev, DK_E0308, f->in->span, "%" PRIu32 " names want tuples of %" PRIu32 "; one element is %s",
                f->n_names, f->n_names, dk_ev_show(ev, item));
    return false;
  }
  for (uint32_t i = 0; i < f->n_names; i++) slots[slot + i] = dk_value_item(ev->values, item, i);
  return true;
}

static bool run_for(struct dk_ev *ev, struct loop *loop, uint32_t which, uint32_t slot);

static bool run_element(struct dk_ev *ev, struct loop *loop, uint32_t which, uint32_t slot) {
  const struct dk_for *f = &loop->expr->comprehension.fors[which];
  for (uint32_t i = 0; i < f->ifs.count; i++) {
    bool holds;
    if (!as_bool(ev, f->ifs.items[i], "`if`", &holds)) return false;
    if (!holds) return true;
  }
  if (which + 1 < loop->expr->comprehension.n_fors) return run_for(ev, loop, which + 1, slot + f->n_names);
  dk_value_id item;
  if (!dk_ev_elements(ev, loop->expr, 1, "this list") || !dk_ev_value(ev, loop->expr->comprehension.value, &item))
    return false;
  dk_arena_push(arena_of(ev), loop->items, loop->n, loop->cap) = item;
  return true;
}

static bool run_for(struct dk_ev *ev, struct loop *loop, uint32_t which, uint32_t slot) {
  const struct dk_for *f = &loop->expr->comprehension.fors[which];
  dk_value_id in;
  if (!dk_ev_value(ev, f->in, &in)) return false;
  const struct dk_value *value = dk_value_get(ev->values, in);
  if (value->type != DK_TYPE_LIST) {
    struct dk_diag *diag = dk_ev_error(ev, DK_E0308, f->in->span, "`for` goes over a list, not %s", dk_ev_type(ev, in));
    if (value->type == DK_TYPE_RECORD) dk_diag_help(diags_of(ev), diag, "`keys(x)` lists the names of its fields");
    return false;
  }
  uint32_t n = value->len;
  for (uint32_t i = 0; i < n; i++)
    if (!dk_ev_step(ev, loop->expr, 1) || !bind(ev, f, slot, dk_value_item(ev->values, in, i)) ||
        !run_element(ev, loop, which, slot))
      return false;
  return true;
}

static bool comprehension(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  struct loop loop = {.expr = expr};
  uint32_t first = ev->base + expr->comprehension.first_slot, top = ev->top;
  need_slots(ev, first + expr->comprehension.n_slots);
  bool ok = run_for(ev, &loop, 0, first);
  ev->top = top;
  return ok && dk_ev_list(ev, expr, loop.items, loop.n, ret);
}

/* Names and calls. */

static bool declared(struct dk_ev *ev, const struct dk_expr *expr, const struct dk_decl *decl, dk_value_id *ret) {
  bool has_value = decl->kind == DK_DECL_LET || decl->kind == DK_DECL_PARAM || dk_decl_is_record(decl->kind);
  if (!has_value || decl->is_function) {
    dk_ev_error(ev, DK_E0308, expr->span, "`%s` is not a value", decl->name->text);
    return false;
  }
  const struct dk_checked_value *checked = decl->checked;
  if (!checked || ev->eval->lets[checked->number] == DK_EVAL_NO_VALUE) return fail(ev, DK_EVAL_FAILED);
  *ret = ev->eval->lets[checked->number];
  return true;
}

static bool point(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  const struct dk_decl *decl = expr->name.binding.decl;
  const struct dk_checked_task *task = decl ? decl->checked : NULL;
  if (!task || !ev->frame || !ev->frame->column) return fail(ev, DK_EVAL_LATE);
  uint32_t n = task->columns.count;
  const struct dk_str **names = dk_arena_array(arena_of(ev), const struct dk_str *, (size_t)n + 1);
  dk_value_id *items = dk_arena_array(arena_of(ev), dk_value_id, (size_t)n + 1);
  for (uint32_t i = 0; i < n; i++) {
    names[i] = task->columns.items[i].name;
    items[i] = ev->frame->column(ev->frame->ctx, names[i]);
  }
  *ret = dk_value_record(ev->values, names, items, n);
  return dk_ev_weight(ev, expr, *ret);
}

static bool name(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  const struct dk_binding *binding = &expr->name.binding;
  switch (binding->kind) {
  case DK_BIND_LOCAL: *ret = ev->eval->priv->slots[ev->base + binding->slot]; return true;
  case DK_BIND_COLUMN:
    if (!ev->frame || !ev->frame->column) return fail(ev, DK_EVAL_LATE);
    *ret = ev->frame->column(ev->frame->ctx, expr->name.name);
    return true;
  case DK_BIND_DECL: return declared(ev, expr, binding->decl, ret);
  case DK_BIND_POINT: return point(ev, expr, ret);
  case DK_BIND_STREAM: *ret = dk_value_string(ev->values, expr->name.name); return true;
  case DK_BIND_KEEP:
    if (!ev->frame || !ev->frame->path) return fail(ev, DK_EVAL_LATE);
    *ret = ev->frame->path(ev->frame->ctx, DK_BIND_KEEP, expr->name.name);
    return true;
  case DK_BIND_NONE:
  case DK_BIND_BUILTIN:
  case DK_BIND_MODULE:
  case DK_BIND_INPUTS:
  case DK_BIND_OUTPUTS: break;
  }
  dk_ev_error(ev, DK_E0308, expr->span, "`%s` is not a value", expr->name.name->text);
  return false;
}

static bool call_function(struct dk_ev *ev, const struct dk_expr *expr, const struct dk_decl *decl, dk_value_id *ret) {
  uint32_t base = ev->base, top = ev->top, callee = top;
  uint32_t n_slots = decl->n_slots > decl->n_params ? decl->n_slots : decl->n_params;
  need_slots(ev, callee + n_slots);
  bool ok = expr->call.args.count == decl->n_params;
  for (uint32_t i = 0; ok && i < decl->n_params; i++) {
    dk_value_id arg;
    ok = dk_ev_value(ev, expr->call.args.items[i].value, &arg);
    if (ok) ev->eval->priv->slots[callee + i] = arg;
  }
  ev->base = callee;
  ok = ok && dk_ev_value(ev, decl->value, ret);
  ev->base = base;
  ev->top = top;
  return ok ? true : ev->why == DK_EVAL_OK ? fail(ev, DK_EVAL_FAILED) : false;
}

static bool call(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  const struct dk_expr *callee = expr->call.callee;
  if (callee->kind != DK_EXPR_NAME) return fail(ev, DK_EVAL_FAILED);
  const struct dk_binding *binding = &callee->name.binding;
  if (binding->kind == DK_BIND_BUILTIN) return dk_ev_builtin(ev, expr, (enum dk_builtin)binding->slot, ret);
  if (binding->kind == DK_BIND_DECL && binding->decl->is_function && binding->decl->value)
    return call_function(ev, expr, binding->decl, ret);
  return fail(ev, DK_EVAL_FAILED);
}

/* Operators. */

static bool contains(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id item, dk_value_id in, bool *ret) {
  const struct dk_value *value = dk_value_get(ev->values, in);
  *ret = false;
  if (value->type == DK_TYPE_LIST) {
    if (!dk_ev_step(ev, expr, value->len / 8)) return false;
    for (uint32_t i = 0; i < value->len && !*ret; i++)
      *ret = dk_value_same(ev->values, item, dk_value_item(ev->values, in, i));
    return true;
  }
  bool text = dk_value_get(ev->values, item)->type == DK_TYPE_STRING;
  if (value->type == DK_TYPE_STRING && text) {
    const struct dk_str *whole = dk_value_str(ev->values, in), *part = dk_value_str(ev->values, item);
    *ret = memmem(whole->text, whole->len, part->text, part->len) != NULL;
    return true;
  }
  if (value->type == DK_TYPE_RECORD && text) {
    dk_value_id field;
    *ret = dk_value_field(ev->values, in, dk_value_str(ev->values, item), &field);
    return true;
  }
  dk_ev_error(ev, DK_E0301, expr->binary.op_span,
              "`in` looks for a value in a list, a text in a text, or a name in a record; not for %s in %s",
              dk_ev_type(ev, item), dk_ev_type(ev, in));
  return false;
}

static bool compare(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  dk_value_id a, b;
  int order = 0;
  bool holds = false;
  enum dk_op op = expr->binary.op;
  if (!dk_ev_value(ev, expr->binary.left, &a) || !dk_ev_value(ev, expr->binary.right, &b)) return false;
  if (op == DK_OP_EQ || op == DK_OP_NE) {
    holds = dk_value_same(ev->values, a, b) == (op == DK_OP_EQ);
  } else if (op == DK_OP_IN || op == DK_OP_NOT_IN) {
    if (!contains(ev, expr, a, b, &holds)) return false;
    holds = holds == (op == DK_OP_IN);
  } else {
    if (!dk_value_compare(ev->values, a, b, &order)) {
      struct dk_diag *diag = dk_ev_error(ev, DK_E0301, expr->binary.op_span, "cannot compare %s with %s",
                                         dk_ev_type(ev, a), dk_ev_type(ev, b));
      dk_diag_label_at(diags_of(ev), diag, expr->binary.left->span, "%s", dk_ev_show(ev, a));
      dk_diag_label_at(diags_of(ev), diag, expr->binary.right->span, "%s", dk_ev_show(ev, b));
      return false;
    }
    holds = op == DK_OP_LT ? order < 0 : op == DK_OP_LE ? order <= 0 : op == DK_OP_GT ? order > 0 : order >= 0;
  }
  *ret = dk_value_bool(ev->values, holds);
  return true;
}

static bool is_arithmetic(const struct dk_expr *expr) {
  return expr->kind == DK_EXPR_BINARY ? expr->binary.op <= DK_OP_POW
                                      : expr->kind == DK_EXPR_UNARY && expr->unary.op == DK_OP_NEG;
}

static bool binary(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  bool left, right;
  switch (expr->binary.op) {
  case DK_OP_AND:
  case DK_OP_OR: {
    const char *who = expr->binary.op == DK_OP_AND ? "`and`" : "`or`";
    if (!as_bool(ev, expr->binary.left, who, &left)) return false;
    right = left;
    if (left == (expr->binary.op == DK_OP_AND) && !as_bool(ev, expr->binary.right, who, &right)) return false;
    *ret = dk_value_bool(ev->values, right);
    return true;
  }
  case DK_OP_COALESCE:
    if (!dk_ev_value(ev, expr->binary.left, ret)) return false;
    return *ret != DK_NULL || dk_ev_value(ev, expr->binary.right, ret);
  default: return compare(ev, expr, ret);
  }
}

static bool number_of(struct dk_ev *ev, const struct dk_expr *expr, struct dk_num *ret);

static bool arithmetic(struct dk_ev *ev, const struct dk_expr *expr, struct dk_num *ret) {
  struct dk_num a, b;
  if (expr->kind == DK_EXPR_UNARY) return number_of(ev, expr->unary.operand, &a) && dk_ev_negate(ev, expr, &a, ret);
  return number_of(ev, expr->binary.left, &a) && number_of(ev, expr->binary.right, &b) &&
         dk_ev_arith(ev, expr, expr->binary.op, &a, &b, ret);
}

static bool value_of(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  bool condition;
  switch (expr->kind) {
  case DK_EXPR_ERROR: return fail(ev, DK_EVAL_FAILED);
  case DK_EXPR_NULL: *ret = DK_NULL; return true;
  case DK_EXPR_BOOL: *ret = dk_value_bool(ev->values, expr->boolean); return true;
  case DK_EXPR_INT: *ret = dk_value_int(ev->values, expr->integer); return true;
  case DK_EXPR_FLOAT: *ret = dk_value_float(ev->values, expr->number); return true;
  case DK_EXPR_QUANTITY: return quantity(ev, expr, ret);
  case DK_EXPR_STRING: return dk_ev_string(ev, expr, ret);
  case DK_EXPR_LIST: return list(ev, expr, ret);
  case DK_EXPR_RECORD: return record(ev, expr, DK_NULL, &expr->record.fields, ret);
  case DK_EXPR_NAME: return name(ev, expr, ret);
  case DK_EXPR_MEMBER: return member(ev, expr, ret);
  case DK_EXPR_INDEX: return index_of(ev, expr, ret);
  case DK_EXPR_CALL: return call(ev, expr, ret);
  case DK_EXPR_UNARY: /* not */
    if (!as_bool(ev, expr->unary.operand, "`not`", &condition)) return false;
    *ret = dk_value_bool(ev->values, !condition);
    return true;
  case DK_EXPR_BINARY: return binary(ev, expr, ret);
  case DK_EXPR_RANGE: return dk_ev_range(ev, expr, ret);
  case DK_EXPR_IF:
    if (!as_bool(ev, expr->conditional.condition, "`if`", &condition)) return false;
    return dk_ev_value(ev, condition ? expr->conditional.then : expr->conditional.otherwise, ret);
  case DK_EXPR_WITH: return with(ev, expr, ret);
  case DK_EXPR_FOR: return comprehension(ev, expr, ret);
  case DK_EXPR_REF:
    if (!ev->frame || !ev->frame->ref || !ev->frame->ref(ev->frame->ctx, expr, ret)) return fail(ev, DK_EVAL_LATE);
    return true;
  case DK_EXPR_SELECT:
  case DK_EXPR_WHERE: dk_ev_error(ev, DK_E0308, expr->span, "a grid is not a value"); return false;
  }
  return fail(ev, DK_EVAL_FAILED);
}

static bool enter(struct dk_ev *ev, const struct dk_expr *expr) {
  if (!dk_ev_step(ev, expr, 1)) return false;
  if (++ev->depth <= DK_EVAL_MAX_DEPTH) return true;
  ev->depth--;
  dk_ev_error(ev, DK_E0305, expr->span, "functions and expressions are nested more than %d deep here",
              DK_EVAL_MAX_DEPTH);
  return false;
}

static bool number_of(struct dk_ev *ev, const struct dk_expr *expr, struct dk_num *ret) {
  if (!is_arithmetic(expr)) {
    ret->is_wide = false;
    return dk_ev_value(ev, expr, &ret->id);
  }
  if (!enter(ev, expr)) return false;
  bool ok = arithmetic(ev, expr, ret);
  ev->depth--;
  return ok;
}

bool dk_ev_value(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  if (is_arithmetic(expr)) {
    struct dk_num num;
    return number_of(ev, expr, &num) && dk_num_value(ev, expr, &num, ret);
  }
  if (!enter(ev, expr)) return false;
  bool ok = value_of(ev, expr, ret);
  ev->depth--;
  return ok;
}

/* The door. */

static struct dk_ev start(struct dk_eval *eval, const struct dk_frame *frame) {
  return (struct dk_ev){.eval = eval, .values = &eval->values, .frame = frame, .why = DK_EVAL_OK};
}

enum dk_eval_result dk_eval(struct dk_eval *eval, const struct dk_expr *expr, const struct dk_frame *frame,
                            dk_value_id *ret) {
  struct dk_ev ev = start(eval, frame);
  *ret = DK_NULL;
  if (dk_ev_value(&ev, expr, ret)) return DK_EVAL_OK;
  return ev.why == DK_EVAL_LATE ? DK_EVAL_LATE : DK_EVAL_FAILED;
}

bool dk_eval_range_count(struct dk_eval *eval, const struct dk_expr *range, const struct dk_frame *frame,
                         int64_t *ret) {
  struct dk_diags *diags = eval->checked->diags;
  uint32_t count = diags->count, errors = diags->n_errors, warnings = diags->n_warnings;
  struct dk_ev ev = start(eval, frame);
  if (dk_ev_range_count(&ev, range, ret)) return true;
  diags->count = count;
  diags->n_errors = errors;
  diags->n_warnings = warnings;
  return false;
}

/* A record out of the body of a resource or an image. */
static bool body(struct dk_ev *ev, const struct dk_decl *decl, dk_value_id *ret) {
  struct dk_fields fields = {NULL, 0, 0};
  for (uint32_t i = 0; decl->block && i < decl->block->count; i++) {
    const struct dk_stmt *stmt = &decl->block->items[i];
    if (stmt->kind != DK_STMT_FIELD || !stmt->value) continue;
    dk_arena_push(arena_of(ev), fields.items, fields.count, fields.cap) =
        (struct dk_field){stmt->name, stmt->name_span, stmt->value};
  }
  struct dk_expr at = {.kind = DK_EXPR_RECORD, .span = decl->name_span};
  return record(ev, &at, DK_NULL, &fields, ret);
}

static bool param(struct dk_ev *ev, const struct dk_param *param, dk_value_id *ret) {
  const struct dk_decl *decl = param->decl;
  if (!decl->value) return fail(ev, DK_EVAL_FAILED);
  if (!dk_ev_value(ev, decl->value, ret) || !param->given_expr) return ev->why == DK_EVAL_OK;
  dk_value_id given;
  if (!dk_ev_value(ev, param->given_expr, &given)) return false;
  enum dk_type want = (enum dk_type)dk_value_get(ev->values, *ret)->type,
               have = (enum dk_type)dk_value_get(ev->values, given)->type;
  bool fits = want == have || want == DK_TYPE_NULL || (want == DK_TYPE_FLOAT && have == DK_TYPE_INT);
  *ret = given;
  if (fits) return true;
  struct dk_diag *diag = dk_ev_error(ev, DK_E0313, param->given_expr->span, "parameter `%s` wants %s, not %s",
                                     decl->name->text, dk_type_name(want), dk_type_name(have));
  dk_diag_label_at(diags_of(ev), diag, decl->value->span, "its value in the file is %s", dk_type_name(want));
  return false;
}

void dk_eval_init(struct dk_eval *eval, struct dk_checked *checked, const struct dk_eval_files *files) {
  *eval = (struct dk_eval){.checked = checked, .files = files};
  dk_values_init(&eval->values, checked->strs, checked->arena);
  eval->priv = dk_arena_new(checked->arena, struct dk_eval_priv);
  dk_map_init(&eval->priv->absents, checked->arena);
  eval->lets = dk_arena_array(checked->arena, dk_value_id, (size_t)checked->n_values + 1);
  /* In order: then no let waits for another, and a chain of them takes no stack. */
  for (uint32_t i = 0; i < checked->n_values; i++) {
    const struct dk_checked_value *value = checked->values[i];
    struct dk_ev ev = start(eval, NULL);
    assert(value->number == i);
    bool ok = dk_decl_is_record(value->decl->kind) ? body(&ev, value->decl, &eval->lets[i])
              : value->param                       ? param(&ev, value->param, &eval->lets[i])
                             : value->decl->value && dk_ev_value(&ev, value->decl->value, &eval->lets[i]);
    if (!ok) eval->lets[i] = DK_EVAL_NO_VALUE;
  }
}

void dk_eval_finish(struct dk_eval *eval) {
  dk_buf_finish(&eval->scratch);
}
