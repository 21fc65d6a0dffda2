/* Orders while they are made: late values, places of inputs. Private to lang/plan. */
#ifndef DK_PLAN_ORDER_H
#define DK_PLAN_ORDER_H

#include "lang/plan/program.h"

/* What an order owns: one arena with everything in it. */
struct dk_order_priv {
  struct dk_arena arena;
  jmp_buf oom;
  dk_value_id *holes; /* by hole: the value that went into the program */
  uint32_t n_holes;
};

/* One order being made. */
struct dk_ordering {
  const struct dk_plan *plan;
  struct dk_planner *planner;
  struct dk_template_build *build;
  const struct dk_template *tmpl;
  uint32_t task, row;
  const struct dk_late *late;
  struct dk_order *order;
  struct dk_arena *arena; /* the order's */
  struct dk_error *error;
  int why; /* 0, or why a late value is not there */
};

/* -EINVAL with "train lr=0.1: ..." in front. */
int dk_ordering_fail(struct dk_ordering *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A cell's value at the order's row: 0, -EAGAIN, -EINVAL. */
int dk_ordering_cell(struct dk_ordering *o, const struct dk_cell *cell, dk_value_id *ret);
/* The text of a scalar in the order's arena; -EINVAL when it is none or has a NUL byte. `what` names it. */
int dk_ordering_text(struct dk_ordering *o, dk_value_id value, const char *what, const char **ret, size_t *ret_len);
/* The row of `from` that a pick's row chose: 0, -EAGAIN, -EINVAL (nothing was chosen). */
int dk_ordering_chosen(struct dk_ordering *o, const struct dk_template *pick, uint32_t pick_row, uint32_t *ret);
/* order_input.c: the inputs that stand at the row, and their places. */
int dk_ordering_inputs(struct dk_ordering *o);
/* inputs.x or outputs.x as a value: a text, or a list of them. */
dk_value_id dk_ordering_path(struct dk_ordering *o, enum dk_binding_kind kind, const char *name);

#endif
