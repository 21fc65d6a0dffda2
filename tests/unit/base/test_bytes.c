/* Fields there and back; hostile input: every cut of a good message, random bytes, lengths that lie. */
#include "lang/base/alloc.h"
#include "lang/base/bytes.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint64_t numbers[] = {
    0,         1, 127, 128, 255, 16383, 16384, UINT32_MAX, 1ull << 32, (1ull << 63) - 1, 1ull << 63, UINT64_MAX - 1,
    UINT64_MAX};
#define N_NUMBERS (sizeof numbers / sizeof *numbers)

static void test_layout(void **state) {
  (void)state;
  dk_autobuf buf = DK_BUF_INIT;
  dk_write_u8(&buf, 0x12);
  dk_write_u16(&buf, 0x1234);
  dk_write_u32(&buf, 0x12345678);
  dk_write_u64(&buf, 0x123456789abcdef0);
  dk_write_varint(&buf, 624485); /* the LEB128 example of DWARF 5 and Wikipedia */
  dk_write_signed(&buf, -1);
  dk_write_double(&buf, 1.0);
  dk_write_text(&buf, "hi");
  dk_write_text(&buf, NULL);
  static const char wanted[] = "\x12\x34\x12\x78\x56\x34\x12\xf0\xde\xbc\x9a\x78\x56\x34\x12\xe5\x8e\x26\x01"
                               "\0\0\0\0\0\0\xf0\x3f\x02hi\0";
  assert_int_equal(buf.len, sizeof wanted - 1);
  assert_memory_equal(buf.data, wanted, buf.len);
}

static void write_all(struct dk_buf *buf) {
  for (size_t i = 0; i < N_NUMBERS; i++) {
    dk_write_u8(buf, (uint8_t)numbers[i]);
    dk_write_u16(buf, (uint16_t)numbers[i]);
    dk_write_u32(buf, (uint32_t)numbers[i]);
    dk_write_u64(buf, numbers[i]);
    dk_write_varint(buf, numbers[i]);
    dk_write_signed(buf, (int64_t)numbers[i]);
    dk_write_double(buf, (double)numbers[i]);
    dk_write_bytes(buf, "a\0b", 3);
    dk_write_text(buf, "text");
  }
}

static void read_all(struct dk_reader *reader, bool check) {
  for (size_t i = 0; i < N_NUMBERS; i++) {
    uint64_t got[6] = {dk_read_u8(reader)};
    got[1] = dk_read_u16(reader);
    got[2] = dk_read_u32(reader);
    got[3] = dk_read_u64(reader);
    got[4] = dk_read_varint(reader);
    got[5] = (uint64_t)dk_read_signed(reader);
    double value = dk_read_double(reader);
    size_t len;
    const char *bytes = dk_read_bytes(reader, &len);
    dk_autofree char *text = dk_read_text(reader);
    if (!check) continue;
    assert_int_equal(got[0], numbers[i] & 0xff);
    assert_int_equal(got[1], numbers[i] & 0xffff);
    assert_int_equal(got[2], numbers[i] & UINT32_MAX);
    for (int k = 3; k < 6; k++) assert_int_equal(got[k], numbers[i]);
    assert_true(value == (double)numbers[i]);
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "a\0b", 3);
    assert_string_equal(text, "text");
  }
}

static void test_there_and_back(void **state) {
  (void)state;
  dk_autobuf buf = DK_BUF_INIT;
  write_all(&buf);
  assert_true(dk_buf_ok(&buf));
  struct dk_reader reader;
  dk_reader_init(&reader, buf.data, buf.len);
  read_all(&reader, true);
  assert_true(dk_reader_done(&reader));
}

static void test_every_cut_fails(void **state) {
  (void)state;
  dk_autobuf buf = DK_BUF_INIT;
  write_all(&buf);
  for (size_t len = 0; len < buf.len; len++) {
    char *exact = dk_memdup(buf.data, len); /* so that the address sanitizer sees one byte too many */
    struct dk_reader reader;
    dk_reader_init(&reader, exact, len);
    read_all(&reader, false);
    assert_true(reader.failed);
    assert_false(dk_reader_done(&reader));
    assert_int_equal(dk_read_u64(&reader), 0);
    assert_null(dk_read_fixed(&reader, 0));
    dk_free(exact);
  }
}

