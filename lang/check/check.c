/* The order of the checks: modules, names, what has a value, heads of tasks and picks, bodies, cycles. */
#include "lang/check/internal.h"

#include <string.h>

static struct dk_checked_value *add_value(struct dk_checker *checker, struct dk_decl *decl) {
  struct dk_checked *checked = checker->checked;
  struct dk_checked_value *value = dk_arena_new(checker->arena, struct dk_checked_value);
  value->decl = decl;
  value->number = checked->n_values;
  dk_arena_push(checker->arena, checked->values, checked->n_values, checked->cap_values) = value;
  decl->checked = value;
  return value;
}

static void check_let(struct dk_checker *checker, struct dk_decl *decl) {
  struct dk_scope scope = {.checker = checker,
                           .module = decl->module,
                           .before = decl->index,
                           .self = decl,
                           .what = dk_arena_printf(checker->arena, "`%s`", decl->name->text)};
  for (uint32_t i = 0; i < decl->n_params; i++) {
    for (uint32_t j = 0; j < i; j++)
      if (decl->params[j] == decl->params[i])
        dk_diag_add(checker->diags, DK_E0202, decl->name_span, "function `%s` has the parameter `%s` twice",
                    decl->name->text, decl->params[i]->text);
    dk_resolve_push(&scope, decl->params[i]);
  }
  if (decl->value) dk_resolve(&scope, decl->value);
  decl->n_slots = scope.max_locals;
  if (!decl->is_function) add_value(checker, decl);
}

/* Of a resource or an image. */
static void check_record(struct dk_checker *checker, struct dk_decl *decl, const struct dk_schema *schema,
                         const char *what) {
  struct dk_stmt *found[DK_BODY_MAX];
  struct dk_scope scope = {.checker = checker,
                           .module = decl->module,
                           .before = decl->index,
                           .self = decl,
                           .what = dk_arena_printf(checker->arena, "%s `%s`", what, decl->name->text)};
  dk_body_read(checker, schema, decl->block, decl->name_span, found);
  struct dk_block *kept = dk_arena_new(checker->arena, struct dk_block);
  for (uint32_t i = 0; i < schema->n_fields; i++) {
    if (!found[i] || !found[i]->value) continue;
    dk_resolve(&scope, found[i]->value);
    dk_body_kind(checker, &schema->fields[i], found[i]->value);
    dk_arena_push(checker->arena, kept->items, kept->count, kept->cap) = *found[i];
  }
  /* Unknown and repeated fields are left out: eval makes a record of the rest. */
  if (decl->block) {
    kept->span = decl->block->span;
    kept->has_errors = decl->block->has_errors;
  }
  decl->block = kept;
  add_value(checker, decl);
}

static bool is_named_providers(const struct dk_str *name) {
  return strcmp(name->text, "providers") == 0;
}

/* Experiments and providers stand in files of their own. False after an error. */
static bool check_file(struct dk_checker *checker, const struct dk_decl *decl, struct dk_span span) {
  static const char *const whats[] = {
      [DK_DECL_EXPERIMENT] = "an experiment",
      [DK_DECL_PARAM] = "a param",
      [DK_DECL_RESOURCE] = "a resource",
      [DK_DECL_GRID] = "a grid",
      [DK_DECL_TASK] = "a task",
      [DK_DECL_PICK] = "a pick",
      [DK_DECL_REPORT] = "a report",
      [DK_DECL_SOURCE] = "a source",
      [DK_DECL_LET] = NULL,
      [DK_DECL_IMAGE] = NULL,
      [DK_DECL_IMPORT] = NULL,
      [DK_DECL_PROVIDER] = NULL,
  };
  struct dk_diag *diag;
  if (checker->kinds && whats[decl->kind]) {
    diag = dk_diag_add(checker->diags, DK_E0222, span, "%s cannot stand in a file of providers", whats[decl->kind]);
    dk_diag_help(checker->diags, diag,
                 "move it into the experiment's file; here stand providers, images, lets and imports");
  } else if (!checker->kinds && decl->kind == DK_DECL_PROVIDER) {
    diag = dk_diag_add(checker->diags, DK_E0222, span, "a provider cannot stand in an experiment's file");
    if (is_named_providers(checker->checked->name))
      dk_diag_help(checker->diags, diag, "this is a file of providers: `dkrun providers check` looks at it");
    else
      dk_diag_help(checker->diags, diag,
                   "move it into a file of providers, ~/.config/dkrun/providers.dk: where tasks run is not the "
                   "experiment's business");
  } else {
    return true;
  }
  return false;
}

