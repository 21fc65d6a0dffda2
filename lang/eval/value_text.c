/* Values as text: in a hole, as source that reads back, and as canonical bytes for keys.
 *
 * Keeps true: source text of any value but a call's reads back as the same value; canonical bytes are equal exactly for
 * values that are `same`. Every text of a float is the shortest decimal that reads back (RFC 8785, 3.2.2.3). */
#include "lang/base/number.h"
#include "lang/eval/quantity.h"
#include "lang/eval/value.h"

#include <inttypes.h>
#include <string.h>

static double float_of(const struct dk_value *value) {
  double d;
  memcpy(&d, &value->u.i, sizeof d);
  return d;
}

static void add_double(struct dk_buf *out, double d) {
  char text[DK_NUMBER_TEXT];
  dk_number_text(d, text);
  dk_buf_add_text(out, text);
}

/* `amount` / `scale` as an exact decimal; scale is a power of ten. */
static void add_scaled(struct dk_buf *out, int64_t amount, uint64_t scale) {
  uint64_t size = amount < 0 ? 0 - (uint64_t)amount : (uint64_t)amount;
  if (amount < 0) dk_buf_add_char(out, '-');
  dk_buf_printf(out, "%" PRIu64, size / scale);
  uint64_t rest = size % scale;
  if (!rest) return;
  dk_buf_add_char(out, '.');
  for (uint64_t digit = scale / 10; rest; digit /= 10) {
    dk_buf_add_char(out, (char)('0' + rest / digit));
    rest %= digit;
  }
}

bool dk_value_hole_text(const struct dk_values *values, dk_value_id id, struct dk_buf *out) {
  const struct dk_value *value = dk_value_get(values, id);
  switch ((enum dk_type)value->type) {
  case DK_TYPE_BOOL: dk_buf_add_text(out, value->u.i ? "true" : "false"); return true;
  case DK_TYPE_INT:
  case DK_TYPE_SIZE: dk_buf_add_int(out, value->u.i); return true;
  case DK_TYPE_FLOAT: add_double(out, float_of(value)); return true;
  case DK_TYPE_STRING: {
    const struct dk_str *text = dk_value_str(values, id);
    dk_buf_add(out, text->text, text->len);
    return true;
  }
  case DK_TYPE_DURATION: add_scaled(out, value->u.i, DK_SECOND); return true;
  case DK_TYPE_MONEY:
  case DK_TYPE_RATE: add_scaled(out, value->u.i, DK_MONEY_SCALE); return true;
  case DK_TYPE_NULL:
  case DK_TYPE_LIST:
  case DK_TYPE_RECORD:
  case DK_TYPE_CALL: return false;
  }
  return false;
}

/* A string literal that reads back: braces in pairs would open a hole, so they are written as one. */
static void add_string_literal(struct dk_buf *out, const struct dk_str *text) {
  dk_buf_add_char(out, '"');
  for (uint32_t i = 0; i < text->len;) {
    unsigned char c = (unsigned char)text->text[i];
    unsigned n = dk_utf8_len(text->text + i, text->len - i);
    if (c == '"' || c == '\\')
      dk_buf_printf(out, "\\%c", c);
    else if (c == '\n')
      dk_buf_add_text(out, "\\n");
    else if (c == '\t')
      dk_buf_add_text(out, "\\t");
    else if (c == '\r')
      dk_buf_add_text(out, "\\r");
    else if (c == '{' && i + 1 < text->len && text->text[i + 1] == '{') {
      dk_buf_add_text(out, "{{\"{{\"}}");
      i += 2;
      continue;
    } else if (c < 0x20 || c == 0x7f || n == 0)
      dk_buf_printf(out, "\\x%02x", c);
    else {
      dk_buf_add(out, text->text + i, n);
      i += n;
      continue;
    }
    i++;
  }
  dk_buf_add_char(out, '"');
}

static bool is_plain_name(const struct dk_str *name) {
  static const char *const reserved[] = {"and", "or",    "not", "in",   "if",   "then",  "else",
                                         "for", "where", "by",  "with", "true", "false", "null"};
  for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
    if (strcmp(name->text, reserved[i]) == 0) return false;
  for (uint32_t i = 0; i < name->len; i++) {
    char c = name->text[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(i && c >= '0' && c <= '9')) return false;
  }
  return name->len > 0;
}

static const char *const inert_names[] = {"file",  "glob", "mount", "url",    "write",
                                          "match", "json", "csv",   "secret", "raw"};

static void add_items(const struct dk_values *values, dk_value_id id, struct dk_buf *out) {
  uint32_t n = dk_value_get(values, id)->len;
  for (uint32_t i = 0; i < n; i++) {
    if (i) dk_buf_add_text(out, ", ");
    dk_value_source_text(values, dk_value_item(values, id, i), out);
  }
}

