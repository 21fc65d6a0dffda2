/* The plain fields of a task: doc, needs, timeout, when, cache, at_once, retry, code, pass. See template.h. */
#include "lang/plan/template.h"

#include "lang/check/schema.h"

#include <string.h>

struct field {
  struct dk_template_build *build;
  struct dk_expr *expr;
  const char *name, *wants;
};

static bool wrong(struct field *field, dk_value_id value, uint32_t row) {
  dk_template_error(field->build, DK_E0511, field->expr->span, row, "`%s` wants %s, not %s", field->name, field->wants,
                    dk_planner_show(field->build->planner, value));
  return false;
}

/* A value that is the same at every point; false when left out or wrong. */
static bool constant(struct field *field, dk_value_id *ret) {
  struct dk_cell cell;
  if (!field->expr ||
      !dk_template_cell(field->build, field->expr, dk_arena_printf(field->build->planner->arena, "`%s`", field->name),
                        DK_LATE_NEVER, NULL, &cell))
    return false;
  if (cell.kind == DK_CELL_COLUMN) {
    dk_template_error(field->build, DK_E0511, field->expr->span, DK_NO_ROW, "`%s` is one value for all points",
                      field->name);
    return false;
  }
  *ret = cell.value;
  return cell.kind == DK_CELL_CONST;
}

static bool whole(struct field *field, int64_t low, int64_t high, int64_t *ret) {
  dk_value_id value;
  if (!constant(field, &value)) return false;
  const struct dk_value *v = dk_value_get(field->build->planner->values, value);
  *ret = v->u.i;
  return (v->type == DK_TYPE_INT && v->u.i >= low && v->u.i <= high) || wrong(field, value, DK_NO_ROW);
}

bool dk_template_texts(struct dk_template_build *build, struct dk_expr *expr, const char *what, const char ***ret,
                       uint32_t *ret_n) {
  struct field field = {build, expr, what, "a list of texts"};
  struct dk_values *values = build->planner->values;
  dk_value_id list;
  *ret_n = 0;
  if (!constant(&field, &list)) return false;
  if (dk_value_get(values, list)->type == DK_TYPE_STRING) list = dk_value_list(values, &list, 1);
  if (dk_value_get(values, list)->type != DK_TYPE_LIST) return wrong(&field, list, DK_NO_ROW);
  uint32_t n = dk_value_get(values, list)->len;
  *ret = dk_arena_array(build->planner->arena, const char *, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    dk_value_id item = dk_value_item(values, list, i);
    if (dk_value_get(values, item)->type != DK_TYPE_STRING) return wrong(&field, list, DK_NO_ROW);
    const struct dk_str *text = dk_value_str(values, item);
    if (memchr(text->text, '\0', text->len)) {
      dk_template_error(build, DK_E0612, expr->span, DK_NO_ROW, "`%s` has a NUL byte", what);
      return false;
    }
    (*ret)[i] = text->text;
  }
  *ret_n = n;
  return true;
}

/* --- needs --- */

/* What a field of a resource wants, when the value is not that; NULL when it is. */
static const char *amount_fault(struct dk_planner *planner, const struct dk_schema_field *schema, dk_value_id value) {
  const struct dk_value *v = dk_value_get(planner->values, value);
  bool fits = (schema->kinds >> v->type & 1) != 0;
  bool is_amount = v->type == DK_TYPE_INT || v->type == DK_TYPE_SIZE;
  int64_t least = strcmp(schema->name, "gpus") == 0 || strcmp(schema->name, "disk") == 0 ? 0 : 1;
  if (v->type == DK_TYPE_NULL || (fits && (!is_amount || v->u.i >= least))) return NULL;
  return fits ? "more than nothing" : schema->wants;
}

static bool need_fault(struct field *field, uint32_t row, const char *name, dk_value_id value) {
  struct dk_planner *planner = field->build->planner;
  const struct dk_schema_field *schema = dk_schema_find(&dk_schema_resource, name);
  if (!schema) {
    struct dk_diag *diag =
        dk_template_error(field->build, DK_E0512, field->expr->span, row, "a resource has no field `%s`", name);
    const char *near = dk_schema_nearest(&dk_schema_resource, name);
    if (near) dk_diag_help(planner->diags, diag, "did you mean `%s`?", near);
    return false;
  }
  const char *wants = amount_fault(planner, schema, value);
  if (!wants) return true;
  dk_template_error(field->build, DK_E0512, field->expr->span, row, "`%s` of `needs` wants %s, not %s", name, wants,
                    dk_planner_show(planner, value));
  return false;
}

