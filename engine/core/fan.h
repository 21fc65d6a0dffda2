/* Readiness by countdown: who waits for a task, over the edges of the graph read backwards.
 *
 * A consumer row waits for as many units as it has edges with something to wait for: a single producer row is a unit,
 * and so is a whole group of rows (ALL, GATHER), which is counted down once however many consumers share it. So the end
 * of a task costs its groups and its direct consumers, and a fan-in of a million costs a million decrements in all.
 *
 * A reverse index is built only where the edge's kind does not give the answer: a MAP that does not rise (CSR), a
 * GATHER's groups of a row (one word a row when no row is in two groups, else CSR) and the consumers of a group when it
 * has a map. */
#ifndef DK_CORE_FAN_H
#define DK_CORE_FAN_H

#include "lang/plan/graph.h"

struct dk_fan_edge {
  uint32_t consumer; /* node */
  const struct dk_edge *edge;
  bool rises;                  /* MAP: the map never falls, consumers of a row are a range found by bisection */
  uint32_t *left;              /* ALL (1), GATHER: rows of each group that have not ended; DK_FAN_BROKEN */
  uint32_t *group_of;          /* GATHER: group of a row, DK_NO_ROW; NULL: use back_off */
  uint32_t *back_off, *back;   /* producer row -> groups (GATHER) or consumer rows (MAP) */
  uint32_t *users_off, *users; /* GATHER with a map: group -> consumer rows */
};
#define DK_FAN_BROKEN UINT32_MAX /* a row of the group failed, and the edge does not skip failures */

struct dk_fan {
  const struct dk_graph *graph;
  struct dk_fan_edge *edges; /* sorted by producer */
  uint32_t *first;           /* n_nodes + 1: edges of a producer */
};

int dk_fan_init(struct dk_fan *fan, const struct dk_graph *graph); /* 0 or -ENOMEM */
void dk_fan_finish(struct dk_fan *fan);
/* Units that each row of a node waits for; waits has node->rows entries. */
void dk_fan_waits(const struct dk_graph *graph, uint32_t node, uint32_t *waits);

/* A walk over what the end of one task means for others; can be left and taken up again. */
struct dk_fan_cursor {
  uint32_t task, node, row; /* task DK_NO_TASK: no walk */
  bool good;                /* the task has a result */
  bool again;               /* all have heard before that it has one: only that it has none is news */
  bool open;                /* inside a hit: consumers at .. n of it */
  bool broken;              /* what the open hit tells its consumers */
  uint32_t edge, hit;       /* in fan->edges; of the edge */
  uint32_t at, n, first;    /* consumer rows of the open hit: list[0 .. n), or n rows from first when list is NULL */
  const uint32_t *list;
};
void dk_fan_start(const struct dk_fan *fan, struct dk_fan_cursor *cursor, uint32_t task, bool good, bool again);
/* The next consumer that hears of it: one unit less to wait for (*ret_broken false), or it can never run. False: the
 * walk is over (cursor->task is DK_NO_TASK) or *work, which is counted down, is used up. A consumer may hear of
 * "broken" more than once. */
bool dk_fan_next(struct dk_fan *fan, struct dk_fan_cursor *cursor, uint32_t *work, uint32_t *ret_task,
                 bool *ret_broken);

/* The node of a task and its row (a bisection; `hint` is tried first and set). */
uint32_t dk_fan_node(const struct dk_graph *graph, uint32_t task, uint32_t *hint);

#endif
