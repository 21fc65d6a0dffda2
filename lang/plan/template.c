/* Templates: points, the fields that decide edges, what is used. See template.h. */
#include "lang/plan/template.h"

#include <string.h>

static bool decl_equal(const void *ctx, uint32_t item, const void *key) {
  const struct dk_planner *planner = ctx;
  return planner->builds[item].decl == key;
}

struct dk_template_build *dk_template_of(struct dk_planner *planner, const struct dk_decl *decl) {
  uint32_t item = dk_map_find(&planner->by_decl, dk_hash_u64((uintptr_t)decl, 0), decl_equal, planner, decl);
  return item == DK_MAP_NONE ? NULL : &planner->builds[item];
}

void dk_template_list(struct dk_planner *planner) {
  dk_map_init(&planner->by_decl, planner->arena);
  for (uint32_t i = 0; i < planner->n_builds; i++) /* an arena's map jumps instead of failing */
    (void)dk_map_add(&planner->by_decl, dk_hash_u64((uintptr_t)planner->builds[i].decl, 0), i);
}

void dk_template_use(struct dk_template_build *build, const struct dk_expr_uses *uses) {
  for (uint32_t i = 0; i < uses->n_columns; i++) build->used[uses->columns[i]] = 1;
}

struct dk_diag *dk_template_error(struct dk_template_build *build, enum dk_code code, struct dk_span span, uint32_t row,
                                  const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  const char *text = dk_arena_vprintf(build->planner->arena, format, ap);
  va_end(ap);
  struct dk_diag *diag = dk_diag_add(build->planner->diags, code, span, "%s", text);
  if (row < build->tmpl->points.rows) dk_point_note(build->planner, diag, &build->tmpl->points, row);
  if (!dk_code_is_warning(code)) build->failed = true;
  return diag;
}

/* A late value where none may stand: the first reference is shown. */
static bool too_late(struct dk_template_build *build, struct dk_expr *expr, const struct dk_expr_uses *uses,
                     const char *what, enum dk_lateness lateness) {
  bool has_refs = uses->refs.count > 0;
  if (lateness == DK_LATE_REFS || (lateness == DK_LATE_PATHS && !has_refs)) return false;
  struct dk_span span = has_refs ? uses->refs.items[0]->span : expr->span;
  struct dk_diag *diag =
      dk_template_error(build, DK_E0506, span, DK_NO_ROW, "%s must be known before anything runs", what);
  dk_diag_help(build->planner->diags, diag,
               has_refs ? "late values may stand in `run`, `env`, `inputs` and `when`"
                        : "inputs and outputs are places in the task's directory; they may stand in `run` and `env`");
  return true;
}

bool dk_template_cell(struct dk_template_build *build, struct dk_expr *expr, const char *what,
                      enum dk_lateness lateness, const uint8_t *active, struct dk_cell *ret) {
  struct dk_expr_uses uses = {0};
  if (!dk_cell_make(build->planner, expr, &build->tmpl->points, active, &uses, ret)) {
    build->failed = true;
    return false;
  }
  dk_template_use(build, &uses);
  if (ret->kind != DK_CELL_LATE) return true;
  if (too_late(build, expr, &uses, what, lateness)) return false;
  if (dk_refs_connect(build, expr, NULL, NULL)) return true;
  build->failed = true;
  return false;
}

uint32_t dk_template_find_output(const struct dk_template *tmpl, const char *name) {
  for (uint32_t i = 0; i < tmpl->n_outputs; i++)
    if (strcmp(tmpl->outputs[i].name, name) == 0) return i;
  return UINT32_MAX;
}

uint32_t dk_template_find_metric(const struct dk_template *tmpl, const char *name) {
  for (uint32_t i = 0; i < tmpl->n_metrics; i++)
    if (strcmp(tmpl->metrics[i].name, name) == 0) return i;
  return UINT32_MAX;
}
