/* Where the cloud is, and who we are there: the settings of a provider of kind `openstack`, a cloud of clouds.yaml, or
 * the variables OS_*. See openstack.h. */
#include "providers/openstack/openstack.h"

#include "providers/openstack/clouds_yaml.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct dk_schema_field fields[] = {
    {"cloud", DK_KIND_TEXT, false, false, "the name of a cloud in clouds.yaml",
     "where it is, and who we are; else OS_CLOUD, OS_AUTH_URL and the like, or the only one of the file"},
    {"region", DK_KIND_TEXT, false, false, "the name of a region", "as clouds.yaml has it, or the only one"},
    {"network", DK_KIND_TEXT, false, false, "the name or id of a network", "of machines; the only one of the project"},
    {"security_group", DK_KIND_TEXT, false, false, "the name of a security group",
     "of machines, has to let ssh in; the project's \"default\""},
    {"allow_http", DK_KIND_BOOL, false, false, "true or false",
     "ask it without encryption, passwords too, where its addresses begin with http://; false"},
};
const struct dk_schema dk_openstack_schema = {"a provider of kind `openstack`", fields, sizeof fields / sizeof *fields};

/* Where a value may come from. */
struct source {
  struct dk_clouds_yaml *yaml; /* NULL: the environment */
  struct dk_cloud_texts *texts;
  bool is_short; /* of memory */
};

static const char *look_up(const struct source *source, const char *name) {
  char variable[64] = "OS_";

  if (source->yaml) return dk_clouds_yaml_get(source->yaml, name);
  for (size_t i = 0; name[i] && i + 4 < sizeof variable; i++) variable[i + 3] = (char)toupper((unsigned char)name[i]);
  const char *text = getenv(variable);
  return text && *text ? text : NULL;
}

/* The first of the names that is given; kept. */
static const char *read_value(struct source *source, const char *const names[]) {
  for (; *names; names++) {
    const char *text = look_up(source, *names);
    if (!text) continue;
    const char *kept = dk_cloud_keep(source->texts, text);
    source->is_short = source->is_short || !kept;
    return kept;
  }
  return NULL;
}

/* loader.py: _fix_backwards_auth (tenant is project's old name), _handle_domain_id (one domain for both),
 * _fix_backwards_interface. */
static void read_who(struct source *source, struct dk_openstack_who *who) {
  const struct {
    const char **ret;
    const char *names[3];
  } values[] = {
      {&who->auth_url, {"auth_url"}},
      {&who->region, {"region_name"}},
      {&who->interface, {"interface", "endpoint_type"}},
      {&who->user_name, {"username", "user_name"}},
      {&who->user_id, {"user_id"}},
      {&who->user_domain_name, {"user_domain_name", "domain_name"}},
      {&who->user_domain_id, {"user_domain_id", "domain_id"}},
      {&who->password, {"password"}},
      {&who->project_name, {"project_name", "tenant_name"}},
      {&who->project_id, {"project_id", "tenant_id"}},
      {&who->project_domain_name, {"project_domain_name", "domain_name"}},
      {&who->project_domain_id, {"project_domain_id", "domain_id"}},
      {&who->credential_id, {"application_credential_id"}},
      {&who->credential_name, {"application_credential_name"}},
      {&who->credential_secret, {"application_credential_secret"}},
  };

  for (size_t i = 0; i < sizeof values / sizeof *values; i++) *values[i].ret = read_value(source, values[i].names);
}

/* Paths in clouds.yaml may begin with ~ (openstack/config/cloud_region.py, get_requests_verify_args). */
static const char *read_file_path(struct source *source, const char *name) {
  const char *text = look_up(source, name), *home = getenv("HOME");
  char path[4096];

  if (!text) return NULL;
  bool is_home = text[0] == '~' && text[1] == '/' && home;
  snprintf(path, sizeof path, "%s%s", is_home ? home : "", is_home ? text + 1 : text);
  const char *kept = dk_cloud_keep(source->texts, path);
  source->is_short = source->is_short || !kept;
  return kept;
}

static int check_type(const struct source *source, const char *from, struct dk_error *error) {
  static const char *const known[] = {"password", "v3password", "v3applicationcredential"};
  const char *type = look_up(source, "auth_type");

  for (size_t i = 0; type && i < sizeof known / sizeof *known; i++)
    if (strcmp(type, known[i]) == 0) return 0;
  if (!type) return 0;
  return dk_error_set(error, -EINVAL,
                      "%s: `auth_type` is `%.60s`, and dkrun knows passwords and application credentials\nhelp: "
                      "`openstack application credential create dkrun` makes one of the latter",
                      from, type);
}

static int check_who(const struct dk_openstack_who *who, const char *from, struct dk_error *error) {
  const char *url = who->auth_url;
  bool has_user = who->user_id || who->user_name;

  if (!url) return dk_error_set(error, -EINVAL, "%s does not say `auth_url`, the address of Keystone", from);
  if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
    return dk_error_set(error, -EINVAL, "%s: `auth_url` has to begin with https://, not to be `%.100s`", from, url);
  if (who->credential_secret) {
    if (who->credential_id || (who->credential_name && has_user)) return 0;
    return dk_error_set(error, -EINVAL,
                        "%s: an application credential wants its id, or its name and the user whose it is\nhelp: "
                        "`application_credential_id`, or `application_credential_name` and `username`",
                        from);
  }
  if (!who->password || !has_user)
    return dk_error_set(error, -EINVAL,
                        "%s does not say who we are\nhelp: `username` and `password`, or `application_credential_id` "
                        "and `application_credential_secret`",
                        from);
  if (who->project_id || who->project_name) return 0;
  return dk_error_set(error, -EINVAL, "%s does not say in which project\nhelp: `project_name` or `project_id`", from);
}

