/* What this machine has, and what a task needs of one. */
#ifndef DK_SYS_MACHINE_H
#define DK_SYS_MACHINE_H

#include "engine/sys/gpu.h"
#include "engine/sys/ledger.h"

struct dk_need {
  uint32_t cpus, gpus;
  uint64_t memory;       /* bytes */
  const char *gpu_model; /* NULL: any */
};

#define DK_MACHINE_CPU_RANGES 512u

struct dk_machine {
  const char *root; /* before /dev, /proc and /sys where GPUs are looked for; "" is this machine. Borrowed */
  struct dk_range cpus[DK_MACHINE_CPU_RANGES]; /* numbers of those that this process may use */
  uint32_t n_cpu_ranges, n_cpus;
  uint64_t memory;        /* bytes */
  struct dk_range pieces; /* of memory, as the ledger counts it */
  struct dk_gpus gpus;
};

void dk_machine_look(const char *root, struct dk_machine *ret);
/* What no wait can bring: appends "8 gpus, this machine has 0". false: the need fits. A task of more cpus than there
 * are fits: it gets all of them, and takes longer. */
bool dk_machine_lacks(const struct dk_machine *machine, const struct dk_need *need, struct dk_buf *out);

#endif
