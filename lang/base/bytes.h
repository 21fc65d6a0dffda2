/* Bounded little-endian reading and writing: the store's values, the agent's frames and the pinned plan use it.
 *
 * A reader never runs past its end: a short read returns zeros and sets `failed`, so a decoder reads all its fields
 * and checks once with dk_reader_done(). Lengths are LEB128 varints of at most 10 bytes; one value has one encoding (a
 * varint with a superfluous last 0 fails), so that equal values are equal bytes and equal digests. */
#ifndef DK_BASE_BYTES_H
#define DK_BASE_BYTES_H

#include "lang/base/buf.h"

struct dk_reader {
  const uint8_t *at, *end;
  bool failed;
  bool no_memory; /* that is why: the bytes may be fine */
};

void dk_reader_init(struct dk_reader *reader, const void *data, size_t len);
uint8_t dk_read_u8(struct dk_reader *reader);
uint16_t dk_read_u16(struct dk_reader *reader);
uint32_t dk_read_u32(struct dk_reader *reader);
uint64_t dk_read_u64(struct dk_reader *reader);
uint64_t dk_read_varint(struct dk_reader *reader);
int64_t dk_read_signed(struct dk_reader *reader); /* zigzag varint */
double dk_read_double(struct dk_reader *reader);  /* IEEE 754 bits */
/* A varint length and that many bytes, pointing into the input; NULL and *ret_len 0 on failure, never NULL
 * otherwise. */
const char *dk_read_bytes(struct dk_reader *reader, size_t *ret_len);
const void *dk_read_fixed(struct dk_reader *reader, size_t len); /* NULL on failure */
/* A count of items that take at least `min_size` bytes each: fails if the input cannot hold that many. */
uint32_t dk_read_count(struct dk_reader *reader, size_t min_size);
bool dk_reader_done(const struct dk_reader *reader); /* all read, nothing failed */
/* 0 when done; -ENOMEM when a text could not be copied, else -EBADMSG. */
int dk_reader_error(const struct dk_reader *reader);
/* Copy of a byte string with a NUL behind it, from the heap; NULL on failure, a NUL inside, or lack of memory (all set
 * failed). */
char *dk_read_text(struct dk_reader *reader);

void dk_write_u8(struct dk_buf *buf, uint8_t value);
void dk_write_u16(struct dk_buf *buf, uint16_t value);
void dk_write_u32(struct dk_buf *buf, uint32_t value);
void dk_write_u64(struct dk_buf *buf, uint64_t value);
void dk_write_varint(struct dk_buf *buf, uint64_t value);
void dk_write_signed(struct dk_buf *buf, int64_t value);
void dk_write_double(struct dk_buf *buf, double value);
void dk_write_bytes(struct dk_buf *buf, const void *data, size_t len);
void dk_write_text(struct dk_buf *buf, const char *text); /* NULL writes an empty string */

/* CRC-32C (Castagnoli, RFC 3720 B.4), for values at rest and frames on the wire. seed: 0, or the CRC of what comes
 * before. */
uint32_t dk_crc32c(const void *data, size_t len, uint32_t seed);

#endif
