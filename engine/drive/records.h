/* gather(u): one JSON file (RFC 8259) of records, a record a point in grid order: its columns, its metrics (null where
 * missing or no number of JSON), the digests of its outputs. */
#ifndef DK_DRIVE_RECORDS_H
#define DK_DRIVE_RECORDS_H

#include "engine/drive/lookup.h"

/* Appends to `out`. -EAGAIN while a producer is not known. */
int dk_records_json(struct dk_lookup_state *state, const struct dk_template *tmpl, uint32_t row, uint32_t input,
                    struct dk_buf *out, struct dk_error *error);

#endif
