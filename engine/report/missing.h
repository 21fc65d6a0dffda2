/* Metrics that found nothing where they looked. A value that is missing is no failure, so without a word it is easily
 * overlooked. */
#ifndef DK_REPORT_MISSING_H
#define DK_REPORT_MISSING_H

#include "engine/report/row.h"

/* Appends a line for each metric that is missing in tasks that are done: in how many, where it is declared, and where
 * to look. */
void dk_missing_metrics(struct dk_row_source *rows, const char *prefix, struct dk_buf *out);

#endif
