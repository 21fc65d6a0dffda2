/* What the files of this room share. Included by nobody else. */
#ifndef DK_OBJECTS_PRIVATE_H
#define DK_OBJECTS_PRIVATE_H

#include "engine/objects/object.h"

#include <sys/stat.h>

#define DK_OBJECTS_BLOCK (1u << 20) /* bytes copied and hashed at a time */

/* "ab/cdef...", relative to the root. */
#define DK_OBJECTS_NAME (DK_DIGEST_HEX + 2)
void dk_objects_name(const struct dk_digest *digest, char ret[DK_OBJECTS_NAME]);

/* A new file in tmp/: descriptor and name ("tmp/..."). */
#define DK_OBJECTS_TMP 64
int dk_objects_tmp(struct dk_objects *objects, char ret_name[DK_OBJECTS_TMP], int *ret_fd, struct dk_error *error);
/* Moves it to its place as a read-only object, or drops it when the object is there already. Closes fd; on failure nothing is left. */
int dk_objects_place(struct dk_objects *objects, const char *tmp, int fd, const struct dk_digest *digest,
                     struct dk_error *error);
void dk_objects_drop(struct dk_objects *objects, const char *tmp, int fd);

/* Opens an object and says its size. -ENOENT names it. */
int dk_objects_open_one(const struct dk_objects *objects, const struct dk_digest *digest, int *ret_fd,
                        uint64_t *ret_size, struct dk_error *error);
/* Hashes what is at fd from its current offset; when `to` is not -1 it is written there too. */
int dk_objects_hash_fd(int fd, int to, struct dk_digest *ret, uint64_t *ret_size);
int dk_objects_wrong(const struct dk_objects *objects, const struct dk_digest *digest, struct dk_error *error);

#endif
