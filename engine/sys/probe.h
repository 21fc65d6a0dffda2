/* What this machine gives, for `dkrun doctor`: found by trying where that leaves nothing behind, else by reading. */
#ifndef DK_SYS_PROBE_H
#define DK_SYS_PROBE_H

#include "lang/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Writes a file without a name into the directory, and reflinks it: 1 it can, 0 it cannot; a negative errno with words:
 * the file cannot be written (-EOPNOTSUPP: this file system has no files without a name, so nothing is known). */
int dk_probe_reflink(const char *dir, struct dk_error *error);
/* Is the program at `path` one that needs no loader of the system (ELF without PT_INTERP)? */
bool dk_probe_is_static(const char *path);
/* GPUs that the kernel's drivers show: /dev/nvidia0 ..., and nodes of /sys/class/kfd with vector units. */
void dk_probe_gpus(uint32_t *ret_nvidia, uint32_t *ret_amd);
/* Does the kernel think that its clock is set by somebody (NTP)? */
bool dk_probe_is_clock_set(void);

#endif
