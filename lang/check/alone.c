/* An expression that stands in no file: names are columns, and nothing else is declared. */
#include "lang/check/internal.h"

struct dk_checked *dk_check_alone(struct dk_arena *arena, struct dk_strs *strs, struct dk_diags *diags,
                                  const struct dk_source *source, struct dk_expr *expr,
                                  const struct dk_column_decls *columns) {
  struct dk_checked *checked = dk_arena_new(arena, struct dk_checked);
  struct dk_module *module = dk_arena_new(arena, struct dk_module), **order;
  struct dk_checker checker = {.arena = arena, .strs = strs, .diags = diags, .checked = checked};
  uint32_t n_order;

  *checked = (struct dk_checked){.arena = arena, .strs = strs, .sources = diags->sources, .diags = diags};
  module->source = source;
  module->name = checked->name = dk_intern_text(strs, source->path);
  dk_module_load(&checker, module, &order, &n_order);
  checker.names = dk_arena_array(arena, struct dk_map, checked->n_modules);
  dk_scope_declare(&checker, 0);
  struct dk_scope scope = {.checker = &checker, .module = module, .columns = columns, .what = source->path};
  dk_resolve(&scope, expr);
  return checked;
}
