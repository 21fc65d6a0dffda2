/* Lists of servers, flavors, images and networks: see api.h. */
#include "providers/openstack/private.h"

#include "lang/base/alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* api-ref, compute, "Servers": what `status` may be. REBUILD, RESIZE, MIGRATING and the like are done to a machine by
 * people: it is none of ours that way, and comes back. */
static const struct {
  const char *status;
  enum dk_instance_state state;
} states[] = {
    {"BUILD", DK_INSTANCE_BOOTING},   {"ACTIVE", DK_INSTANCE_RUNNING},       {"REBOOT", DK_INSTANCE_BOOTING},
    {"ERROR", DK_INSTANCE_FAILED},    {"HARD_REBOOT", DK_INSTANCE_BOOTING},  {"SHUTOFF", DK_INSTANCE_STOPPED},
    {"PAUSED", DK_INSTANCE_STOPPED},  {"SUSPENDED", DK_INSTANCE_STOPPED},    {"SHELVED", DK_INSTANCE_STOPPED},
    {"DELETED", DK_INSTANCE_LEAVING}, {"SOFT_DELETED", DK_INSTANCE_LEAVING}, {"SHELVED_OFFLOADED", DK_INSTANCE_STOPPED},
};

/* A delete is 204 at once; until it is done the status stays what it was, and the task is "deleting"
 * (nova/compute/task_states.py). */
static enum dk_instance_state read_state(const struct dk_json *in) {
  const char *status = dk_json_text_or(in, "status", "");

  if (strstr(dk_json_text_or(in, "OS-EXT-STS:task_state", ""), "deleting")) return DK_INSTANCE_LEAVING;
  for (size_t i = 0; i < sizeof states / sizeof *states; i++)
    if (strcmp(status, states[i].status) == 0) return states[i].state;
  return DK_INSTANCE_UNKNOWN;
}

/* Better ones are smaller; 0 is none. */
static int rank_of(const struct dk_json *at, const char *text) {
  char bytes[16];
  bool is_v4 = inet_pton(AF_INET, text, bytes) == 1;

  if (!is_v4 && inet_pton(AF_INET6, text, bytes) != 1) return 0;
  if (strcmp(dk_json_text_or(at, "OS-EXT-IPS:type", ""), "floating") == 0) return 1;
  return is_v4 ? 2 : 3;
}

static void read_address(const struct dk_json *in, char *ret, size_t size) {
  struct dk_json networks, network = {0}, at;
  int best = 0;

  if (!dk_json_find(in, "addresses", &networks)) return;
  while (dk_json_next(&networks, &network)) {
    uint32_t n = 0;
    struct dk_json list;
    if (dk_json_list(&networks, network.name, &list, &n, NULL) < 0) continue;
    for (uint32_t i = 0; i < n; i++) {
      dk_json_item(&list, i, &at);
      const char *text = dk_json_text_or(&at, "addr", "");
      int rank = rank_of(&at, text);
      if (!rank || (best && rank >= best) || strlen(text) >= size) continue;
      memcpy(ret, text, strlen(text) + 1);
      best = rank;
    }
  }
}

static int64_t read_time(const struct dk_json *in, const char *name) {
  int64_t time = 0;

  return dk_json_read_time(dk_json_text_or(in, name, ""), &time) && time > 0 ? time : 0;
}

static int read_server(const struct dk_json *in, struct dk_openstack_server *ret, bool *ret_is_hidden,
                       struct dk_error *error) {
  struct dk_json metadata, fault = {0};
  int r = COPY_ID(in, "id", ret->id, error);

  if (r < 0) return r;
  *ret_is_hidden = !dk_json_find(in, "metadata", &metadata);
  if (*ret_is_hidden) return 0;
  dk_json_copy_some(&metadata, DK_OPENSTACK_STORE, ret->store, sizeof ret->store);
  dk_json_copy_some(&metadata, DK_OPENSTACK_OWNER, ret->owner, sizeof ret->owner);
  dk_json_copy_some(in, "name", ret->name, sizeof ret->name);
  ret->state = read_state(in);
  ret->created = read_time(in, "created");
  read_address(in, ret->address, sizeof ret->address);
  if (dk_json_find(in, "fault", &fault)) dk_json_copy_some(&fault, "message", ret->words, sizeof ret->words);
  return 0;
}

