/* What the files that build a plan share: the state of one build, expressions at points, values per row.
 *
 * Private to lang/plan. All memory is the compilation's arena; errors go to its diagnostics. */
#ifndef DK_PLAN_PLANNER_H
#define DK_PLAN_PLANNER_H

#include "lang/eval/eval.h"
#include "lang/plan/column.h"

#define DK_PLAN_MAX_ROWS 10000000u   /* points of one grid */
#define DK_PLAN_MAX_TASKS 100000000u /* tasks of a plan */

struct dk_template_build;

struct dk_planner {
  struct dk_eval *eval;
  struct dk_checked *checked;
  struct dk_arena *arena;
  struct dk_diags *diags;
  struct dk_values *values;
  struct dk_plan *plan;
  struct dk_grid **grids;           /* by index in checked->grids; NULL: not expanded yet */
  struct dk_template_build *builds; /* by template */
  uint32_t n_builds;
  struct dk_map by_decl; /* items are templates */
  uint8_t *keep;         /* scratch: a flag a row */
  uint32_t cap_keep;
};

/* --- what an expression uses (uses.c) --- */

struct dk_refs {
  const struct dk_expr **items;
  uint32_t count, cap;
};

struct dk_names {
  const struct dk_str **items;
  uint32_t count, cap;
};

/* What an expression depends on, as the plan cares: its columns, and what is only known when a task is handed out. */
struct dk_expr_uses {
  uint32_t *columns;
  uint32_t n_columns, cap_columns; /* indices in the points' columns, ascending */
  struct dk_refs refs;
  struct dk_names inputs, outputs;
  bool is_late;   /* refs, inputs or outputs occur */
  bool has_error; /* an ERROR node is inside: nothing is to be evaluated or said about it */
};

/* Reads `expr` against these columns. Turns `size.layers` of an axis over a record of records into one name, which the
 * point answers (the axis' value itself is the row's name). */
void dk_expr_read(struct dk_planner *planner, struct dk_expr *expr, const struct dk_points *points,
                  struct dk_expr_uses *uses);
/* Index of a column by its interned name (compared as pointers), or UINT32_MAX; "size.layers" finds `size`. */
uint32_t dk_points_find(const struct dk_points *points, const char *name);

/* --- expressions at points (point.c) --- */

/* A point: one value per column, filled in by the caller for at least the columns that are used. */
struct dk_point {
  struct dk_planner *planner;
  const struct dk_points *points;
  dk_value_id *values;
  struct dk_frame frame; /* what dk_eval gets; ctx is the point */
  void *order;           /* while an order is made: whose late values (order_value.c) */
};
void dk_point_init(struct dk_point *point, struct dk_planner *planner, const struct dk_points *points);
void dk_point_set(struct dk_point *point, uint32_t row); /* all columns */

/* Evaluates; false after a diagnostic. The diagnostic gets the note "at lr=0.1 seed=2" when points has axes and row is
 * not DK_NO_ROW. */
bool dk_point_eval(struct dk_point *point, const struct dk_expr *expr, uint32_t row, dk_value_id *ret);
/* The one text on the heap (the evaluator's scratch: whoever owns it frees it when memory runs short): emptied,
 * written, and copied to the arena. No evaluation and no other use in between. */
struct dk_buf *dk_planner_text(struct dk_planner *planner);
const char *dk_planner_keep_text(struct dk_planner *planner);
/* A value's source text for a message, cut at 200 bytes. */
const char *dk_planner_show(struct dk_planner *planner, dk_value_id value);
/* Adds the note to a diagnostic. */
void dk_point_note(struct dk_planner *planner, struct dk_diag *diag, const struct dk_points *points, uint32_t row);

/* An expression over the rows of some points, evaluated once per distinct combination of the columns it uses, when
 * first asked. */
struct dk_tab {
  struct dk_planner *planner;
  struct dk_expr *expr;
  const struct dk_points *points;
  struct dk_expr_uses uses;
  struct dk_point point;
  uint32_t *muls;     /* combination = sum of code(uses.columns[i]) * muls[i] */
  uint32_t size;      /* of the table; 0: too many combinations, every row is evaluated */
  dk_value_id *table; /* DK_TAB_EMPTY where not evaluated yet */
  bool failed;        /* a diagnostic was added; nothing more is evaluated */
};
#define DK_TAB_EMPTY UINT32_MAX

void dk_tab_init(struct dk_tab *tab, struct dk_planner *planner, struct dk_expr *expr, const struct dk_points *points);
bool dk_tab_value(struct dk_tab *tab, uint32_t row, dk_value_id *ret);
/* Combinations of n <= DK_BLOCK rows; only with a table. */
void dk_tab_combinations(const struct dk_tab *tab, uint32_t first, uint32_t n, uint32_t *ret);
/* The value of a combination, met first at `row`. */
bool dk_tab_at(struct dk_tab *tab, uint32_t combination, uint32_t row, dk_value_id *ret);

/* keep[row] = predicate at the row where want[row] (NULL: all rows), else 0; `keep` may be `want`. False after a
 * diagnostic (no bool, or an error at a point). */
bool dk_predicate_run(struct dk_planner *planner, struct dk_expr *predicate, const struct dk_points *points,
                      const char *what, const uint8_t *want, uint8_t *keep, uint32_t *ret_kept);
uint8_t *dk_planner_keep(struct dk_planner *planner, uint32_t rows); /* the scratch flags, contents unset */

/* --- values per row (cell.c) --- */

/* The cell of an expression over points. `active`: flags of the rows where it is evaluated, others give null; NULL:
 * all. `uses` (may be NULL) gets what the expression depends on. False after a diagnostic, and for expr NULL gives
 * DK_CELL_NONE. */
bool dk_cell_make(struct dk_planner *planner, struct dk_expr *expr, const struct dk_points *points,
                  const uint8_t *active, struct dk_expr_uses *uses, struct dk_cell *ret);
/* The value of a row: null for NONE; LATE is the caller's business. */
dk_value_id dk_cell_value(const struct dk_cell *cell, uint32_t row);
/* What a row's `needs` say of `name`; DK_NULL: nothing. */
dk_value_id dk_plan_need(const struct dk_plan *plan, const struct dk_template *tmpl, uint32_t row, const char *name);
/* Calls visit once per distinct value of the cell with the first row that has it (DK_NO_ROW for a CONST: no point is to
 * be named); stops at false. Not for LATE. */
typedef bool dk_cell_visit_fn(void *ctx, dk_value_id value, uint32_t row);
bool dk_cell_each(struct dk_planner *planner, const struct dk_cell *cell, uint32_t rows, const uint8_t *active,
                  dk_cell_visit_fn *visit, void *ctx);
/* A cell whose values are replaced: map[i] for the i-th value of a COLUMN, or the CONST. */
typedef dk_value_id dk_cell_map_fn(void *ctx, dk_value_id value);
void dk_cell_replace(struct dk_planner *planner, struct dk_cell *cell, dk_cell_map_fn *map, void *ctx);

/* The expression's source text, in the arena. */
const char *dk_expr_source(struct dk_planner *planner, const struct dk_expr *expr);
/* Path and line of a span's start. */
const char *dk_span_path(struct dk_planner *planner, struct dk_span span, uint32_t *ret_line);

#endif
