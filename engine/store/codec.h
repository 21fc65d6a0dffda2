/* Bytes of the small records that nobody outside of this room needs as bytes; the rest is in record.h. */
#ifndef DK_STORE_CODEC_H
#define DK_STORE_CODEC_H

#include "engine/store/record.h"
#include "lang/base/bytes.h"

void dk_codec_write_digest(struct dk_buf *out, const struct dk_digest *digest);
void dk_codec_read_digest(struct dk_reader *reader, struct dk_digest *ret); /* zero on failure */

#endif
