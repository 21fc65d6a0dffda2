/* What a run would do, without doing it: for each task cached, to run, or unknown until something that it needs is
 * made; and why. */
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
  /* The most telling reason among its tasks that run: what was known and is no more rather than a point that is new. */
  struct dk_why_answer why;
  uint32_t why_count, why_seen; /* tasks with that reason, of so many that were looked at */
  dk_value_id new_value;        /* NEW_VALUE: the first one on that axis, */
  uint32_t n_new_values;        /* and how many there are among those that were looked at */
  struct dk_buf bad;            /* BAD: the first one's words */
  uint64_t known_wall_ns;       /* sum over cached results, to guess from */
  uint32_t n_known_wall;
};

struct dk_preview {
  uint8_t *states; /* by task, picks too */
  struct dk_preview_template *templates;
  uint32_t n_templates;
};

/* `state` is a dry lookup. `book`: reasons are found; NULL: they are not. `wanted`: by task, what is looked at, with
 * everything that it needs (dk_preview_needs); NULL: all. What is not looked at is LATER. */
int dk_preview_make(struct dk_lookup_state *state, struct dk_why_book *book, const uint8_t *wanted,
                    struct dk_preview *ret, struct dk_error *error);
/* All is cached: known without a look at the tasks (unchanged.h). 0 or -ENOMEM. */
int dk_preview_all_cached(const struct dk_plan *plan, struct dk_preview *ret);
/* Marks what the marked tasks need, and what that needs. 0 or -ENOMEM. */
int dk_preview_needs(const struct dk_plan *plan, uint8_t *wanted);
void dk_preview_finish(struct dk_preview *preview);

#endif
