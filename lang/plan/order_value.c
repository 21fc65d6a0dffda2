/* Late values: references by the run's state, paths by the order. See order.h. */
#include "lang/plan/order.h"

#include "lang/base/number.h"

#include <errno.h>
#include <math.h>
#include <string.h>

int dk_ordering_fail(struct dk_ordering *o, const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  const char *text = dk_arena_vprintf(o->arena, format, ap);
  va_end(ap);
  dk_error_set(o->error, -EINVAL, "%s", text);
  struct dk_buf *name = dk_planner_text(o->planner);
  dk_plan_task_name(o->plan, o->task, name);
  dk_error_prefix(o->error, "%s", dk_buf_text(name));
  dk_buf_finish(name);
  o->why = -EINVAL;
  return -EINVAL;
}

int dk_ordering_text(struct dk_ordering *o, dk_value_id value, const char *what, const char **ret, size_t *ret_len) {
  struct dk_values *values = o->planner->values;
  const struct dk_value *v = dk_value_get(values, value);
  if (v->type == DK_TYPE_STRING) {
    *ret = dk_value_str(values, value)->text; /* lives as long as the plan */
    *ret_len = dk_value_str(values, value)->len;
  } else if (v->type == DK_TYPE_INT) {
    char digits[DK_NUMBER_TEXT];
    *ret_len = dk_number_int_text(v->u.i, digits);
    *ret = dk_arena_memdup(o->arena, digits, *ret_len + 1);
    return 0;
  } else {
    struct dk_buf *text = dk_planner_text(o->planner);
    if (!dk_value_hole_text(values, value, text)) {
      dk_buf_finish(text);
      return dk_ordering_fail(o, "`%s` is %s, which is no text", what, dk_type_name((enum dk_type)v->type));
    }
    if (!dk_buf_ok(text)) longjmp(*o->arena->on_oom, 1);
    *ret_len = text->len;
    *ret = dk_arena_strndup(o->arena, dk_buf_text(text), text->len);
    dk_buf_finish(text);
  }
  return memchr(*ret, '\0', *ret_len) ? dk_ordering_fail(o, "`%s` has a NUL byte, which no program can be given", what)
                                      : 0;
}

static int not_yet(struct dk_ordering *o) {
  o->why = -EAGAIN;
  return dk_error_set(o->error, -EAGAIN, "a value that `%s` needs is not known yet", o->tmpl->name);
}

int dk_ordering_chosen(struct dk_ordering *o, const struct dk_template *pick, uint32_t pick_row, uint32_t *ret) {
  uint32_t task = o->plan->graph.nodes[pick->node].first + pick_row;
  if (!o->late || !o->late->chosen || !o->late->chosen(o->late->ctx, task, ret)) return not_yet(o);
  if (*ret == DK_NO_ROW) return dk_ordering_fail(o, "pick `%s` chose nothing: no candidate has its metric", pick->name);
  if (*ret >= o->plan->templates[pick->from].points.rows)
    return dk_ordering_fail(o, "pick `%s` chose a row that is not there", pick->name);
  return 0;
}

/* --- metrics --- */

static bool number_of(struct dk_ordering *o, const struct dk_template *tmpl, uint32_t row, uint32_t metric, double *ret,
                      const char **ret_text) {
  uint32_t task = o->plan->graph.nodes[tmpl->node].first + row;
  *ret_text = NULL;
  if (o->late && o->late->metric && o->late->metric(o->late->ctx, task, metric, ret, ret_text)) return true;
  not_yet(o);
  return false;
}

static dk_value_id value_of(struct dk_ordering *o, double number, const char *text) {
  struct dk_values *values = o->planner->values;
  if (text) return dk_value_text(values, text, strlen(text));
  if (!isfinite(number)) {
    const char *name = isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
    return dk_value_text(values, name, strlen(name));
  }
  return dk_value_float(values, number);
}

static bool is_sibling(const struct dk_template *pick, const struct dk_points *points, uint32_t a, uint32_t b) {
  for (uint32_t i = 0; i < points->n_columns; i++) {
    bool folded = !points->columns[i].is_axis;
    for (uint32_t k = 0; k < pick->n_mean_over && !folded; k++) folded = pick->mean_over[k] == i;
    if (!folded && dk_column_code(&points->columns[i], a) != dk_column_code(&points->columns[i], b)) return false;
  }
  return true;
}

/* A pick's metric is the mean over `mean_over`, as it was compared. Other metrics too, so that a row of them belongs
 * together. */
static bool picked_metric(struct dk_ordering *o, const struct dk_template *pick, uint32_t chosen, const char *name,
                          dk_value_id *ret) {
  const struct dk_template *from = &o->plan->templates[pick->from];
  uint32_t metric = dk_template_find_metric(from, name), n = 0;
  double sum = 0, number = 0;
  const char *text;
  if (metric == UINT32_MAX) return false;
  if (pick->n_mean_over == 0) {
    if (!number_of(o, from, chosen, metric, &number, &text)) return false;
    *ret = value_of(o, number, text);
    return true;
  }
  for (uint32_t row = 0; row < from->points.rows; row++) {
    if (!is_sibling(pick, &from->points, chosen, row)) continue;
    if (!number_of(o, from, row, metric, &number, &text)) return false;
    sum += text ? NAN : number;
    n++;
  }
  *ret = value_of(o, sum / n, NULL);
  return true;
}

/* --- references --- */

