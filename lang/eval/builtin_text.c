/* Built-in functions of text. */
#include "lang/eval/internal.h"

#include "lang/base/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct dk_diags *diags_of(const struct dk_call *call) {
  return call->ev->eval->checked->diags;
}

/* Text of a scalar in `scratch`; false after an error. */
static bool scalar_text(struct dk_call *call, uint32_t arg, dk_value_id id, struct dk_buf *scratch) {
  if (dk_value_hole_text(call->ev->values, id, scratch)) return true;
  dk_ev_error(call->ev, DK_E0307, dk_call_span(call, arg), "%s cannot be put into text", dk_ev_type(call->ev, id));
  return false;
}

static bool return_scratch(struct dk_call *call) {
  struct dk_buf *scratch = dk_ev_written(call->ev);
  bool ok = dk_ev_text(call->ev, call->expr, dk_buf_text(scratch), scratch->len, call->ret);
  dk_buf_finish(scratch);
  return ok;
}

struct spec {
  bool zeros;
  int width, digits;
  char kind;
};

/* [0][width][.digits][kind] */
static bool read_spec(const struct dk_str *text, struct spec *ret) {
  const char *at = text->text;
  *ret = (struct spec){false, 0, -1, 's'};
  if (*at == '0') {
    ret->zeros = true;
    at++;
  }
  for (; *at >= '0' && *at <= '9' && ret->width < 100; at++) ret->width = ret->width * 10 + (*at - '0');
  if (*at == '.') {
    ret->digits = 0;
    for (at++; *at >= '0' && *at <= '9' && ret->digits < 100; at++) ret->digits = ret->digits * 10 + (*at - '0');
  }
  if (*at) ret->kind = *at++;
  return at == text->text + text->len && strchr("dfegxs", ret->kind) && ret->width <= 64 && ret->digits <= 64;
}

static bool format_int(struct dk_call *call, const struct spec *spec, struct dk_buf *out) {
  const struct dk_value *value = dk_value_get(call->ev->values, call->args[0]);
  if (value->type != DK_TYPE_INT) return dk_call_wants(call, 0, "an integer for this form");
  if (spec->kind == 'x')
    dk_buf_printf(out, spec->zeros ? "%0*" PRIx64 : "%*" PRIx64, spec->width, (uint64_t)value->u.i);
  else
    dk_buf_printf(out, spec->zeros ? "%0*" PRId64 : "%*" PRId64, spec->width, value->u.i);
  return true;
}

static bool format_float(struct dk_call *call, const struct spec *spec, struct dk_buf *out) {
  if (!dk_ev_is_number(call->ev, call->args[0])) return dk_call_wants(call, 0, "a number for this form");
  double d = dk_ev_double(call->ev, call->args[0]);
  int digits = spec->digits < 0 ? 6 : spec->digits;
  if (spec->kind == 'f')
    dk_buf_printf(out, spec->zeros ? "%0*.*f" : "%*.*f", spec->width, digits, d);
  else if (spec->kind == 'e')
    dk_buf_printf(out, spec->zeros ? "%0*.*e" : "%*.*e", spec->width, digits, d);
  else
    dk_buf_printf(out, spec->zeros ? "%0*.*g" : "%*.*g", spec->width, digits, d);
  return true;
}

bool dk_fn_format(struct dk_call *call) {
  const struct dk_str *text;
  struct spec spec;
  struct dk_buf *scratch = &call->ev->eval->scratch;
  if (!dk_call_text(call, 1, &text)) return false;
  if (!read_spec(text, &spec)) {
    struct dk_diag *diag = dk_ev_error(call->ev, DK_E0309, dk_call_span(call, 1), "%s is no form for a value",
                                       dk_ev_show(call->ev, call->args[1]));
    dk_diag_help(diags_of(call), diag, "[0][width][.digits] and one of d f e g x s, as in \"03d\" or \".3f\"");
    return false;
  }
  dk_buf_clear(scratch);
  if (spec.kind == 'd' || spec.kind == 'x') return format_int(call, &spec, scratch) && return_scratch(call);
  if (spec.kind != 's') return format_float(call, &spec, scratch) && return_scratch(call);
  if (!scalar_text(call, 0, call->args[0], scratch)) return false;
  if (scratch->len < (size_t)spec.width) dk_buf_add_repeat(scratch, ' ', (size_t)spec.width - scratch->len);
  return return_scratch(call);
}

bool dk_fn_join(struct dk_call *call) {
  const struct dk_value *list;
  const struct dk_str *separator = NULL;
  struct dk_buf *scratch = &call->ev->eval->scratch;
  if (!dk_call_list(call, 0, &list) || (dk_call_given(call, 1) && !dk_call_text(call, 1, &separator))) return false;
  uint32_t n = list->len;
  if (!dk_ev_step(call->ev, call->expr, n)) return false;
  dk_buf_clear(scratch);
  for (uint32_t i = 0; i < n && scratch->len <= DK_EVAL_MAX_TEXT; i++) {
    if (i && separator)
      dk_buf_add(scratch, separator->text, separator->len);
    else if (i)
      dk_buf_add_char(scratch, ' ');
    if (!scalar_text(call, 0, dk_value_item(call->ev->values, call->args[0], i), scratch)) {
      dk_buf_finish(scratch);
      return false;
    }
  }
  return return_scratch(call);
}

