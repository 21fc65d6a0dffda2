/* The selection: see where.h.
 *
 * The expression is read and checked once, over the columns of all templates that may be meant; then it is evaluated at
 * each of their points. Values of the plan become values of this evaluation when a point first has them. */
#include "lang/where.h"

#include "lang/base/alloc.h"
#include "lang/check/check.h"
#include "lang/check/walk.h"
#include "lang/diag/diag.h"
#include "lang/eval/eval.h"
#include "lang/eval/wide.h"
#include "lang/plan/column.h"
#include "lang/syntax/parse.h"

#include <errno.h>
#include <string.h>

#define NAME "--where"
#define MAX_TEXT (64u << 10) /* bytes of an expression: a line that was typed */

/* A name of the expression in a template: a column, or a field of the rows that an axis stands over ("size.layers"). */
struct used {
  const struct dk_str *name;
  const struct dk_column *column;
  const char *field;   /* of the row that the value names; NULL: the value itself */
  dk_value_id *values; /* by code; DK_EVAL_NO_VALUE: not met yet */
};

struct where {
  const struct dk_plan *plan;
  const struct dk_selection *selection;
  const struct dk_template *only; /* that the words name; NULL: any */
  struct dk_arena arena;
  jmp_buf oom;
  struct dk_strs strs;
  struct dk_sources sources;
  struct dk_diags diags;
  struct dk_eval eval;
  struct dk_expr *expr;
  struct dk_uses uses;
  /* The template that is looked at, and the row. */
  struct used *used; /* uses.n_columns of them */
  uint32_t row;
  /* What was chosen; heap. */
  uint32_t *tasks;
  uint32_t n_tasks, cap_tasks;
};

/* --- values of the plan, in the evaluation --- */

static dk_value_id copy(struct where *w, dk_value_id id) {
  const struct dk_values *from = w->plan->values;
  struct dk_values *to = &w->eval.values;
  struct dk_value v = *dk_value_get(from, id);
  bool is_record = v.type == DK_TYPE_RECORD;

  switch ((enum dk_type)v.type) {
  case DK_TYPE_NULL: return DK_NULL;
  case DK_TYPE_BOOL: return dk_value_bool(to, v.u.i != 0);
  case DK_TYPE_INT: return dk_value_int(to, v.u.i);
  case DK_TYPE_FLOAT: return dk_value_float(to, v.u.f);
  case DK_TYPE_STRING: return dk_value_text(to, dk_value_str(from, id)->text, v.len);
  case DK_TYPE_SIZE:
  case DK_TYPE_DURATION:
  case DK_TYPE_MONEY:
  case DK_TYPE_RATE: return dk_value_quantity(to, (enum dk_type)v.type, v.unit, v.u.i);
  case DK_TYPE_LIST:
  case DK_TYPE_RECORD:
  case DK_TYPE_CALL: break;
  }
  dk_value_id *items = dk_arena_array(&w->arena, dk_value_id, (size_t)v.len + 1);
  const struct dk_str **names = is_record ? dk_arena_array(&w->arena, const struct dk_str *, (size_t)v.len + 1) : NULL;
  for (uint32_t i = 0; i < v.len; i++) {
    items[i] = copy(w, dk_value_item(from, id, i));
    if (is_record) names[i] = dk_intern_text(&w->strs, dk_value_name(from, id, i)->text);
  }
  if (is_record) return dk_value_record(to, names, items, v.len);
  return v.type == DK_TYPE_LIST ? dk_value_list(to, items, v.len)
                                : dk_value_call(to, (enum dk_inert)v.unit, items, v.len);
}

/* Null where the row has no such field. */
static dk_value_id field_of_row(const struct dk_values *values, const struct used *used, dk_value_id id) {
  const struct dk_column *column = used->column;
  dk_value_id row;

  if (dk_value_get(values, id)->type != DK_TYPE_STRING) return DK_NULL;
  if (!dk_value_field(values, column->rows_of, dk_value_str(values, id), &row)) return DK_NULL;
  if (dk_value_get(values, row)->type != DK_TYPE_RECORD) return DK_NULL;
  for (uint32_t i = 0; i < dk_value_get(values, row)->len; i++)
    if (strcmp(dk_value_name(values, row, i)->text, used->field) == 0) return dk_value_item(values, row, i);
  return DK_NULL;
}

static dk_value_id column_value(void *ctx, const struct dk_str *name) {
  struct where *w = ctx;
  struct used *used = w->used;

  while (used->name != name) used++; /* it is there: uses.columns are the names that this is called with */
  uint32_t code = dk_column_code(used->column, w->row);
  if (used->values[code] == DK_EVAL_NO_VALUE) {
    dk_value_id id = used->column->values[code];
    used->values[code] = copy(w, used->field ? field_of_row(w->plan->values, used, id) : id);
  }
  return used->values[code];
}

/* --- names --- */

