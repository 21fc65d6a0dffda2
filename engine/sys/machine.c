/* See machine.h. */
#include "engine/sys/machine.h"
#include "engine/sys/proc.h"
#include "lang/base/number.h"

#include <sched.h>
#include <string.h>

static void look_at_cpus(struct dk_machine *machine) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) == 0) {
    /* More than a cpu_set_t tells of. */
    machine->n_cpus = dk_proc_cpus();
    machine->cpus[0] = (struct dk_range){0, machine->n_cpus};
    machine->n_cpu_ranges = 1;
    return;
  }
  for (uint32_t i = 0; i < CPU_SETSIZE; i++) {
    if (!CPU_ISSET(i, &set)) continue;
    struct dk_range *last = machine->n_cpu_ranges ? &machine->cpus[machine->n_cpu_ranges - 1] : NULL;
    if (last && last->first + last->n == i)
      last->n++;
    else
      machine->cpus[machine->n_cpu_ranges++] = (struct dk_range){i, 1};
    machine->n_cpus++;
  }
}

void dk_machine_look(const char *root, struct dk_machine *ret) {
  memset(ret, 0, sizeof *ret);
  ret->root = root;
  look_at_cpus(ret);
  ret->memory = dk_proc_memory();
  uint64_t pieces = ret->memory / DK_LEDGER_PIECE;
  ret->pieces.n = pieces > UINT32_MAX ? UINT32_MAX : (uint32_t)pieces;
  dk_gpus_find(root, &ret->gpus);
}

bool dk_machine_lacks(const struct dk_machine *m, const struct dk_need *need, struct dk_buf *out) {
  uint32_t n_gpus = dk_gpus_count(&m->gpus, need->gpu_model);
  const char *model = need->gpu_model ? need->gpu_model : "";
  char wanted[DK_NUMBER_TEXT], there[DK_NUMBER_TEXT];
  if (need->gpus > n_gpus) {
    dk_buf_printf(out, "%u %s%sgpu%s, this machine has %u", need->gpus, model, *model ? " " : "",
                  need->gpus == 1 ? "" : "s", n_gpus);
  } else if (need->memory > m->memory) {
    dk_number_size_text(need->memory, wanted);
    dk_number_size_text(m->memory, there);
    dk_buf_printf(out, "%s of memory, this machine has %s", wanted, there);
  } else {
    return false;
  }
  return true;
}
