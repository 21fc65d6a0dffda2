/* The constructors of the tree. */
#include "lang/syntax/build.h"

#include "lang/base/number.h"
#include "lang/syntax/dk.tab.h"
#include "lang/syntax/parse_state.h"
#include "lang/syntax/report.h"
#include "lang/syntax/text.h"

#include <errno.h>
#include <string.h>

static const struct dk_str *intern_token(struct dk_parse *p, uint32_t token) {
  uint32_t len;
  const char *text = dk_token_text(&p->tokens, token, &len);
  return dk_intern(p->env->strs, text, len);
}

struct dk_span dk_build_between(struct dk_span first, struct dk_span last) {
  return (struct dk_span){first.start, last.end};
}

static struct dk_expr *new_expr(struct dk_parse *p, enum dk_expr_kind kind, struct dk_span span) {
  struct dk_expr *expr = dk_arena_new(p->arena, struct dk_expr);
  expr->kind = kind;
  expr->depth = 1;
  expr->span = span;
  return expr;
}

/* Puts `part` (or NULL) below `expr`. */
static void over(struct dk_expr *expr, const struct dk_expr *part) {
  if (part && part->depth >= expr->depth) expr->depth = part->depth + 1;
}

static void over_exprs(struct dk_expr *expr, const struct dk_exprs *parts) {
  for (uint32_t i = 0; parts && i < parts->count; i++) over(expr, parts->items[i]);
}

static void over_fields(struct dk_expr *expr, const struct dk_fields *fields) {
  for (uint32_t i = 0; i < fields->count; i++) over(expr, fields->items[i].value);
}

/* Every node with parts passes here when its parts are known. */
static struct dk_expr *finish(struct dk_parse *p, struct dk_expr *expr) {
  if (expr->depth <= DK_EXPR_DEPTH_MAX) return expr;
  dk_report_too_deep(p, expr->span);
  return dk_build_error(p, expr->span);
}

struct dk_expr *dk_build_error(struct dk_parse *p, struct dk_span span) {
  return new_expr(p, DK_EXPR_ERROR, span);
}

struct dk_expr *dk_build_null(struct dk_parse *p, struct dk_span span) {
  return new_expr(p, DK_EXPR_NULL, span);
}

struct dk_expr *dk_build_bool(struct dk_parse *p, bool value, struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_BOOL, span);
  expr->boolean = value;
  return expr;
}

/* The digits without underscores, behind room for a sign. */
static char *digits_of(struct dk_parse *p, uint32_t token, size_t *ret_len) {
  uint32_t len;
  const char *text = dk_token_text(&p->tokens, token, &len);
  char *digits = dk_arena_alloc(p->arena, (size_t)len + 2);
  size_t n = 1;
  for (uint32_t i = 0; i < len; i++)
    if (text[i] != '_') digits[n++] = text[i];
  *ret_len = n - 1;
  return digits + 1;
}

/* A `-` right before the token, and no value before that. */
static bool is_negated(const struct dk_parse *p, uint32_t token) {
  if (token == 0 || p->tokens.items[token - 1].kind != '-') return false;
  return token == 1 || !dk_token_ends_value(p->tokens.items[token - 2].kind);
}

struct dk_expr *dk_build_int(struct dk_parse *p, uint32_t token) {
  struct dk_span span = dk_token_span(&p->tokens, token);
  struct dk_expr *expr = new_expr(p, DK_EXPR_INT, span);
  size_t len;
  char *digits = digits_of(p, token, &len);
  if (dk_number_parse_int(digits, len, &expr->integer) == 0) return expr;
  /* -2^63 has no positive twin: here it is read with its sign, and dk_build_unary leaves it alone. */
  digits[-1] = '-';
  if (is_negated(p, token) && dk_number_parse_int(digits - 1, len + 1, &expr->integer) == 0) return expr;
  struct dk_diag *diag = dk_diag_add(p->env->diags, DK_E0113, span, "the integer does not fit into 64 bits");
  dk_diag_help(p->env->diags, diag,
               "the largest is 9223372036854775807; with a point it is a number of limited precision");
  expr->kind = DK_EXPR_ERROR;
  return expr;
}

