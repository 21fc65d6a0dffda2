/* load(): data files as values, and what is said of malformed ones. */
#include "tests/unit/check/compile.h"
#include "tests/unit/check/table.h"

#include "lang/base/alloc.h"

#include <string.h>

struct file {
  const char *text;
};

static bool read_text(void *ctx, const struct dk_source *from, const struct dk_str *path, struct dk_span at,
                      const char **ret_text, size_t *ret_len) {
  struct file *file = ctx;
  (void)from;
  (void)path;
  (void)at;
  *ret_text = file->text;
  *ret_len = strlen(file->text);
  return true;
}

static bool glob_two(void *ctx, const struct dk_source *from, const struct dk_str *pattern, struct dk_span at,
                     const char ***ret_paths, uint32_t *ret_n) {
  static const char *paths[] = {"a.csv", "b.csv"};
  (void)ctx;
  (void)from;
  (void)pattern;
  (void)at;
  *ret_paths = paths;
  *ret_n = 2;
  return true;
}

static const char *ending; /* of the file that load_text pretends to be */

static char *load_text(const char *text) {
  struct file file = {text};
  struct dk_eval_files files = {.ctx = &file, .read = read_text, .glob = glob_two};
  struct dk_compile c = {.files = &files};
  dk_autobuf source = DK_BUF_INIT;
  dk_buf_printf(&source, "let x = load(\"d.%s\")\ntask t { run = \"x\" }", ending);
  dk_compile(&c, dk_buf_text(&source));
  char *result = dk_strdup(c.diags.count ? dk_compile_errors(&c) : dk_compile_value(&c, "x"));
  dk_compile_finish(&c);
  return result;
}

static void test_json(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"{\"b\": [1, 2.5, true, null], \"a\": {\"c\": \"x\"}}", "{ a = { c = \"x\" } b = [1, 2.5, true, null] }"},
      {" [ ] ", "[]"},
      {"{}", "{}"},
      {"1e2", "100"},
      {"9223372036854775808", "9223372036854776000"}, /* beyond 64 bits: a float */
      {"-0", "0"},
      {"\"\\u00e9\\n\\ud83d\\ude00\\/\"", "\"\xc3\xa9\\n\xf0\x9f\x98\x80/\""},
      {"\xef\xbb\xbf[1]", "[1]"},
      {"", "E0312 1[load(\"d.json\")] d.json, line 1: a JSON value is expected here\n"},
      {"[1,\n2,]", "E0312 1[load(\"d.json\")] d.json, line 2: a JSON value is expected here\n"},
      {"[1 2]", "E0312 1[load(\"d.json\")] d.json, line 1: `,` or `]` is expected here\n"},
      {"{\"a\" 1}", "E0312 1[load(\"d.json\")] d.json, line 1: `:` is expected here\n"},
      {"{a: 1}", "E0312 1[load(\"d.json\")] d.json, line 1: a name in quotes is expected here\n"},
      {"{\"a\": 1, \"a\": 2}", "E0312 1[load(\"d.json\")] d.json, line 1: `a` is there twice\n"},
      {"\"abc", "E0312 1[load(\"d.json\")] d.json, line 1: a text without its closing quote\n"},
      {"\"a\\q\"", "E0312 1[load(\"d.json\")] d.json, line 1: an escape that JSON does not have\n"},
      {"\"\\ud83d\"", "E0312 1[load(\"d.json\")] d.json, line 1: half of a surrogate pair\n"},
      {"\"a\nb\"", "E0312 1[load(\"d.json\")] d.json, line 2: a control character in a text\n"},
      {"01", "E0312 1[load(\"d.json\")] d.json, line 1: a JSON value is expected here\n"},
      {"NaN", "E0312 1[load(\"d.json\")] d.json, line 1: a JSON value is expected here\n"},
      {"1 2", "E0312 1[load(\"d.json\")] d.json, line 1: more after the end of the value\n"},
      {"\xff", "E0312 1[load(\"d.json\")] d.json is not UTF-8 text\n"},
  };
  ending = "json";
  DK_TABLE(rows, load_text);
}

