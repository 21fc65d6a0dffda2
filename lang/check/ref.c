/* References to points of tasks and picks: t.x, t[a = e].x, gather(t.x), gather(t), best.c.
 *
 * What a field of a target means is decided here: an output, a metric, a column, `chosen`. Which points it finds is
 * plan's (join). A task's outputs, metrics and columns have different names (task.c), so `t.x` is never two things. */
#include "lang/check/internal.h"

#include <string.h>

static bool is_target(const struct dk_decl *decl) {
  return decl && (decl->kind == DK_DECL_TASK || decl->kind == DK_DECL_PICK);
}

bool dk_ref_target(const struct dk_scope *scope, const struct dk_expr *expr, struct dk_target *ret) {
  if (expr->kind == DK_EXPR_SELECT) {
    if (!dk_ref_target(scope, expr->select.of, ret)) return false;
    for (uint32_t i = 0; i < expr->select.selectors.count; i++)
      dk_arena_push(scope->checker->arena, ret->selectors.items, ret->selectors.count, ret->selectors.cap) =
          expr->select.selectors.items[i];
    return true;
  }
  const struct dk_decl *decl = dk_scope_decl_of(scope, expr);
  if (!is_target(decl)) return false;
  /* A module's picks are its own. */
  if (decl->module != scope->module && decl->kind == DK_DECL_PICK) return false;
  *ret = (struct dk_target){.decl = decl};
  return true;
}

static const struct dk_checked_task *task_of(const struct dk_decl *decl) {
  if (decl->kind == DK_DECL_TASK) return decl->checked;
  const struct dk_checked_pick *pick = decl->checked;
  return pick ? pick->from : NULL;
}

static bool is_named(const struct dk_named_exprs *exprs, const struct dk_str *name) {
  for (uint32_t i = 0; i < exprs->count; i++)
    if (exprs->items[i].name == name) return true;
  return false;
}

struct found {
  enum dk_ref_kind kind;
  bool is_late;
};

static bool find_field(const struct dk_decl *decl, const struct dk_checked_task *task, const struct dk_str *field,
                       struct found *ret) {
  bool pick = decl->kind == DK_DECL_PICK;
  if (pick && strcmp(field->text, "chosen") == 0)
    *ret = (struct found){DK_REF_CHOSEN, true};
  else if (is_named(&task->outputs, field))
    *ret = (struct found){DK_REF_OUTPUT, pick};
  else if (is_named(&task->metrics, field))
    *ret = (struct found){DK_REF_METRIC, true};
  else if (dk_column_find(&task->columns, field))
    *ret = (struct found){DK_REF_COLUMN, pick};
  else if (pick && strcmp(field->text, "rank") == 0 && ((const struct dk_checked_pick *)decl->checked)->best)
    *ret = (struct found){DK_REF_COLUMN, false};
  else
    return false;
  return true;
}

static void no_field(struct dk_scope *scope, const struct dk_decl *decl, const struct dk_checked_task *task,
                     const struct dk_str *field, struct dk_span span) {
  struct dk_checker *checker = scope->checker;
  bool pick = decl->kind == DK_DECL_PICK;
  struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0212, span, "%s `%s` has no output, metric or column `%s`",
                                     pick ? "pick" : "task", decl->name->text, field->text);
  uint32_t n = 0;
  const char **names =
      dk_arena_array(checker->arena, const char *, task->outputs.count + task->metrics.count + task->columns.count + 2);
  for (uint32_t i = 0; i < task->outputs.count; i++) names[n++] = task->outputs.items[i].name->text;
  for (uint32_t i = 0; i < task->metrics.count; i++) names[n++] = task->metrics.items[i].name->text;
  for (uint32_t i = 0; i < task->columns.count; i++) names[n++] = task->columns.items[i].name->text;
  if (pick) names[n++] = "chosen";
  dk_scope_suggest(checker, diag, field->text, names, n);
  if (n)
    dk_diag_note(checker->diags, diag, "%s `%s` has %s (%s)", pick ? "pick" : "task", decl->name->text,
                 dk_scope_list(checker, names, n), dk_scope_place(checker, decl->name_span));
  else
    dk_diag_note(checker->diags, diag, "task `%s` has no outputs, metrics or columns (%s)", decl->name->text,
                 dk_scope_place(checker, decl->name_span));
}

