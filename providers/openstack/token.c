/* A token's answer: who we are, and where the services are. See api.h. */
#include "providers/openstack/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REGIONS_MOST 16u

/* service-types-authority: the types of the catalogue; what their endpoints may end with (they are written with and
 * without the API's version), and what is put there. */
static const struct {
  const char *type, *version;
} services[DK_OPENSTACK_N_SERVICES] = {
    [DK_OPENSTACK_COMPUTE] = {"compute", "/v2.1"},
    [DK_OPENSTACK_IMAGE] = {"image", "/v2"},
    [DK_OPENSTACK_NETWORK] = {"network", "/v2.0"},
};

/* Nova's old endpoint, /v2, ignores microversions. Behind a version there may be the project's id. */
static bool write_url(const char *url, const char *version, char *ret, size_t size) {
  size_t len = strlen(url);

  while (len > 0 && url[len - 1] == '/') len--;
  for (size_t at = 0; at + 2 < len; at++) {
    if (strncmp(url + at, "/v2", 3) != 0) continue;
    size_t end = at + 3;
    while (end < len && strchr(".0123456789", url[end])) end++;
    if (end < len && url[end] != '/') continue;
    return snprintf(ret, size, "%.*s%s%.*s", (int)at, url, version, (int)(len - end), url + end) < (int)size;
  }
  return snprintf(ret, size, "%.*s%s", (int)len, url, version) < (int)size;
}

static const char *region_of(const struct dk_json *endpoint) {
  return dk_json_text_or(endpoint, "region_id", dk_json_text_or(endpoint, "region", ""));
}

struct regions {
  char names[REGIONS_MOST][DK_OPENSTACK_NAME];
  uint32_t n;
};

static void add_region(struct regions *regions, const char *name) {
  for (uint32_t i = 0; i < regions->n; i++)
    if (strcmp(regions->names[i], name) == 0) return;
  if (regions->n < REGIONS_MOST)
    snprintf(regions->names[regions->n++], DK_OPENSTACK_NAME, "%.*s", (int)DK_OPENSTACK_NAME - 1, name);
}

/* The endpoint of a service in `region`; in any when it is NULL: all are added to `regions`. -ENOENT: none. */
static int find_endpoint(const struct dk_json *token, enum dk_openstack_service service, const char *interface,
                         const char *region, struct regions *regions, const char **ret_url, struct dk_error *error) {
  struct dk_json catalog, entry, list, endpoint;
  uint32_t n = 0, n_endpoints = 0;
  bool is_found = false;

  if (dk_json_list(token, "catalog", &catalog, &n, error) < 0) return -EBADMSG;
  for (uint32_t i = 0; i < n; i++) {
    dk_json_item(&catalog, i, &entry);
    if (strcmp(dk_json_text_or(&entry, "type", ""), services[service].type) != 0) continue;
    if (dk_json_list(&entry, "endpoints", &list, &n_endpoints, error) < 0) return -EBADMSG;
    for (uint32_t k = 0; k < n_endpoints; k++) {
      dk_json_item(&list, k, &endpoint);
      if (strcmp(dk_json_text_or(&endpoint, "interface", ""), interface) != 0) continue;
      if (regions) add_region(regions, region_of(&endpoint));
      if (region && strcmp(region_of(&endpoint), region) != 0) continue;
      if (!is_found && dk_json_text(&endpoint, "url", ret_url, error) < 0) return -EBADMSG;
      is_found = true;
    }
  }
  return is_found ? 0 : -ENOENT;
}

static enum dk_cloud_failure refuse_regions(const struct dk_http_answer *answer, const struct dk_openstack_who *who,
                                            const struct regions *regions, struct dk_error *error) {
  char names[300] = "";

  for (uint32_t i = 0; i < regions->n; i++)
    snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "", regions->names[i]);
  if (regions->n == 0)
    dk_error_set(error, -ENOENT,
                 "%s: its catalogue has no service `compute` with interface `%.40s`\nhelp: `interface` in clouds.yaml, "
                 "or OS_INTERFACE, says which",
                 answer->label, who->interface);
  else if (who->region)
    dk_error_set(error, -ENOENT, "%s: there is no region `%.100s`\nhelp: there are: %s", answer->label, who->region,
                 names);
  else
    dk_error_set(error, -EINVAL, "%s: it has several regions\nhelp: `region` says which: %s", answer->label, names);
  return DK_CLOUD_BAD;
}

static enum dk_cloud_failure read_catalogue(const struct dk_http_answer *answer, const struct dk_json *token,
                                            const struct dk_openstack_who *who, struct dk_openstack_token *ret,
                                            struct dk_error *error) {
  struct regions regions = {0};
  const char *url = NULL;

  int r = find_endpoint(token, DK_OPENSTACK_COMPUTE, who->interface, who->region, &regions, &url, error);
  if (r == -EBADMSG) return DK_CLOUD_TRANSIENT;
  if (r < 0 || (!who->region && regions.n > 1)) return refuse_regions(answer, who, &regions, error);
  snprintf(ret->region, sizeof ret->region, "%s", who->region ? who->region : regions.names[0]);
  for (enum dk_openstack_service i = DK_OPENSTACK_COMPUTE; i < DK_OPENSTACK_N_SERVICES; i++) {
    r = find_endpoint(token, i, who->interface, ret->region, NULL, &url, error);
    if (r == -EBADMSG) return DK_CLOUD_TRANSIENT;
    if (r == 0 && write_url(url, services[i].version, ret->url[i], sizeof ret->url[i])) continue;
    dk_error_set(error, -ENOENT, "%s: its catalogue has no service `%s` with interface `%.40s` in region `%.100s`",
                 answer->label, services[i].type, who->interface, ret->region);
    return DK_CLOUD_BAD;
  }
  return DK_CLOUD_FINE;
}

static enum dk_cloud_failure read_token(const struct dk_http_answer *answer, const struct dk_json *document,
                                        const struct dk_openstack_who *who, struct dk_openstack_token *ret,
                                        struct dk_error *error) {
  struct dk_json token, user = {0}, project = {0}, catalog;

  if (dk_json_get(document, "token", &token, error) < 0) return DK_CLOUD_TRANSIENT;
  if (dk_json_find(&token, "user", &user)) dk_json_copy_some(&user, "name", ret->user, sizeof ret->user);
  if (dk_json_find(&token, "project", &project)) dk_json_copy_some(&project, "name", ret->project, sizeof ret->project);
  if (project.value && dk_json_find(&token, "catalog", &catalog))
    return read_catalogue(answer, &token, who, ret, error);
  dk_error_set(error, -EINVAL,
               "%s: we are let in, and into no project\nhelp: `project_name` or `project_id` in clouds.yaml, or "
               "OS_PROJECT_NAME, says which",
               answer->label);
  return DK_CLOUD_BAD;
}

enum dk_cloud_failure dk_openstack_read_token(const struct dk_http_answer *answer, const struct dk_openstack_who *who,
                                              struct dk_openstack_token *ret, struct dk_error *error) {
  struct dk_json document = {0};

  *ret = (struct dk_openstack_token){0};
  enum dk_cloud_failure failure = dk_openstack_open(answer, &document, error);
  if (failure == DK_CLOUD_FINE) failure = read_token(answer, &document, who, ret, error);
  if (failure != DK_CLOUD_FINE) *ret = (struct dk_openstack_token){0};
  dk_json_finish(&document);
  return failure;
}
