/* What went wrong, and what to do: the words of http.h. Of the request they have its label and its host alone; of
 * curl's own words what it says of connections and certificates. */
#include "engine/net/http_priv.h"

#include "lang/base/number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* X509_V_ERR_... of OpenSSL's <openssl/x509_vfy.h>, which CURLINFO_SSL_VERIFYRESULT is in. */
enum { UNSPECIFIED = 1, NOT_YET_VALID = 9, HAS_EXPIRED = 10 };

/* The variable that may have named a proxy; its value can have a password. */
static const char *proxy_variable(const struct dk_http_call *call) {
  static const char *const of_https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
  static const char *const of_http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};

  if (call->is_near) return NULL;
  for (const char *const *name = call->is_https ? of_https : of_http; *name; name++) {
    const char *value = getenv(*name);
    if (value && *value) return *name;
  }
  return NULL;
}

/* Of a connection that does not stand yet curl tells no times: its own end has a port when the other end has answered.
 */
static const char *stage(const struct dk_http_call *call) {
  curl_off_t name = 0, answer = 0;
  long port = 0;

  dk_curl_easy_getinfo(call->easy, CURLINFO_NAMELOOKUP_TIME_T, &name);
  dk_curl_easy_getinfo(call->easy, CURLINFO_LOCAL_PORT, &port);
  dk_curl_easy_getinfo(call->easy, CURLINFO_STARTTRANSFER_TIME_T, &answer);
  if (call->was_sent) return answer ? "in the middle of its answer" : "while waiting for its answer";
  if (!name) return "while its name was looked up";
  if (port <= 0) return "while connecting";
  if (!call->is_https) return "before anything was sent";
  return proxy_variable(call) ? "at the proxy or in the TLS handshake" : "in the TLS handshake";
}

static int explain_connect(const struct dk_http_call *call, struct dk_error *error) {
  long number = 0;
  const char *proxy = proxy_variable(call);

  if (call->no_socket) return dk_error_system(error, -call->no_socket, "opening a socket for %s", call->host);
  dk_curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &number);
  int r = number > 0 ? -(int)number : -ECONNREFUSED;
  if (proxy)
    return dk_error_system(error, r, "no connection to %s or to its proxy\nhelp: %s is set: is it the right proxy?",
                           call->host, proxy);
  if (call->with.unix_socket)
    return dk_error_system(error, r, "no connection to %s\nhelp: is its service running, and may you use it?",
                           call->host);
  return dk_error_system(error, r, "no connection to %s\nhelp: is the address right, and the service up?", call->host);
}

static int explain_trust(const struct dk_http_call *call, struct dk_error *error) {
  long why = 0;

  dk_curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &why);
  if (why == HAS_EXPIRED)
    return dk_error_set(error, -EKEYREJECTED,
                        "the certificate of %s has expired\nhelp: if this machine's clock is right, "
                        "who runs the service must renew it",
                        call->host);
  if (why == NOT_YET_VALID)
    return dk_error_set(error, -EKEYREJECTED,
                        "the certificate of %s is not valid yet\nhelp: is this machine's clock right?", call->host);
  if (why <= UNSPECIFIED) /* the chain is good: it is the name */
    return dk_error_set(error, -EKEYREJECTED,
                        "the certificate that came is not that of %s (%s)\nhelp: use the name that "
                        "its certificate has",
                        call->host, call->detail);
  if (call->pin[0])
    return dk_error_set(error, -EKEYREJECTED,
                        "%s has another certificate than %s\nhelp: if it was renewed, put the new "
                        "one there, from a source that you trust",
                        call->host, call->with.pin_file);
  return dk_error_set(error, -EKEYREJECTED,
                      "the certificate of %s is not trusted (%s)\nhelp: give the provider the file of its "
                      "authority's certificate, or add that to this machine's (update-ca-certificates)",
                      call->host, call->detail);
}

static int explain_break(const struct dk_http_call *call, struct dk_error *error) {
  long proxy_said = 0;
  const char *proxy = proxy_variable(call);

  dk_curl_easy_getinfo(call->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_said);
  if (!call->was_sent && proxy_said >= 300)
    return dk_error_set(error, proxy_said == 403 || proxy_said == 407 ? -EACCES : -ECONNREFUSED,
                        "the proxy refused the way to %s with status %ld\nhelp: %s", call->host, proxy_said,
                        proxy_said == 407 ? "it wants a user and a password: put them into https_proxy"
                                          : "if the proxy is not for this host, name the host in no_proxy");
  if (!call->was_sent && proxy)
    return dk_error_set(error, -ECONNRESET, "the connection to %s broke %s\nhelp: %s is set: is it the right proxy?",
                        call->host, stage(call), proxy);
  return dk_error_set(error, -ECONNRESET, "the connection to %s broke %s (%s)", call->host, stage(call),
                      call->detail[0] ? call->detail : "closed");
}

static int explain_size(const struct dk_http_call *call, struct dk_error *error) {
  char size[DK_NUMBER_TEXT];

  dk_number_size_text(call->with.body_most, size);
  return dk_error_set(error, -EMSGSIZE, "the answer of %s has more than %s\nhelp: is the address right?", call->host,
                      size);
}

