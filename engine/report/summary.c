/* The end of a run in a screen; see summary.h. */
#include "engine/report/summary.h"
#include "engine/report/cell.h"
#include "engine/report/missing.h"
#include "engine/report/summary_priv.h"
#include "engine/sys/loop.h"
#include "lang/base/number.h"
#include "lang/eval/quantity.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define PIPE_LOG_WIDTH 300

static void count(struct summary *s) {
  const struct dk_plan *plan = s->rows->plan;
  for (uint32_t n = 0; n < plan->n_templates; n++) {
    const struct dk_graph_node *node = &plan->graph.nodes[plan->templates[n].node];
    uint32_t columns = dk_text_columns(plan->templates[n].name, strlen(plan->templates[n].name));
    s->name_width = columns > s->name_width ? columns : s->name_width;
    for (uint32_t t = node->first; plan->templates[n].kind == DK_NODE_TASK && t < node->first + node->rows; t++) {
      switch (s->rows->tasks[t].state) {
      case DK_TASK_DONE: s->done++; break;
      case DK_TASK_CACHED: s->cached++; break;
      case DK_TASK_FAILED: s->failed++; break;
      case DK_TASK_NOT_RUN: s->not_run++; break;
      case DK_TASK_SKIPPED: s->skipped++; break;
      case DK_TASK_CANCELLED: s->cancelled++; break;
      default: s->other++; break;
      }
    }
  }
  s->total = s->rows->run.n_tasks;
  s->name_width = s->name_width + 8 > 40 ? 40 : s->name_width + 8; /* room for "best of 1000" */
}

static void add_part(struct dk_buf *out, bool *any, uint32_t n, const char *word) {
  if (n) {
    dk_buf_printf(out, "%s%u %s", *any ? ", " : "", n, word);
    *any = true;
  }
}

static void head_text(const struct summary *s, struct dk_buf *out) {
  const struct dk_run *run = &s->rows->run;
  bool any = false;
  dk_buf_add_escaped(out, run->name, strlen(run->name));
  if (s->options->is_again) {
    dk_buf_printf(out, "  nothing to do: %u cached", s->done + s->cached);
    any = true;
    add_part(out, &any, s->skipped, "skipped");
    dk_buf_printf(out, ", as in run %u", run->number);
    return;
  }
  dk_buf_printf(out, "  run %u  ", run->number);
  uint32_t ended = s->done + s->cached + s->failed + s->skipped;
  if (run->state == DK_RUN_DONE && !s->failed && !s->not_run) {
    if (s->done == 0)
      dk_buf_printf(out, "nothing to do: %u cached", s->cached);
    else
      dk_buf_printf(out, "done: %u ran, %u cached, 0 failed", s->done, s->cached);
    any = true;
    add_part(out, &any, s->skipped, "skipped");
    return;
  }
  if (s->options->phase != DK_PHASE_ENDED || run->state == DK_RUN_INTERRUPTED) {
    dk_buf_printf(out, "%s: %u of %u ended", dk_run_phase_word(run, s->options->phase), ended,
                  s->total > ended ? s->total : ended);
    any = true;
  }
  add_part(out, &any, s->done, "done");
  add_part(out, &any, s->cached, "cached");
  add_part(out, &any, s->failed, "failed");
  add_part(out, &any, s->not_run, "not run");
  add_part(out, &any, s->skipped, "skipped");
  add_part(out, &any, s->cancelled, "cancelled");
  add_part(out, &any, s->rows->n_running,
           dk_run_phase_is_alive(s->options->phase) ? "running" : "running when it was lost");
  if (!any) {
    dk_buf_add_text(out, "nothing to do");
  }
}

/* Nothing of what could not cost anything. */
static void add_cost(const struct summary *s, struct dk_buf *out) {
  const struct dk_run *run = &s->rows->run;
  struct dk_purse cost;

  if (dk_store_run_cost(s->rows->store, run, dk_unix_ns(), &cost, NULL) < 0) cost = run->cost;
  for (uint32_t i = 0; i < cost.n; i++) {
    dk_buf_add_text(out, i ? " and " : ", cost ");
    dk_quantity_money_text(cost.items[i].currency, cost.items[i].micro, out);
  }
}

