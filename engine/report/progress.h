/* The model behind the view of a run that is going on: fed with what became of tasks, it gives a frame of lines for a
 * terminal, or plain lines for a pipe. No clock and no I/O of its own: times come from the caller (dk_now_ns scale),
 * text goes to buffers.
 *
 * It keeps counts per template, the list of running tasks, the recent rate, and the best value so far of each pick.
 * What is shown at the end is not here: summary.h reads it from the store, so that `dkrun status` says the same
 * later. */
#ifndef DK_REPORT_PROGRESS_H
#define DK_REPORT_PROGRESS_H

#include "engine/core/event.h"
#include "engine/store/record.h"
#include "lang/plan/plan.h"

struct dk_progress;

struct dk_progress_head {
  uint32_t run;
  const char *commit; /* "a1c33f0" or "a1c33f0+1": as shown; NULL: left out */
  const char *where;  /* "this machine, 2 slots"; NULL: left out */
};

/* `plan` is borrowed and must outlive it; `wanted` (a bit per task, NULL for all) and head are copied. 0 or -ENOMEM. */
int dk_progress_create(struct dk_progress **ret, const struct dk_plan *plan, const uint8_t *wanted,
                       const struct dk_progress_head *head, uint64_t now_ns, struct dk_error *error);
void dk_progress_destroy(struct dk_progress *progress); /* NULL is fine */
/* Changes the text behind the commit ("this machine, 2 slots"): the agent is known later than the run. */
void dk_progress_set_where(struct dk_progress *progress, const char *where);
/* Hosts that get no tasks, for a line below the head of the frame: "down: h3". NULL: none. */
void dk_progress_set_away(struct dk_progress *progress, const char *text);

/* What became of a task. Notes may come in any order and more than once: the state that is noted replaces the one
 * before, so a task that is tried again goes back from RUNNING to BACKOFF. Pick tasks are noted too (DONE, FAILED,
 * NOT_RUN). */
struct dk_progress_note {
  uint32_t task;
  enum dk_task_state state;
  bool started;        /* RUNNING: its process runs; false: queued at the agent */
  enum dk_cause cause; /* FAILED, BACKOFF */
  int32_t code;        /* exit code or signal number */
  uint8_t attempts;    /* made so far */
  uint64_t memory;     /* BACKOFF: limit of the next one, where it was raised; 0: it was not */
  uint64_t wall_ns;    /* DONE, FAILED: of the attempt; 0: unknown */
  const char *text;    /* FAILED: the agent's words, may be NULL or empty; copied */
  const struct dk_metric_values
      *metrics; /* DONE, CACHED: in the order of template.metrics, or NULL; read before it returns */
};
void dk_progress_note(struct dk_progress *progress, uint64_t now_ns, const struct dk_progress_note *note);
/* A decided pick: row of the pick's `from`. */
void dk_progress_choice(struct dk_progress *progress, uint32_t pick_task, const struct dk_choice *choice);
/* Something to tell once ("agent restarted"), without a line end; printed above the frame, or as a plain line. */
void dk_progress_say(struct dk_progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The run goes on without who looks on: `d` is named among the keys. */
void dk_progress_set_can_leave(struct dk_progress *progress, bool can_leave);
/* Why nothing new starts, shown in the last line: "stopping: 2 tasks get 5 s to end, ^C again kills them", "paused:
 * ...". NULL: nothing keeps it. */
void dk_progress_set_stopping(struct dk_progress *progress, const char *text);

struct dk_progress_counts {
  uint32_t total, waiting, running, done, cached, failed, not_run;
}; /* of wanted tasks, picks left out */
void dk_progress_counts(const struct dk_progress *progress, uint32_t node,
                        struct dk_progress_counts *ret); /* UINT32_MAX: all */

/* A frame of at most `height` lines of at most `width` columns, each ended by \n. */
struct dk_progress_view {
  uint32_t width, height;
  bool color, keys /* name the keys in the last line */;
};
void dk_progress_frame(struct dk_progress *progress, uint64_t now_ns, const struct dk_progress_view *view,
                       struct dk_buf *out);

/* Moves the plain lines that are due into `out`. Quick tasks are put together: at most about 20 lines a second, the
 * rest as one summary line ("[612/1000] done 57 tasks"). `flush`: the run is over, nothing is held back. */
enum dk_progress_lines {
  DK_LINES_ALL,
  DK_LINES_IMPORTANT /* failures and dk_progress_say only: those above a frame */
};
void dk_progress_take_lines(struct dk_progress *progress, uint64_t now_ns, enum dk_progress_lines which, bool flush,
                            bool color, struct dk_buf *out);
/* When dk_progress_take_lines has something held back to give (dk_now_ns scale); UINT64_MAX: nothing. */
uint64_t dk_progress_deadline(const struct dk_progress *progress);

#endif
