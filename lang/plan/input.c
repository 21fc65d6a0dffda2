/* Inputs of a task: what each is, at which rows, over which edge. See template.h. */
#include "lang/plan/template.h"

#include "lang/plan/write.h"

#include <string.h>

struct input {
  struct dk_template_build *build;
  const struct dk_named_expr *declared;
  uint32_t cap;
};

static struct dk_input *add_input(struct input *in, enum dk_input_kind kind) {
  struct dk_template *tmpl = in->build->tmpl;
  uint32_t at = tmpl->n_inputs, line;
  dk_span_path(in->build->planner, in->declared->name_span, &line);
  dk_arena_push(in->build->planner->arena, tmpl->inputs, tmpl->n_inputs, in->cap) =
      (struct dk_input){.name = in->declared->name->text, .kind = kind, .line = line};
  return &tmpl->inputs[at];
}

static bool not_an_input(struct input *in, struct dk_span span, uint32_t row, const char *what) {
  struct dk_diag *diag =
      dk_template_error(in->build, DK_E0508, span, row, "input `%s` cannot be %s", in->declared->name->text, what);
  dk_diag_help(in->build->planner->diags, diag,
               "an input is another task's output, gather(...), file(...), mount(...) or write(...); values belong "
               "into `run` or `env`");
  return false;
}

/* --- references --- */

static bool add_ref(struct input *in, struct dk_expr *expr, struct dk_cond *cond) {
  struct dk_template_build *build = in->build;
  const struct dk_ref *ref = &expr->ref;
  struct dk_template_build *target = dk_template_of(build->planner, ref->target);
  if (!target) return false;
  if (ref->kind != DK_REF_OUTPUT && ref->kind != DK_REF_TASK)
    return not_an_input(in, expr->span, DK_NO_ROW,
                        ref->kind == DK_REF_METRIC   ? "a metric"
                        : ref->kind == DK_REF_COLUMN ? "a column"
                                                     : "a bool");
  struct dk_template_build *maker = target->pick ? dk_template_of(build->planner, target->pick->from->decl) : target;
  uint32_t output = 0, edge;
  if (ref->kind == DK_REF_OUTPUT) {
    output = maker ? dk_template_find_output(maker->tmpl, ref->field->text) : UINT32_MAX;
    if (output == UINT32_MAX) return not_an_input(in, expr->span, DK_NO_ROW, "this: there is no such output");
  } else if (target->pick || !ref->is_gather) {
    return not_an_input(in, expr->span, DK_NO_ROW,
                        target->pick ? "a pick: name one of its outputs" : "a whole task: use gather(...)");
  }
  if (!dk_ref_connect(build, expr, cond, in->declared->name->text, &edge)) return false;
  struct dk_input *input = add_input(in, ref->kind == DK_REF_TASK ? DK_INPUT_RECORDS
                                         : ref->is_gather         ? DK_INPUT_GATHER
                                                                  : DK_INPUT_OUTPUT);
  input->edge = edge;
  input->producer = maker->index;
  input->output = output;
  input->via_pick = target->pick != NULL;
  return true;
}

/* --- values --- */

struct check {
  struct input *in;
  struct dk_expr *expr;
  bool has_kind;
  enum dk_input_kind kind;
};

static bool is_call_of(const struct dk_expr *expr, const char *name) {
  return expr->kind == DK_EXPR_CALL && expr->call.callee->kind == DK_EXPR_NAME &&
         strcmp(expr->call.callee->name.name->text, name) == 0;
}

static bool is_call(struct dk_planner *planner, dk_value_id value, enum dk_inert which) {
  const struct dk_value *v = dk_value_get(planner->values, value);
  return v->type == DK_TYPE_CALL && v->unit == which;
}

static bool is_text(struct dk_planner *planner, dk_value_id value) {
  return dk_value_get(planner->values, value)->type == DK_TYPE_STRING;
}

/* Where the i-th path is written, as far as the expression shows it. */
static struct dk_span path_span(const struct dk_expr *expr, uint32_t i) {
  for (;;) {
    if (expr->kind == DK_EXPR_LIST && i < expr->list.items.count)
      expr = expr->list.items.items[i];
    else if (is_call_of(expr, "file") && expr->call.args.count && expr->call.args.items[0].value)
      expr = expr->call.args.items[0].value;
    else
      return expr->span;
  }
}