static void check_place(struct dk_checker *checker, struct dk_decl *decl, bool is_root) {
  struct dk_diags *diags = checker->diags;
  const char *what = decl->kind == DK_DECL_EXPERIMENT ? "an experiment"
                     : decl->kind == DK_DECL_PARAM    ? "a param"
                     : decl->kind == DK_DECL_REPORT   ? "a report"
                                                      : NULL;
  struct dk_span span = decl->name ? decl->name_span : decl->span;
  if (decl->kind == DK_DECL_IMAGE && !checker->kinds) dk_not_built(checker, span, "`image` in an experiment");
  if (decl->kind == DK_DECL_SOURCE && !checker->kinds) dk_not_built(checker, span, "`source`");
  if (decl->kind == DK_DECL_PROVIDER) what = "a provider";
  if (is_root && !check_file(checker, decl, span)) return;
  if (!is_root && what) {
    struct dk_diag *diag = dk_diag_add(diags, DK_E0210, span, "%s cannot stand in a module that is imported", what);
    dk_diag_help(diags, diag,
                 "move it into the file that is run; a module holds lets, functions, resources, grids and tasks");
  }
  if (decl->kind != DK_DECL_EXPERIMENT || !is_root) return;
  if (checker->experiment) {
    struct dk_diag *diag = dk_diag_add(diags, DK_E0202, span, "a file has one experiment");
    dk_diag_label_at(diags, diag, checker->experiment->name_span, "declared here first");
  } else {
    checker->experiment = decl;
    checker->checked->name = decl->name;
  }
}

/* What has a value or points: names above only, so the order written is the order needed. */
static void check_values(struct dk_checker *checker, struct dk_module *module, bool is_root) {
  struct dk_checked *checked = checker->checked;
  uint32_t n_params = 0;
  for (uint32_t i = 0; i < module->n_decls; i++) {
    struct dk_decl *decl = module->decls[i];
    if (!decl->name) continue;
    switch (decl->kind) {
    case DK_DECL_LET: check_let(checker, decl); break;
    case DK_DECL_PARAM:
      check_let(checker, decl);
      if (is_root) ((struct dk_checked_value *)decl->checked)->param = &checked->params[n_params++];
      break;
    case DK_DECL_RESOURCE: check_record(checker, decl, &dk_schema_resource, "resource"); break;
    case DK_DECL_IMAGE: /* an experiment's is not built yet */
      if (checker->kinds) check_record(checker, decl, &dk_schema_image, "image");
      break;
    case DK_DECL_GRID: dk_check_grid(checker, decl); break;
    default: break;
    }
  }
}

static void list_params(struct dk_checker *checker, struct dk_module *root) {
  struct dk_checked *checked = checker->checked;
  checked->params = dk_arena_array(checker->arena, struct dk_param, root->n_decls + 1);
  for (uint32_t i = 0; i < root->n_decls; i++)
    if (root->decls[i]->kind == DK_DECL_PARAM && root->decls[i]->name)
      checked->params[checked->n_params++].decl = root->decls[i];
  checked->cap_params = root->n_decls + 1;
}

/* The alias by which the root reaches a module, through others if need be; "" for the root. */
static const char *prefix_of(struct dk_checker *checker, const struct dk_module *module, const char **prefixes) {
  for (uint32_t i = 0; i < checker->checked->n_modules; i++)
    if (checker->checked->modules[i] == module) return prefixes[i];
  return "";
}

/* Modules come in the order they were first reached, so an importer's prefix is known before its imports'. */
static const char **prefixes(struct dk_checker *checker) {
  struct dk_checked *checked = checker->checked;
  const char **ret = dk_arena_array(checker->arena, const char *, checked->n_modules + 1);
  if (checked->n_modules) ret[0] = "";
  for (uint32_t i = 0; i < checked->n_modules; i++) {
    const struct dk_module *module = checked->modules[i];
    for (uint32_t j = 0; ret[i] && j < module->n_decls; j++) {
      const struct dk_decl *import = module->decls[j];
      if (import->kind != DK_DECL_IMPORT || !import->imported || !import->name) continue;
      for (uint32_t k = 1; k < checked->n_modules; k++)
        if (checked->modules[k] == import->imported && !ret[k])
          ret[k] = *ret[i] ? dk_arena_printf(checker->arena, "%s.%s", ret[i], import->name->text) : import->name->text;
    }
  }
  for (uint32_t i = 0; i < checked->n_modules; i++)
    if (!ret[i]) ret[i] = "module";
  return ret;
}

