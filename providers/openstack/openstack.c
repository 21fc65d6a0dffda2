/* The driver: which request comes next. See providers/cloud/driver.h for the contract, api.h for OpenStack.
 *
 * CREATE: the shape's flavor, the image and the network are looked up, as Nova wants ids; then the server is made. It is
 * there with Nova's answer: whether it boots (a host is found, its volume is copied) is seen in lists. CHECK looks up
 * the same, and the quota. */
#include "providers/openstack/openstack.h"

#include "providers/cloud/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)
#define SHAPES_MOST 64u

enum step { FLAVORS = 1, IMAGES, NETWORKS, MAKE, LIMITS, LIST, DELETE };

struct work {
  uint64_t found; /* bit n: the nth shape's flavor is there */
  char flavor[DK_OPENSTACK_NAME], image[DK_OPENSTACK_ID], network[DK_OPENSTACK_ID]; /* ids */
  uint64_t flavor_disk;
  char flavors[300];             /* names of all, for people, cut */
  char where[DK_OPENSTACK_NAME]; /* the network's name */
};

static const char *const words[] = {
    [FLAVORS] = "look for its flavor",
    [IMAGES] = "look for the image",
    [NETWORKS] = "look for the network",
    [MAKE] = NULL,
    [LIMITS] = "look at the quota",
    [LIST] = NULL,
    [DELETE] = NULL,
};

/* --- what is sent --- */

static struct dk_cloud_ask *begin_step(struct dk_cloud_work *work, enum step step, enum dk_openstack_service service,
                                       const char *method, const char *path) {
  /* A delete that is done twice finds nothing the second time. */
  struct dk_cloud_ask *ask = dk_cloud_ask(work, words[step], method, step == MAKE ? DK_HTTP_ONCE : DK_HTTP_IDEMPOTENT);

  work->step = step;
  ask->service = service;
  dk_buf_add_text(&ask->path, path);
  return ask;
}

static enum dk_cloud_turn send_get(struct dk_cloud_work *work, enum step step, enum dk_openstack_service service,
                                   const char *path, const char *value) {
  struct dk_cloud_ask *ask = begin_step(work, step, service, "GET", path);

  dk_cloud_escape(&ask->path, value);
  return DK_CLOUD_ASKS;
}

static bool is_id(const char *text) {
  return strlen(text) == 36 && strspn(text, "0123456789abcdef-") == 36;
}

static enum dk_cloud_turn send_image(struct dk_cloud_work *work) {
  const char *image = work->order.image;

  return send_get(work, IMAGES, DK_OPENSTACK_IMAGE, is_id(image) ? "/images/" : "/images?name=", image);
}

static enum dk_cloud_turn send_network(struct dk_cloud_work *work) {
  const char *network = ((const struct dk_openstack_site *)work->site->own)->network;
  const char *path = !network ? "/networks" : is_id(network) ? "/networks?id=" : "/networks?name=";

  return send_get(work, NETWORKS, DK_OPENSTACK_NETWORK, path, network ? network : "");
}

static enum dk_cloud_turn send_make(struct dk_cloud_work *work) {
  const struct dk_openstack_site *site = work->site->own;
  const struct work *own = work->own;
  uint64_t disk = work->order.shape->disk;
  const struct dk_openstack_machine machine = {.name = work->order.name,
                                               .flavor = own->flavor,
                                               .image = own->image,
                                               .network = own->network,
                                               .security_group = site->security_group,
                                               .store = work->site->store,
                                               .owner = work->site->owner,
                                               .user_data = work->order.user_data,
                                               .disk = disk > own->flavor_disk ? disk : 0};
  struct dk_error error = {0};

  struct dk_cloud_ask *ask = begin_step(work, MAKE, DK_OPENSTACK_COMPUTE, "POST", "/servers");
  int r = dk_openstack_machine_body(&machine, &ask->body, &error);
  if (r == 0) return DK_CLOUD_ASKS;
  return dk_cloud_end(work, r == -EINVAL ? DK_CLOUD_BAD : DK_CLOUD_TRANSIENT, &error);
}

