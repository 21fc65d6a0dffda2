/* What hosts have, and may it be counted on: see fleet.h. */
#include "engine/drive/fleet.h"

#include "engine/drive/engine_priv.h"
#include "engine/sys/proc.h"

#include <errno.h>

bool dk_fleet_has_copies(void *ctx, uint32_t number) {
  const struct dk_engine_host *host = dk_fleet_find(ctx, number);

  return host && host->provider && !host->is_lost;
}

/* At once: whoever looks for a copy next must not find this one. */
void dk_fleet_lose_copy(struct dk_engine_host *host, const struct dk_digest *content) {
  struct dk_engine *engine = host->engine;
  struct dk_store *store = engine->with.folder->store;
  struct dk_batch batch = DK_BATCH_INIT;
  struct dk_error error = {0};

  int r = dk_store_get_copy(store, content, host->record.number, NULL, &error);
  if (r == -ENOENT) return;
  if (r == 0 || r == -EBADMSG) r = dk_batch_del_copy(&batch, content, host->record.number);
  if (r == 0) r = dk_store_commit(store, &batch, &error);
  dk_batch_finish(&batch);
  if (r < 0) dk_engine_fail(engine, r, &error);
}

bool dk_fleet_has_remote(const struct dk_engine *engine) {
  for (uint32_t i = 0; i < engine->n_hosts; i++)
    if (engine->hosts[i] && engine->hosts[i]->provider && !engine->hosts[i]->is_left &&
        dk_fleet_is_remote(engine->hosts[i]))
      return true;
  return dk_rentals_are_open(engine->rentals);
}

uint64_t dk_fleet_memory(const struct dk_engine *engine, uint32_t number) {
  uint64_t most = 0;

  if (number == DK_HOST_LOCAL) return dk_proc_memory();
  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    const struct dk_engine_host *host = engine->hosts[i];
    if (!host || !host->provider || (number != UINT32_MAX && number != i)) continue;
    uint64_t has = dk_fleet_is_remote(host) ? host->record.memory : dk_proc_memory();
    if (has > most) most = has;
  }
  return most;
}
