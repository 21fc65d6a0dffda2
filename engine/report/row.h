/* A run opened for reading: its record, its plan (the pin, or the live one), the tasks' states, and results and metrics
 * fetched when they are asked for. Everything that shows a run (table, summary, status, logs, results) reads it through
 * here.
 *
 * It is a snapshot of states: dk_row_source_refresh reads them anew. One at a time uses the caches; not for threads. */
#ifndef DK_REPORT_ROW_H
#define DK_REPORT_ROW_H

#include "engine/objects/object.h"
#include "engine/store/record.h"
#include "lang/plan/plan.h"

struct dk_row_source {
  struct dk_store *store;           /* borrowed */
  const struct dk_objects *objects; /* borrowed */
  struct dk_run
      run; /* its counts are those of the task records where nobody wrote them (it goes on, or its engine was lost) */
  const struct dk_plan *plan;   /* borrowed (live), or `pin` */
  struct dk_plan *pin;          /* owned; NULL when live */
  struct dk_task_record *tasks; /* n_tasks; one that has no record yet is WAITING with zeros */
  uint32_t n_tasks;
  bool *has_record;             /* per task */
  const bool *chosen;           /* per task, borrowed: which ones tables show; NULL: all */
  uint32_t n_running;           /* tasks whose record says so; of a run whose engine is lost: that were running then */
  struct dk_digest *extractors; /* per template */
  struct dk_metric_values metrics; /* of the task asked for last */
  uint32_t metrics_task;           /* DK_NO_TASK: none */
  struct dk_error failure;         /* the first one of dk_row_metrics and dk_row_choice */
  uint32_t n_damaged;              /* values that they could not read, and that are shown as missing: to be said */
};

/* `run` 0 is the last one. `plan`: the live plan, which must be the one that was pinned; NULL: the pin is read and
 * decoded. -ENOENT: no such run (with the runs there are), -EBADMSG: the pin is damaged. */
int dk_row_source_open(struct dk_row_source *rows, struct dk_store *store, const struct dk_objects *objects,
                       uint32_t run, const struct dk_plan *plan, struct dk_error *error);
int dk_row_source_refresh(struct dk_row_source *rows, struct dk_error *error);
void dk_row_source_finish(struct dk_row_source *rows);

/* "t52 cross_validate c=8 gamma=2"; without the id; the point alone ("c=8 gamma=2", empty without columns). Escaped for
 * display. */
void dk_row_label(const struct dk_row_source *rows, uint32_t task, struct dk_buf *out);
void dk_row_name(const struct dk_plan *plan, uint32_t task, struct dk_buf *out);
void dk_row_point(const struct dk_plan *plan, uint32_t task, struct dk_buf *out);

/* `prefix` and "h2": the other machine where a task runs, or where its last attempt in the run was. Nothing of one that
 * was on this machine, or nowhere. */
void dk_row_host(struct dk_store *store, const struct dk_task_record *record, const char *prefix, struct dk_buf *out);

/* Metric values of a done or cached task, in the order of template.metrics; valid until the next call. NULL: none known
 * (not ended, failed, or not extracted). */
const struct dk_metric_values *dk_row_metrics(struct dk_row_source *rows, uint32_t task);
const struct dk_metric_value *dk_row_metric(struct dk_row_source *rows, uint32_t task,
                                            const char *name); /* NULL: none */
/* Result of an ended task: of the saved result, or of the failed attempt. -ENOENT: it has none. */
int dk_row_result(struct dk_row_source *rows, uint32_t task, struct dk_result *ret, struct dk_error *error);
/* A pick's choice. -ENOENT: not decided. */
int dk_row_choice(struct dk_row_source *rows, uint32_t pick_task, struct dk_choice *ret, struct dk_error *error);
/* What is missing above for want of memory or by an I/O error must not be shown as missing: who has rendered asks here.
 * 0: nothing failed. */
int dk_row_failure(const struct dk_row_source *rows, struct dk_error *error);
/* The row of a pick that belongs to a row of another template: equal in all columns that both have (rank 1 where the
 * other has no rank). DK_NO_ROW: none. */
uint32_t dk_row_pick_row(const struct dk_plan *plan, uint32_t pick, uint32_t template_index, uint32_t row);

/* Escaped, and cut to what fits into a listing (DK_SHOWN_MAX characters, then "..."): a value may be a megabyte. */
#define DK_SHOWN_MAX 300u
void dk_shown_text(const char *text, size_t len, struct dk_buf *out);

const char *
dk_task_state_word(enum dk_task_state state); /* "done", "cached", "failed", "not run", "waiting", "running" ... */
const char *dk_run_state_word(enum dk_run_state state);
/* What makes it again: "dkrun run e.dk -p lr=0.1", for a shell. */
void dk_run_command(const struct dk_run *run, struct dk_buf *out);
/* "exit code 1", "killed by signal 9 (KILL)", "out of memory", "timed out", "output missing: ..." with the agent's text
 * behind it. */
void dk_cause_text(enum dk_cause cause, int32_t code, const char *text, struct dk_buf *out);
/* The lines behind the first one of such a text ("help: ..."), each after `prefix` and with a line end. */
void dk_cause_help(const char *text, const char *prefix, struct dk_buf *out);

#endif
