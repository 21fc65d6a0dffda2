/* The driver: which request comes next. See providers/cloud/driver.h for the contract, api.h for LXD.
 *
 * CREATE: make, start; each becomes an operation, which is waited for. When an operation is forgotten or failed for a
 * reason that says nothing, the machine is looked at, and what is found goes on or is nothing. What cannot be started
 * is deleted. DELETE: stop, which deletes what is ephemeral, and delete. SNAPSHOT: not ephemeral any more, stop,
 * publish. */
#include "providers/lxd/lxd.h"

#include "providers/cloud/run.h"
#include "providers/lxd/turn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WAIT_S 5u /* at most so long a request is held by the server: others want its connection */
#define BUSY_NS UINT64_C(500000000)
#define BUSY_MOST 20u

static const char *const words[] = {
    [DK_LXD_STEP_MAKE] = NULL,
    [DK_LXD_STEP_LOOK] = "look at it",
    [DK_LXD_STEP_START] = "start it",
    [DK_LXD_STEP_CLEAN] = "delete it again",
    [DK_LXD_STEP_STOP] = "stop it",
    [DK_LXD_STEP_DELETE] = NULL,
    [DK_LXD_STEP_LIST] = NULL,
    [DK_LXD_STEP_SERVER] = NULL,
    [DK_LXD_STEP_IMAGE] = "look for the image",
    [DK_LXD_STEP_PROFILE] = "look for the profile",
    [DK_LXD_STEP_PROJECT] = "look for the project",
    [DK_LXD_STEP_KEEP] = "keep it when it stops",
    [DK_LXD_STEP_PUBLISH] = "publish it",
    [DK_LXD_STEP_IMAGES] = NULL,
    [DK_LXD_STEP_DROP] = NULL,
};

enum dk_cloud_failure dk_lxd_failure_of(enum dk_lxd_reason reason) {
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

enum dk_cloud_turn dk_lxd_send_call(struct dk_cloud_work *work, struct dk_lxd_ask *what) {
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

enum dk_cloud_turn dk_lxd_send_step(struct dk_cloud_work *work, enum dk_lxd_step step) {
  static const enum dk_lxd_call calls[] = {
      [DK_LXD_STEP_LOOK] = DK_LXD_INSTANCE,    [DK_LXD_STEP_START] = DK_LXD_START,
      [DK_LXD_STEP_CLEAN] = DK_LXD_DELETE,     [DK_LXD_STEP_STOP] = DK_LXD_STOP,
      [DK_LXD_STEP_DELETE] = DK_LXD_DELETE,    [DK_LXD_STEP_LIST] = DK_LXD_INSTANCES,
      [DK_LXD_STEP_SERVER] = DK_LXD_SERVER,    [DK_LXD_STEP_KEEP] = DK_LXD_KEEP,
      [DK_LXD_STEP_PUBLISH] = DK_LXD_PUBLISH,  [DK_LXD_STEP_IMAGES] = DK_LXD_IMAGES,
      [DK_LXD_STEP_DROP] = DK_LXD_DELETE_IMAGE};
  struct dk_lxd_ask ask = {
      .call = calls[step],
      .name = work->order.id ? work->order.id : work->order.name,
      .tags = {.store = work->site->store, .owner = work->site->owner, .recipe = work->order.recipe}};

  work->step = step;
  ((struct dk_lxd_work *)work->own)->operation[0] = '\0';
  return dk_lxd_send_call(work, &ask);
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

  work->step = DK_LXD_STEP_MAKE;
  return dk_lxd_send_call(work, &ask);
}

static enum dk_cloud_turn send_wait(struct dk_cloud_work *work, const struct dk_lxd_operation *operation) {
  struct dk_lxd_work *own = work->own;
  struct dk_lxd_ask ask = {.call = DK_LXD_WAIT, .name = own->operation, .wait_s = WAIT_S};

  memcpy(own->operation, operation->id, sizeof own->operation);
  return dk_lxd_send_call(work, &ask);
}

enum dk_cloud_turn dk_lxd_send_there(struct dk_cloud_work *work, enum dk_lxd_step step, enum dk_lxd_call call,
                                     const char *name) {
  struct dk_lxd_ask ask = {.call = call, .name = name};

  work->step = step;
  return dk_lxd_send_call(work, &ask);
}

/* --- CREATE --- */

static void keep(struct dk_cloud_work *work, enum dk_cloud_failure failure, const struct dk_error *error) {
  struct dk_lxd_work *own = work->own;

  own->failure = failure;
  own->kept = *error;
}

/* Nothing of it is there. */
static enum dk_cloud_turn end_kept(struct dk_cloud_work *work) {
  struct dk_lxd_work *own = work->own;