static void put_head(struct summary *s) {
  const struct dk_run *run = &s->rows->run;
  dk_autobuf head = DK_BUF_INIT, clock = DK_BUF_INIT;
  head_text(s, &head);
  if (s->options->where && s->done + s->failed > 0) dk_buf_printf(&head, ", on %s", s->options->where);
  if (!s->options->is_again) add_cost(s, &head);
  if (run->ended_unix_ns > run->started_unix_ns && !s->options->is_again) {
    dk_clock_text(run->ended_unix_ns - run->started_unix_ns, &clock);
  }
  dk_buf_inherit(s->out, &head);
  dk_buf_inherit(s->out, &clock);
  enum dk_paint paint = s->failed || s->not_run     ? DK_PAINT_RED
                        : run->state == DK_RUN_DONE ? DK_PAINT_GREEN
                                                    : DK_PAINT_YELLOW;
  uint32_t width = s->width > 76 ? 76 : s->width;
  dk_buf_add_text(s->out, dk_paint_on(s->options->color, paint));
  if (clock.len && head.len + clock.len + 2 <= width) {
    dk_cell_left(s->out, dk_buf_text(&head), head.len, width - (uint32_t)clock.len);
  } else {
    dk_buf_add(s->out, dk_buf_text(&head), head.len);
    dk_buf_add_text(s->out, clock.len ? "  " : "");
  }
  dk_buf_add_text(s->out, dk_buf_text(&clock));
  dk_buf_add_text(s->out, dk_paint_off(s->options->color));
  dk_buf_add_char(s->out, '\n');
}

void dk_summary_name(struct summary *s, const char *name) {
  dk_buf_add_text(s->out, "  ");
  dk_cell_left(s->out, name, strlen(name), s->name_width);
  dk_buf_add_text(s->out, "  ");
}

static void put_metrics(struct summary *s, uint32_t task) {
  uint32_t row;
  const struct dk_template *t = dk_plan_template(s->rows->plan, task, &row);
  const struct dk_metric_values *values = dk_row_metrics(s->rows, task);
  bool any = false;
  for (uint32_t i = 0; values && i < t->n_metrics && i < values->n; i++) {
    const struct dk_metric_value *value = &values->items[i];
    dk_buf_printf(s->out, "%s%s ", any ? ", " : "", t->metrics[i].name);
    if (value->state == DK_METRIC_MISSING) {
      dk_buf_add_char(s->out, '-');
    } else {
      dk_shown_text(value->text ? value->text : "", value->text ? strlen(value->text) : 0, s->out);
    }
    any = true;
  }
  if (!any) {
    dk_buf_add_text(s->out, dk_task_state_word(s->rows->tasks[task].state));
  }
}

struct range {
  uint32_t n, lowest, highest; /* tasks */
  double low, high;
};

static struct range metric_range(struct summary *s, const struct dk_template *t, uint32_t metric) {
  struct range range = {0};
  const struct dk_graph_node *node = &s->rows->plan->graph.nodes[t->node];
  for (uint32_t task = node->first; task < node->first + node->rows; task++) {
    const struct dk_metric_values *values = dk_row_metrics(s->rows, task);
    if (!values || metric >= values->n || values->items[metric].state != DK_METRIC_NUMBER ||
        isnan(values->items[metric].number)) {
      continue;
    }
    double v = values->items[metric].number;
    if (!range.n || v < range.low) {
      range.low = v;
      range.lowest = task;
    }
    if (!range.n || v > range.high) {
      range.high = v;
      range.highest = task;
    }
    range.n++;
  }
  return range;
}

static void put_ranges(struct summary *s, const struct dk_template *t) {
  for (uint32_t i = 0; i < t->n_metrics && i < 3; i++) {
    struct range range = metric_range(s, t, i);
    if (range.n) {
      char low[DK_NUMBER_TEXT], high[DK_NUMBER_TEXT];
      dk_number_text(range.low, low);
      dk_number_text(range.high, high);
      dk_buf_printf(s->out, "  %s %s .. %s", t->metrics[i].name, low, high);
    }
  }
}

static bool is_picked_from(const struct dk_plan *plan, uint32_t template_index) {
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    if (plan->templates[i].kind == DK_NODE_PICK && plan->templates[i].from == template_index) {
      return true;
    }
  }
  return false;
}

