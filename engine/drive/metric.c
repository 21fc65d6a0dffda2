#define PCRE2_CODE_UNIT_WIDTH 8

#include "engine/drive/metric.h"

#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <jansson.h>
#include <pcre2.h>
#include <string.h>

/* A metric is a number or a short text: what is longer is cut, so that a regex that takes in a whole log harms
 * nobody. */
#define MAX_TEXT 4096u
/* What a metric is read from; a longer file or log is a missing metric. Logs are capped well below. */
#define MAX_CONTENT (256u << 20)
/* Steps of one match before it counts as "no match": a pattern like (a+)+b must not stop the engine. */
#define MATCH_LIMIT 10000000u

struct dk_extractor {
  const struct dk_template *tmpl;
  pcre2_code **patterns; /* by metric; NULL for those without a regex */
  pcre2_match_context *limits;
};

static int compile(const char *pattern, pcre2_code **ret, size_t *ret_offset, struct dk_error *error) {
  int code;
  PCRE2_SIZE offset = 0;

  *ret = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_MULTILINE, &code, &offset, NULL);
  if (ret_offset) *ret_offset = offset;
  if (*ret) return 0;

  if (code == PCRE2_ERROR_HEAP_FAILED) return dk_error_system(error, -ENOMEM, "compiling the pattern '%s'", pattern);
  PCRE2_UCHAR text[200];
  pcre2_get_error_message(code, text, sizeof text);
  return dk_error_set(error, -EINVAL, "'%s' is no regular expression: %s, at byte %zu", pattern, (char *)text, offset);
}

int dk_metric_check_pattern(const char *pattern, size_t *ret_offset, struct dk_error *error) {
  pcre2_code *compiled;
  int r = compile(pattern, &compiled, ret_offset, error);

  pcre2_code_free(compiled);
  return r;
}

static bool has_pattern(const struct dk_metric *metric) {
  return metric->kind <= DK_METRIC_MATCH_FILE;
}

int dk_extractor_create(const struct dk_template *tmpl, struct dk_extractor **ret, struct dk_error *error) {
  struct dk_extractor *x = dk_calloc(1, sizeof *x);

  *ret = NULL;
  if (!x) return dk_error_system(error, -ENOMEM, "preparing the metrics of %s", tmpl->name);
  x->tmpl = tmpl;
  x->patterns = dk_calloc(tmpl->n_metrics + 1, sizeof *x->patterns);
  x->limits = pcre2_match_context_create(NULL);
  if (!x->patterns || !x->limits) {
    dk_extractor_destroy(x);
    return dk_error_system(error, -ENOMEM, "preparing the metrics of %s", tmpl->name);
  }
  pcre2_set_match_limit(x->limits, MATCH_LIMIT);

  for (uint32_t i = 0; i < tmpl->n_metrics; i++) {
    if (!has_pattern(&tmpl->metrics[i])) continue;
    int r = compile(tmpl->metrics[i].pattern, &x->patterns[i], NULL, error);
    if (r < 0) {
      dk_error_prefix(error, "%s:%u: metric `%s`", tmpl->path, tmpl->metrics[i].line, tmpl->metrics[i].name);
      dk_extractor_destroy(x);
      return r;
    }
  }
  *ret = x;
  return 0;
}

void dk_extractor_destroy(struct dk_extractor *x) {
  if (!x) return;
  for (uint32_t i = 0; x->patterns && i < x->tmpl->n_metrics; i++) pcre2_code_free(x->patterns[i]);
  pcre2_match_context_free(x->limits);
  dk_free(x->patterns);
  dk_free(x);
}

/* Text found -> value: a number keeps the text it was written with. */
static int set_value(struct dk_metric_value *value, const char *text, size_t len) {
  while (len > 0 && strchr(" \t\r\n", text[0])) text++, len--;
  while (len > 0 && strchr(" \t\r\n", text[len - 1])) len--;
  if (len > MAX_TEXT) len = MAX_TEXT;

  char *copy = dk_strndup(text, len);
  if (!copy) return -ENOMEM;
  dk_free(value->text);
  value->text = copy;
  value->state = dk_number_parse(text, len, &value->number) == 0 ? DK_METRIC_NUMBER : DK_METRIC_TEXT;
  return 0;
}

