/* Where the cloud is and who we are there: clouds.yaml, secure.yaml, the environment, the settings; what is wrong in
 * them. */
#include "providers/openstack/openstack.h"

#include "lang/base/alloc.h"
#include "openstack.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/dk-openstack-XXXXXX";
static struct dk_cloud_site site;
static struct dk_openstack_site own;

static void write_file(const char *name, const char *text) {
  char path[200];

  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void forget(void) {
  static const char *const names[] = {"OS_CLOUD",
                                      "OS_AUTH_URL",
                                      "OS_USERNAME",
                                      "OS_PASSWORD",
                                      "OS_PROJECT_NAME",
                                      "OS_PROJECT_ID",
                                      "OS_CLIENT_CONFIG_FILE",
                                      "OS_REGION_NAME",
                                      "OS_INTERFACE",
                                      "OS_APPLICATION_CREDENTIAL_ID",
                                      "OS_APPLICATION_CREDENTIAL_SECRET"};

  for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
}

static int open_site(const struct dk_cloud_setting *settings, struct dk_error *error) {
  struct dk_cloud_config config = {.provider = "lab", .settings = settings};

  while (settings[config.n_settings].name) config.n_settings++;
  *error = (struct dk_error){0};
  own = (struct dk_openstack_site){0};
  site = (struct dk_cloud_site){.own = &own};
  return dk_openstack_open_site(&site, &config, error);
}

static int set_up(void **state) {
  (void)state;
  assert_non_null(mkdtemp(folder));
  forget();
  setenv("XDG_CONFIG_HOME", folder, 1);
  setenv("HOME", "/nonexistent", 1);
  char below[200];
  snprintf(below, sizeof below, "%s/openstack", folder);
  return mkdir(below, 0700);
}

static int tear_down(void **state) {
  static const char *const names[] = {"openstack/clouds.yaml", "openstack/secure.yaml", "other.yaml", "openstack", ""};
  char path[200];

  (void)state;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    remove(path);
  }
  return 0;
}

static void files(void **state) {
  static const struct dk_cloud_setting lab[] = {{"cloud", "lab"}, {"network", "net"}, {0}};
  static const struct dk_cloud_setting here[] = {{"cloud", "lab"}, {"region", "Two"}, {"allow_http", "true"}, {0}};
  static const struct dk_cloud_setting none[] = {{0}};
  static const struct dk_cloud_setting app[] = {{"cloud", "app"}, {0}};
  struct dk_error error;
  (void)state;

  write_file("openstack/clouds.yaml", "base: &base\n  project_name: lab\n  user-domain-name: Uni\n"
                                      "clouds:\n"
                                      "  lab:\n"
                                      "    auth:\n      <<: *base\n      auth_url: https://cloud:5000/v3/\n"
                                      "      username: anna\n      password: wrong\n      project_id: 0610275\n"
                                      "    region_name: One\n    interface: internalURL\n    cacert: ~/ca.pem\n"
                                      "  app:\n    auth_type: v3applicationcredential\n"
                                      "    auth: {auth_url: http://cloud/identity, application_credential_id: c1,\n"
                                      "           application_credential_secret: s3cr3t}\n");
  write_file("openstack/secure.yaml", "clouds: {lab: {auth: {password: s3cr3t}}}\n");
  assert_int_equal(open_site(lab, &error), 0);
  assert_string_equal(site.url, "https://cloud:5000/v3");
  assert_string_equal(site.where, "https://cloud:5000/v3, project 0610275, region One");
  assert_string_equal(own.who.user_name, "anna");
  assert_string_equal(own.who.password, "s3cr3t");
  assert_string_equal(own.who.project_name, "lab");
  assert_string_equal(own.who.project_id, "0610275");
  assert_string_equal(own.who.user_domain_name, "Uni");
  assert_string_equal(own.who.region, "One");
  assert_string_equal(own.who.interface, "internal");
  assert_string_equal(own.network, "net");
  assert_string_equal(site.ca_file, "/nonexistent/ca.pem");
  assert_false(site.allows_plain);
  dk_cloud_texts_finish(&site.texts);

  assert_int_equal(open_site(here, &error), 0);
  assert_string_equal(own.who.region, "Two");
  assert_string_equal(site.where, "https://cloud:5000/v3, project 0610275, region Two");
  assert_true(site.allows_plain);
  dk_cloud_texts_finish(&site.texts);

  assert_int_equal(open_site(app, &error), 0);
  assert_string_equal(own.who.credential_secret, "s3cr3t");
  assert_string_equal(own.who.interface, "public");
  assert_string_equal(site.url, "http://cloud/identity/v3");
  assert_string_equal(site.where, "http://cloud/identity/v3, application credential c1");
  dk_cloud_texts_finish(&site.texts);

  /* OS_CLOUD; no name at all; another file, where secure.yaml of here does not count. */
  setenv("OS_CLOUD", "app", 1);
  assert_int_equal(open_site(none, &error), 0);
  assert_string_equal(own.who.credential_id, "c1");
  dk_cloud_texts_finish(&site.texts);
  unsetenv("OS_CLOUD");
  assert_true(open_site(none, &error) < 0);
  assert_non_null(strstr(error.text, "has several clouds\nhelp: `cloud` says which: lab, app"));
  dk_cloud_texts_finish(&site.texts);
  char other[200];
  snprintf(other, sizeof other, "%s/other.yaml", folder);
  write_file("other.yaml", "clouds: {lab: {auth: {auth_url: 'https://evil', username: anna, project_id: x}}}\n");
  setenv("OS_CLIENT_CONFIG_FILE", other, 1);
  assert_true(open_site(none, &error) < 0);
  assert_non_null(strstr(error.text, "other.yaml does not say who we are\nhelp: "));
  dk_cloud_texts_finish(&site.texts);
  forget();
}

