/* The driver: which request comes next. See providers/cloud/driver.h for the contract, api.h for LXD.
 *
 * CREATE: make, start; each becomes an operation, which is waited for. When an operation is forgotten or failed for a
 * reason that says nothing, the machine is looked at, and what is found goes on or is nothing. What cannot be started
 * is deleted. DELETE: stop, which deletes what is ephemeral, and delete. SNAPSHOT: not ephemeral any more, stop,
 * publish. */
#include "providers/lxd/lxd.h"

#include "providers/cloud/run.h"
#include "providers/lxd/api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WAIT_S 5u /* at most so long a request is held by the server: others want its connection */
#define BUSY_NS UINT64_C(500000000)
#define BUSY_MOST 20u

enum step {
  MAKE = 1,
  LOOK,
  START,
  CLEAN,
  STOP,
  DELETE,
  LIST,
  SERVER,
  IMAGE,
  PROFILE,
  PROJECT,
  KEEP,
  PUBLISH,
  IMAGES,
  DROP
};

struct work {
  char operation[DK_LXD_NAME]; /* that is waited for; "": the step's own answer comes */
  struct dk_error kept;        /* why it comes to nothing, while it is cleaned up */
  enum dk_cloud_failure failure;
  char server[64]; /* CHECK: "lxd 5.0.2" */
  uint32_t n_busy;
};

static const char *const words[] = {
    [MAKE] = NULL,
    [LOOK] = "look at it",
    [START] = "start it",
    [CLEAN] = "delete it again",
    [STOP] = "stop it",
    [DELETE] = NULL,
    [LIST] = NULL,
    [SERVER] = NULL,
    [IMAGE] = "look for the image",
    [PROFILE] = "look for the profile",
    [PROJECT] = "look for the project",
    [KEEP] = "keep it when it stops",
    [PUBLISH] = "publish it",
    [IMAGES] = NULL,
    [DROP] = NULL,
};

static enum dk_cloud_failure failure_of(enum dk_lxd_reason reason) {
  switch (reason) {
  case DK_LXD_FINE: return DK_CLOUD_FINE;
  case DK_LXD_DENIED: return DK_CLOUD_DENIED;
  case DK_LXD_BAD_REQUEST:
  case DK_LXD_NOT_FOUND:
  case DK_LXD_EXISTS: return DK_CLOUD_BAD;
  case DK_LXD_QUOTA: return DK_CLOUD_QUOTA;
  case DK_LXD_CAPACITY: return DK_CLOUD_CAPACITY;
  case DK_LXD_THROTTLED: return DK_CLOUD_THROTTLED;
  case DK_LXD_TRANSIENT:
  case DK_LXD_UNKNOWN: break;
  }
  return DK_CLOUD_TRANSIENT;
}

/* --- what is sent --- */

static enum dk_cloud_turn send_call(struct dk_cloud_work *work, struct dk_lxd_ask *what) {
  const struct dk_lxd_site *site = work->site->own;
  struct dk_lxd_request request;
  struct dk_error error = {0};

  what->project = site->project;
  int r = dk_lxd_request(what, &request, &error);
  bool is_reading = strcmp(request.method, "GET") == 0;
  struct dk_cloud_ask *ask =
      dk_cloud_ask(work, words[work->step], request.method, is_reading ? DK_HTTP_IDEMPOTENT : DK_HTTP_ONCE);
  ask->path = request.path;
  ask->body = request.body;
  if (r == 0) return DK_CLOUD_ASKS;
  return dk_cloud_end(work, r == -EINVAL ? DK_CLOUD_BAD : DK_CLOUD_TRANSIENT, &error);
}

static enum dk_cloud_turn send_step(struct dk_cloud_work *work, enum step step) {
  static const enum dk_lxd_call calls[] = {
      [LOOK] = DK_LXD_INSTANCE,   [START] = DK_LXD_START,    [CLEAN] = DK_LXD_DELETE,     [STOP] = DK_LXD_STOP,
      [DELETE] = DK_LXD_DELETE,   [LIST] = DK_LXD_INSTANCES, [SERVER] = DK_LXD_SERVER,    [KEEP] = DK_LXD_KEEP,
      [PUBLISH] = DK_LXD_PUBLISH, [IMAGES] = DK_LXD_IMAGES,  [DROP] = DK_LXD_DELETE_IMAGE};
  struct dk_lxd_ask ask = {
      .call = calls[step],
      .name = work->order.id ? work->order.id : work->order.name,
      .tags = {.store = work->site->store, .owner = work->site->owner, .recipe = work->order.recipe}};

