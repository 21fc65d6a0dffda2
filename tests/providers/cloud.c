/* Asks a cloud through the provider's interface, for the tests in this folder.
 *
 *   cloud [-s STORE] [-f SHAPE] [-w FILE] KIND [SETTING=VALUE]... check [IMAGE]
 *                                          | create IMAGE FILE NAME...   FILE: the user data; all at once
 *                                          | list
 *                                          | delete ID...                all at once
 *
 * With -w it lists first, then waits until FILE is gone: sessions end meanwhile.
 *
 * Prints a line for each call: `FINE` and what came of it, or the failure and its words. A list: a line for each
 * instance, then `FINE complete` or `FINE incomplete`. Exit code 1 when one failed, or anything is left open. */
#include "engine/drive/provider.h"
#include "lang/base/alloc.h"

#include <dirent.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTINGS_MOST 16
#define CALLS_MOST 32

static const char *const failures[] = {"FINE", "QUOTA", "CAPACITY", "THROTTLED", "DENIED", "BAD", "TRANSIENT", "DOUBT"};
static const char *const states[] = {"UNKNOWN", "BOOTING", "RUNNING", "STOPPED", "FAILED", "LEAVING"};
static const char *const image_states[] = {"UNKNOWN", "SAVING", "READY", "FAILED"};

static unsigned n_left, n_failed;

static void show(const struct dk_cloud_order *order, const struct dk_cloud_result *result) {
  switch (order->kind) {
  case DK_CLOUD_CHECK: printf("FINE %s\n", result->words); break;
  case DK_CLOUD_CREATE:
  case DK_CLOUD_SNAPSHOT: printf("FINE %s\n", result->id); break;
  case DK_CLOUD_DELETE:
  case DK_CLOUD_DELETE_IMAGE: printf("FINE %s %s\n", order->id, result->is_absent ? "absent" : "deleted"); break;
  case DK_CLOUD_LIST:
    for (uint32_t i = 0; i < result->n_instances; i++) {
      const struct dk_instance *at = &result->instances[i];
      printf("%s %s %s store=%02x age=%lld address=%s%s%s\n", at->name, at->id, states[at->state], at->store[0],
             (long long)(result->now_unix - at->made_unix), at->address, *at->words ? " " : "", at->words);
    }
    printf("FINE %s\n", result->is_complete ? "complete" : "incomplete");
    break;
  case DK_CLOUD_LIST_IMAGES:
    for (uint32_t i = 0; i < result->n_images; i++) {
      const struct dk_cloud_image *at = &result->images[i];
      printf("%s %s recipe=%s store=%02x MiB=%llu age=%lld\n", at->id, image_states[at->state], at->recipe,
             at->store[0], (unsigned long long)(at->size >> 20), (long long)(result->now_unix - at->made_unix));
    }
    printf("FINE %s\n", result->is_complete ? "complete" : "incomplete");
  }
}

static void on_done(void *ctx, const struct dk_cloud_result *result) {
  n_left--;
  if (result->failure == DK_CLOUD_FINE) {
    show(ctx, result);
    return;
  }
  n_failed++;
  printf("%s %s\n", failures[result->failure], result->error.text);
}

static char *read_file(const char *path) {
  static char text[65536];
  FILE *file = fopen(path, "r");

  if (!file) abort();
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  return text;
}

/* The calls of a command line; 0: it is wrong. */
static unsigned read_orders(char **args, int n, const struct dk_shape *shape, struct dk_cloud_order *ret) {
  unsigned n_orders = 0;

  if (n >= 1 && strcmp(args[0], "check") == 0)
    ret[n_orders++] = (struct dk_cloud_order){
        .kind = DK_CLOUD_CHECK, .image = n > 1 ? args[1] : NULL, .shapes = shape, .n_shapes = 1};
  if (n == 1 && strcmp(args[0], "list") == 0) ret[n_orders++] = (struct dk_cloud_order){.kind = DK_CLOUD_LIST};
  for (int i = 1; i < n && i < CALLS_MOST && strcmp(args[0], "delete") == 0; i++)
    ret[n_orders++] = (struct dk_cloud_order){.kind = DK_CLOUD_DELETE, .id = args[i]};
  if (n == 1 && strcmp(args[0], "images") == 0) ret[n_orders++] = (struct dk_cloud_order){.kind = DK_CLOUD_LIST_IMAGES};
  if (n == 4 && strcmp(args[0], "snapshot") == 0) /* ID NAME RECIPE */
    ret[n_orders++] =
        (struct dk_cloud_order){.kind = DK_CLOUD_SNAPSHOT, .id = args[1], .name = args[2], .recipe = args[3]};
  for (int i = 1; i < n && i < CALLS_MOST && strcmp(args[0], "delete-image") == 0; i++)
    ret[n_orders++] = (struct dk_cloud_order){.kind = DK_CLOUD_DELETE_IMAGE, .id = args[i]};
  bool is_of_image = n >= 4 && strcmp(args[0], "create-of") == 0; /* an id */
  if (n < 4 || (strcmp(args[0], "create") != 0 && !is_of_image)) return n_orders;
  const char *user_data = read_file(args[2]);
  for (int i = 3; i < n && i < CALLS_MOST; i++)
    ret[n_orders++] = (struct dk_cloud_order){.kind = DK_CLOUD_CREATE,
                                              .name = args[i],
                                              .image = args[1],
                                              .is_image_id = is_of_image,
                                              .shape = shape,
                                              .user_data = user_data};
  return n_orders;
}

