/* Finding an embedded module. The table itself (stdlib_data.c) is made of the *.dk files by embed.cmake. */
#include "stdlib/stdlib.h"

#include <string.h>

const struct dk_stdlib_file *dk_stdlib_find(const char *name) {
  uint32_t n;
  const struct dk_stdlib_file *files = dk_stdlib_files(&n);
  for (uint32_t i = 0; i < n; i++)
    if (strcmp(files[i].name, name) == 0) return &files[i];
  return NULL;
}
