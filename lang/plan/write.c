/* Values as JSON, TOML and plain text: see write.h. */
#include "lang/plan/write.h"

#include <string.h>

#define MAX_DEPTH 64

static const char *const no_text = "a text in it is no UTF-8";

static bool add_string(struct dk_buf *out, const struct dk_str *text) {
  if (!dk_utf8_is_valid(text->text, text->len)) return false;
  dk_buf_add_char(out, '"');
  for (uint32_t i = 0; i < text->len; i++) {
    unsigned char c = (unsigned char)text->text[i];
    if (c == '"' || c == '\\')
      dk_buf_printf(out, "\\%c", c);
    else if (c == '\n')
      dk_buf_add_text(out, "\\n");
    else if (c == '\t')
      dk_buf_add_text(out, "\\t");
    else if (c < 0x20 || c == 0x7f)
      dk_buf_printf(out, "\\u%04x", c);
    else
      dk_buf_add_char(out, (char)c);
  }
  dk_buf_add_char(out, '"');
  return true;
}

static void newline(struct dk_buf *out, uint32_t depth) {
  dk_buf_add_char(out, '\n');
  dk_buf_add_repeat(out, ' ', 2 * (size_t)depth);
}

static const char *json(const struct dk_values *values, dk_value_id id, uint32_t depth, struct dk_buf *out) {
  const struct dk_value *v = dk_value_get(values, id);
  if (depth > MAX_DEPTH) return "it is nested too deep";
  if (v->type == DK_TYPE_CALL) return "it holds a call such as file(...)";
  if (v->type == DK_TYPE_NULL)
    dk_buf_add_text(out, "null");
  else if (v->type == DK_TYPE_STRING)
    return add_string(out, dk_value_str(values, id)) ? NULL : no_text;
  else if (v->type != DK_TYPE_LIST && v->type != DK_TYPE_RECORD)
    (void)dk_value_hole_text(values, id, out);
  if (v->type != DK_TYPE_LIST && v->type != DK_TYPE_RECORD) return NULL;
  bool is_record = v->type == DK_TYPE_RECORD;
  uint32_t n = v->len;
  dk_buf_add_char(out, is_record ? '{' : '[');
  for (uint32_t i = 0; i < n; i++) {
    if (i) dk_buf_add_char(out, ',');
    newline(out, depth + 1);
    if (is_record) {
      if (!add_string(out, dk_value_name(values, id, i))) return no_text;
      dk_buf_add_text(out, ": ");
    }
    const char *fault = json(values, dk_value_item(values, id, i), depth + 1, out);
    if (fault) return fault;
  }
  if (n) newline(out, depth);
  dk_buf_add_char(out, is_record ? '}' : ']');
  return NULL;
}

/* --- TOML 1.0 --- */

static bool toml_key(struct dk_buf *out, const struct dk_str *name) {
  bool is_bare = name->len > 0;
  for (uint32_t i = 0; i < name->len; i++) {
    char c = name->text[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
      is_bare = false;
  }
  if (!is_bare) return add_string(out, name);
  dk_buf_add(out, name->text, name->len);
  return true;
}

static const char *toml_value(const struct dk_values *values, dk_value_id id, uint32_t depth, struct dk_buf *out) {
  const struct dk_value *v = dk_value_get(values, id);
  if (depth > MAX_DEPTH) return "it is nested too deep";
  if (v->type == DK_TYPE_NULL) return "TOML has no null";
  if (v->type == DK_TYPE_CALL) return "it holds a call such as file(...)";
  if (v->type == DK_TYPE_STRING) return add_string(out, dk_value_str(values, id)) ? NULL : no_text;
  if (v->type != DK_TYPE_LIST && v->type != DK_TYPE_RECORD) {
    size_t at = out->len;
    (void)dk_value_hole_text(values, id, out);
    if (v->type == DK_TYPE_FLOAT && !strpbrk(dk_buf_text(out) + at, ".e")) dk_buf_add_text(out, ".0");
    return NULL;
  }
  bool is_record = v->type == DK_TYPE_RECORD;
  uint32_t n = v->len;
  dk_buf_add_text(out, is_record ? "{ " : "[");
  for (uint32_t i = 0; i < n; i++) {
    if (i) dk_buf_add_text(out, ", ");
    if (is_record) {
      if (!toml_key(out, dk_value_name(values, id, i))) return no_text;
      dk_buf_add_text(out, " = ");
    }
    const char *fault = toml_value(values, dk_value_item(values, id, i), depth + 1, out);
    if (fault) return fault;
  }
  dk_buf_add_text(out, is_record ? " }" : "]");
  return NULL;
}

static bool is_table(const struct dk_values *values, dk_value_id id) {
  return dk_value_get(values, id)->type == DK_TYPE_RECORD;
}

/* Plain fields, then one table per record; `path` is the table's header so far. */
static const char *toml_table(const struct dk_values *values, dk_value_id id, const char *path, uint32_t depth,
                              struct dk_buf *out) {
  uint32_t n = dk_value_get(values, id)->len;
  if (depth > MAX_DEPTH) return "it is nested too deep";
  for (uint32_t i = 0; i < n; i++) {
    dk_value_id item = dk_value_item(values, id, i);
    if (is_table(values, item)) continue;
    if (!toml_key(out, dk_value_name(values, id, i))) return no_text;
    dk_buf_add_text(out, " = ");
    const char *fault = toml_value(values, item, depth, out);
    if (fault) return fault;
    dk_buf_add_char(out, '\n');
  }
  for (uint32_t i = 0; i < n; i++) {
    dk_value_id item = dk_value_item(values, id, i);
    if (!is_table(values, item)) continue;
    dk_autobuf header = DK_BUF_INIT;
    dk_buf_printf(&header, "%s%s", path, *path ? "." : "");
    if (!toml_key(&header, dk_value_name(values, id, i))) return no_text;
    dk_buf_printf(out, "%s[%s]\n", out->len ? "\n" : "", dk_buf_text(&header));
    if (!dk_buf_ok(&header)) out->failed = true;
    const char *fault = toml_table(values, item, dk_buf_text(&header), depth + 1, out);
    if (fault) return fault;
  }
  return NULL;
}

/* --- text --- */

static const char *lines(const struct dk_values *values, dk_value_id id, struct dk_buf *out) {
  const struct dk_value *v = dk_value_get(values, id);
  if (v->type != DK_TYPE_LIST)
    return dk_value_hole_text(values, id, out) ? NULL : "only .json, .yaml and .toml files take records and null";
  uint32_t n = v->len;
  for (uint32_t i = 0; i < n; i++) {
    if (!dk_value_hole_text(values, dk_value_item(values, id, i), out))
      return "only .json, .yaml and .toml files take nested values";
    dk_buf_add_char(out, '\n');
  }
  return NULL;
}

static bool ends_in(const char *name, const char *end) {
  size_t n = strlen(name), m = strlen(end);
  return n > m && strcmp(name + n - m, end) == 0;
}

const char *dk_plan_write(const struct dk_values *values, const char *name, dk_value_id value, struct dk_buf *out) {
  if (ends_in(name, ".json") || ends_in(name, ".yaml") || ends_in(name, ".yml")) {
    const char *fault = json(values, value, 0, out);
    dk_buf_add_char(out, '\n');
    return fault;
  }
  if (!ends_in(name, ".toml")) return lines(values, value, out);
  return is_table(values, value) ? toml_table(values, value, "", 0, out) : "a .toml file takes a record";
}
