/* What OpenStack's answers say: the catalogue, states, addresses, and what is wrong in them. */
#include "providers/openstack/api.h"

#include "openstack.h"

#include <errno.h>

static struct dk_http_answer answer(const char *said) {
  static char body[1 << 16];

  return answer_of(said, body, sizeof body);
}

#define ENDPOINT(face, region, url) "{\"interface\":\"" face "\",\"region_id\":\"" region "\",\"url\":\"" url "\"}"
#define SERVICE(type, endpoints) "{\"type\":\"" type "\",\"endpoints\":[" endpoints "]}"
#define TOKEN(services)                                                                                                \
  "201 {\"token\":{\"user\":{\"name\":\"anna\"},\"project\":{\"name\":\"lab\"},\"catalog\":[" services "]}}"
#define REST(region)                                                                                                   \
  SERVICE("image", ENDPOINT("public", region, "http://i/image/"))                                                      \
  "," SERVICE("network", ENDPOINT("public", region, "http://n:9696/networking/v2.0/"))

static void catalogues(void **state) {
  static const struct {
    const char *said, *region, *interface;
    enum dk_cloud_failure failure;
    const char *compute; /* or words */
  } wanted[] = {
      {TOKEN(SERVICE("compute", ENDPOINT("public", "R", "http://c:8774/v2.1")) "," REST("R")), NULL, "public",
       DK_CLOUD_FINE, "http://c:8774/v2.1"},
      /* Versions as they are written: none, the old one, one with a project behind. */
      {TOKEN(SERVICE("compute", ENDPOINT("public", "R", "http://c/compute/")) "," REST("R")), "R", "public",
       DK_CLOUD_FINE, "http://c/compute/v2.1"},
      {TOKEN(SERVICE("compute", ENDPOINT("public", "R", "http://c:8774/v2/f00/")) "," REST("R")), "R", "public",
       DK_CLOUD_FINE, "http://c:8774/v2.1/f00"},
      {TOKEN(SERVICE("compute", ENDPOINT("public", "R", "http://v2host:8774")) "," REST("R")), "R", "public",
       DK_CLOUD_FINE, "http://v2host:8774/v2.1"},
      /* Of several, the one that is meant. */
      {TOKEN(SERVICE("compute",
                     ENDPOINT("admin", "R", "http://x") "," ENDPOINT("public", "R", "http://c/v2.1") "," ENDPOINT(
                         "public", "S", "http://s/v2.1")) "," REST("S")),
       "S", "public", DK_CLOUD_FINE, "http://s/v2.1"},
      {TOKEN(SERVICE("compute", ENDPOINT("public", "R", "http://c/v2.1") "," ENDPOINT("public", "S",
                                                                                      "http://s/v2.1")) "," REST("S")),
       NULL, "public", DK_CLOUD_BAD, "several regions\nhelp: `region` says which: R, S"},
      {TOKEN(SERVICE("compute", ENDPOINT("public", "R", "http://c/v2.1")) "," REST("R")), "T", "public", DK_CLOUD_BAD,
       "no region `T`\nhelp: there are: R"},
      {TOKEN(SERVICE("compute", ENDPOINT("public", "R", "http://c/v2.1")) "," REST("R")), NULL, "internal",
       DK_CLOUD_BAD, "no service `compute` with interface `internal`"},
      {TOKEN(SERVICE("compute", ENDPOINT("public", "R", "http://c/v2.1"))), NULL, "public", DK_CLOUD_BAD,
       "no service `image`"},
      {"201 {\"token\":{\"user\":{\"name\":\"anna\"}}}", NULL, "public", DK_CLOUD_BAD, "into no project"},
      {"201 {}", NULL, "public", DK_CLOUD_TRANSIENT, "token is not there"},
      {TOKEN("{\"type\":\"compute\",\"endpoints\":[{\"interface\":\"public\"}]}"), NULL, "public", DK_CLOUD_TRANSIENT,
       "url"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    const struct dk_openstack_who who = {.region = wanted[i].region, .interface = wanted[i].interface};
    const struct dk_http_answer given = answer(wanted[i].said);
    struct dk_openstack_token token;
    struct dk_error error = {0};
    if (dk_openstack_read_token(&given, &who, &token, &error) != wanted[i].failure) fail_msg("%zu: %s", i, error.text);
    if (wanted[i].failure != DK_CLOUD_FINE) {
      if (!strstr(error.text, wanted[i].compute)) fail_msg("%zu: %s", i, error.text);
      assert_string_equal(token.url[DK_OPENSTACK_COMPUTE], "");
      continue;
    }
    assert_string_equal(token.url[DK_OPENSTACK_COMPUTE], wanted[i].compute);
    assert_string_equal(token.url[DK_OPENSTACK_IMAGE], "http://i/image/v2");
    assert_string_equal(token.url[DK_OPENSTACK_NETWORK], "http://n:9696/networking/v2.0");
    assert_string_equal(token.user, "anna");
    assert_string_equal(token.project, "lab");
  }
}

/* Of the bed: keystone itself. */
static void a_real_token(void **state) {
  const struct dk_openstack_who who = {.interface = "public"};
  const struct dk_http_answer given = answer("token.201");
  struct dk_openstack_token token;
  struct dk_error error = {0};
  (void)state;

  assert_int_equal(dk_openstack_read_token(&given, &who, &token, &error), DK_CLOUD_FINE);
  assert_string_equal(token.region, "RegionOne");
  assert_non_null(strstr(token.url[DK_OPENSTACK_COMPUTE], "/v2.1"));
  assert_non_null(strstr(token.url[DK_OPENSTACK_IMAGE], "/v2"));
  assert_non_null(strstr(token.url[DK_OPENSTACK_NETWORK], "/v2.0"));
}

#define SERVER(rest) "200 {\"servers\":[{\"id\":\"a1\",\"metadata\":{\"dkrun-store\":\"s\"}," rest "}]}"

static void servers(void **state) {
  static const struct {
    const char *said;
    enum dk_instance_state state;
    const char *address;
  } wanted[] = {
      {SERVER("\"status\":\"BUILD\",\"addresses\":{}"), DK_INSTANCE_BOOTING, ""},
      {SERVER("\"status\":\"ACTIVE\",\"addresses\":{\"n\":[{\"addr\":\"10.0.0.1\",\"version\":4}]}"),
       DK_INSTANCE_RUNNING, "10.0.0.1"},
      {SERVER("\"status\":\"SHUTOFF\",\"addresses\":{\"n\":[{\"addr\":\"fd00::1\"},{\"addr\":\"10.0.0.1\"}]}"),
       DK_INSTANCE_STOPPED, "10.0.0.1"},
      {SERVER("\"status\":\"ACTIVE\",\"addresses\":{\"n\":[{\"addr\":\"10.0.0.1\",\"OS-EXT-IPS:type\":\"fixed\"}],"
              "\"m\":[{\"addr\":\"203.0.113.9\",\"OS-EXT-IPS:type\":\"floating\"}]}"),
       DK_INSTANCE_RUNNING, "203.0.113.9"},
      {SERVER("\"status\":\"ACTIVE\",\"addresses\":{\"n\":[{\"addr\":\"-oProxyCommand=x\"},{\"addr\":7}]}"),
       DK_INSTANCE_RUNNING, ""},
      {SERVER("\"status\":\"ACTIVE\",\"OS-EXT-STS:task_state\":\"deleting\""), DK_INSTANCE_LEAVING, ""},
      {SERVER("\"status\":\"ERROR\",\"OS-EXT-STS:task_state\":null"), DK_INSTANCE_FAILED, ""},
      {SERVER("\"status\":\"SHELVED_OFFLOADED\""), DK_INSTANCE_STOPPED, ""},
      {SERVER("\"status\":\"WHATEVER\""), DK_INSTANCE_UNKNOWN, ""},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    const struct dk_http_answer given = answer(wanted[i].said);
    struct dk_openstack_servers list;
    struct dk_error error = {0};
    if (dk_openstack_read_servers(&given, &list, &error) != DK_CLOUD_FINE) fail_msg("%zu: %s", i, error.text);
    assert_int_equal(list.n, 1);
    assert_int_equal(list.items[0].state, wanted[i].state);
    assert_string_equal(list.items[0].address, wanted[i].address);
    dk_openstack_servers_finish(&list);
  }
}

/* A list that cannot be read whole is none: what it lacks would be taken for gone. */
static void broken_lists(void **state) {
  static const char *const said[] = {
      "200 {\"servers\":[{\"id\":\"a1\",\"metadata\":{\"dkrun-store\":\"s\"}},{\"name\":\"no id\"}]}",
      "200 {\"servers\":[{\"id\":\"a1\",\"metadata\":{\"dkrun-store\":\"s\"}}",
      "200 {\"servers\":{}}",
      "200 []",
      "404 {\"itemNotFound\":{\"code\":404,\"message\":\"The resource could not be found.\"}}",
  };
  (void)state;
  for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
    const struct dk_http_answer given = answer(said[i]);
    struct dk_openstack_servers list;
    struct dk_error error = {0};
    assert_int_equal(dk_openstack_read_servers(&given, &list, &error), DK_CLOUD_TRANSIENT);
    assert_null(list.items);
    assert_memory_equal(error.text, "lab: create m1: ", 16);
  }
}

