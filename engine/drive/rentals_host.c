/* Machines as hosts of the fleet: see rentals.h. */
#include "engine/drive/rentals_priv.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PROOF_NS (UINT64_C(60) * 1000000000u) /* a task that lives so long shows that tasks can run there */

struct dk_rental *dk_rentals_machine(const struct dk_rentals *rentals, uint32_t number) {
  for (uint32_t i = 0; i < rentals->n_machines; i++)
    if (rentals->machines[i]->number == number) return rentals->machines[i];
  return NULL;
}

struct dk_rental *dk_rentals_machine_of(const struct dk_rentals *rentals, const struct dk_engine_host *host) {
  for (uint32_t i = 0; i < rentals->n_machines; i++)
    if (rentals->machines[i]->host == host) return rentals->machines[i];
  return NULL;
}

static void destroy(struct dk_rental *machine) {
  dk_free(machine->identity);
  dk_free(machine->known_hosts);
  dk_free(machine);
}

void dk_rentals_free_machines(struct dk_rentals *rentals) {
  for (uint32_t i = 0; i < rentals->n_machines; i++) destroy(rentals->machines[i]);
  dk_free(rentals->machines);
}

static char *path_of(const struct dk_rentals *rentals, const char *name, const char *suffix) {
  dk_autobuf path = DK_BUF_INIT;

  dk_buf_printf(&path, "%s/%s%s", rentals->folder, name, suffix);
  return dk_buf_steal(&path);
}

/* NULL: no memory. */
static struct dk_rental *add_machine(struct dk_rentals *rentals, const struct dk_rented *rented) {
  struct dk_rental *machine = dk_calloc(1, sizeof *machine);

  if (!machine || !dk_grow(rentals->machines, rentals->n_machines, rentals->cap_machines)) {
    dk_free(machine);
    return NULL;
  }
  machine->number = rented->number;
  machine->pool = dk_rentals_pool_of(rentals, rented);
  machine->proof_at = UINT64_MAX;
  dk_rentals_name(rented->pool, rented->number, machine->name, sizeof machine->name);
  machine->identity = path_of(rentals, "id", "");
  machine->known_hosts = path_of(rentals, machine->name, ".known");
  if (!machine->identity || !machine->known_hosts) {
    destroy(machine);
    return NULL;
  }
  rentals->machines[rentals->n_machines++] = machine;
  return machine;
}

static bool is_builder(const struct dk_rentals *rentals, const struct dk_rental *machine) {
  const struct dk_rented *rented = dk_rent_find(rentals->rent, machine->number);

  return rented && rented->is_builder;
}

/* It becomes a host when it is known where it is; a builder does not. */
static void dial(struct dk_rentals *rentals, struct dk_rental *machine) {
  const struct dk_cloud_entry *cloud = machine->pool ? machine->pool->entry : NULL;
  struct dk_hosts_entry *entry = &machine->entry;
  struct dk_error error = {0};

  if (!machine->is_wanted || !cloud || !machine->address[0] || machine->host) return;
  *entry = (struct dk_hosts_entry){.provider = cloud->provider,
                                   .config = cloud->host,
                                   .mixed = cloud->mixed,
                                   .lost_after_ns = cloud->lost_after_ns,
                                   .hours = cloud->hours};
  entry->config.provider = cloud->config.provider;
  entry->config.name = machine->name;
  if (!entry->config.user) entry->config.user = DK_RENTALS_USER;
  entry->config.address = machine->address;
  entry->config.identity = machine->identity;
  entry->config.known_hosts = machine->known_hosts;
  if (is_builder(rentals, machine)) {
    dk_rentals_image_reach(machine->pool, machine);
    return;
  }
  int r = dk_fleet_rent(rentals->engine, entry, &machine->host, &error);
  if (r < 0) {
    dk_engine_fail(rentals->engine, r, &error);
    return;
  }
  struct dk_rent_event event = {.kind = DK_RENT_EV_HOST, .number = machine->number};
  event.u.host.host = machine->host->record.number;
  dk_rentals_tell(rentals, &event);
}

void dk_rentals_dial(struct dk_rentals *rentals, uint32_t number) {
  const struct dk_rented *rented = dk_rent_find(rentals->rent, number);
  struct dk_rental *machine = dk_rentals_machine(rentals, number);

  if (!rented) return;
  if (rented->host != DK_RENT_NO_HOST) dk_fleet_expect(rentals->engine, rented->host);
  if (!machine) machine = add_machine(rentals, rented);
  if (!machine) {
    dk_engine_fail(rentals->engine, -ENOMEM, NULL);
    return;
  }
  machine->is_wanted = true;
  dial(rentals, machine);
}

