/* What is asked again and what never is, how long is waited, and what is said of a request that broke. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>

#define MS UINT64_C(1000000)

static struct outcome out;

static void comes_to_itself(void **state) {
  (void)state;
  static const char *const paths[] = {"/flaky/1/500", "/flaky/1/502", "/flaky/1/503", "/flaky/1/504",
                                      "/flaky/1/408", "/flaky/1/425", "/flaky/1/429"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    struct dk_http_request request = request_of(paths[i], &out);
    request.method = i % 2 ? "GET" : "PUT";
    ask(&request, &out);
    assert_int_equal(out.status, 200);
    assert_int_equal(out.tries, 2);
    assert_int_equal(out.n_waits, 1);
    assert_true(out.waited_ns < 500 * MS);
    assert_has(out.why, "lab: ask: 127.0.0.1");
    assert_has(out.why, paths[i] + strlen("/flaky/1/"));
    assert_false(out.in_doubt);
    assert_int_equal(server_seen(server, paths[i]), 2);
  }
}

static void does_not_help(void **state) {
  (void)state;
  static const int statuses[] = {400, 401, 403, 404, 409, 413, 501, 505};
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    char path[32];
    snprintf(path, sizeof path, "/status/%d", statuses[i]);
    struct dk_http_request request = request_of(path, &out);
    request.method = "PUT";
    ask(&request, &out);
    assert_int_equal(out.status, statuses[i]);
    assert_int_equal(out.n_waits, 0);
    assert_false(out.in_doubt);
    assert_int_equal(server_seen(server, path), 1);
  }
}

static void asked_to_wait(void **state) {
  (void)state;
  struct dk_http_request request = request_of("/flaky/1/429/Retry-After:%201", &out);
  uint64_t begin = dk_now_ns();
  ask(&request, &out);
  assert_int_equal(out.status, 200);
  assert_true(out.waited_ns >= 1000 * MS && out.waited_ns < 1500 * MS);
  assert_true(dk_now_ns() - begin >= out.waited_ns);
  /* By the server's clock, not by ours. */
  request = request_of("/flaky/1/503/Date:%20Sun,%2006%20Nov%201994%2008:49:37%20GMT|"
                       "Retry-After:%20Sun,%2006%20Nov%201994%2008:49:38%20GMT",
                       &out);
  ask(&request, &out);
  assert_int_equal(out.status, 200);
  assert_true(out.waited_ns >= 1000 * MS && out.waited_ns < 1500 * MS);
}

/* A wait that goes past the deadline is not begun: who asked is told at once what came. */
static void no_time_left(void **state) {
  (void)state;
  struct dk_http_request request = request_of("/status/429/Retry-After:%20100000", &out);
  request.method = "POST";
  ask(&request, &out);
  assert_int_equal(out.status, 429);
  assert_int_equal(out.n_waits, 0);
  assert_int_equal(out.retry_after_ns, UINT64_C(100000) * 1000 * MS);
  assert_int_equal(out.refused_code, -EBUSY);
  request = request_of("/status/503", &out);
  request.deadline_ns = 3000 * MS;
  uint64_t begin = dk_now_ns();
  ask(&request, &out);
  assert_int_equal(out.status, 503);
  assert_true(out.tries > 1);
  assert_true(server_seen(server, "/status/503") >= out.tries - 1);
  assert_true(dk_now_ns() - begin < 3000 * MS);
  request = request_of("/close", &out);
  request.deadline_ns = 2000 * MS;
  ask(&request, &out);
  assert_int_equal(out.r, -ECONNRESET);
  assert_has(out.words, "lab: ask: after ");
  assert_false(out.in_doubt); /* it was only read */
}

static void token(void **state) {
  (void)state;
  struct dk_http_request request = request_of("/flaky/1/500", &out);
  request.method = "POST";
  request.class = DK_HTTP_TOKEN;
  request.token_ttl_ns = 60000 * MS;
  ask(&request, &out);
  assert_int_equal(out.status, 200);
  assert_int_equal(out.tries, 2);
  assert_false(out.in_doubt);
  request = request_of("/flaky/1/502", &out);
  request.method = "POST";
  request.class = DK_HTTP_TOKEN;
  request.token_ttl_ns = 1;
  ask(&request, &out);
  assert_int_equal(out.status, 502);
  assert_int_equal(out.tries, 1);
  assert_true(out.in_doubt);
}

