/* Names: what is declared where, what a name stands for, and what to say when it stands for nothing. */
#include "lang/check/internal.h"

#include <inttypes.h>
#include <string.h>

static bool name_equal(const void *ctx, uint32_t item, const void *key) {
  const struct dk_module *module = ctx;
  return module->decls[item]->name == key;
}

static uint64_t name_hash(const struct dk_str *name) {
  return dk_hash_u64(name->id, 0);
}

static uint32_t module_index(const struct dk_checker *checker, const struct dk_module *module) {
  uint32_t i = 0;
  while (i < checker->checked->n_modules && checker->checked->modules[i] != module) i++;
  return i;
}

const char *dk_scope_place(struct dk_checker *checker, struct dk_span span) {
  struct dk_place place = dk_sources_place(checker->checked->sources, span.start);
  if (!place.source) return "";
  return dk_arena_printf(checker->arena, "%s:%" PRIu32 ":%" PRIu32, place.source->path, place.line, place.column);
}

/* So many errors that further ones are not kept: no time goes into their suggestions. */
static bool is_flooded(const struct dk_checker *checker) {
  return checker->diags->n_errors > DK_DIAGS_MAX;
}

void dk_scope_declare(struct dk_checker *checker, uint32_t index) {
  struct dk_module *module = checker->checked->modules[index];
  struct dk_map *map = &checker->names[index];
  dk_map_init(map, checker->arena);
  for (uint32_t i = 0; i < module->n_decls; i++) {
    struct dk_decl *decl = module->decls[i];
    if (!decl->name || decl->kind == DK_DECL_EXPERIMENT) continue;
    uint32_t first = dk_map_find(map, name_hash(decl->name), name_equal, module, decl->name);
    if (first == DK_MAP_NONE) {
      (void)dk_map_add(map, name_hash(decl->name), i); /* an arena's map jumps instead of failing */
      continue;
    }
    struct dk_diag *diag =
        dk_diag_add(checker->diags, DK_E0202, decl->name_span, "`%s` is declared twice", decl->name->text);
    dk_diag_label(checker->diags, diag, "again here");
    dk_diag_label_at(checker->diags, diag, module->decls[first]->name_span, "declared here first");
    dk_diag_help(checker->diags, diag, "give one of them another name");
  }
}

const struct dk_decl *dk_scope_find(struct dk_checker *checker, const struct dk_module *module,
                                    const struct dk_str *name) {
  uint32_t index = module_index(checker, module);
  if (index == checker->checked->n_modules) return NULL;
  uint32_t item = dk_map_find(&checker->names[index], name_hash(name), name_equal, module, name);
  return item == DK_MAP_NONE ? NULL : module->decls[item];
}

const struct dk_decl *dk_scope_decl(const struct dk_scope *scope, const struct dk_str *name) {
  for (uint32_t i = scope->n_locals; i-- > 0;)
    if (scope->locals[i].name == name) return NULL;
  if (scope->columns && dk_column_find(scope->columns, name)) return NULL;
  return dk_scope_find(scope->checker, scope->module, name);
}

const struct dk_decl *dk_scope_decl_of(const struct dk_scope *scope, const struct dk_expr *expr) {
  if (expr->kind == DK_EXPR_NAME)
    return expr->name.binding.kind == DK_BIND_DECL ? expr->name.binding.decl : dk_scope_decl(scope, expr->name.name);
  if (expr->kind != DK_EXPR_MEMBER || expr->member.of->kind != DK_EXPR_NAME) return NULL;
  const struct dk_decl *import = dk_scope_decl(scope, expr->member.of->name.name);
  if (!import || import->kind != DK_DECL_IMPORT || !import->imported) return NULL;
  return dk_scope_find(scope->checker, import->imported, expr->member.name);
}

bool dk_scope_usable(struct dk_scope *scope, const struct dk_decl *decl, struct dk_span at) {
  struct dk_diags *diags = scope->checker->diags;
  if (decl->module != scope->module || scope->before == UINT32_MAX || decl->index < scope->before) return true;
  struct dk_diag *diag;
  if (decl == scope->self) {
    diag = dk_diag_add(diags, DK_E0205, at, "`%s` uses itself: %s -> %s", decl->name->text, decl->name->text,
                       decl->name->text);
    dk_diag_label_at(diags, diag, decl->name_span, "declared here");
    dk_diag_note(diags, diag,
                 "lets, functions, params, resources and grids use names above them only, so nothing recurses");
  } else if (is_flooded(scope->checker) || !dk_check_value_cycle(scope, decl, at)) {
    diag = dk_diag_add(diags, DK_E0204, at, "`%s` is used before it is declared", decl->name->text);
    dk_diag_label_at(diags, diag, decl->name_span, "declared here");
    dk_diag_help(diags, diag, "move the declaration of `%s` above %s", decl->name->text, scope->what);
  }
  return false;
}