static bool is_there(struct check *check, const struct dk_str *path, uint32_t i, uint32_t row) {
  struct dk_template_build *build = check->in->build;
  const struct dk_eval_files *files = build->planner->eval->files;
  if (!files || !files->missing) return true;
  struct dk_diag *diag = files->missing(files->ctx, path, path_span(check->expr, i));
  if (!diag) return true;
  if (row < build->tmpl->points.rows) dk_point_note(build->planner, diag, &build->tmpl->points, row);
  build->failed = true;
  return false;
}

static bool check_one_path(struct check *check, dk_value_id value, uint32_t i, uint32_t row) {
  struct dk_planner *planner = check->in->build->planner;
  const struct dk_str *path = is_text(planner, value) ? dk_value_str(planner->values, value) : NULL;
  if (path && path->len && !memchr(path->text, '\0', path->len)) return is_there(check, path, i, row);
  return not_an_input(check->in, check->expr->span, row, path ? "an empty path" : "a file whose path is no text");
}

/* file(path), file([path, ...]), [file(path), ...] */
static bool check_file(struct check *check, dk_value_id value, uint32_t row) {
  struct dk_planner *planner = check->in->build->planner;
  if (is_call(planner, value, DK_INERT_FILE)) value = dk_value_item(planner->values, value, 0);
  const struct dk_value *v = dk_value_get(planner->values, value);
  if (v->type != DK_TYPE_LIST) return check_one_path(check, value, 0, row);
  uint32_t n = v->len;
  if (n == 0) return not_an_input(check->in, check->expr->span, row, "an empty list of files");
  for (uint32_t i = 0; i < n; i++) {
    dk_value_id item = dk_value_item(planner->values, value, i);
    if (is_call(planner, item, DK_INERT_FILE)) item = dk_value_item(planner->values, item, 0);
    if (!check_one_path(check, item, i, row)) return false;
  }
  return true;
}

static bool check_write(struct check *check, dk_value_id value, uint32_t row) {
  struct dk_planner *planner = check->in->build->planner;
  dk_value_id name = dk_value_item(planner->values, value, 0);
  const struct dk_str *text = is_text(planner, name) ? dk_value_str(planner->values, name) : NULL;
  bool fine = text && text->len && text->len <= 255 && !memchr(text->text, '/', text->len) &&
              !memchr(text->text, '\0', text->len) && strcmp(text->text, ".") != 0 && strcmp(text->text, "..") != 0;
  if (!fine)
    return not_an_input(check->in, check->expr->span, row, "written there: write(name, value) wants a plain file name");
  const char *fault =
      dk_plan_write(planner->values, text->text, dk_value_item(planner->values, value, 1), dk_planner_text(planner));
  dk_buf_finish(&planner->eval->scratch);
  return !fault || not_an_input(check->in, check->expr->span, row,
                                dk_arena_printf(planner->arena, "written to `%s`: %s", text->text, fault));
}

static bool check_mount(struct check *check, dk_value_id value, uint32_t row) {
  struct dk_planner *planner = check->in->build->planner;
  dk_value_id path = dk_value_item(planner->values, value, 0), version = dk_value_item(planner->values, value, 1);
  const struct dk_str *text = is_text(planner, path) ? dk_value_str(planner->values, path) : NULL;
  if (!text || text->text[0] != '/' || memchr(text->text, '\0', text->len))
    return not_an_input(check->in, check->expr->span, row,
                        "mounted: mount(path, version = ...) wants an absolute path");
  return is_text(planner, version) || not_an_input(check->in, check->expr->span, row,
                                                   "mounted without a version: mount(path, version = \"2024-05\")");
}

static bool kind_of(struct dk_planner *planner, dk_value_id value, enum dk_input_kind *ret) {
  const struct dk_value *v = dk_value_get(planner->values, value);
  *ret = DK_INPUT_FILE;
  if (v->type == DK_TYPE_LIST)
    return v->len && is_call(planner, dk_value_item(planner->values, value, 0), DK_INERT_FILE);
  if (v->type != DK_TYPE_CALL) return false;
  switch ((enum dk_inert)v->unit) {
  case DK_INERT_FILE: return true;
  case DK_INERT_WRITE: *ret = DK_INPUT_WRITE; return true;
  case DK_INERT_MOUNT: *ret = DK_INPUT_MOUNT; return true;
  default: return false;
  }
}