  work->has_acted = false;
  return dk_cloud_end(work, own->failure, &own->kept);
}

static enum dk_cloud_turn end_made(struct dk_cloud_work *work) {
  work->result.id = work->order.name;
  return dk_cloud_end(work, DK_CLOUD_FINE, NULL);
}

static enum dk_cloud_turn after_make(struct dk_cloud_work *work, enum dk_lxd_reason reason,
                                     const struct dk_error *error) {
  const struct dk_lxd_work *own = work->own;
  bool is_known = reason != DK_LXD_UNKNOWN && reason != DK_LXD_TRANSIENT && reason != DK_LXD_THROTTLED;

  if (reason == DK_LXD_FINE) return dk_lxd_send_step(work, DK_LXD_STEP_START);
  keep(work, reason == DK_LXD_EXISTS ? DK_CLOUD_TRANSIENT : dk_lxd_failure_of(reason), error);
  if (reason == DK_LXD_EXISTS) return dk_lxd_send_step(work, DK_LXD_STEP_LOOK);
  if (is_known) return end_kept(work);
  /* An operation that has ended leaves a machine or none. Of a request it is not known what it has yet to do. */
  return own->operation[0] ? dk_lxd_send_step(work, DK_LXD_STEP_LOOK) : dk_cloud_end(work, own->failure, error);
}

static enum dk_cloud_turn after_start(struct dk_cloud_work *work, enum dk_lxd_reason reason,
                                      const struct dk_error *error) {
  if (reason == DK_LXD_FINE || reason == DK_LXD_EXISTS) return end_made(work);
  keep(work, dk_lxd_failure_of(reason), error);
  return dk_lxd_send_step(work, DK_LXD_STEP_CLEAN);
}

static enum dk_cloud_turn after_look(struct dk_cloud_work *work, const struct dk_lxd_answer *answer) {
  struct dk_lxd_work *own = work->own;
  struct dk_lxd_instances found;
  struct dk_error error = {0};

  enum dk_lxd_reason reason = dk_lxd_read_instances(answer, &found, &error);
  bool is_ours = found.n == 1 && strcmp(found.items[0].store, work->site->store) == 0;
  bool is_running = found.n == 1 && found.items[0].state == DK_LXD_RUNNING;
  bool is_hidden = found.n == 1 && found.items[0].is_hidden;
  dk_lxd_instances_finish(&found);
  if (reason == DK_LXD_NOT_FOUND) return end_kept(work);
  if (reason != DK_LXD_FINE) return dk_cloud_end(work, dk_lxd_failure_of(reason), &error);
  if (is_hidden) return dk_cloud_end(work, DK_CLOUD_DOUBT, &own->kept);
  if (is_ours) return is_running ? end_made(work) : dk_lxd_send_step(work, DK_LXD_STEP_START);
  dk_error_set(&error, -EEXIST, "%s: there is a machine of this name that is not this store's", answer->label);
  keep(work, DK_CLOUD_BAD, &error);
  return end_kept(work);
}

static enum dk_cloud_turn after_clean(struct dk_cloud_work *work, enum dk_lxd_reason reason) {
  const struct dk_lxd_work *own = work->own;

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
  if (reason == DK_LXD_FINE || reason == DK_LXD_EXISTS) return dk_lxd_send_step(work, DK_LXD_STEP_DELETE);
  work->result.is_absent = is_absent(reason, error);
  return dk_cloud_end(work, work->result.is_absent ? DK_CLOUD_FINE : dk_lxd_failure_of(reason), error);
}

static enum dk_cloud_turn after_delete(struct dk_cloud_work *work, enum dk_lxd_reason reason,
                                       const struct dk_error *error) {
  return dk_cloud_end(work, is_absent(reason, error) ? DK_CLOUD_FINE : dk_lxd_failure_of(reason), error);
}

/* --- SNAPSHOT, DELETE_IMAGE --- */

/* Up to the publishing nothing is made. */
static enum dk_cloud_turn after_keep(struct dk_cloud_work *work, enum dk_lxd_reason reason,
                                     const struct dk_error *error) {
  bool is_done = reason == DK_LXD_FINE || (work->step == DK_LXD_STEP_STOP && reason == DK_LXD_EXISTS);

  if (is_done) return dk_lxd_send_step(work, work->step == DK_LXD_STEP_KEEP ? DK_LXD_STEP_STOP : DK_LXD_STEP_PUBLISH);
  work->has_acted = false;
  return dk_cloud_end(work, dk_lxd_failure_of(reason), error);
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
  return dk_cloud_end(work, dk_lxd_failure_of(reason), error);
}

static enum dk_cloud_turn after_drop(struct dk_cloud_work *work, enum dk_lxd_reason reason,
                                     const struct dk_error *error) {
  work->result.is_absent = reason == DK_LXD_NOT_FOUND && strstr(error->text, "mage not found");
  return dk_cloud_end(work, work->result.is_absent ? DK_CLOUD_FINE : dk_lxd_failure_of(reason), error);
}

static bool is_ending(enum dk_lxd_step step) {
  return step == DK_LXD_STEP_STOP || step == DK_LXD_STEP_DELETE || step == DK_LXD_STEP_CLEAN ||
         step == DK_LXD_STEP_KEEP;
}

/* It is busy with what it does by itself: an ephemeral one that has stopped is deleted. */
static enum dk_cloud_turn send_again(struct dk_cloud_work *work) {
  ((struct dk_lxd_work *)work->own)->n_busy++;
  enum dk_cloud_turn turn = dk_lxd_send_step(work, work->step);
  work->ask.wait_ns = BUSY_NS;
  return turn;
}

/* An answer to what becomes an operation, or of the operation. */
static enum dk_cloud_turn after_operation(struct dk_cloud_work *work, const struct dk_lxd_answer *answer) {
  struct dk_lxd_work *own = work->own;
  struct dk_lxd_operation operation;
  struct dk_error error = {0};