  work->step = step;
  ((struct work *)work->own)->operation[0] = '\0';
  return send_call(work, &ask);
}

static enum dk_cloud_turn send_make(struct dk_cloud_work *work) {
  const struct dk_lxd_site *site = work->site->own;
  const struct dk_shape *shape = work->order.shape;
  struct dk_lxd_ask ask = {.call = DK_LXD_CREATE,
                           .name = work->order.name,
                           .machine = {.image = work->order.image,
                                       .profile = site->profile,
                                       .pool = site->pool,
                                       .disk = shape->disk,
                                       .memory = shape->memory,
                                       .cpus = shape->cpus,
                                       .user_data = work->order.user_data,
                                       .tags = {.store = work->site->store, .owner = work->site->owner}}};

  work->step = MAKE;
  return send_call(work, &ask);
}

static enum dk_cloud_turn send_wait(struct dk_cloud_work *work, const struct dk_lxd_operation *operation) {
  struct work *own = work->own;
  struct dk_lxd_ask ask = {.call = DK_LXD_WAIT, .name = own->operation, .wait_s = WAIT_S};

  memcpy(own->operation, operation->id, sizeof own->operation);
  return send_call(work, &ask);
}

static enum dk_cloud_turn send_there(struct dk_cloud_work *work, enum step step, enum dk_lxd_call call,
                                     const char *name) {
  struct dk_lxd_ask ask = {.call = call, .name = name};

  work->step = step;
  return send_call(work, &ask);
}

static enum dk_cloud_turn send_image(struct dk_cloud_work *work) {
  const char *image = work->order.image;
  bool is_fingerprint = strlen(image) == 64 && strspn(image, "0123456789abcdef") == 64;

  return send_there(work, IMAGE, is_fingerprint ? DK_LXD_IMAGE : DK_LXD_ALIAS, image);
}

static enum dk_cloud_turn send_profile(struct dk_cloud_work *work) {
  const struct dk_lxd_site *site = work->site->own;

  return send_there(work, PROFILE, DK_LXD_PROFILE, site->profile);
}

/* --- CREATE --- */

static void keep(struct dk_cloud_work *work, enum dk_cloud_failure failure, const struct dk_error *error) {
  struct work *own = work->own;

  own->failure = failure;
  own->kept = *error;
}

/* Nothing of it is there. */
static enum dk_cloud_turn end_kept(struct dk_cloud_work *work) {
  struct work *own = work->own;

  work->has_acted = false;
  return dk_cloud_end(work, own->failure, &own->kept);
}

static enum dk_cloud_turn end_made(struct dk_cloud_work *work) {
  work->result.id = work->order.name;
  return dk_cloud_end(work, DK_CLOUD_FINE, NULL);
}

static enum dk_cloud_turn after_make(struct dk_cloud_work *work, enum dk_lxd_reason reason,
                                     const struct dk_error *error) {
  const struct work *own = work->own;
  bool is_known = reason != DK_LXD_UNKNOWN && reason != DK_LXD_TRANSIENT && reason != DK_LXD_THROTTLED;

  if (reason == DK_LXD_FINE) return send_step(work, START);
  keep(work, reason == DK_LXD_EXISTS ? DK_CLOUD_TRANSIENT : failure_of(reason), error);
  if (reason == DK_LXD_EXISTS) return send_step(work, LOOK);
  if (is_known) return end_kept(work);
  /* An operation that has ended leaves a machine or none. Of a request it is not known what it has yet to do. */
  return own->operation[0] ? send_step(work, LOOK) : dk_cloud_end(work, own->failure, error);
}

static enum dk_cloud_turn after_start(struct dk_cloud_work *work, enum dk_lxd_reason reason,
                                      const struct dk_error *error) {
  if (reason == DK_LXD_FINE || reason == DK_LXD_EXISTS) return end_made(work);
  keep(work, failure_of(reason), error);
  return send_step(work, CLEAN);
}

static enum dk_cloud_turn after_look(struct dk_cloud_work *work, const struct dk_lxd_answer *answer) {
  struct work *own = work->own;
  struct dk_lxd_instances found;
  struct dk_error error = {0};

