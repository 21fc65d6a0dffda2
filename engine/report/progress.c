/* What happened, counted; see progress.h. Texts are made in progress_frame.c and progress_lines.c. */
#include "engine/report/progress_priv.h"
#include "engine/report/row.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

static enum dk_progress_class class_of(uint8_t state_byte) {
  switch ((enum dk_task_state)(state_byte & 0x7fu)) {
  case DK_TASK_WAITING:
  case DK_TASK_LOOKUP:
  case DK_TASK_READY:
  case DK_TASK_SHARED:
  case DK_TASK_BACKOFF: return CLASS_WAITING;
  case DK_TASK_RUNNING: return state_byte & STARTED ? CLASS_RUNNING : CLASS_WAITING;
  case DK_TASK_DONE: return CLASS_DONE;
  case DK_TASK_CACHED: return CLASS_CACHED;
  case DK_TASK_FAILED: return CLASS_FAILED;
  case DK_TASK_NOT_RUN:
  case DK_TASK_SKIPPED:
  case DK_TASK_CANCELLED: return CLASS_NOT_RUN;
  }
  return CLASS_WAITING;
}

static void count_wanted(struct dk_progress *p) {
  for (uint32_t n = 0; n < p->plan->graph.n_nodes; n++) {
    const struct dk_graph_node *node = &p->plan->graph.nodes[n];
    struct dk_progress_node *info = &p->nodes[n];
    info->total = node->rows;
    if (p->wanted) {
      info->total = 0;
      for (uint32_t t = node->first; t < node->first + node->rows; t++) {
        info->total += dk_progress_is_wanted(p, t);
      }
    }
    info->by_class[CLASS_WAITING] = info->total;
  }
}

int dk_progress_create(struct dk_progress **ret, const struct dk_plan *plan, const uint8_t *wanted,
                       const struct dk_progress_head *head, uint64_t now_ns, struct dk_error *error) {
  struct dk_progress *p = dk_calloc(1, sizeof *p);
  if (!p) {
    return dk_error_system(error, -ENOMEM, "making the view of the run");
  }
  p->plan = plan;
  p->run = head->run;
  p->start_ns = now_ns;
  p->tokens_at_ns = now_ns;
  p->tokens = 20;
  p->commit = head->commit ? dk_strdup(head->commit) : NULL;
  p->where = head->where ? dk_strdup(head->where) : NULL;
  p->wanted = wanted ? dk_memdup(wanted, (plan->graph.n_tasks + 7u) / 8u) : NULL;
  p->state = dk_calloc(plan->graph.n_tasks, 1);
  p->nodes = dk_calloc(plan->graph.n_nodes, sizeof *p->nodes);
  if (!p->state || !p->nodes || (head->commit && !p->commit) || (head->where && !p->where) || (wanted && !p->wanted) ||
      dk_progress_bests_create(p) < 0) {
    dk_progress_destroy(p);
    return dk_error_system(error, -ENOMEM, "making the view of the run");
  }
  count_wanted(p);
  *ret = p;
  return 0;
}

void dk_progress_destroy(struct dk_progress *p) {
  if (!p) {
    return;
  }
  dk_progress_bests_destroy(p);
  dk_progress_told_finish(p);
  for (uint32_t n = 0; p->nodes && n < p->plan->graph.n_nodes; n++) {
    dk_free(p->nodes[n].metrics_text);
  }
  dk_buf_finish(&p->important);
  dk_buf_finish(&p->all);
  dk_free(p->nodes);
  dk_free(p->state);
  dk_free(p->wanted);
  dk_free(p->running);
  dk_free(p->commit);
  dk_free(p->where);
  dk_free(p->away);
  dk_free(p->stopping);
  dk_free(p);
}

static void replace_text(char **text, const char *with) {
  char *copy = with ? dk_strdup(with) : NULL;
  if (with && !copy) {
    return; /* a text for show only: the old one stays */
  }
  dk_free(*text);
  *text = copy;
}

void dk_progress_set_away(struct dk_progress *p, const char *text) {
  replace_text(&p->away, text);
}

void dk_progress_set_where(struct dk_progress *p, const char *where) {
  replace_text(&p->where, where);
}

void dk_progress_set_can_leave(struct dk_progress *p, bool can_leave) {
  p->can_leave = can_leave;
}

void dk_progress_set_stopping(struct dk_progress *p, const char *text) {
  replace_text(&p->stopping, text);
}

static void running_remove(struct dk_progress *p, uint32_t task) {
  for (uint32_t i = 0; i < p->n_running; i++) {
    if (p->running[i].task == task) {
      memmove(p->running + i, p->running + i + 1, (--p->n_running - i) * sizeof *p->running);
      return;
    }
  }
}

static void running_add(struct dk_progress *p, uint32_t task, uint64_t now_ns) {
  if (!dk_grow(p->running, p->n_running, p->cap_running)) {
    return; /* it is missing in the list, its counts are right */
  }
  p->running[p->n_running++] = (struct dk_progress_running){task, now_ns};
}

