/* Texts of `dkrun show`; see show_order.h. */
#include "engine/cli/show_order.h"
#include "engine/report/row.h"
#include "lang/base/number.h"

#include <string.h>

static void add_word(struct dk_buf *out, const char *text) {
  dk_buf_add_shell_word(out, text, strlen(text));
}

static void add_place(const char *path, uint32_t line, struct dk_buf *out) {
  dk_buf_add_escaped(out, path, strlen(path));
  dk_buf_printf(out, ":%u", line);
}

static void add_head(const struct dk_plan *plan, uint32_t task, struct dk_buf *out) {
  uint32_t row;
  const struct dk_template *t = dk_plan_template(plan, task, &row);
  dk_buf_printf(out, "t%u ", task + 1);
  dk_row_name(plan, task, out);
  dk_buf_add_text(out, "   ");
  add_place(t->path, t->line, out);
  dk_buf_add_char(out, '\n');
  if (t->doc && *t->doc) {
    dk_buf_add_text(out, "  ");
    dk_buf_add_escaped(out, t->doc, strlen(t->doc));
    dk_buf_add_char(out, '\n');
  }
}

static void add_needs(const struct dk_plan *plan, const struct dk_template *t, uint32_t row,
                      const struct dk_order *order, struct dk_buf *out) {
  char text[DK_NUMBER_TEXT];
  dk_buf_printf(out, "needs    %u %s", order->cpus, order->cpus == 1 ? "cpu" : "cpus");
  if (order->memory) {
    dk_number_size_text(order->memory, text);
    dk_buf_printf(out, ", %s memory", text);
    const struct dk_retry *retry = &plan->graph.nodes[t->node].retry;
    if (retry->oom > 0 && retry->grow > DK_GROW_NONE)
      dk_buf_printf(out, " (x%g after each oom, %u times)", (double)retry->grow / DK_GROW_NONE, retry->oom);
  }
  if (t->needs.kind == DK_CELL_CONST || t->needs.kind == DK_CELL_COLUMN) {
    dk_value_id id = t->needs.kind == DK_CELL_CONST ? t->needs.value : dk_column_value(&t->needs.column, row);
    dk_autobuf source = DK_BUF_INIT;
    dk_value_source_text(plan->values, id, &source);
    dk_buf_inherit(out, &source);
    dk_buf_add_text(out, "   ");
    dk_buf_add_escaped(out, dk_buf_text(&source), source.len);
  }
  dk_buf_add_char(out, '\n');
  if (order->timeout_ns) {
    dk_number_duration_text(order->timeout_ns, text);
    dk_buf_printf(out, "timeout  %s\n", text);
  }
}

static void add_code(const struct dk_template *t, struct dk_buf *out) {
  dk_buf_add_text(out, "code     ");
  for (uint32_t i = 0; i < t->n_code; i++) {
    dk_buf_add_text(out, i ? " " : "");
    add_word(out, t->code[i]);
  }
  dk_buf_add_text(out, t->n_code ? "\n" : "none: its directory holds nothing of the repository\n");
}

static void add_input(const struct dk_plan *plan, const struct dk_order_input *input, struct dk_buf *out) {
  dk_buf_printf(out, "  %s = ", input->name);
  add_word(out, input->place);
  switch (input->kind) {
  case DK_INPUT_FILE:
    dk_buf_add_text(out, "   file ");
    add_word(out, input->path);
    break;
  case DK_INPUT_OUTPUT:
  case DK_INPUT_GATHER: {
    uint32_t row;
    const struct dk_template *producer = dk_plan_template(plan, input->task, &row);
    dk_buf_printf(out, "   %s of t%u ", producer->outputs[input->output].name, input->task + 1);
    dk_row_name(plan, input->task, out);
    break;
  }
  case DK_INPUT_RECORDS: dk_buf_add_text(out, "   records of the points it gathers, as JSON"); break;
  case DK_INPUT_WRITE: dk_buf_printf(out, "   %zu bytes that the file says", input->n_bytes); break;
  case DK_INPUT_MOUNT:
    dk_buf_add_text(out, "   mount ");
    add_word(out, input->path);
    dk_buf_add_text(out, ", version ");
    dk_buf_add_escaped(out, input->version ? input->version : "", input->version ? strlen(input->version) : 0);
    break;
  case DK_INPUT_URL: dk_buf_add_text(out, "   url"); break;
  }
  dk_buf_add_char(out, '\n');
}

static void add_metrics(const struct dk_template *t, struct dk_buf *out) {
  static const char *const kinds[] = {"match in stdout", "match in stderr", "match in", "json", "csv"};
  for (uint32_t i = 0; i < t->n_metrics; i++) {
    const struct dk_metric *metric = &t->metrics[i];
    dk_buf_printf(out, "%s  %s = %s", i ? "" : "metrics\n", metric->name, kinds[metric->kind]);
    if (metric->path) {
      dk_buf_add_char(out, ' ');
      dk_buf_add_escaped(out, metric->path, strlen(metric->path));
    }
    dk_buf_add_text(out, ": ");
    dk_buf_add_escaped(out, metric->pattern, strlen(metric->pattern));
    dk_buf_add_char(out, '\n');
  }
}

