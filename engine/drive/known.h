/* The hosts as the files of providers have them now, with what the store knows of each. For who looks: the engine has
 * its own (fleet.h). */
#ifndef DK_DRIVE_KNOWN_H
#define DK_DRIVE_KNOWN_H

#include "engine/drive/hosts.h"
#include "engine/store/hosts.h"

struct dk_known_host {
  const struct dk_hosts_entry *entry; /* NULL: no file names it (any more) */
  struct dk_host_record record;       /* of one that the store does not know: zeros and NULLs */
  bool has_record;
  bool is_rented; /* a machine that is rented now: it is in no file */
  /* dk_known_hosts_count: */
  uint32_t n_attempts; /* handed out to it, and not known to have ended */
  uint32_t n_copies;   /* contents that are kept there */
};

struct dk_known_hosts {
  struct dk_known_host *items; /* as in the files, then the others by number */
  uint32_t n;
};

/* `store` NULL: nothing was run yet. `hosts` is borrowed for the life of *ret. 0 or a negative errno with words; finish
 * in any case. */
int dk_known_hosts_load(const struct dk_hosts *hosts, struct dk_store *store, struct dk_known_hosts *ret,
                        struct dk_error *error);
/* Walks all that is kept anywhere. */
int dk_known_hosts_count(struct dk_known_hosts *known, struct dk_store *store, struct dk_error *error);
void dk_known_hosts_finish(struct dk_known_hosts *known);
/* Is what the host of this number keeps to be counted on: is it named now, or rented? dk_store_may_host_fn, `ctx` is a
 * struct dk_known_hosts. */
bool dk_known_hosts_have(void *ctx, uint32_t number);
/* Is it of this name: the host's, or its provider's? */
bool dk_known_host_is(const struct dk_known_host *host, const char *name);
const char *dk_known_host_provider(const struct dk_known_host *host);
const char *dk_known_host_name(const struct dk_known_host *host);
/* Another machine than this one. */
bool dk_known_host_is_remote(const struct dk_known_host *host);

#endif