static void sample(struct dk_progress_node *node, uint64_t now_ns) {
  uint32_t last = (node->next_sample + DK_PROGRESS_SAMPLES - 1) % DK_PROGRESS_SAMPLES;
  if (node->n_samples && now_ns - node->samples[last].at_ns < DK_PROGRESS_SAMPLE_NS) {
    return;
  }
  node->samples[node->next_sample] = (struct dk_progress_sample){now_ns, node->ran};
  node->next_sample = (node->next_sample + 1) % DK_PROGRESS_SAMPLES;
  if (node->n_samples < DK_PROGRESS_SAMPLES) {
    node->n_samples++;
  }
}

double dk_progress_rate(const struct dk_progress_node *node, uint64_t now_ns) {
  const uint64_t second = 1000000000u;
  for (uint32_t i = 0; i < node->n_samples; i++) {
    uint32_t at = (node->next_sample + DK_PROGRESS_SAMPLES - node->n_samples + i) % DK_PROGRESS_SAMPLES;
    const struct dk_progress_sample *s = &node->samples[at];
    /* The oldest sample of the last ten seconds, if enough has happened since. */
    if (now_ns - s->at_ns <= 10 * second && now_ns - s->at_ns >= second && node->ran - s->ran >= 8) {
      return (double)(node->ran - s->ran) / ((double)(now_ns - s->at_ns) / 1e9);
    }
  }
  if (node->ran >= 3 && node->first_start_ns && now_ns > node->first_start_ns + second / 2) {
    return (double)node->ran / ((double)(now_ns - node->first_start_ns) / 1e9);
  }
  return 0;
}

static void keep_metrics_text(struct dk_progress *p, uint32_t node, const struct dk_metric_values *metrics) {
  const struct dk_template *t = &p->plan->templates[node];
  dk_autobuf text = DK_BUF_INIT;
  for (uint32_t i = 0; i < t->n_metrics && i < metrics->n; i++) {
    const struct dk_metric_value *value = &metrics->items[i];
    if (value->state != DK_METRIC_MISSING) {
      dk_buf_printf(&text, "%s%s ", text.len ? ", " : "", t->metrics[i].name);
      dk_shown_text(value->text, strlen(value->text), &text);
    }
  }
  if (text.len) {
    dk_free(p->nodes[node].metrics_text);
    p->nodes[node].metrics_text = dk_buf_steal(&text);
  }
}

void dk_progress_note(struct dk_progress *p, uint64_t now_ns, const struct dk_progress_note *note) {
  uint32_t task = note->task, row;
  if (task >= p->plan->graph.n_tasks || !dk_progress_is_wanted(p, task)) {
    return;
  }
  uint32_t n = dk_graph_node_of(&p->plan->graph, task, &row);
  struct dk_progress_node *node = &p->nodes[n];
  uint8_t old = p->state[task];
  uint8_t new = (uint8_t)((unsigned)note->state | (note->state == DK_TASK_RUNNING && note->started ? STARTED : 0u));
  if (old == new) {
    return;
  }
  enum dk_progress_class from = class_of(old), to = class_of(new);
  p->state[task] = new;
  node->by_class[from]--;
  node->by_class[to]++;
  if (from == CLASS_RUNNING) {
    running_remove(p, task);
  }
  if (to == CLASS_RUNNING) {
    running_add(p, task, now_ns);
  }
  if (!node->first_start_ns && (to == CLASS_RUNNING || to == CLASS_DONE || to == CLASS_FAILED)) {
    node->first_start_ns = now_ns;
  }
  if (to == CLASS_DONE || to == CLASS_FAILED) {
    sample(node, now_ns); /* before it is counted: a rate needs a start */
    node->ran++;
  }
  if (p->plan->templates[n].kind != DK_NODE_TASK) {
    return;
  }
  if (note->metrics && (to == CLASS_DONE || to == CLASS_CACHED)) {
    dk_progress_bests_note(p, task, note->metrics);
    if (node->total == 1) {
      keep_metrics_text(p, n, note->metrics);
    }
  }
  dk_progress_line_note(p, now_ns, note);
}

static void add_counts(const struct dk_progress_node *node, struct dk_progress_counts *ret) {
  ret->total += node->total;
  ret->waiting += node->by_class[CLASS_WAITING];
  ret->running += node->by_class[CLASS_RUNNING];
  ret->done += node->by_class[CLASS_DONE];
  ret->cached += node->by_class[CLASS_CACHED];
  ret->failed += node->by_class[CLASS_FAILED];
  ret->not_run += node->by_class[CLASS_NOT_RUN];
}

void dk_progress_counts(const struct dk_progress *p, uint32_t node, struct dk_progress_counts *ret) {
  *ret = (struct dk_progress_counts){0};
  for (uint32_t n = 0; n < p->plan->graph.n_nodes; n++) {
    if (node == n || (node == UINT32_MAX && p->plan->templates[n].kind == DK_NODE_TASK)) {
      add_counts(&p->nodes[n], ret);
    }
  }
}
