/* libcurl's multi handle in our loop: see http.h. curl says which sockets to watch and when it wants to be called; what
 * has ended is taken from it outside of its own callbacks, so that `done` may send and cancel. */
#include "engine/net/http_priv.h"

#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>

#define CONNECTIONS_MOST 32L
#define HOST_CONNECTIONS_MOST 8L
#define IDLE_CONNECTIONS 16L

static void drive(struct dk_http *http, curl_socket_t fd, int events);

static void on_ready(void *ctx, int fd, short revents) {
  int events = 0;

  if (revents & POLLIN) events |= CURL_CSELECT_IN;
  if (revents & POLLOUT) events |= CURL_CSELECT_OUT;
  if (revents & (POLLHUP | POLLERR | POLLNVAL)) events = 0; /* curl looks for itself */
  drive(ctx, fd, events);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket) {
  struct dk_http *http = ctx;
  short events = 0;

  (void)easy, (void)of_socket;
  if (what == CURL_POLL_REMOVE) {
    dk_loop_unwatch(http->loop, fd);
    return 0;
  }
  if (what & CURL_POLL_IN) events |= POLLIN;
  if (what & CURL_POLL_OUT) events |= POLLOUT;
  /* Not told to curl: a callback's failure makes it give up every transfer without words. */
  if (dk_loop_watch(http->loop, fd, events, on_ready, http) < 0) http->is_short = true;
  return 0;
}

static int on_timer(CURLM *multi, long ms, void *ctx) {
  struct dk_http *http = ctx;

  (void)multi;
  http->timer_at = ms < 0 ? UINT64_MAX : dk_now_ns() + (uint64_t)ms * 1000000u;
  return 0;
}

static void collect(struct dk_http *http) {
  CURLMsg *message;
  int left;

  while ((message = dk_curl.multi_info_read(http->multi, &left))) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode code = message->data.result;
    struct dk_http_call *call = NULL;
    dk_curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
    dk_http_settle(call, code);
  }
}

static void drive(struct dk_http *http, curl_socket_t fd, int events) {
  int running;

  if (dk_curl.multi_socket_action(http->multi, fd, events, &running) != CURLM_OK) http->is_short = true;
  collect(http);
}

static int set_up(struct dk_http *http) {
  CURLM *multi = http->multi;

  if (dk_curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, (curl_socket_callback){on_socket}) != CURLM_OK ||
      dk_curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http) != CURLM_OK ||
      dk_curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, (curl_multi_timer_callback){on_timer}) != CURLM_OK ||
      dk_curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http) != CURLM_OK ||
      dk_curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) != CURLM_OK ||
      dk_curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, CONNECTIONS_MOST) != CURLM_OK ||
      dk_curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, HOST_CONNECTIONS_MOST) != CURLM_OK ||
      dk_curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS) != CURLM_OK)
    return -ENOMEM;
  return 0;
}

int dk_http_create(struct dk_loop *loop, uint64_t seed, struct dk_http **ret, struct dk_error *error) {
  *ret = NULL;
  int r = dk_curl_load(error);
  if (r < 0) return r;
  struct dk_http *http = dk_calloc(1, sizeof *http);
  if (!http) return dk_error_system(error, -ENOMEM, "starting HTTP");
  http->loop = loop;
  http->seed = seed;
  http->timer_at = UINT64_MAX;
  http->multi = dk_curl.multi_init();
  if (!http->multi || set_up(http) < 0) {
    dk_http_destroy(http);
    return dk_error_system(error, -ENOMEM, "starting HTTP");
  }
  *ret = http;
  return 0;
}

void dk_http_destroy(struct dk_http *http) {
  if (!http) return;
  while (http->calls) dk_http_call_destroy(http->calls);
  dk_curl.multi_cleanup(http->multi);
  dk_free(http);
}

int dk_http_send(struct dk_http *http, const struct dk_http_request *request, struct dk_http_call **ret,
                 struct dk_error *error) {
  struct dk_http_call *call;

  *ret = NULL;
  int r = dk_http_call_create(request, &call, error);
  if (r < 0) return r;
  call->http = http;
  uint64_t now = dk_now_ns();
  call->until = now + call->with.deadline_ns;
  call->token_until = now + call->with.token_ttl_ns;
  call->next = http->calls;
  call->link = &http->calls;
  if (call->next) call->next->link = &call->next;
  http->calls = call;
  r = dk_http_try_begin(call, error);
  if (r < 0) {
    dk_http_call_destroy(call);
    return r;
  }
  *ret = call;
  return 0;
}

void dk_http_cancel(struct dk_http_call *call) {
  if (call) dk_http_call_destroy(call);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/* Before it is sent nothing can be heard; that has a limit of its own. */
static uint64_t silent_at(const struct dk_http_call *call) {
  return call->was_sent ? call->heard_at + call->with.silence_ns : UINT64_MAX;
}

static uint64_t call_deadline(const struct dk_http_call *call) {
  if (!call->easy) return call->retry_at;
  return earlier(call->until, earlier(call->try_at + call->with.try_ns, silent_at(call)));
}

uint64_t dk_http_deadline(const struct dk_http *http) {
  uint64_t at = http->is_short ? 0 : http->timer_at;

  for (const struct dk_http_call *call = http->calls; call; call = call->next) at = earlier(at, call_deadline(call));
  return at;
}

/* What is sent from within is none of them. */
static void end_all(struct dk_http *http) {
  uint64_t begun = dk_now_ns();

  http->is_short = false;
  for (struct dk_http_call *call = http->calls; call;) {
    if (!call->easy || call->try_at >= begun) {
      call = call->next;
      continue;
    }
    call->cut = CUT_MEMORY;
    dk_http_settle(call, CURLE_OUT_OF_MEMORY);
    call = http->calls; /* whoever was told may have cancelled the next one */
  }
}

static void tick_call(struct dk_http_call *call, uint64_t now_ns) {
  struct dk_error error = {0};

  if (!call->easy) {
    if (dk_http_try_begin(call, &error) < 0) dk_http_give_up(call, &error);
    return;
  }
  call->cut = now_ns >= silent_at(call) ? CUT_SILENT : CUT_TIME;
  dk_http_settle(call, CURLE_OPERATION_TIMEDOUT);
}

void dk_http_tick(struct dk_http *http, uint64_t now_ns) {
  if (http->is_short) end_all(http);
  if (now_ns >= http->timer_at) {
    http->timer_at = UINT64_MAX;
    drive(http, CURL_SOCKET_TIMEOUT, 0);
  }
  for (struct dk_http_call *call = http->calls; call;) {
    if (now_ns < call_deadline(call)) {
      call = call->next;
      continue;
    }
    tick_call(call, now_ns);
    call = http->calls; /* as in end_all */
  }
}
