/* Edges in words, for `plan --edges`. See plan.h. */
#include "lang/plan/template.h"

void dk_plan_edges_text(const struct dk_plan *plan, struct dk_buf *out) {
  const struct dk_planner *planner = plan->priv;
  if (plan->is_pin || !planner) return; /* a pin does not say how its edges came about */
  for (uint32_t i = 0; i < planner->n_builds; i++) {
    const struct dk_template_build *build = &planner->builds[i];
    for (uint32_t k = 0; k < build->n_edges; k++) dk_buf_printf(out, "%s\n", build->edges[k].text);
  }
}