static void check_heads(struct dk_checker *checker, struct dk_module *module, const char *prefix) {
  for (uint32_t i = 0; i < module->n_decls; i++)
    if (module->decls[i]->kind == DK_DECL_TASK && module->decls[i]->name)
      dk_check_task_head(checker, module->decls[i], prefix);
  for (uint32_t i = 0; i < module->n_decls; i++)
    if (module->decls[i]->kind == DK_DECL_PICK && module->decls[i]->name) dk_check_pick_head(checker, module->decls[i]);
}

static void check_bodies(struct dk_checker *checker, struct dk_module *module, bool is_root) {
  struct dk_checked *checked = checker->checked;
  for (uint32_t i = 0; i < module->n_decls; i++) {
    struct dk_decl *decl = module->decls[i];
    if (decl->kind == DK_DECL_TASK && decl->checked) {
      dk_check_task_body(checker, decl->checked);
      if (is_root) dk_arena_push(checker->arena, checked->tasks, checked->n_tasks, checked->cap_tasks) = decl->checked;
    } else if (decl->kind == DK_DECL_PICK && decl->checked) {
      dk_check_pick_body(checker, decl->checked);
      if (is_root) dk_arena_push(checker->arena, checked->picks, checked->n_picks, checked->cap_picks) = decl->checked;
    } else if (decl->kind == DK_DECL_REPORT && is_root) {
      dk_check_report(checker, decl);
    }
  }
}

/* Tasks of modules that something of the plan refers to join it, behind the root's own. */

static void use_task(struct dk_checker *checker, const struct dk_checked_task *task) {
  struct dk_checked *checked = checker->checked;
  struct dk_task_head *head = task->decl->checked;
  if (task->decl->module == checked->modules[0] || head->is_used) return;
  head->is_used = true;
  dk_arena_push(checker->arena, checked->tasks, checked->n_tasks, checked->cap_tasks) = &head->task;
}

static void use_pick(struct dk_checker *checker, const struct dk_decl *decl) {
  struct dk_checked *checked = checker->checked;
  struct dk_pick_head *head = decl->checked;
  if (decl->module == checked->modules[0] || head->is_used) return;
  head->is_used = true;
  dk_arena_push(checker->arena, checked->picks, checked->n_picks, checked->cap_picks) = &head->pick;
}

static void use_refs(void *ctx, struct dk_expr *expr) {
  struct dk_checker *checker = ctx;
  if (expr->kind == DK_EXPR_REF) {
    const struct dk_decl *decl = expr->ref.target;
    const struct dk_checked_pick *pick = decl->kind == DK_DECL_PICK ? decl->checked : NULL;
    const struct dk_checked_task *task = pick ? pick->from : decl->checked;
    if (pick) use_pick(checker, decl);
    if (task) use_task(checker, task);
  }
  dk_walk_children(expr, use_refs, ctx);
}

static void use_named(struct dk_checker *checker, const struct dk_named_exprs *exprs) {
  for (uint32_t i = 0; i < exprs->count; i++)
    if (exprs->items[i].value) use_refs(checker, exprs->items[i].value);
}

static void add_used_tasks(struct dk_checker *checker) {
  struct dk_checked *checked = checker->checked;
  if (checked->n_modules == 1) return;
  for (uint32_t i = 0; i < checked->n_picks; i++)
    if (checked->picks[i]->from) use_task(checker, checked->picks[i]->from);
  for (uint32_t i = 0; i < checked->n_tables; i++) {
    for (uint32_t j = 0; j < checked->tables[i]->n_from; j++) use_task(checker, checked->tables[i]->from[j]);
    for (uint32_t j = 0; j < checked->tables[i]->columns.count; j++)
      use_refs(checker, checked->tables[i]->columns.items[j]);
  }
  for (uint32_t i = 0; i < checked->n_tasks; i++) { /* grows while it is walked */
    struct dk_checked_task *task = checked->tasks[i];
    if (task->run) use_refs(checker, task->run);
    if (task->when) use_refs(checker, task->when);
    use_named(checker, &task->inputs);
    use_named(checker, &task->env);
  }
}

