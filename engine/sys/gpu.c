/* See gpu.h. What cannot be read is not there. */
#include "engine/sys/gpu.h"
#include "engine/sys/fs.h"
#include "lang/base/buf.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (64u << 10)

static bool read_text(const char *path, struct dk_buf *ret) {
  dk_buf_clear(ret);
  return dk_fs_read(path, FILE_MAX, ret, NULL) == 0 && dk_buf_ok(ret);
}

/* What stands behind `name` and blanks in its line; false: no such line. */
static bool find_value(const char *text, const char *name, char *ret, size_t size) {
  size_t len = strlen(name);
  for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
    if (strncmp(line, name, len) != 0) continue;
    const char *value = line + len + strspn(line + len, " \t");
    size_t n = strcspn(value, "\n");
    if (n >= size) n = size - 1;
    memcpy(ret, value, n);
    ret[n] = '\0';
    return true;
  }
  return false;
}

static bool exists(const char *root, const char *device, unsigned long number) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/dev/%s%lu", root, device, number);
  return dk_buf_ok(&path) && access(path.data, F_OK) == 0;
}

bool dk_gpu_parse_bus(const char *text, uint64_t *ret) {
  unsigned domain, bus, device, function;
  char rest;
  if (sscanf(text, "%8x:%2x:%2x.%1x%c", &domain, &bus, &device, &function, &rest) != 4) return false;
  *ret = (uint64_t)domain << 16 | (uint64_t)bus << 8 | (uint64_t)device << 3 | function;
  return true;
}

static int by_bus(const void *a, const void *b) {
  const struct dk_gpu *x = a, *y = b;
  return x->bus < y->bus ? -1 : x->bus > y->bus;
}

/* NVIDIA. */

static void add_nvidia(const char *root, const char *dir, const char *name, struct dk_gpus *ret) {
  dk_autobuf path = DK_BUF_INIT, text = DK_BUF_INIT;
  char minor[16];
  struct dk_gpu gpu = {0};
  if (ret->n == DK_GPU_MAX || !dk_gpu_parse_bus(name, &gpu.bus)) return;
  dk_buf_printf(&path, "%s/%s/information", dir, name);
  if (!dk_buf_ok(&path) || !read_text(path.data, &text)) return;
  (void)find_value(text.data, "Model:", gpu.model, sizeof gpu.model);
  if (find_value(text.data, "Device Minor:", minor, sizeof minor) && !exists(root, "nvidia", strtoul(minor, NULL, 10)))
    return;
  ret->items[ret->n++] = gpu;
}

static bool find_nvidia(const char *root, struct dk_gpus *ret) {
  dk_autobuf dir = DK_BUF_INIT;
  dk_buf_printf(&dir, "%s/proc/driver/nvidia/gpus", root);
  DIR *stream = dk_buf_ok(&dir) ? opendir(dir.data) : NULL;
  if (!stream) return false;
  for (struct dirent *entry; (entry = readdir(stream));) add_nvidia(root, dir.data, entry->d_name, ret);
  closedir(stream);
  qsort(ret->items, ret->n, sizeof *ret->items, by_bus);
  return true;
}

static void find_nvidia_nodes(const char *root, struct dk_gpus *ret) {
  for (unsigned long i = 0; i < 4 * DK_GPU_MAX && ret->n < DK_GPU_MAX; i++) {
    if (exists(root, "nvidia", i)) ret->items[ret->n++] = (struct dk_gpu){.bus = UINT64_MAX};
  }
}

/* AMD. */

/* A board's name is the device's; without one the node has a chip's. */
static void read_amd_model(const char *root, const char *node, const char *minor, struct dk_gpu *gpu) {
  dk_autobuf path = DK_BUF_INIT, text = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/sys/class/drm/renderD%s/device/product_name", root, minor);
  bool has_name = dk_buf_ok(&path) && read_text(path.data, &text) && *dk_buf_text(&text) > ' ';
  if (!has_name) {
    dk_buf_clear(&path);
    dk_buf_printf(&path, "%s/name", node);
    has_name = dk_buf_ok(&path) && read_text(path.data, &text);
  }
  if (has_name)
    snprintf(gpu->model, sizeof gpu->model, "%.*s", (int)strcspn(dk_buf_text(&text), "\n"), dk_buf_text(&text));
}