const char *dk_scope_list(struct dk_checker *checker, const char *const *names, uint32_t n) {
  const char *text = "";
  for (uint32_t i = 0; i < n && i < 20; i++)
    text = dk_arena_printf(checker->arena, "%s%s%s", text, i ? ", " : "", names[i]);
  return n > 20 ? dk_arena_printf(checker->arena, "%s and %" PRIu32 " more", text, n - 20) : text;
}

void dk_scope_suggest(struct dk_checker *checker, struct dk_diag *diag, const char *name, const char *const *names,
                      uint32_t n) {
  if (is_flooded(checker)) return;
  const char *near = dk_nearest(name, names, n);
  if (near) dk_diag_help(checker->diags, diag, "did you mean `%s`?", near);
}

struct names {
  const char **items;
  uint32_t n, cap;
};

static void add(struct dk_scope *scope, struct names *names, const char *name) {
  dk_arena_push(scope->checker->arena, names->items, names->n, names->cap) = name;
}

/* Everything that may stand here, the nearest first. */
static void candidates(struct dk_scope *scope, bool is_call, struct names *ret) {
  for (uint32_t i = scope->n_locals; i-- > 0;) add(scope, ret, scope->locals[i].name->text);
  for (uint32_t i = 0; scope->columns && i < scope->columns->count; i++)
    add(scope, ret, scope->columns->items[i].name->text);
  if (scope->allow & DK_ALLOW_INPUTS) add(scope, ret, "inputs");
  if (scope->allow & DK_ALLOW_OUTPUTS) add(scope, ret, "outputs");
  if (scope->allow & DK_ALLOW_POINT) add(scope, ret, "point");
  if (scope->allow & DK_ALLOW_STREAMS) {
    add(scope, ret, "stdout");
    add(scope, ret, "stderr");
  }
  for (uint32_t i = 0; i < scope->module->n_decls && i < scope->before; i++)
    if (scope->module->decls[i]->name && scope->module->decls[i]->kind != DK_DECL_EXPERIMENT)
      add(scope, ret, scope->module->decls[i]->name->text);
  uint32_t n;
  const struct dk_builtin_info *builtins = dk_builtins(&n);
  for (uint32_t i = 0; is_call && i < n; i++) add(scope, ret, builtins[i].name);
}

static void note_columns(struct dk_scope *scope, struct dk_diag *diag) {
  struct dk_checker *checker = scope->checker;
  const char **names = dk_arena_array(checker->arena, const char *, scope->columns->count + 1);
  for (uint32_t i = 0; i < scope->columns->count; i++) names[i] = scope->columns->items[i].name->text;
  const char *list = dk_scope_list(checker, names, scope->columns->count);
  if (scope->allow & DK_ALLOW_ROW)
    dk_diag_note(checker->diags, diag, "the rows have %s", list);
  else if (scope->grid)
    dk_diag_note(checker->diags, diag, "grid `%s` has the columns %s (%s)", scope->grid->name->text, list,
                 dk_scope_place(checker, scope->grid->name_span));
  else
    dk_diag_note(checker->diags, diag, "the columns here are %s", list);
}

/* A clause of a grid that uses a column of a clause below it. */
static bool is_column_below(struct dk_scope *scope, const struct dk_str *name, struct dk_span span) {
  const struct dk_block *block = scope->self && scope->self->kind == DK_DECL_GRID ? scope->self->block : NULL;
  for (uint32_t i = 0; block && i < block->count; i++) {
    const struct dk_stmt *stmt = &block->items[i];
    struct dk_span below = stmt->name == name ? stmt->name_span : DK_NO_SPAN;
    for (uint32_t j = 0; j < stmt->n_names; j++)
      if (stmt->names[j] == name) below = stmt->name_spans[j];
    if (!below.start || stmt->kind == DK_STMT_BLOCK) continue;
    struct dk_diags *diags = scope->checker->diags;
    bool self = stmt->span.start <= span.start && span.end <= stmt->span.end;
    if (!self && below.start < span.start) continue; /* above, but not to be seen from here: an include */
    struct dk_diag *diag =
        dk_diag_add(diags, self ? DK_E0205 : DK_E0204, span,
                    self ? "column `%s` uses itself" : "column `%s` is used before it is declared", name->text);
    dk_diag_label_at(diags, diag, below, "declared here");
    if (!self) dk_diag_help(diags, diag, "clauses see the columns above them: move this one below `%s`", name->text);
    return true;
  }
  return false;
}

