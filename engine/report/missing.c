/* Metrics that found nothing: see missing.h. */
#include "engine/report/missing.h"

#include <string.h>

/* Index among the files that are kept of a task for its metrics: each path once, in the order of the metrics
 * (dk_order.keep_files). */
static uint32_t keep_index(const struct dk_template *t, const char *path) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < t->n_metrics; i++) {
    if (!t->metrics[i].path) continue;
    if (strcmp(t->metrics[i].path, path) == 0) break;
    bool is_new = true;
    for (uint32_t k = 0; k < i && is_new; k++)
      is_new = !t->metrics[k].path || strcmp(t->metrics[k].path, t->metrics[i].path) != 0;
    n += is_new;
  }
  return n;
}

static void add_where(struct dk_row_source *rows, const struct dk_template *t, const struct dk_metric *metric,
                      uint32_t task, struct dk_buf *out) {
  struct dk_result result;
  if (metric->kind == DK_METRIC_MATCH_STDOUT || metric->kind == DK_METRIC_MATCH_STDERR) {
    dk_buf_printf(out, "`dkrun logs t%u %s` shows what it read", task + 1,
                  metric->kind == DK_METRIC_MATCH_STDOUT ? "--out" : "--err");
    return;
  }
  uint32_t at = keep_index(t, metric->path);
  bool has_result = dk_row_result(rows, task, &result, NULL) == 0;
  bool is_gone = has_result && at < result.n_keep_files && result.keep_files[at].is_missing;
  dk_buf_printf(out, "t%u wrote no ", task + 1);
  if (!is_gone) {
    dk_buf_add_text(out, metric->kind == DK_METRIC_MATCH_FILE ? "such line into " : "");
    if (metric->kind != DK_METRIC_MATCH_FILE) {
      dk_buf_add_char(out, '`');
      dk_shown_text(metric->pattern, strlen(metric->pattern), out);
      dk_buf_add_text(out, "` into ");
    }
  }
  dk_buf_add_char(out, '`');
  dk_shown_text(metric->path, strlen(metric->path), out);
  dk_buf_add_char(out, '`');
  if (has_result) dk_result_finish(&result);
}

static void one_metric(struct dk_row_source *rows, uint32_t template_index, uint32_t metric, const char *prefix,
                       struct dk_buf *out) {
  const struct dk_template *t = &rows->plan->templates[template_index];
  const struct dk_graph_node *node = &rows->plan->graph.nodes[t->node];
  uint32_t n = 0, missing = 0, first = 0;
  for (uint32_t task = node->first; task < node->first + node->rows; task++) {
    const struct dk_metric_values *values = dk_row_metrics(rows, task);
    if (!values) continue;
    n++;
    if (metric < values->n && values->items[metric].state != DK_METRIC_MISSING) continue;
    first = missing++ ? first : task;
  }
  if (!missing) return;
  dk_buf_printf(out, "%smetric `%s` ", prefix, t->metrics[metric].name);
  if (node->rows == 1)
    dk_buf_printf(out, "of %s found nothing (", t->name);
  else
    dk_buf_printf(out, "found nothing in %u of %u tasks of %s (", missing, n, t->name);
  dk_buf_add_escaped(out, t->path, strlen(t->path));
  dk_buf_printf(out, ":%u): ", t->metrics[metric].line);
  add_where(rows, t, &t->metrics[metric], first, out);
  dk_buf_add_char(out, '\n');
}

void dk_missing_metrics(struct dk_row_source *rows, const char *prefix, struct dk_buf *out) {
  for (uint32_t i = 0; i < rows->plan->n_templates; i++)
    for (uint32_t k = 0; rows->plan->templates[i].kind == DK_NODE_TASK && k < rows->plan->templates[i].n_metrics; k++)
      one_metric(rows, i, k, prefix, out);
}