struct dk_expr *dk_build_float(struct dk_parse *p, uint32_t token) {
  struct dk_span span = dk_token_span(&p->tokens, token);
  struct dk_expr *expr = new_expr(p, DK_EXPR_FLOAT, span);
  size_t len;
  const char *digits = digits_of(p, token, &len);
  if (dk_number_parse(digits, len, &expr->number) == 0) return expr;
  dk_diag_add(p->env->diags, DK_E0113, span, "the number is too large");
  expr->kind = DK_EXPR_ERROR;
  return expr;
}

struct dk_expr *dk_build_quantity(struct dk_parse *p, uint32_t token) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_QUANTITY, dk_token_span(&p->tokens, token));
  size_t len;
  const char *digits = digits_of(p, token, &len);
  expr->text = dk_intern(p->env->strs, digits, len);
  return expr;
}

struct dk_expr *dk_build_name(struct dk_parse *p, uint32_t token) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_NAME, dk_token_span(&p->tokens, token));
  expr->name.name = intern_token(p, token);
  return expr;
}

struct dk_expr *dk_build_raw(struct dk_parse *p, uint32_t token) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_STRING, dk_token_span(&p->tokens, token));
  uint32_t len;
  const char *text = dk_token_text(&p->tokens, token, &len);
  if (p->tokens.items[token].flags & DK_TOKEN_REPORTED) {
    expr->kind = DK_EXPR_ERROR;
    return expr;
  }
  expr->string.quote = DK_QUOTE_RAW;
  if (len <= 2) return expr;
  expr->string.parts = dk_arena_new(p->arena, struct dk_string_part);
  expr->string.n_parts = 1;
  expr->string.parts->literal = dk_intern(p->env->strs, text + 1, len - 2);
  expr->string.parts->span = (struct dk_span){expr->span.start + 1, expr->span.end - 1};
  return expr;
}

struct dk_expr *dk_build_string(struct dk_parse *p, uint32_t open, const struct dk_parts *parts, struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_STRING, span);
  bool is_block = p->tokens.items[open].end - p->tokens.items[open].start == 3;
  expr->string.quote = is_block ? DK_QUOTE_BLOCK : DK_QUOTE_DOUBLE;
  if (is_block)
    dk_text_block(p, parts, expr);
  else
    dk_text_quoted(p, parts, expr);
  for (uint32_t i = 0; i < parts->count; i++) over(expr, parts->items[i].hole);
  return finish(p, expr);
}

struct dk_parts *dk_build_parts(struct dk_parse *p) {
  return dk_arena_new(p->arena, struct dk_parts);
}

struct dk_parts *dk_build_parts_add(struct dk_parse *p, struct dk_parts *parts, uint32_t token, struct dk_expr *hole,
                                    struct dk_span span) {
  dk_arena_push(p->arena, parts->items, parts->count, parts->cap) = (struct dk_part){token, hole, span};
  return parts;
}

struct dk_exprs *dk_build_exprs(struct dk_parse *p, struct dk_exprs *exprs, struct dk_expr *expr) {
  if (!exprs) exprs = dk_arena_new(p->arena, struct dk_exprs);
  dk_arena_push(p->arena, exprs->items, exprs->count, exprs->cap) = expr;
  return exprs;
}

struct dk_expr *dk_build_list(struct dk_parse *p, const struct dk_exprs *items, struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_LIST, span);
  if (items) expr->list.items = *items;
  over_exprs(expr, items);
  return finish(p, expr);
}

struct dk_expr *dk_build_tuple(struct dk_parse *p, struct dk_expr *first, const struct dk_exprs *rest,
                               struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_LIST, span);
  struct dk_exprs *items = &expr->list.items;
  expr->list.is_tuple = true;
  items->count = items->cap = rest->count + 1;
  items->items = dk_arena_array(p->arena, struct dk_expr *, items->count);
  items->items[0] = first;
  memcpy(items->items + 1, rest->items, rest->count * sizeof *rest->items);
  over_exprs(expr, items);
  return finish(p, expr);
}

struct dk_expr *dk_build_lone_tuple(struct dk_parse *p, struct dk_expr *first, struct dk_span span) {
  struct dk_diag *diag = dk_diag_add(p->env->diags, DK_E0118, span, "a tuple has at least two values");
  dk_diag_help(p->env->diags, diag, "for a list of one value write `[a]`; for brackets only leave the comma out");
  return first;
}

struct dk_expr *dk_build_record(struct dk_parse *p, const struct dk_fields *fields, struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_RECORD, span);
  expr->record.fields = *fields;
  over_fields(expr, fields);
  return finish(p, expr);
}

