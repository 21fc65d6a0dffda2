/* What a run would do, without doing it: for each task cached, to run, or unknown until something that it needs is made; and why. */
#ifndef DK_DRIVE_PREVIEW_H
#define DK_DRIVE_PREVIEW_H

#include "engine/drive/why.h"

enum dk_preview_state {
  DK_PREVIEW_CACHED,
  DK_PREVIEW_RUN,
  DK_PREVIEW_LATER, /* what it needs is not made: its key is not known yet */
  DK_PREVIEW_SKIP,  /* `when` is false */
  DK_PREVIEW_BAD,   /* cannot be handed out */
};

struct dk_preview_template {
  uint32_t by_state[5]; /* of enum dk_preview_state */
  /* The most frequent reason among its tasks that run, and an example of it. */
  enum dk_why why;
  uint32_t why_count, why_seen; /* tasks with that reason, of so many that were looked at */
  uint32_t example;             /* task */
  uint32_t changed_run;         /* the run of the result that is compared, or in which it failed */
  struct dk_buf changed;        /* CHANGED: "code, input train" */
  struct dk_buf bad;            /* BAD: the first one's words */
  uint64_t known_wall_ns;       /* sum over cached results, to guess from */
  uint32_t n_known_wall;
};

struct dk_preview {
  uint8_t *states; /* by task, picks too */
  struct dk_preview_template *templates;
  uint32_t n_templates;
};

/* `state` is a dry lookup. */
int dk_preview_make(struct dk_lookup_state *state, struct dk_preview *ret, struct dk_error *error);
void dk_preview_finish(struct dk_preview *preview);

#endif
