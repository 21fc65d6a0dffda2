/* The providers of a dkrun for tests: clouds that make nothing, for what is said of them before anything is made. */
#include "engine/drive/provider.h"
#include "lang/base/alloc.h"
#include "providers/local/local.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct dk_schema_field fields[] = {
    {"region", DK_KIND_TEXT, true, false, "the name of a region", "where"},
};
static const struct dk_schema schema = {"a provider of kind `far`", fields, 1};
static int open_cloud(const struct dk_cloud_options *options, struct dk_cloud **ret, struct dk_error *error) {
  static char nothing;
  (void)options;
  (void)error;
  *ret = (struct dk_cloud *)&nothing;
  return 0;
}

static const char *where(const struct dk_cloud *cloud) {
  (void)cloud;
  return "far away";
}

static void close_cloud(struct dk_cloud *cloud) {
  (void)cloud;
}

static int start(struct dk_cloud *cloud, const struct dk_cloud_order *order, dk_cloud_done_fn *done, void *ctx,
                 struct dk_error *error) {
  (void)cloud;
  (void)order;
  (void)done;
  (void)ctx;
  return dk_error_set(error, -ENETUNREACH, "this cloud is far away");
}

static uint64_t deadline(const struct dk_cloud *cloud) {
  (void)cloud;
  return UINT64_MAX;
}

static void tick(struct dk_cloud *cloud, uint64_t now_ns) {
  (void)cloud;
  (void)now_ns;
}

static const struct dk_cloud_provider far = {.open = open_cloud,
                                             .where = where,
                                             .close = close_cloud,
                                             .start = start,
                                             .deadline = deadline,
                                             .tick = tick},
                                      near = {.knows_shapes = true,
                                              .open = open_cloud,
                                              .where = where,
                                              .close = close_cloud,
                                              .start = start,
                                              .deadline = deadline,
                                              .tick = tick};

/* A yard: a cloud whose machines are the lines of a file, `ID STORE MADE OWNER`; MADE is seconds after 1970, as is the
 * first line, the cloud's own time, with a word behind it when the list is not complete. What is called `stuck` is never
 * deleted, what is called `refused` cannot be. */
#define ROWS_MOST 16u
struct dk_cloud {
  char file[256];
  struct dk_cloud_order order;
  char id[64];
  dk_cloud_done_fn *done;
  void *ctx;
};
struct rows {
  long long now;
  bool is_complete;
  uint32_t n;
  char ids[ROWS_MOST][64], owners[ROWS_MOST][256], stores[ROWS_MOST][40];
  long long made[ROWS_MOST];
};

static const struct dk_schema_field yard_fields[] = {{"file", DK_KIND_TEXT, true, false, "a path", "what is there"}};
static const struct dk_schema yard_schema = {"a provider of kind `yard`", yard_fields, 1};

/* What machines of an engine would carry, for the test. */
static void note_store(const char *path, const struct dk_cloud_options *options) {
  char name[300];

  snprintf(name, sizeof name, "%s.store", path);
  FILE *file = fopen(name, "w");
  for (size_t i = 0; i < sizeof options->store; i++) fprintf(file, "%02x", options->store[i]);
  fprintf(file, " %s\n", options->owner);
  fclose(file);
}

static int open_yard(const struct dk_cloud_options *options, struct dk_cloud **ret, struct dk_error *error) {
  struct dk_cloud *cloud = dk_calloc(1, sizeof *cloud);

  (void)error;
  snprintf(cloud->file, sizeof cloud->file, "%s", options->config.settings[0].value);
  if (options->owner) note_store(cloud->file, options);
  *ret = cloud;
  return 0;
}

static const char *where_is_yard(const struct dk_cloud *cloud) {
  return cloud->file;
}

static void close_yard(struct dk_cloud *cloud) {
  dk_free(cloud);
}

