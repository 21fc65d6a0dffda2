/* Which of NVIDIA's GPUs some process computes on: `nvidia-smi`, where there is one, in the background and for at most
 * ten seconds. Of AMD's the kernel tells by itself (engine/sys/gpu.h). */
#ifndef DK_AGENT_SMI_H
#define DK_AGENT_SMI_H

#include "engine/sys/gpu.h"
#include "lang/base/buf.h"

#include <sys/types.h>

struct dk_smi {
  pid_t pid; /* 0: not running */
  int fd;
  struct dk_buf text;
  uint64_t until_ns;
  pid_t stuck; /* dk_smi_stuck */
};
#define DK_SMI_INIT                                                                                                    \
  { .fd = -1 }

/* false: there is none to ask, or the last one is stuck. */
bool dk_smi_start(struct dk_smi *smi, uint64_t now_ns);
/* true: it has ended, or was given up; ret_busy[i] is set for what it told of. Its descriptor is readable when there is
 * news. */
bool dk_smi_look(struct dk_smi *smi, const struct dk_gpus *gpus, uint64_t now_ns, bool ret_busy[DK_GPU_MAX]);
void dk_smi_stop(struct dk_smi *smi);
/* One that was killed and did not end, because it hangs in the driver: still a child of this process. 0: there is
 * none. */
pid_t dk_smi_stuck(struct dk_smi *smi);

#endif