static int read_servers(const struct dk_json *document, struct dk_openstack_servers *ret, struct dk_error *error) {
  struct dk_json list, item;
  uint32_t n = 0;
  int r = dk_json_list(document, "servers", &list, &n, error);

  if (r < 0 || n == 0) return r;
  ret->items = dk_calloc(n, sizeof *ret->items);
  if (!ret->items) return dk_error_system(error, -ENOMEM, "%s: reading the answer", document->label);
  for (uint32_t i = 0; i < n && r == 0; i++) {
    struct dk_openstack_server *server = &ret->items[ret->n];
    bool is_hidden = false;
    *server = (struct dk_openstack_server){0};
    dk_json_item(&list, i, &item);
    r = read_server(&item, server, &is_hidden, error);
    ret->has_hidden = ret->has_hidden || is_hidden;
    memcpy(ret->next, server->id, sizeof ret->next);
    if (server->store[0]) ret->n++;
  }
  if (!dk_openstack_has_next(document, "servers_links")) ret->next[0] = '\0';
  return r;
}

void dk_openstack_servers_finish(struct dk_openstack_servers *servers) {
  dk_free(servers->items);
  *servers = (struct dk_openstack_servers){0};
}

enum dk_cloud_failure dk_openstack_read_servers(const struct dk_http_answer *answer, struct dk_openstack_servers *ret,
                                                struct dk_error *error) {
  struct dk_json document = {0};

  *ret = (struct dk_openstack_servers){0};
  enum dk_cloud_failure failure = dk_openstack_open(answer, &document, error);
  if (failure == DK_CLOUD_FINE && read_servers(&document, ret, error) < 0) failure = DK_CLOUD_TRANSIENT;
  if (failure != DK_CLOUD_FINE) dk_openstack_servers_finish(ret);
  /* "marker [ID] not found": the page's last server has gone meanwhile. */
  if (failure == DK_CLOUD_BAD) failure = DK_CLOUD_TRANSIENT;
  dk_json_finish(&document);
  return failure;
}

/* --- flavors --- */

static int read_size(const struct dk_json *in, const char *name, uint64_t unit, uint64_t *ret, struct dk_error *error) {
  int64_t value = 0;
  int r = dk_json_int(in, name, &value, error);

  if (r < 0) return r;
  if (value < 0 || value > INT32_MAX) return dk_json_refuse(in, name, "is out of range", error);
  *ret = (uint64_t)value * unit;
  return 0;
}

/* ram in MiB, disk in GiB */
static int read_flavor(const struct dk_json *in, struct dk_openstack_flavor *ret, struct dk_error *error) {
  uint64_t cpus = 0;
  int r = dk_json_copy_text(in, "id", ret->id, sizeof ret->id, error);

  if (r == 0) r = dk_json_copy_text(in, "name", ret->name, sizeof ret->name, error);
  if (r == 0) r = read_size(in, "vcpus", 1, &cpus, error);
  if (r == 0) r = read_size(in, "ram", UINT64_C(1) << 20, &ret->memory, error);
  if (r == 0) r = read_size(in, "disk", UINT64_C(1) << 30, &ret->disk, error);
  ret->cpus = (uint32_t)cpus;
  return r;
}

static int read_flavors(const struct dk_json *document, struct dk_openstack_flavors *ret, struct dk_error *error) {
  struct dk_json list, item;
  uint32_t n = 0;
  int r = dk_json_list(document, "flavors", &list, &n, error);

  if (r < 0 || n == 0) return r;
  ret->items = dk_calloc(n, sizeof *ret->items);
  if (!ret->items) return dk_error_system(error, -ENOMEM, "%s: reading the answer", document->label);
  for (; ret->n < n && r == 0; ret->n++) {
    dk_json_item(&list, ret->n, &item);
    r = read_flavor(&item, &ret->items[ret->n], error);
  }
  if (r == 0 && dk_openstack_has_next(document, "flavors_links"))
    memcpy(ret->next, ret->items[n - 1].id, sizeof ret->next);
  return r;
}