/* What a definite answer to the last try says nothing of. */
static void doubt_stays(void **state) {
  (void)state;
  static const struct {
    const char *method, *path;
    bool in_doubt;
  } cases[] = {{"DELETE", "/turns/500/404", true},  {"PUT", "/turns/0/403", true},
               {"POST", "/turns/0/502/409", true},  {"DELETE", "/turns/500/204", false},
               {"DELETE", "/turns/429/403", false}, {"GET", "/turns/500/404", false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct dk_http_request request = request_of(cases[i].path, &out);
    request.method = cases[i].method;
    ask(&request, &out);
    assert_int_equal(out.r, 0);
    assert_true(server_seen(server, cases[i].path) > 1);
    assert_int_equal(out.in_doubt, cases[i].in_doubt);
  }
}

static void once(const char *path, int r, bool in_doubt) {
  struct dk_http_request request = request_of(path, &out);
  request.method = "POST";
  request.class = DK_HTTP_ONCE;
  request.body = "create";
  request.body_len = 6;
  if (r == -ETIMEDOUT) request.silence_ns = 300 * MS;
  ask(&request, &out);
  assert_int_equal(out.r, r);
  assert_true(out.in_doubt == in_doubt);
  assert_int_equal(out.tries, 1);
  assert_int_equal(out.n_waits, 0);
  assert_int_equal(server_seen(server, path), 1);
}

static void at_most_once(void **state) {
  (void)state;
  once("/ok", 0, false);
  once("/close", -ECONNRESET, true);
  once("/cut", -ECONNRESET, true);
  assert_string_equal(out.header, "cut");
  once("/mute", -ETIMEDOUT, true);
  assert_has(out.words, "waiting for its answer");
  once("/silent", -ETIMEDOUT, true);
  assert_has(out.words, "in the middle of its answer");
  once("/status/500", 0, true);
  once("/status/503/Retry-After:%201", 0, true);
  once("/status/504", 0, true);
  once("/status/408", 0, true);
  once("/status/501", 0, false);
  once("/status/429", 0, false);
  once("/status/400", 0, false);
  once("/status/307/Location:%20/ok", 0, false);
  assert_int_equal(server_seen(server, "/ok"), 1);
}

/* A connection that was kept and dies as the request arrives, after the server has acted: curl by itself asks again,
 * which is seen of a request that may be repeated, and must not be seen of one that may not. */
static void kept_connection_dies(void **state) {
  (void)state;
  struct dk_http_request request = request_of("/ok", &out);
  ask(&request, &out);
  request = request_of("/reused", &out);
  request.method = "PUT";
  ask(&request, &out);
  assert_int_equal(out.status, 200);
  assert_int_equal(server_seen(server, "/reused"), 2);
  request = request_of("/ok", &out);
  ask(&request, &out);
  once("/reused?once", 0, false);
}

/* Nothing listens there: certain that nothing was sent. */
static void not_connected(void **state) {
  (void)state;
  struct server *gone = server_start(NULL);
  const char *url = url_of("http", "127.0.0.1", server_port(gone), "/ok");
  server_stop(gone);
  struct dk_http_request request = request_of("/ok", &out);
  request.url = url;
  request.method = "POST";
  request.class = DK_HTTP_ONCE;
  ask(&request, &out);
  assert_int_equal(out.r, -ECONNREFUSED);
  assert_false(out.in_doubt);
  assert_has(out.words, "no connection to 127.0.0.1:");
  assert_has(out.words, "Connection refused");
  request = request_of("/ok", &out);
  request.url = url;
  request.method = "POST";
  request.deadline_ns = 1500 * MS;
  ask(&request, &out);
  assert_true(out.tries > 1);
  assert_false(out.in_doubt);
}

static void cancelled(void **state) {
  (void)state;
  struct dk_http_call *call;
  struct dk_http_request request = request_of("/mute", &out);
  assert_int_equal(dk_http_send(http, &request, &call, NULL), 0);
  while (server_seen(server, "/mute") == 0) run_for(5 * MS);
  dk_http_cancel(call);
  run_for(20 * MS);
  assert_int_equal(out.n_done, 0);
  /* Between two tries. */
  request = request_of("/status/503/Retry-After:%201", &out);
  assert_int_equal(dk_http_send(http, &request, &call, NULL), 0);
  while (out.n_waits == 0) run_for(5 * MS);
  dk_http_cancel(call);
  run_for(1600 * MS);
  assert_int_equal(out.n_done, 0);
  assert_int_equal(server_seen(server, "/status/503"), 1);
  assert_int_equal(dk_http_deadline(http), UINT64_MAX);
  dk_http_cancel(NULL);
}

static struct dk_http_call *first, *second;
static int n_called;

static void cancel_both(void *ctx, const char *why, uint64_t ns) {
  (void)ctx, (void)why, (void)ns;
  n_called++;
  dk_http_cancel(first);
  dk_http_cancel(second);
}

static void ask_again(void *ctx, const struct dk_http_answer *answer) {
  struct dk_http_request request = request_of("/ok", &out);
  (void)ctx;
  assert_int_equal(answer->status, 200);
  n_called++;
  dk_http_cancel(second);
  assert_int_equal(dk_http_send(http, &request, &second, NULL), 0);
}

static void from_within(void **state) {
  (void)state;
  static struct outcome other;
  struct dk_http_request request = request_of("/status/503", &out);
  struct dk_http_request waiting = request_of("/mute", &other);
  n_called = 0;
  request.wait = cancel_both;
  assert_int_equal(dk_http_send(http, &request, &first, NULL), 0);
  assert_int_equal(dk_http_send(http, &waiting, &second, NULL), 0);
  while (n_called == 0) run_for(5 * MS);
  run_for(20 * MS);
  assert_int_equal(out.n_done + other.n_done, 0);
  request = request_of("/ok", &out);
  request.done = ask_again;
  assert_int_equal(dk_http_send(http, &waiting, &second, NULL), 0);
  assert_int_equal(dk_http_send(http, &request, &first, NULL), 0);
  run_until_done(&out);
  assert_int_equal(out.status, 200);
  assert_int_equal(n_called, 2);
  assert_int_equal(other.n_done, 0);
}

static void destroyed(void **state) {
  (void)state;
  struct dk_http_call *call;
  struct dk_http_request request = request_of("/mute", &out);
  for (int i = 0; i < 20; i++) assert_int_equal(dk_http_send(http, &request, &call, NULL), 0);
  while (server_seen(server, "/mute") == 0) run_for(5 * MS);
}

static uint64_t longest;

static void note_and_cancel(void *ctx, const char *why, uint64_t ns) {
  (void)ctx, (void)why;
  longest = ns;
  dk_http_cancel(first);
}

/* A server that wants us to wait for a day is asked again before. */
static void waits_are_capped(void **state) {
  (void)state;
  struct dk_http_request request = request_of("/status/503/Retry-After:%2086400", &out);
  request.deadline_ns = UINT64_C(7200000) * MS;
  request.wait = note_and_cancel;
  longest = 0;
  assert_int_equal(dk_http_send(http, &request, &first, NULL), 0);
  while (longest == 0) run_for(5 * MS);
  assert_true(longest >= 300000 * MS && longest < 300500 * MS);
  assert_int_equal(out.n_done, 0);
}

/* The same seed waits alike, another one does not. */
static void jitter(void **state) {
  (void)state;
  uint64_t waited[3];
  for (int i = 0; i < 3; i++) {
    dk_http_destroy(http);
    assert_int_equal(dk_http_create(loop, i == 2 ? 8 : 7, &http, NULL), 0);
    struct dk_http_request request = request_of(i == 0   ? "/flaky/1/500/a:b"
                                                : i == 1 ? "/flaky/1/500/a:c"
                                                         : "/flaky/1/500",
                                                &out);
    ask(&request, &out);
    waited[i] = out.waited_ns;
  }
  assert_int_equal(waited[0], waited[1]);
  assert_true(waited[1] != waited[2]);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(comes_to_itself), TEST(does_not_help),   TEST(asked_to_wait), TEST(no_time_left),
      TEST(token),           TEST(doubt_stays),     TEST(at_most_once),  TEST(kept_connection_dies),
      TEST(not_connected),   TEST(cancelled),       TEST(from_within),   TEST(destroyed),
      TEST(jitter),          TEST(waits_are_capped)};
  return cmocka_run_group_tests_name("repeat", tests, NULL, NULL);
}