static void networks(void **state) {
  static const char said[] = "200 {\"networks\":[{\"id\":\"e1\",\"name\":\"public\",\"router:external\":true},"
                             "{\"id\":\"i1\",\"name\":\"net\",\"router:external\":false}]}";
  struct dk_openstack_found found;
  struct dk_error error = {0};
  (void)state;

  struct dk_http_answer given = answer(said);
  assert_int_equal(dk_openstack_read_networks(&given, NULL, &found, &error), DK_CLOUD_FINE);
  assert_int_equal(found.n, 1);
  assert_string_equal(found.id, "i1");
  assert_int_equal(dk_openstack_read_networks(&given, "public", &found, &error), DK_CLOUD_FINE);
  assert_int_equal(found.n, 2);
  assert_string_equal(found.names, "public (e1), net (i1)");
}

static void who_we_are(void **state) {
  static const struct {
    struct dk_openstack_who who;
    const char *body;
  } wanted[] = {
      {{.user_name = "anna", .password = "p\"w", .project_name = "lab", .user_domain_name = "Uni"},
       "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{\"name\":\"anna\",\"domain\":"
       "{\"name\":\"Uni\"},\"password\":\"p\\\"w\"}}},\"scope\":{\"project\":{\"name\":\"lab\",\"domain\":{\"id\":"
       "\"default\"}}}}}"},
      {{.user_id = "u1", .user_name = "anna", .password = "p", .project_id = "f00"},
       "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{\"id\":\"u1\",\"password\":\"p\"}}}"
       ","
       "\"scope\":{\"project\":{\"id\":\"f00\"}}}}"},
      /* keystone/api-ref/source/v3/samples/admin/auth-application-credential-*-request.json */
      {{.credential_id = "c1", .credential_secret = "s"},
       "{\"auth\":{\"identity\":{\"methods\":[\"application_credential\"],\"application_credential\":{\"id\":\"c1\","
       "\"secret\":\"s\"}}}}"},
      {{.credential_name = "monitoring", .credential_secret = "s", .user_id = "u1"},
       "{\"auth\":{\"identity\":{\"methods\":[\"application_credential\"],\"application_credential\":{\"name\":"
       "\"monitoring\",\"secret\":\"s\",\"user\":{\"id\":\"u1\"}}}}}"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    dk_autobuf body = DK_BUF_INIT;
    struct dk_error error = {0};
    assert_int_equal(dk_openstack_login_body(&wanted[i].who, &body, &error), 0);
    assert_string_equal(dk_buf_text(&body), wanted[i].body);
  }
  dk_autobuf body = DK_BUF_INIT;
  struct dk_error error = {0};
  const struct dk_openstack_who who = {.user_name = "anna", .password = "s3cr3t\xff", .project_name = "lab"};
  assert_int_equal(dk_openstack_login_body(&who, &body, &error), -EINVAL);
  assert_null(strstr(error.text, "s3cr3t"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(catalogues),   cmocka_unit_test(a_real_token), cmocka_unit_test(servers),
      cmocka_unit_test(broken_lists), cmocka_unit_test(networks),     cmocka_unit_test(who_we_are),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
