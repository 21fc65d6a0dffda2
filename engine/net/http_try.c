/* One try of a request: a fresh handle of libcurl's, all of its options, and what it calls back. See http.h.
 *
 * libcurl by itself sends a request again when a connection that it used before breaks without an answer. For
 * DK_HTTP_ONCE that is ruled out twice: its connection is fresh, and a second start of sending is refused. */
#include "engine/net/http_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

struct setting {
  CURL *easy;
  CURLcode code; /* the first failure */
};

#define SET(setting, option, value)                                                                                    \
  do {                                                                                                                 \
    if ((setting)->code == CURLE_OK) (setting)->code = dk_curl_easy_setopt((setting)->easy, option, value);            \
  } while (0)

static int on_start(void *ctx, char *their_ip, char *our_ip, int their_port, int our_port) {
  struct dk_http_call *call = ctx;

  (void)their_ip, (void)our_ip, (void)their_port, (void)our_port;
  if (call->was_sent && call->with.class == DK_HTTP_ONCE) return CURL_PREREQFUNC_ABORT;
  call->is_unclear = call->is_unclear || (call->was_sent && !dk_http_is_reading(call)); /* curl sends it again */
  call->was_sent = true;
  call->heard_at = dk_now_ns();
  return CURL_PREREQFUNC_OK;
}

/* curl's own would be inherited by programs that others start, and tells of no failure. */
static curl_socket_t on_open(void *ctx, curlsocktype what, struct curl_sockaddr *to) {
  struct dk_http_call *call = ctx;

  (void)what;
  int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
  if (fd < 0) call->no_socket = errno;
  return fd;
}

static int on_moved(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up) {
  struct dk_http_call *call = ctx;

  (void)down_total, (void)up_total;
  if (down + up != call->moved) call->heard_at = dk_now_ns();
  call->moved = down + up;
  return 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx) {
  struct dk_http_call *call = ctx;

  call->heard_at = dk_now_ns();
  int r = dk_head_add(&call->head, line, size * n);
  if (r == 0) return size * n;
  call->cut = r == -ENOMEM ? CUT_MEMORY : CUT_HEADERS;
  return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx) {
  struct dk_http_call *call = ctx;

  call->heard_at = dk_now_ns();
  if (size * n > call->with.body_most - call->body.len) {
    call->cut = CUT_BODY;
    return 0;
  }
  dk_buf_add(&call->body, data, size * n);
  if (dk_buf_ok(&call->body)) return size * n;
  call->cut = CUT_MEMORY;
  return 0;
}

