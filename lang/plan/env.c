/* Variables and metrics of a task. See template.h. */
#include "lang/plan/template.h"

#include <errno.h>
#include <string.h>

struct variable {
  struct dk_template_build *build;
  struct dk_env_var *var;
  const struct dk_named_expr *declared;
};

static bool is_variable_name(const char *name) {
  if (!*name || (*name >= '0' && *name <= '9')) return false;
  for (; *name; name++)
    if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') || (*name >= '0' && *name <= '9') ||
          *name == '_'))
      return false;
  return true;
}

static bool check_secret(struct variable *v, dk_value_id value) {
  struct dk_values *values = v->build->planner->values;
  dk_value_id name = dk_value_item(values, value, 0);
  if (dk_value_get(values, name)->type == DK_TYPE_STRING && is_variable_name(dk_value_str(values, name)->text)) {
    v->var->is_secret = true;
    v->var->from = dk_value_str(values, name)->text;
    return true;
  }
  dk_template_error(v->build, DK_E0513, v->declared->value->span, DK_NO_ROW,
                    "secret(...) wants the name of a variable, not %s", dk_planner_show(v->build->planner, name));
  return false;
}

static bool check_value(void *ctx, dk_value_id value, uint32_t row) {
  struct variable *v = ctx;
  struct dk_planner *planner = v->build->planner;
  const struct dk_value *have = dk_value_get(planner->values, value);
  if (have->type == DK_TYPE_CALL && have->unit == DK_INERT_SECRET && v->var->cell.kind == DK_CELL_CONST)
    return check_secret(v, value);
  if (have->type == DK_TYPE_STRING) {
    const struct dk_str *text = dk_value_str(planner->values, value);
    if (!memchr(text->text, '\0', text->len)) return true;
    dk_template_error(v->build, DK_E0612, v->declared->value->span, row, "variable `%s` has a NUL byte", v->var->name);
    return false;
  }
  bool is_text = dk_value_hole_text(planner->values, value, dk_planner_text(planner));
  dk_buf_finish(&planner->eval->scratch);
  if (is_text) return true;
  struct dk_diag *diag =
      dk_template_error(v->build, DK_E0513, v->declared->value->span, row, "variable `%s` wants one text, not %s",
                        v->var->name, dk_type_name((enum dk_type)have->type));
  if (have->type == DK_TYPE_LIST) dk_diag_help(planner->diags, diag, "join(xs, \",\") makes one text of a list");
  if (have->type == DK_TYPE_NULL) dk_diag_help(planner->diags, diag, "`x ?? \"\"` gives null a text");
  return false;
}

void dk_template_env(struct dk_template_build *build) {
  struct dk_planner *planner = build->planner;
  const struct dk_named_exprs *declared = &build->task->env;
  struct dk_template *tmpl = build->tmpl;
  tmpl->env = dk_arena_array(planner->arena, struct dk_env_var, declared->count + 1);
  for (uint32_t i = 0; i < declared->count; i++) {
    struct dk_env_var *var = &tmpl->env[tmpl->n_env++];
    struct variable v = {build, var, &declared->items[i]};
    var->name = v.declared->name->text;
    dk_span_path(planner, v.declared->name_span, &var->line);
    if (!is_variable_name(var->name) || strncmp(var->name, "DK_", 3) == 0) {
      dk_template_error(build, DK_E0513, v.declared->name_span, DK_NO_ROW, "`%s` cannot be the name of a variable",
                        var->name);
      continue;
    }
    if (!v.declared->value ||
        !dk_template_cell(build, v.declared->value, "a variable", DK_LATE_REFS, NULL, &var->cell)) {
      build->failed = true;
      continue;
    }
    if (dk_cell_each(planner, &var->cell, tmpl->points.rows, NULL, check_value, &v) && var->is_secret)
      var->cell = (struct dk_cell){.kind = DK_CELL_NONE};
  }
}

/* --- metrics --- */

/* outputs.x in a metric: where that is the same at every point. */
static dk_value_id output_path(void *ctx, enum dk_binding_kind kind, const struct dk_str *name) {
  struct dk_template_build *build = ctx;
  uint32_t at = kind == DK_BIND_OUTPUTS ? dk_template_find_output(build->tmpl, name->text) : UINT32_MAX;
  if (at == UINT32_MAX || build->tmpl->outputs[at].path.kind != DK_CELL_CONST) return DK_NULL;
  return build->tmpl->outputs[at].path.value;
}

static const char *text_of(struct dk_planner *planner, dk_value_id call, uint32_t i) {
  if (i >= dk_value_get(planner->values, call)->len) return NULL;
  dk_value_id item = dk_value_item(planner->values, call, i);
  if (dk_value_get(planner->values, item)->type != DK_TYPE_STRING) return NULL;
  const struct dk_str *text = dk_value_str(planner->values, item);
  return text->len && !memchr(text->text, '\0', text->len) ? text->text : NULL;
}

static bool is_inside(const char *path) {
  return path[0] != '/' && strcmp(path, "..") != 0 && strncmp(path, "../", 3) != 0 && !strstr(path, "/../");
}

