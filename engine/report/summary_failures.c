/* What went wrong in a run: failed tasks with the end of their logs, and what was not run because of them. */
#include "engine/report/cell.h"
#include "engine/report/log.h"
#include "engine/report/summary_priv.h"
#include "lang/base/number.h"

#include <string.h>

#define LOG_LINES 5
#define MAX_DEPTH 64

/* Standard error if something was written there, else standard output. */
static void put_log(struct summary *s, const struct dk_result *result) {
  const struct dk_kept *kept = result->err.size ? &result->err : &result->out;
  struct dk_log log;
  if (!kept->size || dk_log_open_kept(&log, kept, s->rows->objects, NULL) < 0) {
    return;
  }
  dk_log_tail_lines(&log, LOG_LINES, "          | ", s->width > 32 ? s->width - 12 : 20, s->out, NULL);
  dk_log_finish(&log);
}

static void put_failure(struct summary *s, uint32_t task) {
  const struct dk_task_record *record = &s->rows->tasks[task];
  struct dk_result result;
  bool has_result = dk_row_result(s->rows, task, &result, NULL) == 0;
  dk_buf_add_text(s->out, "  ");
  dk_buf_add_text(s->out, dk_paint_on(s->options->color, DK_PAINT_RED));
  dk_buf_add_text(s->out, "FAILED");
  dk_buf_add_text(s->out, dk_paint_off(s->options->color));
  dk_buf_add_text(s->out, "  ");
  dk_row_label(s->rows, task, s->out);
  dk_buf_add_text(s->out, "   ");
  dk_cause_text(record->cause, record->code, has_result ? result.text : NULL, s->out);
  if (has_result && result.wall_ns) {
    char wall[DK_NUMBER_TEXT];
    dk_number_duration_text(result.wall_ns, wall);
    dk_buf_printf(s->out, ", %s", wall);
  }
  if (record->attempts > 1) {
    dk_buf_printf(s->out, ", %u attempts", record->attempts);
  }
  dk_buf_add_char(s->out, '\n');
  if (has_result) {
    dk_cause_help(result.text, "          = ", s->out);
    put_log(s, &result);
    dk_result_finish(&result);
  }
}

void dk_summary_failures(struct summary *s) {
  uint32_t max = s->options->max_failures ? s->options->max_failures : 20, n = 0;
  const struct dk_plan *plan = s->rows->plan;
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    const struct dk_graph_node *node = &plan->graph.nodes[plan->templates[i].node];
    for (uint32_t t = node->first; t < node->first + node->rows; t++) {
      if (s->rows->tasks[t].state == DK_TASK_FAILED && n++ < max) {
        dk_buf_add_text(s->out, n == 1 ? "\n" : "");
        put_failure(s, t);
      }
    }
  }
  if (n > max) {
    dk_buf_printf(s->out, "  and %u more failed: dkrun status %u --all\n", n - max, s->rows->run.number);
  }
}

static bool is_bad(enum dk_task_state state) {
  return state == DK_TASK_FAILED || state == DK_TASK_NOT_RUN || state == DK_TASK_CANCELLED || state == DK_TASK_SKIPPED;
}

/* Why one task was not run: the failed task behind it, or the counts of what it needs all of. */
static void put_reason(struct summary *s, uint32_t task, unsigned depth) {
  const struct dk_graph *graph = &s->rows->plan->graph;
  uint32_t row, n = dk_graph_node_of(graph, task, &row);
  for (uint32_t e = 0; e < graph->nodes[n].n_edges && depth < MAX_DEPTH; e++) {
    const struct dk_edge *edge = &graph->nodes[n].edges[e];
    const struct dk_graph_node *producer = &graph->nodes[edge->producer];
    const uint32_t *list;
    uint32_t first, count = dk_edge_rows(graph, edge, row, &first, &list), there = 0, bad = DK_NO_TASK;
    for (uint32_t i = 0; i < count; i++) {
      uint32_t t = producer->first + (list ? list[i] : first + i);
      enum dk_task_state state = s->rows->tasks[t].state;
      there += state == DK_TASK_DONE || state == DK_TASK_CACHED;
      if (bad == DK_NO_TASK && is_bad(state)) {
        bad = t;
      }
    }
    if (bad == DK_NO_TASK) {
      continue;
    }
    const struct dk_template *t = &s->rows->plan->templates[n];
    const char *name = s->rows->plan->templates[edge->producer].name;
    if (count > 1) {
      dk_buf_printf(s->out, "%s needs all %u points of %s, %u %s there", t->name, count, name, there,
                    there == 1 ? "is" : "are");
    } else if (s->rows->tasks[bad].state == DK_TASK_FAILED &&
               s->rows->plan->templates[edge->producer].kind == DK_NODE_TASK) {
      dk_buf_add_text(s->out, "needs ");
      dk_row_label(s->rows, bad, s->out);
      dk_buf_add_text(s->out, ", which failed");
    } else if (s->rows->tasks[bad].state == DK_TASK_SKIPPED) {
      dk_buf_printf(s->out, "needs %s, which was skipped", name);
    } else {
      put_reason(s, bad, depth + 1);
    }
    return;
  }
  uint32_t ignored;
  if (dk_plan_template(s->rows->plan, task, &ignored)->kind == DK_NODE_PICK) {
    dk_buf_printf(s->out, "%s has no candidate with a value", dk_plan_template(s->rows->plan, task, &ignored)->name);
  } else {
    dk_buf_add_text(s->out, "something that it needs was not made");
  }
}

/* A pick that something else waits for is told there. */
static bool is_told_elsewhere(const struct dk_plan *plan, uint32_t template_index) {
  const struct dk_template *t = &plan->templates[template_index];
  for (uint32_t n = 0; t->kind == DK_NODE_PICK && n < plan->graph.n_nodes; n++) {
    for (uint32_t e = 0; e < plan->graph.nodes[n].n_edges; e++) {
      if (plan->graph.nodes[n].edges[e].producer == t->node) {
        return true;
      }
    }
  }
  return false;
}

void dk_summary_not_run(struct summary *s) {
  const struct dk_plan *plan = s->rows->plan;
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    const struct dk_graph_node *node = &plan->graph.nodes[plan->templates[i].node];
    if (is_told_elsewhere(plan, i)) {
      continue;
    }
    uint32_t n = 0, first = DK_NO_TASK;
    for (uint32_t t = node->first; t < node->first + node->rows; t++) {
      if (s->rows->tasks[t].state == DK_TASK_NOT_RUN) {
        first = n++ ? first : t;
      }
    }
    if (!n) {
      continue;
    }
    dk_buf_add_text(s->out, "  NOT RUN ");
    if (n > 1) {
      dk_buf_printf(s->out, "%u of %s, such as ", n, plan->templates[i].name);
    }
    dk_row_label(s->rows, first, s->out);
    dk_buf_add_text(s->out, ": ");
    put_reason(s, first, 0);
    dk_buf_add_char(s->out, '\n');
  }
}
