/* What ssh says on its stderr, read for its last words: which trouble it is, and what helps. Pure. */
#ifndef DK_PROVIDERS_SSH_TROUBLE_H
#define DK_PROVIDERS_SSH_TROUBLE_H

#include "engine/drive/provider.h"

#include "lang/base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum dk_ssh_trouble_kind {
  DK_SSH_UNCLEAR,
  DK_SSH_DENIED,      /* not let in */
  DK_SSH_KEY_UNKNOWN, /* the host's key is not in known_hosts */
  DK_SSH_KEY_CHANGED, /* another one is */
  DK_SSH_NO_NAME,     /* the name leads to no address */
  DK_SSH_NO_ANSWER,   /* nothing answers there, or no longer */
  DK_SSH_REFUSED,     /* the machine is there, and no ssh server */
  DK_SSH_BAD_CONFIG,  /* ssh's own configuration file */
};

/* Zero to begin with. */
struct dk_ssh_trouble {
  enum dk_ssh_trouble_kind kind; /* of the lines so far */
  char last[300];                /* the last line that says something; printable */
  /* Its own: the line that is being read. */
  char line[300];
  size_t len;
};

void dk_ssh_trouble_feed(struct dk_ssh_trouble *trouble, const char *data, size_t len);
/* Takes what came of the last line as one. */
void dk_ssh_trouble_end(struct dk_ssh_trouble *trouble);

/* Sets error to words and help for a connection to `host` that failed; `status` is ssh's wait status, -1: it still
 * runs. `noise`: what the host's login printed last, NULL or "": nothing. Returns a negative errno. */
int dk_ssh_trouble_explain(const struct dk_ssh_trouble *trouble, const struct dk_host_config *host, int status,
                           const char *noise, struct dk_error *error);

#endif
