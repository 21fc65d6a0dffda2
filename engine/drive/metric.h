/* Metrics out of what a task left behind: a regex over its log, a member of a JSON file, a column of a CSV file, a line
 * of the file that $DK_METRICS names. Pure but for reading kept content. PCRE2 is used here only.
 *
 * The last match is the value. A value that is a number keeps its text as it was written. Nothing found is
 * DK_METRIC_MISSING, never an error. */
#ifndef DK_DRIVE_METRIC_H
#define DK_DRIVE_METRIC_H

#include "engine/objects/object.h"
#include "engine/store/record.h"
#include "lang/plan/plan.h"

struct dk_extractor; /* of one template: its compiled metrics */

/* -EINVAL with the regex's fault and place when a pattern is none. */
int dk_extractor_create(const struct dk_template *tmpl, struct dk_extractor **ret, struct dk_error *error);
void dk_extractor_destroy(struct dk_extractor *extractor);
/* Is it a regular expression? -EINVAL: the message says why not, and *ret_offset is the byte where. */
int dk_metric_check_pattern(const char *pattern, size_t *ret_offset, struct dk_error *error);

/* Values in the order of template.metrics. `keep_files` are the order's (dk_order.keep_files), whose kept contents
 * stand in the result. */
int dk_extract(const struct dk_extractor *extractor, const struct dk_objects *objects, const struct dk_result *result,
               const char *const *keep_files, uint32_t n_keep_files, struct dk_metric_values *ret,
               struct dk_error *error);

#endif
