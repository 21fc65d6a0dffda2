/* The standard library's texts (*.dk beside this header), embedded when the program is built. Read by lang/load for
 * `import std.NAME`, and installed for people to read. */
#ifndef DK_STDLIB_STDLIB_H
#define DK_STDLIB_STDLIB_H

#include <stddef.h>
#include <stdint.h>

struct dk_stdlib_file {
  const char *name; /* "std.hardware" */
  const char *path; /* as messages show it: "std/hardware.dk" */
  const char *text; /* NUL-terminated */
  size_t len;
};

/* All of them, by name. */
const struct dk_stdlib_file *dk_stdlib_files(uint32_t *ret_n);
/* NULL if there is none of that name. */
const struct dk_stdlib_file *dk_stdlib_find(const char *name);

#endif
