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

static int count_why(struct dk_lookup_state *state, const struct dk_why_memory *memory, struct dk_preview_template *t,
                     uint32_t task, struct dk_error *error) {
  enum dk_why why;
  uint32_t run = 0;
  dk_autobuf changed = DK_BUF_INIT;
  int r;

  if (t->why_seen == MAX_WHY) return 0;
  t->why_seen++;
  r = dk_why_find(memory, state, task, &why, &run, &changed, error);
  if (r < 0) return r;
  /* What was known and is no more is told rather than a point that is new. */
  if (t->why == DK_WHY_NONE || (t->why == DK_WHY_NEVER && why != DK_WHY_NEVER)) {
    t->why = why;
    t->why_count = 0;
    t->example = task;
    t->changed_run = run;
    dk_buf_clear(&t->changed);
    dk_buf_add_text(&t->changed, dk_buf_text(&changed));
  }
  t->why_count += why == t->why;
  return 0;
}

static int preview_task(struct dk_lookup_state *state, const struct dk_why_memory *memory, struct dk_preview *preview,
                        uint32_t task, struct dk_error *error) {
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
  return count_why(state, memory, t, task, error);
}

int dk_preview_make(struct dk_lookup_state *state, struct dk_preview *ret, struct dk_error *error) {
  const struct dk_plan *plan = state->with.plan;
  dk_autofree uint32_t *order = NULL;
  struct dk_why_memory memory;
  int r = topological(&plan->graph, &order);

  *ret = (struct dk_preview){.n_templates = plan->n_templates};
  ret->states = dk_calloc(plan->graph.n_tasks + 1, 1);
  ret->templates = dk_calloc(plan->n_templates + 1, sizeof *ret->templates);
  if (r < 0 || !ret->states || !ret->templates) {
    dk_preview_finish(ret);
    return dk_error_system(error, -ENOMEM, "looking ahead over %u tasks", plan->graph.n_tasks);
  }
  r = dk_why_init(&memory, state, error);
  for (uint32_t i = 0; r == 0 && i < plan->n_templates; i++) {
    const struct dk_graph_node *node = &plan->graph.nodes[order[i]];
    for (uint32_t row = 0; r == 0 && row < node->rows; row++) {
      uint32_t task = node->first + row;
      r = preview_task(state, &memory, ret, task, error);
      ret->templates[order[i]].by_state[ret->states[task]]++;
    }
  }
  dk_why_finish(&memory);
  if (r < 0) dk_preview_finish(ret);
  return r;
}

void dk_preview_finish(struct dk_preview *preview) {
  for (uint32_t i = 0; preview->templates && i < preview->n_templates; i++) {
    dk_buf_finish(&preview->templates[i].changed);
    dk_buf_finish(&preview->templates[i].bad);
  }
  dk_free(preview->templates);
  dk_free(preview->states);
  *preview = (struct dk_preview){0};
}
