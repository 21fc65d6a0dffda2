/* A machine that is made to see whether it comes up, and for nothing else: see engine.h, `probe`. */
#include "engine/drive/rentals_priv.h"

#include "lang/base/number.h"

#include <string.h>

bool dk_rentals_is_probed(const struct dk_rental_pool *pool) {
  const char *probe = pool->rentals->engine->with.probe;

  return probe && pool->is_named && strcmp(pool->name, probe) == 0;
}

/* The machine that tasks could run on; a builder is none. */
static const struct dk_engine_host *find_up(const struct dk_rentals *rentals) {
  for (uint32_t i = 0; i < rentals->n_machines; i++) {
    const struct dk_rental *machine = rentals->machines[i];
    if (machine->pool && dk_rentals_is_probed(machine->pool) && machine->host && machine->host->was_up)
      return machine->host;
  }
  return NULL;
}

bool dk_rentals_probe_need(const struct dk_rentals *rentals, struct dk_rent_need *ret) {
  *ret = (struct dk_rent_need){.cpus = 1, .n = 1, .may_pay = true};
  return rentals->engine->with.probe && !rentals->has_probe_failed && !find_up(rentals);
}

/* It went before it was up. */
static bool has_gone(const struct dk_rentals *rentals) {
  for (uint32_t i = 0; i < dk_rent_count(rentals->rent, UINT32_MAX); i++) {
    const struct dk_rented *rented = dk_rent_at(rentals->rent, i);
    const struct dk_rental_pool *pool = dk_rentals_pool_of(rentals, rented);
    bool is_of_now = rented->incarnation == rentals->engine->incarnation && !rented->is_builder;
    if (pool && dk_rentals_is_probed(pool) && is_of_now && rented->state == DK_RENT_ENDING) return true;
  }
  return false;
}

enum dk_probe dk_engine_probed(const struct dk_engine *engine, struct dk_buf *ret) {
  const struct dk_rentals *rentals = engine->rentals;
  const struct dk_engine_host *host = find_up(rentals);
  char memory[DK_NUMBER_TEXT];

  if (host) {
    dk_number_size_text(host->record.memory, memory);
    dk_buf_printf(ret, "%s is up: %s, %u cpu%s, %s", host->record.name, host->record.system, host->record.cpus,
                  host->record.cpus == 1 ? "" : "s", memory);
    return DK_PROBE_UP;
  }
  for (uint32_t i = 0; i < rentals->n_pools; i++) {
    const struct dk_rental_pool *pool = rentals->pools[i];
    if (dk_rentals_is_probed(pool) && (pool->is_barred || pool->is_refused)) return DK_PROBE_FAILED;
  }
  return rentals->has_probe_failed || has_gone(rentals) ? DK_PROBE_FAILED : DK_PROBE_GOES_ON;
}
