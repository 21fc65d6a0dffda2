/* What must always be true, found anew from nothing, and the digest of what lasts. For tests and for a debug command.
 */
#include "engine/rent/internal.h"
#include "lang/base/map.h"

#include <errno.h>
#include <string.h>

#define BROKEN(...) return dk_error_set(error, -EINVAL, __VA_ARGS__)

static int check_machine(const struct dk_rent *rent, const struct dk_rent_machine *machine, struct dk_error *error) {
  const struct dk_rented *of = &machine->of;
  bool has_id = dk_rent_has_id(machine);
  if (machine->is_gone) BROKEN("instance %u is gone, and not taken out", of->number);
  if (machine->pool >= rent->n_pools) BROKEN("instance %u is of no pool", of->number);
  if (strcmp(rent->pools[machine->pool].name, of->pool) != 0) BROKEN("instance %u is in another pool", of->number);
  if (of->number == 0 || of->number > rent->taken) BROKEN("instance %u has a number that is not taken", of->number);
  if ((of->state == DK_RENT_MADE || of->state == DK_RENT_UP) && !has_id)
    BROKEN("instance %u is made, but has no id", of->number);
  if ((of->state == DK_RENT_ASKED || of->state == DK_RENT_DOUBT) && has_id)
    BROKEN("instance %u has an id, but is in state %d", of->number, of->state);
  if (of->state == DK_RENT_DOUBT && machine->is_calling) BROKEN("instance %u is in doubt while it is made", of->number);
  if (of->state == DK_RENT_ASKED && !machine->is_calling && rent->has_begun && !rent->is_cut)
    BROKEN("instance %u is asked for by nobody", of->number);
  if (machine->is_answering && of->state != DK_RENT_UP) BROKEN("instance %u answers, and is not up", of->number);
  if (of->state == DK_RENT_ENDING && machine->unsaved && !machine->was_hard)
    BROKEN("instance %u is ended with %u unsaved results", of->number, machine->unsaved);
  if (of->is_builder && (of->is_proven || machine->tasks)) BROKEN("builder %u has had tasks", of->number);
  if (of->is_stranger && of->state != DK_RENT_ENDING) BROKEN("stranger %u is in state %d", of->number, of->state);
  return 0;
}

static int check_pool(const struct dk_rent *rent, uint32_t at, struct dk_error *error) {
  const struct dk_rent_pool_state *pool = &rent->pools[at];
  uint32_t n = 0, strangers = 0, calls = 0;
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    const struct dk_rent_machine *machine = &rent->machines[i];
    if (machine->pool != at) continue;
    n++;
    strangers += machine->of.is_stranger;
    calls += machine->is_calling;
    for (uint32_t k = 0; k < i && dk_rent_has_id(machine); k++) {
      if (rent->machines[k].pool == at && strcmp(rent->machines[k].of.id, machine->of.id) == 0)
        BROKEN("instances %u and %u have one id", rent->machines[k].of.number, machine->of.number);
    }
  }
  if (n != pool->n || strangers != pool->n_strangers || calls != pool->calls) BROKEN("pool %s: counts", pool->name);
  if (n - strangers > pool->allowed)
    BROKEN("pool %s has %u instances, %u are allowed", pool->name, n - strangers, pool->allowed);
  return 0;
}

int dk_rent_check(const struct dk_rent *rent, struct dk_error *error) {
  int r = 0;
  for (uint32_t i = 0; i < rent->n_machines && r == 0; i++) {
    if (i && rent->machines[i - 1].of.number >= rent->machines[i].of.number) BROKEN("instances are not in order");
    r = check_machine(rent, &rent->machines[i], error);
  }
  for (uint32_t i = 0; i < rent->n_pools && r == 0; i++) r = check_pool(rent, i, error);
  return r;
}

void dk_rent_digest(const struct dk_rent *rent, struct dk_digest *ret) {
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add_u64(&hasher, rent->taken);
  for (uint32_t i = 0; i < rent->n_machines; i++) {
    const struct dk_rented *of = &rent->machines[i].of;
    dk_hasher_add_u64(&hasher, of->number);
    dk_hasher_add_u64(&hasher, of->incarnation);
    dk_hasher_add_u64(&hasher, of->state);
    dk_hasher_add_text(&hasher, of->pool);
    dk_hasher_add_text(&hasher, of->where);
    dk_hasher_add_text(&hasher, of->shape.name);
    dk_hasher_add_u64(&hasher, of->shape.cpus);
    dk_hasher_add_u64(&hasher, of->shape.gpus);
    dk_hasher_add_u64(&hasher, of->shape.memory);
    dk_hasher_add_u64(&hasher, of->shape.disk);
    dk_hasher_add_u64(&hasher, of->shape.price);
    dk_hasher_add_text(&hasher, of->shape.currency);
    dk_hasher_add_text(&hasher, of->id);
    dk_hasher_add_u64(&hasher, of->host);
    dk_hasher_add_u64(&hasher, of->asked_unix_ns);
    dk_hasher_add_u64(&hasher, (uint64_t)of->is_stranger | (uint64_t)of->is_leaving << 1 |
                                   (uint64_t)of->is_proven << 2 | (uint64_t)of->is_builder << 3);
  }
  uint64_t spent = 0; /* in whichever order the currencies came */
  for (uint32_t i = 0; i < rent->spent.n; i++) {
    const struct dk_money *item = &rent->spent.items[i];
    spent += dk_hash_u64(item->micro, (uint64_t)item->currency[0] << 16 | (uint64_t)item->currency[1] << 8 |
                                          (uint64_t)item->currency[2]);
  }
  dk_hasher_add_u64(&hasher, spent);
  dk_hasher_get(&hasher, ret);
}
