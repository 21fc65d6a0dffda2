/* What `dkrun hosts` shows of a host, and how. Included by its files alone. */
#ifndef DK_CLI_HOSTS_ROW_H
#define DK_CLI_HOSTS_ROW_H

#include "engine/cli/hosts.h"

/* A host as it is shown. */
struct dk_hosts_row {
  const struct dk_known_host *host;
  const char *state;
  bool is_counted; /* the numbers are known */
  uint32_t slots, cpus, gpus;
  uint64_t memory, free;
  uint64_t used;    /* UINT64_MAX: not known */
  uint64_t seen_ns; /* since 1970; 0: never */
  const char *gpu;  /* borrowed; "" */
  struct dk_buf system, words;
};

/* The table, what is wrong with those in trouble below it, and how old it is. 0 or -ENOMEM. */
int dk_hosts_add_text(const struct dk_hosts_look *look, const struct dk_hosts_row *rows, size_t n, bool is_asked,
                      struct dk_buf *out);
void dk_hosts_add_json(const struct dk_hosts_look *look, const struct dk_hosts_row *rows, size_t n, bool is_asked,
                       struct dk_buf *out);

#endif
