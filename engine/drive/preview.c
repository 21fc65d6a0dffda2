/* What a run would do: see preview.h. The same lookups as a run, in topological order. */
#include "engine/drive/preview.h"

#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

/* Nodes in an order in which producers come first. Cycles between nodes were refused by the plan. */
static int topological(const struct dk_graph *graph, uint32_t **ret) {
  uint32_t *order = dk_calloc(graph->n_nodes + 1, sizeof *order);
  uint8_t *done = dk_calloc(graph->n_nodes + 1, 1);
  uint32_t n = 0;
  bool moved = true;

  if (!order || !done) {
    dk_free(order);
    dk_free(done);
    return -ENOMEM;
  }
  while (n < graph->n_nodes && moved) {
    moved = false;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
      bool ready = !done[i];
      for (uint32_t e = 0; ready && e < graph->nodes[i].n_edges; e++)
        ready = done[graph->nodes[i].edges[e].producer] || graph->nodes[i].edges[e].producer == i;
      if (ready) {
        done[i] = 1;
        order[n++] = i;
        moved = true;
      }
    }
  }
  dk_free(done);
  *ret = order;
  return 0;
}

static bool is_made(enum dk_preview_state state) {
  return state == DK_PREVIEW_CACHED || state == DK_PREVIEW_SKIP;
}

static bool needs_are_made(const struct dk_graph *graph, const uint8_t *states, const struct dk_graph_node *node,
                           uint32_t row) {
  for (uint32_t e = 0; e < node->n_edges; e++) {
    const struct dk_edge *edge = &node->edges[e];
    uint32_t base = graph->nodes[edge->producer].first, first = 0;
    const uint32_t *list;
    uint32_t n = dk_edge_rows(graph, edge, row, &first, &list);
    for (uint32_t i = 0; i < n; i++) {
      if (!is_made(states[base + (list ? list[i] : first + i)])) return false;
    }
  }
  return true;
}

/* Reasons are looked for in the first tasks of a template only: a person reads one line of them. */
#define MAX_WHY 1000u

/* Values that are new on one axis are counted once each; they come in grid order, so equal ones mostly follow each
 * other. */
static void count_new_value(const struct dk_plan *plan, uint32_t index, struct dk_preview_template *t, uint32_t task,
                            const struct dk_why_answer *answer, dk_value_id *last) {
  const struct dk_points *points = &plan->templates[index].points;
  dk_value_id value = dk_column_value(&points->columns[answer->new_column], task - plan->graph.nodes[index].first);

  if (answer->new_column != t->why.new_column || value == *last) return;
  if (t->n_new_values++ == 0) t->new_value = value;
  *last = value;
}

static int count_why(struct dk_lookup_state *state, struct dk_why_book *book, uint32_t index,
                     struct dk_preview_template *t, uint32_t task, dk_value_id *last, struct dk_error *error) {
  struct dk_why_answer answer;
  int r;

  if (!book || t->why_seen == MAX_WHY) return 0;
  t->why_seen++;
  r = dk_why_now(book, state, task, &answer, error);
  if (r < 0) {
    dk_why_answer_finish(&answer);
    return r;
  }
  bool is_new = answer.why == DK_WHY_NEVER || answer.why == DK_WHY_NEW_VALUE;
  bool was_new = t->why.why == DK_WHY_NEVER || t->why.why == DK_WHY_NEW_VALUE;
  bool same = answer.why == t->why.why;
  if (t->why.why == DK_WHY_NONE || (was_new && !is_new) ||
      (t->why.why == DK_WHY_NEVER && answer.why == DK_WHY_NEW_VALUE)) {
    dk_why_answer_finish(&t->why);
    t->why = answer;
    t->why_count = 0;
    answer = (struct dk_why_answer){.why = t->why.why, .new_column = t->why.new_column};
    same = true;
  }
  t->why_count += same;
  if (same && answer.why == DK_WHY_NEW_VALUE) count_new_value(state->with.plan, index, t, task, &answer, last);
  dk_why_answer_finish(&answer);
  return 0;
}