  enum dk_lxd_reason reason = dk_lxd_read_instances(answer, &found, &error);
  bool is_ours = found.n == 1 && strcmp(found.items[0].store, work->site->store) == 0;
  bool is_running = found.n == 1 && found.items[0].state == DK_LXD_RUNNING;
  bool is_hidden = found.n == 1 && found.items[0].is_hidden;
  dk_lxd_instances_finish(&found);
  if (reason == DK_LXD_NOT_FOUND) return end_kept(work);
  if (reason != DK_LXD_FINE) return dk_cloud_end(work, failure_of(reason), &error);
  if (is_hidden) return dk_cloud_end(work, DK_CLOUD_DOUBT, &own->kept);
  if (is_ours) return is_running ? end_made(work) : send_step(work, START);
  dk_error_set(&error, -EEXIST, "%s: there is a machine of this name that is not this store's", answer->label);
  keep(work, DK_CLOUD_BAD, &error);
  return end_kept(work);
}

static enum dk_cloud_turn after_clean(struct dk_cloud_work *work, enum dk_lxd_reason reason) {
  const struct work *own = work->own;

  if (reason == DK_LXD_FINE || reason == DK_LXD_NOT_FOUND) return end_kept(work);
  return dk_cloud_end(work, own->failure, &own->kept);
}

/* --- DELETE --- */

/* A project that is not there says nothing of the machine. */
static bool is_absent(enum dk_lxd_reason reason, const struct dk_error *error) {
  return reason == DK_LXD_NOT_FOUND && strstr(error->text, "nstance not found");
}

static enum dk_cloud_turn after_stop(struct dk_cloud_work *work, enum dk_lxd_reason reason,
                                     const struct dk_error *error) {
  if (reason == DK_LXD_FINE || reason == DK_LXD_EXISTS) return send_step(work, DELETE);
  work->result.is_absent = is_absent(reason, error);
  return dk_cloud_end(work, work->result.is_absent ? DK_CLOUD_FINE : failure_of(reason), error);
}

static enum dk_cloud_turn after_delete(struct dk_cloud_work *work, enum dk_lxd_reason reason,
                                       const struct dk_error *error) {
  return dk_cloud_end(work, is_absent(reason, error) ? DK_CLOUD_FINE : failure_of(reason), error);
}

/* --- SNAPSHOT, DELETE_IMAGE --- */

/* Up to the publishing nothing is made. */
static enum dk_cloud_turn after_keep(struct dk_cloud_work *work, enum dk_lxd_reason reason,
                                     const struct dk_error *error) {
  bool is_done = reason == DK_LXD_FINE || (work->step == STOP && reason == DK_LXD_EXISTS);

  if (is_done) return send_step(work, work->step == KEEP ? STOP : PUBLISH);
  work->has_acted = false;
  return dk_cloud_end(work, failure_of(reason), error);
}

static enum dk_cloud_turn after_publish(struct dk_cloud_work *work, enum dk_lxd_reason reason,
                                        const struct dk_lxd_operation *operation, const struct dk_error *error) {
  struct dk_error lost = {0};

  if (reason == DK_LXD_FINE && operation->fingerprint[0]) {
    work->result.id = dk_cloud_keep(&work->texts, operation->fingerprint);
    return dk_cloud_end(work, DK_CLOUD_FINE, NULL);
  }
  if (reason == DK_LXD_FINE) {
    dk_error_set(&lost, -EBADMSG, "the server does not say which image it made");
    return dk_cloud_end(work, DK_CLOUD_TRANSIENT, &lost);
  }
  /* EXISTS: one with the same content is there; a list says whether it is one of ours. */
  bool is_unknown = reason == DK_LXD_UNKNOWN || reason == DK_LXD_TRANSIENT || reason == DK_LXD_EXISTS;
  work->has_acted = work->has_acted && is_unknown;
  return dk_cloud_end(work, failure_of(reason), error);
}

static enum dk_cloud_turn after_drop(struct dk_cloud_work *work, enum dk_lxd_reason reason,
                                     const struct dk_error *error) {
  work->result.is_absent = reason == DK_LXD_NOT_FOUND && strstr(error->text, "mage not found");
  return dk_cloud_end(work, work->result.is_absent ? DK_CLOUD_FINE : failure_of(reason), error);
}

static bool is_ending(enum step step) {
  return step == STOP || step == DELETE || step == CLEAN || step == KEEP;
}

/* It is busy with what it does by itself: an ephemeral one that has stopped is deleted. */
static enum dk_cloud_turn send_again(struct dk_cloud_work *work) {
  ((struct work *)work->own)->n_busy++;
  enum dk_cloud_turn turn = send_step(work, work->step);
  work->ask.wait_ns = BUSY_NS;
  return turn;
}

