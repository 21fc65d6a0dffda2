/* The provider contract: where tasks run. First shape: hosts, machines that exist; an agent is started on them and
 * spoken to over a stream. */
#ifndef DK_DRIVE_PROVIDER_H
#define DK_DRIVE_PROVIDER_H

#include "lang/base/error.h"

#include <stdint.h>

struct dk_host_options {
  const char *state;         /* absolute path of .dkrun */
  const char *agent_program; /* absolute path of dkagent */
  uint32_t slots;            /* tasks at a time; 0: the machine's processors */
};

struct dk_provider {
  const char *kind; /* "local" */
  /* A non-blocking stream to the host's agent, which is started if it does not run. The caller closes it. 0 or a
   * negative errno with a message; may take as long as a connection takes. Called again after the stream was lost. */
  int (*connect)(const struct dk_host_options *options, int *ret_fd, struct dk_error *error);
};

/* Ends with a NULL kind. Defined by providers/registry.c; tests link their own. */
extern const struct dk_provider dk_providers[];

#endif
