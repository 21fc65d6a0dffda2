/* See owner.h. */
#include "engine/drive/owner.h"
#include "lang/base/text.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

void dk_owner_node(char ret[65]) {
  struct utsname system;

  snprintf(ret, 65, "%s", uname(&system) == 0 ? system.nodename : "");
}

void dk_owner_write(const char *root, char ret[DK_CLOUD_OWNER]) {
  const char *user = getenv("LOGNAME");
  char node[65];

  const struct passwd *entry = user && *user ? NULL : getpwuid(geteuid());
  if (entry) user = entry->pw_name;
  if (!user || !dk_utf8_is_valid(user, strlen(user)) || strchr(user, '@')) user = "";
  dk_owner_node(node);
  int len = snprintf(ret, DK_CLOUD_OWNER, "%.64s@%s", user, node);
  bool is_whole = strlen(root) + 1 < DK_CLOUD_OWNER - (size_t)len && dk_utf8_is_valid(root, strlen(root));
  if (is_whole) snprintf(ret + len, DK_CLOUD_OWNER - (size_t)len, ":%s", root);
  if (!dk_utf8_is_valid(ret, strlen(ret))) ret[0] = '\0'; /* a name that was cut, or an odd machine's */
}

const char *dk_owner_path(const char *owner, const char *node) {
  const char *at = strchr(owner, '@');
  size_t len = strlen(node);

  if (!at || len == 0 || strncmp(at + 1, node, len) != 0 || at[1 + len] != ':') return NULL;
  return at[2 + len] == '/' ? at + 2 + len : NULL;
}
