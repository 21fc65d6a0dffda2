/* Modules: reading what is imported, once each, and the order in which they depend on each other.
 *
 * The door's read function returns one dk_source per file, however it is spelt: that is a module's identity. */
#include "lang/check/internal.h"

#define MAX_IMPORT_DEPTH 64

struct entry {
  struct dk_module *module;
  const struct dk_decl *by; /* the import that is being followed from this one */
  bool is_open;
};

struct loader {
  struct dk_checker *checker;
  struct entry *entries; /* parallel to checked->modules */
  uint32_t n_entries, cap_entries;
  struct dk_module **order;
  uint32_t n_order, cap_order;
  uint32_t stack[MAX_IMPORT_DEPTH];
  uint32_t depth;
};

static void load(struct loader *loader, struct dk_module *module);

static uint32_t find(const struct loader *loader, const struct dk_source *source) {
  uint32_t i = 0;
  while (i < loader->n_entries && loader->entries[i].module->source != source) i++;
  return i;
}

/* `index` is open: it is on the stack, and imports itself through those above it. */
static void report_cycle(struct loader *loader, const struct dk_decl *import, uint32_t index) {
  struct dk_checker *checker = loader->checker;
  const char *path = "";
  uint32_t from = 0;
  while (loader->stack[from] != index) from++;
  for (uint32_t i = from; i < loader->depth; i++)
    path = dk_arena_printf(checker->arena, "%s%s -> ", path, loader->entries[loader->stack[i]].module->source->path);
  const char *first = loader->entries[index].module->source->path;
  struct dk_diag *diag =
      dk_diag_add(checker->diags, DK_E0205, import->path_span, "imports go round: %s%s", path, first);
  for (uint32_t i = from; i + 1 < loader->depth; i++) {
    const struct entry *entry = &loader->entries[loader->stack[i]];
    dk_diag_label_at(checker->diags, diag, entry->by->path_span, "%s imports %s here", entry->module->source->path,
                     loader->entries[loader->stack[i + 1]].module->source->path);
  }
  dk_diag_help(checker->diags, diag, "move what both need into a third file");
}

static void follow(struct loader *loader, uint32_t from, struct dk_decl *import) {
  struct dk_checker *checker = loader->checker;
  if (!import->path || !checker->read) return;
  const struct dk_source *source = checker->read(checker->read_ctx, import, import->path_span);
  if (!source) return;
  uint32_t index = find(loader, source);
  if (index < loader->n_entries) {
    if (loader->entries[index].is_open)
      report_cycle(loader, import, index);
    else
      import->imported = loader->entries[index].module;
    return;
  }
  if (loader->depth == MAX_IMPORT_DEPTH) {
    dk_diag_add(checker->diags, DK_E0205, import->path_span, "imports are nested more than %d deep", MAX_IMPORT_DEPTH);
    return;
  }
  struct dk_parse_env env = {checker->arena, checker->strs, checker->diags};
  struct dk_module *module = dk_parse_file(&env, source);
  module->is_std = import->path_is_std;
  if (import->path_is_std) module->name = import->path;
  loader->entries[from].by = import;
  load(loader, module);
  import->imported = module;
}

static void load(struct loader *loader, struct dk_module *module) {
  struct dk_checker *checker = loader->checker;
  struct dk_checked *checked = checker->checked;
  uint32_t index = loader->n_entries;
  dk_arena_push(checker->arena, loader->entries, loader->n_entries, loader->cap_entries) =
      (struct entry){module, NULL, true};
  dk_arena_push(checker->arena, checked->modules, checked->n_modules, checked->cap_modules) = module;
  loader->stack[loader->depth++] = index;
  for (uint32_t i = 0; i < module->n_decls; i++)
    if (module->decls[i]->kind == DK_DECL_IMPORT) follow(loader, index, module->decls[i]);
  loader->depth--;
  loader->entries[index].is_open = false;
  dk_arena_push(checker->arena, loader->order, loader->n_order, loader->cap_order) = module;
}

void dk_module_load(struct dk_checker *checker, struct dk_module *root, struct dk_module ***ret_order,
                    uint32_t *ret_n) {
  struct loader loader = {.checker = checker};
  load(&loader, root);
  *ret_order = loader.order;
  *ret_n = loader.n_order;
}
