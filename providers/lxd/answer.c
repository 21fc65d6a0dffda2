/* What an answer says: see api.h. */
#include "providers/lxd/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Of an operation; doc/rest-api.md, "List of current status codes". */
enum { STATUS_ENDED = 200, STATUS_FAILED = 400 };

enum dk_lxd_reason dk_lxd_unread(int r) {
  return r == -ENOMEM ? DK_LXD_TRANSIENT : DK_LXD_UNKNOWN;
}

static int code_of(enum dk_lxd_reason reason) {
  switch (reason) {
  case DK_LXD_DENIED: return -EACCES;
  case DK_LXD_BAD_REQUEST: return -EINVAL;
  case DK_LXD_NOT_FOUND: return -ENOENT;
  case DK_LXD_EXISTS: return -EEXIST;
  case DK_LXD_QUOTA: return -EDQUOT;
  case DK_LXD_CAPACITY: return -ENOSPC;
  case DK_LXD_THROTTLED:
  case DK_LXD_TRANSIENT: return -EBUSY;
  default: return -EIO;
  }
}

static const char *help_of(enum dk_lxd_reason reason) {
  switch (reason) {
  case DK_LXD_DENIED:
    return "\nhelp: may this certificate do that in this project? `lxc config trust list` on the server says";
  case DK_LXD_QUOTA: return "\nhelp: `lxc project info PROJECT` on the server says what the project may have";
  case DK_LXD_CAPACITY: return "\nhelp: `lxc storage info POOL` on the server says how much room there is";
  default: return "";
  }
}

static enum dk_lxd_reason refuse(const char *label, int status, const char *words, struct dk_error *error) {
  enum dk_lxd_reason reason = dk_lxd_reason_of(status, words);
  char line[600];

  snprintf(line, sizeof line, "%s", *words ? words : "refused, and the server does not say why");
  for (char *c = line; *c; c++)
    if (*c == '\n') *c = ' ';
  dk_error_set(error, code_of(reason), "%s: %s%s", label, line, help_of(reason));
  return reason;
}

enum dk_lxd_reason dk_lxd_open(const struct dk_lxd_answer *answer, struct dk_json *document, struct dk_json *ret,
                               struct dk_error *error) {
  bool is_fine = answer->status >= 200 && answer->status < 300;
  const char *type = NULL, *words;
  char status[40];

  int r = dk_json_parse(answer->body, answer->len, answer->label, document, error);
  if (r == -ENOMEM) return DK_LXD_TRANSIENT;
  if (r < 0 && is_fine) return DK_LXD_UNKNOWN;
  words = r < 0 ? NULL : dk_json_text_or(document, "error", NULL);
  /* Who stands before the server (a proxy, a page that wants a login) refuses without JSON. */
  snprintf(status, sizeof status, "refused with status %d", answer->status);
  if (!is_fine) return refuse(answer->label, answer->status, words && *words ? words : status, error);
  r = dk_json_text(document, "type", &type, error);
  if (r < 0) return DK_LXD_UNKNOWN;
  if (strcmp(type, "error") == 0) return refuse(answer->label, 0, words ? words : "", error);
  r = dk_json_get(document, "metadata", ret, error);
  return r < 0 ? DK_LXD_UNKNOWN : DK_LXD_FINE;
}

/* What an operation that ended well says besides: it may be nothing. */
static void read_result(const struct dk_json *in, struct dk_lxd_operation *ret) {
  struct dk_json result;
  int64_t code = 0;

  if (!dk_json_find(in, "metadata", &result)) return;
  COPY_SOME(&result, "fingerprint", ret->fingerprint);
  if (dk_json_int(&result, "return", &code, NULL) == 0 && code >= 0 && code <= INT32_MAX) ret->exit_code = (int)code;
}

/* KEEP is done at once: there is no operation. */
static bool is_done_at_once(const struct dk_json *document, const struct dk_json *in) {
  struct dk_json member = {0};

  return strcmp(dk_json_text_or(document, "type", ""), "sync") == 0 && dk_json_is_object(in) &&
         !dk_json_next(in, &member);
}