static int preview_task(struct dk_lookup_state *state, struct dk_why_book *book, struct dk_preview *preview,
                        uint32_t task, dk_value_id *last, struct dk_error *error) {
  const struct dk_plan *plan = state->with.plan;
  uint32_t row;
  uint32_t index = dk_graph_node_of(&plan->graph, task, &row);
  struct dk_preview_template *t = &preview->templates[index];
  struct dk_error why = {0};
  enum dk_lookup answer;
  struct dk_digest key;
  int r;

  if (!needs_are_made(&plan->graph, preview->states, &plan->graph.nodes[index], row)) {
    preview->states[task] = DK_PREVIEW_LATER;
    return 0;
  }
  if (plan->templates[index].kind == DK_NODE_PICK) {
    r = dk_lookup_decide(state, task, &why);
    preview->states[task] = r == 0 ? DK_PREVIEW_CACHED : DK_PREVIEW_BAD;
    if (r == -ENOENT && t->bad.len == 0) dk_buf_add_text(&t->bad, why.text);
    return r == -ENOENT ? 0 : r;
  }
  r = dk_lookup_task(state, task, &answer, &key, &why);
  if (r == -EAGAIN)
    answer = DK_LOOKUP_BAD;
  else if (r < 0)
    return dk_error_set(error, r, "%s", why.text);
  switch (answer) {
  case DK_LOOKUP_HIT:
  case DK_LOOKUP_OWN:
    preview->states[task] = DK_PREVIEW_CACHED;
    t->known_wall_ns += state->facts[task]->wall_ns;
    t->n_known_wall++;
    return 0;
  case DK_LOOKUP_SKIP: preview->states[task] = DK_PREVIEW_SKIP; return 0;
  case DK_LOOKUP_BAD:
    preview->states[task] = DK_PREVIEW_BAD;
    if (t->bad.len == 0) dk_buf_add_text(&t->bad, why.text);
    return 0;
  case DK_LOOKUP_MISS: break;
  }
  preview->states[task] = DK_PREVIEW_RUN;
  return count_why(state, book, index, t, task, last, error);
}

/* All states are CACHED, which is 0. */
static int create(const struct dk_plan *plan, struct dk_preview *ret) {
  *ret = (struct dk_preview){.n_templates = plan->n_templates};
  ret->states = dk_calloc(plan->graph.n_tasks + 1, 1);
  ret->templates = dk_calloc(plan->n_templates + 1, sizeof *ret->templates);
  if (ret->states && ret->templates) return 0;
  dk_preview_finish(ret);
  return -ENOMEM;
}

int dk_preview_all_cached(const struct dk_plan *plan, struct dk_preview *ret) {
  int r = create(plan, ret);

  for (uint32_t i = 0; r == 0 && i < plan->n_templates; i++)
    ret->templates[i].by_state[DK_PREVIEW_CACHED] = plan->graph.nodes[i].rows;
  return r;
}

int dk_preview_make(struct dk_lookup_state *state, struct dk_why_book *book, const uint8_t *wanted,
                    struct dk_preview *ret, struct dk_error *error) {
  const struct dk_plan *plan = state->with.plan;
  dk_autofree uint32_t *order = NULL;
  int r = create(plan, ret);

  if (r == 0) r = topological(&plan->graph, &order);
  if (r < 0) {
    dk_preview_finish(ret);
    return dk_error_system(error, r, "looking ahead over %u tasks", plan->graph.n_tasks);
  }
  for (uint32_t i = 0; r == 0 && i < plan->n_templates; i++) {
    const struct dk_graph_node *node = &plan->graph.nodes[order[i]];
    dk_value_id last = DK_NULL;
    for (uint32_t row = 0; r == 0 && row < node->rows; row++) {
      uint32_t task = node->first + row;
      if (wanted && !wanted[task])
        ret->states[task] = DK_PREVIEW_LATER;
      else
        r = preview_task(state, book, ret, task, &last, error);
      ret->templates[order[i]].by_state[ret->states[task]]++;
    }
  }
  if (r < 0) dk_preview_finish(ret);
  return r;
}

static void mark(uint8_t *wanted, uint32_t task, uint32_t *stack, uint32_t *n) {
  if (wanted[task] == 2) return;
  wanted[task] = 2;
  stack[(*n)++] = task;
}

int dk_preview_needs(const struct dk_plan *plan, uint8_t *wanted) {
  dk_autofree uint32_t *stack = dk_calloc(plan->graph.n_tasks + 1, sizeof *stack);
  uint32_t n = 0;

  if (!stack) return -ENOMEM;
  for (uint32_t task = 0; task < plan->graph.n_tasks; task++)
    if (wanted[task]) mark(wanted, task, stack, &n);
  while (n > 0) {
    uint32_t row, task = stack[--n];
    const struct dk_graph_node *node = &plan->graph.nodes[dk_graph_node_of(&plan->graph, task, &row)];
    for (uint32_t e = 0; e < node->n_edges; e++) {
      uint32_t first = 0, base = plan->graph.nodes[node->edges[e].producer].first;
      const uint32_t *list;
      uint32_t rows = dk_edge_rows(&plan->graph, &node->edges[e], row, &first, &list);
      for (uint32_t i = 0; i < rows; i++) mark(wanted, base + (list ? list[i] : first + i), stack, &n);
    }
  }
  return 0;
}

void dk_preview_finish(struct dk_preview *preview) {
  for (uint32_t i = 0; preview->templates && i < preview->n_templates; i++) {
    dk_why_answer_finish(&preview->templates[i].why);
    dk_buf_finish(&preview->templates[i].bad);
  }
  dk_free(preview->templates);
  dk_free(preview->states);
  *preview = (struct dk_preview){0};
}
