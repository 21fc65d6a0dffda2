/* Edges in words, for `plan --edges`. See plan.h. */
#include "lang/plan/template.h"

#include <string.h>

void dk_plan_edges_text(const struct dk_plan *plan, struct dk_buf *out) {
  const struct dk_planner *planner = plan->priv;
  if (plan->is_pin || !planner) return; /* a pin does not say how its edges came about */
  for (uint32_t i = 0; i < planner->n_builds; i++) {
    const struct dk_template_build *build = &planner->builds[i];
    if (build->pick && build->n_edges) dk_buf_printf(out, "%s\n", build->edges[0].how);
    for (uint32_t k = 0; k < build->n_refs; k++) {
      bool is_there = false; /* the same reference twice in a body is one line */
      for (uint32_t m = 0; m < k && !is_there; m++) is_there = strcmp(build->refs[m].text, build->refs[k].text) == 0;
      if (!is_there) dk_buf_printf(out, "%s\n", build->refs[k].text);
    }
  }
}
