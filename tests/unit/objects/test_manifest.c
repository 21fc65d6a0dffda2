/* Directory manifests: what is written is read back; what is not canonical or would lead out of a tree is refused. */
#include "engine/objects/object.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HEAD "dkrun directory 1\n"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static void test_round_trip(void **state) {
  (void)state;
  dk_autobuf bytes = DK_BUF_INIT;
  struct dk_manifest_entry *back;
  uint32_t n;
  const struct dk_manifest_entry entries[] = {
      {.kind = 'f', .digest = {{1, 2}}, .size = 0, .path = "a"},
      {.kind = 'x', .digest = {{3}}, .size = UINT64_MAX / 16, .path = "a b/\n\xff"},
      {.kind = 'l', .path = "a b/link", .target = "../a"},
      {.kind = 'd', .path = "empty"},
  };
  for (size_t i = 0; i < 4; i++) dk_manifest_add(&bytes, &entries[i]);
  assert_int_equal(dk_manifest_parse(bytes.data, bytes.len, &back, &n, NULL), 0);
  assert_int_equal(n, 4);
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(back[i].kind, entries[i].kind);
    assert_string_equal(back[i].path, entries[i].path);
    assert_int_equal(back[i].size, entries[i].size);
    assert_true(dk_digest_equal(&back[i].digest, &entries[i].digest));
  }
  assert_string_equal(back[2].target, "../a");
  dk_free(back);
  assert_int_equal(dk_manifest_parse(HEAD, strlen(HEAD), &back, &n, NULL), 0); /* an empty directory */
  assert_int_equal(n, 0);
  dk_free(back);
}

struct text {
  const char *bytes;
  size_t len;
};
#define TEXT(literal)                                                                                                  \
  { literal, sizeof literal - 1 }
#define FILE_AT(path) "f " ZEROS " 1 " path "\0"

static void test_refused(void **state) {
  (void)state;
  static const struct text bad[] = {
      TEXT(""),
      TEXT("dkrun directory 2\n"),
      TEXT(HEAD "f"),
      TEXT(HEAD "f " ZEROS " 1 a"),
      TEXT(HEAD "f " ZEROS " 01 a\0"),
      TEXT(HEAD "f " ZEROS "  a\0"),
      TEXT(HEAD "f " ZEROS " 1 \0"),
      TEXT(HEAD "f " ZEROS " 99999999999999999999999 a\0"),
      TEXT(HEAD "f zz 1 a\0"),
      TEXT(HEAD "q a\0"),
      TEXT(HEAD FILE_AT("/a")),
      TEXT(HEAD FILE_AT("a/")),
      TEXT(HEAD FILE_AT("a//b")),
      TEXT(HEAD FILE_AT("../a")),
      TEXT(HEAD FILE_AT("a/../b")),
      TEXT(HEAD FILE_AT("./a")),
      TEXT(HEAD FILE_AT("b") FILE_AT("a")),
      TEXT(HEAD FILE_AT("a") FILE_AT("a")),
      TEXT(HEAD FILE_AT("a") FILE_AT("a/b")),
      TEXT(HEAD FILE_AT("a") FILE_AT("a.b") FILE_AT("a/b")), /* not next to each other */
      TEXT(HEAD "d a\0" FILE_AT("a/b")),
      TEXT(HEAD "l b\0a\0" FILE_AT("a/b")),
      TEXT(HEAD "l /etc\0a\0"),
      TEXT(HEAD "l ..\0a\0"),
      TEXT(HEAD "l \0a\0"),
      TEXT(HEAD "l ../..\0d/a\0"),
      TEXT(HEAD "l b/../..\0d/a\0"), /* ".." after going down could be through another link */
      TEXT(HEAD "l b/../c\0a\0"),
      TEXT(HEAD "l b\0"),
  };
  struct dk_manifest_entry *entries;
  uint32_t n;
  struct dk_error error;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *copy = dk_memdup(bad[i].bytes, bad[i].len);
    if (dk_manifest_parse(copy, bad[i].len, &entries, &n, &error) != -EBADMSG) fail_msg("case %zu is taken", i);
    assert_null(entries);
    dk_free(copy);
  }
  static const struct text good[] = {
      TEXT(HEAD "l ..\0d/a\0"),
      TEXT(HEAD "l ../x/y\0d/a\0"),
      TEXT(HEAD "l ./x//y\0a\0"),
      TEXT(HEAD "l .\0a\0"),
      TEXT(HEAD FILE_AT("a.b") FILE_AT("a/b") FILE_AT("ab")),
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    if (dk_manifest_parse(good[i].bytes, good[i].len, &entries, &n, &error)) fail_msg("case %zu: %s", i, error.text);
    dk_free(entries);
  }
}

static void test_mutated(void **state) {
  (void)state;
  static const struct text text = TEXT(HEAD FILE_AT("a/b") "d c\0l ../a/b\0d/e\0x " ZEROS " 12 f\0");
  struct dk_manifest_entry *entries;
  uint32_t n;
  for (size_t len = 0; len <= text.len; len++)
    for (size_t at = 0; at < len; at++)
      for (int flip = 1; flip < 256; flip += 50) {
        char *copy = dk_memdup(text.bytes, len);
        copy[at] = (char)(copy[at] ^ flip);
        if (dk_manifest_parse(copy, len, &entries, &n, NULL) == 0) dk_free(entries);
        dk_free(copy);
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_mutated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
