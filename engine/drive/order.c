/* In which order nodes are handed out: those with the longest way to the end of the run first (the critical path), so
 * that what takes longest does not begin last. A node's weight is how long its tasks took before; where nothing was
 * measured, as long as the mean of the others. Rows are not told apart: a template's tasks mostly take alike. */
#include "engine/drive/engine_priv.h"
#include "lang/base/alloc.h"

#include <string.h>

static void weigh(const struct dk_plan *plan, const struct dk_duration *durations, uint64_t *weights) {
  uint64_t sum = 0, n = 0;

  for (uint32_t i = 0; i < plan->n_templates; i++) {
    sum += durations[i].n ? durations[i].mean_ns : 0;
    n += durations[i].n > 0;
  }
  for (uint32_t i = 0; i < plan->n_templates; i++)
    weights[i] = plan->graph.nodes[i].kind == DK_NODE_PICK ? 0
                 : durations[i].n                          ? durations[i].mean_ns
                 : n                                       ? sum / n
                                                           : 1;
}

/* Longest way from each node to the end. A node needs only nodes that are before it in some order; n rounds find it in
 * any case. */
static void find_ways(const struct dk_graph *graph, const uint64_t *weights, uint64_t *ways) {
  bool has_changed = true;

  memcpy(ways, weights, graph->n_nodes * sizeof *ways);
  for (uint32_t round = 0; has_changed && round < graph->n_nodes; round++) {
    has_changed = false;
    for (uint32_t i = graph->n_nodes; i-- > 0;) {
      for (uint32_t e = 0; e < graph->nodes[i].n_edges; e++) {
        uint32_t producer = graph->nodes[i].edges[e].producer;
        if (producer == i || ways[producer] >= weights[producer] + ways[i]) continue;
        ways[producer] = weights[producer] + ways[i];
        has_changed = true;
      }
    }
  }
}

/* Stable: equal ones stay in the order of the file. */
static void sort(uint32_t *order, uint32_t n, const uint64_t *ways) {
  for (uint32_t i = 0; i < n; i++) {
    uint32_t at = i;
    for (; at > 0 && ways[order[at - 1]] < ways[i]; at--) order[at] = order[at - 1];
    order[at] = i;
  }
}

uint32_t *dk_engine_order(struct dk_store *store, const struct dk_plan *plan, struct dk_duration **ret_durations) {
  uint32_t n = plan->graph.n_nodes;
  struct dk_duration *durations = dk_calloc(n + 1, sizeof *durations);
  uint32_t *order = dk_calloc(n + 1, sizeof *order);
  dk_autofree uint64_t *weights = dk_calloc(2 * (size_t)n + 1, sizeof *weights);

  if (!durations || !order || !weights) {
    dk_free(durations);
    dk_free(order);
    return NULL;
  }
  for (uint32_t i = 0; i < n; i++) /* one that cannot be read is as good as none */
    (void)dk_store_get_duration(store, plan->name, plan->templates[i].name, &durations[i], NULL);
  weigh(plan, durations, weights);
  find_ways(&plan->graph, weights, weights + n);
  sort(order, n, weights + n);
  *ret_durations = durations;
  return order;
}
