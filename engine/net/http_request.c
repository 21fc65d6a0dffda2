/* A request is copied and looked at before anything is sent: see http.h. What curl would let pass and a server could
 * take for something else (line ends in headers, a user in the URL) is refused here. */
#include "engine/net/http_priv.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)
#define BODY_MOST ((size_t)16 << 20)
#define HEADERS_MOST ((size_t)64 << 10)
#define TOKEN_CHARS                                                                                                    \
  "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" /* RFC 9110, 5.6.2 */

static bool copy(const char **text) {
  if (!*text) return true;
  *text = dk_strdup(*text);
  return *text != NULL;
}

static uint64_t or_default(uint64_t value, uint64_t otherwise) {
  return value ? value : otherwise;
}

static void set_defaults(struct dk_http_request *with) {
  with->connect_ns = or_default(with->connect_ns, 20 * SECOND_NS);
  with->silence_ns = or_default(with->silence_ns, 30 * SECOND_NS);
  with->try_ns = or_default(with->try_ns, 120 * SECOND_NS);
  with->deadline_ns = or_default(with->deadline_ns, 300 * SECOND_NS);
  if (!with->body_most) with->body_most = BODY_MOST;
  if (!with->headers_most) with->headers_most = HEADERS_MOST;
}

/* Every text becomes the call's own, or NULL: what is freed later must not be the caller's. */
static bool copy_texts(struct dk_http_request *with) {
  const char **texts[] = {&with->label,   &with->method,    &with->url,      &with->unix_socket,
                          &with->ca_file, &with->cert_file, &with->key_file, &with->pin_file};
  bool is_whole = true;

  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) is_whole = copy(texts[i]) && is_whole;
  if (with->body_len) {
    with->body = dk_memdup(with->body, with->body_len);
    is_whole = with->body && is_whole;
  } else {
    with->body = NULL;
  }
  return is_whole;
}

static void free_names(const char *const *names) {
  for (const char *const *name = names; name && *name; name++) dk_free((char *)*name);
  dk_free((void *)names);
}

static bool copy_names(struct dk_http_request *with) {
  const char *const *from = with->request_id_headers;
  size_t n = 0;

  if (!from) return true;
  while (from[n]) n++;
  const char **names = dk_calloc(n + 1, sizeof *names);
  with->request_id_headers = names;
  for (size_t i = 0; names && i < n; i++) {
    names[i] = dk_strdup(from[i]);
    if (!names[i]) return false;
  }
  return names != NULL;
}

static int add_header(struct curl_slist **list, const char *line) {
  struct curl_slist *longer = dk_curl.slist_append(*list, line);

  if (!longer) return -ENOMEM;
  *list = longer;
  return 0;
}

/* A value of none is said by a semicolon (CURLOPT_HTTPHEADER). */
static int make_headers(struct dk_http_call *call, struct dk_error *error) {
  const struct dk_http_request *with = &call->with;
  bool has_type = false, has_agent = false;
  int r = add_header(&call->headers, "Expect:"); /* no answer of its own to wait for */

  for (uint32_t i = 0; r == 0 && i < with->n_headers; i++) {
    const struct dk_http_header *header = &with->headers[i];
    dk_autobuf line = DK_BUF_INIT;
    if (!*header->name || header->name[strspn(header->name, TOKEN_CHARS)] || strpbrk(header->value, "\r\n"))
      return dk_error_set(error, -EINVAL, "%s: the %u. header of the request is malformed", with->label, i + 1);
    if (strcasecmp(header->name, "Content-Type") == 0) has_type = true;
    if (strcasecmp(header->name, "User-Agent") == 0) has_agent = true;
    dk_buf_printf(&line, *header->value ? "%s: %s" : "%s;%s", header->name, header->value);
    r = dk_buf_ok(&line) ? add_header(&call->headers, dk_buf_text(&line)) : -ENOMEM;
  }
  if (r == 0 && !has_type) r = add_header(&call->headers, "Content-Type:"); /* curl's guess is a form */
  if (r == 0 && !has_agent) r = add_header(&call->headers, "User-Agent: dkrun");
  return r == 0 ? 0 : dk_error_system(error, r, "%s", with->label);
}