static unsigned count_open(void) {
  DIR *dir = opendir("/proc/self/fd");
  unsigned n = 0;

  while (dir && readdir(dir)) n++;
  if (dir) closedir(dir);
  return n;
}

/* false: a call could not be started. */
static bool ask(const struct dk_cloud_provider *provider, struct dk_cloud *cloud, struct dk_loop *loop,
                const struct dk_cloud_order *orders, unsigned n) {
  struct dk_error error = {0};

  for (unsigned i = 0; i < n; i++) {
    void *ctx = (void *)(uintptr_t)&orders[i];
    if (provider->start(cloud, &orders[i], on_done, ctx, &error) < 0) return false;
    n_left++;
  }
  while (n_left > 0) {
    dk_loop_once(loop, provider->deadline(cloud));
    provider->tick(cloud, dk_now_ns());
  }
  return true;
}

static int run(const struct dk_cloud_provider *provider, struct dk_cloud_options *options,
               const struct dk_cloud_order *orders, unsigned n, const char *gate) {
  static const struct dk_cloud_order list = {.kind = DK_CLOUD_LIST};
  struct dk_cloud *cloud;
  struct dk_error error = {0};

  if (dk_loop_create(&options->loop, &error) < 0) return 2;
  unsigned before = count_open();
  if (provider->open(options, &cloud, &error) < 0) {
    printf("failed: %s\n", error.text);
    return 1;
  }
  if (gate && !ask(provider, cloud, options->loop, &list, 1)) return 2;
  while (gate && access(gate, F_OK) == 0) usleep(50000);
  if (!ask(provider, cloud, options->loop, orders, n)) return 2;
  provider->close(cloud);
  bool is_left = count_open() != before;
  if (is_left) printf("descriptors were left open\n");
  dk_loop_destroy(options->loop);
  return n_failed > 0 || is_left;
}

int main(int argc, char **argv) {
  static struct dk_cloud_setting settings[SETTINGS_MOST];
  static struct dk_cloud_order orders[CALLS_MOST];
  struct dk_shape shape = {.name = "small", .cpus = 1, .memory = UINT64_C(300) << 20, .disk = UINT64_C(1) << 30};
  struct dk_cloud_options options = {.config = {.provider = "lab", .settings = settings}, .seed = 1};
  const struct dk_provider *provider = dk_providers;
  const char *gate = NULL;

  setvbuf(stdout, NULL, _IOLBF, 0);
  dk_alloc_init();
  signal(SIGPIPE, SIG_IGN);
  options.store[0] = 1;
  for (int c; (c = getopt(argc, argv, "+s:f:w:")) != -1;) {
    if (c != 's' && c != 'f' && c != 'w') return 2;
    if (c == 'w') gate = optarg;
    if (c == 'f') shape.name = optarg;
    if (c == 's') options.store[0] = (uint8_t)atoi(optarg);
  }
  argv += optind;
  if (optind >= argc) return 2;
  while (provider->kind && strcmp(provider->kind, argv[0]) != 0) provider++;
  if (!provider->cloud) return 2;
  for (char *equal; argv[1] && (equal = strchr(argv[1], '=')); argv++) {
    *equal = '\0';
    settings[options.config.n_settings++] = (struct dk_cloud_setting){argv[1], equal + 1};
  }
  int n = 0;
  while (argv[1 + n]) n++;
  unsigned n_orders = n ? read_orders(argv + 1, n, &shape, orders) : 0;
  if (n_orders == 0) return 2;
  return run(provider->cloud, &options, orders, n_orders, gate);
}
