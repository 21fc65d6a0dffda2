/* jansson within bounds: see json.h. What it would spend stack and heap on is counted before it is asked. */
#include "engine/net/json.h"

#include "lang/base/alloc.h"
#include "lang/base/buf.h"
#include "lang/base/number.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#define QUOTE_MOST 60 /* characters */
#define PATH_MOST 200

/* How it begins, on one line: printable ASCII, the rest as a dot. */
static void quote(const char *text, size_t len, char ret[QUOTE_MOST + 4]) {
  size_t n = 0, i = 0;

  for (; i < len && n < QUOTE_MOST; i++) {
    bool is_blank = strchr(" \t\r\n", text[i]) && text[i];
    if (is_blank && (n == 0 || ret[n - 1] == ' ')) continue;
    ret[n++] = is_blank ? ' ' : text[i] >= ' ' && text[i] < 0x7f ? text[i] : '.';
  }
  if (i < len) {
    memcpy(ret + n, "...", 3);
    n += 3;
  }
  ret[n] = '\0';
}

static const char *skip_blanks(const char *text, const char *end) {
  while (text < end && *text && strchr(" \t\r\n", *text)) text++;
  return text;
}

/* Words for what cannot be taken, NULL: it can. Outside of strings only these characters open a value or part two. */
static const char *count(const char *text, size_t len) {
  uint32_t depth = 0, values = 1;
  bool in_text = false;

  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (in_text) {
      if (c == '\\') i++;
      if (c == '"') in_text = false;
      continue;
    }
    if (c == '"') in_text = true;
    if (c == ',' || c == '[' || c == '{') values++;
    if ((c == '[' || c == '{') && ++depth > DK_JSON_DEPTH_MOST) return "it is nested too deep";
    if ((c == ']' || c == '}') && depth > 0) depth--;
    if (values > DK_JSON_VALUES_MOST) return "it has more than a million values";
  }
  return NULL;
}

static int refuse_text(const char *text, size_t len, const char *label, const char *what, struct dk_error *error) {
  char begin[QUOTE_MOST + 4];
  const char *first = skip_blanks(text, text + len);

  if (first == text + len)
    return dk_error_set(error, -EBADMSG, "%s: the answer is empty where JSON was expected", label);
  quote(text, len, begin);
  if (*first == '<')
    return dk_error_set(error, -EBADMSG,
                        "%s: the answer is a page or XML, not JSON: %s\nhelp: is the address that of the "
                        "service, and no proxy or login page on the way?",
                        label, begin);
  return dk_error_set(error, -EBADMSG, "%s: the answer cannot be read as JSON (%s): %s", label, what, begin);
}

/* Of most failures for lack of memory jansson says something else, or nothing. */
static _Thread_local bool is_short;

static void *json_alloc(size_t size) {
  void *memory = dk_alloc(size);

  if (!memory) is_short = true;
  return memory;
}

int dk_json_parse(const char *text, size_t len, const char *label, struct dk_json *ret, struct dk_error *error) {
  json_error_t why;

  *ret = (struct dk_json){.label = label};
  if (len > DK_JSON_MOST) return dk_error_set(error, -EMSGSIZE, "%s: the answer is larger than 16 MiB", label);
  const char *wrong = count(text, len);
  if (wrong) return refuse_text(text, len, label, wrong, error);
  is_short = false;
  json_set_alloc_funcs(json_alloc, dk_free);
  json_t *root = json_loadb(text, len, JSON_DECODE_ANY, &why);
  if (is_short) json_decref(root);
  if (is_short) return dk_error_system(error, -ENOMEM, "%s: reading the answer", label);
  if (!root) {
    bool is_cut = json_error_code(&why) == json_error_premature_end_of_input;
    char at[64];
    snprintf(at, sizeof at, "%s in line %d", is_cut ? "it ends too early" : "wrong", why.line);
    return refuse_text(text, len, label, at, error);
  }
  ret->value = root;
  return 0;
}

