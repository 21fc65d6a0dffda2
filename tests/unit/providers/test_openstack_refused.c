/* What a real OpenStack refuses, each service in its own form, is told by its kind; what only looks like it refuses
 * nothing. */
#include "providers/openstack/api.h"

#include "openstack.h"

static struct dk_http_answer answer(const char *said) {
  static char body[1 << 16];

  return answer_of(said, body, sizeof body);
}

struct wanted {
  const char *said;
  enum dk_cloud_failure failure;
  const char *words;
};

static void assert_refused(const struct wanted *wanted, enum dk_cloud_failure failure, const struct dk_error *error) {
  if (failure != wanted->failure || !strstr(error->text, wanted->words))
    fail_msg("%s: %d, %s", wanted->said, (int)failure, error->text);
  assert_true(error->code < 0);
}

static void creates(void **state) {
  static const struct wanted wanted[] = {
      {"create_quota.403", DK_CLOUD_QUOTA, "Requested 1, but already used 0 of 0 instances (status 403)\nhelp: "},
      {"create_quota_cores.403", DK_CLOUD_QUOTA, "Quota exceeded for cores: "},
      /* Of Neutron, in Nova's words for it. */
      {"create_quota_ports.403", DK_CLOUD_QUOTA, "of defined ports: 4 is over the limit: 0 (status 403)\nhelp: "},
      {"create_no_group.400", DK_CLOUD_BAD, "Unable to find security_group with name or id 'nope' (status 400)"},
      {"create_bad_flavor.400", DK_CLOUD_BAD, "Flavor nope could not be found (status 400)"},
      {"no_version.406", DK_CLOUD_BAD, "Stein (2019) or later"},
      {"unauthorized.401", DK_CLOUD_DENIED, "requires authentication (status 401)"},
  };
  char id[DK_OPENSTACK_ID];
  (void)state;

  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    struct dk_error error = {0};
    struct dk_http_answer said = answer(wanted[i].said);
    assert_refused(&wanted[i], dk_openstack_read_created(&said, id, &error), &error);
    assert_string_equal(id, "");
  }
}

/* Glance's words have no object of their own, and HTML behind them. */
static void images(void **state) {
  static const struct wanted wanted[] = {
      {"unauthorized_image.401", DK_CLOUD_DENIED, "how to supply the credentials required (status 401)\nhelp: "},
      {"403 {\"message\":\"No.<br /><br />\\n\",\"code\":\"403 Forbidden\",\"title\":\"Forbidden\"}", DK_CLOUD_DENIED,
       ": No (status 403)\nhelp: "},
      /* Of gateways. */
      {"401 {\"message\":\"Unauthorized\"}", DK_CLOUD_TRANSIENT, "401"},
      {"404 {\"message\":\"no Route matched\",\"code\":\"404\",\"title\":\"Oh\"}", DK_CLOUD_TRANSIENT, "404"},
      {"404 <html>nginx</html>", DK_CLOUD_TRANSIENT, "404"},
  };
  static const char *const none[] = {"image_gone.404", "image_gone_page.404", "images_none.200"};
  struct dk_openstack_found found;
  (void)state;

  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    struct dk_error error = {0};
    struct dk_http_answer said = answer(wanted[i].said);
    assert_refused(&wanted[i], dk_openstack_read_images(&said, &found, &error), &error);
    if (wanted[i].failure == DK_CLOUD_DENIED) assert_null(strchr(error.text, '<'));
  }
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    struct dk_error error = {0};
    struct dk_http_answer said = answer(none[i]);
    assert_int_equal(dk_openstack_read_images(&said, &found, &error), DK_CLOUD_FINE);
    assert_int_equal(found.n, 0);
  }
}

static void others(void **state) {
  const struct wanted network = {"unauthorized_network.401", DK_CLOUD_DENIED, "requires authentication (status 401)"};
  const struct dk_openstack_who who = {.interface = "public"};
  struct dk_openstack_token token;
  struct dk_openstack_found found;
  struct dk_openstack_servers servers;
  struct dk_error error = {0};
  bool is_absent = false;
  (void)state;

  struct dk_http_answer said = answer(network.said);
  assert_refused(&network, dk_openstack_read_networks(&said, NULL, &found, &error), &error);
  /* An application credential has its own project, and the same catalogue. */
  said = answer("token_credential.201");
  assert_int_equal(dk_openstack_read_token(&said, &who, &token, &error), DK_CLOUD_FINE);
  assert_string_equal(token.user, "anna");
  assert_string_equal(token.project, "lab");
  assert_string_equal(token.url[DK_OPENSTACK_IMAGE], "http://cloud.example:9292/v2");
  /* One that is being deleted, while it was built; one that no host could make. */
  said = answer("servers_deleting.200");
  assert_int_equal(dk_openstack_read_servers(&said, &servers, &error), DK_CLOUD_FINE);
  assert_int_equal(servers.n, 4); /* of six */
  assert_string_equal(servers.items[0].name, "m1");
  assert_int_equal(servers.items[0].state, DK_INSTANCE_LEAVING);
  assert_int_equal(servers.items[1].state, DK_INSTANCE_RUNNING);
  assert_string_equal(servers.items[1].address, "10.78.0.58");
  dk_openstack_servers_finish(&servers);
  said = answer("delete_gone.404");
  assert_int_equal(dk_openstack_read_deleted(&said, "4b6b6e45-6c98-4a60-9285-80bea8bb6917", &is_absent, &error),
                   DK_CLOUD_FINE);
  assert_true(is_absent);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(creates),
      cmocka_unit_test(images),
      cmocka_unit_test(others),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
