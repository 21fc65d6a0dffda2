/* Bounds: bytes that are too many, time that is too long, descriptors that are too few. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static struct outcome out;

static void too_much(void **state) {
  (void)state;
  struct dk_http_request request = request_of("/endless", &out);
  request.body_most = 100000;
  ask(&request, &out);
  assert_int_equal(out.r, -EMSGSIZE);
  assert_has(out.words, "97.7 KiB");
  assert_int_equal(out.status, 200);
  static const char *const heads[] = {"/heads", "/interims"};
  for (int i = 0; i < 2; i++) {
    request = request_of(heads[i], &out);
    ask(&request, &out);
    assert_int_equal(out.r, -EMSGSIZE);
    assert_has(out.words, "headers");
  }
  assert_int_equal(server_seen(server, "/"), 3); /* none of it is asked for again */
}

/* 64 MiB of zeros are 64 KB on the wire. */
static void bomb(void **state) {
  (void)state;
  char file[] = "/tmp/dk-bomb-XXXXXX", command[128], path[64];
  int fd = mkstemp(file);
  assert_true(fd >= 0);
  close(fd);
  snprintf(command, sizeof command, "head -c 67108864 /dev/zero | gzip -9 >%s", file);
  assert_int_equal(system(command), 0);
  snprintf(path, sizeof path, "/file%s", file);
  struct dk_http_request request = request_of(path, &out);
  ask(&request, &out);
  assert_int_equal(out.r, -EMSGSIZE);
  assert_has(out.words, "16 MiB");
  request = request_of(path, &out);
  request.body_most = (size_t)64 << 20;
  ask(&request, &out);
  assert_int_equal(out.r, 0);
  assert_int_equal(out.body_len, 67108864);
  unlink(file);
}

static void wrong_lengths(void **state) {
  (void)state;
  static const struct {
    const char *path;
    int r;
    const char *body;
  } cases[] = {{"/raw/HTTP/1.1%20200%20OK%0d%0aContent-Length:%202%0d%0a%0d%0afine", 0, "fi"},
               {"/raw/HTTP/1.1%20200%20OK%0d%0aContent-Length:%209%0d%0a%0d%0afine", -ECONNRESET, ""},
               {"/raw/HTTP/1.1%20200%20OK%0d%0a%0d%0afine", 0, "fine"}, /* until it closes */
               {"/raw/HTTP/1.1%20200%20OK%0d%0aContent-Length:%20-1%0d%0a%0d%0afine", -EPROTO, ""},
               {"/raw/HTTP/1.1%20200%20OK%0d%0aContent-Length:%2099999999999999999999%0d%0a%0d%0afine", -EMSGSIZE, ""},
               {"/raw/HTTP/1.1%20200%20OK%0d%0aContent-Length:%20999999999%0d%0a%0d%0afine", -EMSGSIZE, ""},
               {"/raw/HTTP/1.1%20200%20OK%0d%0aTransfer-Encoding:%20chunked%0d%0a%0d%0afine", -ECONNRESET, ""}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct dk_http_request request = request_of(cases[i].path, &out);
    request.class = DK_HTTP_ONCE;
    ask(&request, &out);
    assert_int_equal(out.r, cases[i].r);
    assert_string_equal(out.body, cases[i].body);
  }
}

/* It is this machine's trouble, and nothing that the address has done. */
static void no_descriptors(void **state) {
  (void)state;
  struct rlimit before, none;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  int lowest = dup(0);
  close(lowest);
  none.rlim_cur = (rlim_t)lowest;
  struct dk_http_request request = request_of("/ok", &out);
  request.class = DK_HTTP_ONCE;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  ask(&request, &out);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(out.r, -EMFILE);
  assert_false(out.in_doubt);
  assert_has(out.words, "Too many open files");
}

