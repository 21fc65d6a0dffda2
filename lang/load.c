/* The door: see lang.h. */
#include "lang/lang.h"

#include "lang/base/alloc.h"
#include "lang/compilation.h"
#include "lang/plan/build.h"
#include "lang/syntax/parse.h"

#include <errno.h>

struct dk_load {
  struct dk_compilation c;
  struct dk_plan *plan;
  struct dk_load_seen *seen;
  uint32_t n_seen;
};

/* Everything that may jump. */
static void compile(struct dk_load *load, const char *path, const struct dk_load_options *options) {
  struct dk_compilation *c = &load->c;
  dk_compilation_begin(c, options->check_pattern);
  c->files.pinned = options->pinned;
  c->files.pinned_ctx = options->pinned_ctx;
  const struct dk_source *source = dk_files_root(&c->files, path, options->name, options->root);
  if (!source) return;
  struct dk_parse_env env = {&c->arena, &c->strs, &c->diags};
  struct dk_module *root = dk_parse_file(&env, source);
  struct dk_checked *checked =
      dk_check(&c->arena, &c->strs, &c->diags, root, dk_files_module, &c->files, options->given, options->n_given);
  dk_eval_init(&c->eval, checked, &c->eval_files);
  load->plan = dk_plan_build(&c->eval);
  if (c->diags.n_errors) load->plan = NULL;
  load->seen = dk_compilation_seen(c, &load->n_seen);
  dk_diags_sort(&c->diags);
}

int dk_load(const char *path, const struct dk_load_options *options, struct dk_load **ret, struct dk_error *error) {
  static const struct dk_load_options none = {0};
  struct dk_load *load = dk_calloc(1, sizeof *load);
  *ret = NULL;
  if (!load) return dk_error_system(error, -ENOMEM, "reading %s", path);
  dk_compilation_init(&load->c);
  if (setjmp(load->c.oom)) {
    dk_load_destroy(load);
    return dk_error_system(error, -ENOMEM, "reading %s", path);
  }
  compile(load, path, options ? options : &none);
  *ret = load;
  return 0;
}

void dk_load_destroy(struct dk_load *load) {
  if (!load) return;
  dk_compilation_finish(&load->c);
  dk_free(load);
}

const struct dk_plan *dk_load_plan(const struct dk_load *load) {
  return load->plan;
}

const struct dk_diags *dk_load_diags(const struct dk_load *load) {
  return &load->c.diags;
}

const struct dk_load_seen *dk_load_seen(const struct dk_load *load, uint32_t *ret_n) {
  *ret_n = load->n_seen;
  return load->seen;
}
