/* OpenStack's driver without a cloud: which request follows from which answer, and what a call comes to. Answers are
 * those that a Zed gave (tests/data/openstack), or else are written here. */
#include "providers/openstack/openstack.h"

#include "lang/base/alloc.h"
#include "openstack.h"

#define STORE "0123456789abcdef0123456789abcdef"

static struct dk_cloud_site site;
static struct dk_cloud_work work;
static struct dk_shape shape;
static struct dk_openstack_site own;
static struct dk_openstack_session session;

static void begin(enum dk_cloud_kind kind) {
  shape = (struct dk_shape){.name = "small", .cpus = 1, .memory = 512 << 20};
  own = (struct dk_openstack_site){.who = {.interface = "public"}, .network = "net"};
  session =
      (struct dk_openstack_session){.token = "T0K3N", .is = {.user = "anna", .project = "lab", .region = "RegionOne"}};
  strcpy(session.is.url[DK_OPENSTACK_COMPUTE], "https://cloud:8774/v2.1");
  site = (struct dk_cloud_site){.provider = "lab",
                                .store = STORE,
                                .owner = "anna@desk:/exp",
                                .url = "https://cloud:5000/v3",
                                .own = &own,
                                .session = &session};
  work = (struct dk_cloud_work){
      .site = &site,
      .order = {.kind = kind, .name = "m1", .id = "m1", .image = "base", .shape = &shape, .user_data = "#!/bin/sh\n"}};
  work.own = dk_calloc(1, dk_openstack_driver.work_size);
}

static void end(void) {
  dk_cloud_ask(&work, NULL, NULL, DK_HTTP_ONCE);
  dk_cloud_texts_finish(&work.texts);
  dk_cloud_texts_finish(&site.session_texts);
  dk_free(work.instances);
  dk_free(work.own);
}

struct turn {
  const char *method, *path; /* of the request */
  const char *said;
};

/* As the runner does: what acts may have, unless it was refused. */
static void go_through(const struct turn *turns) {
  static char body[1 << 16];
  enum dk_cloud_turn next = dk_openstack_driver.step(&work, NULL);

  for (; turns->method; turns++) {
    if (next != DK_CLOUD_ASKS) fail_msg("over before %s %s: %s", turns->method, turns->path, work.result.error.text);
    assert_string_equal(work.ask.method, turns->method);
    assert_string_equal(dk_buf_text(&work.ask.path), turns->path);
    bool is_once = strcmp(turns->method, "POST") == 0;
    assert_int_equal(work.ask.class, is_once ? DK_HTTP_ONCE : DK_HTTP_IDEMPOTENT);
    struct dk_http_answer answer = answer_of(turns->said, body, sizeof body);
    if (is_once && (answer.status < 300 || answer.status >= 500)) work.has_acted = true;
    next = dk_openstack_driver.step(&work, &answer);
  }
  if (next != DK_CLOUD_OVER)
    fail_msg("not over after %s, but: %s %s", turns[-1].said, work.ask.method, dk_buf_text(&work.ask.path));
}

#define FLAVORS "GET", "/flavors/detail"
#define IMAGE "GET", "/images?name=base"
#define NETWORK "GET", "/networks?name=net"
#define MAKE "POST", "/servers"
#define LOOK_UP                                                                                                        \
  {FLAVORS, "flavors.200"}, {IMAGE, "images.200"}, {                                                                   \
    NETWORK, "networks.200"                                                                                            \
  }