static enum dk_cloud_turn refuse(struct dk_cloud_work *work, const struct dk_error *error) {
  return dk_cloud_end(work, DK_CLOUD_BAD, error);
}

/* --- flavors --- */

/* Tasks are packed by what a shape says: it must not say more than there is. */
static bool judge_flavor(const struct dk_shape *shape, const struct dk_openstack_flavor *flavor, const char *label,
                         struct dk_error *error) {
  uint64_t memory = flavor->memory / MIB, said = shape->memory / MIB;

  if (shape->cpus > flavor->cpus || shape->memory > flavor->memory)
    dk_error_set(error, -EINVAL,
                 "%s: flavor `%.100s` has %u cpus and %" PRIu64 " MiB, and its shape says %u and %" PRIu64
                 " MiB\nhelp: write what the flavor has into `shapes`",
                 label, flavor->name, flavor->cpus, memory, shape->cpus, said);
  else if (shape->disk == 0 && flavor->disk == 0)
    dk_error_set(error, -EINVAL,
                 "%s: flavor `%.100s` has no disk\nhelp: `disk = 20GiB` in its shape makes one of that size, which "
                 "goes with the machine",
                 label, flavor->name);
  return error->code == 0;
}

static const struct dk_shape *shape_at(const struct dk_cloud_order *order, uint32_t i) {
  return order->kind == DK_CLOUD_CREATE ? order->shape : &order->shapes[i];
}

static uint32_t count_shapes(const struct dk_cloud_order *order) {
  uint32_t n = order->kind == DK_CLOUD_CREATE ? 1 : order->n_shapes;

  return n < SHAPES_MOST ? n : SHAPES_MOST;
}

/* false: it ended. */
static bool match_flavor(struct dk_cloud_work *work, const struct dk_openstack_flavor *flavor, const char *label) {
  struct work *own = work->own;
  struct dk_error error = {0};
  size_t len = strlen(own->flavors);

  snprintf(own->flavors + len, sizeof own->flavors - len, "%s%s", len ? ", " : "", flavor->name);
  for (uint32_t i = 0; i < count_shapes(&work->order); i++) {
    const struct dk_shape *shape = shape_at(&work->order, i);
    /* Shapes have names in small letters. */
    if (strcasecmp(shape->name, flavor->name) != 0 && strcmp(shape->name, flavor->id) != 0) continue;
    if (!judge_flavor(shape, flavor, label, &error)) {
      refuse(work, &error);
      return false;
    }
    own->found |= UINT64_C(1) << i;
    own->flavor_disk = flavor->disk;
    memcpy(own->flavor, flavor->id, sizeof own->flavor);
  }
  return true;
}

static enum dk_cloud_turn end_flavors(struct dk_cloud_work *work, const char *label) {
  const struct work *own = work->own;
  struct dk_error error = {0};

  for (uint32_t i = 0; i < count_shapes(&work->order); i++) {
    if (own->found >> i & 1) continue;
    dk_error_set(&error, -ENOENT, "%s: there is no flavor `%.100s`\nhelp: the shapes of this cloud are its flavors: %s",
                 label, shape_at(&work->order, i)->name, own->flavors);
    return refuse(work, &error);
  }
  return work->order.image ? send_image(work) : send_network(work);
}

static enum dk_cloud_turn after_flavors(struct dk_cloud_work *work, const struct dk_http_answer *answer) {
  struct dk_openstack_flavors flavors;
  struct dk_error error = {0};
  bool is_fine = true;

