/* Calls from their start to their end, and the time that they have: see run.h. */
#include "providers/cloud/priv.h"

#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHORT_S 60 /* for a whole call */
#define LONG_S 300
#define SNAPSHOT_S 3600 /* some clouds answer when it is done */

static void free_call(struct dk_cloud_call *call) {
  struct dk_cloud_work *work = &call->work;

  dk_http_cancel(call->http);
  dk_cloud_ask(work, NULL, NULL, DK_HTTP_IDEMPOTENT);
  dk_cloud_texts_finish(&work->texts);
  dk_free(work->instances);
  dk_free(work->images);
  dk_free(work->own);
  dk_free(call->shapes);
  dk_free(call);
}

static void name_call(struct dk_cloud_call *call, const struct dk_cloud_order *order) {
  static const char *const verbs[] = {[DK_CLOUD_CHECK] = "check",
                                      [DK_CLOUD_CREATE] = "create ",
                                      [DK_CLOUD_LIST] = "list machines",
                                      [DK_CLOUD_DELETE] = "delete ",
                                      [DK_CLOUD_SNAPSHOT] = "make an image of ",
                                      [DK_CLOUD_LIST_IMAGES] = "list images",
                                      [DK_CLOUD_DELETE_IMAGE] = "delete image "};
  bool is_of_id =
      order->kind == DK_CLOUD_DELETE || order->kind == DK_CLOUD_SNAPSHOT || order->kind == DK_CLOUD_DELETE_IMAGE;
  const char *what = order->kind == DK_CLOUD_CREATE ? order->name : is_of_id ? order->id : "";

  snprintf(call->words, sizeof call->words, "%s: %s%.80s", call->cloud->site.provider, verbs[order->kind], what);
}

static bool copy_text(struct dk_cloud_texts *texts, const char **text) {
  if (*text) *text = dk_cloud_keep(texts, *text);
  return *text;
}

static bool copy_shapes(struct dk_cloud_call *call, const struct dk_cloud_order *order) {
  call->work.order.shapes = call->shapes = dk_memdup(order->shapes, order->n_shapes * sizeof *order->shapes);
  bool is_kept = call->shapes;
  for (uint32_t i = 0; i < order->n_shapes && is_kept; i++)
    is_kept = copy_text(&call->work.texts, &call->shapes[i].name);
  return is_kept;
}

static bool copy_order(struct dk_cloud_call *call, const struct dk_cloud_order *order) {
  struct dk_cloud_order *copy = &call->work.order;
  struct dk_cloud_texts *texts = &call->work.texts;

  *copy = *order;
  if (order->n_shapes > 0 && !copy_shapes(call, order)) return false;
  if (order->shape) {
    call->shape = *order->shape;
    copy->shape = &call->shape;
    if (order->shape->name && !copy_text(texts, &call->shape.name)) return false;
  }
  return (!order->name || copy_text(texts, &copy->name)) && (!order->id || copy_text(texts, &copy->id)) &&
         (!order->image || copy_text(texts, &copy->image)) && (!order->recipe || copy_text(texts, &copy->recipe)) &&
         (!order->user_data || copy_text(texts, &copy->user_data));
}

/* In the list, behind the others. NULL: no memory. */
static struct dk_cloud_call *add_call(struct dk_cloud *cloud, const struct dk_cloud_order *order) {
  struct dk_cloud_call *call = dk_calloc(1, sizeof *call), **last = &cloud->calls;

  if (!call) return NULL;
  call->cloud = cloud;
  call->is_short = !order || order->kind == DK_CLOUD_CHECK;
  call->work.site = &cloud->site;
  call->time_s = call->is_short ? SHORT_S : order && order->kind == DK_CLOUD_SNAPSHOT ? SNAPSHOT_S : LONG_S;
  call->until = dk_now_ns() + call->time_s * SECOND_NS;
  call->work.own = dk_calloc(1, cloud->driver->work_size + 1);
  if (!call->work.own || (order && !copy_order(call, order))) {
    free_call(call);
    return NULL;
  }
  while (*last) last = &(*last)->next;
  *last = call;
  return call;
}

