/* SHA-256 and the content tree over it: see digest.h. nettle is included by digest.h and called only here. */
#include "lang/base/digest.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

void dk_hasher_init(struct dk_hasher *hasher) {
  sha256_init(&hasher->ctx);
}

void dk_hasher_add(struct dk_hasher *hasher, const void *data, size_t len) {
  if (len > 0) sha256_update(&hasher->ctx, len, data);
}

static void add_u64(struct sha256_ctx *ctx, uint64_t value) {
  uint8_t bytes[8];
  for (unsigned i = 0; i < 8; i++) bytes[i] = (uint8_t)(value >> (8 * i));
  sha256_update(ctx, sizeof bytes, bytes);
}

void dk_hasher_add_u64(struct dk_hasher *hasher, uint64_t value) {
  add_u64(&hasher->ctx, value);
}

void dk_hasher_add_bytes(struct dk_hasher *hasher, const void *data, size_t len) {
  dk_hasher_add_u64(hasher, len);
  dk_hasher_add(hasher, data, len);
}

void dk_hasher_add_text(struct dk_hasher *hasher, const char *text) {
  dk_hasher_add_bytes(hasher, text, text ? strlen(text) : 0);
}

void dk_hasher_get(struct dk_hasher *hasher, struct dk_digest *ret) {
  sha256_digest(&hasher->ctx, DK_DIGEST_SIZE, ret->bytes);
}

void dk_digest_of(const void *data, size_t len, struct dk_digest *ret) {
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add(&hasher, data, len);
  dk_hasher_get(&hasher, ret);
}

void dk_names_digest(const char *const *names, uint32_t n, struct dk_digest *ret) {
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  dk_hasher_add_u64(&hasher, n);
  for (uint32_t i = 0; i < n; i++) dk_hasher_add_text(&hasher, names[i]);
  dk_hasher_get(&hasher, ret);
}

bool dk_digest_equal(const struct dk_digest *a, const struct dk_digest *b) {
  return memcmp(a->bytes, b->bytes, DK_DIGEST_SIZE) == 0;
}

bool dk_digest_is_zero(const struct dk_digest *digest) {
  static const struct dk_digest zero;
  return dk_digest_equal(digest, &zero);
}

void dk_digest_hex(const struct dk_digest *digest, char ret[DK_DIGEST_HEX + 1]) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < DK_DIGEST_SIZE; i++) {
    ret[2 * i] = digits[digest->bytes[i] >> 4];
    ret[2 * i + 1] = digits[digest->bytes[i] & 15];
  }
  ret[DK_DIGEST_HEX] = '\0';
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int dk_digest_parse(const char *hex, size_t len, struct dk_digest *ret) {
  struct dk_digest digest;
  if (len != DK_DIGEST_HEX) return -EINVAL;
  for (size_t i = 0; i < DK_DIGEST_SIZE; i++) {
    int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return -EINVAL;
    digest.bytes[i] = (uint8_t)(high << 4 | low);
  }
  *ret = digest;
  return 0;
}

static void start_leaf(struct dk_content_hasher *hasher) {
  sha256_init(&hasher->leaf);
  sha256_update(&hasher->leaf, 1, (const uint8_t[1]){0x00});
  hasher->in_leaf = 0;
}

void dk_content_init(struct dk_content_hasher *hasher) {
  *hasher = (struct dk_content_hasher){.total = 0};
  start_leaf(hasher);
}

static void end_leaf(struct dk_content_hasher *hasher) {
  if (!dk_grow(hasher->leaves, hasher->n_leaves, hasher->cap_leaves)) {
    hasher->failed = true;
    return;
  }
  sha256_digest(&hasher->leaf, DK_DIGEST_SIZE, hasher->leaves[hasher->n_leaves++].bytes);
  start_leaf(hasher);
}

void dk_content_add(struct dk_content_hasher *hasher, const void *data, size_t len) {
  const uint8_t *at = data;
  while (len > 0 && !hasher->failed) {
    size_t n = DK_CONTENT_LEAF - hasher->in_leaf;
    if (n > len) n = len;
    sha256_update(&hasher->leaf, n, at);
    hasher->in_leaf += n;
    hasher->total += n;
    at += n;
    len -= n;
    if (hasher->in_leaf == DK_CONTENT_LEAF) end_leaf(hasher);
  }
}

int dk_content_get(struct dk_content_hasher *hasher, struct dk_digest *ret) {
  if (!hasher->failed && hasher->in_leaf > 0) end_leaf(hasher);
  int r = hasher->failed ? -ENOMEM : 0;
  if (r == 0) {
    struct sha256_ctx root;
    sha256_init(&root);
    sha256_update(&root, 1, (const uint8_t[1]){0x01});
    add_u64(&root, hasher->total);
    for (size_t i = 0; i < hasher->n_leaves; i++) sha256_update(&root, DK_DIGEST_SIZE, hasher->leaves[i].bytes);
    sha256_digest(&root, DK_DIGEST_SIZE, ret->bytes);
  }
  dk_content_finish(hasher);
  return r;
}

void dk_content_finish(struct dk_content_hasher *hasher) {
  dk_free(hasher->leaves);
  dk_content_init(hasher);
}

int dk_content_of(const void *data, size_t len, struct dk_digest *ret) {
  struct dk_content_hasher hasher;
  dk_content_init(&hasher);
  dk_content_add(&hasher, data, len);
  return dk_content_get(&hasher, ret);
}
