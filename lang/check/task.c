/* Tasks: heads (columns, names of inputs, outputs, metrics), then bodies; and the experiment's defaults. */
#include "lang/check/internal.h"

#include <string.h>

/* What an expression of each field may use. */
static unsigned allow_of(const char *field) {
  static const struct {
    const char *field;
    unsigned allow;
  } table[] = {
      {"run", DK_ALLOW_INPUTS | DK_ALLOW_OUTPUTS | DK_ALLOW_POINT | DK_ALLOW_REFS | DK_ALLOW_LATE},
      {"shell", DK_ALLOW_INPUTS | DK_ALLOW_OUTPUTS | DK_ALLOW_POINT | DK_ALLOW_REFS},
      {"env", DK_ALLOW_INPUTS | DK_ALLOW_OUTPUTS | DK_ALLOW_POINT | DK_ALLOW_REFS | DK_ALLOW_LATE},
      {"inputs", DK_ALLOW_POINT | DK_ALLOW_REFS | DK_ALLOW_FILES | DK_ALLOW_LATE},
      {"when", DK_ALLOW_POINT | DK_ALLOW_REFS | DK_ALLOW_LATE},
      {"metrics", DK_ALLOW_OUTPUTS | DK_ALLOW_POINT | DK_ALLOW_STREAMS | DK_ALLOW_REFS},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(table[i].field, field) == 0) return table[i].allow;
  return DK_ALLOW_POINT | DK_ALLOW_REFS;
}

static struct dk_scope scope_of(struct dk_checker *checker, const struct dk_task_head *head, const char *field) {
  return (struct dk_scope){.checker = checker,
                           .module = head->task.decl->module,
                           .before = UINT32_MAX,
                           .columns = head->task.over ? &head->task.columns : NULL,
                           .columns_unknown = head->columns_unknown,
                           .grid = head->grid,
                           .task = &head->task,
                           .allow = allow_of(field),
                           .what = dk_arena_printf(checker->arena, "`%s`", field)};
}

static struct dk_expr *value_of(const struct dk_stmt *stmt) {
  return stmt ? stmt->value : NULL;
}

/* `t.x` must not be two things. */
static void check_distinct(struct dk_checker *checker, const struct dk_checked_task *task) {
  struct {
    const struct dk_named_exprs *list;
    const char *what;
  } lists[] = {{&task->outputs, "output"}, {&task->metrics, "metric"}};
  for (int i = 0; i < 2; i++) {
    for (uint32_t j = 0; j < lists[i].list->count; j++) {
      const struct dk_named_expr *item = &lists[i].list->items[j];
      const struct dk_column_decl *column = dk_column_find(&task->columns, item->name);
      struct dk_diag *diag = NULL;
      if (column) {
        diag = dk_diag_add(checker->diags, DK_E0216, item->name_span, "%s `%s` has the name of a column", lists[i].what,
                           item->name->text);
        dk_diag_label_at(checker->diags, diag, column->span, "the column");
      }
      for (uint32_t k = 0; i == 1 && !diag && k < task->outputs.count; k++) {
        if (task->outputs.items[k].name != item->name) continue;
        diag = dk_diag_add(checker->diags, DK_E0216, item->name_span, "metric `%s` has the name of an output",
                           item->name->text);
        dk_diag_label_at(checker->diags, diag, task->outputs.items[k].name_span, "the output");
      }
      if (diag)
        dk_diag_help(checker->diags, diag, "give it another name: `%s.%s` could mean either", task->name->text,
                     item->name->text);
    }
  }
}

static struct dk_block *block_of(const struct dk_stmt *stmt) {
  return stmt ? stmt->block : NULL;
}