static bool check_resource(struct dk_planner *planner, const struct dk_decl *decl, dk_value_id record) {
  bool ok = true;
  for (uint32_t i = 0; i < decl->block->count; i++) {
    const struct dk_stmt *stmt = &decl->block->items[i];
    const struct dk_schema_field *schema = dk_schema_find(&dk_schema_resource, stmt->name->text);
    dk_value_id value;
    if (!schema || !stmt->value || !dk_value_field(planner->values, record, stmt->name, &value)) continue;
    const char *wants = amount_fault(planner, schema, value);
    if (!wants) continue;
    dk_diag_add(planner->diags, DK_E0512, stmt->value->span, "`%s` of resource `%s` wants %s, not %s", schema->name,
                decl->name->text, wants, dk_planner_show(planner, value));
    ok = false;
  }
  return ok;
}

void dk_plan_resources(struct dk_planner *planner) {
  const struct dk_checked *checked = planner->checked;
  for (uint32_t i = 0; i < checked->n_values; i++) {
    const struct dk_decl *decl = checked->values[i]->decl;
    dk_value_id *value = &planner->eval->lets[i];
    if (decl->kind != DK_DECL_RESOURCE || *value == DK_EVAL_NO_VALUE) continue;
    if (!check_resource(planner, decl, *value)) *value = DK_EVAL_NO_VALUE;
  }
}

static bool check_needs(void *ctx, dk_value_id value, uint32_t row) {
  struct field *field = ctx;
  struct dk_values *values = field->build->planner->values;
  if (dk_value_get(values, value)->type != DK_TYPE_RECORD) return wrong(field, value, row);
  uint32_t n = dk_value_get(values, value)->len;
  for (uint32_t i = 0; i < n; i++)
    if (!need_fault(field, row, dk_value_name(values, value, i)->text, dk_value_item(values, value, i))) return false;
  return true;
}

static bool check_timeout(void *ctx, dk_value_id value, uint32_t row) {
  struct field *field = ctx;
  const struct dk_value *v = dk_value_get(field->build->planner->values, value);
  if (v->type == DK_TYPE_DURATION) field->wants = "more than no time";
  return (v->type == DK_TYPE_DURATION && v->u.i > 0) || wrong(field, value, row);
}

static bool check_when(void *ctx, dk_value_id value, uint32_t row) {
  struct field *field = ctx;
  return dk_value_get(field->build->planner->values, value)->type == DK_TYPE_BOOL || wrong(field, value, row);
}

static void checked_cell(struct field *field, enum dk_lateness lateness, dk_cell_visit_fn *check, struct dk_cell *ret) {
  struct dk_planner *planner = field->build->planner;
  if (!field->expr) return;
  const char *what = dk_arena_printf(planner->arena, "`%s`", field->name);
  if (dk_template_cell(field->build, field->expr, what, lateness, NULL, ret))
    (void)dk_cell_each(planner, ret, field->build->tmpl->points.rows, NULL, check, field);
}

/* --- retry --- */

static void build_exit(struct dk_template_build *build, struct dk_retry *retry) {
  struct field field = {build, build->task->retry_exit, "exit", "a list of at most 16 exit codes from 1 to 255"};
  struct dk_values *values = build->planner->values;
  dk_value_id list;
  if (!constant(&field, &list)) return;
  if (dk_value_get(values, list)->type != DK_TYPE_LIST || dk_value_get(values, list)->len > sizeof retry->exit) {
    wrong(&field, list, DK_NO_ROW);
    return;
  }
  for (uint32_t i = 0; i < dk_value_get(values, list)->len; i++) {
    const struct dk_value *v = dk_value_get(values, dk_value_item(values, list, i));
    if (v->type != DK_TYPE_INT || v->u.i < 1 || v->u.i > 255) {
      wrong(&field, list, DK_NO_ROW);
      return;
    }
    retry->exit[retry->n_exit++] = (uint8_t)v->u.i;
  }
}

/* In thousandths; 0: no factor. */
static uint32_t grow_factor(const struct dk_value *v) {
  if (v->type != DK_TYPE_INT && v->type != DK_TYPE_FLOAT) return 0;
  double factor = v->type == DK_TYPE_INT ? (double)v->u.i : v->u.f;
  return factor >= 1 && factor <= 1000 ? (uint32_t)(factor * DK_GROW_NONE + 0.5) : 0;
}

