/* See reap.h. */
#include "engine/drive/reap.h"
#include "engine/rent/rent.h"

#include <string.h>

uint64_t dk_reap_age(const struct dk_instance *instance, int64_t now_unix) {
  if (!instance->made_unix || !now_unix || now_unix < instance->made_unix) return UINT64_MAX;
  return (uint64_t)(now_unix - instance->made_unix) * 1000000000u;
}

/* As engine/rent finds it: by its name only as long as its id is not known. */
static bool is_of(const struct dk_rented *record, const struct dk_reap_store *store,
                  const struct dk_instance *instance) {
  char name[DK_RENT_NAME];

  if (*record->id) return strcmp(record->id, instance->id) == 0;
  dk_rent_name(store->id, record->incarnation, record->number, name);
  return strcmp(name, instance->name) == 0;
}

void dk_reap_judge(struct dk_reap_machine *machine, const struct dk_reap_store *store, uint64_t young_ns) {
  bool is_young = young_ns > 0 && (machine->age_ns == UINT64_MAX || machine->age_ns < young_ns);

  machine->verdict = is_young ? DK_REAP_YOUNG : DK_REAP_FREE;
  if (machine->is.state == DK_INSTANCE_LEAVING) machine->verdict = DK_REAP_LEAVING;
  for (uint32_t i = 0; i < store->n_records; i++)
    if (is_of(&store->records[i], store, &machine->is)) machine->verdict = DK_REAP_HELD;
}

bool dk_reap_is_due(const struct dk_reap_machine *machine, const struct dk_reap_store *store) {
  return machine->verdict == DK_REAP_FREE && store->is_meant;
}
