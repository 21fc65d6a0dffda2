/* Report tables: which columns stand for what. See template.h. Looks nothing up in results: that is engine/report's. */
#include "lang/plan/template.h"

#include <string.h>

static bool has_column(const struct dk_template *tmpl, const char *name) {
  for (uint32_t i = 0; i < tmpl->points.n_columns; i++)
    if (strcmp(tmpl->points.columns[i].name, name) == 0) return true;
  return false;
}

static bool wrong_column(struct dk_planner *planner, const struct dk_expr *expr, const char *what) {
  struct dk_diag *diag = dk_diag_add(planner->diags, DK_E0517, expr->span, "%s cannot be a column of a table", what);
  dk_diag_help(planner->diags, diag, "columns are `task`, a column or metric of the table's tasks, or one of a pick");
  return false;
}

static bool named_column(struct dk_planner *planner, const struct dk_report_table *table, const struct dk_expr *expr,
                         struct dk_table_column *ret) {
  const char *name = expr->name.name->text;
  *ret = (struct dk_table_column){.title = name, .kind = DK_TABLE_TASK, .name = name};
  for (uint32_t i = 0; i < table->n_from; i++) {
    const struct dk_template *tmpl = &planner->plan->templates[table->from[i]];
    if (has_column(tmpl, name))
      ret->kind = DK_TABLE_COLUMN;
    else if (dk_template_find_metric(tmpl, name) != UINT32_MAX)
      ret->kind = DK_TABLE_METRIC;
    if (ret->kind != DK_TABLE_TASK) return true;
  }
  return strcmp(name, "task") == 0 || wrong_column(planner, expr, dk_arena_printf(planner->arena, "`%s`", name));
}

static bool pick_column(struct dk_planner *planner, const struct dk_expr *expr, struct dk_table_column *ret) {
  const struct dk_ref *ref = &expr->ref;
  const struct dk_template_build *target = dk_template_of(planner, ref->target);
  if (!target) return false;
  bool is_late = ref->kind == DK_REF_COLUMN || ref->kind == DK_REF_METRIC;
  if (!target->pick || !is_late || ref->selectors.count || ref->is_gather)
    return wrong_column(planner, expr, dk_arena_printf(planner->arena, "`%s`", dk_expr_source(planner, expr)));
  *ret = (struct dk_table_column){
      .title = dk_arena_printf(planner->arena, "%s.%s", ref->target->name->text, ref->field->text),
      .kind = ref->kind == DK_REF_COLUMN ? DK_TABLE_PICK_COLUMN : DK_TABLE_PICK_METRIC,
      .name = ref->field->text,
      .pick = target->index};
  return true;
}

static bool one_column(struct dk_planner *planner, const struct dk_report_table *table, const struct dk_expr *expr,
                       struct dk_table_column *ret) {
  if (expr->kind == DK_EXPR_NAME) return named_column(planner, table, expr, ret);
  if (expr->kind == DK_EXPR_REF) return pick_column(planner, expr, ret);
  if (expr->kind != DK_EXPR_ERROR) wrong_column(planner, expr, "this");
  return false;
}

static void set_sort(struct dk_planner *planner, struct dk_report_table *table, const struct dk_expr *sort) {
  struct dk_table_column column;
  table->sort = UINT32_MAX;
  if (!sort || !one_column(planner, table, sort, &column)) return;
  for (uint32_t i = 0; i < table->n_columns; i++)
    if (strcmp(table->columns[i].title, column.title) == 0) table->sort = i;
  if (table->sort != UINT32_MAX) return;
  struct dk_diag *diag =
      dk_diag_add(planner->diags, DK_E0517, sort->span, "`%s` is none of the table's columns", column.title);
  dk_diag_help(planner->diags, diag, "add it to `columns`");
}

static void build_table(struct dk_planner *planner, const struct dk_checked_table *checked,
                        struct dk_report_table *ret) {
  *ret = (struct dk_report_table){.sort = UINT32_MAX, .descending = checked->descending};
  ret->from = dk_arena_array(planner->arena, uint32_t, checked->n_from + 1);
  for (uint32_t i = 0; i < checked->n_from; i++) {
    const struct dk_template_build *from = dk_template_of(planner, checked->from[i]->decl);
    if (from) ret->from[ret->n_from++] = from->index;
  }
  ret->columns = dk_arena_array(planner->arena, struct dk_table_column, checked->columns.count + 1);
  for (uint32_t i = 0; i < checked->columns.count; i++)
    if (one_column(planner, ret, checked->columns.items[i], &ret->columns[ret->n_columns])) ret->n_columns++;
  set_sort(planner, ret, checked->sort);
  if (checked->where && checked->where->kind != DK_EXPR_ERROR)
    dk_diag_add(planner->diags, DK_E0220, checked->where->span, "`where` of a table is not built yet in this version");
  struct dk_points none = {.rows = 1};
  struct dk_cell title;
  if (!checked->title || !dk_cell_make(planner, checked->title, &none, NULL, NULL, &title)) return;
  if (title.kind == DK_CELL_CONST && dk_value_get(planner->values, title.value)->type == DK_TYPE_STRING)
    ret->title = dk_value_str(planner->values, title.value)->text;
  else
    dk_diag_add(planner->diags, DK_E0517, checked->title->span, "a table's title is a text");
}

void dk_template_tables(struct dk_planner *planner) {
  struct dk_plan *plan = planner->plan;
  uint32_t n = planner->checked->n_tables;
  plan->tables = dk_arena_array(planner->arena, struct dk_report_table, n + 1);
  plan->n_tables = n;
  for (uint32_t i = 0; i < n; i++) build_table(planner, planner->checked->tables[i], &plan->tables[i]);
}
