/* References as edges: which points of a producer each point of a consumer needs (language.md, "References join on
 * shared columns").
 *
 * Keeps true: joining is linear in the points of both sides; an edge is of the plainest kind that says the same. */
#ifndef DK_PLAN_JOIN_H
#define DK_PLAN_JOIN_H

#include "lang/plan/planner.h"

struct dk_join {
  struct dk_planner *planner;
  const struct dk_points *consumer, *producer;
  const char *consumer_name, *producer_name; /* "final", "train" */
  const struct dk_expr *ref;                 /* DK_EXPR_REF */
  const uint8_t *active;                     /* rows of the consumer where the reference stands; NULL: all */
  uint8_t *used;                             /* flags of the consumer's columns that it was joined on; set here */
};

/* Fills kind, map, off, list, n_groups (the caller sets producer and skip_failed) and how it was joined ("matched lr;
 * broadcast split", in the arena). False after a diagnostic. */
bool dk_join_edge(struct dk_join *join, struct dk_edge *ret, const char **ret_text);

/* Rows in groups by some columns: what a pick folds. group[row] for every row, groups in order of their first row. The
 * list form of an edge: off and list. */
struct dk_groups {
  uint32_t n;
  uint32_t *group, *first, *off, *list;
};
void dk_groups_make(struct dk_planner *planner, const struct dk_points *points, const uint32_t *columns,
                    uint32_t n_columns, struct dk_groups *ret);

#endif
