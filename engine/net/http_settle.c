/* What follows from the end of a try: an answer, another try, or a redirect that is followed. See http.h. */
#include "engine/net/http_priv.h"

#include "lang/base/alloc.h"
#include "lang/base/map.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)
#define WAIT_FIRST_NS (SECOND_NS / 2)
#define WAIT_MOST_NS (30 * SECOND_NS)
#define RETRY_AFTER_MOST_NS (300 * SECOND_NS)
#define HOPS_MOST 5

bool dk_http_is_reading(const struct dk_http_call *call) {
  return strcmp(call->with.method, "GET") == 0 || strcmp(call->with.method, "HEAD") == 0;
}

/* Of a server that answered with this it is not known whether it acted: it, or a gateway before it, broke off. */
static bool is_unclear_status(int status) {
  return status == 408 || (status >= 500 && status != 501 && status != 505);
}

static bool is_passing_status(int status) {
  return status == 408 || status == 425 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

static bool is_passing(const struct dk_http_call *call, CURLcode code, int status) {
  if (call->cut == CUT_SILENT || call->cut == CUT_TIME) return true;
  if (call->cut != CUT_NOT) return false;
  long proxy_said = 0;
  switch (code) {
  case CURLE_OK: return is_passing_status(status);
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_COULDNT_CONNECT:
  case CURLE_OPERATION_TIMEDOUT:
  case CURLE_SSL_CONNECT_ERROR: /* broken in the handshake, too */
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_PARTIAL_FILE: return true;
  case CURLE_RECV_ERROR:
    dk_curl_easy_getinfo(call->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_said);
    return proxy_said < 300 || is_passing_status((int)proxy_said);
  default: return false;
  }
}

static const char *request_id(const struct dk_http_call *call) {
  for (const char *const *name = call->with.request_id_headers; name && *name; name++) {
    const char *id = dk_head_get(&call->head, *name);
    if (id) return id;
  }
  return "";
}

static void read_answer(struct dk_http_call *call, CURLcode code, struct dk_http_answer *ret) {
  long status = 0;
  bool is_whole = code == CURLE_OK && call->cut == CUT_NOT;

  dk_curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
  *ret = (struct dk_http_answer){.tries = call->tries,
                                 .status = (int)status,
                                 .label = call->with.label,
                                 .host = call->host,
                                 .head = &call->head,
                                 .body = is_whole ? dk_buf_text(&call->body) : "",
                                 .body_len = is_whole ? call->body.len : 0,
                                 .request_id = request_id(call),
                                 .elsewhere = "",
                                 .when = dk_head_when(&call->head)};
  ret->retry_after_ns = dk_head_retry_after_ns(&call->head, (int64_t)(dk_unix_ns() / SECOND_NS));
  if (!is_whole) ret->r = dk_http_explain(call, code, &ret->error);
  bool is_unclear = is_whole ? is_unclear_status(ret->status) : call->was_sent;
  call->is_unclear = !dk_http_is_reading(call) && (call->is_unclear || is_unclear);
  ret->in_doubt = call->is_unclear && !(is_whole && status >= 200 && status < 300);
}

/* true: the same try goes on at another address of the host, or there is no memory for it, which was told. */
static bool follow(struct dk_http_call *call, struct dk_http_answer *answer) {
  struct dk_error error = {0};
  char *url, *elsewhere;

  const char *location = dk_head_get(&call->head, "Location");
  if (answer->r < 0 || answer->status < 301 || answer->status > 308 || answer->status == 304 || !location) return false;
  int r = dk_http_lead(call, location, &url, &elsewhere);
  call->elsewhere = elsewhere;
  if (elsewhere) answer->elsewhere = elsewhere;
  bool is_followed = dk_http_is_reading(call) && call->with.class != DK_HTTP_ONCE && call->hops < HOPS_MOST;
  if (r == 0 && (!url || !is_followed)) {
    dk_free(url);
    return false;
  }
  dk_http_try_end(call);
  dk_free(call->at);
  call->at = url;
  call->hops++;
  call->tries--;
  if (r < 0)
    dk_error_system(&error, r, "%s", call->with.label);
  else
    r = dk_http_try_begin(call, &error);
  if (r < 0) dk_http_give_up(call, &error);
  return true;
}

/* Between 0 and a bound that doubles, behind what the server asks for. */
static uint64_t wait_before_next(struct dk_http_call *call, uint64_t retry_after_ns) {
  uint64_t most = WAIT_FIRST_NS, random = dk_hash_u64(call->http->n_waits++, call->http->seed);

  for (uint32_t i = 1; i < call->tries && most < WAIT_MOST_NS; i++) most *= 2;
  if (most > WAIT_MOST_NS) most = WAIT_MOST_NS;
  if (retry_after_ns > RETRY_AFTER_MOST_NS) retry_after_ns = RETRY_AFTER_MOST_NS;
  return retry_after_ns + (most >> 20) * (random >> 44);
}

static uint64_t last_try_at(const struct dk_http_call *call) {
  bool has_token = call->with.class == DK_HTTP_TOKEN;

  return has_token && call->token_until < call->until ? call->token_until : call->until;
}

/* What is told was taken from the call: it is gone before, so that nothing of it can be reached from `done`. */
static void finish(struct dk_http_call *call, const struct dk_http_answer *answer) {
  void (*done)(void *ctx, const struct dk_http_answer *answer) = call->with.done;
  void *ctx = call->with.ctx;

  *call->link = call->next;
  if (call->next) call->next->link = call->link;
  call->link = NULL;
  call->next = NULL;
  done(ctx, answer);
  dk_http_call_destroy(call);
}

void dk_http_settle(struct dk_http_call *call, CURLcode code) {
  struct dk_http_answer answer;

  read_answer(call, code, &answer);
  bool may_repeat = call->with.class != DK_HTTP_ONCE && is_passing(call, code, answer.status);
  if (follow(call, &answer)) return;
  dk_http_try_end(call);
  uint64_t wait = may_repeat ? wait_before_next(call, answer.retry_after_ns) : 0, now = dk_now_ns();
  if (!may_repeat || now + wait >= last_try_at(call)) {
    finish(call, &answer);
    return;
  }
  call->retry_at = now + wait;
  if (!call->with.wait) return;
  if (answer.r == 0) dk_http_refuse(&answer, &answer.error);
  call->with.wait(call->with.ctx, answer.error.text, wait);
}

void dk_http_give_up(struct dk_http_call *call, const struct dk_error *error) {
  struct dk_http_answer answer = {.r = error->code,
                                  .error = *error,
                                  .in_doubt = call->is_unclear,
                                  .tries = call->tries,
                                  .label = call->with.label,
                                  .host = call->host,
                                  .head = &call->head,
                                  .body = "",
                                  .request_id = "",
                                  .elsewhere = ""};

  finish(call, &answer);
}