/* The last match, its first group if it has one. */
static int match_last(const struct dk_extractor *x, const pcre2_code *pattern, const char *text, size_t len,
                      struct dk_metric_value *value) {
  pcre2_match_data *data = pcre2_match_data_create_from_pattern(pattern, NULL);
  size_t at = 0, start = 0, end = 0;
  bool found = false;
  int rc = 0;

  if (!data) return -ENOMEM;
  while (at <= len && (rc = pcre2_match(pattern, (PCRE2_SPTR)text, len, at, 0, data, x->limits)) > 0) {
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(data);
    uint32_t group = pcre2_get_ovector_count(data) > 1 && span[2] != PCRE2_UNSET ? 1 : 0;

    found = true;
    start = span[2 * group];
    end = span[2 * group + 1];
    at = span[1] > at ? span[1] : at + 1;
  }
  pcre2_match_data_free(data);
  if (rc == PCRE2_ERROR_NOMEMORY) return -ENOMEM;
  /* \K in a look-ahead can put the start behind the end (pcre2api, "\K"). */
  return found && start <= end ? set_value(value, text + start, end - start) : 0;
}

static int json_member(const char *text, size_t len, const char *path, struct dk_metric_value *value) {
  json_error_t bad = {.line = 0};
  json_t *root = json_loadb(text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &bad);
  const json_t *at = root;
  /* It says nothing of it when the value itself could not be made (jansson 2.14, load.c: parse_array). */
  bool is_short = !root && (!bad.text[0] || json_error_code(&bad) == json_error_out_of_memory);
  int r = is_short ? -ENOMEM : 0;

  for (const char *part = path; at && *part;) {
    size_t n = strcspn(part, ".");
    char *name = dk_strndup(part, n);
    int64_t index;

    if (!name) {
      json_decref(root);
      return -ENOMEM;
    }
    if (json_is_array(at) && dk_number_parse_int(name, n, &index) == 0)
      at = json_array_get(at, (size_t)(index < 0 ? index + (int64_t)json_array_size(at) : index));
    else
      at = json_object_get(at, name);
    dk_free(name);
    part += n + (part[n] == '.');
  }
  if (json_is_string(at)) {
    r = set_value(value, json_string_value(at), json_string_length(at));
  } else if (json_is_real(at)) {
    char number[DK_NUMBER_TEXT];
    dk_number_text(json_real_value(at), number);
    r = set_value(value, number, strlen(number));
  } else if (json_is_boolean(at)) {
    r = set_value(value, json_is_true(at) ? "true" : "false", json_is_true(at) ? 4 : 5);
  }
  json_decref(root);
  return r;
}

/* One field of an RFC 4180 record, unquoted into `field`; returns the byte behind its comma or at its line's end. */
static const char *csv_field(const char *at, const char *end, struct dk_buf *field) {
  dk_buf_clear(field);
  if (at < end && *at == '"') {
    for (at++; at < end; at++) {
      if (*at == '"' && (at + 1 == end || at[1] != '"')) {
        at++;
        break;
      }
      if (*at == '"') at++;
      dk_buf_add_char(field, *at);
    }
  }
  while (at < end && *at != ',' && *at != '\n') dk_buf_add_char(field, *at++);
  if (field->len && field->data[field->len - 1] == '\r') dk_buf_truncate(field, field->len - 1);
  return at;
}

/* The start of the next line that is not blank, from the end of a record (or the start of the text) on; `end` when
 * there is none. */
static const char *csv_next(const char *at, const char *end) {
  for (const char *look = at; look < end; look++) {
    if (*look == '\n')
      at = look + 1;
    else if (*look != ' ' && *look != '\t' && *look != '\r')
      return at;
  }
  return end;
}