static bool check_selectors(struct dk_scope *scope, const struct dk_decl *decl, const struct dk_checked_task *task,
                            const struct dk_fields *selectors) {
  struct dk_checker *checker = scope->checker;
  const struct dk_task_head *head = (const struct dk_task_head *)task;
  bool ok = true;
  for (uint32_t i = 0; i < selectors->count; i++) {
    const struct dk_field *selector = &selectors->items[i];
    if (selector->value) dk_resolve(scope, selector->value);
    for (uint32_t j = 0; j < i; j++) {
      if (selectors->items[j].name != selector->name) continue;
      dk_diag_add(checker->diags, DK_E0207, selector->name_span, "`%s` is given twice", selector->name->text);
      ok = false;
    }
    if (head->columns_unknown || dk_column_find(&task->columns, selector->name)) continue;
    if (decl->kind == DK_DECL_PICK && strcmp(selector->name->text, "rank") == 0 &&
        ((const struct dk_checked_pick *)decl->checked)->best)
      continue;
    const char **names = dk_arena_array(checker->arena, const char *, task->columns.count + 1);
    for (uint32_t j = 0; j < task->columns.count; j++) names[j] = task->columns.items[j].name->text;
    struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0203, selector->name_span, "no column `%s` in task `%s`",
                                       selector->name->text, task->name->text);
    dk_scope_suggest(checker, diag, selector->name->text, names, task->columns.count);
    if (task->columns.count)
      dk_diag_note(checker->diags, diag, "task `%s` has the columns %s (%s)", task->name->text,
                   dk_scope_list(checker, names, task->columns.count), dk_scope_place(checker, task->decl->name_span));
    ok = false;
  }
  return ok;
}

/* Lets, grids and the like are there before any task. */
static bool may_refer(struct dk_scope *scope, const struct dk_expr *expr, const struct dk_decl *decl) {
  if (scope->allow & DK_ALLOW_REFS) return true;
  struct dk_diags *diags = scope->checker->diags;
  struct dk_diag *diag = dk_diag_add(diags, DK_E0218, expr->span, "%s `%s` cannot be used in %s",
                                     decl->kind == DK_DECL_TASK ? "task" : "pick", decl->name->text, scope->what);
  dk_diag_note(
      diags, diag,
      "references to tasks and picks stand in the `inputs`, `run`, `env` and `when` of a task, and in reports");
  return false;
}

/* May a reference of this kind stand here? Reports when not. */
static bool is_allowed(struct dk_scope *scope, const struct dk_expr *expr, const struct dk_decl *decl,
                       const struct dk_str *field, struct found found) {
  struct dk_diags *diags = scope->checker->diags;
  const char *name = decl->name->text, *f = field ? field->text : "";
  if ((found.kind == DK_REF_OUTPUT || found.kind == DK_REF_TASK) && !(scope->allow & DK_ALLOW_FILES)) {
    struct dk_diag *diag =
        dk_diag_add(diags, DK_E0218, expr->span, "`%s.%s` is a file of another task: it cannot be used in %s", name, f,
                    scope->what);
    if (!(scope->allow & DK_ALLOW_ROW))
      dk_diag_help(diags, diag, "make it an input, `inputs { %s = %s.%s }`, and write `{{inputs.%s}}`", f, name, f, f);
    return false;
  }
  if (found.is_late && found.kind != DK_REF_OUTPUT && !(scope->allow & DK_ALLOW_LATE)) {
    struct dk_diag *diag =
        dk_diag_add(diags, DK_E0213, expr->span, "`%s.%s` is known only when tasks have run, too late for %s", name, f,
                    scope->what);
    dk_diag_note(diags, diag, "such values may stand in `run`, `env`, `inputs` and `when`");
    return false;
  }
  return true;
}

void dk_ref_make(struct dk_scope *scope, struct dk_expr *expr, struct dk_target *target, const struct dk_str *field,
                 struct dk_span field_span) {
  const struct dk_decl *decl = target->decl;
  if (!may_refer(scope, expr, decl)) {
    dk_resolve_error(expr);
    return;
  }
  const struct dk_checked_task *task = task_of(decl);
  struct found found = {DK_REF_TASK, false};
  bool ok = task != NULL; /* else the target is wrong, and that was said */
  if (task && !check_selectors(scope, decl, task, &target->selectors)) ok = false;
  if (ok && field && !find_field(decl, task, field, &found)) {
    const struct dk_task_head *head = (const struct dk_task_head *)task;
    if (!head->columns_unknown && !(task->decl->block && task->decl->block->has_errors))
      no_field(scope, decl, task, field, field_span);
    ok = false;
  }
  if (!field && ok && decl->kind == DK_DECL_PICK) {
    dk_diag_add(scope->checker->diags, DK_E0218, expr->span, "`%s` is a pick: gather takes tasks and their outputs",
                decl->name->text);
    ok = false;
  }
  if (!ok || !is_allowed(scope, expr, decl, field, found)) {
    dk_resolve_error(expr);
    return;
  }
  struct dk_ref ref = {
      .kind = found.kind, .target = decl, .field = field, .field_span = field_span, .selectors = target->selectors};
  expr->kind = DK_EXPR_REF;
  expr->ref = ref;
}