static bool check_value(void *ctx, dk_value_id value, uint32_t row) {
  struct check *check = ctx;
  struct dk_planner *planner = check->in->build->planner;
  enum dk_input_kind kind;
  if (!kind_of(planner, value, &kind) && is_text(planner, value)) {
    struct dk_diag *diag = dk_template_error(check->in->build, DK_E0508, check->expr->span, row,
                                             "input `%s` cannot be a string", check->in->declared->name->text);
    dk_diag_help(planner->diags, diag, "a file of the repository is `file(%s)`", dk_planner_show(planner, value));
    return false;
  }
  if (!kind_of(planner, value, &kind))
    return not_an_input(
        check->in, check->expr->span, row,
        dk_arena_printf(planner->arena, "%s", dk_type_name((enum dk_type)dk_value_get(planner->values, value)->type)));
  if (check->has_kind && kind != check->kind)
    return not_an_input(check->in, check->expr->span, row,
                        "of different kinds at different points, unless `if` chooses");
  check->has_kind = true;
  check->kind = kind;
  switch (kind) {
  case DK_INPUT_WRITE: return check_write(check, value, row);
  case DK_INPUT_MOUNT: return check_mount(check, value, row);
  default: return check_file(check, value, row);
  }
}

/* file(...) and lists of it become their paths. */
static dk_value_id paths_of(void *ctx, dk_value_id value) {
  struct dk_planner *planner = ctx;
  if (is_call(planner, value, DK_INERT_FILE)) return dk_value_item(planner->values, value, 0);
  const struct dk_value *v = dk_value_get(planner->values, value);
  if (v->type != DK_TYPE_LIST) return value;
  uint32_t n = v->len;
  dk_value_id *items = dk_arena_array(planner->arena, dk_value_id, n + 1);
  for (uint32_t i = 0; i < n; i++) items[i] = paths_of(planner, dk_value_item(planner->values, value, i));
  return dk_value_list(planner->values, items, n);
}

static bool add_value(struct input *in, struct dk_expr *expr, struct dk_cond *cond) {
  struct dk_template_build *build = in->build;
  struct dk_cell cell;
  const uint8_t *active;
  struct dk_expr_uses uses = {0};
  if (!dk_cond_flags(build, cond, &active)) return false;
  if (!dk_cell_make(build->planner, expr, &build->tmpl->points, active, &uses, &cell)) return false;
  dk_template_use(build, &uses);
  if (cell.kind == DK_CELL_LATE) {
    if (!is_call_of(expr, "write")) return not_an_input(in, expr->span, DK_NO_ROW, "computed from late values");
    if (cond) return not_an_input(in, expr->span, DK_NO_ROW, "a late write(...) in a branch");
    if (!dk_refs_connect(build, expr, cond, in->declared->name->text)) return false;
    add_input(in, DK_INPUT_WRITE)->cell = cell;
    return true;
  }
  struct check check = {.in = in, .expr = expr};
  if (!dk_cell_each(build->planner, &cell, build->tmpl->points.rows, active, check_value, &check)) return false;
  if (!check.has_kind) return true; /* at no point */
  if (check.kind == DK_INPUT_FILE) dk_cell_replace(build->planner, &cell, paths_of, build->planner);
  add_input(in, check.kind)->cell = cell;
  return true;
}

static bool add_branch(struct input *in, struct dk_expr *expr, struct dk_cond *cond) {
  struct dk_template_build *build = in->build;
  if (expr->kind == DK_EXPR_ERROR) return false;
  if (expr->kind == DK_EXPR_REF) return add_ref(in, expr, cond);
  if (expr->kind == DK_EXPR_IF) {
    struct dk_expr *decides = expr->conditional.condition;
    if (dk_expr_is_late(build, decides))
      return not_an_input(in, decides->span, DK_NO_ROW, "chosen by a late value: edges never are");
    bool then = add_branch(in, expr->conditional.then, dk_cond_new(build, decides, DK_COND_TRUE, cond));
    return add_branch(in, expr->conditional.otherwise, dk_cond_new(build, decides, DK_COND_FALSE, cond)) && then;
  }
  return add_value(in, expr, cond);
}

void dk_template_inputs(struct dk_template_build *build) {
  struct input in = {.build = build};
  for (uint32_t i = 0; i < build->task->inputs.count; i++) {
    in.declared = &build->task->inputs.items[i];
    if (!in.declared->value || !add_branch(&in, in.declared->value, NULL)) build->failed = true;
  }
}
