/* Reports: tables over the points of tasks. A row's names are its task's columns, its metrics, and `task`. */
#include "lang/check/internal.h"

#include <string.h>

static const struct dk_schema *const schema = &dk_schema_table;

static bool read_from(struct dk_checker *checker, const struct dk_decl *decl, const struct dk_stmt *stmt,
                      struct dk_checked_table *table) {
  struct dk_expr **exprs;
  struct dk_scope scope = {.checker = checker, .module = decl->module, .before = UINT32_MAX, .what = "`from`"};
  uint32_t n = dk_body_names(checker, dk_schema_find(schema, "from"), stmt, &exprs);
  bool ok = n > 0;
  table->from = dk_arena_array(checker->arena, const struct dk_checked_task *, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    struct dk_target target;
    if (dk_ref_target(&scope, exprs[i], &target) && target.decl->kind == DK_DECL_TASK) {
      if (target.decl->checked) table->from[table->n_from++] = target.decl->checked;
      continue;
    }
    const char **names = dk_arena_array(checker->arena, const char *, decl->module->n_decls + 1);
    uint32_t n_names = 0;
    for (uint32_t j = 0; j < decl->module->n_decls; j++)
      if (decl->module->decls[j]->kind == DK_DECL_TASK && decl->module->decls[j]->name)
        names[n_names++] = decl->module->decls[j]->name->text;
    const char *text = exprs[i]->kind == DK_EXPR_NAME ? exprs[i]->name.name->text : exprs[i]->member.name->text;
    struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0201, exprs[i]->span, "no task `%s`", text);
    dk_scope_suggest(checker, diag, text, names, n_names);
    if (n_names)
      dk_diag_note(checker->diags, diag, "there %s %s", n_names == 1 ? "is the task" : "are the tasks",
                   dk_scope_list(checker, names, n_names));
    ok = false;
  }
  return ok;
}

/* What the rows have: union over the tasks. */
static bool row_columns(struct dk_checker *checker, const struct dk_checked_table *table, struct dk_column_decls *ret) {
  bool known = true;
  for (uint32_t i = 0; i < table->n_from; i++) {
    const struct dk_checked_task *task = table->from[i];
    if (((const struct dk_task_head *)task)->columns_unknown || task->decl->has_errors) known = false;
    for (uint32_t j = 0; j < task->columns.count; j++)
      if (!dk_column_find(ret, task->columns.items[j].name))
        dk_arena_push(checker->arena, ret->items, ret->count, ret->cap) = task->columns.items[j];
    for (uint32_t j = 0; j < task->metrics.count; j++)
      if (!dk_column_find(ret, task->metrics.items[j].name))
        dk_arena_push(checker->arena, ret->items, ret->count, ret->cap) =
            (struct dk_column_decl){task->metrics.items[j].name, DK_COLUMN_DERIVED, task->metrics.items[j].name_span};
  }
  return known;
}

/* Without `columns`: all there are. */
static void default_columns(struct dk_checker *checker, const struct dk_column_decls *row,
                            struct dk_checked_table *table) {
  for (uint32_t i = 0; i < row->count; i++) {
    struct dk_expr *expr = dk_arena_new(checker->arena, struct dk_expr);
    expr->kind = DK_EXPR_NAME;
    expr->depth = 1;
    expr->span = row->items[i].span;
    expr->name.name = row->items[i].name;
    expr->name.binding = (struct dk_binding){.kind = DK_BIND_COLUMN};
    dk_arena_push(checker->arena, table->columns.items, table->columns.count, table->columns.cap) = expr;
  }
}

