/* lxd_ask: what providers/lxd asks and understands, for shell tests that have an LXD.
 *   lxd_ask request CALL [FIELD=VALUE]...   prints method, path and body, a line each; fields: project name image
 * profile pool disk memory cpus user_data store run owner recipe script wait lxd_ask read CALL STATUS <BODY prints what
 * the answer says, a line each: the reason, then facts, or words */
#include "providers/lxd/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const calls[DK_LXD_N_CALLS] = {
    [DK_LXD_SERVER] = "server",
    [DK_LXD_CREATE] = "create",
    [DK_LXD_START] = "start",
    [DK_LXD_STOP] = "stop",
    [DK_LXD_DELETE] = "delete",
    [DK_LXD_EXEC] = "exec",
    [DK_LXD_WAIT] = "wait",
    [DK_LXD_INSTANCES] = "instances",
    [DK_LXD_INSTANCE] = "instance",
    [DK_LXD_ADDRESSES] = "addresses",
    [DK_LXD_PUBLISH] = "publish",
    [DK_LXD_IMAGES] = "images",
    [DK_LXD_DELETE_IMAGE] = "delete_image",
    [DK_LXD_KEEP] = "keep",
    [DK_LXD_ALIAS] = "alias",
    [DK_LXD_IMAGE] = "image",
    [DK_LXD_PROFILE] = "profile",
    [DK_LXD_PROJECT] = "project",
};
static const char *const reasons[] = {"FINE",  "DENIED",   "BAD_REQUEST", "NOT_FOUND", "EXISTS",
                                      "QUOTA", "CAPACITY", "THROTTLED",   "TRANSIENT", "UNKNOWN"};
static const char *const states[] = {"OTHER", "STARTING", "RUNNING", "FROZEN", "STOPPING", "STOPPED"};

static enum dk_lxd_call call_of(const char *name) {
  for (int i = 0; i < DK_LXD_N_CALLS; i++)
    if (strcmp(calls[i], name) == 0) return (enum dk_lxd_call)i;
  fprintf(stderr, "lxd_ask: no such call: %s\n", name);
  exit(2);
}

static int request(enum dk_lxd_call call, char **fields, int n) {
  struct dk_lxd_ask ask = {.call = call};
  struct dk_lxd_request request;
  struct dk_error error = {0};
  struct {
    const char *name, **text;
  } texts[] = {
      {"project", &ask.project},
      {"name", &ask.name},
      {"script", &ask.script},
      {"image", &ask.machine.image},
      {"profile", &ask.machine.profile},
      {"pool", &ask.machine.pool},
      {"user_data", &ask.machine.user_data},
      {"store", &ask.machine.tags.store},
      {"run", &ask.machine.tags.run},
      {"owner", &ask.machine.tags.owner},
      {"recipe", &ask.tags.recipe},
  };

  for (int i = 0; i < n; i++) {
    char *value = strchr(fields[i], '=');
    if (!value) return 2;
    *value++ = '\0';
    if (strcmp(fields[i], "disk") == 0) ask.machine.disk = strtoull(value, NULL, 10);
    if (strcmp(fields[i], "memory") == 0) ask.machine.memory = strtoull(value, NULL, 10);
    if (strcmp(fields[i], "cpus") == 0) ask.machine.cpus = (uint32_t)strtoul(value, NULL, 10);
    if (strcmp(fields[i], "wait") == 0) ask.wait_s = (uint32_t)strtoul(value, NULL, 10);
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
      if (strcmp(fields[i], texts[t].name) == 0) *texts[t].text = value;
  }
  ask.tags.store = ask.machine.tags.store;
  ask.tags.owner = ask.machine.tags.owner;
  int r = dk_lxd_request(&ask, &request, &error);
  if (r < 0)
    fprintf(stderr, "lxd_ask: %s\n", error.text);
  else
    printf("%s\n%s\n%s\n", request.method, dk_buf_text(&request.path), dk_buf_text(&request.body));
  dk_lxd_request_finish(&request);
  return r < 0;
}