void dk_openstack_flavors_finish(struct dk_openstack_flavors *flavors) {
  dk_free(flavors->items);
  *flavors = (struct dk_openstack_flavors){0};
}

enum dk_cloud_failure dk_openstack_read_flavors(const struct dk_http_answer *answer, struct dk_openstack_flavors *ret,
                                                struct dk_error *error) {
  struct dk_json document = {0};

  *ret = (struct dk_openstack_flavors){0};
  enum dk_cloud_failure failure = dk_openstack_open(answer, &document, error);
  if (failure == DK_CLOUD_FINE && read_flavors(&document, ret, error) < 0) failure = DK_CLOUD_TRANSIENT;
  if (failure != DK_CLOUD_FINE) dk_openstack_flavors_finish(ret);
  dk_json_finish(&document);
  return failure;
}

/* --- images and networks --- */

static int add_found(const struct dk_json *in, struct dk_openstack_found *ret, struct dk_error *error) {
  size_t len = strlen(ret->names);

  if (ret->n == 0) {
    int r = COPY_ID(in, "id", ret->id, error);
    if (r < 0) return r;
    dk_json_copy_some(in, "name", ret->name, sizeof ret->name);
  }
  snprintf(ret->names + len, sizeof ret->names - len, "%s%s (%s)", len ? ", " : "", dk_json_text_or(in, "name", ""),
           dk_json_text_or(in, "id", ""));
  ret->n++;
  return 0;
}

static int read_images(const struct dk_json *document, struct dk_openstack_found *ret, struct dk_error *error) {
  struct dk_json list, item;
  uint32_t n = 0;

  if (!dk_json_find(document, "images", &list)) return add_found(document, ret, error);
  int r = dk_json_list(document, "images", &list, &n, error);
  for (uint32_t i = 0; i < n && r == 0; i++) {
    dk_json_item(&list, i, &item);
    if (strcmp(dk_json_text_or(&item, "status", ""), "active") == 0) r = add_found(&item, ret, error);
  }
  return r;
}

static int read_networks(const struct dk_json *document, const char *name, struct dk_openstack_found *ret,
                         struct dk_error *error) {
  struct dk_json list, item;
  uint32_t n = 0;
  int r = dk_json_list(document, "networks", &list, &n, error);

  for (uint32_t i = 0; i < n && r == 0; i++) {
    bool is_external = false;
    dk_json_item(&list, i, &item);
    dk_json_bool(&item, "router:external", &is_external, NULL);
    if (name || !is_external) r = add_found(&item, ret, error);
  }
  return r;
}

static enum dk_cloud_failure end_found(enum dk_cloud_failure failure, int r, struct dk_json *document,
                                       struct dk_openstack_found *ret) {
  if (failure == DK_CLOUD_FINE && r < 0) failure = DK_CLOUD_TRANSIENT;
  if (failure != DK_CLOUD_FINE) *ret = (struct dk_openstack_found){0};
  dk_json_finish(document);
  return failure;
}

enum dk_cloud_failure dk_openstack_read_images(const struct dk_http_answer *answer, struct dk_openstack_found *ret,
                                               struct dk_error *error) {
  struct dk_json document = {0};
  int r = 0;

  *ret = (struct dk_openstack_found){0};
  /* In JSON or in a page, as it answers by webob (glance/db/sqlalchemy/api.py, _image_get). */
  if (answer->status == 404 && strstr(answer->body, "No image found with ID")) return DK_CLOUD_FINE;
  enum dk_cloud_failure failure = dk_openstack_open(answer, &document, error);
  if (failure == DK_CLOUD_FINE) r = read_images(&document, ret, error);
  return end_found(failure, r, &document, ret);
}

enum dk_cloud_failure dk_openstack_read_networks(const struct dk_http_answer *answer, const char *name,
                                                 struct dk_openstack_found *ret, struct dk_error *error) {
  struct dk_json document = {0};
  int r = 0;

  *ret = (struct dk_openstack_found){0};
  enum dk_cloud_failure failure = dk_openstack_open(answer, &document, error);
  if (failure == DK_CLOUD_FINE) r = read_networks(&document, name, ret, error);
  return end_found(failure, r, &document, ret);
}
