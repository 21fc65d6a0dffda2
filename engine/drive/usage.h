/* What takes how much of a state folder, in bytes on disk. */
#ifndef DK_DRIVE_USAGE_H
#define DK_DRIVE_USAGE_H

#include "engine/drive/folder.h"

/* Blocks of a file, or of all below a folder; what cannot be read counts nothing. */
uint64_t dk_disk_used(const char *path);

struct dk_usage_part {
  char *name;
  uint64_t bytes, n;    /* n: files or results, 0: not told */
  const char *unit;     /* of n: singular: "result", "object", ...; NULL */
  uint64_t n_unweighed; /* of n: directories at a host whose sizes are not known here */
};
struct dk_usage {
  struct dk_usage_part *parts; /* of the folder */
  uint32_t n_parts;
  struct dk_usage_part *tasks; /* of the objects: by who made them, largest first */
  uint32_t n_tasks;
  struct dk_usage_part *hosts; /* what is recorded to be at hosts, whether or not it is here too; not part of `total` */
  uint32_t n_hosts, cap_hosts;
  uint64_t total, unreachable, n_unreachable;
};
int dk_usage_collect(struct dk_folder *folder, struct dk_usage *ret, struct dk_error *error);
void dk_usage_finish(struct dk_usage *usage);

#endif