void dk_check_task_head(struct dk_checker *checker, struct dk_decl *decl, const char *prefix) {
  struct dk_task_head *head = dk_arena_new(checker->arena, struct dk_task_head);
  struct dk_checked_task *task = &head->task;
  task->decl = decl;
  task->name = *prefix
                   ? dk_intern_text(checker->strs, dk_arena_printf(checker->arena, "%s.%s", prefix, decl->name->text))
                   : decl->name;
  task->over = decl->over;
  decl->checked = head;
  struct dk_scope scope = {.checker = checker, .module = decl->module, .before = UINT32_MAX, .what = "`over`"};
  if (decl->over) head->columns_unknown = !dk_check_grid_expr(&scope, decl->over, &task->columns, &head->grid);
  dk_body_read(checker, &dk_schema_task, decl->block, decl->name_span, head->found);
  /* A grid's clause in a task is an error; the names it would have declared are none. */
  for (uint32_t i = 0; decl->block && i < decl->block->count; i++)
    head->columns_unknown |= decl->block->items[i].kind == DK_STMT_AXIS;
  const struct dk_schema *schema = &dk_schema_task;
  dk_body_named(checker, block_of(dk_body_field(schema, head->found, "inputs")), "inputs", &task->inputs);
  dk_body_named(checker, block_of(dk_body_field(schema, head->found, "outputs")), "outputs", &task->outputs);
  dk_body_named(checker, block_of(dk_body_field(schema, head->found, "metrics")), "metrics", &task->metrics);
  dk_body_named(checker, block_of(dk_body_field(schema, head->found, "env")), "env", &task->env);
  task->retry_block = block_of(dk_body_field(schema, head->found, "retry"));
  check_distinct(checker, task);
}

static struct dk_expr *resolve_field(struct dk_checker *checker, const struct dk_schema *schema, struct dk_scope *scope,
                                     struct dk_stmt *const found[DK_BODY_MAX], const char *name) {
  struct dk_expr *value = value_of(dk_body_field(schema, found, name));
  if (!value) return NULL;
  dk_resolve(scope, value);
  dk_body_kind(checker, dk_schema_find(schema, name), value);
  return value;
}

/* grow { memory = 2 } as the record it means. */
static struct dk_expr *block_record(struct dk_checker *checker, const struct dk_stmt *stmt) {
  struct dk_named_exprs named = {NULL, 0, 0};
  struct dk_expr *record = dk_arena_new(checker->arena, struct dk_expr);
  record->kind = DK_EXPR_RECORD;
  record->depth = DK_EXPR_DEPTH_MAX;
  record->span = stmt->span;
  dk_body_named(checker, stmt->block, stmt->name->text, &named);
  for (uint32_t i = 0; i < named.count; i++)
    dk_arena_push(checker->arena, record->record.fields.items, record->record.fields.count, record->record.fields.cap) =
        (struct dk_field){named.items[i].name, named.items[i].name_span, named.items[i].value};
  return record;
}

static void read_retry(struct dk_checker *checker, struct dk_scope *scope, struct dk_checked_task *task) {
  struct dk_stmt *found[DK_BODY_MAX];
  const struct dk_schema *schema = &dk_schema_retry;
  if (!task->retry_block) return;
  dk_body_read(checker, schema, task->retry_block, task->retry_block->span, found);
  struct dk_stmt *grow = dk_body_field(schema, found, "grow");
  if (grow && grow->block) {
    grow->value = block_record(checker, grow);
    grow->kind = DK_STMT_FIELD;
  }
  task->retry_lost = resolve_field(checker, schema, scope, found, "lost");
  task->retry_oom = resolve_field(checker, schema, scope, found, "oom");
  task->retry_exit = resolve_field(checker, schema, scope, found, "exit");
  task->retry_grow = resolve_field(checker, schema, scope, found, "grow");
}

static void resolve_named(struct dk_scope *scope, const struct dk_named_exprs *exprs) {
  for (uint32_t i = 0; i < exprs->count; i++)
    if (exprs->items[i].value) dk_resolve(scope, exprs->items[i].value);
}

static void check_cache(struct dk_checker *checker, struct dk_expr *cache) {
  if (!cache || cache->kind != DK_EXPR_STRING || cache->string.n_parts > 1 ||
      (cache->string.n_parts && !cache->string.parts[0].literal))
    return;
  if (cache->string.n_parts && strcmp(cache->string.parts[0].literal->text, "none") == 0) return;
  struct dk_diag *diag = dk_diag_add(checker->diags, DK_E0209, cache->span, "`cache` wants \"none\"");
  dk_diag_help(checker->diags, diag, "leave `cache` out to reuse results");
  dk_resolve_error(cache);
}

/* The fields that defaults have too. */
static void read_common(struct dk_checker *checker, const struct dk_schema *schema, const struct dk_task_head *head,
                        struct dk_stmt *const found[DK_BODY_MAX], struct dk_checked_task *ret) {
  static const char *const names[] = {"needs", "shell", "timeout", "pass", "cache"};
  struct dk_expr **values[] = {&ret->needs, &ret->shell, &ret->timeout, &ret->pass, &ret->cache};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct dk_scope scope = scope_of(checker, head, names[i]);
    *values[i] = resolve_field(checker, schema, &scope, found, names[i]);
  }
  check_cache(checker, ret->cache);
  struct dk_scope scope = scope_of(checker, head, "retry");
  read_retry(checker, &scope, ret);
}

