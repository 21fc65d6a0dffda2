/* What engine/rent wants done, asked of the clouds, and what they answer: see rentals.h. */
#include "engine/drive/reap.h"
#include "engine/drive/rentals_priv.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A call to a cloud, for its answer. */
struct dk_rental_call {
  struct dk_rental_call *next; /* of its pool */
  struct dk_rentals *rentals;
  struct dk_rental_pool *pool;
  enum dk_cloud_kind kind;
  uint32_t number; /* CREATE, DELETE */
  uint32_t serial; /* LIST */
};

static void free_call(struct dk_rental_call *call) {
  struct dk_rental_call **at = &call->pool->calls;

  while (*at != call) at = &(*at)->next;
  *at = call->next;
  dk_free(call);
}

/* Is it under way now? Else nothing was asked, and `error` may have words. */
static bool ask(struct dk_rental_pool *pool, const struct dk_cloud_order *order, uint32_t number, uint32_t serial,
                dk_cloud_done_fn *done, struct dk_error *error) {
  struct dk_rental_call *call = pool->cloud ? dk_calloc(1, sizeof *call) : NULL;

  if (!call) return false;
  *call = (struct dk_rental_call){pool->calls, pool->rentals, pool, order->kind, number, serial};
  pool->calls = call;
  if (pool->entry->provider->cloud->start(pool->cloud, order, done, call, error) == 0) return true;
  free_call(call);
  return false;
}

bool dk_rentals_ask(struct dk_rental_pool *pool, const struct dk_cloud_order *order, dk_cloud_done_fn *done,
                    struct dk_error *error) {
  return ask(pool, order, 0, 0, done, error);
}

struct dk_rental_pool *dk_rentals_called(void *call) {
  struct dk_rental_pool *pool = ((struct dk_rental_call *)call)->pool;

  free_call(call);
  return pool;
}

void dk_rentals_say(const struct dk_rental_pool *pool, const char *text) {
  struct dk_error words = {0};

  dk_error_set(&words, -EIO, "%s: %s", pool->name, text);
  dk_engine_say(pool->rentals->engine, words.text);
}

/* --- create --- */

static enum dk_rent_refusal refusal_of(enum dk_cloud_failure failure) {
  switch (failure) {
  case DK_CLOUD_QUOTA: return DK_RENT_QUOTA;
  case DK_CLOUD_CAPACITY: return DK_RENT_CAPACITY;
  case DK_CLOUD_THROTTLED: return DK_RENT_THROTTLED;
  case DK_CLOUD_DENIED: return DK_RENT_DENIED;
  case DK_CLOUD_BAD: return DK_RENT_BAD;
  case DK_CLOUD_FINE:
  case DK_CLOUD_TRANSIENT:
  case DK_CLOUD_DOUBT: break;
  }
  return DK_RENT_TRANSIENT;
}

static void on_created(void *ctx, const struct dk_cloud_result *result) {
  struct dk_rental_call *call = ctx;
  struct dk_rentals *rentals = call->rentals;
  struct dk_rental_pool *pool = call->pool;
  struct dk_rent_event event = {.number = call->number};

  free_call(call);

  if (result->failure == DK_CLOUD_FINE && *result->id && strlen(result->id) < DK_RENT_ID) {
    event.kind = DK_RENT_EV_CREATED;
    event.u.created.id = result->id;
  } else if (result->failure == DK_CLOUD_FINE || result->failure == DK_CLOUD_DOUBT) {
    event.kind = DK_RENT_EV_CREATE_DOUBT;
  } else {
    event.kind = DK_RENT_EV_CREATE_FAILED;
    event.u.failed.reason = refusal_of(result->failure);
    if (result->failure == DK_CLOUD_BAD && dk_rentals_image_is_lost(pool)) event.u.failed.reason = DK_RENT_TRANSIENT;
    event.u.failed.retry_after_ns = result->retry_after_ns;
  }
  if (result->failure != DK_CLOUD_FINE) dk_engine_say(rentals->engine, result->error.text);
  dk_rentals_tell(rentals, &event);
}

static const struct dk_shape *shape_of(const struct dk_rental_pool *pool, const char *name) {
  for (uint32_t i = 0; pool->entry && i < pool->entry->n_shapes; i++)
    if (strcmp(pool->entry->shapes[i].name, name) == 0) return &pool->entry->shapes[i];
  return NULL;
}

