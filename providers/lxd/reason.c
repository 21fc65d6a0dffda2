/* What a refusal is about: see api.h. LXD has few status codes of its own (most of what goes wrong is a 500, or an
 * operation that failed), so its words count first. They are those of LXD 5.0 to 6 and of Incus 6. */
#include "providers/lxd/api.h"

#include <string.h>

/* In order: the first that is found counts. */
static const struct {
  const char *text;
  enum dk_lxd_reason reason;
} known[] = {
    /* lxd/project/limits/permissions.go, ahead of "in project": what the project may have, and what it forbids */
    {"Reached maximum number of instances", DK_LXD_QUOTA},
    {"Reached maximum aggregate value", DK_LXD_QUOTA},
    {" is forbidden", DK_LXD_DENIED},
    {" are forbidden", DK_LXD_DENIED},
    {"not allowed", DK_LXD_DENIED},
    {"isn't allowed", DK_LXD_DENIED},
    {"certificate is restricted", DK_LXD_DENIED},
    /* no room, or nobody who takes it */
    {"No suitable cluster member", DK_LXD_CAPACITY},
    {"find a cluster member", DK_LXD_CAPACITY},
    {"Cluster member is evacuated", DK_LXD_CAPACITY},
    {"no space left", DK_LXD_CAPACITY},
    {"No space left", DK_LXD_CAPACITY},
    {"Disk quota exceeded", DK_LXD_CAPACITY},
    {"disk quota exceeded", DK_LXD_CAPACITY},
    {"cannot allocate memory", DK_LXD_CAPACITY},
    {"Cannot allocate memory", DK_LXD_CAPACITY},
    /* it starts, ends, or its database looks for a leader */
    {"is shutting down", DK_LXD_TRANSIENT},
    {"daemon setup in progress", DK_LXD_TRANSIENT},
    {"atabase is locked", DK_LXD_TRANSIENT},
    {"DB is locked", DK_LXD_TRANSIENT},
    {"no available dqlite leader", DK_LXD_TRANSIENT},
    {"no available cowsql leader", DK_LXD_TRANSIENT},
    {"Instance is busy running", DK_LXD_TRANSIENT},
    {"Failed to connect to member", DK_LXD_TRANSIENT},
    {"context deadline exceeded", DK_LXD_TRANSIENT},
    {"connection refused", DK_LXD_TRANSIENT},
    /* it is so already */
    {"already exists", DK_LXD_EXISTS},
    {"already in use", DK_LXD_EXISTS},
    {"is already running", DK_LXD_EXISTS},
    {"is already stopped", DK_LXD_EXISTS},
    {"UNIQUE constraint failed", DK_LXD_EXISTS},
    /* what the request names is not there, which may come with 400 and 500, too */
    {"Requested profile", DK_LXD_NOT_FOUND},
    {"Image alias not found", DK_LXD_NOT_FOUND},
    {"Image not provided for instance creation", DK_LXD_NOT_FOUND}, /* no image has this fingerprint */
    {"Instance not found", DK_LXD_NOT_FOUND},
    {"Project not found", DK_LXD_NOT_FOUND},
    {"Storage pool not found", DK_LXD_NOT_FOUND},
    {"No root device could be found", DK_LXD_BAD_REQUEST},
    {"a running instance", DK_LXD_BAD_REQUEST},
    {"either directly or via a profile", DK_LXD_BAD_REQUEST}, /* a limit that the project wants to be said */
    {"Invalid ", DK_LXD_BAD_REQUEST},
};

enum dk_lxd_reason dk_lxd_reason_of(int status, const char *words) {
  switch (status) {
  case 401: return DK_LXD_DENIED;
  case 429: return DK_LXD_THROTTLED;
  case 502:
  case 503:
  case 504: return DK_LXD_TRANSIENT;
  default: break;
  }
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strstr(words, known[i].text)) return known[i].reason;
  switch (status) {
  case 400: return DK_LXD_BAD_REQUEST;
  case 403: return DK_LXD_DENIED;
  case 404:
  case 410: return DK_LXD_NOT_FOUND;
  case 408:
  case 412: return DK_LXD_TRANSIENT;
  case 409: return DK_LXD_EXISTS;
  default: return DK_LXD_UNKNOWN;
  }
}