void dk_check_defaults(struct dk_checker *checker) {
  struct dk_stmt *found[DK_BODY_MAX];
  const struct dk_decl *decl = checker->experiment;
  dk_body_read(checker, &dk_schema_experiment, decl->block, decl->name_span, found);
  struct dk_stmt *doc = dk_body_field(&dk_schema_experiment, found, "doc"),
                 *stmt = dk_body_field(&dk_schema_experiment, found, "defaults");
  struct dk_scope scope = {.checker = checker, .module = decl->module, .before = UINT32_MAX, .what = "an experiment"};
  if (doc && doc->value) {
    dk_resolve(&scope, doc->value);
    dk_body_kind(checker, dk_schema_find(&dk_schema_experiment, "doc"), doc->value);
    if (doc->value->kind == DK_EXPR_STRING && doc->value->string.n_parts == 1 && doc->value->string.parts[0].literal)
      checker->checked->doc = doc->value->string.parts[0].literal;
  }
  if (!stmt || !stmt->block) return;
  struct dk_task_head head = {.task = {.decl = decl}};
  dk_body_read(checker, &dk_schema_defaults, stmt->block, stmt->name_span, found);
  head.task.retry_block = block_of(dk_body_field(&dk_schema_defaults, found, "retry"));
  dk_body_named(checker, block_of(dk_body_field(&dk_schema_defaults, found, "env")), "env", &head.task.env);
  /* A default stands outside of all tasks: no columns, inputs or point. */
  scope.what = "defaults";
  resolve_named(&scope, &head.task.env);
  struct dk_checked_task *ret = &checker->defaults;
  *ret = head.task;
  static const char *const names[] = {"needs", "shell", "timeout", "pass", "cache"};
  struct dk_expr **values[] = {&ret->needs, &ret->shell, &ret->timeout, &ret->pass, &ret->cache};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    *values[i] = resolve_field(checker, &dk_schema_defaults, &scope, found, names[i]);
  check_cache(checker, ret->cache);
  read_retry(checker, &scope, ret);
}

static void apply_defaults(struct dk_checker *checker, struct dk_checked_task *task) {
  const struct dk_checked_task *defaults = &checker->defaults;
  task->from_defaults_needs = !task->needs && defaults->needs;
  if (!task->needs) task->needs = defaults->needs;
  if (!task->shell) task->shell = defaults->shell;
  if (!task->timeout) task->timeout = defaults->timeout;
  if (!task->pass) task->pass = defaults->pass;
  if (!task->cache) task->cache = defaults->cache;
  if (!task->retry_lost) task->retry_lost = defaults->retry_lost;
  if (!task->retry_oom) task->retry_oom = defaults->retry_oom;
  if (!task->retry_exit) task->retry_exit = defaults->retry_exit;
  if (!task->retry_grow) task->retry_grow = defaults->retry_grow;
  for (uint32_t i = 0; i < defaults->env.count; i++) {
    bool own = false;
    for (uint32_t j = 0; j < task->env.count && !own; j++) own = task->env.items[j].name == defaults->env.items[i].name;
    if (!own) dk_arena_push(checker->arena, task->env.items, task->env.count, task->env.cap) = defaults->env.items[i];
  }
}

void dk_check_task_body(struct dk_checker *checker, struct dk_checked_task *task) {
  const struct dk_task_head *head = (const struct dk_task_head *)task;
  const struct dk_schema *schema = &dk_schema_task;
  static const char *const names[] = {"doc", "code", "run", "at_once", "when"};
  struct dk_expr **values[] = {&task->doc, &task->code, &task->run, &task->at_once, &task->when};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct dk_scope scope = scope_of(checker, head, names[i]);
    *values[i] = resolve_field(checker, schema, &scope, head->found, names[i]);
  }
  read_common(checker, schema, head, head->found, task);
  static const char *const blocks[] = {"inputs", "outputs", "metrics", "env"};
  const struct dk_named_exprs *lists[] = {&task->inputs, &task->outputs, &task->metrics, &task->env};
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
    struct dk_scope scope = scope_of(checker, head, blocks[i]);
    resolve_named(&scope, lists[i]);
  }
  apply_defaults(checker, task);
}
