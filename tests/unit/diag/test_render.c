/* The exact form of diagnostics for people. */
#include "tests/unit/diag/fixture.h"

static void assert_render(struct fixture *f, const char *expected) {
  dk_autobuf out = DK_BUF_INIT;
  dk_diags_render(&f->diags, false, &out);
  assert_string_equal(dk_buf_text(&out), expected);
}

static struct dk_diag *add(struct fixture *f, struct dk_span span, const char *message) {
  return dk_diag_add(&f->diags, DK_E0101, span, "%s", message);
}

/* The example of docs/language.md, with the lines before it left out. */
static void test_form(void **state) {
  struct fixture *f = *state;
  char text[400] = "";
  for (int i = 0; i < 30; i++) strcat(text, "\n");
  strcat(text, "  run = \"svm-train -q -c {{lr2}} {{inputs.data}}\"\n");
  const struct dk_source *source = fixture_source(f, "svm.dk", text);
  struct dk_diag *diag = add(f, fixture_span(source, "lr2"), "no column `lr2` in grid `hyper`");
  dk_diag_label(&f->diags, diag, "not a column, parameter or input here");
  dk_diag_help(&f->diags, diag, "did you mean `lr`?");
  dk_diag_note(&f->diags, diag, "grid `hyper` has the columns lr, batch, seed");
  assert_render(f, "error[E0101]: no column `lr2` in grid `hyper`\n"
                   "  --> svm.dk:31:28\n"
                   "   |\n"
                   "31 |   run = \"svm-train -q -c {{lr2}} {{inputs.data}}\"\n"
                   "   |                            ^^^ not a column, parameter or input here\n"
                   "   |\n"
                   "   = help: did you mean `lr`?\n"
                   "   = note: grid `hyper` has the columns lr, batch, seed\n"
                   "\n"
                   "1 error\n");
}

static void test_nothing(void **state) {
  assert_render(*state, "");
}

static void test_no_place(void **state) {
  struct fixture *f = *state;
  dk_diag_help(&f->diags, add(f, DK_NO_SPAN, "no place"), "first line\nsecond line");
  assert_render(f, "error[E0101]: no place\n"
                   "  = help: first line\n"
                   "          second line\n"
                   "\n"
                   "1 error\n");
}

static void test_labels(void **state) {
  struct fixture *f = *state;
  const struct dk_source *source = fixture_source(f, "a.dk", "x = [1\ny = 2\nz = 3\nw = 4\n");
  const struct dk_source *other = fixture_source(f, "lib/b.dk", "let q = 1\n");
  struct dk_diag *diag = add(f, fixture_span(source, "z"), "m");
  dk_diag_label(&f->diags, diag, "here");
  dk_diag_label_at(&f->diags, diag, fixture_span(source, "["), "opened here");
  dk_diag_label_at(&f->diags, diag, fixture_span(other, "q"), "declared here");
  dk_diag_label_at(&f->diags, diag, fixture_span(source, "3"), "this");
  assert_render(f, "error[E0101]: m\n"
                   " --> a.dk:3:1\n"
                   "  |\n"
                   "1 | x = [1\n"
                   "  |     - opened here\n"
                   "2 | y = 2\n"
                   "3 | z = 3\n"
                   "  | ^ here\n"
                   "  |     - this\n"
                   " ::: lib/b.dk:1:5\n"
                   "  |\n"
                   "1 | let q = 1\n"
                   "  |     - declared here\n"
                   "\n"
                   "1 error\n");
}

static void test_several_lines(void **state) {
  struct fixture *f = *state;
  const struct dk_source *source = fixture_source(f, "a.dk", "a = f(1,\n  2,\n  3,\n    4)\nb = 1\n");
  struct dk_span span = {fixture_span(source, "f(").start, fixture_span(source, "4)").end};
  dk_diag_label(&f->diags, add(f, span, "m"), "all of this");
  assert_render(f, "error[E0101]: m\n"
                   " --> a.dk:1:5\n"
                   "  |\n"
                   "1 | a = f(1,\n"
                   "  |     ^^^^\n"
                   "...\n"
                   "4 |     4)\n"
                   "  |     ^^ all of this\n"
                   "\n"
                   "1 error\n");
}

/* A span up to and with a line end is one line; a point at the end of the text has a caret too. */
static void test_ends(void **state) {
  struct fixture *f = *state;
  const struct dk_source *source = fixture_source(f, "a.dk", "one\r\ntwo");
  add(f, (struct dk_span){source->base, source->base + 5}, "line");
  add(f, (struct dk_span){source->base + 8, source->base + 8}, "end");
  assert_render(f, "error[E0101]: line\n"
                   " --> a.dk:1:1\n"
                   "  |\n"
                   "1 | one\n"
                   "  | ^^^\n"
                   "\n"
                   "error[E0101]: end\n"
                   " --> a.dk:2:4\n"
                   "  |\n"
                   "2 | two\n"
                   "  |    ^\n"
                   "\n"
                   "2 errors\n");
}