static void failed_here(struct dk_rentals *rentals, uint32_t number, enum dk_rent_refusal reason,
                        const struct dk_error *error) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_CREATE_FAILED, .number = number};

  if (error && error->text[0]) dk_engine_say(rentals->engine, error->text);
  event.u.failed.reason = reason;
  dk_rentals_tell(rentals, &event);
}

static void create(struct dk_rentals *rentals, struct dk_rental_pool *pool, const struct dk_rented *rented) {
  const struct dk_shape *shape = shape_of(pool, rented->shape.name);
  char name[DK_RENT_NAME], own[DK_RENT_NAME + 12];
  dk_autobuf script = DK_BUF_INIT;
  struct dk_error error = {0};

  if (!pool->cloud || !shape) { /* edited meanwhile, or about to be opened again */
    failed_here(rentals, rented->number, pool->cloud ? DK_RENT_BAD : DK_RENT_TRANSIENT, NULL);
    return;
  }
  dk_rent_name(rentals->engine->store_id, rented->incarnation, rented->number, name);
  dk_rentals_name(rented->pool, rented->number, own, sizeof own);
  const char *user = pool->entry->host.user;
  bool is_own = pool->entry->image.setup && !rented->is_builder;
  int r = dk_rentals_user_data(rentals, own, user ? user : DK_RENTALS_USER, &script, &error);
  const struct dk_cloud_order order = {.kind = DK_CLOUD_CREATE,
                                       .name = name,
                                       .image = is_own ? pool->image.id : pool->entry->image.from,
                                       .is_image_id = is_own,
                                       .shape = shape,
                                       .user_data = dk_buf_text(&script)};
  if (r == 0 && ask(pool, &order, rented->number, 0, on_created, &error)) return;
  failed_here(rentals, rented->number, DK_RENT_TRANSIENT, &error);
}

/* --- list --- */

static enum dk_rent_seen seen_of(enum dk_instance_state state) {
  switch (state) {
  case DK_INSTANCE_BOOTING: return DK_RENT_BOOTING;
  case DK_INSTANCE_RUNNING: return DK_RENT_RUNNING;
  case DK_INSTANCE_STOPPED: return DK_RENT_STOPPED;
  case DK_INSTANCE_FAILED: return DK_RENT_FAILED;
  case DK_INSTANCE_LEAVING: return DK_RENT_DELETING;
  case DK_INSTANCE_UNKNOWN: break;
  }
  return DK_RENT_UNKNOWN;
}

static bool is_row_of(const struct dk_rentals *rentals, const struct dk_rented *rented,
                      const struct dk_instance *instance) {
  char name[DK_RENT_NAME];

  if (*rented->id) return strcmp(rented->id, instance->id) == 0;
  dk_rent_name(rentals->engine->store_id, rented->incarnation, rented->number, name); /* as engine/rent finds it */
  return strcmp(name, instance->name) == 0;
}

/* Its place and its troubles are no matter of engine/rent. */
static void take_row(struct dk_rentals *rentals, const struct dk_rental_pool *pool,
                     const struct dk_instance *instance) {
  for (uint32_t i = 0; i < dk_rent_count(rentals->rent, UINT32_MAX); i++) {
    const struct dk_rented *rented = dk_rent_at(rentals->rent, i);
    if (dk_rentals_pool_of(rentals, rented) != pool || !is_row_of(rentals, rented, instance)) continue;
    if (instance->state == DK_INSTANCE_FAILED && *instance->words && rented->state != DK_RENT_ENDING)
      dk_rentals_say(pool, instance->words);
    dk_rentals_address(rentals, rented->number, instance->address);
    return;
  }
}

/* False: it cannot be told, so that the list is not complete. */
static bool tell_row(const struct dk_rental_call *call, const struct dk_instance *instance, int64_t now_unix) {
  struct dk_rentals *rentals = call->rentals;
  struct dk_rent_event event = {.kind = DK_RENT_EV_LISTED, .pool = call->pool->number};

  if (!*instance->id || strlen(instance->id) >= DK_RENT_ID) return false;
  event.u.listed.serial = call->serial;
  event.u.listed.id = instance->id;
  event.u.listed.name = strlen(instance->name) < DK_RENT_NAME ? instance->name : ""; /* a longer one is none of ours */
  event.u.listed.seen = seen_of(instance->state);
  event.u.listed.age_ns = dk_reap_age(instance, now_unix);
  event.u.listed.is_ours = memcmp(instance->store, rentals->engine->store_id, sizeof instance->store) == 0;
  if (event.u.listed.is_ours) take_row(rentals, call->pool, instance);
  dk_rentals_tell(rentals, &event);
  return true;
}