static bool is_loopback(const char *host) {
  return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
         (strncmp(host, "127.", 4) == 0 && !host[strspn(host, "0123456789.")]);
}

/* Host for people, with the port when there is one. */
static char *host_of(CURLU *url) {
  char *host = NULL, *port = NULL, *both = NULL;

  CURLUcode r = dk_curl.url_get(url, CURLUPART_PORT, &port, 0);
  if ((r == CURLUE_OK || r == CURLUE_NO_PORT) && dk_curl.url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
    dk_autobuf text = DK_BUF_INIT;
    dk_buf_printf(&text, port ? "%s:%s" : "%s", host, port);
    both = dk_buf_steal(&text);
  }
  dk_curl.free(host);
  dk_curl.free(port);
  return both;
}

static int read_url(struct dk_http_call *call, CURLU *url, struct dk_error *error) {
  const struct dk_http_request *with = &call->with;
  char *scheme = NULL, *user = NULL, *host = NULL;

  CURLUcode code = dk_curl.url_set(url, CURLUPART_URL, with->url, CURLU_PATH_AS_IS);
  if (code == CURLUE_OK) code = dk_curl.url_get(url, CURLUPART_SCHEME, &scheme, 0);
  if (code == CURLUE_OK) code = dk_curl.url_get(url, CURLUPART_HOST, &host, 0);
  if (code == CURLUE_OK && dk_curl.url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OUT_OF_MEMORY)
    code = CURLUE_OUT_OF_MEMORY;
  int r = 0;
  if (code == CURLUE_OUT_OF_MEMORY)
    r = dk_error_system(error, -ENOMEM, "%s", with->label);
  else if (code != CURLUE_OK)
    r = dk_error_set(error, -EINVAL, "%s: the address is no URL: %s", with->label, dk_curl.url_strerror(code));
  else if (user)
    r = dk_error_set(error, -EINVAL, "%s: the address has a user in it\nhelp: credentials have settings of their own",
                     with->label);
  else if (strcasecmp(scheme, "https") != 0 && strcasecmp(scheme, "http") != 0)
    r = dk_error_set(error, -EINVAL, "%s: the address begins with %s://\nhelp: it must be https://", with->label,
                     scheme);
  if (r == 0) {
    call->is_https = strcasecmp(scheme, "https") == 0;
    call->is_near = with->unix_socket || is_loopback(host);
    if (!call->is_https && !call->is_near && !with->allows_plain)
      r = dk_error_set(error, -EINVAL, "%s: %s would be asked without encryption\nhelp: write https:// in the address",
                       with->label, host);
  }
  dk_curl.free(scheme);
  dk_curl.free(user);
  dk_curl.free(host);
  return r;
}

static int take_url(struct dk_http_call *call, struct dk_error *error) {
  CURLU *url = dk_curl.url();

  int r = url ? read_url(call, url, error) : dk_error_system(error, -ENOMEM, "%s", call->with.label);
  if (r == 0) {
    call->host = call->with.unix_socket ? dk_strdup(call->with.unix_socket) : host_of(url);
    if (!call->host) r = dk_error_system(error, -ENOMEM, "%s", call->with.label);
  }
  dk_curl.url_cleanup(url);
  return r;
}

static int check_file(const struct dk_http_call *call, const char *path, const char *what, struct dk_error *error) {
  if (!path || access(path, R_OK) == 0) return 0;
  return dk_error_system(error, -errno, "%s: cannot read %s %s", call->with.label, what, path);
}

static int take_files(struct dk_http_call *call, struct dk_error *error) {
  const struct dk_http_request *with = &call->with;

  int r = check_file(call, with->ca_file, "the authorities' certificates", error);
  if (r == 0) r = check_file(call, with->cert_file, "our certificate", error);
  if (r == 0) r = check_file(call, with->key_file, "our key", error);
  if (r < 0 || !with->pin_file) return r;
  r = dk_pin_read(with->pin_file, &call->pem, call->pin, error);
  if (r < 0) dk_error_prefix(error, "%s", with->label);
  return r;
}