/* `failed = "skip"` of a gather; false after an error. */
static bool read_failed(struct dk_scope *scope, const struct dk_field *arg, bool *ret) {
  const struct dk_expr *value = arg->value;
  *ret = value->kind == DK_EXPR_STRING && value->string.n_parts == 1 && value->string.parts[0].literal &&
         strcmp(value->string.parts[0].literal->text, "skip") == 0;
  if (!*ret && value->kind != DK_EXPR_ERROR)
    dk_diag_add(scope->checker->diags, DK_E0209, value->span, "`failed` of gather wants \"skip\"");
  return *ret;
}

static bool gather_args(struct dk_scope *scope, struct dk_expr *call, struct dk_expr **ret_what, bool *ret_skip) {
  const struct dk_fields *args = &call->call.args;
  struct dk_diags *diags = scope->checker->diags;
  const struct dk_field *failed = NULL;
  *ret_skip = false;
  *ret_what = NULL;
  for (uint32_t i = 0; i < args->count; i++) {
    const struct dk_field *arg = &args->items[i];
    if (!arg->value) return false; /* could not be parsed, and that was said */
    if (!arg->name && !*ret_what)
      *ret_what = arg->value;
    else if (arg->name && strcmp(arg->name->text, "failed") == 0) {
      if (failed) {
        struct dk_diag *diag = dk_diag_add(diags, DK_E0207, arg->name_span, "`failed` is given twice");
        dk_diag_label_at(diags, diag, failed->name_span, "given here first");
        return false;
      }
      failed = arg;
      if (!read_failed(scope, arg, ret_skip)) return false;
    } else {
      struct dk_diag *diag = dk_diag_add(diags, DK_E0211, arg->name ? arg->name_span : arg->value->span,
                                         "`gather` takes one output and `failed`");
      dk_diag_note(diags, diag, "its form is `gather(task.output, failed = \"skip\")`");
      return false;
    }
  }
  if (*ret_what) return true;
  struct dk_diag *diag = dk_diag_add(diags, DK_E0211, call->span, "`gather` lacks what is to be gathered");
  dk_diag_note(diags, diag, "its form is `gather(task.output, failed = \"skip\")`");
  return false;
}

void dk_ref_gather(struct dk_scope *scope, struct dk_expr *call) {
  struct dk_diags *diags = scope->checker->diags;
  struct dk_target target;
  struct dk_expr *what;
  bool skip;
  if (scope->allow & DK_ALLOW_REFS && !(scope->allow & DK_ALLOW_FILES)) {
    struct dk_diag *diag =
        dk_diag_add(diags, DK_E0218, call->span, "`gather` cannot stand in %s: it gives files", scope->what);
    dk_diag_help(diags, diag, "make them an input, `inputs { all = gather(...) }`, and write `{{inputs.all}}`");
    dk_resolve_error(call);
    return;
  }
  if (!gather_args(scope, call, &what, &skip)) {
    dk_resolve_error(call);
    return;
  }
  if (dk_ref_target(scope, what, &target)) {
    dk_ref_make(scope, what, &target, NULL, what->span);
  } else if (what->kind == DK_EXPR_MEMBER && dk_ref_target(scope, what->member.of, &target)) {
    dk_ref_make(scope, what, &target, what->member.name, what->member.name_span);
  } else {
    dk_resolve(scope, what);
    if (what->kind != DK_EXPR_ERROR) {
      struct dk_diag *diag =
          dk_diag_add(diags, DK_E0218, what->span, "`gather` takes a task or a task's output, and this is neither");
      dk_diag_help(diags, diag, "write `gather(train.model)` or `gather(train)`");
    }
    dk_resolve_error(what);
  }
  if (what->kind == DK_EXPR_REF && what->ref.kind != DK_REF_OUTPUT && what->ref.kind != DK_REF_TASK) {
    struct dk_diag *diag = dk_diag_add(diags, DK_E0218, what->ref.field_span, "`gather` takes outputs; `%s` is none",
                                       what->ref.field->text);
    dk_diag_help(diags, diag, "`gather(%s)` gives one JSON file with the columns, metrics and paths of all points",
                 what->ref.target->name->text);
    dk_resolve_error(what);
  }
  if (what->kind != DK_EXPR_REF) {
    dk_resolve_error(call);
    return;
  }
  struct dk_ref ref = what->ref;
  ref.is_gather = true;
  ref.skip_failed = skip;
  call->kind = DK_EXPR_REF;
  call->ref = ref;
}