static int start_yard(struct dk_cloud *cloud, const struct dk_cloud_order *order, dk_cloud_done_fn *done, void *ctx,
                      struct dk_error *error) {
  (void)error;
  cloud->order = *order;
  snprintf(cloud->id, sizeof cloud->id, "%s", order->id ? order->id : "");
  cloud->done = done;
  cloud->ctx = ctx;
  return 0;
}

static uint64_t deadline_of_yard(const struct dk_cloud *cloud) {
  return cloud->done ? 0 : UINT64_MAX;
}

static int read_rows(const char *path, struct rows *ret) {
  char line[400], word[40];
  FILE *file = fopen(path, "r");

  *ret = (struct rows){0};
  if (!file || !fgets(line, sizeof line, file)) return -errno;
  ret->is_complete = sscanf(line, "%lld %39s", &ret->now, word) == 1;
  while (ret->n < ROWS_MOST && fgets(line, sizeof line, file)) {
    uint32_t i = ret->n;
    if (sscanf(line, "%63s %39s %lld %255s", ret->ids[i], ret->stores[i], &ret->made[i], ret->owners[i]) >= 3) ret->n++;
  }
  fclose(file);
  return 0;
}

static void list_yard(const struct rows *rows, struct dk_instance *items, struct dk_cloud_result *result) {
  for (uint32_t i = 0; i < rows->n; i++) {
    items[i] = (struct dk_instance){.name = rows->ids[i],
                                    .id = rows->ids[i],
                                    .address = "",
                                    .words = "",
                                    .owner = rows->owners[i],
                                    .state = DK_INSTANCE_RUNNING,
                                    .made_unix = rows->made[i]};
    for (size_t k = 0; k < 16; k++) sscanf(rows->stores[i] + 2 * k, "%2hhx", &items[i].store[k]);
  }
  result->instances = items;
  result->n_instances = rows->n;
  result->is_complete = rows->is_complete;
  result->now_unix = rows->now;
}

static void delete_in_yard(const char *path, const struct rows *rows, const char *id) {
  FILE *file = fopen(path, "w");

  fprintf(file, "%lld%s\n", rows->now, rows->is_complete ? "" : " cut");
  for (uint32_t i = 0; i < rows->n; i++)
    if (strcmp(rows->ids[i], id) != 0 || strcmp(id, "stuck") == 0)
      fprintf(file, "%s %s %lld %s\n", rows->ids[i], rows->stores[i], rows->made[i], rows->owners[i]);
  fclose(file);
}

static void tick_yard(struct dk_cloud *cloud, uint64_t now_ns) {
  struct dk_instance items[ROWS_MOST];
  struct dk_cloud_result result = {.words = "a yard"};
  struct rows rows;
  dk_cloud_done_fn *done = cloud->done;

  (void)now_ns;
  cloud->done = NULL;
  if (read_rows(cloud->file, &rows) < 0 || strcmp(cloud->id, "refused") == 0) {
    result.failure = DK_CLOUD_DENIED;
    dk_error_set(&result.error, -EACCES, "the yard is closed");
  } else if (cloud->order.kind == DK_CLOUD_LIST) {
    list_yard(&rows, items, &result);
  } else if (cloud->order.kind == DK_CLOUD_DELETE) {
    delete_in_yard(cloud->file, &rows, cloud->id);
  }
  done(cloud->ctx, &result);
}

static const struct dk_cloud_provider yard = {.knows_shapes = true,
                                              .deletes_stopped = true,
                                              .open = open_yard,
                                              .where = where_is_yard,
                                              .close = close_yard,
                                              .start = start_yard,
                                              .deadline = deadline_of_yard,
                                              .tick = tick_yard};

const struct dk_provider dk_providers[] = {
    {.kind = "local", .dial = dk_local_dial, .why = dk_local_why, .hang_up = dk_local_hang_up},
    {.kind = "far", .schema = &schema, .is_remote = true, .cloud = &far},
    {.kind = "near", .is_remote = true, .cloud = &near},
    {.kind = "yard", .schema = &yard_schema, .is_remote = true, .cloud = &yard},
    {.kind = NULL},
};
