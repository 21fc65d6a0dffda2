/* What all drivers share, against a server that misbehaves (tests/unit/net/server.h), by a driver that does little: an
 * order's image is the paths that are asked for one after the other, with `>` between. */
#include "../net/server.h"
#include "providers/cloud/run.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_NS UINT64_C(1000000000)
#define TOKEN "s3cret-token"

/* --- the driver --- */

struct session {
  char token[32];
};

static int open_site(struct dk_cloud_site *site, const struct dk_cloud_config *config, struct dk_error *error) {
  site->url = dk_cloud_keep(&site->texts, dk_cloud_setting(config, "url"));
  site->cert_file = dk_cloud_keep(&site->texts, dk_cloud_setting(config, "cert"));
  if (site->cert_file && !*site->cert_file) site->cert_file = NULL;
  site->where = site->url;
  *(const char **)site->own = dk_cloud_keep(&site->texts, dk_cloud_setting(config, "login"));
  return site->url && *(const char **)site->own ? 0 : dk_error_system(error, -ENOMEM, "settings");
}

static enum dk_cloud_turn step(struct dk_cloud_work *work, const struct dk_http_answer *answer) {
  uint32_t *at = work->own; /* of the paths */
  const char *path = work->order.image + *at;
  bool is_reading = work->order.kind == DK_CLOUD_LIST || work->order.kind == DK_CLOUD_CHECK;
  struct dk_error error = {0};

  if (answer && (answer->status < 200 || answer->status > 299)) return dk_cloud_refuse(work, answer);
  if (answer && is_reading && strcmp(answer->body, "fine") != 0) {
    dk_error_set(&error, -EBADMSG, "%s: the answer is not fine", answer->label);
    return dk_cloud_end(work, DK_CLOUD_TRANSIENT, &error);
  }
  if (answer && work->order.kind == DK_CLOUD_LIST &&
      !dk_cloud_add(work, &(struct dk_instance){.name = "m", .id = "i", .store = {7}}))
    return DK_CLOUD_OVER;
  if (!*path) {
    work->result.id = work->order.name;
    if (work->order.n_shapes > 1) work->result.words = work->order.shapes[1].name;
    work->result.is_complete = true;
    return dk_cloud_end(work, DK_CLOUD_FINE, NULL);
  }
  size_t len = strcspn(path, ">");
  struct dk_cloud_ask *ask =
      dk_cloud_ask(work, "go on", is_reading ? "GET" : "POST", is_reading ? DK_HTTP_IDEMPOTENT : DK_HTTP_ONCE);
  if (strncmp(path, "wait", 4) == 0) ask->wait_ns = 600 * SECOND_NS;
  if (strcmp(path, "loop") == 0) {
    dk_buf_add_text(&ask->path, "/ok");
    return DK_CLOUD_ASKS;
  }
  dk_buf_add(&ask->path, path, len);
  dk_buf_add_text(&ask->body, is_reading ? "" : "{}");
  *at += (uint32_t)len + (path[len] == '>');
  return DK_CLOUD_ASKS;
}

static enum dk_cloud_turn login(struct dk_cloud_work *work, struct dk_cloud_site *site,
                                const struct dk_http_answer *answer) {
  struct session *session = site->session;

  if (!answer) {
    dk_buf_add_text(&dk_cloud_ask(work, NULL, "POST", DK_HTTP_IDEMPOTENT)->path, *(const char **)site->own);
    return DK_CLOUD_ASKS;
  }
  if (answer->status != 200) return dk_cloud_refuse(work, answer);
  snprintf(session->token, sizeof session->token, TOKEN);
  return dk_cloud_end(work, DK_CLOUD_FINE, NULL);
}

static void sign(const struct dk_cloud_site *site, struct dk_cloud_ask *ask, int64_t unix_s, uint64_t nonce) {
  static uint64_t last;
  const struct session *session = site->session;

  assert_true(unix_s > 1700000000);
  assert_true(nonce != last);
  last = nonce;
  if (session->token[0]) dk_cloud_header(ask, "X-Auth-Token", session->token);
  assert_true(ask->n_headers <= 1); /* those of the try before are gone */
}

static const char *const ids[] = {"x-request-id", NULL};
static const struct dk_cloud_driver plain = {
    .request_ids = ids, .site_size = sizeof(char *), .work_size = sizeof(uint32_t), .open = open_site, .step = step};
static const struct dk_cloud_driver with_login = {.request_ids = ids,
                                                  .site_size = sizeof(char *),
                                                  .session_size = sizeof(struct session),
                                                  .work_size = sizeof(uint32_t),
                                                  .open = open_site,
                                                  .step = step,
                                                  .login = login,
                                                  .sign = sign};