/* What waits for a session gets it, or the words why there is none. */
static void spread(struct dk_cloud *cloud, const struct dk_cloud_result *result) {
  for (struct dk_cloud_call *call = cloud->calls; call; call = call->next) {
    if (call->state != DK_CLOUD_LOGGING || call->is_login) continue;
    if (result->failure == DK_CLOUD_FINE) {
      dk_cloud_send(call);
    } else {
      call->work.result.retry_after_ns = result->retry_after_ns;
      dk_cloud_fail(call, result->failure, &result->error);
    }
  }
}

void dk_cloud_log_in(struct dk_cloud *cloud) {
  struct dk_cloud_result result = {.failure = DK_CLOUD_TRANSIENT};

  if (cloud->is_logging) return;
  struct dk_cloud_call *call = add_call(cloud, NULL);
  if (!call) {
    dk_error_system(&result.error, -ENOMEM, "%s: log in", cloud->site.provider);
    spread(cloud, &result);
    return;
  }
  cloud->is_logging = call->is_login = true;
  snprintf(call->words, sizeof call->words, "%s: log in", cloud->site.provider);
  memset(cloud->site.session, 0, cloud->driver->session_size);
  dk_cloud_texts_finish(&cloud->site.session_texts);
  dk_cloud_turn_on(call, NULL);
}

int dk_cloud_start(struct dk_cloud *cloud, const struct dk_cloud_order *order, dk_cloud_done_fn *done, void *ctx,
                   struct dk_error *error) {
  struct dk_cloud_call *call = add_call(cloud, order);

  if (!call) return dk_error_system(error, -ENOMEM, "%s: asking the cloud", cloud->site.provider);
  name_call(call, order);
  call->done = done;
  call->ctx = ctx;
  dk_cloud_turn_on(call, NULL);
  return 0;
}

/* --- time --- */

static uint64_t due_at(const struct dk_cloud_call *call) {
  if (call->state == DK_CLOUD_SETTLED) return 0;
  return call->state == DK_CLOUD_WAITING && call->wait_at < call->until ? call->wait_at : call->until;
}

uint64_t dk_cloud_deadline(const struct dk_cloud *cloud) {
  uint64_t at = dk_http_deadline(cloud->http);

  for (const struct dk_cloud_call *call = cloud->calls; call; call = call->next)
    if (due_at(call) < at) at = due_at(call);
  return at;
}

static void give_up(struct dk_cloud_call *call) {
  struct dk_error error = {0};

  /* Of a request that is cut off nobody knows. */
  if (call->state == DK_CLOUD_SENT && !dk_cloud_is_reading(&call->work.ask)) call->work.has_acted = true;
  dk_http_cancel(call->http);
  call->http = NULL;
  const char *what = call->work.ask.what;
  dk_error_set(&error, -ETIMEDOUT, "%s: given up after %u s%s%s%s", call->words, call->time_s,
               what ? ", on the way to `" : "", what ? what : "", what ? "`" : "");
  dk_cloud_fail(call, DK_CLOUD_TRANSIENT, &error);
}

static void deliver(struct dk_cloud_call *call) {
  struct dk_cloud *cloud = call->cloud;
  struct dk_cloud_call **at = &cloud->calls;

  while (*at != call) at = &(*at)->next;
  *at = call->next;
  call->work.result.instances = call->work.instances;
  call->work.result.n_instances = call->work.n_instances;
  call->work.result.images = call->work.images;
  call->work.result.n_images = call->work.n_images;
  if (call->is_login) {
    cloud->is_logging = false;
    cloud->has_session = call->work.result.failure == DK_CLOUD_FINE;
    cloud->session++;
    spread(cloud, &call->work.result);
  } else {
    call->done(call->ctx, &call->work.result);
  }
  free_call(call);
}

static struct dk_cloud_call *find_due(const struct dk_cloud *cloud, uint64_t now_ns) {
  struct dk_cloud_call *call = cloud->calls;

