/* See compilation.h. */
#include "lang/compilation.h"

#include "lang/eval/wide.h"

void dk_compilation_init(struct dk_compilation *c) {
  dk_arena_init(&c->arena, &c->oom);
}

void dk_compilation_begin(struct dk_compilation *c, dk_check_pattern_fn *check_pattern) {
  dk_strs_init(&c->strs, &c->arena);
  dk_sources_init(&c->sources, &c->arena);
  dk_diags_init(&c->diags, &c->arena, &c->sources);
  dk_files_init(&c->files, &c->arena, &c->strs, &c->diags);
  c->eval_files = (struct dk_eval_files){&c->files,        dk_files_read,    dk_files_glob,
                                         dk_files_resolve, dk_files_missing, check_pattern};
}

void dk_compilation_finish(struct dk_compilation *c) {
  dk_files_finish(&c->files);
  dk_eval_finish(&c->eval);
  dk_arena_finish(&c->arena);
  dk_wide_finish();
}

struct dk_load_seen *dk_compilation_seen(struct dk_compilation *c, uint32_t *ret_n) {
  const struct dk_files *files = &c->files;
  struct dk_load_seen *ret =
      dk_arena_array(&c->arena, struct dk_load_seen, (size_t)files->count + files->n_listings + 1);
  uint32_t n = 0;
  for (uint32_t i = 0; i < files->count; i++) {
    const struct dk_file *file = files->items[i];
    if (!file->real) continue;
    struct dk_load_seen *seen = &ret[n++];
    *seen = (struct dk_load_seen){.path = file->name};
    if (dk_content_of(file->text, file->len, &seen->digest) < 0) dk_arena_out_of_memory(&c->arena);
  }
  for (uint32_t i = 0; i < files->n_listings; i++)
    ret[n++] = (struct dk_load_seen){files->listings[i].path, true, files->listings[i].digest};
  *ret_n = n;
  return ret;
}