void dk_json_finish(struct dk_json *document) {
  json_decref((json_t *)document->value);
  document->value = NULL;
}

/* The way from the document to a place, then `name`. */
static void add_path(struct dk_buf *path, const struct dk_json *at, const char *name) {
  const struct dk_json *way[DK_JSON_DEPTH_MOST + 1];
  size_t n = 0;

  for (; at && at->parent && n < sizeof way / sizeof *way; at = at->parent) way[n++] = at;
  while (n-- > 0) {
    if (way[n]->name)
      dk_buf_printf(path, path->len ? ".%s" : "%s", way[n]->name);
    else
      dk_buf_printf(path, "[%u]", way[n]->index);
  }
  if (name) dk_buf_printf(path, path->len ? ".%s" : "%s", name);
}

int dk_json_refuse(const struct dk_json *in, const char *name, const char *what, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;

  add_path(&path, in, name);
  if (!dk_buf_ok(&path) || path.len == 0) return dk_error_set(error, -EBADMSG, "%s: the answer %s", in->label, what);
  return dk_error_set(error, -EBADMSG, "%s: the answer's %.*s %s", in->label, PATH_MOST, dk_buf_text(&path), what);
}

bool dk_json_find(const struct dk_json *in, const char *name, struct dk_json *ret) {
  const json_t *value = json_object_get(in->value, name);

  *ret = (struct dk_json){.value = value, .parent = in, .name = name, .label = in->label};
  return value && !json_is_null(value);
}

int dk_json_get(const struct dk_json *in, const char *name, struct dk_json *ret, struct dk_error *error) {
  if (!json_is_object(in->value)) return dk_json_refuse(in, NULL, "is no object", error);
  return dk_json_find(in, name, ret) ? 0 : dk_json_refuse(in, name, "is not there", error);
}

int dk_json_list(const struct dk_json *in, const char *name, struct dk_json *ret, uint32_t *ret_n,
                 struct dk_error *error) {
  int r = dk_json_get(in, name, ret, error);

  if (r < 0) return r;
  if (!json_is_array(ret->value)) return dk_json_refuse(in, name, "is no list", error);
  *ret_n = (uint32_t)json_array_size(ret->value);
  return 0;
}

void dk_json_item(const struct dk_json *list, uint32_t i, struct dk_json *ret) {
  *ret = (struct dk_json){.value = json_array_get(list->value, i), .parent = list, .index = i, .label = list->label};
}

bool dk_json_next(const struct dk_json *object, struct dk_json *at) {
  json_t *in = (json_t *)object->value;
  void *iter = at->name ? json_object_iter_next(in, json_object_key_to_iter(at->name)) : json_object_iter(in);

  if (!iter) return false;
  *at = (struct dk_json){.value = json_object_iter_value(iter),
                         .parent = object,
                         .name = json_object_iter_key(iter),
                         .label = object->label};
  return true;
}

bool dk_json_is_object(const struct dk_json *at) {
  return json_is_object(at->value);
}

const char *dk_json_text_of(const struct dk_json *at) {
  return json_string_value(at->value);
}

const char *dk_json_text_or(const struct dk_json *in, const char *name, const char *otherwise) {
  const char *text = json_string_value(json_object_get(in->value, name));

  return text ? text : otherwise;
}

int dk_json_text(const struct dk_json *in, const char *name, const char **ret, struct dk_error *error) {
  struct dk_json at;
  int r = dk_json_get(in, name, &at, error);

  if (r < 0) return r;
  if (!json_is_string(at.value)) return dk_json_refuse(in, name, "is no text", error);
  *ret = json_string_value(at.value);
  return 0;
}

int dk_json_copy_text(const struct dk_json *in, const char *name, char *ret, size_t size, struct dk_error *error) {
  const char *text = NULL;
  int r = dk_json_text(in, name, &text, error);

  if (r < 0) return r;
  if (!*text) return dk_json_refuse(in, name, "is empty", error);
  if (strlen(text) >= size) return dk_json_refuse(in, name, "is too long", error);
  memcpy(ret, text, strlen(text) + 1);
  return 0;
}