static const struct dk_str *file_name(struct dk_strs *strs, const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  size_t len = strlen(name);
  if (len > 3 && strcmp(name + len - 3, ".dk") == 0) len -= 3;
  return dk_intern(strs, name, len);
}

static void check_anything(struct dk_checker *checker, const struct dk_module *root) {
  struct dk_checked *checked = checker->checked;
  if (checked->n_tasks || checker->diags->n_errors) return;
  struct dk_span span = {root->source->base, root->source->base};
  struct dk_diag *diag =
      dk_diag_add(checker->diags, DK_E0219, span,
                  root->n_decls ? "nothing to run: this file has no task" : "nothing to run: this file is empty");
  dk_diag_help(checker->diags, diag, "the smallest experiment is a task: task hello { run = \"echo hello\" }");
  dk_diag_help(
      checker->diags, diag,
      "with a grid: grid g { seed in 1..3 }  task train over g { run = \"python3 train.py --seed {{seed}}\" }");
}

/* All modules: names, values, heads, bodies. */
static void check_all(struct dk_checker *checker, struct dk_module *root) {
  struct dk_checked *checked = checker->checked;
  struct dk_module **order;
  uint32_t n_order;
  dk_module_load(checker, root, &order, &n_order);
  checker->names = dk_arena_array(checker->arena, struct dk_map, checked->n_modules);
  for (uint32_t i = 0; i < checked->n_modules; i++) {
    struct dk_module *module = checked->modules[i];
    for (uint32_t j = 0; j < module->n_decls; j++) module->decls[j]->index = j;
    dk_scope_declare(checker, i);
    for (uint32_t j = 0; j < module->n_decls; j++) check_place(checker, module->decls[j], i == 0);
  }
  list_params(checker, root);
  for (uint32_t i = 0; i < n_order; i++) check_values(checker, order[i], order[i] == root);
  dk_check_given(checker, checker->given, checker->n_given);
  if (checker->experiment) dk_check_defaults(checker);
  const char **prefix = prefixes(checker);
  for (uint32_t i = 0; i < n_order; i++) check_heads(checker, order[i], prefix_of(checker, order[i], prefix));
  for (uint32_t i = 0; i < n_order; i++) check_bodies(checker, order[i], order[i] == root);
  dk_check_cycles(checker);
}

static struct dk_checked *new_checked(struct dk_arena *arena, struct dk_strs *strs, struct dk_diags *diags,
                                      const struct dk_module *root) {
  struct dk_checked *checked = dk_arena_new(arena, struct dk_checked);
  *checked = (struct dk_checked){.arena = arena,
                                 .strs = strs,
                                 .sources = diags->sources,
                                 .diags = diags,
                                 .name = file_name(strs, root->source->path)};
  return checked;
}

struct dk_checked *dk_check(struct dk_arena *arena, struct dk_strs *strs, struct dk_diags *diags,
                            struct dk_module *root, dk_read_module_fn *read, void *read_ctx,
                            const struct dk_check_given *given, uint32_t n_given) {
  struct dk_checked *checked = new_checked(arena, strs, diags, root);
  struct dk_checker checker = {.arena = arena,
                               .strs = strs,
                               .diags = diags,
                               .checked = checked,
                               .read = read,
                               .read_ctx = read_ctx,
                               .given = given,
                               .n_given = n_given};
  check_all(&checker, root);
  add_used_tasks(&checker);
  check_anything(&checker, root);
  return checked;
}

struct dk_checked *dk_check_providers(struct dk_arena *arena, struct dk_strs *strs, struct dk_diags *diags,
                                      struct dk_module *root, dk_read_module_fn *read, void *read_ctx,
                                      const struct dk_provider_kinds *kinds) {
  struct dk_checked *checked = new_checked(arena, strs, diags, root);
  struct dk_checker checker = {.arena = arena,
                               .strs = strs,
                               .diags = diags,
                               .checked = checked,
                               .read = read,
                               .read_ctx = read_ctx,
                               .kinds = kinds};
  check_all(&checker, root);
  for (uint32_t i = 0; i < root->n_decls; i++)
    if (root->decls[i]->kind == DK_DECL_PROVIDER && root->decls[i]->name) dk_check_provider(&checker, root->decls[i]);
  return checked;
}
