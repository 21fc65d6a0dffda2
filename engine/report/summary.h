/* What is said at the end of a run, and by `dkrun status RUN`: counts, what came out per template, failures with the
 * end of their logs, what was not run and why, and what to type next. */
#ifndef DK_REPORT_SUMMARY_H
#define DK_REPORT_SUMMARY_H

#include "engine/report/phase.h"
#include "engine/report/row.h"

struct dk_summary_options {
  uint32_t width; /* columns of the terminal; 0: it is none (lines of logs are cut at 300 columns then) */
  bool color;
  uint32_t
      /* failures with logs; 0: 20, and of those that end alike 3, or 1 that has words about it; UINT32_MAX: all */
      max_failures;
  bool is_again; /* the run's results still hold, and there is nothing to do: said in the first line */
  enum dk_run_phase phase;
  const char *where; /* hosts, for the first line: "lab: h1 h2"; NULL: left out */
};

/* 0; -ENOMEM, or what the store said. */
int dk_summary_render(struct dk_row_source *rows, const struct dk_summary_options *options, struct dk_buf *out,
                      struct dk_error *error);

#endif
