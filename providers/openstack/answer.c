/* What an answer says: see api.h. */
#include "providers/openstack/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int code_of(enum dk_cloud_failure failure) {
  switch (failure) {
  case DK_CLOUD_QUOTA: return -EDQUOT;
  case DK_CLOUD_DENIED: return -EACCES;
  case DK_CLOUD_BAD: return -EINVAL;
  case DK_CLOUD_THROTTLED: return -EBUSY;
  default: return -EIO;
  }
}

static const char *help_of(int status, enum dk_cloud_failure failure) {
  if (status == 406) return "\nhelp: Nova of OpenStack Stein (2019) or later is needed";
  if (failure == DK_CLOUD_QUOTA) return "\nhelp: `openstack limits show --absolute` says what the project may have";
  if (status == 401) return "\nhelp: are user, password, domains and project right, and the credential not expired?";
  if (failure == DK_CLOUD_DENIED) return "\nhelp: `openstack role assignment list` says what this user may do";
  return "";
}

/* Faults are one object with a message, under a name: {"forbidden": {"code": 403, "message": ...}} of Nova, {"error":
 * ...} of Keystone, {"NeutronError": ...} of Neutron. Glance's are webob's (webob/exc.py, WSGIHTTPException), without a
 * name: {"message": ..., "code": "404 Not Found", "title": "Not Found"}; of a message alone nobody knows whose it is.
 * NULL: it is none. */
static const char *find_message(const struct dk_json *document) {
  const char *code = dk_json_text_or(document, "code", ""), *title = dk_json_text_or(document, "title", "");
  struct dk_json at = {0};
  const char *words = *title && strstr(code, title) ? dk_json_text_or(document, "message", NULL) : NULL;

  while (!words && dk_json_next(document, &at)) words = dk_json_text_or(&at, "message", NULL);
  return words;
}

/* A refusal without a fault: whoever stands before the service. */
static enum dk_cloud_failure refuse_page(const struct dk_http_answer *answer, struct dk_error *error) {
  dk_http_refuse(answer, error);
  return answer->status == 429 || (answer->status == 503 && answer->retry_after_ns) ? DK_CLOUD_THROTTLED
                                                                                    : DK_CLOUD_TRANSIENT;
}

static enum dk_cloud_failure refuse(const struct dk_http_answer *answer, const char *words, struct dk_error *error) {
  enum dk_cloud_failure failure = dk_openstack_failure_of(answer->status, words);
  char line[600];

  snprintf(line, sizeof line, "%s", words);
  line[strcspn(line, "<")] = '\0'; /* Glance's end with "<br /><br />" */
  for (char *c = line; *c; c++)
    if (*c == '\n' || *c == '\r') *c = ' ';
  for (size_t len = strlen(line); len > 0 && strchr(" .", line[len - 1]); len--) line[len - 1] = '\0';
  dk_error_set(error, code_of(failure), "%s: %s (status %d)%s", answer->label, line, answer->status,
               help_of(answer->status, failure));
  return failure;
}

enum dk_cloud_failure dk_openstack_open(const struct dk_http_answer *answer, struct dk_json *document,
                                        struct dk_error *error) {
  bool is_fine = answer->status >= 200 && answer->status < 300;

  int r = dk_json_parse(answer->body, answer->body_len, answer->label, document, error);
  if (r == -ENOMEM || (r < 0 && is_fine)) return DK_CLOUD_TRANSIENT;
  if (r == 0 && is_fine) return DK_CLOUD_FINE;
  const char *words = r == 0 ? find_message(document) : NULL;
  return words && *words ? refuse(answer, words, error) : refuse_page(answer, error);
}

