/* Reading the graph: which node a task number belongs to, which rows an edge needs. No allocation, no failure. */
#include "lang/plan/graph.h"

#include <assert.h>
#include <stddef.h>

uint32_t dk_graph_node_of(const struct dk_graph *graph, uint32_t task, uint32_t *ret_row) {
  assert(task < graph->n_tasks);
  /* Nodes without rows share `first` with the node behind them: the last node that starts at or below the task has
   * it. */
  uint32_t low = 0, high = graph->n_nodes;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (graph->nodes[middle].first <= task)
      low = middle;
    else
      high = middle;
  }
  while (graph->nodes[low].rows == 0) low--; /* only at the very end: nodes without rows behind the last task */
  uint32_t row = task - graph->nodes[low].first;
  assert(row < graph->nodes[low].rows);
  if (ret_row) *ret_row = row;
  return low;
}

uint32_t dk_edge_rows(const struct dk_graph *graph, const struct dk_edge *edge, uint32_t row, uint32_t *ret_first,
                      const uint32_t **ret_list) {
  *ret_list = NULL;
  *ret_first = 0;
  switch (edge->kind) {
  case DK_EDGE_ONE: return 1;
  case DK_EDGE_SAME: *ret_first = row; return 1;
  case DK_EDGE_MAP:
    if (edge->map[row] == DK_NO_ROW) return 0;
    *ret_first = edge->map[row];
    return 1;
  case DK_EDGE_ALL: return graph->nodes[edge->producer].rows;
  case DK_EDGE_GATHER: break;
  }
  uint32_t group = edge->map ? edge->map[row] : row;
  if (group == DK_NO_ROW) return 0;
  *ret_list = edge->list + edge->off[group];
  return edge->off[group + 1] - edge->off[group];
}