  enum dk_cloud_failure failure = dk_openstack_read_flavors(answer, &flavors, &error);
  if (failure != DK_CLOUD_FINE) return dk_cloud_end(work, failure, &error);
  for (uint32_t i = 0; i < flavors.n && is_fine; i++) is_fine = match_flavor(work, &flavors.items[i], answer->label);
  enum dk_cloud_turn turn = DK_CLOUD_OVER;
  if (is_fine && flavors.next[0])
    turn = send_get(work, FLAVORS, DK_OPENSTACK_COMPUTE, "/flavors/detail?marker=", flavors.next);
  else if (is_fine)
    turn = end_flavors(work, answer->label);
  dk_openstack_flavors_finish(&flavors);
  return turn;
}

/* --- image, network --- */

/* One, or words. `setting` says which. */
static bool judge_found(const struct dk_http_answer *answer, const struct dk_openstack_found *found, const char *what,
                        const char *setting, const char *name, struct dk_error *error) {
  if (found->n == 1) return true;
  if (found->n == 0)
    dk_error_set(error, -ENOENT, "%s: there is no %s%s%.100s%s\nhelp: `openstack %s list` says which there are",
                 answer->label, what, name ? " `" : "", name ? name : "", name ? "`" : "", what);
  else
    dk_error_set(error, -EINVAL, "%s: there are %u %ss%s%.100s%s\nhelp: `%s` takes an id, too: %s", answer->label,
                 found->n, what, name ? " `" : "", name ? name : "", name ? "`" : "", setting, found->names);
  return false;
}

static enum dk_cloud_turn after_images(struct dk_cloud_work *work, const struct dk_http_answer *answer) {
  struct work *own = work->own;
  struct dk_openstack_found found;
  struct dk_error error = {0};

  enum dk_cloud_failure failure = dk_openstack_read_images(answer, &found, &error);
  if (failure != DK_CLOUD_FINE) return dk_cloud_end(work, failure, &error);
  if (!judge_found(answer, &found, "image", "image", work->order.image, &error)) return refuse(work, &error);
  memcpy(own->image, found.id, sizeof own->image);
  return send_network(work);
}

static enum dk_cloud_turn after_networks(struct dk_cloud_work *work, const struct dk_http_answer *answer) {
  const struct dk_openstack_site *site = work->site->own;
  struct work *own = work->own;
  struct dk_openstack_found found;
  struct dk_error error = {0};

  enum dk_cloud_failure failure = dk_openstack_read_networks(answer, site->network, &found, &error);
  if (failure != DK_CLOUD_FINE) return dk_cloud_end(work, failure, &error);
  if (!judge_found(answer, &found, "network", "network", site->network, &error)) return refuse(work, &error);
  memcpy(own->network, found.id, sizeof own->network);
  memcpy(own->where, found.name, sizeof own->where);
  if (work->order.kind == DK_CLOUD_CREATE) return send_make(work);
  return send_get(work, LIMITS, DK_OPENSTACK_COMPUTE, "/limits", "");
}

/* --- the ends --- */

static enum dk_cloud_turn after_make(struct dk_cloud_work *work, const struct dk_http_answer *answer) {
  char id[DK_OPENSTACK_ID];
  struct dk_error error = {0};

  enum dk_cloud_failure failure = dk_openstack_read_created(answer, id, &error);
  if (failure == DK_CLOUD_FINE) work->result.id = dk_cloud_keep(&work->texts, id);
  return dk_cloud_end(work, failure, &error);
}

static void add_quota(char *line, size_t size, const char *what, int64_t used, int64_t most) {
  size_t len = strlen(line);

  if (most < 0) return;
  snprintf(line + len, size - len, ", %" PRId64 " of %" PRId64 " %s used", used, most, what);
}

static enum dk_cloud_turn after_limits(struct dk_cloud_work *work, const struct dk_http_answer *answer) {
  const struct dk_openstack_session *session = work->site->session;
  const struct work *own = work->own;
  const char *image = work->order.image;
  struct dk_openstack_limits limits;
  struct dk_error error = {0};
  char line[900];

