/* UTF-8 against an independent decoder and RFC 3629's table; escaping; shell words against real shells. */
#include "lang/base/buf.h"
#include "lang/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static unsigned encode(uint32_t point, char out[4]) {
  if (point < 0x80) return out[0] = (char)point, 1;
  if (point < 0x800) return out[0] = (char)(0xc0 | point >> 6), out[1] = (char)(0x80 | (point & 63)), 2;
  if (point < 0x10000) {
    out[0] = (char)(0xe0 | point >> 12), out[1] = (char)(0x80 | (point >> 6 & 63)),
    out[2] = (char)(0x80 | (point & 63));
    return 3;
  }
  out[0] = (char)(0xf0 | point >> 18), out[1] = (char)(0x80 | (point >> 12 & 63));
  out[2] = (char)(0x80 | (point >> 6 & 63)), out[3] = (char)(0x80 | (point & 63));
  return 4;
}

static void test_utf8_every_point(void **state) {
  (void)state;
  char text[4];
  for (uint32_t point = 0; point < 0x200000; point++) {
    unsigned n = encode(point, text);
    unsigned wanted = point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0 : n;
    if (dk_utf8_len(text, n) != wanted) fail_msg("U+%04X: %u, wanted %u", point, dk_utf8_len(text, n), wanted);
    for (unsigned cut = 0; cut < n; cut++) assert_int_equal(dk_utf8_len(text, cut), 0);
  }
}

/* Every pair and triple of bytes: well-formed exactly if it is some point's shortest encoding. */
static void test_utf8_every_triple(void **state) {
  (void)state;
  for (uint32_t bytes = 0; bytes < 1u << 24; bytes++) {
    unsigned char s[3] = {(unsigned char)(bytes >> 16), (unsigned char)(bytes >> 8), (unsigned char)bytes};
    unsigned n = dk_utf8_len((char *)s, 3), wanted = 0;
    if (s[0] < 0x80) wanted = 1;
    if ((s[0] & 0xe0) == 0xc0 && (s[1] & 0xc0) == 0x80 && ((s[0] & 31u) << 6 | (s[1] & 63u)) >= 0x80) wanted = 2;
    if ((s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
      unsigned point = (s[0] & 15u) << 12 | (s[1] & 63u) << 6 | (s[2] & 63u);
      if (point >= 0x800 && (point < 0xd800 || point > 0xdfff)) wanted = 3;
    }
    if (n != wanted) fail_msg("%02x %02x %02x: %u, wanted %u", s[0], s[1], s[2], n, wanted);
  }
  assert_true(dk_utf8_is_valid("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10));
  assert_false(dk_utf8_is_valid("a\xc3", 2));
  assert_true(dk_utf8_is_valid("", 0));
}

static void assert_escaped(const char *text, size_t len, const char *wanted) {
  dk_autobuf buf = DK_BUF_INIT;
  dk_buf_add_escaped(&buf, text, len);
  assert_string_equal(dk_buf_text(&buf), wanted);
}

static void test_escaped(void **state) {
  (void)state;
  assert_escaped("", 0, "");
  assert_escaped("a b\\c\xc3\xa4", 7, "a b\\c\xc3\xa4");
  assert_escaped("1\n2\t3\r4\0", 8, "1\\n2\\t3\\r4\\x00");
  assert_escaped("\x1b[31m\x7f", 6, "\\x1b[31m\\x7f");
  assert_escaped("\xff\xc3", 2, "\\xff\\xc3");
  assert_escaped("\xc2\x9b", 2, "\\xc2\\x9b");          /* C1: CSI */
  assert_escaped("\xe2\x80\xae", 3, "\\xe2\\x80\\xae"); /* right-to-left override */
  assert_escaped("\xe2\x80\x94", 3, "\xe2\x80\x94");    /* a dash is fine */
}

static void assert_word(const char *text, const char *wanted) {
  dk_autobuf buf = DK_BUF_INIT;
  dk_buf_add_shell_word(&buf, text, strlen(text));
  assert_string_equal(dk_buf_text(&buf), wanted);
}

static void test_shell_word_forms(void **state) {
  (void)state;
  assert_word("", "''");
  assert_word("train.py", "train.py");
  assert_word("--lr=1e-3", "--lr=1e-3");
  assert_word("=x", "'=x'");
  assert_word("~", "'~'");
  assert_word("a b", "'a b'");
  assert_word("it's", "'it'\\''s'");
  assert_word("$HOME", "'$HOME'");
  assert_word("\xc3\xa4", "'\xc3\xa4'");
  assert_word("a\nb'c\\", "$'a\\nb\\'c\\\\'");
  assert_word("\x1b"
              "1",
              "$'\\0331'");
}

/* Has the shell print the words, and compares with what went in. The script is a file: no second quoting on the way. */
static void assert_shell_reads(const char *shell, const char *const *words, size_t n) {
  dk_autobuf script = DK_BUF_INIT, wanted = DK_BUF_INIT, got = DK_BUF_INIT, command = DK_BUF_INIT;
  dk_buf_add_text(&script, "printf '%s\\0'");
  for (size_t i = 0; i < n; i++) {
    dk_buf_add_char(&script, ' ');
    dk_buf_add_shell_word(&script, words[i], strlen(words[i]));
    dk_buf_add(&wanted, words[i], strlen(words[i]) + 1);
  }
  assert_null(strchr(dk_buf_text(&script), '\n')); /* a word never breaks the line */

  char path[] = "/tmp/dk-test-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, script.data, script.len), script.len);
  close(fd);
  dk_buf_printf(&command, "%s %s", shell, path);
  FILE *pipe = popen(dk_buf_text(&command), "r");
  assert_non_null(pipe);
  char chunk[512];
  for (size_t len; (len = fread(chunk, 1, sizeof chunk, pipe)) > 0;) dk_buf_add(&got, chunk, len);
  int status = pclose(pipe);
  unlink(path);
  assert_int_equal(status, 0);
  assert_int_equal(got.len, wanted.len);
  assert_memory_equal(got.data, wanted.data, wanted.len);
}

static void test_shell_words_read_back(void **state) {
  (void)state;
  static const char *const portable[] = {
      "",   "a",   "a b",    "it's",   "''",    "\"",        "\\",  "\\n",      "$HOME $(id) `id`",
      "*",  "?",   "[a]",    "~",      "~root", "#x",        "a#b", "!!",       "-n",
      "--", "=ls", "a=b",    "{a,b}",  "a;b",   "a&b|c>d<e", "(x)", "\xc3\xa4", "%s",
      "'",  " ",   "  lead", "trail ", "$'x'",
  };
  assert_shell_reads("sh", portable, sizeof portable / sizeof *portable);

  /* $'...' is young in POSIX and not in every sh: bash. Every byte but NUL, alone and before a digit. */
  char texts[255 * 2][4];
  const char *words[255 * 2];
  for (int c = 1; c < 256; c++) {
    snprintf(texts[2 * c - 2], sizeof texts[0], "%c", c);
    snprintf(texts[2 * c - 1], sizeof texts[0], "%c7'", c);
    words[2 * c - 2] = texts[2 * c - 2];
    words[2 * c - 1] = texts[2 * c - 1];
  }
  assert_shell_reads("bash", words, 255 * 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_utf8_every_point),
      cmocka_unit_test(test_utf8_every_triple),
      cmocka_unit_test(test_escaped),
      cmocka_unit_test(test_shell_word_forms),
      cmocka_unit_test(test_shell_words_read_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
