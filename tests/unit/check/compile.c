/* See compile.h. */
#include "tests/unit/check/compile.h"

#include "lang/base/alloc.h"
#include "lang/syntax/parse.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct dk_source *read_module(void *ctx, const struct dk_decl *import, struct dk_span at) {
  struct dk_compile *c = ctx;
  for (uint32_t i = 0; i < c->n_modules; i++) {
    if (strcmp(c->modules[i].path, import->path->text) != 0) continue;
    if (!c->read[i])
      c->read[i] = dk_sources_add(&c->sources, c->modules[i].path, c->modules[i].text, strlen(c->modules[i].text));
    return c->read[i];
  }
  /* The file itself may be imported by its modules. */
  if (strcmp(import->path->text, "./t.dk") == 0) return c->sources.items[0];
  dk_diag_add(&c->diags, DK_E0701, at, "no module %s", import->path->text);
  return NULL;
}

void dk_compile(struct dk_compile *c, const char *text) {
  dk_arena_init(&c->arena, &c->oom);
  if (setjmp(c->oom)) abort();
  dk_strs_init(&c->strs, &c->arena);
  dk_sources_init(&c->sources, &c->arena);
  dk_diags_init(&c->diags, &c->arena, &c->sources);
  c->read = dk_arena_array(&c->arena, const struct dk_source *, c->n_modules + 1);
  struct dk_parse_env env = {&c->arena, &c->strs, &c->diags};
  struct dk_module *root = dk_parse_file(&env, dk_sources_add(&c->sources, "t.dk", text, strlen(text)));
  c->checked = dk_check(&c->arena, &c->strs, &c->diags, root, read_module, c, c->given, c->n_given);
  dk_eval_init(&c->eval, c->checked, c->files);
}

void dk_compile_finish(struct dk_compile *c) {
  dk_buf_finish(&c->text);
  dk_eval_finish(&c->eval);
  dk_arena_finish(&c->arena);
}

static void add_place(struct dk_compile *c, struct dk_span span) {
  struct dk_place place = dk_sources_place(&c->sources, span.start);
  if (!place.source) return;
  if (place.source != c->sources.items[0]) dk_buf_printf(&c->text, "%s:", place.source->path);
  dk_buf_printf(&c->text, "%" PRIu32 "[%.*s] ", place.line, (int)(span.end - span.start),
                place.source->text + place.offset);
}

const char *dk_compile_errors(struct dk_compile *c) {
  dk_diags_sort(&c->diags);
  dk_buf_clear(&c->text);
  for (uint32_t i = 0; i < c->diags.count; i++) {
    const struct dk_diag *diag = c->diags.items[i];
    dk_buf_printf(&c->text, "%s ", dk_code_name(diag->code));
    add_place(c, diag->span);
    dk_buf_printf(&c->text, "%s\n", diag->message);
    if (diag->label) dk_buf_printf(&c->text, "  ^ %s\n", diag->label);
    for (uint32_t j = 0; j < diag->n_labels; j++) {
      dk_buf_add_text(&c->text, "  - ");
      add_place(c, diag->labels[j].span);
      dk_buf_printf(&c->text, "%s\n", diag->labels[j].text);
    }
    for (uint32_t j = 0; j < diag->n_helps; j++) dk_buf_printf(&c->text, "  = help: %s\n", diag->helps[j]);
    for (uint32_t j = 0; j < diag->n_notes; j++) dk_buf_printf(&c->text, "  = note: %s\n", diag->notes[j]);
  }
  return dk_buf_text(&c->text);
}

dk_value_id dk_compile_id(struct dk_compile *c, const char *name) {
  for (uint32_t i = 0; i < c->checked->n_values; i++)
    if (strcmp(c->checked->values[i]->decl->name->text, name) == 0) return c->eval.lets[i];
  return DK_EVAL_NO_VALUE;
}

const char *dk_compile_value(struct dk_compile *c, const char *name) {
  dk_value_id id = dk_compile_id(c, name);
  if (id == DK_EVAL_NO_VALUE) return "(failed)";
  dk_buf_clear(&c->text);
  dk_value_source_text(&c->eval.values, id, &c->text);
  return dk_buf_text(&c->text);
}

char *dk_compile_expr(const char *expr) {
  struct dk_compile c = {0};
  dk_autobuf text = DK_BUF_INIT;
  dk_buf_printf(&text, "let x = %s\ntask t { run = \"x\" }\n", expr);
  dk_compile(&c, dk_buf_text(&text));
  char *result = dk_strdup(c.diags.count ? dk_compile_errors(&c) : dk_compile_value(&c, "x"));
  dk_compile_finish(&c);
  return result;
}

char *dk_compile_text(const char *text) {
  struct dk_compile c = {0};
  dk_compile(&c, text);
  char *result = dk_strdup(dk_compile_errors(&c));
  dk_compile_finish(&c);
  return result;
}