/* An answer to what becomes an operation, or of the operation. */
static enum dk_cloud_turn after_operation(struct dk_cloud_work *work, const struct dk_lxd_answer *answer) {
  struct work *own = work->own;
  struct dk_lxd_operation operation;
  struct dk_error error = {0};

  enum dk_lxd_reason reason = dk_lxd_read_operation(answer, &operation, &error);
  if (reason == DK_LXD_FINE && !operation.has_ended) return send_wait(work, &operation);
  bool is_forgotten = own->operation[0] && answer->status == 404;
  if (is_forgotten) {
    keep(work, DK_CLOUD_TRANSIENT, &error);
    if (work->step == PUBLISH || work->step == DROP) return dk_cloud_end(work, DK_CLOUD_TRANSIENT, &error);
    return send_step(work, is_ending(work->step) ? work->step : LOOK);
  }
  if (reason == DK_LXD_TRANSIENT && is_ending(work->step) && own->n_busy < BUSY_MOST) return send_again(work);
  switch (work->step) {
  case MAKE: return after_make(work, reason, &error);
  case START: return after_start(work, reason, &error);
  case CLEAN: return after_clean(work, reason);
  case KEEP: return after_keep(work, reason, &error);
  case PUBLISH: return after_publish(work, reason, &operation, &error);
  case DROP: return after_drop(work, reason, &error);
  case STOP:
    if (work->order.kind == DK_CLOUD_SNAPSHOT) return after_keep(work, reason, &error);
    return after_stop(work, reason, &error);
  default: return after_delete(work, reason, &error);
  }
}

/* --- LIST --- */

static enum dk_instance_state state_of(const struct dk_lxd_instance *instance) {
  switch (instance->state) {
  case DK_LXD_STARTING: return DK_INSTANCE_BOOTING;
  case DK_LXD_RUNNING: return DK_INSTANCE_RUNNING;
  case DK_LXD_FROZEN:
  case DK_LXD_STOPPED: return DK_INSTANCE_STOPPED;
  case DK_LXD_STOPPING: return DK_INSTANCE_LEAVING;
  case DK_LXD_OTHER: break;
  }
  return DK_INSTANCE_UNKNOWN;
}

static enum dk_cloud_turn after_list(struct dk_cloud_work *work, const struct dk_lxd_answer *answer) {
  struct dk_lxd_instances list;
  struct dk_error error = {0};
  bool is_kept = true, is_complete = true;

  enum dk_lxd_reason reason = dk_lxd_read_instances(answer, &list, &error);
  for (uint32_t i = 0; i < list.n && is_kept; i++) {
    const struct dk_lxd_instance *at = &list.items[i];
    struct dk_instance instance = {.name = at->name,
                                   .id = at->name,
                                   .address = at->address,
                                   .state = state_of(at),
                                   .made_unix = at->created,
                                   .owner = at->owner};
    is_complete = is_complete && !at->is_hidden;
    if (dk_cloud_read_store(at->store, instance.store)) is_kept = dk_cloud_add(work, &instance);
  }
  dk_lxd_instances_finish(&list);
  work->result.is_complete = is_complete;
  return is_kept ? dk_cloud_end(work, failure_of(reason), &error) : DK_CLOUD_OVER;
}

static enum dk_cloud_turn after_images(struct dk_cloud_work *work, const struct dk_lxd_answer *answer) {
  struct dk_lxd_images list;
  struct dk_error error = {0};
  bool is_kept = true;

  enum dk_lxd_reason reason = dk_lxd_read_images(answer, &list, &error);
  for (uint32_t i = 0; i < list.n && is_kept; i++) {
    const struct dk_lxd_image *at = &list.items[i];
    struct dk_cloud_image image = {.name = "",
                                   .id = at->fingerprint,
                                   .recipe = at->recipe,
                                   .owner = at->owner,
                                   .state = DK_IMAGE_READY, /* what is being published is not listed yet */
                                   .size = at->size,
                                   .made_unix = at->uploaded};
    if (dk_cloud_read_store(at->store, image.store)) is_kept = dk_cloud_add_image(work, &image);
  }
  dk_lxd_images_finish(&list);
  work->result.is_complete = true;
  return is_kept ? dk_cloud_end(work, failure_of(reason), &error) : DK_CLOUD_OVER;
}

/* --- CHECK --- */

static enum dk_cloud_turn end_check(struct dk_cloud_work *work) {
  const struct dk_lxd_site *site = work->site->own;
  const struct work *own = work->own;
  const char *image = work->order.image;
  char line[600];

