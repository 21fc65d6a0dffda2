/* Outputs of a task: names, places, clashes. See template.h.
 *
 * Keeps true: a place is relative, has no `.` or `..` part, no empty part, does not lie below `.dk`; at no point do two
 * outputs of a task lie in one another. Paths are kept without the trailing slash of a directory. */
#include "lang/plan/template.h"

#include <string.h>

struct output {
  struct dk_template_build *build;
  struct dk_output *output;
  struct dk_expr *expr;
  int is_dir; /* -1: not known yet */
};

/* NULL, or what is wrong with a place. */
static const char *fault_of(const char *path, size_t len) {
  if (len == 0) return "it is empty";
  if (memchr(path, '\0', len)) return "it has a NUL byte";
  if (path[0] == '/') return "it is absolute";
  if (len > 1 && path[len - 1] == '/') len--;
  if (len > 4000) return "it is too long";
  for (size_t at = 0; at <= len;) {
    const char *slash = memchr(path + at, '/', len - at);
    size_t n = slash ? (size_t)(slash - path) - at : len - at;
    if (n == 0) return "it has an empty part (`//`)";
    if (n == 1 && path[at] == '.') return "it has a part `.`";
    if (n == 2 && path[at] == '.' && path[at + 1] == '.') return "it leaves the task's directory (`..`)";
    if (n == 3 && at == 0 && memcmp(path, ".dk", 3) == 0) return "`.dk` is dkrun's own";
    if (n > 255) return "a part of it has more than 255 bytes";
    at += n + 1;
  }
  return NULL;
}

static bool check_path(void *ctx, dk_value_id value, uint32_t row) {
  struct output *o = ctx;
  struct dk_planner *planner = o->build->planner;
  const struct dk_value *v = dk_value_get(planner->values, value);
  if (v->type != DK_TYPE_STRING) {
    dk_template_error(o->build, DK_E0509, o->expr->span, row, "output `%s` wants a path as a text, not %s",
                      o->output->name, dk_type_name((enum dk_type)v->type));
    return false;
  }
  const struct dk_str *path = dk_value_str(planner->values, value);
  const char *fault = fault_of(path->text, path->len);
  if (fault) {
    struct dk_diag *diag = dk_template_error(o->build, DK_E0509, o->expr->span, row, "output `%s` cannot be %s: %s",
                                             o->output->name, dk_planner_show(planner, value), fault);
    dk_diag_help(planner->diags, diag,
                 "give a relative path inside the task's directory, such as \"model.bin\" or \"out/\"");
    return false;
  }
  bool is_dir = path->text[path->len - 1] == '/';
  if (o->is_dir >= 0 && is_dir != (o->is_dir == 1)) {
    dk_template_error(o->build, DK_E0509, o->expr->span, row,
                      "output `%s` is a directory at some points and a file at others", o->output->name);
    return false;
  }
  o->is_dir = is_dir;
  return true;
}

static dk_value_id without_slash(void *ctx, dk_value_id value) {
  struct dk_planner *planner = ctx;
  if (dk_value_get(planner->values, value)->type != DK_TYPE_STRING) return value;
  const struct dk_str *path = dk_value_str(planner->values, value);
  if (path->len == 0 || path->text[path->len - 1] != '/') return value;
  return dk_value_text(planner->values, path->text, path->len - 1);
}

static bool is_inside(const struct dk_str *outer, const struct dk_str *inner) {
  return inner->len >= outer->len && memcmp(inner->text, outer->text, outer->len) == 0 &&
         (inner->len == outer->len || inner->text[outer->len] == '/');
}

static bool clash_at(struct dk_template_build *build, uint32_t a, uint32_t b, uint32_t row, bool varies) {
  struct dk_planner *planner = build->planner;
  dk_value_id x = dk_cell_value(&build->tmpl->outputs[a].path, row),
              y = dk_cell_value(&build->tmpl->outputs[b].path, row);
  const struct dk_str *p = dk_value_str(planner->values, x), *q = dk_value_str(planner->values, y);
  if (!is_inside(p, q) && !is_inside(q, p)) return false;
  struct dk_diag *diag = dk_template_error(
      build, DK_E0509, build->task->outputs.items[b].value->span, varies ? row : DK_NO_ROW,
      "outputs `%s` and `%s` %s %s", build->tmpl->outputs[a].name, build->tmpl->outputs[b].name,
      p->len == q->len ? "both are" : "lie in one another:", dk_planner_show(planner, p->len > q->len ? x : y));
  dk_diag_label_at(planner->diags, diag, build->task->outputs.items[a].value->span, "the other one");
  return true;
}

static void check_clashes(struct dk_template_build *build) {
  const struct dk_template *tmpl = build->tmpl;
  for (uint32_t b = 1; b < tmpl->n_outputs; b++) {
    for (uint32_t a = 0; a < b; a++) {
      bool varies = tmpl->outputs[a].path.kind == DK_CELL_COLUMN || tmpl->outputs[b].path.kind == DK_CELL_COLUMN;
      uint32_t rows = varies ? tmpl->points.rows : tmpl->points.rows ? 1 : 0;
      for (uint32_t row = 0; row < rows && !clash_at(build, a, b, row, varies); row++) continue;
    }
  }
}

void dk_template_outputs(struct dk_template_build *build) {
  struct dk_planner *planner = build->planner;
  const struct dk_named_exprs *declared = &build->task->outputs;
  struct dk_template *tmpl = build->tmpl;
  bool ok = true;
  tmpl->outputs = dk_arena_array(planner->arena, struct dk_output, declared->count + 1);
  tmpl->n_outputs = declared->count;
  for (uint32_t i = 0; i < declared->count; i++) {
    struct dk_output *output = &tmpl->outputs[i];
    struct output o = {.build = build, .output = output, .expr = declared->items[i].value, .is_dir = -1};
    output->name = declared->items[i].name->text;
    dk_span_path(planner, declared->items[i].name_span, &output->line);
    bool fine = build->has_points && o.expr &&
                dk_template_cell(build, o.expr, "an output's path", DK_LATE_NEVER, NULL, &output->path) &&
                dk_cell_each(planner, &output->path, tmpl->points.rows, NULL, check_path, &o);
    ok &= fine;
    if (!fine) build->failed = true;
    output->is_dir = o.is_dir == 1;
    if (fine) dk_cell_replace(planner, &output->path, without_slash, planner);
  }
  if (ok) check_clashes(build);
}