/* --- the world --- */

struct outcome {
  unsigned n_done;
  enum dk_cloud_failure failure;
  char words[sizeof((struct dk_error *)0)->text];
  uint64_t retry_after_ns;
  uint32_t n_instances;
  bool is_complete, closes;
  char said[16];        /* of a CHECK */
  struct outcome *next; /* is started from within */
};

static struct server *server;
static struct dk_loop *loop;
static struct dk_cloud *cloud;

static int set_up(void **state) {
  (void)state;
  server = server_start(NULL);
  return dk_loop_create(&loop, NULL);
}

static int tear_down(void **state) {
  (void)state;
  dk_cloud_close(cloud);
  cloud = NULL;
  dk_loop_destroy(loop);
  server_stop(server);
  return 0;
}

static int open_cloud(const struct dk_cloud_driver *driver, const char *login_path, struct dk_error *error) {
  char url[64];
  const struct dk_cloud_setting settings[] = {{"url", url}, {"login", login_path}};
  const struct dk_cloud_options options = {
      .config = {.provider = "lab", .settings = settings, .n_settings = 2}, .loop = loop, .seed = 7};

  snprintf(url, sizeof url, "http://127.0.0.1:%u", server_port(server));
  return dk_cloud_open(driver, &options, &cloud, error);
}

static void start(enum dk_cloud_kind kind, const char *paths, struct outcome *out);

static void on_done(void *ctx, const struct dk_cloud_result *result) {
  struct outcome *out = ctx;

  out->n_done++;
  out->failure = result->failure;
  out->retry_after_ns = result->retry_after_ns;
  out->n_instances = result->n_instances;
  out->is_complete = result->is_complete;
  snprintf(out->words, sizeof out->words, "%s", result->error.text);
  snprintf(out->said, sizeof out->said, "%s", result->words ? result->words : "");
  assert_int_equal(result->failure == DK_CLOUD_FINE, result->error.code == 0);
  if (result->failure != DK_CLOUD_FINE) assert_memory_equal(result->error.text, "lab: ", 5);
  assert_null(strstr(result->error.text, TOKEN));
  if (out->next) start(DK_CLOUD_CREATE, "/ok", out->next);
  if (!out->closes) return;
  dk_cloud_close(cloud);
  cloud = NULL;
}

static int try_start(enum dk_cloud_kind kind, const char *paths, struct outcome *out, struct dk_error *error) {
  const struct dk_cloud_order order = {.kind = kind, .name = "dk-1", .id = "dk-1", .image = paths};

  return dk_cloud_start(cloud, &order, on_done, out, error);
}

static void start(enum dk_cloud_kind kind, const char *paths, struct outcome *out) {
  struct dk_error error = {0};

  if (try_start(kind, paths, out, &error) < 0) fail_msg("%s", error.text);
  assert_int_equal(out->n_done, 0);
}

static void run_until_done(const struct outcome *out) {
  uint64_t end = dk_now_ns() + 30 * SECOND_NS;

  while (cloud && out->n_done == 0) {
    uint64_t at = dk_cloud_deadline(cloud);
    assert_true(dk_now_ns() < end);
    dk_loop_once(loop, at < end ? at : end);
    dk_cloud_tick(cloud, dk_now_ns());
  }
  assert_int_equal(out->n_done, 1);
}

static struct outcome ask(enum dk_cloud_kind kind, const char *paths) {
  struct outcome out = {0};

  start(kind, paths, &out);
  run_until_done(&out);
  return out;
}

#define assert_has(text, part)                                                                                         \
  do {                                                                                                                 \
    if (!strstr((text), (part))) fail_msg("\"%s\" has no \"%s\"", (text), (part));                                     \
  } while (0)

/* --- tests --- */