static bool pick_value(struct dk_ordering *o, const struct dk_ref *ref, const struct dk_template *pick, uint32_t row,
                       dk_value_id *ret) {
  const struct dk_template *from = &o->plan->templates[pick->from];
  uint32_t chosen = DK_NO_ROW;
  if (ref->kind == DK_REF_CHOSEN) {
    uint32_t task = o->plan->graph.nodes[pick->node].first + row;
    if (!o->late || !o->late->chosen || !o->late->chosen(o->late->ctx, task, &chosen)) {
      not_yet(o);
      return false;
    }
    *ret = dk_value_bool(o->planner->values, chosen != DK_NO_ROW);
    return true;
  }
  uint32_t column = dk_points_find(&from->points, ref->field->text);
  if (ref->kind == DK_REF_COLUMN && column == UINT32_MAX) { /* its own: rank */
    column = dk_points_find(&pick->points, ref->field->text);
    if (column != UINT32_MAX) *ret = dk_column_value(&pick->points.columns[column], row);
    return column != UINT32_MAX;
  }
  if (dk_ordering_chosen(o, pick, row, &chosen) < 0) return false;
  if (ref->kind != DK_REF_COLUMN) return picked_metric(o, pick, chosen, ref->field->text, ret);
  *ret = dk_column_value(&from->points.columns[column], chosen);
  return true;
}

static bool task_value(struct dk_ordering *o, const struct dk_ref *ref, const struct dk_template *tmpl, uint32_t row,
                       dk_value_id *ret) {
  if (ref->kind == DK_REF_COLUMN) {
    uint32_t column = dk_points_find(&tmpl->points, ref->field->text);
    if (column != UINT32_MAX) *ret = dk_column_value(&tmpl->points.columns[column], row);
    return column != UINT32_MAX;
  }
  uint32_t metric = dk_template_find_metric(tmpl, ref->field->text);
  double number = 0;
  const char *text;
  if (metric == UINT32_MAX || !number_of(o, tmpl, row, metric, &number, &text)) return false;
  *ret = value_of(o, number, text);
  return true;
}

static bool ref_value(void *ctx, const struct dk_expr *expr, dk_value_id *ret) {
  struct dk_ordering *o = ((struct dk_point *)ctx)->order;
  const struct dk_ref_use *use = NULL;
  for (uint32_t i = 0; i < o->build->n_refs && !use; i++)
    if (o->build->refs[i].ref == expr) use = &o->build->refs[i];
  if (!use) return false;
  const struct dk_edge *edge = &o->plan->graph.nodes[o->tmpl->node].edges[use->edge];
  const struct dk_template *target = &o->plan->templates[use->target];
  const uint32_t *list;
  uint32_t first, n = dk_edge_rows(&o->plan->graph, edge, o->row, &first, &list);
  dk_value_id *values = dk_arena_array(o->arena, dk_value_id, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t row = list ? list[i] : first + i;
    bool ok = target->kind == DK_NODE_PICK ? pick_value(o, &expr->ref, target, row, &values[i])
                                           : task_value(o, &expr->ref, target, row, &values[i]);
    if (!ok) return false;
  }
  *ret = expr->ref.is_gather ? dk_value_list(o->planner->values, values, n) : n ? values[0] : DK_NULL;
  return true;
}

static dk_value_id path_value(void *ctx, enum dk_binding_kind kind, const struct dk_str *name) {
  return dk_ordering_path(((struct dk_point *)ctx)->order, kind, name->text);
}

/* --- cells --- */

/* The evaluator's words become the error's; the diagnostics of the plan stay as they were. */
static int take_diagnostic(struct dk_ordering *o, uint32_t before, uint32_t errors, uint32_t warnings) {
  struct dk_diags *diags = o->planner->diags;
  const char *message = diags->count > before ? diags->items[before]->message : "a late value could not be computed";
  diags->count = before;
  diags->n_errors = errors;
  diags->n_warnings = warnings;
  return dk_ordering_fail(o, "%s", message);
}

static bool is_path(const struct dk_expr *expr, enum dk_binding_kind *ret) {
  if (expr->kind != DK_EXPR_MEMBER || expr->member.of->kind != DK_EXPR_NAME) return false;
  *ret = expr->member.of->name.binding.kind;
  return *ret == DK_BIND_INPUTS || *ret == DK_BIND_OUTPUTS;
}

static int late_value(struct dk_ordering *o, const struct dk_cell *cell, dk_value_id *ret) {
  enum dk_binding_kind kind;
  o->why = 0;
  if (is_path(cell->expr, &kind)) {
    *ret = dk_ordering_path(o, kind, cell->expr->member.name->text);
    return 0;
  }
  struct dk_template_build *build = o->build;
  if (!build->point) {
    build->point = dk_arena_new(o->planner->arena, struct dk_point);
    dk_point_init(build->point, o->planner, &build->tmpl->points);
    build->point->frame.path = path_value;
    build->point->frame.ref = ref_value;
  }
  build->point->order = o;
  if (cell->expr->kind == DK_EXPR_REF)
    return ref_value(build->point, cell->expr, ret) ? 0
           : o->why                                 ? o->why
                                                    : dk_ordering_fail(o, "`%s` has no value", cell->text);
  dk_point_set(build->point, o->row);
  struct dk_diags *diags = o->planner->diags;
  uint32_t before = diags->count, errors = diags->n_errors, warnings = diags->n_warnings;
  switch (dk_eval(o->planner->eval, cell->expr, &build->point->frame, ret)) {
  case DK_EVAL_OK: return 0;
  case DK_EVAL_LATE: return o->why ? o->why : dk_ordering_fail(o, "`%s` has no value", cell->text);
  case DK_EVAL_FAILED: break;
  }
  return take_diagnostic(o, before, errors, warnings);
}

int dk_ordering_cell(struct dk_ordering *o, const struct dk_cell *cell, dk_value_id *ret) {
  if (cell->kind == DK_CELL_LATE) return late_value(o, cell, ret);
  *ret = dk_cell_value(cell, o->row);
  return 0;
}
