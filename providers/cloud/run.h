/* The dk_cloud_provider (engine/drive/cloud.h) of any driver: sends what the driver wants asked, waits for answers, and
 * ends each call within its time. A kind's own `open` calls dk_cloud_open with its driver:
 *
 *   const struct dk_cloud_provider dk_lxd_cloud = DK_CLOUD_PROVIDER(open_lxd, true, 0);
 *
 * What is kept true: a call ends once, from the tick; within 5 minutes (CHECK: 1, SNAPSHOT: 60), after at most 1000 requests,
 * with at most 100000 instances or 10000 images. A CREATE or SNAPSHOT that failed and may have made something is a
 * DOUBT, whatever the driver says; so is a DELETE that broke. Credentials are in no words. One login is under way at a time, for all calls that wait for it. */
#ifndef DK_PROVIDERS_CLOUD_RUN_H
#define DK_PROVIDERS_CLOUD_RUN_H

#include "providers/cloud/driver.h"

int dk_cloud_open(const struct dk_cloud_driver *driver, const struct dk_cloud_options *options, struct dk_cloud **ret,
                  struct dk_error *error);
void dk_cloud_close(struct dk_cloud *cloud); /* also from a call's `done` */
const char *dk_cloud_where(const struct dk_cloud *cloud);
int dk_cloud_start(struct dk_cloud *cloud, const struct dk_cloud_order *order, dk_cloud_done_fn *done, void *ctx,
                   struct dk_error *error);
uint64_t dk_cloud_deadline(const struct dk_cloud *cloud);
void dk_cloud_tick(struct dk_cloud *cloud, uint64_t now_ns);

/* `is_deleted`: dk_cloud_provider.deletes_stopped; `lag`: lag_ns. */
#define DK_CLOUD_PROVIDER(open_fn, is_deleted, lag)                                                                    \
  {                                                                                                                    \
    .open = (open_fn), .where = dk_cloud_where, .close = dk_cloud_close, .start = dk_cloud_start,                      \
    .deadline = dk_cloud_deadline, .tick = dk_cloud_tick, .deletes_stopped = (is_deleted), .lag_ns = (lag)             \
  }

#endif