/* Keystone's address is written with and without its version. */
static const char *write_url(struct dk_cloud_texts *texts, const char *auth_url) {
  static const char *const versions[] = {"/v3", "/v2.0"};
  size_t len = strlen(auth_url);
  char url[DK_OPENSTACK_URL];

  while (len > 0 && auth_url[len - 1] == '/') len--;
  for (size_t i = 0; i < 2; i++) {
    size_t n = strlen(versions[i]);
    if (len > n && strncmp(auth_url + len - n, versions[i], n) == 0) len -= n;
  }
  snprintf(url, sizeof url, "%.*s/v3", (int)len, auth_url);
  return dk_cloud_keep(texts, url);
}

/* A project has what is made in it, whoever asks. In which one an application credential is only Keystone knows, so that
 * another one counts as another place. */
static const char *write_where(struct dk_cloud_texts *texts, const char *url, const struct dk_openstack_who *who) {
  const char *project = who->project_id ? who->project_id : who->project_name;
  const char *domain = who->project_domain_id ? who->project_domain_id : who->project_domain_name;
  dk_autobuf where = DK_BUF_INIT;

  dk_buf_add_text(&where, url);
  if (who->credential_secret && who->credential_id)
    dk_buf_printf(&where, ", application credential %s", who->credential_id);
  else if (who->credential_secret)
    dk_buf_printf(&where, ", application credential %s of %s", who->credential_name,
                  who->user_id ? who->user_id : who->user_name);
  else
    dk_buf_printf(&where, ", project %s", project);
  if (!who->credential_secret && !who->project_id && domain) dk_buf_printf(&where, " of %s", domain);
  if (who->region) dk_buf_printf(&where, ", region %s", who->region);
  return dk_buf_ok(&where) ? dk_cloud_keep(texts, where.data) : NULL;
}

/* "publicURL", as of old, is "public". */
static const char *write_interface(struct dk_cloud_texts *texts, const char *interface) {
  const char *end = interface ? strstr(interface, "URL") : NULL;
  char text[32];

  snprintf(text, sizeof text, "%.*s", end ? (int)(end - interface) : 31, interface ? interface : "public");
  return dk_cloud_keep(texts, text);
}

static const char *keep_setting(const struct dk_cloud_config *config, struct source *source, const char *name) {
  const char *text = dk_cloud_setting(config, name);
  const char *kept = text ? dk_cloud_keep(source->texts, text) : NULL;

  source->is_short = source->is_short || (text && !kept);
  return kept;
}

static int read_site(struct source *source, struct dk_cloud_site *site, const struct dk_cloud_config *config,
                     struct dk_error *error) {
  struct dk_openstack_site *own = site->own;
  const char *from = source->yaml ? dk_clouds_yaml_path(source->yaml) : "the environment (OS_*)";
  const char *allow_http = dk_cloud_setting(config, "allow_http");

  read_who(source, &own->who);
  site->ca_file = read_file_path(source, "cacert");
  site->cert_file = read_file_path(source, "cert");
  site->key_file = read_file_path(source, "key");
  site->allows_plain = allow_http && strcmp(allow_http, "true") == 0;
  own->network = keep_setting(config, source, "network");
  own->security_group = keep_setting(config, source, "security_group");
  own->source = dk_cloud_keep(&site->texts, from);
  const char *region = keep_setting(config, source, "region");
  if (region) own->who.region = region;
  int r = source->is_short || !own->source ? dk_error_system(error, -ENOMEM, "its settings")
                                           : check_type(source, from, error);
  if (r == 0) r = check_who(&own->who, from, error);
  if (r < 0) return r;
  own->who.interface = write_interface(&site->texts, own->who.interface);
  site->url = write_url(&site->texts, own->who.auth_url);
  if (site->url) site->where = write_where(&site->texts, site->url, &own->who);
  return own->who.interface && site->where ? 0 : dk_error_system(error, -ENOMEM, "its settings");
}

/* openstack/config/loader.py: a name, else OS_CLOUD, else the variables, else the only cloud of the file. */
int dk_openstack_open_site(struct dk_cloud_site *site, const struct dk_cloud_config *config, struct dk_error *error) {
  const char *cloud = dk_cloud_setting(config, "cloud"), *auth_url = getenv("OS_AUTH_URL");
  struct source source = {.texts = &site->texts};

  if (!cloud) cloud = getenv("OS_CLOUD");
  if (cloud && !*cloud) cloud = NULL;
  int r = !cloud && auth_url && *auth_url ? 0 : dk_clouds_yaml_open(cloud, &source.yaml, error);
  if (r == 0) r = read_site(&source, site, config, error);
  dk_clouds_yaml_close(source.yaml);
  return r;
}
