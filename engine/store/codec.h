/* Bytes of the small records that nobody outside of this room needs as bytes; the rest is in record.h. */
#ifndef DK_STORE_CODEC_H
#define DK_STORE_CODEC_H

#include "engine/store/record.h"
#include "lang/base/bytes.h"

void dk_codec_write_digest(struct dk_buf *out, const struct dk_digest *digest);
void dk_codec_read_digest(struct dk_reader *reader, struct dk_digest *ret); /* zero on failure */
void dk_codec_write_id(struct dk_buf *out, struct dk_id id);
struct dk_id dk_codec_read_id(struct dk_reader *reader);

int dk_task_record_encode(const struct dk_task_record *task, struct dk_buf *out);    /* -ENOMEM, nothing appended */
int dk_task_record_decode(const void *data, size_t len, struct dk_task_record *ret); /* -EBADMSG */

#endif
