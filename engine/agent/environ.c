/* See environ.h. */
#include "engine/agent/environ.h"
#include "engine/agent/survivors.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

static const char *const own_names[] = {"DK_ATTEMPT", "DK_SLOT", "DK_GPUS", "DK_DIR", "DK_METRICS", "TMPDIR"};
/* Set only on a machine that has GPUs. */
static const char *const gpu_names[] = {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES",
                                        "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"};
#define N_OWN (sizeof own_names / sizeof *own_names)
#define N_GPU (sizeof gpu_names / sizeof *gpu_names)

static bool is_own(const char *name, bool has_gpus) {
  for (size_t i = 0; i < N_OWN; i++) {
    if (strcmp(name, own_names[i]) == 0) return true;
  }
  for (size_t i = 0; has_gpus && i < N_GPU; i++) {
    if (strcmp(name, gpu_names[i]) == 0) return true;
  }
  return false;
}

static void put(struct dk_buf *buf, const char *name, const char *value) {
  dk_buf_add_text(buf, name);
  dk_buf_add_char(buf, '=');
  dk_buf_add(buf, value, strlen(value) + 1);
}

/* NAME=0,3; counted: 0,1. */
static void put_gpus(struct dk_buf *buf, const char *name, const struct dk_environ_place *place, bool is_counted) {
  dk_buf_printf(buf, "%s=", name);
  for (uint32_t i = 0; i < place->n_gpus; i++)
    dk_buf_printf(buf, "%s%u", i ? "," : "", is_counted ? i : place->gpus[i]);
  dk_buf_add_char(buf, '\0');
}

/* ROCR hides first, and what it leaves is numbered anew for HIP, and for CUDA's name that HIP reads as well. A task
 * that booked none sees none. */
static size_t put_visible(struct dk_buf *buf, const struct dk_environ_place *place) {
  if (place->vendor == DK_GPU_NONE) return 0;
  bool is_amd = place->vendor == DK_GPU_AMD;
  put(buf, "CUDA_DEVICE_ORDER", "PCI_BUS_ID");
  put_gpus(buf, "CUDA_VISIBLE_DEVICES", place, is_amd);
  put_gpus(buf, "HIP_VISIBLE_DEVICES", place, is_amd);
  put_gpus(buf, is_amd ? "ROCR_VISIBLE_DEVICES" : "NVIDIA_VISIBLE_DEVICES", place, false);
  return 4;
}

static size_t put_env(struct dk_buf *buf, const struct dk_job *job, struct dk_id id,
                      const struct dk_environ_place *place) {
  size_t n = N_OWN;
  for (uint32_t i = 0; i < job->n_env; i++) {
    if (is_own(job->env[i].name, place->vendor != DK_GPU_NONE)) continue;
    put(buf, job->env[i].name, job->env[i].value);
    n++;
  }
  char attempt[DK_ATTEMPT_TEXT];
  dk_attempt_text(id, attempt);
  put(buf, "DK_ATTEMPT", attempt);
  dk_buf_printf(buf, "DK_SLOT=%u", place->slot);
  dk_buf_add_char(buf, '\0');
  put_gpus(buf, "DK_GPUS", place, false);
  dk_buf_printf(buf, "DK_DIR=%s/work", place->path);
  dk_buf_add_char(buf, '\0');
  dk_buf_printf(buf, "DK_METRICS=%s/work/" DK_METRICS_FILE, place->path);
  dk_buf_add_char(buf, '\0');
  dk_buf_printf(buf, "TMPDIR=%s/tmp", place->path);
  dk_buf_add_char(buf, '\0');
  return n + put_visible(buf, place);
}

int dk_environ_make(struct dk_environ *ret, const struct dk_job *job, struct dk_id id,
                    const struct dk_environ_place *place) {
  dk_autobuf buf = DK_BUF_INIT;
  *ret = (struct dk_environ){0};
  size_t n = put_env(&buf, job, id, place);
  ret->env = dk_calloc(n + 1, sizeof *ret->env);
  ret->argv = dk_calloc((size_t)job->n_argv + 3, sizeof *ret->argv);
  ret->storage = dk_buf_steal(&buf);
  if (!ret->env || !ret->argv || !ret->storage) {
    dk_environ_finish(ret);
    return -ENOMEM;
  }
  char *at = ret->storage;
  for (size_t i = 0; i < n; i++) {
    ret->env[i] = at;
    at += strlen(at) + 1;
  }
  uint32_t args = job->n_argv;
  memcpy(ret->argv, job->argv, args * sizeof *ret->argv);
  if (job->script && strlen(job->script) > DK_SCRIPT_INLINE) {
    ret->argv[args] = (char *)place->script;
  } else if (job->script) {
    ret->argv[args] = (char *)"-c";
    ret->argv[args + 1] = job->script;
  }
  return 0;
}

void dk_environ_finish(struct dk_environ *environ_) {
  dk_free(environ_->env);
  dk_free(environ_->argv);
  dk_free(environ_->storage);
  *environ_ = (struct dk_environ){0};
}
