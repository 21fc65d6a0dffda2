/* The plan's shape as the engine's core sees it: nodes, their rows, and edges as join rules. No names, no values.
 *
 * A task is a (node, row) pair, numbered node.first + row: all tasks of a plan are 0 .. n_tasks-1. A pick is a node
 * whose rows are decisions; it runs nothing. An edge says, for each row of the consumer, which rows of the producer it
 * needs. */
#ifndef DK_PLAN_GRAPH_H
#define DK_PLAN_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#define DK_NO_ROW UINT32_MAX
#define DK_NO_TASK UINT32_MAX

enum dk_edge_kind {
  DK_EDGE_ONE,  /* every row needs row 0 */
  DK_EDGE_SAME, /* row r needs row r */
  DK_EDGE_MAP,  /* row r needs map[r], or nothing where that is DK_NO_ROW (the branch not taken) */
  DK_EDGE_ALL,  /* every row needs all rows of the producer */
  /* row r needs the group g = map ? map[r] : r, which is list[off[g] .. off[g + 1]) ; DK_NO_ROW: nothing */
  DK_EDGE_GATHER,
};

struct dk_edge {
  enum dk_edge_kind kind;
  uint32_t producer; /* node index */
  const uint32_t *map;
  const uint32_t *off, *list; /* GATHER: off has n_groups + 1 entries; lists are in grid order */
  uint32_t n_groups;
  bool skip_failed; /* a failed producer counts as ended, not as missing */
};

enum dk_node_kind { DK_NODE_TASK, DK_NODE_PICK };

/* How often an attempt that ended for a reason is tried again, and with what. */
#define DK_GROW_NONE 1000u
struct dk_retry {
  uint16_t lost; /* machine or keeper gone; default 3 */
  uint16_t oom;
  uint16_t other; /* with one of exit[] */
  uint32_t grow;  /* of its memory after each oom, in thousandths; 1000: none */
  uint8_t n_exit;
  uint8_t exit[16];
};

struct dk_graph_node {
  enum dk_node_kind kind;
  uint32_t rows, first; /* rows may be 0 */
  uint32_t n_edges;
  const struct dk_edge *edges;
  struct dk_retry retry;
  uint32_t at_once; /* at most so many of this node at a time; 0: no limit */
  uint32_t cpus;    /* slots that one task books; at least 1 */
};

struct dk_graph {
  uint32_t n_nodes, n_tasks; /* n_tasks counts pick rows too */
  const struct dk_graph_node *nodes;
};

/* Node of a task number (binary search) and its row; ret_row may be NULL. */
uint32_t dk_graph_node_of(const struct dk_graph *graph, uint32_t task, uint32_t *ret_row);

/* The rows that consumer row `row` needs over this edge: a slice of `list`, or a range starting at *ret_first when
 * *ret_list is NULL. Returns how many. */
uint32_t dk_edge_rows(const struct dk_graph *graph, const struct dk_edge *edge, uint32_t row, uint32_t *ret_first,
                      const uint32_t **ret_list);

#endif
