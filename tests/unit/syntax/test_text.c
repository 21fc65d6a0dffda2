/* Strings: escapes, raw strings, blocks, holes, and where their parts lie in the source. */
#include "tests/unit/syntax/fixture.h"

/* The string of an expression, without holes, as bytes. */
static void assert_text(struct fixture *f, const char *text, const char *expected, size_t len) {
  const struct dk_expr *expr = fixture_expr(f, text);
  if (!expr) fail_msg("no string: %s", text);
  assert_int_equal(expr->kind, DK_EXPR_STRING);
  if (len == 0) {
    assert_int_equal(expr->string.n_parts, 0);
    return;
  }
  assert_int_equal(expr->string.n_parts, 1);
  assert_int_equal(expr->string.parts[0].literal->len, len);
  assert_memory_equal(expr->string.parts[0].literal->text, expected, len);
}

#define ASSERT_TEXT(f, text, expected) assert_text((f), (text), (expected), sizeof(expected) - 1)

static void test_escapes(void **state) {
  struct fixture *f = *state;
  ASSERT_TEXT(f, "\"\"", "");
  ASSERT_TEXT(f, "\"a\\n\\t\\r\\\\\\\"b\"", "a\n\t\r\\\"b");
  ASSERT_TEXT(f, "\"\\xff\\x41\"",
              "\xff"
              "A");
  ASSERT_TEXT(f, "\"\\u{e9}\\u{4e2d}\\u{1F600}\\u{41}\"",
              "\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80"
              "A");
  ASSERT_TEXT(f, "\"{ } } }} {\"", "{ } } }} {");
  ASSERT_TEXT(f, "\"#no comment\"", "#no comment");
  ASSERT_TEXT(f, "'\\d+ {{x}} \"'", "\\d+ {{x}} \"");
  ASSERT_TEXT(f, "''", "");
}

static void test_bad_escapes(void **state) {
  struct fixture *f = *state;
  const char *bad[] = {"\\q",        "\\0",         "\\x4",      "\\xg1",  "\\x00",  "\\u41",
                       "\\u{}",      "\\u{110000}", "\\u{d800}", "\\u{41", "\\u{0}", "\\u{ffffffffffffff}",
                       "\\\xc3\xa9", "\\'",         "\\"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    dk_diags_init(&f->diags, &f->arena, &f->sources);
    /* A backslash before the closing quotes would be \", so a blank follows. */
    assert_null(fixture_expr(f, dk_arena_printf(&f->arena, "\"a%s b\"", bad[i])));
    if (f->diags.count != 1) fail_msg("%u errors for %s", f->diags.count, bad[i]);
    assert_int_equal(f->diags.items[0]->code, DK_E0111);
    assert_int_equal(f->diags.items[0]->span.start, f->sources.items[f->sources.count - 1]->base + 2);
  }
}

static void test_blocks(void **state) {
  struct fixture *f = *state;
  ASSERT_TEXT(f, "\"\"\"\n    one\n      two\n\n    three\n  \"\"\"", "one\n  two\n\nthree");
  ASSERT_TEXT(f, "\"\"\"one\"\"\"", "one");
  ASSERT_TEXT(f, "\"\"\"\"\"\"", "");
  ASSERT_TEXT(f, "\"\"\"\n\"\"\"", "");
  ASSERT_TEXT(f, "\"\"\"\n\n\"\"\"", "");
  ASSERT_TEXT(f, "\"\"\"\n\n\n\"\"\"", "\n");
  ASSERT_TEXT(f, "\"\"\"\n  a\\n\\\n  b\"c\"\n\"\"\"", "a\\n\\\nb\"c\"");
  ASSERT_TEXT(f, "\"\"\"  \n  a\n   \n  b \n  \"\"\"", "a\n \nb ");
  ASSERT_TEXT(f, "\"\"\"one\n    two\n    \"\"\"", "one\ntwo");
  ASSERT_TEXT(f, "\"\"\"\r\n  a\r\n  b\r\n  \"\"\"", "a\nb");
  ASSERT_TEXT(f, "\"\"\"\n\ta\n\t b\n\"\"\"", "a\n b");
  ASSERT_TEXT(f, "\"\"\"\n  a { b } {c\n\"\"\"", "a { b } {c");
}

static void test_holes(void **state) {
  struct fixture *f = *state;
  assert_expr(f, "\"{{a}}\"", "\"{{a}}\"");
  assert_expr(f, "\"x{{ a.b + 1 }}y{{c}}{{d}}z\"", "\"x{{(+ (. a b) 1)}}y{{c}}{{d}}z\"");
  assert_expr(f, "\"{{\"{{\"}}\"", "\"{{\"{{\"}}\"");
  assert_expr(f, "\"{{ f(\"{{x}}\") }}\"", "\"{{(call f \"{{x}}\")}}\"");
  assert_expr(f, "\"{{ { a = { b = 1 }}}}\"", "\"{{(record a=(record b=1))}}\"");
  assert_expr(f, "\"\"\"\n    a {{x}}\n      {{y}} b\n    {{z}}\n\"\"\"", "\"\"\"a {{x}}\\n  {{y}} b\\n{{z}}\"\"\"");
  assert_expr(f, "\"\"\"\n  {{x}}\n  \"\"\"", "\"\"\"{{x}}\"\"\"");
}

static void test_parts_lie_in_the_source(void **state) {
  struct fixture *f = *state;
  const struct dk_expr *expr = fixture_expr(f, "  \"ab\\n{{ cc }}de\"");
  const struct dk_source *source = f->sources.items[0];
  assert_int_equal(expr->string.n_parts, 3);
  const char *texts[] = {"ab\\n", "{{ cc }}", "de"};
  for (uint32_t i = 0; i < 3; i++) {
    struct dk_span want = fixture_span(source, texts[i]);
    assert_int_equal(expr->string.parts[i].span.start, want.start);
    assert_int_equal(expr->string.parts[i].span.end, want.end);
  }
  struct dk_span name = fixture_span(source, "cc");
  assert_int_equal(expr->string.parts[1].hole->span.start, name.start);
}

static void test_mixed_indentation(void **state) {
  assert_errors(*state, "let x = \"\"\"\n  a\n\tb\n  c\n\"\"\"\n", "E0117@3:1");
  assert_errors(*state, "let x = \"\"\"\n  a\n  \tb\n\n\"\"\"\n", "");
}

static void test_unclosed(void **state) {
  assert_errors(*state, "let x = \"abc\nlet y = 'def\nlet z = \"a {{ b\nlet w = \"{{ \"\n",
                "E0110@1:9 E0110@2:9 E0112@3:12 E0112@4:10");
  assert_errors(*state, "let x = \"\"\"\n  abc\n", "E0110@1:9");
  /* The block ends where the indentation does, so that what follows is read. */
  assert_errors(
      *state,
      "task t {\n  run = \"\"\"\n    a\n  x = = 1\n}\ntask u {\n  run = \"\"\"\n    b\n  \"\"\"\n  y = = 1\n}\n",
      "E0110@2:9 E0101@4:7 E0101@10:7");
  /* A block that has its end may hold anything at any indentation. */
  assert_errors(*state, "task t {\n  run = \"\"\"\ntask u {\n}\n  \"\"\"\n}\n", "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_escapes),
      TEST(test_bad_escapes),
      TEST(test_blocks),
      TEST(test_holes),
      TEST(test_parts_lie_in_the_source),
      TEST(test_mixed_indentation),
      TEST(test_unclosed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