int dk_openstack_copy_id(const struct dk_json *in, const char *name, char *ret, size_t size, struct dk_error *error) {
  int r = dk_json_copy_text(in, name, ret, size, error);

  if (r < 0) return r;
  if (strspn(ret, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == strlen(ret)) return 0;
  *ret = '\0';
  return dk_json_refuse(in, name, "is no id", error);
}

bool dk_openstack_has_next(const struct dk_json *document, const char *links) {
  struct dk_json list, item;
  uint32_t n = 0;

  if (dk_json_list(document, links, &list, &n, NULL) < 0) return false;
  for (uint32_t i = 0; i < n; i++) {
    dk_json_item(&list, i, &item);
    if (strcmp(dk_json_text_or(&item, "rel", ""), "next") == 0) return true;
  }
  return false;
}

enum dk_cloud_failure dk_openstack_read_created(const struct dk_http_answer *answer, char ret_id[DK_OPENSTACK_ID],
                                                struct dk_error *error) {
  struct dk_json document = {0}, server;

  *ret_id = '\0';
  enum dk_cloud_failure failure = dk_openstack_open(answer, &document, error);
  if (failure == DK_CLOUD_FINE && (dk_json_get(&document, "server", &server, error) < 0 ||
                                   dk_openstack_copy_id(&server, "id", ret_id, DK_OPENSTACK_ID, error) < 0))
    failure = DK_CLOUD_TRANSIENT;
  dk_json_finish(&document);
  return failure;
}

enum dk_cloud_failure dk_openstack_read_deleted(const struct dk_http_answer *answer, const char *id,
                                                bool *ret_is_absent, struct dk_error *error) {
  struct dk_json document = {0};

  *ret_is_absent = false;
  if (answer->status == 204) return DK_CLOUD_FINE;
  enum dk_cloud_failure failure = dk_openstack_open(answer, &document, error);
  const char *words = failure == DK_CLOUD_BAD ? find_message(&document) : NULL;
  *ret_is_absent = answer->status == 404 && words && strstr(words, id);
  if (*ret_is_absent) failure = DK_CLOUD_FINE;
  /* It is in the middle of something, or nobody knows what answered: another time. */
  if (failure == DK_CLOUD_BAD && (answer->status == 404 || answer->status == 409)) failure = DK_CLOUD_TRANSIENT;
  if (failure == DK_CLOUD_FINE && !*ret_is_absent) {
    dk_error_set(error, -EBADMSG, "%s: status %d is no answer to a delete", answer->label, answer->status);
    failure = DK_CLOUD_TRANSIENT;
  } else if (failure == DK_CLOUD_FINE) {
    *error = (struct dk_error){0};
  }
  dk_json_finish(&document);
  return failure;
}

static int read_limits(const struct dk_json *document, struct dk_openstack_limits *ret, struct dk_error *error) {
  const struct {
    const char *name;
    int64_t *ret;
  } fields[] = {{"maxTotalInstances", &ret->machines}, {"totalInstancesUsed", &ret->machines_used},
                {"maxTotalCores", &ret->cpus},         {"totalCoresUsed", &ret->cpus_used},
                {"maxTotalRAMSize", &ret->memory},     {"totalRAMUsed", &ret->memory_used}};
  struct dk_json limits, absolute;

  int r = dk_json_get(document, "limits", &limits, error);
  if (r == 0) r = dk_json_get(&limits, "absolute", &absolute, error);
  for (size_t i = 0; i < sizeof fields / sizeof *fields && r == 0; i++)
    r = dk_json_int(&absolute, fields[i].name, fields[i].ret, error);
  return r;
}

enum dk_cloud_failure dk_openstack_read_limits(const struct dk_http_answer *answer, struct dk_openstack_limits *ret,
                                               struct dk_error *error) {
  struct dk_json document = {0};

  *ret = (struct dk_openstack_limits){0};
  enum dk_cloud_failure failure = dk_openstack_open(answer, &document, error);
  if (failure == DK_CLOUD_FINE && read_limits(&document, ret, error) < 0) {
    *ret = (struct dk_openstack_limits){0};
    failure = DK_CLOUD_TRANSIENT;
  }
  dk_json_finish(&document);
  return failure;
}