static void set_callbacks(struct setting *to, struct dk_http_call *call) {
  SET(to, CURLOPT_PRIVATE, call);
  SET(to, CURLOPT_ERRORBUFFER, call->detail);
  SET(to, CURLOPT_OPENSOCKETFUNCTION, (curl_opensocket_callback){on_open});
  SET(to, CURLOPT_OPENSOCKETDATA, call);
  SET(to, CURLOPT_PREREQFUNCTION, (curl_prereq_callback){on_start});
  SET(to, CURLOPT_PREREQDATA, call);
  SET(to, CURLOPT_NOPROGRESS, 0L);
  SET(to, CURLOPT_XFERINFOFUNCTION, (curl_xferinfo_callback){on_moved});
  SET(to, CURLOPT_XFERINFODATA, call);
  SET(to, CURLOPT_HEADERFUNCTION, (curl_write_callback){on_header});
  SET(to, CURLOPT_HEADERDATA, call);
  SET(to, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* a proxy's are no answer */
  SET(to, CURLOPT_WRITEFUNCTION, (curl_write_callback){on_body});
  SET(to, CURLOPT_WRITEDATA, call);
}

static void set_connection(struct setting *to, const struct dk_http_call *call) {
  uint64_t connect_ms = call->with.connect_ns / 1000000u;

  SET(to, CURLOPT_NOSIGNAL, 1L);
  /* Without it a request that ends while its name is looked up waits for the resolver's thread (Curl_resolver_kill in
   * curl's lib/asyn-thread.c). */
  SET(to, CURLOPT_QUICK_EXIT, 1L);
  SET(to, CURLOPT_PROTOCOLS_STR, "http,https");
  SET(to, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(to, CURLOPT_FOLLOWLOCATION, 0L); /* http_settle.c: curl would send our headers along to any host */
  SET(to, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  SET(to, CURLOPT_CONNECTTIMEOUT_MS, connect_ms > 0 ? (long)connect_ms : 1L);
  if (call->is_near) SET(to, CURLOPT_PROXY, "");
  if (call->with.unix_socket) SET(to, CURLOPT_UNIX_SOCKET_PATH, call->with.unix_socket);
  if (call->with.class == DK_HTTP_ONCE) {
    SET(to, CURLOPT_FRESH_CONNECT, 1L);
    SET(to, CURLOPT_FORBID_REUSE, 1L);
  }
}

/* The default folder of authorities is taken away, else it would count beside the file that was given. */
static void set_trust(struct setting *to, struct dk_http_call *call) {
  const struct dk_http_request *with = &call->with;

  SET(to, CURLOPT_SSL_VERIFYPEER, 1L);
  SET(to, CURLOPT_SSL_VERIFYHOST, call->pin[0] ? 0L : 2L);
  SET(to, CURLOPT_CAPATH, (char *)NULL);
  /* Without memory curl 7.88 frees the name of a session's host twice (Curl_ssl_addsessionid in its
   * lib/vtls/vtls.c). */
  SET(to, CURLOPT_SSL_SESSIONID_CACHE, 0L);
  if (call->pin[0]) {
    struct curl_blob pem = {.data = call->pem.data, .len = call->pem.len, .flags = CURL_BLOB_NOCOPY};
    SET(to, CURLOPT_CAINFO_BLOB, &pem);
    SET(to, CURLOPT_PINNEDPUBLICKEY, call->pin);
  } else if (with->ca_file) {
    SET(to, CURLOPT_CAINFO, with->ca_file);
    SET(to, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* curl goes by its name, and it may be edited */
  }
  if (with->cert_file) SET(to, CURLOPT_SSLCERT, with->cert_file);
  if (with->key_file) SET(to, CURLOPT_SSLKEY, with->key_file);
}

static void set_request(struct setting *to, const struct dk_http_call *call) {
  const struct dk_http_request *with = &call->with;
  bool has_body = with->body_len > 0 || strcmp(with->method, "POST") == 0 || strcmp(with->method, "PUT") == 0 ||
                  strcmp(with->method, "PATCH") == 0;

  SET(to, CURLOPT_URL, call->at ? call->at : with->url);
  SET(to, CURLOPT_PATH_AS_IS, 1L); /* it may be signed */
  SET(to, CURLOPT_HTTPHEADER, call->headers);
  SET(to, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)with->body_most); /* one that says so is not read */
  SET(to, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
  if (has_body) {
    SET(to, CURLOPT_POST, 1L);
    SET(to, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)with->body_len);
    SET(to, CURLOPT_POSTFIELDS, with->body ? (const char *)with->body : "");
  } else if (strcmp(with->method, "HEAD") == 0) {
    SET(to, CURLOPT_NOBODY, 1L);
  }
  SET(to, CURLOPT_CUSTOMREQUEST, with->method);
}

static int set_all(struct dk_http_call *call, struct dk_error *error) {
  struct setting to = {.easy = call->easy, .code = CURLE_OK};

  set_callbacks(&to, call);
  set_connection(&to, call);
  set_trust(&to, call);
  set_request(&to, call);
  if (to.code == CURLE_OK) return 0;
  if (to.code == CURLE_OUT_OF_MEMORY) return dk_error_system(error, -ENOMEM, "%s", call->with.label);
  return dk_error_set(
      error, -ENOTSUP,
      "%s: this machine's libcurl lacks something: %s\nhelp: dkrun needs libcurl 7.88 or later, made with OpenSSL",
      call->with.label, dk_curl.easy_strerror(to.code));
}

int dk_http_try_begin(struct dk_http_call *call, struct dk_error *error) {
  dk_buf_clear(&call->body);
  dk_buf_clear(&call->head.text);
  call->head.seen = 0;
  call->detail[0] = '\0';
  call->cut = CUT_NOT;
  call->was_sent = false;
  call->no_socket = 0;
  call->moved = 0;
  call->tries++;
  call->try_at = call->heard_at = dk_now_ns();
  call->easy = dk_curl.easy_init();
  if (!call->easy) return dk_error_system(error, -ENOMEM, "%s", call->with.label);
  int r = set_all(call, error);
  if (r == 0 && dk_curl.multi_add_handle(call->http->multi, call->easy) != CURLM_OK)
    r = dk_error_system(error, -ENOMEM, "%s", call->with.label);
  if (r < 0) dk_http_try_end(call);
  return r;
}

void dk_http_try_end(struct dk_http_call *call) {
  if (!call->easy) return;
  dk_curl.multi_remove_handle(call->http->multi, call->easy); /* one that was not added: no harm */
  dk_curl.easy_cleanup(call->easy);
  call->easy = NULL;
}