static bool build_grow(struct dk_template_build *build, struct dk_retry *retry) {
  struct field field = {build, build->task->retry_grow, "grow",
                        "a record { memory = FACTOR }, the factor from 1 to 1000"};
  struct dk_values *values = build->planner->values;
  dk_value_id record;
  if (!constant(&field, &record)) return false;
  const struct dk_value *v = dk_value_get(values, record);
  uint32_t factor = 0;
  if (v->type == DK_TYPE_RECORD && v->len == 1 && strcmp(dk_value_name(values, record, 0)->text, "memory") == 0)
    factor = grow_factor(dk_value_get(values, dk_value_item(values, record, 0)));
  if (factor == 0) return wrong(&field, record, DK_NO_ROW);
  retry->grow = factor;
  return true;
}

static void build_retry(struct dk_template_build *build, struct dk_retry *retry) {
  const char *wants = "a whole number from 0 to 1000";
  struct field lost = {build, build->task->retry_lost, "lost", wants},
               oom = {build, build->task->retry_oom, "oom", wants};
  int64_t n;
  *retry = (struct dk_retry){.lost = 3, .grow = DK_GROW_NONE};
  if (whole(&lost, 0, 1000, &n)) retry->lost = (uint16_t)n;
  if (whole(&oom, 0, 1000, &n)) retry->oom = (uint16_t)n;
  build_exit(build, retry);
  if (retry->n_exit) retry->other = 3;
  bool grows = build_grow(build, retry);
  if (grows && !build->task->retry_oom) retry->oom = 3;
}

/* --- code --- */

static void check_code(struct dk_template_build *build) {
  for (uint32_t i = 0; i < build->tmpl->n_code; i++) {
    const char *path = build->tmpl->code[i];
    bool leaves = path[0] == '/' || strcmp(path, "..") == 0 || strncmp(path, "../", 3) == 0 || strstr(path, "/../") ||
                  (strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0);
    if (*path && !leaves) continue;
    struct dk_diag *diag =
        dk_template_error(build, DK_E0511, build->task->code->span, DK_NO_ROW, "`code` cannot be \"%s\"", path);
    dk_diag_help(build->planner->diags, diag,
                 "name paths below this file's directory: [\"train.py\", \"model/\"], or [\".\"] for all");
  }
}

static void check_pass(struct dk_template_build *build) {
  for (uint32_t i = 0; i < build->tmpl->n_pass; i++) {
    const char *name = build->tmpl->pass[i];
    if (*name && !strchr(name, '=')) continue;
    dk_template_error(build, DK_E0513, build->task->pass->span, DK_NO_ROW,
                      "`pass` wants names of variables, not \"%s\"", name);
  }
}

void dk_template_fields(struct dk_template_build *build) {
  const struct dk_checked_task *task = build->task;
  struct dk_template *tmpl = build->tmpl;
  struct dk_graph_node *node = (struct dk_graph_node *)(uintptr_t)&build->planner->plan->graph.nodes[build->index];
  struct field needs = {build, task->needs, "needs", "a record such as { cpus = 2 memory = 4GiB }"};
  struct field timeout = {build, task->timeout, "timeout", "a duration such as 90s or 4h"};
  struct field when = {build, task->when, "when", "true or false"};
  struct field cache = {build, task->cache, "cache", "\"none\""};
  struct field at_once = {build, task->at_once, "at_once", "a whole number, 1 or more"};
  struct field doc = {build, task->doc, "doc", "a text"};
  dk_value_id value;
  int64_t n;
  checked_cell(&needs, DK_LATE_NEVER, check_needs, &tmpl->needs);
  checked_cell(&timeout, DK_LATE_NEVER, check_timeout, &tmpl->timeout);
  checked_cell(&when, DK_LATE_REFS, check_when, &tmpl->when);
  tmpl->cached = true;
  if (constant(&cache, &value)) {
    const struct dk_value *v = dk_value_get(build->planner->values, value);
    if (v->type == DK_TYPE_STRING && strcmp(dk_value_str(build->planner->values, value)->text, "none") == 0)
      tmpl->cached = false;
    else
      wrong(&cache, value, DK_NO_ROW);
  }
  if (whole(&at_once, 1, UINT32_MAX, &n)) node->at_once = (uint32_t)n;
  if (constant(&doc, &value)) {
    if (dk_value_get(build->planner->values, value)->type == DK_TYPE_STRING)
      tmpl->doc = dk_value_str(build->planner->values, value)->text;
    else
      wrong(&doc, value, DK_NO_ROW);
  }
  if (task->code && dk_template_texts(build, task->code, "code", &tmpl->code, &tmpl->n_code)) check_code(build);
  if (task->pass && dk_template_texts(build, task->pass, "pass", &tmpl->pass, &tmpl->n_pass)) check_pass(build);
  build_retry(build, &node->retry);
}