static void test_left_over_is_not_done(void **state) {
  (void)state;
  struct dk_reader reader;
  dk_reader_init(&reader, "\x01\x02", 2);
  assert_int_equal(dk_read_u8(&reader), 1);
  assert_false(dk_reader_done(&reader));
  assert_int_equal(dk_read_u8(&reader), 2);
  assert_true(dk_reader_done(&reader));
}

static bool varint_fails(const char *bytes, size_t len) {
  struct dk_reader reader;
  dk_reader_init(&reader, bytes, len);
  uint64_t value = dk_read_varint(&reader);
  if (reader.failed) assert_int_equal(value, 0);
  return reader.failed;
}

static void test_bad_varints(void **state) {
  (void)state;
  assert_false(varint_fails("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10)); /* UINT64_MAX */
  assert_true(varint_fails("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));  /* 65 bits */
  assert_true(varint_fails("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11));
  assert_true(varint_fails("\x80\x00", 2)); /* 0 in two bytes */
  assert_true(varint_fails("\xff\x00", 2));
  assert_false(varint_fails("\x00", 1));
  assert_true(varint_fails("", 0));
}

static void test_lengths_that_lie(void **state) {
  (void)state;
  struct dk_reader reader;
  size_t len = 1;
  dk_reader_init(&reader,
                 "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                 "abc",
                 13);
  assert_null(dk_read_bytes(&reader, &len));
  assert_int_equal(len, 0);
  dk_reader_init(&reader,
                 "\x04"
                 "abc",
                 4);
  assert_null(dk_read_text(&reader));
  dk_reader_init(&reader,
                 "\x03"
                 "a\0b",
                 4); /* a text must not lose its end */
  assert_null(dk_read_text(&reader));
  assert_true(reader.failed);
  dk_reader_init(&reader,
                 "\x02"
                 "1234567",
                 8);
  assert_int_equal(dk_read_count(&reader, 4), 0);
  assert_true(reader.failed);
  dk_reader_init(&reader,
                 "\x02"
                 "12345678",
                 9);
  assert_int_equal(dk_read_count(&reader, 4), 2);
  assert_false(reader.failed);
  dk_reader_init(&reader, "\x02", 1);
  assert_int_equal(dk_read_count(&reader, 0), 0);
  assert_true(reader.failed);
  dk_reader_init(&reader, NULL, 0);
  assert_true(dk_reader_done(&reader));
  dk_reader_init(&reader, "\0", 1);
  assert_non_null(dk_read_bytes(&reader, &len));
  assert_true(dk_reader_done(&reader));
}

static void test_random_bytes(void **state) {
  (void)state;
  uint64_t seed = 1;
  for (int round = 0; round < 20000; round++) {
    unsigned char bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      bytes[i] = (unsigned char)(seed >> 56);
    }
    size_t len = bytes[0] % sizeof bytes;
    char *exact = dk_memdup(bytes, len);
    struct dk_reader reader;
    dk_reader_init(&reader, exact, len);
    while (!reader.failed && reader.at < reader.end) {
      const uint8_t *before = reader.at;
      size_t n;
      switch (dk_read_u8(&reader) % 6) {
      case 0: dk_read_varint(&reader); break;
      case 1: dk_read_signed(&reader); break;
      case 2: dk_read_bytes(&reader, &n); break;
      case 3: dk_free(dk_read_text(&reader)); break;
      case 4: dk_read_count(&reader, 3); break;
      case 5: dk_read_double(&reader); break;
      }
      assert_true(reader.failed || (reader.at > before && reader.at <= reader.end));
    }
    dk_free(exact);
  }
}

static void test_no_memory(void **state) {
  (void)state;
  struct dk_reader reader;
  dk_reader_init(&reader,
                 "\x01"
                 "a",
                 2);
  dk_alloc_fail_at(1);
  char *text = dk_read_text(&reader);
  dk_alloc_fail_at(0);
  assert_null(text);
  assert_true(reader.failed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_layout),          cmocka_unit_test(test_there_and_back),
      cmocka_unit_test(test_every_cut_fails), cmocka_unit_test(test_left_over_is_not_done),
      cmocka_unit_test(test_bad_varints),     cmocka_unit_test(test_lengths_that_lie),
      cmocka_unit_test(test_random_bytes),    cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