static void end_list(struct dk_rentals *rentals, const struct dk_rental_pool *pool, uint32_t serial, bool is_complete) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_LIST_END, .pool = pool->number};

  event.u.list_end.serial = serial;
  event.u.list_end.is_complete = is_complete;
  dk_rentals_tell(rentals, &event);
}

static void on_listed(void *ctx, const struct dk_cloud_result *result) {
  struct dk_rental_call *call = ctx;
  const struct dk_rental_call was = *call;

  bool is_complete = result->failure == DK_CLOUD_FINE && result->is_complete;

  for (uint32_t i = 0; i < result->n_instances; i++)
    if (!tell_row(call, &result->instances[i], result->now_unix)) is_complete = false;
  free_call(call);
  if (result->failure != DK_CLOUD_FINE) dk_engine_say(was.rentals->engine, result->error.text);
  end_list(was.rentals, was.pool, was.serial, is_complete);
}

static void list(struct dk_rentals *rentals, struct dk_rental_pool *pool, uint32_t serial) {
  const struct dk_cloud_order order = {.kind = DK_CLOUD_LIST};
  struct dk_error error = {0};

  if (!ask(pool, &order, 0, serial, on_listed, &error)) end_list(rentals, pool, serial, false);
}

/* --- delete --- */

static void answer_delete(struct dk_rentals *rentals, uint32_t number, enum dk_rent_delete answer) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_DELETE_ANSWERED, .number = number};

  event.u.deleted.answer = answer;
  dk_rentals_tell(rentals, &event);
}

static void on_deleted(void *ctx, const struct dk_cloud_result *result) {
  struct dk_rental_call *call = ctx;
  struct dk_rentals *rentals = call->rentals;
  uint32_t number = call->number;

  free_call(call);
  if (result->failure != DK_CLOUD_FINE) dk_engine_say(rentals->engine, result->error.text);
  if (result->failure == DK_CLOUD_DOUBT)
    answer_delete(rentals, number, DK_RENT_DELETE_DOUBT);
  else if (result->failure != DK_CLOUD_FINE)
    answer_delete(rentals, number, DK_RENT_DELETE_FAILED);
  else
    answer_delete(rentals, number, result->is_absent ? DK_RENT_NOT_FOUND : DK_RENT_ACCEPTED);
}

static void delete_machine(struct dk_rentals *rentals, struct dk_rental_pool *pool, const struct dk_rented *rented) {
  const struct dk_cloud_order order = {.kind = DK_CLOUD_DELETE, .id = rented->id};
  struct dk_error error = {0};

  if (!ask(pool, &order, rented->number, 0, on_deleted, &error))
    answer_delete(rentals, rented->number, DK_RENT_DELETE_FAILED);
}

/* --- the end of calls --- */

static void give_up(const struct dk_rental_call *call) {
  switch (call->kind) {
  case DK_CLOUD_CREATE:
    dk_rentals_tell(call->rentals, &(struct dk_rent_event){.kind = DK_RENT_EV_CREATE_DOUBT, .number = call->number});
    break;
  case DK_CLOUD_LIST: end_list(call->rentals, call->pool, call->serial, false); break;
  case DK_CLOUD_DELETE: answer_delete(call->rentals, call->number, DK_RENT_DELETE_DOUBT); break;
  case DK_CLOUD_SNAPSHOT:
  case DK_CLOUD_LIST_IMAGES: dk_rentals_image_unanswered(call->pool, call->kind); break;
  case DK_CLOUD_CHECK:
  case DK_CLOUD_DELETE_IMAGE: break;
  }
}

/* What is told may bring new calls, which find the cloud closed. */
void dk_rentals_close_cloud(struct dk_rental_pool *pool) {
  struct dk_rental_call *left = pool->calls;

  if (pool->cloud) pool->entry->provider->cloud->close(pool->cloud);
  pool->cloud = NULL;
  pool->calls = NULL;
  while (left) {
    struct dk_rental_call *call = left;
    left = call->next;
    give_up(call);
    dk_free(call);
  }
}

void dk_rentals_free_calls(struct dk_rental_pool *pool) {
  if (pool->cloud) pool->entry->provider->cloud->close(pool->cloud);
  while (pool->calls) free_call(pool->calls);
}

/* --- words --- */