/* The named column of the last record; missing when that record is too short to have it. */
static int csv_column(const char *text, size_t len, const char *column, struct dk_metric_value *value) {
  const char *end = text + len, *at = csv_next(text, end);
  uint32_t wanted = UINT32_MAX;
  bool has = false;
  dk_autobuf field = DK_BUF_INIT, found = DK_BUF_INIT;

  for (uint32_t index = 0; at < end; index++) {
    at = csv_field(at, end, &field);
    if (!dk_buf_ok(&field)) return -ENOMEM;
    if (wanted == UINT32_MAX && strcmp(dk_buf_text(&field), column) == 0) wanted = index;
    if (at == end || *at == '\n') break;
    at++;
  }
  if (wanted == UINT32_MAX) return 0;
  while ((at = csv_next(at, end)) < end) {
    has = false;
    for (uint32_t index = 0;; index++) {
      at = csv_field(at, end, index == wanted ? &found : &field);
      has |= index == wanted;
      if (at == end || *at == '\n') break;
      at++;
    }
    if (!dk_buf_ok(&field) || !dk_buf_ok(&found)) return -ENOMEM;
  }
  return has ? set_value(value, dk_buf_text(&found), found.len) : 0;
}

/* The bytes that were kept: inline, or in `room` when they are an object. NULL when there are none: also when they are
 * too many, gone or damaged, which reading again will not mend. */
static int content(const struct dk_kept *kept, const struct dk_objects *objects, struct dk_buf *room, const char **ret,
                   size_t *ret_len, struct dk_error *error) {
  *ret = NULL;
  *ret_len = 0;
  if (kept->is_missing || kept->is_dir) return 0;
  if (kept->bytes || kept->size == 0) {
    *ret = kept->bytes ? kept->bytes : "";
    *ret_len = kept->bytes ? kept->size : 0;
    return 0;
  }
  dk_buf_clear(room);
  int r = dk_objects_read(objects, &kept->digest, MAX_CONTENT, room, error);
  if (r == -EFBIG || r == -ENOENT || r == -EBADMSG) return 0;
  if (r < 0) return r;
  *ret = dk_buf_text(room);
  *ret_len = room->len;
  return 0;
}

static const struct dk_kept *source_of(const struct dk_metric *metric, const struct dk_result *result,
                                       const char *const *keep_files, uint32_t n_keep_files) {
  if (metric->kind == DK_METRIC_MATCH_STDOUT) return &result->out;
  if (metric->kind == DK_METRIC_MATCH_STDERR) return &result->err;
  for (uint32_t i = 0; i < n_keep_files && i < result->n_keep_files; i++) {
    if (strcmp(keep_files[i], metric->path) == 0) return &result->keep_files[i];
  }
  return NULL;
}

int dk_extract(const struct dk_extractor *x, const struct dk_objects *objects, const struct dk_result *result,
               const char *const *keep_files, uint32_t n_keep_files, struct dk_metric_values *ret,
               struct dk_error *error) {
  const struct dk_template *tmpl = x->tmpl;
  const struct dk_kept *last = NULL;
  const char *text = NULL;
  size_t len = 0;
  int r = 0;
  struct dk_error why = {0};
  dk_autobuf room = DK_BUF_INIT;

  *ret = (struct dk_metric_values){dk_calloc(tmpl->n_metrics + 1, sizeof *ret->items), 0};
  if (!ret->items) return dk_error_system(error, -ENOMEM, "reading the metrics of %s", tmpl->name);
  ret->n = tmpl->n_metrics;

  for (uint32_t i = 0; i < tmpl->n_metrics && r == 0; i++) {
    const struct dk_metric *metric = &tmpl->metrics[i];
    const struct dk_kept *kept = source_of(metric, result, keep_files, n_keep_files);

    /* Several metrics of one log read it once. */
    if (kept != last || !kept) {
      text = NULL;
      if (kept) r = content(kept, objects, &room, &text, &len, &why);
      last = kept;
    }
    if (!text) continue;
    if (has_pattern(metric))
      r = match_last(x, x->patterns[i], text, len, &ret->items[i]);
    else if (metric->kind == DK_METRIC_JSON)
      r = json_member(text, len, metric->pattern, &ret->items[i]);
    else
      r = csv_column(text, len, metric->pattern, &ret->items[i]);
  }
  if (r < 0) {
    dk_metric_values_finish(ret);
    if (!why.code) return dk_error_system(error, r, "reading the metrics of %s", tmpl->name);
    return dk_error_set(error, r, "reading the metrics of %s: %s", tmpl->name, why.text);
  }
  return 0;
}