static const struct dk_column *find_column(const struct dk_template *tmpl, const char *name, size_t len) {
  for (uint32_t i = 0; i < tmpl->points.n_columns; i++) {
    const struct dk_column *column = &tmpl->points.columns[i];
    if (strlen(column->name) == len && memcmp(column->name, name, len) == 0) return column;
  }
  return NULL;
}

static bool find_used(const struct dk_template *tmpl, const struct dk_str *name, struct used *ret) {
  const char *dot = strchr(name->text, '.');

  ret->name = name;
  ret->field = dot ? dot + 1 : NULL;
  ret->column = find_column(tmpl, name->text, dot ? (size_t)(dot - name->text) : name->len);
  return ret->column && (!dot || ret->column->rows_of != DK_NULL);
}

static bool is_rows_axis(const struct where *w, const struct dk_str *name) {
  for (uint32_t i = 0; i < w->plan->n_templates; i++) {
    const struct dk_column *column = find_column(&w->plan->templates[i], name->text, name->len);
    if (column && column->rows_of != DK_NULL) return true;
  }
  return false;
}

/* `size.layers` of an axis over rows becomes the name "size.layers", as in the plan. */
static void flatten_members(void *ctx, struct dk_expr *expr) {
  struct where *w = ctx;
  const struct dk_expr *of = expr->kind == DK_EXPR_MEMBER ? expr->member.of : NULL;

  dk_walk_children(expr, flatten_members, w);
  if (!of || of->kind != DK_EXPR_NAME || of->name.binding.kind != DK_BIND_COLUMN || !is_rows_axis(w, of->name.name))
    return;
  const char *text = dk_arena_printf(&w->arena, "%s.%s", of->name.name->text, expr->member.name->text);
  expr->kind = DK_EXPR_NAME;
  expr->name.name = dk_intern_text(&w->strs, text);
  expr->name.binding = (struct dk_binding){.kind = DK_BIND_COLUMN};
}

static bool is_meant(const struct where *w, const struct dk_template *tmpl) {
  return !w->only || w->only == tmpl;
}

static void list_columns(struct where *w, struct dk_column_decls *ret) {
  for (uint32_t i = 0; i < w->plan->n_templates; i++) {
    const struct dk_template *tmpl = &w->plan->templates[i];
    for (uint32_t j = 0; is_meant(w, tmpl) && j < tmpl->points.n_columns; j++) {
      const struct dk_str *name = dk_intern_text(&w->strs, tmpl->points.columns[j].name);
      bool is_known = false;
      for (uint32_t k = 0; k < ret->count && !is_known; k++) is_known = ret->items[k].name == name;
      if (is_known) continue;
      dk_arena_push(&w->arena, ret->items, ret->count, ret->cap) = (struct dk_column_decl){.name = name};
    }
  }
}

/* --- points --- */

static void take(struct where *w, uint32_t task) {
  if (!dk_grow(w->tasks, w->n_tasks, w->cap_tasks)) longjmp(w->oom, 1);
  w->tasks[w->n_tasks++] = task;
}

static bool begin_template(struct where *w, const struct dk_template *tmpl) {
  for (uint32_t i = 0; i < w->uses.n_columns; i++) {
    struct used *used = &w->used[i];
    if (!find_used(tmpl, w->uses.columns[i], used)) return false;
    used->values = dk_arena_array(&w->arena, dk_value_id, (size_t)used->column->card + 1);
    for (uint32_t code = 0; code < used->column->card; code++) used->values[code] = DK_EVAL_NO_VALUE;
  }
  return true;
}

/* False after a diagnostic. */
static bool look_at(struct where *w, const struct dk_template *tmpl, uint32_t task) {
  const struct dk_frame frame = {.ctx = w, .column = column_value};
  dk_value_id value;

  w->row = task - w->plan->graph.nodes[tmpl->node].first;
  w->eval.steps = 0;
  if (dk_eval(&w->eval, w->expr, &frame, &value) != DK_EVAL_OK) return false;
  const struct dk_value *v = dk_value_get(&w->eval.values, value);
  if (v->type != DK_TYPE_BOOL) {
    dk_diag_add(&w->diags, DK_E0406, w->expr->span, NAME " wants true or false, not %s",
                dk_type_name((enum dk_type)v->type));
    return false;
  }
  if (v->u.i) take(w, task);
  return true;
}

static bool look_at_named(struct where *w, const uint32_t *tasks, uint32_t n) {
  if (!begin_template(w, w->only)) return true;
  for (uint32_t i = 0; i < n; i++)
    if (!look_at(w, w->only, tasks[i])) return false;
  return true;
}

static bool look_at_all(struct where *w) {
  for (uint32_t i = 0; i < w->plan->n_templates; i++) {
    const struct dk_template *tmpl = &w->plan->templates[i];
    uint32_t first = w->plan->graph.nodes[tmpl->node].first;
    if (!begin_template(w, tmpl)) continue;
    for (uint32_t row = 0; row < tmpl->points.rows; row++)
      if (!look_at(w, tmpl, first + row)) return false;
  }
  return true;
}