  snprintf(line, sizeof line, "%s %s%s, %s%.200s%sprofile %.100s", own->server,
           work->site->unix_socket ? "over its socket" : "at ", work->site->unix_socket ? "" : work->site->url,
           image ? "image " : "", image ? image : "", image ? ", " : "", site->profile);
  work->result.words = dk_cloud_keep(&work->texts, line);
  return dk_cloud_end(work, DK_CLOUD_FINE, NULL);
}

static enum dk_cloud_turn after_server(struct dk_cloud_work *work, const struct dk_lxd_answer *answer) {
  const struct dk_lxd_site *site = work->site->own;
  struct work *own = work->own;
  struct dk_lxd_server server;
  struct dk_error error = {0};

  enum dk_lxd_reason reason = dk_lxd_read_server(answer, &server, &error);
  if (reason != DK_LXD_FINE) return dk_cloud_end(work, failure_of(reason), &error);
  snprintf(own->server, sizeof own->server, "%s %s", server.kind, server.version);
  return send_there(work, PROJECT, DK_LXD_PROJECT, site->project);
}

/* What the settings name that is not there: LXD's own words say neither which nor where. */
static void name_missing(const struct dk_cloud_work *work, struct dk_error *error) {
  static const char *const kinds[] = {[IMAGE] = "image", [PROFILE] = "profile", [PROJECT] = "project"};
  const struct dk_lxd_site *site = work->site->own;
  const char *kind = kinds[work->step];
  const char *name = work->step == IMAGE ? work->order.image : work->step == PROFILE ? site->profile : site->project;
  const char *project = work->step == PROJECT ? NULL : site->project;

  dk_error_set(error, -ENOENT,
               "%s: there is no %s `%.200s`%s%.80s%s\nhelp: `lxc %s list` on the server says which there are",
               work->site->provider, kind, name, project ? " in project `" : "", project ? project : "",
               project ? "`" : "", kind);
}

static enum dk_cloud_turn after_there(struct dk_cloud_work *work, const struct dk_lxd_answer *answer) {
  struct dk_error error = {0};

  enum dk_lxd_reason reason = dk_lxd_read_there(answer, &error);
  if (reason == DK_LXD_NOT_FOUND) name_missing(work, &error);
  if (reason != DK_LXD_FINE) return dk_cloud_end(work, failure_of(reason), &error);
  if (work->step == PROFILE) return end_check(work);
  if (work->step == IMAGE) return send_profile(work);
  if (work->order.kind == DK_CLOUD_CHECK) return work->order.image ? send_image(work) : send_profile(work);
  switch (work->order.kind) {
  case DK_CLOUD_LIST: return send_step(work, LIST);
  case DK_CLOUD_LIST_IMAGES: return send_step(work, IMAGES);
  case DK_CLOUD_DELETE_IMAGE: return send_step(work, DROP);
  case DK_CLOUD_SNAPSHOT: return send_step(work, KEEP);
  default: return send_step(work, STOP);
  }
}

static enum dk_cloud_turn begin(struct dk_cloud_work *work) {
  const struct dk_lxd_site *site = work->site->own;

  if (work->order.kind == DK_CLOUD_CREATE) return send_make(work);
  if (work->order.kind == DK_CLOUD_CHECK) return send_step(work, SERVER);
  /* Of a project that is not there LXD lists nothing, and finds no machine: as if all were gone. */
  return send_there(work, PROJECT, DK_LXD_PROJECT, site->project);
}

static enum dk_cloud_turn step(struct dk_cloud_work *work, const struct dk_http_answer *http) {
  if (!http) return begin(work);
  const struct dk_lxd_answer answer = {http->status, http->body, http->body_len, http->label};
  switch (work->step) {
  case LOOK: return after_look(work, &answer);
  case LIST: return after_list(work, &answer);
  case IMAGES: return after_images(work, &answer);
  case SERVER: return after_server(work, &answer);
  case IMAGE:
  case PROFILE:
  case PROJECT: return after_there(work, &answer);
  default: return after_operation(work, &answer);
  }
}

const struct dk_cloud_driver dk_lxd_driver = {
    .site_size = sizeof(struct dk_lxd_site), .work_size = sizeof(struct work), .open = dk_lxd_open_site, .step = step};

static int open_cloud(const struct dk_cloud_options *options, struct dk_cloud **ret, struct dk_error *error) {
  return dk_cloud_open(&dk_lxd_driver, options, ret, error);
}

/* Its lists are read from the database that an operation's end was written to. */
const struct dk_cloud_provider dk_lxd_cloud = DK_CLOUD_PROVIDER(open_cloud, true, 1000000000u);