static int check_method(const struct dk_http_call *call, struct dk_error *error) {
  const char *method = call->with.method;

  if (*method && !method[strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")]) return 0;
  return dk_error_set(error, -EINVAL, "%s: %s is no method of HTTP", call->with.label, method);
}

int dk_http_call_create(const struct dk_http_request *request, struct dk_http_call **ret, struct dk_error *error) {
  struct dk_http_call *call = dk_calloc(1, sizeof *call);

  if (!call) return dk_error_system(error, -ENOMEM, "%s", request->label);
  call->with = *request;
  set_defaults(&call->with);
  dk_head_init(&call->head, call->with.headers_most);
  bool has_texts = copy_texts(&call->with), has_names = copy_names(&call->with);
  int r = has_texts && has_names ? check_method(call, error) : dk_error_system(error, -ENOMEM, "%s", request->label);
  if (r == 0) r = make_headers(call, error);
  call->with.headers = NULL;
  if (r == 0) r = take_url(call, error);
  if (r == 0) r = take_files(call, error);
  if (r < 0) {
    dk_http_call_destroy(call);
    return r;
  }
  *ret = call;
  return 0;
}

void dk_http_call_destroy(struct dk_http_call *call) {
  struct dk_http_request *with = &call->with;
  const char *texts[] = {with->label,   with->method,    with->url,      with->unix_socket,
                         with->ca_file, with->cert_file, with->key_file, with->pin_file};

  dk_http_try_end(call);
  if (call->link) *call->link = call->next;
  if (call->next) call->next->link = call->link;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) dk_free((char *)texts[i]);
  free_names(with->request_id_headers);
  dk_free((void *)with->body);
  dk_curl.slist_free_all(call->headers);
  dk_free(call->host);
  dk_free(call->elsewhere);
  dk_free(call->at);
  dk_buf_finish(&call->pem);
  dk_head_finish(&call->head);
  dk_buf_finish(&call->body);
  dk_free(call);
}

static int errno_of(CURLUcode code) {
  return code == CURLUE_OK ? 0 : code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

/* 1, 0, negative errno. */
static int is_same_part(CURLU *a, CURLU *b, CURLUPart part) {
  char *x = NULL, *y = NULL;

  int r = errno_of(dk_curl.url_get(a, part, &x, CURLU_DEFAULT_PORT));
  if (r == 0) r = errno_of(dk_curl.url_get(b, part, &y, CURLU_DEFAULT_PORT));
  if (r == 0) r = strcasecmp(x, y) == 0;
  dk_curl.free(x);
  dk_curl.free(y);
  return r;
}

static int is_same_host(CURLU *a, CURLU *b) {
  int r = is_same_part(a, b, CURLUPART_SCHEME);

  if (r == 1) r = is_same_part(a, b, CURLUPART_HOST);
  if (r == 1) r = is_same_part(a, b, CURLUPART_PORT);
  return r;
}

/* `there` begins as the same as `here`, so that `location` may be relative to it. */
static int lead(const char *at, const char *location, CURLU *here, CURLU *there, char **ret_url, char **ret_elsewhere) {
  if (!here || !there) return -ENOMEM;
  int r = errno_of(dk_curl.url_set(here, CURLUPART_URL, at, CURLU_PATH_AS_IS));
  if (r == 0) r = errno_of(dk_curl.url_set(there, CURLUPART_URL, at, CURLU_PATH_AS_IS));
  if (r == 0) r = errno_of(dk_curl.url_set(there, CURLUPART_URL, location, 0));
  if (r == 0) r = is_same_host(here, there);
  if (r < 0) return r;
  if (r == 1) return errno_of(dk_curl.url_get(there, CURLUPART_URL, ret_url, 0));
  *ret_elsewhere = host_of(there);
  return *ret_elsewhere ? 0 : -ENOMEM;
}

int dk_http_lead(const struct dk_http_call *call, const char *location, char **ret_url, char **ret_elsewhere) {
  CURLU *here = dk_curl.url(), *there = dk_curl.url();

  *ret_url = *ret_elsewhere = NULL;
  int r = lead(call->at ? call->at : call->with.url, location, here, there, ret_url, ret_elsewhere);
  dk_curl.url_cleanup(here);
  dk_curl.url_cleanup(there);
  return r == -EINVAL ? 0 : r;
}
