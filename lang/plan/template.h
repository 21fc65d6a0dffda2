/* Tasks and picks while their templates are built. Private to lang/plan. */
#ifndef DK_PLAN_TEMPLATE_H
#define DK_PLAN_TEMPLATE_H

#include "lang/plan/grid.h"
#include "lang/plan/join.h"

/* A branch that was taken: `if`, `and`, `or`, `??` on columns decide which references are edges, row by row. */
enum dk_cond_wants { DK_COND_TRUE, DK_COND_FALSE, DK_COND_NULL };
struct dk_cond {
  struct dk_expr *expr;
  enum dk_cond_wants wants;
  struct dk_cond *up; /* holds too; NULL: nothing more */
  uint8_t *flags;     /* by row, once asked for */
};

/* A reference in the body, and the edge it became. */
struct dk_ref_use {
  const struct dk_expr *ref;
  uint32_t edge, target;
  const char *text; /* for `plan --edges` */
};

struct dk_edge_build {
  struct dk_edge edge;
  const struct dk_expr *ref;
  const struct dk_cond *cond;
  const char *how; /* how it was joined: "matched lr; broadcast split" */
};

struct dk_template_build {
  struct dk_planner *planner;
  struct dk_template *tmpl;
  uint32_t index;
  const struct dk_checked_task *task; /* one of the two */
  const struct dk_checked_pick *pick;
  const struct dk_decl *decl;
  struct dk_expr **derived; /* by column */
  uint8_t *used;            /* by column: something depends on it */
  struct dk_edge_build *edges;
  uint32_t n_edges, cap_edges;
  struct dk_ref_use *refs;
  uint32_t n_refs, cap_refs;
  struct {
    struct dk_digest program, shell, outputs;
    bool is_known, has_outputs; /* has_outputs: their paths are the same at every point */
  } parts;                      /* of keys, the same for all tasks of the template: key.c, when first asked for */
  struct dk_point *point;       /* for late values; made when first asked for */
  bool has_points;              /* its grid is right */
  bool failed;                  /* something was reported: no further conclusions */
};

/* Where late values and edges may come from. */
enum dk_lateness { DK_LATE_NEVER, DK_LATE_PATHS /* inputs.x, outputs.x */, DK_LATE_REFS };

/* NULL: not of this plan. By what dk_template_list took in: all builds, once they have their declarations. */
struct dk_template_build *dk_template_of(struct dk_planner *planner, const struct dk_decl *decl);
void dk_template_list(struct dk_planner *planner);
void dk_template_use(struct dk_template_build *build, const struct dk_expr_uses *uses);
/* The cell of a field; edges for its references. `what` names the field in messages. False after a diagnostic. */
bool dk_template_cell(struct dk_template_build *build, struct dk_expr *expr, const char *what,
                      enum dk_lateness lateness, const uint8_t *active, struct dk_cell *ret);
struct dk_diag *dk_template_error(struct dk_template_build *build, enum dk_code code, struct dk_span span, uint32_t row,
                                  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ref.c */
bool dk_cond_flags(struct dk_template_build *build, struct dk_cond *cond,
                   const uint8_t **ret); /* *ret NULL: all rows */
struct dk_cond *dk_cond_new(struct dk_template_build *build, struct dk_expr *expr, enum dk_cond_wants wants,
                            struct dk_cond *up);
bool dk_expr_is_late(struct dk_template_build *build, struct dk_expr *expr);
/* Edges for every reference inside expr, standing where `cond` holds; `label` is the input's name or NULL. */
bool dk_refs_connect(struct dk_template_build *build, struct dk_expr *expr, struct dk_cond *cond, const char *label);
bool dk_ref_connect(struct dk_template_build *build, const struct dk_expr *ref, struct dk_cond *cond, const char *label,
                    uint32_t *ret_edge);

/* Resources where they are declared, whether a task needs them or not: fields.c. A wrong one has no value from here
 * on. */
void dk_plan_resources(struct dk_planner *planner);

/* Each adds to the template; errors mark the build failed. */
void dk_template_outputs(struct dk_template_build *build); /* output.c */
void dk_template_inputs(struct dk_template_build *build);  /* input.c */
void dk_template_fields(
    struct dk_template_build *build); /* fields.c: doc needs timeout when cache at_once retry code pass env metrics */
void dk_template_env(struct dk_template_build *build);         /* env.c */
void dk_template_metrics(struct dk_template_build *build);     /* env.c */
void dk_template_program(struct dk_template_build *build);     /* program.c */
bool dk_template_pick_points(struct dk_template_build *build); /* pick.c */
void dk_template_tables(struct dk_planner *planner);           /* report.c */
/* A constant list of texts (or one text): fields.c. */
bool dk_template_texts(struct dk_template_build *build, struct dk_expr *expr, const char *what, const char ***ret,
                       uint32_t *ret_n);

uint32_t dk_template_find_output(const struct dk_template *tmpl, const char *name); /* index or UINT32_MAX */
uint32_t dk_template_find_metric(const struct dk_template *tmpl, const char *name);

#endif
