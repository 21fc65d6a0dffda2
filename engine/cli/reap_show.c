/* What was found, for people: see reap.h. */
#include "engine/cli/reap.h"

#include "engine/rent/rent.h"
#include "lang/base/number.h"

#include <string.h>

#define SECOND UINT64_C(1000000000)

static void add_whose(const struct dk_reap_store *store, struct dk_buf *out) {
  static const char *const words[] = {[DK_REAP_ELSEWHERE] = "not of this machine",
                                      [DK_REAP_GONE] = "its folder or its store is gone",
                                      [DK_REAP_HIDDEN] = "which cannot be read by you",
                                      [DK_REAP_THERE] = "which has no record of this",
                                      [DK_REAP_HERE] = "this repository's, which has no record of this"};

  dk_buf_add_text(out, "store ");
  for (size_t i = 0; i < sizeof store->id; i++) dk_buf_printf(out, "%02x", store->id[i]);
  if (*store->owner && store->place != DK_REAP_HERE) {
    dk_buf_add_text(out, ", of ");
    dk_buf_add_escaped(out, store->owner, strlen(store->owner));
  }
  dk_buf_printf(out, ", %s\n", words[store->place]);
}

static const char *state_of(enum dk_instance_state state) {
  switch (state) {
  case DK_INSTANCE_BOOTING: return "boots";
  case DK_INSTANCE_RUNNING: return "runs";
  case DK_INSTANCE_STOPPED: return "is off";
  case DK_INSTANCE_FAILED: return "failed";
  case DK_INSTANCE_LEAVING: return "leaves";
  case DK_INSTANCE_UNKNOWN: break;
  }
  return "unknown";
}

static const char *end_of(const struct dk_reap *reap, const struct dk_reap_machine *machine) {
  switch (machine->is.state) {
  case DK_INSTANCE_LEAVING: return "is being deleted";
  case DK_INSTANCE_STOPPED:
  case DK_INSTANCE_FAILED: return "stays until it is deleted";
  case DK_INSTANCE_BOOTING:
  case DK_INSTANCE_RUNNING:
  case DK_INSTANCE_UNKNOWN: break;
  }
  return reap->clouds[machine->cloud].line.provider->deletes_stopped ? "goes by itself when idle"
                                                                     : "is off when idle, and stays";
}

static void add_machine(const struct dk_reap *reap, const struct dk_reap_machine *machine, struct dk_buf *out) {
  const struct dk_reap_store *store = &reap->stores[machine->store];
  char age[DK_NUMBER_TEXT] = "age unknown", young[DK_NUMBER_TEXT];
  size_t start;

  if (machine->age_ns != UINT64_MAX) dk_number_duration_text(machine->age_ns / SECOND * SECOND, age);
  dk_buf_printf(out, "  %s  %s  ", dk_reap_is_due(machine, store) ? "reap" : "keep",
                reap->clouds[machine->cloud].entry->config.provider);
  start = out->len;
  dk_buf_add_escaped(out, machine->is.name, strlen(machine->is.name));
  if (out->len - start < 40) dk_buf_add_repeat(out, ' ', (uint32_t)(40 - (out->len - start)));
  dk_buf_printf(out, "  %-7s  %-6s  %s", state_of(machine->is.state), age, end_of(reap, machine));
  dk_number_duration_text(reap->young_ns, young);
  if (machine->verdict == DK_REAP_YOUNG && store->is_meant) dk_buf_printf(out, "; younger than %s", young);
  dk_buf_add_char(out, '\n');
}

static void count(const struct dk_reap *reap, uint32_t store, uint32_t *ret_held, uint32_t *ret_other) {
  *ret_held = *ret_other = 0;
  for (uint32_t i = 0; i < reap->n_machines; i++) {
    if (reap->machines[i].store != store) continue;
    *(reap->machines[i].verdict == DK_REAP_HELD ? ret_held : ret_other) += 1;
  }
}

static void add_held(const struct dk_reap_store *store, uint32_t n, struct dk_buf *out) {
  dk_buf_printf(out, "%u machine%s on record ", n, n == 1 ? " is" : "s are");
  if (store->place == DK_REAP_HERE) {
    dk_buf_add_text(out, "here: `dkrun instances` lists what there is, `dkrun down` gives it back\n");
    return;
  }
  dk_buf_add_text(out, "in ");
  dk_buf_add_escaped(out, store->path, strlen(store->path));
  dk_buf_add_text(out, ": `dkrun down` there gives it back\n");
}

void dk_reap_show(const struct dk_reap *reap, struct dk_buf *out) {
  uint32_t held, other, n_others = 0, n_meant = 0;

  for (uint32_t s = 0; s < reap->n_stores; s++) {
    count(reap, s, &held, &other);
    if (other == 0) continue;
    n_others += other;
    n_meant += reap->stores[s].is_meant ? other : 0;
    add_whose(&reap->stores[s], out);
    for (uint32_t i = 0; i < reap->n_machines; i++)
      if (reap->machines[i].store == s && reap->machines[i].verdict != DK_REAP_HELD)
        add_machine(reap, &reap->machines[i], out);
  }
  if (n_others)
    dk_buf_add_text(out, "Idle: no task, no result that is not taken, and no dkrun there for 15m.\n");
  else if (!reap->has_failed)
    dk_buf_add_text(out, "Nothing is left over.\n");
  for (uint32_t s = 0; s < reap->n_stores; s++) {
    count(reap, s, &held, &other);
    if (held) add_held(&reap->stores[s], held, out);
  }
  if (n_others > n_meant)
    dk_buf_add_text(out, "What is another store's is deleted by --store ID, if nobody works with that any more.\n");
}
