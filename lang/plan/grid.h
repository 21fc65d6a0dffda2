/* Grids: declarations and grid expressions become columns (language.md, "Grids: an algebra of tables").
 *
 * Keeps true: axes' values are distinct by identity (1 equals 1.0); no two points of a grid are equal; at most
 * DK_PLAN_MAX_ROWS points, refused from the cardinalities before anything is made. */
#ifndef DK_PLAN_GRID_H
#define DK_PLAN_GRID_H

#include "lang/plan/planner.h"

struct dk_grid {
  struct dk_points points;
  struct dk_expr **derived; /* by column; NULL: an axis */
  struct dk_grid_step *steps;
  uint32_t n_steps, cap_steps;
};

/* Expands every grid of the checked modules, so that errors in unused ones show too. */
void dk_grids_expand(struct dk_planner *planner);
/* The points of a grid expression: a name, a * b, a + b, g where p, sample(g, n, seed = k). Columns are
 * shared with the grids named. False after a diagnostic, or silently where the grid has been found wrong before. */
bool dk_grid_of(struct dk_planner *planner, struct dk_expr *expr, struct dk_grid *ret);

/* --- inside the room --- */

/* A grid while its clauses are read. */
struct dk_grid_build {
  struct dk_planner *planner;
  const struct dk_decl *decl;
  struct dk_grid grid;
  uint32_t cap_columns, cap_derived;
  const char *axes; /* "c 11 x gamma 10": axes since the last step; NULL: none */
  uint32_t axes_line;
  const char *axes_path;
  uint32_t rows_before;
  bool has_axes; /* a column or an axis stands already, so rows count */
};
struct dk_column *dk_grid_add_column(struct dk_grid_build *build, const struct dk_str *name, struct dk_span span,
                                     bool is_axis, struct dk_expr *derived);
void dk_grid_step(struct dk_planner *planner, struct dk_grid *grid, const char *text, int64_t change,
                  struct dk_span span);
bool dk_axis_add(struct dk_grid_build *build, const struct dk_stmt *stmt);                         /* axis.c */
bool dk_includes_add(struct dk_grid_build *build, const struct dk_stmt *const *stmts, uint32_t n); /* include.c */
/* E0401 unless rows * times fits; `what` as in "grid `g`". */
void dk_grid_too_large(struct dk_planner *planner, struct dk_span span, const char *what, double size,
                       const char *axes);
void dk_grid_keep(struct dk_planner *planner, struct dk_points *points, const uint8_t *keep, uint32_t kept);

#endif
