/* The door of provider files, with kinds that only this test knows: blocks and their values, what may stand in such a
 * file, the digest of what was read, and changed texts. */
#include "lang/base/alloc.h"
#include "lang/provider_file.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char room[64];

static const char *at(const char *name) {
  static char path[2][256];
  static unsigned i;
  i ^= 1;
  snprintf(path[i], sizeof path[i], "%s/%s", room, name);
  return path[i];
}

static int set_up(void **state) {
  (void)state;
  strcpy(room, "/tmp/dk-provider-XXXXXX");
  return mkdtemp(room) ? 0 : -1;
}

static int tear_down(void **state) {
  char command[128];
  (void)state;
  snprintf(command, sizeof command, "rm -rf '%s'", room);
  return system(command);
}

static void put(const char *name, const char *text) {
  FILE *file = fopen(at(name), "w");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
  assert_int_equal(fclose(file), 0);
  assert_int_equal(chmod(at(name), 0644), 0);
}

static const struct dk_schema_field tree_fields[] = {
    {"kind", DK_KIND_TEXT, true, false, "a kind", ""},
    {"apples", DK_KIND_INT, true, false, "a whole number", ""},
    {"names", DK_KIND_LIST | DK_KIND_TEXT, false, false, "a list", ""},
    {"age", DK_KIND_DURATION, false, false, "a duration such as 90s or 4h", ""},
};
static const struct dk_schema_field stone_fields[] = {
    {"kind", DK_KIND_TEXT, true, false, "a kind", ""},
    {"weight", DK_KIND_SIZE, false, false, "a size such as 4GiB", ""}};
static const struct dk_schema tree = {"a provider of kind `tree`", tree_fields, 4},
                              stone = {"a provider of kind `stone`", stone_fields, 2},
                              none = {"a provider", tree_fields, 1};

static const struct dk_schema *schema(void *ctx, const char *name, const char *kind) {
  (void)ctx;
  assert_non_null(name);
  return !kind ? &none : strcmp(kind, "tree") == 0 ? &tree : &stone;
}

/* What the judge was shown: "lab tree apples=3 names=["a"]" a line a block, `!` in front of a broken one. */
struct seen {
  struct dk_buf text;
  struct dk_digest digest;
  uint32_t n_calls, n_blocks;
};

static void judge(void *ctx, const struct dk_provider_file *file) {
  struct seen *seen = ctx;
  seen->n_calls++;
  seen->n_blocks = file->n_blocks;
  seen->digest = file->digest;
  for (uint32_t i = 0; i < file->n_blocks; i++) {
    const struct dk_provider_block *block = &file->blocks[i];
    dk_buf_printf(&seen->text, "%s%s %s", block->is_broken ? "!" : "", block->name, block->kind ? block->kind : "-");
    for (uint32_t j = 0; j < block->n_fields; j++) {
      const struct dk_provider_field *field = &block->fields[j];
      dk_buf_printf(&seen->text, " %s=", field->schema->name);
      dk_value_source_text(file->values, field->value, &seen->text);
      assert_true(field->expr->span.end > field->expr->span.start);
      assert_true(dk_provider_item_span(field, 0).end <= field->expr->span.end);
    }
    dk_buf_add_char(&seen->text, '\n');
  }
}

static const char *const kind_names[] = {"stone", "tree"};
static const struct dk_provider_kinds kinds = {kind_names, 2, schema, NULL};

/* What the judge saw, then "E0201 1:5 message" for each diagnostic. */
static void load_with(struct dk_provider_file_options options, struct seen *seen) {
  struct dk_provider_load *load;
  struct dk_error error = {0};
  options.kinds = &kinds;
  options.judge = judge;
  options.judge_ctx = seen;
  options.name = "p.dk";
  assert_int_equal(dk_provider_file_load(at("p.dk"), &options, &load, &error), 0);
  const struct dk_diags *diags = dk_provider_load_diags(load);
  for (uint32_t i = 0; i < diags->count; i++) {
    struct dk_place place = dk_sources_place(diags->sources, diags->items[i]->span.start);
    dk_buf_printf(&seen->text, "%s %u:%u %s\n", dk_code_name(diags->items[i]->code), place.line, place.column,
                  diags->items[i]->message);
  }
  dk_provider_load_destroy(load);
}

static void gives(const char *text, const char *want) {
  struct seen seen = {.text = DK_BUF_INIT};
  put("p.dk", text);
  load_with((struct dk_provider_file_options){.root = room}, &seen);
  if (strcmp(dk_buf_text(&seen.text), want) != 0)
    fail_msg("%s\n-- gives\n%s-- not\n%s", text, dk_buf_text(&seen.text), want);
  assert_int_equal(seen.n_calls, 1);
  dk_buf_finish(&seen.text);
}

