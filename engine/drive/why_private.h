/* What the files of `why` share: runs opened, and a task of one of them or of now as a side of a comparison. Included
 * by nobody else. */
#ifndef DK_DRIVE_WHY_PRIVATE_H
#define DK_DRIVE_WHY_PRIVATE_H

#include "engine/drive/why.h"

struct dk_why_run {
  uint32_t number;
  bool is_bad; /* no run of this experiment, or its plan cannot be read */
  struct dk_run run;
  struct dk_plan *pin;
  struct dk_map names; /* of the tasks of the templates in has_names, by name */
  bool *has_names;     /* by template */
  struct dk_code_repo *code;
  bool code_tried;
};

struct dk_why_book {
  struct dk_why_options with;
  struct dk_why_run **runs; /* opened ones */
  uint32_t n_runs, cap_runs;
  uint32_t last; /* last run in the store, 0: none */
};

/* NULL: it cannot be read, or is of another experiment. -ENOMEM in *ret_r only. */
struct dk_why_run *dk_why_open(struct dk_why_book *book, uint32_t number, int *ret_r);
/* The last run of this experiment before `before` (0: of all). */
struct dk_why_run *dk_why_last(struct dk_why_book *book, uint32_t before, int *ret_r);
/* The task of that name in the run; UINT32_MAX: none. */
uint32_t dk_why_task_of(struct dk_why_run *run, const struct dk_plan *plan, uint32_t task, int *ret_r);
/* NULL: it cannot be had. */
struct dk_code_repo *dk_why_code_of(struct dk_why_book *book, struct dk_why_run *run);

struct dk_why_side {
  const struct dk_plan *plan;
  uint32_t task;
  struct dk_why_run *run;         /* NULL: now */
  struct dk_lookup_state *lookup; /* now; NULL of a run */
  const struct dk_key_part *parts;
  uint32_t n_parts; /* 0: not known: only what the plans and the code tell is compared */
};

int dk_why_add(struct dk_why_answer *answer, const char *path, uint32_t line, const char *subject, const char *text);
/* Adds what differs to the answer's reasons. 0 or -ENOMEM. */
int dk_why_compare(struct dk_why_book *book, const struct dk_why_side *before, const struct dk_why_side *now,
                   struct dk_why_answer *answer);
/* why_input.c: the contents of an input whose declaration is the same. */
int dk_why_input(struct dk_why_book *book, const struct dk_why_side *before, const struct dk_why_side *now,
                 const char *name, struct dk_why_answer *answer);
/* The code of a side; NULL: it cannot be had. */
struct dk_code_repo *dk_why_side_code(struct dk_why_book *book, const struct dk_why_side *side);
/* Files that differ: "`train.py` changed (train.py:12)". *ret_told: some did. */
int dk_why_files(const struct dk_code_side *before, const struct dk_code_side *now, struct dk_why_answer *answer,
                 bool *ret_told);

#endif
