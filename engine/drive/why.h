/* Why a task runs that has no usable result: what differs from its last one, or what became of it in the last run. */
#ifndef DK_DRIVE_WHY_H
#define DK_DRIVE_WHY_H

#include "engine/drive/lookup.h"

enum dk_why {
  DK_WHY_NONE,
  DK_WHY_NEVER,   /* no result under this name, of any key, and it did not fail in the last run */
  DK_WHY_CHANGED, /* components of the key differ from the last result's */
  DK_WHY_GONE,    /* the same key had a result whose outputs are gone, or it may not be reused (cache = "none") */
  DK_WHY_FAILED,  /* in the last run */
  DK_WHY_STOPPED, /* the last run ended before it did */
};

/* Tasks of the last run that came to nothing, by name. */
struct dk_why_memory {
  uint32_t run;
  struct dk_map map;
  struct dk_why_name *names;
  uint32_t n, cap;
};

/* Reads the last run of this experiment; none, or one that cannot be read, is an empty memory. */
int dk_why_init(struct dk_why_memory *memory, struct dk_lookup_state *state, struct dk_error *error);
void dk_why_finish(struct dk_why_memory *memory);

/* *ret_run: the run of the result that is compared, or in which it failed. `changed`: components, for DK_WHY_CHANGED. */
int dk_why_find(const struct dk_why_memory *memory, struct dk_lookup_state *state, uint32_t task, enum dk_why *ret,
                uint32_t *ret_run, struct dk_buf *changed, struct dk_error *error);

#endif
