/* SHA-256 digests (nettle; it uses SHA-NI and ARMv8 paths where the processor has them; docs/adr/0002). */
#ifndef DK_BASE_DIGEST_H
#define DK_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nettle/sha2.h>

#define DK_DIGEST_SIZE 32
#define DK_DIGEST_HEX 64

struct dk_digest {
  uint8_t bytes[DK_DIGEST_SIZE];
};

struct dk_hasher {
  struct sha256_ctx ctx;
}; /* may be copied by value: a midstate */

void dk_hasher_init(struct dk_hasher *hasher);
void dk_hasher_add(struct dk_hasher *hasher, const void *data, size_t len);
void dk_hasher_add_u64(struct dk_hasher *hasher, uint64_t value);                 /* little-endian, 8 bytes */
void dk_hasher_add_bytes(struct dk_hasher *hasher, const void *data, size_t len); /* u64 length, then the bytes */
void dk_hasher_add_text(struct dk_hasher *hasher, const char *text);              /* the same with strlen; NULL as "" */
void dk_hasher_get(struct dk_hasher *hasher, struct dk_digest *ret);              /* the hasher starts anew after it */

void dk_digest_of(const void *data, size_t len, struct dk_digest *ret); /* plain SHA-256 */
bool dk_digest_equal(const struct dk_digest *a, const struct dk_digest *b);
bool dk_digest_is_zero(const struct dk_digest *digest);
void dk_digest_hex(const struct dk_digest *digest, char ret[DK_DIGEST_HEX + 1]);
/* Of a list of names, in the order given; never zero. */
void dk_names_digest(const char *const *names, uint32_t n, struct dk_digest *ret);
int dk_digest_parse(const char *hex, size_t len, struct dk_digest *ret); /* 0, or -EINVAL */

/* Content digest, format 1: a tree over leaves of 1 MiB, so that it can be computed in parallel and resumed.
 * leaf = SHA-256(0x00 | bytes); digest = SHA-256(0x01 | u64 total length | leaf digests in order). An empty content has
 * no leaf. (Domain bytes as in RFC 6962, section 2.1.) */
#define DK_CONTENT_LEAF (1u << 20)
struct dk_content_hasher {
  struct sha256_ctx leaf;
  uint64_t total;
  size_t in_leaf;
  /* The root needs the total length first, so leaf digests are kept until the end. */
  struct dk_digest *leaves;
  size_t n_leaves, cap_leaves;
  bool failed;
};
void dk_content_init(struct dk_content_hasher *hasher);
void dk_content_add(struct dk_content_hasher *hasher, const void *data, size_t len);
int dk_content_get(struct dk_content_hasher *hasher, struct dk_digest *ret); /* 0 or -ENOMEM; finishes the hasher */
void dk_content_finish(struct dk_content_hasher *hasher);                    /* only if get is never called */
int dk_content_of(const void *data, size_t len, struct dk_digest *ret);

#endif
