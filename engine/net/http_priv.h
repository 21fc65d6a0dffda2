/* What the files of http.h share. A call is either on the network (easy is set) or waits for its next try. */
#ifndef DK_NET_HTTP_PRIV_H
#define DK_NET_HTTP_PRIV_H

#include "engine/net/curl_load.h"
#include "engine/net/http.h"
#include "engine/net/pin.h"
#include "lang/base/buf.h"

/* Why we ended a try ourselves. */
enum cut {
  CUT_NOT,
  CUT_BODY,    /* too many bytes */
  CUT_HEADERS, /* the same */
  CUT_MEMORY,
  CUT_SILENT, /* nothing came or went for silence_ns */
  CUT_TIME,   /* try_ns or the deadline */
};

struct dk_http {
  struct dk_loop *loop;
  CURLM *multi;
  struct dk_http_call *calls;
  uint64_t timer_at; /* curl's; UINT64_MAX: none */
  uint64_t seed, n_waits;
  bool is_short; /* a socket could not be watched for lack of memory, or curl is at odds with itself: all tries end */
};

struct dk_http_call {
  struct dk_http *http;
  struct dk_http_call *next, **link;
  struct dk_http_request with; /* its texts are owned; headers are in `headers` */
  struct curl_slist *headers;
  char *host;        /* with the port when the URL has one */
  char *elsewhere;   /* host of the redirect that was not followed */
  char *at;          /* where a redirect has led; NULL: with.url */
  struct dk_buf pem; /* of pin_file */
  char pin[DK_PIN_TEXT];
  bool is_https, is_near; /* is_near: loopback or a unix socket: no proxy */

  CURL *easy; /* the try; NULL: none */
  struct dk_head head;
  struct dk_buf body;
  char detail[CURL_ERROR_SIZE];
  uint32_t tries, hops;
  enum cut cut;
  bool was_sent;    /* this try may have reached the server */
  bool is_unclear;  /* one before may have acted */
  int no_socket;    /* errno of a socket that could not be opened */
  curl_off_t moved; /* bytes in both directions, as curl counts */
  uint64_t try_at, heard_at, retry_at, until, token_until;
};

/* http_request.c. The URL is taken apart, files are looked at. On failure nothing is owned. */
int dk_http_call_create(const struct dk_http_request *request, struct dk_http_call **ret, struct dk_error *error);
/* Ends its try, takes it out of the list, frees it. */
void dk_http_call_destroy(struct dk_http_call *call);
/* Where a redirect leads: to *ret_url at the same scheme, host and port, or to the host *ret_elsewhere; neither: it
 * is no URL. Both are owned (dk_free). 0, -ENOMEM. */
int dk_http_lead(const struct dk_http_call *call, const char *location, char **ret_url, char **ret_elsewhere);

/* http_try.c. 0, -ENOMEM: nothing has begun. */
int dk_http_try_begin(struct dk_http_call *call, struct dk_error *error);
void dk_http_try_end(struct dk_http_call *call);

/* http_settle.c. What follows from the end of a try. The call may be gone after it, and others too. */
void dk_http_settle(struct dk_http_call *call, CURLcode code);
bool dk_http_is_reading(const struct dk_http_call *call); /* GET, HEAD: does not act */
/* The next try could not be made. */
void dk_http_give_up(struct dk_http_call *call, const struct dk_error *error);

/* http_words.c. While the try's handle lives. Returns error->code. */
int dk_http_explain(struct dk_http_call *call, CURLcode code, struct dk_error *error);

#endif