static void create(void **state) {
  static const struct {
    struct turn turns[7];
    enum dk_cloud_failure failure;
    bool has_acted; /* of those that failed */
    const char *words;
  } wanted[] = {
      {{LOOK_UP, {MAKE, "created.202"}}, DK_CLOUD_FINE, true, ""},
      /* What is not there, or more than once. */
      {{{FLAVORS, "200 {\"flavors\":[{\"id\":\"9\",\"name\":\"m1.tiny\",\"vcpus\":1,\"ram\":512,\"disk\":1}]}"}},
       DK_CLOUD_BAD,
       false,
       "there is no flavor `small`\nhelp: the shapes of this cloud are its flavors: m1.tiny"},
      {{{FLAVORS, "200 {\"flavors\":[{\"id\":\"9\",\"name\":\"small\",\"vcpus\":1,\"ram\":511,\"disk\":1}]}"}},
       DK_CLOUD_BAD,
       false,
       "flavor `small` has 1 cpus and 511 MiB, and its shape says 1 and 512 MiB"},
      {{{FLAVORS, "200 {\"flavors\":[{\"id\":\"9\",\"name\":\"small\",\"vcpus\":1,\"ram\":512,\"disk\":0}]}"}},
       DK_CLOUD_BAD,
       false,
       "has no disk"},
      {{{FLAVORS, "flavors.200"}, {IMAGE, "images_none.200"}}, DK_CLOUD_BAD, false, "there is no image `base`"},
      {{{FLAVORS, "flavors.200"},
        {IMAGE, "200 {\"images\":[{\"id\":\"a1\",\"name\":\"base\",\"status\":\"active\"},{\"id\":\"a2\",\"name\":"
                "\"base\",\"status\":\"active\"}]}"}},
       DK_CLOUD_BAD,
       false,
       "there are 2 images `base`\nhelp: `image` takes an id, too: base (a1), base (a2)"},
      {{{FLAVORS, "flavors.200"},
        {IMAGE, "200 {\"images\":[{\"id\":\"a1\",\"name\":\"base\",\"status\":\"queued\"}]}"}},
       DK_CLOUD_BAD,
       false,
       "there is no image"},
      {{{FLAVORS, "flavors.200"}, {IMAGE, "images.200"}, {NETWORK, "200 {\"networks\":[]}"}},
       DK_CLOUD_BAD,
       false,
       "there is no network `net`"},
      /* A list that goes on. */
      {{{FLAVORS, "200 {\"flavors\":[{\"id\":\"a b\",\"name\":\"tiny\",\"vcpus\":1,\"ram\":1,\"disk\":1}],"
                  "\"flavors_links\":[{\"rel\":\"next\",\"href\":\"http://inside:8774/x\"}]}"},
        {"GET", "/flavors/detail?marker=a%20b", "flavors.200"},
        {IMAGE, "images.200"},
        {NETWORK, "networks.200"},
        {MAKE, "created.202"}},
       DK_CLOUD_FINE,
       true,
       ""},
      /* Its name in other letters. */
      {{{FLAVORS, "200 {\"flavors\":[{\"id\":\"9\",\"name\":\"Small\",\"vcpus\":1,\"ram\":512,\"disk\":1}]}"},
        {IMAGE, "images.200"},
        {NETWORK, "networks.200"},
        {MAKE, "created.202"}},
       DK_CLOUD_FINE,
       true,
       ""},
      /* Refused, by Nova. */
      {{LOOK_UP, {MAKE, "create_quota.403"}}, DK_CLOUD_QUOTA, false, "uota exceeded"},
      {{LOOK_UP, {MAKE, "create_no_group.400"}}, DK_CLOUD_BAD, false, "ecurity_group"},
      {{LOOK_UP, {MAKE, "403 {\"forbidden\":{\"code\":403,\"message\":\"Policy doesn't allow it\"}}"}},
       DK_CLOUD_DENIED,
       false,
       "Policy"},
      {{LOOK_UP, {MAKE, "413 {\"overLimit\":{\"code\":413,\"message\":\"Too many\",\"retryAfter\":\"5\"}}"}},
       DK_CLOUD_THROTTLED,
       false,
       "Too many"},
      {{LOOK_UP, {MAKE, "429 {\"overLimit\":{\"code\":429,\"message\":\"Too many\"}}"}},
       DK_CLOUD_THROTTLED,
       false,
       "Too many"},
      {{{FLAVORS, "no_version.406"}}, DK_CLOUD_BAD, false, "Stein"},
      {{{FLAVORS, "unauthorized.401"}}, DK_CLOUD_DENIED, false, "401"},
      /* By somebody before it: nobody knows what such words are worth. */
      {{LOOK_UP, {MAKE, "403 <html>Blocked</html>"}}, DK_CLOUD_TRANSIENT, false, "status 403"},
      {{LOOK_UP, {MAKE, "502 <html>Bad Gateway</html>"}}, DK_CLOUD_TRANSIENT, true, "status 502"},
      {{LOOK_UP, {MAKE, "500 {\"computeFault\":{\"code\":500,\"message\":\"Unexpected API Error\"}}"}},
       DK_CLOUD_TRANSIENT,
       true,
       "Unexpected"},
      {{LOOK_UP, {MAKE, "202 <html>Log in</html>"}}, DK_CLOUD_TRANSIENT, true, "not JSON"},
      {{LOOK_UP, {MAKE, "202 {\"server\":{\"id\":\"../x\"}}"}}, DK_CLOUD_TRANSIENT, true, "is no id"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    begin(DK_CLOUD_CREATE);
    go_through(wanted[i].turns);
    if (work.result.failure != wanted[i].failure || work.has_acted != wanted[i].has_acted)
      fail_msg("%zu: failure %d, acted %d: %s", i, work.result.failure, work.has_acted, work.result.error.text);
    if (!strstr(work.result.error.text, wanted[i].words)) fail_msg("%zu: %s", i, work.result.error.text);
    if (wanted[i].failure == DK_CLOUD_FINE) assert_int_equal(strlen(work.result.id), 36);
    end();
  }
}

static const char *body_of_machine(uint64_t disk) {
  static const struct turn turns[] = {LOOK_UP, {0}};
  static char body[1 << 16];
  const struct turn *at = turns;

  begin(DK_CLOUD_CREATE);
  shape.disk = disk;
  dk_openstack_driver.step(&work, NULL);
  for (; at->method; at++) {
    struct dk_http_answer answer = answer_of(at->said, body, sizeof body);
    assert_int_equal(dk_openstack_driver.step(&work, &answer), DK_CLOUD_ASKS);
  }
  return dk_buf_text(&work.ask.body);
}

static void what_a_machine_is(void **state) {
  (void)state;
  const char *body = body_of_machine(0);
  assert_non_null(strstr(body, "\"name\":\"m1\",\"flavorRef\":\"32837bad-"));
  assert_non_null(strstr(body, "\"metadata\":{\"dkrun-store\":\"" STORE "\",\"dkrun-owner\":\"anna@desk:/exp\"}"));
  assert_non_null(strstr(body, "\"tags\":[\"dkrun\"]"));
  assert_non_null(strstr(body, "\"user_data\":\"IyEvYmluL3NoCg==\""));
  assert_non_null(strstr(body, "\"config_drive\":true"));
  assert_non_null(strstr(body, "\"imageRef\":\""));
  assert_null(strstr(body, "block_device"));
  assert_null(strstr(body, "security_groups"));
  end();
  /* More disk than the flavor's 1 GiB: a volume that goes with it. */
  body = body_of_machine((UINT64_C(5) << 30) + 1);
  assert_null(strstr(body, "imageRef"));
  assert_non_null(strstr(body, "\"destination_type\":\"volume\""));
  assert_non_null(strstr(body, "\"volume_size\":6,\"delete_on_termination\":true"));
  end();
}

static void what_is_too_long_is_not_sent(void **state) {
  static char script[60000];
  static const struct turn turns[] = {LOOK_UP, {0}};
  (void)state;
  memset(script, 'x', sizeof script - 1);
  begin(DK_CLOUD_CREATE);
  work.order.user_data = script;
  go_through(turns);
  assert_int_equal(work.result.failure, DK_CLOUD_BAD);
  assert_non_null(strstr(work.result.error.text, "79999 bytes") ?: strstr(work.result.error.text, "80000 bytes"));
  end();
}

static void delete (void **state) {
  static const struct {
    const char *said;
    enum dk_cloud_failure failure;
    bool is_absent;
  } wanted[] = {
      {"204 ", DK_CLOUD_FINE, false},
      {"404 {\"itemNotFound\":{\"code\":404,\"message\":\"Instance m1 could not be found.\"}}", DK_CLOUD_FINE, true},
      /* Not said of the machine, or not by Nova. */
      {"404 {\"itemNotFound\":{\"code\":404,\"message\":\"The resource could not be found.\"}}", DK_CLOUD_TRANSIENT,
       false},
      {"404 <html>m1 Not Found</html>", DK_CLOUD_TRANSIENT, false},
      {"200 <html>Log in</html>", DK_CLOUD_TRANSIENT, false},
      {"200 {}", DK_CLOUD_TRANSIENT, false},
      {"409 {\"conflictingRequest\":{\"code\":409,\"message\":\"Instance m1 is locked\"}}", DK_CLOUD_TRANSIENT, false},
      {"403 {\"forbidden\":{\"code\":403,\"message\":\"Policy\"}}", DK_CLOUD_DENIED, false},
      {"500 ", DK_CLOUD_TRANSIENT, false},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    const struct turn turns[] = {{"DELETE", "/servers/m1", wanted[i].said}, {0}};
    begin(DK_CLOUD_DELETE);
    go_through(turns);
    if (work.result.failure != wanted[i].failure) fail_msg("%zu: %s", i, work.result.error.text);
    assert_int_equal(work.result.is_absent, wanted[i].is_absent);
    assert_int_equal(work.result.failure == DK_CLOUD_FINE, work.result.error.code == 0);
    end();
  }
}

static void list(void **state) {
  static const struct turn fine[] = {{"GET", "/servers/detail", "servers.200"}, {0}};
  static const struct turn pages[] = {
      {"GET", "/servers/detail",
       "200 {\"servers\":[{\"id\":\"a1\",\"metadata\":{}}],\"servers_links\":[{\"rel\":\"next\",\"href\":\"x\"}]}"},
      {"GET", "/servers/detail?marker=a1",
       "200 {\"servers\":[{\"id\":\"a2\",\"status\":\"ACTIVE\",\"metadata\":{\"dkrun-store\":\"" STORE
       "\",\"dkrun-owner\":\"eve@desk\"}}]}"},
      {0}};
  /* nova/doc/api_samples/servers/v2.69: of a cell that does not answer. */
  static const struct turn hidden[] = {
      {"GET", "/servers/detail",
       "200 {\"servers\":[{\"created\":\"2018-12-03T21:06:18Z\",\"id\":\"b6b0410f\",\"status\":\"UNKNOWN\"}]}"},
      {0}};
  static const struct turn gone[] = {
      {"GET", "/servers/detail", "400 {\"badRequest\":{\"code\":400,\"message\":\"marker [a1] not found\"}}"}, {0}};
  static const struct turn page[] = {{"GET", "/servers/detail", "200 <html>Log in</html>"}, {0}};
  (void)state;

  begin(DK_CLOUD_LIST);
  go_through(fine);
  assert_int_equal(work.result.failure, DK_CLOUD_FINE);
  assert_true(work.result.is_complete);
  assert_int_equal(work.n_instances, 2); /* of three: one is somebody's */
  for (uint32_t i = 0; i < work.n_instances; i++) {
    const struct dk_instance *at = &work.instances[i];
    assert_int_equal(strlen(at->id), 36);
    assert_true(at->made_unix > 1700000000);
    assert_int_equal(at->store[1], 0x23);
    bool is_running = strcmp(at->name, "m1") == 0;
    assert_int_equal(at->state, is_running ? DK_INSTANCE_RUNNING : DK_INSTANCE_FAILED);
    assert_int_equal(at->address[0] != '\0', is_running);
    assert_int_equal(strstr(at->words, "No valid host") != NULL, !is_running);
  }
  end();
  begin(DK_CLOUD_LIST);
  go_through(pages);
  assert_true(work.result.is_complete);
  assert_int_equal(work.n_instances, 1);
  assert_string_equal(work.instances[0].id, "a2");
  assert_string_equal(work.instances[0].owner, "eve@desk");
  end();
  begin(DK_CLOUD_LIST);
  go_through(hidden);
  assert_int_equal(work.result.failure, DK_CLOUD_FINE);
  assert_false(work.result.is_complete);
  end();
  begin(DK_CLOUD_LIST);
  go_through(gone);
  assert_int_equal(work.result.failure, DK_CLOUD_TRANSIENT);
  end();
  begin(DK_CLOUD_LIST);
  go_through(page);
  assert_int_equal(work.result.failure, DK_CLOUD_TRANSIENT);
  end();
}

static void check(void **state) {
  static const struct turn fine[] = {LOOK_UP, {"GET", "/limits", "limits.200"}, {0}};
  static const struct turn other[] = {{FLAVORS, "flavors.200"}, {0}};
  static const struct turn any[] = {
      {FLAVORS, "flavors.200"}, {"GET", "/networks", "networks.200"}, {"GET", "/limits", "limits.200"}, {0}};
  const struct dk_shape shapes[] = {{.name = "large", .cpus = 8}, {.name = "small", .cpus = 1}};
  const struct dk_shape wrong[] = {{.name = "small", .cpus = 1}, {.name = "smal", .cpus = 1}};
  (void)state;

  begin(DK_CLOUD_CHECK);
  work.order.shapes = shapes;
  work.order.n_shapes = 2;
  go_through(fine);
  assert_int_equal(work.result.failure, DK_CLOUD_FINE);
  const char *said = work.result.words;
  assert_non_null(strstr(said, "anna in project lab at https://cloud:5000/v3, region RegionOne, image base, network "));
  assert_non_null(strstr(said, " machines used"));
  end();
  begin(DK_CLOUD_CHECK);
  work.order.shapes = wrong;
  work.order.n_shapes = 2;
  go_through(other);
  assert_int_equal(work.result.failure, DK_CLOUD_BAD);
  assert_non_null(strstr(work.result.error.text, "no flavor `smal`\nhelp: the shapes of this cloud are its flavors: "));
  end();
  begin(DK_CLOUD_CHECK);
  work.order.image = NULL;
  own.network = NULL;
  go_through(any);
  assert_int_equal(work.result.failure, DK_CLOUD_FINE);
  end();
}

/* Ids are asked for as ids. */
static void ids(void **state) {
  static const struct turn turns[] = {
      {FLAVORS, "flavors.200"}, {"GET", "/images/12345678-1234-1234-1234-123456789abc", "image_gone.404"}, {0}};
  static const struct turn page[] = {
      {FLAVORS, "flavors.200"}, {"GET", "/images/12345678-1234-1234-1234-123456789abc", "404 <html>nginx</html>"}, {0}};
  (void)state;
  for (int i = 0; i < 2; i++) {
    begin(DK_CLOUD_CREATE);
    work.order.image = "12345678-1234-1234-1234-123456789abc";
    go_through(i ? page : turns);
    assert_int_equal(work.result.failure, i ? DK_CLOUD_TRANSIENT : DK_CLOUD_BAD);
    end();
  }
}

/* --- the session --- */

static enum dk_cloud_turn log_in(const char *said, const char *token) {
  static char body[1 << 16];
  struct dk_head head;

  assert_int_equal(dk_openstack_driver.login(&work, &site, NULL), DK_CLOUD_ASKS);
  assert_string_equal(dk_buf_text(&work.ask.path), "/auth/tokens");
  struct dk_http_answer answer = answer_of(said, body, sizeof body);
  dk_head_init(&head, 65536);
  if (token) assert_int_equal(dk_head_add(&head, token, strlen(token)), 0);
  answer.head = &head;
  enum dk_cloud_turn turn = dk_openstack_driver.login(&work, &site, &answer);
  dk_head_finish(&head);
  return turn;
}

static void sessions(void **state) {
  (void)state;
  begin(DK_CLOUD_CHECK);
  own.who.user_name = "anna";
  own.who.password = "s3cr3t";
  own.who.project_name = "lab";
  session = (struct dk_openstack_session){0};
  assert_int_equal(log_in("token.201", "X-Subject-Token: T0K3N"), DK_CLOUD_OVER);
  assert_int_equal(work.result.failure, DK_CLOUD_FINE);
  assert_string_equal(session.token, "T0K3N");
  assert_string_equal(session.is.region, "RegionOne");
  /* Its token goes where the catalogue says, and not to Keystone. */
  struct dk_cloud_ask *ask = dk_cloud_ask(&work, NULL, "GET", DK_HTTP_IDEMPOTENT);
  ask->service = DK_OPENSTACK_COMPUTE;
  dk_openstack_driver.sign(&site, ask, 0, 0);
  assert_string_equal(ask->base, session.is.url[DK_OPENSTACK_COMPUTE]);
  assert_int_equal(ask->n_headers, 3);
  ask = dk_cloud_ask(&work, NULL, "GET", DK_HTTP_IDEMPOTENT);
  dk_openstack_driver.sign(&site, ask, 0, 0);
  assert_null(ask->base);
  assert_int_equal(ask->n_headers, 1);
  end();
  static const struct {
    const char *said, *token;
    enum dk_cloud_failure failure;
    const char *words;
  } wanted[] = {
      {"token.201", NULL, DK_CLOUD_TRANSIENT, "no token"},
      {"token_refused.401", NULL, DK_CLOUD_DENIED, "are user, password, domains and project right"},
      {"200 <html>Horizon</html>", NULL, DK_CLOUD_TRANSIENT, "not JSON"},
      {"503 <html>Apache</html>", NULL, DK_CLOUD_TRANSIENT, "503"},
  };
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    begin(DK_CLOUD_CHECK);
    own.who.user_name = "anna";
    own.who.password = "s3cr3t";
    own.who.project_name = "lab";
    assert_int_equal(log_in(wanted[i].said, wanted[i].token), DK_CLOUD_OVER);
    assert_int_equal(work.result.failure, wanted[i].failure);
    if (!strstr(work.result.error.text, wanted[i].words)) fail_msg("%zu: %s", i, work.result.error.text);
    assert_null(strstr(work.result.error.text, "s3cr3t"));
    end();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(create),
      cmocka_unit_test(what_a_machine_is),
      cmocka_unit_test(what_is_too_long_is_not_sent),
      cmocka_unit_test(delete),
      cmocka_unit_test(list),
      cmocka_unit_test(check),
      cmocka_unit_test(ids),
      cmocka_unit_test(sessions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
