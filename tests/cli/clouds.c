/* The providers of a dkrun for tests: clouds that make nothing, for what is said of them before anything is made. */
#include "engine/drive/provider.h"
#include "providers/local/local.h"

#include <errno.h>
#include <stddef.h>

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

const struct dk_provider dk_providers[] = {
    {.kind = "local", .dial = dk_local_dial, .why = dk_local_why, .hang_up = dk_local_hang_up},
    {.kind = "far", .schema = &schema, .is_remote = true, .cloud = &far},
    {.kind = "near", .is_remote = true, .cloud = &near},
    {.kind = NULL},
};
