/* Graphics processors as a made-up /dev, /proc and /sys show them, and what a machine lacks. */
#include "engine/sys/fs.h"
#include "engine/sys/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

static int make_root(void **state) {
  (void)state;
  strcpy(root, "/tmp/dk-gpu-XXXXXX");
  return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
  (void)state;
  return dk_fs_remove_tree(root, NULL);
}

static void put(const char *path, const char *text) {
  char full[400], *slash;
  snprintf(full, sizeof full, "%s/%s", root, path);
  slash = strrchr(full, '/');
  *slash = '\0';
  assert_int_equal(dk_fs_mkdirs(full, 0755, NULL), 0);
  *slash = '/';
  FILE *file = fopen(full, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void none(void **state) {
  struct dk_gpus gpus;
  (void)state;
  dk_gpus_find(root, &gpus);
  assert_int_equal(gpus.n, 0);
  assert_int_equal(gpus.vendor, DK_GPU_NONE);
}

/* No driver's folder, as in some containers: the device files alone. */
static void nvidia_nodes(void **state) {
  struct dk_gpus gpus;
  (void)state;
  put("dev/nvidia0", "");
  put("dev/nvidia3", "");
  put("dev/nvidiactl", "");
  put("dev/nvidia-uvm", "");
  dk_gpus_find(root, &gpus);
  assert_int_equal(gpus.vendor, DK_GPU_NVIDIA);
  assert_int_equal(gpus.n, 2);
  assert_int_equal(dk_gpus_count(&gpus, "V100"), 2); /* what is not known may be it */
}

/* By bus address, not by minor number; one whose device file is not here is not ours. */
static void nvidia(void **state) {
  struct dk_gpus gpus;
  (void)state;
  put("dev/nvidia0", "");
  put("dev/nvidia1", "");
  put("proc/driver/nvidia/gpus/0000:af:00.0/information", "Model: \t\t Tesla V100-SXM2-16GB\nDevice Minor: \t 0\n");
  put("proc/driver/nvidia/gpus/0000:3b:00.0/information", "Model: \t\t NVIDIA A100\nDevice Minor: \t 1\n");
  put("proc/driver/nvidia/gpus/0000:d8:00.0/information", "Model: \t\t NVIDIA A100\nDevice Minor: \t 2\n");
  dk_gpus_find(root, &gpus);
  assert_int_equal(gpus.n, 2);
  assert_string_equal(gpus.items[0].model, "NVIDIA A100");
  assert_string_equal(gpus.items[1].model, "Tesla V100-SXM2-16GB");
  assert_int_equal(dk_gpus_count(&gpus, "v100"), 1);
  assert_int_equal(dk_gpus_count(&gpus, NULL), 2);
  uint64_t bus;
  assert_true(dk_gpu_parse_bus("00000000:3B:00.0", &bus)); /* as nvidia-smi writes it */
  assert_int_equal(bus, gpus.items[0].bus);
  assert_false(dk_gpu_parse_bus("No running processes found", &bus));
}

static void amd(void **state) {
  struct dk_gpus gpus;
  bool busy[DK_GPU_MAX] = {false};
  (void)state;
  put("sys/class/kfd/kfd/topology/nodes/0/gpu_id", "0\n");
  put("sys/class/kfd/kfd/topology/nodes/1/gpu_id", "4711\n");
  put("sys/class/kfd/kfd/topology/nodes/1/properties", "simd_count 256\ndrm_render_minor 128\n");
  put("sys/class/kfd/kfd/topology/nodes/2/gpu_id", "815\n");
  put("sys/class/kfd/kfd/topology/nodes/2/properties", "simd_count 256\ndrm_render_minor 129\n");
  put("sys/class/kfd/kfd/topology/nodes/2/name", "gfx90a\n");
  put("dev/dri/renderD128", "");
  put("dev/dri/renderD129", "");
  put("sys/class/kfd/kfd/proc/77/vram_815", "1048576\n");
  put("sys/class/kfd/kfd/proc/77/vram_4711", "0\n");
  dk_gpus_find(root, &gpus);
  assert_int_equal(gpus.vendor, DK_GPU_AMD);
  assert_int_equal(gpus.n, 2);
  assert_string_equal(gpus.items[1].model, "gfx90a");
  dk_gpus_busy(root, &gpus, busy);
  assert_false(busy[0]);
  assert_true(busy[1]);
}

static void lacks(void **state) {
  struct dk_machine machine;
  dk_autobuf text = DK_BUF_INIT;
  (void)state;
  put("dev/nvidia0", "");
  dk_machine_look(root, &machine);
  assert_true(machine.n_cpus > 0);
  assert_int_equal(machine.pieces.n, machine.memory / DK_LEDGER_PIECE);
  struct dk_need need = {.cpus = machine.n_cpus + 1, .gpus = 1, .memory = machine.memory};
  assert_false(dk_machine_lacks(&machine, &need, &text)); /* of processors it gets what there is */
  need.gpus = 8;
  assert_true(dk_machine_lacks(&machine, &need, &text));
  assert_string_equal(text.data, "8 gpus, this machine has 1");
  dk_buf_clear(&text);
  need = (struct dk_need){.cpus = 1, .memory = machine.memory + 1};
  assert_true(dk_machine_lacks(&machine, &need, &text));
  assert_non_null(strstr(text.data, " of memory, this machine has "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(none), TEST(nvidia_nodes), TEST(nvidia), TEST(amd), TEST(lacks)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