static enum dk_lxd_reason read_operation(const struct dk_json *in, struct dk_lxd_operation *ret,
                                         struct dk_error *error) {
  int64_t status = 0;

  int r = COPY_TEXT(in, "id", ret->id, error);
  if (r == 0) r = dk_json_int(in, "status_code", &status, error);
  if (r < 0) return DK_LXD_UNKNOWN;
  if (status >= STATUS_FAILED) return refuse(in->label, 0, dk_json_text_or(in, "err", ""), error);
  ret->has_ended = status >= STATUS_ENDED;
  read_result(in, ret);
  return DK_LXD_FINE;
}

enum dk_lxd_reason dk_lxd_read_operation(const struct dk_lxd_answer *answer, struct dk_lxd_operation *ret,
                                         struct dk_error *error) {
  struct dk_json document = {0}, in = {0};

  *ret = (struct dk_lxd_operation){.exit_code = -1};
  enum dk_lxd_reason reason = dk_lxd_open(answer, &document, &in, error);
  if (reason == DK_LXD_FINE && is_done_at_once(&document, &in))
    ret->has_ended = true;
  else if (reason == DK_LXD_FINE)
    reason = read_operation(&in, ret, error);
  if (reason != DK_LXD_FINE) *ret = (struct dk_lxd_operation){.exit_code = -1};
  dk_json_finish(&document);
  return reason;
}

static bool has_extension(const struct dk_json *in, const char *name) {
  struct dk_json list, item;
  uint32_t n = 0;

  if (dk_json_list(in, "api_extensions", &list, &n, NULL) < 0) return false;
  for (uint32_t i = 0; i < n; i++) {
    dk_json_item(&list, i, &item);
    const char *text = dk_json_text_of(&item);
    if (text && strcmp(text, name) == 0) return true;
  }
  return false;
}

static enum dk_lxd_reason read_server(const struct dk_json *in, struct dk_lxd_server *ret, struct dk_error *error) {
  const char *auth = NULL, *drivers;
  struct dk_json environment;

  if (dk_json_text(in, "auth", &auth, error) < 0) return DK_LXD_UNKNOWN;
  if (strcmp(auth, "trusted") != 0) {
    dk_error_set(error, -EACCES,
                 "%s: the server does not trust this certificate\nhelp: add it there: lxc config trust add FILE",
                 in->label);
    return DK_LXD_DENIED;
  }
  if (dk_json_get(in, "environment", &environment, error) < 0 ||
      COPY_TEXT(&environment, "server", ret->kind, error) < 0 ||
      COPY_TEXT(&environment, "server_version", ret->version, error) < 0)
    return DK_LXD_UNKNOWN;
  /* The newest of what is used here. */
  if (!has_extension(in, "cloud_init")) {
    dk_error_set(error, -EINVAL, "%s: LXD %s is too old: it has to be 4.21 or later", in->label, ret->version);
    return DK_LXD_BAD_REQUEST;
  }
  COPY_SOME(&environment, "server_name", ret->name);
  dk_json_bool(&environment, "server_clustered", &ret->is_clustered, NULL);
  drivers = dk_json_text_or(&environment, "driver", "");
  ret->has_containers = strstr(drivers, "lxc");
  ret->has_vms = strstr(drivers, "qemu");
  return DK_LXD_FINE;
}

enum dk_lxd_reason dk_lxd_read_server(const struct dk_lxd_answer *answer, struct dk_lxd_server *ret,
                                      struct dk_error *error) {
  struct dk_json document = {0}, in = {0};

  *ret = (struct dk_lxd_server){0};
  enum dk_lxd_reason reason = dk_lxd_open(answer, &document, &in, error);
  if (reason == DK_LXD_FINE) reason = read_server(&in, ret, error);
  if (reason != DK_LXD_FINE) *ret = (struct dk_lxd_server){0};
  dk_json_finish(&document);
  return reason;
}
