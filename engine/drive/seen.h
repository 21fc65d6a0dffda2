/* What a run read of this machine's files, each with what tells later that it is the same: its stat data, where that
 * can be trusted, else its content. Encoded one behind the other in a buffer, and read back from there.
 *
 * Stat data is trusted when the last change was 2 s older than the look at the content: a clock tick may hide a later
 * one. */
#ifndef DK_DRIVE_SEEN_H
#define DK_DRIVE_SEEN_H

#include "engine/store/record.h"
#include "lang/base/bytes.h"

#include <sys/stat.h>

enum dk_seen_kind {
  DK_SEEN_FILE,
  DK_SEEN_DIR,   /* its entries; the digest is dk_names_digest of them, sorted; zero: it is not there */
  DK_SEEN_EXACT, /* of a tree: modes and links count as well, so nothing but its stat data will do */
  DK_SEEN_PLACE, /* only that there is something */
};

struct dk_stat_key dk_seen_key(const struct stat *st);
/* Adds one. `path` is absolute, or relative to the root that is checked against. `since`: when the content was looked
 * at, the first time. `key` may be NULL: then only the content tells. */
void dk_seen_add(struct dk_buf *out, enum dk_seen_kind kind, const char *path, const struct dk_stat_key *key,
                 uint64_t since_unix_ns, const struct dk_digest *digest);
/* Looks at all of them again. False: something is not the same, or would take long to compare. */
bool dk_seen_holds(const char *root, const void *data, size_t len);

#endif
