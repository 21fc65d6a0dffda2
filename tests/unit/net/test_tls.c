/* Whom we speak with: authorities, names, dates, the server's own certificate, and ours. The server is OpenSSL's. */
#include "fixture.h"
#include "tls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static struct outcome out;

static struct dk_http_request secure(const struct tls *tls, const char *host) {
  struct dk_http_request request = request_of("/", &out);
  request.url = url_of("https", host, tls->port, "/?token=s3cret");
  request.class = DK_HTTP_ONCE;
  return request;
}

static void expect_untrusted(const struct dk_http_request *request, const char *words) {
  ask(request, &out);
  assert_int_equal(out.r, -EKEYREJECTED);
  assert_false(out.in_doubt);
  assert_has(out.words, words);
  assert_has(out.words, "help: ");
  assert_lacks(out.words, "s3cret");
}

static void expect_page(const struct dk_http_request *request) {
  ask(request, &out);
  if (out.r < 0) fail_msg("%s", out.words);
  assert_int_equal(out.status, 200);
  assert_has(out.body, "s_server");
}

static void authorities(void **state) {
  (void)state;
  struct tls tls = tls_start("cloud", NULL);
  struct dk_http_request request = secure(&tls, "cloud.test");
  expect_untrusted(&request, "the certificate of cloud.test:");
  assert_has(out.words, "is not trusted");
  request = secure(&tls, "cloud.test");
  request.ca_file = tls_file("ca.pem");
  expect_page(&request);
  request = secure(&tls, "cloud.test");
  request.ca_file = tls_file("other.pem");
  expect_untrusted(&request, "is not trusted");
  /* The right authority, another host. */
  request = secure(&tls, "other.test");
  request.ca_file = tls_file("ca.pem");
  expect_untrusted(&request, "is not that of other.test:");
  request = secure(&tls, "127.0.0.1");
  request.ca_file = tls_file("ca.pem");
  expect_untrusted(&request, "is not that of 127.0.0.1:");
  request = secure(&tls, "cloud.test");
  request.ca_file = tls_file("ca.key");
  expect_untrusted(&request, "PEM");
  tls_stop(&tls);
}

/* What was trusted is not trusted any more when another file is given: connections are kept apart. */
static void kept_connections(void **state) {
  (void)state;
  struct tls tls = tls_start("cloud", NULL);
  struct dk_http_request request = secure(&tls, "cloud.test");
  request.class = DK_HTTP_IDEMPOTENT;
  request.ca_file = tls_file("ca.pem");
  expect_page(&request);
  request = secure(&tls, "cloud.test");
  request.class = DK_HTTP_IDEMPOTENT;
  expect_untrusted(&request, "is not trusted");
  assert_int_equal(out.tries, 1);
  request = secure(&tls, "cloud.test");
  request.class = DK_HTTP_IDEMPOTENT;
  request.pin_file = tls_file("self.pem");
  expect_untrusted(&request, "self.pem");
  tls_stop(&tls);
}

static void dates(void **state) {
  (void)state;
  struct tls tls = tls_start("expired", NULL);
  struct dk_http_request request = secure(&tls, "cloud.test");
  request.ca_file = tls_file("ca.pem");
  expect_untrusted(&request, "has expired");
  request = secure(&tls, "cloud.test");
  request.pin_file = tls_file("expired.pem");
  expect_untrusted(&request, "has expired");
  tls_stop(&tls);
}

/* As LXD's: signed by itself, with no name of use. */
static void pinned(void **state) {
  (void)state;
  struct tls tls = tls_start("self", NULL);
  struct dk_http_request request = secure(&tls, "127.0.0.1");
  expect_untrusted(&request, "is not trusted");
  request = secure(&tls, "127.0.0.1");
  request.pin_file = tls_file("self.pem");
  expect_page(&request);
  request = secure(&tls, "127.0.0.1");
  request.pin_file = tls_file("other.pem");
  expect_untrusted(&request, "other.pem");
  tls_stop(&tls);
}

/* The file of an authority is no certificate of the server, though it has signed that. */
static void pinned_authority(void **state) {
  (void)state;
  struct tls tls = tls_start("cloud", NULL);
  struct dk_http_request request = secure(&tls, "cloud.test");
  request.pin_file = tls_file("ca.pem");
  expect_untrusted(&request, "ca.pem");
  request = secure(&tls, "127.0.0.1");
  request.pin_file = tls_file("cloud.pem");
  expect_page(&request);
  tls_stop(&tls);
}

static void pin_files(void **state) {
  (void)state;
  static const char *const names[] = {"both.pem", "ca.key", "ca.conf", "index"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct dk_http_request request = request_of("/ok", &out);
    struct dk_http_call *call;
    struct dk_error error = {0};
    request.pin_file = tls_file(names[i]);
    assert_int_equal(dk_http_send(http, &request, &call, &error), -EINVAL);
    assert_has(error.text, "lab: ask: ");
    assert_has(error.text, names[i]);
  }
}

static void our_certificate(void **state) {
  (void)state;
  struct tls tls = tls_start("self", "ca.pem");
  struct dk_http_request request = secure(&tls, "127.0.0.1");
  request.pin_file = tls_file("self.pem");
  ask(&request, &out);
  assert_true(out.r < 0);
  assert_has(out.words, "certificate required");
  request = secure(&tls, "127.0.0.1");
  request.pin_file = tls_file("self.pem");
  request.cert_file = tls_file("client.pem");
  request.key_file = tls_file("client.key");
  expect_page(&request);
  request = secure(&tls, "127.0.0.1");
  request.pin_file = tls_file("self.pem");
  request.cert_file = tls_file("client.pem");
  request.key_file = tls_file("other.key");
  ask(&request, &out);
  assert_int_equal(out.r, -EACCES);
  assert_has(out.words, "our certificate");
  tls_stop(&tls);
}

static void no_tls(void **state) {
  (void)state;
  struct dk_http_request request = request_of("/ok", &out);
  request.url = url_of("https", "127.0.0.1", server_port(server), "/ok");
  request.class = DK_HTTP_ONCE;
  request.connect_ns = UINT64_C(500000000);
  ask(&request, &out);
  assert_int_equal(out.r, -ETIMEDOUT);
  assert_has(out.words, "in the TLS handshake");
  assert_false(out.in_doubt);
}

static int end(void **state) {
  (void)state;
  tls_remove_folder();
  return 0;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(authorities),      TEST(kept_connections), TEST(dates),           TEST(pinned),
      TEST(pinned_authority), TEST(pin_files),        TEST(our_certificate), TEST(no_tls)};
  signal(SIGPIPE, SIG_IGN);
  tls_folder();
  return cmocka_run_group_tests_name("tls", tests, NULL, end);
}