static void test_values(void **state) {
  (void)state;
  put("m.dk", "let n = 4\nlet twice(x) = 2 * x\n");
  put("data.json", "{\"names\": [\"x\", \"y\"]}");
  gives("", "");
  gives("provider a { kind = \"tree\"  apples = 3 }", "a tree apples=3\n");
  gives("provider a { kind = 'stone' }  provider b { kind = \"stone\"  weight = 2GiB }",
        "a stone\nb stone weight=2GiB\n");
  gives("import \"./m.dk\" as m\nimport std.ml as ml\n"
        "let list = [\"n{{i}}\" for i in 1..2]\nlet add(x) = x + 1\nlet data = load(\"data.json\")\n"
        "provider a { kind = \"tree\"  apples = m.twice(m.n) + add(below)  names = list }\n"
        "provider b { kind = \"tree\"  apples = 1  names = data.names }\nlet below = 1\n",
        "a tree apples=10 names=[\"n1\", \"n2\"]\nb tree apples=1 names=[\"x\", \"y\"]\n");
  gives("let old = null\nprovider a { kind = \"tree\"  apples = 1  age = old }", "a tree apples=1\n");
}

static void test_wrong(void **state) {
  (void)state;
  put("m.dk", "provider p { kind = \"stone\" }\n");
  gives("provider a { kind = \"tre\"  apples = x }", "!a -\nE0223 1:21 no kind of provider is called `tre`\n");
  gives("let k = \"tree\"\nprovider a { kind = k }\nprovider b { kind = \"tr{{1}}\" }\nprovider c { kind = 3 }",
        "!a -\n!b -\n!c -\nE0209 2:21 `kind` wants a plain text in quotes\nE0209 3:21 `kind` wants a plain text in "
        "quotes\n"
        "E0209 4:21 `kind` wants a plain text in quotes\n");
  gives("provider a { }", "!a -\nE0208 1:10 this provider lacks `kind`\n");
  gives("provider a { kind = \"tree\" }", "!a tree\nE0208 1:10 this provider of kind `tree` lacks `apples`\n");
  gives("provider a { kind = \"tree\"  aples = 3  apples = 3  apples = 4 }",
        "!a tree apples=3\nE0206 1:29 no field `aples` in a provider of kind `tree`\nE0207 1:52 `apples` is given "
        "twice\n");
  gives("provider a { kind = \"stone\"  kind = \"tree\" }", "!a stone\nE0207 1:30 `kind` is given twice\n");
  gives("let s = \"x\"\nprovider a { kind = \"tree\"  apples = s  age = 5s + 5s }",
        "!a tree age=10s\nE0224 2:38 `apples` of provider `a` wants a whole number, not \"x\"\n");
  gives("provider a { kind = \"tree\"  apples = 1 // 0  age = 5 names { } }",
        "!a tree\nE0303 1:43 division by zero\nE0209 1:52 `age` wants a duration such as 90s or 4h, not an integer\n"
        "E0209 1:54 `names` wants a list\n");
  gives("provider a { kind = \"tree\"  apples = b }\nlet b = a", "!a tree\nE0214 2:9 `a` is a provider, not a value\n");
  gives("provider a { kind = \"stone\" }\nprovider a { kind = \"stone\" }",
        "a stone\na stone\nE0202 2:10 `a` is declared twice\n");
  gives("let n = null\nprovider a { kind = \"tree\"  apples = n }",
        "!a tree\nE0224 2:38 `apples` of provider `a` wants a whole number, not null\n");
  gives("import \"./m.dk\" as m", "E0210 1:10 a provider cannot stand in a module that is imported\n");
  gives("import \"../m.dk\" as m", "E0704 1:8 `../m.dk` lies outside of the repository\n");
  gives("provider a { kind = \"stone\"  weight = 1GiB", "!a stone\nE0102 1:43 `{` is not closed\n");
}

static void test_only_providers(void **state) {
  (void)state;
  gives("experiment e { }\nparam p = 1\nresource r { }\ngrid g { x in [1] }\ntask t over g { run = \"{{x}}\" }\n"
        "pick b { from = t }\nreport { }\nimage i { }\nsource s = 1\nprovider a { kind = \"stone\" }",
        "a stone\n"
        "E0222 1:12 an experiment cannot stand in a file of providers\n"
        "E0222 2:7 a param cannot stand in a file of providers\n"
        "E0222 3:10 a resource cannot stand in a file of providers\n"
        "E0222 4:6 a grid cannot stand in a file of providers\n"
        "E0222 5:6 a task cannot stand in a file of providers\n"
        "E0208 6:6 this pick lacks `maximize` or `minimize`\n"
        "E0222 6:6 a pick cannot stand in a file of providers\n"
        "E0222 7:1 a report cannot stand in a file of providers\n"
        "E0208 8:7 this image lacks `from`\n"
        "E0208 8:7 this image lacks `setup`\n"
        "E0222 9:8 a source cannot stand in a file of providers\n");
}