static void what_it_comes_to(void **state) {
  static const struct {
    enum dk_cloud_kind kind;
    const char *paths;
    enum dk_cloud_failure failure;
    uint32_t seen;
    const char *words;
  } wanted[] = {
      {DK_CLOUD_CREATE, "/ok", DK_CLOUD_FINE, 1, ""},
      /* The reply is lost after it acted, or nobody knows. It is asked once. */
      {DK_CLOUD_CREATE, "/close", DK_CLOUD_DOUBT, 1, "lab: create dk-1: go on: the connection"},
      {DK_CLOUD_CREATE, "/cut", DK_CLOUD_DOUBT, 1, "; it may have been made all the same"},
      {DK_CLOUD_CREATE, "/status/500", DK_CLOUD_DOUBT, 1, "status 500"},
      {DK_CLOUD_CREATE, "/status/503", DK_CLOUD_DOUBT, 1, "status 503"},
      {DK_CLOUD_CREATE, "/reused>/reused", DK_CLOUD_FINE, 2, ""}, /* over a connection of its own each time */
      /* Refused. */
      {DK_CLOUD_CREATE, "/status/400", DK_CLOUD_BAD, 1, "status 400"},
      {DK_CLOUD_CREATE, "/status/401", DK_CLOUD_DENIED, 1, "status 401"},
      {DK_CLOUD_CREATE, "/status/403", DK_CLOUD_DENIED, 1, "\nhelp: the credentials are known"},
      {DK_CLOUD_CREATE, "/status/429/Retry-After:%207", DK_CLOUD_THROTTLED, 1, "status 429"},
      {DK_CLOUD_CREATE, "/to/http://other.example/", DK_CLOUD_BAD, 1, "wants us to ask other.example instead"},
      {DK_CLOUD_CREATE, "/status/403/X-Request-Id:%20req-77", DK_CLOUD_DENIED, 1, "request req-77\nhelp: "},
      /* Later, what was made is there: refused or not. */
      {DK_CLOUD_CREATE, "/ok>/status/403", DK_CLOUD_DOUBT, 1, "status 403"},
      {DK_CLOUD_CREATE, "/ok>/status/409", DK_CLOUD_DOUBT, 1, "status 409"},
      {DK_CLOUD_DELETE, "/close", DK_CLOUD_DOUBT, 1, "lab: delete dk-1: go on: the connection"},
      {DK_CLOUD_DELETE, "/status/403", DK_CLOUD_DENIED, 1, "status 403"},
      {DK_CLOUD_DELETE, "/ok>/status/403", DK_CLOUD_DENIED, 1, "status 403"},
      /* What reads is asked again. */
      {DK_CLOUD_LIST, "/flaky/2/500", DK_CLOUD_FINE, 3, ""},
      {DK_CLOUD_LIST, "/status/200", DK_CLOUD_TRANSIENT, 1, "lab: list machines: go on: the answer is not fine"},
      {DK_CLOUD_LIST, "/status/200/X-Request-Id:%20req-78", DK_CLOUD_TRANSIENT, 1, "not fine, request req-78"},
      {DK_CLOUD_LIST, "/status/404", DK_CLOUD_BAD, 1, "status 404"},
      {DK_CLOUD_CHECK, "/raw/no%20HTTP%0d%0a%0d%0a", DK_CLOUD_TRANSIENT, 1, "lab: check: go on: "},
      {DK_CLOUD_CHECK, "/endless", DK_CLOUD_TRANSIENT, 1, "more than 16 MiB"},
      {DK_CLOUD_LIST, "/ok>/ok>/ok", DK_CLOUD_FINE, 3, ""},
  };
  (void)state;
  assert_int_equal(open_cloud(&plain, "", NULL), 0);
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    const char *last = strrchr(wanted[i].paths, '>') ? strrchr(wanted[i].paths, '>') + 1 : wanted[i].paths;
    uint32_t before = server_seen(server, last);
    struct outcome out = ask(wanted[i].kind, wanted[i].paths);
    if (out.failure != wanted[i].failure) fail_msg("%s: %d %s", wanted[i].paths, out.failure, out.words);
    assert_has(out.words, wanted[i].words);
    assert_int_equal(server_seen(server, last) - before, wanted[i].seen);
    assert_int_equal(out.retry_after_ns, wanted[i].failure == DK_CLOUD_THROTTLED ? 7 * SECOND_NS : 0);
    if (wanted[i].kind == DK_CLOUD_LIST) assert_int_equal(out.is_complete, wanted[i].failure == DK_CLOUD_FINE);
  }
}

static void nobody_is_there(void **state) {
  (void)state;
  assert_int_equal(open_cloud(&plain, "", NULL), 0);
  server_stop(server);
  struct outcome out = ask(DK_CLOUD_CREATE, "/ok");
  assert_int_equal(out.failure, DK_CLOUD_TRANSIENT);
  assert_has(out.words, "lab: create dk-1: go on: no connection to 127.0.0.1");
  server = server_start(NULL);
}

/* What is lent for the start of a call is its own afterwards. */
static void shapes(void **state) {
  char name[] = "large";
  struct dk_shape two[] = {{.name = "small"}, {.name = name}};
  struct dk_cloud_order order = {.kind = DK_CLOUD_CHECK, .image = "/ok", .shapes = two, .n_shapes = 2};
  struct outcome out = {0};
  (void)state;

  assert_int_equal(open_cloud(&plain, "", NULL), 0);
  assert_int_equal(dk_cloud_start(cloud, &order, on_done, &out, NULL), 0);
  memset(name, 'x', sizeof name - 1);
  memset(two, 0, sizeof two);
  run_until_done(&out);
  assert_string_equal(out.said, "large");
}

