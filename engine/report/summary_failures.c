/* What went wrong in a run: failed tasks with the end of their logs, and what was not run because of them. */
#include "engine/report/cell.h"
#include "engine/report/log.h"
#include "engine/report/summary_priv.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <string.h>

#define LOG_LINES 5
#define SAME_SHOWN 3    /* of those that end alike */
#define WORDED_SHOWN 1  /* of those whose end has words of its own, which say it all (a file that is not declared) */
#define ENDS 64         /* kinds of ends that are told apart, per template */
#define LOOKED_AT 5000u /* failures whose ends are compared; of more the rest is only counted */
#define MAX_DEPTH 64

/* Standard error if something was written there, else standard output. */
static void put_log(struct summary *s, const struct dk_result *result) {
  const struct dk_kept *kept = result->err.size ? &result->err : &result->out;
  struct dk_log log;
  if (!kept->size || dk_log_open_kept(&log, kept, s->rows->objects, NULL) < 0) {
    return;
  }
  dk_log_tail_lines(&log, LOG_LINES, "          | ", s->log_width, s->out, NULL);
  dk_log_finish(&log);
}

/* Where that was, unless the words about it begin with it (what the machine did to a task says of which). */
static void put_host(struct summary *s, const struct dk_task_record *record, const char *text) {
  dk_autobuf host = DK_BUF_INIT;
  dk_row_host(s->rows->store, record, "on ", &host);
  if (host.len && (!text || strncmp(text, dk_buf_text(&host), host.len) != 0)) {
    dk_buf_printf(s->out, "  %s", dk_buf_text(&host));
  }
  dk_buf_inherit(s->out, &host);
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
  put_host(s, record, has_result ? result.text : NULL);
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

/* Failures of one template that look the same: the same cause and words about it, or where there are none the same last
 * line of the log (which of a worded one has the task's own folder, as a rule). */
struct end {
  char *text; /* "exit code 1: last line" */
  uint32_t max, shown, folded;
};

struct ends {
  struct end items[ENDS];
  uint32_t n;
};

/* Returns how many such ends are shown. */
static uint32_t end_text(struct summary *s, uint32_t task, struct dk_buf *out) {
  const struct dk_task_record *record = &s->rows->tasks[task];
  struct dk_result result;
  bool has_result = dk_row_result(s->rows, task, &result, NULL) == 0;
  dk_cause_text(record->cause, record->code, has_result ? result.text : NULL, out);
  if (!has_result) {
    return SAME_SHOWN;
  }
  bool is_worded = record->cause != DK_CAUSE_SIGNAL && result.text && *result.text;
  const struct dk_kept *kept = result.err.size ? &result.err : &result.out;
  struct dk_log log;
  if (!is_worded && kept->size && dk_log_open_kept(&log, kept, s->rows->objects, NULL) == 0) {
    dk_log_tail_lines(&log, 1, ": ", s->log_width, out, NULL);
    dk_log_finish(&log);
    if (out->len && out->data[out->len - 1] == '\n') {
      dk_buf_truncate(out, out->len - 1);
    }
  }
  dk_result_finish(&result);
  return is_worded ? WORDED_SHOWN : SAME_SHOWN;
}

/* NULL: there are too many to tell them apart. */
static struct end *find_end(struct summary *s, struct ends *ends, uint32_t task) {
  dk_autobuf text = DK_BUF_INIT;
  uint32_t max = end_text(s, task, &text);
  for (uint32_t i = 0; i < ends->n; i++) {
    if (strcmp(ends->items[i].text, dk_buf_text(&text)) == 0) {
      return &ends->items[i];
    }
  }
  if (ends->n == ENDS || !text.len || !dk_buf_ok(&text)) {
    return NULL;
  }
  ends->items[ends->n] = (struct end){.text = dk_buf_steal(&text), .max = max};
  return &ends->items[ends->n++];
}

static void put_folded(struct summary *s, const struct ends *ends, const char *name) {
  for (uint32_t i = 0; i < ends->n; i++) {
    if (ends->items[i].folded) {
      dk_buf_printf(s->out, "  and %u more of %s with the same end: %s\n", ends->items[i].folded, name,
                    ends->items[i].text);
    }
  }
}

struct failures {
  uint32_t max, shown, looked_at, left_out, folded;
};

static void template_failures(struct summary *s, struct failures *f, uint32_t template_index) {
  const struct dk_plan *plan = s->rows->plan;
  const struct dk_graph_node *node = &plan->graph.nodes[plan->templates[template_index].node];
  struct ends ends = {.n = 0};
  for (uint32_t t = node->first; t < node->first + node->rows; t++) {
    if (s->rows->tasks[t].state != DK_TASK_FAILED) {
      continue;
    }
    bool may_fold = f->max != UINT32_MAX && f->looked_at++ < LOOKED_AT;
    struct end *end = may_fold ? find_end(s, &ends, t) : NULL;
    if (end && end->shown == end->max) {
      end->folded++;
      f->folded++;
    } else if (f->shown < f->max) {
      dk_buf_add_text(s->out, f->shown++ ? "" : "\n");
      put_failure(s, t);
      if (end) {
        end->shown++;
      }
    } else {
      f->left_out++;
    }
  }
  put_folded(s, &ends, plan->templates[template_index].name);
  for (uint32_t i = 0; i < ends.n; i++) {
    dk_free(ends.items[i].text);
  }
}

void dk_summary_failures(struct summary *s) {
  struct failures f = {.max = s->options->max_failures ? s->options->max_failures : 20};
  for (uint32_t i = 0; i < s->rows->plan->n_templates; i++) {
    template_failures(s, &f, i);
  }
  if (f.left_out) {
    dk_buf_printf(s->out, "  and %u more failed: dkrun status %u --all\n", f.left_out, s->rows->run.number);
  } else if (f.folded) {
    dk_buf_printf(s->out, "  each of them: dkrun status %u --all\n", s->rows->run.number);
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