static void read_columns(struct dk_checker *checker, struct dk_scope *scope, struct dk_stmt *stmt,
                         struct dk_checked_table *table) {
  struct dk_expr *value = stmt->value;
  if (value->kind == DK_EXPR_ERROR) return;
  if (value->kind != DK_EXPR_LIST) {
    struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0209, value->span, "`columns` wants %s",
                                       dk_schema_find(schema, "columns")->wants);
    dk_diag_help(checker->diags, diag, "put it into brackets");
    return;
  }
  for (uint32_t i = 0; i < value->list.items.count; i++) {
    struct dk_expr *item = value->list.items.items[i];
    dk_resolve(scope, item);
    bool fine = item->kind == DK_EXPR_REF || item->kind == DK_EXPR_ERROR ||
                (item->kind == DK_EXPR_NAME && item->name.binding.kind == DK_BIND_COLUMN);
    if (!fine) {
      struct dk_diag *diag =
          dk_diag_add(checker->diags, DK_E0209, item->span,
                      "a table's column is a column, a metric, `task`, or one of a pick's such as best.lr");
      dk_diag_label(checker->diags, diag, "this is neither");
      dk_resolve_error(item);
    }
    dk_arena_push(checker->arena, table->columns.items, table->columns.count, table->columns.cap) = item;
  }
}

static struct dk_expr *resolve_field(struct dk_checker *checker, struct dk_scope *scope,
                                     struct dk_stmt *const found[DK_BODY_MAX], const char *name) {
  struct dk_stmt *stmt = dk_body_field(schema, found, name);
  if (!stmt || !stmt->value) return NULL;
  dk_resolve(scope, stmt->value);
  dk_body_kind(checker, dk_schema_find(schema, name), stmt->value);
  return stmt->value;
}

static void read_table(struct dk_checker *checker, struct dk_decl *decl, const struct dk_stmt *stmt) {
  struct dk_stmt *found[DK_BODY_MAX];
  struct dk_checked *checked = checker->checked;
  struct dk_checked_table *table = dk_arena_new(checker->arena, struct dk_checked_table);
  struct dk_column_decls row = {NULL, 0, 0};
  table->stmt = stmt;
  dk_body_read(checker, schema, stmt->block, stmt->name_span, found);
  struct dk_stmt *from = dk_body_field(schema, found, "from"), *columns = dk_body_field(schema, found, "columns");
  bool ok = from && read_from(checker, decl, from, table);
  bool known = row_columns(checker, table, &row) && ok;
  struct dk_scope scope = {.checker = checker,
                           .module = decl->module,
                           .before = UINT32_MAX,
                           .columns = &row,
                           .columns_unknown = !known,
                           .allow = DK_ALLOW_ROW | DK_ALLOW_REFS | DK_ALLOW_LATE,
                           .what = "a table"};
  if (columns && columns->value)
    read_columns(checker, &scope, columns, table);
  else
    default_columns(checker, &row, table);
  table->sort = resolve_field(checker, &scope, found, "sort");
  table->title = resolve_field(checker, &scope, found, "title");
  struct dk_expr *descending = resolve_field(checker, &scope, found, "descending");
  if (descending && descending->kind == DK_EXPR_BOOL)
    table->descending = descending->boolean;
  else if (descending && descending->kind != DK_EXPR_ERROR)
    dk_diag_add(checker->diags, DK_E0209, descending->span, "`descending` wants true or false");
  if (ok) dk_arena_push(checker->arena, checked->tables, checked->n_tables, checked->cap_tables) = table;
}

void dk_check_report(struct dk_checker *checker, struct dk_decl *decl) {
  for (uint32_t i = 0; decl->block && i < decl->block->count; i++) {
    const struct dk_stmt *stmt = &decl->block->items[i];
    const char *name = stmt->name ? stmt->name->text : "";
    if (stmt->kind == DK_STMT_BLOCK && strcmp(name, "table") == 0) {
      read_table(checker, decl, stmt);
    } else if (stmt->kind == DK_STMT_BLOCK && strcmp(name, "plot") == 0) {
      dk_not_built(checker, stmt->name_span, "`plot` in a report");
    } else {
      static const char *const names[] = {"table", "plot"};
      struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0206, stmt->name ? stmt->name_span : stmt->span,
                                         "a report holds tables: `table { ... }`");
      if (stmt->kind == DK_STMT_BLOCK) dk_scope_suggest(checker, diag, name, names, 2);
    }
  }
}
