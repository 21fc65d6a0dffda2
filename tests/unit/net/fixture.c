/* See fixture.h. */
#include "fixture.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>

#define GUARD_NS UINT64_C(30000000000)

struct dk_loop *loop;
struct dk_http *http;
struct server *server;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static bool is_released;
static uint32_t n_waiting;

static bool ends_with(const char *text, const char *end) {
  return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

typedef int resolve_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret) {
  resolve_fn *real;
  void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");

  memcpy(&real, &symbol, sizeof real);
  if (node && strcmp(node, "gone.test") == 0) return EAI_NONAME;
  if (node && strcmp(node, "slow.test") == 0) {
    pthread_mutex_lock(&lock);
    n_waiting++;
    while (!is_released) pthread_cond_wait(&released, &lock);
    n_waiting--;
    pthread_mutex_unlock(&lock);
  }
  return real(node && ends_with(node, ".test") ? "127.0.0.1" : node, service, hints, ret);
}

void resolver_release(void) {
  pthread_mutex_lock(&lock);
  is_released = true;
  pthread_cond_broadcast(&released);
  pthread_mutex_unlock(&lock);
}

uint32_t resolver_waiting(void) {
  pthread_mutex_lock(&lock);
  uint32_t n = n_waiting;
  pthread_mutex_unlock(&lock);
  return n;
}

int set_up(void **state) {
  static const char *const variables[] = {"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy",
                                          "ALL_PROXY",   "no_proxy",    "NO_PROXY"};

  (void)state;
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
  server = server_start(NULL);
  assert_int_equal(dk_loop_create(&loop, NULL), 0);
  assert_int_equal(dk_http_create(loop, 42, &http, NULL), 0);
  return 0;
}

int tear_down(void **state) {
  (void)state;
  dk_http_destroy(http);
  dk_loop_destroy(loop);
  server_stop(server);
  return 0;
}

const char *url_of(const char *scheme, const char *host, uint16_t port, const char *path) {
  static char urls[8][1024];
  static unsigned next;
  char *url = urls[next++ % 8];

  snprintf(url, sizeof urls[0], "%s://%s:%u%s", scheme, host, port, path);
  return url;
}

static void keep(char *to, size_t size, const char *text) {
  snprintf(to, size, "%s", text ? text : "");
}

static void on_done(void *ctx, const struct dk_http_answer *answer) {
  struct outcome *out = ctx;
  struct dk_error error = {0};

  out->n_done++;
  out->r = answer->r;
  out->status = answer->status;
  out->in_doubt = answer->in_doubt;
  out->tries = answer->tries;
  out->body_len = answer->body_len;
  out->retry_after_ns = answer->retry_after_ns;
  out->when = answer->when;
  keep(out->words, sizeof out->words, answer->error.text);
  keep(out->body, sizeof out->body, answer->body);
  keep(out->request_id, sizeof out->request_id, answer->request_id);
  keep(out->elsewhere, sizeof out->elsewhere, answer->elsewhere);
  keep(out->header, sizeof out->header, dk_head_get(answer->head, "x-iD"));
  if (answer->r < 0) {
    assert_int_equal(answer->r, answer->error.code);
    assert_int_equal(strncmp(answer->error.text, answer->label, strlen(answer->label)), 0);
    assert_int_equal(answer->body_len, 0);
  }
  out->refused_code = dk_http_refuse(answer, &error);
  keep(out->refused, sizeof out->refused, error.text);
}

static void on_wait(void *ctx, const char *why, uint64_t ns) {
  struct outcome *out = ctx;

  out->n_waits++;
  out->waited_ns += ns;
  keep(out->why, sizeof out->why, why);
}

struct dk_http_request request_of(const char *path, struct outcome *out) {
  static const char *const ids[] = {"x-request-id", "x-other-id", NULL};

  memset(out, 0, sizeof *out);
  return (struct dk_http_request){.label = "lab: ask",
                                  .method = "GET",
                                  .class = DK_HTTP_IDEMPOTENT,
                                  .url = url_of("http", "127.0.0.1", server_port(server), path),
                                  .request_id_headers = ids,
                                  .done = on_done,
                                  .wait = on_wait,
                                  .ctx = out};
}

static void turn(uint64_t until) {
  uint64_t at = dk_http_deadline(http);

  assert_true(dk_loop_once(loop, at < until ? at : until) >= 0);
  dk_http_tick(http, dk_now_ns());
}

void run_until_done(const struct outcome *out) {
  uint64_t end = dk_now_ns() + GUARD_NS;

  while (out->n_done == 0) {
    if (dk_now_ns() >= end) fail_msg("not done in 30 s");
    turn(end);
  }
  assert_int_equal(out->n_done, 1);
}

void run_for(uint64_t ns) {
  uint64_t end = dk_now_ns() + ns;

  while (dk_now_ns() < end) turn(end);
}

void ask(const struct dk_http_request *request, struct outcome *out) {
  struct dk_http_call *call;
  struct dk_error error = {0};

  if (dk_http_send(http, request, &call, &error) < 0) fail_msg("%s", error.text);
  assert_int_equal(out->n_done, 0);
  run_until_done(out);
}