static enum dk_lxd_reason show_operation(const struct dk_lxd_answer *answer, struct dk_error *error) {
  struct dk_lxd_operation operation;
  enum dk_lxd_reason reason = dk_lxd_read_operation(answer, &operation, error);
  if (reason == DK_LXD_FINE)
    printf("FINE\n%s %s %d %s\n", operation.id, operation.has_ended ? "ended" : "goes on", operation.exit_code,
           operation.fingerprint);
  return reason;
}

static enum dk_lxd_reason show_server(const struct dk_lxd_answer *answer, struct dk_error *error) {
  struct dk_lxd_server server;
  enum dk_lxd_reason reason = dk_lxd_read_server(answer, &server, error);
  if (reason == DK_LXD_FINE)
    printf("FINE\n%s %s %s%s%s%s\n", server.kind, server.version, server.name, server.is_clustered ? " clustered" : "",
           server.has_containers ? " containers" : "", server.has_vms ? " vms" : "");
  return reason;
}

static enum dk_lxd_reason show_instances(const struct dk_lxd_answer *answer, struct dk_error *error) {
  struct dk_lxd_instances instances;
  enum dk_lxd_reason reason = dk_lxd_read_instances(answer, &instances, error);
  if (reason == DK_LXD_FINE) printf("FINE\n%u others\n", instances.n_others);
  for (uint32_t i = 0; i < instances.n; i++) {
    const struct dk_lxd_instance *at = &instances.items[i];
    printf("%s %s %s %lld store=%s run=%s owner=%s%s\n", at->name, at->id, states[at->state], (long long)at->created,
           at->store, at->run, at->owner, at->is_hidden ? " hidden" : "");
  }
  dk_lxd_instances_finish(&instances);
  return reason;
}

static enum dk_lxd_reason show_addresses(const struct dk_lxd_answer *answer, struct dk_error *error) {
  struct dk_lxd_addresses addresses;
  enum dk_lxd_reason reason = dk_lxd_read_addresses(answer, &addresses, error);
  if (reason == DK_LXD_FINE) printf("FINE\n%s\n", states[addresses.state]);
  for (uint32_t i = 0; i < addresses.n; i++) printf("%s %s\n", addresses.items[i].card, addresses.items[i].text);
  return reason;
}

static enum dk_lxd_reason show_images(const struct dk_lxd_answer *answer, struct dk_error *error) {
  struct dk_lxd_images images;
  enum dk_lxd_reason reason = dk_lxd_read_images(answer, &images, error);
  if (reason == DK_LXD_FINE) printf("FINE\n%u others\n", images.n_others);
  for (uint32_t i = 0; i < images.n; i++) {
    const struct dk_lxd_image *at = &images.items[i];
    printf("%s %llu %lld store=%s recipe=%s\n", at->fingerprint, (unsigned long long)at->size, (long long)at->uploaded,
           at->store, at->recipe);
  }
  dk_lxd_images_finish(&images);
  return reason;
}

static int read_answer(enum dk_lxd_call call, int status) {
  static char body[1 << 20];
  struct dk_error error = {0};
  struct dk_lxd_answer answer = {.status = status, .body = body, .label = "lab"};
  enum dk_lxd_reason reason;

  answer.len = fread(body, 1, sizeof body, stdin);
  switch (call) {
  case DK_LXD_SERVER: reason = show_server(&answer, &error); break;
  case DK_LXD_INSTANCES:
  case DK_LXD_INSTANCE: reason = show_instances(&answer, &error); break;
  case DK_LXD_ADDRESSES: reason = show_addresses(&answer, &error); break;
  case DK_LXD_IMAGES: reason = show_images(&answer, &error); break;
  default: reason = show_operation(&answer, &error); break;
  }
  if (reason != DK_LXD_FINE) printf("%s\n%s\n", reasons[reason], error.text);
  return 0;
}

int main(int argc, char **argv) {
  if (argc >= 3 && strcmp(argv[1], "request") == 0) return request(call_of(argv[2]), argv + 3, argc - 3);
  if (argc == 4 && strcmp(argv[1], "read") == 0) return read_answer(call_of(argv[2]), atoi(argv[3]));
  fprintf(stderr, "usage: lxd_ask request CALL [FIELD=VALUE]... | read CALL STATUS <BODY\n");
  return 2;
}
