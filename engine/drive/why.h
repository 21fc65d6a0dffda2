/* Why a task runs, ran, or is cached: what became of its last result, and which components of its key are others since.
 *
 * A task is compared with the one of its name in the last run of the experiment in which that had a result; when that
 * cannot be found, with the last result under its name. Plans are read from the pins of runs, code from their pinned
 * commits: what cannot be read is told less precisely, never an error. */
#ifndef DK_DRIVE_WHY_H
#define DK_DRIVE_WHY_H

#include "engine/drive/lookup.h"

enum dk_why {
  DK_WHY_NONE,
  DK_WHY_NEVER,     /* no result under this name, of any key, and it did not fail in the last run */
  DK_WHY_NEW_VALUE, /* the same, and a value of it (new_column) occurs in no point of the last run */
  DK_WHY_CHANGED,   /* components of the key differ from the last result's */
  DK_WHY_GONE,      /* the same key had a result that is deleted, altered or damaged */
  DK_WHY_UNCACHED,  /* the same key had a result, which is never used again: cache = "none" */
  DK_WHY_SAME,      /* its result is there */
  DK_WHY_FAILED,    /* in the last run */
  DK_WHY_STOPPED,   /* the last run ended before it did */
};

/* One thing that is otherwise: "`tool.sh` (tool.sh:3)" for lists, "`tool.sh` changed (tool.sh:3)" by itself. Not
 * escaped for display. */
struct dk_reason {
  char *subject, *text;
};

struct dk_why_answer {
  enum dk_why why;
  uint32_t run;        /* that is compared with, made the result, or in which it failed; 0: none */
  uint32_t new_column; /* NEW_VALUE: of the template's points */
  enum dk_cause cause; /* FAILED */
  int32_t code;
  struct dk_buf text; /* GONE: "output `o` is gone from .dkrun/objects"; NEW_VALUE: "lr=0.3 is new (svm.dk:12)" */
  struct dk_reason
      *reasons; /* CHANGED; FAILED and STOPPED: what is otherwise since the last result, which is of `since` */
  uint32_t n_reasons, cap_reasons;
  uint32_t since; /* 0: there is none */
};
void dk_why_answer_finish(struct dk_why_answer *answer);

struct dk_why_book; /* the runs of one experiment, opened as they are asked for */

struct dk_why_options {
  struct dk_store *store; /* NULL: nothing was run yet */
  struct dk_objects *objects;
  const char *state;              /* the state folder: pinned commits are below it */
  const char *experiment;         /* borrowed, like all of these */
  dk_store_may_host_fn *may_host; /* as of dk_lookup_options */
  void *may_host_ctx;
};
int dk_why_create(const struct dk_why_options *options, struct dk_why_book **ret, struct dk_error *error);
void dk_why_destroy(struct dk_why_book *book);

/* Of a task that a run would look up now; what it needs is known. *ret is finished by the caller, also on failure. */
int dk_why_now(struct dk_why_book *book, struct dk_lookup_state *state, uint32_t task, struct dk_why_answer *ret,
               struct dk_error *error);
/* Of a task whose key is not known yet, because something that it needs is not made: only what is otherwise for
 * certain. */
int dk_why_later(struct dk_why_book *book, struct dk_lookup_state *state, uint32_t task, struct dk_why_answer *ret,
                 struct dk_error *error);
/* Of a task in a run that was: the one of the name that `task` has in `plan`, or, with plan NULL, by its number there.
 * *ret_record: how it ended there. SAME: it was cached, from `run`. CHANGED with its reasons, NEVER, NEW_VALUE, or GONE
 * (an equal result could not be used): it ran, or failed. -ENOENT: the task was not reached in that run. */
int dk_why_then(struct dk_why_book *book, uint32_t run, const struct dk_plan *plan, uint32_t task,
                struct dk_why_answer *ret, struct dk_task_record *ret_record, struct dk_error *error);

#endif