static void add_record(const struct dk_values *values, dk_value_id id, struct dk_buf *out) {
  uint32_t n = dk_value_get(values, id)->len;
  dk_buf_add_char(out, '{');
  for (uint32_t i = 0; i < n; i++) {
    const struct dk_str *name = dk_value_name(values, id, i);
    dk_buf_add_char(out, ' ');
    if (is_plain_name(name))
      dk_buf_add(out, name->text, name->len);
    else
      add_string_literal(out, name);
    dk_buf_add_text(out, " = ");
    dk_value_source_text(values, dk_value_item(values, id, i), out);
  }
  dk_buf_add_text(out, n ? " }" : "}");
}

void dk_value_source_text(const struct dk_values *values, dk_value_id id, struct dk_buf *out) {
  const struct dk_value *value = dk_value_get(values, id);
  switch ((enum dk_type)value->type) {
  case DK_TYPE_NULL: dk_buf_add_text(out, "null"); return;
  case DK_TYPE_STRING: add_string_literal(out, dk_value_str(values, id)); return;
  case DK_TYPE_SIZE:
  case DK_TYPE_DURATION:
  case DK_TYPE_MONEY:
  case DK_TYPE_RATE: dk_quantity_text((enum dk_type)value->type, value->unit, value->u.i, out); return;
  case DK_TYPE_LIST:
    dk_buf_add_char(out, '[');
    add_items(values, id, out);
    dk_buf_add_char(out, ']');
    return;
  case DK_TYPE_RECORD: add_record(values, id, out); return;
  case DK_TYPE_CALL:
    dk_buf_printf(out, "%s(", inert_names[value->unit]);
    add_items(values, id, out);
    dk_buf_add_char(out, ')');
    return;
  case DK_TYPE_BOOL:
  case DK_TYPE_INT:
  case DK_TYPE_FLOAT: (void)dk_value_hole_text(values, id, out); return;
  }
}

static void add_canonical_text(struct dk_buf *out, const struct dk_str *text) {
  dk_buf_add_int(out, text->len);
  dk_buf_add_char(out, ':');
  dk_buf_add(out, text->text, text->len);
}

static void add_canonical_int(struct dk_buf *out, int64_t i) {
  double d = (double)i;
  if (d < 0x1p63 && (int64_t)d == i) {
    dk_buf_add_char(out, 'd');
    add_double(out, d);
  } else {
    dk_buf_printf(out, "i%" PRId64, i);
  }
  dk_buf_add_char(out, ';');
}

void dk_value_canonical(const struct dk_values *values, dk_value_id id, struct dk_buf *out) {
  const struct dk_value *value = dk_value_get(values, id);
  char currency[4];
  switch ((enum dk_type)value->type) {
  case DK_TYPE_NULL: dk_buf_add_char(out, 'n'); return;
  case DK_TYPE_BOOL: dk_buf_add_char(out, value->u.i ? 't' : 'f'); return;
  case DK_TYPE_INT: add_canonical_int(out, value->u.i); return;
  case DK_TYPE_FLOAT:
    dk_buf_add_char(out, 'd');
    add_double(out, float_of(value));
    dk_buf_add_char(out, ';');
    return;
  case DK_TYPE_STRING:
    dk_buf_add_char(out, 's');
    add_canonical_text(out, dk_value_str(values, id));
    return;
  case DK_TYPE_SIZE: dk_buf_printf(out, "z%" PRId64 ";", value->u.i); return;
  case DK_TYPE_DURATION: dk_buf_printf(out, "u%" PRId64 ";", value->u.i); return;
  case DK_TYPE_MONEY:
  case DK_TYPE_RATE:
    dk_currency_text(value->unit, currency);
    dk_buf_printf(out, "%c%s%" PRId64 ";", value->type == DK_TYPE_MONEY ? 'm' : 'r', currency, value->u.i);
    return;
  case DK_TYPE_LIST: dk_buf_printf(out, "l%" PRIu32 ":", value->len); break;
  case DK_TYPE_RECORD: dk_buf_printf(out, "o%" PRIu32 ":", value->len); break;
  case DK_TYPE_CALL: dk_buf_printf(out, "c%s%" PRIu32 ":", inert_names[value->unit], value->len); break;
  }
  for (uint32_t i = 0; i < value->len; i++) {
    if (value->type == DK_TYPE_RECORD) add_canonical_text(out, dk_value_name(values, id, i));
    dk_value_canonical(values, dk_value_item(values, id, i), out);
  }
}