static void environment(void **state) {
  static const struct dk_cloud_setting none[] = {{0}};
  struct dk_error error;
  (void)state;

  setenv("OS_AUTH_URL", "https://cloud:5000", 1);
  setenv("OS_USERNAME", "anna", 1);
  setenv("OS_PASSWORD", "s3cr3t", 1);
  setenv("OS_PROJECT_ID", "", 1); /* as an RC file leaves it */
  assert_true(open_site(none, &error) < 0);
  assert_non_null(strstr(error.text, "the environment (OS_*) does not say in which project"));
  assert_null(strstr(error.text, "s3cr3t"));
  dk_cloud_texts_finish(&site.texts);
  setenv("OS_PROJECT_NAME", "lab", 1);
  assert_int_equal(open_site(none, &error), 0);
  assert_string_equal(site.where, "https://cloud:5000/v3, project lab");
  assert_string_equal(own.who.project_name, "lab");
  assert_null(own.who.project_id);
  dk_cloud_texts_finish(&site.texts);
  forget();
}

static void what_is_wrong(void **state) {
  static const struct dk_cloud_setting lab[] = {{"cloud", "lab"}, {0}};
  static const struct {
    const char *yaml, *words;
  } wanted[] = {
      {"clouds: {other: {}}\n", "clouds.yaml has no cloud `lab`\nhelp: it has: other"},
      {"", "clouds.yaml has no clouds"},
      {"- 1\n", "clouds.yaml has no clouds"},
      {"clouds: {lab: {auth: &a {<<: *a}}}\n", "does not say `auth_url`"},
      {"clouds:\n  lab: {\n", "clouds.yaml is no YAML: "},
      {"clouds: {lab: {}}\n", "does not say `auth_url`"},
      {"clouds: {lab: {auth: {auth_url: cloud}}}\n", "`auth_url` has to begin with https://, not to be `cloud`"},
      {"clouds: {lab: {auth: {auth_url: 'https://c', username: a, password: }}}\n", "does not say who we are"},
      {"clouds: {lab: {auth: {auth_url: 'https://c', username: a, password: b}}}\n", "in which project"},
      {"clouds: {lab: {auth: {auth_url: 'https://c', application_credential_secret: b, "
       "application_credential_name: d}}}\n",
       "its id, or its name and the user"},
      {"clouds: {lab: {auth_type: v3oidcpassword, auth: {auth_url: 'https://c', username: a, password: b}}}\n",
       "`auth_type` is `v3oidcpassword`"},
  };
  struct dk_error error;
  (void)state;

  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    write_file("openstack/clouds.yaml", wanted[i].yaml);
    write_file("openstack/secure.yaml", "");
    assert_true(open_site(lab, &error) < 0);
    if (!strstr(error.text, wanted[i].words)) fail_msg("%zu: %s", i, error.text);
    dk_cloud_texts_finish(&site.texts);
  }
  char path[200];
  snprintf(path, sizeof path, "%s/openstack/clouds.yaml", folder);
  assert_int_equal(chmod(path, 0664), 0);
  assert_true(open_site(lab, &error) < 0);
  assert_non_null(strstr(error.text, "others may have written "));
  setenv("OS_CLIENT_CONFIG_FILE", "/nonexistent/clouds.yaml", 1);
  assert_true(open_site(lab, &error) < 0);
  assert_non_null(strstr(error.text, "/nonexistent/clouds.yaml"));
  forget();
  setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
  if (access("/etc/openstack", F_OK) < 0) {
    assert_true(open_site(lab, &error) < 0);
    assert_non_null(strstr(error.text, "there is no clouds.yaml in ~/.config/openstack or /etc/openstack\nhelp: "));
  }
  setenv("XDG_CONFIG_HOME", folder, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(files),
      cmocka_unit_test(environment),
      cmocka_unit_test(what_is_wrong),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
