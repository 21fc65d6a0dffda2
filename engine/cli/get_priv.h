/* Between get.c (the command, copying) and get_bring.c (what is not here). */
#ifndef DK_CLI_GET_PRIV_H
#define DK_CLI_GET_PRIV_H

#include "engine/cli/look.h"

struct dk_get_options {
  uint32_t run;
  const char *to; /* -o */
  bool has_to, force;
  struct dk_selection selection;
};

struct dk_get {
  struct dk_cli *cli;
  const struct dk_get_options *options;
  struct dk_look look;
  const char *output; /* the one that is asked for; NULL: all of a task */
  uint32_t *tasks, n_tasks;
  uint32_t n_without, without; /* tasks that have no result, and the first of them */
  struct dk_buf made; /* directories that were made for what comes, each with a NUL, a parent before its child */
};

/* get.c */
bool dk_get_is_wanted(const struct dk_get *get, const struct dk_template *t, uint32_t output);
bool dk_get_has_outputs(const struct dk_get *get, uint32_t task);

/* get_bring.c: all that is only at hosts, before anything is copied. 0 or a negative errno with words. */
int dk_get_bring(struct dk_get *get, struct dk_error *error);
/* Words for an output (`name`) of a task that could not be copied with r, -ENOENT or -EBADMSG; returns r. */
int dk_get_lost(const struct dk_get *get, uint32_t task, const struct dk_kept *kept, const char *name, int r,
                struct dk_error *error);

#endif