/* Is the name that was probably meant one of the columns? */
static bool is_near_column(const struct dk_scope *scope, const char *near) {
  for (uint32_t i = 0; near && i < scope->columns->count; i++)
    if (strcmp(scope->columns->items[i].name->text, near) == 0) return true;
  return false;
}

/* A word of another language, or a column of a grid that the task does not stand over. */
static bool help_meant(struct dk_scope *scope, struct dk_diag *diag, const struct dk_str *name) {
  static const char *const words[][2] = {{"True", "true"}, {"TRUE", "true"}, {"False", "false"}, {"FALSE", "false"},
                                         {"None", "null"}, {"nil", "null"},  {"NULL", "null"},   {"undefined", "null"}};
  struct dk_checker *checker = scope->checker;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcmp(name->text, words[i][0]) != 0) continue;
    dk_diag_help(checker->diags, diag, "write `%s`", words[i][1]);
    return true;
  }
  if (strcmp(name->text, "range") == 0) {
    dk_diag_help(checker->diags, diag, "a range is written `1..3`, both ends are in it; with a step `0..10 by 2`");
    return true;
  }
  for (uint32_t i = 0; scope->task && !scope->task->over && i < checker->checked->n_grids; i++) {
    const struct dk_checked_grid *grid = checker->checked->grids[i];
    if (grid->decl->module != scope->module || !dk_column_find(&grid->columns, name)) continue;
    dk_diag_help(checker->diags, diag, "it is a column of grid `%s`: write `task %s over %s`", grid->decl->name->text,
                 scope->task->decl->name->text, grid->decl->name->text);
    return true;
  }
  return false;
}

void dk_scope_unknown(struct dk_scope *scope, const struct dk_str *name, struct dk_span span, bool is_call) {
  struct dk_checker *checker = scope->checker;
  if (scope->columns_unknown && !is_call) return;
  if (!is_call && is_column_below(scope, name, span)) return;
  struct names names = {NULL, 0, 0};
  if (!is_flooded(checker)) candidates(scope, is_call, &names);
  const char *near = dk_nearest(name->text, names.items, names.n);
  bool columns = scope->columns && scope->columns->count && !is_call && (!near || is_near_column(scope, near));
  struct dk_diag *diag;
  if (columns && scope->grid && !(scope->allow & DK_ALLOW_ROW))
    diag =
        dk_diag_add(checker->diags, DK_E0203, span, "no column `%s` in grid `%s`", name->text, scope->grid->name->text);
  else if (columns)
    diag = dk_diag_add(checker->diags, DK_E0203, span, "no column `%s` here", name->text);
  else
    diag = dk_diag_add(checker->diags, DK_E0201, span, is_call ? "no function `%s`" : "nothing is named `%s` here",
                       name->text);
  if (columns && scope->allow & DK_ALLOW_ROW)
    dk_diag_label(checker->diags, diag, "not a column or metric");
  else if (columns)
    dk_diag_label(checker->diags, diag,
                  scope->task ? "not a column, parameter or input here" : "not a column or parameter here");
  const struct dk_named_exprs *inputs = scope->task && scope->allow & DK_ALLOW_INPUTS ? &scope->task->inputs : NULL;
  const struct dk_named_exprs *outputs = scope->task && scope->allow & DK_ALLOW_OUTPUTS ? &scope->task->outputs : NULL;
  for (uint32_t i = 0; inputs && i < inputs->count; i++) {
    if (inputs->items[i].name != name) continue;
    dk_diag_help(checker->diags, diag, "it is an input: write `inputs.%s`", name->text);
    return;
  }
  for (uint32_t i = 0; outputs && i < outputs->count; i++) {
    if (outputs->items[i].name != name) continue;
    dk_diag_help(checker->diags, diag, "it is an output: write `outputs.%s`", name->text);
    return;
  }
  if (help_meant(scope, diag, name)) return;
  if (near) dk_diag_help(checker->diags, diag, "did you mean `%s`?", near);
  if (columns) note_columns(scope, diag);
}
