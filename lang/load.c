/* The door: see lang.h. Owns the arena and the one place where a lack of memory lands. */
#include "lang/lang.h"

#include "lang/base/alloc.h"
#include "lang/eval/wide.h"
#include "lang/files.h"
#include "lang/plan/build.h"
#include "lang/syntax/parse.h"

#include <errno.h>

struct dk_load {
  struct dk_arena arena;
  jmp_buf oom;
  struct dk_strs strs;
  struct dk_sources sources;
  struct dk_diags diags;
  struct dk_files files;
  struct dk_eval_files eval_files;
  struct dk_eval eval;
  struct dk_plan *plan;
  struct dk_load_seen *seen;
  uint32_t n_seen;
};

static void list_seen(struct dk_load *load) {
  const struct dk_files *files = &load->files;
  load->seen = dk_arena_array(&load->arena, struct dk_load_seen, (size_t)files->count + files->n_listings + 1);
  for (uint32_t i = 0; i < files->count; i++) {
    const struct dk_file *file = files->items[i];
    if (!file->real) continue;
    struct dk_load_seen *seen = &load->seen[load->n_seen++];
    *seen = (struct dk_load_seen){.path = file->name};
    if (dk_content_of(file->text, file->len, &seen->digest) < 0) longjmp(load->oom, 1);
  }
  for (uint32_t i = 0; i < files->n_listings; i++)
    load->seen[load->n_seen++] = (struct dk_load_seen){files->listings[i].path, true, files->listings[i].digest};
}

/* Everything that may jump. */
static void compile(struct dk_load *load, const char *path, const struct dk_load_options *options) {
  dk_strs_init(&load->strs, &load->arena);
  dk_sources_init(&load->sources, &load->arena);
  dk_diags_init(&load->diags, &load->arena, &load->sources);
  dk_files_init(&load->files, &load->arena, &load->strs, &load->diags);
  load->eval_files = (struct dk_eval_files){&load->files,     dk_files_read,    dk_files_glob,
                                            dk_files_resolve, dk_files_missing, options->check_pattern};
  load->files.pinned = options->pinned;
  load->files.pinned_ctx = options->pinned_ctx;
  const struct dk_source *source = dk_files_root(&load->files, path, options->name, options->root);
  if (!source) return;
  struct dk_parse_env env = {&load->arena, &load->strs, &load->diags};
  struct dk_module *root = dk_parse_file(&env, source);
  struct dk_checked *checked = dk_check(&load->arena, &load->strs, &load->diags, root, dk_files_module, &load->files,
                                        options->given, options->n_given);
  dk_eval_init(&load->eval, checked, &load->eval_files);
  load->plan = dk_plan_build(&load->eval);
  if (load->diags.n_errors) load->plan = NULL;
  list_seen(load);
  dk_diags_sort(&load->diags);
}

int dk_load(const char *path, const struct dk_load_options *options, struct dk_load **ret, struct dk_error *error) {
  static const struct dk_load_options none = {0};
  struct dk_load *load = dk_calloc(1, sizeof *load);
  *ret = NULL;
  if (!load) return dk_error_system(error, -ENOMEM, "reading %s", path);
  dk_arena_init(&load->arena, &load->oom);
  if (setjmp(load->oom)) {
    dk_load_destroy(load);
    return dk_error_system(error, -ENOMEM, "reading %s", path);
  }
  compile(load, path, options ? options : &none);
  *ret = load;
  return 0;
}

void dk_load_destroy(struct dk_load *load) {
  if (!load) return;
  dk_files_finish(&load->files);
  dk_eval_finish(&load->eval);
  dk_arena_finish(&load->arena);
  dk_wide_finish();
  dk_free(load);
}

const struct dk_plan *dk_load_plan(const struct dk_load *load) {
  return load->plan;
}

const struct dk_diags *dk_load_diags(const struct dk_load *load) {
  return &load->diags;
}

const struct dk_load_seen *dk_load_seen(const struct dk_load *load, uint32_t *ret_n) {
  *ret_n = load->n_seen;
  return load->seen;
}
