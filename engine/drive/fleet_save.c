/* What is known of the hosts, in the store: see fleet.h. */
#include "engine/drive/fleet.h"

#include "engine/drive/engine_priv.h"

#include <errno.h>

static void add_changed(struct dk_engine *engine, struct dk_batch *batch) {
  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    struct dk_engine_host *host = engine->hosts[i];
    if (host && host->has_changed) host->has_changed = dk_batch_put_host(batch, &host->record) < 0;
  }
  engine->save_at = 0;
}

void dk_fleet_record(struct dk_engine *engine) {
  add_changed(engine, &engine->batch);
}

void dk_fleet_save(struct dk_engine *engine) {
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_error error = {0};

  add_changed(engine, &batch);
  int r = batch.n ? dk_store_commit(engine->with.folder->store, &batch, &error) : 0;
  if (r == -ENOSPC) { /* nothing to end for: it goes with the next commit that there is room for */
    for (uint32_t i = 0; i < engine->n_hosts; i++)
      if (engine->hosts[i]) engine->hosts[i]->has_changed = true;
  } else if (r < 0) {
    dk_engine_fail(engine, r, &error);
  }
  dk_batch_finish(&batch);
}

void dk_fleet_save_last(struct dk_engine *engine) {
  bool is_any = false;

  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    struct dk_engine_host *host = engine->hosts[i];
    if (!host || !dk_fleet_is_remote(host) || !host->session) continue;
    host->record.seen_unix_ns = dk_unix_ns();
    host->has_changed = is_any = true;
  }
  if ((is_any || engine->save_at) && engine->failed == 0) dk_fleet_save(engine);
}
