/* HTTP for the drivers of clouds: asynchronous requests in the loop, over libcurl, which only this room knows.
 *
 * Each request says what a repetition would do (its class), and only what may be repeated is. What cannot be known of a
 * request that broke is said: in_doubt. Every answer is bounded in bytes and in time. The peer is always verified: by
 * the machine's authorities, a file of authorities, or the server's own certificate; there is no switch that turns it
 * off. Credentials stay where they belong: headers, bodies and queries are in no words, a redirect is followed to the
 * same host alone, and plain http goes to this machine alone, through no proxy, unless the caller allows another.
 *
 * Proxies are those of the environment (https_proxy, http_proxy, all_proxy, no_proxy), as curl reads them.
 *
 * Threads: names are looked up by threads of libcurl's (getaddrinfo cannot be interrupted). One that looks up for a
 * request that was cancelled, timed out or destroyed is left behind: it ends by itself when the resolver answers, and
 * nothing waits for it. They inherit which signals are blocked: the loop's are asked for (dk_loop_signal) before the
 * first request. All else is in the caller's thread. Callers ignore SIGPIPE. */
#ifndef DK_NET_HTTP_H
#define DK_NET_HTTP_H

#include "engine/net/head.h"
#include "engine/sys/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dk_http;      /* one a loop */
struct dk_http_call; /* a request that is under way */

enum dk_http_class {
  /* Must reach the server at most once: over a connection of its own, never repeated, no redirect. What is not said is
   * taken for this. */
  DK_HTTP_ONCE,
  /* Done twice it is as if done once: GET, HEAD, most PUT and DELETE. */
  DK_HTTP_IDEMPOTENT,
  /* Carries a token by which the server knows it again for token_ttl_ns: repeated until then. */
  DK_HTTP_TOKEN,
};

struct dk_http_header {
  const char *name, *value;
};

struct dk_http_answer {
  int r; /* 0: an HTTP answer came whole, of whatever status. Negative: none did, error has the words:
            -EHOSTUNREACH name not found; -ECONNREFUSED, -ENETUNREACH ... not connected; -EKEYREJECTED certificate
            not trusted; -EACCES our certificate or the proxy's refusal; -ETIMEDOUT; -ECONNRESET broken on the way;
            -EPROTO not HTTP; -EMSGSIZE too large; -ENOMEM; -EMFILE */
  /* It may have acted, and nobody knows: it was sent, and no answer says what it did, in this try or one before. Never
   * for GET and HEAD, never with a whole answer of 2xx. Of answers, 408 and 5xx (but 501 and 505) do not say. */
  bool in_doubt;
  uint32_t tries;
  struct dk_error error; /* r < 0: "LABEL: ...", for people */
  int status;            /* 0: none came */
  const char *label, *host;
  const struct dk_head *head; /* of the last answer, also when it broke behind its headers */
  const char *body;           /* decompressed, NUL-terminated; "" when r < 0 */
  size_t body_len;
  const char *request_id;  /* what the provider's support asks for; "": none */
  const char *elsewhere;   /* a redirect that was not followed: the other host; "": none */
  uint64_t retry_after_ns; /* what the server asks for, not capped; 0: nothing */
  int64_t when;            /* the server's clock, Unix seconds; 0: not said */
};

/* All that is pointed to is copied. NULL and 0: none, or the default. */
struct dk_http_request {
  const char *label;  /* "lab-cloud: create instance": all words begin with it */
  const char *method; /* capital letters */
  const char *url;    /* http or https, without a user in it; the path goes as it is */
  enum dk_http_class class;
  uint64_t token_ttl_ns; /* DK_HTTP_TOKEN: counted from the first try */
  const struct dk_http_header *headers;
  uint32_t n_headers;
  const void *body;
  size_t body_len;
  const char *const *request_id_headers; /* NULL-terminated, in order of preference */

  const char *unix_socket; /* path; the URL's host is only what the server is told */
  bool allows_plain;       /* http to another machine */
  const char *ca_file;     /* PEM; instead of the machine's authorities */
  const char *pin_file;    /* PEM, the server's own certificate alone: nothing else is trusted, whatever its name */
  const char *cert_file, *key_file; /* PEM, ours */

  uint64_t connect_ns;  /* name, connection, proxy and TLS together; 20 s */
  uint64_t silence_ns;  /* no byte in either direction; 30 s */
  uint64_t try_ns;      /* one try; 2 min */
  uint64_t deadline_ns; /* all tries and the waits between them; 5 min */
  size_t body_most;     /* bytes of an answer, also when decompressed; 16 MiB */
  size_t headers_most;  /* bytes of its headers, 64 KiB */

  /* From the loop, once, unless cancelled first. The answer is lent for the call; the dk_http_call is gone already.
   * May send and cancel others, but not destroy the dk_http. */
  void (*done)(void *ctx, const struct dk_http_answer *answer);
  /* May be NULL. A try has failed, `why` in words, and the next one begins in `ns`. May cancel this one. */
  void (*wait)(void *ctx, const char *why, uint64_t ns);
  void *ctx;
};

/* `loop` must outlive it. `seed`: of the jitter between tries. The first one of a process loads libcurl. 0, -ENOMEM,
 * -ENOTSUP with help: libcurl is not here, or lacks a function. */
int dk_http_create(struct dk_loop *loop, uint64_t seed, struct dk_http **ret, struct dk_error *error);
void dk_http_destroy(
    struct dk_http *http); /* as dk_http_cancel for all that is under way; does not block; NULL is fine */

/* Starts it; nobody is called from within. At most 32 are on the network at a time, 8 to one host; the others wait
 * for them, and their time runs. Negative: nothing was sent, and done is never called: -EINVAL the request is wrong
 * (or plain http to another machine), -ENOENT, -EACCES ... a file cannot be read, -ENOMEM. */
int dk_http_send(struct dk_http *http, const struct dk_http_request *request, struct dk_http_call **ret,
                 struct dk_error *error);
/* Its done is not called. What was sent may have acted. Does not block; NULL is fine. */
void dk_http_cancel(struct dk_http_call *call);

/* When dk_http_tick wants to be called (dk_now_ns scale); UINT64_MAX: never. */
uint64_t dk_http_deadline(const struct dk_http *http);
void dk_http_tick(struct dk_http *http, uint64_t now_ns);

/* Words for an answer that its driver has no better ones for: label, host, status, request id, and what to do.
 * Returns a negative errno by the status: -EACCES 401 403 407, -ENOENT 404 410, -EEXIST 409, -EBUSY 429 503, -EINVAL
 * other 4xx, -EREMOTE 3xx, -EIO others; r when that is negative, with its error. */
int dk_http_refuse(const struct dk_http_answer *answer, struct dk_error *error);

#endif
