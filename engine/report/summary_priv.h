/* Between summary.c (head, templates), summary_picks.c (what was chosen), summary_failures.c (what went wrong) and
 * summary_left.c (what may still run). */
#ifndef DK_REPORT_SUMMARY_PRIV_H
#define DK_REPORT_SUMMARY_PRIV_H

#include "engine/report/summary.h"

struct summary {
  struct dk_row_source *rows;
  const struct dk_summary_options *options;
  struct dk_buf *out;
  uint32_t width, name_width, log_width;
  uint32_t done, cached, failed, not_run, skipped, cancelled, other, total; /* tasks with a record, picks left out */
};

void dk_summary_name(struct summary *s, const char *name); /* starts a line: indented, padded to name_width */
void dk_summary_pick(struct summary *s, uint32_t index);
void dk_summary_failures(struct summary *s);
void dk_summary_not_run(struct summary *s);
int dk_summary_left(struct summary *s, struct dk_error *error); /* 0, or what the store said */

#endif
