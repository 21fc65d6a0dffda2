/* See probe.h. */
#include "engine/sys/probe.h"
#include "engine/sys/fs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timex.h>
#include <unistd.h>

static int open_nameless(const char *dir) {
  return open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

int dk_probe_reflink(const char *dir, struct dk_error *error) {
  char block[4096] = {1};
  int from = open_nameless(dir), to = from < 0 ? -1 : open_nameless(dir);
  int r = to < 0 ? -errno : dk_fs_write_all(from, block, sizeof block);
  if (r == 0) r = ioctl(to, FICLONE, from) == 0;
  if (from >= 0) close(from);
  if (to >= 0) close(to);
  return r < 0 ? dk_error_system(error, r == -EISDIR ? -EOPNOTSUPP : r, "writing a file in %s", dir) : r;
}

#if UINTPTR_MAX > UINT32_MAX
typedef Elf64_Ehdr elf_head;
typedef Elf64_Phdr elf_part;
#else
typedef Elf32_Ehdr elf_head;
typedef Elf32_Phdr elf_part;
#endif

bool dk_probe_is_static(const char *path) {
  elf_head head;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool is = dk_fs_pread_all(fd, &head, sizeof head, 0) == 0 && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0;
  for (unsigned i = 0; is && i < head.e_phnum; i++) {
    elf_part part;
    is = dk_fs_pread_all(fd, &part, sizeof part, head.e_phoff + (uint64_t)i * head.e_phentsize) == 0 &&
         part.p_type != PT_INTERP;
  }
  close(fd);
  return is;
}

/* A node of the processors has 0 there. */
static bool has_vector_units(const char *node) {
  char path[320], line[128];
  unsigned long n = 0;
  snprintf(path, sizeof path, "/sys/class/kfd/kfd/topology/nodes/%s/properties", node);
  FILE *file = fopen(path, "re");
  while (file && n == 0 && fgets(line, sizeof line, file)) (void)sscanf(line, "simd_count %lu", &n);
  if (file) fclose(file);
  return n > 0;
}

static bool is_nvidia(const char *name) {
  return strncmp(name, "nvidia", 6) == 0 && name[6] && name[6 + strspn(name + 6, "0123456789")] == '\0';
}

static uint32_t count(const char *dir, bool (*is)(const char *name)) {
  uint32_t n = 0;
  struct dirent *entry;
  DIR *stream = opendir(dir);
  while (stream && dk_fs_next_entry(stream, &entry) == 0 && entry) n += is(entry->d_name);
  if (stream) closedir(stream);
  return n;
}

void dk_probe_gpus(uint32_t *ret_nvidia, uint32_t *ret_amd) {
  *ret_nvidia = count("/dev", is_nvidia);
  *ret_amd = count("/sys/class/kfd/kfd/topology/nodes", has_vector_units);
}

bool dk_probe_is_clock_set(void) {
  struct timex now = {0};
  return adjtimex(&now) != TIME_ERROR && !(now.status & STA_UNSYNC);
}
