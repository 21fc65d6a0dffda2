/* Directories as objects: the canonical manifest (engine/objects/object.h) from a directory, and a directory from it.
 *
 * Only what another machine can make again goes in: files with their x bit, relative symbolic links that stay inside,
 * empty directories. Devices, fifos, sockets and links that lead out are refused. */
#ifndef DK_AGENT_TREE_H
#define DK_AGENT_TREE_H

#include "engine/agent/blob.h"
#include "engine/wire/message.h"

/* Keeps every file below `dir` and the manifest of it all. kept.size is the manifest's, kept.total the bytes of the
 * files. -EINVAL: something in it cannot be kept (the message names it). */
int dk_tree_keep(struct dk_blobs *blobs, int dir, struct dk_kept *ret, struct dk_error *error);

/* Makes the tree of a manifest in the empty directory `dir`: files are copies or reflinks, 0644 or 0755. Nothing is
 * trusted: -EBADMSG for paths or links that lead out, or bytes that are no manifest. */
int dk_tree_place(struct dk_blobs *blobs, const void *manifest, size_t len, int dir, struct dk_error *error);

#endif
