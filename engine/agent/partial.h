/* The bytes of an object as they come from an engine: objects/tmp/<digest in hex>, in order, kept when the agent dies.
 * What an earlier transfer left there is read before more is added, so that the digest is known when the last byte is.
 * The file is open only while a part is written: any number may be on their way. (It goes after a day without a new
 * part, as all in tmp/ does: dk_objects_open.) */
#ifndef DK_AGENT_PARTIAL_H
#define DK_AGENT_PARTIAL_H

#include "engine/objects/object.h"

struct dk_partial {
  uint64_t at;   /* bytes that are there and hashed */
  uint64_t size; /* of the file; more than `at` until what was found is read */
  int fd;        /* open when the last part was added; else -1 */
  struct dk_content_hasher hasher;
};

/* How many bytes an earlier transfer left; 0: none. */
uint64_t dk_partial_look(const struct dk_objects *objects, const struct dk_digest *digest);
void dk_partial_init(struct dk_partial *partial, uint64_t size);
void dk_partial_finish(struct dk_partial *partial); /* the file stays */
/* The file goes, and all begins anew. */
void dk_partial_reset(struct dk_partial *partial, const struct dk_objects *objects, const struct dk_digest *digest);

/* Reads on in what was found: 1, there is more; 0, all is read; negative errno. */
int dk_partial_read(struct dk_partial *partial, const struct dk_objects *objects, const struct dk_digest *digest);
/* Appends at `at`; is_last: dk_partial_place comes next. -ESTALE: somebody else changed the file. After a failure
 * nothing was added. */
int dk_partial_add(struct dk_partial *partial, const struct dk_objects *objects, const struct dk_digest *digest,
                   const void *data, size_t len, bool is_last, struct dk_error *error);
/* Is this, by its content, the object? Costs nothing but the hash of the last leaf; no memory: false. */
bool dk_partial_is_whole(const struct dk_partial *partial, const struct dk_digest *digest);
/* The file becomes the object. -EBADMSG: its content is not what the digest says. */
int dk_partial_place(struct dk_partial *partial, struct dk_objects *objects, const struct dk_digest *digest,
                     struct dk_error *error);

#endif
