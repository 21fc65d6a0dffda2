/* The collector: order, repetitions, the limit; the table of codes. */
#include "tests/unit/diag/fixture.h"

#include <ctype.h>

static struct dk_span at(uint32_t start) {
  return (struct dk_span){start, start + 1};
}

static void test_sorted_without_repetitions(void **state) {
  struct fixture *f = *state;
  fixture_source(f, "a.dk", "some text that is long enough");
  dk_diag_add(&f->diags, DK_E0102, at(9), "late");
  dk_diag_add(&f->diags, DK_E0101, at(3), "early %d", 1);
  dk_diag_add(&f->diags, DK_E0102, at(9), "late");
  dk_diag_add(&f->diags, DK_E0102, at(9), "other");
  assert_int_equal(f->diags.n_errors, 4);
  dk_diags_sort(&f->diags);
  assert_int_equal(f->diags.count, 3);
  assert_int_equal(f->diags.n_errors, 3);
  assert_string_equal(f->diags.items[0]->message, "early 1");
  assert_string_equal(f->diags.items[1]->message, "late");
  assert_string_equal(f->diags.items[2]->message, "other");
}

static void test_texts(void **state) {
  struct fixture *f = *state;
  struct dk_diag *diag = dk_diag_add(&f->diags, DK_E0101, DK_NO_SPAN, "m");
  for (int i = 0; i < 20; i++) {
    dk_diag_help(&f->diags, diag, "help %d", i);
    dk_diag_note(&f->diags, diag, "note %d", i);
    dk_diag_label_at(&f->diags, diag, at(1), "label %d", i);
  }
  assert_int_equal(diag->n_helps, 20);
  assert_string_equal(diag->helps[19], "help 19");
  assert_string_equal(diag->notes[7], "note 7");
  assert_string_equal(diag->labels[0].text, "label 0");
  assert_null(diag->label);
}

static void test_limit(void **state) {
  struct fixture *f = *state;
  for (uint32_t i = 0; i < DK_DIAGS_MAX + 5; i++) {
    struct dk_diag *diag = dk_diag_add(&f->diags, DK_E0101, DK_NO_SPAN, "error %u", i);
    assert_non_null(diag);
    dk_diag_help(&f->diags, diag, "help");
    dk_diag_label(&f->diags, diag, "label");
    dk_diag_note(&f->diags, diag, "note");
    dk_diag_label_at(&f->diags, diag, at(1), "there");
  }
  assert_int_equal(f->diags.count, DK_DIAGS_MAX);
  assert_int_equal(f->diags.n_errors, DK_DIAGS_MAX + 5);
  dk_autobuf out = DK_BUF_INIT;
  dk_diags_render(&f->diags, false, &out);
  assert_non_null(strstr(dk_buf_text(&out), "105 errors (the first 100 are shown)\n"));
}

static void test_codes(void **state) {
  (void)state;
  for (int i = 0; i < DK_N_CODES; i++) {
    enum dk_code code = (enum dk_code)i, found;
    const char *name = dk_code_name(code);
    assert_int_equal(strlen(name), 5);
    assert_true(name[0] == 'E' || name[0] == 'W');
    for (int j = 1; j < 5; j++) assert_true(isdigit((unsigned char)name[j]));
    assert_int_equal(dk_code_is_warning(code), name[0] == 'W');
    assert_true(strlen(dk_code_title(code)) > 2);
    assert_true(strlen(dk_code_explanation(code)) > 20);
    assert_true(dk_code_find(name, &found));
    assert_int_equal(found, code); /* so no number is used twice */
  }
  enum dk_code found;
  assert_true(dk_code_find("e0101", &found));
  assert_int_equal(found, DK_E0101);
  assert_false(dk_code_find("E9999", &found));
  assert_false(dk_code_find("", &found));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_sorted_without_repetitions),
      TEST(test_texts),
      TEST(test_limit),
      TEST(test_codes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
