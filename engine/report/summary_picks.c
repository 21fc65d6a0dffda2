/* What each pick chose, and what came next to it. */
#include "engine/report/group.h"
#include "engine/report/summary_priv.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define RUNNERS_UP 2
#define PICK_LINES 5

/* Candidates of a pick in the order it ranks them. */
struct candidate {
  uint32_t row; /* first one of it */
  double score;
};

static void insert(struct candidate *top, uint32_t *n, uint32_t max, struct candidate c, bool is_max) {
  uint32_t at = *n;
  while (at > 0 && (is_max ? c.score > top[at - 1].score : c.score < top[at - 1].score)) {
    at--;
  }
  if (at >= max) {
    return;
  }
  uint32_t last = *n < max ? (*n)++ : max - 1;
  for (uint32_t i = last; i > at; i--) {
    top[i] = top[i - 1];
  }
  top[at] = c;
}

static void put_metric_text(struct summary *s, uint32_t task, const char *metric) {
  const struct dk_metric_value *value = dk_row_metric(s->rows, task, metric);
  if (value && value->text) {
    dk_shown_text(value->text, strlen(value->text), s->out);
  } else {
    dk_buf_add_char(s->out, '-');
  }
}

/* The score as it is told: a program's own text, or a mean. */
static void put_score(struct summary *s, const struct dk_template *pick, uint32_t from_row, double score) {
  const struct dk_plan *plan = s->rows->plan;
  const struct dk_template *from = &plan->templates[pick->from];
  char text[DK_NUMBER_TEXT];
  if (pick->n_mean_over) {
    dk_mean_text(score, text);
    dk_buf_add_text(s->out, text);
  } else {
    put_metric_text(s, plan->graph.nodes[from->node].first + from_row, from->metrics[pick->metric].name);
  }
}

static void put_mean_over(struct summary *s, const struct dk_template *pick) {
  const struct dk_template *from = &s->rows->plan->templates[pick->from];
  for (uint32_t i = 0; i < pick->n_mean_over; i++) {
    dk_buf_printf(s->out, "%s%s", i ? ", " : " (mean over ", from->points.columns[pick->mean_over[i]].name);
  }
  dk_buf_add_text(s->out, pick->n_mean_over ? ")" : "");
}

/* The number that counts for a row, or NaN. */
static double row_score(struct summary *s, const struct dk_template *pick, uint32_t from_row) {
  const struct dk_template *from = &s->rows->plan->templates[pick->from];
  uint32_t task = s->rows->plan->graph.nodes[from->node].first + from_row;
  const struct dk_metric_values *values = dk_row_metrics(s->rows, task);
  return values && pick->metric < values->n && values->items[pick->metric].state == DK_METRIC_NUMBER
             ? values->items[pick->metric].number
             : (double)NAN;
}

/* The best ones but the chosen. A candidate that lacks a value at one of its points is none: NaN sums to NaN. */
static int find_runners_up(struct summary *s, const struct dk_template *pick, uint32_t chosen_row,
                           struct candidate top[RUNNERS_UP], uint32_t *ret_n) {
  struct dk_groups groups;
  int r = dk_groups_create(&groups, s->rows->plan, pick);
  dk_autofree double *sum = r == 0 ? dk_calloc(groups.n + 1u, sizeof *sum) : NULL;
  *ret_n = 0;
  if (r < 0 || !sum) {
    dk_groups_finish(&groups);
    return -ENOMEM;
  }
  for (uint32_t row = 0; row < s->rows->plan->templates[pick->from].points.rows; row++) {
    sum[groups.of_row[row]] += row_score(s, pick, row);
  }
  for (uint32_t g = 0; g < groups.n; g++) {
    struct candidate c = {groups.first_row[g], sum[g] / groups.size[g]};
    if (!isnan(c.score) && g != groups.of_row[chosen_row]) {
      insert(top, ret_n, RUNNERS_UP, c, pick->is_max);
    }
  }
  dk_groups_finish(&groups);
  return 0;
}

static void put_runners_up(struct summary *s, const struct dk_template *pick, uint32_t chosen_row) {
  struct candidate top[RUNNERS_UP];
  uint32_t n;
  if (find_runners_up(s, pick, chosen_row, top, &n) < 0) {
    s->out->failed = true;
    return;
  }
  for (uint32_t i = 0; i < n; i++) {
    if (i == 0) {
      dk_summary_name(s, "");
    }
    dk_buf_add_text(s->out, i ? ", " : "next: ");
    put_score(s, pick, top[i].row, top[i].score);
    dk_buf_add_text(s->out, " (");
    dk_candidate_point(s->rows->plan, pick, top[i].row, true, s->out);
    dk_buf_add_char(s->out, ')');
  }
  dk_buf_add_text(s->out, n ? "\n" : "");
}

/* "set=a rank=2: ", of a pick that chooses more than once. */
static void put_pick_point(struct summary *s, uint32_t pick_task) {
  dk_autobuf point = DK_BUF_INIT;
  dk_row_point(s->rows->plan, pick_task, &point);
  dk_buf_inherit(s->out, &point);
  if (point.len) {
    dk_buf_printf(s->out, "%s: ", dk_buf_text(&point));
  }
}

static void put_choice(struct summary *s, uint32_t index, uint32_t row) {
  const struct dk_plan *plan = s->rows->plan;
  const struct dk_template *pick = &plan->templates[index], *from = &plan->templates[pick->from];
  uint32_t pick_task = plan->graph.nodes[pick->node].first + row;
  struct dk_choice choice;
  dk_autobuf name = DK_BUF_INIT;
  dk_buf_add_text(&name, pick->name);
  if (dk_row_choice(s->rows, pick_task, &choice, NULL) < 0 || choice.row >= from->points.rows) {
    if (s->rows->has_record[pick_task]) {
      dk_summary_name(s, dk_buf_text(&name));
      put_pick_point(s, pick_task);
      dk_buf_printf(s->out, "%s\n", dk_task_state_word(s->rows->tasks[pick_task].state));
    }
    return;
  }
  dk_buf_printf(&name, " of %u", choice.n_candidates);
  dk_buf_inherit(s->out, &name);
  dk_summary_name(s, dk_buf_text(&name));
  put_pick_point(s, pick_task);
  dk_candidate_point(plan, pick, choice.row, false, s->out);
  dk_buf_printf(s->out, "    %s ", from->metrics[pick->metric].name);
  put_score(s, pick, choice.row, choice.score);
  put_mean_over(s, pick);
  dk_buf_add_char(s->out, '\n');
  if (pick->points.rows == 1) {
    put_runners_up(s, pick, choice.row);
  }
}

void dk_summary_pick(struct summary *s, uint32_t index) {
  uint32_t rows = s->rows->plan->templates[index].points.rows;
  for (uint32_t row = 0; row < rows && row < PICK_LINES; row++) {
    put_choice(s, index, row);
  }
  if (rows > PICK_LINES) {
    dk_summary_name(s, "");
    dk_buf_printf(s->out, "and %u more\n", rows - PICK_LINES);
  }
}
