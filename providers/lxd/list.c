/* Lists of instances and images, and addresses: see api.h. */
#include "providers/lxd/private.h"

#include "lang/base/alloc.h"
#include "lang/base/map.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* doc/rest-api.md, "List of current status codes". */
enum {
  STATUS_STARTED = 101,
  STATUS_STOPPED = 102,
  STATUS_RUNNING = 103,
  STATUS_STARTING = 106,
  STATUS_STOPPING = 107,
  STATUS_ABORTING = 108,
  STATUS_FREEZING = 109,
  STATUS_FROZEN = 110,
  STATUS_THAWED = 111,
  STATUS_READY = 113,
};

/* 0: not said; what Go calls a time that was never set is year 1. */
static int64_t read_time(const struct dk_json *in, const char *name) {
  int64_t time = 0;

  return dk_json_read_time(dk_json_text_or(in, name, ""), &time) && time > 0 ? time : 0;
}

static int read_state(const struct dk_json *in, enum dk_lxd_state *ret, struct dk_error *error) {
  int64_t status = 0;
  int r = dk_json_int(in, "status_code", &status, error);

  switch (status) {
  case STATUS_STARTING: *ret = DK_LXD_STARTING; break;
  case STATUS_STARTED:
  case STATUS_RUNNING:
  case STATUS_THAWED:
  case STATUS_READY: *ret = DK_LXD_RUNNING; break;
  case STATUS_FREEZING:
  case STATUS_FROZEN: *ret = DK_LXD_FROZEN; break;
  case STATUS_STOPPING:
  case STATUS_ABORTING: *ret = DK_LXD_STOPPING; break;
  case STATUS_STOPPED: *ret = DK_LXD_STOPPED; break;
  default: *ret = DK_LXD_OTHER; break;
  }
  return r;
}

static void add_address(struct dk_lxd_addresses *ret, const char *card, const char *text) {
  if (ret->n == DK_LXD_ADDRESSES_MOST) return;
  snprintf(ret->items[ret->n].card, sizeof ret->items[ret->n].card, "%.15s", card);
  snprintf(ret->items[ret->n].text, sizeof ret->items[ret->n].text, "%.45s", text);
  ret->n++;
}

/* Those of one family that lead there from elsewhere; of cards that the server plugged in, or of others (those of a
 * Docker inside). */
static void read_addresses(const struct dk_json *in, const char *family, int af, bool is_plugged,
                           struct dk_lxd_addresses *ret) {
  struct dk_json networks, card = {0}, list, item;
  uint32_t n = 0;
  char bytes[16];

  if (!dk_json_find(in, "network", &networks)) return; /* null while it does not run */
  while (dk_json_next(&networks, &card)) {
    if ((dk_json_text_or(&card, "host_name", "")[0] != '\0') != is_plugged) continue;
    if (dk_json_list(&card, "addresses", &list, &n, NULL) < 0) continue;
    for (uint32_t i = 0; i < n; i++) {
      dk_json_item(&list, i, &item);
      const char *text = dk_json_text_or(&item, "address", "");
      if (strcmp(dk_json_text_or(&item, "scope", ""), "global") == 0 &&
          strcmp(dk_json_text_or(&item, "family", ""), family) == 0 && inet_pton(af, text, bytes) == 1)
        add_address(ret, card.name, text);
    }
  }
}

static void read_network(const struct dk_json *in, struct dk_lxd_addresses *ret) {
  for (int is_plugged = 1; is_plugged >= 0; is_plugged--) {
    read_addresses(in, "inet", AF_INET, is_plugged, ret);
    read_addresses(in, "inet6", AF_INET6, is_plugged, ret);
  }
}

static int read_instance(const struct dk_json *in, struct dk_lxd_instance *ret, struct dk_error *error) {
  struct dk_lxd_addresses addresses = {0};
  struct dk_json config, state;
  int r = COPY_TEXT(in, "name", ret->name, error);

  if (r == 0) r = read_state(in, &ret->state, error);
  if (r < 0) return r;
  ret->created = read_time(in, "created_at");
  ret->is_hidden = !dk_json_find(in, "config", &config);
  COPY_SOME(&config, "volatile.uuid", ret->id);
  COPY_SOME(&config, "user.dkrun.store", ret->store);
  COPY_SOME(&config, "user.dkrun.run", ret->run);
  COPY_SOME(&config, "user.dkrun.owner", ret->owner);
  if (dk_json_find(in, "state", &state)) read_network(&state, &addresses);
  if (addresses.n > 0) memcpy(ret->address, addresses.items[0].text, sizeof ret->address);
  return 0;
}

static bool is_name(const void *ctx, uint32_t item, const void *key) {
  const struct dk_lxd_instances *instances = ctx;

  return strcmp(instances->items[item].name, key) == 0;
}

/* Keeps `instance` if it may be ours. `names` has those that are kept. */
static int keep_instance(const struct dk_json *in, const struct dk_lxd_instance *instance, struct dk_lxd_instances *ret,
                         uint32_t *cap, struct dk_map *names, struct dk_error *error) {
  if (!instance->is_hidden && instance->store[0] == '\0') {
    ret->n_others++;
    return 0;
  }
  uint64_t hash = dk_hash_bytes(instance->name, strlen(instance->name), 0);
  if (dk_map_find(names, hash, is_name, ret, instance->name) != DK_MAP_NONE)
    return dk_json_refuse(in, "name", "is there twice", error);
  if (!dk_grow(ret->items, ret->n, *cap) || dk_map_add(names, hash, ret->n) < 0)
    return dk_error_system(error, -ENOMEM, "%s: reading the answer", in->label);
  ret->items[ret->n++] = *instance;
  return 0;
}

