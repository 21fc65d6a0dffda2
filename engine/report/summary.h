/* What is said at the end of a run, and by `dkrun status RUN`: counts, what came out per template, failures with the end of their logs,
 * what was not run and why, and what to type next. */
#ifndef DK_REPORT_SUMMARY_H
#define DK_REPORT_SUMMARY_H

#include "engine/report/row.h"

struct dk_summary_options {
  uint32_t width; /* columns; 0: 80 */
  bool color;
  uint32_t max_failures; /* failures with logs; 0: 20 */
  bool is_alive;         /* an engine works on it: RUNNING means so (else RUNNING means interrupted) */
};

/* 0; -ENOMEM, or what the store said. */
int dk_summary_render(struct dk_row_source *rows, const struct dk_summary_options *options, struct dk_buf *out,
                      struct dk_error *error);

#endif