static void put_template(struct summary *s, uint32_t index) {
  const struct dk_template *t = &s->rows->plan->templates[index];
  const struct dk_graph_node *node = &s->rows->plan->graph.nodes[t->node];
  uint32_t known = 0, good = 0;
  for (uint32_t task = node->first; task < node->first + node->rows; task++) {
    enum dk_task_state state = s->rows->tasks[task].state;
    known += s->rows->has_record[task];
    good += state == DK_TASK_DONE || state == DK_TASK_CACHED;
  }
  if (!known) {
    return;
  }
  dk_summary_name(s, t->name);
  if (node->rows == 1) {
    put_metrics(s, node->first);
  } else {
    dk_buf_printf(s->out, "%u of %u done", good, node->rows);
    if (!is_picked_from(s->rows->plan, index)) {
      put_ranges(s, t);
    }
  }
  dk_buf_add_char(s->out, '\n');
}

/* An output that no other task uses is what the run was for: the last one of a lone task that made it. */
static bool is_used(const struct dk_plan *plan, uint32_t producer, uint32_t output) {
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    for (uint32_t k = 0; k < plan->templates[i].n_inputs; k++) {
      const struct dk_input *input = &plan->templates[i].inputs[k];
      if (dk_input_is_output(input->kind) && input->producer == producer && input->output == output) return true;
    }
  }
  return false;
}

static void put_get(struct summary *s) {
  const struct dk_plan *plan = s->rows->plan;
  for (uint32_t i = plan->n_templates; i-- > 0;) {
    const struct dk_template *t = &plan->templates[i];
    const struct dk_graph_node *node = &plan->graph.nodes[t->node];
    bool is_one = t->kind == DK_NODE_TASK && node->rows == 1;
    enum dk_task_state state = is_one ? s->rows->tasks[node->first].state : DK_TASK_WAITING;
    for (uint32_t k = 0; k < t->n_outputs && (state == DK_TASK_DONE || state == DK_TASK_CACHED); k++) {
      if (is_used(plan, i, k)) continue;
      dk_buf_printf(s->out, " | dkrun get %s.%s", t->name, t->outputs[k].name);
      return;
    }
  }
}

static void put_next(struct summary *s) {
  const struct dk_run *run = &s->rows->run;
  const struct dk_plan *plan = s->rows->plan;
  dk_buf_add_text(s->out, "\n  next    ");
  for (uint32_t t = 0; t < s->rows->n_tasks; t++) {
    uint32_t row;
    if (s->rows->tasks[t].state == DK_TASK_FAILED && dk_plan_template(plan, t, &row)->kind == DK_NODE_TASK) {
      dk_buf_printf(s->out, "dkrun logs t%u | ", t + 1);
      break;
    }
  }
  enum dk_run_phase phase = s->options->phase;
  if (phase == DK_PHASE_STOPPED) dk_buf_printf(s->out, "dkrun attach %u (goes on) | ", run->number);
  if (phase == DK_PHASE_PAUSED) dk_buf_printf(s->out, "dkrun resume --run %u | ", run->number);
  if (phase == DK_PHASE_INTERRUPTED || (phase == DK_PHASE_ENDED && run->state != DK_RUN_DONE)) {
    dk_run_command(run, s->out);
    dk_buf_add_text(s->out, s->failed ? " (failed ones run again) | " : " (goes on) | ");
  }
  dk_buf_printf(s->out, "dkrun results %u", run->number);
  put_get(s);
  dk_buf_add_char(s->out, '\n');
}

int dk_summary_render(struct dk_row_source *rows, const struct dk_summary_options *options, struct dk_buf *out,
                      struct dk_error *error) {
  struct summary s = {.rows = rows,
                      .options = options,
                      .out = out,
                      .width = options->width ? options->width : 80,
                      .log_width = options->width > 32 ? options->width - 12
                                   : options->width    ? 20
                                                       : PIPE_LOG_WIDTH};
  count(&s);
  put_head(&s);
  for (uint32_t i = 0; i < rows->plan->n_templates; i++) {
    if (rows->plan->templates[i].kind == DK_NODE_TASK) {
      put_template(&s, i);
    } else {
      dk_summary_pick(&s, i);
    }
  }
  dk_summary_failures(&s);
  dk_summary_not_run(&s);
  dk_missing_metrics(rows, "  note    ", out);
  int r = dk_summary_left(&s, error);
  if (r < 0) return r;
  put_next(&s);
  return dk_buf_ok(out) ? dk_row_failure(rows, error) : dk_error_system(error, -ENOMEM, "summing up the run");
}
