/* SHA-256 by FIPS 180-4's examples; the content tree against its definition, in chunks of any size. */
#include "lang/base/alloc.h"
#include "lang/base/digest.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_hex(const struct dk_digest *digest, const char *wanted) {
  char hex[DK_DIGEST_HEX + 1];
  dk_digest_hex(digest, hex);
  assert_string_equal(hex, wanted);
}

/* csrc.nist.gov, "Examples with intermediate values", and the empty message of the validation suite. */
static void test_fips_180_4(void **state) {
  (void)state;
  struct dk_digest digest;
  dk_digest_of(NULL, 0, &digest);
  assert_hex(&digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  dk_digest_of("abc", 3, &digest);
  assert_hex(&digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const char *two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  dk_digest_of(two_blocks, strlen(two_blocks), &digest);
  assert_hex(&digest, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  struct dk_hasher hasher;
  dk_hasher_init(&hasher);
  for (int i = 0; i < 1000000; i++) dk_hasher_add(&hasher, "a", 1);
  dk_hasher_get(&hasher, &digest);
  assert_hex(&digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_hasher(void **state) {
  (void)state;
  struct dk_hasher hasher, midstate;
  struct dk_digest a, b;
  dk_hasher_init(&hasher);
  dk_hasher_add_text(&hasher, "ab");
  midstate = hasher;
  dk_hasher_add_u64(&hasher, 0x0102030405060708);
  dk_hasher_get(&hasher, &a);
  dk_digest_of("\x02\0\0\0\0\0\0\0"
               "ab\x08\x07\x06\x05\x04\x03\x02\x01",
               18, &b);
  assert_true(dk_digest_equal(&a, &b));
  dk_hasher_add_u64(&midstate, 0x0102030405060708);
  dk_hasher_get(&midstate, &b);
  assert_true(dk_digest_equal(&a, &b));
  dk_hasher_add_text(&hasher, NULL); /* anew after get */
  dk_hasher_get(&hasher, &a);
  dk_digest_of("\0\0\0\0\0\0\0\0", 8, &b);
  assert_true(dk_digest_equal(&a, &b));
}

static void test_text(void **state) {
  (void)state;
  struct dk_digest digest, again, zero = {{0}};
  char hex[DK_DIGEST_HEX + 1];
  dk_digest_of("abc", 3, &digest);
  dk_digest_hex(&digest, hex);
  assert_int_equal(dk_digest_parse(hex, 64, &again), 0);
  assert_true(dk_digest_equal(&digest, &again));
  assert_false(dk_digest_is_zero(&digest));
  assert_true(dk_digest_is_zero(&zero));
  assert_int_equal(dk_digest_parse(hex, 63, &again), -EINVAL);
  hex[63] = 'g';
  assert_int_equal(dk_digest_parse(hex, 64, &zero), -EINVAL);
  assert_true(dk_digest_is_zero(&zero));
}

/* The definition, written down once more with plain digests. */
static void content_by_definition(const unsigned char *data, size_t len, struct dk_digest *ret) {
  struct dk_hasher root, leaf;
  struct dk_digest digest;
  dk_hasher_init(&root);
  dk_hasher_add(&root, "\x01", 1);
  dk_hasher_add_u64(&root, len);
  for (size_t at = 0; at < len; at += DK_CONTENT_LEAF) {
    dk_hasher_init(&leaf);
    dk_hasher_add(&leaf, "\0", 1);
    dk_hasher_add(&leaf, data + at, len - at < DK_CONTENT_LEAF ? len - at : DK_CONTENT_LEAF);
    dk_hasher_get(&leaf, &digest);
    dk_hasher_add(&root, digest.bytes, DK_DIGEST_SIZE);
  }
  dk_hasher_get(&root, ret);
}

static void test_content(void **state) {
  (void)state;
  const size_t leaf = DK_CONTENT_LEAF;
  const size_t sizes[] = {0, 1, leaf - 1, leaf, leaf + 1, 2 * leaf, 3 * leaf + 17};
  unsigned char *data = dk_alloc(4 * leaf);
  assert_non_null(data);
  for (size_t i = 0; i < 4 * leaf; i++) data[i] = (unsigned char)(i * 7 + (i >> 13));
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct dk_digest wanted, got;
    content_by_definition(data, sizes[i], &wanted);
    assert_int_equal(dk_content_of(data, sizes[i], &got), 0);
    assert_true(dk_digest_equal(&wanted, &got));
    for (size_t chunk = 4093; chunk < 3 * leaf; chunk = chunk * 5 + 1) {
      struct dk_content_hasher hasher;
      dk_content_init(&hasher);
      for (size_t at = 0; at < sizes[i]; at += chunk) {
        dk_content_add(&hasher, data + at, sizes[i] - at < chunk ? sizes[i] - at : chunk);
      }
      assert_int_equal(dk_content_get(&hasher, &got), 0);
      assert_true(dk_digest_equal(&wanted, &got));
    }
  }
  dk_free(data);
}

/* As the protocol's page has them, for who writes an agent. */
static void test_content_vectors(void **state) {
  static const struct {
    size_t len; /* of zeros; SIZE_MAX: "abc" */
    const char *wanted;
  } cases[] = {
      {0, "a536aa3cede6ea3c1f3e0357c3c60e0f216a8c89b853df13b29daa8f85065dfb"},
      {SIZE_MAX, "e26987d728b67586aa85d8f6626087b569458b7f0251510b551392585b845153"},
      {DK_CONTENT_LEAF, "9cadc4013895d6cd73d3690c44aefe7c6f348571bf43979002bec6abf0eb38bd"},
      {DK_CONTENT_LEAF + 1, "d77e55bbea672c46f0b803a39fe6e9f32051d62be3a75f10d07eb75df13e6139"},
  };
  char *zeros = dk_calloc(1, DK_CONTENT_LEAF + 1);
  (void)state;
  assert_non_null(zeros);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bool is_text = cases[i].len == SIZE_MAX;
    struct dk_digest digest;
    assert_int_equal(dk_content_of(is_text ? "abc" : zeros, is_text ? 3 : cases[i].len, &digest), 0);
    assert_hex(&digest, cases[i].wanted);
  }
  dk_free(zeros);
}

static void test_content_every_failure(void **state) {
  (void)state;
  const size_t len = 40 * (size_t)DK_CONTENT_LEAF;
  char *data = dk_calloc(1, len);
  assert_non_null(data);
  struct dk_digest digest;
  int r = -1;
  uint64_t n = 1;
  for (; r != 0 && n < 100; n++) {
    dk_alloc_fail_at(n);
    r = dk_content_of(data, len, &digest);
    dk_alloc_fail_at(0);
    if (r != 0) assert_int_equal(r, -ENOMEM);
  }
  assert_int_equal(r, 0);
  assert_true(n > 2);
  struct dk_content_hasher left;
  dk_content_init(&left);
  dk_content_add(&left, data, 2 * (size_t)DK_CONTENT_LEAF);
  dk_content_finish(&left); /* the leak checker watches */
  dk_free(data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fips_180_4),
      cmocka_unit_test(test_hasher),
      cmocka_unit_test(test_text),
      cmocka_unit_test(test_content),
      cmocka_unit_test(test_content_vectors),
      cmocka_unit_test(test_content_every_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