static void add_environment(const struct dk_order *order, struct dk_buf *out) {
  bool any = order->n_env || order->n_secrets || order->n_pass;
  dk_buf_add_text(out, any ? "env\n" : "");
  for (uint32_t i = 0; i < order->n_env; i++) {
    dk_buf_printf(out, "  %s=", order->env_names[i]);
    add_word(out, order->env_values[i]);
    dk_buf_add_char(out, '\n');
  }
  for (uint32_t i = 0; i < order->n_secrets; i++) {
    dk_buf_printf(out, "  %s   secret, from your environment\n", order->secrets[i]);
  }
  for (uint32_t i = 0; i < order->n_pass; i++) {
    dk_buf_printf(out, "  %s   passed on from your environment\n", order->pass[i]);
  }
}

/* Newlines and tabs are the script's lines; anything else that a terminal would act on is escaped. */
static void add_script(const char *script, struct dk_buf *out) {
  while (*script) {
    size_t len = strcspn(script, "\n");
    dk_buf_add_text(out, len ? "  " : "");
    for (size_t at = 0; at < len;) {
      size_t run = strcspn(script + at, "\t\n");
      run = run < len - at ? run : len - at;
      dk_buf_add_escaped(out, script + at, run);
      at += run;
      if (at < len) {
        dk_buf_add_char(out, '\t');
        at++;
      }
    }
    dk_buf_add_char(out, '\n');
    script += len + (script[len] == '\n');
  }
}

static void add_run(const struct dk_order *order, struct dk_buf *out) {
  dk_buf_add_text(out, "run     ");
  for (uint32_t i = 0; i < order->n_argv; i++) {
    dk_buf_add_char(out, ' ');
    add_word(out, order->argv[i]);
  }
  dk_buf_add_text(out, order->script ? " -c\n" : "\n");
  if (order->script) {
    add_script(order->script, out);
  }
}

void dk_show_order(const struct dk_plan *plan, uint32_t task, const struct dk_order *order, struct dk_buf *out) {
  uint32_t row;
  const struct dk_template *t = dk_plan_template(plan, task, &row);
  add_head(plan, task, out);
  if (order->skip) {
    dk_buf_add_text(out, "skipped  `when` is false at this point\n");
    return;
  }
  add_needs(plan, t, row, order, out);
  add_code(t, out);
  for (uint32_t i = 0; i < order->n_inputs; i++) {
    dk_buf_add_text(out, i ? "" : "inputs\n");
    add_input(plan, &order->inputs[i], out);
  }
  for (uint32_t i = 0; i < order->n_outputs; i++) {
    dk_buf_printf(out, "%s  %s = ", i ? "" : "outputs\n", order->outputs[i].name);
    add_word(out, order->outputs[i].path);
    dk_buf_add_text(out, order->outputs[i].is_dir ? "   a directory\n" : "\n");
  }
  add_metrics(t, out);
  add_environment(order, out);
  add_run(order, out);
}

static void add_producers(const struct dk_plan *plan, const struct dk_graph_node *node, struct dk_buf *out) {
  for (uint32_t i = 0; i < node->n_edges; i++) {
    bool seen = false;
    for (uint32_t j = 0; j < i && !seen; j++) {
      seen = node->edges[j].producer == node->edges[i].producer;
    }
    if (!seen) {
      dk_buf_printf(out, "%s%s", i ? ", " : "", plan->templates[node->edges[i].producer].name);
    }
  }
}

void dk_show_late(const struct dk_plan *plan, uint32_t task, struct dk_buf *out) {
  uint32_t row;
  const struct dk_template *t = dk_plan_template(plan, task, &row);
  add_head(plan, task, out);
  add_code(t, out);
  add_metrics(t, out);
  dk_buf_add_text(out, "waits for ");
  add_producers(plan, &plan->graph.nodes[t->node], out);
  dk_buf_add_text(out, ": its script and inputs hold values that no run of this plan has decided yet\n"
                       "help: after `dkrun run` they are shown here\n");
}

void dk_show_pick(const struct dk_plan *plan, uint32_t task, struct dk_buf *out) {
  uint32_t row;
  const struct dk_template *pick = dk_plan_template(plan, task, &row), *from = &plan->templates[pick->from];
  add_head(plan, task, out);
  dk_buf_printf(out, "a pick: it runs nothing, it chooses from %u points of %s by the %s %s\n", from->points.rows,
                from->name, pick->is_max ? "highest" : "lowest", from->metrics[pick->metric].name);
}

void dk_show_templates(const struct dk_plan *plan, struct dk_buf *out) {
  size_t width = 4;
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    size_t len = strlen(plan->templates[i].name);
    width = len > width ? len : width;
  }
  dk_buf_printf(out, "%-*s  %8s  ids\n", (int)width, "task", "points");
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    const struct dk_template *t = &plan->templates[i];
    const struct dk_graph_node *node = &plan->graph.nodes[t->node];
    dk_buf_printf(out, "%-*s  %8u  ", (int)width, t->name, node->rows);
    if (node->rows > 1) {
      dk_buf_printf(out, "t%u..t%u", node->first + 1, node->first + node->rows);
    } else if (node->rows == 1) {
      dk_buf_printf(out, "t%u", node->first + 1);
    }
    dk_buf_add_text(out, t->kind == DK_NODE_PICK ? "   a pick" : "");
    if (t->doc && *t->doc) {
      dk_buf_add_text(out, "   ");
      dk_buf_add_escaped(out, t->doc, strlen(t->doc));
    }
    dk_buf_add_char(out, '\n');
  }
}
