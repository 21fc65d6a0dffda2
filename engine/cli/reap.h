/* What the files of `dkrun reap` share. */
#ifndef DK_CLI_REAP_H
#define DK_CLI_REAP_H

#include "engine/cli/clouds.h"
#include "engine/drive/reap.h"

struct dk_reap_cloud {
  const struct dk_cloud_entry *entry;
  struct dk_clouds_line line; /* closed: it cannot be asked */
};

struct dk_reap {
  struct dk_cli *cli;
  const char *provider; /* NULL: all */
  uint64_t young_ns;
  bool yes;
  uint8_t (*given)[16]; /* stores that people named */
  uint32_t n_given, cap_given;
  struct dk_hosts hosts;
  struct dk_reap_cloud *clouds; /* a place once */
  uint32_t n_clouds;
  struct dk_reap_machine *machines;
  uint32_t n_machines, cap_machines;
  struct dk_reap_store *stores;
  uint32_t n_stores, cap_stores;
  char **texts; /* of machines */
  uint32_t n_texts, cap_texts;
  bool has_failed; /* something could not be asked or done: it was said */
  bool is_full;    /* no memory for all of it */
};

/* reap_look.c: asks the clouds, then reads the stores. What cannot be asked is said. An exit code. */
int dk_reap_look(struct dk_reap *reap);
void dk_reap_close(struct dk_reap *reap);
uint32_t dk_reap_n_due(const struct dk_reap *reap);

/* reap_show.c */
void dk_reap_show(const struct dk_reap *reap, struct dk_buf *out);

#endif