/* Everything that may jump. False: there are diagnostics. */
static bool choose(struct where *w, const uint32_t *named, uint32_t n_named) {
  const char *text = w->selection->where;
  struct dk_column_decls columns = {0};

  dk_strs_init(&w->strs, &w->arena);
  dk_sources_init(&w->sources, &w->arena);
  dk_diags_init(&w->diags, &w->arena, &w->sources);
  const struct dk_source *source = dk_sources_add(&w->sources, NAME, text, strlen(text));
  const struct dk_parse_env env = {&w->arena, &w->strs, &w->diags};
  w->expr = dk_parse_expr(&env, source);
  if (!w->expr) return false;
  list_columns(w, &columns);
  struct dk_checked *checked = dk_check_alone(&w->arena, &w->strs, &w->diags, source, w->expr, &columns);
  if (w->diags.n_errors) return false;
  dk_eval_init(&w->eval, checked, NULL);
  flatten_members(w, w->expr);
  dk_check_uses(&w->arena, w->expr, &w->uses);
  w->used = dk_arena_array(&w->arena, struct used, (size_t)w->uses.n_columns + 1);
  return named ? look_at_named(w, named, n_named) : look_at_all(w);
}

static int none_chosen(const struct where *w, struct dk_error *error) {
  dk_autobuf list = DK_BUF_INIT;

  for (uint32_t i = 0; i < w->uses.n_columns; i++)
    dk_buf_printf(&list, "%s%s", i ? ", " : "", w->uses.columns[i]->text);
  for (uint32_t i = 0; i < w->plan->n_templates; i++) {
    const struct dk_template *tmpl = &w->plan->templates[i];
    struct used used;
    bool has_all = is_meant(w, tmpl);
    for (uint32_t j = 0; j < w->uses.n_columns && has_all; j++) has_all = find_used(tmpl, w->uses.columns[j], &used);
    if (has_all)
      return dk_error_set(error, -ENOENT, "no task is chosen: `%s` holds at none of the points", w->selection->where);
  }
  return dk_error_set(error, -ENOENT, "no task is chosen: none has all of the columns %s", dk_buf_text(&list));
}

static int select_where(struct where *w, const uint32_t *named, uint32_t n_named, struct dk_buf *diagnostics,
                        struct dk_error *error) {
  if (strlen(w->selection->where) > MAX_TEXT) return dk_error_set(error, -EINVAL, NAME " is longer than 64 KiB");
  dk_arena_init(&w->arena, &w->oom);
  if (setjmp(w->oom)) return dk_error_system(error, -ENOMEM, "choosing tasks");
  if (!choose(w, named, n_named)) {
    dk_diags_sort(&w->diags);
    dk_diags_render(&w->diags, false, diagnostics);
    return dk_error_set(error, -EINVAL, "the expression of " NAME " is wrong");
  }
  return w->n_tasks ? 0 : none_chosen(w, error);
}

static int all_tasks(const struct dk_plan *plan, uint32_t **ret, uint32_t *ret_n, struct dk_error *error) {
  uint32_t n = plan->graph.n_tasks;
  uint32_t *tasks = dk_calloc((size_t)n + 1, sizeof *tasks);

  if (!tasks) return dk_error_system(error, -ENOMEM, "choosing tasks");
  for (uint32_t i = 0; i < n; i++) tasks[i] = i;
  *ret = tasks;
  *ret_n = n;
  return 0;
}

int dk_where_select(const struct dk_plan *plan, const struct dk_selection *selection, uint32_t **ret, uint32_t *ret_n,
                    struct dk_buf *diagnostics, struct dk_error *error) {
  dk_autofree uint32_t *named = NULL;
  uint32_t n_named = 0, row;
  int r = 0;

  *ret = NULL;
  *ret_n = 0;
  if (!selection->n_words && !selection->where) return all_tasks(plan, ret, ret_n, error);
  if (selection->n_words) r = dk_plan_select(plan, selection->words, selection->n_words, &named, &n_named, error);
  if (r < 0) return r;
  if (!selection->where) {
    *ret = named;
    *ret_n = n_named;
    named = NULL;
    return 0;
  }
  struct where *w = dk_calloc(1, sizeof *w);
  if (!w) return dk_error_system(error, -ENOMEM, "choosing tasks");
  w->plan = plan;
  w->selection = selection;
  if (named) w->only = dk_plan_template(plan, named[0], &row); /* words name tasks of one template */
  r = select_where(w, named, n_named, diagnostics, error);
  if (r == 0) {
    *ret = w->tasks;
    *ret_n = w->n_tasks;
    w->tasks = NULL;
  }
  dk_eval_finish(&w->eval);
  dk_arena_finish(&w->arena);
  dk_wide_finish();
  dk_free(w->tasks);
  dk_free(w);
  return r;
}
