/* One request and its answer: what is sent, what comes back, and what is refused before, within and after it. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static struct outcome out;

static void what_is_sent(void **state) {
  (void)state;
  const struct dk_http_header headers[] = {
      {"X-Auth-Token", "s3cret"}, {"X-Empty", ""}, {"Content-Type", "application/json"}};
  struct dk_http_request request = request_of("/echo", &out);
  request.method = "POST";
  request.class = DK_HTTP_ONCE;
  request.headers = headers;
  request.n_headers = 3;
  request.body = "{\"a\": 1}";
  request.body_len = 8;
  ask(&request, &out);
  assert_int_equal(out.status, 200);
  assert_has(out.body, "POST /echo HTTP/1.1\r\n");
  assert_has(out.body, "\r\nX-Auth-Token: s3cret\r\n");
  assert_has(out.body, "\r\nX-Empty:\r\n");
  assert_has(out.body, "\r\nContent-Type: application/json\r\n");
  assert_has(out.body, "\r\nContent-Length: 8\r\n");
  assert_has(out.body, "\r\nUser-Agent: dkrun\r\n");
  assert_has(out.body, "\r\n\r\n{\"a\": 1}");
  assert_lacks(out.body, "Expect");
}

static void methods(void **state) {
  (void)state;
  static const char *const names[] = {"GET", "PUT", "POST", "PATCH", "DELETE"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct dk_http_request request = request_of("/echo", &out);
    char line[64];
    request.method = names[i];
    ask(&request, &out);
    snprintf(line, sizeof line, "%s /echo HTTP/1.1\r\n", names[i]);
    assert_int_equal(strncmp(out.body, line, strlen(line)), 0);
    assert_lacks(out.body, "Content-Type");
  }
  struct dk_http_request request = request_of("/status/204", &out);
  request.method = "HEAD";
  ask(&request, &out);
  assert_int_equal(out.status, 204);
}

static void what_comes_back(void **state) {
  (void)state;
  struct dk_http_request request = request_of(
      "/status/404/X-Id:%20%20one|x-other-ID:%20req-7|Date:%20Sun,%2006%20Nov%201994%2008:49:37%20GMT", &out);
  ask(&request, &out);
  assert_int_equal(out.r, 0);
  assert_int_equal(out.status, 404);
  assert_false(out.in_doubt);
  assert_string_equal(out.body, "words of the server");
  assert_int_equal(out.body_len, 19);
  assert_string_equal(out.header, "one");
  assert_string_equal(out.request_id, "req-7");
  assert_int_equal(out.when, 784111777);
  assert_int_equal(out.refused_code, -ENOENT);
  assert_has(out.refused, "lab: ask: 127.0.0.1:");
  assert_has(out.refused, "status 404, request req-7");
  assert_lacks(out.refused, "words of the server");
}

/* One connection is enough for requests that follow each other; a ONCE has its own, which nobody uses after it. */
static void connections(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    struct dk_http_request request = request_of("/ok", &out);
    ask(&request, &out);
    assert_string_equal(out.body, "fine");
  }
  assert_int_equal(server_connections(server), 1);
  for (int i = 0; i < 2; i++) {
    struct dk_http_request request = request_of("/ok", &out);
    request.class = DK_HTTP_ONCE;
    ask(&request, &out);
  }
  assert_int_equal(server_connections(server), 3);
  struct dk_http_request request = request_of("/ok", &out);
  ask(&request, &out);
  assert_int_equal(server_connections(server), 3);
}

static void many(void **state) {
  (void)state;
  enum { MANY = 100 };
  static struct outcome outs[MANY];
  for (int i = 0; i < MANY; i++) {
    struct dk_http_request request = request_of("/ok", &outs[i]);
    struct dk_http_call *call;
    assert_int_equal(dk_http_send(http, &request, &call, NULL), 0);
    if (i % 10 == 3) dk_http_cancel(call);
  }
  for (int i = 0; i < MANY; i++) {
    if (i % 10 == 3) continue;
    run_until_done(&outs[i]);
    assert_int_equal(outs[i].status, 200);
  }
  for (int i = 3; i < MANY; i += 10) assert_int_equal(outs[i].n_done, 0);
  assert_true(server_connections(server) <= 8);
  /* All that one host may have are kept: one of them makes room. */
  struct dk_http_request request = request_of("/ok", &out);
  request.class = DK_HTTP_ONCE;
  ask(&request, &out);
  assert_int_equal(out.status, 200);
}

static void expect_refused(const struct dk_http_request *request, int r, const char *words) {
  struct dk_http_call *call = (struct dk_http_call *)&out;
  struct dk_error error = {0};
  assert_int_equal(dk_http_send(http, request, &call, &error), r);
  assert_null(call);
  assert_has(error.text, words);
  assert_has(error.text, "lab: ask: ");
  assert_lacks(error.text, "s3cret");
  assert_int_equal(out.n_done, 0);
}

static void wrong_requests(void **state) {
  (void)state;
  static const struct {
    const char *url, *words;
  } urls[] = {{"http://example.test/?token=s3cret", "without encryption"},
              {"http://localhost.example.test/", "without encryption"},
              {"http://127.0.0.1.example.test/", "without encryption"},
              {"ftp://127.0.0.1/", "ftp://"},
              {"https://user:s3cret@example.test/", "has a user"},
              {"https://exa mple.test/?s3cret", "no URL"},
              {"//", "no URL"}};
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
    struct dk_http_request request = request_of("/ok", &out);
    request.url = urls[i].url;
    expect_refused(&request, -EINVAL, urls[i].words);
  }
  const struct dk_http_header headers[] = {
      {"X-A", "s3cret\r\nX-B: b"}, {"X A", "s3cret"}, {"", "s3cret"}, {"X:", "s3cret"}};
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    struct dk_http_request request = request_of("/ok", &out);
    request.headers = &headers[i];
    request.n_headers = 1;
    expect_refused(&request, -EINVAL, "1. header");
  }
  struct dk_http_request request = request_of("/ok", &out);
  request.method = "GET / HTTP/1.1\r\nX: y";
  expect_refused(&request, -EINVAL, "no method");
  request = request_of("/ok", &out);
  request.key_file = "/nowhere/key.pem";
  expect_refused(&request, -ENOENT, "/nowhere/key.pem");
  assert_int_equal(server_seen(server, "/"), 0);
}

