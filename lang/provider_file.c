/* See provider_file.h. */
#include "lang/provider_file.h"

#include "lang/base/alloc.h"
#include "lang/compilation.h"
#include "lang/syntax/parse.h"

#include <errno.h>
#include <string.h>

#define DIGEST_DOMAIN "dkrun providers 1"
#define SHOWN 60 /* bytes of a value in a message */

struct dk_provider_load {
  struct dk_compilation c;
  struct dk_provider_file file;
};

/* A value for a message, cut where it is long. */
static const char *show(struct dk_compilation *c, dk_value_id value) {
  struct dk_buf *scratch = &c->eval.scratch;
  dk_buf_clear(scratch);
  dk_value_source_text(&c->eval.values, value, scratch);
  if (!dk_buf_ok(scratch)) dk_arena_out_of_memory(&c->arena);
  size_t len = scratch->len;
  if (len > SHOWN)
    for (len = SHOWN; len > 0 && (scratch->data[len] & 0xc0) == 0x80;) len--;
  const char *ret =
      dk_arena_printf(&c->arena, "%.*s%s", (int)len, dk_buf_text(scratch), len < scratch->len ? "..." : "");
  dk_buf_finish(scratch);
  return ret;
}

/* Adds the field, unless it is left out, or null where it could be. False: it is wrong, which was reported here or
 * where it comes from. */
static bool read_field(struct dk_compilation *c, const struct dk_checked_provider *provider, uint32_t index,
                       struct dk_provider_block *block, struct dk_provider_field *fields) {
  const struct dk_schema_field *schema = &provider->schema->fields[index];
  const struct dk_expr *expr = provider->values[index];
  dk_value_id value;
  if (!expr || strcmp(schema->name, "kind") == 0) return true;
  if (expr->kind == DK_EXPR_ERROR || dk_eval(&c->eval, expr, NULL, &value) != DK_EVAL_OK) return false;
  if (value == DK_NULL && !schema->is_required) return true;
  if (schema->kinds >> dk_value_get(&c->eval.values, value)->type & 1) {
    fields[block->n_fields++] = (struct dk_provider_field){schema, provider->name_spans[index], expr, value};
    return true;
  }
  dk_diag_add(&c->diags, DK_E0224, expr->span, "`%s` of provider `%s` wants %s, not %s", schema->name,
              provider->decl->name->text, schema->wants, show(c, value));
  return false;
}

static void read_block(struct dk_compilation *c, const struct dk_checked_provider *provider,
                       struct dk_provider_block *ret) {
  uint32_t n = provider->schema ? provider->schema->n_fields : 0;
  struct dk_provider_field *fields = dk_arena_array(&c->arena, struct dk_provider_field, n + 1);
  *ret = (struct dk_provider_block){.name = provider->decl->name->text,
                                    .kind = provider->kind,
                                    .name_span = provider->decl->name_span,
                                    .fields = fields,
                                    .is_broken = provider->is_broken};
  for (uint32_t i = 0; i < n; i++) ret->is_broken |= !read_field(c, provider, i, ret, fields);
}

static void digest(struct dk_provider_file *file) {
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add_text(&hasher, DIGEST_DOMAIN);
  for (uint32_t i = 0; i < file->n_seen; i++) {
    dk_hasher_add_text(&hasher, file->seen[i].path);
    dk_hasher_add_u64(&hasher, file->seen[i].is_dir);
    dk_hasher_add(&hasher, &file->seen[i].digest, sizeof file->seen[i].digest);
  }
  dk_hasher_get(&hasher, &file->digest);
}

/* Everything that may jump. */
static void compile(struct dk_provider_load *load, const char *path, const struct dk_provider_file_options *options) {
  struct dk_compilation *c = &load->c;
  struct dk_provider_file *file = &load->file;
  dk_compilation_begin(c, NULL);
  c->files.is_private = options->is_private;
  const struct dk_source *source = dk_files_root(&c->files, path, options->name, options->root);
  if (!source) return;
  struct dk_parse_env env = {&c->arena, &c->strs, &c->diags};
  struct dk_module *root = dk_parse_file(&env, source);
  struct dk_checked *checked =
      dk_check_providers(&c->arena, &c->strs, &c->diags, root, dk_files_module, &c->files, options->kinds);
  dk_eval_init(&c->eval, checked, &c->eval_files);
  struct dk_provider_block *blocks = dk_arena_array(&c->arena, struct dk_provider_block, checked->n_providers + 1u);
  for (uint32_t i = 0; i < checked->n_providers; i++) read_block(c, checked->providers[i], &blocks[i]);
  *file = (struct dk_provider_file){.arena = &c->arena,
                                    .diags = &c->diags,
                                    .values = &c->eval.values,
                                    .blocks = blocks,
                                    .n_blocks = checked->n_providers};
  file->seen = dk_compilation_seen(c, &file->n_seen);
  digest(file);
  if (options->judge) options->judge(options->judge_ctx, file);
  dk_diags_sort(&c->diags);
}

int dk_provider_file_load(const char *path, const struct dk_provider_file_options *options,
                          struct dk_provider_load **ret, struct dk_error *error) {
  struct dk_provider_load *load = dk_calloc(1, sizeof *load);
  *ret = NULL;
  if (!load) return dk_error_system(error, -ENOMEM, "reading %s", path);
  dk_compilation_init(&load->c);
  if (setjmp(load->c.oom)) {
    dk_provider_load_destroy(load);
    return dk_error_system(error, -ENOMEM, "reading %s", path);
  }
  compile(load, path, options);
  *ret = load;
  return 0;
}

void dk_provider_load_destroy(struct dk_provider_load *load) {
  if (!load) return;
  dk_compilation_finish(&load->c);
  dk_free(load);
}

const struct dk_diags *dk_provider_load_diags(const struct dk_provider_load *load) {
  return &load->c.diags;
}

struct dk_span dk_provider_item_span(const struct dk_provider_field *field, uint32_t item) {
  const struct dk_expr *expr = field->expr;
  if (expr->kind == DK_EXPR_LIST && item < expr->list.items.count) return expr->list.items.items[item]->span;
  return expr->span;
}