  enum dk_cloud_failure failure = dk_openstack_read_limits(answer, &limits, &error);
  if (failure != DK_CLOUD_FINE) return dk_cloud_end(work, failure, &error);
  snprintf(line, sizeof line, "%.100s in project %.100s at %.100s, region %.60s, %s%.100s%snetwork %.100s",
           session->is.user, session->is.project, work->site->url, session->is.region, image ? "image " : "",
           image ? image : "", image ? ", " : "", own->where);
  add_quota(line, sizeof line, "machines", limits.machines_used, limits.machines);
  add_quota(line, sizeof line, "cpus", limits.cpus_used, limits.cpus);
  add_quota(line, sizeof line, "MiB of memory", limits.memory_used, limits.memory);
  work->result.words = dk_cloud_keep(&work->texts, line);
  return dk_cloud_end(work, DK_CLOUD_FINE, NULL);
}

static enum dk_cloud_turn after_list(struct dk_cloud_work *work, const struct dk_http_answer *answer) {
  struct dk_openstack_servers list;
  struct dk_error error = {0};
  bool is_kept = true;

  enum dk_cloud_failure failure = dk_openstack_read_servers(answer, &list, &error);
  if (failure != DK_CLOUD_FINE) return dk_cloud_end(work, failure, &error);
  for (uint32_t i = 0; i < list.n && is_kept; i++) {
    const struct dk_openstack_server *at = &list.items[i];
    struct dk_instance instance = {.name = at->name,
                                   .id = at->id,
                                   .address = at->address,
                                   .state = at->state,
                                   .made_unix = at->created,
                                   .owner = at->owner,
                                   .words = at->words};
    if (dk_cloud_read_store(at->store, instance.store)) is_kept = dk_cloud_add(work, &instance);
  }
  if (list.has_hidden) work->result.is_complete = false;
  enum dk_cloud_turn turn = DK_CLOUD_OVER;
  if (is_kept && list.next[0])
    turn = send_get(work, LIST, DK_OPENSTACK_COMPUTE, "/servers/detail?marker=", list.next);
  else if (is_kept)
    turn = dk_cloud_end(work, DK_CLOUD_FINE, NULL);
  dk_openstack_servers_finish(&list);
  return turn;
}

static enum dk_cloud_turn after_delete(struct dk_cloud_work *work, const struct dk_http_answer *answer) {
  struct dk_error error = {0};

  enum dk_cloud_failure failure = dk_openstack_read_deleted(answer, work->order.id, &work->result.is_absent, &error);
  return dk_cloud_end(work, failure, &error);
}

static enum dk_cloud_turn begin(struct dk_cloud_work *work) {
  struct dk_cloud_ask *ask;
  struct dk_error error = {0};

  switch (work->order.kind) {
  case DK_CLOUD_LIST:
    work->result.is_complete = true;
    return send_get(work, LIST, DK_OPENSTACK_COMPUTE, "/servers/detail", "");
  case DK_CLOUD_DELETE:
    ask = begin_step(work, DELETE, DK_OPENSTACK_COMPUTE, "DELETE", "/servers/");
    dk_cloud_escape(&ask->path, work->order.id);
    return DK_CLOUD_ASKS;
  case DK_CLOUD_SNAPSHOT:
  case DK_CLOUD_LIST_IMAGES:
  case DK_CLOUD_DELETE_IMAGE:
    dk_error_set(&error, -ENOTSUP,
                 "images are not made on OpenStack yet\nhelp: `image = \"NAME\"` takes one that is there");
    return dk_cloud_end(work, DK_CLOUD_BAD, &error);
  default: return send_get(work, FLAVORS, DK_OPENSTACK_COMPUTE, "/flavors/detail", "");
  }
}

static enum dk_cloud_turn step(struct dk_cloud_work *work, const struct dk_http_answer *answer) {
  if (!answer) return begin(work);
  switch ((enum step)work->step) {
  case FLAVORS: return after_flavors(work, answer);
  case IMAGES: return after_images(work, answer);
  case NETWORKS: return after_networks(work, answer);
  case MAKE: return after_make(work, answer);
  case LIMITS: return after_limits(work, answer);
  case LIST: return after_list(work, answer);
  case DELETE: break;
  }
  return after_delete(work, answer);
}