static void plain_when_allowed(void **state) {
  (void)state;
  struct dk_http_request request = request_of("/ok", &out);
  request.url = url_of("http", "cloud.test", server_port(server), "/ok");
  request.allows_plain = true;
  ask(&request, &out);
  assert_int_equal(out.status, 200);
}

static void over_unix_socket(void **state) {
  (void)state;
  char folder[] = "/tmp/dk-http-XXXXXX", path[64];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/socket", folder);
  struct server *near = server_start(path);
  struct dk_http_request request = request_of("/echo", &out);
  request.url = "http://lxd/echo";
  request.unix_socket = path;
  ask(&request, &out);
  assert_has(out.body, "\r\nHost: lxd\r\n");
  assert_int_equal(server_seen(near, "/echo"), 1);
  server_stop(near);
  unlink(path);
  request = request_of("/echo", &out);
  request.url = "http://lxd/echo";
  request.unix_socket = path;
  request.class = DK_HTTP_ONCE;
  ask(&request, &out);
  assert_true(out.r < 0);
  assert_false(out.in_doubt);
  assert_has(out.words, path);
  rmdir(folder);
}

static void damaged(void **state) {
  (void)state;
  static const char *const paths[] = {"/raw/SSH-2.0-OpenSSH_9.2%0d%0a", "/raw/HTTP/9.9%20200%20OK%0d%0a%0d%0a",
                                      "/raw/HTTP/1.1%20200%20OK%0d%0aContent-Encoding:%20gzip%0d%0a%0d%0anot%20gzip"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    struct dk_http_request request = request_of(paths[i], &out);
    ask(&request, &out);
    assert_int_equal(out.r, -EPROTO);
    assert_has(out.words, "cannot be read as HTTP");
  }
}

static void redirects(void **state) {
  (void)state;
  struct dk_http_request request = request_of("/to//ok", &out);
  ask(&request, &out);
  assert_int_equal(out.status, 200);
  assert_int_equal(server_seen(server, "/ok"), 1);
  char path[256];
  snprintf(path, sizeof path, "/to/http://other.test:%u/ok?token=s3cret", server_port(server));
  request = request_of(path, &out);
  const struct dk_http_header token = {"X-Auth-Token", "s3cret"};
  request.headers = &token;
  request.n_headers = 1;
  request.allows_plain = true;
  ask(&request, &out);
  assert_int_equal(out.r, 0);
  assert_int_equal(out.status, 302);
  assert_has(out.elsewhere, "other.test:");
  assert_int_equal(out.refused_code, -EREMOTE);
  assert_has(out.refused, "other.test");
  assert_lacks(out.refused, "s3cret");
  assert_int_equal(server_seen(server, "/ok"), 1);
  /* Neither another port, nor another way to say the same host. */
  request = request_of("/to/http://localhost:1/ok", &out);
  ask(&request, &out);
  assert_int_equal(out.status, 302);
  request = request_of("/to//ok", &out);
  request.method = "POST";
  ask(&request, &out);
  assert_int_equal(out.status, 302);
  request = request_of("/to//ok", &out);
  request.class = DK_HTTP_ONCE;
  ask(&request, &out);
  assert_int_equal(out.status, 302);
  assert_int_equal(server_seen(server, "/ok"), 1);
}

static void redirects_without_end(void **state) {
  (void)state;
  char path[400] = "";
  for (int i = 0; i < 8; i++) strcat(path, "/to/");
  strcat(path, "/ok");
  struct dk_http_request request = request_of(path, &out);
  ask(&request, &out);
  assert_int_equal(out.status, 302);
  assert_int_equal(server_seen(server, "/to/"), 6);
}

static void names(void **state) {
  (void)state;
  struct dk_http_request request = request_of("/ok", &out);
  request.url = "https://gone.test/?token=s3cret";
  request.class = DK_HTTP_ONCE;
  ask(&request, &out);
  assert_int_equal(out.r, -EHOSTUNREACH);
  assert_false(out.in_doubt);
  assert_has(out.words, "gone.test");
  assert_lacks(out.words, "s3cret");
}

static void words_of_status(void **state) {
  (void)state;
  static const struct {
    int status, code;
  } known[] = {{401, -EACCES}, {403, -EACCES},  {409, -EEXIST}, {410, -ENOENT},
               {418, -EINVAL}, {304, -EREMOTE}, {501, -EIO}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    char path[32], words[32];
    snprintf(path, sizeof path, "/status/%d", known[i].status);
    snprintf(words, sizeof words, "status %d", known[i].status);
    struct dk_http_request request = request_of(path, &out);
    ask(&request, &out);
    assert_int_equal(out.refused_code, known[i].code);
    assert_has(out.refused, words);
    assert_int_equal(out.tries, 1);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(what_is_sent),   TEST(methods),        TEST(what_comes_back),       TEST(connections),
      TEST(many),           TEST(wrong_requests), TEST(plain_when_allowed),    TEST(over_unix_socket),
      TEST(damaged),        TEST(redirects),      TEST(redirects_without_end), TEST(names),
      TEST(words_of_status)};
  return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