struct dk_expr *dk_build_member(struct dk_parse *p, struct dk_expr *of, uint32_t name, struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_MEMBER, span);
  expr->member.of = of;
  expr->member.name = intern_token(p, name);
  expr->member.name_span = dk_token_span(&p->tokens, name);
  over(expr, of);
  return finish(p, expr);
}

static bool is_literal(const struct dk_expr *expr) {
  switch (expr->kind) {
  case DK_EXPR_NULL:
  case DK_EXPR_BOOL:
  case DK_EXPR_INT:
  case DK_EXPR_FLOAT:
  case DK_EXPR_QUANTITY:
  case DK_EXPR_STRING:
  case DK_EXPR_LIST: return true;
  default: return false;
  }
}

/* `[[1, 2] [3]]` and `[(1, 2) (3, 4)]` are values without a comma, not an index and a call. True when reported. */
static bool check_postfix(struct dk_parse *p, const struct dk_expr *of, struct dk_span bracket) {
  if (!is_literal(of) || bracket.start <= of->span.end) return false;
  struct dk_span gap = {of->span.end, of->span.end};
  struct dk_diag *diag = dk_diag_add(p->env->diags, DK_E0103, gap, "a comma is missing between two values");
  dk_diag_label(p->env->diags, diag, "expected `,`");
  return true;
}

struct dk_expr *dk_build_index(struct dk_parse *p, struct dk_expr *of, struct dk_expr *index, struct dk_span bracket,
                               struct dk_span span) {
  if (check_postfix(p, of, bracket)) return dk_build_error(p, span);
  struct dk_expr *expr = new_expr(p, DK_EXPR_INDEX, span);
  expr->index.of = of;
  expr->index.index = index;
  over(expr, of);
  over(expr, index);
  return finish(p, expr);
}

struct dk_expr *dk_build_select(struct dk_parse *p, struct dk_expr *of, const struct dk_fields *selectors,
                                struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_SELECT, span);
  expr->select.of = of;
  expr->select.selectors = *selectors;
  over(expr, of);
  over_fields(expr, selectors);
  return finish(p, expr);
}

struct dk_expr *dk_build_call(struct dk_parse *p, struct dk_expr *callee, const struct dk_fields *args,
                              struct dk_span bracket, struct dk_span span) {
  if (check_postfix(p, callee, bracket)) return dk_build_error(p, span);
  struct dk_expr *expr = new_expr(p, DK_EXPR_CALL, span);
  expr->call.callee = callee;
  expr->call.args = *args;
  over(expr, callee);
  over_fields(expr, args);
  return finish(p, expr);
}

struct dk_expr *dk_build_with(struct dk_parse *p, struct dk_expr *of, const struct dk_expr *record,
                              struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_WITH, span);
  expr->with.of = of;
  if (record->kind == DK_EXPR_RECORD) expr->with.fields = record->record.fields;
  over(expr, of);
  over(expr, record);
  return finish(p, expr);
}

struct dk_expr *dk_build_unary(struct dk_parse *p, enum dk_op op, struct dk_expr *operand, struct dk_span span) {
  /* A literal is never negative but for the one case of dk_build_int. */
  if (op == DK_OP_NEG && operand->kind == DK_EXPR_INT && operand->integer == INT64_MIN) {
    operand->span = span;
    return operand;
  }
  struct dk_expr *expr = new_expr(p, DK_EXPR_UNARY, span);
  expr->unary.op = op;
  expr->unary.operand = operand;
  over(expr, operand);
  return finish(p, expr);
}

struct dk_expr *dk_build_binary(struct dk_parse *p, enum dk_op op, struct dk_expr *left, struct dk_expr *right,
                                struct dk_span op_span, struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_BINARY, span);
  expr->binary.op = op;
  expr->binary.left = left;
  expr->binary.right = right;
  expr->binary.op_span = op_span;
  over(expr, left);
  over(expr, right);
  return finish(p, expr);
}

struct dk_expr *dk_build_range(struct dk_parse *p, struct dk_expr *first, struct dk_expr *last, struct dk_expr *step,
                               struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_RANGE, span);
  expr->range.first = first;
  expr->range.last = last;
  expr->range.step = step;
  over(expr, first);
  over(expr, last);
  over(expr, step);
  return finish(p, expr);
}

