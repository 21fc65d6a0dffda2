/* Picks: from which task, by which metric, kept and averaged columns. */
#include "lang/check/internal.h"

#include <string.h>

static const struct dk_schema *const schema = &dk_schema_pick;

static struct dk_stmt *field(const struct dk_pick_head *head, const char *name) {
  return dk_body_field(schema, head->found, name);
}

/* One bare name; NULL after an error or when there is none. */
static struct dk_expr *one_name(struct dk_checker *checker, const struct dk_pick_head *head, const char *name) {
  struct dk_stmt *stmt = field(head, name);
  struct dk_expr **names;
  if (!stmt) return NULL;
  uint32_t n = dk_body_names(checker, dk_schema_find(schema, name), stmt, &names);
  if (n > 1) dk_diag_add(checker->diags, DK_E0209, stmt->value->span, "`%s` wants one name", name);
  return n == 1 ? names[0] : NULL;
}

static const struct dk_checked_task *from_task(struct dk_checker *checker, const struct dk_decl *decl,
                                               const struct dk_pick_head *head) {
  struct dk_expr *expr = one_name(checker, head, "from");
  struct dk_scope scope = {.checker = checker, .module = decl->module, .before = UINT32_MAX, .what = "`from`"};
  struct dk_target target;
  if (!expr) return NULL;
  if (dk_ref_target(&scope, expr, &target) && target.decl->kind == DK_DECL_TASK) return target.decl->checked;
  const char *text = expr->kind == DK_EXPR_NAME ? expr->name.name->text : expr->member.name->text;
  struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0201, expr->span, "no task `%s`", text);
  const char **names = dk_arena_array(checker->arena, const char *, decl->module->n_decls + 1);
  uint32_t n = 0;
  for (uint32_t i = 0; i < decl->module->n_decls; i++)
    if (decl->module->decls[i]->kind == DK_DECL_TASK && decl->module->decls[i]->name)
      names[n++] = decl->module->decls[i]->name->text;
  dk_scope_suggest(checker, diag, text, names, n);
  if (n)
    dk_diag_note(checker->diags, diag, "there %s %s", n == 1 ? "is the task" : "are the tasks",
                 dk_scope_list(checker, names, n));
  return NULL;
}

void dk_check_pick_head(struct dk_checker *checker, struct dk_decl *decl) {
  struct dk_pick_head *head = dk_arena_new(checker->arena, struct dk_pick_head);
  struct dk_checked_pick *pick = &head->pick;
  pick->decl = decl;
  pick->name = decl->name;
  decl->checked = head;
  dk_body_read(checker, schema, decl->block, decl->name_span, head->found);
  pick->from = from_task(checker, decl, head);
  struct dk_stmt *best = field(head, "best");
  pick->best = best ? best->value : NULL;
}

static void read_metric(struct dk_checker *checker, struct dk_pick_head *head) {
  struct dk_checked_pick *pick = &head->pick;
  struct dk_stmt *max = field(head, "maximize"), *min = field(head, "minimize");
  bool has_errors = pick->decl->has_errors;
  if (max && min) {
    struct dk_diag *diag =
        dk_diag_add(checker->diags, DK_E0207, min->name_span, "a pick maximizes or minimizes, not both");
    dk_diag_label_at(checker->diags, diag, max->name_span, "given here first");
  }
  bool tried =
      dk_body_tried(schema, pick->decl->block, "maximize") || dk_body_tried(schema, pick->decl->block, "minimize");
  if (!max && !min && !has_errors && !tried) {
    struct dk_diag *diag =
        dk_diag_add(checker->diags, DK_E0208, pick->decl->name_span, "this pick lacks `maximize` or `minimize`");
    dk_diag_help(checker->diags, diag, "add `maximize = accuracy`: a metric of its task");
  }
  if (!max && !min) return;
  pick->is_max = max != NULL;
  struct dk_expr *expr = one_name(checker, head, max ? "maximize" : "minimize");
  if (!expr || !pick->from) return;
  const struct dk_named_exprs *metrics = &pick->from->metrics;
  const struct dk_str *name = expr->kind == DK_EXPR_NAME ? expr->name.name : expr->member.name;
  const char **names = dk_arena_array(checker->arena, const char *, metrics->count + 1);
  for (uint32_t i = 0; i < metrics->count; i++) {
    names[i] = metrics->items[i].name->text;
    if (expr->kind == DK_EXPR_NAME && metrics->items[i].name == name) pick->metric = name;
  }
  if (pick->metric || (pick->from->decl->block && pick->from->decl->block->has_errors)) return;
  struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0212, expr->span, "task `%s` has no metric `%s`",
                                     pick->from->name->text, name->text);
  dk_scope_suggest(checker, diag, name->text, names, metrics->count);
  if (metrics->count)
    dk_diag_note(checker->diags, diag, "its metrics are %s (%s)", dk_scope_list(checker, names, metrics->count),
                 dk_scope_place(checker, pick->from->decl->name_span));
  else
    dk_diag_help(checker->diags, diag, "declare it in the task: `metrics { %s = match(stdout, '...') }`", name->text);
}