struct pieces {
  dk_value_id *items;
  uint32_t n, cap;
};

static bool add_piece(struct dk_call *call, struct pieces *pieces, const char *text, size_t len) {
  dk_value_id id;
  if (!dk_ev_elements(call->ev, call->expr, 1, "this list") || !dk_ev_text(call->ev, call->expr, text, len, &id))
    return false;
  dk_arena_push(call->ev->eval->checked->arena, pieces->items, pieces->n, pieces->cap) = id;
  return true;
}

static bool split_words(struct dk_call *call, const struct dk_str *text, struct pieces *pieces) {
  static const char spaces[] = " \t\r\n";
  for (uint32_t i = 0; i < text->len;) {
    if (memchr(spaces, text->text[i], sizeof spaces - 1)) {
      i++;
      continue;
    }
    uint32_t start = i;
    while (i < text->len && !memchr(spaces, text->text[i], sizeof spaces - 1)) i++;
    if (!add_piece(call, pieces, text->text + start, i - start)) return false;
  }
  return true;
}

bool dk_fn_split(struct dk_call *call) {
  const struct dk_str *text, *separator = NULL;
  struct pieces pieces = {NULL, 0, 0};
  if (!dk_call_text(call, 0, &text) || (dk_call_given(call, 1) && !dk_call_text(call, 1, &separator))) return false;
  if (separator && separator->len == 0) {
    dk_ev_error(call->ev, DK_E0309, dk_call_span(call, 1), "`split` wants a separator of at least one character");
    return false;
  }
  if (!separator) return split_words(call, text, &pieces) && dk_call_return_list(call, pieces.items, pieces.n);
  const char *at = text->text, *end = at + text->len;
  for (;;) {
    const char *next = memmem(at, (size_t)(end - at), separator->text, separator->len);
    if (!add_piece(call, &pieces, at, (size_t)((next ? next : end) - at))) return false;
    if (!next) return dk_call_return_list(call, pieces.items, pieces.n);
    at = next + separator->len;
  }
}

bool dk_fn_lower(struct dk_call *call) {
  const struct dk_str *text;
  if (!dk_call_text(call, 0, &text)) return false;
  char *lower = dk_arena_strndup(call->ev->eval->checked->arena, text->text, text->len);
  for (uint32_t i = 0; i < text->len; i++)
    if (lower[i] >= 'A' && lower[i] <= 'Z') lower[i] = (char)(lower[i] - 'A' + 'a');
  return dk_ev_text(call->ev, call->expr, lower, text->len, call->ret);
}

bool dk_fn_hash(struct dk_call *call) {
  struct dk_buf *scratch = &call->ev->eval->scratch;
  struct dk_digest digest;
  char hex[DK_DIGEST_HEX + 1];
  if (!dk_ev_step(call->ev, call->expr, dk_value_weight(call->ev->values, call->args[0]))) return false;
  dk_buf_clear(scratch);
  dk_value_canonical(call->ev->values, call->args[0], scratch);
  (void)dk_ev_written(call->ev);
  dk_digest_of(dk_buf_text(scratch), scratch->len, &digest);
  dk_buf_finish(scratch);
  dk_digest_hex(&digest, hex);
  return dk_ev_text(call->ev, call->expr, hex, 16, call->ret);
}

/* One field as words; nested lists and records have no form on a command line. */
static bool add_flag(struct dk_call *call, struct pieces *pieces, const struct dk_str *name, dk_value_id id) {
  struct dk_values *values = call->ev->values;
  const struct dk_value *value = dk_value_get(values, id);
  if (value->type == DK_TYPE_NULL || (value->type == DK_TYPE_BOOL && !value->u.i)) return true;
  const char *flag = dk_arena_printf(call->ev->eval->checked->arena, "--%s", name->text);
  if (!add_piece(call, pieces, flag, strlen(flag))) return false;
  if (value->type == DK_TYPE_BOOL) return true;
  bool is_list = value->type == DK_TYPE_LIST;
  uint32_t n = is_list ? value->len : 1;
  struct dk_buf *scratch = &call->ev->eval->scratch;
  for (uint32_t i = 0; i < n; i++) {
    dk_buf_clear(scratch);
    if (!scalar_text(call, 0, is_list ? dk_value_item(values, id, i) : id, scratch)) return false;
    bool ok = add_piece(call, pieces, dk_buf_text(dk_ev_written(call->ev)), scratch->len);
    dk_buf_finish(scratch);
    if (!ok) return false;
  }
  return true;
}

bool dk_fn_flags(struct dk_call *call) {
  const struct dk_value *value = dk_value_get(call->ev->values, call->args[0]);
  struct pieces pieces = {NULL, 0, 0};
  if (value->type != DK_TYPE_RECORD) return dk_call_wants(call, 0, "a record");
  uint32_t n = value->len;
  for (uint32_t i = 0; i < n; i++)
    if (!add_flag(call, &pieces, dk_value_name(call->ev->values, call->args[0], i),
                  dk_value_item(call->ev->values, call->args[0], i)))
      return false;
  return dk_call_return_list(call, pieces.items, pieces.n);
}