static void machine_name(const struct dk_rentals *rentals, uint32_t number, char *ret, size_t size) {
  const struct dk_rented *rented = dk_rent_find(rentals->rent, number);

  if (rented)
    dk_rentals_name(rented->pool, number, ret, size);
  else
    snprintf(ret, size, "machine %u", number);
}

static void tell(struct dk_rentals *rentals, const struct dk_rent_action *action) {
  const char *pool = action->pool < rentals->n_pools ? rentals->pools[action->pool]->name : "";
  uint64_t minutes = action->wait_ns / 60000000000u;
  char machine[DK_RENT_NAME + 12];
  struct dk_error words = {0};

  machine_name(rentals, action->number, machine, sizeof machine);
  rentals->has_probe_failed |= action->tell == DK_RENT_TELL_QUOTA || action->tell == DK_RENT_TELL_CAPACITY ||
                               action->tell == DK_RENT_TELL_FAILING;
  if (action->tell == DK_RENT_TELL_DENIED || action->tell == DK_RENT_TELL_BAD)
    rentals->pools[action->pool]->is_refused = true;
  switch (action->tell) {
  case DK_RENT_TELL_QUOTA:
    dk_error_set(&words, -EIO,
                 "%s: the account may have no more machines than the %u that there are; going on with these", pool,
                 action->count);
    break;
  case DK_RENT_TELL_CAPACITY:
    dk_error_set(&words, -EIO, "%s: the cloud has no machine of such a shape left; trying others, and again later",
                 pool);
    break;
  case DK_RENT_TELL_DENIED:
    dk_error_set(
        &words, -EIO,
        "%s: no machines are made until its credentials are mended\nhelp: `dkrun providers check %s` says what is "
        "wrong; an edit of the file of providers makes it try again",
        pool, pool);
    break;
  case DK_RENT_TELL_BAD:
    dk_error_set(
        &words, -EIO,
        "%s: no machines are made until its settings are mended\nhelp: `dkrun providers check %s` says what is "
        "wrong; an edit of the file of providers makes it try again",
        pool, pool);
    break;
  case DK_RENT_TELL_FAILING:
    dk_error_set(&words, -EIO, "%s: %u machines in a row came to nothing; the next one is tried in %" PRIu64 " min",
                 pool, action->count, minutes);
    break;
  case DK_RENT_TELL_GIVEN_UP:
    dk_error_set(&words, -EIO,
                 "%s: it is not known whether it was made, and no list has it: another one takes its place", machine);
    break;
  case DK_RENT_TELL_STRANGER:
    dk_error_set(&words, -EIO, "%s: a machine of this store that no record knows was found; it is deleted", machine);
    break;
  case DK_RENT_TELL_UNSAVED:
    dk_error_set(&words, -EIO,
                 "%s: it has stopped, with %u results that are nowhere else; it is kept\nhelp: start it again, or "
                 "`dkrun down %s --hard` gives them up",
                 machine, action->count, machine);
    break;
  case DK_RENT_TELL_LOST:
    dk_error_set(&words, -EIO, "%s: the cloud has it no more, and nobody here has ended it", machine);
    break;
  case DK_RENT_TELL_STUCK:
    dk_error_set(&words, -EIO,
                 "%s: it was asked to go %u times, and is still there; asking on\nhelp: look at it in the cloud's own "
                 "console: it may cost money",
                 machine, action->count);
    break;
  case DK_RENT_TELL_BLIND:
    dk_error_set(&words, -EIO, "%s: %u lists in a row were not complete: what there is there is not known", pool,
                 action->count);
    break;
  }
  dk_engine_say(rentals->engine, words.text);
}

void dk_rentals_act(struct dk_rentals *rentals, const struct dk_rent_action *action) {
  const struct dk_rented *rented = dk_rent_find(rentals->rent, action->number);
  struct dk_rental_pool *pool = action->pool < rentals->n_pools ? rentals->pools[action->pool] : NULL;

  switch (action->kind) {
  case DK_RENT_CREATE:
    if (rented && pool) create(rentals, pool, rented);
    break;
  case DK_RENT_LIST:
    if (pool) list(rentals, pool, action->serial);
    break;
  case DK_RENT_DELETE:
    if (rented && pool) delete_machine(rentals, pool, rented);
    break;
  case DK_RENT_DIAL: dk_rentals_dial(rentals, action->number); break;
  case DK_RENT_FORGET: dk_rentals_forget(rentals, action->number); break;
  case DK_RENT_TELL: tell(rentals, action); break;
  }
}