/* --- the session --- */

static enum dk_cloud_turn send_login(struct dk_cloud_work *work, const struct dk_openstack_site *own) {
  struct dk_error error = {0};

  struct dk_cloud_ask *ask = dk_cloud_ask(work, NULL, "POST", DK_HTTP_IDEMPOTENT); /* a token more */
  ask->service = DK_OPENSTACK_IDENTITY;
  dk_buf_add_text(&ask->path, "/auth/tokens");
  int r = dk_openstack_login_body(&own->who, &ask->body, &error);
  if (r == 0) return DK_CLOUD_ASKS;
  return dk_cloud_end(work, r == -EINVAL ? DK_CLOUD_BAD : DK_CLOUD_TRANSIENT, &error);
}

/* The token is in a header: api-ref, identity v3, "Authentication and token management". */
static enum dk_cloud_turn login(struct dk_cloud_work *work, struct dk_cloud_site *site,
                                const struct dk_http_answer *answer) {
  const struct dk_openstack_site *own = site->own;
  struct dk_openstack_session *session = site->session;
  struct dk_error error = {0};

  if (!answer) return send_login(work, own);
  enum dk_cloud_failure failure = dk_openstack_read_token(answer, &own->who, &session->is, &error);
  const char *token = answer->head ? dk_head_get(answer->head, "X-Subject-Token") : NULL;
  if (failure == DK_CLOUD_FINE && (!token || !*token)) {
    dk_error_set(&error, -EBADMSG, "%s: the answer has no token", answer->label);
    failure = DK_CLOUD_TRANSIENT;
  }
  if (failure == DK_CLOUD_FINE && !(session->token = dk_cloud_keep(&site->session_texts, token))) {
    dk_error_system(&error, -ENOMEM, "%s", answer->label);
    failure = DK_CLOUD_TRANSIENT;
  }
  return dk_cloud_end(work, failure, &error);
}

/* api-guide, "Microversions"; the others have none, and do not mind. */
static void sign(const struct dk_cloud_site *site, struct dk_cloud_ask *ask, int64_t unix_s, uint64_t nonce) {
  const struct dk_openstack_session *session = site->session;

  (void)unix_s;
  (void)nonce;
  dk_cloud_header(ask, "Accept", "application/json");
  if (ask->service == DK_OPENSTACK_IDENTITY) return;
  ask->base = session->is.url[ask->service];
  dk_cloud_header(ask, "X-Auth-Token", session->token);
  if (ask->service == DK_OPENSTACK_COMPUTE)
    dk_cloud_header(ask, "OpenStack-API-Version", "compute " DK_OPENSTACK_MICROVERSION);
}

/* api-guide, "Faults": all services send one; Nova of old the second one. */
static const char *const request_ids[] = {"x-openstack-request-id", "x-compute-request-id", NULL};

const struct dk_cloud_driver dk_openstack_driver = {.request_ids = request_ids,
                                                    .site_size = sizeof(struct dk_openstack_site),
                                                    .session_size = sizeof(struct dk_openstack_session),
                                                    .work_size = sizeof(struct work),
                                                    .open = dk_openstack_open_site,
                                                    .step = step,
                                                    .login = login,
                                                    .sign = sign};

static int open_cloud(const struct dk_cloud_options *options, struct dk_cloud **ret, struct dk_error *error) {
  return dk_cloud_open(&dk_openstack_driver, options, ret, error);
}

/* Lists are read from the database that the answer to a create or a delete was written to; where that is a cluster, its
 * other members are behind by what is on the way to them. */
const struct dk_cloud_provider dk_openstack_cloud = DK_CLOUD_PROVIDER(open_cloud, false, 5000000000u);