static int read_instances(const struct dk_json *document, const struct dk_json *in, struct dk_lxd_instances *ret,
                          struct dk_error *error) {
  struct dk_json list = *in, item;
  struct dk_lxd_instance instance;
  struct dk_map names;
  uint32_t n = 1, cap = 0;
  int r = 0;

  /* INSTANCE: one, not in a list. */
  bool is_one = dk_json_find(in, "name", &item);
  if (!is_one) r = dk_json_list(document, "metadata", &list, &n, error);
  dk_map_init(&names, NULL);
  for (uint32_t i = 0; i < n && r == 0; i++) {
    if (is_one)
      item = *in;
    else
      dk_json_item(&list, i, &item);
    instance = (struct dk_lxd_instance){0};
    r = read_instance(&item, &instance, error);
    if (r == 0) r = keep_instance(&item, &instance, ret, &cap, &names, error);
  }
  dk_map_finish(&names);
  return r;
}

enum dk_lxd_reason dk_lxd_read_instances(const struct dk_lxd_answer *answer, struct dk_lxd_instances *ret,
                                         struct dk_error *error) {
  struct dk_json document = {0}, in = {0};

  *ret = (struct dk_lxd_instances){0};
  enum dk_lxd_reason reason = dk_lxd_open(answer, &document, &in, error);
  int r = reason == DK_LXD_FINE ? read_instances(&document, &in, ret, error) : 0;
  if (r < 0) {
    dk_lxd_instances_finish(ret);
    reason = dk_lxd_unread(r);
  }
  dk_json_finish(&document);
  return reason;
}

void dk_lxd_instances_finish(struct dk_lxd_instances *instances) {
  dk_free(instances->items);
  *instances = (struct dk_lxd_instances){0};
}

enum dk_lxd_reason dk_lxd_read_addresses(const struct dk_lxd_answer *answer, struct dk_lxd_addresses *ret,
                                         struct dk_error *error) {
  struct dk_json document = {0}, in = {0};

  *ret = (struct dk_lxd_addresses){0};
  enum dk_lxd_reason reason = dk_lxd_open(answer, &document, &in, error);
  if (reason == DK_LXD_FINE && read_state(&in, &ret->state, error) < 0) reason = DK_LXD_UNKNOWN;
  if (reason == DK_LXD_FINE) read_network(&in, ret);
  dk_json_finish(&document);
  return reason;
}

enum dk_lxd_reason dk_lxd_read_there(const struct dk_lxd_answer *answer, struct dk_error *error) {
  struct dk_json document = {0}, in;

  enum dk_lxd_reason reason = dk_lxd_open(answer, &document, &in, error);
  dk_json_finish(&document);
  return reason;
}

static int read_image(const struct dk_json *in, struct dk_lxd_image *ret, struct dk_error *error) {
  struct dk_json tags;
  int64_t size = 0;

  int r = COPY_TEXT(in, "fingerprint", ret->fingerprint, error);
  if (r == 0) r = dk_json_int(in, "size", &size, error);
  if (r < 0) return r;
  ret->size = size > 0 ? (uint64_t)size : 0;
  ret->uploaded = read_time(in, "uploaded_at");
  dk_json_find(in, "properties", &tags);
  COPY_SOME(&tags, "user.dkrun.store", ret->store);
  COPY_SOME(&tags, "user.dkrun.owner", ret->owner);
  COPY_SOME(&tags, "user.dkrun.recipe", ret->recipe);
  return 0;
}

static int read_images(const struct dk_json *document, struct dk_lxd_images *ret, struct dk_error *error) {
  struct dk_json list, item;
  uint32_t n = 0, cap = 0;

  int r = dk_json_list(document, "metadata", &list, &n, error);
  for (uint32_t i = 0; i < n && r == 0; i++) {
    struct dk_lxd_image image = {0};
    dk_json_item(&list, i, &item);
    r = read_image(&item, &image, error);
    if (r < 0) break;
    if (image.recipe[0] == '\0')
      ret->n_others++;
    else if (!dk_grow(ret->items, ret->n, cap))
      r = dk_error_system(error, -ENOMEM, "%s: reading the answer", document->label);
    else
      ret->items[ret->n++] = image;
  }
  return r;
}

enum dk_lxd_reason dk_lxd_read_images(const struct dk_lxd_answer *answer, struct dk_lxd_images *ret,
                                      struct dk_error *error) {
  struct dk_json document = {0}, in = {0};

  *ret = (struct dk_lxd_images){0};
  enum dk_lxd_reason reason = dk_lxd_open(answer, &document, &in, error);
  int r = reason == DK_LXD_FINE ? read_images(&document, ret, error) : 0;
  if (r < 0) {
    dk_lxd_images_finish(ret);
    reason = dk_lxd_unread(r);
  }
  dk_json_finish(&document);
  return reason;
}

void dk_lxd_images_finish(struct dk_lxd_images *images) {
  dk_free(images->items);
  *images = (struct dk_lxd_images){0};
}
