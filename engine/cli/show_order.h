/* The text of `dkrun show`: a task as it is handed out, one that waits for a pick, a pick, and the list of
 * templates. */
#ifndef DK_CLI_SHOW_ORDER_H
#define DK_CLI_SHOW_ORDER_H

#include "lang/plan/plan.h"

void dk_show_order(const struct dk_plan *plan, uint32_t task, const struct dk_order *order, struct dk_buf *out);
/* A task whose script holds values that no run has decided yet. */
void dk_show_late(const struct dk_plan *plan, uint32_t task, struct dk_buf *out);
void dk_show_pick(const struct dk_plan *plan, uint32_t task, struct dk_buf *out);
void dk_show_templates(const struct dk_plan *plan, struct dk_buf *out);

#endif
