/* Strings with holes: literal parts and values in turn. The holes of `run` are not for here: plan quotes them. */
#include "lang/eval/internal.h"

#include <string.h>

struct builder {
  char *data;
  uint32_t len, cap;
};

static bool add_text(struct dk_ev *ev, const struct dk_expr *at, struct builder *to, const char *text, size_t len) {
  if (to->len + len > DK_EVAL_MAX_TEXT) {
    dk_ev_error(ev, DK_E0305, at->span, "this text would have more than %u bytes", DK_EVAL_MAX_TEXT);
    return false;
  }
  uint32_t cap = to->cap < 64 ? 64 : to->cap;
  while (cap < to->len + len) cap *= 2;
  if (cap > to->cap) {
    char *larger = dk_arena_alloc(ev->eval->checked->arena, cap);
    if (to->len) memcpy(larger, to->data, to->len);
    to->data = larger;
    to->cap = cap;
  }
  if (len) memcpy(to->data + to->len, text, len);
  to->len += (uint32_t)len;
  return true;
}

static bool add_hole(struct dk_ev *ev, const struct dk_expr *hole, struct builder *to) {
  dk_value_id id;
  if (!dk_ev_value(ev, hole, &id)) return false;
  const struct dk_value *value = dk_value_get(ev->values, id);
  if (value->type == DK_TYPE_STRING) {
    const struct dk_str *text = dk_value_str(ev->values, id);
    return add_text(ev, hole, to, text->text, text->len);
  }
  struct dk_buf *scratch = &ev->eval->scratch;
  dk_buf_clear(scratch);
  if (dk_value_hole_text(ev->values, id, scratch)) {
    char text[64]; /* numbers and quantities are short; nothing of the heap may be held while the arena is used */
    size_t len = dk_ev_written(ev)->len < sizeof text ? scratch->len : sizeof text;
    memcpy(text, dk_buf_text(scratch), len);
    dk_buf_finish(scratch);
    return add_text(ev, hole, to, text, len);
  }
  dk_buf_finish(scratch);
  struct dk_diag *diag = dk_ev_error(ev, DK_E0307, hole->span, "%s cannot be put into text", dk_ev_type(ev, id));
  if (value->type == DK_TYPE_NULL)
    dk_diag_help(ev->eval->checked->diags, diag, "`{{x ?? \"\"}}` gives an empty text where x is null");
  if (value->type == DK_TYPE_LIST)
    dk_diag_help(ev->eval->checked->diags, diag, "`{{join(x, \",\")}}` puts its elements into one text");
  if (value->type == DK_TYPE_RECORD)
    dk_diag_help(ev->eval->checked->diags, diag, "name one of its fields, as in `{{x.name}}`");
  return false;
}

bool dk_ev_string(struct dk_ev *ev, const struct dk_expr *expr, dk_value_id *ret) {
  if (expr->string.n_parts == 0) {
    *ret = dk_value_text(ev->values, "", 0);
    return true;
  }
  if (expr->string.n_parts == 1 && expr->string.parts[0].literal) {
    *ret = dk_value_string(ev->values, expr->string.parts[0].literal);
    return true;
  }
  struct builder builder = {NULL, 0, 0};
  for (uint32_t i = 0; i < expr->string.n_parts; i++) {
    const struct dk_string_part *part = &expr->string.parts[i];
    if (part->literal ? !add_text(ev, expr, &builder, part->literal->text, part->literal->len)
                      : !add_hole(ev, part->hole, &builder))
      return false;
  }
  return dk_ev_text(ev, expr, builder.data ? builder.data : "", builder.len, ret);
}
