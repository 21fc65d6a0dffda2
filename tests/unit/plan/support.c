#include "tests/unit/plan/support.h"

#include "lang/base/alloc.h"
#include "lang/eval/wide.h"
#include "lang/plan/column.h"
#include "lang/syntax/parse.h"

#include <string.h>

/* No file may be read here; an import of the standard library would be an error. */
static const struct dk_source *no_module(void *ctx, const struct dk_decl *import, struct dk_span at) {
  struct world *world = ctx;
  (void)import;
  dk_diag_add(&world->diags, DK_E0701, at, "no modules in this test");
  return NULL;
}

static void compile(struct world *world, const char *text) {
  dk_strs_init(&world->strs, &world->arena);
  dk_sources_init(&world->sources, &world->arena);
  dk_diags_init(&world->diags, &world->arena, &world->sources);
  const struct dk_source *source = dk_sources_add(&world->sources, "t.dk", text, strlen(text));
  struct dk_parse_env env = {&world->arena, &world->strs, &world->diags};
  struct dk_module *root = dk_parse_file(&env, source);
  struct dk_checked *checked = dk_check(&world->arena, &world->strs, &world->diags, root, no_module, world, NULL, 0);
  dk_eval_init(&world->eval, checked, NULL);
  world->plan = dk_plan_build(&world->eval);
}

struct world *world_new(const char *text) {
  struct world *world = dk_calloc(1, sizeof *world);
  assert_non_null(world);
  dk_arena_init(&world->arena, &world->oom);
  if (setjmp(world->oom)) fail_msg("out of memory");
  compile(world, text);
  return world;
}

struct world *world_good(const char *text) {
  struct world *world = world_new(text);
  if (!world->plan) {
    char *shown = world_text(world);
    print_error("%s\n%s\n", text, shown);
    dk_free(shown);
    fail();
  }
  return world;
}

void world_destroy(struct world *world) {
  dk_eval_finish(&world->eval);
  dk_arena_finish(&world->arena);
  dk_wide_finish();
  dk_free(world);
}

uint32_t world_template(const struct world *world, const char *name) {
  for (uint32_t i = 0; i < world->plan->n_templates; i++)
    if (strcmp(world->plan->templates[i].name, name) == 0) return i;
  fail_msg("no template %s", name);
  return 0;
}

char *world_points(const struct world *world, const char *name) {
  const struct dk_points *points = &world->plan->templates[world_template(world, name)].points;
  struct dk_buf out = DK_BUF_INIT;
  for (uint32_t row = 0; row < points->rows; row++) {
    for (uint32_t i = 0; i < points->n_columns; i++) {
      dk_buf_printf(&out, "%s%s=", i ? " " : row ? "; " : "", points->columns[i].name);
      dk_value_source_text(world->plan->values, dk_column_value(&points->columns[i], row), &out);
    }
  }
  dk_buf_add_text(&out, "");
  char *text = out.data ? dk_buf_steal(&out) : dk_strdup("");
  assert_non_null(text);
  return text;
}

char *world_text(const struct world *world) {
  struct dk_buf out = DK_BUF_INIT;
  dk_diags_render(&world->diags, false, &out);
  char *text = out.data ? dk_buf_steal(&out) : dk_strdup("");
  assert_non_null(text);
  return text;
}

static bool has(const char *text, const char *part) {
  return text && strstr(text, part);
}

bool world_says(const struct world *world, const char *code, const char *part) {
  for (uint32_t i = 0; i < world->diags.count; i++) {
    const struct dk_diag *diag = world->diags.items[i];
    if (strcmp(dk_code_name(diag->code), code) != 0) continue;
    if (has(diag->message, part) || has(diag->label, part)) return true;
    for (uint32_t k = 0; k < diag->n_helps; k++)
      if (has(diag->helps[k], part)) return true;
    for (uint32_t k = 0; k < diag->n_notes; k++)
      if (has(diag->notes[k], part)) return true;
  }
  return false;
}

static bool choose_first(void *ctx, uint32_t task, uint32_t *ret_row) {
  (void)ctx;
  (void)task;
  *ret_row = 0;
  return true;
}

static bool number_of_task(void *ctx, uint32_t task, uint32_t metric, double *ret, const char **ret_text) {
  (void)ctx;
  (void)metric;
  *ret = task;
  *ret_text = NULL;
  return true;
}

const struct dk_late late_known = {NULL, choose_first, number_of_task};
const struct dk_late late_unknown = {NULL, NULL, NULL};

void order_good(const struct world *world, uint32_t task, struct dk_order *ret) {
  struct dk_error error = {0};
  int r = dk_plan_order(world->plan, task, &late_known, ret, &error);
  if (r < 0) fail_msg("order of task %u: %s", task, error.text);
}

uint32_t random_below(uint64_t *state, uint32_t n) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return (uint32_t)((*state * 0x2545f4914f6cdd1dull) >> 33) % n;
}