static void add_amd(const char *root, const char *dir, const char *name, struct dk_gpus *ret) {
  dk_autobuf node = DK_BUF_INIT, path = DK_BUF_INIT, text = DK_BUF_INIT;
  char minor[16];
  struct dk_gpu gpu = {.bus = UINT64_MAX};
  if (ret->n == DK_GPU_MAX || *name < '0' || *name > '9') return;
  dk_buf_printf(&node, "%s/%s", dir, name);
  dk_buf_printf(&path, "%s/gpu_id", dk_buf_text(&node));
  if (!dk_buf_ok(&node) || !dk_buf_ok(&path) || !read_text(path.data, &text)) return;
  gpu.id = (uint32_t)strtoul(dk_buf_text(&text), NULL, 10);
  if (gpu.id == 0) return; /* a processor's node */
  dk_buf_clear(&path);
  dk_buf_printf(&path, "%s/properties", node.data);
  if (!dk_buf_ok(&path) || !read_text(path.data, &text)) return;
  if (!find_value(dk_buf_text(&text), "drm_render_minor", minor, sizeof minor)) return;
  if (!exists(root, "dri/renderD", strtoul(minor, NULL, 10))) return;
  read_amd_model(root, node.data, minor, &gpu);
  gpu.bus = strtoul(name, NULL, 10); /* for the order: nodes are numbered as ROCm does */
  ret->items[ret->n++] = gpu;
}

static void find_amd(const char *root, struct dk_gpus *ret) {
  dk_autobuf dir = DK_BUF_INIT;
  dk_buf_printf(&dir, "%s/sys/class/kfd/kfd/topology/nodes", root);
  DIR *stream = dk_buf_ok(&dir) ? opendir(dir.data) : NULL;
  if (!stream) return;
  for (struct dirent *entry; (entry = readdir(stream));) add_amd(root, dir.data, entry->d_name, ret);
  closedir(stream);
  qsort(ret->items, ret->n, sizeof *ret->items, by_bus);
  for (uint32_t i = 0; i < ret->n; i++) ret->items[i].bus = UINT64_MAX;
}

void dk_gpus_find(const char *root, struct dk_gpus *ret) {
  *ret = (struct dk_gpus){.vendor = DK_GPU_NVIDIA};
  if (!find_nvidia(root, ret)) find_nvidia_nodes(root, ret);
  if (ret->n > 0) return;
  ret->vendor = DK_GPU_AMD;
  find_amd(root, ret);
  if (ret->n == 0) ret->vendor = DK_GPU_NONE;
}

bool dk_gpu_is_model(const struct dk_gpu *gpu, const char *model) {
  return !model || !*gpu->model || strcasestr(gpu->model, model) != NULL;
}

uint32_t dk_gpus_count(const struct dk_gpus *gpus, const char *model) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < gpus->n; i++) n += dk_gpu_is_model(&gpus->items[i], model);
  return n;
}

/* /sys/class/kfd/kfd/proc/PID/vram_<gpu_id>: bytes. */
static void look_at_process(const char *dir, const struct dk_gpus *gpus, bool *busy) {
  for (uint32_t i = 0; i < gpus->n; i++) {
    dk_autobuf path = DK_BUF_INIT, text = DK_BUF_INIT;
    dk_buf_printf(&path, "%s/vram_%u", dir, gpus->items[i].id);
    if (dk_buf_ok(&path) && read_text(path.data, &text) && strtoull(dk_buf_text(&text), NULL, 10) > 0) busy[i] = true;
  }
}

void dk_gpus_busy(const char *root, const struct dk_gpus *gpus, bool ret_busy[DK_GPU_MAX]) {
  dk_autobuf dir = DK_BUF_INIT;
  if (gpus->vendor != DK_GPU_AMD) return;
  dk_buf_printf(&dir, "%s/sys/class/kfd/kfd/proc", root);
  DIR *stream = dk_buf_ok(&dir) ? opendir(dir.data) : NULL;
  if (!stream) return;
  for (struct dirent *entry; (entry = readdir(stream));) {
    dk_autobuf process = DK_BUF_INIT;
    dk_buf_printf(&process, "%s/%s", dir.data, entry->d_name);
    if (*entry->d_name != '.' && dk_buf_ok(&process)) look_at_process(process.data, gpus, ret_busy);
  }
  closedir(stream);
}