/* It may be known before it is said to dial it. One that is moved elsewhere while it is up is dialled there when its stream ends. */
void dk_rentals_address(struct dk_rentals *rentals, uint32_t number, const char *address) {
  const struct dk_rented *rented = dk_rent_find(rentals->rent, number);
  struct dk_rental *machine = dk_rentals_machine(rentals, number);
  size_t len = strlen(address);

  if (!rented || rented->state == DK_RENT_ENDING || len == 0 || len >= sizeof machine->address) return;
  if (!machine) machine = add_machine(rentals, rented);
  if (!machine) {
    dk_engine_fail(rentals->engine, -ENOMEM, NULL);
    return;
  }
  memcpy(machine->address, address, len + 1);
  dial(rentals, machine);
}

void dk_rentals_forget(struct dk_rentals *rentals, uint32_t number) {
  uint32_t kept = 0;

  for (uint32_t i = 0; i < rentals->n_machines; i++) {
    struct dk_rental *machine = rentals->machines[i];
    if (machine->number != number) {
      rentals->machines[kept++] = machine;
      continue;
    }
    if (machine->host) dk_fleet_give_back(machine->host);
    if (machine->pool) dk_rentals_image_forget(machine->pool, number);
    destroy(machine);
  }
  rentals->n_machines = kept;
}

bool dk_rentals_is_leaving(const struct dk_rentals *rentals, const struct dk_engine_host *host) {
  const struct dk_rental *machine = dk_rentals_machine_of(rentals, host);
  const struct dk_rented *rented = machine ? dk_rent_find(rentals->rent, machine->number) : NULL;

  return rented && (rented->is_leaving || rented->state == DK_RENT_ENDING);
}

static void tell_of(struct dk_rentals *rentals, const struct dk_engine_host *host, enum dk_rent_event_kind kind) {
  const struct dk_rental *machine = dk_rentals_machine_of(rentals, host);

  if (machine) dk_rentals_tell(rentals, &(struct dk_rent_event){.kind = kind, .number = machine->number});
}

void dk_rentals_up(struct dk_rentals *rentals, const struct dk_engine_host *host) {
  struct dk_rental *machine = dk_rentals_machine_of(rentals, host);

  if (machine) {
    machine->is_told = false;
    dk_rentals_renew_keys(rentals, machine->name);
  }
  tell_of(rentals, host, DK_RENT_EV_AGENT_UP);
  rentals->look_at = 0;
}

void dk_rentals_down(struct dk_rentals *rentals, const struct dk_engine_host *host) {
  const struct dk_rental *machine = dk_rentals_machine_of(rentals, host);

  if (machine) dk_rentals_renew_keys(rentals, machine->name); /* before it is dialled again */
  tell_of(rentals, host, DK_RENT_EV_AGENT_DOWN);
}

static void tell_load(struct dk_rentals *rentals, struct dk_rental *machine, uint32_t tasks, bool is_proof) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_LOAD, .number = machine->number};

  machine->tasks = tasks;
  machine->is_told = true;
  machine->is_proven |= is_proof;
  event.u.load.tasks = tasks;
  event.u.load.is_proof = is_proof;
  dk_rentals_tell(rentals, &event);
}

/* Its results are taken with all that they name (held.c): what it has that is nowhere else is of tasks that have not
 * ended yet. */
static void look_at_load(struct dk_rentals *rentals, struct dk_rental *machine, uint64_t now_ns) {
  uint32_t tasks = dk_core_living(rentals->engine->core, machine->host->record.number);

  if (tasks == 0 || tasks < machine->tasks) machine->proof_at = UINT64_MAX;
  if (tasks > 0 && machine->proof_at == UINT64_MAX) machine->proof_at = now_ns + PROOF_NS;
  bool is_proof = !machine->is_proven && now_ns >= machine->proof_at;
  if (machine->is_told && tasks == machine->tasks && !is_proof) return;
  tell_load(rentals, machine, tasks, is_proof);
}

void dk_rentals_look_at_loads(struct dk_rentals *rentals, uint64_t now_ns) {
  for (uint32_t i = 0; i < rentals->n_machines; i++)
    if (rentals->machines[i]->host && rentals->machines[i]->host->was_up)
      look_at_load(rentals, rentals->machines[i], now_ns);
}

void dk_rentals_worked(struct dk_rentals *rentals, const struct dk_engine_host *host) {
  struct dk_rental *machine = dk_rentals_machine_of(rentals, host);

  if (machine && !machine->is_proven)
    tell_load(rentals, machine, dk_core_living(rentals->engine->core, host->record.number), true);
}