static int explain_cut(const struct dk_http_call *call, struct dk_error *error) {
  char size[DK_NUMBER_TEXT], time[DK_NUMBER_TEXT];

  switch (call->cut) {
  case CUT_BODY: return explain_size(call, error);
  case CUT_HEADERS:
    dk_number_size_text(call->with.headers_most, size);
    return dk_error_set(error, -EMSGSIZE, "the headers of %s have more than %s\nhelp: is the address right?",
                        call->host, size);
  case CUT_SILENT:
    dk_number_duration_text(call->with.silence_ns, time);
    return dk_error_set(error, -ETIMEDOUT, "%s said nothing for %s %s", call->host, time, stage(call));
  case CUT_TIME:
    dk_number_duration_text(dk_now_ns() - call->try_at, time);
    return dk_error_set(error, -ETIMEDOUT, "%s took longer than %s: given up %s", call->host, time, stage(call));
  default: return dk_error_system(error, -ENOMEM, "asking %s", call->host);
  }
}

static int explain_code(const struct dk_http_call *call, CURLcode code, struct dk_error *error) {
  char time[DK_NUMBER_TEXT];

  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
    return dk_error_set(error, -EHOSTUNREACH,
                        "there is no address for the name %s\nhelp: is it spelled right, and does this "
                        "machine have a network?",
                        call->host);
  case CURLE_COULDNT_RESOLVE_PROXY:
    return dk_error_set(error, -EHOSTUNREACH, "there is no address for the proxy on the way to %s\nhelp: look at %s",
                        call->host, proxy_variable(call) ? proxy_variable(call) : "the proxy settings");
  case CURLE_COULDNT_CONNECT: return explain_connect(call, error);
  case CURLE_OPERATION_TIMEDOUT:
    dk_number_duration_text(call->with.connect_ns, time);
    return dk_error_set(error, -ETIMEDOUT,
                        "no connection to %s in %s: given up %s\nhelp: is the address right, and may this "
                        "machine reach it?",
                        call->host, time, stage(call));
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_ISSUER_ERROR: return explain_trust(call, error);
  case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    return dk_error_set(error, -EKEYREJECTED,
                        "%s has another key than the certificate in %s\nhelp: if it was renewed, put "
                        "the new one there, from a source that you trust",
                        call->host, call->with.pin_file);
  case CURLE_SSL_CACERT_BADFILE:
    return dk_error_set(error, -EKEYREJECTED, "the certificates of authorities cannot be read (%s)\nhelp: %s",
                        call->detail,
                        call->with.ca_file ? "the file must have them in PEM" : "install the package ca-certificates");
  case CURLE_SSL_CERTPROBLEM:
    return dk_error_set(error, -EACCES,
                        "our certificate for %s or its key cannot be used (%s)\nhelp: both must be in PEM, "
                        "without a password, and belong together",
                        call->host, call->detail);
  case CURLE_SSL_CONNECT_ERROR:
    return dk_error_set(error, -ECONNRESET, "no encrypted connection to %s (%s)\nhelp: does it speak TLS at that port?",
                        call->host, call->detail);
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
  case CURLE_PROXY:
  case CURLE_ABORTED_BY_CALLBACK: return explain_break(call, error);
  case CURLE_PARTIAL_FILE:
    return dk_error_set(error, -ECONNRESET, "the answer of %s ended before its end (%s)", call->host, call->detail);
  case CURLE_UNSUPPORTED_PROTOCOL:
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_BAD_CONTENT_ENCODING:
  case CURLE_WRITE_ERROR: /* curl's decoder, too */
    return dk_error_set(error, -EPROTO, "what %s answered cannot be read as HTTP (%s)\nhelp: is the address right?",
                        call->host, call->detail[0] ? call->detail : dk_curl.easy_strerror(code));
  case CURLE_FILESIZE_EXCEEDED: return explain_size(call, error);
  case CURLE_OUT_OF_MEMORY: return dk_error_system(error, -ENOMEM, "asking %s", call->host);
  default:
    return dk_error_set(error, -EIO, "asking %s: %s", call->host,
                        call->detail[0] ? call->detail : dk_curl.easy_strerror(code));
  }
}

int dk_http_explain(struct dk_http_call *call, CURLcode code, struct dk_error *error) {
  if (call->cut != CUT_NOT)
    explain_cut(call, error);
  else
    explain_code(call, code, error);
  if (call->tries > 1) return dk_error_prefix(error, "%s: after %u tries", call->with.label, call->tries);
  return dk_error_prefix(error, "%s", call->with.label);
}

static int code_of(int status) {
  switch (status) {
  case 401:
  case 403:
  case 407: return -EACCES;
  case 404:
  case 410: return -ENOENT;
  case 409: return -EEXIST;
  case 429:
  case 503: return -EBUSY;
  default:
    if (status >= 300 && status < 400) return -EREMOTE;
    return status >= 400 && status < 500 ? -EINVAL : -EIO;
  }
}

static const char *help_of(const struct dk_http_answer *answer) {
  switch (answer->status) {
  case 401: return "\nhelp: are the credentials right, and still valid?";
  case 403: return "\nhelp: the credentials are known, and not allowed to do this";
  case 404: return "\nhelp: is the address right?";
  case 407: return "\nhelp: the proxy wants a user and a password";
  case 429: return "\nhelp: it is asked too often; try again later";
  default: return answer->status >= 500 ? "\nhelp: the trouble is on its side; try again later" : "";
  }
}

int dk_http_refuse(const struct dk_http_answer *answer, struct dk_error *error) {
  const char *id = answer->request_id;

  if (answer->r < 0) {
    if (error) *error = answer->error;
    return answer->r;
  }
  if (answer->elsewhere[0])
    return dk_error_set(
        error, -EREMOTE,
        "%s: %s wants us to ask %s instead (status %d), which is not done\nhelp: if that is right, write its "
        "address into the provider's settings",
        answer->label, answer->host, answer->elsewhere, answer->status);
  return dk_error_set(error, code_of(answer->status), "%s: %s answered with status %d%s%.100s%s", answer->label,
                      answer->host, answer->status, *id ? ", request " : "", id, help_of(answer));
}