static void clocks(void **state) {
  (void)state;
  assert_int_equal(open_cloud(&plain, "", NULL), 0);
  struct outcome out = ask(DK_CLOUD_LIST, "/status/403/Date:%20Mon,%2001%20Jan%202024%2000:00:00%20GMT");
  assert_int_equal(out.failure, DK_CLOUD_DENIED);
  assert_has(out.words, "\nhelp: this machine's clock is ");
  assert_has(out.words, " minutes ahead of that of the cloud: set it right");
}

static void sessions(void **state) {
  struct outcome outs[3] = {0};
  (void)state;

  assert_int_equal(open_cloud(&with_login, "/echo", NULL), 0);
  for (int i = 0; i < 3; i++) start(i == 1 ? DK_CLOUD_LIST : DK_CLOUD_CREATE, "/ok", &outs[i]);
  for (int i = 0; i < 3; i++) run_until_done(&outs[i]);
  for (int i = 0; i < 3; i++) assert_int_equal(outs[i].failure, DK_CLOUD_FINE);
  assert_int_equal(server_seen(server, "/echo"), 1);
  /* It has ended: once more, and what was refused is asked again, also what is asked once. */
  assert_int_equal(ask(DK_CLOUD_CREATE, "/turns/401/200").failure, DK_CLOUD_FINE);
  assert_int_equal(server_seen(server, "/turns/401/200"), 2);
  assert_int_equal(server_seen(server, "/echo"), 2);
  /* Twice: that is a refusal. */
  struct outcome out = ask(DK_CLOUD_CREATE, "/status/401");
  assert_int_equal(out.failure, DK_CLOUD_DENIED);
  assert_int_equal(server_seen(server, "/status/401"), 2);
  assert_int_equal(server_seen(server, "/echo"), 3);
  /* Two at a time: one login. */
  outs[0] = outs[1] = (struct outcome){0};
  start(DK_CLOUD_CREATE, "/turns/401/201", &outs[0]);
  start(DK_CLOUD_CREATE, "/turns/401/202", &outs[1]);
  run_until_done(&outs[0]);
  run_until_done(&outs[1]);
  assert_int_equal(outs[0].failure + outs[1].failure, DK_CLOUD_FINE);
  assert_int_equal(server_seen(server, "/echo"), 4);
}

static void no_session(void **state) {
  struct outcome first = {0}, second = {0};
  (void)state;

  assert_int_equal(open_cloud(&with_login, "/status/401/X-Request-Id:%20req-79", NULL), 0);
  start(DK_CLOUD_CREATE, "/ok", &first);
  start(DK_CLOUD_LIST, "/ok", &second);
  run_until_done(&first);
  run_until_done(&second);
  assert_int_equal(first.failure, DK_CLOUD_DENIED);
  assert_int_equal(second.failure, DK_CLOUD_DENIED);
  assert_has(first.words, "lab: log in: ");
  assert_has(first.words, "request req-79");
  assert_int_equal(server_seen(server, "/ok"), 0);
  /* The next call tries again. */
  assert_int_equal(ask(DK_CLOUD_CREATE, "/ok").failure, DK_CLOUD_DENIED);
  assert_int_equal(server_seen(server, "/status/401"), 2);
}

/* Between its requests a session ends, and none is given any more: what was made is there. */
static void a_session_is_lost_halfway(void **state) {
  (void)state;
  assert_int_equal(open_cloud(&with_login, "/turns/200/403", NULL), 0);
  struct outcome out = ask(DK_CLOUD_CREATE, "/ok>/status/401");
  assert_int_equal(out.failure, DK_CLOUD_DOUBT);
  assert_has(out.words, "lab: log in: ");
}

static void too_long(void **state) {
  struct outcome out = {0}, create = {0};
  (void)state;

  assert_int_equal(open_cloud(&plain, "", NULL), 0);
  start(DK_CLOUD_LIST, "wait", &out);
  uint64_t at = dk_cloud_deadline(cloud);
  assert_true(at > dk_now_ns() + 290 * SECOND_NS && at < dk_now_ns() + 310 * SECOND_NS);
  dk_cloud_tick(cloud, at - 1);
  assert_int_equal(out.n_done, 0);
  dk_cloud_tick(cloud, at);
  assert_int_equal(out.n_done, 1);
  assert_int_equal(out.failure, DK_CLOUD_TRANSIENT);
  assert_has(out.words, "lab: list machines: given up after 300 s, on the way to `go on`");
  /* A request that never ends. */
  start(DK_CLOUD_CREATE, "/mute", &create);
  while (server_seen(server, "/mute") == 0) {
    dk_loop_once(loop, dk_now_ns() + SECOND_NS / 100);
    dk_cloud_tick(cloud, dk_now_ns());
  }
  dk_cloud_tick(cloud, dk_now_ns() + 301 * SECOND_NS);
  assert_int_equal(create.n_done, 1);
  assert_int_equal(create.failure, DK_CLOUD_DOUBT);
}