/* A program that is started meanwhile has none of our sockets. */
static void not_inherited(void **state) {
  (void)state;
  struct dk_http_request request = request_of("/ok", &out);
  struct sockaddr_in peer;
  int n = 0;
  ask(&request, &out);
  for (int fd = 3; fd < 200; fd++) {
    socklen_t len = sizeof peer;
    memset(&peer, 0, sizeof peer);
    if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0 || peer.sin_family != AF_INET) continue;
    if (ntohs(peer.sin_port) != server_port(server)) continue;
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    n++;
  }
  assert_int_equal(n, 1);
}

static void takes_too_long(void **state) {
  (void)state;
  struct dk_http_request request = request_of("/drip", &out);
  request.class = DK_HTTP_ONCE;
  request.silence_ns = 1000 * MS;
  request.try_ns = 2000 * MS;
  uint64_t begin = dk_now_ns();
  ask(&request, &out);
  assert_int_equal(out.r, -ETIMEDOUT);
  assert_has(out.words, "took longer than");
  assert_true(dk_now_ns() - begin >= 2000 * MS);
  request = request_of("/mute", &out);
  request.silence_ns = 300 * MS;
  request.deadline_ns = 1000 * MS;
  ask(&request, &out);
  assert_int_equal(out.r, -ETIMEDOUT);
  assert_true(out.tries > 1);
  assert_true(server_seen(server, "/mute") >= out.tries - 1); /* the last one may have had no time to be sent */
}

/* A host that takes no connections: the queue of this one is full. */
static void never_connected(void **state) {
  (void)state;
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof here;
  int listener = socket(AF_INET, SOCK_STREAM, 0), waiting[4];
  assert_int_equal(bind(listener, (struct sockaddr *)&here, sizeof here), 0);
  assert_int_equal(listen(listener, 0), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&here, &len), 0);
  for (int i = 0; i < 4; i++) {
    waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    (void)connect(waiting[i], (struct sockaddr *)&here, sizeof here);
  }
  struct dk_http_request request = request_of("/ok", &out);
  request.url = url_of("http", "127.0.0.1", ntohs(here.sin_port), "/ok");
  request.method = "POST";
  request.class = DK_HTTP_ONCE;
  request.connect_ns = 300 * MS;
  ask(&request, &out);
  assert_int_equal(out.r, -ETIMEDOUT);
  assert_has(out.words, "while connecting");
  assert_false(out.in_doubt);
  for (int i = 0; i < 4; i++) close(waiting[i]);
  close(listener);
}

/* The resolver hangs. Neither a time limit, nor cancelling, nor destroying waits for it. */
static void slow_resolver(void **state) {
  (void)state;
  struct dk_http_call *call;
  struct dk_http_request request = request_of("/ok", &out);
  request.url = url_of("http", "slow.test", server_port(server), "/ok");
  request.allows_plain = true;
  request.class = DK_HTTP_ONCE;
  request.connect_ns = 200 * MS;
  uint64_t begin = dk_now_ns();
  ask(&request, &out);
  assert_int_equal(out.r, -ETIMEDOUT);
  assert_false(out.in_doubt);
  assert_has(out.words, "while its name was looked up");
  request.connect_ns = 0;
  memset(&out, 0, sizeof out);
  assert_int_equal(dk_http_send(http, &request, &call, NULL), 0);
  while (resolver_waiting() < 2) run_for(5 * MS);
  dk_http_cancel(call);
  assert_int_equal(dk_http_send(http, &request, &call, NULL), 0);
  while (resolver_waiting() < 3) run_for(5 * MS);
  dk_http_destroy(http);
  assert_int_equal(resolver_waiting(), 3); /* and all of that is over while they still hang */
  assert_true(dk_now_ns() - begin < 10000 * MS);
  assert_int_equal(dk_http_create(loop, 1, &http, NULL), 0);
  resolver_release();
  while (resolver_waiting() > 0) poll(NULL, 0, 5);
  assert_int_equal(out.n_done, 0);
  ask(&request, &out);
  assert_int_equal(out.status, 200);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {TEST(too_much),        TEST(bomb),          TEST(wrong_lengths),
                                     TEST(no_descriptors),  TEST(not_inherited), TEST(takes_too_long),
                                     TEST(never_connected), TEST(slow_resolver)};
  return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
