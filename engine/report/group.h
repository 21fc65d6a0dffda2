/* The candidates of a pick: rows of what it picks from that are one candidate together, because they differ in columns
 * that `mean_over` averages over only. Without mean_over each row is a candidate. */
#ifndef DK_REPORT_GROUP_H
#define DK_REPORT_GROUP_H

#include "lang/base/buf.h"
#include "lang/base/number.h"
#include "lang/plan/plan.h"

struct dk_groups {
  uint32_t *of_row;           /* group of each row of `from` */
  uint32_t *first_row, *size; /* per group */
  uint32_t n;
};

int dk_groups_create(struct dk_groups *ret, const struct dk_plan *plan,
                     const struct dk_template *pick); /* 0, -ENOMEM */
void dk_groups_finish(struct dk_groups *groups);      /* zeroed or created */

/* What names a candidate: the axes of a row of `from` but those that are averaged over, and, unless with_per, but the
 * `per` columns (which the pick's own point has). "lr=0.1 width=256", escaped for display. */
void dk_candidate_point(const struct dk_plan *plan, const struct dk_template *pick, uint32_t from_row, bool with_per,
                        struct dk_buf *out);

/* A mean as text: at most 10 significant digits, since the last ones of a sum are noise. */
void dk_mean_text(double mean, char ret[DK_NUMBER_TEXT]);

#endif