static void no_end(void **state) {
  (void)state;
  assert_int_equal(open_cloud(&plain, "", NULL), 0);
  struct outcome out = ask(DK_CLOUD_LIST, "loop");
  assert_int_equal(out.failure, DK_CLOUD_TRANSIENT);
  assert_has(out.words, "no end after 1000 requests");
  assert_false(out.is_complete);
  assert_int_equal(server_seen(server, "/ok"), 1000);
}

static void too_many_instances(void **state) {
  struct dk_cloud_site site = {.provider = "lab"};
  struct dk_cloud_work work = {.site = &site};
  const struct dk_instance instance = {.name = "m", .id = "i"};
  uint32_t n = 0;
  (void)state;

  while (n < 200000 && dk_cloud_add(&work, &instance)) n++;
  assert_int_equal(n, 100000);
  assert_int_equal(work.result.failure, DK_CLOUD_TRANSIENT);
  assert_has(work.result.error.text, "more than 100000 machines");
  assert_string_equal(work.instances[99999].address, "");
  dk_cloud_texts_finish(&work.texts);
  dk_free(work.instances);
}

static void from_within(void **state) {
  struct outcome out = {0}, next = {0}, other = {0};
  (void)state;

  assert_int_equal(open_cloud(&plain, "", NULL), 0);
  out.next = &next;
  start(DK_CLOUD_CREATE, "/ok", &out);
  run_until_done(&out);
  run_until_done(&next);
  assert_int_equal(next.failure, DK_CLOUD_FINE);
  /* Closed from within: the others are given up, without a word. */
  out = (struct outcome){.closes = true};
  start(DK_CLOUD_CREATE, "/mute", &other);
  start(DK_CLOUD_CREATE, "/ok", &out);
  run_until_done(&out);
  assert_null(cloud);
  assert_int_equal(other.n_done, 0);
}

static void files(void **state) {
  const struct dk_cloud_setting settings[] = {{"url", "https://lab"}, {"login", ""}, {"cert", "/nowhere"}};
  const struct dk_cloud_options options = {.config = {.provider = "lab", .settings = settings, .n_settings = 3},
                                           .loop = loop};
  struct dk_error error = {0};
  (void)state;
  assert_int_equal(dk_cloud_open(&plain, &options, &cloud, &error), -ENOENT);
  assert_has(error.text, "lab: reading /nowhere: ");
}

/* Whatever allocation fails: each call ends once, and what may have been made is never said not to be. */
static void without_memory(void **state) {
  uint64_t n = 0, asked;
  struct dk_error error;
  (void)state;

  do {
    struct outcome out = {0};
    uint32_t before = server_seen(server, "/ok");
    error = (struct dk_error){0};
    dk_alloc_fail_once(++n);
    int r = open_cloud(&with_login, "/echo", &error);
    if (r == 0) r = try_start(DK_CLOUD_CREATE, "/ok", &out, &error);
    if (r == 0) run_until_done(&out);
    asked = dk_alloc_count();
    dk_alloc_fail_at(0);
    assert_true(r == 0 || (r == -ENOMEM && error.code == r));
    uint32_t seen = server_seen(server, "/ok") - before;
    assert_true(seen <= 1);
    if (r == 0 && seen == 1) assert_true(out.failure == DK_CLOUD_FINE || out.failure == DK_CLOUD_DOUBT);
    if (n > asked) assert_int_equal(out.failure, DK_CLOUD_FINE);
    if (r == 0 || cloud) dk_cloud_close(cloud);
    cloud = NULL;
  } while (n <= asked);
  assert_true(n > 100);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(what_it_comes_to),
      TEST(nobody_is_there),
      TEST(shapes),
      TEST(clocks),
      TEST(sessions),
      TEST(no_session),
      TEST(a_session_is_lost_halfway),
      TEST(too_long),
      TEST(no_end),
      TEST(from_within),
      TEST(files),
      TEST(without_memory),
      cmocka_unit_test(too_many_instances),
  };
  signal(SIGPIPE, SIG_IGN);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