  enum dk_lxd_reason reason = dk_lxd_read_operation(answer, &operation, &error);
  if (reason == DK_LXD_FINE && !operation.has_ended) return send_wait(work, &operation);
  bool is_forgotten = own->operation[0] && answer->status == 404;
  if (is_forgotten) {
    keep(work, DK_CLOUD_TRANSIENT, &error);
    if (work->step == DK_LXD_STEP_PUBLISH || work->step == DK_LXD_STEP_DROP)
      return dk_cloud_end(work, DK_CLOUD_TRANSIENT, &error);
    return dk_lxd_send_step(work, is_ending(work->step) ? work->step : DK_LXD_STEP_LOOK);
  }
  if (reason == DK_LXD_TRANSIENT && is_ending(work->step) && own->n_busy < BUSY_MOST) return send_again(work);
  switch (work->step) {
  case DK_LXD_STEP_MAKE: return after_make(work, reason, &error);
  case DK_LXD_STEP_START: return after_start(work, reason, &error);
  case DK_LXD_STEP_CLEAN: return after_clean(work, reason);
  case DK_LXD_STEP_KEEP: return after_keep(work, reason, &error);
  case DK_LXD_STEP_PUBLISH: return after_publish(work, reason, &operation, &error);
  case DK_LXD_STEP_DROP: return after_drop(work, reason, &error);
  case DK_LXD_STEP_STOP:
    if (work->order.kind == DK_CLOUD_SNAPSHOT) return after_keep(work, reason, &error);
    return after_stop(work, reason, &error);
  default: return after_delete(work, reason, &error);
  }
}

/* --- the driver --- */

static enum dk_cloud_turn begin(struct dk_cloud_work *work) {
  const struct dk_lxd_site *site = work->site->own;

  if (work->order.kind == DK_CLOUD_CREATE) return send_make(work);
  if (work->order.kind == DK_CLOUD_CHECK) return dk_lxd_send_step(work, DK_LXD_STEP_SERVER);
  /* Of a project that is not there LXD lists nothing, and finds no machine: as if all were gone. */
  return dk_lxd_send_there(work, DK_LXD_STEP_PROJECT, DK_LXD_PROJECT, site->project);
}

static enum dk_cloud_turn step(struct dk_cloud_work *work, const struct dk_http_answer *http) {
  if (!http) return begin(work);
  const struct dk_lxd_answer answer = {http->status, http->body, http->body_len, http->label};
  switch (work->step) {
  case DK_LXD_STEP_LOOK: return after_look(work, &answer);
  case DK_LXD_STEP_LIST: return dk_lxd_after_list(work, &answer);
  case DK_LXD_STEP_IMAGES: return dk_lxd_after_images(work, &answer);
  case DK_LXD_STEP_SERVER: return dk_lxd_after_server(work, &answer);
  case DK_LXD_STEP_IMAGE:
  case DK_LXD_STEP_PROFILE:
  case DK_LXD_STEP_PROJECT: return dk_lxd_after_there(work, &answer);
  default: return after_operation(work, &answer);
  }
}

const struct dk_cloud_driver dk_lxd_driver = {.site_size = sizeof(struct dk_lxd_site),
                                              .work_size = sizeof(struct dk_lxd_work),
                                              .open = dk_lxd_open_site,
                                              .step = step};

static int open_cloud(const struct dk_cloud_options *options, struct dk_cloud **ret, struct dk_error *error) {
  return dk_cloud_open(&dk_lxd_driver, options, ret, error);
}

/* Its lists are read from the database that an operation's end was written to. */
const struct dk_cloud_provider dk_lxd_cloud = DK_CLOUD_PROVIDER(open_cloud, true, 1000000000u);