struct dk_expr *dk_build_if(struct dk_parse *p, struct dk_expr *condition, struct dk_expr *then,
                            struct dk_expr *otherwise, struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_IF, span);
  expr->conditional.condition = condition;
  expr->conditional.then = then;
  expr->conditional.otherwise = otherwise;
  over(expr, condition);
  over(expr, then);
  over(expr, otherwise);
  return finish(p, expr);
}

struct dk_expr *dk_build_where(struct dk_parse *p, struct dk_expr *of, struct dk_expr *predicate, struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_WHERE, span);
  expr->where.of = of;
  expr->where.predicate = predicate;
  over(expr, of);
  over(expr, predicate);
  return finish(p, expr);
}

struct dk_fors *dk_build_for(struct dk_parse *p, struct dk_fors *fors, const struct dk_names *names, struct dk_expr *in,
                             const struct dk_exprs *ifs, struct dk_span span) {
  if (!fors) fors = dk_arena_new(p->arena, struct dk_fors);
  struct dk_for item = {.names = names->items, .n_names = names->count, .in = in, .span = span};
  if (ifs) item.ifs = *ifs;
  dk_arena_push(p->arena, fors->items, fors->count, fors->cap) = item;
  return fors;
}

struct dk_expr *dk_build_comprehension(struct dk_parse *p, struct dk_expr *value, const struct dk_fors *fors,
                                       struct dk_span span) {
  struct dk_expr *expr = new_expr(p, DK_EXPR_FOR, span);
  expr->comprehension.value = value;
  expr->comprehension.fors = fors->items;
  expr->comprehension.n_fors = fors->count;
  over(expr, value);
  for (uint32_t i = 0; i < fors->count; i++) {
    over(expr, fors->items[i].in);
    over_exprs(expr, &fors->items[i].ifs);
  }
  return finish(p, expr);
}

struct dk_fields *dk_build_fields(struct dk_parse *p) {
  return dk_arena_new(p->arena, struct dk_fields);
}

struct dk_fields *dk_build_fields_add(struct dk_parse *p, struct dk_fields *fields, struct dk_field field) {
  dk_arena_push(p->arena, fields->items, fields->count, fields->cap) = field;
  return fields;
}

struct dk_fields *dk_build_argument_add(struct dk_parse *p, struct dk_fields *args, struct dk_field arg) {
  if (!arg.name && args->count > 0 && args->items[args->count - 1].name) {
    struct dk_diag *diag =
        dk_diag_add(p->env->diags, DK_E0120, arg.value->span, "an argument without a name stands behind a named one");
    dk_diag_label_at(p->env->diags, diag, args->items[args->count - 1].name_span, "this one is named");
    dk_diag_label(p->env->diags, diag, "this one is not");
  }
  return dk_build_fields_add(p, args, arg);
}

struct dk_field dk_build_key(struct dk_parse *p, uint32_t token) {
  return (struct dk_field){.name = intern_token(p, token), .name_span = dk_token_span(&p->tokens, token)};
}

/* The text of a string without holes; reports one with holes. */
static const struct dk_str *plain_text(struct dk_parse *p, const struct dk_expr *string) {
  if (string->kind == DK_EXPR_STRING && string->string.n_parts == 0) return dk_intern(p->env->strs, "", 0);
  if (string->kind == DK_EXPR_STRING && string->string.n_parts == 1 && string->string.parts->literal)
    return string->string.parts->literal;
  if (string->kind == DK_EXPR_STRING)
    dk_diag_add(p->env->diags, DK_E0119, string->span, "a plain text without holes is expected here");
  return dk_intern_text(p->env->strs, "?");
}

struct dk_field dk_build_key_text(struct dk_parse *p, struct dk_expr *string) {
  return (struct dk_field){.name = plain_text(p, string), .name_span = string->span};
}

struct dk_field dk_build_positional(struct dk_expr *value) {
  return (struct dk_field){.value = value};
}

struct dk_names *dk_build_names(struct dk_parse *p) {
  return dk_arena_new(p->arena, struct dk_names);
}

struct dk_names *dk_build_names_add(struct dk_parse *p, struct dk_names *names, uint32_t token) {
  uint32_t n = names->count;
  dk_arena_push(p->arena, names->items, names->count, names->cap) = intern_token(p, token);
  dk_arena_push(p->arena, names->spans, n, names->cap_spans) = dk_token_span(&p->tokens, token);
  return names;
}
