/* The graphics processors of this machine, as /dev, /proc and /sys show them: no vendor's library is asked.
 *
 * NVIDIA: /proc/driver/nvidia/gpus in the order of their bus addresses, as far as /dev/nvidia<minor> is there (a
 * container has some of them only); without that folder /dev/nvidia0, 1, ... AMD: the nodes of /sys/class/kfd, as far
 * as their /dev/dri/renderD<minor> is there. A machine that has both is used with NVIDIA's. Others are not known. */
#ifndef DK_SYS_GPU_H
#define DK_SYS_GPU_H

#include <stdbool.h>
#include <stdint.h>

#define DK_GPU_MAX 64u

enum dk_gpu_vendor { DK_GPU_NONE, DK_GPU_NVIDIA, DK_GPU_AMD };

struct dk_gpu {
  char model[80]; /* as the driver says, "Tesla V100-SXM2-16GB"; empty: it says nothing */
  uint64_t bus;   /* NVIDIA: PCI domain << 16 | bus << 8 | device << 3 | function; UINT64_MAX: not known */
  uint32_t id;    /* AMD: the kernel's gpu_id */
};

/* Their place in the list is what CUDA (with CUDA_DEVICE_ORDER=PCI_BUS_ID) and ROCm number them by. */
struct dk_gpus {
  enum dk_gpu_vendor vendor;
  uint32_t n;
  struct dk_gpu items[DK_GPU_MAX];
};

/* `root` stands before /dev, /proc and /sys; "" for this machine. */
void dk_gpus_find(const char *root, struct dk_gpus *ret);
/* Is it one of the model that was asked for? Part of the name, upper and lower case alike; a name that is not known may
 * be it. */
bool dk_gpu_is_model(const struct dk_gpu *gpu, const char *model);
uint32_t dk_gpus_count(const struct dk_gpus *gpus, const char *model); /* NULL: of any */
/* "00000000:3B:00.0" and "0000:3b:00.0" are the same; false: no such address. */
bool dk_gpu_parse_bus(const char *text, uint64_t *ret);
/* Sets ret_busy[i] of AMD's that some process has memory on; leaves the others as they are. */
void dk_gpus_busy(const char *root, const struct dk_gpus *gpus, bool ret_busy[DK_GPU_MAX]);

#endif