static uint32_t read_columns(struct dk_checker *checker, struct dk_pick_head *head, const char *name,
                             const struct dk_str ***ret) {
  struct dk_stmt *stmt = field(head, name);
  struct dk_expr **exprs;
  const struct dk_checked_task *from = head->pick.from;
  if (!stmt) return 0;
  uint32_t n = dk_body_names(checker, dk_schema_find(schema, name), stmt, &exprs), kept = 0;
  *ret = dk_arena_array(checker->arena, const struct dk_str *, n + 1);
  for (uint32_t i = 0; from && i < n; i++) {
    const struct dk_str *column = exprs[i]->kind == DK_EXPR_NAME ? exprs[i]->name.name : exprs[i]->member.name;
    bool again = false;
    for (uint32_t j = 0; j < kept; j++) again = again || (*ret)[j] == column;
    if (again) {
      dk_diag_add(checker->diags, DK_E0207, exprs[i]->span, "`%s` is given twice", column->text);
    } else if (dk_column_find(&from->columns, column)) {
      (*ret)[kept++] = column;
    } else if (!((const struct dk_task_head *)from)->columns_unknown) {
      const char **names = dk_arena_array(checker->arena, const char *, from->columns.count + 1);
      for (uint32_t j = 0; j < from->columns.count; j++) names[j] = from->columns.items[j].name->text;
      struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0203, exprs[i]->span, "no column `%s` in task `%s`",
                                         column->text, from->name->text);
      dk_scope_suggest(checker, diag, column->text, names, from->columns.count);
      if (from->columns.count)
        dk_diag_note(checker->diags, diag, "its columns are %s", dk_scope_list(checker, names, from->columns.count));
    }
  }
  return kept;
}

static void read_failed(struct dk_checker *checker, struct dk_pick_head *head) {
  struct dk_stmt *stmt = field(head, "failed");
  if (!stmt || stmt->value->kind == DK_EXPR_ERROR) return;
  const struct dk_expr *value = stmt->value;
  head->pick.skip_failed = value->kind == DK_EXPR_STRING && value->string.n_parts == 1 &&
                           value->string.parts[0].literal && strcmp(value->string.parts[0].literal->text, "skip") == 0;
  if (!head->pick.skip_failed) dk_diag_add(checker->diags, DK_E0209, value->span, "`failed` wants \"skip\"");
}

void dk_check_pick_body(struct dk_checker *checker, struct dk_checked_pick *pick) {
  struct dk_pick_head *head = (struct dk_pick_head *)pick;
  struct dk_scope scope = {.checker = checker, .module = pick->decl->module, .before = UINT32_MAX, .what = "a pick"};
  read_metric(checker, head);
  pick->n_per = read_columns(checker, head, "per", &pick->per);
  pick->n_mean_over = read_columns(checker, head, "mean_over", &pick->mean_over);
  for (uint32_t i = 0; i < pick->n_per; i++)
    for (uint32_t j = 0; j < pick->n_mean_over; j++)
      if (pick->per[i] == pick->mean_over[j])
        dk_diag_add(checker->diags, DK_E0207, field(head, "mean_over")->name_span,
                    "`%s` is in `per` and in `mean_over`", pick->per[i]->text);
  read_failed(checker, head);
  struct dk_stmt *doc = field(head, "doc");
  if (doc && doc->value) dk_resolve(&scope, doc->value);
  if (pick->best) {
    dk_resolve(&scope, pick->best);
    dk_body_kind(checker, dk_schema_find(schema, "best"), pick->best);
  }
}