static struct dk_digest digest(void) {
  struct seen seen = {.text = DK_BUF_INIT};
  load_with((struct dk_provider_file_options){.root = room}, &seen);
  assert_int_equal(seen.n_calls, 1);
  dk_buf_finish(&seen.text);
  return seen.digest;
}

static void test_digest(void **state) {
  (void)state;
  put("m.dk", "let n = 4");
  put("d.txt", "one");
  put("p.dk",
      "import \"./m.dk\" as m\nlet d = load(\"d.txt\")\nlet g = glob(\"*.cfg\")\nprovider a { kind = \"stone\" }");
  struct dk_digest first = digest(), again = digest();
  assert_true(dk_digest_equal(&first, &again));
  static const char *const changes[][2] = {
      {"m.dk", "let n = 5"}, {"d.txt", "two"}, {"p.dk", "provider a { kind = \"stone\" }"}};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    put(changes[i][0], changes[i][1]);
    struct dk_digest changed = digest();
    assert_false(dk_digest_equal(&first, &changed));
    first = changed;
  }
}

static void test_private(void **state) {
  (void)state;
  static const struct {
    mode_t file, module;
    const char *want;
  } rows[] = {{0600, 0644, "a stone\n"},
              {0620, 0644, "E0707 0:0 `/p.dk` can be written to by others\n"},
              {0602, 0644, "E0707 0:0 `/p.dk` can be written to by others\n"},
              {0600, 0664, "a stone\nE0707 1:8 `./m.dk` can be written to by others\n"}};
  put("m.dk", "let n = 4");
  put("p.dk", "import \"./m.dk\" as m\nprovider a { kind = \"stone\" }");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct seen seen = {.text = DK_BUF_INIT};
    assert_int_equal(chmod(at("p.dk"), rows[i].file), 0);
    assert_int_equal(chmod(at("m.dk"), rows[i].module), 0);
    load_with((struct dk_provider_file_options){.is_private = true}, &seen);
    char *room_at = strstr(dk_buf_text(&seen.text), room);
    if (room_at) memmove(room_at, room_at + strlen(room), strlen(room_at + strlen(room)) + 1);
    assert_string_equal(dk_buf_text(&seen.text), rows[i].want);
    dk_buf_finish(&seen.text);
  }
}

/* --- changed texts: nothing crashes, and what is broken was reported --- */

static uint64_t random_state;

static size_t below(size_t n) {
  random_state ^= random_state << 13; /* xorshift64 */
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return n ? (size_t)((random_state >> 11) % n) : 0;
}

static void change(char *text, size_t size) {
  static const char *const words[] = {"provider", "kind", "=",   "{", "}",      "\"tree\"", "apples",
                                      "[",        "]",    "let", "a", "task t", "null",     "("};
  char copy[2048];
  size_t len = strlen(text), from = below(len), n = below(9);
  const char *word = below(2) ? words[below(sizeof words / sizeof *words)] : "";
  if (from + n > len) n = len - from;
  if (len + strlen(word) + 3 > size || len >= sizeof copy) return;
  memcpy(copy, text, len + 1);
  snprintf(text, size, "%.*s%s%s", (int)from, copy, word, copy + from + n);
}

static void judge_broken(void *ctx, const struct dk_provider_file *file) {
  (void)ctx;
  for (uint32_t i = 0; i < file->n_blocks; i++) {
    if (file->blocks[i].is_broken) assert_true(file->diags->n_errors > 0);
    for (uint32_t j = 0; j < file->blocks[i].n_fields; j++) {
      const struct dk_provider_field *field = &file->blocks[i].fields[j];
      assert_true(field->schema->kinds >> dk_value_get(file->values, field->value)->type & 1);
    }
  }
}

static void test_changed(void **state) {
  (void)state;
  static const char text[] = "import std.ml as ml\nlet list = [\"n{{i}}\" for i in 1..2]\nlet f(x) = x + 1\n"
                             "provider a { kind = \"tree\"  apples = f(2)  names = list }\n"
                             "provider b { kind = \"stone\"  weight = 2GiB }\n";
  const struct dk_provider_file_options options = {.kinds = &kinds, .root = room, .judge = judge_broken};
  const char *count = getenv("DK_MUTATE_COUNT");
  for (uint64_t seed = 1; seed <= (count ? strtoull(count, NULL, 10) : 2000); seed++) {
    struct dk_provider_load *load;
    char changed[1024];
    random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
    strcpy(changed, text);
    for (size_t i = 0, n = 1 + below(6); i < n; i++) change(changed, sizeof changed);
    put("p.dk", changed);
    assert_int_equal(dk_provider_file_load(at("p.dk"), &options, &load, NULL), 0);
    dk_provider_load_destroy(load);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_wrong, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_only_providers, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_digest, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_private, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_changed, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
