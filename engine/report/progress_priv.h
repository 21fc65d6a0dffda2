/* The progress model's state, shared by progress.c (what happened), progress_best.c (picks), progress_frame.c and
 * progress_lines.c (text). */
#ifndef DK_REPORT_PROGRESS_PRIV_H
#define DK_REPORT_PROGRESS_PRIV_H

#include "engine/report/group.h"
#include "engine/report/progress.h"
#include "lang/base/number.h"

#define DK_PROGRESS_SAMPLES 32
#define DK_PROGRESS_SAMPLE_NS 300000000u /* so that the samples reach back about 10 s */

enum dk_progress_class {
  CLASS_WAITING,
  CLASS_RUNNING,
  CLASS_DONE,
  CLASS_CACHED,
  CLASS_FAILED,
  CLASS_NOT_RUN,
  N_CLASSES
};

struct dk_progress_sample {
  uint64_t at_ns;
  uint32_t ran; /* tasks of the node that had ended by running, then */
};

struct dk_progress_node {
  uint32_t total, by_class[N_CLASSES]; /* of wanted tasks */
  uint32_t ran;                        /* ended by running in this run, retries not counted */
  uint64_t first_start_ns;             /* 0: nothing started yet */
  struct dk_progress_sample samples[DK_PROGRESS_SAMPLES];
  uint32_t n_samples, next_sample;
  char *metrics_text; /* "accuracy 96.1" of a node with one wanted task, once it is done */
};

/* The best candidate of a pick so far. */
struct dk_progress_best {
  uint32_t pick; /* template */
  bool has, is_final;
  uint32_t row; /* of the pick's `from`; with mean_over the first row of the group */
  double score;
  char text[DK_NUMBER_TEXT];
  struct dk_groups groups; /* with mean_over: the candidates, else zeroed */
  uint32_t *left;          /* per group: points without a value yet */
  double *sum;
  bool *counted; /* per row of `from`: its value is in already */
};

struct dk_progress_running {
  uint32_t task;
  uint64_t since_ns;
};

struct dk_progress_told {
  uint32_t node, n;
  char *text;
};
#define DK_PROGRESS_TOLD 32u

struct dk_progress {
  const struct dk_plan *plan;
  uint32_t run;
  char *commit, *where, *away, *stopping;
  bool can_leave;
  uint64_t start_ns;
  uint8_t *wanted;                /* bit per task, or NULL */
  uint8_t *state;                 /* enum dk_task_state | STARTED per task */
  struct dk_progress_node *nodes; /* per template */
  struct dk_progress_best *bests;
  uint32_t n_bests;
  struct dk_progress_running *running;
  uint32_t n_running, cap_running;

  /* lines.c */
  struct dk_buf important, all; /* lines waiting to be taken: of the one kind, of both in order */
  uint32_t held_done, held_cached, held_not_run, held_failed;
  uint64_t held_since_ns; /* 0: nothing is held */
  uint32_t failures_told;
  struct dk_progress_told *told; /* wordings of failures so far; DK_PROGRESS_TOLD of them at most */
  uint32_t n_told;
  double tokens;
  uint64_t tokens_at_ns;
};

#define STARTED 0x80u
static inline bool dk_progress_is_wanted(const struct dk_progress *p, uint32_t task) {
  return !p->wanted || (p->wanted[task / 8] >> (task % 8) & 1);
}
static inline uint32_t dk_progress_ended(const struct dk_progress_node *node) {
  return node->by_class[CLASS_DONE] + node->by_class[CLASS_CACHED] + node->by_class[CLASS_FAILED] +
         node->by_class[CLASS_NOT_RUN];
}

/* progress_best.c */
int dk_progress_bests_create(struct dk_progress *p);
void dk_progress_bests_destroy(struct dk_progress *p);
void dk_progress_bests_note(struct dk_progress *p, uint32_t task, const struct dk_metric_values *metrics);

/* progress_lines.c: a note became the task's state; `now` is its time. */
void dk_progress_line_note(struct dk_progress *p, uint64_t now_ns, const struct dk_progress_note *note);

void dk_progress_told_finish(struct dk_progress *p);

/* Tasks of a node per second, recently; 0: too little is known. */
double dk_progress_rate(const struct dk_progress_node *node, uint64_t now_ns);

#endif
