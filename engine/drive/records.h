/* gather(u): one JSON file of records, a record a point in grid order: its columns, its metrics, and the paths of its outputs as far as
 * the consumer gathers them too (else their digests). */
#ifndef DK_DRIVE_RECORDS_H
#define DK_DRIVE_RECORDS_H

#include "engine/drive/lookup.h"

/* Appends to `out`. -EAGAIN while a producer is not known. */
int dk_records_json(struct dk_lookup_state *state, const struct dk_template *tmpl, uint32_t row, uint32_t input,
                    struct dk_buf *out, struct dk_error *error);

#endif