static void test_deep_json(void **state) {
  (void)state;
  char text[4001];
  memset(text, '[', 4000);
  text[4000] = '\0';
  ending = "json";
  char *have = load_text(text);
  assert_string_equal(have, "E0312 1[load(\"d.json\")] d.json, line 1: nested too deep\n");
  dk_free(have);
}

static void test_lines(void **state) {
  (void)state;
  static const struct dk_row jsonl[] = {
      {"{\"a\": 1}\n{\"a\": 2}\n", "[{ a = 1 }, { a = 2 }]"},
      {"", "[]"},
      {"1\n{", "E0312 1[load(\"d.jsonl\")] d.jsonl, line 2: a name in quotes is expected here\n"},
  };
  static const struct dk_row txt[] = {
      {"a\nb b\r\n\nc", "[\"a\", \"b b\", \"\", \"c\"]"},
      {"", "[]"},
  };
  static const struct dk_row other[] = {
      {"a", "E0310 1[load(\"d.yaml\")] `load` cannot tell what is in `d.yaml`\n"
            "  = help: it reads files whose names end in .json, .jsonl, .csv or .txt\n"},
  };
  ending = "jsonl";
  DK_TABLE(jsonl, load_text);
  ending = "txt";
  DK_TABLE(txt, load_text);
  ending = "yaml";
  DK_TABLE(other, load_text);
}

static void test_csv(void **state) {
  (void)state;
  static const struct dk_row rows[] = {
      {"name,n,x\na,1,0.5\nb,2,\n", "[{ n = 1 name = \"a\" x = 0.5 }, { n = 2 name = \"b\" x = null }]"},
      {"a\r\n1\r\n2\r\n", "[{ a = 1 }, { a = 2 }]"},
      {"a,b\n\"x,\"\"y\"\"\",\"1\"\n", "[{ a = \"x,\\\"y\\\"\" b = \"1\" }]"},
      {"a\n\"two\nlines\"\n", "[{ a = \"two\\nlines\" }]"},
      {"a,b\n\n1,2\n", "[{ a = 1 b = 2 }]"},
      {"a\n-1.5e3\n1abc\n", "[{ a = -1500 }, { a = \"1abc\" }]"},
      {"a,b\n", "[]"},
      {"", "[]"},
      {"a,b\n1\n", "E0312 1[load(\"d.csv\")] d.csv, line 2: a row with fewer cells than the header\n"},
      {"a,b\n1,2,3\n", "E0312 1[load(\"d.csv\")] d.csv, line 3: a row with more cells than the header\n"},
      {"a,a\n1,2\n", "E0312 1[load(\"d.csv\")] d.csv, line 3: `a` is there twice\n"},
      {"a\n\"x\n", "E0312 1[load(\"d.csv\")] d.csv, line 3: a cell without its closing quote\n"},
      {"a\n\"x\"y\n", "E0312 1[load(\"d.csv\")] d.csv, line 2: `,` is expected behind a quoted cell\n"},
  };
  ending = "csv";
  DK_TABLE(rows, load_text);
}

static void test_glob(void **state) {
  (void)state;
  struct file file = {""};
  struct dk_eval_files files = {.ctx = &file, .read = read_text, .glob = glob_two};
  struct dk_compile c = {.files = &files};
  dk_compile(&c, "let x = glob(\"*.csv\") let y = file(x) task t { run = \"x\" }");
  assert_string_equal(dk_compile_errors(&c), "");
  assert_string_equal(dk_compile_value(&c, "x"), "[\"a.csv\", \"b.csv\"]");
  assert_string_equal(dk_compile_value(&c, "y"), "file([\"a.csv\", \"b.csv\"])");
  dk_compile_finish(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_json), cmocka_unit_test(test_deep_json), cmocka_unit_test(test_lines),
      cmocka_unit_test(test_csv),  cmocka_unit_test(test_glob),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
