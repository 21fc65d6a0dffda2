/* Report tables of a run as text, CSV, JSON or Markdown. Numbers stand as they were written by the program ("96.15"),
 * never rounded. */
#ifndef DK_REPORT_TABLE_H
#define DK_REPORT_TABLE_H

#include "engine/report/row.h"

enum dk_table_format { DK_FORMAT_TEXT, DK_FORMAT_CSV, DK_FORMAT_JSON, DK_FORMAT_MD };
bool dk_table_format_find(const char *name, enum dk_table_format *ret); /* "text" "csv" "json" "md" */

/* All of the plan's report tables, in order; a plan without any gives one per template that has metrics: its columns
 * and metrics. text, md: tables with a blank line between; csv: likewise (RFC 4180, one header each); json: one array
 * of {"title", "columns", "rows": [{"task", "id", "state", "cells": {...}}], "unfinished"}.
 * A metric that is not there is `-` (empty in CSV, null in JSON), `failed` in text and Markdown when its task failed. 0
 * or a negative errno. */
int dk_tables_render(struct dk_row_source *rows, enum dk_table_format format, bool color, struct dk_buf *out,
                     struct dk_error *error);

#endif
