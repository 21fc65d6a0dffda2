/* What the files of this room share. Included by nobody else. */
#ifndef DK_OBJECTS_PRIVATE_H
#define DK_OBJECTS_PRIVATE_H

#include "engine/objects/object.h"

#include <sys/stat.h>

#define DK_OBJECTS_BLOCK (1u << 20)     /* bytes copied and hashed at a time */
#define DK_OBJECTS_SYNCED "synced"      /* settle.c */
#define DK_OBJECTS_CLOCK_NS 2000000000u /* that the clock of files may lag behind */

/* "ab/cdef...", relative to the root. */
#define DK_OBJECTS_NAME (DK_DIGEST_HEX + 2)
void dk_objects_name(const struct dk_digest *digest, char ret[DK_OBJECTS_NAME]);

/* Hashes what is at fd from its current offset; when `to` is not -1 it is written there too. */
int dk_objects_hash_fd(int fd, int to, struct dk_digest *ret, uint64_t *ret_size);
int dk_objects_wrong(const struct dk_objects *objects, const struct dk_digest *digest, struct dk_error *error);

#endif