static bool take_metric(struct dk_planner *planner, dk_value_id value, struct dk_metric *metric) {
  const struct dk_value *v = dk_value_get(planner->values, value);
  if (v->type != DK_TYPE_CALL) return false;
  metric->path = text_of(planner, value, 0);
  metric->pattern = text_of(planner, value, 1);
  if (!metric->path || !metric->pattern) return false;
  switch ((enum dk_inert)v->unit) {
  case DK_INERT_MATCH: metric->kind = DK_METRIC_MATCH_FILE; break;
  case DK_INERT_JSON: metric->kind = DK_METRIC_JSON; break;
  case DK_INERT_CSV: metric->kind = DK_METRIC_CSV; break;
  default: return false;
  }
  bool is_stream = metric->kind == DK_METRIC_MATCH_FILE &&
                   (strcmp(metric->path, "stdout") == 0 || strcmp(metric->path, "stderr") == 0);
  if (!is_stream) return is_inside(metric->path);
  metric->kind = metric->path[3] == 'o' ? DK_METRIC_MATCH_STDOUT : DK_METRIC_MATCH_STDERR;
  metric->path = NULL;
  return true;
}

static bool eval_metric(struct dk_template_build *build, struct dk_expr *expr, dk_value_id *ret) {
  struct dk_expr_uses uses = {0};
  dk_expr_read(build->planner, expr, &build->tmpl->points, &uses);
  if (uses.has_error) return false;
  bool varies = uses.n_columns || uses.refs.count || uses.inputs.count;
  for (uint32_t i = 0; i < uses.outputs.count; i++) {
    uint32_t at = dk_template_find_output(build->tmpl, uses.outputs.items[i]->text);
    if (at == UINT32_MAX || build->tmpl->outputs[at].path.kind == DK_CELL_NONE) return false; /* said there */
    varies |= build->tmpl->outputs[at].path.kind != DK_CELL_CONST;
  }
  if (varies) {
    struct dk_diag *diag =
        dk_template_error(build, DK_E0510, expr->span, DK_NO_ROW, "a metric is read in the same way at every point");
    dk_diag_help(build->planner->diags, diag, "let the program print a name that does not change, and look for that");
    return false;
  }
  struct dk_frame frame = {.ctx = build, .path = output_path};
  return dk_eval(build->planner->eval, expr, &frame, ret) == DK_EVAL_OK;
}

/* A regex in '...' stands in the file byte for byte: its fault can be shown where it is. */
static struct dk_span fault_span(const struct dk_template_build *build, const struct dk_expr *expr, size_t offset) {
  if (expr->kind != DK_EXPR_CALL || expr->call.args.count != 2) return expr->span;
  struct dk_span span = expr->call.args.items[1].value->span;
  const struct dk_source *source = dk_sources_place(build->planner->checked->sources, span.start).source;
  size_t len = span.end - span.start;
  if (!source || source->text[span.start - source->base] != '\'' || offset + 2 > len) return span;
  uint32_t at = span.start + 1 + (uint32_t)offset;
  return (struct dk_span){at, at + 1};
}

static void check_pattern(struct dk_template_build *build, const struct dk_expr *expr, const struct dk_metric *metric) {
  const struct dk_eval_files *files = build->planner->eval->files;
  struct dk_error error;
  size_t offset = 0;
  if (metric->kind > DK_METRIC_MATCH_FILE || !files || !files->check_pattern) return;
  int r = files->check_pattern(metric->pattern, &offset, &error);
  if (r == -ENOMEM) dk_arena_out_of_memory(build->planner->arena);
  if (r == 0) return;
  struct dk_diag *diag = dk_template_error(build, DK_E0615, fault_span(build, expr, offset), DK_NO_ROW,
                                           "metric `%s`: %s", metric->name, error.text);
  dk_diag_help(build->planner->diags, diag,
               "a plain bracket, dot or plus has a backslash before it: '\\(', '\\.', '\\+'");
}

void dk_template_metrics(struct dk_template_build *build) {
  struct dk_planner *planner = build->planner;
  const struct dk_named_exprs *declared = &build->task->metrics;
  struct dk_template *tmpl = build->tmpl;
  tmpl->metrics = dk_arena_array(planner->arena, struct dk_metric, declared->count + 1);
  for (uint32_t i = 0; i < declared->count; i++) {
    struct dk_metric *metric = &tmpl->metrics[tmpl->n_metrics++];
    dk_value_id value;
    metric->name = declared->items[i].name->text;
    dk_span_path(planner, declared->items[i].name_span, &metric->line);
    struct dk_expr *expr = declared->items[i].value;
    if (!expr || !eval_metric(build, expr, &value)) {
      build->failed = true;
      continue;
    }
    if (take_metric(planner, value, metric)) {
      check_pattern(build, expr, metric);
      continue;
    }
    struct dk_diag *diag = dk_template_error(build, DK_E0510, expr->span, DK_NO_ROW,
                                             "this is no way to read the metric `%s`", metric->name);
    dk_diag_help(planner->diags, diag,
                 metric->pattern && metric->path && !is_inside(metric->path)
                     ? "it reads a file of the task's directory: a relative path without `..`"
                     : "use match(stdout, 'loss=([0-9.]+)'), json(\"m.json\", \"a.b\") or csv(\"m.csv\", \"loss\")");
  }
}