static void test_empty_file(void **state) {
  struct fixture *f = *state;
  const struct dk_source *source = fixture_source(f, "a.dk", "");
  add(f, (struct dk_span){source->base, source->base}, "nothing");
  assert_render(f, "error[E0101]: nothing\n"
                   " --> a.dk:1:1\n"
                   "  |\n"
                   "1 |\n"
                   "  | ^\n"
                   "\n"
                   "1 error\n");
}

/* Tabs, letters of several bytes, wide and combining characters, controls: the caret stays below what is meant. */
static void test_cells(void **state) {
  struct fixture *f = *state;
  const struct dk_source *source = fixture_source(
      f, "a.dk", "\ta\tX\n\xc3\xa9\xc3\xa9Y\n\xe4\xb8\xad\xe6\x96\x87Z\ne\xcc\x81W\n\x1b[31mV\n\xe2\x80\xaeU\n");
  const char *letters[] = {"X", "Y", "Z", "W", "V", "U"};
  for (size_t i = 0; i < 6; i++) add(f, fixture_span(source, letters[i]), letters[i]);
  assert_render(f, "error[E0101]: X\n --> a.dk:1:4\n  |\n1 |     a   X\n  |         ^\n\n"
                   "error[E0101]: Y\n --> a.dk:2:3\n  |\n2 | \xc3\xa9\xc3\xa9Y\n  |   ^\n\n"
                   "error[E0101]: Z\n --> a.dk:3:3\n  |\n3 | \xe4\xb8\xad\xe6\x96\x87Z\n  |     ^\n\n"
                   "error[E0101]: W\n --> a.dk:4:3\n  |\n4 | e\xcc\x81W\n  |  ^\n\n"
                   "error[E0101]: V\n --> a.dk:5:6\n  |\n5 | \\x1b[31mV\n  |         ^\n\n"
                   "error[E0101]: U\n --> a.dk:6:2\n  |\n6 | \\u{202e}U\n  |         ^\n\n"
                   "6 errors\n");
}

static void test_message_is_escaped(void **state) {
  struct fixture *f = *state;
  const struct dk_source *source = fixture_source(f, "a\x1b.dk", "x\n");
  dk_diag_label(&f->diags, add(f, fixture_span(source, "x"), "bad \x1b[2J"), "also \x07");
  dk_autobuf out = DK_BUF_INIT;
  dk_diags_render(&f->diags, false, &out);
  for (const char *c = dk_buf_text(&out); *c; c++) assert_true(*c == '\n' || (unsigned char)*c >= 0x20);
}

/* A long line is cut to a window with what is marked in it; the caret is below it. */
static void test_long_line(void **state) {
  struct fixture *f = *state;
  char text[1001];
  memset(text, 'a', 1000);
  text[1000] = '\0';
  for (size_t place = 0; place < 1000; place += 37) {
    text[place] = 'X';
    const struct dk_source *source = fixture_source(f, "a.dk", text);
    text[place] = 'a';
    f->diags.count = 0;
    add(f, fixture_span(source, "X"), "m");
    dk_autobuf out = DK_BUF_INIT;
    dk_diags_render(&f->diags, false, &out);
    const char *line = strstr(dk_buf_text(&out), "1 |"), *carets = strstr(line, "\n  |") + 1;
    assert_true(strcspn(line, "\n") <= 165);
    size_t caret = strcspn(carets, "^");
    assert_int_equal(line[caret], 'X');
  }
}

static void test_colors_change_nothing_else(void **state) {
  struct fixture *f = *state;
  const struct dk_source *source = fixture_source(f, "a.dk", "x = [1\ny = 2\n");
  struct dk_diag *diag = add(f, fixture_span(source, "y"), "m");
  dk_diag_label(&f->diags, diag, "label");
  dk_diag_label_at(&f->diags, diag, fixture_span(source, "["), "other");
  dk_diag_help(&f->diags, diag, "help");
  dk_autobuf plain = DK_BUF_INIT, colored = DK_BUF_INIT, stripped = DK_BUF_INIT;
  dk_diags_render(&f->diags, false, &plain);
  dk_diags_render(&f->diags, true, &colored);
  assert_true(colored.len > plain.len);
  for (const char *c = dk_buf_text(&colored); *c; c++) {
    if (*c == '\033')
      c += strcspn(c, "m");
    else
      dk_buf_add_char(&stripped, *c);
  }
  assert_string_equal(dk_buf_text(&stripped), dk_buf_text(&plain));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_form),
      TEST(test_nothing),
      TEST(test_no_place),
      TEST(test_labels),
      TEST(test_ends),
      TEST(test_empty_file),
      TEST(test_several_lines),
      TEST(test_cells),
      TEST(test_long_line),
      TEST(test_message_is_escaped),
      TEST(test_colors_change_nothing_else),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
