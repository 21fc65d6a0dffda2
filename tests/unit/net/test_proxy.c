/* Proxies of the environment: https through CONNECT, which never sees what is for the host. */
#include "fixture.h"
#include "tls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static struct outcome out;
static struct tls tls;

static void use_proxy(const char *variable, uint16_t port) {
  char value[64];

  snprintf(value, sizeof value, "http://lab:s3cret@127.0.0.1:%u", port);
  setenv(variable, value, 1);
}

static struct dk_http_request far_away(const char *host) {
  static const struct dk_http_header token = {"X-Auth-Token", "s3cret"};
  struct dk_http_request request = request_of("/", &out);

  request.url = url_of("https", host, tls.port, "/");
  request.ca_file = tls_file("ca.pem");
  request.class = DK_HTTP_ONCE;
  request.headers = &token;
  request.n_headers = 1;
  return request;
}

/* The name is looked up by the proxy: here it does not exist. */
static void through_it(void **state) {
  (void)state;
  use_proxy("https_proxy", server_port(server));
  struct dk_http_request request = far_away("gone.test");
  ask(&request, &out);
  if (out.r < 0) fail_msg("%s", out.words);
  assert_int_equal(out.status, 200);
  assert_int_equal(server_seen(server, "gone.test:"), 1);
  assert_int_equal(server_seen(server, "/leaked"), 0);
  /* It does not decide whom we trust. */
  request = far_away("other.test");
  ask(&request, &out);
  assert_int_equal(out.r, -EKEYREJECTED);
}

static void around_it(void **state) {
  (void)state;
  use_proxy("https_proxy", server_port(server));
  setenv("no_proxy", "cloud.test", 1);
  struct dk_http_request request = far_away("cloud.test");
  ask(&request, &out);
  assert_int_equal(out.status, 200);
  assert_int_equal(server_seen(server, "cloud.test"), 0);
  /* Plain http of this machine stays in it. */
  use_proxy("http_proxy", 1);
  use_proxy("all_proxy", 1);
  request = request_of("/ok", &out);
  ask(&request, &out);
  assert_int_equal(out.status, 200);
}

static void refuses(void **state) {
  (void)state;
  use_proxy("https_proxy", server_port(server));
  static const struct {
    int status, r;
    const char *words;
  } cases[] = {{403, -EACCES, "no_proxy"}, {407, -EACCES, "a user and a password"}, {502, -ECONNREFUSED, "status 502"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    server_proxy_status(server, cases[i].status);
    struct dk_http_request request = far_away("cloud.test");
    ask(&request, &out);
    assert_int_equal(out.r, cases[i].r);
    assert_int_equal(out.status, 0);
    assert_false(out.in_doubt);
    assert_has(out.words, cases[i].words);
    assert_has(out.words, "the proxy");
    assert_lacks(out.words, "s3cret");
  }
  /* One that will not is asked once, one that cannot now is asked again. */
  server_proxy_status(server, 403);
  struct dk_http_request request = far_away("cloud.test");
  request.class = DK_HTTP_IDEMPOTENT;
  ask(&request, &out);
  assert_int_equal(out.tries, 1);
  server_proxy_status(server, 502);
  request = far_away("cloud.test");
  request.class = DK_HTTP_IDEMPOTENT;
  request.deadline_ns = UINT64_C(1500000000);
  ask(&request, &out);
  assert_true(out.tries > 1);
}

static void is_gone(void **state) {
  (void)state;
  struct server *gone = server_start(NULL);
  uint16_t port = server_port(gone);
  server_stop(gone);
  use_proxy("https_proxy", port);
  struct dk_http_request request = far_away("cloud.test");
  ask(&request, &out);
  assert_int_equal(out.r, -ECONNREFUSED);
  assert_has(out.words, "https_proxy");
  assert_lacks(out.words, "s3cret");
  setenv("https_proxy", "http://lab:s3cret@gone.test:1", 1);
  request = far_away("cloud.test");
  ask(&request, &out);
  assert_int_equal(out.r, -EHOSTUNREACH);
  assert_has(out.words, "https_proxy");
  assert_lacks(out.words, "s3cret");
}

static int begin(void **state) {
  (void)state;
  tls = tls_start("cloud", NULL);
  return 0;
}

static int end(void **state) {
  (void)state;
  tls_stop(&tls);
  tls_remove_folder();
  return 0;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {TEST(through_it), TEST(around_it), TEST(refuses), TEST(is_gone)};
  signal(SIGPIPE, SIG_IGN);
  tls_folder();
  return cmocka_run_group_tests_name("proxy", tests, begin, end);
}
