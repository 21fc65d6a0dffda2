/* Every allocation of a request fails once, ours and libcurl's: who asked is told, nothing hangs, nothing is lost. */
#include "fixture.h"
#include "lang/base/alloc.h"
#include "tls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static struct outcome out;

/* 0, or what creating or sending refused it with. */
static int whole(const struct dk_http_request *request) {
  struct dk_http_call *call;
  struct dk_error error = {0};

  out = (struct outcome){0};
  int r = dk_http_create(loop, 1, &http, &error);
  if (r < 0) {
    assert_int_equal(r, error.code);
    assert_null(http);
    return r;
  }
  r = dk_http_send(http, request, &call, &error);
  if (r < 0) {
    assert_int_equal(r, error.code);
    assert_null(call);
  } else {
    run_until_done(&out);
  }
  dk_http_destroy(http);
  return r;
}

static uint64_t fail_each(const struct dk_http_request *request, void (*fail_from)(uint64_t n)) {
  uint64_t n = 0, asked;

  do {
    fail_from(++n);
    int r = whole(request);
    asked = dk_alloc_count();
    dk_alloc_fail_at(0);
    assert_true(r == 0 || r == -ENOMEM);
    if (r < 0) continue;
    /* libcurl says of a redirect that it is no URL, when it has no memory to read it. */
    if (out.r == 0 && out.status != 200 && out.status != 302)
      fail_msg("allocation %u: status %d", (unsigned)n, out.status);
    if (n > asked && (out.r < 0 || out.status != 200))
      fail_msg("allocation %u, the last one: %s", (unsigned)n, out.words);
  } while (n <= asked);
  return n;
}

static int start(void **state) {
  set_up(state);
  dk_http_destroy(http);
  return 0;
}

static int stop(void **state) {
  (void)state;
  dk_alloc_fail_at(0);
  dk_loop_destroy(loop);
  server_stop(server);
  return 0;
}

static void each(const char *method, enum dk_http_class class, const char *path, bool has_body) {
  static const struct dk_http_header token = {"X-Auth-Token", "s3cret"};
  struct dk_http_request request = request_of(path, &out);

  request.method = method;
  request.class = class;
  request.headers = &token;
  request.n_headers = 1;
  request.body = "{}";
  request.body_len = has_body ? 2 : 0;
  assert_true(fail_each(&request, dk_alloc_fail_once) > 50);
  assert_true(fail_each(&request, dk_alloc_fail_at) > 50);
}

static void plain(void **state) {
  (void)state;
  each("GET", DK_HTTP_IDEMPOTENT, "/ok", false);
  each("POST", DK_HTTP_ONCE, "/echo", true);
  each("GET", DK_HTTP_IDEMPOTENT, "/to//ok", false);
}

/* The same in a second try: the server answers the first one of each round with 500. */
static void again(void **state) {
  (void)state;
  char path[64];
  for (unsigned n = 60; n < 360; n += 30) {
    struct dk_http_request request = request_of("/ok", &out);
    snprintf(path, sizeof path, "/turns/500/200?%u", n);
    request.url = url_of("http", "127.0.0.1", server_port(server), path);
    dk_alloc_fail_once(n);
    int r = whole(&request);
    dk_alloc_fail_at(0);
    assert_true(r == -ENOMEM || (r == 0 && out.n_done == 1));
  }
}

static void secure(void **state) {
  (void)state;
  struct tls tls = tls_start("self", NULL);
  struct dk_http_request request = request_of("/", &out);
  request.url = url_of("https", "127.0.0.1", tls.port, "/");
  request.class = DK_HTTP_ONCE;
  request.pin_file = tls_file("self.pem");
  assert_true(fail_each(&request, dk_alloc_fail_once) > 100);
  tls_stop(&tls);
}

static int end(void **state) {
  (void)state;
  tls_remove_folder();
  return 0;
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  tls_folder();
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
  const struct CMUnitTest tests[] = {TEST(plain), TEST(again), TEST(secure)};
  return cmocka_run_group_tests_name("faults", tests, NULL, end);
}
