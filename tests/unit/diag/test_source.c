/* Places of positions: lines, columns in characters, several sources, the ends of texts. */
#include "tests/unit/diag/fixture.h"

static void assert_place(struct fixture *f, uint32_t position, const struct dk_source *source, uint32_t line,
                         uint32_t column) {
  struct dk_place place = dk_sources_place(&f->sources, position);
  assert_ptr_equal(place.source, source);
  assert_int_equal(place.line, line);
  assert_int_equal(place.column, column);
}

static void test_lines(void **state) {
  struct fixture *f = *state;
  const struct dk_source *source = fixture_source(f, "a.dk", "one\n\nthree\n");
  assert_int_equal(source->base, 1);
  assert_int_equal(source->n_lines, 4);
  assert_place(f, 1, source, 1, 1);
  assert_place(f, 4, source, 1, 4); /* the line end belongs to its line */
  assert_place(f, 5, source, 2, 1);
  assert_place(f, 6, source, 3, 1);
  assert_place(f, 1 + source->len, source, 4, 1);
}

static void test_columns_are_characters(void **state) {
  struct fixture *f = *state;
  const struct dk_source *source = fixture_source(f, "a.dk",
                                                  "\xc3\xa9\xe4\xb8\xad\xff"
                                                  "x");
  assert_place(f, source->base + 2, source, 1, 2);
  assert_place(f, source->base + 5, source, 1, 3); /* a bad byte is one character */
  assert_place(f, source->base + 6, source, 1, 4);
}

static void test_many_sources(void **state) {
  struct fixture *f = *state;
  const struct dk_source *sources[9];
  for (int i = 0; i < 9; i++) sources[i] = fixture_source(f, "x.dk", i % 3 ? "a\nb" : "");
  for (int i = 0; i < 9; i++) {
    assert_place(f, sources[i]->base, sources[i], 1, 1);
    struct dk_place end = dk_sources_place(&f->sources, sources[i]->base + sources[i]->len);
    assert_ptr_equal(end.source, sources[i]);
  }
  assert_null(dk_sources_place(&f->sources, 0).source);
  assert_null(dk_sources_place(&f->sources, f->sources.next_base + 5).source);
}

static void test_text_is_copied_and_ended(void **state) {
  struct fixture *f = *state;
  char text[] = "abc", path[] = "p.dk";
  const struct dk_source *source = dk_sources_add(&f->sources, path, text, 3);
  memset(text, 'x', 3);
  memset(path, 'x', 4);
  assert_string_equal(source->text, "abc");
  assert_int_equal(source->text[4], '\0'); /* the scanner wants two NULs */
  assert_string_equal(source->path, "p.dk");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_lines),
      TEST(test_columns_are_characters),
      TEST(test_many_sources),
      TEST(test_text_is_copied_and_ended),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
