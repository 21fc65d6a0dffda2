/* Names of untracked files that a snapshot never takes: what people keep secrets in. */
#ifndef DK_SOURCE_NAMES_H
#define DK_SOURCE_NAMES_H

#include <stdbool.h>

/* `path` is relative to the repository; any part of it may make it one. */
bool dk_names_is_secret(const char *path);
/* Below .git or .dkrun. */
bool dk_names_is_own(const char *path);

#endif
