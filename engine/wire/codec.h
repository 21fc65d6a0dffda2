/* Shared by message.c, job.c and result.c: fields as bytes. Not for other rooms. */
#ifndef DK_WIRE_CODEC_H
#define DK_WIRE_CODEC_H

#include "engine/wire/message.h"
#include "lang/base/bytes.h"

void dk_wire_get_fixed(struct dk_reader *reader, void *ret, size_t len);
uint32_t dk_wire_get_count32(struct dk_reader *reader); /* a varint that fits */
/* n zeroed items, or NULL with *ret_n 0 (none, or no memory: the reader has failed). */
void *dk_wire_get_items(struct dk_reader *reader, size_t min_size, size_t item_size, uint32_t *ret_n);

void dk_wire_put_job(struct dk_buf *buf, const struct dk_job *job);
void dk_wire_get_job(struct dk_reader *reader,
                     struct dk_job *ret); /* on failure what was read is there to be finished */
void dk_wire_put_result(struct dk_buf *buf, const struct dk_result *result);
void dk_wire_get_result(struct dk_reader *reader, struct dk_result *ret);

#endif
