/* What is sent: see api.h. */
#include "providers/lxd/api.h"

#include "lang/base/alloc.h"
#include "providers/cloud/driver.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

/* jansson's own failures are all lack of memory here: what is not UTF-8 was refused before. A value of NULL or "" is
 * left out: to LXD it is the same. */
static bool put(json_t *object, const char *name, const char *value) {
  return !value || !*value || json_object_set_new(object, name, json_string(value)) == 0;
}

static bool put_size(json_t *object, const char *name, uint64_t bytes) {
  char text[24];

  snprintf(text, sizeof text, "%lluB", (unsigned long long)bytes);
  return bytes == 0 || put(object, name, text);
}

static bool put_tags(json_t *object, const struct dk_lxd_tags *tags) {
  return put(object, "user.dkrun.store", tags->store) && put(object, "user.dkrun.run", tags->run) &&
         put(object, "user.dkrun.owner", tags->owner) && put(object, "user.dkrun.recipe", tags->recipe);
}

static bool is_fingerprint(const char *text) {
  return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static json_t *create_body(const struct dk_lxd_ask *ask) {
  const struct dk_lxd_machine *machine = &ask->machine;
  char cpus[12];

  snprintf(cpus, sizeof cpus, "%u", machine->cpus);
  json_t *body =
      json_pack("{ss ss sb s{ss} s{}}", "name", ask->name, "type", machine->is_vm ? "virtual-machine" : "container",
                "ephemeral", 1, "source", "type", "image", "config");
  json_t *config = json_object_get(body, "config");
  bool is_whole =
      body &&
      put(json_object_get(body, "source"), is_fingerprint(machine->image) ? "fingerprint" : "alias", machine->image) &&
      put_tags(config, &machine->tags) && put(config, "cloud-init.user-data", machine->user_data) &&
      put(config, "limits.cpu", machine->cpus ? cpus : NULL) && put_size(config, "limits.memory", machine->memory);
  if (is_whole && machine->profile)
    is_whole = json_object_set_new(body, "profiles", json_pack("[s]", machine->profile)) == 0;
  /* A root disk here replaces the profile's: it has to name the pool, too. */
  if (is_whole && machine->pool) {
    json_t *disk = json_pack("{ss ss ss}", "type", "disk", "path", "/", "pool", machine->pool);
    is_whole = disk && put_size(disk, "size", machine->disk);
    is_whole = json_object_set_new(body, "devices", json_pack("{so}", "root", disk)) == 0 && is_whole;
  }
  if (is_whole) return body;
  json_decref(body);
  return NULL;
}

static json_t *start_body(const struct dk_lxd_ask *ask) {
  (void)ask;
  return json_pack("{ss}", "action", "start");
}

static json_t *stop_body(const struct dk_lxd_ask *ask) {
  (void)ask;
  return json_pack("{ss sb}", "action", "stop", "force", 1);
}

static json_t *keep_body(const struct dk_lxd_ask *ask) {
  (void)ask;
  return json_pack("{sb}", "ephemeral", 0);
}

/* What it prints is kept beside the instance, where an error can be read. */
static json_t *exec_body(const struct dk_lxd_ask *ask) {
  assert(ask->script);
  return json_pack("{s[sss] sb sb}", "command", "/bin/sh", "-c", ask->script, "wait-for-websocket", 0, "record-output",
                   1);
}

static json_t *publish_body(const struct dk_lxd_ask *ask) {
  json_t *body = json_pack("{s{ss ss} ss s{}}", "source", "type", "instance", "name", ask->name,
                           "compression_algorithm", "zstd", "properties");

  if (body && put_tags(json_object_get(body, "properties"), &ask->tags)) return body;
  json_decref(body);
  return NULL;
}

static const struct {
  const char *method;
  const char *path; /* `%`: the name */
  json_t *(*body)(const struct dk_lxd_ask *ask);
} calls[DK_LXD_N_CALLS] = {
    [DK_LXD_SERVER] = {"GET", "/1.0", NULL},
    [DK_LXD_CREATE] = {"POST", "/1.0/instances", create_body},
    [DK_LXD_START] = {"PUT", "/1.0/instances/%/state", start_body},
    [DK_LXD_STOP] = {"PUT", "/1.0/instances/%/state", stop_body},
    [DK_LXD_DELETE] = {"DELETE", "/1.0/instances/%", NULL},
    [DK_LXD_EXEC] = {"POST", "/1.0/instances/%/exec", exec_body},
    [DK_LXD_WAIT] = {"GET", "/1.0/operations/%/wait", NULL},
    [DK_LXD_INSTANCES] = {"GET", "/1.0/instances?recursion=2", NULL},
    [DK_LXD_INSTANCE] = {"GET", "/1.0/instances/%", NULL},
    [DK_LXD_ADDRESSES] = {"GET", "/1.0/instances/%/state", NULL},
    [DK_LXD_KEEP] = {"PATCH", "/1.0/instances/%", keep_body},
    [DK_LXD_PUBLISH] = {"POST", "/1.0/images", publish_body},
    [DK_LXD_IMAGES] = {"GET", "/1.0/images?recursion=1", NULL},
    [DK_LXD_DELETE_IMAGE] = {"DELETE", "/1.0/images/%", NULL},
    [DK_LXD_ALIAS] = {"GET", "/1.0/images/aliases/%", NULL},
    [DK_LXD_IMAGE] = {"GET", "/1.0/images/%", NULL},
    [DK_LXD_PROFILE] = {"GET", "/1.0/profiles/%", NULL},
    [DK_LXD_PROJECT] = {"GET", "/1.0/projects/%", NULL},
};

static void add_query(struct dk_buf *path, const char *name, const char *value) {
  dk_buf_add_char(path, memchr(dk_buf_text(path), '?', path->len) ? '&' : '?');
  dk_buf_printf(path, "%s=", name);
  dk_cloud_escape(path, value);
}

static void add_path(struct dk_buf *path, const char *pattern, const struct dk_lxd_ask *ask) {
  const char *hole = strchr(pattern, '%');
  char seconds[12];

  dk_buf_add(path, pattern, hole ? (size_t)(hole - pattern) : strlen(pattern));
  if (hole) {
    dk_cloud_escape(path, ask->name);
    dk_buf_add_text(path, hole + 1);
  }
  if (ask->project) add_query(path, "project", ask->project);
  if (ask->call == DK_LXD_WAIT) {
    snprintf(seconds, sizeof seconds, "%u", ask->wait_s);
    add_query(path, "timeout", seconds);
  }
}

static bool can_be_sent(const char *text) {
  return !text || dk_utf8_is_valid(text, strlen(text));
}

/* What names something on the server and is ours to make or was read from it. `.` and `..` would be another path. */
static bool is_name(const char *text) {
  return text && *text && strlen(text) < DK_LXD_FINGERPRINT &&
         strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == strlen(text);
}

/* People name these; all is escaped, and the two that mean another path are refused. */
static bool is_segment(const char *text) {
  return text && *text && strcmp(text, ".") != 0 && strcmp(text, "..") != 0 && dk_utf8_is_valid(text, strlen(text));
}

static int check(const struct dk_lxd_ask *ask, struct dk_error *error) {
  const struct dk_lxd_machine *machine = &ask->machine;
  const char *const texts[] = {ask->project,        ask->script,        machine->image,      machine->profile,
                               machine->pool,       machine->user_data, machine->tags.store, machine->tags.run,
                               machine->tags.owner, ask->tags.store,    ask->tags.run,       ask->tags.owner,
                               ask->tags.recipe};
  bool is_named = strchr(calls[ask->call].path, '%') || ask->call == DK_LXD_CREATE || ask->call == DK_LXD_PUBLISH;

  if (ask->call == DK_LXD_ALIAS || ask->call == DK_LXD_PROFILE || ask->call == DK_LXD_PROJECT) {
    if (!is_segment(ask->name))
      return dk_error_set(error, -EINVAL, "`%.80s` can be no name of an image, a profile or a project",
                          ask->name ? ask->name : "");
  } else if (is_named && !is_name(ask->name)) {
    return dk_error_set(error, -EINVAL, "`%.80s` can be no name of an instance: it takes letters, digits and `-`",
                        ask->name ? ask->name : "");
  }
  if (ask->call == DK_LXD_CREATE && (!machine->image || !*machine->image))
    return dk_error_set(error, -EINVAL, "there is no image to make %s of", ask->name);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (!can_be_sent(texts[i]))
      return dk_error_set(error, -EINVAL, "what is sent to LXD has to be UTF-8: %.80s", texts[i]);
  return 0;
}

static void *json_alloc(size_t size) {
  return dk_alloc(size);
}

int dk_lxd_request(const struct dk_lxd_ask *ask, struct dk_lxd_request *ret, struct dk_error *error) {
  *ret = (struct dk_lxd_request){.method = calls[ask->call].method};
  int r = check(ask, error);
  if (r < 0) return r;
  json_set_alloc_funcs(json_alloc, dk_free);
  add_path(&ret->path, calls[ask->call].path, ask);
  bool is_whole = dk_buf_ok(&ret->path);
  if (calls[ask->call].body) {
    json_t *body = calls[ask->call].body(ask);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (text) dk_buf_add_text(&ret->body, text);
    is_whole = is_whole && text && dk_buf_ok(&ret->body);
    dk_free(text);
    json_decref(body);
  }
  return is_whole ? 0 : dk_error_system(error, -ENOMEM, "a request to LXD");
}

void dk_lxd_request_finish(struct dk_lxd_request *request) {
  dk_buf_finish(&request->path);
  dk_buf_finish(&request->body);
}
