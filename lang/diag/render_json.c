/* Diagnostics for machines. Paths and texts that are no UTF-8 are escaped, since JSON cannot carry them. */
#include "lang/diag/diag.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static json_t *text_or_null(const char *text) {
  if (!text) return json_null();
  if (dk_utf8_is_valid(text, strlen(text))) return json_string(text);
  dk_autobuf buf = DK_BUF_INIT;
  dk_buf_add_escaped(&buf, text, strlen(text));
  return dk_buf_ok(&buf) ? json_string(dk_buf_text(&buf)) : NULL;
}

static json_t *texts(const char *const *items, uint32_t n) {
  json_t *array = json_array();
  for (uint32_t i = 0; array && i < n; i++)
    if (json_array_append_new(array, text_or_null(items[i])) != 0) {
      json_decref(array);
      return NULL;
    }
  return array;
}

/* Steals `value`, also on failure; NULL (lack of memory before) is a failure. */
static int put(json_t *object, const char *key, json_t *value) {
  return json_object_set_new(object, key, value);
}

static int put_place(const struct dk_diags *diags, json_t *object, struct dk_span span) {
  struct dk_place from = dk_sources_place(diags->sources, span.start), to = dk_sources_place(diags->sources, span.end);
  if (!from.source)
    return put(object, "path", json_null()) | put(object, "line", json_null()) | put(object, "column", json_null()) |
           put(object, "end_line", json_null()) | put(object, "end_column", json_null());
  if (to.source != from.source) to = from;
  return put(object, "path", text_or_null(from.source->path)) | put(object, "line", json_integer(from.line)) |
         put(object, "column", json_integer(from.column)) | put(object, "end_line", json_integer(to.line)) |
         put(object, "end_column", json_integer(to.column));
}

static json_t *labels_json(const struct dk_diags *diags, const struct dk_diag *diag) {
  json_t *array = json_array();
  for (uint32_t i = 0; array && i < diag->n_labels; i++) {
    json_t *object = json_object();
    if (!object || put_place(diags, object, diag->labels[i].span) != 0 ||
        put(object, "text", text_or_null(diag->labels[i].text)) != 0) {
      json_decref(object);
      json_decref(array);
      return NULL;
    }
    if (json_array_append_new(array, object) == 0) continue;
    json_decref(array);
    return NULL;
  }
  return array;
}

static json_t *diag_json(const struct dk_diags *diags, const struct dk_diag *diag) {
  json_t *object = json_object();
  if (!object) return NULL;
  int failed = put(object, "code", json_string(dk_code_name(diag->code))) |
               put(object, "severity", json_string(dk_code_is_warning(diag->code) ? "warning" : "error")) |
               put(object, "message", text_or_null(diag->message)) | put_place(diags, object, diag->span) |
               put(object, "label", text_or_null(diag->label)) | put(object, "labels", labels_json(diags, diag)) |
               put(object, "helps", texts(diag->helps, diag->n_helps)) |
               put(object, "notes", texts(diag->notes, diag->n_notes));
  if (!failed) return object;
  json_decref(object);
  return NULL;
}

static int append(const char *data, size_t len, void *out) {
  dk_buf_add(out, data, len);
  return dk_buf_ok(out) ? 0 : -1;
}

int dk_diags_render_json(const struct dk_diags *diags, struct dk_buf *out) {
  int result = -ENOMEM;
  json_t *root = json_object(), *array = json_array();
  if (!root || !array) goto out;
  for (uint32_t i = 0; i < diags->count; i++)
    if (json_array_append_new(array, diag_json(diags, diags->items[i])) != 0) goto out;
  if (put(root, "version", json_integer(1)) != 0 || json_object_set(root, "diagnostics", array) != 0) goto out;
  if (json_dump_callback(root, append, out, JSON_COMPACT) != 0) goto out;
  dk_buf_add_char(out, '\n');
  if (dk_buf_ok(out)) result = 0;
out:
  json_decref(array);
  json_decref(root);
  return result;
}