void dk_json_copy_some(const struct dk_json *in, const char *name, char *ret, size_t size) {
  snprintf(ret, size, "%.*s", (int)size - 1, dk_json_text_or(in, name, ""));
}

int dk_json_int(const struct dk_json *in, const char *name, int64_t *ret, struct dk_error *error) {
  struct dk_json at;
  int r = dk_json_get(in, name, &at, error);

  if (r < 0) return r;
  const char *text = json_string_value(at.value);
  if (text && dk_number_parse_int(text, strlen(text), ret) == 0) return 0;
  if (!json_is_integer(at.value)) return dk_json_refuse(in, name, "is no integer", error);
  *ret = json_integer_value(at.value);
  return 0;
}

int dk_json_number(const struct dk_json *in, const char *name, double *ret, struct dk_error *error) {
  struct dk_json at;
  int r = dk_json_get(in, name, &at, error);

  if (r < 0) return r;
  if (!json_is_number(at.value)) return dk_json_refuse(in, name, "is no number", error);
  *ret = json_number_value(at.value);
  return 0;
}

int dk_json_bool(const struct dk_json *in, const char *name, bool *ret, struct dk_error *error) {
  struct dk_json at;
  int r = dk_json_get(in, name, &at, error);

  if (r < 0) return r;
  if (!json_is_boolean(at.value)) return dk_json_refuse(in, name, "is neither true nor false", error);
  *ret = json_is_true(at.value);
  return 0;
}

int dk_json_time(const struct dk_json *in, const char *name, int64_t *ret, struct dk_error *error) {
  const char *text = NULL;
  int r = dk_json_text(in, name, &text, error);

  if (r < 0) return r;
  return dk_json_read_time(text, ret) ? 0 : dk_json_refuse(in, name, "is no time", error);
}

/* `n` digits at *at as a number; -1: they are not. */
static int digits(const char **at, int n) {
  int value = 0;

  for (; n > 0; n--, (*at)++) {
    if (**at < '0' || **at > '9') return -1;
    value = value * 10 + (**at - '0');
  }
  return value;
}

/* Days from 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day ends them. */
static int64_t days_of(int year, int month, int day) {
  int64_t y = month > 2 ? year : year - 1;
  int64_t of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;

  return y * 365 + y / 4 - y / 100 + y / 400 + of_year - 719468;
}

static bool read_zone(const char *at, int *ret_s) {
  *ret_s = 0;
  if (*at == '\0' || strcasecmp(at, "z") == 0) return true;
  int sign = *at == '+' ? 1 : *at == '-' ? -1 : 0;
  if (!sign) return false;
  at++;
  int hour = digits(&at, 2);
  if (hour < 0 || hour > 23) return false;
  if (*at == ':') at++;
  int minute = digits(&at, 2);
  *ret_s = sign * (hour * 3600 + minute * 60);
  return minute >= 0 && minute < 60 && *at == '\0';
}

bool dk_json_read_time(const char *text, int64_t *ret_unix_s) {
  static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  static const char between[] = "--T::";
  int part[6], zone;

  for (int i = 0; i < 6; i++) {
    part[i] = digits(&text, i == 0 ? 4 : 2);
    if (part[i] < 0) return false;
    if (i == 5) break;
    if (*text != between[i] && !(i == 2 && (*text == 't' || *text == ' '))) return false;
    text++;
  }
  if (*text == '.') {
    text++;
    if (!strspn(text, "0123456789")) return false;
    text += strspn(text, "0123456789");
  }
  if (!read_zone(text, &zone)) return false;
  if (part[1] < 1 || part[1] > 12 || part[2] < 1 || part[2] > days[part[1] - 1]) return false;
  if (part[3] > 23 || part[4] > 59 || part[5] > 60) return false; /* 60: a leap second */
  *ret_unix_s = days_of(part[0], part[1], part[2]) * 86400 + part[3] * 3600 + part[4] * 60 + part[5] - zone;
  return true;
}