  while (call && due_at(call) > now_ns) call = call->next;
  return call;
}

static void free_cloud(struct dk_cloud *cloud) {
  while (cloud->calls) {
    struct dk_cloud_call *call = cloud->calls;
    cloud->calls = call->next;
    free_call(call);
  }
  dk_http_destroy(cloud->http);
  dk_cloud_texts_finish(&cloud->site.texts);
  dk_cloud_texts_finish(&cloud->site.session_texts);
  if (cloud->site.own) explicit_bzero(cloud->site.own, cloud->driver->site_size);
  if (cloud->site.session) explicit_bzero(cloud->site.session, cloud->driver->session_size);
  dk_free(cloud->site.own);
  dk_free(cloud->site.session);
  dk_free(cloud);
}

void dk_cloud_tick(struct dk_cloud *cloud, uint64_t now_ns) {
  struct dk_cloud_call *call;

  cloud->is_in_tick = true;
  dk_http_tick(cloud->http, now_ns);
  while (!cloud->is_closed && (call = find_due(cloud, now_ns))) {
    if (call->state == DK_CLOUD_SETTLED) {
      deliver(call);
    } else if (now_ns >= call->until) {
      give_up(call);
    } else {
      call->wait_at = 0;
      dk_cloud_send(call);
    }
  }
  cloud->is_in_tick = false;
  if (cloud->is_closed) free_cloud(cloud);
}

void dk_cloud_close(struct dk_cloud *cloud) {
  if (!cloud) return;
  if (cloud->is_in_tick)
    cloud->is_closed = true;
  else
    free_cloud(cloud);
}

/* --- open --- */

const char *dk_cloud_where(const struct dk_cloud *cloud) {
  return cloud->site.where;
}

/* Which machines are whose depends on it, so it is not cut. */
static int check_where(const struct dk_cloud_site *site, struct dk_error *error) {
  assert(site->where && *site->where);
  if (strlen(site->where) < DK_CLOUD_WHERE) return 0;
  return dk_error_set(error, -ENAMETOOLONG, "the settings that say where it is are longer than %u bytes together",
                      DK_CLOUD_WHERE - 1);
}

static int check_files(const struct dk_cloud_site *site, struct dk_error *error) {
  const char *const files[] = {site->ca_file, site->pin_file, site->cert_file, site->key_file};

  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    if (files[i] && access(files[i], R_OK) < 0) return dk_error_system(error, -errno, "reading %s", files[i]);
  return 0;
}

int dk_cloud_open(const struct dk_cloud_driver *driver, const struct dk_cloud_options *options, struct dk_cloud **ret,
                  struct dk_error *error) {
  struct dk_cloud *cloud = dk_calloc(1, sizeof *cloud);

  if (!cloud) return dk_error_system(error, -ENOMEM, "%s: opening the cloud", options->config.provider);
  struct dk_cloud_site *site = &cloud->site;
  cloud->driver = driver;
  cloud->seed = options->seed ^ dk_unix_ns();
  snprintf(site->provider, sizeof site->provider, "%s", options->config.provider);
  for (size_t i = 0; i < sizeof options->store; i++) snprintf(site->store + 2 * i, 3, "%02x", options->store[i]);
  site->own = dk_calloc(1, driver->site_size + 1);
  site->session = dk_calloc(1, driver->session_size + 1);
  if (options->owner) site->owner = dk_cloud_keep(&site->texts, options->owner);
  bool is_whole = site->own && site->session && (site->owner || !options->owner);
  int r = is_whole ? 0 : dk_error_system(error, -ENOMEM, "opening the cloud");
  if (r == 0) r = driver->open(site, &options->config, error);
  if (r == 0) r = check_where(site, error);
  if (r == 0) r = check_files(site, error);
  if (r == 0) r = dk_http_create(options->loop, options->seed, &cloud->http, error);
  if (r < 0) {
    free_cloud(cloud);
    return dk_error_prefix(error, "%s", options->config.provider);
  }
  *ret = cloud;
  return 0;
}
